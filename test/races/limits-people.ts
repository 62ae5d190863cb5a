/** Races of what people may do so much of, or only with another: refunds of one invoice, acts that a second confirms. */
import { setTimeout as sleep } from "node:timers/promises";
import { type Doors, statuses, storm } from "./doors.ts";
import type { Round } from "./limits.ts";
import { type Gateway, type Json, make, order, type Place, type Reply } from "./place.ts";
import { openTill, restOf, type Till } from "./till.ts";

/** As long as a lost answer and the inquiries after it may take, on a slow machine. */
const PATIENCE_MS = 30_000;
const TRY_PAUSE_MS = 10;

/** Acts at the version that stands, as long as somebody else is quicker or something is under way. */
async function insist(
  gateway: Gateway,
  path: string,
  ask: { readonly body: Json; readonly key?: string; readonly headers?: Json },
): Promise<Reply> {
  const subject = path.replace(/\/[a-z]+$/, "");
  const deadline = performance.now() + PATIENCE_MS;
  for (let tries = 1; ; tries++) {
    const { tag } = await gateway.call("GET", subject);
    const key = ask.key === undefined ? {} : { "idempotency-key": `${ask.key}-${tries}` };
    const reply = await gateway.call("POST", path, ask.body, { ...key, ...ask.headers, "if-match": tag });
    const isEarly = reply.status === 412 || reply.body["code"] === "payout-in-flight";
    if (!isEarly || performance.now() > deadline) return reply;
    await sleep(TRY_PAUSE_MS);
  }
}

interface Ordered {
  readonly invoiceId: string;
  readonly payoutId: string;
}

/** An order whose payout stands as wanted. */
async function ordered(till: Till, gateway: Gateway, of: { name: string; scenario: string; status: string }) {
  const { place } = till;
  const { name, scenario, status } = of;
  const fields = { account: name, test_details_scenario: scenario };
  const { body } = await make(gateway, "/payout-invoices", order(till.shop, name, { fields, attemptsLimit: 1 }));
  const text = "select id::text as id, status from bursar.payout where invoice_id::text = $1";
  for (const deadline = performance.now() + PATIENCE_MS; ; ) {
    const [payout] = await place.rows<{ id: string; status: string }>(text, [body["id"]]);
    if (payout?.status === status) return { invoiceId: String(body["id"]), payoutId: payout.id };
    if (performance.now() > deadline) throw new Error(`${name} is ${payout?.status}, not ${status}`);
    await sleep(TRY_PAUSE_MS);
  }
}

/** What both books say has come back of a payout, minor units. */
async function returnedOf(place: Place, { payoutId }: Ordered): Promise<{ ours: number; theirs: number }> {
  const [payout] = await place.rows<{ reference: string; returned: number }>(
    "select reference, returned_minor::float8 as returned from bursar.payout where id::text = $1",
    [payoutId],
  );
  const operation = (await place.providerBook()).find(({ reference }) => reference === payout?.reference);
  return { ours: payout?.returned ?? 0, theirs: Math.round(Number(operation?.returnedAmount) * 100) };
}

/** Refunds and cancels of three dollars each, many at once, of ten that were paid: three of them are done. */
async function refundManyTimes(till: Till, gateways: Doors, name: string): Promise<void> {
  const { place } = till;
  const paid = await ordered(till, gateways[0], { name, scenario: "ok_sync", status: "PROCESSED" });
  const body = { amount: 3, reason: "Sent back." };
  const replies = await storm(gateways, 6, (gateway, index) => {
    const path = index < 4 ? `/payout-invoices/${paid.invoiceId}/refund` : `/payouts/${paid.payoutId}/cancel`;
    return insist(gateway, path, { body, key: `${name}-${index}` });
  });
  await restOf(till);
  const back = await returnedOf(place, paid);
  const done = replies.filter(({ status }) => status === 200).length;
  place.faults.check("refunds of one invoice", done === 3 && back.ours === 900 && back.theirs === 900, () => {
    return `${name}: ${statuses(replies)}; came back ${JSON.stringify(back)}`;
  });
}

/** One refund, repeated under one key at every door: done once. */
async function repeatRefund(till: Till, gateways: Doors, name: string): Promise<void> {
  const { place } = till;
  const paid = await ordered(till, gateways[0], { name, scenario: "ok_sync", status: "PROCESSED" });
  const path = `/payout-invoices/${paid.invoiceId}`;
  const { tag } = await gateways[0].call("GET", path);
  const headers = { "idempotency-key": name, "if-match": tag };
  const replies = await storm(gateways, 6, (gateway) => gateway.call("POST", `${path}/refund`, { amount: 4 }, headers));
  await restOf(till);
  const back = await returnedOf(place, paid);
  const texts = new Set(replies.map(({ text }) => text));
  const isOne = replies.every(({ status }) => status === 200) && texts.size === 1;
  place.faults.check("repeats of one refund", isOne && back.ours === 400 && back.theirs === 400, () => {
    return `${name}: ${statuses(replies)}, ${texts.size} texts; came back ${JSON.stringify(back)}`;
  });
}

export async function raceRefunds({ place, gateways, round }: Round): Promise<void> {
  const till = await openTill(place, gateways[0], { name: `back_${round}`, dollars: 100 });
  await refundManyTimes(till, gateways, `back-${round}`);
  await repeatRefund(till, gateways, `again-${round}`);
}

