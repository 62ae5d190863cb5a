// Method: an engine whose database follows another one, with the clock and the provider in the test's hand: orders in
// parts, of which the database before may have had others.
import assert from "node:assert/strict";
import { test } from "node:test";
import { TRUTH } from "../../src/connectors/sandbox/truth.ts";
import { providerReference } from "../../src/core/ids.ts";
import { MAX_PARTS } from "../../src/core/order/parts.ts";
import { createAllocation, processAllocations } from "../../src/engine/commands/allocations.ts";
import { terminateInvoice } from "../../src/engine/commands/invoices.ts";
import { moderate } from "../../src/engine/commands/moderation.ts";
import { changeRoute } from "../../src/engine/commands/payout-routes.ts";
import { putRequest } from "../../src/engine/commands/requests.ts";
import { changeWebsite } from "../../src/engine/commands/websites.ts";
import { BOOK, type House, says } from "./house.ts";
import { isPaid, isSend, notFound, openRestored, referenceOf, sends, W } from "./restored.ts";

const CAUSE = { actor: "test" };
const SPLIT = { attemptsLimit: 2, splitMode: true, parallelMode: true };

function referenceOfPart(house: House, part: number, attempt: number): string {
  const root = house.rows("request")[0]?.root ?? "";
  return providerReference({ organizationId: BOOK, root, part, attempt }, TRUTH.reference);
}

/** The provider has paid this part, and knows nothing else. */
function knowPart(house: House, part: number, attempt: number, order = { amount: "3.00", account: "payee-a" }): void {
  house.answer = async (question) => {
    if (isSend(question)) return says(question, "paid", 2);
    const isIt = referenceOf(question) === referenceOfPart(house, part, attempt);
    return isIt ? isPaid(question, order.amount, order.account) : notFound(question);
  };
}

test("an order that may be split leaves once every part that it may have had is denied", async () => {
  const house = await openRestored();
  await house.pass(W + 1_000);
  await house.mustOrder("a", "10", SPLIT);
  const places = 2 * 2;
  await house.pass(10 * 60_000);
  assert.equal(sends(house), 1);
  const asked = house.sent.slice(0, house.sent.findIndex(isSend)).map(referenceOf);
  assert.equal(asked.length, places * MAX_PARTS, "every part and attempt at each of two accounts, once");
  assert.equal(new Set(asked).size, 2 * MAX_PARTS);
  assert.ok(house.rows("partSearch").every(({ state, part }) => state === "absent" && part === MAX_PARTS));
  assert.equal(house.rows("invoice")[0]?.status, "processed");
  assert.deepEqual(house.broken, []);
});

test("no part of an order leaves when the provider knows one that this database does not", async () => {
  const house = await openRestored();
  await house.pass(W + 1_000);
  knowPart(house, 7, 2);
  await house.mustOrder("a", "10", SPLIT);
  await house.pass(10 * 60_000);
  assert.equal(sends(house), 0);
  const [payout] = house.rows("payout");
  assert.deepEqual([payout?.status, payout?.moderationRequired], ["READY", true]);
  const [item] = house.rows("moderationItem").filter(({ reason }) => reason === "not_sent_by_us");
  assert.deepEqual(item?.details, {
    providerAccountId: "pacc_backup",
    part: "7",
    attempt: "2",
    reference: referenceOfPart(house, 7, 2),
    fact: "paid",
  });
  assert.deepEqual(house.broken, []);
});

test("one part searches for all, and who dies in the middle is followed at the place that was reached", async () => {
  const house = await openRestored();
  await house.pass(W + 1_000);
  let asked = 0;
  house.answer = async (order) => {
    if (isSend(order)) return says(order, "paid", 2);
    asked += 1;
    return asked === 50 ? new Promise<never>(() => {}) : notFound(order);
  };
  for (const { id, version } of house.rows("route")) {
    const order = { maxAmount: "10" };
    const changed = await house.engine.run(BOOK, changeRoute, { id, version, order, problems: [] }, CAUSE);
    assert.ok(changed.ok);
  }
  await house.mustOrder("a", "25", SPLIT);
  const parts = house.rows("payout").length;
  assert.equal(parts, 3, "none of the routes carries more than 10");
  await house.pass(20 * 60_000);
  assert.equal(sends(house), parts);
  assert.equal(asked, 2 * 2 * MAX_PARTS + 1, "the question that was lost is asked again, and no other one");
  assert.equal(house.rows("invoice")[0]?.status, "processed");
  assert.deepEqual(house.broken, []);
});

