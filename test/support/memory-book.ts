/**
 * The rows of the memory store and the rules that PostgreSQL would hold them to, read from the same descriptions and
 * applied in the same order: statement by statement and row by row; in a row first the tenant, then missing values,
 * then checks by name, then keys; foreign keys and the ledger's sums at the end of a statement.
 */

import { StoreRefused } from "../../src/core/faults.ts";
import { assert } from "../../src/core/result.ts";
import type { Changes, KeyValues, TableName } from "../../src/engine/ports.ts";
import {
  type AnyRow,
  type AnyTable,
  byColumns,
  type ColumnType,
  keyOf,
  keyText,
  notNullName,
  primaryName,
  REFUSALS,
  staleName,
} from "../../src/store/describe.ts";
import { parseJson } from "../../src/store/json.ts";
import { privilegesOf } from "../../src/store/schema.ts";
import { type Step, stepsOf } from "../../src/store/steps.ts";
import { TABLE_NAMES, tableOf } from "../../src/store/tables.ts";
import { ENCODE } from "../../src/store/values.ts";

interface Index {
  readonly name: string;
  readonly columns: readonly string[];
  readonly isUnique: boolean;
  /** Rows outside are not in the index. */
  readonly holds: (row: AnyRow) => boolean;
  /** Primary keys by key. */
  readonly found: Map<string, Set<string>>;
}

interface Book {
  readonly name: TableName;
  readonly table: AnyTable;
  readonly rows: Map<string, AnyRow>;
  /** Unique keys in the order in which PostgreSQL looks at them, then look-ups. */
  readonly indexes: readonly Index[];
  readonly checks: readonly (readonly [name: string, holds: (row: AnyRow) => boolean])[];
}

const always = (): boolean => true;

/** Claims read work by organization and kind. */
const CLAIMS: Readonly<Partial<Record<TableName, readonly string[]>>> = { work: ["organizationId", "kind"] };

function emptyBook(name: TableName): Book {
  const table = tableOf(name);
  const uniques = Object.entries(table.uniques ?? {});
  // Constraints are made with their table, partial keys after it: PostgreSQL goes by age.
  const ordered = [...uniques.filter(([, key]) => !key.where), ...uniques.filter(([, key]) => key.where)];
  const claims = CLAIMS[name];
  const lookups = [...Object.entries(table.lookups ?? {}), ...(claims ? [["claims", claims] as const] : [])];
  return {
    name,
    table,
    rows: new Map(),
    indexes: [
      ...ordered.map(([key, { columns, where }]) => ({
        name: key,
        columns,
        isUnique: true,
        holds: where?.holds ?? always,
        found: new Map(),
      })),
      ...lookups.map(([key, columns]) => ({ name: key, columns, isUnique: false, holds: always, found: new Map() })),
    ],
    checks: Object.entries(table.checks ?? {})
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([check, { holds }]) => [check, holds]),
  };
}

const keyIn = (row: AnyRow, columns: readonly string[]): string | null => {
  const values = columns.map((column) => row[column] as string | number | null);
  return values.includes(null) ? null : keyText(values as KeyValues);
};

const byLengthThenBytes = (a: string, b: string): number =>
  Buffer.byteLength(a) - Buffer.byteLength(b) || Buffer.compare(Buffer.from(a), Buffer.from(b));

/** jsonb's order of members: by length, then by bytes. */
function likeJsonb(value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return Object.freeze(value.map(likeJsonb));
  const members = Object.entries(value).sort(([a], [b]) => byLengthThenBytes(a, b));
  return Object.freeze(Object.fromEntries(members.map(([name, member]) => [name, likeJsonb(member)])));
}

/** A value as the database would give it back, a copy that nobody else holds. */
function stored(type: ColumnType, value: unknown): unknown {
  if (value === null) return null;
  const text = ENCODE[type](value);
  if (type === "json") return likeJsonb(parseJson(text));
  if (type === "bytes") return new Uint8Array(value as Uint8Array);
  if (type === "texts") return Object.freeze([...(value as string[])]);
  return type === "int" || type === "long" || type === "time" ? Number(value) + 0 : value;
}

/** Some members of a row as they will be stored. Refuses what no column can hold. */
function storedMembers(table: AnyTable, members: readonly string[], row: AnyRow): Record<string, unknown> {
  const result: Record<string, unknown> = {};
  for (const member of members) {
    const column = table.columns[member];
    assert(column !== undefined, `there is no column ${member}`);
    result[member] = stored(column.type, row[member]);
  }
  return result;
}

