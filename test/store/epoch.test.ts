/** What tells a database that was dumped and restored, or copied, within one server from the one that it was. */
import { deepEqual, equal, ok } from "node:assert/strict";
import { test } from "node:test";
import { Client, type ClientConfig } from "pg";
import type { Tx } from "../../src/engine/ports.ts";
import { openStore } from "../../src/store/postgres.ts";
import { type TestDatabase, testDatabase } from "../support/database.ts";
import { founding, NONE, save } from "../support/store-rows.ts";

async function asOwner<T>(config: ClientConfig, work: (client: Client) => Promise<T>): Promise<T> {
  const client = new Client(config);
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

/** What a writer that connects now is told. */
async function entered(config: ClientConfig): Promise<{ epoch: number; isGateOpen: boolean }> {
  const store = await openStore({ config, connections: 1 });
  try {
    return await store.commit(["org_a"], {}, async ({ epoch, isGateOpen }: Tx) => {
      return { changes: NONE, result: { epoch, isGateOpen } };
    });
  } finally {
    await store.close();
  }
}

/** A database that knows which one it is. */
async function learned(): Promise<TestDatabase> {
  const database = await testDatabase();
  const store = await openStore({ config: database.appConfig, connections: 1 });
  await save(store, ["org_a"], founding("org_a"));
  await store.close();
  return database;
}

const FIRST = { epoch: 1, isGateOpen: true };
const made = (client: Client) => client.query<{ made: string | null }>("select made from bursar.epoch");

/** As a dump brings the table and its row back. */
const REMADE = `
  create table bursar.remade (like bursar.epoch including all);
  insert into bursar.remade select * from bursar.epoch;
  drop table bursar.epoch;
  alter table bursar.remade rename to epoch;
  grant select on bursar.epoch to bursar_app`;

test("a copy by template is another database: a new epoch, its gate shut; the one that was copied goes on", async () => {
  const database = await learned();
  const name = `${database.name}_copy`;
  const admin = { ...database.ownerConfig, database: "postgres" };
  await asOwner(admin, (client) => client.query(`create database ${name} template ${database.name}`));
  try {
    const copy = { ...database.appConfig, database: name };
    const { epoch, isGateOpen } = await entered(copy);
    equal(isGateOpen, false);
    ok(epoch > 1_000_000);
    deepEqual(await entered(copy), { epoch, isGateOpen }, "once");
    deepEqual(await entered(database.appConfig), FIRST);
    const { rows } = await asOwner({ ...database.ownerConfig, database: name }, (client) =>
      client.query<{ before: string; after: string; made: string }>(
        `select details->'before'->>'made' as before, details->'after'->>'made' as after,
          (select made from bursar.epoch) as made from bursar.epoch_act where act = 'began'`,
      ),
    );
    equal(rows.length, 1);
    equal(rows[0]?.after, rows[0]?.made);
    ok(rows[0]?.before !== rows[0]?.after);
  } finally {
    await asOwner(admin, (client) => client.query(`drop database ${name} with (force)`));
    await database.close();
  }
});

test("a dump that is restored over its own database is noticed", async () => {
  const database = await learned();
  await asOwner(database.ownerConfig, (client) => client.query(REMADE));
  const { epoch, isGateOpen } = await entered(database.appConfig);
  equal(isGateOpen, false);
  ok(epoch > 1_000_000);
  deepEqual(await entered(database.appConfig), { epoch, isGateOpen }, "once");
  await database.close();
});

test("another name, a table that is written anew, and an upgrade are no other database", async () => {
  const database = await learned();
  const name = `${database.name}_renamed`;
  const admin = { ...database.ownerConfig, database: "postgres" };
  await asOwner(database.ownerConfig, (client) => client.query("vacuum full bursar.epoch"));
  await asOwner(admin, (client) => client.query(`alter database ${database.name} rename to ${name}`));
  deepEqual(await entered({ ...database.appConfig, database: name }), FIRST);
  await asOwner(admin, (client) => client.query(`alter database ${name} rename to ${database.name}`));
  await asOwner(database.ownerConfig, async (client) => {
    const known = (await made(client)).rows[0]?.made;
    ok(known !== null);
    // As the migration leaves it.
    await client.query("update bursar.epoch set made = null");
    deepEqual(await entered(database.appConfig), FIRST);
    equal((await made(client)).rows[0]?.made, known, "learned");
  });
  await database.close();
});

test("a database that nobody has written to yet has learned nothing: templates of it may be copied", async () => {
  const database = await testDatabase();
  await asOwner(database.ownerConfig, async (client) => equal((await made(client)).rows[0]?.made, null));
  await database.close();
});
