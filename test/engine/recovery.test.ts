// Method: an engine whose database follows another one, with the clock and the provider in the test's hand: what is
// asked before anything is sent, and what the answers lead to.
import assert from "node:assert/strict";
import { test } from "node:test";
import { WATCH_MS } from "../../src/core/news/recovery.ts";
import { terminateInvoice } from "../../src/engine/commands/invoices.ts";
import { moderate } from "../../src/engine/commands/moderation.ts";
import { BOOK, House, says } from "./house.ts";
import { isPaid, isSend, notFound, openRestored, referenceOf, sends, W } from "./restored.ts";

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
    return isPaid(order, "10.00");
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
    return isPaid(order, "10.00");
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
      return isPaid(order, "10.00");
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

test("a question that nobody answers is told to a person, and no more once it is answered", async () => {
  const house = await openRestored();
  await house.pass(W + 1_000);
  const denied = { kind: "answer", result: { status: 401, headers: {}, body: "{}" } } as const;
  house.answer = async (order) => (isSend(order) ? says(order, "paid", 2) : denied);
  await house.mustOrder("a", "10", LIMIT);
  const open = () => house.rows("moderationItem").filter(({ status }) => status === "open");
  await house.pass(20_000);
  assert.deepEqual(open(), [], "some patience");
  await house.pass(100_000);
  assert.deepEqual(
    open().map(({ kind, reason, count }) => [kind, reason, count]),
    [["payout", "outcome_unknown", 1]],
  );
  assert.equal(sends(house), 0);
  house.answer = async (order) => (isSend(order) ? says(order, "paid", 2) : notFound(order));
  await house.pass(60_000);
  assert.equal(sends(house), 1);
  assert.deepEqual(open(), []);
  assert.deepEqual(house.broken, []);
});

test("what a person looks at is asked about to the last question, and decided only then", async () => {
  const house = await openRestored();
  await house.pass(W + 1_000);
  // The payout's own account, which is asked last, is silent.
  let isSilent = true;
  let ownAsked = 0;
  house.answer = async (order) => {
    if (isSend(order)) return says(order, "paid", 2);
    const { reference = "" } = house.rows("payout")[0] ?? {};
    if (referenceOf(order) !== reference) return isPaid(order, "10.00");
    ownAsked += 1;
    return ownAsked > 1 && isSilent ? { kind: "timeout" } : notFound(order);
  };
  const decide = () => {
    const [payout] = house.rows("payout");
    assert.ok(payout !== undefined);
    const about = { kind: "evidence" as const, subjectKind: "payout" as const, subject: payout.id };
    const body = { verdict: "not_paid" as const, evidence: { kind: "letter" } };
    const order = { ...about, version: payout.version, reason: "test", body };
    return house.engine.run(BOOK, moderate, order, { actor: "test" });
  };
  await house.mustOrder("a", "10", LIMIT);
  await house.pass(20_000);
  assert.equal(house.rows("payout")[0]?.moderationRequired, true);
  const early = await decide();
  assert.equal(early.ok ? "done" : early.error.code, "payout-in-flight");
  isSilent = false;
  await house.pass(30_000);
  assert.deepEqual(
    house
      .rows("recoveryCheck")
      .map(({ state }) => state)
      .sort(),
    ["absent", "absent", "found", "found"],
  );
  assert.ok((await decide()).ok);
  assert.deepEqual([house.rows("payout")[0]?.status, house.rows("payout")[0]?.evidence], ["TERMINATED", "D4"]);
  assert.equal(sends(house), 0);
  assert.deepEqual(house.broken, []);
});

test("an order that was found once and taken over is not paid again because it is not found later", async () => {
  const house = await openRestored();
  await house.pass(W + 1_000);
  const own: string[] = [];
  house.answer = async (order) => {
    if (isSend(order)) return says(order, "paid", 2);
    const [payout] = house.rows("payout");
    if (referenceOf(order) !== payout?.reference || payout.providerAccountId !== "pacc_demo") return notFound(order);
    own.push(order.draft.path);
    const isLast = house.rows("recoveryCheck").filter(({ state }) => state === "absent").length === 3;
    return isLast && payout.status === "READY" ? isPaid(order, "10.00") : notFound(order);
  };
  await house.mustOrder("a", "10", { attemptsLimit: 2 });
  await house.pass(120_000);
  assert.ok(own.length > 2, "it is asked about on");
  assert.equal(sends(house), 0);
  assert.deepEqual(
    house.rows("payout").map(({ status, moderationRequired }) => [status, moderationRequired]),
    [["INVOKING", true]],
  );
  assert.deepEqual(house.broken, []);
});
