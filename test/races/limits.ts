/**
 * Races against what the product limits: the balance that a deposit account keeps, the attempts of an order, what is
 * allocated of a request, what is refunded of an invoice, what needs a second person. The judges are the database, its
 * witness and the provider's book.
 */
import { BARE_PAYEE } from "./audit.ts";
import { type Doors, doors, finish, statuses, storm } from "./doors.ts";
import { raceConfirmations, raceRefunds } from "./limits-people.ts";
import { demoMembers, type Gateway, make, order, type Place, type Reply } from "./place.ts";
import type { Tally } from "./tally.ts";
import { balanceOf, endSleepers, openTill, paidTo, restOf, sentFrom } from "./till.ts";
import { callWitness, hearWitness } from "./witness.ts";

const ALLOCATIONS = "/payout-request-allocations";
const FLOOR = 50;
/** What four people lower eight attempts to: some come too late. */
const LOWERED = [2, 3, 6, 7];
const ORDERS = 24;

export interface Round {
  readonly place: Place;
  readonly gateways: Doors;
  /** A door that takes orders and leaves all sending to others: what it takes waits there, planned. */
  readonly counter: Gateway;
  readonly round: number;
}

/** More orders than a deposit account can carry above its minimal balance: exactly as many leave as it carries. */
async function orderAboveFloor({ place, gateways, counter, round }: Round): Promise<void> {
  const covered = 1 + ((round * 5) % 13);
  const dollars = FLOOR + covered * 10 + 5;
  const till = await openTill(place, gateways[0], { name: `floor_${round}`, dollars, minimal: FLOOR });
  const replies = await storm([...gateways, counter], ORDERS, (gateway, index) =>
    gateway.call("POST", "/payout-invoices", order(till.shop, `floor-${round}-${index}`)),
  );
  await restOf(till);
  const [left, paid] = [await balanceOf(till), await paidTo(place, `floor-${round}-`)];
  const isTaken = replies.every(({ status }) => status === 201);
  place.faults.check("orders above a floor", isTaken && left === (FLOOR + 5) * 100 && paid === covered, () => {
    return `funds for ${covered} above ${FLOOR}: ${statuses(replies)}; paid ${paid}, left ${left / 100}`;
  });
  await endSleepers(counter, replies);
}

/** The minimal balance is raised while orders leave: once that is answered, nothing leaves any more. */
async function raiseFloor({ place, gateways, counter, round }: Round): Promise<void> {
  const till = await openTill(place, gateways[0], { name: `raised_${round}`, dollars: 400 });
  const path = `/deposit-accounts/${till.deposit}`;
  const { tag } = await counter.call("GET", path);
  const raise = async (): Promise<number> => {
    const { status, text } = await counter.call("PATCH", path, { minimalBalance: 400 }, { "if-match": tag });
    if (status !== 200) place.faults.say(`${path}: ${status} ${text}`);
    return sentFrom(till);
  };
  const ordered = storm(gateways, ORDERS, (gateway, index) =>
    gateway.call("POST", "/payout-invoices", order(till.shop, `raised-${round}-${index}`)),
  );
  const [replies, sentThen] = await Promise.all([ordered, raise()]);
  await restOf(till);
  const sent = await sentFrom(till);
  place.faults.check("floors raised", sent === sentThen, () => {
    return `${sentThen} orders had left when the minimal balance was raised, ${sent} in the end`;
  });
  await endSleepers(counter, replies);
}

/** A bare request with a payee of its own. */
async function bareRequest(gateway: Gateway, id: string, amount: number): Promise<string> {
  const fields = { account: `${id}${BARE_PAYEE}`, test_details_scenario: "ok_sync" };
  await make(gateway, "/payment-instruments", { id, customerId: "cus_demo", service: "test_usd", fields });
  const members = { ...demoMembers, amount, paymentInstrumentId: id };
  const { status, text } = await gateway.call("PUT", `/payout-requests/${id}`, members);
  if (status !== 201) throw new Error(`${id}: ${status} ${text}`);
  return id;
}

/** Allocations that were each planned within one balance, which covers half of them, are all started at once. */
async function startAboveFloor({ place, gateways, round }: Round): Promise<void> {
  const name = `started_${round}`;
  const till = await openTill(place, gateways[0], { name, dollars: FLOOR + 35, minimal: FLOOR });
  const ids: string[] = [];
  for (let index = 0; index < 6; index++) {
    const payoutRequestId = await bareRequest(gateways[0], `${name}-${index}`, 10);
    const made = await make(gateways[0], ALLOCATIONS, { payoutRequestId, routeId: till.routes[0] });
    ids.push(String(made.body["id"]));
  }
  const all = gateways[0].call("POST", `${ALLOCATIONS}/process`, { allocationIds: ids });
  const each = storm(gateways, 2 * ids.length, (gateway, index) =>
    gateway.call("PATCH", `${ALLOCATIONS}/${ids[index % ids.length]}`, { status: "processing" }),
  );
  const replies = [await all, ...(await each)];
  await restOf(till);
  const [left, paid] = [await balanceOf(till), await paidTo(place, name)];
  place.faults.check("allocations above a floor", paid === 3 && left === (FLOOR + 5) * 100, () => {
    return `funds for 3 of 6 allocations: ${statuses(replies)}; paid ${paid}, left ${left / 100}`;
  });
}

