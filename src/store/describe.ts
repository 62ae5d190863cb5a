/**
 * The words in which `tables.ts` describes a table, and what follows from a description alone. Whoever reads or writes
 * rows by description (the PostgreSQL store, the memory store, the schema, their tests) starts here.
 */

import { assert } from "../core/result.ts";
import type { KeyValues, TableName } from "../engine/ports.ts";

/**
 * How a column is stored. `text` string, `uuid` string, `int` number (int4), `long` number (int8, below 2^53),
 * `money` bigint (numeric(38,0)), `flag` boolean, `time` number (timestamptz, milliseconds), `json` jsonb,
 * `bytes` bytea, `texts` text[].
 */
export type ColumnType = "text" | "uuid" | "int" | "long" | "money" | "flag" | "time" | "json" | "bytes" | "texts";

export interface Column {
  readonly type: ColumnType;
  readonly isNullable: boolean;
}

export interface Unique<R> {
  readonly columns: readonly (keyof R & string)[];
  /** A partial unique key: only rows for which this holds. */
  readonly where?: { readonly sql: string; readonly holds: (row: R) => boolean };
}

export interface Check<R> {
  readonly sql: string;
  readonly holds: (row: R) => boolean;
}

export interface Foreign<R> {
  readonly columns: readonly (keyof R & string)[];
  readonly table: TableName;
}

/** One table. Names of uniques, checks and foreign keys are the constraint names in the database. */
export interface Table<R> {
  readonly columns: { readonly [K in keyof R & string]-?: Column };
  readonly primary: readonly (keyof R & string)[];
  /** `tenant`: row-level security by `organizationId`; `global`: no tenant. */
  readonly scope: "tenant" | "global";
  /** The application role may not UPDATE or DELETE. */
  readonly isAppendOnly?: true;
  /** What of a row stays as it was written, beside its key: the application role may not UPDATE it. */
  readonly frozen?: readonly (keyof R & string)[];
  /** The column whose value as read guards every UPDATE. */
  readonly guard?: keyof R & string;
  /** The application role may DELETE: for rows that are no record of anything. */
  readonly isDeletable?: true;
  /** Rows change often, in columns without an index: room on the page keeps updates there (HOT). */
  readonly isHot?: true;
  /** Rows come and go: vacuumed by their number, not by their share of the table. */
  readonly isQueue?: true;
  readonly uniques?: Readonly<Record<string, Unique<R>>>;
  /** Plain indexes that loads may use, by name. */
  readonly lookups?: Readonly<Record<string, readonly (keyof R & string)[]>>;
  readonly checks?: Readonly<Record<string, Check<R>>>;
  readonly foreigns?: Readonly<Record<string, Foreign<R>>>;
}

export const column = (type: ColumnType): Column => ({ type, isNullable: false });
export const orNull = (type: ColumnType): Column => ({ type, isNullable: true });
export const text = column("text");
export const uuid = column("uuid");
export const int = column("int");
export const long = column("long");
export const money = column("money");
export const flag = column("flag");
export const time = column("time");
export const json = column("json");
export const bytes = column("bytes");

export const notNegative = <K extends string>(name: K, sqlName: string): Check<Readonly<Record<K, bigint>>> => ({
  sql: `${sqlName} >= 0`,
  holds: (row) => row[name] >= 0n,
});
export const positive = <K extends string>(name: K, sqlName: string): Check<Readonly<Record<K, bigint>>> => ({
  sql: `${sqlName} > 0`,
  holds: (row) => row[name] > 0n,
});

/** `createdTime` -> `created_time`: how a member is spelled in SQL. */
export function sqlName(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

/** A table seen without its row type, for code that works on every table alike. */
export type AnyRow = Readonly<Record<string, unknown>>;
export type AnyTable = Table<AnyRow>;

/** The name of a table's primary key in the database. */
export function primaryName(table: TableName): string {
  return `${sqlName(table)}_pkey`;
}

/** What the store calls a row without a value that it must have: PostgreSQL gives no name. */
export function notNullName(table: TableName, member: string): string {
  return `${sqlName(table)}_${sqlName(member)}_not_null`;
}

/** What the store calls a guarded change whose row was not there as it had been read. */
export function staleName(table: TableName): string {
  return `${sqlName(table)}_version_stale`;
}

/** How else a change can be refused. */
export const REFUSALS = {
  /** A row of an organization that the transaction did not name, or did not get. */
  foreignOrganization: "row_level_security",
  /** The application role may not do that to this table at all. */
  notAllowed: "permission_denied",
  /** A value that its column cannot hold, a text with a zero character for instance. */
  unstorable: "value_unstorable",
  unbalanced: "entry_sums_to_zero",
} as const;

/** A unique key or look-up of a table: which columns, and for which rows. */
export interface Key {
  readonly columns: readonly string[];
  readonly isUnique: boolean;
  readonly where?: Unique<AnyRow>["where"];
}

/** What `Want.by` names: `primary`, a unique key or a look-up. */
export function keyOf(table: AnyTable, by: string): Key {
  if (by === "primary") return { columns: table.primary, isUnique: true };
  const unique = table.uniques?.[by];
  if (unique !== undefined) return { ...unique, isUnique: true };
  const lookup = table.lookups?.[by];
  assert(lookup !== undefined, `there is no key ${by}`);
  return { columns: lookup, isUnique: false };
}

/** The look-ups that need an index of their own: the first columns of a primary or unique key are an index already. */
export function indexedLookups(table: AnyTable): readonly (readonly [name: string, columns: readonly string[]])[] {
  const whole = Object.values(table.uniques ?? {}).filter((unique) => unique.where === undefined);
  const keys = [table.primary, ...whole.map((unique) => unique.columns)];
  return Object.entries(table.lookups ?? {}).filter(
    ([, columns]) => !keys.some((key) => columns.every((name, at) => key[at] === name)),
  );
}

/** Two keys have the same text only if they are the same: lengths stand in front, whatever the merchant writes. */
export function keyText(values: KeyValues): string {
  let text = "";
  for (const value of values) text += typeof value === "string" ? `${value.length}:${value}` : `${value};`;
  return text;
}

const SURROGATE = /[\ud800-\udfff]/;

/** The order of texts and ids in the database: by code point (collation "C"), which is not JavaScript's. */
export function compareText(a: string, b: string): number {
  if (SURROGATE.test(a) || SURROGATE.test(b)) return Buffer.compare(Buffer.from(a), Buffer.from(b));
  return a < b ? -1 : a > b ? 1 : 0;
}

/** Rows in the order of some of their columns. */
export function byColumns(columns: readonly string[]): (a: AnyRow, b: AnyRow) => number {
  return (a, b) => {
    for (const name of columns) {
      const left = a[name];
      const right = b[name];
      const order =
        typeof left === "string" && typeof right === "string" ? compareText(left, right) : Number(left) - Number(right);
      if (order !== 0) return order;
    }
    return 0;
  };
}
