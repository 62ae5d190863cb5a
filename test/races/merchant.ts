/** Races of what merchants do at the same time: spending one balance, repeating requests, approving and transferring. */
import { type Doors, doors, finish, SETTLE_LIMIT_MS, statuses, storm } from "./doors.ts";
import { availableOf, type Gateway, movement, order, type Place, type Reply, settled, website } from "./place.ts";
import type { Tally } from "./tally.ts";

/** 10 dollars and one per cent. */
const WRITEOFF_MINOR = 1_010;

/** More orders at once than one balance covers: exactly as many are taken as it pays for. */
export async function raceBalances(place: Place, rounds: number): Promise<Tally> {
  const gateways = await doors(place);
  const [first] = gateways;
  for (let round = 0; round < rounds; round++) {
    const covered = 1 + ((round * 5) % 17);
    const leftMinor = 999;
    const dollars = (covered * WRITEOFF_MINOR + leftMinor) / 100;
    const shop = await website(first, `web_balance_${round}`, dollars);
    const replies = await storm(gateways, 30, (gateway, index) =>
      gateway.call("POST", "/payout-invoices", order(shop, `balance-${round}-${index}`)),
    );
    const taken = replies.filter(({ status }) => status === 201).length;
    const short = replies.filter(({ status, body }) => status === 409 && body["code"] === "insufficient-funds").length;
    place.faults.check("storms of 30 orders", taken === covered && short === 30 - covered, () => {
      return `funds for ${covered}, answers: ${statuses(replies)}`;
    });
    const open = await settled(place, SETTLE_LIMIT_MS);
    const available = await availableOf(place, shop);
    const wanted = leftMinor;
    place.faults.check(
      "balances left",
      open.length > 0 || available === wanted,
      () => `left ${available}, not ${wanted}`,
    );
  }
  return finish(place, "balances", rounds);
}

async function oneKey(place: Place, gateways: Doors, round: number): Promise<void> {
  const key = { "idempotency-key": `key-${round}` };
  const body = order("web_demo", `keyed-${round}`, { amount: 1 });
  const replies = await storm(gateways, 20, (gateway) => gateway.call("POST", "/payout-invoices", body, key));
  const texts = new Set(replies.map(({ text }) => text));
  place.faults.check("20 repeats of one key", replies.every(({ status }) => status === 201) && texts.size === 1, () => {
    return `one key and body: ${statuses(replies)}, ${texts.size} different texts`;
  });
  const other = { "idempotency-key": `two-${round}` };
  const two = await storm(gateways, 2, (gateway, index) =>
    gateway.call("POST", "/payout-invoices", order("web_demo", `two-${round}-${index}`, { amount: 1 }), other),
  );
  const told = statuses(two);
  place.faults.check("two bodies, one key", told === "1 x 201, 1 x 422 idempotency-key-reused", () => {
    return `two bodies with one key: ${told}`;
  });
}

async function oneReference(place: Place, gateways: Doors, round: number): Promise<void> {
  const body = order("web_demo", `named-${round}`, { amount: 1 });
  const replies = await storm(gateways, 20, (gateway) => gateway.call("POST", "/payout-invoices", body));
  const ids = new Set(replies.map((reply) => reply.body["id"]));
  place.faults.check("20 of one referenceId", replies.every(({ status }) => status === 201) && ids.size === 1, () => {
    return `one referenceId: ${statuses(replies)}, ${ids.size} invoices`;
  });
}

async function oneRequest(place: Place, gateways: Doors, round: number): Promise<void> {
  const body = { websiteId: "web_demo", customerId: "cus_demo", currency: "USD", amount: 5 };
  const path = `/payout-requests/twin-${round}`;
  const replies = await storm(gateways, 6, (gateway) => gateway.call("PUT", path, body));
  const told = statuses(replies);
  place.faults.check("PUTs of one request", told === "5 x 200, 1 x 201", () => `PUT six times at once: ${told}`);
}

