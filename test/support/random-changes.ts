/**
 * Change sets at random, legal ones and ones with one chosen fault, for any store that shows its rows. Everything
 * follows from the seed and from what the store holds.
 */
import { assert } from "../../src/core/result.ts";
import type { Changes, KeyValues, TableName } from "../../src/engine/ports.ts";
import {
  type AnyRow,
  type ColumnType,
  notNullName,
  primaryName,
  REFUSALS,
  sqlName,
  staleName,
} from "../../src/store/describe.ts";
import { privilegesOf } from "../../src/store/schema.ts";
import { MOVE_NAMES } from "../../src/store/tables/orders.ts";
import { TABLE_NAMES, tableOf } from "../../src/store/tables.ts";

/** Mulberry32: small, seeded, good enough to shuffle test data. */
export class Dice {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** 0 <= result < limit */
  below(limit: number): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = this.#state;
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * limit);
  }

  chance(percent: number): boolean {
    return this.below(100) < percent;
  }

  pick<T>(values: readonly T[]): T {
    assert(values.length > 0, "there is something to pick from");
    return values[this.below(values.length)] as T;
  }
}

const SCRAPS = [
  "a",
  "Ä",
  "ß",
  "€",
  "漢",
  "😀",
  " ",
  '"',
  "\\",
  "'",
  "{",
  "}",
  ",",
  "NULL",
  "\n",
  "\t",
  "$1",
  "\u0001",
  "\ue000",
  "z",
];

/** Money up to 37 digits, so that sums of two still fit. */
function randomMoney(dice: Dice): bigint {
  let digits = "";
  for (let count = dice.below(37); count >= 0; count--) digits += dice.below(10);
  return BigInt(digits);
}

function randomText(dice: Dice): string {
  let text = "";
  for (let count = dice.below(6); count >= 0; count--) text += dice.pick(SCRAPS);
  return text;
}

function randomUuid(dice: Dice): string {
  const hex = Array.from({ length: 32 }, () => dice.below(16).toString(16)).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}

function randomJson(dice: Dice, depth: number): unknown {
  const leaves = [null, true, "", randomText(dice), dice.below(1000), 0.1, -1.5e-9, 1e21, 2 ** 53, 123456.78901234567];
  if (depth === 0 || dice.chance(40)) return dice.pick(leaves);
  const parts = Array.from({ length: dice.below(4) }, () => randomJson(dice, depth - 1));
  return dice.chance(50) ? parts : Object.fromEntries(parts.map((part) => [randomText(dice), part]));
}

const VALUES: Readonly<Record<ColumnType, (dice: Dice) => unknown>> = {
  text: randomText,
  uuid: randomUuid,
  int: (dice) => dice.below(2 ** 31) * (dice.chance(10) ? -1 : 1),
  long: (dice) => dice.below(2 ** 53),
  money: randomMoney,
  flag: (dice) => dice.chance(50),
  time: (dice) => dice.below(4e12) - (dice.chance(5) ? 6e13 : 0),
  json: (dice) => randomJson(dice, 3) ?? {},
  bytes: (dice) => Uint8Array.from({ length: dice.below(40) }, () => dice.below(256)),
  texts: (dice) => Array.from({ length: dice.below(4) }, () => dice.pick(MOVE_NAMES)),
};

const UNSTORABLE: Readonly<Record<ColumnType, readonly unknown[]>> = {
  text: ["zero \0", "half \ud83d", 7],
  uuid: ["01900000-0000-7000-8000-00000000000Z", "01900000-0000-7000-8000-00000000000A", ""],
  int: [2 ** 31, 1.5, Number.NaN],
  long: [2 ** 53, 0.5],
  money: [10n ** 38n, -(10n ** 38n), 5],
  flag: ["t", 0],
  time: [1.5, Number.NaN, 8e15, -7e13],
  json: [{ a: "\0" }, { "\udc00": 1 }, { a: 1n }, () => 1],
  bytes: ["00", [1]],
  texts: [["\0"], "a"],
};

type MutableRow = Record<string, unknown>;
const money = (row: MutableRow, member: string): bigint => row[member] as bigint;

/** Makes the checks of a table hold. */
const LEGALISE: Readonly<Partial<Record<TableName, (row: MutableRow) => void>>> = {
  ledgerAccount: (row) => {
    if (row.floorMinor !== null && money(row, "balanceMinor") < money(row, "floorMinor")) row.floorMinor = 0n;
  },
  fundsMovement: (row) => (row.amountMinor = money(row, "amountMinor") + 1n),
  invoice: (row) => {
    row.serviceAmountMinor = money(row, "serviceAmountMinor") + 1n;
    row.heldMinor = money(row, "postedMinor") + money(row, "releasedMinor");
  },
  request: (row) => {
    row.amountMinor = money(row, "amountMinor") + 1n;
    if (money(row, "availableMinor") > money(row, "amountMinor")) row.availableMinor = row.amountMinor;
  },
  payout: (row) => {
    row.amountMinor = money(row, "amountMinor") + 1n;
    row.returnedMinor = money(row, "processedMinor");
  },
};

