/** Allocations of bare payout requests: given by a person, started by a person, seen as the public contract has them. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import {
  ALLOCATION_STATUSES,
  allocationStatus,
  PAYOUT_STATUSES,
  type Payout,
  type PayoutStatus,
} from "../../src/core/payout.ts";
import { openReader } from "../../src/store/reader.ts";
import { ALLOCATION_STATUS_SQL } from "../../src/store/reads-words.ts";
import { type Ask, type Json, openWorld, PUBLIC_URL, type Reply, said, type World } from "../support/world.ts";

let world: World;

before(async () => {
  world = await openWorld();
});
after(async () => {
  assert.deepEqual(world.broken, []);
  await world.close();
});

const PATH = "/payout-request-allocations";
const BASE = {
  websiteId: "web_demo",
  customerId: "cus_demo",
  currency: "USD",
  amount: 97.97,
  paymentInstrumentId: "inst_demo",
};

let made = 0;

/** A bare request, and its id. */
async function request(members: Json = {}): Promise<string> {
  const id = `bare-${made++}`;
  const reply = await world.call("PUT", `/payout-requests/${id}`, { body: { ...BASE, ...members } });
  assert.equal(reply.status, 201, reply.text);
  return id;
}

const allocate = (payoutRequestId: string, members: Json = {}, ask: Ask = {}): Promise<Reply> =>
  world.call("POST", PATH, { ...ask, body: { payoutRequestId, ...members } });
const patch = (id: unknown, status: string, ask: Ask = {}): Promise<Reply> =>
  world.call("PATCH", `${PATH}/${String(id)}`, { ...ask, body: { status } });
const read = async (id: unknown): Promise<Json> => (await world.call("GET", `${PATH}/${String(id)}`)).body;
const requestOf = async (id: string): Promise<Json> => (await world.call("GET", `/payout-requests/${id}`)).body;

async function list(filter: string): Promise<Json[]> {
  const reply = await world.call("GET", `${PATH}?filter=${filter}`);
  assert.equal(reply.status, 200, reply.text);
  return reply.body as unknown as Json[];
}

function refusedWith(reply: Reply, status: number, code: string): void {
  assert.equal(reply.status, status, reply.text);
  assert.equal(reply.body["code"], code);
}

function faultsIn(reply: Reply): string[] {
  assert.equal(reply.status, 422, reply.text);
  return (reply.body["invalidFields"] as { field: string }[]).map((each) => each.field);
}