function checkKey(table: AnyTable, columns: readonly string[], key: KeyValues): void {
  assert(key.length === columns.length, `a key of ${columns.join(", ")} has ${columns.length} values`);
  for (const [at, column] of columns.entries()) {
    const type = table.columns[column]?.type;
    assert(type !== undefined, `there is no column ${column}`);
    stored(type, key[at]);
  }
}

/** A step with its values as they will be stored: nothing is written while a value cannot be. */
function prepare(step: Step): Step {
  const table = tableOf(step.table);
  if (step.kind === "insert") {
    const members = Object.keys(table.columns);
    return { ...step, rows: step.rows.map((row) => Object.freeze(storedMembers(table, members, row))) };
  }
  if (step.kind === "delete") {
    for (const { key } of step.deletes) checkKey(table, table.primary, key);
    return step;
  }
  for (const { key } of step.updates) checkKey(table, table.primary, key);
  return {
    ...step,
    updates: step.updates.map((update) => ({ ...update, set: storedMembers(table, step.members, update.set) })),
  };
}

/** All rows of all tables. */
export class MemoryBook {
  readonly #books = new Map<TableName, Book>(TABLE_NAMES.map((name) => [name, emptyBook(name)]));
  #undo: (() => void)[] = [];

  /** In no order. */
  each(name: TableName): Iterable<AnyRow> {
    return this.#book(name).rows.values();
  }

  /** In the order of the primary key. */
  sorted(name: TableName): AnyRow[] {
    return [...this.each(name)].sort(byColumns(tableOf(name).primary));
  }

  /** The rows of some keys that these organizations may see, in the order of the keys, then of their primary keys. */
  find(name: TableName, by: string, keys: readonly KeyValues[], tenants: ReadonlySet<string>): AnyRow[] {
    const { table, rows, indexes } = this.#book(name);
    const { columns } = keyOf(table, by);
    const index = indexes.find((each) => each.name === by);
    const texts = new Set<string>();
    for (const key of keys) {
      checkKey(table, columns, key);
      texts.add(keyText(key));
    }
    return [...texts].flatMap((text) => {
      const primaries = index === undefined ? [text] : [...(index.found.get(text) ?? [])];
      const visible = rowsOf(rows, primaries).filter((row) => isVisible(table, row, tenants));
      return visible.length > 1 ? visible.sort(byColumns(table.primary)) : visible;
    });
  }

  /** Work of one organization and kind, in no order. */
  claimable(organizationId: string, kind: string): AnyRow[] {
    const { indexes, rows } = this.#book("work");
    const found = indexes.find((index) => index.name === "claims")?.found.get(keyText([organizationId, kind]));
    return rowsOf(rows, found ?? []);
  }

  /**
   * Writes all changes or none.
   *
   * @throws StoreRefused with the name that PostgreSQL would give; InvariantBroken as the store would.
   */
  apply(changes: Changes, tenants: ReadonlySet<string>): void {
    const steps = stepsOf(changes).map(prepare);
    this.#undo = [];
    try {
      for (const step of steps) this.#write(step, tenants);
    } catch (error) {
      for (const undo of this.#undo.reverse()) undo();
      throw error;
    }
  }

  /** Replaces everything. */
  replace(rows: ReadonlyMap<TableName, readonly AnyRow[]>): void {
    for (const [name, book] of this.#books) {
      book.rows.clear();
      for (const index of book.indexes) index.found.clear();
      for (const row of rows.get(name) ?? []) put(book, row);
    }
  }

  #book(name: TableName): Book {
    const book = this.#books.get(name);
    assert(book !== undefined, `there is no table ${name}`);
    return book;
  }