/** Breaks one check of a row that keeps all of them. */
const BREAK: Readonly<Record<string, (row: MutableRow) => void>> = {
  insufficient_funds: (row) => {
    row.floorMinor = 5n;
    row.balanceMinor = 4n;
  },
  funds_movement_amount_positive: (row) => (row.amountMinor = 0n),
  invoice_amount_positive: (row) => (row.serviceAmountMinor = -1n),
  invoice_hold_used_once: (row) => (row.postedMinor = money(row, "heldMinor") + 1n),
  request_amount_positive: (row) => {
    row.amountMinor = 0n;
    row.availableMinor = 0n;
  },
  request_available_within_amount: (row) => (row.availableMinor = money(row, "amountMinor") + 1n),
  request_overpaid_not_negative: (row) => (row.overpaidMinor = -1n),
  payout_amount_positive: (row) => (row.amountMinor = 0n),
  payout_processed_not_negative: (row) => {
    row.processedMinor = -1n;
    row.returnedMinor = -1n;
  },
  payout_in_flight_not_negative: (row) => (row.inFlightMinor = -1n),
  payout_returned_within_processed: (row) => (row.returnedMinor = money(row, "processedMinor") + 1n),
  history_move_listed: (row) => (row.moves = [MOVE_NAMES[0], "payout.PAID>UNPAID"]),
};

/** One way to be refused. */
export interface Fault {
  readonly name: string;
  readonly table: TableName;
  readonly kind:
    | "primary"
    | "unique"
    | "check"
    | "foreign"
    | "stale"
    | "missing"
    | "tenant"
    | "denied"
    | "unstorable"
    | "sums";
}

/** Every fault that the descriptions allow. */
export const FAULTS: readonly Fault[] = TABLE_NAMES.flatMap((name) => {
  const table = tableOf(name);
  const named = (kind: Fault["kind"], names: object | undefined): Fault[] =>
    Object.keys(names ?? {}).map((fault) => ({ name: fault, table: name, kind }));
  const loose = Object.entries(table.columns).filter(([member, column]) => {
    const isKey = table.primary.includes(member) || member === "organizationId";
    return !column.isNullable && !isKey;
  });
  return [
    { name: primaryName(name), table: name, kind: "primary" } as const,
    ...named("unique", table.uniques),
    ...named("check", table.checks),
    ...named("foreign", table.foreigns),
    ...loose
      .slice(0, 2)
      .map(([member]) => ({ name: notNullName(name, member), table: name, kind: "missing" }) as const),
    ...(table.guard ? [{ name: staleName(name), table: name, kind: "stale" } as const] : []),
    ...(table.scope === "tenant" ? [{ name: REFUSALS.foreignOrganization, table: name, kind: "tenant" } as const] : []),
    ...(table.isDeletable ? [] : [{ name: REFUSALS.notAllowed, table: name, kind: "denied" } as const]),
    { name: REFUSALS.unstorable, table: name, kind: "unstorable" } as const,
    ...(name === "entry" ? [{ name: REFUSALS.unbalanced, table: name, kind: "sums" } as const] : []),
  ];
});

export type RowsOf = (table: TableName) => readonly AnyRow[];

interface Draft {
  readonly insert: Partial<Record<TableName, AnyRow[]>>;
  readonly update: Partial<Record<TableName, { key: KeyValues; version: number; set: AnyRow }[]>>;
  readonly delete: Partial<Record<TableName, { key: KeyValues; version?: number }[]>>;
}

const listIn = <T>(lists: Partial<Record<TableName, T[]>>, table: TableName): T[] => (lists[table] ??= []);
const primaryOf = (table: TableName, row: AnyRow): KeyValues =>
  tableOf(table).primary.map((member) => row[member] as string | number);

/** Makes change sets for organizations that exist in the store already. */
export class ChangeMaker {
  readonly dice: Dice;
  readonly #rowsOf: RowsOf;

  constructor(dice: Dice, rowsOf: RowsOf) {
    this.dice = dice;
    this.#rowsOf = rowsOf;
  }

