import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, type TestContext, test } from "node:test";
import { Client, type ClientConfig } from "pg";
import { instanceLock } from "../../src/store/instance-lock.ts";
import { MigrationError, migrate, pendingMigrations, readMigrations } from "../../src/store/migrate.ts";
import { emptyDatabase, type TestDatabase, testDatabase } from "../support/database.ts";

const ONE = "202601010000_one";
const TWO = "202601020000_two";
const THREE = "202601030000_three";

async function query(config: ClientConfig, sql: string): Promise<Record<string, unknown>[]> {
  const client = new Client(config);
  await client.connect();
  try {
    return (await client.query(sql)).rows ?? [];
  } finally {
    await client.end();
  }
}

function folderOf(t: TestContext, files: Record<string, string>): string {
  const folder = mkdtempSync(join(tmpdir(), "bursar-migrations-"));
  t.after(() => rmSync(folder, { recursive: true }));
  for (const [name, sql] of Object.entries(files)) writeFileSync(join(folder, `${name}.sql`), sql);
  return folder;
}

async function scratch(t: TestContext): Promise<TestDatabase> {
  const database = await emptyDatabase();
  t.after(() => database.close());
  return database;
}

const refused = (migration: string, message: RegExp) => (error: unknown) => {
  assert.ok(error instanceof MigrationError);
  assert.equal(error.migration, migration);
  assert.match(error.message, new RegExp(migration));
  assert.match(error.message, message);
  return true;
};

const tables = (config: ClientConfig) =>
  query(
    config,
    "select relname from pg_class where relnamespace = 'bursar'::regnamespace and relkind = 'r' order by 1",
  );

test("applies every file once, in the order of their names, into our schema", async (t) => {
  const { ownerConfig } = await scratch(t);
  const folder = folderOf(t, { [TWO]: "insert into one values (2)", [ONE]: "create table one (n int4)", README: "" });
  rmSync(join(folder, "README.sql"));
  writeFileSync(join(folder, "notes.md"), "not a migration");
  assert.deepEqual(await pendingMigrations(ownerConfig, folder), [ONE, TWO]);
  assert.deepEqual(await migrate(ownerConfig, folder), { applied: [ONE, TWO] });
  assert.deepEqual(await pendingMigrations(ownerConfig, folder), []);
  assert.deepEqual(await migrate(ownerConfig, folder), { applied: [] });
  assert.deepEqual(await query(ownerConfig, "select n from bursar.one"), [{ n: 2 }]);
  writeFileSync(join(folder, `${THREE}.sql`), "insert into one values (3)");
  assert.deepEqual(await migrate(ownerConfig, folder), { applied: [THREE] });
  const [row] = await query(
    ownerConfig,
    "select name, checksum, applied_at from bursar.migration order by name limit 1",
  );
  assert.equal(row?.name, ONE);
  assert.match(String(row?.checksum), /^[0-9a-f]{64}$/);
  assert.ok(row?.applied_at instanceof Date);
});

test("an empty folder is fine", async (t) => {
  const { ownerConfig } = await scratch(t);
  const folder = folderOf(t, {});
  assert.deepEqual(await pendingMigrations(ownerConfig, folder), []);
  assert.deepEqual(await migrate(ownerConfig, folder), { applied: [] });
});

test("line ends do not count as a change", async (t) => {
  const { ownerConfig } = await scratch(t);
  const folder = folderOf(t, { [ONE]: "create table one\n(n int4)\n" });
  await migrate(ownerConfig, folder);
  writeFileSync(join(folder, `${ONE}.sql`), "create table one\r\n(n int4)\r\n");
  assert.deepEqual(await migrate(ownerConfig, folder), { applied: [] });
});

