// Method: a provider that says what no column takes, and a connector that cannot read what it is told.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Call, PayoutOrder } from "../../src/connectors/contract.ts";
import type { HttpOrder, HttpOutcome } from "../../src/engine/ports.ts";
import { isKeepable } from "../../src/engine/provider-words.ts";
import { House, says } from "./house.ts";

/** The provider's words about an order, with some of them replaced. */
function saying(order: HttpOrder, status: string, members: object): HttpOutcome {
  const said = says(order, status, 1);
  assert.ok(said.kind === "answer");
  const body = JSON.stringify({ ...JSON.parse(said.result.body), ...members });
  return { kind: "answer", result: { ...said.result, body } };
}

test("a paid order whose reference no column takes is paid, and has no reference", async () => {
  for (const providerReference of ["a\u0000", "a\ud800", "a\n", "a".repeat(201), ""]) {
    const house = await new House().open();
    house.answer = async (order) => saying(order, "paid", { providerReference });
    await house.mustOrder("a");
    await house.settle();
    const [payout] = house.rows("payout");
    assert.deepEqual([payout?.status, payout?.providerReference], ["PROCESSED", null]);
    assert.equal(house.rows("invoice")[0]?.status, "processed");
    assert.deepEqual(house.broken, []);
  }
});

test("a reference that was known stays when the next one is none", async () => {
  const house = await new House().open();
  house.engine.start();
  house.answer = async (order) => {
    if (order.draft.method === "POST") return says(order, "queued", 1);
    return saying(house.sent[0] ?? order, "paid", { providerReference: "p1\u0000", sequence: 2 });
  };
  await house.mustOrder("a");
  await house.pass(10_000);
  const [payout] = house.rows("payout");
  assert.deepEqual([payout?.status, payout?.providerReference], ["PROCESSED", "p1"]);
});

test("a word is kept with what cannot be stored replaced, and cut", async () => {
  const house = await new House().open();
  const word = `\u0000\ud800\u001b[31m${"x".repeat(250)}`;
  house.answer = async (order) => saying(order, word, { code: word });
  await house.mustOrder("a");
  await house.settle();
  const [payout] = house.rows("payout");
  assert.deepEqual([payout?.status, payout?.moderationRequired], ["INVOKING", true]);
  const kept = `\ufffd\ufffd\ufffd[31m${"x".repeat(193)}`;
  assert.deepEqual([payout?.providerStatus, payout?.providerCode], [kept, kept]);
  assert.deepEqual(house.broken, []);
});

test("a message is kept only under an id and a reference that can be kept", () => {
  const answer = { sent: "accepted", fact: "paid", resolution: "OK" } as const;
  const keeps = (messageId: string, reference: string): boolean => isKeepable({ messageId, reference, answer });
  assert.ok(keeps("m", "r"));
  assert.ok(keeps("m".repeat(255), "r".repeat(255)));
  for (const bad of ["", "x".repeat(256), "x\u0000", "x\udc00"]) {
    assert.ok(!keeps(bad, "r"));
    assert.ok(!keeps("m", bad));
  }
});

test("an outcome that cannot be written puts its payout aside for a minute, with an item", async () => {
  const house = await new House().open();
  house.engine.start();
  const create = house.engine.connectors.get("sandbox")?.create as { read: Call<PayoutOrder>["read"] };
  create.read = () => {
    throw new TypeError("a bug of the connector");
  };
  let isOut = true;
  house.answer = (order) => (isOut ? Promise.resolve(says(order, "paid", 1)) : new Promise(() => {}));
  await house.mustOrder("a");
  isOut = false;
  await house.settle();
  const [item] = house.rows("moderationItem");
  assert.deepEqual([item?.reason, item?.isIncident], ["internal_fault", true]);
  const work = house.rows("work").find(({ kind }) => kind === "payout");
  assert.equal((work?.dueTime ?? 0) - house.now, 60_000);
  assert.ok(house.broken.some((line) => line.includes("a bug of the connector")));
  house.answer = async (order) => says(house.sent[0] ?? order, "paid", 2);
  await house.pass(60_000);
  assert.equal(house.rows("payout")[0]?.status, "PROCESSED", "the inquiry is another question");
});