  /** A few changes of these organizations, with the fault if one is given, and now and then an accident besides. */
  make(held: readonly string[], fault: Fault | null): Changes {
    const draft: Draft = { insert: {}, update: {}, delete: {} };
    for (let count = this.dice.below(4) + (fault === null ? 1 : 0); count > 0; count--) {
      const table = this.dice.pick(
        TABLE_NAMES.filter((name) => name !== "organization" && name !== "organizationLock"),
      );
      const kind = this.dice.pick(privilegesOf(tableOf(table)).slice(1));
      if (kind === "insert") this.#insert(draft, table, held);
      else if (kind === "update") this.#update(draft, table, held);
      else this.#delete(draft, table, held);
    }
    if (fault !== null) this.#spoil(draft, fault, held);
    return draft as unknown as Changes;
  }

  /** A row that no rule of its own table refuses. What it refers to exists where there is any. */
  row(name: TableName, organizationId: string): MutableRow {
    const table = tableOf(name);
    const row: MutableRow = {};
    for (const [member, column] of Object.entries(table.columns)) {
      const value = VALUES[column.type](this.dice);
      row[member] = column.isNullable && this.dice.chance(40) ? null : value;
    }
    if ("organizationId" in table.columns) row.organizationId = organizationId;
    if (name === "moderationItem") row.status = this.dice.pick(["open", "closed"]);
    for (const foreign of Object.values(table.foreigns ?? {})) {
      const targets = this.#rowsOf(foreign.table).filter((target) => ownerOf(target) === organizationId);
      if (targets.length === 0) continue;
      const key = primaryOf(foreign.table, this.dice.pick(targets));
      for (const [at, member] of foreign.columns.entries()) if (member !== "organizationId") row[member] = key[at];
    }
    LEGALISE[name]?.(row);
    return row;
  }

  #insert(draft: Draft, table: TableName, held: readonly string[]): void {
    for (let count = this.dice.below(3); count >= 0; count--) {
      const row = this.row(table, this.dice.pick(held));
      listIn(draft.insert, table).push(row);
      if (table === "entry") listIn(draft.insert, table).push(this.#counterpart(row, 0n));
    }
  }

