/** A deposit account of a race's own, with routes and a shop that pays from it alone; and what became of its money. */
import { setTimeout as sleep } from "node:timers/promises";
import { type Gateway, type Json, make, movement, type Place, type Reply, website } from "./place.ts";

const REST_LIMIT_MS = 30_000;
const REST_POLL_MS = 20;
const SHOP_DOLLARS = 1_000;

export interface Till {
  readonly place: Place;
  readonly shop: string;
  readonly deposit: string;
  readonly routes: readonly string[];
}

export interface TillOptions {
  readonly name: string;
  /** What stands there, in dollars. */
  readonly dollars: number;
  readonly minimal?: number;
  readonly routes?: number;
  /** More of the shop. */
  readonly members?: Json;
}

export async function openTill(place: Place, gateway: Gateway, options: TillOptions): Promise<Till> {
  const { name, dollars, minimal = 0, members = {} } = options;
  const deposit = `dep_${name}`;
  const account = { id: deposit, providerAccountId: "pacc_demo", currency: "USD", name, minimalBalance: minimal };
  await make(gateway, "/deposit-accounts", account);
  const routes = Array.from({ length: options.routes ?? 1 }, (_, index) => `rt_${name}_${index}`);
  for (const id of routes)
    await make(gateway, "/payout-routes", { id, depositAccountId: deposit, service: "test_usd" });
  const leaf = { strategy: "priority", routes };
  await make(gateway, "/routing-schemes", { id: `route_${name}`, name, services: { test_usd: leaf } });
  const shop = await website(gateway, `web_${name}`, SHOP_DOLLARS, { routingSchemeId: `route_${name}`, ...members });
  const funds = { websiteId: shop, amount: dollars, depositAccountId: deposit };
  const { approve, tag } = await movement(gateway, "/deposits", funds);
  await gateway.call("POST", approve, undefined, { "if-match": tag });
  return { place, shop, deposit, routes };
}

/** What the ledger has there, minor units. */
export async function balanceOf({ place, deposit }: Till): Promise<number> {
  const text =
    "select balance_minor::float8 as balance from bursar.ledger_account where kind = 'deposit' and owner = $1";
  return (await place.rows<{ balance: number }>(text, [deposit]))[0]?.balance ?? 0;
}

/** How many payouts have been sent from there. */
export async function sentFrom({ place, deposit }: Till): Promise<number> {
  const text = `select count(*)::int4 as count from bursar.payout
    where deposit_account_id = $1 and first_send_time is not null`;
  return (await place.rows<{ count: number }>(text, [deposit]))[0]?.count ?? 0;
}

/** Waits until no payout from there is under way, but for those that wait for a person. */
export async function restOf({ place, deposit }: Till): Promise<void> {
  // What is planned and lacks money waits for it: that is rest, too.
  const text = `select count(*)::int4 as count from bursar.payout p
    join bursar.deposit_account d on d.organization_id = p.organization_id and d.id = p.deposit_account_id
    join bursar.ledger_account l on l.organization_id = d.organization_id and l.kind = 'deposit' and l.owner = d.id
    where d.id = $1 and (p.status in ('INVOKING', 'PROCESSING', 'PENDING', 'CANCELLING', 'REVOKING')
      or (p.status in ('CREATED', 'READY') and not p.is_manual
        and p.amount_minor <= l.balance_minor - d.minimal_balance_minor))`;
  const deadline = performance.now() + REST_LIMIT_MS;
  for (;;) {
    const [open] = await place.rows<{ count: number }>(text, [deposit]);
    if (open?.count === 0) return;
    if (performance.now() > deadline) {
      place.faults.say(`${deposit}: ${open?.count} payouts are still under way after ${REST_LIMIT_MS} ms`);
      return;
    }
    await sleep(REST_POLL_MS);
  }
}

/** Orders that sleep until there is money are ended. */
export async function endSleepers(gateway: Gateway, replies: readonly Reply[]): Promise<void> {
  for (const { body } of replies) await gateway.call("POST", `/payout-invoices/${String(body["id"])}/terminate`);
}

/** How many orders its provider has paid, of those whose payee's name begins so. */
export async function paidTo(place: Place, prefix: string): Promise<number> {
  const operations = await place.providerBook();
  return operations.filter(({ destination, effective }) => effective === 1 && destination.startsWith(prefix)).length;
}
