// Method: the engine on the memory store, with time in hand; what counts is what was sent.
import assert from "node:assert/strict";
import { test } from "node:test";
import { createAllocation, processAllocations } from "../../src/engine/commands/allocations.ts";
import { approveFunds, createFunds } from "../../src/engine/commands/funds.ts";
import { type GateOrder, openGate, shutGate } from "../../src/engine/commands/gates.ts";
import { changeDepositAccount } from "../../src/engine/commands/payout-routes.ts";
import { putRequest } from "../../src/engine/commands/requests.ts";
import { wakeHandler } from "../../src/engine/commands/wake.ts";
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

/** A bare request of ten dollars with an allocation by one route, which waits for a person; its id. */
async function allocated(house: House, id: string): Promise<string> {
  const members = { websiteId: "web_demo", customerId: "cus_demo", currency: "USD", amount: "10" };
  const order = { ...members, paymentInstrumentId: "inst_demo" };
  assert.ok((await house.engine.run(BOOK, putRequest, { id, order, problems: [] }, CAUSE)).ok);
  const wanted = { requestId: id, routeId: "rt_demo_usd", problems: [] };
  const made = await house.engine.run(BOOK, createAllocation, wanted, CAUSE);
  assert.ok(made.ok);
  assert.equal(made.value.status, "READY");
  return made.value.id;
}

const endsOf = (house: House): readonly string[] =>
  house.rows("payout").map(({ status, evidence, resolution }) => [status, evidence, resolution].join(" "));

test("what waited for a person does not leave through an account's gate that was shut meanwhile", async () => {
  const house = await opened();
  const id = await allocated(house, "first");
  await move(house, "shut", { ...ALL, providerAccountId: "pacc_demo" });
  assert.ok((await house.engine.run(BOOK, processAllocations, { ids: [id] }, CAUSE)).ok);
  house.engine.start();
  await house.pass(20_000);
  assert.equal(house.sent.length, 0);
  assert.deepEqual(endsOf(house), ["INVOKE_FAILED D0 ACCESS_DENIED"]);
  assert.deepEqual(house.broken, []);
});

test("an account's gate that a command shuts holds back what comes after it in the same batch, and only that", async () => {
  const house = await new House().open();
  const { promise: counted, resolve: answer } = Promise.withResolvers<void>();
  house.answer = (order) => counted.then(() => says(order, "paid", 1));
  await move(house, "shut", ALL);
  for (const referenceId of ["before", "after"]) await house.mustOrder(referenceId);
  await house.settle();
  await move(house, "open", ALL);
  house.now += 20_000;
  const [before, after] = house.rows("payout").map(({ id }) => {
    const work = house.rows("work").find(({ subject }) => subject === id);
    assert.ok(work !== undefined);
    return () => house.engine.run(BOOK, wakeHandler("payout"), work, CAUSE);
  });
  // A batch decides what is nearest to the money first, and else as the commands came.
  const shut = { ...shutGate, order: wakeHandler("payout").order };
  const { commits } = house;
  await Promise.all([
    before?.(),
    house.engine.run(BOOK, shut, { ...ALL, providerAccountId: "pacc_demo" }, CAUSE),
    after?.(),
    house.order("late"),
  ]);
  assert.equal(house.commits, commits + 1);
  answer();
  await house.settle();
  assert.equal(house.sent.length, 1);
  assert.deepEqual(endsOf(house), ["PROCESSED  OK", "INVOKE_FAILED D0 ACCESS_DENIED"]);
  assert.deepEqual(house.broken, []);
});

test("what was planned within a balance does not leave once others have taken it", async () => {
  const house = await new House().open("25");
  house.answer = (order) => Promise.resolve(says(order, "paid", 1));
  const ids = [await allocated(house, "first"), await allocated(house, "second"), await allocated(house, "third")];
  assert.ok((await house.engine.run(BOOK, processAllocations, { ids }, CAUSE)).ok);
  house.engine.start();
  await house.pass(20_000);
  assert.equal(house.sent.length, 2);
  const paid = ["PROCESSED", null, "OK"].join(" ");
  assert.deepEqual(endsOf(house), [paid, paid, "INVOKE_FAILED D0 INSUFFICIENT_FUNDS"]);
  const [request] = house.rows("request").filter(({ id }) => id === "third");
  assert.deepEqual([request?.dispatchStatus, request?.availableMinor], ["READY", 1_000n]);
  assert.deepEqual(house.broken, []);
});

/** Leaves so much of the deposit account's hundred dollars for payouts. */
async function leave(house: House, spendable: number): Promise<void> {
  const row = house.rows("depositAccount").find(({ id }) => id === "dep_demo_usd");
  assert.ok(row !== undefined);
  const order = { minimalBalance: String(100 - spendable) };
  const change = { id: row.id, version: row.version, order, problems: [] };
  assert.ok((await house.engine.run(BOOK, changeDepositAccount, change, CAUSE)).ok);
}

test("an order for which only money is missing when it should leave waits for it, and spends no attempt", async () => {
  const house = await new House().open("100");
  house.answer = (order) => Promise.resolve(says(order, "paid", 1));
  await leave(house, 15);
  await move(house, "shut", ALL);
  // What is planned takes nothing: each is planned within the same balance.
  for (const id of ["a", "b", "c"]) await house.mustOrder(id, "10", { attemptsLimit: 1 });
  house.engine.start();
  await move(house, "open", ALL);
  await house.pass(5 * 60_000);
  assert.equal(house.sent.length, 1);
  const waiting = ["READY", null, null].join(" ");
  assert.deepEqual(endsOf(house).filter((end) => end === waiting).length, 2);
  assert.equal(house.rows("invoice").filter(({ status }) => status === "process_failed").length, 0);
  await leave(house, 100);
  await house.pass(60_000);
  assert.equal(house.sent.length, 3);
  assert.deepEqual(endsOf(house), Array(3).fill(["PROCESSED", null, "OK"].join(" ")));
  assert.deepEqual(house.broken, []);
});

test("what only lacks money on its route goes by another one, if an attempt is left for that", async () => {
  const house = await new House().open("100");
  house.answer = (order) => Promise.resolve(says(order, "paid", 1));
  await leave(house, 15);
  const order = { websiteId: "web_demo", currency: "USD", amount: "100", depositAccountId: "dep_backup_usd" };
  const made = await house.engine.run(BOOK, createFunds, { kind: "deposit", order, problems: [] }, CAUSE);
  assert.ok(made.ok);
  await house.engine.run(BOOK, approveFunds, { kind: "deposit", id: made.value.id, version: 1 }, CAUSE);
  await move(house, "shut", ALL);
  await house.mustOrder("a");
  await house.mustOrder("b");
  assert.ok(house.rows("payout").every(({ depositAccountId }) => depositAccountId === "dep_demo_usd"));
  house.engine.start();
  await move(house, "open", ALL);
  await house.pass(20_000);
  assert.equal(house.sent.length, 2);
  const went = house.rows("payout").map((each) => [each.depositAccountId, each.status, each.resolution].join(" "));
  assert.deepEqual(went.sort(), [
    "dep_backup_usd PROCESSED OK",
    "dep_demo_usd INVOKE_FAILED INSUFFICIENT_FUNDS",
    "dep_demo_usd PROCESSED OK",
  ]);
  assert.deepEqual(house.broken, []);
});
