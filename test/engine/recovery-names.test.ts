// Method: an engine whose database follows another one, with the clock and the provider in the test's hand: by what
// name of the merchant's an order without an id of its own is recognised after it was forgotten.
import assert from "node:assert/strict";
import { test } from "node:test";
import { TRUTH } from "../../src/connectors/sandbox/truth.ts";
import { providerReference } from "../../src/core/ids.ts";
import { WATCH_MS } from "../../src/core/news/recovery.ts";
import { postRequest } from "../../src/engine/commands/request-verbs.ts";
import { changeWebsite } from "../../src/engine/commands/websites.ts";
import { BOOK, House, says } from "./house.ts";
import { isPaid, isSend, notFound, openRestored, referenceOf, sends, W } from "./restored.ts";

const CAUSE = { actor: "test" };
const ORDER = {
  websiteId: "web_demo",
  customerId: "cus_demo",
  currency: "USD",
  paymentInstrumentId: "inst_demo",
  amount: "10",
};

/** A website whose bare requests are paid without anybody's doing. */
async function paysByItself(house: House): Promise<House> {
  const [website] = house.rows("website");
  assert.ok(website !== undefined);
  const order = { payoutRequest: { autoprocess: true } };
  const { id, version } = website;
  assert.ok((await house.engine.run(BOOK, changeWebsite, { id, version, order, problems: [] }, CAUSE)).ok);
  return house;
}

const post = (house: House, key: string | null) =>
  house.engine.run(BOOK, postRequest, { put: { id: "", order: ORDER, problems: [] }, isOurs: true, key }, CAUSE);

test("a request that was posted with a key and forgotten is found by the key, and not paid again", async () => {
  const house = await paysByItself(await openRestored());
  await house.pass(W + 1_000);
  const root = "k:order-17";
  const paid = providerReference({ organizationId: BOOK, root, part: 1, attempt: 1 }, TRUTH.reference);
  house.answer = async (order) => {
    if (isSend(order)) return says(order, "paid", 2);
    return referenceOf(order) === paid ? isPaid(order, "10.00", "demo-account-1") : notFound(order);
  };
  assert.ok((await post(house, "order-17")).ok);
  await house.pass(20 * 60_000);
  assert.equal(sends(house), 0);
  assert.equal(house.rows("request")[0]?.root, root);
  assert.ok(
    house.rows("recoveryCheck").some(({ state, reference }) => state === "found" && reference === paid),
    "the payment of before is known",
  );
  assert.ok((await post(house, "order-18")).ok);
  await house.pass(20 * 60_000);
  assert.equal(sends(house), 1, "another key is another order");
  assert.deepEqual(house.broken, []);
});

test("a request without any name of the merchant's is not taken while what was forgotten may come again", async () => {
  const house = await paysByItself(await openRestored());
  await house.pass(W + 1_000);
  const refused = await post(house, null);
  assert.ok(!refused.ok);
  assert.equal(refused.error.code, "validation-failed");
  assert.deepEqual(
    refused.error.invalidFields?.map(({ field }) => field),
    ["id"],
  );
  assert.equal(house.rows("request").length, 0);
  house.store.epoch = { number: (house.now - WATCH_MS) / 1_000, gate: "open" };
  assert.ok((await post(house, null)).ok, "30 days after it is");
});

test("two keys never name one order, and an id never names the order of a key", async () => {
  const house = await paysByItself(await new House().open());
  house.answer = async (order) => says(order, "paid", 2);
  house.engine.start();
  for (const key of ["a", "b", null, null]) assert.ok((await post(house, key)).ok);
  const named = { put: { id: "a", order: ORDER, problems: [] }, isOurs: false, key: "c" };
  assert.ok((await house.engine.run(BOOK, postRequest, named, CAUSE)).ok);
  await house.pass(60_000);
  const roots = house.rows("request").map(({ root }) => root);
  assert.equal(new Set(roots).size, 5);
  assert.deepEqual(roots.filter((root) => !root.startsWith("r:req_")).sort(), ["k:a", "k:b", "r:a"]);
  assert.equal(sends(house), 5);
  assert.deepEqual(house.broken, []);
});
