/**
 * What is rare and must be met all the same: a simulation that never comes there proves nothing about it. Each of these
 * is reached at least 20 times in 10,000 seeds, in fewer seeds as many times fewer.
 */

const LEAST = 20;
const SEEDS = 10_000;

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
  "evidence D0",
  "evidence D1",
  "evidence D2",
  "evidence D3",
  "evidence D4",
  "idle transaction ended",
  "late return",
  "late return after a failover",
  "late return of a part",
  "late return twice",
  "next attempt after D3",
  "next attempt after a revoke",
  "provider paid again",
  "provider revived",
] as const;

export interface Shortage {
  readonly name: string;
  readonly reached: number;
  readonly least: number;
}

/** What was reached less often than so many seeds should have. */
export function shortages(reached: ReadonlyMap<string, number>, seeds: number): readonly Shortage[] {
  const least = Math.floor((LEAST * seeds) / SEEDS);
  return SOMETIMES.map((name) => ({ name, reached: reached.get(name) ?? 0, least })).filter(
    (each) => each.reached < least,
  );
}
