// Method: a receiver written from the documents alone listens on a real port; what it gets is judged by the Standard
// Webhooks library and by three lines of its own.
import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { once } from "node:events";
import { createServer, type IncomingHttpHeaders, type Server } from "node:http";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { Webhook } from "standardwebhooks";
import { isPublicAddress, openOutbound } from "../../src/engine/outbound.ts";
import { type Gateway, type Json, openGateway } from "../support/gateway.ts";

interface Heard {
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

class Receiver {
  readonly heard: Heard[] = [];
  /** The status of each answer, by how many came before. */
  status: (before: number) => number = () => 200;
  delayMs = 0;
  mostAtOnce = 0;
  #now = 0;
  readonly #server: Server;

  constructor() {
    this.#server = createServer((request, response) => {
      let body = "";
      request.on("data", (chunk: Buffer) => (body += chunk.toString("utf8")));
      request.on("end", () => {
        this.#now += 1;
        this.mostAtOnce = Math.max(this.mostAtOnce, this.#now);
        const status = this.status(this.heard.length);
        this.heard.push({ headers: request.headers, body });
        setTimeout(() => {
          this.#now -= 1;
          response.writeHead(status, { location: "http://127.0.0.1:9/" }).end();
        }, this.delayMs);
      });
    });
  }

