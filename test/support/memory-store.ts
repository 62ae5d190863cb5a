/**
 * The store in memory: the same promises as on PostgreSQL, without its accidents. No randomness, no time but the clock
 * that it is given; what happens depends only on the order of the calls. Faults (a lost commit, an unknown one) are
 * made by whoever wraps it.
 */

import { StoreUnavailable } from "../../src/core/faults.ts";
import { assert } from "../../src/core/result.ts";
import type {
  Changes,
  CommitOptions,
  OrganizationLock,
  Store,
  TableName,
  Tables,
  Tx,
  Want,
  Work,
} from "../../src/engine/ports.ts";
import { type AnyRow, byColumns, compareText } from "../../src/store/describe.ts";
import { TABLE_NAMES, tableOf } from "../../src/store/tables.ts";
import { MemoryBook } from "./memory-book.ts";

/** What `bursar.epoch` holds. */
export interface MemoryEpoch {
  readonly number: number;
  readonly gate: "open" | "shut";
}

/** The whole content at one moment. Rows are frozen, so it never changes. */
export interface Snapshot {
  readonly rows: ReadonlyMap<TableName, readonly AnyRow[]>;
  readonly epoch: MemoryEpoch;
}

export interface MemoryStoreOptions {
  /** The database's clock, in whole milliseconds since 1970. */
  readonly clock: { now(): number };
}

const oldestFirst = byColumns(["dueTime", "organizationId", "subject"]);

/** Bytes cannot be frozen: whoever reads gets a copy. */
const BYTES = new Map(
  TABLE_NAMES.map((name) => [
    name,
    Object.entries(tableOf(name).columns).flatMap(([member, { type }]) => (type === "bytes" ? [member] : [])),
  ]),
);

function handOut(name: TableName, rows: readonly AnyRow[]): readonly AnyRow[] {
  const members = BYTES.get(name) ?? [];
  if (members.length === 0) return rows;
  return rows.map((row) => {
    const copies = members.map((member) => {
      const value = row[member] as Uint8Array | null;
      return [member, value === null ? null : new Uint8Array(value)] as const;
    });
    return Object.freeze({ ...row, ...Object.fromEntries(copies) });
  });
}

/** Who holds which lock row, and who waits for it, first come first served. */
class Locks {
  readonly #held = new Set<string>();
  readonly #waiting = new Map<string, (() => void)[]>();

  isFree(id: string): boolean {
    return !this.#held.has(id);
  }

  async take(id: string): Promise<void> {
    if (this.isFree(id)) {
      this.#held.add(id);
      return;
    }
    const queue = this.#waiting.get(id) ?? [];
    this.#waiting.set(id, queue);
    await new Promise<void>((resolve) => queue.push(resolve));
  }

  /** Hands the lock to the next who waits. */
  release(id: string): void {
    const queue = this.#waiting.get(id);
    const next = queue?.shift();
    if (queue?.length === 0) this.#waiting.delete(id);
    if (next === undefined) this.#held.delete(id);
    else next();
  }
}

class MemoryTx implements Tx {
  readonly now: number;
  readonly epoch: number;
  readonly isGateOpen: boolean;
  readonly locks: ReadonlyMap<string, OrganizationLock>;
  /** The organizations that row-level security lets through. */
  readonly tenants: ReadonlySet<string>;
  readonly #book: MemoryBook;
  #isOver = false;

  constructor(book: MemoryBook, organizations: readonly string[], moment: { now: number; epoch: MemoryEpoch }) {
    this.#book = book;
    this.now = moment.now;
    this.epoch = moment.epoch.number;
    this.isGateOpen = moment.epoch.gate === "open";
    this.tenants = new Set(organizations);
    const keys = [...organizations].sort(compareText).map((id) => [id]);
    const locks = book.find("organizationLock", "primary", keys, this.tenants) as unknown as OrganizationLock[];
    this.locks = new Map(locks.map((lock) => [lock.organizationId, lock]));
  }

