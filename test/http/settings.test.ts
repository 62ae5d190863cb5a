/** What an organization configures through the API, and that orders obey it. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { after, before, describe, test } from "node:test";
import { Client } from "pg";
import { faultsIn, refused, settingsOf } from "../support/settings.ts";
import { type Json, openWorld, PUBLIC_URL, said, type World } from "../support/world.ts";

let world: World;
const { get, post, patch, made, guarded, order, fund } = settingsOf(() => world);

before(async () => {
  world = await openWorld();
  world.provider.answer = (order) => said(order, "paid");
  await fund("web_demo", "dep_backup_usd");
});
after(async () => {
  assert.deepEqual(world.broken, []);
  await world.close();
});

describe("organizations", () => {
  test("are the key's own, with the books that it has", async () => {
    const { body, headers } = await get("/organizations");
    assert.deepEqual(body, [{ id: "org_demo", name: "org_demo", books: ["test"] }]);
    assert.equal(headers["pagination-total"], "1");
    await world.makeKey({ kind: "live" });
    const both = (await get("/organizations/org_demo/organizations")).body as unknown as Json[];
    assert.deepEqual(both[0]?.["books"], ["live", "test"]);
  });
});

describe("websites", () => {
  test("have defaults, and are changed member by member", async () => {
    const { body } = await made("/websites", { name: "Shop", url: "https://shop.example" });
    assert.match(String(body["id"]), /^web_[0-9a-f]{32}$/);
    const { id, createdTime: _created, updatedTime: _updated, _links, ...rest } = body;
    assert.deepEqual(rest, {
      name: "Shop",
      url: "https://shop.example",
      autoprocess: true,
      payoutRequest: { autoprocess: false },
      lifetimeMinutes: 2880,
      requestLifetimeDays: 365,
      revokeAtExpiry: false,
      refundCommission: "keep",
      secondPersonAbove: {},
      routingSchemeId: null,
      rateSchemeId: null,
      commerceSchemeId: null,
      version: 1,
    });
    const path = `/websites/${String(id)}`;
    await guarded(path, { name: "Other" });
    const changed = await patch(path, { payoutRequest: { autoprocess: true }, routingSchemeId: "route_demo" }, '"2"');
    assert.deepEqual(changed.body["payoutRequest"], { autoprocess: true });
    assert.equal(changed.body["name"], "Other");
    const cleared = await patch(path, { routingSchemeId: null }, changed.headers["etag"]);
    assert.equal(cleared.body["routingSchemeId"], null);
    assert.deepEqual(cleared.body["payoutRequest"], { autoprocess: true });
  });

  test("every fault at once", async () => {
    const bad = {
      id: "a b",
      url: "ftp://shop.example",
      lifetimeMinutes: 0,
      requestLifetimeDays: 0,
      autoprocess: "yes",
      payoutRequest: { autoprocess: 1 },
      routingSchemeId: "rate_demo",
      rateSchemeId: "none",
      commerceSchemeId: 7,
    };
    assert.deepEqual(
      faultsIn(await post("/websites", bad)).toSorted(),
      [...Object.keys(bad), "name", "payoutRequest.autoprocess"].filter((name) => name !== "payoutRequest").toSorted(),
    );
    assert.deepEqual(faultsIn(await patch("/websites/web_demo", { url: "https://u:p@x.example" }, '"1"')), ["url"]);
  });

  test("an id is taken once; a repeat with a key is the same answer", async () => {
    const site = { id: "web@own~1.x", name: "Own", url: "https://own.example" };
    const first = await post("/websites", site, { "idempotency-key": "website-1" });
    assert.equal(first.status, 201, first.text);
    const again = await post("/websites", site, { "idempotency-key": "website-1" });
    assert.equal(again.text, first.text);
    assert.equal(again.headers["idempotency-replayed"], "true");
    const taken = await post("/websites", site);
    refused(taken, 409, "id-used");
    assert.equal(taken.headers["location"], `${PUBLIC_URL}/websites/web@own~1.x`);
  });
});

describe("customers", () => {
  test("are made, changed, and have one name per website", async () => {
    const { body } = await made("/customers", { websiteId: "web_demo", referenceId: "user-1", metadata: { a: [1] } });
    const path = `/customers/${String(body["id"])}`;
    assert.deepEqual([body["email"], body["metadata"]], [null, { a: [1] }]);
    await guarded(path, { email: "user@shop.example", websiteId: "web_auto" });
    const read = await get(path);
    assert.deepEqual([read.body["email"], read.body["websiteId"]], ["user@shop.example", "web_demo"]);
    const twin = await post("/customers", { websiteId: "web_demo", referenceId: "user-1" });
    refused(twin, 409, "reference-id-used");
    assert.equal(twin.headers["location"], `${PUBLIC_URL}${path}`);
    await made("/customers", { websiteId: "web_auto", referenceId: "user-1" });
    const other = await made("/customers", { websiteId: "web_demo", id: "cus-own", name: "N" });
    refused(
      await patch("/customers/cus-own", { referenceId: "user-1" }, other.headers["etag"]),
      409,
      "reference-id-used",
    );
    const freed = await patch(path, { referenceId: null, email: null, metadata: null }, read.headers["etag"]);
    assert.deepEqual([freed.body["referenceId"], freed.body["email"], freed.body["metadata"]], [null, null, null]);
    assert.equal((await patch("/customers/cus-own", { referenceId: "user-1" }, other.headers["etag"])).status, 200);
    refused(await post("/customers", { websiteId: "web_demo", id: "cus-own" }), 409, "id-used");
  });

  test("every fault at once", async () => {
    const bad = { websiteId: "none", email: "x", referenceId: "", phone: 1, metadata: [] };
    assert.deepEqual(faultsIn(await post("/customers", bad)).toSorted(), Object.keys(bad).toSorted());
    assert.deepEqual(faultsIn(await post("/customers", {})), ["websiteId"]);
  });
});

describe("payment instruments", () => {
  test("never show more than is masked, are sealed, and are paid to", async () => {
    const fields = { account: "secret-account-77", test_details_scenario: "ok" };
    const reply = await made("/payment-instruments", { customerId: "cus_demo", service: "test_usd", fields });
    assert.equal(reply.body["masked"], "****t-77, ok");
    assert.ok(!reply.text.includes("secret-account"), reply.text);
    const client = new Client(world.database.ownerConfig);
    await client.connect();
    const { rows } = await client.query("select i::text as row from bursar.payment_instrument i");
    const { rows: commands } = await client.query("select c::text as row from bursar.command c");
    await client.end();
    assert.ok(rows.length >= 4 && !JSON.stringify([rows, commands]).includes("secret-account"));
    const paid = await order({ fields: undefined, paymentInstrumentId: reply.body["id"] });
    assert.equal(paid.status, 201, paid.text);
    const sent = world.provider.orders.map((each) => String(each.draft.body));
    assert.ok(sent.some((body) => body.includes("secret-account-77")));
    refused(await world.call("PATCH", `/payment-instruments/${String(reply.body["id"])}`), 405, "method-not-allowed");
  });

  test("fit their service", async () => {
    const bad = { customerId: "none", service: "test_usd", fields: { test_details_scenario: "x", other: "y" } };
    assert.deepEqual(faultsIn(await post("/payment-instruments", bad)), [
      "customerId",
      "fields.account",
      "fields.test_details_scenario",
      "fields.other",
    ]);
    assert.deepEqual(faultsIn(await post("/payment-instruments", { service: "none", fields: { a: 1 } })).toSorted(), [
      "customerId",
      "fields.a",
      "service",
    ]);
  });
});

describe("payout services", () => {
  test("say what they want to know of a payee", async () => {
    const reply = await get("/payout-services?currency=USD");
    const [service] = reply.body as unknown as Json[];
    assert.equal(reply.headers["pagination-total"], "1");
    assert.deepEqual([service?.["id"], service?.["currency"], service?.["connector"]], ["test_usd", "USD", "sandbox"]);
    const [field] = (service?.["fields"] ?? []) as Json[];
    assert.deepEqual([field?.["name"], field?.["required"], field?.["secret"]], ["account", true, true]);
    assert.equal((await get("/payout-services?filter=currency:EUR,USD")).headers["pagination-total"], "2");
  });
});

const ACCOUNT = {
  connector: "sandbox",
  name: "Second provider",
  baseUrl: "http://second.example/api/",
  settings: { scenario: "ok" },
  credentials: { secret: "very-secret-key" },
};

describe("provider accounts", () => {
  test("keep their credentials, and are called back at an address of their own", async () => {
    const reply = await made("/provider-accounts", { id: "pacc_second", ...ACCOUNT });
    const { body } = reply;
    assert.ok(!reply.text.includes("very-secret") && body["credentials"] === undefined);
    assert.deepEqual(
      [body["baseUrl"], body["gate"], body["settings"]],
      ["http://second.example/api", "open", { scenario: "ok" }],
    );
    const [, callbackId = ""] =
      /^https:\/\/pay\.example\/callbacks\/([\w-]{43})$/.exec(String(body["callbackUrl"])) ?? [];
    const found = await world.reads.findCallback(createHash("sha256").update(callbackId).digest("hex"));
    assert.equal(found?.id, "pacc_second");
    refused(await world.call("POST", `/callbacks/${callbackId}`, { body: {} }), 401, "unauthorized");
    const opened = await world.engine.account(world.book, "pacc_second");
    assert.deepEqual(opened?.account.credentials, { secret: "very-secret-key" });
    refused(await post("/provider-accounts", { id: "pacc_second", ...ACCOUNT }), 409, "id-used");
  });

  test("are changed member by member", async () => {
    const path = "/provider-accounts/pacc_second";
    await guarded(path, { name: "Renamed" });
    const { headers } = await get(path);
    const changed = await patch(
      path,
      { credentials: { secret: "next-key" }, settings: { scenario: null } },
      headers["etag"],
    );
    assert.deepEqual(changed.body["settings"], {});
    const opened = await world.engine.account(world.book, "pacc_second");
    assert.deepEqual(opened?.account.credentials, { secret: "next-key" });
    const bad = {
      credentials: { secret: null, key: "k" },
      settings: { scenario: "none" },
      baseUrl: "https://x.example/?a=1",
    };
    assert.deepEqual(faultsIn(await patch(path, bad, changed.headers["etag"])).toSorted(), [
      "baseUrl",
      "credentials.key",
      "credentials.secret",
      "settings.scenario",
    ]);
  });

  test("every fault at once", async () => {
    assert.deepEqual(faultsIn(await post("/provider-accounts", { connector: "none", baseUrl: "x" })), [
      "name",
      "connector",
      "baseUrl",
    ]);
    const swapped = { ...ACCOUNT, settings: { secret: "s" }, credentials: { scenario: "ok" } };
    assert.deepEqual(faultsIn(await post("/provider-accounts", swapped)), [
      "settings.secret",
      "credentials.secret",
      "credentials.scenario",
    ]);
  });

  test("a shut gate sends nothing; opening it closes what had asked for a person", async () => {
    const path = "/provider-accounts/pacc_demo";
    const openItems = async () => {
      const { openItems: items } = await world.reads.gauges();
      return items.find((each) => each.reason === "account_refused")?.count ?? 0;
    };
    // The provider refuses our credentials: the engine itself shuts the gate and asks for a person.
    const refusal = JSON.stringify({ error: "unauthorized" });
    let refusals = 1;
    world.provider.answer = (each) => {
      if (refusals-- <= 0) return said(each, "paid");
      return { kind: "answer", result: { status: 401, headers: {}, body: refusal } };
    };
    await order({});
    await world.until(path, (account) => account["gate"] === "shut");
    assert.equal(await openItems(), 1);
    const shut = await get(path);
    assert.ok(shut.body["gateReason"] !== null);
    assert.deepEqual(faultsIn(await patch(path, { gate: "open", gateReason: "x" }, shut.headers["etag"])), [
      "gateReason",
    ]);
    const opened = await patch(path, { gate: "open" }, shut.headers["etag"]);
    assert.deepEqual([opened.body["gate"], opened.body["gateReason"]], ["open", null]);
    assert.equal(await openItems(), 0);
    const byHand = await patch(path, { gate: "shut", gateReason: "audit" }, opened.headers["etag"]);
    assert.deepEqual([byHand.body["gate"], byHand.body["gateReason"]], ["shut", "audit"]);
    const { body } = await order({});
    const [payout] = body["payouts"] as Json[];
    assert.equal(payout?.["providerAccountId"], "pacc_backup");
    await patch(path, { gate: "open" }, byHand.headers["etag"]);
  });
});

describe("deposit accounts", () => {
  test("show what the ledger has there", async () => {
    const demo = await get("/deposit-accounts/dep_demo_usd");
    assert.ok(Number(demo.body["balance"]) > 0);
    const { body, text } = await made("/deposit-accounts", {
      id: "dep_second_gbp",
      providerAccountId: "pacc_second",
      currency: "GBP",
      name: "Pounds",
      minimalBalance: "12.5",
    });
    assert.match(text, /"balance":0\.00,"minimalBalance":12\.50/);
    await guarded("/deposit-accounts/dep_second_gbp", { minimalBalance: 0, name: "Sterling" });
    assert.equal(body["providerAccountId"], "pacc_second");
    refused(await post("/deposit-accounts", { ...body, minimalBalance: 0 }), 409, "id-used");
  });

  test("every fault at once", async () => {
    const bad = { providerAccountId: "none", currency: "ABC", name: "", minimalBalance: "x" };
    assert.deepEqual(faultsIn(await post("/deposit-accounts", bad)).toSorted(), Object.keys(bad).toSorted());
    const finer = { providerAccountId: "pacc_demo", currency: "JPY", name: "Yen", minimalBalance: 0.5 };
    assert.deepEqual(faultsIn(await post("/deposit-accounts", finer)), ["minimalBalance"]);
    assert.deepEqual(faultsIn(await patch("/deposit-accounts/dep_demo_usd", { minimalBalance: -1 }, '"1"')), [
      "minimalBalance",
    ]);
  });
});

describe("payout routes", () => {
  test("are made, switched and limited", async () => {
    const { body, text } = await made("/payout-routes", {
      id: "rt_second_gbp",
      depositAccountId: "dep_second_gbp",
      service: "test_gbp",
      minAmount: 1,
      maxAmount: "1000.50",
    });
    assert.match(text, /"minAmount":1\.00,"maxAmount":1000\.50/);
    assert.deepEqual([body["isEnabled"], body["isArchived"], body["isManual"]], [true, false, false]);
    const path = "/payout-routes/rt_second_gbp";
    await guarded(path, { isManual: true, minAmount: null });
    const { headers } = await get(path);
    assert.deepEqual(faultsIn(await patch(path, { minAmount: 2000 }, headers["etag"])), ["minAmount"]);
    assert.equal((await patch(path, { isArchived: true }, headers["etag"])).body["isArchived"], true);
  });

  test("every fault at once", async () => {
    const bad = { depositAccountId: "none", service: "test_usd", isEnabled: 1, minAmount: 0, maxAmount: "1.234" };
    assert.deepEqual(faultsIn(await post("/payout-routes", bad)).toSorted(), [
      "depositAccountId",
      "isEnabled",
      "minAmount",
    ]);
    const swapped = { depositAccountId: "dep_second_gbp", service: "test_usd", minAmount: 5, maxAmount: 4 };
    assert.deepEqual(faultsIn(await post("/payout-routes", swapped)), ["service", "maxAmount"]);
  });

  test("that are switched off are taken by nobody", async () => {
    const path = "/payout-routes/rt_demo_usd";
    const off = await patch(path, { isEnabled: false }, (await get(path)).headers["etag"]);
    const { body } = await order({});
    assert.equal((body["payouts"] as Json[])[0]?.["routeId"], "rt_backup_usd");
    await patch(path, { isEnabled: true }, off.headers["etag"]);
  });
});
