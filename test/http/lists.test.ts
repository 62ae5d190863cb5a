import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { Client } from "pg";
import { FilterFault, parseFilter } from "../../src/http/filter.ts";
import { COUNT_MAX } from "../../src/store/reads.ts";
import { type Json, openWorld, PUBLIC_URL, type Reply, type World } from "../support/world.ts";

let world: World;
const INVOICES = 23;

before(async () => {
  world = await openWorld();
  const order = { websiteId: "web_demo", currency: "USD", amount: 1, service: "test_usd", fields: { account: "a" } };
  for (let at = 0; at < INVOICES; at++) {
    const body = { ...order, referenceId: `list-${at}`, autoprocess: at % 2 === 0 };
    assert.equal((await world.call("POST", "/payout-invoices", { body })).status, 201);
  }
  const request = { websiteId: "web_demo", customerId: "cus_demo", currency: "USD" };
  for (let at = 0; at < 12; at++) {
    // Ids that are not in the order of time.
    const id = `r-${(at * 7) % 12}`;
    const body = { ...request, amount: at + 1, blocked: at < 4 };
    assert.equal((await world.call("PUT", `/payout-requests/${id}`, { body })).status, 201);
  }
});
after(async () => {
  assert.deepEqual(world.broken, []);
  await world.close();
});

const rows = (reply: Reply): Json[] => {
  assert.equal(reply.status, 200, reply.text);
  return reply.body as unknown as Json[];
};
const nextOf = (reply: Reply): string | null =>
  /<https:\/\/pay\.example([^>]*)>; rel="next"/.exec(String(reply.headers["link"]))?.[1] ?? null;

/** All rows, page by page. */
async function walk(path: string): Promise<Json[]> {
  const all: Json[] = [];
  for (let at: string | null = path; at !== null; ) {
    const reply: Reply = await world.call("GET", at);
    all.push(...rows(reply));
    at = nextOf(reply);
  }
  return all;
}

describe("pages", () => {
  test("by cursor show everything once, newest first, whatever comes in between", async () => {
    const first = await world.call("GET", "/payout-invoices?limit=5");
    assert.equal(first.headers["pagination-total"], String(INVOICES));
    assert.equal(first.headers["pagination-limit"], "5");
    assert.equal(first.headers["pagination-offset"], "0");
    assert.match(String(first.headers["link"]), /^<https:\/\/pay\.example\/payout-invoices\?limit=5>; rel="first", </);
    const all = await walk("/payout-invoices?limit=5");
    assert.deepEqual(
      all.map((each) => each["referenceId"]),
      Array.from({ length: INVOICES }, (_, at) => `list-${INVOICES - 1 - at}`),
    );
    const oldest = await walk("/payout-invoices?limit=7&sort=createdTime");
    // Whole bodies would differ: the orders go on meanwhile.
    assert.deepEqual(
      oldest.map((each) => each["id"]),
      all.toReversed().map((each) => each["id"]),
    );
    assert.equal((await walk(`/payout-invoices?limit=${INVOICES}`)).length, INVOICES);
  });

  test("below the organization too", async () => {
    const reply = await world.call("GET", "/organizations/org_demo/payout-invoices?limit=20");
    assert.equal(rows(reply).length, 20);
    assert.equal(rows(await world.call("GET", nextOf(reply) ?? "")).length, INVOICES - 20);
  });

  test("of requests follow their time, not their ids", async () => {
    const all = await walk("/payout-requests?limit=5&filter=customerId:cus_demo");
    assert.deepEqual(
      all.map((each) => each["amount"]),
      [12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1],
    );
  });

  test("by offset", async () => {
    const reply = await world.call("GET", "/payout-invoices?limit=2&offset=3");
    assert.deepEqual(
      rows(reply).map((each) => each["referenceId"]),
      ["list-19", "list-18"],
    );
    assert.equal(reply.headers["pagination-offset"], "3");
    assert.deepEqual(rows(await world.call("GET", "/payout-invoices?offset=1000")), []);
    assert.deepEqual(rows(await world.call("GET", "/payout-invoices?limit=0")), []);
  });

  test("of accounts are in the order of their ids", async () => {
    const all = await walk("/accounts?limit=2");
    const ids = all.map((each) => String(each["id"]));
    assert.deepEqual(ids, ids.toSorted());
    assert.ok(ids.length >= 6);
  });

  test("faults are named all at once", async () => {
    const bad = "/payout-invoices?limit=1001&offset=-1&cursor=x&sort=amount&filter=nothing:1&filter=status:x";
    const reply = await world.call("GET", bad);
    assert.equal(reply.status, 422);
    const fields = (reply.body["invalidFields"] as Json[]).map((each) => String(each["field"]));
    assert.deepEqual(fields.toSorted(), ["cursor", "filter", "limit", "offset", "sort"]);
    for (const cursor of ["bnVsbA", "WzFd", "WyIwIiwiMCJd", "e30"]) {
      assert.equal((await world.call("GET", `/payout-invoices?cursor=${cursor}`)).status, 422, cursor);
    }
    const both = await world.call("GET", `${nextOf(await world.call("GET", "/payouts?limit=1")) ?? ""}&offset=1`);
    assert.equal(both.status, 422);
  });
});

