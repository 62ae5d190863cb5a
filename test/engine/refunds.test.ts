// Method: an engine with the clock and the provider in the test's hand. An order has been paid twice; its first payout
// has the hold, the second one stands in suspense.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Answer } from "../../src/core/news/answer.ts";
import { hearCallback } from "../../src/engine/commands/callback.ts";
import { moderate } from "../../src/engine/commands/moderation.ts";
import { BOOK, House } from "./house.ts";
import { isSend, notFound, sends } from "./restored.ts";

const PAID: Answer = { sent: "accepted", fact: "paid", resolution: "OK", sequence: 2, paidMinor: 1_000n };

async function callback(house: House, attempt: number, answer: Answer): Promise<void> {
  const payout = house.rows("payout").find((each) => each.attempt === attempt);
  assert.ok(payout !== undefined);
  const { reference, providerAccountId } = payout;
  const messageId = `${attempt} ${answer.fact} ${answer.sequence}`;
  const kept = { actor: "provider", providerAccountId, messageId, verified: true, bodyHash: "h" };
  const message = { providerAccountId, news: { messageId, reference, answer } };
  assert.ok((await house.engine.run(BOOK, hearCallback, message, { ...kept, body: { reference } })).ok);
}

test("a refund of a part is asked of what the merchant has paid for, not of what stands in suspense", async () => {
  const house = await new House().open();
  house.engine.start();
  house.answer = async (order) => {
    if (isSend(order)) return { kind: "timeout" };
    return sends(house) === 1 ? notFound(order) : { kind: "lost", reason: "reset" };
  };
  await house.mustOrder("a", "10", { attemptsLimit: 2 });
  await house.pass(30_000);
  assert.equal(sends(house), 2);
  await callback(house, 1, PAID);
  await callback(house, 2, PAID);
  const before = house.rows("payout").map(({ attempt, status, incidentMinor }) => [attempt, status, incidentMinor]);
  assert.deepEqual(before, [
    [1, "PROCESSED", 0n],
    [2, "PROCESSED", 1_000n],
  ]);
  const [request] = house.rows("request");
  const about = { kind: "refund", subjectKind: "request", version: null, reason: "test" } as const;
  const order = { ...about, subject: request?.id ?? "", body: { amount: "4" } };
  assert.ok((await house.engine.run(BOOK, moderate, order, { actor: "test" })).ok);
  const asked = house.rows("payout").find(({ status }) => status === "CANCELLING")?.attempt ?? 0;
  await callback(house, asked, { ...PAID, fact: "returned", sequence: 3, returnedMinor: 400n });
  assert.equal(house.rows("invoice")[0]?.refundedMinor, 400n, `attempt ${asked} was asked`);
  assert.deepEqual(house.broken, []);
});
