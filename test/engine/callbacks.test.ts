// Method: an engine with the clock in the test's hand; a provider's message comes before the payout that it is about.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Answer } from "../../src/core/news/answer.ts";
import { createAllocation } from "../../src/engine/commands/allocations.ts";
import { hearCallback } from "../../src/engine/commands/callback.ts";
import { openGate, shutGate } from "../../src/engine/commands/gates.ts";
import { terminateInvoice } from "../../src/engine/commands/invoices.ts";
import { type ActOrder, moderate } from "../../src/engine/commands/moderation.ts";
import { changeRoute } from "../../src/engine/commands/payout-routes.ts";
import { putRequest } from "../../src/engine/commands/requests.ts";
import { BOOK, House, says } from "./house.ts";
import { isPaid } from "./restored.ts";

const PAID: Answer = { sent: "accepted", fact: "paid", resolution: "OK", sequence: 2 };

/** The reference and the account of the first payout of order "a": the same in every house. */
async function known(): Promise<{ reference: string; providerAccountId: string }> {
  const house = await new House().open();
  await house.mustOrder("a");
  const [payout] = house.rows("payout");
  assert.ok(payout !== undefined);
  return { reference: payout.reference, providerAccountId: payout.providerAccountId };
}

/** A house that has stored the message about an order that it does not know yet. */
async function openWithMessage(): Promise<House> {
  const house = await new House().open();
  house.answer = async (order) => says(order, "paid", 2);
  house.engine.start();
  const { reference, providerAccountId } = await known();
  const news = { messageId: "m1", reference, answer: PAID };
  const kept = { actor: "provider", providerAccountId, messageId: "m1", verified: true, bodyHash: "h" };
  const cause = { ...kept, body: { reference, fact: "paid" } };
  const heard = await house.engine.run(BOOK, hearCallback, { providerAccountId, news }, cause);
  assert.deepEqual(heard, { ok: true, value: "unmatched" });
  return house;
}

const gate = { providerAccountId: null, currency: null, reason: "test" };

test("a payout that waits to be sent is held when a kept message says that the provider has it", async () => {
  const house = await openWithMessage();
  await house.engine.run(BOOK, shutGate, gate, { actor: "test" });
  await house.mustOrder("a");
  await house.pass(61_000);
  const [payout] = house.rows("payout");
  assert.deepEqual([payout?.status, payout?.moderationRequired], ["READY", true]);
  const [item] = house.rows("moderationItem").filter(({ kind }) => kind === "payout");
  assert.deepEqual(
    [item?.reason, item?.isIncident, item?.details],
    ["not_sent_by_us", true, { operation: "process", fact: "paid" }],
  );
  await house.engine.run(BOOK, openGate, gate, { actor: "test" });
  await house.pass(60_000);
  assert.deepEqual(
    house.sent.filter(({ draft }) => draft.method === "POST"),
    [],
  );
  assert.deepEqual(house.broken, []);
});

test("a payout that was sent meanwhile has inquiries of its own", async () => {
  const house = await openWithMessage();
  house.answer = async (order) => says(order, "accepted", 1);
  await house.pass(42_000);
  await house.mustOrder("a");
  // It is asked about every five seconds now: at 57 and at 62, not between.
  await house.pass(16_000);
  const asked = house.sent.length;
  assert.equal(house.rows("payout")[0]?.status, "PROCESSING");
  await house.pass(3_000);
  assert.equal(house.sent.length, asked);
  assert.equal(house.rows("work").filter(({ kind }) => kind === "callback").length, 0);
  assert.deepEqual(house.broken, []);
});

test("a message about nothing that comes in a day is for a person", async () => {
  const house = await openWithMessage();
  house.now += 24 * 3_600_000;
  await house.pass(61_000);
  const [item] = house.rows("moderationItem");
  assert.deepEqual([item?.kind, item?.reason], ["callback", "payout_unknown"]);
});

