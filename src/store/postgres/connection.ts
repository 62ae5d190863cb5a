/** One connection: statements out in one write, replies back; and what its errors say about the transaction. */
import { setTimeout as delay } from "node:timers/promises";
import pg from "pg";
import { StoreRefused, StoreUnavailable } from "../../core/faults.ts";
import { assert, InvariantBroken } from "../../core/result.ts";
import { REFUSALS } from "../describe.ts";
import { APP_ROLE } from "../roles.ts";

/** Named statements are prepared once per connection. Values are PostgreSQL's text form. */
export interface Statement {
  readonly name?: string;
  readonly text: string;
  readonly values?: readonly (string | null)[];
}

export interface Field {
  readonly name: string;
  readonly dataTypeID: number;
}

/** What one statement answered. Values are text, as they came. */
export interface Reply {
  /** The first word of the command tag: `COMMIT`, or `ROLLBACK` for a transaction that was broken. */
  readonly command: string;
  readonly fields: readonly Field[];
  readonly rows: readonly (readonly (string | null)[])[];
}

export type Answer = { readonly reply: Reply } | { readonly error: Error };

/** Tells operators what happened. `details` holds nothing secret. */
export type StoreLog = (level: "info" | "warn" | "error", message: string, details?: object) => void;

/** Which database a connection speaks to, and its epoch. */
export interface Identity {
  readonly systemIdentifier: string;
  readonly timeline: number;
  readonly epoch: number;
  /** Changes when the server has recovered from a crash, which may have taken back transaction ids. */
  readonly incarnation: string;
}

/** The connection broke, or an answer made no sense: what became of the statements is not known. */
export class ConnectionLost extends Error {
  override readonly name = "ConnectionLost";
}

/** How long the database may be silent. Locks are waited for 2 s, so this is a dead network or a stopped server. */
const SILENCE_MS = 30_000;
const CONNECT_MS = 5_000;

/** All values come as text: `DECODE` knows the column types, and no number passes through a float on the way. */
const AS_TEXT = { getTypeParser: () => (value: unknown) => value };

/** How times, bytes and numbers are spelled. */
const SPELLING = "-c timezone=UTC -c datestyle=ISO -c bytea_output=hex -c client_min_messages=error";

/** What `pg` has and its types leave out. */
interface Inside {
  readonly connection: { readonly stream: { cork(): void; uncork(): void; destroy(error?: Error): void } };
  getTransactionStatus(): "I" | "T" | "E" | null;
}

export class Connection {
  readonly #client: pg.Client;
  readonly #inside: Inside;
  #isLost = false;

  private constructor(client: pg.Client) {
    this.#client = client;
    this.#inside = client as unknown as Inside;
    client.on("error", () => {
      this.#isLost = true;
    });
    client.on("end", () => {
      this.#isLost = true;
    });
  }

  /** Connects with session settings (`name=value`). Rejects when the database cannot be reached or says no. */
  static async open(config: pg.ClientConfig, settings: readonly string[]): Promise<Connection> {
    const options = [config.options, SPELLING, ...settings.map((setting) => `-c ${setting}`)].filter(Boolean).join(" ");
    const full = {
      connectionTimeoutMillis: CONNECT_MS,
      keepAlive: true,
      ...config,
      options,
      pipeline: true,
      types: AS_TEXT,
    };
    const connection = new Connection(new pg.Client(full));
    await connection.#client.connect();
    return connection;
  }

  get isLost(): boolean {
    return this.#isLost;
  }

  /** Whether a transaction is open and whole. */
  get isInTransaction(): boolean {
    return !this.#isLost && this.#inside.getTransactionStatus() === "T";
  }

  /** Sends all statements at once and waits for all answers: one round trip. Never rejects. */
  send(statements: readonly Statement[]): Promise<readonly Answer[]> {
    const { stream } = this.#inside.connection;
    const watch = setTimeout(() => stream.destroy(new ConnectionLost("the database is silent")), SILENCE_MS);
    stream.cork();
    const answers = Promise.all(statements.map((statement) => this.#submit(statement)));
    stream.uncork();
    return answers.finally(() => clearTimeout(watch));
  }

  #submit(statement: Statement): Promise<Answer> {
    const { name, text, values } = statement;
    // With values, one statement only: the simple protocol would run what stands behind a semicolon too.
    const queryMode = values === undefined ? undefined : "extended";
    return new Promise((resolve) => {
      const query = { name, text, values, queryMode, rowMode: "array" } as unknown as pg.QueryArrayConfig;
      this.#client.query(query, (error: Error | null, result) => {
        if (error !== null && error !== undefined) resolve({ error: this.#judge(error) });
        else resolve({ reply: result as unknown as Reply });
      });
    });
  }

  /** Only what the server says about a statement is known; all else is a lost connection. */
  #judge(error: Error): Error {
    if (error instanceof pg.DatabaseError) return error;
    this.#isLost = true;
    return new ConnectionLost(error.message, { cause: error });
  }

  /** Sends statements of which none may fail. Rejects with the first error. */
  async run(statements: readonly Statement[]): Promise<readonly Reply[]> {
    const answers = await this.send(statements);
    return answers.map((answer) => {
      if ("error" in answer) throw answer.error;
      return answer.reply;
    });
  }

