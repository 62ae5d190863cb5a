/** The queue of what people must look at: listed, given to somebody, commented on, closed; and the record of acts. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import type { HttpOrder, HttpOutcome } from "../../src/engine/ports.ts";
import { type Ask, demoOrder, type Json, openWorld, PUBLIC_URL, type Reply, type World } from "../support/world.ts";

let world: World;
/** An item of a payout whose outcome is not known, and that payout. */
let itemId: string;
let payoutId: string;

/** Whatever is sent is lost; whatever is asked is not answered either. */
const lost = (_order: HttpOrder): HttpOutcome => ({ kind: "timeout" });

async function order(referenceId: string): Promise<Json> {
  const body = demoOrder(referenceId, { amount: 100, fields: { account: "payee-of-moderation" } });
  const reply = await world.call("POST", "/payout-invoices", { body });
  assert.equal(reply.status, 201, reply.text);
  return reply.body;
}

before(async () => {
  world = await openWorld();
  world.provider.answer = lost;
  const { id } = await order("unknown-1");
  const invoice = await world.until(`/payout-invoices/${String(id)}`, (body) => body["moderationRequired"] === true);
  payoutId = String((invoice["payouts"] as Json[])[0]?.["id"]);
  const [item] = await list(`/moderation?filter=subject:${payoutId}`);
  itemId = String(item?.["id"]);
});
after(async () => {
  assert.deepEqual(world.broken, []);
  await world.close();
});

async function list(path: string): Promise<Json[]> {
  const reply = await world.call("GET", path);
  assert.equal(reply.status, 200, reply.text);
  return reply.body as unknown as Json[];
}

const at = (version: unknown): Readonly<Record<string, string>> => ({ "if-match": `"${String(version)}"` });
const say = (path: string, body: Json | undefined, ask: Ask = {}): Promise<Reply> =>
  world.call("POST", `/moderation/${path}`, { ...ask, ...(body === undefined ? {} : { body }) });
const item = async (): Promise<Json> => (await world.call("GET", `/moderation/${itemId}`)).body;

function refusedWith(reply: Reply, status: number, code: string): void {
  assert.equal(reply.status, status, reply.text);
  assert.equal(reply.body["code"], code);
}