  async load<T extends TableName>(wants: readonly Want<T>[]): Promise<readonly (readonly Tables[T][])[]> {
    assert(!this.#isOver, "a transaction is not used after its body has returned");
    return wants.map((want) =>
      handOut(want.table, this.#book.find(want.table, want.by, want.keys, this.tenants)),
    ) as unknown as readonly (readonly Tables[T][])[];
  }

  async claim(kind: Work["kind"], limit: number): Promise<readonly Work[]> {
    assert(!this.#isOver, "a transaction is not used after its body has returned");
    const due = [...this.locks.keys()].flatMap((id) => {
      const rows = this.#book.claimable(id, kind).filter((row) => (row.dueTime as number) <= this.now);
      return rows.sort(oldestFirst).slice(0, limit);
    });
    return due.sort(oldestFirst) as unknown as readonly Work[];
  }

  end(): void {
    this.#isOver = true;
  }
}

export class MemoryStore implements Store {
  /** What the next transactions read. A simulator changes it as a failover would. */
  epoch: MemoryEpoch = { number: 1, gate: "open" };
  readonly #clock: MemoryStoreOptions["clock"];
  readonly #book = new MemoryBook();
  readonly #locks = new Locks();
  /** Counts restores: a transaction that began before one has lost its connection. */
  #generation = 0;

  constructor(options: MemoryStoreOptions) {
    this.#clock = options.clock;
  }

  async commit<T>(
    organizations: readonly string[],
    options: CommitOptions,
    body: (tx: Tx) => Promise<{ readonly changes: Changes; readonly result: T }>,
  ): Promise<T> {
    const asked = [...new Set(organizations)].sort(compareText);
    assert(
      asked.every((id) => id !== "" && !id.includes(",")),
      "an organization's id is not empty and has no comma",
    );
    const held = await this.#take(asked, options.skipLocked === true);
    try {
      const generation = this.#generation;
      const tx = new MemoryTx(this.#book, held, { now: this.#clock.now(), epoch: this.epoch });
      const { changes, result } = await body(tx).finally(() => tx.end());
      if (generation !== this.#generation) throw new StoreUnavailable("the database was restored meanwhile");
      this.#book.apply(changes, tx.tenants);
      return result;
    } finally {
      for (const id of held) this.#locks.release(id);
    }
  }

  async due(limit: number): Promise<readonly string[]> {
    const now = this.#clock.now();
    const earliest = new Map<string, number>();
    for (const row of this.#book.each("work")) {
      const { organizationId, dueTime } = row as unknown as Work;
      if (dueTime > now) continue;
      earliest.set(organizationId, Math.min(dueTime, earliest.get(organizationId) ?? dueTime));
    }
    const order = [...earliest].sort(([a, x], [b, y]) => x - y || compareText(a, b));
    return order.slice(0, limit).map(([id]) => id);
  }

  /** All rows of a table, in the order of its primary key. */
  rows<T extends TableName>(name: T): readonly Tables[T][] {
    return handOut(name, this.#book.sorted(name)) as unknown as readonly Tables[T][];
  }

  snapshot(): Snapshot {
    return { rows: new Map(TABLE_NAMES.map((name) => [name, this.#book.sorted(name)])), epoch: this.epoch };
  }

  /** Brings the content of a snapshot back. Transactions under way end as if their connections had broken. */
  restore(snapshot: Snapshot): void {
    this.#generation++;
    this.#book.replace(snapshot.rows);
    this.epoch = snapshot.epoch;
  }

  /** With `skipLocked`, only organizations that exist and that nobody holds. */
  async #take(asked: readonly string[], skipLocked: boolean): Promise<readonly string[]> {
    if (skipLocked) {
      const known = this.#book.find(
        "organizationLock",
        "primary",
        asked.map((id) => [id]),
        new Set(asked),
      );
      const free = known.map((row) => row.organizationId as string).filter((id) => this.#locks.isFree(id));
      for (const id of free) void this.#locks.take(id);
      return free;
    }
    // One after the other, in order: nobody waits for whom he makes wait.
    for (const id of asked) await this.#locks.take(id);
    return asked;
  }
}

export function memoryStore(options: MemoryStoreOptions): MemoryStore {
  return new MemoryStore(options);
}
