/**
 * The store on PostgreSQL: a few writer connections, one transaction at a time on each. It knows tables only as
 * described; what is special here is the end of a transaction, which is known or asked for, never guessed.
 */
import { setTimeout as delay } from "node:timers/promises";
import pg from "pg";
import { OutcomeUnknown, StoreUnavailable } from "../core/faults.ts";
import type { CommitOptions, Store } from "../engine/ports.ts";
import {
  explain,
  type Identity,
  isUnreachable,
  mayRunAgain,
  openWriter,
  type Statement,
  type StoreLog,
  type Writer,
} from "./postgres/connection.ts";
import { TableStatistics } from "./postgres/statistics.ts";
import { attempt, type Body } from "./postgres/transaction.ts";

export interface StoreOptions {
  /** How the application role connects. */
  readonly config: pg.ClientConfig;
  /** Transactions at a time. Default 4. */
  readonly connections?: number;
  readonly log?: StoreLog;
}

/**
 * Thrown by `commit` when the connection broke at COMMIT and the database that answers now is another one: it may have
 * forgotten the transaction, or never have seen it. Recovery decides.
 */
export class EpochChanged extends OutcomeUnknown {
  override readonly name = "EpochChanged";
  readonly before: Identity;
  readonly after: Identity;
  constructor(before: Identity, after: Identity) {
    super("a commit was lost, and the database that answers now cannot know what became of it");
    this.before = before;
    this.after = after;
  }
}

/**
 * Thrown by `commit` when the connection broke at COMMIT and the server has recovered from a crash since. It may have
 * given the transaction's id to another one, so that it cannot say what became of this one.
 */
class CrashedMeanwhile extends OutcomeUnknown {
  override readonly name = "CrashedMeanwhile";
}

/** Thrown by `commit` when the store was closed before the database could be asked what became of a commit. */
class CommitUnknown extends OutcomeUnknown {
  override readonly name = "CommitUnknown";
}

/** Pauses before the same transaction is tried again. Fixed: lock rows are queued for by the server, not raced for. */
const AGAIN_MS = [10, 40, 120, 400];
/** Pauses before another connect: together as long as a restart of the server takes. */
const CONNECT_AGAIN_MS = [20, 80, 200, 400, 800];
const ASK_AGAIN_MAX_MS = 1_000;

/** One place for a connection. */
interface Slot {
  writer: Writer | null;
  connecting: Promise<Writer> | null;
}

interface Request {
  readonly organizations: readonly string[];
  readonly options: CommitOptions;
}

const emptySlot = (): Slot => ({ writer: null, connecting: null });

const unavailable = (cause: unknown): StoreUnavailable =>
  new StoreUnavailable("the database cannot be reached, or is too busy", { cause });

/** What the waker's role may see: which organizations have due work. The time is read once, so that an index finds it. */
const dueStatements = (limit: number): readonly Statement[] => [
  { text: "begin read only" },
  { text: "set local role bursar_waker" },
  {
    name: "bursar_due",
    text:
      'select organization_id from bursar."work" where due_time <= (select clock_timestamp()) ' +
      "group by organization_id order by min(due_time), organization_id limit $1::integer",
    values: [String(limit)],
  },
  { text: "commit" },
];

class PostgresStore implements Store {
  readonly #options: StoreOptions;
  readonly #log: StoreLog;
  readonly #slots: readonly Slot[];
  readonly #free: Slot[];
  readonly #waiting: ((slot: Slot) => void)[] = [];
  readonly #underWay = new Set<Promise<unknown>>();
  readonly #waker = emptySlot();
  readonly #statistics: TableStatistics;
  #isClosing = false;

  constructor(options: StoreOptions) {
    this.#options = options;
    this.#log = options.log ?? (() => undefined);
    this.#slots = Array.from({ length: options.connections ?? 4 }, emptySlot);
    this.#free = [...this.#slots];
    this.#statistics = new TableStatistics(options.config, this.#log);
  }

  /** Connects once, so that a wrong configuration shows at the start. */
  async open(): Promise<this> {
    await this.#connect(this.#waker);
    return this;
  }

  async commit<T>(organizations: readonly string[], options: CommitOptions, body: Body<T>): Promise<T> {
    const slot = this.#free.pop() ?? (await new Promise<Slot>((resolve) => this.#waiting.push(resolve)));
    const commit = this.#commitOn(slot, { organizations, options }, body);
    this.#underWay.add(commit);
    try {
      return await commit;
    } finally {
      this.#underWay.delete(commit);
      const next = this.#waiting.shift();
      if (next === undefined) this.#free.push(slot);
      else next(slot);
    }
  }

  async due(limit: number): Promise<readonly string[]> {
    for (let run = 0; ; run++) {
      const { connection } = await this.#connect(this.#waker);
      try {
        const [, , found] = await connection.run(dueStatements(limit));
        return (found?.rows ?? []).map(([id]) => id as string);
      } catch (error) {
        if (!mayRunAgain(error)) throw error;
        if (run > 0) throw unavailable(error);
      }
    }
  }

