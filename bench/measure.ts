/** What a run costs: processor time from the kernel's books, rows, transactions and log from PostgreSQL's. */
import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { Client, type ClientConfig } from "pg";

/** Sessions report to the statistics when they have been idle for ten seconds, at the latest. */
const STATISTICS_SETTLE_MS = 11_000;
const TICKS_PER_SECOND = Number(execFileSync("getconf", ["CLK_TCK"], { encoding: "utf8" }));
const MICROSECONDS = 1_000_000;

interface ProcessTimes {
  readonly parent: number;
  /** Ticks of the process itself. */
  readonly own: number;
  /** Ticks of its children that have ended. */
  readonly ended: number;
}

/** Null when it has ended. */
function timesOf(pid: number): ProcessTimes | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    // The program's name stands in brackets and may hold anything; what follows begins with the state.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    const at = (index: number): number => Number(fields[index]);
    return { parent: at(1), own: at(11) + at(12), ended: at(13) + at(14) };
  } catch {
    return null;
  }
}

/** Microseconds of processor time of a process, all its threads. */
export function cpuOf(pid: number): number {
  return ((timesOf(pid)?.own ?? 0) / TICKS_PER_SECOND) * MICROSECONDS;
}

/** Microseconds of a server and of all its children, the ended ones included. */
export function cpuOfFamily(pid: number): number {
  const server = timesOf(pid);
  if (server === null) return 0;
  const pids = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  const children = pids.map((name) => timesOf(Number(name))).filter((times) => times?.parent === pid);
  const ticks = children.reduce((sum, times) => sum + (times?.own ?? 0), server.own + server.ended);
  return (ticks / TICKS_PER_SECOND) * MICROSECONDS;
}

export interface TableRows {
  readonly name: string;
  readonly inserted: number;
  readonly updated: number;
  /** Updates that no index had to hear of. */
  readonly hot: number;
  readonly deleted: number;
}

export interface DatabaseState {
  readonly transactions: number;
  /** Transactions that wrote, or asked for an id. */
  readonly writes: number;
  readonly walBytes: number;
  readonly tables: readonly TableRows[];
}

const TABLES = `
  select relname as name, n_tup_ins::float8 as inserted, n_tup_upd::float8 as updated,
    n_tup_hot_upd::float8 as hot, n_tup_del::float8 as deleted
  from pg_stat_user_tables where schemaname = 'bursar' order by relname`;

const NUMBERS = `
  select (d.xact_commit + d.xact_rollback)::float8 as transactions,
    pg_snapshot_xmax(pg_current_snapshot())::text::float8 as writes,
    (pg_current_wal_lsn() - '0/0'::pg_lsn)::float8 as "walBytes"
  from pg_stat_database d where d.datname = current_database()`;

export class DatabaseMeter {
  readonly #client: Client;

  private constructor(client: Client) {
    this.#client = client;
  }

  static async open(config: ClientConfig): Promise<DatabaseMeter> {
    const client = new Client(config);
    await client.connect();
    return new DatabaseMeter(client);
  }

  /** Reads when every session has reported. Whatever the engine does while idle is in it: one sweep a second. */
  async read(): Promise<DatabaseState> {
    await sleep(STATISTICS_SETTLE_MS);
    await this.#client.query("select pg_stat_force_next_flush()");
    await this.#client.query("select pg_stat_clear_snapshot()");
    const numbers = await this.#client.query<Omit<DatabaseState, "tables">>(NUMBERS);
    const tables = await this.#client.query<TableRows>(TABLES);
    const [row] = numbers.rows;
    if (row === undefined) throw new Error("the database has no statistics");
    return { ...row, tables: tables.rows };
  }

  close(): Promise<void> {
    return this.#client.end();
  }
}

/** What a table got between two readings. */
export function tableDifference(before: DatabaseState, after: DatabaseState): readonly TableRows[] {
  const earlier = new Map(before.tables.map((table) => [table.name, table]));
  return after.tables.map((table) => {
    const old = earlier.get(table.name);
    return {
      name: table.name,
      inserted: table.inserted - (old?.inserted ?? 0),
      updated: table.updated - (old?.updated ?? 0),
      hot: table.hot - (old?.hot ?? 0),
      deleted: table.deleted - (old?.deleted ?? 0),
    };
  });
}
