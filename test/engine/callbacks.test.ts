// Method: an engine with the clock in the test's hand; a provider's message comes before the payout that it is about.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Answer } from "../../src/core/answer.ts";
import { hearCallback } from "../../src/engine/commands/callback.ts";
import { openGate, shutGate } from "../../src/engine/commands/gates.ts";
import { BOOK, House, says } from "./house.ts";

const PAID: Answer = { sent: "accepted", fact: "paid", resolution: "OK", sequence: 2 };

/** The reference and the account of the first payout of order "a": the same in every house. */
async function known(): Promise<{ reference: string; providerAccountId: string }> {
  const house = await new House().open();
  await house.mustOrder("a");
  const [payout] = house.rows("payout");
  assert.ok(payout !== undefined);
  return { reference: payout.reference, providerAccountId: payout.providerAccountId };
}

/** A house that has stored the message about an order that it does not know yet. */
async function openWithMessage(): Promise<House> {
  const house = await new House().open();
  house.answer = async (order) => says(order, "paid", 2);
  house.engine.start();
  const { reference, providerAccountId } = await known();
  const news = { messageId: "m1", reference, answer: PAID };
  const kept = { actor: "provider", providerAccountId, messageId: "m1", verified: true, bodyHash: "h" };
  const cause = { ...kept, body: { reference, fact: "paid" } };
  const heard = await house.engine.run(BOOK, hearCallback, { providerAccountId, news }, cause);
  assert.deepEqual(heard, { ok: true, value: "unmatched" });
  return house;
}

const gate = { providerAccountId: null, currency: null, reason: "test" };

test("a payout that waits to be sent is held when a kept message says that the provider has it", async () => {
  const house = await openWithMessage();
  await house.engine.run(BOOK, shutGate, gate, { actor: "test" });
  await house.mustOrder("a");
  await house.pass(61_000);
  const [payout] = house.rows("payout");
  assert.deepEqual([payout?.status, payout?.moderationRequired], ["READY", true]);
  const [item] = house.rows("moderationItem").filter(({ kind }) => kind === "payout");
  assert.deepEqual(
    [item?.reason, item?.isIncident, item?.details],
    ["not_sent_by_us", true, { operation: "process", fact: "paid" }],
  );
  await house.engine.run(BOOK, openGate, gate, { actor: "test" });
  await house.pass(60_000);
  assert.deepEqual(
    house.sent.filter(({ draft }) => draft.method === "POST"),
    [],
  );
  assert.deepEqual(house.broken, []);
});

test("a payout that was sent meanwhile is asked about at once", async () => {
  const house = await openWithMessage();
  house.answer = async (order) => says(order, order.draft.method === "POST" ? "accepted" : "paid", 1);
  await house.pass(59_000);
  await house.mustOrder("a");
  await house.settle();
  const asked = house.sent.length;
  assert.equal(house.rows("payout")[0]?.status, "PROCESSING");
  await house.pass(1_000);
  assert.ok(house.sent.length > asked);
  assert.equal(house.rows("work").filter(({ kind }) => kind === "callback").length, 0);
  assert.deepEqual(house.broken, []);
});

test("a message about nothing that comes in a day is for a person", async () => {
  const house = await openWithMessage();
  house.now += 24 * 3_600_000;
  await house.pass(61_000);
  const [item] = house.rows("moderationItem");
  assert.deepEqual([item?.kind, item?.reason], ["callback", "payout_unknown"]);
});
