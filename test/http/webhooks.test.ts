// Method: a whole gateway on real sockets, and receivers that know nothing but what the documentation says: which
// headers come, how the signature is made, what an answer means. Deliveries are judged by what the receivers saw.
import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { createServer, type IncomingHttpHeaders, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { Webhook } from "standardwebhooks";
import { openOutbound } from "../../src/engine/outbound.ts";
import { type Gateway, type Json, openGateway } from "../support/gateway.ts";

interface Heard {
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
  readonly id: string;
}

/** What a receiver does with its nth call, from 0: a status, or nothing, ever. */
type Behaviour = (at: number, response: ServerResponse) => number | "hang" | Promise<number>;

class Receiver {
  readonly heard: Heard[] = [];
  inFlight = 0;
  mostInFlight = 0;
  behave: Behaviour = () => 200;
  readonly #server: Server;
  #watchers: (() => void)[] = [];

  constructor() {
    this.#server = createServer((request, response) => {
      const chunks: Buffer[] = [];
      request.on("data", (chunk: Buffer) => chunks.push(chunk));
      request.on("end", () => {
        const { headers, url = "" } = request;
        const body = Buffer.concat(chunks).toString("utf8");
        void this.#take({ path: url, headers, body, id: String(headers["webhook-id"]) }, response);
      });
    });
  }

  async #take(heard: Heard, response: ServerResponse): Promise<void> {
    this.heard.push(heard);
    this.inFlight += 1;
    this.mostInFlight = Math.max(this.mostInFlight, this.inFlight);
    const status = await this.behave(this.heard.length - 1, response);
    for (const watcher of this.#watchers) watcher();
    if (status === "hang") return;
    response.writeHead(status).end();
    this.inFlight -= 1;
  }

  async listen(): Promise<string> {
    await new Promise<void>((resolve) => void this.#server.listen(0, "127.0.0.1", resolve));
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Waits until so many calls have come. */
  until(count: number, limitMs = 30_000): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`${this.heard.length} of ${count} calls came`)), limitMs);
      const check = (): void => {
        if (this.heard.length < count) return;
        clearTimeout(timer);
        resolve();
      };
      this.#watchers.push(check);
      check();
    });
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

let gateway: Gateway;
let orders = 0;
const receivers: Receiver[] = [];

before(async () => {
  gateway = await openGateway();
});
after(async () => {
  for (const receiver of receivers) await receiver.close();
  assert.deepEqual(gateway.broken, []);
  await gateway.close();
});

async function receiver(behave: Behaviour = () => 200): Promise<{ receiver: Receiver; url: string }> {
  const made = new Receiver();
  made.behave = behave;
  receivers.push(made);
  return { receiver: made, url: await made.listen() };
}

interface Endpoint {
  readonly id: string;
  readonly path: string;
  readonly secret: string;
}

async function subscribe(url: string, events: readonly string[] = []): Promise<Endpoint> {
  const { status, body } = await gateway.call("POST", "/webhook-endpoints", { url: `${url}/hooks?a=1`, events });
  assert.equal(status, 201, JSON.stringify(body));
  return { id: String(body["id"]), path: `/webhook-endpoints/${String(body["id"])}`, secret: String(body["secret"]) };
}

async function change(endpoint: Endpoint, body: Json): Promise<Json> {
  const { headers } = await gateway.call("GET", endpoint.path);
  const changed = await gateway.call("PATCH", endpoint.path, body, { "if-match": headers.get("etag") ?? "" });
  assert.equal(changed.status, 200, JSON.stringify(changed.body));
  return changed.body;
}

/** Where a test ends, its endpoint is silent. */
const silence = (endpoint: Endpoint): Promise<Json> => change(endpoint, { status: "disabled" });