/** Repeats at three doors at once: one effect, and the same answer for everybody. */
export async function raceKeys(place: Place, rounds: number): Promise<Tally> {
  const gateways = await doors(place);
  for (let round = 0; round < rounds; round++) {
    await oneKey(place, gateways, round);
    await oneReference(place, gateways, round);
    await oneRequest(place, gateways, round);
  }
  const made = await place.rows<{ count: number }>("select count(*)::int4 as count from bursar.invoice");
  place.faults.check(
    "invoices made",
    made[0]?.count === 3 * rounds,
    () => `${made[0]?.count} invoices, not ${3 * rounds}`,
  );
  return finish(place, "keys", rounds);
}

const approve = (at: Gateway, { approve: path, tag }: { approve: string; tag: string }): Promise<Reply> =>
  at.call("POST", path, undefined, { "if-match": tag });

/** One movement approved at three doors: posted once. */
async function approveTwice(place: Place, gateways: Doors, of: { kind: string; shop: string }) {
  const [first] = gateways;
  const before = await availableOf(place, of.shop);
  const made = await movement(first, `/${of.kind}s`, { websiteId: of.shop, amount: 20 });
  const replies = await storm(gateways, 6, (gateway) => approve(gateway, made));
  const moved = (await availableOf(place, of.shop)) - before;
  const told = statuses(replies);
  const wanted = of.kind === "deposit" ? 2_000 : -2_000;
  place.faults.check(`${of.kind}s`, told === "1 x 200, 5 x 412 version-conflict" && moved === wanted, () => {
    return `one ${of.kind} approved six times at once: ${told}, moved ${moved}`;
  });
}

/** One balance that covers either a withdrawal or an order. */
async function withdrawOrPay(place: Place, gateways: Doors, round: number): Promise<void> {
  const [first, second] = gateways;
  const shop = await website(first, `web_either_${round}`, WRITEOFF_MINOR / 100);
  const made = await movement(first, "/withdrawals", { websiteId: shop, amount: WRITEOFF_MINOR / 100 });
  const pay = () => second.call("POST", "/payout-invoices", order(shop, `either-${round}`));
  const both = round % 2 === 0 ? [approve(first, made), pay()] : [pay(), approve(first, made)];
  const replies = await Promise.all(both);
  const good = replies.filter(({ status }) => status < 300).length;
  const short = replies.filter(({ body }) => body["code"] === "insufficient-funds").length;
  place.faults.check(
    "withdrawal or order",
    good === 1 && short === 1,
    () => `withdrawal or order: ${statuses(replies)}`,
  );
}

/** Transfers both ways, more of them than one balance covers at a time. */
async function transferBothWays(place: Place, gateways: Doors, round: number): Promise<void> {
  const [first] = gateways;
  const here = await website(first, `web_here_${round}`, 60);
  const there = await website(first, `web_there_${round}`, 60);
  const made: { approve: string; tag: string }[] = [];
  for (let index = 0; index < 8; index++) {
    const [from, to] = index % 2 === 0 ? [here, there] : [there, here];
    made.push(await movement(first, "/transfers", { websiteId: from, toWebsiteId: to, amount: 50 }));
  }
  const replies = await storm(gateways, made.length, (gateway, index) => {
    const one = made[index];
    if (one === undefined) throw new Error("there is a movement");
    return approve(gateway, one);
  });
  const left = [await availableOf(place, here), await availableOf(place, there)];
  const went = (from: number) => replies.filter(({ status }, index) => status === 200 && index % 2 === from).length;
  const isKnown = replies.every(({ status, body }) => status === 200 || body["code"] === "insufficient-funds");
  const net = 5_000 * (went(0) - went(1));
  place.faults.check("transfers both ways", isKnown && left[0] === 6_000 - net && left[1] === 6_000 + net, () => {
    return `transfers both ways: ${statuses(replies)}, left ${left.join(" and ")}`;
  });
}

/** Approvals of one movement, a withdrawal against an order, transfers both ways. */
export async function raceFunds(place: Place, rounds: number): Promise<Tally> {
  const gateways = await doors(place);
  const [first] = gateways;
  const shop = await website(first, "web_funds", 1_000_000);
  for (let round = 0; round < rounds; round++) {
    await approveTwice(place, gateways, { kind: "deposit", shop });
    await approveTwice(place, gateways, { kind: "withdrawal", shop });
    await withdrawOrPay(place, gateways, round);
    await transferBothWays(place, gateways, round);
  }
  return finish(place, "funds", rounds);
}
