/** The lists of configured things, of events, entries and services: every one has the same manners. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { Client } from "pg";
import { EVENT_TYPES } from "../../src/core/views/events.ts";
import { ENDPOINTS } from "../../src/http/app.ts";
import { type Json, openWorld, type Reply, said, type World } from "../support/world.ts";

let world: World;
const CUSTOMERS = 12;

before(async () => {
  world = await openWorld();
  world.provider.answer = (order) => said(order, "paid");
  for (let at = 0; at < CUSTOMERS; at++) {
    const body = {
      id: `c-${String(at).padStart(2, "0")}`,
      websiteId: at < 4 ? "web_auto" : "web_demo",
      referenceId: `r${at}`,
    };
    assert.equal((await world.call("POST", "/customers", { body })).status, 201);
  }
  const order = { websiteId: "web_demo", currency: "USD", amount: 1, service: "test_usd", fields: { account: "a" } };
  for (let at = 0; at < 3; at++) {
    const made = await world.call("POST", "/payout-invoices", { body: { ...order, referenceId: `e-${at}` } });
    await world.until(`/payout-invoices/${String(made.body["id"])}`, (invoice) => invoice["status"] === "processed");
  }
  const request = { websiteId: "web_demo", customerId: "cus_demo", currency: "USD", amount: 1 };
  await world.call("PUT", "/payout-requests/listed", { body: request });
  await world.call("PUT", "/payout-requests/listed", { body: { ...request, amount: 2 } });
});
after(async () => {
  assert.deepEqual(world.broken, []);
  await world.close();
});

const rows = (reply: Reply): Json[] => {
  assert.equal(reply.status, 200, reply.text);
  // The link to the hosted page is another text with each answer.
  return (reply.body as unknown as Json[]).map((row) => ({ ...row, selectPaymentInstrumentUrl: null }));
};
const nextOf = (reply: Reply): string | null =>
  /<https:\/\/pay\.example([^>]*)>; rel="next"/.exec(String(reply.headers["link"]))?.[1] ?? null;

async function walk(path: string): Promise<Json[]> {
  const all: Json[] = [];
  for (let at: string | null = path; at !== null; ) {
    const reply: Reply = await world.call("GET", at);
    all.push(...rows(reply));
    at = nextOf(reply);
  }
  return all;
}

async function found(path: string): Promise<number> {
  const reply = await world.call("GET", path);
  assert.equal(reply.headers["pagination-total"], String(rows(reply).length), path);
  return rows(reply).length;
}

const LISTS = ENDPOINTS.filter(({ method, query }) => method === "GET" && query !== undefined);

describe("every list", () => {
  /** An order that has ended, for the lists below its parts. */
  let order: Json;
  before(async () => {
    [order = {}] = rows(await world.call("GET", "/payout-invoices?limit=1"));
  });

  for (const { path } of LISTS) {
    test(path, async () => {
      const at = path
        .replace("/payout-invoices/:id", `/payout-invoices/${String(order["id"])}`)
        .replace("/payout-requests/:id", `/payout-requests/${String(order["payoutRequestId"])}`)
        .replace("/payouts/:id", `/payouts/${String((order["payouts"] as Json[])[0]?.["id"])}`)
        .replace("/accounts/:id", "/accounts/available:web_demo:USD")
        .replace("routing-schemes/:id", "routing-schemes/route_demo")
        .replace("rate-schemes/:id", "rate-schemes/rate_demo")
        .replace("commerce-schemes/:id", "commerce-schemes/commerce_demo");
      const whole = rows(await world.call("GET", `${at}?limit=1000`));
      const pages = await walk(`${at}?limit=2`);
      assert.deepEqual(pages, whole);
      const first = await world.call("GET", `${at}?limit=1`);
      assert.equal(first.headers["pagination-limit"], "1");
      assert.equal(first.headers["pagination-total"], String(whole.length));
      assert.deepEqual(rows(await world.call("GET", `${at}?limit=0`)), []);
      const bad = await world.call("GET", `${at}?limit=x&filter=nothing:1`);
      assert.equal(bad.status, 422, bad.text);
      assert.equal((bad.body["invalidFields"] as Json[]).length, 2);
      const below = await world.call("GET", `/organizations/org_demo${at}?limit=2`);
      assert.deepEqual(rows(below), whole.slice(0, 2));
    });
  }
});

describe("configured things", () => {
  test("are in the order of their ids, and are found by their members", async () => {
    const ids = (await walk("/customers?limit=5")).map((each) => String(each["id"]));
    assert.deepEqual(ids, ids.toSorted());
    assert.equal(await found("/customers?websiteId=web_auto"), 5);
    assert.equal(await found("/customers?filter=referenceId:r1,r2;websiteId:web_auto"), 2);
    assert.equal(await found("/customers?filter=referenceId:!r1,r2;id:c-00,c-01,c-02"), 1);
    assert.equal(await found("/payment-instruments?customerId=cus_demo"), 1);
    assert.equal(await found("/payout-routes?filter=isEnabled:true;service:test_usd"), 2);
    assert.equal(await found("/payout-routes?filter=isArchived:true"), 0);
    assert.equal(await found("/deposit-accounts?providerAccountId=pacc_backup"), 2);
    assert.equal(await found("/provider-accounts?filter=gate:open"), 2);
    assert.equal(await found("/websites?filter=routingSchemeId:route_demo;id:!web_auto"), 1);
    assert.equal(await found("/routing-schemes?filter=id:route_demo"), 1);
    assert.equal(await found("/rate-schemes?filter=id:route_demo"), 0);
    assert.equal(
      (await walk("/payout-services?limit=50")).length,
      Number((await world.call("GET", "/payout-services")).headers["pagination-total"]),
    );
  });

  test("of another book are nobody's", async () => {
    const live = await world.makeKey({ kind: "live" });
    for (const { path } of LISTS.filter((each) => !each.path.includes(":id"))) {
      if (path === "/organizations" || path === "/payout-services") continue;
      assert.equal((await world.call("GET", path, { key: live })).text, "[]", path);
    }
    for (const path of [
      "/websites/web_demo",
      "/customers/c-01",
      "/provider-accounts/pacc_demo",
      "/routing-schemes/route_demo",
    ]) {
      assert.equal((await world.call("GET", path, { key: live })).status, 404, path);
    }
  });
});

