/** Timelines: one order's whole story in its order, and nothing of the payee in it. */
import assert from "node:assert/strict";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { after, before, describe, test } from "node:test";
import { type Gateway, type Json, openGateway } from "../support/gateway.ts";

const ACCOUNT = "payee-account-4711-0815";

let gateway: Gateway;
let receiver: Server;
let invoice: Json;

before(async () => {
  gateway = await openGateway();
  await gateway.control({ timeoutMs: 2_500, answerDelayMs: 20, callbackDelayMs: 20, lateMs: 100 });
  receiver = createServer((request, response) => {
    request.resume();
    request.on("end", () => response.writeHead(204).end());
  });
  await new Promise<void>((resolve) => void receiver.listen(0, "127.0.0.1", () => resolve()));
  const { port } = receiver.address() as AddressInfo;
  const endpoint = await gateway.call("POST", "/webhook-endpoints", {
    url: `http://127.0.0.1:${port}/hook`,
    events: ["payout-invoice.*", "moderation.*"],
  });
  assert.equal(endpoint.status, 201);
  invoice = await refunded();
});
after(async () => {
  assert.deepEqual(gateway.broken, []);
  receiver.close();
  receiver.closeAllConnections();
  await gateway.close();
});

/** An order whose answer is lost, that is found paid by an inquiry, and that is refunded then. */
async function refunded(): Promise<Json> {
  const made = await gateway.call("POST", "/payout-invoices", {
    referenceId: "story-1",
    websiteId: "web_demo",
    currency: "USD",
    amount: 100,
    service: "test_usd",
    fields: { account: ACCOUNT, test_details_scenario: "timeout_paid" },
  });
  assert.equal(made.status, 201, JSON.stringify(made.body));
  const id = String(made.body["id"]);
  const paid = await gateway.until(id, (body) => body["status"] === "processed");
  const headers = { "if-match": `"${String(paid["version"])}"`, "idempotency-key": "refund-story-1" };
  const asked = await gateway.call("POST", `/payout-invoices/${id}/refund`, { reason: "Sent back." }, headers);
  assert.equal(asked.status, 200, JSON.stringify(asked.body));
  const done = await gateway.until(id, (body) => body["status"] === "refunded");
  // The last webhook goes out after the change that it tells.
  for (let tries = 0; ; tries++) {
    const found = (await gateway.call("GET", "/webhook-deliveries")).body as unknown as Json[];
    if (found.every((each) => each["status"] === "delivered")) return done;
    assert.ok(tries < 200, "the webhooks are delivered");
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

async function story(path: string): Promise<Json[]> {
  const reply = await gateway.call("GET", path);
  assert.equal(reply.status, 200, JSON.stringify(reply.body));
  return reply.body as unknown as Json[];
}

/** The place of the first line after `from` that has these members. */
function place(lines: readonly Json[], members: Json, from = -1): number {
  const at = lines.findIndex(
    (line, index) => index > from && Object.entries(members).every(([name, value]) => line[name] === value),
  );
  assert.ok(
    at !== -1,
    `${JSON.stringify(members)} after ${from} in ${JSON.stringify(lines.map((line) => line["type"]))}`,
  );
  return at;
}

describe("the timeline of an order", () => {
  test("tells intent, lost answer, inquiry, payment, settlement, act, cancel and return, in this order", async () => {
    const lines = await story(`/payout-invoices/${String(invoice["id"])}/timeline`);
    let at = -1;
    for (const members of [
      { type: "payout.INVOKING" },
      { type: "ledger.sent" },
      { type: "provider.invoke", outcome: "timeout" },
      { type: "payout.INVOKING", moderationRequired: true },
      { type: "provider.inquire", outcome: "answer", httpStatus: 200, verified: true },
      { type: "payout.PROCESSED", moderationRequired: false },
      { type: "ledger.settled" },
      { type: "moderation.refund", status: "done", reason: "Sent back." },
      { type: "payout.CANCELLING" },
      { type: "provider.cancel", outcome: "answer" },
      { type: "payout.CANCELLED" },
      { type: "webhook.delivered", event: "payout-invoice.refunded", lastResult: "204" },
    ]) {
      at = place(lines, members, at);
    }
    const cancelled = place(lines, { type: "payout.CANCELLED" });
    const returned = lines.findIndex((line) => String(line["type"]).startsWith("ledger.returned"));
    assert.ok(returned > place(lines, { type: "payout.CANCELLING" }));
    assert.equal(lines[returned]?.["time"], lines[cancelled]?.["time"]);
    // Sequences and times only grow.
    const sequences = lines.map((line) => line["sequence"]).filter((each) => each !== undefined) as number[];
    assert.deepEqual(
      sequences,
      sequences.toSorted((a, b) => a - b),
    );
    const times = lines.map((line) => String(line["time"]));
    assert.deepEqual(times, times.toSorted());
  });

  test("says who caused each change, opens and closes the item, and names what an exchange was read as", async () => {
    const lines = await story(`/payout-invoices/${String(invoice["id"])}/timeline`);
    const changes = lines.filter((line) => line["sequence"] !== undefined);
    assert.ok(changes.length > 8);
    for (const change of changes) {
      const cause = change["cause"] as Json;
      assert.equal(typeof cause["kind"], "string", JSON.stringify(change));
      assert.match(String(cause["actor"]), /^(key|provider|system|timer|worker|sweep)/);
    }
    const first = changes.find((line) => line["type"] === "payout-invoice.processing") ?? changes[0];
    assert.deepEqual(
      { ...(first?.["cause"] as Json), id: "" },
      { id: "", kind: "create-payout-invoice", actor: "key:key_test" },
    );
    const opened = place(lines, { type: "moderation-item.opened", reason: "outcome_unknown" });
    place(lines, { type: "moderation-item.closed", reason: "outcome_unknown" }, opened);
    const asked = lines[place(lines, { type: "provider.inquire" })] as Json;
    assert.match(String(asked["bodyHash"]), /^[0-9a-f]{64}$/);
    assert.equal((asked["said"] as Json)["fact"], "paid");
    assert.deepEqual(lines[place(lines, { type: "provider.invoke" })]?.["said"], {
      resolution: "CONNECTION_TIMEOUT_ERROR",
    });
  });

  test("is the same from its request; of a payout it has what concerns that", async () => {
    const whole = await story(`/payout-invoices/${String(invoice["id"])}/timeline`);
    assert.deepEqual(await story(`/payout-requests/${String(invoice["payoutRequestId"])}/timeline`), whole);
    const [payout] = invoice["payouts"] as Json[];
    const own = await story(`/payouts/${String(payout?.["id"])}/timeline`);
    assert.deepEqual([...new Set(own.map((line) => String(line["layer"])))].toSorted(), [
      "ledger",
      "moderation",
      "payout",
      "provider",
    ]);
    for (const line of own) {
      if (line["layer"] === "payout" || line["layer"] === "ledger") assert.equal(line["id"], payout?.["id"]);
    }
  });

  test("has nothing of the payee in it", async () => {
    const [payout] = invoice["payouts"] as Json[];
    for (const path of [
      `/payout-invoices/${String(invoice["id"])}`,
      `/payout-requests/${String(invoice["payoutRequestId"])}`,
      `/payouts/${String(payout?.["id"])}`,
    ]) {
      const text = JSON.stringify(await story(`${path}/timeline`));
      assert.ok(!text.includes(ACCOUNT), path);
      // Ids and hashes have all digits in all orders, whether or not a prefix stands before them.
      const words = text.replaceAll(/[0-9a-f]{64}|[0-9a-f]{32}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/g, "");
      assert.ok(!/4711|0815/.test(words), path);
    }
  });

  test("comes in windows", async () => {
    const path = `/payout-invoices/${String(invoice["id"])}/timeline`;
    const whole = await story(path);
    const parts: Json[] = [];
    for (let offset = 0; offset < whole.length; offset += 7) {
      parts.push(...(await story(`${path}?limit=7&offset=${offset}`)));
    }
    assert.deepEqual(parts, whole);
    const first = await gateway.call("GET", `${path}?limit=7`);
    assert.match(first.headers.get("link") ?? "", /limit=7&offset=7>; rel="next"/);
    const all = await gateway.call("GET", path);
    assert.equal(all.headers.get("pagination-total"), String(whole.length));
    assert.equal(all.headers.get("pagination-limit"), "1000");
    assert.equal(first.headers.get("pagination-total"), String(whole.length));
    for (const query of ["filter=layer:payout", "limit=1001", "limit=x", "offset=-1", "limit=1&limit=2"]) {
      assert.equal((await gateway.call("GET", `${path}?${query}`)).status, 422, query);
    }
  });

  test("of nothing is 404", async () => {
    const id = "01a1fc17-2c8e-7f74-9f0b-d9fde451605a";
    for (const path of [`/payout-invoices/${id}`, `/payouts/${id}`, "/payouts/nobody", "/payout-requests/nobody"]) {
      assert.equal((await gateway.call("GET", `${path}/timeline`)).status, 404, path);
    }
  });
});