const PROOF = { kind: "document", value: "The bank's letter.", sha256: "c".repeat(64) };
const NOT_PAID = { reason: "The bank has not paid it.", verdict: "not_paid", evidence: PROOF };

interface People {
  readonly ann: Json;
  readonly bob: Json;
}

/** Somebody proposes that the payout was not paid; where the act is, and the version of it. */
async function propose(gateway: Gateway, payoutId: string, headers: Json = {}) {
  const reply = await insist(gateway, `/payouts/${payoutId}/evidence`, { body: NOT_PAID, headers });
  if (reply.status !== 202) throw new Error(`the act is not proposed: ${reply.status} ${reply.text}`);
  return { path: `/moderation/acts/${String(reply.body["id"])}`, tag: `"${String(reply.body["version"])}"` };
}

/** How often the payout was ended, and how many acts about it are done. */
async function endsOf(place: Place, payoutId: string): Promise<{ ends: number; acts: number }> {
  const [found] = await place.rows<{ ends: number; acts: number }>(
    `select (select count(*)::int4 from bursar.history where subject = $1 and status = 'PROCESS_FAILED') as ends,
       (select count(*)::int4 from bursar.moderation_act where subject = $1 and status = 'done') as acts`,
    [payoutId],
  );
  return found ?? { ends: 0, acts: 0 };
}

/** Confirms an act in the version that was told, again as long as an inquiry is out: nothing is decided meanwhile. */
async function confirm(gateway: Gateway, act: { path: string; tag: string }, who: Json): Promise<Reply> {
  for (const deadline = performance.now() + PATIENCE_MS; ; await sleep(TRY_PAUSE_MS)) {
    const reply = await gateway.call("POST", `${act.path}/confirm`, undefined, { "if-match": act.tag, ...who });
    if (reply.body["code"] !== "payout-in-flight" || performance.now() > deadline) return reply;
  }
}

type Bout = { readonly till: Till; readonly gateways: Doors; readonly people: People; readonly payoutId: string };

/** Two people, and who proposed it, confirm one act at once: one of the two does it. */
async function confirmOnce({ till, gateways, people, payoutId }: Bout): Promise<void> {
  const act = await propose(gateways[0], payoutId);
  const who = [people.ann, people.bob, {}];
  const own: Reply[] = [];
  const replies = await storm(gateways, 6, async (gateway, index) => {
    const reply = await confirm(gateway, act, who[index % 3] ?? {});
    if (index % 3 === 2) own.push(reply);
    return reply;
  });
  const found = await endsOf(till.place, payoutId);
  const isOnce = replies.filter(({ status }) => status === 200).length === 1 && found.ends === 1 && found.acts === 1;
  const isOthers = own.every(({ status }) => status !== 200);
  till.place.faults.check("acts confirmed by two at once", isOnce && isOthers, () => {
    return `${statuses(replies)}, of the proposer ${statuses(own)}; ${JSON.stringify(found)}`;
  });
}

/** One confirms what the other withdraws: one of them is too late. */
async function confirmOrWithdraw({ till, gateways, people, payoutId }: Bout): Promise<void> {
  const act = await propose(gateways[0], payoutId);
  const replies = await Promise.all([
    confirm(gateways[0], act, people.ann),
    gateways[1].call("POST", `${act.path}/withdraw`, undefined, { "if-match": act.tag }),
  ]);
  const [confirmed, withdrawn] = replies.map(({ status }) => status === 200);
  const found = await endsOf(till.place, payoutId);
  const holds = confirmed !== withdrawn && found.ends === (confirmed ? 1 : 0) && found.acts === found.ends;
  till.place.faults.check("acts confirmed or withdrawn", holds, () => `${statuses(replies)}; ${JSON.stringify(found)}`);
  if (!confirmed) await insist(gateways[0], `/payouts/${payoutId}/revoke`, { body: {} });
}

/** Two people have proposed the same, and each confirms the other's act: the payout is ended once. */
async function confirmEachOther({ till, gateways, people, payoutId }: Bout): Promise<void> {
  const one = await propose(gateways[0], payoutId, people.ann);
  const other = await propose(gateways[1], payoutId, people.bob);
  const replies = await Promise.all([
    confirm(gateways[1], one, people.bob),
    confirm(gateways[2], other, people.ann),
    confirm(gateways[0], one, people.ann),
  ]);
  const found = await endsOf(till.place, payoutId);
  const done = replies.filter(({ status }) => status === 200).length;
  till.place.faults.check("acts confirmed by each other", done === 1 && found.ends === 1 && found.acts === 1, () => {
    return `${statuses(replies)}; ${JSON.stringify(found)}`;
  });
}

export async function raceConfirmations({ place, gateways, round }: Round): Promise<void> {
  const members = { secondPersonAbove: { USD: "5" } };
  const till = await openTill(place, gateways[0], { name: `second_${round}`, dollars: 100, members });
  const people = { ann: await place.person(`ann_${round}`), bob: await place.person(`bob_${round}`) };
  for (const [index, bout] of [confirmOnce, confirmOrWithdraw, confirmEachOther].entries()) {
    const name = `second-${round}-${index}`;
    const { payoutId } = await ordered(till, gateways[0], { name, scenario: "revoke_ok", status: "PENDING" });
    await bout({ till, gateways, people, payoutId });
  }
  await restOf(till);
}