describe("events", () => {
  const dataOf = (event: Json): Json => event["data"] as Json;

  test("come in the order of their sequence, without a gap, and go on where the last call ended", async () => {
    const all = await walk("/events?limit=4");
    const sequences = all.map((event) => Number(dataOf(event)["sequence"]));
    assert.deepEqual(
      sequences,
      sequences.map((_, at) => at + 1),
    );
    const middle = sequences[5] ?? 0;
    assert.deepEqual(rows(await world.call("GET", `/events?after=${middle}`)), all.slice(6));
    assert.deepEqual(rows(await world.call("GET", `/events?after=${sequences.at(-1)}`)), []);
    assert.equal((await world.call("GET", "/events?after=-1")).status, 422);
  });

  test("tell whose they are", async () => {
    const [invoice] = rows(await world.call("GET", "/events?filter=type:payout-invoice.processed"));
    const data = dataOf(invoice ?? {});
    assert.deepEqual([data["referenceId"], data["websiteId"], data["status"]], ["e-0", "web_demo", "processed"]);
    const [payout] = rows(await world.call("GET", "/events?filter=type:payout.processed"));
    assert.equal(dataOf(payout ?? {})["payoutInvoiceId"], data["id"]);
    const ofSubject = await walk(`/events?subject=${String(data["id"])}&limit=1`);
    assert.ok(ofSubject.length >= 2 && ofSubject.every((event) => dataOf(event)["id"] === data["id"]));
  });

  test("are found by type as they are told", async () => {
    const all = await walk("/events?limit=1000");
    const types = new Set(all.map((event) => String(event["type"])));
    assert.ok(
      types.has("payout-request-created") && types.has("payout-request-modified") && types.size >= 6,
      [...types].join(),
    );
    for (const type of EVENT_TYPES) {
      const expected = all.filter((event) => event["type"] === type);
      assert.deepEqual(await walk(`/events?filter=type:${type}`), expected, type);
    }
    assert.equal((await world.call("GET", "/events?filter=type:payout.paid")).status, 422);
  });
});

describe("a replay", () => {
  test("of more than a thousand events is refused with the time up to which it may be asked for", async () => {
    const client = new Client(world.database.ownerConfig);
    await client.connect();
    await client.query(`insert into bursar.history
      (organization_id, sequence, kind, subject, version_from, version_to, moves, status, moderation_required, command_id, time)
      select 'org_demo:test', 1000000 + n, 'request', 'many-' || n, 0, 1, '{}', 'CREATED', false, gen_random_uuid(),
        '2031-01-01T00:00:00Z'::timestamptz + n * interval '1 second' from generate_series(1, 1001) n`);
    await client.end();
    const { body } = await world.call("POST", "/webhook-endpoints", { body: { url: "https://hooks.example" } });
    const path = `/webhook-endpoints/${String(body["id"])}/replay`;
    const span = { from: "2031-01-01T00:00:00Z", to: "2031-02-01T00:00:00Z" };
    const refused = await world.call("POST", path, { body: span });
    assert.equal(refused.status, 422, refused.text);
    const [fault] = refused.body["invalidFields"] as Json[];
    assert.equal(fault?.["field"], "to");
    const [until = ""] = /2031-\S+$/.exec(String(fault?.["message"])) ?? [];
    assert.equal(until, "2031-01-01T00:16:40.000Z");
    // An endpoint that hears none of them has none too many.
    const deaf = { url: "https://hooks.example", events: ["payout.*"], status: "active" };
    const other = await world.call("POST", "/webhook-endpoints", { body: deaf });
    const none = await world.call("POST", `/webhook-endpoints/${String(other.body["id"])}/replay`, { body: span });
    assert.deepEqual(none.body, { count: 0 });
    assert.equal((await world.call("POST", path, { body: { ...span, to: until } })).body["count"], 1000);
  });
});

describe("entries", () => {
  test("of an account add up to its balance", async () => {
    for (const id of ["available:web_demo:USD", "deposit:dep_demo_usd:USD"]) {
      const [account] = rows(await world.call("GET", `/accounts?filter=id:${id}`));
      const entries = await walk(`/accounts/${id}/entries?limit=3`);
      const sum = entries.reduce((total, entry) => total + Math.round(Number(entry["amount"]) * 100), 0);
      assert.equal(Math.abs(sum), Math.round(Number(account?.["balance"]) * 100), id);
      assert.ok(entries.every((entry) => entry["accountId"] === id));
    }
    assert.equal(await found("/accounts/available:web_demo:USD/entries?filter=cause:!hold"), 1);
    for (const id of ["available:none:USD", "x", "%00", "available%3A%00%3AUSD"]) {
      assert.equal((await world.call("GET", `/accounts/${id}/entries`)).status, 404, id);
    }
  });
});