describe("an allocation", () => {
  test("is made pending with a Location, and shows every member of the contract", async () => {
    const id = await request();
    const reply = await allocate(id, { gatewayAccountId: "dep_demo_usd", amount: "40.10" });
    assert.equal(reply.status, 201, reply.text);
    const { id: own, createdTime, updatedTime, ...members } = reply.body;
    assert.equal(reply.headers["location"], `${PUBLIC_URL}${PATH}/${String(own)}`);
    assert.equal(reply.headers["etag"], '"1"');
    assert.equal(createdTime, updatedTime);
    assert.deepEqual(members, {
      payoutRequestId: id,
      status: "pending",
      paymentMethod: "miscellaneous",
      gatewayName: "TestProcessor",
      gatewayAccountId: "dep_demo_usd",
      paymentInstrumentId: "inst_demo",
      amount: 40.1,
      currency: "USD",
      transactionId: own,
      transactionResult: null,
      resolution: null,
      _links: [
        { rel: "self", href: `${PUBLIC_URL}${PATH}/${String(own)}` },
        { rel: "transaction", href: `${PUBLIC_URL}/payouts/${String(own)}` },
        { rel: "gatewayAccount", href: `${PUBLIC_URL}/deposit-accounts/dep_demo_usd` },
        { rel: "payoutRequest", href: `${PUBLIC_URL}/payout-requests/${id}` },
        { rel: "paymentInstrument", href: `${PUBLIC_URL}/payment-instruments/inst_demo` },
      ],
    });
    assert.match(reply.text, /"amount":40\.10,/);
    assert.deepEqual(await read(own), reply.body);
    assert.equal((await requestOf(id))["availableAmount"], 57.87);
    assert.equal(world.provider.orders.length, 0, "nothing is sent before somebody says so");
  });

  test("starts when somebody says so, and is completed when it is paid", async () => {
    const id = await request();
    const { body: allocation } = await allocate(id);
    assert.equal(allocation["amount"], 97.97);
    const started = await patch(allocation["id"], "processing");
    assert.equal(started.status, 200, started.text);
    assert.equal(started.body["status"], "processing");
    const waits = await world.until(`${PATH}/${String(allocation["id"])}`, (body) => body["status"] !== "processing");
    assert.equal(waits["status"], "waiting-completion");
    refusedWith(await patch(allocation["id"], "processing"), 409, "not-in-this-status");
    refusedWith(await patch(allocation["id"], "canceled"), 409, "payout-in-flight");

    world.provider.answer = (order) => said(order, "paid");
    const other = await request();
    const { body: second } = await allocate(other);
    await patch(second["id"], "processing");
    const paid = await world.until(`${PATH}/${String(second["id"])}`, (body) => body["status"] === "completed");
    assert.equal(paid["transactionResult"], "approved");
    assert.equal((await requestOf(other))["status"], "fulfilled");
  });

  test("is canceled while nothing was sent, and gives its amount back", async () => {
    const id = await request();
    const { body: allocation } = await allocate(id, { amount: 10 });
    refusedWith(await patch(allocation["id"], "canceled", { headers: { "if-match": '"9"' } }), 412, "version-conflict");
    const canceled = await patch(allocation["id"], "canceled", { headers: { "if-match": '"1"' } });
    assert.equal(canceled.body["status"], "canceled", canceled.text);
    assert.equal((await requestOf(id))["availableAmount"], 97.97);
    refusedWith(await patch(allocation["id"], "canceled"), 409, "not-in-this-status");
  });

  test("that its route cannot take is told as failed", async () => {
    const small = { id: "rt_small", depositAccountId: "dep_demo_usd", service: "test_usd", maxAmount: 1 };
    const route = await world.call("POST", "/payout-routes", { body: small });
    assert.equal(route.status, 201, route.text);
    const id = await request();
    const reply = await allocate(id, { routeId: "rt_small" });
    assert.equal(reply.status, 201, reply.text);
    assert.equal(reply.body["status"], "failed");
    assert.equal((await requestOf(id))["availableAmount"], 97.97);
    // Two enabled routes of one account: which one is meant must be said.
    assert.deepEqual(faultsIn(await allocate(id, { gatewayAccountId: "dep_demo_usd" })), ["gatewayAccountId"]);
    const off = { body: { isEnabled: false }, headers: { "if-match": String(route.headers["etag"]) } };
    assert.equal((await world.call("PATCH", "/payout-routes/rt_small", off)).status, 200);
  });
});

describe("/auto and /process", () => {
  test("allocate all that is left by the scheme, and start several at once", async () => {
    const ids = await Promise.all([request(), request()]);
    for (const payoutRequestId of ids) {
      const reply = await world.call("POST", `${PATH}/auto`, { body: { payoutRequestId } });
      assert.equal(reply.status, 204, reply.text);
      assert.equal(reply.text, "");
    }
    const pending = await list(`payoutRequestId:${ids.join(",")};status:pending`);
    assert.deepEqual(
      pending.map((each) => each["gatewayAccountId"]),
      ["dep_demo_usd", "dep_demo_usd"],
    );
    const allocationIds = pending.map((each) => each["id"]);
    const reply = await world.call("POST", `${PATH}/process`, { body: { allocationIds } });
    assert.equal(reply.status, 204, reply.text);
    for (const id of allocationIds)
      await world.until(`${PATH}/${String(id)}`, (body) => body["status"] === "completed");
    refusedWith(
      await world.call("POST", `${PATH}/auto`, { body: { payoutRequestId: ids[0] } }),
      409,
      "not-in-this-status",
    );
  });

  test("start none where one cannot start", async () => {
    const id = await request();
    const { body: first } = await allocate(id, { amount: 10 });
    const { body: second } = await allocate(id, { amount: 10 });
    await patch(second["id"], "canceled");
    const body = { allocationIds: [first["id"], second["id"]] };
    assert.equal((await world.call("POST", `${PATH}/process`, { body })).status, 422);
    assert.equal((await read(first["id"]))["status"], "pending");
  });

  test("name faults", async () => {
    const process = (body: Json) => world.call("POST", `${PATH}/process`, { body });
    assert.deepEqual(faultsIn(await process({})), ["allocationIds"]);
    assert.deepEqual(faultsIn(await process({ allocationIds: [] })), ["allocationIds"]);
    assert.deepEqual(faultsIn(await process({ allocationIds: ["one"] })), ["allocationIds[0]"]);
    const many = Array.from({ length: 1_001 }, (_, at) => `00000000-0000-7000-8000-${String(at).padStart(12, "0")}`);
    assert.deepEqual(faultsIn(await process({ allocationIds: many })), ["allocationIds"]);
    assert.deepEqual(faultsIn(await world.call("POST", `${PATH}/auto`, { body: {} })), ["payoutRequestId"]);
  });
});

