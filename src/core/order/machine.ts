/** A status machine is data: statuses, moves, and nothing else. This file only checks and indexes it. */
import { assert } from "../result.ts";

/** One row of a status table. */
export interface StatusRow {
  /** The last status in the current flow. */
  readonly final: boolean;
  readonly doc: string;
}

/** `late` moves contradict an earlier end: they need evidence and open an incident. */
export type MoveKind = "ordinary" | "late";

export interface Move<S extends string> {
  readonly from: S | "new";
  readonly to: S;
  readonly kind: MoveKind;
}

export interface Machine<S extends string> {
  readonly name: string;
  readonly statuses: Readonly<Record<S, StatusRow>>;
  readonly moves: readonly Move<S>[];
  find(from: S | "new", to: S): Move<S> | undefined;
}

/** A line of a move table: every status of `from` may move to every status of `to`. */
export interface MoveLine<S extends string> {
  readonly from: readonly (S | "new")[];
  readonly to: readonly S[];
  readonly kind?: MoveKind;
}

/** How history names a move, for instance `payout.READY>INVOKING`. */
export function moveName(machine: string, from: string, to: string): string {
  return `${machine}.${from}>${to}`;
}

/** Builds a machine from its tables. Fails at import when a move stands twice or a status cannot be reached. */
export function machine<S extends string>(
  name: string,
  statuses: Readonly<Record<S, StatusRow>>,
  lines: readonly MoveLine<S>[],
): Machine<S> {
  const byName = new Map<string, Move<S>>();
  for (const line of lines) {
    for (const from of line.from) {
      for (const to of line.to) {
        const key = moveName(name, from, to);
        assert(!byName.has(key), `${key} stands twice in the table`);
        byName.set(key, { from, to, kind: line.kind ?? "ordinary" });
      }
    }
  }
  const moves = [...byName.values()];
  for (const status of Object.keys(statuses)) {
    assert(
      moves.some((move) => move.to === status),
      `${name}: nothing leads to ${status}`,
    );
  }
  return { name, statuses, moves, find: (from, to) => byName.get(moveName(name, from, to)) };
}
