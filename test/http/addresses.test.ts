/** A provider account's address is changed over HTTP while an order is under way: what is kept of it, and what is refused. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import pg from "pg";
import type { HttpOrder } from "../../src/engine/ports.ts";
import { refused, type Settings, settingsOf } from "../support/settings.ts";
import { type Json, openWorld, type World } from "../support/world.ts";

let world: World;
let owner: pg.Client;
const { get, patch, order }: Settings = settingsOf(() => world);
const PATH = "/provider-accounts/pacc_demo";

before(async () => {
  world = await openWorld();
  owner = new pg.Client(world.database.ownerConfig);
  await owner.connect();
  world.engine.start();
});
after(async () => {
  await owner.end();
  assert.deepEqual(world.broken, []);
  await world.close();
});

async function addressed(): Promise<{ time: Date | null; epoch: string | null }> {
  const { rows } = await owner.query<{ time: Date | null; epoch: string | null }>(
    "select addressed_time as time, addressed_epoch as epoch from bursar.provider_account where id = 'pacc_demo'",
  );
  assert.ok(rows[0] !== undefined);
  return rows[0];
}

async function changed(members: Json): Promise<void> {
  const { headers } = await get(PATH);
  const reply = await patch(PATH, members, headers["etag"]);
  assert.equal(reply.status, 200, reply.text);
}

test("only what is really another address, setting or credential is noted, with the epoch", async () => {
  assert.deepEqual(await addressed(), { time: null, epoch: null });
  const secret = "provider-secret";
  await changed({ name: "Renamed", baseUrl: "http://sandbox.example/", settings: {}, credentials: { secret } });
  await changed({ gate: "shut" });
  await changed({ gate: "open" });
  assert.deepEqual(await addressed(), { time: null, epoch: null });
  for (const members of [
    { baseUrl: "http://second.example" },
    { settings: { scenario: "ok" } },
    { settings: { scenario: null } },
    { credentials: { secret: "another-secret" } },
  ]) {
    const { time: last } = await addressed();
    await changed(members);
    const { time, epoch } = await addressed();
    assert.ok(time !== null && time.getTime() > (last?.getTime() ?? 0), JSON.stringify(members));
    assert.equal(epoch, "1");
    await changed(members);
    assert.deepEqual((await addressed()).time, time, "the same again is no change");
  }
});

test("what was sent before is not repeated to where the account is now; a person decides with evidence", async () => {
  const sent: HttpOrder[] = [];
  world.provider.answer = (each) => {
    if (each.draft.method === "POST") sent.push(each);
    return { kind: "timeout" };
  };
  const { body: invoice } = await order({ amount: 10 });
  const path = `/payout-invoices/${String(invoice["id"])}`;
  const unknown = await world.until(path, ({ moderationRequired }) => moderationRequired === true);
  const payoutId = String((unknown["payouts"] as Json[])[0]?.["id"]);
  await changed({ baseUrl: "http://third.example" });
  const repeat = async () => {
    const { headers } = await get(`/payouts/${payoutId}`);
    const body = { reason: "the first may be lost" };
    const ask = { body, headers: { "if-match": String(headers["etag"]) } };
    return world.call("POST", `/payouts/${payoutId}/repeat`, ask);
  };
  let reply = await repeat();
  // An inquiry may have changed it meanwhile, or may be on its way.
  const deadline = Date.now() + 10_000;
  while (reply.body["code"] !== "not-in-this-status" && Date.now() < deadline) reply = await repeat();
  refused(reply, 409, "not-in-this-status");
  assert.match(String(reply.body["detail"]), /another address/);
  assert.equal(sent.length, 1);
});
