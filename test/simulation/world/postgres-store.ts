/**
 * The product's own store on a real PostgreSQL, under the simulation's control. Its clock is the simulated one: the
 * statements of the store say `clock_timestamp()`, and a schema of the test database that is searched first has one that
 * shows what the simulation says. One exchange with the server at a time, in the order in which they were begun; the
 * scheduler waits for each.
 */
import { Client, type QueryArrayConfig } from "pg";
import { StoreUnavailable } from "../../../src/core/faults.ts";
import type { Store, TableName, Tables, Tx } from "../../../src/engine/ports.ts";
import { sqlName } from "../../../src/store/describe.ts";
import { decodeRows, selectList } from "../../../src/store/postgres/sql.ts";
import { openStore } from "../../../src/store/postgres.ts";
import { APP_ROLE } from "../../../src/store/roles.ts";
import { tableOf } from "../../../src/store/tables.ts";
import { testDatabase } from "../../support/database.ts";

/** A store that a simulation can look into. */
export interface SimStore extends Store {
  rows<T extends TableName>(name: T): Promise<readonly Tables[T][]>;
  /** Resolves when nothing is on its way to the server; null: nothing is. */
  idle(): Promise<void> | null;
  close(): Promise<void>;
}

const CLOCK = `
  create schema simulated;
  create table simulated.clock (now timestamptz not null);
  insert into simulated.clock values (to_timestamp(0));
  create function simulated.clock_timestamp() returns timestamptz stable language sql
    return (select now from simulated.clock);
  grant usage on schema simulated to ${APP_ROLE}, bursar_waker;
  grant select on simulated.clock to ${APP_ROLE}, bursar_waker`;

/** Lets one caller through at a time, first come, first served. */
class Turn {
  readonly #waiting: (() => void)[] = [];
  #idlers: (() => void)[] = [];
  #isTaken = false;

  async take(): Promise<void> {
    if (this.#isTaken) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    this.#isTaken = true;
  }

  give(): void {
    const next = this.#waiting.shift();
    if (next !== undefined) {
      next();
      return;
    }
    this.#isTaken = false;
    for (const idler of this.#idlers) idler();
    this.#idlers = [];
  }

  idle(): Promise<void> | null {
    return this.#isTaken ? new Promise((resolve) => this.#idlers.push(resolve)) : null;
  }

  async during<T>(work: () => Promise<T>): Promise<T> {
    await this.take();
    try {
      return await work();
    } finally {
      this.give();
    }
  }
}

/** Opens a database of its own. `now`: what its clock shows, whole milliseconds since 1970. */
export async function postgresStore(now: () => number): Promise<SimStore> {
  const database = await testDatabase();
  const owner = new Client(database.ownerConfig);
  await owner.connect();
  await owner.query(CLOCK);
  const config = { ...database.appConfig, options: "-c search_path=simulated,pg_catalog" };
  const store = await openStore({ config, connections: 8 });
  const turn = new Turn();
  // Virtual time ends while transactions are open: nobody would ever end them.
  const over = Promise.withResolvers<never>();
  over.promise.catch(() => {});
  let shown = 0;
  const setClock = async (): Promise<void> => {
    if (shown === now()) return;
    shown = now();
    await owner.query("update simulated.clock set now = to_timestamp($1::numeric / 1000)", [shown]);
  };
  return {
    async commit(organizations, options, body) {
      await turn.take();
      try {
        await setClock();
        return await store.commit(organizations, options, async (tx) => {
          turn.give();
          try {
            return await Promise.race([body(taking(turn, tx)), over.promise]);
          } finally {
            await turn.take();
          }
        });
      } finally {
        turn.give();
      }
    },
    due: (limit) =>
      turn.during(async () => {
        await setClock();
        return store.due(limit);
      }),
    async rows(name) {
      const table = tableOf(name);
      const text = `select ${selectList(table)} from bursar."${sqlName(name)}" t`;
      const types = { getTypeParser: () => (value: unknown) => value };
      const query = { text, rowMode: "array", types } as unknown as QueryArrayConfig;
      const found = await owner.query<(string | null)[]>(query);
      return decodeRows(name, found.rows) as unknown as never;
    },
    idle: () => turn.idle(),
    async close() {
      over.reject(new StoreUnavailable("the simulation is over"));
      await store.close();
      await owner.end();
      await database.close();
    },
  };
}

/** A transaction whose loads wait for their turn. */
function taking(turn: Turn, tx: Tx): Tx {
  return {
    now: tx.now,
    epoch: tx.epoch,
    isGateOpen: tx.isGateOpen,
    locks: tx.locks,
    load: (wants) => turn.during(() => tx.load(wants)),
    claim: (kind, limit) => turn.during(() => tx.claim(kind, limit)),
  };
}
