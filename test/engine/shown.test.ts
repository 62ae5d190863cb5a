// Method: an engine with the clock and the provider in the test's hand. The provider shows the order in words that are
// in no table, or as another one, and then says that it has never heard of it.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Answer } from "../../src/core/news/answer.ts";
import { hearCallback } from "../../src/engine/commands/callback.ts";
import { moderate } from "../../src/engine/commands/moderation.ts";
import type { HttpOutcome } from "../../src/engine/ports.ts";
import { BOOK, House, says } from "./house.ts";
import { isSend, notFound, sends } from "./restored.ts";

const UNKNOWN: Answer = { sent: "unknown", fact: "unknown", resolution: "UNKNOWN" };

function refused(status: number, error: string): HttpOutcome {
  return { kind: "answer", result: { status, headers: { "retry-after": "60" }, body: JSON.stringify({ error }) } };
}

/** A verified message about the first payout. */
async function callback(house: House, answer: Answer): Promise<void> {
  const [payout] = house.rows("payout");
  assert.ok(payout !== undefined);
  const { reference, providerAccountId } = payout;
  const kept = { actor: "provider", providerAccountId, messageId: "m1", verified: true, bodyHash: "h" };
  const message = { providerAccountId, news: { messageId: "m1", reference, answer } };
  const heard = await house.engine.run(BOOK, hearCallback, message, { ...kept, body: { reference } });
  assert.ok(heard.ok);
}

/** It went once, it is unknown, and a person is told. */
async function isLeftUnknown(house: House): Promise<void> {
  await house.pass(120_000);
  assert.equal(sends(house), 1);
  const all = house
    .rows("payout")
    .map(({ status, evidence, moderationRequired }) => [status, evidence, moderationRequired]);
  assert.deepEqual(all, [["INVOKING", null, true]]);
  assert.ok(house.rows("moderationItem").some(({ status, kind }) => status === "open" && kind === "payout"));
  assert.deepEqual(house.broken, []);
}

for (const how of ["the answer to its request", "an inquiry", "a callback"]) {
  test(`shown by ${how} in an unknown word, then not found: that proves nothing`, async () => {
    const house = await new House().open();
    house.engine.start();
    let asked = 0;
    house.answer = async (order) => {
      const first = house.sent[0] ?? order;
      if (isSend(order)) return how.startsWith("the answer") ? says(order, "settling", 1) : { kind: "timeout" };
      asked += 1;
      return how === "an inquiry" && asked === 1 ? says(first, "settling", 1) : notFound(order);
    };
    await house.mustOrder("a", "10", { attemptsLimit: 2 });
    await house.settle();
    if (how === "a callback") await callback(house, UNKNOWN);
    await isLeftUnknown(house);
  });
}

test("a message in an unknown word that overtakes a refusal: the refusal is no proof", async () => {
  const house = await new House().open();
  house.engine.start();
  const { promise: isHeard, resolve } = Promise.withResolvers<void>();
  house.answer = async (order) => {
    if (!isSend(order)) return notFound(order);
    await isHeard;
    return refused(422, "declined");
  };
  await house.mustOrder("a", "10", { attemptsLimit: 2 });
  await house.settle();
  await callback(house, UNKNOWN);
  resolve();
  await isLeftUnknown(house);
});

test("told not now, then of another amount under the same reference: it may be there", async () => {
  const house = await new House().open();
  house.engine.start();
  house.answer = async (order) => (isSend(order) ? refused(429, "rate_limited") : notFound(order));
  await house.mustOrder("a", "10", { attemptsLimit: 2 });
  await house.settle();
  await callback(house, { sent: "accepted", fact: "accepted", resolution: "OK", echo: { amountMinor: 999n } });
  await isLeftUnknown(house);
});