/** An invoice that waits: one event, payout-invoice.created. */
async function order(members: Json = {}): Promise<Json> {
  const { status, body } = await gateway.call("POST", "/payout-invoices", {
    referenceId: `webhook-${orders++}`,
    websiteId: "web_demo",
    currency: "USD",
    amount: 1,
    service: "test_usd",
    fields: { account: "payee" },
    autoprocess: false,
    ...members,
  });
  assert.equal(status, 201, JSON.stringify(body));
  return body;
}

const many = (count: number): Promise<Json[]> => Promise.all(Array.from({ length: count }, () => order()));

async function deliveriesOf(endpoint: Endpoint, filter = ""): Promise<readonly Json[]> {
  const { body } = await gateway.call("GET", `/webhook-deliveries?endpointId=${endpoint.id}&filter=${filter}`);
  return body as unknown as Json[];
}

/** Waits until the gateway has written what became of a delivery. */
async function settled(endpoint: Endpoint, filter: string): Promise<readonly Json[]> {
  const deadline = Date.now() + 30_000;
  for (;;) {
    const found = await deliveriesOf(endpoint, filter);
    if (found.length > 0 && found.every((each) => each["tries"] !== 0)) return found;
    if (Date.now() > deadline)
      throw new Error(`no delivery is ${filter}: ${JSON.stringify(await deliveriesOf(endpoint))}`);
  }
}

/** As the documentation says, with nothing but node:crypto. */
function isSigned({ headers, body }: Heard, secret: string): boolean {
  const content = `${String(headers["webhook-id"])}.${String(headers["webhook-timestamp"])}.${body}`;
  const mac = createHmac("sha256", Buffer.from(secret.slice("whsec_".length), "base64"))
    .update(content)
    .digest("base64");
  return String(headers["webhook-signature"]).split(" ").includes(`v1,${mac}`);
}

const verified = (heard: Heard, secret: string): unknown =>
  new Webhook(secret).verify(heard.body, heard.headers as Record<string, string>);

