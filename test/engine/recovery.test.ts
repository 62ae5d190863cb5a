// Method: an engine whose database follows another one, with the clock and the provider in the test's hand: what is
// asked before anything is sent, and what the answers lead to.
import assert from "node:assert/strict";
import { test } from "node:test";
import { TRUTH } from "../../src/connectors/sandbox/truth.ts";
import { providerReference } from "../../src/core/ids.ts";
import { MAX_PARTS } from "../../src/core/parts.ts";
import { WATCH_MS } from "../../src/core/recovery.ts";
import { terminateInvoice } from "../../src/engine/commands/invoices.ts";
import { moderate } from "../../src/engine/commands/moderation.ts";
import { changeRoute } from "../../src/engine/commands/payout-routes.ts";
import type { HttpOrder, HttpOutcome } from "../../src/engine/ports.ts";
import { BOOK, House, says } from "./house.ts";

const W = 9_000;
const isSend = (order: HttpOrder): boolean => order.draft.method === "POST";
const referenceOf = (order: HttpOrder): string => order.draft.path.split("/").at(-1) ?? "";

function notFound(order: HttpOrder): HttpOutcome {
  const body = JSON.stringify({ error: "not_found", reference: referenceOf(order) });
  return { kind: "answer", result: { status: 404, headers: {}, body } };
}

/** A house whose database took over just now; the provider knows nothing and pays what it is sent. */
async function openRestored(gate: "open" | "shut" = "open"): Promise<House> {
  const house = await new House().open();
  house.store.epoch = { number: house.now / 1_000, gate };
  house.answer = async (order) => (isSend(order) ? says(order, "paid", 2) : notFound(order));
  house.engine.start();
  return house;
}

const sends = (house: House): number => house.sent.filter(isSend).length;
const LIMIT = { attemptsLimit: 2 };

test("an order is sent once both accounts have denied every attempt of it, after the wait window", async () => {
  const house = await openRestored();
  await house.mustOrder("a", "10", LIMIT);
  await house.pass(W);
  assert.equal(sends(house), 0, "what is denied this early may still arrive");
  await house.pass(12_000);
  assert.equal(sends(house), 1);
  const firstSend = house.sent.findIndex(isSend);
  const asked = new Set(house.sent.slice(0, firstSend).map(referenceOf));
  assert.equal(asked.size, 2, "the references of attempts 1 and 2");
  const checks = house.rows("recoveryCheck");
  assert.deepEqual(
    checks.map(({ providerAccountId, attempt, state }) => `${providerAccountId} ${attempt} ${state}`).sort(),
    ["pacc_backup 1 absent", "pacc_backup 2 absent", "pacc_demo 1 absent", "pacc_demo 2 absent"],
  );
  assert.equal(house.rows("invoice")[0]?.status, "processed");
  assert.deepEqual(house.broken, []);
});

test("an order that the provider knows under a later attempt is not sent: a person must look", async () => {
  const house = await openRestored();
  await house.pass(W + 1_000);
  let second: string | null = null;
  house.answer = async (order) => {
    if (isSend(order)) return says(order, "paid", 2);
    const own = house.rows("payout")[0]?.reference;
    second ??= referenceOf(order) === own ? null : referenceOf(order);
    if (referenceOf(order) !== second) return notFound(order);
    const state = {
      reference: second,
      amount: "10.00",
      currency: "USD",
      account: "payee-a",
      status: "paid",
      sequence: 2,
    };
    const body = JSON.stringify({ ...state, providerReference: "p1", paidAmount: "10.00", returnedAmount: "0.00" });
    return { kind: "answer", result: { status: 200, headers: {}, body } };
  };
  await house.mustOrder("a", "10", LIMIT);
  await house.pass(60_000);
  assert.equal(sends(house), 0);
  const [payout] = house.rows("payout");
  assert.deepEqual([payout?.status, payout?.moderationRequired], ["READY", true]);
  const [item] = house.rows("moderationItem").filter(({ reason }) => reason === "not_sent_by_us");
  assert.ok(item?.isIncident);
  assert.deepEqual(item?.details, {
    providerAccountId: "pacc_backup",
    part: "1",
    attempt: "2",
    reference: second,
    fact: "paid",
  });
  assert.equal(house.rows("invoice")[0]?.moderationRequired, true);
  assert.deepEqual(house.broken, []);
});

test("an order that the provider holds under its own reference is taken over and settled, not sent", async () => {
  const house = await openRestored();
  await house.pass(W + 1_000);
  let asked = 0;
  house.answer = async (order) => {
    const own = house.rows("payout")[0]?.reference;
    // The payout's own account is asked last; before it, the other one is asked about the same reference.
    if (referenceOf(order) !== own) return notFound(order);
    asked += 1;
    if (asked === 1) return notFound(order);
    const state = { reference: own, amount: "10.00", currency: "USD", account: "payee-a", status: "paid", sequence: 2 };
    const body = JSON.stringify({ ...state, providerReference: "p1", paidAmount: "10.00", returnedAmount: "0.00" });
    return { kind: "answer", result: { status: 200, headers: {}, body } };
  };
  await house.mustOrder("a", "10", LIMIT);
  await house.pass(60_000);
  assert.equal(sends(house), 0);
  assert.deepEqual(
    house.rows("payout").map(({ status, processedMinor, inFlightMinor }) => [status, processedMinor, inFlightMinor]),
    [["PROCESSED", 1_000n, 0n]],
  );
  assert.equal(house.rows("invoice")[0]?.status, "processed");
  assert.deepEqual(
    house.rows("moderationItem").filter(({ status }) => status === "open"),
    [],
  );
  assert.deepEqual(house.broken, []);
});

