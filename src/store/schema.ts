/** How what `tables.ts` describes is spelled in the database. The migrations say it; schema tests compare the two. */
import type { AnyTable, ColumnType } from "./describe.ts";

export const SQL_TYPES: Readonly<Record<ColumnType, string>> = {
  // Byte order: the same on every machine and for ever, whatever its libraries think of German.
  text: 'text collate "C"',
  uuid: "uuid",
  int: "integer",
  long: "bigint",
  money: "numeric(38,0)",
  flag: "boolean",
  time: "timestamptz",
  json: "jsonb",
  bytes: "bytea",
  texts: "text[]",
};

/** The members that the application role may UPDATE where it may not all of them; null: the whole row. */
export function updatableOf({ columns, primary, frozen }: AnyTable): readonly string[] | null {
  if (frozen === undefined) return null;
  return Object.keys(columns).filter((member) => !primary.includes(member) && !frozen.includes(member));
}

/** What the application role may do, table by table. Never TRUNCATE. */
export function privilegesOf(table: AnyTable): readonly ("select" | "insert" | "update" | "delete")[] {
  return [
    "select",
    "insert",
    ...(table.guard !== undefined && !table.isAppendOnly ? (["update"] as const) : []),
    ...(table.isDeletable ? (["delete"] as const) : []),
  ];
}
