// Method: every route of the table is called with a key of every role in both books. Who is refused is compared with
// the table of permissions, and that with what is written out here by hand.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import type { RouteOptions } from "fastify";
import { isGranted, PERMISSIONS, type Permission, ROLES, type Role, rolesWith } from "../../src/core/permissions.ts";
import { ENDPOINTS } from "../../src/http/app.ts";
import { requirePermission } from "../../src/http/register.ts";
import { openWorld, type World } from "../support/world.ts";

let world: World;

before(async () => {
  world = await openWorld();
});
after(async () => {
  assert.deepEqual(world.broken, []);
  await world.close();
});

const KINDS = ["live", "test"] as const;

/** `.` stands for no, L for the live book, T for the test book. */
const MATRIX: Readonly<Record<Permission, Readonly<Record<Role, string>>>> = {
  read: { owner: "LT", administrator: "LT", manager: "LT", developer: "LT", support: "LT", viewer: "LT" },
  orders: { owner: "LT", administrator: "LT", manager: "LT", developer: ".T", support: "..", viewer: ".." },
  moderation: { owner: "LT", administrator: "LT", manager: "LT", developer: ".T", support: "..", viewer: ".." },
  funds: { owner: "LT", administrator: "LT", manager: "LT", developer: ".T", support: "..", viewer: ".." },
  settings: { owner: "LT", administrator: "LT", manager: "..", developer: ".T", support: "..", viewer: ".." },
  webhooks: { owner: "LT", administrator: "LT", manager: "..", developer: "LT", support: "..", viewer: ".." },
  secrets: { owner: "LT", administrator: "LT", manager: "..", developer: "LT", support: "..", viewer: ".." },
};

describe("the table", () => {
  test("is as it is written here", () => {
    for (const permission of Object.keys(PERMISSIONS) as Permission[]) {
      for (const role of ROLES) {
        const live = isGranted(role, permission, false) ? "L" : ".";
        const own = live + (isGranted(role, permission, true) ? "T" : ".");
        assert.equal(own, MATRIX[permission][role], `${role} ${permission}`);
      }
    }
    assert.deepEqual(rolesWith("settings", false), ["owner", "administrator"]);
  });

  test("has a row for every call, and a call for every row", () => {
    const used = new Set<string>(ENDPOINTS.map((endpoint) => endpoint.permission));
    assert.deepEqual([...used].toSorted(), Object.keys(PERMISSIONS).toSorted());
  });

  test("lets nobody look who may not, and change nothing who may only look", () => {
    for (const { method, path, permission } of ENDPOINTS) {
      const looks = permission === "read" || permission === "secrets";
      assert.equal(looks, method === "GET", `${method} ${path}`);
    }
  });
});

describe("every call", () => {
  for (const kind of KINDS) {
    for (const role of ROLES) {
      test(`by a ${role} in the ${kind} book`, async () => {
        const key = await world.makeKey({ role, kind });
        for (const { method, path, permission, body } of ENDPOINTS) {
          const where = `${method} ${path}`;
          const ask = body === undefined ? { key } : { key, body: {} };
          const reply = await world.call(method, path.replace(":id", "none"), ask);
          assert.notEqual(reply.status, 401, where);
          assert.ok(reply.status < 500, `${where} ${reply.text}`);
          assert.equal(reply.status === 403, !isGranted(role, permission, kind === "test"), `${where} ${reply.text}`);
          if (reply.status !== 403) continue;
          assert.equal(reply.body["code"], "forbidden");
          assert.match(String(reply.body["detail"]), /owner, administrator/);
        }
      });
    }
  }

  test("without a key is nobody's", async () => {
    for (const { method, path } of ENDPOINTS) {
      const reply = await world.call(method, path.replace(":id", "none"), { key: null });
      assert.equal(reply.status, 401, `${method} ${path}`);
    }
  });
});

describe("a route without a permission", () => {
  const route = (url: string, permission?: string): RouteOptions => ({
    method: "GET",
    url,
    handler: () => {},
    ...(permission === undefined ? {} : { config: { permission: permission as Permission } }),
  });

  test("stops the start, unless it is known to be open", () => {
    assert.throws(() => requirePermission(route("/new-things")), /GET \/new-things has no permission/);
    assert.throws(() => requirePermission(route("/new-things", "everything")), /no permission/);
    assert.throws(() => requirePermission(route("/references")), /no permission/);
    requirePermission(route("/new-things", "read"));
    for (const url of ["/health/live", "/metrics", "/reference", "/reference/page.js"]) requirePermission(route(url));
  });
});
