// Method: an engine with the clock in the test's hand; between a send and the repeat that a person allows, what the
// request is built from becomes another.
import assert from "node:assert/strict";
import { test } from "node:test";
import { moderate } from "../../src/engine/commands/moderation.ts";
import { changeRoute } from "../../src/engine/commands/payout-routes.ts";
import { BOOK, House } from "./house.ts";
import { isSend, sends } from "./restored.ts";

test("a repeat whose bytes would be others does not go: the first request is asked about as before", async () => {
  const house = new House();
  house.publicUrl = "https://before.example";
  await house.open();
  house.engine.start();
  house.answer = async (order) => (isSend(order) ? { kind: "timeout" } : { kind: "lost", reason: "reset" });
  await house.mustOrder("a");
  await house.pass(60_000);
  const [payout] = house.rows("payout");
  const about = { kind: "repeat", subjectKind: "payout", version: null, reason: "test", body: {} } as const;
  const act = () => house.engine.run(BOOK, moderate, { ...about, subject: payout?.id ?? "" }, { actor: "test" });
  assert.ok((await act()).ok);
  house.publicUrl = "https://after.example";
  const grown = { id: "rt_demo_eur", version: 1, order: { isEnabled: true }, problems: [] };
  assert.ok((await house.engine.run(BOOK, changeRoute, grown, { actor: "test" })).ok, "setups are built anew");
  const asked = house.sent.length;
  await house.pass(120_000);
  assert.deepEqual(house.broken, []);
  assert.equal(sends(house), 1);
  assert.ok(house.sent.length > asked + 10, "it is asked about on");
  assert.deepEqual([house.rows("payout")[0]?.send, house.rows("payout")[0]?.moderationRequired], ["unknown", true]);
  const refused = await act();
  assert.equal(refused.ok ? "done" : refused.error.code, "not-in-this-status");
});
