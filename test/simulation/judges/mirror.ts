/**
 * The auditor's own copy of the rows that matter, made from nothing but the changes that took effect. What it holds
 * does not depend on what the engine loads, and a change can be seen with what was there before.
 */
import { assert } from "../../../src/core/result.ts";
import type { Changes, KeyValues, TableName, Tables } from "../../../src/engine/ports.ts";
import { type AnyRow, keyText } from "../../../src/store/describe.ts";
import { tableOf } from "../../../src/store/tables.ts";

export const MIRRORED = [
  "organizationLock",
  "ledgerAccount",
  "invoice",
  "request",
  "payout",
  "openPart",
  "work",
  "moderationItem",
  "moderationAct",
  "providerAccount",
  "route",
  "scheme",
  "recoveryCheck",
] as const satisfies readonly TableName[];
export type Mirrored = (typeof MIRRORED)[number];

/** One row before and after a commit; null: not there. */
export type Change<T extends Mirrored = Mirrored> = {
  readonly [K in T]: { readonly table: K; readonly before: Tables[K] | null; readonly after: Tables[K] | null };
}[T];

type AnyChange = { table: TableName; before: AnyRow | null; after: AnyRow | null };

export class Mirror {
  readonly #tables = new Map<TableName, Map<string, AnyRow>>(MIRRORED.map((name) => [name, new Map()]));
  /** Payouts by organization and request. */
  readonly #payouts = new Map<string, Set<string>>();
  readonly #references = new Map<string, string>();

  /** Takes a commit over. A row that is replaced (deleted and inserted) is one change. */
  apply(changes: Changes): readonly Change[] {
    const seen = new Map<string, AnyChange>();
    for (const table of MIRRORED) {
      for (const { key } of changes.delete[table] ?? []) this.#write(seen, { table, key, row: null });
      for (const { key, set } of changes.update[table] ?? []) {
        const before = this.#tables.get(table)?.get(keyText(key));
        assert(before !== undefined, `an updated ${table} row is there`);
        this.#write(seen, { table, key, row: { ...before, ...set } });
      }
      for (const row of changes.insert[table] ?? []) {
        this.#write(seen, { table, key: primaryOf(table, row as unknown as AnyRow), row: row as unknown as AnyRow });
      }
    }
    return [...seen.values()] as unknown as readonly Change[];
  }

  /** Takes the rows of a snapshot instead of its own. */
  restore(rows: ReadonlyMap<TableName, readonly AnyRow[]>): void {
    this.#payouts.clear();
    this.#references.clear();
    for (const table of MIRRORED) {
      const mine = this.#tables.get(table);
      assert(mine !== undefined, `${table} is mirrored`);
      mine.clear();
      for (const row of rows.get(table) ?? []) {
        const text = keyText(primaryOf(table, row));
        mine.set(text, row);
        if (table === "payout") this.#index(row as unknown as Tables["payout"], text);
      }
    }
  }

  #write(seen: Map<string, AnyChange>, what: { table: Mirrored; key: KeyValues; row: AnyRow | null }): void {
    const { table, key, row } = what;
    const rows = this.#tables.get(table);
    assert(rows !== undefined, `${table} is mirrored`);
    const text = keyText(key);
    const change = seen.get(`${table} ${text}`);
    if (change === undefined) seen.set(`${table} ${text}`, { table, before: rows.get(text) ?? null, after: row });
    else change.after = row;
    if (row === null) rows.delete(text);
    else rows.set(text, row);
    if (table === "payout" && row !== null) this.#index(row as unknown as Tables["payout"], text);
  }

  #index(payout: Tables["payout"], key: string): void {
    const { organizationId, requestId, providerAccountId, reference } = payout;
    const request = keyText([organizationId, requestId]);
    const payouts = this.#payouts.get(request);
    if (payouts === undefined) this.#payouts.set(request, new Set([key]));
    else payouts.add(key);
    this.#references.set(keyText([organizationId, providerAccountId, reference]), key);
  }

  get<T extends Mirrored>(table: T, key: KeyValues): Tables[T] | null {
    return (this.#tables.get(table)?.get(keyText(key)) ?? null) as Tables[T] | null;
  }

  rows<T extends Mirrored>(table: T): Iterable<Tables[T]> {
    return (this.#tables.get(table)?.values() ?? []) as unknown as Iterable<Tables[T]>;
  }

  /** The payouts of a request, by part and attempt. */
  payoutsOf(organizationId: string, requestId: string): Tables["payout"][] {
    const keys = this.#payouts.get(keyText([organizationId, requestId])) ?? [];
    const rows = this.#tables.get("payout");
    const payouts = [...keys].map((key) => rows?.get(key) as unknown as Tables["payout"]);
    return payouts.sort((a, b) => a.part - b.part || a.attempt - b.attempt);
  }

  payoutBy(organizationId: string, providerAccountId: string, reference: string): Tables["payout"] | null {
    const key = this.#references.get(keyText([organizationId, providerAccountId, reference]));
    return key === undefined ? null : ((this.#tables.get("payout")?.get(key) ?? null) as Tables["payout"] | null);
  }
}

function primaryOf(table: TableName, row: AnyRow): KeyValues {
  return tableOf(table).primary.map((name) => row[name] as string | number);
}
