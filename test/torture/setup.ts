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
  const website = await fetch(`${place.url}/websites/${WEBSITE}`, {
    headers: { authorization: `Bearer ${place.key}` },
  });
  const body = { routingSchemeId: "route_line" };
  await call(place, { method: "PATCH", path: `/websites/${WEBSITE}`, body, tag: website.headers.get("etag") ?? "" });
}