describe("webhooks", () => {
  test("are signed so that any library of the specification, and three lines, can tell", async () => {
    const { receiver: own, url } = await receiver();
    const endpoint = await subscribe(url, ["payout-invoice.*"]);
    assert.match(endpoint.secret, /^whsec_[A-Za-z0-9+/]{43}=$/);
    const invoice = await order();
    await own.until(1);
    const [heard] = own.heard;
    assert.ok(heard !== undefined);
    assert.equal(heard.path, "/hooks?a=1");
    assert.equal(heard.headers["content-type"], "application/json");
    assert.ok(isSigned(heard, endpoint.secret));
    const { data, type } = verified(heard, endpoint.secret) as { type: string; data: Json };
    assert.equal(type, "payout-invoice.created");
    assert.deepEqual(
      [data["object"], data["id"], data["referenceId"]],
      ["payout-invoice", invoice["id"], invoice["referenceId"]],
    );
    assert.throws(() => verified({ ...heard, body: `${heard.body} ` }, endpoint.secret));
    const { body: other } = await gateway.call("GET", "/webhook-secret");
    assert.ok(!isSigned(heard, String(other["secret"])));
    // The same event, from the API.
    const { body: events } = await gateway.call("GET", `/events?after=${Number(data["sequence"]) - 1}&limit=1`);
    assert.deepEqual(events, [JSON.parse(heard.body)]);
    const [delivery] = await settled(endpoint, "status:delivered");
    assert.deepEqual([delivery?.["id"], delivery?.["tries"], delivery?.["lastResult"]], [heard.id, 1, "200"]);
    await silence(endpoint);
  });

  test("go to an invoice's callbackUrl too, signed with the book's own secret", async () => {
    const { receiver: own, url } = await receiver();
    const invoice = await order({ callbackUrl: `${url}/callback` });
    await own.until(1);
    const { body } = await gateway.call("GET", "/webhook-secret");
    const [heard] = own.heard;
    assert.ok(heard !== undefined && isSigned(heard, String(body["secret"])));
    assert.equal((verified(heard, String(body["secret"])) as { data: Json }).data["id"], invoice["id"]);
  });

  test("are heard by type", async () => {
    const { receiver: own, url } = await receiver();
    const endpoint = await subscribe(url, ["payout-invoice.terminated", "payout-request-*"]);
    const invoice = await order();
    await gateway.call("POST", `/payout-invoices/${String(invoice["id"])}/terminate`);
    const request = { websiteId: "web_demo", customerId: "cus_demo", currency: "USD", amount: 1 };
    await gateway.call("PUT", "/payout-requests/heard", request);
    await own.until(2);
    const types = own.heard.map(({ body }) => String((JSON.parse(body) as Json)["type"]));
    assert.deepEqual(types.toSorted(), ["payout-invoice.terminated", "payout-request-created"]);
    const bad = await gateway.call("POST", "/webhook-endpoints", {
      url,
      events: ["payout.PROCESSED", "payout.paid", 7, "x*"],
    });
    assert.equal(bad.status, 422);
    const fields = (bad.body["invalidFields"] as Json[]).map((each) => String(each["field"]));
    assert.deepEqual(fields.toSorted(), ["events[1]", "events[2]", "events[3]"]);
    await silence(endpoint);
  });

  test("that fail come again with the same id and body", async () => {
    const { receiver: own, url } = await receiver((at) => (at === 0 ? 500 : 200));
    const endpoint = await subscribe(url);
    await order();
    await own.until(2);
    const [first, second] = own.heard;
    assert.equal(second?.id, first?.id);
    assert.equal(second?.body, first?.body);
    const times = own.heard.map(({ headers }) => Number(headers["webhook-timestamp"]));
    assert.ok(Number(times[1]) - Number(times[0]) >= 4, String(times));
    for (const heard of own.heard) assert.ok(isSigned(heard, endpoint.secret));
    const [delivery] = await settled(endpoint, "status:delivered");
    assert.deepEqual([delivery?.["tries"], delivery?.["lastResult"]], [2, "200"]);
    await silence(endpoint);
  });

  test("follow no redirect", async () => {
    const { receiver: own, url } = await receiver((_, response) => {
      response.setHeader("location", "/elsewhere");
      return 302;
    });
    const endpoint = await subscribe(url);
    await order();
    await own.until(1);
    const [delivery] = await settled(endpoint, "status:pending");
    assert.deepEqual([own.heard.length, delivery?.["tries"], delivery?.["lastResult"]], [1, 1, "302"]);
    await silence(endpoint);
  });
});

