/** What happens before and around every endpoint: keys, paths, bodies, problems, logs. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { pino } from "pino";
import { StoreUnavailable } from "../../src/core/faults.ts";
import { buildApp } from "../../src/http/app.ts";
import type { Reads } from "../../src/store/reads.ts";
import { type Json, openWorld, type Reply, type World } from "../support/world.ts";

let world: World;

before(async () => {
  world = await openWorld();
});
after(async () => {
  assert.deepEqual(world.broken, []);
  await world.close();
});

const JSON_BODY = { websiteId: "web_demo", customerId: "cus_demo", currency: "USD", amount: 1 };

function isProblem(reply: Reply, status: number, code: string): void {
  assert.equal(reply.status, status, reply.text);
  assert.match(String(reply.headers["content-type"]), /^application\/problem\+json/);
  const { type, title, detail, instance } = reply.body;
  assert.equal(reply.body["status"], status);
  assert.equal(reply.body["code"], code);
  assert.equal(type, `/errors/${code}`);
  for (const each of [title, detail, instance]) assert.ok(typeof each === "string" && each !== "", reply.text);
}

describe("keys", () => {
  test("come as bearer token, as user name or in a header of their own", async () => {
    const basic = Buffer.from(`${world.key}:`).toString("base64");
    for (const headers of [
      { authorization: `Bearer ${world.key}` },
      { authorization: `bearer  ${world.key}` },
      { authorization: `Basic ${basic}` },
      { authorization: `Basic ${Buffer.from(world.key).toString("base64")}` },
      { "reb-apikey": world.key },
    ]) {
      const reply = await world.call("GET", "/payouts", { key: null, headers });
      assert.equal(reply.status, 200, JSON.stringify(headers));
    }
  });

  test("that nobody has are all alike", async () => {
    const unknown = world.key.replace(/.$/, (last) => (last === "A" ? "B" : "A"));
    for (const headers of [
      {},
      { authorization: "Bearer" },
      { authorization: `Bearer ${unknown}` },
      { authorization: `Bearer ${world.key.toUpperCase()}` },
      { authorization: `Digest ${world.key}` },
      { authorization: world.key },
      { "reb-apikey": "" },
      { "reb-apikey": "x".repeat(10_000) },
    ]) {
      const reply = await world.call("GET", "/payouts", { key: null, headers });
      isProblem(reply, 401, "unauthorized");
      assert.match(String(reply.headers["www-authenticate"]), /^Bearer /);
      assert.equal(reply.body["detail"], "Send the key as a bearer token.");
    }
  });

  test("are asked for before the body is looked at", async () => {
    isProblem(await world.call("POST", "/payout-invoices", { key: null, body: "{" }), 401, "unauthorized");
  });

  test("open their own book and no other", async () => {
    const live = await world.makeKey({ kind: "live" });
    const made = await world.call("PUT", "/payout-requests/two-books", { body: JSON_BODY });
    assert.equal(made.status, 201);
    isProblem(await world.call("GET", "/payout-requests/two-books", { key: live }), 404, "not-found");
    const list = await world.call("GET", "/payout-requests", { key: live });
    assert.equal(list.text, "[]");
    assert.equal(list.headers["pagination-total"], "0");
  });

  test("of one kind that lead to the other book are worth nothing", async () => {
    const crossed = await world.makeKey({ kind: "live", book: "org_demo:test" });
    isProblem(await world.call("GET", "/payouts", { key: crossed }), 401, "unauthorized");
  });

  test("belong to the organization in the path", async () => {
    const own = "/organizations/org_demo/payouts";
    assert.equal((await world.call("GET", own)).status, 200);
    isProblem(await world.call("GET", "/organizations/org_other/payouts"), 403, "forbidden");
    isProblem(await world.call("GET", "/organizations/org_demo:test/payouts"), 403, "forbidden");
    const other = await world.makeKey({ organization: "org_other" });
    isProblem(await world.call("GET", own, { key: other }), 403, "forbidden");
  });

  test("that only look change nothing", async () => {
    const viewer = await world.makeKey({ role: "viewer" });
    assert.equal((await world.call("GET", "/payouts", { key: viewer })).status, 200);
    const reply = await world.call("PUT", "/payout-requests/by-viewer", { key: viewer, body: JSON_BODY });
    isProblem(reply, 403, "forbidden");
  });
});

describe("paths", () => {
  test("nothing there", async () => {
    for (const path of ["/", "/nothing", "/payout-invoices/a/b/c", "/organizations/org_demo", "/%zz", "/payouts/%00"]) {
      isProblem(await world.call("GET", path), 404, "not-found");
    }
    isProblem(await world.call("GET", `/payout-requests/${"x".repeat(300)}`), 404, "not-found");
  });

  test("ids that are none", async () => {
    for (const path of [
      "payout-invoices/1",
      "payouts/x",
      "deposits/x",
      "payout-requests/a%20b",
      "payout-requests/%00",
    ]) {
      isProblem(await world.call("GET", `/${path}`), 404, "not-found");
    }
    isProblem(await world.call("POST", "/payout-invoices/none/process"), 404, "not-found");
  });

  test("the wrong method", async () => {
    const reply = await world.call("DELETE", "/payout-requests/x");
    isProblem(reply, 405, "method-not-allowed");
    assert.equal(reply.headers["allow"], "GET, HEAD, PATCH, PUT");
    const nested = await world.call("PUT", "/organizations/org_demo/payouts/");
    isProblem(nested, 405, "method-not-allowed");
    assert.equal(nested.headers["allow"], "GET, HEAD");
  });

  test("trailing slashes are nothing", async () => {
    assert.equal((await world.call("GET", "/payouts/")).status, 200);
    assert.equal((await world.call("GET", "/organizations/org_demo/payouts/")).status, 200);
    isProblem(await world.call("POST", "/payout-invoices/", { body: {} }), 422, "validation-failed");
  });

  test("kinds of problems are at their addresses", async () => {
    const reply = await world.call("GET", "/errors/validation-failed", { key: null });
    assert.equal(reply.status, 200);
    assert.equal(reply.body["status"], 422);
    isProblem(await world.call("GET", "/errors/toString", { key: null }), 404, "not-found");
  });
});

describe("bodies", () => {
  const put = (body: unknown, headers: Record<string, string> = {}) =>
    world.call("PUT", "/payout-requests/bodies", { body, headers });

  test("that are no JSON", async () => {
    for (const body of [
      "{",
      '{"a":1}}',
      '{"__proto__":{"x":1}}',
      "[1]",
      '"text"',
      `${"[".repeat(100)}1${"]".repeat(100)}`,
    ]) {
      isProblem(await put(body), 400, "malformed-body");
    }
    isProblem(await put(Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d])), 400, "malformed-body");
  });

  test("that are none are empty", async () => {
    const reply = await world.call("PUT", "/payout-requests/bodies");
    isProblem(reply, 422, "validation-failed");
    assert.deepEqual(namesIn(reply), ["websiteId", "customerId", "currency", "amount"]);
  });

  test("that are too large", async () => {
    const large = JSON.stringify({ ...JSON_BODY, description: "x".repeat(256 * 1024) });
    isProblem(await put(large), 413, "body-too-large");
    const fits = { ...JSON_BODY, description: "x".repeat(255 * 1024) };
    assert.equal((await put(fits)).status, 201);
  });

  test("in another language", async () => {
    for (const type of ["text/plain", "application/xml", "multipart/form-data; boundary=x", "nonsense", ""]) {
      isProblem(await put(JSON.stringify(JSON_BODY), { "content-type": type }), 415, "unsupported-media-type");
    }
    const form = { "content-type": "application/x-www-form-urlencoded" };
    isProblem(await put("a=1", form), 415, "unsupported-media-type");
    assert.equal(
      (await put(JSON.stringify(JSON_BODY), { "content-type": "application/json; charset=utf-8" })).status,
      200,
    );
  });

  test("as some clients send them: JSON without a word, and an empty form", async () => {
    const silent = await world.app.inject({
      method: "PUT",
      url: "/payout-requests/silent",
      headers: { "reb-apikey": world.key },
      payload: Buffer.from(JSON.stringify(JSON_BODY)),
    });
    assert.equal(silent.statusCode, 201, silent.body);
    const empty = await world.call("POST", "/payout-invoices", {
      headers: { "content-type": "application/x-www-form-urlencoded", "content-length": "0" },
    });
    isProblem(empty, 422, "validation-failed");
  });

  test("with a number that would not be kept, where nobody reads it as text", async () => {
    const invoice = { metadata: { n: 1 } };
    const body = JSON.stringify(invoice).replace("1", "12345678901234567890");
    isProblem(await world.call("POST", "/payout-invoices", { body }), 400, "unsafe-number");
  });
});

function namesIn(reply: Reply): string[] {
  return (reply.body["invalidFields"] as { field: string }[]).map((each) => each.field);
}

describe("around", () => {
  test("every answer has a request id, the caller's where it is sound", async () => {
    const own = await world.call("GET", "/payouts", { headers: { "request-id": "call-1" } });
    assert.equal(own.headers["request-id"], "call-1");
    const bad = await world.call("GET", "/payouts", { headers: { "request-id": "a b\tc" } });
    assert.match(String(bad.headers["request-id"]), /^[0-9a-f-]{36}$/);
    const lost = await world.call("GET", "/nothing");
    assert.match(String(lost.headers["request-id"]), /^[0-9a-f-]{36}$/);
  });

  test("one line per request, without bodies, keys and queries", async () => {
    const from = world.log.length;
    await world.call("GET", "/payouts?filter=status:READY&secret=hidden-one");
    await world.call("PUT", "/payout-requests/logged", { body: { ...JSON_BODY, description: "hidden-two" } });
    await world.call("POST", "/callbacks/hidden-three", { body: "hidden-four" });
    const lines = world.log.slice(from);
    assert.equal(lines.length, 3);
    const shown = lines.map(({ method, path, status }: Json) => `${String(method)} ${String(path)} ${String(status)}`);
    assert.deepEqual(shown, ["GET /payouts 200", "PUT /payout-requests/logged 201", "POST /callbacks/:callbackId 404"]);
    const text = JSON.stringify(lines);
    assert.ok(!text.includes("hidden") && !text.includes(world.key) && text.includes("key_0"), text);
  });

  test("health", async () => {
    assert.deepEqual((await world.call("GET", "/health/live", { key: null })).body, { status: "live" });
    assert.deepEqual((await world.call("GET", "/health/ready", { key: null })).body, { status: "ready" });
  });
});

describe("bad weather", () => {
  /** An app whose reads fail like this, and what it logs. */
  async function failing(error: Error) {
    const lines: string[] = [];
    const fail = async () => {
      throw error;
    };
    const app = await buildApp({
      engine: world.engine,
      reads: new Proxy({}, { get: () => fail }) as Reads,
      publicUrl: "https://pay.example",
      log: pino({}, { write: (line: string) => lines.push(line) }),
    });
    return { app, lines };
  }

  test("no database: 503, and when to come again", async () => {
    const { app, lines } = await failing(new StoreUnavailable("password=hidden"));
    for (const url of ["/health/ready", "/payouts"]) {
      const reply = await app.inject({ method: "GET", url, headers: { "reb-apikey": world.key } });
      assert.equal(reply.statusCode, 503);
      assert.equal(reply.headers["retry-after"], "2");
      assert.equal(reply.json().code, "unavailable");
      assert.ok(!reply.body.includes("hidden"));
    }
    assert.equal((await app.inject({ method: "GET", url: "/health/live" })).statusCode, 200);
    assert.ok(!lines.join("").includes("failed"));
    await app.close();
  });

  test("a bug: 500, which tells the log and nobody else", async () => {
    const { app, lines } = await failing(new TypeError("hidden"));
    const reply = await app.inject({ method: "GET", url: "/payouts", headers: { "reb-apikey": world.key } });
    assert.equal(reply.statusCode, 500);
    assert.equal(reply.json().code, "internal");
    assert.ok(!reply.body.includes("hidden"));
    assert.ok(lines.some((line) => line.includes("a call has failed") && line.includes("hidden")));
    await app.close();
  });
});