describe("an item", () => {
  test("tells what it is about and why", async () => {
    const reply = await world.call("GET", `/moderation/${itemId}`);
    // An inquiry that fails meanwhile counts the cause again.
    const { openedTime, details, count, version, ...members } = reply.body;
    assert.equal(count, version);
    assert.match(String(openedTime), /Z$/);
    assert.equal(typeof details, "object");
    assert.deepEqual(members, {
      id: itemId,
      kind: "payout",
      subject: payoutId,
      reason: "outcome_unknown",
      incident: false,
      status: "open",
      assignee: null,
      closedTime: null,
      _links: [
        { rel: "self", href: `${PUBLIC_URL}/moderation/${itemId}` },
        { rel: "subject", href: `${PUBLIC_URL}/payouts/${payoutId}` },
      ],
    });
    assert.equal(reply.headers["etag"], `"${String(version)}"`);
    for (const id of ["nobody", "01a1fc17-2c8e-7f74-9f0b-d9fde451605a"]) {
      refusedWith(await world.call("GET", `/moderation/${id}`), 404, "not-found");
    }
  });

  test("is given to somebody, and taken from them", async () => {
    refusedWith(await say(`${itemId}/assign`, { assignee: "ada" }), 428, "if-match-required");
    refusedWith(await say(`${itemId}/assign`, { assignee: "ada" }, { headers: at(9) }), 412, "version-conflict");
    const given = await say(
      `${itemId}/assign`,
      { assignee: "ada", reason: "on call" },
      { headers: at((await item())["version"]) },
    );
    assert.equal(given.status, 200, given.text);
    assert.equal(given.body["assignee"], "ada");
    assert.equal((await list("/moderation?filter=assignee:ada")).length, 1);
    const taken = await say(`${itemId}/assign`, { assignee: null }, { headers: at((await item())["version"]) });
    assert.equal(taken.body["assignee"], null);
    const nobody = await say(`${itemId}/assign`, {}, { headers: at((await item())["version"]) });
    assert.equal(nobody.status, 422, "leaving it out is not the same as nobody");
  });

  test("is commented on, by whoever may, with words", async () => {
    const said = await say(`${itemId}/comment`, { reason: "The provider's support looks into it." });
    assert.equal(said.status, 200, said.text);
    assert.equal(said.body["id"], itemId);
    assert.equal((await say(`${itemId}/comment`, {})).status, 422);
    refusedWith(await say("01a1fc17-2c8e-7f74-9f0b-d9fde451605a/comment", { reason: "x" }), 404, "not-found");
    const viewer = await world.makeKey({ role: "support" });
    refusedWith(await say(`${itemId}/comment`, { reason: "x" }, { key: viewer }), 403, "forbidden");
    assert.equal((await world.call("GET", `/moderation/${itemId}`, { key: viewer })).status, 200);
  });

  test("is closed once, with a reason", async () => {
    const { version } = await item();
    refusedWith(await say(`${itemId}/close`, { reason: "Done." }), 428, "if-match-required");
    assert.equal((await say(`${itemId}/close`, {}, { headers: at(version) })).status, 422);
    const closed = await say(`${itemId}/close`, { reason: "Done." }, { headers: at(version) });
    assert.equal(closed.status, 200, closed.text);
    assert.equal(closed.body["status"], "closed");
    assert.match(String(closed.body["closedTime"]), /Z$/);
    const after = at(closed.body["version"]);
    refusedWith(await say(`${itemId}/close`, { reason: "Again." }, { headers: after }), 409, "not-in-this-status");
    refusedWith(await say(`${itemId}/assign`, { assignee: "ada" }, { headers: after }), 409, "not-in-this-status");
    assert.equal((await say(`${itemId}/comment`, { reason: "Afterwards." })).status, 200);
  });

  test("leaves a record of everything", async () => {
    const acts = await list(`/moderation/acts?sort=createdTime&filter=subject:${itemId}`);
    assert.deepEqual(
      acts.map((act) => [act["kind"], act["status"], act["reason"]]),
      [
        ["assign", "done", "on call"],
        ["assign", "done", ""],
        ["comment", "done", "The provider's support looks into it."],
        ["close", "done", "Done."],
        ["comment", "done", "Afterwards."],
      ],
    );
    const [first] = acts;
    assert.match(String(first?.["actor"]), /^key:/);
    assert.deepEqual(first?.["body"], { assignee: "ada" });
    const one = await world.call("GET", `/moderation/acts/${String(first?.["id"])}`);
    assert.deepEqual(one.body, first);
    assert.equal(one.headers["etag"], '"1"');
    refusedWith(await world.call("GET", "/moderation/acts/nobody"), 404, "not-found");
  });
});

describe("the queue", () => {
  test("is filtered, newest first unless asked otherwise, in pages", async () => {
    for (const name of ["unknown-2", "unknown-3"]) {
      const { id } = await order(name);
      await world.until(`/payout-invoices/${String(id)}`, (body) => body["moderationRequired"] === true);
    }
    const open = await list("/moderation?filter=status:open;kind:payout;reason:outcome_unknown");
    assert.equal(open.length, 2);
    const all = await list("/moderation?filter=reason:outcome_unknown");
    assert.equal(all.length, 3, "open ones alone are asked for, not given by default");
    const times = all.map((each) => String(each["openedTime"]));
    assert.deepEqual(times, times.toSorted().toReversed());
    const oldest = await world.call("GET", "/moderation?sort=createdTime&limit=1&filter=reason:outcome_unknown");
    assert.equal((oldest.body as unknown as Json[])[0]?.["id"], itemId);
    assert.equal(oldest.headers["pagination-total"], "3");
    assert.match(String(oldest.headers["link"]), /rel="next"/);
    assert.deepEqual(await list("/moderation?filter=isIncident:true"), []);
    assert.equal((await list("/moderation?filter=status:closed"))[0]?.["id"], itemId);
    for (const filter of ["reason:because", "status:done", "kind:thing", "count:1"]) {
      assert.equal((await world.call("GET", `/moderation?filter=${filter}`)).status, 422, filter);
    }
  });

  test("of another book is another queue", async () => {
    const key = await world.makeKey({ organization: "org_other" });
    assert.deepEqual((await world.call("GET", "/moderation", { key })).body, []);
    refusedWith(await world.call("GET", `/moderation/${itemId}`, { key }), 404, "not-found");
    refusedWith(await say(`${itemId}/comment`, { reason: "x" }, { key }), 404, "not-found");
  });
});
