// Method: an engine whose provider takes nothing back, with time in hand.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Connector } from "../../src/connectors/contract.ts";
import { sandbox } from "../../src/connectors/sandbox/connector.ts";
import { moderate } from "../../src/engine/commands/moderation.ts";
import type { HttpOutcome } from "../../src/engine/ports.ts";
import { BOOK, House } from "./house.ts";

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