describe("endpoints", () => {
  test("show their secret once, also to a repeat of the same call", async () => {
    const { url } = await receiver();
    const key = { "idempotency-key": "endpoint-1" };
    const first = await gateway.call("POST", "/webhook-endpoints", { url }, key);
    const again = await gateway.call("POST", "/webhook-endpoints", { url }, key);
    assert.deepEqual([first.status, again.status], [201, 201]);
    assert.equal(again.headers.get("idempotency-replayed"), "true");
    const { secret, ...shown } = first.body;
    assert.match(String(secret), /^whsec_/);
    assert.deepEqual(again.body, shown);
    assert.deepEqual((await gateway.call("GET", `/webhook-endpoints/${String(shown["id"])}`)).body, shown);
    const list = (await gateway.call("GET", "/webhook-endpoints?filter=status:active")).body;
    assert.ok(!JSON.stringify(list).includes("whsec_"));
    await silence({ id: "", path: `/webhook-endpoints/${String(shown["id"])}`, secret: "" });
  });

  test("are changed by whoever has read them", async () => {
    const { url } = await receiver();
    const { path } = await subscribe(url);
    const change = { description: "orders" };
    assert.equal((await gateway.call("PATCH", path, change)).status, 428);
    assert.equal((await gateway.call("PATCH", path, change, { "if-match": '"9"' })).status, 412);
    assert.equal((await gateway.call("POST", `${path}/rotate-secret`)).status, 428);
    const changed = await gateway.call("PATCH", path, { ...change, status: "disabled" }, { "if-match": '"1"' });
    assert.deepEqual(
      [changed.status, changed.body["description"], changed.headers.get("etag")],
      [200, "orders", '"2"'],
    );
    const bad = { url: "ftp://x.example", status: "gone", events: "all" };
    const refused = await gateway.call("PATCH", path, bad, { "if-match": '"2"' });
    assert.equal(refused.status, 422);
    assert.equal((refused.body["invalidFields"] as Json[]).length, 3);
  });

  test("sign with both secrets while one takes over from the other", async () => {
    const { receiver: own, url } = await receiver();
    const endpoint = await subscribe(url);
    const rotated = await gateway.call("POST", `${endpoint.path}/rotate-secret`, undefined, { "if-match": '"1"' });
    assert.equal(rotated.status, 200, JSON.stringify(rotated.body));
    const next = String(rotated.body["secret"]);
    assert.notEqual(next, endpoint.secret);
    await order();
    await own.until(1);
    const [heard] = own.heard;
    assert.ok(heard !== undefined);
    assert.equal(String(heard.headers["webhook-signature"]).split(" ").length, 2);
    for (const secret of [endpoint.secret, next]) {
      assert.ok(isSigned(heard, secret));
      verified(heard, secret);
    }
    const repeat = await gateway.call("POST", `${endpoint.path}/rotate-secret`, undefined, { "if-match": '"1"' });
    assert.equal(repeat.status, 412);
    await silence(endpoint);
  });

  test("that answer 410 are disabled, until a person says otherwise", async () => {
    const { receiver: own, url } = await receiver(() => 410);
    const endpoint = await subscribe(url);
    await order();
    await own.until(1);
    const [gone] = await settled(endpoint, "status:failed");
    assert.deepEqual([gone?.["tries"], gone?.["lastResult"]], [1, "410"]);
    assert.equal((await gateway.call("GET", endpoint.path)).body["status"], "disabled");
    await order();
    const resend = await gateway.call("POST", `/webhook-deliveries/${String(gone?.["id"])}/resend`);
    assert.deepEqual([resend.status, resend.body["code"]], [409, "not-in-this-status"]);
    const span = { from: "2026-01-01T00:00:00Z", to: "2100-01-01T00:00:00Z" };
    assert.equal((await gateway.call("POST", `${endpoint.path}/replay`, span)).status, 409);
    own.behave = () => 200;
    await change(endpoint, { status: "active" });
    await order();
    await own.until(2);
    assert.equal((await deliveriesOf(endpoint)).length, 2);
    await silence(endpoint);
  });
});

describe("sending again", () => {
  test("a delivery keeps its id", async () => {
    const { receiver: own, url } = await receiver();
    const endpoint = await subscribe(url);
    await order();
    await own.until(1);
    const [delivery] = await settled(endpoint, "status:delivered");
    const path = `/webhook-deliveries/${String(delivery?.["id"])}`;
    const resent = await gateway.call("POST", `${path}/resend`);
    assert.deepEqual([resent.status, resent.body["status"]], [200, "pending"]);
    await own.until(2);
    assert.equal(own.heard[1]?.id, own.heard[0]?.id);
    assert.equal(own.heard[1]?.body, own.heard[0]?.body);
    assert.equal((await gateway.call("POST", "/webhook-deliveries/none/resend")).status, 404);
    await silence(endpoint);
  });

  test("a span of time is told as new deliveries of the same events", async () => {
    const { receiver: own, url } = await receiver();
    const endpoint = await subscribe(url, ["payout-invoice.created"]);
    const made = [await order(), await order(), await order()];
    await own.until(3);
    const [first, , last] = made.map((invoice) => String(invoice["createdTime"]));
    const replayed = await gateway.call("POST", `${endpoint.path}/replay`, { from: first, to: last });
    assert.deepEqual([replayed.status, replayed.body], [200, { count: 3 }]);
    await own.until(6);
    const bodies = own.heard.map(({ body }) => body);
    assert.deepEqual(bodies.slice(3).toSorted(), bodies.slice(0, 3).toSorted());
    assert.equal(new Set(own.heard.map(({ id }) => id)).size, 6);
    const early = await gateway.call("POST", `${endpoint.path}/replay`, {
      from: "2020-01-01T00:00:00Z",
      to: "2020-01-02T00:00:00Z",
    });
    assert.deepEqual(early.body, { count: 0 });
    for (const span of [{}, { from: last, to: "2020-01-01T00:00:00Z" }, { from: "soon", to: last }]) {
      assert.equal((await gateway.call("POST", `${endpoint.path}/replay`, span)).status, 422);
    }
    assert.equal((await gateway.call("POST", "/webhook-endpoints/none/replay", { from: first, to: last })).status, 404);
    await silence(endpoint);
  });
});

