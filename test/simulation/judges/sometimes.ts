/**
 * What is rare and must be met all the same: a simulation that never comes there proves nothing about it. Each of these
 * is reached at least 20 times in 10,000 seeds, in fewer seeds as many times fewer.
 */
import { FAULTS } from "../world/plan.ts";

const LEAST = 20;
const SEEDS = 10_000;
/** Every seed takes at least so many steps, else it is no story. */
export const LEAST_STEPS = 300;

export const SOMETIMES = [
  "a lost cancel had not worked",
  "a lost revoke had worked",
  "act accept_partial done",
  "act cancel done",
  "act continue done",
  "act evidence done",
  "act process done",
  "act refund done",
  "act repeat done",
  "act revoke done",
  "act settle_incident done",
  "act take_back done",
  "act terminate done",
  "allocation CREATED",
  "allocation CREATE_FAILED",
  "allocation READY",
  "an order after a failover finds its old payout",
  "asked not_sent_by_us",
  "asked paid_late",
  "asked paid_too_much",
  "asked second_person",
  "commit unknown to errand",
  "crash after_check",
  "crash after_commit",
  "crash after_leaving",
  "crash before_check",
  "crash before_commit",
  "crash before_outcome",
  "DUPLICATED_ID after a crash",
  "dropped before the first byte",
  "evidence D0",
  "evidence D1",
  "evidence D2",
  "evidence D3",
  "evidence D4",
  "forged callback refused",
  "idle transaction ended",
  "late return",
  "late return after a failover",
  "late return of a part",
  "late return twice",
  "next attempt after D3",
  "next attempt after a revoke",
  "provider error_absent",
  "provider error_after_accept",
  "provider paid again",
  "provider revived",
] as const;

export interface Shortage {
  readonly name: string;
  readonly reached: number;
  readonly least: number;
}

/** What of a run is counted: faults of each kind, and what they led to. */
export interface Met {
  readonly seeds: number;
  readonly faults: ReadonlyMap<string, number>;
  readonly reached: ReadonlyMap<string, number>;
}

/** What was met less often than so many seeds should have: every kind of fault, and everything in the list. */
export function shortages({ seeds, faults, reached }: Met): readonly Shortage[] {
  const least = Math.floor((LEAST * seeds) / SEEDS);
  const kinds = Object.keys(FAULTS).map((name) => ({ name, reached: faults.get(name) ?? 0, least }));
  const rare = SOMETIMES.map((name) => ({ name, reached: reached.get(name) ?? 0, least }));
  return [...kinds, ...rare].filter((each) => each.reached < least);
}
