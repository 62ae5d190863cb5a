/**
 * Changes and wants as SQL statements, from the descriptions in `tables.ts` alone. One statement per table and set of
 * columns, whatever the number of rows: arrays in, rows joined. Texts are made once and kept, so that every connection
 * prepares each of them once.
 */
import { assert } from "../../core/result.ts";
import type { Changes, KeyValues, TableName, Want, Work } from "../../engine/ports.ts";
import {
  type AnyRow,
  type AnyTable,
  byColumns,
  type Column,
  type ColumnType,
  type Key,
  keyOf,
  keyText,
  sqlName,
} from "../describe.ts";
import { SQL_TYPES } from "../schema.ts";
import { type Step, stepsOf } from "../steps.ts";
import { tableOf } from "../tables.ts";
import { DECODE, ENCODE, encodeColumn } from "../values.ts";
import type { Statement } from "./connection.ts";

/** A prepared statement without its values. */
interface Prepared {
  readonly name: string;
  readonly text: string;
}

const preparedBySignature = new Map<string, Prepared>();

function prepare(signature: string, build: () => string): Prepared {
  const known = preparedBySignature.get(signature);
  if (known !== undefined) return known;
  const prepared = { name: `bursar_${preparedBySignature.size + 1}`, text: build() };
  preparedBySignature.set(signature, prepared);
  return prepared;
}

const quoted = (member: string): string => `"${sqlName(member)}"`;
const relation = (table: TableName): string => `bursar.${quoted(table)}`;
const columnOf = (table: AnyTable, member: string): Column => {
  const column = table.columns[member];
  assert(column !== undefined, `there is no column ${member}`);
  return column;
};