  /** The other line of a ledger transaction, off by `error`. */
  #counterpart(row: AnyRow, error: bigint): AnyRow {
    const sequence = (row.sequence as number) + 1;
    return { ...row, sequence, line: (row.line as number) ^ 1, amountMinor: -(row.amountMinor as bigint) + error };
  }

  #known(table: TableName, held: readonly string[], draft: Draft): readonly AnyRow[] {
    const taken = new Set([
      ...listIn(draft.update, table).map(({ key }) => key.join("\n")),
      ...listIn(draft.delete, table).map(({ key }) => key.join("\n")),
    ]);
    return this.#rowsOf(table).filter(
      (row) => held.includes(ownerOf(row)) && !taken.has(primaryOf(table, row).join("\n")),
    );
  }

  /** Sets some members of a row, so that the checks go on holding. */
  #change(table: TableName, old: AnyRow): { key: KeyValues; version: number; set: MutableRow } {
    const { primary, guard = "", frozen = [] } = tableOf(table);
    const fresh = this.row(table, ownerOf(old));
    const row: MutableRow = { ...old };
    for (const member of Object.keys(fresh)) if (this.dice.chance(30)) row[member] = fresh[member];
    LEGALISE[table]?.(row);
    for (const member of frozen) row[member] = old[member];
    const version = old[guard] as number;
    const set: MutableRow = { [guard]: version + 1 };
    for (const member of Object.keys(row)) {
      if (!primary.includes(member) && member !== guard && row[member] !== old[member]) set[member] = row[member];
    }
    return { key: primaryOf(table, old), version, set };
  }

  #update(draft: Draft, table: TableName, held: readonly string[]): void {
    for (let count = this.dice.below(3); count >= 0; count--) {
      const known = this.#known(table, held, draft);
      if (known.length > 0) listIn(draft.update, table).push(this.#change(table, this.dice.pick(known)));
    }
  }

  #delete(draft: Draft, table: TableName, held: readonly string[]): void {
    const known = this.#known(table, held, draft);
    const { guard } = tableOf(table);
    const missing = { key: primaryOf(table, this.row(table, this.dice.pick(held))) };
    if (known.length === 0 || this.dice.chance(10)) {
      listIn(draft.delete, table).push(missing);
      return;
    }
    const row = this.dice.pick(known);
    const key = primaryOf(table, row);
    const isGuarded = guard !== undefined && this.dice.chance(70);
    listIn(draft.delete, table).push(isGuarded ? { key, version: row[guard] as number } : { key });
  }

  #spoil(draft: Draft, fault: Fault, held: readonly string[]): void {
    const { table, kind } = fault;
    const row = this.row(table, this.dice.pick(held));
    if (kind === "stale") return this.#spoilVersion(draft, table, row, held);
    if (kind === "denied") {
      listIn(draft.delete, table).push({ key: primaryOf(table, row) });
      return;
    }
    // What is wrong with a row that is new may be wrong with one that is changed.
    const known = this.#known(table, held, draft);
    const old = known.length > 0 && this.dice.chance(40) ? this.dice.pick(known) : null;
    const isUpdate = old !== null && privilegesOf(tableOf(table)).includes("update");
    const rows = this.#faulty(fault, row);
    if (isUpdate && (kind === "check" || kind === "foreign" || kind === "missing" || kind === "unstorable")) {
      const { key, version, set } = this.#change(table, old);
      const bad: MutableRow = { ...old, ...set };
      this.#damage(fault, bad);
      const members = Object.keys(bad).filter((member) => bad[member] !== old[member]);
      // What is frozen is never changed, not even to something that is wrong.
      if (!members.some((member) => tableOf(table).frozen?.includes(member))) {
        listIn(draft.update, table).push({ key, version, set: Object.fromEntries(members.map((m) => [m, bad[m]])) });
        return;
      }
    }
    listIn(draft.insert, table).push(...rows);
  }

  #spoilVersion(draft: Draft, table: TableName, row: MutableRow, held: readonly string[]): void {
    const { guard = "", isDeletable } = tableOf(table);
    const known = this.#known(table, held, draft);
    const old = known.length > 0 && this.dice.chance(70) ? this.dice.pick(known) : row;
    const { key, set } = this.#change(table, old);
    const version = (old[guard] as number) + (this.dice.chance(50) ? 1 : -1);
    if (isDeletable && this.dice.chance(50)) listIn(draft.delete, table).push({ key, version });
    else listIn(draft.update, table).push({ key, version, set });
  }

  /** New rows of which one has the fault. */
  #faulty(fault: Fault, row: MutableRow): MutableRow[] {
    const { table: name, kind } = fault;
    const pair = name === "entry" ? [this.#counterpart(row, 0n)] : [];
    if (kind === "sums") return [row, this.#counterpart(row, this.dice.chance(50) ? 1n : -1n)];
    if (kind === "primary" || kind === "unique") {
      const known = this.#rowsOf(name).filter((each) => ownerOf(each) === ownerOf(row));
      const other = known.length > 0 && this.dice.chance(50) ? this.dice.pick(known) : null;
      return this.#twins(fault, other, row);
    }
    this.#damage(fault, row);
    return [row, ...pair];
  }

  /** A row with the same key as another, which is there already or comes first. */
  #twins(fault: Fault, other: AnyRow | null, row: MutableRow): MutableRow[] {
    const table = tableOf(fault.table);
    const key = fault.kind === "primary" ? { columns: table.primary } : table.uniques?.[fault.name];
    assert(key !== undefined, `there is no key ${fault.name}`);
    const where = "where" in key ? key.where : undefined;
    if (other !== null && where !== undefined && !where.holds(other)) return this.#twins(fault, null, row);
    const first: MutableRow = this.row(fault.table, ownerOf(row));
    for (const member of key.columns) first[member] ??= randomText(this.dice);
    if (fault.name === "moderation_item_open_once") first.status = "open";
    const original = other !== null && key.columns.every((member) => other[member] !== null) ? other : first;
    for (const member of key.columns) row[member] = original[member];
    if (fault.name === "moderation_item_open_once") row.status = "open";
    return original === first ? [first, row] : [row];
  }

  #damage(fault: Fault, row: MutableRow): void {
    const table = tableOf(fault.table);
    if (fault.kind === "check") BREAK[fault.name]?.(row);
    if (fault.kind === "tenant") row.organizationId = "org_elsewhere";
    if (fault.kind === "foreign") {
      const columns = table.foreigns?.[fault.name]?.columns ?? [];
      row[columns.at(-1) as string] = "nowhere";
    }
    const members = Object.keys(table.columns).filter((member) => member !== "organizationId");
    if (fault.kind === "missing") {
      const member = members.find((each) => fault.name === notNullName(fault.table, each));
      assert(member !== undefined, `${sqlName(fault.table)} has no ${fault.name}`);
      row[member] = null;
    }
    if (fault.kind === "unstorable") {
      const free = members.filter((member) => !table.primary.includes(member));
      const member = this.dice.pick(free);
      row[member] = this.dice.pick(UNSTORABLE[table.columns[member]?.type ?? "text"]);
    }
  }
}

/** The organization of a row, global tables included. */
function ownerOf(row: AnyRow): string {
  return (row.organizationId ?? row.id) as string;
}