  /** Ends the transaction, whatever its state. A connection that cannot say so is not used again. */
  async rollback(): Promise<void> {
    if (this.#isLost) return;
    const [answer] = await this.send([{ text: "rollback" }]);
    if (answer === undefined || "error" in answer || this.#inside.getTransactionStatus() !== "I") this.drop();
  }

  /** Gives the connection up without a word. The server undoes what was not committed. */
  drop(): void {
    this.#isLost = true;
    this.#inside.connection.stream.destroy();
  }

  async close(): Promise<void> {
    if (this.#isLost) return this.drop();
    this.#isLost = true;
    // A server that does not answer the farewell keeps nobody here.
    const farewell = this.#client.end().catch(() => undefined);
    await Promise.race([farewell, delay(1_000, undefined, { ref: false })]);
  }
}

/** A writer waits so long for a lock. */
const LOCK_TIMEOUT = "2s";

/** Pins of the writer's planner: every write is a handful of rows found by their keys. */
const WRITER_SETTINGS = [
  "enable_seqscan=off",
  "enable_hashjoin=off",
  "enable_mergejoin=off",
  "jit=off",
  // The arrays of the first five calls say nothing about the ones to come.
  "plan_cache_mode=force_generic_plan",
  `lock_timeout=${LOCK_TIMEOUT}`,
  // A paused holder of a lock row must not stop its organization.
  "idle_in_transaction_session_timeout=5s",
];

export interface Writer {
  readonly connection: Connection;
  readonly identity: Identity;
}

/**
 * Asks whether the session is as it was asked for, before anything is done in it. Settings get lost without a word:
 * options in an address replace ours, a pooler drops them, or hands the session on after each transaction.
 */
async function checkSession(connection: Connection): Promise<void> {
  const [session] = await connection.run([{ text: "select current_user, current_setting('lock_timeout')" }]);
  const [user, lockTimeout] = session?.rows[0] ?? [];
  assert(
    user === APP_ROLE && lockTimeout === LOCK_TIMEOUT,
    `the database session has role ${user} and lock_timeout ${lockTimeout} instead of ${APP_ROLE} and ${LOCK_TIMEOUT}: ` +
      "connect to PostgreSQL itself, not through a pooler, and without settings in the address",
  );
}

/** Connects for writing and asks which database this is. A new identity has entered a new epoch, its gate shut. */
export async function openWriter(config: pg.ClientConfig, log: StoreLog): Promise<Writer> {
  const connection = await Connection.open(config, WRITER_SETTINGS);
  try {
    await checkSession(connection);
    const [entered, alive, durability] = await connection.run([
      { text: "select number, system_identifier, timeline, is_open, has_changed from bursar.enter_epoch()" },
      // Documented: recovery from a crash resets all statistics, and nothing else does by itself.
      { text: "select stats_reset from pg_stat_wal" },
      // An acknowledged commit must be on the disk, whatever the administrator's default.
      {
        text:
          "select set_config('synchronous_commit', 'on', false) where current_setting('synchronous_commit') = 'off' " +
          "and current_setting('fsync') = 'on'",
      },
    ]);
    const [number, systemIdentifier, timeline, isOpen, hasChanged] = entered?.rows[0] ?? [];
    assert(number && systemIdentifier && timeline, "the database says who it is");
    const incarnation = alive?.rows[0]?.[0] ?? "";
    const identity = { systemIdentifier, timeline: Number(timeline), epoch: Number(number), incarnation };
    if (hasChanged === "t") log("error", "another database than before: a new epoch, its gate is shut", identity);
    if (durability?.rows.length === 1) log("warn", "synchronous_commit was off and is on for this connection", {});
    if (isOpen === "f") log("warn", "the gate of the system is shut", identity);
    return { connection, identity };
  } catch (error) {
    connection.drop();
    throw error;
  }
}

/** Deadlock, serialization failure, lock time-out: the same again may work. */
const AGAIN = /^(?:40001|40P01|55P03)$/;
/** The server ended the session: it shuts down, crashed, refuses new ones, or we paused in a transaction. */
const SESSION_ENDED = /^(?:08...|57P0[1-5]|25P0[34]|53300)$/;

/** Whether the same transaction may be tried again, given that it did not happen. */
export function mayRunAgain(error: unknown): boolean {
  if (error instanceof ConnectionLost) return true;
  return error instanceof pg.DatabaseError && (AGAIN.test(error.code ?? "") || SESSION_ENDED.test(error.code ?? ""));
}

/** Said by `enter_epoch` on a standby that has not been promoted yet. */
const IN_RECOVERY = "55000";

/** Whether a connect failed because the database could not be reached, as opposed to saying no. */
export function isUnreachable(error: unknown): boolean {
  if (!(error instanceof pg.DatabaseError)) return !(error instanceof InvariantBroken);
  return SESSION_ENDED.test(error.code ?? "") || error.code === IN_RECOVERY;
}

/**
 * The server cannot do now what it could do before: no resources (a full disk), an operator's word, an error of its
 * system, or it takes no writes any more. It is the same for whatever is written.
 */
const UNABLE = /^(?:53...|57P..|58...|25006)$/;

/** What the server's error says the change broke, or the error itself: then it is a bug or weather. */
export function explain(error: unknown): unknown {
  if (!(error instanceof pg.DatabaseError)) return error;
  const code = error.code ?? "";
  if (UNABLE.test(code)) return new StoreUnavailable("the database cannot write now", { cause: error });
  if (code === "23502") return new StoreRefused(`${error.table}_${error.column}_not_null`, error);
  if ((code.startsWith("23") || code === "BS001") && error.constraint) return new StoreRefused(error.constraint, error);
  if (code === "42501") {
    const isTenant = error.routine === "ExecWithCheckOptions";
    return new StoreRefused(isTenant ? REFUSALS.foreignOrganization : REFUSALS.notAllowed, error);
  }
  // 54: larger than what the server takes, an index row for instance.
  return /^(?:22|54)/.test(code) ? new StoreRefused(REFUSALS.unstorable, error) : error;
}
