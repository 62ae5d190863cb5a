/**
 * The rows that one transaction knows: as loaded, and as they shall be. Commands of one batch are decided one after
 * the other, each on a branch that sees what the ones before did; a refused command's branch is thrown away.
 */
import { assert } from "../core/result.ts";
import type { Changes, KeyValues, TableName, Tables, Want } from "./ports.ts";

/** The key of every table that the engine writes, and the column that guards its updates. */
const KEYS: { readonly [T in TableName]: readonly (keyof Tables[T] & string)[] } = {
  organization: ["id"],
  organizationLock: ["organizationId"],
  locator: ["hash"],
  apiKey: ["organizationId", "id"],
  website: ["organizationId", "id"],
  customer: ["organizationId", "id"],
  paymentInstrument: ["organizationId", "id"],
  providerAccount: ["organizationId", "id"],
  depositAccount: ["organizationId", "id"],
  route: ["organizationId", "id"],
  scheme: ["organizationId", "kind", "id", "revision"],
  ledgerAccount: ["organizationId", "id"],
  fundsMovement: ["organizationId", "id"],
  invoice: ["organizationId", "id"],
  request: ["organizationId", "id"],
  payout: ["organizationId", "id"],
  openPart: ["organizationId", "requestId", "part"],
  work: ["organizationId", "kind", "subject"],
  moderationItem: ["organizationId", "id"],
  moderationAct: ["organizationId", "id"],
  recoveryCheck: ["organizationId", "payoutId", "epoch", "providerAccountId", "attempt"],
  partSearch: ["organizationId", "requestId", "epoch", "providerAccountId", "attempt"],
  webhookEndpoint: ["organizationId", "id"],
  delivery: ["organizationId", "id"],
  idempotency: ["organizationId", "key"],
  command: ["organizationId", "id"],
  history: ["organizationId", "sequence"],
  entry: ["organizationId", "accountId", "sequence"],
};

type AnyRow = Tables[TableName];
type Rows = Map<string, AnyRow | null>;

function keyOf(table: TableName, row: AnyRow): KeyValues {
  const members = row as unknown as Record<string, string | number>;
  return KEYS[table].map((name) => {
    const value = members[name];
    assert(value !== undefined, `a ${table} row has no ${name}`);
    return value;
  });
}

const join = (key: KeyValues): string => key.join("\u0000");

/** What decisions read and write. */
export interface Rowset {
  get<T extends TableName>(table: T, key: KeyValues): Tables[T] | null;
  filter<T extends TableName>(table: T, holds: (row: Tables[T]) => boolean): Tables[T][];
  /** The rows whose member has this value; found by an index, however many rows the batch has loaded. */
  group<T extends TableName>(table: T, member: keyof Tables[T] & string, value: string): Tables[T][];
  put<T extends TableName>(table: T, row: Tables[T]): void;
  remove<T extends TableName>(table: T, key: KeyValues): void;
}

/** A set of changes on top of another rowset. */
export class Branch implements Rowset {
  readonly #under: View;
  readonly #rows = new Map<TableName, Rows>();

  constructor(under: View) {
    this.#under = under;
  }

  get<T extends TableName>(table: T, key: KeyValues): Tables[T] | null {
    const own = this.#rows.get(table)?.get(join(key));
    return own === undefined ? this.#under.get(table, key) : (own as Tables[T] | null);
  }

  filter<T extends TableName>(table: T, holds: (row: Tables[T]) => boolean): Tables[T][] {
    const own = this.#rows.get(table);
    if (own === undefined) return this.#under.filter(table, holds);
    const below = this.#under.filter(table, (row) => !own.has(join(keyOf(table, row))) && holds(row));
    const above = [...own.values()].filter((row) => row !== null).map((row) => row as Tables[T]);
    return [...below, ...above.filter(holds)];
  }

  group<T extends TableName>(table: T, member: keyof Tables[T] & string, value: string): Tables[T][] {
    const below = this.#under.group(table, member, value);
    const own = this.#rows.get(table);
    if (own === undefined) return below;
    const found = below.filter((row) => !own.has(join(keyOf(table, row))));
    for (const row of own.values()) {
      if (row !== null && valueIn(row, member) === value) found.push(row as Tables[T]);
    }
    return found;
  }

  put<T extends TableName>(table: T, row: Tables[T]): void {
    this.#write(table, join(keyOf(table, row)), row);
  }

  remove<T extends TableName>(table: T, key: KeyValues): void {
    this.#write(table, join(key), null);
  }

  #write(table: TableName, key: string, row: AnyRow | null): void {
    let rows = this.#rows.get(table);
    if (rows === undefined) {
      rows = new Map();
      this.#rows.set(table, rows);
    }
    rows.set(key, row);
  }

  /** Makes this branch's changes part of what lies under it. */
  merge(): void {
    for (const [table, rows] of this.#rows) {
      for (const [key, row] of rows) this.#under.write(table, key, row);
    }
  }
}

/** Everything that a batch has loaded and decided. */
export class View {
  readonly #loaded = new Map<TableName, Rows>();
  readonly #current = new Map<TableName, Rows>();
  readonly #asked = new Map<string, Set<string>>();
  /** Rows by the value of one member, by table and member: built when first asked for, kept up to date then. */
  readonly #indexes = new Map<TableName, Map<string, Index>>();

