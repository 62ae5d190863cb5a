import assert from "node:assert/strict";
import { test } from "node:test";
import { readConfig } from "../../src/config.ts";

test("settings: an empty environment gives the embedded database with demo data", () => {
  const config = readConfig({});
  assert.ok(config.ok);
  assert.equal(config.value.port, 8080);
  assert.equal(config.value.host, "127.0.0.1");
  assert.equal(config.value.databaseUrl, null);
  assert.equal(config.value.demo, true);
  assert.equal(config.value.role, "all");
  assert.equal(config.value.sandboxPort, 8090);
});

test("settings: with a DATABASE_URL the demo is off unless asked for", () => {
  const env = { DATABASE_URL: "postgres://u@db/bursar", BURSAR_MASTER_KEY: "ab".repeat(32) };
  const off = readConfig(env);
  const on = readConfig({ ...env, BURSAR_DEMO: "true" });
  assert.ok(off.ok && on.ok);
  assert.equal(off.value.demo, false);
  assert.equal(on.value.demo, true);
});

test("settings: all wrong ones are reported together, and no secret is repeated", () => {
  const config = readConfig({
    PORT: "eighty",
    DATABASE_URL: "mysql://root:hunter2@db/x",
    LOG_LEVEL: "loud",
    BURSAR_BOOTSTRAP_KEY: "bk_test_hunter2",
    BURSAR_MASTER_KEY: "hunter2",
    BURSAR_ROLE: "boss",
    BURSAR_SANDBOX_PORT: "70000",
    BURSAR_PUBLIC_URL: "ftp://x",
    BURSAR_DEMO: "maybe",
    BURSAR_PRIVATE_WEBHOOKS: "some",
  });
  assert.ok(!config.ok);
  const named = new Set(config.error.map((fault) => fault.split(" ")[0]));
  const expected = new Set([
    "BURSAR_BOOTSTRAP_KEY",
    "BURSAR_DEMO",
    "BURSAR_MASTER_KEY",
    "BURSAR_PRIVATE_WEBHOOKS",
    "BURSAR_PUBLIC_URL",
    "BURSAR_ROLE",
    "BURSAR_SANDBOX_PORT",
    "DATABASE_URL",
    "LOG_LEVEL",
    "PORT",
  ]);
  assert.deepEqual(named, expected);
  assert.equal(config.error.length, expected.size);
  assert.ok(!config.error.join("\n").includes("hunter2"));
});

test("settings: a DATABASE_URL has no options, for they would replace the role and the timeouts", () => {
  const urlWith = (query: string) =>
    readConfig({ DATABASE_URL: `postgres://u:hunter2@db/bursar?${query}`, BURSAR_MASTER_KEY: "ab".repeat(32) });
  for (const query of ["options=-c%20statement_timeout%3D1s", "sslmode=require&options=", "o%70tions=x"]) {
    const config = urlWith(query);
    assert.ok(!config.ok, query);
    assert.equal(config.error.length, 1);
    assert.match(config.error.join(), /^DATABASE_URL must not have options/);
    assert.ok(!config.error.join().includes("hunter2"));
  }
  assert.ok(urlWith("sslmode=require&application_name=options").ok);
});

test("settings: a DATABASE_URL needs a master key", () => {
  const config = readConfig({ DATABASE_URL: "postgres://u@db/bursar" });
  assert.ok(!config.ok);
  assert.match(config.error.join(), /BURSAR_MASTER_KEY is required/);
});