  /** Lets the transactions under way end, then closes every connection. What comes later is refused. */
  async close(): Promise<void> {
    this.#isClosing = true;
    while (this.#underWay.size > 0) await Promise.allSettled(this.#underWay);
    await Promise.all([...this.#slots, this.#waker].map(async (slot) => slot.writer?.connection.close()));
    await this.#statistics.close();
  }

  /** The connection of a slot, made anew where it was lost. */
  async #connect(slot: Slot): Promise<Writer> {
    if (this.#isClosing) throw new StoreUnavailable("the store is closed");
    if (slot.writer !== null && !slot.writer.connection.isLost) return slot.writer;
    slot.connecting ??= this.#open(slot);
    try {
      return await slot.connecting;
    } finally {
      slot.connecting = null;
    }
  }

  /** A database that turns us away at the door does so whatever is to be written: for the commit it is away. */
  async #connectToCommit(slot: Slot): Promise<Writer> {
    try {
      return await this.#connect(slot);
    } catch (error) {
      if (error instanceof StoreUnavailable) throw error;
      this.#log("error", "the database cannot be used", { reason: String(error) });
      throw unavailable(error);
    }
  }

  async #open(slot: Slot): Promise<Writer> {
    for (let run = 0; ; run++) {
      try {
        slot.writer = await openWriter(this.#options.config, this.#log);
        return slot.writer;
      } catch (error) {
        if (!isUnreachable(error)) throw error;
        const pause = CONNECT_AGAIN_MS[run];
        if (pause === undefined || this.#isClosing) throw unavailable(error);
        await delay(pause);
      }
    }
  }

  async #commitOn<T>(slot: Slot, request: Request, body: Body<T>): Promise<T> {
    let failure: unknown;
    for (const pause of [0, ...AGAIN_MS]) {
      if (pause > 0) await delay(pause);
      const { connection, identity } = await this.#connectToCommit(slot);
      const ending = await attempt(connection, request, body);
      if (ending.kind === "committed" || (ending.kind === "unknown" && (await this.#ask(slot, identity, ending.xid)))) {
        this.#statistics.inserted(ending.changes);
        return ending.result;
      }
      failure = ending.error;
      if (ending.kind === "aborted" && !mayRunAgain(failure)) throw this.#explained(failure);
    }
    throw unavailable(failure);
  }

  /** A server that takes no writes is said: whoever waits for it waits in silence. */
  #explained(failure: unknown): unknown {
    const error = explain(failure);
    if (error instanceof StoreUnavailable) this.#log("warn", error.message, { reason: String(failure) });
    return error;
  }

  /**
   * Asks the database what became of a transaction until it knows. True: committed. The server may still be at it, or
   * be gone for long; nothing is concluded from that, and the other connections go on.
   */
  async #ask(slot: Slot, before: Identity, xid: string): Promise<boolean> {
    this.#log("warn", "a commit was not answered: asking what became of it", { xid });
    for (let asked = 0; ; asked++) {
      await delay(Math.min(ASK_AGAIN_MAX_MS, 5 * 2 ** asked));
      if (this.#isClosing) throw new CommitUnknown("the store was closed before a commit was answered");
      const fate = await this.#fateOf(slot, before, xid);
      if (fate === null) continue;
      this.#log("info", `a commit that was not answered is ${fate}`, { xid, asked });
      return fate === "committed";
    }
  }

  /** Null: not known yet. */
  async #fateOf(slot: Slot, before: Identity, xid: string): Promise<"committed" | "aborted" | null> {
    let fate: string | null;
    let after: Identity;
    try {
      if (slot.writer === null || slot.writer.connection.isLost) {
        slot.writer = await openWriter(this.#options.config, this.#log);
      }
      after = slot.writer.identity;
      const [reply] = await slot.writer.connection.run([
        { name: "bursar_fate", text: "select pg_xact_status($1::xid8)", values: [xid] },
      ]);
      fate = reply?.rows[0]?.[0] ?? null;
    } catch (error) {
      // An id that is still to come: this database was brought back to a time before the transaction.
      if (!isFutureTransaction(error) || slot.writer === null) return null;
      throw new EpochChanged(before, slot.writer.identity);
    }
    const isSame =
      after.systemIdentifier === before.systemIdentifier &&
      after.timeline === before.timeline &&
      after.epoch === before.epoch;
    // No answer for an id of a minute ago: it is not the database that gave it out.
    if (!isSame || fate === null) throw new EpochChanged(before, after);
    // What was not yet on the disk when a server crashed never was, and its ids are given out again. An id that is not
    // committed is certainly none of a transaction that was; one that is committed may be another's.
    if (fate === "committed" && after.incarnation !== before.incarnation) {
      throw new CrashedMeanwhile("a commit was lost in a crash of the database, which cannot say what became of it");
    }
    return fate === "committed" || fate === "aborted" ? fate : null;
  }
}

const isFutureTransaction = (error: unknown): boolean => error instanceof pg.DatabaseError && error.code === "22023";

/**
 * Opens the store.
 *
 * @throws StoreUnavailable when the database cannot be reached for about 1.5 s, else what the server says.
 */
export function openStore(options: StoreOptions): Promise<Store & { close(): Promise<void> }> {
  return new PostgresStore(options).open();
}