test("a payout that has ended meanwhile is asked about all the same", async () => {
  const house = await openWithMessage();
  await house.engine.run(BOOK, shutGate, gate, { actor: "test" });
  const { invoice } = await house.mustOrder("a");
  await house.engine.run(BOOK, terminateInvoice, { invoiceId: invoice.id }, { actor: "test" });
  assert.equal(house.rows("payout")[0]?.status, "TERMINATED");
  house.answer = async (order) => isPaid(order, "10.00");
  await house.pass(62_000);
  assert.equal(house.rows("payout")[0]?.status, "PROCESSED");
  assert.ok(house.rows("moderationItem").some(({ reason }) => reason === "paid_late"));
  assert.deepEqual(house.broken, []);
});

const CAUSE = { actor: "test" };

/** A bare request of ten dollars, with an instrument or without one yet, and an allocation of it; its status. */
async function allocate(house: House, paymentInstrumentId?: string): Promise<string> {
  const members = { websiteId: "web_demo", customerId: "cus_demo", currency: "USD", amount: "10" };
  const order = { ...members, ...(paymentInstrumentId === undefined ? {} : { paymentInstrumentId }) };
  assert.ok((await house.engine.run(BOOK, putRequest, { id: "r", order, problems: [] }, CAUSE)).ok);
  const wanted = { requestId: "r", routeId: "rt_demo_usd", problems: [] };
  const made = await house.engine.run(BOOK, createAllocation, wanted, CAUSE);
  return made.ok ? made.value.status : made.error.code;
}

/** A verified message that the first payout has been paid. */
async function tellPaid(house: House): Promise<void> {
  const [payout] = house.rows("payout");
  assert.ok(payout !== undefined);
  const { reference, providerAccountId } = payout;
  const kept = { actor: "provider", providerAccountId, messageId: "m1", verified: true, bodyHash: "h" };
  const message = { providerAccountId, news: { messageId: "m1", reference, answer: PAID } };
  const heard = await house.engine.run(BOOK, hearCallback, message, { ...kept, body: { reference } });
  assert.deepEqual(heard, { ok: true, value: "heard" });
}

test("a message about an allocation that its route has refused is told to a person: it was never sent from here", async () => {
  const house = await new House().open();
  const disabled = { id: "rt_demo_usd", version: 1, order: { isEnabled: false }, problems: [] };
  assert.ok((await house.engine.run(BOOK, changeRoute, disabled, CAUSE)).ok);
  assert.equal(await allocate(house, "inst_demo"), "CREATE_FAILED");
  await tellPaid(house);
  const items = house.rows("moderationItem").map(({ subject, reason, isIncident }) => [subject, reason, isIncident]);
  assert.deepEqual(items, [[house.rows("payout")[0]?.id, "not_sent_by_us", true]]);
  assert.deepEqual(house.broken, []);
});

for (const status of ["READY", "CREATED"]) {
  test(`a payout in ${status} that its provider has spoken of is ended by evidence, and by no person's mere word`, async () => {
    const house = await new House().open();
    assert.equal(await allocate(house, status === "READY" ? "inst_demo" : undefined), status);
    await tellPaid(house);
    const act = async (kind: ActOrder["kind"], body: ActOrder["body"] = {}): Promise<string> => {
      const subject = house.rows("payout")[0]?.id ?? "";
      const order = { kind, subjectKind: "payout", subject, version: null, reason: "test", body } as const;
      const done = await house.engine.run(BOOK, moderate, order, CAUSE);
      return done.ok ? (done.value.payout?.status ?? "") : done.error.code;
    };
    assert.equal(await act("terminate"), "payout-in-flight");
    assert.equal(house.rows("request")[0]?.availableMinor, 0n);
    const evidence = { kind: "provider_report", value: "the day's report", sha256: "0".repeat(64) };
    assert.equal(await act("evidence", { verdict: "not_paid", evidence }), "TERMINATED");
    assert.equal(house.rows("payout")[0]?.evidence, "D4");
    assert.equal(house.rows("request")[0]?.availableMinor, 1_000n);
    assert.ok(house.rows("moderationItem").every((item) => item.status === "closed"));
    assert.deepEqual(house.broken, []);
  });
}
