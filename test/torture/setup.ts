/** What an operator sets up before the campaign: accounts at the provider that are reached through the line to it. */
import { randomBytes, randomUUID } from "node:crypto";
import type { Place } from "./processes.ts";

const CURRENCY = "USD";
const SERVICE = "test_usd";
const WEBSITE = "web_demo";

/** The second account pays whatever an order asks for: where the first refuses, the next attempt is paid. */
const ACCOUNTS = [
  { name: "line", settings: {} },
  { name: "second", settings: { scenario: "ok" } },
] as const;
/** Bare requests have no details of their own: each names an instrument, of which there is one for each scenario. */
export const BARE_SCENARIOS = {
  ok: 4,
  timeout_paid: 1,
  reset_paid: 1,
  http_500_paid: 1,
  unreadable_paid: 1,
  duplicate_id: 1,
  callback_lost: 1,
} as const;
export const CUSTOMER = "cus_demo";
/** Its id, and the account of its payee. */
export const instrumentOf = (scenario: keyof typeof BARE_SCENARIOS): string => `inst-${scenario.replaceAll("_", "-")}`;

/** Each; orders are of 25 cents on average. */
const FUNDS = 50_000;

interface Made {
  readonly id: string;
  readonly tag: string;
}

async function call(
  place: Place,
  request: { method: string; path: string; body: object; tag?: string },
): Promise<Made> {
  const { method, path, body, tag } = request;
  const answer = await fetch(`${place.url}${path}`, {
    method,
    headers: {
      authorization: `Bearer ${place.key}`,
      "content-type": "application/json",
      "idempotency-key": randomUUID(),
      ...(tag === undefined ? {} : { "if-match": tag }),
    },
    body: JSON.stringify(body),
  });
  const text = await answer.text();
  if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${text}`);
  const { id } = JSON.parse(text) as { id: string };
  return { id, tag: answer.headers.get("etag") ?? "" };
}

/** Every payout of the demo's website goes through `providerUrl` from now on. */
export async function leadThrough(place: Place, providerUrl: string): Promise<void> {
  const make = (path: string, body: object): Promise<Made> => call(place, { method: "POST", path, body });
  for (const { name, settings } of ACCOUNTS) {
    const credentials = { secret: randomBytes(32).toString("hex") };
    const [account, deposit] = [`pacc_${name}`, `dep_${name}`];
    await make("/provider-accounts", {
      id: account,
      connector: "sandbox",
      name,
      baseUrl: providerUrl,
      settings,
      credentials,
    });
    await make("/deposit-accounts", { id: deposit, providerAccountId: account, currency: CURRENCY, name });
    await make("/payout-routes", { id: `rt_${name}`, depositAccountId: deposit, service: SERVICE });
    const funds = { websiteId: WEBSITE, currency: CURRENCY, amount: FUNDS, depositAccountId: deposit };
    const { id, tag } = await make("/deposits", funds);
    await call(place, { method: "POST", path: `/deposits/${id}/approve`, body: {}, tag });
  }
  const routes = ACCOUNTS.map(({ name }) => `rt_${name}`);
  await make("/routing-schemes", {
    id: "route_line",
    name: "Through the line",
    services: { [SERVICE]: { strategy: "priority", routes } },
  });
  for (const scenario of Object.keys(BARE_SCENARIOS) as (keyof typeof BARE_SCENARIOS)[]) {
    const id = instrumentOf(scenario);
    const fields = { account: id, test_details_scenario: scenario };
    await make("/payment-instruments", { id, customerId: CUSTOMER, service: SERVICE, fields });
  }
  const website = await fetch(`${place.url}/websites/${WEBSITE}`, {
    headers: { authorization: `Bearer ${place.key}` },
  });
  const body = { routingSchemeId: "route_line", payoutRequest: { autoprocess: true } };
  await call(place, { method: "PATCH", path: `/websites/${WEBSITE}`, body, tag: website.headers.get("etag") ?? "" });
}