test("what shall end without having been sent is asked about first, too", async () => {
  for (const isHeldThere of [false, true]) {
    const house = await openRestored();
    await house.pass(W + 1_000);
    let asked = 0;
    house.answer = async (order) => {
      const own = house.rows("payout")[0]?.reference;
      if (referenceOf(order) !== own || !isHeldThere) return notFound(order);
      asked += 1;
      if (asked === 1) return notFound(order);
      const state = {
        reference: own,
        amount: "10.00",
        currency: "USD",
        account: "payee-a",
        status: "paid",
        sequence: 2,
      };
      const body = JSON.stringify({ ...state, providerReference: "p1", paidAmount: "10.00", returnedAmount: "0.00" });
      return { kind: "answer", result: { status: 200, headers: {}, body } };
    };
    const { invoice } = await house.mustOrder("a", "10", LIMIT);
    const ended = await house.engine.run(BOOK, terminateInvoice, { invoiceId: invoice.id }, { actor: "test" });
    assert.ok(ended.ok);
    assert.equal(house.rows("payout")[0]?.status, "READY", "nobody knows yet whether it was sent");
    assert.equal(house.rows("invoice")[0]?.releasedMinor, 0n);
    await house.pass(60_000);
    const end = isHeldThere ? ["PROCESSED", "processed"] : ["TERMINATED", "terminated"];
    assert.deepEqual([house.rows("payout")[0]?.status, house.rows("invoice")[0]?.status], end);
    assert.equal(sends(house), 0);
    assert.deepEqual(house.broken, []);
  }
});

test("what the provider knows keeps its hold when its lifetime is over", async () => {
  const house = await openRestored();
  await house.pass(W + 1_000);
  house.answer = async (order) => {
    const reference = referenceOf(order);
    const state = { reference, amount: "10.00", currency: "USD", account: "payee-a", status: "queued", sequence: 1 };
    const body = JSON.stringify({ ...state, providerReference: "p1", paidAmount: "0.00", returnedAmount: "0.00" });
    return { kind: "answer", result: { status: 200, headers: {}, body } };
  };
  const { invoice } = await house.mustOrder("a", "10", LIMIT);
  await house.pass(5_000);
  house.now = invoice.expiresTime + 1;
  await house.pass(30_000);
  const [now] = house.rows("invoice");
  assert.deepEqual([now?.moderationRequired, now?.releasedMinor], [true, 0n]);
  assert.equal(sends(house), 0);
});

test("a question without an answer is asked again, and its holder's death is found by the lease", async () => {
  const house = await openRestored();
  await house.pass(W + 1_000);
  let asked = 0;
  house.answer = async (order) => {
    if (isSend(order)) return says(order, "paid", 2);
    asked += 1;
    if (asked === 1) return new Promise<never>(() => {});
    return asked === 2 ? { kind: "timeout" } : notFound(order);
  };
  await house.mustOrder("a", "10", LIMIT);
  await house.pass(5_000);
  assert.equal(asked, 1, "the lease is respected");
  await house.pass(40_000);
  assert.equal(sends(house), 1);
  assert.equal(asked, 6, "four questions, the first of them three times");
});

test("while the gate is shut questions are asked and nothing is sent", async () => {
  const house = await openRestored("shut");
  await house.pass(W + 1_000);
  await house.mustOrder("a", "10", LIMIT);
  await house.pass(30_000);
  assert.equal(sends(house), 0);
  assert.ok(house.rows("recoveryCheck").every(({ state }) => state === "absent"));
  const asked = house.sent.length;
  house.store.epoch = { ...house.store.epoch, gate: "open" };
  await house.pass(10_000);
  assert.equal(sends(house), 1);
  assert.equal(house.sent.length, asked + 1, "nothing is asked twice");
});

test("thirty days later, and in a first epoch, orders are sent at once", async () => {
  for (const number of [1, (1_700_000_000_000 - WATCH_MS) / 1_000]) {
    const house = await openRestored();
    house.store.epoch = { number, gate: "open" };
    await house.mustOrder("a", "10", LIMIT);
    await house.settle();
    assert.equal(house.sent.length, 1);
    assert.equal(sends(house), 1);
  }
});

