/** What is special about the store on PostgreSQL: round trips, the end of a transaction, tenants, work. */
import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { after, afterEach, before, beforeEach, describe, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import pg from "pg";
import { StoreUnavailable } from "../../src/core/faults.ts";
import type { Changes, OrganizationLock, Tx } from "../../src/engine/ports.ts";
import { REFUSALS } from "../../src/store/describe.ts";
import { explain } from "../../src/store/postgres/connection.ts";
import { EpochChanged, openStore } from "../../src/store/postgres.ts";
import { type TestDatabase, testDatabase } from "../support/database.ts";
import { DatabaseProxy } from "../support/database-proxy.ts";
import { customer, founding, inserting, NONE, save, T, work } from "../support/store-rows.ts";

let database: TestDatabase;
let owner: pg.Client;
let proxy: DatabaseProxy;
/** One connection, through the proxy. */
let store: Awaited<ReturnType<typeof openStore>>;

before(async () => {
  database = await testDatabase();
  owner = new pg.Client(database.ownerConfig);
  await owner.connect();
  const direct = await openStore({ config: database.appConfig, connections: 1 });
  for (const id of ["org_a", "org_b", "org_c"]) {
    await save(direct, [id], founding(id));
  }
  await direct.close();
});

beforeEach(async () => {
  proxy = await DatabaseProxy.start(database.appConfig);
  store = await openStore({ config: proxy.through(database.appConfig), connections: 1 });
});

afterEach(async () => {
  await store.close();
  await proxy.close();
});

after(() => owner.end());

async function count(table: string, where = "true"): Promise<number> {
  const { rows } = await owner.query<{ count: string }>(`select count(*) from bursar.${table} where ${where}`);
  return Number(rows[0]?.count);
}

/** Asks the server again and again: nothing says when it has come so far. */
async function until(holds: () => Promise<boolean>): Promise<void> {
  for (let asked = 0; !(await holds()); asked++) {
    ok(asked < 2_000, "it never happened");
    await delay(5);
  }
}

let customers = 0;
const nextId = (): string => `customer ${++customers}`;

describe("a transaction", () => {
  test("takes three round trips when it loads once, whatever it loads and writes", async () => {
    const wants = [
      { table: "website", by: "primary", keys: [["org_a", "shop"]] },
      { table: "ledgerAccount", by: "primary", keys: [["org_a", "available:shop:EUR"]] },
      { table: "customer", by: "customer_reference_once", keys: [["org_a", "shop", "none"]] },
    ] as const;
    const run = (loads: number): Promise<void> =>
      store.commit(["org_a", "org_b"], {}, async (tx: Tx) => {
        for (let at = 0; at < loads; at++) await tx.load(wants);
        const rows = [customer("org_a", nextId()), customer("org_b", nextId())];
        const held = tx.locks.get("org_a") as OrganizationLock;
        const { version } = held;
        const update = { organizationLock: [{ key: ["org_a"], version, set: { version: version + 1 } }] };
        return { changes: { insert: { customer: rows, command: [] }, update, delete: {} }, result: undefined };
      });
    await run(0); // connects
    for (const loads of [1, 0, 1, 2]) {
      proxy.roundTrips = 0;
      await run(loads);
      equal(proxy.roundTrips, 2 + loads);
    }
  });

  test("reads the locks, the time and the epoch it decides with", async () => {
    const before = Date.now() - 2_000;
    await store.commit(["org_b", "org_a", "org_a", "nobody"], {}, async (tx: Tx) => {
      deepEqual([...tx.locks.keys()], ["org_a", "org_b"]);
      ok(Number.isInteger(tx.now) && tx.now > before && tx.now < before + 60_000);
      deepEqual([tx.epoch, tx.isGateOpen], [1, true]);
      return { changes: NONE, result: undefined };
    });
  });

  test("gives each want its own rows, in the order of its keys", async () => {
    const ids = [nextId(), nextId(), nextId()] as const;
    await save(store, ["org_a"], { customer: ids.map((id) => customer("org_a", id)) });
    const key = (id: string): [string, string] => ["org_a", id];
    const found = await store.commit(["org_a"], {}, async (tx: Tx) => {
      const lists = await tx.load([
        { table: "customer", by: "primary", keys: [key(ids[2]), key(ids[0]), key(ids[2])] },
        { table: "customer", by: "primary", keys: [] },
        { table: "customer", by: "primary", keys: [key(ids[1]), key("none")] },
        { table: "website", by: "primary", keys: [key("shop")] },
      ]);
      return { changes: NONE, result: lists.map((rows) => rows.map((row) => (row as { id: string }).id)) };
    });
    deepEqual(found, [[ids[2], ids[0]], [], [ids[1]], ["shop"]]);
  });

  test("a row that is not as it was read undoes everything", async () => {
    const id = nextId();
    const changes: Changes = {
      insert: { customer: [customer("org_a", id)] },
      update: {
        ledgerAccount: [{ key: ["org_a", "available:shop:EUR"], version: 77, set: { balanceMinor: 0n, version: 78 } }],
      },
      delete: {},
    };
    const refused = store.commit(["org_a"], {}, async () => ({ changes, result: undefined }));
    await rejects(refused, { name: "StoreRefused", constraint: "ledger_account_version_stale" });
    equal(await count("customer", `id = '${id}'`), 0);
    // The same connection goes on.
    await save(store, ["org_a"], { customer: [customer("org_a", id)] });
    equal(await count("customer", `id = '${id}'`), 1);
  });

  test("a value that its index cannot take is refused, like one that its column cannot", async () => {
    const { referenceId: _, ...rest } = customer("org_a", nextId());
    const long = { ...rest, referenceId: randomBytes(6_000).toString("base64") };
    await rejects(save(store, ["org_a"], { customer: [long] }), {
      name: "StoreRefused",
      constraint: REFUSALS.unstorable,
    });
  });

  test("a server that cannot write is away, whatever was to be written", () => {
    for (const code of ["53100", "53200", "57P01", "58030", "25006"]) {
      ok(explain(Object.assign(new pg.DatabaseError("no", 2, "error"), { code })) instanceof StoreUnavailable, code);
    }
    // A statement that was cancelled for its time may be one command's fault: it must not look like the weather.
    for (const code of ["42P01", "57014"]) {
      const bug = Object.assign(new pg.DatabaseError("no", 2, "error"), { code });
      equal(explain(bug), bug);
    }
  });

  test("what the body throws comes out as it is, and nothing is written", async () => {
    const thrown = new Error("the body's own");
    const failing = store.commit(["org_a"], {}, async (tx: Tx) => {
      await tx.load([{ table: "website", by: "primary", keys: [["org_a", "shop"]] }]);
      throw thrown;
    });
    await rejects(failing, (error) => error === thrown);
    let leaked: Tx | null = null;
    await store.commit(["org_a"], {}, async (tx: Tx) => {
      leaked = tx;
      return { changes: NONE, result: undefined };
    });
    await rejects((leaked as unknown as Tx).claim("payout", 1), { name: "InvariantBroken" });
  });

  test("waits for a lock row no longer than two seconds, and tries again", { timeout: 20_000 }, async () => {
    await owner.query("begin");
    await owner.query("select from bursar.organization_lock where organization_id = 'org_c' for update");
    const id = nextId();
    const saved = save(store, ["org_c"], { customer: [customer("org_c", id)] });
    const watcher = new pg.Client(database.ownerConfig);
    await watcher.connect();
    // One try after the other shows as transactions that begin later and later.
    const tries = new Set<string>();
    await until(async () => {
      const { rows } = await watcher.query(
        "select xact_start::text as start from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'",
      );
      for (const row of rows) tries.add(row.start);
      return tries.size === 2;
    });
    await watcher.end();
    await owner.query("rollback");
    await saved;
    equal(await count("customer", `id = '${id}'`), 1);
  });

  test("with skipLocked, takes only what is free, and may touch nothing else", async () => {
    const other = await openStore({ config: database.appConfig, connections: 1 });
    await owner.query("begin");
    await owner.query("select from bursar.organization_lock where organization_id = 'org_b' for update");
    try {
      const soon = [work("org_a", "w1", T), work("org_b", "w2", T)];
      await owner.query("savepoint here");
      const skipping = (insert: Changes["insert"]): Promise<unknown> =>
        other.commit(["org_a", "org_b"], { skipLocked: true }, async (tx: Tx) => {
          deepEqual([...tx.locks.keys()], ["org_a"]);
          const [rows] = await tx.load([{ table: "website", by: "primary", keys: [["org_b", "shop"]] }]);
          deepEqual(rows, []);
          return { changes: inserting(insert), result: undefined };
        });
      await rejects(skipping({ work: soon }), { constraint: "row_level_security" });
      await skipping({ work: soon.slice(0, 1) });
    } finally {
      await owner.query("rollback");
      await other.close();
    }
    await owner.query("delete from bursar.work");
  });
});

describe("a commit without an answer", () => {
  /** Commits one customer through a cut line. How often the body ran, and what came of it. */
  async function cutCommit(
    cut: "answer_lost" | "lost" | "held",
  ): Promise<{ runs: number; result: number; rows: number }> {
    const id = nextId();
    let runs = 0;
    proxy.cut = cut;
    const result = await store.commit(["org_a"], {}, async () => {
      runs++;
      return { changes: inserting({ customer: [customer("org_a", id)] }), result: runs };
    });
    return { runs, result, rows: await count("customer", `id = '${id}'`) };
  }

  test("is asked for: committed", async () => {
    deepEqual(await cutCommit("answer_lost"), { runs: 1, result: 1, rows: 1 });
  });

  test("is asked for: aborted, and done again", async () => {
    deepEqual(await cutCommit("lost"), { runs: 2, result: 2, rows: 1 });
  });

  test("is asked for until the server knows, while others work", async () => {
    const busy = await openStore({ config: proxy.through(database.appConfig), connections: 2 });
    const id = nextId();
    const cut = new Promise<void>((resolve) => (proxy.onCut = resolve));
    proxy.cut = "held";
    let isSettled = false;
    const unknown = save(busy, ["org_a"], { customer: [customer("org_a", id)] }).finally(() => (isSettled = true));
    await cut;
    for (let each = 0; each < 5; each++) await save(busy, ["org_b"], { customer: [customer("org_b", nextId())] });
    equal(isSettled, false);
    proxy.release();
    await unknown;
    equal(await count("customer", `id = '${id}'`), 1);
    await busy.close();
  });

  test("another database than before is not believed: a new epoch, its gate shut", async () => {
    const id = nextId();
    proxy.cut = "answer_lost";
    proxy.onCut = () => (proxy.isDown = true);
    const lost = save(store, ["org_a"], { customer: [customer("org_a", id)] });
    const judged = rejects(lost, (error) => {
      ok(error instanceof EpochChanged);
      ok(error.after.epoch > error.before.epoch + 1_000_000, "epochs are seconds, so that none comes twice");
      return true;
    });
    await until(async () => proxy.isDown && (await count("customer", `id = '${id}'`)) === 1);
    // As a restored copy would say.
    await owner.query("update bursar.epoch set system_identifier = '1'");
    proxy.isDown = false;
    await judged;
    await store.commit(["org_a"], {}, async (tx: Tx) => {
      equal(tx.isGateOpen, false);
      ok(tx.epoch > 1);
      return { changes: NONE, result: undefined };
    });
    await owner.query("update bursar.epoch set gate = 'open', number = 1");
  });
});

describe("a connection that breaks", () => {
  test("before its commit leaves nothing, and the transaction is done again", async () => {
    const id = nextId();
    let runs = 0;
    await store.commit(["org_a"], {}, async (tx: Tx) => {
      runs++;
      if (runs === 1) {
        await owner.query(
          `select pg_terminate_backend(pid) from pg_stat_activity
           where datname = current_database() and usename = 'bursar_app' and state = 'idle in transaction'`,
        );
        await rejects(tx.load([{ table: "website", by: "primary", keys: [["org_a", "shop"]] }]));
      }
      return { changes: inserting({ customer: [customer("org_a", id)] }), result: undefined };
    });
    equal(runs, 2);
    equal(await count("customer", `id = '${id}'`), 1);
  });

  test("and stays away makes the store unavailable, until it is back", async () => {
    const unreachable = await openStore({ config: proxy.through(database.appConfig), connections: 2 });
    proxy.isDown = true;
    const id = nextId();
    await rejects(save(unreachable, ["org_a"], { customer: [customer("org_a", id)] }), StoreUnavailable);
    equal(await count("customer", `id = '${id}'`), 0);
    proxy.isDown = false;
    await save(unreachable, ["org_a"], { customer: [customer("org_a", id)] });
    await unreachable.close();
    await rejects(save(unreachable, ["org_a"], {}), StoreUnavailable);
  });
});

describe("a session that is not as it was asked for", () => {
  /** The address of the owner, as DATABASE_URL has it, with a query. */
  function addressed(query: string): pg.ClientConfig {
    const { user, password, host = "", port, database: name } = database.ownerConfig;
    const url = new URL(`postgres://localhost/${name}?${query}`);
    url.searchParams.set("host", host);
    url.searchParams.set("port", String(port));
    url.username = user ?? "";
    url.password = typeof password === "string" ? password : "";
    return { connectionString: url.href, options: "-c role=bursar_app" };
  }

  test("is not used: options in the address replace the role, settings in it the timeouts", async () => {
    for (const query of ["options=-c%20statement_timeout%3D1s", "lock_timeout=9000"]) {
      await rejects(openStore({ config: addressed(query) }), {
        name: "InvariantBroken",
        message: /^the database session/,
      });
    }
    const good = await openStore({ config: addressed("application_name=bursar"), connections: 1 });
    await save(good, ["org_a"], { customer: [customer("org_a", nextId())] });
    await good.close();
  });

  test("does not make a command look guilty: for a commit the database is away", async () => {
    const lines: string[] = [];
    const log = (_level: string, message: string): unknown => lines.push(message);
    const config = { ...database.appConfig };
    const turned = await openStore({ config, connections: 1, log });
    Object.assign(config, { database: "there_is_none" });
    await rejects(save(turned, ["org_a"], {}), StoreUnavailable);
    deepEqual(lines, ["the database cannot be used"]);
    await turned.close();
  });
});

describe("tenants", () => {
  test("rows of an organization that is not named are neither seen nor touched", async () => {
    const id = nextId();
    await save(store, ["org_b"], { customer: [customer("org_b", id)], work: [work("org_b", id, T)] });
    const asA = (changes: Changes): Promise<unknown> =>
      store.commit(["org_a"], {}, async (tx: Tx) => {
        const [rows] = await tx.load([{ table: "customer", by: "primary", keys: [["org_b", id]] }]);
        deepEqual(rows, []);
        deepEqual(await tx.claim("payout", 10), []);
        return { changes, result: undefined };
      });
    await asA(NONE);
    await rejects(asA(inserting({ customer: [customer("org_b", nextId())] })), { constraint: "row_level_security" });
    const key = ["org_b", id];
    const update = { customer: [{ key, version: 1, set: { name: "mine", version: 2 } }] };
    await rejects(asA({ ...NONE, update }), { constraint: "customer_version_stale" });
    await asA({ ...NONE, delete: { work: [{ key: ["org_b", "payout", id] }] } });
    equal(await count("work", `subject = '${id}'`), 1);
    equal(await count("customer", `id = '${id}' and name is null`), 1);
    await owner.query("delete from bursar.work");
  });

  test("a session that names none sees none", async () => {
    const client = new pg.Client(database.appConfig);
    await client.connect();
    const { rows } = await client.query("select from bursar.customer");
    equal(rows.length, 0);
    await rejects(client.query("delete from bursar.entry"), { code: "42501" });
    await rejects(client.query("truncate bursar.work"), { code: "42501" });
    await client.end();
  });

  test("an id cannot smuggle a second organization in", async () => {
    await rejects(save(store, ["org_a,org_b"], {}), { name: "InvariantBroken" });
  });
});

describe("work", () => {
  test("is claimed oldest first, a few of each organization; the waker knows where it is", async () => {
    const rows = ["a", "b", "c"].flatMap((name, at) => [
      work("org_a", name, T + at),
      work("org_b", name, T - 10 + 20 * at),
      work("org_c", name, 4e12),
    ]);
    await save(store, ["org_a", "org_b", "org_c"], { work: rows });
    const claimed = await store.commit(["org_a", "org_b", "org_c"], { skipLocked: true }, async (tx: Tx) => ({
      changes: NONE,
      result: await tx.claim("payout", 2),
    }));
    const names = claimed.map((each) => `${each.organizationId} ${each.subject}`);
    deepEqual(names, ["org_b a", "org_a a", "org_a b", "org_b b"]);
    deepEqual(claimed[0], work("org_b", "a", T - 10));
    deepEqual(await store.due(10), ["org_b", "org_a"]);
    deepEqual(await Promise.all([store.due(1), store.due(1)]), [["org_b"], ["org_b"]]);
    await owner.query("delete from bursar.work");
  });
});