  /** The part of these wants that no load has asked for yet; asking takes note of it. */
  fresh(wants: readonly Want[]): readonly Want[] {
    const fresh: Want[] = [];
    for (const { table, by, keys } of wants) {
      let asked = this.#asked.get(`${table} ${by}`);
      if (asked === undefined) {
        asked = new Set();
        this.#asked.set(`${table} ${by}`, asked);
      }
      const unasked: KeyValues[] = [];
      for (const key of keys) {
        const text = join(key);
        if (asked.has(text)) continue;
        asked.add(text);
        unasked.push(key);
      }
      if (unasked.length > 0) fresh.push({ table, by, keys: unasked });
    }
    return fresh;
  }

  /** Takes over what a load answered. */
  take<T extends TableName>(wants: readonly Want<T>[], results: readonly (readonly Tables[T][])[]): void {
    results.forEach((rows, index) => {
      const table = wants[index]?.table;
      assert(table !== undefined, "a load answers every want");
      for (const row of rows) this.takeRow(table, row);
    });
  }

  takeRow<T extends TableName>(table: T, row: Tables[T]): void {
    const key = join(keyOf(table, row));
    if (rowsOf(this.#loaded, table).has(key)) return;
    rowsOf(this.#loaded, table).set(key, row);
    this.write(table, key, row);
  }

  get<T extends TableName>(table: T, key: KeyValues): Tables[T] | null {
    return (this.#current.get(table)?.get(join(key)) ?? null) as Tables[T] | null;
  }

  filter<T extends TableName>(table: T, holds: (row: Tables[T]) => boolean): Tables[T][] {
    const found: Tables[T][] = [];
    for (const row of this.#current.get(table)?.values() ?? []) {
      if (row !== null && holds(row as Tables[T])) found.push(row as Tables[T]);
    }
    return found;
  }

  group<T extends TableName>(table: T, member: keyof Tables[T] & string, value: string): Tables[T][] {
    const rows = this.#index(table, member).get(value);
    return rows === undefined ? [] : ([...rows.values()] as Tables[T][]);
  }

  #index(table: TableName, member: string): Index {
    let indexes = this.#indexes.get(table);
    if (indexes === undefined) {
      indexes = new Map();
      this.#indexes.set(table, indexes);
    }
    let index = indexes.get(member);
    if (index === undefined) {
      index = new Map();
      indexes.set(member, index);
      for (const [key, row] of this.#current.get(table) ?? []) if (row !== null) addTo(index, member, { key, row });
    }
    return index;
  }

  write(table: TableName, key: string, row: AnyRow | null): void {
    const rows = rowsOf(this.#current, table);
    const before = rows.get(key) ?? null;
    rows.set(key, row);
    for (const [member, index] of this.#indexes.get(table) ?? []) {
      if (before !== null) index.get(valueIn(before, member))?.delete(key);
      if (row !== null) addTo(index, member, { key, row });
    }
  }

  branch(): Branch {
    return new Branch(this);
  }

  /** What is to be written, as plain data. */
  changes(): Changes {
    const insert: Partial<Record<TableName, AnyRow[]>> = {};
    const update: Partial<Record<TableName, { key: KeyValues; version: number; set: Partial<AnyRow> }[]>> = {};
    const remove: Partial<Record<TableName, { key: KeyValues; version?: number }[]>> = {};
    for (const [table, rows] of this.#current) {
      const loaded = this.#loaded.get(table);
      for (const [key, row] of rows) {
        const before = loaded?.get(key) ?? null;
        if (row === before) continue;
        if (before === null) {
          if (row !== null) append(insert, table, row);
        } else if (row === null) {
          append(remove, table, { key: keyOf(table, before), ...guardOf(before) });
        } else {
          const set = difference(before, row);
          const { version } = guardOf(before);
          if (set === null) continue;
          if (version !== undefined) append(update, table, { key: keyOf(table, before), version, set });
          else {
            // A row without a guard is never updated: it gives way to another one (the open payout of a part).
            append(remove, table, { key: keyOf(table, before) });
            append(insert, table, row);
          }
        }
      }
    }
    return { insert, update, delete: remove } as Changes;
  }
}

type Index = Map<unknown, Map<string, AnyRow>>;

function valueIn(row: AnyRow, member: string): unknown {
  return (row as unknown as Record<string, unknown>)[member];
}

function addTo(index: Index, member: string, { key, row }: { key: string; row: AnyRow }): void {
  const value = valueIn(row, member);
  const rows = index.get(value);
  if (rows === undefined) index.set(value, new Map([[key, row]]));
  else rows.set(key, row);
}

function rowsOf(tables: Map<TableName, Rows>, table: TableName): Rows {
  let rows = tables.get(table);
  if (rows === undefined) {
    rows = new Map();
    tables.set(table, rows);
  }
  return rows;
}

function append<V>(into: Partial<Record<TableName, V[]>>, table: TableName, value: V): void {
  const list = into[table];
  if (list === undefined) into[table] = [value];
  else list.push(value);
}

function guardOf(row: AnyRow): { version?: number } {
  if ("version" in row) return { version: row.version };
  return "fence" in row ? { version: row.fence } : {};
}

/** The members that differ; null when none does. Objects count as changed when they are other objects. */
function difference(before: AnyRow, after: AnyRow): Partial<AnyRow> | null {
  const old = before as unknown as Record<string, unknown>;
  const set: Record<string, unknown> = {};
  let differs = false;
  for (const [name, value] of Object.entries(after)) {
    if (old[name] === value) continue;
    set[name] = value;
    differs = true;
  }
  return differs ? set : null;
}
