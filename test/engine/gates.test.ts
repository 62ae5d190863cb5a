// Method: the engine on the memory store, with time in hand; what counts is what was sent.
import assert from "node:assert/strict";
import { test } from "node:test";
import { type GateOrder, openGate, shutGate } from "../../src/engine/commands/gates.ts";
import { BOOK, House, says } from "./house.ts";

const CAUSE = { actor: "test" };
const ALL: GateOrder = { providerAccountId: null, currency: null, reason: "a test" };

async function opened(): Promise<House> {
  const house = await new House().open();
  house.answer = (order) => Promise.resolve(says(order, "paid", 1));
  return house;
}

async function move(house: House, to: "open" | "shut", order: GateOrder): Promise<string> {
  const moved = await house.engine.run(BOOK, to === "open" ? openGate : shutGate, order, CAUSE);
  assert.ok(moved.ok);
  return moved.value;
}

const openItems = (house: House): readonly string[] =>
  house
    .rows("moderationItem")
    .flatMap(({ status, kind, subject }) => (status === "open" ? [`${kind} ${subject}`] : []));

for (const [name, order, subject] of [
  ["of an organization", ALL, `organization ${BOOK}`],
  ["of one currency", { ...ALL, currency: "USD" }, `organization ${BOOK} USD`],
] as const) {
  test(`a shut gate ${name} lets nothing new out; opened, what waited goes, once`, async () => {
    const house = await opened();
    assert.equal(await move(house, "shut", order), "changed");
    assert.equal(await move(house, "shut", order), "unchanged");
    assert.deepEqual(openItems(house), [subject]);
    const { payouts } = await house.mustOrder("one");
    house.engine.start();
    await house.pass(20_000);
    assert.equal(house.sent.length, 0);
    assert.equal(payouts[0]?.status, "READY");
    assert.equal(await move(house, "open", order), "changed");
    assert.deepEqual(openItems(house), []);
    await house.pass(20_000);
    assert.equal(house.sent.length, 1);
    assert.equal(house.rows("payout")[0]?.status, "PROCESSED");
    assert.deepEqual(house.broken, []);
  });
}

test("a gate shut for one currency lets the others through", async () => {
  const house = await opened();
  await move(house, "shut", { ...ALL, currency: "EUR" });
  await house.mustOrder("one");
  await house.settle();
  assert.equal(house.sent.length, 1);
  assert.deepEqual(house.broken, []);
});
