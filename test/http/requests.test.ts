/** `PUT /payout-requests/{id}`: the contract, rule by rule. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { sha256 } from "../../src/core/ids.ts";
import { bookOfPayLink, openPayLink } from "../../src/http/pay-link.ts";
import {
  type Ask,
  type Json,
  message,
  openWorld,
  PUBLIC_URL,
  type Reply,
  said,
  signed,
  type World,
} from "../support/world.ts";

let world: World;

before(async () => {
  world = await openWorld();
});
after(async () => {
  assert.deepEqual(world.broken, []);
  await world.close();
});

const BASE = { websiteId: "web_demo", customerId: "cus_demo", currency: "USD", amount: 97.97 };
const AUTO = {
  websiteId: "web_auto",
  customerId: "cus_auto",
  currency: "USD",
  amount: 20,
  paymentInstrumentId: "inst_auto",
};

const put = (id: string, body: unknown, ask: Ask = {}) => world.call("PUT", `/payout-requests/${id}`, { ...ask, body });
const read = (id: string) => world.call("GET", `/payout-requests/${id}`);

/** An answer without the link, which is another one each time. */
function lasting(reply: Reply): Json {
  const { selectPaymentInstrumentUrl, ...members } = reply.body;
  assert.match(String(selectPaymentInstrumentUrl), /^https:\/\/pay\.example\/pay\/[\w-]+\.[\w-]+$/);
  return members;
}

function faultsIn(reply: Reply): string[] {
  assert.equal(reply.status, 422, reply.text);
  return (reply.body["invalidFields"] as { field: string }[]).map((each) => each.field);
}

