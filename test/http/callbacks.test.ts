import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { after, before, describe, test } from "node:test";
import { type Callback, type Json, message, openWorld, type Reply, signed, type World } from "../support/world.ts";

let world: World;
let count = 0;

before(async () => {
  world = await openWorld();
});
after(async () => {
  assert.deepEqual(world.broken, []);
  await world.close();
});

const send = ({ url, body, headers }: Callback): Promise<Reply> =>
  world.call("POST", url, { key: null, body, headers });

/** An invoice whose payout is at the provider, and what the provider was sent. */
async function atProvider() {
  count += 1;
  const order = { websiteId: "web_demo", currency: "USD", amount: 10, service: "test_usd", fields: { account: "a" } };
  const made = await world.call("POST", "/payout-invoices", { body: { ...order, referenceId: `callback-${count}` } });
  assert.equal(made.status, 201, made.text);
  const path = `/payout-invoices/${String(made.body["id"])}`;
  const open = await world.until(path, (body) => statusOf(body) === "PENDING");
  const reference = String((open["payouts"] as Json[])[0]?.["reference"]);
  const sent = world.provider.orders.find((each) => each.draft.body?.includes(reference));
  assert.ok(sent !== undefined);
  return { path, open, paid: { messageId: `m-${count}`, ...message(sent, "paid") } };
}

const statusOf = (invoice: Json): unknown => (invoice["payouts"] as Json[])[0]?.["status"];
/** What a message could change; an inquiry in between may count itself. */
const money = (invoice: Json): unknown => [invoice["status"], statusOf(invoice), invoice["ledgerTransactions"]];
const read = async (path: string): Promise<Json> => (await world.call("GET", path)).body;

describe("a provider's message", () => {
  test("that is signed is believed, once", async () => {
    const { path, paid } = await atProvider();
    const callback = signed(paid);
    const heard = await send(callback);
    assert.equal(heard.status, 200, heard.text);
    assert.equal(heard.text, "{}");
    const processed = await read(path);
    assert.equal(processed["status"], "processed");
    assert.equal((await send(callback)).status, 200);
    assert.deepEqual(money(await read(path)), money(processed));
  });

  test("that is forged changes nothing", async () => {
    const { path, open, paid } = await atProvider();
    const good = signed(paid);
    const forgeries: Callback[] = [
      signed(paid, "another-secret"),
      { ...good, headers: { "content-type": "application/json" } },
      { ...good, headers: { ...good.headers, "x-sandbox-signature": "t=1,v1=00" } },
      { ...good, body: good.body.replace('"10.00"', '"10.01"') },
      { ...good, body: `${good.body} ` },
      { ...good, body: "" },
    ];
    for (const forged of forgeries) {
      const reply = await send(forged);
      assert.equal(reply.status, 401, reply.text);
      assert.equal(reply.body["code"], "unauthorized");
    }
    assert.deepEqual(money(await read(path)), money(open));
    assert.equal((await send(good)).status, 200);
  });

  test("is judged on its bytes, whatever they are called", async () => {
    const { path, paid } = await atProvider();
    const callback = signed(paid);
    const headers = { ...callback.headers, "content-type": "text/plain; charset=latin1" };
    assert.equal((await send({ ...callback, headers })).status, 200);
    assert.equal((await read(path))["status"], "processed");
  });

  test("about nothing we know is kept and taken", async () => {
    const { paid } = await atProvider();
    const stranger = { ...paid, messageId: "stranger", reference: "x".repeat(32) };
    assert.equal((await send(signed(stranger))).status, 200);
    assert.equal((await send(signed({ no: "order" }))).status, 200);
  });

  test("in words that no column takes is believed, without them", async () => {
    const { path, paid } = await atProvider();
    const heard = await send(signed({ ...paid, providerReference: "a\u0000", returnId: "b\ud800" }));
    assert.equal(heard.status, 200, heard.text);
    const processed = await read(path);
    assert.equal(processed["status"], "processed");
  });

  test("whose id or reference cannot be kept is refused", async () => {
    const { path, open, paid } = await atProvider();
    const long = randomBytes(2_000).toString("hex");
    for (const change of [
      { messageId: long },
      { reference: long },
      { messageId: "m\u0000" },
      { reference: "\ud800" },
    ]) {
      const reply = await send(signed({ ...paid, ...change }));
      assert.equal(reply.status, 422, reply.text);
      assert.equal(reply.body["code"], "validation-failed");
    }
    assert.deepEqual(money(await read(path)), money(open));
    assert.equal((await send(signed(paid))).status, 200);
  });

  test("to nobody is 404, too long is 413, and GET is none", async () => {
    const unknown = await send(signed({}, undefined, "unknown-address"));
    assert.equal(unknown.status, 404);
    assert.equal((await send({ ...signed({}), url: `/callbacks/${"x".repeat(240)}` })).status, 404);
    assert.equal((await send({ ...signed({}), url: "/callbacks/%00" })).status, 404);
    const long = signed({ text: "x".repeat(64 * 1024) });
    assert.equal((await send(long)).status, 413);
    const got = await world.call("GET", long.url, { key: null });
    assert.equal(got.status, 405);
    assert.equal(got.headers["allow"], "POST");
  });
});