test("refuses a changed file, a missing file, a file out of order and a file without a time, by name", async (t) => {
  const { ownerConfig } = await scratch(t);
  const folder = folderOf(t, { [ONE]: "create table one (n int4)", [THREE]: "select 1" });
  await migrate(ownerConfig, folder);
  const path = join(folder, `${ONE}.sql`);
  const both = async (expected: (error: unknown) => boolean) => {
    await assert.rejects(migrate(ownerConfig, folder), expected);
    await assert.rejects(pendingMigrations(ownerConfig, folder), expected);
  };
  writeFileSync(path, "create table one (n int8)");
  await both(refused(ONE, /was changed/));
  rmSync(path);
  await both(refused(ONE, /is not in/));
  writeFileSync(path, "create table one (n int4)");
  writeFileSync(join(folder, `${TWO}.sql`), "create table two (n int4)");
  await both(refused(TWO, new RegExp(`comes before ${THREE}`)));
  rmSync(join(folder, `${TWO}.sql`));
  writeFileSync(join(folder, "quick_fix.sql"), "select 1");
  await both(refused("quick_fix", /YYYYMMDDHHMM/));
  assert.deepEqual(await tables(ownerConfig), [{ relname: "migration" }, { relname: "one" }]);
});

test("an upgrade takes an account as changed when it was, and the database as the one that it was", async (t) => {
  const { ownerConfig } = await scratch(t);
  const before = readMigrations().filter(({ name }) => name < "202611211700");
  await migrate(ownerConfig, folderOf(t, Object.fromEntries(before.map(({ name, sql }) => [name, sql]))));
  await query(ownerConfig, "select bursar.enter_epoch()");
  await query(ownerConfig, "update bursar.epoch set number = 1790000000, \"time\" = '2026-06-01'");
  const account = (id: string, version: number, changed: string): string => `
    insert into bursar.provider_account (organization_id, id, connector, name, base_url, settings, credentials,
      callback_id, gate, version, created_time, updated_time)
    values ('org', '${id}', 'none', '', '', '{}', '', '${id}', 'open', ${version}, '2026-01-01', '${changed}')`;
  await query(ownerConfig, "insert into bursar.organization values ('org', '', '', now())");
  await query(ownerConfig, account("a-untouched", 1, "2026-01-01"));
  await query(ownerConfig, account("b-long-before", 2, "2026-03-01"));
  await query(ownerConfig, account("c-lately", 3, "2026-05-20"));
  await migrate(ownerConfig);
  await query(ownerConfig, account("d-new", 1, "2026-07-01"));
  const rows = await query(
    ownerConfig,
    `select id, version, addressed_time = updated_time as is_then, addressed_epoch
     from bursar.provider_account order by id`,
  );
  assert.deepEqual(rows, [
    { id: "a-untouched", version: 1, is_then: null, addressed_epoch: null },
    { id: "b-long-before", version: 2, is_then: true, addressed_epoch: null },
    { id: "c-lately", version: 3, is_then: true, addressed_epoch: "1790000000" },
    { id: "d-new", version: 1, is_then: null, addressed_epoch: null },
  ]);
  const [entered] = await query(ownerConfig, "select is_open, has_changed from bursar.enter_epoch()");
  assert.deepEqual(entered, { is_open: true, has_changed: false });
});

test("a failing file leaves nothing behind, and those before it stay", async (t) => {
  const { ownerConfig } = await scratch(t);
  const files = {
    [ONE]: "create table one (n int4)",
    [TWO]: "create table two (n int4);\ninsert into nowhere values (1)",
  };
  const folder = folderOf(t, files);
  await assert.rejects(migrate(ownerConfig, folder), refused(TWO, /line 2.*nowhere/));
  assert.deepEqual(await tables(ownerConfig), [{ relname: "migration" }, { relname: "one" }]);
  assert.deepEqual(await pendingMigrations(ownerConfig, folder), [TWO]);
  writeFileSync(join(folder, `${TWO}.sql`), "create table two (n int4)");
  assert.deepEqual(await migrate(ownerConfig, folder), { applied: [TWO] });
});

test("a file that ends its own transaction is refused", async (t) => {
  const { ownerConfig } = await scratch(t);
  const folder = folderOf(t, { [ONE]: "create table one (n int4); commit; create table two (n int4)" });
  await assert.rejects(migrate(ownerConfig, folder), refused(ONE, /ended its own transaction/));
});