/** An order whose first payout was proven absent and whose second one is paid. */
async function openWithAbsent(): Promise<House> {
  const house = await new House().open();
  house.engine.start();
  house.answer = async (order) => {
    if (!isSend(order)) return notFound(order);
    return sends(house) === 1 ? { kind: "timeout" } : says(order, "paid", 2);
  };
  await house.mustOrder("a", "10", { attemptsLimit: 2 });
  await house.pass(60_000);
  assert.deepEqual(
    house.rows("payout").map(({ status, evidence }) => [status, evidence]),
    [
      ["INVOKE_FAILED", "D3"],
      ["PROCESSED", null],
    ],
  );
  return house;
}

const openItems = (house: House) =>
  house.rows("moderationItem").flatMap(({ status, subject, reason }) => (status === "open" ? [[subject, reason]] : []));

test("what was proven absent is shown in an unknown word: it is asked about, and a person is told until it is clear", async () => {
  for (const isPaid of [true, false]) {
    const house = await openWithAbsent();
    const first = house.sent[0];
    const payout = house.rows("payout")[0];
    assert.ok(first !== undefined && payout !== undefined);
    house.answer = async () => says(first, "settling", 3);
    await callback(house, UNKNOWN);
    await house.pass(10_000);
    assert.deepEqual(openItems(house), [[payout.id, "outcome_unknown"]]);
    house.answer = async () => says(first, isPaid ? "paid" : "failed", 4);
    const about = { kind: "inquire", subjectKind: "payout", version: null, reason: "", body: {} } as const;
    assert.ok((await house.engine.run(BOOK, moderate, { ...about, subject: payout.id }, { actor: "test" })).ok);
    await house.pass(1_000);
    const now = house.rows("payout").find(({ id }) => id === payout.id);
    assert.deepEqual([now?.status, now?.moderationRequired], [isPaid ? "PROCESSED" : "INVOKE_FAILED", false]);
    const reasons = new Set(openItems(house).map(([, reason]) => reason));
    assert.deepEqual(reasons, new Set(isPaid ? ["account_refused", "paid_late", "paid_too_much"] : []));
    assert.deepEqual(house.broken, []);
  }
});

test("a person's question about what is over is asked although an unknown word comes first", async () => {
  const house = await new House().open();
  house.answer = async (order) => (isSend(order) ? says(order, "paid", 2) : { kind: "lost", reason: "reset" });
  const { payouts } = await house.mustOrder("a");
  await house.settle();
  const about = { kind: "inquire", subjectKind: "payout", version: null, reason: "", body: {} } as const;
  const inquired = { ...about, subject: payouts[0]?.id ?? "" };
  assert.ok((await house.engine.run(BOOK, moderate, inquired, { actor: "test" })).ok);
  await callback(house, UNKNOWN);
  house.engine.start();
  await house.pass(5_000);
  assert.equal(house.sent.filter((order) => !isSend(order)).length, 1);
  assert.deepEqual(house.broken, []);
});

test("an answer whose holder comes too late is asked about, also where the payout has been proven absent meanwhile", async () => {
  const house = await new House().open();
  house.engine.start();
  const { promise: isAwake, resolve } = Promise.withResolvers<void>();
  house.answer = async (order) => {
    if (!isSend(order)) return notFound(order);
    if (sends(house) > 1) return says(order, "paid", 2);
    await isAwake;
    return says(order, "paid", 2);
  };
  await house.mustOrder("a", "10", { attemptsLimit: 2 });
  await house.pass(60_000);
  const [payout] = house.rows("payout");
  assert.deepEqual([payout?.status, payout?.evidence, sends(house)], ["INVOKE_FAILED", "D3", 2]);
  const first = house.sent[0];
  assert.ok(first !== undefined);
  house.answer = async () => says(first, "paid", 2);
  resolve();
  await house.pass(5_000);
  assert.equal(house.rows("payout").find(({ id }) => id === payout?.id)?.status, "PROCESSED");
  assert.ok(openItems(house).some(([subject, reason]) => subject === payout?.id && reason === "paid_too_much"));
  assert.deepEqual(house.broken, []);
});