  async open(): Promise<string> {
    this.#server.listen(0, "127.0.0.1");
    await once(this.#server, "listening");
    const address = this.#server.address();
    return `http://127.0.0.1:${typeof address === "object" && address !== null ? address.port : 0}/hook?a=1`;
  }

  async until(count: number, limitMs = 15_000): Promise<void> {
    const deadline = Date.now() + limitMs;
    while (this.heard.length < count) {
      if (Date.now() > deadline) throw new Error(`heard ${this.heard.length} of ${count}`);
      await sleep(20);
    }
  }

  close(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }
}

let gateway: Gateway;
const receivers: Receiver[] = [];

before(async () => {
  gateway = await openGateway();
});

after(async () => {
  for (const receiver of receivers) receiver.close();
  await gateway.close();
});

async function listen(): Promise<{ receiver: Receiver; url: string }> {
  const receiver = new Receiver();
  receivers.push(receiver);
  return { receiver, url: await receiver.open() };
}

async function endpoint(url: string, events: readonly string[]): Promise<Json> {
  const { status, body } = await gateway.call("POST", "/webhook-endpoints", { url, events });
  assert.equal(status, 201, JSON.stringify(body));
  return body;
}

let orders = 0;

async function order(more: Json = {}): Promise<string> {
  orders += 1;
  const base = {
    referenceId: `hook-${orders}`,
    websiteId: "web_demo",
    currency: "USD",
    amount: 5,
    service: "test_usd",
  };
  const fields = { account: "payee", test_details_scenario: "ok_sync" };
  const { status, body } = await gateway.call("POST", "/payout-invoices", { ...base, fields, ...more });
  assert.equal(status, 201, JSON.stringify(body));
  return String(body["id"]);
}

/** The three lines that the documents give. */
function isSigned({ headers, body }: Heard, secret: string): boolean {
  const text = `${String(headers["webhook-id"])}.${String(headers["webhook-timestamp"])}.${body}`;
  const key = Buffer.from(secret.replace("whsec_", ""), "base64");
  const signature = `v1,${createHmac("sha256", key).update(text).digest("base64")}`;
  return String(headers["webhook-signature"]).split(" ").includes(signature);
}

const typeOf = (heard: Heard | undefined): string => (JSON.parse(heard?.body ?? "{}") as { type: string }).type;

test("an endpoint hears what it listens to, signed, once", async () => {
  const { receiver, url } = await listen();
  const made = await endpoint(url, ["payout-invoice.processed"]);
  const secret = String(made["secret"]);
  const id = await order();
  await receiver.until(1);
  const [heard] = receiver.heard;
  assert.ok(heard !== undefined);
  assert.ok(isSigned(heard, secret));
  const read = new Webhook(secret).verify(heard.body, heard.headers as Record<string, string>) as {
    type: string;
    data: Json;
  };
  assert.equal(read.type, "payout-invoice.processed");
  assert.equal(read.data["id"], id);
  assert.equal(read.data["referenceId"], `hook-${orders}`);
  assert.ok(!isSigned({ ...heard, body: `${heard.body} ` }, secret), "another body is not signed");
  const { body } = await gateway.call("GET", `/webhook-endpoints/${String(made["id"])}`);
  assert.equal(body["secret"], undefined, "the secret is shown once");
  await sleep(300);
  assert.equal(receiver.heard.length, 1);
});

test("a try that fails is made again after five seconds, with the same id and body", async () => {
  const { receiver, url } = await listen();
  receiver.status = (count) => (count === 0 ? 500 : 204);
  await endpoint(url, ["payout-invoice.processed"]);
  await order();
  await receiver.until(2);
  const [first, second] = receiver.heard;
  assert.equal(first?.headers["webhook-id"], second?.headers["webhook-id"]);
  assert.equal(first?.body, second?.body);
  assert.notEqual(first?.headers["webhook-timestamp"], second?.headers["webhook-timestamp"]);
});

test("410 switches the endpoint off; a redirect is not followed and counts as a failure", async () => {
  const { receiver, url } = await listen();
  receiver.status = () => 410;
  const made = await endpoint(url, []);
  await order();
  await receiver.until(1);
  const path = `/webhook-endpoints/${String(made["id"])}`;
  const deadline = Date.now() + 5_000;
  let read = await gateway.call("GET", path);
  while (read.body["status"] !== "disabled" && Date.now() < deadline) {
    await sleep(20);
    read = await gateway.call("GET", path);
  }
  assert.equal(read.body["status"], "disabled");
  const moved = await listen();
  moved.receiver.status = () => 302;
  const other = await endpoint(moved.url, ["payout-invoice.processed"]);
  await order();
  await moved.receiver.until(1);
  await sleep(300);
  const list = await gateway.call("GET", `/webhook-deliveries?filter=endpointId:${String(other["id"])}`);
  const [delivery] = list.body as unknown as Json[];
  assert.equal(delivery?.["status"], "pending");
  assert.equal(delivery?.["lastResult"], "302");
});

test("after a rotation both secrets sign for a day, and a resend keeps the id", async () => {
  const { receiver, url } = await listen();
  const made = await endpoint(url, ["payout-invoice.processed"]);
  const rotated = await gateway.call("POST", `/webhook-endpoints/${String(made["id"])}/rotate-secret`);
  assert.equal(rotated.status, 200);
  assert.notEqual(rotated.body["secret"], made["secret"]);
  await order();
  await receiver.until(1);
  const [heard] = receiver.heard;
  assert.ok(heard !== undefined && isSigned(heard, String(made["secret"])));
  assert.ok(isSigned(heard, String(rotated.body["secret"])));
  const id = String(heard.headers["webhook-id"]);
  assert.equal((await gateway.call("POST", `/webhook-deliveries/${id}/resend`)).status, 200);
  await receiver.until(2);
  assert.equal(receiver.heard[1]?.headers["webhook-id"], id);
  const span = { from: new Date(Date.now() - 60_000).toISOString(), to: new Date(Date.now() + 1_000).toISOString() };
  const replay = await gateway.call("POST", `/webhook-endpoints/${String(made["id"])}/replay`, span);
  assert.equal(replay.status, 200);
  await receiver.until(2 + Number(replay.body["count"]));
  assert.ok(receiver.heard.every((each) => typeOf(each) === "payout-invoice.processed"));
});

test("an invoice's callbackUrl hears of that invoice alone, signed with the book's own secret", async () => {
  const { receiver, url } = await listen();
  const { body } = await gateway.call("GET", "/webhook-secret");
  const id = await order({ callbackUrl: url });
  await order();
  await receiver.until(2);
  await sleep(200);
  assert.deepEqual(receiver.heard.map(typeOf).toSorted(), ["payout-invoice.processed", "payout-invoice.processing"]);
  for (const heard of receiver.heard) {
    assert.ok(isSigned(heard, String(body["secret"])));
    assert.equal((JSON.parse(heard.body) as { data: Json }).data["id"], id);
  }
});

test("a slow receiver gets at most 16 at a time and delays nobody else", async () => {
  const slow = await listen();
  slow.receiver.delayMs = 1_500;
  const quick = await listen();
  await endpoint(slow.url, ["payout-invoice.processed"]);
  await endpoint(quick.url, ["payout-invoice.processed"]);
  await Promise.all(Array.from({ length: 40 }, () => order()));
  await quick.receiver.until(40);
  assert.ok(slow.receiver.heard.length < 40, "the quick one was not held back");
  await slow.receiver.until(40);
  assert.equal(slow.receiver.mostAtOnce, 16);
});

test("events are listed in order without a gap, and go on from where one has read", async () => {
  const before = await gateway.call("GET", "/events?limit=1000");
  const seen = before.body as unknown as { type: string; data: { sequence: number; id: string } }[];
  seen.forEach((event, index) => {
    assert.equal(event.data.sequence, index + 1);
  });
  const id = await order();
  const after = await gateway.call("GET", `/events?after=${seen.length}`);
  const fresh = after.body as unknown as typeof seen;
  assert.ok(fresh.length > 0);
  assert.equal(fresh[0]?.data.sequence, seen.length + 1);
  assert.ok(fresh.some((event) => event.data.id === id));
  assert.equal((await gateway.call("GET", "/events?after=-1")).status, 422);
});

test("bad addresses are refused with their name, and changes need the version", async () => {
  for (const url of ["ftp://x", "nowhere", "http://user:pw@example.com/"]) {
    const refused = await gateway.call("POST", "/webhook-endpoints", { url });
    assert.equal(refused.status, 422, url);
    assert.deepEqual((refused.body["invalidFields"] as { field: string }[])[0]?.field, "url");
  }
  const made = await endpoint("https://example.com/hook", ["none"]);
  const path = `/webhook-endpoints/${String(made["id"])}`;
  assert.equal((await gateway.call("PUT", path, { status: "disabled" })).status, 428);
  assert.equal((await gateway.call("PUT", path, { status: "disabled" }, { "if-match": '"99"' })).status, 412);
  const changed = await gateway.call("PUT", path, { status: "disabled" }, { "if-match": '"1"' });
  assert.equal(changed.status, 200);
  assert.equal(changed.body["status"], "disabled");
});

test("where private networks are closed, no spelling of a private address is reached", async () => {
  const { receiver, url } = await listen();
  const { port } = new URL(url);
  const guarded = openOutbound({ mayReachPrivate: false });
  const draft = { method: "POST", path: "/", headers: {}, body: "{}" } as const;
  const hosts = ["127.0.0.1", "localhost", "2130706433", "0x7f.1", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0"];
  for (const host of hosts) {
    const baseUrl = `http://${host}:${port}`;
    const order = { baseUrl, draft, timeoutMs: 2_000, audience: "merchant", maySend: () => true } as const;
    const outcome = await guarded.send(order);
    assert.equal(outcome.kind, "not_sent", host);
  }
  assert.equal(receiver.heard.length, 0);
  await guarded.close();
  const inside = [
    "10.0.0.1",
    "192.168.1.1",
    "172.16.0.1",
    "169.254.169.254",
    "100.64.0.1",
    "fd00::1",
    "64:ff9b::7f00:1",
  ];
  for (const address of inside) assert.equal(isPublicAddress(address), false, address);
  assert.equal(isPublicAddress("93.184.216.34"), true);
});