describe("filters", () => {
  const found = async (path: string): Promise<number> => {
    const reply = await world.call("GET", path);
    assert.equal(reply.headers["pagination-total"], String(rows(reply).length), path);
    return rows(reply).length;
  };

  test("by word, negated, by several, by time, by flag", async () => {
    assert.equal(await found("/payout-invoices?filter=status:created"), 11);
    assert.equal(await found("/payout-invoices?filter=status:!created"), 12);
    assert.equal(await found("/payout-invoices?filter=status:CREATED,terminated"), 11);
    assert.equal(await found("/payout-invoices?filter=referenceId:list-1,list-2,list-99"), 2);
    assert.equal(await found("/payout-invoices?filter=status:created%3BreferenceId:list-1,list-2"), 1);
    assert.equal(await found("/payout-invoices?referenceId=list-5"), 1);
    assert.equal(await found("/payout-invoices?filter=createdTime:2026-01-01T00:00:00Z.."), 23);
    assert.equal(await found("/payout-invoices?filter=createdTime:..2020-01-01"), 0);
    assert.equal(await found("/payout-invoices?filter=id:no-uuid"), 0);
    assert.equal(await found("/payout-requests?filter=blocked:true"), 4);
    assert.equal(await found("/payout-requests?filter=blocked:false;customerId:cus_demo"), 8);
    assert.equal(await found("/payout-requests?filter=blockReason:!other;websiteId:web_demo"), 24);
    assert.equal(await found("/accounts?filter=kind:available;owner:web_demo"), 2);
  });

  test("payouts by their invoice or their request", async () => {
    const [invoice] = rows(await world.call("GET", "/payout-invoices?referenceId=list-4"));
    const id = String(invoice?.["id"]);
    assert.equal(await found(`/payouts?payoutInvoiceId=${id}`), 1);
    assert.equal(await found(`/payouts?payoutRequestId=${String(invoice?.["payoutRequestId"])}`), 1);
    assert.equal(await found(`/payouts?payoutInvoiceId=${id}&payoutRequestId=other`), 0);
    assert.equal(await found("/payouts?payoutInvoiceId=nothing"), 0);
    const [waiting] = rows(await world.call("GET", "/payout-invoices?referenceId=list-5"));
    assert.equal(await found(`/payouts?payoutInvoiceId=${String(waiting?.["id"])}`), 0);
    assert.equal(await found("/payouts"), 12);
  });

  test("links keep them", async () => {
    const reply = await world.call("GET", "/payout-invoices?filter=status:created&limit=3");
    assert.ok(nextOf(reply)?.includes("filter=status%3Acreated"));
    assert.equal((await walk("/payout-invoices?filter=status:created&limit=3")).length, 11);
    assert.ok(String(reply.headers["link"]).startsWith(`<${PUBLIC_URL}/payout-invoices?`));
  });

  test("are told what they cannot do", () => {
    const members = {
      status: { column: "status", kind: "text", words: ["a", "b"] },
      time: { column: "createdTime", kind: "time" },
      flag: { column: "blocked", kind: "flag" },
      name: { column: "name", kind: "text" },
    } as const;
    for (const bad of [
      "other:1",
      "status",
      "status:",
      "status:a,",
      "status:!",
      "status:c",
      "time:yesterday",
      "time:2026-13-01T00:00:00Z",
      "flag:yes",
      "name:\u0000",
      "toString:1",
      `name:${"a,".repeat(200)}a`,
      "name:a;".repeat(30),
    ]) {
      assert.throws(() => parseFilter(bad, members), FilterFault, bad.slice(0, 30));
    }
    assert.deepEqual(parseFilter(" status:!A,!b ; name:x:y ;", members), [
      { member: "status", isNot: true, anyOf: ["a", "b"] },
      { member: "name", isNot: false, anyOf: ["x:y"] },
    ]);
    const day = Date.UTC(2026, 0, 1);
    assert.deepEqual(parseFilter("time:2026-01-01,..2026-01-01T00:00:00.000Z,2026-01-01..", members), [
      {
        member: "createdTime",
        isNot: false,
        anyOf: [
          { from: day, to: day },
          { from: null, to: day },
          { from: day, to: null },
        ],
      },
    ]);
  });
});

describe("long lists", () => {
  test("are counted to ten thousand, and from the counter when unfiltered", async () => {
    const owner = new Client(world.database.ownerConfig);
    await owner.connect();
    await owner.query(`insert into bursar.funds_movement
      select organization_id, gen_random_uuid(), kind, status, website_id, to_website_id, deposit_account_id, currency,
        amount_minor, description, version, created_time, updated_time
      from bursar.funds_movement cross join generate_series(1, ${COUNT_MAX}) where kind = 'deposit'`);
    await owner.end();
    const reply = await world.call("GET", "/deposits?limit=1");
    assert.equal(reply.headers["pagination-total"], String(COUNT_MAX));
    assert.equal(reply.headers["pagination-total-capped"], "true");
    const invoices = await world.call("GET", "/payout-invoices?limit=1");
    assert.equal(invoices.headers["pagination-total-capped"], undefined);
  });
});
