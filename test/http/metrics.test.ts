import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { type Gateway, openGateway } from "../support/gateway.ts";

let gateway: Gateway;

before(async () => {
  gateway = await openGateway();
});

after(async () => {
  await gateway.close();
});

const scrape = async (headers: Readonly<Record<string, string>> = {}): Promise<Response> =>
  fetch(`${gateway.url}/metrics`, { headers });

test("the numbers tell of late work, unknown money, moderation, batches and lanes", async () => {
  const { body } = await gateway.call("POST", "/payout-invoices", {
    referenceId: "unknown",
    websiteId: "web_demo",
    currency: "USD",
    amount: 12.34,
    service: "test_usd",
    fields: { account: "payee", test_details_scenario: "unknown_word" },
  });
  await gateway.until(String(body["id"]), (invoice) => invoice["moderationRequired"] === true, 10_000);
  const response = await scrape();
  assert.equal(response.status, 200);
  const text = await response.text();
  assert.match(text, /bursar_unknown_money\{provider_account="pacc_demo",currency="USD"\} 12\.34/);
  assert.match(text, /bursar_moderation_open\{reason="outcome_unknown"\} 1/);
  assert.match(text, /bursar_lane_commands 0/);
  assert.match(text, /bursar_sends_in_flight \d/);
  assert.match(text, /bursar_request_seconds_count\{method="POST",route="\/payout-invoices",status="2xx"\} 1/);
  assert.match(text, /# TYPE bursar_work_due_age_seconds gauge/);
  assert.match(text, /process_cpu_seconds_total/);
});

test("nobody whom a proxy brings sees them", async () => {
  assert.equal((await scrape({ "x-forwarded-for": "203.0.113.9" })).status, 404);
  assert.equal((await scrape({ forwarded: "for=203.0.113.9" })).status, 404);
});
