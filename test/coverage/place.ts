/** Where a case happens: a website with provider accounts, routes and a scheme of its own, all made over the API. */
import assert from "node:assert/strict";
import type { Gateway, Json } from "../support/gateway.ts";

/** One provider account with one balance and one route. */
export interface RoutePlan {
  /** What the provider plays for every order of this account; absent: what the order says. */
  readonly scenario?: string;
  readonly minAmount?: number;
  readonly maxAmount?: number;
  readonly isManual?: boolean;
  readonly isEnabled?: boolean;
  /** Where the provider answers; absent: at the sandbox. */
  readonly baseUrl?: string;
  /** US dollars that stand there and are the website's. */
  readonly funds?: number;
}

export interface PlacePlan {
  readonly routes?: readonly RoutePlan[];
  readonly website?: Json;
  /** What the scheme says of the service; absent: its routes by priority. */
  readonly leaf?: Json | null;
}

export interface Place {
  readonly websiteId: string;
  readonly customerId: string;
  readonly accountIds: readonly string[];
  readonly routeIds: readonly string[];
}

const FUNDS = 2_000;

async function make(gateway: Gateway, path: string, body: Json, headers: Record<string, string> = {}): Promise<Json> {
  const reply = await gateway.call("POST", path, body, headers);
  assert.equal(reply.status, 201, `${path} ${reply.status} ${JSON.stringify(reply.body)}`);
  return reply.body;
}

async function makeRoute(gateway: Gateway, id: string, plan: RoutePlan): Promise<string> {
  const { scenario, minAmount, maxAmount, isManual = false, isEnabled = true } = plan;
  await make(gateway, "/provider-accounts", {
    id: `pacc_${id}`,
    connector: "sandbox",
    name: id,
    baseUrl: plan.baseUrl ?? gateway.sandboxUrl,
    settings: scenario === undefined ? {} : { scenario },
    credentials: { secret: `secret-of-${id}` },
  });
  await make(gateway, "/deposit-accounts", {
    id: `dep_${id}`,
    providerAccountId: `pacc_${id}`,
    currency: "USD",
    name: id,
  });
  await make(gateway, "/payout-routes", {
    id: `rt_${id}`,
    depositAccountId: `dep_${id}`,
    service: "test_usd",
    isManual,
    isEnabled,
    ...(minAmount === undefined ? {} : { minAmount }),
    ...(maxAmount === undefined ? {} : { maxAmount }),
  });
  return `rt_${id}`;
}

/** Gives a website dollars that stand at a deposit account. */
async function fund(gateway: Gateway, of: { websiteId: string; depositAccountId: string; amount: number }) {
  const key = { "idempotency-key": `fund-${of.depositAccountId}` };
  const deposit = await make(gateway, "/deposits", { ...of, currency: "USD" }, key);
  const path = `/deposits/${String(deposit["id"])}/approve`;
  const reply = await gateway.call("POST", path, undefined, { "if-match": `"${String(deposit["version"])}"` });
  assert.equal(reply.status, 200, JSON.stringify(reply.body));
}

/** Makes a place. The commission is the demo's, one per cent on top. */
export async function makePlace(gateway: Gateway, name: string, plan: PlacePlan): Promise<Place> {
  const { routes = [{}], website = {}, leaf } = plan;
  const routeIds: string[] = [];
  for (const [index, route] of routes.entries()) routeIds.push(await makeRoute(gateway, `${name}_${index}`, route));
  const services = leaf === null ? {} : { test_usd: leaf ?? { strategy: "priority", routes: routeIds } };
  await make(gateway, "/routing-schemes", { id: `rs_${name}`, name, services });
  const websiteId = `web_${name}`;
  await make(gateway, "/websites", {
    id: websiteId,
    name,
    url: "https://shop.example",
    routingSchemeId: `rs_${name}`,
    rateSchemeId: "rate_demo",
    commerceSchemeId: "commerce_demo",
    ...website,
  });
  const customerId = `cus_${name}`;
  await make(gateway, "/customers", { id: customerId, websiteId });
  for (const [index, { funds = FUNDS }] of routes.entries()) {
    if (funds > 0) await fund(gateway, { websiteId, depositAccountId: `dep_${name}_${index}`, amount: funds });
  }
  return { websiteId, customerId, routeIds, accountIds: routes.map((_, index) => `pacc_${name}_${index}`) };
}
