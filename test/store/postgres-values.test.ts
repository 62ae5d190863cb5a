/** Values through PostgreSQL and back, and what happens to the store when its tables grow. */
import { deepEqual, notEqual, ok, rejects } from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import pg from "pg";
import type { LedgerAccount } from "../../src/core/money/ledger.ts";
import type { Customer } from "../../src/core/setup/merchant.ts";
import type { Command, Tx } from "../../src/engine/ports.ts";
import { openStore } from "../../src/store/postgres.ts";
import { openReader } from "../../src/store/reader.ts";
import { type TestDatabase, testDatabase } from "../support/database.ts";
import { account, customer, founding, NONE, save, T, work } from "../support/store-rows.ts";

let database: TestDatabase;
let store: Awaited<ReturnType<typeof openStore>>;

before(async () => {
  database = await testDatabase();
  store = await openStore({ config: database.appConfig, connections: 1 });
  await save(store, ["org_a"], founding("org_a"));
});

after(() => store.close());

let customers = 0;
const nextId = (): string => `customer ${++customers}`;

/** Asks the server again and again: nothing says when it has come so far. */
async function until(holds: () => Promise<boolean>): Promise<void> {
  for (let asked = 0; !(await holds()); asked++) {
    ok(asked < 2_000, "it never happened");
    await delay(5);
  }
}

describe("values", () => {
  const strange = [
    "",
    " ",
    "NULL",
    '"',
    "\\",
    "'",
    "{}",
    "{a,b}",
    ",",
    "\\N",
    "$1",
    "\n\t\u0001",
    "Zoë",
    "漢字",
    "😀",
    "\u{10ffff}",
  ];

  test("come back as they went in", async () => {
    for (const balanceMinor of [10n ** 38n - 1n, -(10n ** 38n) + 1n, 9_007_199_254_740_993n, 0n]) {
      const id = nextId();
      const row: LedgerAccount = { ...account("org_a", balanceMinor), id, floorMinor: null, version: 2 ** 53 - 1 };
      deepEqual(await roundTrip("ledgerAccount", row, ["org_a", id]), row);
    }
    for (const createdTime of [
      T,
      0,
      -1,
      999,
      Date.UTC(1, 0, 1),
      Date.UTC(9999, 11, 31, 23, 59, 59, 999),
      951_782_400_001,
    ]) {
      const text = strange.join("");
      const nested = {
        text,
        list: [[], {}, [strange]],
        number: 0.1,
        big: 2 ** 53,
        tiny: 5e-324,
        huge: 1.7976931348623157e308,
      };
      const row: Customer = { ...customer("org_a", `${nextId()} ${text}`, nested), name: text, createdTime };
      deepEqual(await roundTrip("customer", row, ["org_a", row.id]), row);
    }
    for (const metadata of [...strange, [], {}, 0, -1.5, true, false, null]) {
      const row = customer("org_a", nextId(), metadata);
      deepEqual(await roundTrip("customer", row, ["org_a", row.id]), row);
    }
  });

  test("lists of texts come back as they went in", async () => {
    const reader = openReader({ config: database.appConfig });
    const [row] = await reader.query(
      "org_a",
      "select $1::text[] as list, '{}'::text[] as empty, $2::int8 as long, $3::numeric as money, $4::timestamptz as time, null as nothing",
      [strange, 2 ** 53 - 1, 10n ** 38n, new Date(T)],
    );
    deepEqual(row, { list: strange, empty: [], long: 2 ** 53 - 1, money: 10n ** 38n, time: T, nothing: null });
    await rejects(reader.query("org_a", "select 9007199254740993"), { name: "InvariantBroken" });
    await reader.close();
  });

  test("that a column cannot hold are refused before anything is sent", async () => {
    const bad = [
      { name: "\0" },
      { name: "\ud800" },
      { version: 2 ** 31 },
      { createdTime: T + 0.5 },
      { metadata: { a: "\0" } },
    ];
    for (const wrong of bad) {
      const row = { ...customer("org_a", nextId()), ...wrong };
      await rejects(save(store, ["org_a"], { customer: [row] }), { constraint: "value_unstorable" });
    }
    // Not a zero character, but a backslash and some letters.
    const row = customer("org_a", nextId(), { a: "\\u0000" });
    deepEqual(await roundTrip("customer", row, ["org_a", row.id]), row);
  });

  async function roundTrip<T extends "customer" | "ledgerAccount">(
    table: T,
    row: T extends "customer" ? Customer : LedgerAccount,
    key: readonly string[],
  ): Promise<unknown> {
    await save(store, ["org_a"], { [table]: [row] });
    return store.commit(["org_a"], {}, async (tx: Tx) => {
      const [rows] = await tx.load([{ table, by: "primary", keys: [key] }]);
      return { changes: NONE, result: rows?.[0] };
    });
  }
});