/** The type of an array parameter. A list of texts travels as its literal: arrays of arrays cannot be ragged. */
const arrayType = (type: ColumnType): string =>
  type === "texts" ? "text" : SQL_TYPES[type].replace(/ collate.*| *\(.*/, "");
const unnested = (types: readonly ColumnType[]): string =>
  types.map((type, at) => `$${at + 1}::${arrayType(type)}[]`).join(", ");
const given = (type: ColumnType, name: string): string => (type === "texts" ? `d.${name}::text[]` : `d.${name}`);

function insertStatement(name: TableName, rows: readonly AnyRow[]): Statement {
  const table = tableOf(name);
  const prepared = prepare(`insert ${name}`, () => {
    const types = Object.values(table.columns).map((column) => column.type);
    const aliases = types.map((_, at) => `c${at}`);
    return (
      `insert into ${relation(name)} (${Object.keys(table.columns).map(quoted).join(", ")}) ` +
      `select ${types.map((type, at) => given(type, `c${at}`)).join(", ")} ` +
      `from unnest(${unnested(types)}) d(${aliases.join(", ")})`
    );
  });
  const values: string[] = [];
  for (const member in table.columns) {
    const column = table.columns[member];
    if (column !== undefined) values.push(encodeColumn(column.type, rows, member));
  }
  return { ...prepared, values };
}

/** Keys, as rows by column, so that they are encoded like rows. */
function keyRows(columns: readonly string[], keys: readonly KeyValues[]): AnyRow[] {
  return keys.map((key) => {
    assert(key.length === columns.length, `a key of ${columns.join(", ")} has ${columns.length} values`);
    const row: Record<string, unknown> = {};
    for (const [at, column] of columns.entries()) row[column] = key[at];
    return row;
  });
}

function keyParameters(table: AnyTable, columns: readonly string[], keys: readonly KeyValues[]): string[] {
  const rows = keyRows(columns, keys);
  return columns.map((column) => encodeColumn(columnOf(table, column).type, rows, column));
}

function matches(columns: readonly string[]): string {
  return columns.map((column, at) => `t.${quoted(column)} = d.c${at}`).join(" and ");
}

/** Counts what a guarded change touched; another number than expected undoes the transaction. */
const counted = (change: string, name: TableName, parameter: number): string =>
  `with touched as (${change} returning 1) ` +
  `select bursar.expect_rows('${sqlName(name)}', count(*), $${parameter}::bigint) from touched`;

type StepOf<K extends Step["kind"]> = Extract<Step, { readonly kind: K }>;

function updateStatement({ table: name, guard, members, updates }: StepOf<"update">): Statement {
  const table = tableOf(name);
  const matched = [...table.primary, guard];
  const prepared = prepare(`update ${name} ${members.join()}`, () => {
    const types = [...matched, ...members].map((member) => columnOf(table, member).type);
    const sets = members.map((member, at) => {
      const from = matched.length + at;
      return `${quoted(member)} = ${given(columnOf(table, member).type, `c${from}`)}`;
    });
    const change =
      `update ${relation(name)} t set ${sets.join(", ")} ` +
      `from unnest(${unnested(types)}) d(${types.map((_, at) => `c${at}`).join(", ")}) where ${matches(matched)}`;
    return counted(change, name, types.length + 1);
  });
  const keys = updates.map((update) => [...update.key, update.version]);
  const sets = updates.map((update) => update.set);
  const values = [
    ...keyParameters(table, matched, keys),
    ...members.map((member) => encodeColumn(columnOf(table, member).type, sets, member)),
    String(updates.length),
  ];
  return { ...prepared, values };
}

function deleteStatement({ table: name, guard, deletes }: StepOf<"delete">): Statement {
  const table = tableOf(name);
  const matched = guard === null ? table.primary : [...table.primary, guard];
  const prepared = prepare(`delete ${name} ${guard ?? ""}`, () => {
    const types = matched.map((member) => columnOf(table, member).type);
    const change =
      `delete from ${relation(name)} t ` +
      `using unnest(${unnested(types)}) d(${types.map((_, at) => `c${at}`).join(", ")}) where ${matches(matched)}`;
    return guard === null ? change : counted(change, name, types.length + 1);
  });
  const keys = deletes.map(({ key, version }) => (version === undefined ? key : [...key, version]));
  const values = keyParameters(table, matched, keys);
  return { ...prepared, values: guard === null ? values : [...values, String(deletes.length)] };
}

/**
 * The statements that write changes, one per step.
 *
 * @throws StoreRefused `value_unstorable`; InvariantBroken when the changes contradict the description or themselves.
 */
export function writeStatements(changes: Changes): Statement[] {
  return stepsOf(changes).map((step) => {
    if (step.kind === "insert") return insertStatement(step.table, step.rows);
    return step.kind === "update" ? updateStatement(step) : deleteStatement(step);
  });
}

/** The columns of a table, in the order in which every select here names them. */
export const selectList = (table: AnyTable): string =>
  Object.keys(table.columns)
    .map((member) => `t.${quoted(member)}`)
    .join(", ");

/** Rows as they came from `selectList`, with the members of the table. */
export function decodeRows(name: TableName, rows: readonly (readonly (string | null)[])[]): AnyRow[] {
  const columns = Object.entries(tableOf(name).columns).map(
    ([member, column]) => [member, DECODE[column.type]] as const,
  );
  return rows.map((values) => {
    const row: Record<string, unknown> = {};
    for (let at = 0; at < columns.length; at++) {
      const [member, decode] = columns[at] as (typeof columns)[number];
      const value = values[at];
      row[member] = value === null || value === undefined ? null : decode(value);
    }
    return row;
  });
}

/** All wants of one key of one table: one statement. */
interface LoadGroup {
  readonly table: TableName;
  readonly key: Key;
  readonly keys: Map<string, KeyValues>;
  /** Which wants asked, by their places in the list. */
  readonly wants: number[];
}

/** Set-based selects for a list of wants, and what becomes of their rows. */
export interface Load {
  readonly statements: readonly Statement[];
  /** The rows of each want, in the order of its keys, then of their primary keys. */
  distribute(replies: readonly (readonly (readonly (string | null)[])[])[]): AnyRow[][];
}

function loadStatement({ table: name, key, keys }: LoadGroup, by: string): Statement {
  const table = tableOf(name);
  const prepared = prepare(`load ${name} ${by}`, () => {
    const types = key.columns.map((column) => columnOf(table, column).type);
    const where = key.where === undefined ? "" : ` and ${key.where.sql}`;
    return (
      `select ${selectList(table)} from unnest(${unnested(types)}) d(${types.map((_, at) => `c${at}`).join(", ")}) ` +
      `join ${relation(name)} t on ${matches(key.columns)}${where}`
    );
  });
  return { ...prepared, values: keyParameters(table, key.columns, [...keys.values()]) };
}

/** Puts the rows of one statement into the wants that asked for them. */
function deal(group: LoadGroup, rows: readonly AnyRow[], wants: readonly Want[], into: AnyRow[][]): void {
  const byKey = Map.groupBy(rows, (row) => keyText(group.key.columns.map((column) => row[column] as string | number)));
  if (!group.key.isUnique) {
    const order = byColumns(tableOf(group.table).primary);
    for (const same of byKey.values()) same.sort(order);
  }
  for (const at of group.wants) {
    const texts = new Set(wants[at]?.keys.map(keyText));
    for (const text of texts) into[at]?.push(...(byKey.get(text) ?? []));
  }
}

/** Merges wants of the same key of the same table into one statement each. */
export function planLoad(wants: readonly Want[]): Load {
  const groups = new Map<string, LoadGroup>();
  for (const [at, want] of wants.entries()) {
    const name = `${want.table} ${want.by}`;
    let group = groups.get(name);
    if (group === undefined) {
      group = { table: want.table, key: keyOf(tableOf(want.table), want.by), keys: new Map(), wants: [] };
      groups.set(name, group);
    }
    group.wants.push(at);
    for (const key of want.keys) group.keys.set(keyText(key), key);
  }
  const asked = [...groups].filter(([, group]) => group.keys.size > 0);
  return {
    statements: asked.map(([name, group]) => loadStatement(group, name.slice(group.table.length + 1))),
    distribute(replies) {
      const results: AnyRow[][] = wants.map(() => []);
      for (const [at, [, group]] of asked.entries()) {
        deal(group, decodeRows(group.table, replies[at] ?? []), wants, results);
      }
      return results;
    },
  };
}

/** Due work of the organizations given, oldest first, at most `limit` of each. The time is a parameter: an index finds it. */
export function claimStatement(
  organizations: readonly string[],
  what: { readonly kind: Work["kind"]; readonly limit: number; readonly now: number },
): Statement {
  const prepared = prepare("claim", () => {
    const list = selectList(tableOf("work"));
    return (
      `select w.* from unnest($1::text[]) o(id) cross join lateral (select ${list} from bursar."work" t ` +
      `where t."organization_id" = o.id and t."kind" = $2 and t."due_time" <= $3::timestamptz ` +
      `order by t."due_time", t."subject" limit $4::integer) w`
    );
  });
  const ids = organizations.map((id) => ({ id }));
  const values = [encodeColumn("text", ids, "id"), what.kind, ENCODE.time(what.now), ENCODE.int(what.limit)];
  return { ...prepared, values };
}

/** Takes the lock rows: a statement of its own, so that what comes after sees all that their last holder committed. */
export function lockStatement(organizations: readonly string[], skipLocked: boolean): Statement {
  const prepared = prepare(`lock ${skipLocked}`, () => {
    const list = selectList(tableOf("organizationLock"));
    // NO KEY: foreign keys that point to the row need not wait. Ordered: nobody waits for whom he makes wait.
    return (
      `select ${list} from bursar."organization_lock" t where t."organization_id" = any ($1::text[]) ` +
      `order by t."organization_id" for no key update${skipLocked ? " skip locked" : ""}`
    );
  });
  const ids = organizations.map((id) => ({ id }));
  return { ...prepared, values: [encodeColumn("text", ids, "id")] };
}

/** Names the organizations of the transaction for row-level security. */
export function organizationsParameter(organizations: readonly string[]): string {
  // The list is comma-separated text in the database: an id with a comma would be two ids.
  assert(
    organizations.every((id) => id !== "" && !id.includes(",")),
    "an organization's id is not empty and has no comma",
  );
  return organizations.join(",");
}
