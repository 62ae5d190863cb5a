import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { ERRORS } from "../../src/core/errors.ts";
import { type Json, openWorld, type World } from "../support/world.ts";

let world: World;
let document: Json;

before(async () => {
  world = await openWorld();
  document = (await world.call("GET", "/openapi.json", { key: null })).body;
});
after(() => world.close());

interface Operation {
  readonly operationId: string;
  readonly summary: string;
  readonly tags: readonly string[];
  readonly parameters?: readonly { name: string; in: string; required?: boolean; schema: Json }[];
  readonly requestBody?: { content: Record<string, { schema: Json }> };
  readonly responses: Record<string, { description: string; content?: Record<string, { schema: Json }> }>;
  readonly security?: readonly unknown[];
}

function operations(): [where: string, operation: Operation][] {
  const paths = document["paths"] as Record<string, Record<string, Operation>>;
  return Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]): [string, Operation] => [
      `${method.toUpperCase()} ${path}`,
      operation,
    ]),
  );
}

const operation = (where: string): Operation => {
  const found = operations().find(([each]) => each === where)?.[1];
  assert.ok(found !== undefined, where);
  return found;
};

/** What a JSON pointer leads to. */
function at(pointer: string): unknown {
  const parts = pointer.replace(/^#\//, "").split("/");
  return parts.reduce<unknown>((value, part) => (value as Json | undefined)?.[part], document);
}

function everyRef(value: unknown, found: string[] = []): string[] {
  if (typeof value !== "object" || value === null) return found;
  for (const [name, member] of Object.entries(value)) {
    if (name === "$ref" && typeof member === "string") found.push(member);
    else everyRef(member, found);
  }
  return found;
}

describe("the document", () => {
  test("is OpenAPI 3.1, whole and without loose ends", () => {
    assert.equal(document["openapi"], "3.1.0");
    const info = document["info"] as Json;
    for (const name of ["title", "version", "description"]) assert.ok(info[name], name);
    const refs = everyRef(document);
    assert.ok(refs.length > 50);
    for (const ref of new Set(refs)) {
      assert.match(ref, /^#\/components\/schemas\/[A-Z]\w+$/);
      assert.ok(at(ref) !== undefined, ref);
    }
    assert.ok(!JSON.stringify(document).includes("$id"));
  });

  test("names every operation once, with a summary, a tag that is described, and its answers", () => {
    const tags = new Set((document["tags"] as { name: string }[]).map((tag) => tag.name));
    const names = operations().map(([, { operationId }]) => operationId);
    assert.equal(new Set(names).size, names.length);
    for (const [where, { summary, tags: own, responses, parameters = [] }] of operations()) {
      assert.ok(summary && own.length === 1 && tags.has(own[0] ?? ""), where);
      assert.ok(
        Object.keys(responses).some((status) => status.startsWith("2")),
        where,
      );
      for (const each of Object.values(responses)) assert.ok(each.description, where);
      const inPath = [...where.matchAll(/\{(\w+)\}/g)].map(([, name]) => name);
      const documented = parameters.filter((each) => each.in === "path" && each.required === true);
      assert.deepEqual(
        documented.map((each) => each.name),
        inPath,
        where,
      );
      for (const each of parameters) assert.ok(each.schema, where);
    }
  });

  test("lists every route", () => {
    const listed = new Set(operations().map(([where]) => where.replaceAll(/\{(\w+)\}/g, ":$1")));
    for (const where of [
      "POST /payout-invoices",
      "GET /payout-invoices",
      "GET /payout-invoices/:id",
      "POST /payout-invoices/:id/process",
      "PUT /payout-requests/:id",
      "GET /payout-requests/:id",
      "GET /payout-requests",
      "POST /payout-requests",
      "PATCH /payout-requests/:id",
      "POST /payout-requests/:id/cancel",
      "GET /payout-requests/:id/payment-instruments",
      ...["", "/acts"].flatMap((path) => [`GET /moderation${path}`, `GET /moderation${path}/:id`]),
      ...["assign", "comment", "close"].map((word) => `POST /moderation/:id/${word}`),
      ...["confirm", "withdraw"].map((word) => `POST /moderation/acts/:id/${word}`),
      ...["payout-invoices", "payout-requests", "payouts"].map((name) => `GET /${name}/:id/timeline`),
      "GET /payouts",
      "GET /payouts/:id",
      "GET /accounts",
      "GET /accounts/trial-balance",
      ...["deposits", "withdrawals", "transfers"].flatMap((kind) => [
        `POST /${kind}`,
        `GET /${kind}`,
        `GET /${kind}/:id`,
        `POST /${kind}/:id/approve`,
      ]),
      "POST /payout-invoices/:id/terminate",
      ...["inquire", "process", "terminate", "revoke", "cancel", "evidence", "repeat", "settle-incident"].map(
        (word) => `POST /payouts/:id/${word}`,
      ),
      ...["refund", "moderation"].map((word) => `POST /payout-invoices/:id/${word}`),
      ...["GET", "POST"].map((method) => `${method} /payout-request-allocations`),
      ...["GET", "PATCH"].map((method) => `${method} /payout-request-allocations/:id`),
      ...["auto", "process"].map((word) => `POST /payout-request-allocations/${word}`),
      "GET /accounts/:id/entries",
      "GET /organizations",
      "GET /payout-services",
      "GET /events",
      "GET /gates",
      "POST /gates",
      ...[
        "websites",
        "customers",
        "provider-accounts",
        "deposit-accounts",
        "payout-routes",
        "webhook-endpoints",
      ].flatMap((name) => [`POST /${name}`, `GET /${name}`, `GET /${name}/:id`, `PATCH /${name}/:id`]),
      ...["POST", "GET"].map((method) => `${method} /payment-instruments`),
      "GET /payment-instruments/:id",
      ...["routing", "rate", "commerce"].flatMap((kind) => [
        `POST /${kind}-schemes`,
        `GET /${kind}-schemes`,
        `GET /${kind}-schemes/:id`,
        `PUT /${kind}-schemes/:id`,
        `GET /${kind}-schemes/:id/revisions`,
      ]),
      "POST /webhook-endpoints/:id/rotate-secret",
      "POST /webhook-endpoints/:id/replay",
      "GET /webhook-deliveries",
      "GET /webhook-deliveries/:id",
      "POST /webhook-deliveries/:id/resend",
      "GET /webhook-secret",
      "POST /callbacks/:callbackId",
      "GET /health/live",
      "GET /health/ready",
    ]) {
      assert.ok(listed.delete(where), where);
      const [method = "", path = ""] = where.split(" ");
      assert.ok(world.app.hasRoute({ method, url: path }), where);
      const isTenant = !/^\/(callbacks|health)/.test(path);
      const nested = { method: method as "GET", url: `/organizations/:organizationId${path}` };
      assert.equal(world.app.hasRoute(nested), isTenant, where);
    }
    assert.deepEqual([...listed], []);
  });

  test("says how to authenticate, and where nobody need", () => {
    const schemes = at("#/components/securitySchemes") as Record<string, Json>;
    assert.deepEqual(
      Object.values(schemes).map((scheme) => scheme["name"] ?? scheme["scheme"]),
      ["bearer", "basic", "REB-APIKEY"],
    );
    assert.equal((document["security"] as unknown[]).length, 3);
    const open = operations().filter(([, { security }]) => security?.length === 0);
    assert.deepEqual(open.map(([where]) => where).sort(), [
      "GET /health/live",
      "GET /health/ready",
      "POST /callbacks/{callbackId}",
    ]);
  });

  test("has problems for every refusal, of codes that exist", () => {
    for (const [where, { responses }] of operations()) {
      for (const [status, { description, content }] of Object.entries(responses)) {
        if (Number(status) < 400) continue;
        assert.deepEqual(Object.keys(content ?? {}), ["application/problem+json"], `${where} ${status}`);
        for (const [, code = ""] of description.matchAll(/`([a-z-]+)`:/g)) {
          assert.equal(ERRORS[code as keyof typeof ERRORS]?.status, Number(status), `${where} ${code}`);
        }
      }
    }
    const { responses } = operation("POST /payout-invoices");
    const expected = ["201", "400", "401", "403", "409", "413", "415", "422", "500", "503"];
    assert.deepEqual(Object.keys(responses), expected);
  });

  test("describes bodies, keys and tags", () => {
    const schema = operation("POST /payout-invoices").requestBody?.content["application/json"]?.schema as Json;
    assert.deepEqual(schema["required"], ["referenceId", "websiteId", "currency", "service"]);
    const amount = (schema["properties"] as Record<string, Json>)["amount"];
    assert.deepEqual(amount?.["type"], ["number", "string"]);
    assert.ok(JSON.stringify(operation("POST /payout-invoices").requestBody).includes("order-1"));
    const header = (where: string, name: string) => operation(where).parameters?.find((each) => each.name === name);
    assert.equal(header("POST /deposits", "Idempotency-Key")?.required, true);
    assert.notEqual(header("POST /payout-invoices", "Idempotency-Key")?.required, true);
    assert.equal(header("POST /deposits/{id}/approve", "If-Match")?.required, true);
    assert.equal(header("GET /payouts", "limit")?.schema["type"], "integer");
  });

  test("knows where it is served", () => {
    const [own, below] = document["servers"] as { url: string }[];
    assert.equal(own?.url, "https://pay.example");
    assert.equal(below?.url, "https://pay.example/organizations/{organizationId}");
  });
});

/** As much of a validator as our own schemas need. */
function misfits(schema: Json, value: unknown, path: string): string[] {
  if (typeof schema["$ref"] === "string") return misfits(at(schema["$ref"]) as Json, value, path);
  const types = [schema["type"] ?? []].flat() as string[];
  const kind = value === null ? "null" : Array.isArray(value) ? "array" : typeof value;
  const isOfType = types.length === 0 || types.includes(kind) || (kind === "number" && types.includes("integer"));
  if (!isOfType) return [`${path} is ${kind}, not ${types.join("|")}`];
  if (Array.isArray(schema["enum"]) && !schema["enum"].includes(value)) return [`${path}: ${String(value)}`];
  if (Array.isArray(value)) {
    return value.flatMap((each, index) => misfits((schema["items"] ?? {}) as Json, each, `${path}.${index}`));
  }
  if (kind !== "object" || schema["properties"] === undefined) return [];
  const properties = schema["properties"] as Record<string, Json>;
  const members = value as Json;
  const missing = ((schema["required"] ?? []) as string[]).filter((name) => !(name in members));
  return [
    ...missing.map((name) => `${path}.${name} is missing`),
    ...Object.entries(members).flatMap(([name, member]) =>
      properties[name] === undefined
        ? [`${path}.${name} is not described`]
        : misfits(properties[name], member, `${path}.${name}`),
    ),
  ];
}

describe("answers", () => {
  const fits = (name: string, value: unknown) => {
    assert.deepEqual(misfits(at(`#/components/schemas/${name}`) as Json, value, name), []);
  };

  test("are as the document describes them", async () => {
    const order = { websiteId: "web_demo", currency: "USD", amount: 5, service: "test_usd" };
    const invoice = await world.call("POST", "/payout-invoices", {
      body: { ...order, referenceId: "doc-1", fields: { account: "a" }, metadata: { any: { thing: [1] } } },
    });
    assert.equal(invoice.status, 201, invoice.text);
    fits("PayoutInvoice", invoice.body);
    fits("PayoutInvoice", (await world.call("GET", `/payout-invoices/${String(invoice.body["id"])}`)).body);
    const request = {
      websiteId: "web_auto",
      customerId: "cus_auto",
      currency: "USD",
      amount: 1,
      paymentInstrumentId: "inst_auto",
    };
    fits("PayoutRequest", (await world.call("PUT", "/payout-requests/doc-1", { body: request })).body);
    const first = async (path: string): Promise<unknown> => Object.values((await world.call("GET", path)).body)[0];
    fits("Payout", await first("/payouts"));
    fits("LedgerAccount", await first("/accounts"));
    fits("FundsMovement", await first("/deposits"));
    fits("TrialBalance", (await world.call("GET", "/accounts/trial-balance")).body);
    fits("Problem", (await world.call("POST", "/payout-invoices", { body: {} })).body);
    fits("Health", (await world.call("GET", "/health/live")).body);
  });

  test("of every list are what the document says", async () => {
    await world.call("POST", "/webhook-endpoints", { body: { url: "https://hooks.example" } });
    await world.call("PUT", "/payout-requests/doc-2", {
      body: { websiteId: "web_demo", customerId: "cus_demo", currency: "USD", amount: 1 },
    });
    const lists = operations().filter(([where]) => /^GET [^{]*$/.test(where));
    const seen: string[] = [];
    for (const [where, { responses }] of lists) {
      const schema = responses["200"]?.content?.["application/json"]?.schema;
      const name = /\/(\w+)$/.exec(String((schema?.["items"] as Json | undefined)?.["$ref"]))?.[1];
      if (name === undefined) continue;
      const [first] = (await world.call("GET", where.slice("GET ".length))).body as unknown as Json[];
      if (first === undefined) continue;
      fits(name, first);
      seen.push(name);
    }
    for (const name of [
      "Website",
      "PayoutService",
      "RoutingScheme",
      "RateScheme",
      "CommerceScheme",
      "Event",
      "WebhookDelivery",
    ])
      assert.ok(seen.includes(name), name);
  });
});

describe("the reference page", () => {
  test("is served from our own files, under a policy of its own", async () => {
    const moved = await world.app.inject({ method: "GET", url: "/reference" });
    const page = await world.app.inject({ method: "GET", url: "/reference/" });
    assert.equal(moved.statusCode, 301);
    assert.equal(page.statusCode, 200);
    assert.match(String(page.headers["content-type"]), /^text\/html/);
    assert.ok(page.body.includes("/openapi.json"));
    const policy = String(page.headers["content-security-policy"]);
    assert.match(policy, /script-src 'self' 'sha256-[A-Za-z0-9+/=]{44}'/);
    assert.ok(!policy.includes("unsafe-eval") && !/https?:/.test(policy), policy);
    const sources = [...page.body.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, source = ""]) => source);
    assert.ok(sources.length > 0 && sources.every((source) => !/^(https?:)?\/\//.test(source)), sources.join());
    const script = await world.app.inject({ method: "GET", url: `/reference/${sources[0] ?? ""}` });
    assert.equal(script.statusCode, 200);
    assert.ok(script.body.length > 1_000_000);
  });
});