describe("a new request", () => {
  test("is made with 201 and Location, and shows every member of the contract", async () => {
    const reply = await put("new-1", BASE);
    assert.equal(reply.status, 201, reply.text);
    assert.equal(reply.headers["location"], `${PUBLIC_URL}/payout-requests/new-1`);
    const { createdTime, updatedTime, ...members } = lasting(reply);
    assert.deepEqual(members, {
      id: "new-1",
      websiteId: "web_demo",
      customerId: "cus_demo",
      currency: "USD",
      amount: 97.97,
      availableAmount: 97.97,
      paymentInstrumentId: null,
      description: null,
      status: "pending",
      blocked: false,
      blockReason: null,
      batchId: null,
      allocations: [],
      selectedPaymentInstrumentRedirectUrl: "https://shop.example",
      _links: [{ rel: "self", href: `${PUBLIC_URL}/payout-requests/new-1` }],
    });
    assert.match(String(createdTime), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
    assert.equal(updatedTime, createdTime);
    const got = await read("new-1");
    assert.equal(got.status, 200);
    assert.deepEqual(lasting(got), lasting(reply));
    assert.equal(got.headers["etag"], reply.headers["etag"]);
  });

  test("with everything that may be given", async () => {
    const given = {
      ...BASE,
      description: "Ausschüttung 🏆",
      blocked: true,
      blockReason: "aml-review",
      paymentInstrumentId: "inst_demo",
      selectedPaymentInstrumentRedirectUrl: "https://shop.example/back?request={{id}}",
    };
    const reply = await put("new-2", given);
    assert.equal(reply.status, 201, reply.text);
    for (const [name, value] of Object.entries(given)) assert.deepEqual(reply.body[name], value, name);
    assert.equal(reply.body["status"], "instrument-selected");
    const rels = (reply.body["_links"] as Json[]).map(({ rel }) => rel);
    assert.deepEqual(rels, ["self", "paymentInstrument"]);
  });

  test("may have any id of the alphabet, up to 50 characters", async () => {
    for (const id of ["@", "~x", "a-b.c_d", "-", "x".repeat(50)]) assert.equal((await put(id, BASE)).status, 201, id);
    for (const id of ["x".repeat(51), "a%20b", "a%2Fb", "%C3%A4", "a+b", "%00", "a%0a"]) {
      assert.deepEqual(faultsIn(await put(id, BASE)), ["id"], id);
    }
  });

  test("is made by exactly one of many at once", async () => {
    const replies = await Promise.all(Array.from({ length: 8 }, () => put("at-once", BASE)));
    assert.equal(replies.filter((reply) => reply.status === 201).length, 1);
    assert.equal(replies.filter((reply) => reply.status === 200).length, 7);
    assert.equal(new Set(replies.map((reply) => JSON.stringify(lasting(reply)))).size, 1);
  });
});

describe("faults", () => {
  test("are named all at once, and nothing is made", async () => {
    const bad = {
      websiteId: "web_nobody",
      customerId: "cus_nobody",
      currency: "usd",
      amount: -1,
      description: "a\ud800",
      blocked: "no",
      blockReason: "because",
      paymentInstrumentId: "inst_nobody",
      selectedPaymentInstrumentRedirectUrl: "nowhere",
    };
    const fields = faultsIn(await put("a b", bad));
    assert.deepEqual(fields.sort(), ["id", ...Object.keys(bad)].sort());
    assert.equal((await read("faulty")).status, 404);
  });

  test("the required members are required on every PUT", async () => {
    assert.equal((await put("required", BASE)).status, 201);
    assert.deepEqual(faultsIn(await put("required", {})), ["websiteId", "customerId", "currency", "amount"]);
    assert.deepEqual(faultsIn(await put("required", { ...BASE, amount: null })), ["amount"]);
  });

  test("amounts", async () => {
    for (const amount of [0, -1, "0.00", 0.001, "12.345", "NaN", "", true, {}]) {
      assert.deepEqual(faultsIn(await put("amounts", { ...BASE, amount })), ["amount"], JSON.stringify(amount));
    }
    const shown = await put("amounts", { ...BASE, currency: "JPY", amount: "1000" });
    assert.match(shown.text, /"amount":1000,"availableAmount":1000,/);
    const ether = await put("amounts-eth", { ...BASE, currency: "ETH", amount: "0.123456789012345678" });
    assert.match(ether.text, /"amount":0\.123456789012345678,/);
  });

  test("other people's things", async () => {
    assert.deepEqual(faultsIn(await put("others", { ...BASE, customerId: "cus_auto" })), ["customerId"]);
    const instrument = { ...BASE, paymentInstrumentId: "inst_demo_2" };
    assert.deepEqual(faultsIn(await put("others", instrument)), ["paymentInstrumentId"]);
  });

  test("another customer does not take the instrument of the one before", async () => {
    const customer = await world.call("POST", "/customers", { body: { id: "cus_other", websiteId: "web_demo" } });
    assert.equal(customer.status, 201, customer.text);
    assert.equal((await put("moved", { ...BASE, paymentInstrumentId: "inst_demo" })).status, 201);
    assert.deepEqual(faultsIn(await put("moved", { ...BASE, customerId: "cus_other" })), ["paymentInstrumentId"]);
    assert.equal((await read("moved")).body["customerId"], "cus_demo");
    const moved = await put("moved", { ...BASE, customerId: "cus_other", paymentInstrumentId: null });
    assert.equal(moved.status, 200, moved.text);
    assert.deepEqual([moved.body["customerId"], moved.body["status"]], ["cus_other", "pending"]);
  });

  test("redirect addresses", async () => {
    const url = (selectedPaymentInstrumentRedirectUrl: unknown) =>
      put("redirects", { ...BASE, selectedPaymentInstrumentRedirectUrl });
    for (const bad of ["", "shop", "javascript:alert(1)", `https://x.example/${"x".repeat(2083)}`, 5]) {
      assert.deepEqual(faultsIn(await url(bad)), ["selectedPaymentInstrumentRedirectUrl"], String(bad).slice(0, 40));
    }
    for (const good of ["https://x.example/{{id}}", "http://{{id}}.x.example", null]) {
      assert.ok([200, 201].includes((await url(good)).status), String(good));
    }
  });

  test("block reasons", async () => {
    const blocked = (changes: Json) => put("reasons", { ...BASE, ...changes });
    assert.deepEqual(faultsIn(await blocked({ blockReason: "other" })), ["blockReason"]);
    assert.deepEqual(faultsIn(await blocked({ blocked: false, blockReason: "other" })), ["blockReason"]);
    for (const blockReason of ["unheard-of", { reason: "unheard-of" }, {}, 5, ["other"]]) {
      assert.deepEqual(faultsIn(await blocked({ blocked: true, blockReason })), ["blockReason"]);
    }
    const asObject = await blocked({ blocked: true, blockReason: { reason: "risk-review", note: "seen" } });
    assert.equal(asObject.status, 201, asObject.text);
    assert.equal(asObject.body["blockReason"], "risk-review");
    assert.equal((await blocked({ blockReason: "other" })).body["blockReason"], "other");
    assert.equal((await blocked({ blockReason: null })).body["blocked"], true);
    await blocked({ blockReason: "other" });
    const freed = await blocked({ blocked: false });
    assert.equal(freed.body["blocked"], false);
    assert.equal(freed.body["blockReason"], null);
    assert.deepEqual(faultsIn(await blocked({ blockReason: "other" })), ["blockReason"]);
  });
});

describe("a change", () => {
  test("of nothing is 200 and moves no time, also sent back whole", async () => {
    const made = await put("same", { ...BASE, description: "d", paymentInstrumentId: "inst_demo" });
    const again = await put("same", BASE);
    assert.equal(again.status, 200);
    assert.deepEqual(lasting(again), lasting(made));
    const whole = await put("same", (await read("same")).body);
    assert.equal(whole.status, 200, whole.text);
    assert.deepEqual(lasting(whole), lasting(made));
    assert.equal(whole.headers["etag"], made.headers["etag"]);
  });

  test("of something is 200 and moves the time", async () => {
    const made = await put("other", BASE);
    const changed = await put("other", { ...BASE, amount: "5", description: "now" });
    assert.equal(changed.status, 200);
    assert.equal(changed.body["amount"], 5);
    assert.equal(changed.body["availableAmount"], 5);
    assert.notEqual(changed.headers["etag"], made.headers["etag"]);
    assert.ok(String(changed.body["updatedTime"]) >= String(made.body["updatedTime"]));
    assert.equal(changed.body["createdTime"], made.body["createdTime"]);
  });

  test("absent is unchanged, null is cleared", async () => {
    const full = { description: "d", blocked: true, blockReason: "other", paymentInstrumentId: "inst_demo" };
    await put("nulls", { ...BASE, ...full });
    const absent = await put("nulls", BASE);
    for (const [name, value] of Object.entries(full)) assert.equal(absent.body[name], value, name);
    const cleared = { description: null, blockReason: null, paymentInstrumentId: null };
    const nulls = await put("nulls", { ...BASE, ...cleared });
    for (const name of Object.keys(cleared)) assert.equal(nulls.body[name], null, name);
    assert.equal(nulls.body["status"], "pending");
  });

  test("read-only and unknown members are ignored, whatever they hold", async () => {
    const made = await put("ignored", BASE);
    const noise =
      '"availableAmount":12345678901234567890.5,"createdTime":7,"updatedTime":"\\u0000","status":"fulfilled",' +
      '"allocations":"x","id":"another","_links":null,"batchId":{"a":1},"selectPaymentInstrumentUrl":5,' +
      '"cancellationReason":{"canceledBy":"nobody"},"splitReason":"x","whatever":[[[]]]';
    const again = await put("ignored", `${JSON.stringify(BASE).slice(0, -1)},${noise}}`);
    assert.equal(again.status, 200, again.text);
    assert.deepEqual(lasting(again), lasting(made));
  });
});

describe("a request that is being paid", () => {
  test("keeps its order: 409, and nothing changes", async () => {
    const made = await put("open", AUTO);
    assert.equal(made.status, 201, made.text);
    assert.equal((made.body["allocations"] as Json[]).length, 1);
    await world.until("/payouts?payoutRequestId=open&filter=status:!INVOKING", (list) => "0" in list);
    const before = (await read("open")).body;
    assert.ok(hasResult(before, "unknown"));
    for (const change of [
      { amount: 21 },
      { currency: "EUR" },
      { websiteId: "web_demo", customerId: "cus_demo", paymentInstrumentId: "inst_demo" },
      { paymentInstrumentId: null },
      { amount: 21, description: "and this" },
    ]) {
      const refused = await put("open", { ...AUTO, ...change });
      assert.equal(refused.status, 409, refused.text);
      assert.equal(refused.body["code"], "not-in-this-status");
    }
    assert.equal((await put("open", AUTO)).status, 200);
    assert.deepEqual(settled((await read("open")).body), settled(before));
  });

  test("may still be described and blocked", async () => {
    const changed = await put("open", { ...AUTO, description: "on its way", blocked: true, blockReason: "other" });
    assert.equal(changed.status, 200, changed.text);
    assert.equal(changed.body["description"], "on its way");
  });

  test("shows its allocation in the public words", async () => {
    const { body } = await read("open");
    const [allocation] = body["allocations"] as Json[];
    const { transactionId, createdTime, updatedTime, ...members } = allocation ?? {};
    assert.match(String(transactionId), /^[0-9a-f-]{36}$/);
    for (const time of [createdTime, updatedTime]) assert.match(String(time), /Z$/);
    assert.deepEqual(members, {
      transactionResult: "unknown",
      method: "miscellaneous",
      gatewayName: "TestProcessor",
      paymentInstrumentId: "inst_auto",
      amount: 20,
      currency: "USD",
    });
    assert.equal(body["status"], "instrument-selected");
    assert.equal(body["availableAmount"], 0);
  });

  test("is fulfilled at last: the same PUT is 200 for ever, every other one 409", async () => {
    const [order] = world.provider.orders.filter((each) => each.draft.body?.includes('"20.00"'));
    assert.ok(order !== undefined);
    const { url, body, headers } = signed({ messageId: "m-open", ...message(order, "paid") });
    const heard = await world.call("POST", url, { key: null, body, headers });
    assert.equal(heard.status, 200, heard.text);
    const paid = await read("open");
    assert.equal(paid.body["status"], "fulfilled");
    assert.ok(hasResult(paid.body, "approved"));
    const same = await put("open", AUTO);
    assert.equal(same.status, 200);
    assert.deepEqual(lasting(same), lasting(paid));
    for (const change of [{ description: "later" }, { blocked: false }, { amount: 21 }]) {
      assert.equal((await put("open", { ...AUTO, ...change })).status, 409);
    }
  });
});

/** Without the link, and without the times of allocations: an inquiry in between may count itself. */
function settled(body: Json): Json {
  const { selectPaymentInstrumentUrl: _, allocations, ...members } = body;
  return { ...members, allocations: (allocations as Json[]).map((each) => ({ ...each, updatedTime: null })) };
}

function hasResult(body: Json, result: string): boolean {
  const allocations = (body["allocations"] ?? []) as Json[];
  return allocations.some((each) => each["transactionResult"] === result);
}

describe("the request of an invoice", () => {
  test("can be read by its id, and changed only in what is the request's own", async () => {
    world.provider.answer = (order) => said(order, "queued");
    const order = { referenceId: "inv-1", websiteId: "web_demo", currency: "USD", amount: 7, service: "test_usd" };
    const invoice = await world.call("POST", "/payout-invoices", {
      body: { ...order, paymentInstrumentId: "inst_demo", customer: { id: "cus_demo" } },
    });
    assert.equal(invoice.status, 201, invoice.text);
    const id = String(invoice.body["payoutRequestId"]);
    const own = { ...BASE, amount: 7 };
    assert.equal((await put(id, own)).status, 200);
    const described = await put(id, { ...own, description: "x", blocked: true });
    assert.equal(described.status, 200, described.text);
    assert.equal((await put(id, { ...own, amount: 8 })).status, 409);
  });
});

describe("the link to the hosted page", () => {
  test("is sealed for its request and its book", async () => {
    const reply = await put("linked", BASE);
    const token = String(reply.body["selectPaymentInstrumentUrl"]).split("/").at(-1) ?? "";
    assert.equal(bookOfPayLink(token), world.book);
    const found = await world.reads.findKey(sha256(world.key));
    assert.ok(found !== null);
    const safe = world.engine.vault.safeOf(found.organizationId, found.sealedKey);
    const link = openPayLink(safe, world.book, token);
    assert.equal(link.requestId, "linked");
    assert.ok(link.expiresTime > Date.parse(String(reply.body["createdTime"])));
    assert.throws(() => openPayLink(safe, "org_demo", token));
    assert.throws(() => openPayLink(safe, world.book, token.replace(/..$/, "AA")));
    for (const bad of ["", "x", "a.b.c", `.${token}`, "a".repeat(5_000)]) assert.equal(bookOfPayLink(bad), null);
  });
});
