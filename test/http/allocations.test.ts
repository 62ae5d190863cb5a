/** Allocations of bare payout requests: given by a person, started by a person, seen as the public contract has them. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import {
  ALLOCATION_STATUSES,
  allocationStatus,
  PAYOUT_STATUSES,
  type PayoutStatus,
} from "../../src/core/order/payout.ts";
import { DISPATCH_STATUSES, type PayoutRequest, PUBLIC_STATUSES, publicStatus } from "../../src/core/order/request.ts";
import { openReader } from "../../src/store/reader.ts";
import { ALLOCATION_STATUS_SQL, PUBLIC_STATUS_SQL } from "../../src/store/reads/words.ts";
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

describe("the rest of the family of requests", () => {
  const post = (path: string, body: unknown, ask: Ask = {}) => world.call("POST", path, { ...ask, body });
  const patchRequest = (id: string, body: unknown) => world.call("PATCH", `/payout-requests/${id}`, { body });
  const cancel = (id: string, ask: Ask = {}) => world.call("POST", `/payout-requests/${id}/cancel`, ask);

  test("POST makes one, under an id of ours or of the caller", async () => {
    for (const path of ["/payout-requests", "/payout-requests/"]) {
      const reply = await post(path, BASE);
      assert.equal(reply.status, 201, reply.text);
      const id = String(reply.body["id"]);
      assert.match(id, /^req_[0-9a-f]{32}$/);
      assert.equal(reply.headers["location"], `${PUBLIC_URL}/payout-requests/${id}`);
      assert.equal((await requestOf(id))["amount"], 97.97);
    }
    assert.equal((await post("/payout-requests", { id: "mine", ...BASE })).status, 201);
    const again = await post("/payout-requests", { id: "mine", ...BASE });
    assert.equal(again.status, 200, again.text);
    refusedWith(await post("/payout-requests", { id: "mine", ...BASE, amount: 1 }), 409, "id-used");
    assert.equal((await requestOf("mine"))["amount"], 97.97, "what exists is not changed");
    const ids = await Promise.all(Array.from({ length: 4 }, () => post("/payout-requests", { id: "race", ...BASE })));
    assert.deepEqual(
      ids.map(({ status }) => status).toSorted((a, b) => a - b),
      [200, 200, 200, 201],
    );
    const faults = faultsIn(await post("/payout-requests/", { id: "a b", amount: 0 }));
    assert.deepEqual(faults.toSorted(), ["amount", "currency", "customerId", "id", "websiteId"]);
  });

  test("POST with a key makes one, whatever its id", async () => {
    const headers = { "idempotency-key": "request-once" };
    const [first, second] = [
      await post("/payout-requests", BASE, { headers }),
      await post("/payout-requests", BASE, { headers }),
    ];
    assert.equal(second.text, first.text);
  });

  test("PATCH changes what it names and nothing else", async () => {
    const id = await request({ description: "before" });
    const blocked = await patchRequest(id, { blocked: true, blockReason: "risk-review" });
    assert.equal(blocked.status, 200, blocked.text);
    assert.deepEqual(
      [blocked.body["blocked"], blocked.body["blockReason"], blocked.body["description"], blocked.body["amount"]],
      [true, "risk-review", "before", 97.97],
    );
    const changed = await patchRequest(id, { blocked: false, description: null, amount: "12.5" });
    assert.deepEqual(
      [changed.body["blockReason"], changed.body["description"], changed.body["amount"]],
      [null, null, 12.5],
    );
    const same = await patchRequest(id, {});
    assert.equal(same.body["updatedTime"], changed.body["updatedTime"]);
    assert.deepEqual(faultsIn(await patchRequest(id, { amount: -1, paymentInstrumentId: "inst_auto" })), [
      "amount",
      "paymentInstrumentId",
    ]);
    const without = await patchRequest(id, { paymentInstrumentId: null });
    assert.equal(without.body["status"], "pending");
    const chosen = await patchRequest(id, { paymentInstrumentId: "inst_demo" });
    assert.equal(chosen.body["status"], "instrument-selected");
    await allocate(id, { amount: 1 });
    refusedWith(await patchRequest(id, { amount: 13 }), 409, "not-in-this-status");
    refusedWith(await patchRequest("nobody", { description: "x" }), 404, "not-found");
    refusedWith(await patchRequest("a b", {}), 404, "not-found");
  });

  test("cancel ends one, with a body or without", async () => {
    const [first, second, third] = await Promise.all([request(), request(), request({ blocked: true })]);
    const { body: allocation } = await allocate(first);
    const reply = await cancel(first, { body: { description: "Called.", canceledBy: "merchant" } });
    assert.equal(reply.status, 200, reply.text);
    assert.equal(reply.body["status"], "canceled");
    assert.deepEqual(reply.body["cancellationReason"], { description: "Called.", canceledBy: "merchant" });
    assert.equal((await read(allocation["id"]))["status"], "canceled");
    refusedWith(await cancel(first), 409, "not-in-this-status");
    refusedWith(await allocate(first, { amount: 1 }), 409, "not-in-this-status");
    const bare = await cancel(second, { headers: { "content-type": "application/x-www-form-urlencoded" } });
    assert.equal(bare.status, 200, bare.text);
    assert.deepEqual(bare.body["cancellationReason"], { description: null, canceledBy: "customer" });
    assert.equal((await cancel(third)).status, 200);
    refusedWith(await cancel("nobody"), 404, "not-found");
    assert.deepEqual(faultsIn(await cancel(second, { body: { canceledBy: "system", description: 1 } })).toSorted(), [
      "canceledBy",
      "description",
    ]);
  });

  test("cancel is refused while something is at a provider", async () => {
    world.provider.answer = (order) => said(order, "queued");
    const id = await request();
    const { body: allocation } = await allocate(id);
    await patch(allocation["id"], "processing");
    refusedWith(await cancel(id), 409, "payout-in-flight");
  });

  test("the customer's instruments, and nobody else's", async () => {
    const id = await request();
    const reply = await world.call("GET", `/payout-requests/${id}/payment-instruments`);
    const found = reply.body as unknown as Json[];
    assert.deepEqual(
      found.map((each) => [each["id"], each["customerId"]]),
      [["inst_demo", "cus_demo"]],
    );
    assert.ok(!reply.text.includes("demo-account-1"));
    refusedWith(await world.call("GET", "/payout-requests/nobody/payment-instruments"), 404, "not-found");
  });

  test("the list by status finds what shows that status", async () => {
    const all = (await world.call("GET", "/payout-requests?limit=1000")).body as unknown as Json[];
    for (const status of Object.keys(PUBLIC_STATUSES)) {
      const found = (await world.call("GET", `/payout-requests?limit=1000&filter=status:${status}`))
        .body as unknown as Json[];
      const expected = all.filter((each) => each["status"] === status).map((each) => each["id"]);
      assert.deepEqual(
        found.map((each) => each["id"]),
        expected,
        status,
      );
    }
    assert.deepEqual(faultsIn(await world.call("GET", "/payout-requests?filter=status:paid")), ["filter"]);
  });
});

test("the public status in SQL is the one in core, for every row that can be", async () => {
  const rows = (Object.keys(DISPATCH_STATUSES) as PayoutRequest["dispatchStatus"][]).flatMap((dispatchStatus) =>
    [null, "merchant", "customer"].flatMap((canceledBy) =>
      [0, 1, 100, 101].flatMap((paid) =>
        [null, "inst"].flatMap((instrument) =>
          [null, "hash"].map((hash) => ({
            dispatch_status: dispatchStatus,
            canceled_by: canceledBy,
            paid_minor: paid,
            amount_minor: 100,
            payment_instrument_id: instrument,
            destination_hash: hash,
          })),
        ),
      ),
    ),
  );
  const reader = openReader({ config: world.database.appConfig });
  try {
    const found = await reader.query(
      null,
      `select ${PUBLIC_STATUS_SQL} as word from rows from (jsonb_to_recordset($1::jsonb) as (dispatch_status text,
         canceled_by text, paid_minor numeric, amount_minor numeric, payment_instrument_id text,
         destination_hash text)) with ordinality as t(dispatch_status, canceled_by, paid_minor, amount_minor,
         payment_instrument_id, destination_hash, place) order by t.place`,
      [JSON.stringify(rows)],
    );
    const words = rows.map((row) =>
      publicStatus({
        dispatchStatus: row.dispatch_status,
        canceledBy: row.canceled_by,
        paidMinor: BigInt(row.paid_minor),
        amountMinor: BigInt(row.amount_minor),
        paymentInstrumentId: row.payment_instrument_id,
        destinationHash: row.destination_hash,
      } as unknown as PayoutRequest),
    );
    assert.deepEqual(
      found.map(({ word }) => word),
      words,
    );
    assert.equal(new Set(words).size, Object.keys(PUBLIC_STATUSES).length);
  } finally {
    await reader.close();
  }
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
        const word = allocationStatus({ status, isManual });
        assert.equal(row?.["word"], word, `${status} ${isManual}`);
        seen.add(word);
      }
    }
    assert.deepEqual([...seen].toSorted(), [...ALLOCATION_STATUSES].toSorted());
  } finally {
    await reader.close();
  }
});