/** Many allocations of one request at once, then each of them started and cancelled at once. */
async function allocateAtOnce({ place, gateways, round }: Round): Promise<void> {
  const payoutRequestId = await bareRequest(gateways[0], `shared-${round}`, 10);
  const replies = await storm(gateways, 30, (gateway) =>
    gateway.call("POST", ALLOCATIONS, { payoutRequestId, amount: "1.50" }),
  );
  const told = statuses(replies);
  place.faults.check("allocations of one request", told === "6 x 201, 24 x 409 more-than-available", () => told);
  const made = replies.filter(({ status }) => status === 201).map(({ body }) => String(body["id"]));
  // Each of them is told both, and which one first is another thing for its neighbour.
  const both = await storm(gateways, 2 * made.length, (gateway, index) => {
    const isSecond = index >= made.length;
    const status = (index + round) % 2 === Number(isSecond) ? "processing" : "canceled";
    return gateway.call("PATCH", `${ALLOCATIONS}/${made[index % made.length]}`, { status });
  });
  await restOf({ place, shop: "web_demo", deposit: "dep_demo_usd", routes: [] });
  const [rows] = await place.rows<{ paid: number; ended: number; over: boolean }>(
    `select count(*) filter (where p.status = 'PROCESSED')::int4 as paid,
       count(*) filter (where p.status = 'TERMINATED')::int4 as ended,
       coalesce(sum(p.processed_minor), 0) > max(r.amount_minor) as over
     from bursar.payout p join bursar.request r on r.id = p.request_id where p.request_id = $1`,
    [payoutRequestId],
  );
  const paid = await paidTo(place, `${payoutRequestId}${BARE_PAYEE}`);
  const holds = rows?.paid === paid && rows.paid + rows.ended === made.length && !rows.over;
  place.faults.check("allocations started or cancelled", holds, () => {
    return `${payoutRequestId}: ${statuses(both)}; ${JSON.stringify(rows)}, its provider paid ${paid}`;
  });
}

/** A request has a hundred allocations and no more, whoever asks. */
async function allocateHundred({ place, gateways }: Round): Promise<void> {
  const payoutRequestId = await bareRequest(gateways[0], "hundred", 130);
  const replies = await storm(gateways, 120, (gateway) =>
    gateway.call("POST", ALLOCATIONS, { payoutRequestId, amount: 1 }),
  );
  const told = statuses(replies);
  place.faults.check("a hundred allocations", told === "100 x 201, 20 x 409 not-in-this-status", () => told);
  const dropped = await gateways[1].call("POST", `/payout-requests/${payoutRequestId}/cancel`, {});
  if (dropped.status !== 200) place.faults.say(`${payoutRequestId}: ${dropped.status} ${dropped.text}`);
}

/** People lower the attempts of an order while one route after another refuses it. */
async function lowerAttempts({ place, gateways, round }: Round): Promise<void> {
  const name = `tried_${round}`;
  const till = await openTill(place, gateways[0], { name, dollars: 100, routes: 8 });
  const fields = { account: name, test_details_scenario: "refused" };
  const body = order(till.shop, name, { fields, attemptsLimit: 8 });
  const { body: invoice } = await make(gateways[0], "/payout-invoices", body);
  const path = `/payout-invoices/${String(invoice["id"])}`;
  const lower = async (gateway: Gateway, index: number): Promise<Reply> => {
    for (let tries = 1; ; tries++) {
      const { tag } = await gateway.call("GET", path);
      const change = { act: "change", attemptsLimit: LOWERED[index], reason: "Not for ever." };
      const reply = await gateway.call("POST", `${path}/moderation`, change, { "if-match": tag });
      if (reply.status !== 412 || tries === 20) return reply;
    }
  };
  const replies = await storm(gateways, 4, lower);
  await restOf(till);
  const [made] = await place.rows<{ attempts: number; most: number }>(
    `select max(p.attempt)::int4 as attempts, max(r.attempts_limit)::int4 as most
     from bursar.payout p join bursar.request r on r.id = p.request_id where p.deposit_account_id = $1`,
    [till.deposit],
  );
  const holds = made !== undefined && made.attempts <= made.most && replies.every(({ status }) => status < 500);
  place.faults.check("attempts lowered", holds, () => `${name}: ${statuses(replies)}; ${JSON.stringify(made)}`);
  const lowered = replies.filter(({ status }) => status === 200).length;
  place.faults.check("orders with lowered attempts", lowered > 0, () => `${name}: nobody was in time`);
}

export async function raceLimits(place: Place, rounds: number): Promise<Tally> {
  const gateways = await doors(place);
  const counter = await place.open({ isWorking: false, hasCallbacks: false });
  await callWitness(place);
  for (let round = 0; round < rounds; round++) {
    const at = { place, gateways, counter, round };
    await orderAboveFloor(at);
    await raiseFloor(at);
    await startAboveFloor(at);
    await allocateAtOnce(at);
    await lowerAttempts(at);
    await raceRefunds(at);
    await raceConfirmations(at);
    if (round === 0) await allocateHundred(at);
  }
  await hearWitness(place, true);
  return finish(place, "limits", rounds);
}
