// Method: the engine on the memory store goes back to an earlier state in a new epoch, as a restore does; what happened
// in the lost window happened at the provider only. Looked at: whether somebody hears of an end that nobody asked about.
import assert from "node:assert/strict";
import { test } from "node:test";
import { createAllocation } from "../../src/engine/commands/allocations.ts";
import { terminateInvoice } from "../../src/engine/commands/invoices.ts";
import { cancelRequest, putRequest } from "../../src/engine/commands/requests.ts";
import { BOOK, House } from "./house.ts";
import { notFound, W } from "./restored.ts";

const CAUSE = { actor: "test" };
const LIFETIME_MS = 3_600_000;

/** A database before this one has acted until now. */
async function restore(house: House): Promise<void> {
  house.now += 60_000;
  house.store.epoch = { number: Math.ceil(house.now / 1_000), gate: "open" };
  house.answer = async (order) => notFound(order);
  house.engine.start();
  await house.pass(W + 2_000);
}

const toldOf = (house: House): readonly string[] =>
  house.rows("moderationItem").map(({ kind, subject, reason }) => `${kind} ${subject} ${reason}`);

const waiting = { autoprocess: false, lifetimeMinutes: LIFETIME_MS / 60_000 };

async function terminate(house: House, invoiceId: string): Promise<void> {
  assert.ok((await house.engine.run(BOOK, terminateInvoice, { invoiceId }, CAUSE)).ok);
}

async function put(house: House): Promise<void> {
  const members = { websiteId: "web_demo", customerId: "cus_demo", currency: "USD", amount: "10" };
  const order = { ...members, paymentInstrumentId: "inst_demo" };
  assert.ok((await house.engine.run(BOOK, putRequest, { id: "r", order, problems: [] }, CAUSE)).ok);
}

async function cancel(house: House): Promise<void> {
  const order = { id: "r", description: null, canceledBy: "merchant" } as const;
  assert.ok((await house.engine.run(BOOK, cancelRequest, order, CAUSE)).ok);
}

test("an invoice that may have been processed in the lost window: a person hears of its end, once", async () => {
  for (const end of ["expired", "terminated"] as const) {
    const house = await new House().open();
    const { invoice } = await house.mustOrder("a", "10", waiting);
    await restore(house);
    if (end === "terminated") await terminate(house, invoice.id);
    await house.pass(2 * LIFETIME_MS);
    assert.equal(house.rows("invoice")[0]?.status, end);
    assert.deepEqual(toldOf(house), [`request ${invoice.id} ended_unasked`]);
    assert.deepEqual(house.broken, []);
  }
});

test("a bare request that may have been allocated in the lost window: a person hears of its end", async () => {
  const house = await new House().open();
  await put(house);
  await restore(house);
  await cancel(house);
  await house.pass(60_000);
  assert.deepEqual(toldOf(house), ["request r ended_unasked"]);
  assert.deepEqual(house.broken, []);
});

test("an order that was asked about before it ended is told to nobody", async () => {
  const house = await new House().open();
  await put(house);
  const wanted = { requestId: "r", routeId: "rt_demo_usd", problems: [] };
  assert.ok((await house.engine.run(BOOK, createAllocation, wanted, CAUSE)).ok);
  await restore(house);
  await cancel(house);
  await house.pass(30 * 60_000);
  assert.ok(house.sent.length > 0, "its provider was asked");
  assert.equal(house.rows("request")[0]?.dispatchStatus, "TERMINATED");
  assert.deepEqual(toldOf(house), []);
  assert.deepEqual(house.broken, []);
});

test("without a restore, and for an order of a later month, an end is an end", async () => {
  const house = await new House().open();
  const { invoice } = await house.mustOrder("a", "10", waiting);
  await terminate(house, invoice.id);
  await restore(house);
  house.now += 31 * 24 * LIFETIME_MS;
  const { invoice: late } = await house.mustOrder("b", "10", waiting);
  await terminate(house, late.id);
  assert.deepEqual(
    house.rows("invoice").map(({ status }) => status),
    ["terminated", "terminated"],
  );
  assert.deepEqual(toldOf(house), []);
});