test("an order with a part that is unknown here does not end before it was found, and not after it", async () => {
  for (const gate of ["open", "shut"] as const) {
    const house = await openRestored(gate);
    await house.pass(W + 1_000);
    knowPart(house, 7, 2);
    const { invoice } = await house.mustOrder("a", "10", SPLIT);
    const ended = await house.engine.run(BOOK, terminateInvoice, { invoiceId: invoice.id }, CAUSE);
    assert.ok(ended.ok);
    await house.pass(10 * 60_000);
    const [now] = house.rows("invoice");
    assert.deepEqual([now?.releasedMinor, now?.moderationRequired], [0n, true], `gate ${gate}`);
    const [payout] = house.rows("payout");
    assert.ok(payout !== undefined);
    const order = { kind: "terminate" as const, subjectKind: "payout" as const, subject: payout.id };
    const act = { ...order, version: payout.version, reason: "test", body: {} };
    const refused = await house.engine.run(BOOK, moderate, act, CAUSE);
    assert.equal(refused.ok ? "done" : refused.error.code, "payout-in-flight");
    assert.equal(sends(house), 0);
    assert.deepEqual(house.broken, []);
  }
});

test("an order that ends is searched for, and then gives its hold back", async () => {
  const house = await openRestored("shut");
  await house.pass(W + 1_000);
  const { invoice } = await house.mustOrder("a", "10", SPLIT);
  await house.engine.run(BOOK, terminateInvoice, { invoiceId: invoice.id }, CAUSE);
  await house.pass(10 * 60_000);
  assert.equal(house.rows("invoice")[0]?.status, "terminated");
  assert.equal(new Set(house.sent.map(referenceOf)).size, 2 * MAX_PARTS);
  assert.equal(sends(house), 0);
});

const REQUEST = { websiteId: "web_demo", customerId: "cus_demo", currency: "USD", paymentInstrumentId: "inst_demo" };

test("allocations that wait for a person are asked about for the one that leaves", async () => {
  const house = await openRestored();
  await house.pass(W + 1_000);
  // Answers come later than the others look, and sooner than a lease ends.
  const answers: { readonly at: number; readonly give: () => void }[] = [];
  house.answer = (order) =>
    new Promise((resolve) => {
      const give = (): void => resolve(isSend(order) ? says(order, "paid", 2) : notFound(order));
      answers.push({ at: house.now + 7_000, give });
    });
  await house.engine.run(BOOK, putRequest, { id: "r", order: { ...REQUEST, amount: "100" }, problems: [] }, CAUSE);
  const ids: string[] = [];
  for (let made = 0; made < 3; made += 1) {
    const allocation = { requestId: "r", amount: "10", routeId: null, problems: [] };
    const allocated = await house.engine.run(BOOK, createAllocation, allocation, CAUSE);
    assert.ok(allocated.ok);
    ids.push(allocated.value.id);
  }
  await house.engine.run(BOOK, processAllocations, { ids: ids.slice(0, 2) }, CAUSE);
  for (let second = 0; second < 300; second += 1) {
    await house.pass(1_000);
    for (const { at, give } of answers) if (at <= house.now) give();
  }
  const left = house.rows("recoveryCheck").filter(({ payoutId }) => payoutId === ids[2]);
  assert.equal(left.length, 10, "five attempts at two accounts");
  assert.ok(left.every(({ state, tries }) => state === "absent" && tries === 1));
  assert.ok(
    house.rows("partSearch").some(({ part }) => part > 4),
    "the search has begun",
  );
  assert.deepEqual(house.broken, []);
});

test("an attempt that a route refused here may have been sent there", async () => {
  const house = await openRestored();
  await house.pass(W + 1_000);
  const [website] = house.rows("website");
  assert.ok(website !== undefined);
  const pays = { payoutRequest: { autoprocess: true } };
  const { id: websiteId, version } = website;
  await house.engine.run(BOOK, changeWebsite, { id: websiteId, version, order: pays, problems: [] }, CAUSE);
  const limit = async (maxAmount: string | null): Promise<void> => {
    const route = house.rows("route").find(({ id }) => id === "rt_demo_usd");
    assert.ok(route !== undefined);
    const changed = { id: route.id, version: route.version, order: { maxAmount }, problems: [] };
    assert.ok((await house.engine.run(BOOK, changeRoute, changed, CAUSE)).ok);
  };
  knowPart(house, 1, 1, { amount: "10.00", account: "demo-account-1" });
  const { paymentInstrumentId, ...unchosen } = REQUEST;
  const put = async (order: object): Promise<void> => {
    assert.ok((await house.engine.run(BOOK, putRequest, { id: "r", order, problems: [] }, CAUSE)).ok);
  };
  await put({ ...unchosen, amount: "10" });
  await limit("5");
  const allocation = { requestId: "r", routeId: "rt_demo_usd", problems: [] };
  const made = await house.engine.run(BOOK, createAllocation, allocation, CAUSE);
  assert.equal(made.ok && made.value.status, "CREATE_FAILED");
  await limit(null);
  await put({ ...unchosen, amount: "10", paymentInstrumentId });
  await house.pass(20 * 60_000);
  assert.equal(sends(house), 0);
  const [item] = house.rows("moderationItem").filter(({ reason }) => reason === "not_sent_by_us");
  assert.ok(item !== undefined);
  const { part, attempt } = item.details as Readonly<Record<string, string>>;
  assert.deepEqual([part, attempt], ["1", "1"]);
  assert.deepEqual(house.broken, []);
});