test("a payout that was sent before the restore is not believed absent before the lost window is over", async () => {
  const house = await new House().open();
  house.engine.start();
  house.answer = async (order) => (isSend(order) ? { kind: "timeout" } : { kind: "lost", reason: "reset" });
  await house.mustOrder("a", "10", LIMIT);
  await house.pass(60_000);
  // The database of now is the old one again, a minute later; the send of then may have been repeated meanwhile.
  house.store.epoch = { number: house.now / 1_000, gate: "shut" };
  house.answer = async (order) => notFound(order);
  await house.pass(W);
  assert.equal(house.rows("payout")[0]?.status, "INVOKING");
  await house.pass(10_000);
  assert.deepEqual([house.rows("payout")[0]?.status, house.rows("payout")[0]?.evidence], ["INVOKE_FAILED", "D3"]);
});

const SPLIT = { ...LIMIT, splitMode: true, parallelMode: true };

function referenceOfPart(house: House, part: number, attempt: number): string {
  const root = house.rows("request")[0]?.root ?? "";
  return providerReference({ organizationId: BOOK, root, part, attempt }, TRUTH.reference);
}

test("an order that may be split leaves once every part that it may have had is denied", async () => {
  const house = await openRestored();
  await house.pass(W + 1_000);
  await house.mustOrder("a", "10", SPLIT);
  const places = 2 * 2;
  await house.pass(10 * 60_000);
  assert.equal(sends(house), 1);
  const asked = house.sent.slice(0, house.sent.findIndex(isSend)).map(referenceOf);
  assert.equal(asked.length, places * MAX_PARTS, "every part and attempt at each of two accounts, once");
  assert.equal(new Set(asked).size, 2 * MAX_PARTS);
  assert.ok(house.rows("partSearch").every(({ state, part }) => state === "absent" && part === MAX_PARTS));
  assert.equal(house.rows("invoice")[0]?.status, "processed");
  assert.deepEqual(house.broken, []);
});

test("no part of an order leaves when the provider knows one that this database does not", async () => {
  const house = await openRestored();
  await house.pass(W + 1_000);
  house.answer = async (order) => {
    if (isSend(order)) return says(order, "paid", 2);
    const reference = referenceOf(order);
    if (reference !== referenceOfPart(house, 7, 2)) return notFound(order);
    const state = { reference, amount: "3.00", currency: "USD", account: "payee-a", status: "paid", sequence: 2 };
    const body = JSON.stringify({ ...state, providerReference: "p7", paidAmount: "3.00", returnedAmount: "0.00" });
    return { kind: "answer", result: { status: 200, headers: {}, body } };
  };
  await house.mustOrder("a", "10", SPLIT);
  await house.pass(10 * 60_000);
  assert.equal(sends(house), 0);
  const [payout] = house.rows("payout");
  assert.deepEqual([payout?.status, payout?.moderationRequired], ["READY", true]);
  const [item] = house.rows("moderationItem").filter(({ reason }) => reason === "not_sent_by_us");
  assert.deepEqual(item?.details, {
    providerAccountId: "pacc_backup",
    part: "7",
    attempt: "2",
    reference: referenceOfPart(house, 7, 2),
    fact: "paid",
  });
  assert.deepEqual(house.broken, []);
});

test("one part searches for all, and who dies in the middle is followed at the place that was reached", async () => {
  const house = await openRestored();
  await house.pass(W + 1_000);
  let asked = 0;
  house.answer = async (order) => {
    if (isSend(order)) return says(order, "paid", 2);
    asked += 1;
    return asked === 50 ? new Promise<never>(() => {}) : notFound(order);
  };
  for (const { id, version } of house.rows("route")) {
    const order = { maxAmount: "10" };
    const changed = await house.engine.run(BOOK, changeRoute, { id, version, order, problems: [] }, { actor: "test" });
    assert.ok(changed.ok);
  }
  await house.mustOrder("a", "25", SPLIT);
  const parts = house.rows("payout").length;
  assert.equal(parts, 3, "none of the routes carries more than 10");
  await house.pass(20 * 60_000);
  assert.equal(sends(house), parts);
  assert.equal(asked, 2 * 2 * MAX_PARTS + 1, "the question that was lost is asked again, and no other one");
  assert.equal(house.rows("invoice")[0]?.status, "processed");
  assert.deepEqual(house.broken, []);
});

test("what was sent before the restore is not repeated: it may have gone on under its next reference", async () => {
  const house = await new House().open();
  house.engine.start();
  house.answer = async (order) => (isSend(order) ? { kind: "timeout" } : { kind: "lost", reason: "reset" });
  await house.mustOrder("a", "10", LIMIT);
  await house.pass(60_000);
  const repeat = async () => {
    const [payout] = house.rows("payout");
    assert.ok(payout?.send === "unknown");
    const about = { subjectKind: "payout" as const, subject: payout.id, version: payout.version };
    return house.engine.run(BOOK, moderate, { kind: "repeat", ...about, reason: "test", body: {} }, { actor: "test" });
  };
  house.store.epoch = { number: house.now / 1_000, gate: "open" };
  const refused = await repeat();
  assert.equal(refused.ok ? "done" : refused.error.code, "not-in-this-status");
  house.store.epoch = { number: 1, gate: "open" };
  assert.ok((await repeat()).ok, "in the epoch in which it was sent it may be repeated");
});
