/** One try of one transaction on one connection: three round trips, and what is known about its end. */
import pg from "pg";
import { assert } from "../../core/result.ts";
import type {
  Changes,
  CommitOptions,
  OrganizationLock,
  TableName,
  Tables,
  Tx,
  Want,
  Work,
} from "../../engine/ports.ts";
import { type AnyRow, byColumns } from "../describe.ts";
import { DECODE } from "../values.ts";
import { type Connection, ConnectionLost, type Reply, type Statement } from "./connection.ts";
import { claimStatement, decodeRows, lockStatement, organizationsParameter, planLoad, writeStatements } from "./sql.ts";

export type Body<T> = (tx: Tx) => Promise<{ readonly changes: Changes; readonly result: T }>;

/** How a try ended. `unknown`: COMMIT was sent and its answer is missing; the database knows by the id `xid`. */
export type Ending<T> =
  | { readonly kind: "committed"; readonly result: T; readonly changes: Changes }
  | { readonly kind: "aborted"; readonly error: unknown }
  | {
      readonly kind: "unknown";
      readonly xid: string;
      readonly result: T;
      readonly changes: Changes;
      readonly error: unknown;
    };

const BEGIN: Statement = { text: "begin isolation level read committed read write" };
const COMMIT: Statement = { text: "commit" };

/** The clock and the transaction's id are read before anything waits, the epoch with them. */
const openStatement = (organizations: readonly string[]): Statement => ({
  name: "bursar_open",
  text:
    "select set_config('bursar.organizations', $1, true), clock_timestamp(), pg_current_xact_id()::text, " +
    "e.number, e.gate from bursar.epoch e",
  values: [organizationsParameter(organizations)],
});

const narrowStatement = (organizations: readonly string[]): Statement => ({
  name: "bursar_narrow",
  text: "select set_config('bursar.organizations', $1, true)",
  values: [organizationsParameter(organizations)],
});

const oldestFirst = byColumns(["dueTime", "organizationId", "subject"]);

class Transaction implements Tx {
  now = 0;
  epoch = 0;
  isGateOpen = false;
  locks: ReadonlyMap<string, OrganizationLock> = new Map();
  xid = "";
  /** The first thing that went wrong with the database, whatever the body made of it. */
  failure: Error | null = null;
  readonly #connection: Connection;
  /** Said before the next statements: with `skipLocked`, only organizations that were free may be touched. */
  #pending: readonly Statement[] = [];
  #isOver = false;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  async open(organizations: readonly string[], options: CommitOptions): Promise<void> {
    const asked = [...new Set(organizations)];
    const skipLocked = options.skipLocked === true;
    const statements = [BEGIN, openStatement(asked), lockStatement(asked, skipLocked)];
    const [, opened, locked] = await this.#run(statements);
    const [, now, xid, epoch, gate] = opened?.rows[0] ?? [];
    assert(now && xid && epoch && locked, "a transaction knows its time, its id and its epoch");
    this.now = DECODE.time(now) as number;
    this.xid = xid;
    this.epoch = Number(epoch);
    this.isGateOpen = gate === "open";
    const locks = decodeRows("organizationLock", locked.rows) as unknown as OrganizationLock[];
    this.locks = new Map(locks.map((lock) => [lock.organizationId, lock]));
    if (skipLocked && locks.length < asked.length) this.#pending = [narrowStatement([...this.locks.keys()])];
  }

  async load<T extends TableName>(wants: readonly Want<T>[]): Promise<readonly (readonly Tables[T][])[]> {
    const plan = planLoad(wants);
    const replies = plan.statements.length === 0 ? [] : await this.#run(plan.statements);
    return plan.distribute(replies.map((reply) => reply.rows)) as unknown as readonly (readonly Tables[T][])[];
  }

  async claim(kind: Work["kind"], limit: number): Promise<readonly Work[]> {
    if (this.locks.size === 0) return [];
    const [reply] = await this.#run([claimStatement([...this.locks.keys()], { kind, limit, now: this.now })]);
    const rows: AnyRow[] = decodeRows("work", reply?.rows ?? []);
    return rows.sort(oldestFirst) as unknown as readonly Work[];
  }

  /** Writes and commits: the third round trip. Throws when nothing was sent. */
  async save<T>(changes: Changes, result: T): Promise<Ending<T>> {
    if (this.failure !== null) throw this.failure;
    this.#isOver = true;
    const statements = [...this.#pending, ...writeStatements(changes), COMMIT];
    // Sent outside a transaction, each statement would commit by itself.
    if (!this.#connection.isInTransaction) throw new ConnectionLost("the transaction was ended before its commit");
    const answers = await this.#connection.send(statements);
    const failed = answers.find((answer) => "error" in answer);
    const last = answers.at(-1);
    if (failed === undefined) {
      const isCommitted = last !== undefined && "reply" in last && last.reply.command === "COMMIT";
      if (isCommitted) return { kind: "committed", result, changes };
      return { kind: "aborted", error: new Error("the database answered the commit with a rollback") };
    }
    // The server refused a statement: whatever came after it was in a broken transaction. Only the silence after
    // COMMIT, or an error in its place, leaves a doubt.
    const isCertain = failed !== last && failed.error instanceof pg.DatabaseError;
    if (!isCertain) return { kind: "unknown", xid: this.xid, result, changes, error: failed.error };
    return { kind: "aborted", error: failed.error };
  }

  /** From here on the body has had its turn. */
  end(): void {
    this.#isOver = true;
  }

  async #run(statements: readonly Statement[]): Promise<readonly Reply[]> {
    assert(!this.#isOver, "a transaction is not used after its body has returned");
    const pending = this.#pending;
    this.#pending = [];
    try {
      const replies = await this.#connection.run([...pending, ...statements]);
      return replies.slice(pending.length);
    } catch (error) {
      this.failure ??= error as Error;
      throw error;
    }
  }
}

/** Runs a transaction once. Never rejects; the connection is ready for the next one, or lost. */
export async function attempt<T>(
  connection: Connection,
  request: { readonly organizations: readonly string[]; readonly options: CommitOptions },
  body: Body<T>,
): Promise<Ending<T>> {
  const transaction = new Transaction(connection);
  try {
    await transaction.open(request.organizations, request.options);
    const { changes, result } = await body(transaction);
    const ending = await transaction.save(changes, result);
    if (ending.kind === "unknown") connection.drop();
    else if (ending.kind === "aborted") await connection.rollback();
    return ending;
  } catch (error) {
    transaction.end();
    await connection.rollback();
    return { kind: "aborted", error: transaction.failure ?? error };
  }
}