describe("many at once", () => {
  test("at most 16 are in flight to an endpoint, however slow it is", async () => {
    // It answers nobody until half of them are there: how many come at once is not for a slow machine to say.
    const { promise: half, resolve: halfIsThere } = Promise.withResolvers<void>();
    const { receiver: own, url } = await receiver(async () => {
      if (own.inFlight >= 8) halfIsThere();
      await half;
      return sleep(200, 200);
    });
    const endpoint = await subscribe(url);
    await many(60);
    await own.until(60);
    assert.ok(own.mostInFlight <= 16, String(own.mostInFlight));
    assert.ok(own.mostInFlight >= 8, String(own.mostInFlight));
    assert.equal(new Set(own.heard.map(({ id }) => id)).size, 60);
    await silence(endpoint);
  });

  test("a receiver that hangs delays nobody else, however much waits for it", async () => {
    const { receiver: stuck, url: stuckUrl } = await receiver(() => "hang");
    const { receiver: own, url } = await receiver();
    const hanging = await subscribe(stuckUrl);
    await many(120);
    await stuck.until(16);
    const endpoint = await subscribe(url);
    const began = performance.now();
    await many(20);
    await own.until(20, 5_000);
    assert.ok(performance.now() - began < 5_000);
    assert.equal(stuck.heard.length, 16);
    await silence(hanging);
    await stuck.close();
    receivers.splice(receivers.indexOf(stuck), 1);
    await silence(endpoint);
  });
});

describe("the door to the outside", () => {
  test("is shut for addresses that are not public, in every spelling", async () => {
    const outbound = openOutbound({ mayReachPrivate: false });
    const { receiver: own, url } = await receiver();
    const { port } = new URL(url);
    const send = (host: string, audience: "merchant" | "provider") =>
      outbound.send({
        baseUrl: `http://${host}:${port}`,
        draft: { method: "POST", path: "/", headers: {}, body: "{}" },
        timeoutMs: 3_000,
        audience,
        maySend: () => true,
      });
    const hosts = [
      "127.0.0.1",
      "localhost",
      "2130706433",
      "0x7f000001",
      "127.1",
      "[::1]",
      "[::ffff:127.0.0.1]",
      "[::ffff:7f00:1]",
      "[64:ff9b::7f00:1]",
      "169.254.169.254",
      "10.0.0.1",
      "172.16.0.1",
      "192.168.1.1",
      "100.64.0.1",
      "[fd00::1]",
      "[fe80::1]",
      "0.0.0.0",
    ];
    for (const host of hosts) {
      assert.deepEqual(await send(host, "merchant"), { kind: "not_sent", reason: "PRIVATE_ADDRESS" }, host);
    }
    assert.equal(own.heard.length, 0);
    // Providers are named by the operator: they may stand beside us.
    assert.equal((await send("127.0.0.1", "provider")).kind, "answer");
    await outbound.close();
  });
});
