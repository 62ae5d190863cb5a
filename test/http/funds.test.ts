import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { type Ask, type Json, openWorld, PUBLIC_URL, type Reply, type World } from "../support/world.ts";

let world: World;
let keys = 0;

before(async () => {
  world = await openWorld();
});
after(async () => {
  assert.deepEqual(world.broken, []);
  await world.close();
});

const fresh = (): Record<string, string> => ({ "idempotency-key": `funds-${keys++}` });
const post = (kind: string, body: unknown, ask: Ask = {}) =>
  world.call("POST", `/${kind}s`, { headers: fresh(), ...ask, body });
const approve = (kind: string, id: unknown, tag: string | null) =>
  world.call("POST", `/${kind}s/${String(id)}/approve`, { headers: tag === null ? {} : { "if-match": tag } });

async function balance(id: string): Promise<unknown> {
  const list = await world.call("GET", `/accounts?filter=id:${id}`);
  return (list.body as unknown as Json[])[0]?.["balance"];
}

const faultsIn = (reply: Reply): string[] =>
  (reply.body["invalidFields"] as { field: string }[]).map((each) => each.field);

describe("deposits", () => {
  const order = { websiteId: "web_auto", currency: "USD", amount: "50.10", depositAccountId: "dep_demo_usd" };

  test("are made, then approved: only then posted", async () => {
    const made = await post("deposit", order);
    assert.equal(made.status, 201, made.text);
    assert.equal(made.headers["location"], `${PUBLIC_URL}/deposits/${String(made.body["id"])}`);
    assert.match(made.text, /"amount":50\.10,/);
    assert.equal(made.body["status"], "created");
    assert.equal(await balance("available:web_auto:USD"), undefined);
    const approved = await approve("deposit", made.body["id"], String(made.headers["etag"]));
    assert.equal(approved.status, 200, approved.text);
    assert.equal(approved.body["status"], "approved");
    assert.equal(await balance("available:web_auto:USD"), 50.1);
    const read = await world.call("GET", `/deposits/${String(made.body["id"])}`);
    assert.deepEqual(read.body, approved.body);
    assert.equal(read.headers["etag"], '"2"');
    assert.equal((await world.call("GET", "/accounts/trial-balance")).body["balanced"], true);
  });

  test("need a key of the caller's own", async () => {
    const refused = await post("deposit", order, { headers: {} });
    assert.equal(refused.status, 422);
    assert.equal(refused.body["code"], "idempotency-key-required");
    const headers = fresh();
    const [one, two] = await Promise.all([post("deposit", order, { headers }), post("deposit", order, { headers })]);
    assert.equal(one?.text, two?.text);
  });

  test("are approved by whoever has read them, once", async () => {
    const { body } = await post("deposit", order);
    const without = await approve("deposit", body["id"], null);
    assert.equal(without.status, 428);
    assert.equal(without.body["code"], "if-match-required");
    for (const tag of ['"2"', "*", "1"]) assert.equal((await approve("deposit", body["id"], tag)).status, 412, tag);
    const both = await Promise.all([approve("deposit", body["id"], '"1"'), approve("deposit", body["id"], '"1"')]);
    assert.deepEqual(both.map((reply) => String(reply.status)).sort(), ["200", "412"]);
    assert.equal((await approve("deposit", body["id"], '"2"')).status, 409);
    assert.equal((await approve("withdrawal", body["id"], '"2"')).status, 404);
  });

  test("with faults are named all at once", async () => {
    const reply = await post("deposit", { websiteId: "web_no", currency: 5, amount: -1, depositAccountId: "dep_no" });
    assert.equal(reply.status, 422);
    assert.deepEqual(faultsIn(reply).sort(), ["amount", "currency", "depositAccountId", "websiteId"]);
    const other = await post("deposit", { ...order, currency: "EUR" });
    assert.deepEqual(faultsIn(other), ["depositAccountId"]);
  });
});

describe("withdrawals and transfers", () => {
  test("move what is there, and not more", async () => {
    const before = Number(await balance("available:web_demo:EUR"));
    const out = await post("withdrawal", { websiteId: "web_demo", currency: "EUR", amount: 100 });
    assert.equal(out.status, 201, out.text);
    assert.equal(out.body["depositAccountId"], null);
    assert.equal((await approve("withdrawal", out.body["id"], '"1"')).status, 200);
    const over = await post("transfer", {
      websiteId: "web_demo",
      toWebsiteId: "web_auto",
      currency: "EUR",
      amount: 20,
    });
    assert.equal(over.body["toWebsiteId"], "web_auto");
    assert.equal((await approve("transfer", over.body["id"], '"1"')).status, 200);
    assert.equal(await balance("available:web_demo:EUR"), before - 120);
    assert.equal(await balance("available:web_auto:EUR"), 20);
    const much = await post("withdrawal", { websiteId: "web_auto", currency: "EUR", amount: 20.01 });
    const refused = await approve("withdrawal", much.body["id"], '"1"');
    assert.equal(refused.status, 409);
    assert.equal(refused.body["code"], "insufficient-funds");
    assert.equal((await world.call("GET", `/withdrawals/${String(much.body["id"])}`)).body["status"], "created");
    assert.equal((await world.call("GET", "/accounts/trial-balance")).body["balanced"], true);
  });

  test("a transfer names another website", async () => {
    const same = { websiteId: "web_demo", toWebsiteId: "web_demo", currency: "EUR", amount: 1 };
    assert.deepEqual(faultsIn(await post("transfer", same)), ["toWebsiteId"]);
  });

  test("each kind has its own list", async () => {
    for (const kind of ["deposit", "withdrawal", "transfer"]) {
      const list = await world.call("GET", `/${kind}s`);
      const kinds = (list.body as unknown as Json[]).map((each) => each["kind"]);
      assert.ok(kinds.length > 0 && kinds.every((each) => each === kind));
      assert.equal(list.headers["pagination-total"], String(kinds.length));
    }
  });
});
