/** What a person on call reads. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { Client } from "pg";
import { StoreUnavailable } from "../../src/core/faults.ts";
import { Metrics } from "../../src/http/metrics.ts";
import { openWorld, said, type World } from "../support/world.ts";

let world: World;

before(async () => {
  world = await openWorld();
});
after(async () => {
  assert.deepEqual(world.broken, []);
  await world.close();
});

async function scrape(): Promise<Map<string, number>> {
  const { status, text, headers } = await world.call("GET", "/metrics", { key: null });
  assert.equal(status, 200, text);
  assert.match(String(headers["content-type"]), /^text\/plain/);
  const lines = text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  return new Map(
    lines.map((line) => [line.slice(0, line.lastIndexOf(" ")), Number(line.slice(line.lastIndexOf(" ")))]),
  );
}

const ORDER = {
  websiteId: "web_demo",
  currency: "USD",
  amount: 12.5,
  service: "test_usd",
  fields: { account: "a" },
};
const order = (referenceId: string) => world.call("POST", "/payout-invoices", { body: { ...ORDER, referenceId } });

const UNKNOWN = 'bursar_unknown_money{organization="org_demo",book="test",provider_account="pacc_demo",currency="USD"}';

describe("metrics", () => {
  test("say how much money is unknown, until it is known", async () => {
    assert.equal((await scrape()).has(UNKNOWN), false);
    world.provider.answer = () => ({ kind: "timeout" });
    const { body } = await order("unknown");
    const path = `/payout-invoices/${String(body["id"])}`;
    await world.until(path, (invoice) => invoice["moderationRequired"] === true);
    const values = await scrape();
    assert.equal(values.get(UNKNOWN), 12.5);
    assert.equal(values.get("bursar_database_up"), 1);
    assert.equal(values.get("bursar_books_unwatched"), 0);
  });

  test("say what waits for a person, and for how long work has been due, over all books", async () => {
    const client = new Client(world.database.ownerConfig);
    await client.connect();
    await client.query(`insert into bursar.organization values ('org_lost', 'Lost', '\\x00', clock_timestamp())`);
    await client.query(
      `insert into bursar.work values ('org_lost', 'callback', 'x', clock_timestamp() - interval '1 hour', 0)`,
    );
    await client.query(`insert into bursar.moderation_item
      (organization_id, id, kind, subject, reason, is_incident, status, count, opened_time, version)
      select organization, gen_random_uuid(), 'delivery', 'x', 'internal_fault', true, 'open', 1, clock_timestamp(), 1
      from unnest(array['org_lost', 'org_demo:test']) organization`);
    await client.end();
    const values = await scrape();
    assert.equal(values.get('bursar_moderation_open{reason="internal_fault"}'), 2);
    const age = Number(values.get('bursar_work_due_age_seconds{kind="callback"}'));
    assert.ok(age >= 3_600 && age < 3_700, String(age));
  });

  test("say which gates are shut, the system's too, as they stand", async () => {
    const shut = async (): Promise<string[]> =>
      [...(await scrape()).keys()].filter((name) => name.startsWith("bursar_gate_shut{")).toSorted();
    const client = new Client(world.database.ownerConfig);
    await client.connect();
    try {
      await client.query(`update bursar.epoch set gate = 'shut', shut_reason = 'a test';
        update bursar.organization_lock set gate = 'shut', shut_currencies = '{EUR}' where organization_id = 'org_demo:test';
        update bursar.provider_account set gate = 'shut', gate_reason = 'a test' where id = 'pacc_backup'`);
      const book = 'organization="org_demo",book="test"';
      assert.deepEqual(await shut(), [
        `bursar_gate_shut{scope="currency",${book},id="EUR"}`,
        `bursar_gate_shut{scope="organization",${book},id="org_demo:test"}`,
        `bursar_gate_shut{scope="provider_account",${book},id="pacc_backup"}`,
        'bursar_gate_shut{scope="system",organization="",book="",id="system"}',
      ]);
    } finally {
      await client.query(`update bursar.epoch set gate = 'open', shut_reason = null;
        update bursar.organization_lock set gate = 'open', shut_currencies = '{}' where organization_id = 'org_demo:test';
        update bursar.provider_account set gate = 'open', gate_reason = null where id = 'pacc_backup'`);
      await client.end();
    }
    assert.deepEqual(await shut(), []);
  });

  test("count transactions, but not those that had nothing to do", async () => {
    const own = new Metrics();
    for (const commands of [3, 0, 7]) own.onBatch(commands, 20);
    const text = await own.text(world);
    assert.match(text, /^bursar_batch_commands_sum 10$/m);
    assert.match(text, /^bursar_batch_commands_count 2$/m);
    assert.match(text, /^bursar_batch_seconds_sum 0\.04$/m);
  });

  test("count calls by the route's pattern", async () => {
    world.provider.answer = (each) => said(each, "paid");
    await order("counted");
    await world.call("GET", "/organizations/org_demo/payouts/none");
    await world.call("GET", "/nothing/at/all");
    const values = await scrape();
    assert.equal(values.get("bursar_lane_depth"), 0);
    assert.ok(values.has("bursar_sends_in_flight"));
    assert.equal(values.get('bursar_request_seconds_count{method="GET",route="/payouts/:id",status="4xx"}'), 1);
    assert.equal(values.get('bursar_request_seconds_count{method="GET",route="none",status="4xx"}'), 1);
    assert.equal(values.get('bursar_request_seconds_count{method="POST",route="/payout-invoices",status="2xx"}'), 2);
    assert.ok(values.has("process_cpu_seconds_total"));
  });

  test("answer this machine alone", async () => {
    const from = (remoteAddress: string, headers: Record<string, string> = {}) =>
      world.app.inject({ method: "GET", url: "/metrics", remoteAddress, headers });
    assert.equal((await from("127.0.0.1")).statusCode, 200);
    assert.equal((await from("::1")).statusCode, 200);
    assert.equal((await from("::ffff:127.0.0.1")).statusCode, 200);
    for (const address of ["10.0.0.1", "203.0.113.9", "::ffff:10.0.0.1", "fe80::1"]) {
      assert.equal((await from(address)).statusCode, 404, address);
    }
    const authorization = `Bearer ${world.key}`;
    assert.equal((await from("10.0.0.1", { authorization })).statusCode, 404);
    for (const header of ["x-forwarded-for", "forwarded", "via", "x-real-ip"]) {
      assert.equal((await from("127.0.0.1", { [header]: "203.0.113.9" })).statusCode, 404, header);
    }
  });

  test("go on without the database", async () => {
    const gauges = world.reads.gauges.bind(world.reads);
    world.reads.gauges = () => Promise.reject(new StoreUnavailable("away"));
    const values = await scrape();
    world.reads.gauges = gauges;
    assert.equal(values.get("bursar_database_up"), 0);
    assert.equal(values.has(UNKNOWN), false);
    assert.ok(values.has("bursar_lane_depth"));
  });
});
