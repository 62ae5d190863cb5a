// Method: an engine with time in hand, whose provider takes nothing back, or does not say how much.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Connector } from "../../src/connectors/contract.ts";
import { sandbox } from "../../src/connectors/sandbox/connector.ts";
import { moderate } from "../../src/engine/commands/moderation.ts";
import type { HttpOutcome } from "../../src/engine/ports.ts";
import { BOOK, House, says } from "./house.ts";
import { isSend } from "./restored.ts";

/** The sandbox's connector, without a word for cancelling. */
function withoutCancel(): ReadonlyMap<string, Connector> {
  const { cancel: _, ...rest } = sandbox;
  return new Map([["sandbox", { ...rest, truth: { ...sandbox.truth, cancel: "none", partialCancel: false } }]]);
}

/** Six of the ten dollars are paid, and no more will be. */
function paidPart(body: string | null): HttpOutcome {
  const { reference, amount, currency, account } = JSON.parse(body ?? "{}") as Record<string, string>;
  const state = { reference, providerReference: "p1", amount, currency, account, status: "paid_part", sequence: 2 };
  const said = JSON.stringify({ ...state, paidAmount: "6.00", returnedAmount: "0.00" });
  return { kind: "answer", result: { status: 200, headers: {}, body: said } };
}

test("what its provider cannot take back is not asked back: the order stays as it was", async () => {
  const house = await new House(undefined, withoutCancel()).open();
  house.engine.start();
  house.answer = async (order) => paidPart(order.draft.body);
  await house.mustOrder("a", "10", { attemptsLimit: 1 });
  await house.settle();
  const [request] = house.rows("request");
  assert.equal(request?.dispatchStatus, "PENDING");
  const about = { kind: "take_back", subjectKind: "request", version: null, reason: "test", body: {} } as const;
  const done = await house.engine.run(BOOK, moderate, { ...about, subject: request.id }, { actor: "test" });
  await house.pass(60_000);
  assert.deepEqual(house.broken, []);
  assert.equal(done.ok ? "done" : done.error.code, "not-in-this-status");
  assert.deepEqual(
    [house.rows("request")[0]?.dispatchStatus, house.rows("payout")[0]?.status],
    ["PENDING", "PARTIALLY_PROCESSED"],
  );
});

test("a return without a figure, while only a part was asked back, says nothing about how much came back", async () => {
  const { cancel } = sandbox;
  assert.ok(cancel !== undefined);
  const figureless = { ...cancel, read: () => ({ sent: "accepted", fact: "returned", resolution: "OK" }) as const };
  const house = await new House(undefined, new Map([["sandbox", { ...sandbox, cancel: figureless }]])).open();
  house.engine.start();
  house.answer = async (order) => (isSend(order) ? says(order, "paid", 2) : { kind: "lost", reason: "reset" });
  const { payouts } = await house.mustOrder("a", "10");
  await house.settle();
  house.answer = async (order) =>
    order.draft.path.endsWith("/cancel")
      ? { kind: "answer", result: { status: 200, headers: {}, body: "{}" } }
      : { kind: "lost", reason: "reset" };
  const about = { kind: "cancel", subjectKind: "payout", version: null, reason: "test" } as const;
  const wanted = { ...about, subject: payouts[0]?.id ?? "", body: { amount: "3" } };
  assert.ok((await house.engine.run(BOOK, moderate, wanted, { actor: "test" })).ok);
  await house.pass(5_000);
  const [payout] = house.rows("payout");
  assert.deepEqual([payout?.status, payout?.returnedMinor, payout?.moderationRequired], ["CANCELLING", 0n, true]);
  const returned = { ...about, kind: "evidence", subject: payout?.id ?? "" } as const;
  const body = { verdict: "returned", amount: "3", evidence: { kind: "text", value: "the provider's word" } } as const;
  assert.ok((await house.engine.run(BOOK, moderate, { ...returned, body }, { actor: "test" })).ok);
  const after = house.rows("payout")[0];
  assert.deepEqual(
    [after?.status, after?.returnedMinor, after?.moderationRequired],
    ["PARTIALLY_PROCESSED", 300n, false],
  );
  assert.deepEqual(house.broken, []);
});
