// Method: an engine in memory; an invoice that awaits its payee's details gets an instrument of another service.
import assert from "node:assert/strict";
import { test } from "node:test";
import { createInstrument } from "../../src/engine/commands/customers.ts";
import { createInvoice } from "../../src/engine/commands/invoices.ts";
import { putRequest } from "../../src/engine/commands/requests.ts";
import { BOOK, House, says } from "./house.ts";

const CAUSE = { actor: "test" };

test("an invoice is paid by the service that it was priced for, and by no instrument of another", async () => {
  const house = await new House().open();
  house.answer = async (order) => says(order, "paid", 2);
  const order = { referenceId: "a", websiteId: "web_demo", currency: "USD", amount: "10", service: "test_usd" };
  const awaited = { order: { ...order, customer: { id: "cus_demo" } }, problems: [] };
  const made = await house.engine.run(BOOK, createInvoice, awaited, CAUSE);
  assert.ok(made.ok, made.ok ? "" : made.error.detail);
  const { request } = made.value;
  assert.ok(request?.dispatchStatus === "WAITING_DETAILS");
  const instrument = { id: "inst_eur", customerId: "cus_demo", service: "test_eur", fields: { account: "payee" } };
  assert.ok((await house.engine.run(BOOK, createInstrument, { order: instrument, problems: [] }, CAUSE)).ok);
  const put = (paymentInstrumentId: string) => {
    const members = { websiteId: "web_demo", customerId: "cus_demo", currency: "USD", amount: "10" };
    const payload = { id: request.id, order: { ...members, paymentInstrumentId }, problems: [] };
    return house.engine.run(BOOK, putRequest, payload, CAUSE);
  };
  const other = await put("inst_eur");
  assert.equal(other.ok ? house.rows("invoice")[0]?.status : other.error.code, "validation-failed");
  assert.ok((await put("inst_demo")).ok);
  await house.settle();
  assert.equal(house.rows("invoice")[0]?.status, "processed");
  assert.deepEqual(house.broken, []);
});
