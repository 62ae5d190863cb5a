/** Schemes decide about orders, in the revision that is newest; and an order is ended before its time. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { faultsIn, refused, settingsOf } from "../support/settings.ts";
import { type Json, openWorld, said, type World } from "../support/world.ts";

let world: World;
const { get, post, patch, put, made, order, fund } = settingsOf(() => world);

before(async () => {
  world = await openWorld();
  world.provider.answer = (order) => said(order, "paid");
  await fund("web_demo", "dep_backup_usd");
});
after(async () => {
  assert.deepEqual(world.broken, []);
  await world.close();
});

describe("schemes", () => {
  test("decide about routes, in the revision that is newest", async () => {
    const leaf = { strategy: "direct", routes: ["rt_backup_usd"] };
    const first = await made("/routing-schemes", { id: "rs_own", name: "Own", services: { test_usd: leaf } });
    assert.deepEqual(first.body["services"], { test_usd: leaf });
    const site = await made("/websites", {
      id: "web_schemes",
      name: "S",
      url: "https://s.example",
      routingSchemeId: "rs_own",
    });
    await fund("web_schemes");
    const routeOf = async () => {
      const { body } = await order({ websiteId: "web_schemes" });
      const [payout] = (body["payouts"] ?? []) as Json[];
      return [payout?.["routeId"], payout?.["routingRevision"], body["status"]];
    };
    assert.deepEqual((await routeOf()).slice(0, 2), ["rt_backup_usd", 1]);
    const weights = {
      strategy: "weight",
      routes: [
        { route: "rt_demo_usd", weight: 1 },
        { route: "rt_backup_usd", weight: 0 },
      ],
    };
    refused(await put("/routing-schemes/rs_own", { otherwise: weights }, null), 428, "if-match-required");
    const second = await put("/routing-schemes/rs_own", { otherwise: weights }, '"1"');
    assert.equal(second.status, 200, second.text);
    assert.deepEqual([second.body["revision"], second.body["name"], second.body["services"]], [2, "Own", {}]);
    assert.equal(second.headers["etag"], '"2"');
    refused(await put("/routing-schemes/rs_own", { otherwise: weights }, '"1"'), 412, "version-conflict");
    refused(await put("/routing-schemes/none", { otherwise: weights }, '"1"'), 404, "not-found");
    assert.deepEqual((await routeOf()).slice(0, 2), ["rt_demo_usd", 2]);
    await put("/routing-schemes/rs_own", { name: "Shut", services: { test_usd: { block: true } } }, '"2"');
    assert.deepEqual(await routeOf(), [undefined, undefined, "process_failed"]);
    const revisions = (await get("/routing-schemes/rs_own/revisions")).body as unknown as Json[];
    assert.deepEqual(
      revisions.map((each) => [each["revision"], each["name"]]),
      [
        [3, "Shut"],
        [2, "Own"],
        [1, "Own"],
      ],
    );
    assert.equal((await get("/routing-schemes/rs_own")).body["revision"], 3);
    refused(await get("/routing-schemes/none/revisions"), 404, "not-found");
    refused(await post("/routing-schemes", { id: "rs_own", name: "Again" }), 409, "id-used");
    assert.equal(site.body["routingSchemeId"], "rs_own");
  });

  test("decide about rates and commission", async () => {
    const rates = { id: "fx_own", name: "Rates", pairs: [{ base: "EUR", quote: "USD", rate: 1.1, feePercent: "0" }] };
    const { text } = await made("/rate-schemes", rates);
    assert.match(text, /"rate":1\.1,"feePercent":0/);
    await made("/commerce-schemes", {
      id: "cs_own",
      name: "Fees",
      services: { test_usd: { feeRate: 0.1, feeMin: "2.00" } },
    });
    const path = "/websites/web_schemes";
    const { headers } = await get(path);
    const change = { rateSchemeId: "fx_own", commerceSchemeId: "cs_own", autoprocess: false };
    assert.equal((await patch(path, change, headers["etag"])).status, 200);
    const { body } = await order({ websiteId: "web_schemes", currency: "EUR" });
    assert.deepEqual([body["serviceAmount"], body["serviceFee"]], [11, 2]);
    assert.equal(body["status"], "created");
    const doubled = { pairs: [{ base: "EUR", quote: "USD", rate: "2.2" }] };
    assert.equal((await put("/rate-schemes/fx_own", doubled, '"1"')).status, 200);
    assert.equal((await order({ websiteId: "web_schemes", currency: "EUR" })).body["serviceAmount"], 22);
  });

  test("name every member at fault", async () => {
    const routing = {
      services: {
        test_usd: { strategy: "priority", routes: ["none", "rt_demo_eur"] },
        test_eur: { strategy: "weight", routes: [{ route: "rt_demo_eur", weight: 0 }] },
        no_service: { block: true },
        test_gbp: "block",
      },
      otherwise: { set: [{ strategy: "best", routes: [] }, { set: [] }] },
    };
    assert.deepEqual(faultsIn(await post("/routing-schemes", routing)).toSorted(), [
      "name",
      "otherwise.set[0].strategy",
      "otherwise.set[1].set",
      "services.no_service",
      "services.test_eur.routes",
      "services.test_gbp",
      "services.test_usd.routes[0]",
      "services.test_usd.routes[1]",
    ]);
    const pairs = [
      { base: "USD", quote: "EUR", rate: -1 },
      { base: "USD" },
      7,
      { base: "USD", quote: "JPY", rate: "x", inverted: 1 },
    ];
    assert.deepEqual(faultsIn(await post("/rate-schemes", { name: "R", pairs })).toSorted(), [
      "pairs[0].rate",
      "pairs[1].quote",
      "pairs[1].rate",
      "pairs[2]",
      "pairs[3].inverted",
      "pairs[3].rate",
    ]);
    const services = { test_jpy: { feeFixed: 0.5 }, test_usd: { feeMin: 3, feeMax: 2, strategy: "outer" } };
    assert.deepEqual(faultsIn(await put("/commerce-schemes/commerce_demo", { services }, '"1"')).toSorted(), [
      "services.test_jpy.feeFixed",
      "services.test_usd.feeMax",
      "services.test_usd.strategy",
    ]);
  });

  test("two changes at once: one is made", async () => {
    const path = "/commerce-schemes/cs_own";
    const body = { otherwise: { feeRate: 0.02 } };
    const both = await Promise.all([put(path, body, '"1"'), put(path, body, '"1"')]);
    assert.deepEqual(
      both.map((each) => each.status).toSorted((a, b) => a - b),
      [200, 412],
    );
  });
});

describe("terminate", () => {
  test("ends an invoice that nobody has processed, and no other", async () => {
    const { body } = await order({ autoprocess: false });
    const path = `/payout-invoices/${String(body["id"])}/terminate`;
    const ended = await world.call("POST", path);
    assert.deepEqual([ended.status, ended.body["status"]], [200, "terminated"]);
    refused(await world.call("POST", path), 409, "not-in-this-status");
    refused(await world.call("POST", "/payout-invoices/none/terminate"), 404, "not-found");
  });

  test("follows what is at the provider to its end", async () => {
    world.provider.answer = (each) => said(each, "queued");
    const { body } = await order({});
    const path = `/payout-invoices/${String(body["id"])}`;
    const ended = await world.call("POST", `${path}/terminate`);
    assert.equal(ended.status, 200, ended.text);
    assert.match(String(ended.body["status"]), /^process/);
    world.provider.answer = (each) => said(each, "paid");
  });
});
