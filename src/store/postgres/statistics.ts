/**
 * Keeps the planner's statistics fresh while tables are young. Without them it takes any index that begins with the
 * organization: 2-13 ms of server time per payout, growing with the table, against 1. Autovacuum comes a minute late.
 */
import type pg from "pg";
import type { Changes, TableName } from "../../engine/ports.ts";
import { sqlName } from "../describe.ts";
import { TABLE_NAMES } from "../tables.ts";
import { Connection, type StoreLog } from "./connection.ts";

const FIRST_ROWS = 100;
const GROWTH = 10;

interface Count {
  rows: number;
  /** At how many rows the table is analyzed next. */
  next: number;
}

export class TableStatistics {
  readonly #config: pg.ClientConfig;
  readonly #log: StoreLog;
  readonly #counts = new Map<TableName, Count>();
  readonly #due = new Set<TableName>();
  #work: Promise<void> | null = null;

  constructor(config: pg.ClientConfig, log: StoreLog) {
    this.#config = config;
    this.#log = log;
  }

  /** Counts what was committed. ANALYZE runs beside, on a connection of its own; nobody waits for it. */
  inserted(changes: Changes): void {
    for (const name of TABLE_NAMES) {
      const rows = changes.insert[name]?.length ?? 0;
      if (rows === 0) continue;
      const count = this.#counts.get(name) ?? { rows: 0, next: FIRST_ROWS };
      this.#counts.set(name, count);
      count.rows += rows;
      if (count.rows < count.next) continue;
      while (count.next <= count.rows) count.next *= GROWTH;
      this.#due.add(name);
    }
    if (this.#due.size > 0) this.#work ??= this.#analyze().finally(() => (this.#work = null));
  }

  async close(): Promise<void> {
    this.#due.clear();
    await this.#work;
  }

  async #analyze(): Promise<void> {
    let connection: Connection | null = null;
    try {
      connection = await Connection.open(this.#config, ["lock_timeout=2s", "statement_timeout=60s"]);
      for (const name of this.#due) {
        this.#due.delete(name);
        await connection.run([{ text: `analyze bursar."${sqlName(name)}"` }]);
      }
    } catch (error) {
      // Slower, not wrong: autovacuum does it in the end.
      this.#due.clear();
      this.#log("warn", "a table's statistics could not be made", { reason: String(error) });
    } finally {
      await connection?.close();
    }
  }
}
