/**
 * Changes as the steps in which they are written: one per table and kind of change, in an order that both stores keep,
 * so that both find the same fault first.
 */
import { assert } from "../core/result.ts";
import type { Changes, KeyValues, TableName } from "../engine/ports.ts";
import { type AnyRow, keyText } from "./describe.ts";
import { TABLE_NAMES, tableOf } from "./tables.ts";

export interface Update {
  readonly key: KeyValues;
  readonly version: number;
  readonly set: AnyRow;
}

export interface Delete {
  readonly key: KeyValues;
  readonly version?: number;
}

export type Step =
  /** Rows of the primary key and, when there is a `guard`, of the version as read; without it a row may be missing. */
  | {
      readonly kind: "delete";
      readonly table: TableName;
      readonly guard: string | null;
      readonly deletes: readonly Delete[];
    }
  | { readonly kind: "insert"; readonly table: TableName; readonly rows: readonly AnyRow[] }
  /** All updates set the same members. */
  | {
      readonly kind: "update";
      readonly table: TableName;
      readonly guard: string;
      readonly members: readonly string[];
      readonly updates: readonly Update[];
    };

function deleteSteps(table: TableName, deletes: readonly Delete[]): Step[] {
  const guarded = deletes.filter((each) => each.version !== undefined);
  const bare = deletes.filter((each) => each.version === undefined);
  const guard = tableOf(table).guard ?? null;
  assert(guarded.length === 0 || guard !== null, `rows of ${table} have no version`);
  return [
    ...(guarded.length > 0 ? [{ kind: "delete", table, guard, deletes: guarded } as const] : []),
    ...(bare.length > 0 ? [{ kind: "delete", table, guard: null, deletes: bare } as const] : []),
  ];
}

function updateSteps(table: TableName, updates: readonly Update[]): Step[] {
  const { guard, primary, frozen = [] } = tableOf(table);
  assert(guard !== undefined, `rows of ${table} are not updated`);
  // UPDATE .. FROM takes any one of several rows for a key: two changes of one row must not get there.
  const keys = new Set(updates.map((update) => keyText(update.key)));
  assert(keys.size === updates.length, `a row of ${table} is updated twice in one transaction`);
  const groups = Map.groupBy(updates, (update) => Object.keys(update.set).sort().join());
  return [...groups].map(([list, group]) => {
    assert(list !== "", `an update of ${table} sets nothing`);
    const members = list.split(",");
    const changed = members.filter((member) => primary.includes(member) || frozen.includes(member));
    assert(changed.length === 0, `${changed.join(", ")} of a row of ${table} never changes`);
    return { kind: "update", table, guard, members, updates: group };
  });
}

/**
 * Deletes, inserts, updates, each in the order of the tables.
 *
 * @throws InvariantBroken when the changes contradict the description or themselves.
 */
export function stepsOf(changes: Changes): Step[] {
  const steps: Step[] = [];
  for (const table of TABLE_NAMES) {
    const deletes = changes.delete[table];
    if (deletes !== undefined && deletes.length > 0) steps.push(...deleteSteps(table, deletes));
  }
  for (const table of TABLE_NAMES) {
    const rows = changes.insert[table] as readonly AnyRow[] | undefined;
    if (rows !== undefined && rows.length > 0) steps.push({ kind: "insert", table, rows });
  }
  for (const table of TABLE_NAMES) {
    const updates = changes.update[table];
    if (updates !== undefined && updates.length > 0) steps.push(...updateSteps(table, updates));
  }
  return steps;
}
