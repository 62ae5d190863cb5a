import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import {
  type Ask,
  demoOrder,
  type Json,
  openWorld,
  PUBLIC_URL,
  type Reply,
  said,
  type World,
} from "../support/world.ts";

let world: World;
let count = 0;

before(async () => {
  world = await openWorld();
});
after(async () => {
  assert.deepEqual(world.broken, []);
  await world.close();
});

/** A sound order; `undefined` leaves a member out. */
function order(changes: Json = {}): Json {
  count += 1;
  return demoOrder(`order-${count}`, { fields: { account: "payee-1" }, ...changes });
}

const post = (body: unknown, ask: Ask = {}) => world.call("POST", "/payout-invoices", { ...ask, body });

function faultsIn(reply: Reply): Record<string, string> {
  assert.equal(reply.status, 422, reply.text);
  assert.equal(reply.body["code"], "validation-failed");
  const fields = reply.body["invalidFields"] as { field: string; message: string }[];
  assert.equal(new Set(fields.map((each) => each.field)).size, fields.length, "each member once");
  return Object.fromEntries(fields.map((each) => [each.field, each.message]));
}

const countInvoices = async () =>
  Number((await world.call("GET", "/payout-invoices?limit=0")).headers["pagination-total"]);

describe("an order", () => {
  test("is made, priced and told", async () => {
    const reply = await post(order({ amount: "100.78", metadata: { cart: [1, { deep: null }] }, descriptor: "SHOP" }));
    assert.equal(reply.status, 201);
    const { id } = reply.body;
    assert.equal(reply.headers["location"], `${PUBLIC_URL}/payout-invoices/${String(id)}`);
    assert.equal(reply.headers["etag"], '"1"');
    assert.match(reply.text, /"amount":100\.78,"fee":1\.01,"writeoff":101\.79,/);
    assert.match(reply.text, /"processedAmount":0\.00,/);
    assert.deepEqual(reply.body["requested"], { amount: 100.78 });
    assert.deepEqual(reply.body["metadata"], { cart: [1, { deep: null }] });
    assert.equal(reply.body["status"], "processing");
    assert.equal((reply.body["payouts"] as Json[]).length, 1);
    const read = await world.call("GET", `/organizations/org_demo/payout-invoices/${String(id)}`);
    assert.equal(read.status, 200);
    assert.equal(read.body["referenceId"], reply.body["referenceId"]);
    assert.equal(read.headers["etag"], `"${String(read.body["version"])}"`);
  });

  test("shows nothing of the payee's details", async () => {
    const reply = await post(order({ fields: { account: "very-secret-account" } }));
    const read = await world.call("GET", `/payout-invoices/${String(reply.body["id"])}`);
    assert.equal(read.status, 200);
    for (const { text } of [reply, read]) assert.ok(!text.includes("very-secret-account"));
  });

  test("is followed to its end", async () => {
    const before = world.provider.answer;
    world.provider.answer = (sent) => said(sent, "paid");
    const reply = await post(order({ amount: 12.5 }));
    world.provider.answer = before;
    const path = `/payout-invoices/${String(reply.body["id"])}`;
    const paid = await world.until(path, (body) => body["status"] === "processed");
    assert.equal(paid["processedAmount"], 12.5);
    assert.equal(paid["processedWriteoff"], 12.63);
    const causes = (paid["ledgerTransactions"] as Json[]).map((each) => String(each["cause"]));
    assert.deepEqual(causes, ["hold", "sent", "paid:1250", "settled"]);
    const balance = await world.call("GET", "/accounts/trial-balance");
    assert.equal(balance.body["balanced"], true);
  });

  test("in another currency has a rate, written as a number", async () => {
    const reply = await post(order({ currency: "EUR", amount: "100.00" }));
    assert.equal(reply.status, 201, reply.text);
    assert.match(reply.text, /"exchangeRate":\{"rate":1\.0692,/);
    assert.match(reply.text, /"serviceAmount":106\.92,/);
    const refused = await post(order({ currency: "JPY", amount: 100 }));
    assert.equal(refused.body["code"], "rate-unavailable");
  });
});

describe("every fault at once", () => {
  test("of form and of meaning", async () => {
    const before = await countInvoices();
    const bad = {
      referenceId: "",
      websiteId: "web_nobody",
      currency: "XYZ",
      amount: "ten",
      service: "test_nothing",
      fields: { account: 5 },
      customer: { id: "cus_nobody", email: "nobody", phone: 1 },
      description: "a\u0000b",
      metadata: "text",
      callbackUrl: "ftp://x.example",
      expiresTime: "tomorrow",
      autoprocess: "yes",
      attemptsLimit: 1.5,
      lifetimeMinutes: 0,
      allowPartially: 1,
    };
    const faults = faultsIn(await post(bad));
    assert.deepEqual(faults, {
      referenceId: "must not be empty",
      websiteId: "is not a website of this organization",
      currency: "is not a currency that Bursar knows",
      amount: "is not a decimal number",
      service: "is not a payout service",
      "fields.account": "must be a text",
      "customer.id": "is not a customer of this website",
      "customer.email": "must be an e-mail address",
      "customer.phone": "must be a text",
      description: "has a NUL character",
      metadata: "must be an object",
      callbackUrl: "does not have the right form",
      expiresTime: "must be a time as RFC 3339 writes it, such as 2026-11-21T12:00:00Z",
      autoprocess: "must be true or false",
      attemptsLimit: "must be a whole number",
      lifetimeMinutes: "must be at least 1",
      allowPartially: "must be true or false",
    });
    assert.equal(await countInvoices(), before);
  });

  test("of an empty order", async () => {
    const faults = faultsIn(await post({}));
    assert.deepEqual(Object.keys(faults).sort(), [
      "amount",
      "currency",
      "fields",
      "referenceId",
      "service",
      "websiteId",
    ]);
  });

  test("but what is there and wrong is not called missing", async () => {
    const amount = order({ amount: undefined, serviceAmount: true, fields: undefined, paymentInstrumentId: 7 });
    assert.deepEqual(faultsIn(await post(amount)), {
      serviceAmount: "must be a number or a text",
      paymentInstrumentId: "must be a text",
    });
  });

  test("both amounts, or too many decimals, or nothing, or less", async () => {
    const both = faultsIn(await post(order({ serviceAmount: 10 })));
    assert.deepEqual(both, { serviceAmount: "only one of amount and serviceAmount may be given" });
    for (const [amount, message] of [
      [0.001, "has more decimals than the currency"],
      ["10.001", "has more decimals than the currency"],
      [0, "must be more than zero"],
      ["-5", "must be more than zero"],
      ["1e40", "has too many digits"],
      ["10,00", "is not a decimal number"],
      ["", "is not a decimal number"],
      [" 10", "is not a decimal number"],
    ] as const) {
      assert.deepEqual(faultsIn(await post(order({ amount }))), { amount: message }, String(amount));
    }
    const yen = faultsIn(await post(order({ currency: "JPY", amount: 100.5 })));
    assert.deepEqual(yen, { amount: "has more decimals than the currency" });
  });

  test("of the service's own fields", async () => {
    const faults = faultsIn(await post(order({ fields: { acount: "x", test_details_scenario: "none" } })));
    assert.deepEqual(Object.keys(faults).sort(), ["fields.account", "fields.acount", "fields.test_details_scenario"]);
  });

  test("many faults are bounded", async () => {
    const fields = Object.fromEntries(Array.from({ length: 5_000 }, (_, at) => [`f${at}`, at]));
    const reply = await post(order({ fields }));
    assert.equal(Object.keys(faultsIn(reply)).length, 100);
  });
});

describe("exact amounts", () => {
  const raw = (amount: string, changes: Json = {}) =>
    post(JSON.stringify({ ...order(changes), amount: 0 }).replace('"amount":0', `"amount":${amount}`));

  test("are taken as they are written", async () => {
    for (const [written, shown] of [
      ["0.30", "0.30"],
      ["1.1e1", "11.00"],
      ["0.29999999999999998", null],
      ["100.10", "100.10"],
      ["4.35", "4.35"],
      ["1.005", null],
      ["99999.99999", null],
    ] as const) {
      const reply = await raw(written);
      if (shown === null) assert.deepEqual(faultsIn(reply), { amount: "has more decimals than the currency" }, written);
      else assert.ok(reply.text.includes(`"requested":{"amount":${shown}}`), `${written}: ${reply.text}`);
    }
  });

  test("of 38 digits reach the ledger's own judgement, digit for digit", async () => {
    // Nobody has that much: it is refused for its size in money, not for its length.
    const reply = await raw("123456789012345678901234567890123456.78");
    assert.equal(reply.body["code"], "insufficient-funds", reply.text);
    assert.deepEqual(faultsIn(await raw("1234567890123456789012345678901234567.89")), {
      amount: "has too many digits",
    });
    const request = { websiteId: "web_demo", customerId: "cus_demo", currency: "USD" };
    const body = JSON.stringify({ ...request, amount: 0 }).replace(":0}", ":123456789012345678901234567890123456.70}");
    const put = await world.call("PUT", "/payout-requests/large", { body });
    assert.match(put.text, /"amount":123456789012345678901234567890123456\.70,/);
    const read = await world.call("GET", "/payout-requests/large");
    assert.match(read.text, /"availableAmount":123456789012345678901234567890123456\.70,/);
  });
});

describe("the same order again", () => {
  test("by its referenceId answers with the first", async () => {
    const first = order({ amount: 10.5 });
    const made = await post(first);
    const again = await post({ ...first, amount: "10.50" });
    assert.equal(again.status, 201);
    assert.equal(again.body["id"], made.body["id"]);
    const other = await post({ ...first, amount: 10.51 });
    assert.equal(other.status, 409);
    assert.equal(other.body["code"], "reference-id-used");
    assert.equal(other.headers["location"], made.headers["location"]);
  });

  test("by its Idempotency-Key is answered byte for byte, whatever has happened since", async () => {
    const headers = { "idempotency-key": "key-1" };
    const first = order();
    const made = await post(first, { headers });
    assert.equal(made.status, 201);
    assert.equal(made.headers["idempotency-replayed"], undefined);
    const path = `/payout-invoices/${String(made.body["id"])}`;
    await world.until(path, (body) => Number(body["version"]) > 1);
    for (const prefix of ["", "/organizations/org_demo"]) {
      const again = await world.call("POST", `${prefix}/payout-invoices`, { body: first, headers });
      assert.equal(again.status, 201);
      assert.equal(again.text, made.text);
      assert.equal(again.headers["location"], made.headers["location"]);
      assert.equal(again.headers["etag"], made.headers["etag"]);
      assert.equal(again.headers["idempotency-replayed"], "true");
    }
  });

  test("with another body, method or path is another request", async () => {
    const headers = { "idempotency-key": "key-2" };
    const first = order({ autoprocess: false });
    const made = await post(first, { headers });
    const other = await post({ ...first, amount: 11 }, { headers });
    assert.equal(other.status, 422);
    assert.equal(other.body["code"], "idempotency-key-reused");
    const path = `/payout-invoices/${String(made.body["id"])}/process`;
    const elsewhere = await world.call("POST", path, { body: first, headers });
    assert.equal(elsewhere.body["code"], "idempotency-key-reused");
  });

  test("only success binds a key", async () => {
    const headers = { "idempotency-key": "key-3" };
    assert.equal((await post(order({ amount: -1 }), { headers })).status, 422);
    assert.equal((await post(order({ amount: 10_000_000 }), { headers })).status, 409);
    assert.equal((await post(order(), { headers })).status, 201);
  });

  test("at once is made once", async () => {
    const before = await countInvoices();
    const headers = { "idempotency-key": "key-4" };
    const first = order();
    const replies = await Promise.all(Array.from({ length: 8 }, () => post(first, { headers })));
    assert.equal(new Set(replies.map((reply) => reply.text)).size, 1);
    assert.deepEqual([...new Set(replies.map((reply) => reply.status))], [201]);
    assert.equal(replies.filter((reply) => reply.headers["idempotency-replayed"] === "true").length, 7);
    assert.equal(await countInvoices(), before + 1);
  });

  test("two bodies under one key at once: one is made, the other refused", async () => {
    const headers = { "idempotency-key": "key-5" };
    const replies = await Promise.all([post(order(), { headers }), post(order(), { headers })]);
    assert.deepEqual(replies.map((reply) => String(reply.status)).sort(), ["201", "422"]);
  });

  test("a key that is none is named", async () => {
    for (const key of ["", "a b", "x".repeat(256), "schlüssel"]) {
      const reply = await post(order(), { headers: { "idempotency-key": key } });
      assert.deepEqual(Object.keys(faultsIn(reply)), ["Idempotency-Key"], key);
    }
  });
});

describe("processing on command", () => {
  const make = async () => String((await post(order({ autoprocess: false }))).body["id"]);
  const process = (id: string, ask: Ask = {}) => world.call("POST", `/payout-invoices/${id}/process`, ask);

  test("starts what waits, once", async () => {
    const id = await make();
    const started = await process(id);
    assert.equal(started.status, 200, started.text);
    assert.equal(started.body["status"], "processing");
    const again = await process(id);
    assert.equal(again.status, 409);
    assert.equal(again.body["code"], "not-in-this-status");
  });

  test("an If-Match that is given is kept to", async () => {
    const id = await make();
    for (const tag of ['"7"', "*", '"x"', "1"]) {
      const refused = await process(id, { headers: { "if-match": tag } });
      assert.equal(refused.body["code"], "version-conflict", tag);
      assert.equal(refused.status, 412);
    }
    assert.equal((await process(id, { headers: { "if-match": '"1"' } })).status, 200);
  });

  test("with a body that is wrong, or for an invoice that is none", async () => {
    const id = await make();
    assert.deepEqual(faultsIn(await process(id, { body: { acceptQuote: "yes" } })), {
      acceptQuote: "must be true or false",
    });
    assert.equal((await process("01a1fc17-2c8e-7f74-9f0b-d9fde451605a")).status, 404);
  });
});