  #write(step: Step, tenants: ReadonlySet<string>): void {
    const book = this.#book(step.table);
    if (!privilegesOf(book.table).includes(step.kind)) throw new StoreRefused(REFUSALS.notAllowed);
    if (step.kind === "insert") this.#insert(book, step.rows, tenants);
    else if (step.kind === "update") this.#update(book, step, tenants);
    else this.#delete(book, step, tenants);
  }

  #insert(book: Book, rows: readonly AnyRow[], tenants: ReadonlySet<string>): void {
    for (const row of rows) {
      checkRow(book, row, tenants);
      const key = keyIn(row, book.table.primary) as string;
      if (book.rows.has(key)) throw new StoreRefused(primaryName(book.name));
      checkUniques(book, row, null);
      put(book, row);
      this.#undo.push(() => remove(book, row));
    }
    for (const row of rows) this.#checkForeigns(book, row, always);
    if (book.name === "entry") checkSums(rows);
  }

  #update(book: Book, step: Extract<Step, { kind: "update" }>, tenants: ReadonlySet<string>): void {
    const changed: AnyRow[] = [];
    for (const { key, version, set } of step.updates) {
      const old = this.#seen(book, key, tenants);
      if (old === undefined || old[step.guard] !== version) continue;
      const row = Object.freeze({ ...old, ...set });
      checkRow(book, row, tenants);
      checkUniques(book, row, old);
      remove(book, old);
      put(book, row);
      this.#undo.push(() => {
        remove(book, row);
        put(book, old);
      });
      changed.push(row);
    }
    if (changed.length !== step.updates.length) throw new StoreRefused(staleName(book.name));
    const touches = (columns: readonly string[]): boolean => columns.some((column) => step.members.includes(column));
    for (const row of changed) this.#checkForeigns(book, row, touches);
  }

  #delete(book: Book, step: Extract<Step, { kind: "delete" }>, tenants: ReadonlySet<string>): void {
    let count = 0;
    for (const { key, version } of step.deletes) {
      const old = this.#seen(book, key, tenants);
      if (old === undefined || (step.guard !== null && old[step.guard] !== version)) continue;
      remove(book, old);
      this.#undo.push(() => put(book, old));
      count++;
    }
    if (step.guard !== null && count !== step.deletes.length) throw new StoreRefused(staleName(book.name));
  }

  #seen(book: Book, key: KeyValues, tenants: ReadonlySet<string>): AnyRow | undefined {
    const row = book.rows.get(keyText(key));
    return row !== undefined && isVisible(book.table, row, tenants) ? row : undefined;
  }

  #checkForeigns(book: Book, row: AnyRow, isChanged: (columns: readonly string[]) => boolean): void {
    for (const [name, { columns, table }] of Object.entries(book.table.foreigns ?? {})) {
      const key = isChanged(columns) ? keyIn(row, columns) : null;
      if (key !== null && !this.#book(table).rows.has(key)) throw new StoreRefused(name);
    }
  }
}

const rowsOf = (rows: ReadonlyMap<string, AnyRow>, primaries: Iterable<string>): AnyRow[] =>
  [...primaries].map((primary) => rows.get(primary)).filter((row) => row !== undefined);

function isVisible(table: AnyTable, row: AnyRow, tenants: ReadonlySet<string>): boolean {
  return table.scope === "global" || tenants.has(row.organizationId as string);
}

function checkRow(book: Book, row: AnyRow, tenants: ReadonlySet<string>): void {
  if (!isVisible(book.table, row, tenants)) throw new StoreRefused(REFUSALS.foreignOrganization);
  for (const member in book.table.columns) {
    const isMissing = row[member] === null && book.table.columns[member]?.isNullable === false;
    if (isMissing) throw new StoreRefused(notNullName(book.name, member));
  }
  for (const [name, holds] of book.checks) if (!holds(row)) throw new StoreRefused(name);
}

function checkUniques(book: Book, row: AnyRow, old: AnyRow | null): void {
  const own = old === null ? null : keyIn(old, book.table.primary);
  for (const index of book.indexes) {
    if (!index.isUnique || !index.holds(row)) continue;
    const key = keyIn(row, index.columns);
    const found = key === null ? undefined : index.found.get(key);
    if (found !== undefined && [...found].some((primary) => primary !== own)) throw new StoreRefused(index.name);
  }
}

function put(book: Book, row: AnyRow): void {
  const primary = keyIn(row, book.table.primary) as string;
  book.rows.set(primary, row);
  for (const index of book.indexes) {
    const key = index.holds(row) ? keyIn(row, index.columns) : null;
    if (key === null) continue;
    const found = index.found.get(key);
    if (found === undefined) index.found.set(key, new Set([primary]));
    else found.add(primary);
  }
}

function remove(book: Book, row: AnyRow): void {
  const primary = keyIn(row, book.table.primary) as string;
  book.rows.delete(primary);
  for (const index of book.indexes) {
    const key = keyIn(row, index.columns);
    const found = key === null ? undefined : index.found.get(key);
    if (key === null || found === undefined) continue;
    found.delete(primary);
    if (found.size === 0) index.found.delete(key);
  }
}

function checkSums(rows: readonly AnyRow[]): void {
  const sums = new Map<string, bigint>();
  for (const row of rows) {
    const key = keyIn(row, ["organizationId", "subject", "cause", "currency"]) as string;
    sums.set(key, (sums.get(key) ?? 0n) + (row.amountMinor as bigint));
  }
  for (const sum of sums.values()) if (sum !== 0n) throw new StoreRefused(REFUSALS.unbalanced);
}

// Nothing that others refer to is ever deleted, so deletes need no look at foreign keys.
for (const name of TABLE_NAMES) {
  for (const { table } of Object.values(tableOf(name).foreigns ?? {})) {
    assert(tableOf(table).isDeletable !== true, `rows of ${table} are referred to and may be deleted`);
  }
}
