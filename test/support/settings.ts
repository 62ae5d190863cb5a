/** How the tests of settings speak to the API, and what they expect of every answer. */
import assert from "node:assert/strict";
import { type Json, PUBLIC_URL, type Reply, type World } from "./world.ts";

export interface Settings {
  get(path: string): Promise<Reply>;
  post(path: string, body: unknown, headers?: Readonly<Record<string, string>>): Promise<Reply>;
  /** `tag` is of what the caller has read; null: nothing. */
  patch(path: string, body: unknown, tag: unknown): Promise<Reply>;
  put(path: string, body: unknown, tag: unknown): Promise<Reply>;
  /** Makes a thing, and checks that it is there. */
  made(path: string, body: unknown): Promise<Reply>;
  /** The same for every kind of thing: who changes it has read it. */
  guarded(path: string, change: Json): Promise<void>;
  /** An order of the demo's website, unless its members say otherwise. */
  order(members: Json): Promise<Reply>;
  /** Gives a website 1000 of each currency, or of dollars at a deposit account. */
  fund(websiteId: string, depositAccountId?: string): Promise<void>;
}

export function refused(reply: Reply, status: number, code: string): void {
  assert.equal(reply.status, status, reply.text);
  assert.equal(reply.body["code"], code, reply.text);
}

export function faultsIn(reply: Reply): string[] {
  refused(reply, 422, "validation-failed");
  return (reply.body["invalidFields"] as { field: string }[]).map((each) => each.field);
}

/** `open` gives the world once there is one. */
export function settingsOf(open: () => World): Settings {
  let orders = 0;
  const get: Settings["get"] = (path) => open().call("GET", path);
  const post: Settings["post"] = (path, body, headers = {}) => open().call("POST", path, { body, headers });
  const changing =
    (method: "PATCH" | "PUT"): Settings["patch"] =>
    (path, body, tag) =>
      open().call(method, path, { body, headers: typeof tag === "string" ? { "if-match": tag } : {} });
  const patch = changing("PATCH");
  return {
    get,
    post,
    patch,
    put: changing("PUT"),
    async made(path, body) {
      const reply = await post(path, body);
      assert.equal(reply.status, 201, reply.text);
      assert.equal(reply.headers["location"], `${PUBLIC_URL}${path}/${String(reply.body["id"])}`);
      assert.equal(reply.headers["etag"], '"1"');
      assert.deepEqual((await get(`${path}/${String(reply.body["id"])}`)).body, reply.body);
      return reply;
    },
    async guarded(path, change) {
      const before = await get(path);
      refused(await patch(path, change, null), 428, "if-match-required");
      refused(await patch(path, change, '"77"'), 412, "version-conflict");
      refused(await patch(`${path}x`, change, '"1"'), 404, "not-found");
      refused(await patch(`${path}%00`, change, '"1"'), 404, "not-found");
      assert.equal((await get(path)).text, before.text);
      const changed = await patch(path, change, before.headers["etag"]);
      assert.equal(changed.status, 200, changed.text);
      assert.notEqual(changed.headers["etag"], before.headers["etag"]);
      assert.equal((await get(path)).text, changed.text);
      refused(await patch(path, change, before.headers["etag"]), 412, "version-conflict");
    },
    order: (members) =>
      post("/payout-invoices", {
        referenceId: `settings-${orders++}`,
        websiteId: "web_demo",
        currency: "USD",
        amount: 10,
        service: "test_usd",
        fields: { account: "a" },
        ...members,
      }),
    async fund(websiteId, depositAccountId) {
      for (const currency of depositAccountId === undefined ? ["USD", "EUR"] : ["USD"]) {
        const key = { "idempotency-key": `fund-${websiteId}-${currency}` };
        const deposit = await post("/deposits", { websiteId, currency, amount: 1000, depositAccountId }, key);
        const path = `/deposits/${String(deposit.body["id"])}/approve`;
        const approved = await open().call("POST", path, { headers: { "if-match": String(deposit.headers["etag"]) } });
        assert.equal(approved.status, 200, approved.text);
      }
    },
  };
}