describe("what is refused", () => {
  test("faults, all at once", async () => {
    assert.deepEqual(faultsIn(await world.call("POST", PATH, { body: {} })), ["payoutRequestId"]);
    assert.deepEqual(faultsIn(await allocate("nobody", { amount: "x" })), ["amount", "payoutRequestId"]);
    const id = await request();
    assert.deepEqual(faultsIn(await allocate(id, { amount: 0.001 })), ["amount"]);
    assert.deepEqual(faultsIn(await allocate(id, { routeId: "rt_nobody" })), ["routeId"]);
    assert.deepEqual(faultsIn(await allocate(id, { paymentInstrumentId: "inst_auto" })), ["paymentInstrumentId"]);
    const faulty = { gatewayAccountId: "dep_demo_eur", paymentInstrumentId: "inst_auto" };
    assert.deepEqual(faultsIn(await allocate(id, faulty)), ["paymentInstrumentId", "gatewayAccountId"]);
    const both = { gatewayAccountId: "dep_demo_usd", routeId: "rt_demo_usd" };
    assert.deepEqual(faultsIn(await allocate(id, both)), ["routeId"]);
    assert.deepEqual(faultsIn(await patch((await allocate(id)).body["id"], "completed")), ["status"]);
  });

  test("more than there is, and a request that takes nothing", async () => {
    const id = await request();
    refusedWith(await allocate(id, { amount: 97.98 }), 409, "more-than-available");
    await allocate(id, { amount: 97 });
    refusedWith(await allocate(id, { amount: 0.98 }), 409, "more-than-available");
    const blocked = await request({ blocked: true });
    refusedWith(await allocate(blocked), 409, "not-in-this-status");
  });

  test("what belongs to an invoice is no allocation", async () => {
    const order = { websiteId: "web_demo", currency: "USD", amount: 5, service: "test_usd", fields: { account: "p" } };
    const { body: invoice } = await world.call("POST", "/payout-invoices", { body: { referenceId: "i-1", ...order } });
    const requestId = String(invoice["payoutRequestId"]);
    assert.deepEqual(faultsIn(await allocate(requestId)), ["payoutRequestId"]);
    const [payout] = invoice["payouts"] as Json[];
    refusedWith(await world.call("GET", `${PATH}/${String(payout?.["id"])}`), 404, "not-found");
    refusedWith(await patch(payout?.["id"], "canceled"), 404, "not-found");
    assert.deepEqual(await list(`payoutRequestId:${requestId}`), []);
  });

  test("a repeat by key makes one", async () => {
    const id = await request();
    const headers = { "idempotency-key": "allocate-once" };
    const [first, second] = [
      await allocate(id, { amount: 1 }, { headers }),
      await allocate(id, { amount: 1 }, { headers }),
    ];
    assert.equal(second.text, first.text);
    assert.equal(second.headers["idempotency-replayed"], "true");
    assert.equal((await list(`payoutRequestId:${id}`)).length, 1);
    refusedWith(await allocate(id, { amount: 2 }, { headers }), 422, "idempotency-key-reused");
  });
});

test("the status that a list is filtered by is the one that is shown", async () => {
  const reader = openReader({ config: world.database.appConfig });
  try {
    const statuses = Object.keys(PAYOUT_STATUSES) as PayoutStatus[];
    const seen = new Set<string>();
    for (const status of statuses) {
      for (const isManual of [true, false]) {
        const from = `(select $1::text as "status", $2::boolean as "is_manual") t`;
        const [row] = await reader.query(null, `select ${ALLOCATION_STATUS_SQL} as word from ${from}`, [
          status,
          isManual,
        ]);
        const word = allocationStatus({ status, isManual } as Payout);
        assert.equal(row?.["word"], word, `${status} ${isManual}`);
        seen.add(word);
      }
    }
    assert.deepEqual([...seen].toSorted(), [...ALLOCATION_STATUSES].toSorted());
  } finally {
    await reader.close();
  }
});