test("two migrators at once take turns: every file is applied once", async (t) => {
  const { ownerConfig } = await scratch(t);
  const folder = folderOf(t, { [ONE]: "create table one (n int4)", [TWO]: "insert into one values (2)" });
  const outcomes = await Promise.all([1, 2, 3].map(() => migrate(ownerConfig, folder)));
  assert.deepEqual(
    outcomes.flatMap(({ applied }) => applied),
    [ONE, TWO],
  );
  assert.deepEqual(await query(ownerConfig, "select n from bursar.one"), [{ n: 2 }]);
});

test("an owner who may not make or grant roles is told what an administrator has to run", async (t) => {
  const { ownerConfig, name } = await scratch(t);
  const owner = `${name}_Owner`;
  await query(ownerConfig, `create role "${owner}" login; grant create, connect on database ${name} to "${owner}"`);
  // Runs after the database is dropped, with all that the role owned.
  t.after(() => query(shared.ownerConfig, `drop role "${owner}"`));
  const folder = folderOf(t, { [ONE]: "create table one (n int4)" });
  const grant = `grant bursar_app to "${owner}" with inherit false, set true`;
  await assert.rejects(migrate({ ...ownerConfig, user: owner }, folder), (error: Error) => {
    assert.ok(error.message.includes(`${grant};`), error.message);
    return true;
  });
  await query(ownerConfig, grant);
  assert.deepEqual(await migrate({ ...ownerConfig, user: owner }, folder), { applied: [ONE] });
  await query({ ...ownerConfig, user: owner }, "set role bursar_app");
});

test("the application does not migrate", async (t) => {
  const { appConfig } = await scratch(t);
  await assert.rejects(migrate(appConfig, folderOf(t, {})), /not as bursar_app/);
});

test("a test database is a clone with the migrations of the repository, all to itself", async () => {
  const [one, two] = await Promise.all([testDatabase(), testDatabase()]);
  assert.notEqual(one.name, two.name);
  assert.deepEqual(await pendingMigrations(one.ownerConfig), []);
  const applied = await query(one.ownerConfig, "select name from bursar.migration order by name");
  assert.deepEqual(
    applied.map((row) => row.name),
    readMigrations().map(({ name }) => name),
  );
  await query(one.ownerConfig, "create table mine (n int4)");
  assert.deepEqual(await query(two.ownerConfig, "select to_regclass('mine') as found"), [{ found: null }]);
  assert.deepEqual(await query(one.appConfig, "select current_user"), [{ current_user: "bursar_app" }]);
  await Promise.all([one.close(), two.close()]);
});

let shared: TestDatabase;
before(async () => {
  shared = await emptyDatabase();
});
after(() => shared.close());

for (const who of ["ownerConfig", "appConfig"] as const) {
  test(`another Bursar on the database learns the pid and port of the first (${who})`, async () => {
    const first = await instanceLock(shared[who], { pid: 4711, port: 8080 });
    assert.ok(first.ok);
    const second = await instanceLock(shared[who], { pid: 4712, port: 8081 });
    assert.deepEqual(second, { ok: false, error: { pid: 4711, port: 8080 } });
    await first.value.release();
    const third = await instanceLock(shared[who], { pid: 4713, port: 8082 });
    assert.ok(third.ok);
    await third.value.release();
  });
}

test("a holder hears when it loses the lock, and then another gets it", async () => {
  const first = await instanceLock(shared.appConfig, { pid: 4711, port: 8080 });
  assert.ok(first.ok);
  const kill =
    "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'bursar pid=4711 port=8080'";
  assert.equal((await query(shared.ownerConfig, kill)).length, 1);
  assert.ok((await first.value.lost) instanceof Error);
  const second = await instanceLock(shared.appConfig, { pid: 4712, port: 8081 });
  assert.ok(second.ok);
  await second.value.release();
  await first.value.release();
});

test("the lock of one database says nothing about another", async (t) => {
  const other = await scratch(t);
  const one = await instanceLock(shared.appConfig, { pid: 1, port: 1 });
  const two = await instanceLock(other.appConfig, { pid: 2, port: 2 });
  assert.ok(one.ok && two.ok);
  await one.value.release();
  await two.value.release();
});