describe("growth", () => {
  const command = (at: number): Command => ({
    organizationId: "org_c",
    id: `01900000-0000-7000-8000-${at.toString(16).padStart(12, "0")}`,
    kind: "test",
    actor: "test",
    subject: null,
    providerAccountId: null,
    messageId: null,
    verified: null,
    body: null,
    bodyHash: null,
    time: T,
  });

  test("a batch touches as much of the database after forty batches as after ten", { timeout: 60_000 }, async () => {
    const grown = await testDatabase();
    const admin = new pg.Client(grown.ownerConfig);
    await admin.connect();
    const windows: number[] = [];
    let rows = 0;
    for (let window = 0; window < 4; window++) {
      const before = await buffers(admin);
      const fresh = await openStore({ config: grown.appConfig, connections: 1 });
      if (window === 0) await save(fresh, ["org_c"], founding("org_c"));
      for (let batch = 0; batch < 10; batch++) {
        const first = rows;
        rows += 100;
        await fresh.commit(["org_c"], {}, async (tx: Tx) => {
          const fence = batch + 1;
          const numbers = Array.from({ length: 100 }, (_, at) => first + at);
          const older = numbers.filter((at) => at >= 100).map((at) => ["org_c", "payout", `w${at - 100}`] as const);
          const [leased] = await tx.load([{ table: "work", by: "primary", keys: older }]);
          const update = {
            work: (leased ?? []).map((each) => ({
              key: ["org_c", "payout", each.subject],
              version: each.fence,
              set: { fence: fence + 1 },
            })),
          };
          const insert = { command: numbers.map(command), work: numbers.map((at) => work("org_c", `w${at}`, T + at)) };
          return { changes: { insert, update, delete: {} }, result: undefined };
        });
      }
      // A session that ends hands in its statistics.
      await fresh.close();
      await until(async () => (await sessions(admin)) === 0);
      windows.push((await buffers(admin)) - before);
    }
    await admin.end();
    ok((windows[3] ?? 0) <= 1.2 * (windows[1] ?? 0), `buffers per ten batches: ${windows.join(", ")}`);
    notEqual(windows[1], 0);
  });

  async function sessions(admin: pg.Client): Promise<number> {
    const { rows } = await admin.query(
      "select from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid() and backend_type = 'client backend'",
    );
    return rows.length;
  }

  async function buffers(admin: pg.Client): Promise<number> {
    await admin.query("select pg_stat_force_next_flush()");
    const { rows } = await admin.query(
      "select sum(heap_blks_hit + heap_blks_read + idx_blks_hit + idx_blks_read)::int8 as touched from pg_statio_user_tables",
    );
    return Number(rows[0]?.touched);
  }

  test("statistics are made when a table has its first hundred rows", async () => {
    const owner = new pg.Client(database.ownerConfig);
    await owner.connect();
    const analyzed = async (): Promise<boolean> => {
      const found = await owner.query("select reltuples from pg_class where oid = 'bursar.customer'::regclass");
      return found.rows[0]?.reltuples >= 100;
    };
    const rows = Array.from({ length: 150 }, () => customer("org_a", nextId()));
    await save(store, ["org_a"], { customer: rows });
    try {
      await until(analyzed);
    } finally {
      await owner.end();
    }
  });
});
