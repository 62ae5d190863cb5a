// Method: an engine with time in hand. The lifetime of an order passes while nobody looks (a gateway that was switched
// off, a wake-up that is late), and then somebody lets it go, or an answer comes.
import assert from "node:assert/strict";
import { test } from "node:test";
import { createAllocation, processAllocations } from "../../src/engine/commands/allocations.ts";
import { approveFunds, createFunds } from "../../src/engine/commands/funds.ts";
import { processInvoice } from "../../src/engine/commands/invoices.ts";
import { putRequest } from "../../src/engine/commands/requests.ts";
import { BOOK, House, says } from "./house.ts";
import { sends } from "./restored.ts";

const CAUSE = { actor: "test" };
const DAY_MS = 86_400_000;

async function opened(): Promise<House> {
  const house = await new House().open();
  house.answer = async (order) => says(order, "paid", 2);
  return house;
}

test("an invoice whose lifetime is over is not processed, also before its wake-up has ended it", async () => {
  const house = await opened();
  const { invoice } = await house.mustOrder("a", "10", { autoprocess: false, lifetimeMinutes: 60 });
  house.now = invoice.expiresTime;
  const done = await house.engine.run(BOOK, processInvoice, { invoiceId: invoice.id, acceptQuote: false }, CAUSE);
  assert.equal(done.ok ? "done" : done.error.code, "not-in-this-status");
  house.engine.start();
  await house.pass(5_000);
  assert.equal(sends(house), 0);
  assert.equal(house.rows("invoice")[0]?.status, "expired");
  assert.deepEqual(house.broken, []);
});

test("a bare request whose lifetime is over takes no allocation, and lets none go", async () => {
  const house = await opened();
  const members = { websiteId: "web_demo", customerId: "cus_demo", currency: "USD", amount: "10" };
  const order = { ...members, paymentInstrumentId: "inst_demo" };
  assert.ok((await house.engine.run(BOOK, putRequest, { id: "r", order, problems: [] }, CAUSE)).ok);
  const wanted = { requestId: "r", routeId: "rt_demo_usd", amount: "4", problems: [] };
  const made = await house.engine.run(BOOK, createAllocation, wanted, CAUSE);
  assert.ok(made.ok);
  house.now += 400 * DAY_MS;
  const late = await house.engine.run(BOOK, processAllocations, { ids: [made.value.id] }, CAUSE);
  assert.equal(late.ok ? "done" : late.error.code, "validation-failed");
  const another = await house.engine.run(BOOK, createAllocation, wanted, CAUSE);
  assert.equal(another.ok ? "done" : another.error.code, "not-in-this-status");
  house.engine.start();
  await house.pass(5_000);
  assert.equal(sends(house), 0);
  assert.deepEqual([house.rows("request")[0]?.dispatchStatus, house.rows("payout")[0]?.status], ["EXPIRED", "EXPIRED"]);
  assert.deepEqual(house.broken, []);
});

test("a refusal that comes after the lifetime leads to no further attempt", async () => {
  const house = await opened();
  const funds = { websiteId: "web_demo", currency: "USD", amount: "100", depositAccountId: "dep_backup_usd" };
  const made = await house.engine.run(BOOK, createFunds, { kind: "deposit", order: funds, problems: [] }, CAUSE);
  assert.ok(made.ok);
  await house.engine.run(BOOK, approveFunds, { kind: "deposit", id: made.value.id, version: 1 }, CAUSE);
  house.engine.start();
  const { promise: isOver, resolve } = Promise.withResolvers<void>();
  house.answer = async (order) => {
    if (sends(house) > 1) return says(order, "paid", 2);
    await isOver;
    return { kind: "answer", result: { status: 422, headers: {}, body: JSON.stringify({ error: "declined" }) } };
  };
  await house.mustOrder("a", "10", { expiresTime: house.now + 1_000 });
  await house.pass(1_500);
  resolve();
  await house.pass(60_000);
  assert.equal(sends(house), 1);
  assert.equal(house.rows("invoice")[0]?.status, "expired");
  assert.deepEqual(house.broken, []);
});
