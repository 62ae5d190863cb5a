/** What many seeds add up to, and how it is told. */
import { sha256 } from "../../../src/core/ids.ts";
import type { Report } from "../simulate.ts";
import { CRASH_POINTS, FAULTS } from "../world/plan.ts";
import { LEAST_STEPS, SOMETIMES, shortages } from "./sometimes.ts";
import { VERDICTS, type Verdict } from "./tally.ts";

const REPORTED_SEEDS = 10;
/** What providers do wrong without a rate of its own. */
const PROVIDER_FAULTS = ["provider error_after_accept", "provider error_absent"] as const;

/** What many seeds add up to. */
export interface Totals {
  seeds: number;
  steps: number;
  /** Of the seed that had the fewest. */
  leastSteps: number;
  orders: number;
  payouts: number;
  longestRestMs: number;
  readonly faults: Map<string, number>;
  readonly reached: Map<string, number>;
  readonly ends: Map<string, number>;
  readonly verdicts: Map<string, number>;
  readonly failing: Report[];
  /** The hashes of all traces, in order. */
  readonly hashes: string[];
}

export function noTotals(): Totals {
  return {
    seeds: 0,
    steps: 0,
    leastSteps: Number.POSITIVE_INFINITY,
    orders: 0,
    payouts: 0,
    longestRestMs: 0,
    faults: new Map(),
    reached: new Map(),
    ends: new Map(),
    verdicts: new Map(),
    failing: [],
    hashes: [],
  };
}

export function add(totals: Totals, report: Report): void {
  totals.seeds += 1;
  totals.hashes.push(report.hash);
  totals.steps += report.steps;
  totals.leastSteps = Math.min(totals.leastSteps, report.steps);
  totals.orders += report.orders;
  totals.payouts += report.payouts;
  totals.longestRestMs = Math.max(totals.longestRestMs, report.restedMs);
  merge(totals.faults, report.faults);
  merge(totals.reached, report.reached);
  merge(totals.ends, report.ends);
  for (const { verdict } of report.found) totals.verdicts.set(verdict, (totals.verdicts.get(verdict) ?? 0) + 1);
  if (report.found.length > 0) totals.failing.push(report);
}

function merge(into: Map<string, number>, from: ReadonlyMap<string, number>): void {
  for (const [name, count] of from) into.set(name, (into.get(name) ?? 0) + count);
}

export function print(totals: Totals, seconds: number): void {
  const { seeds, steps, orders, payouts } = totals;
  console.log(`${seeds} seeds, ${steps} steps, ${orders} orders, ${payouts} payouts in ${seconds.toFixed(1)} s`);
  console.log(`fewest steps of a seed: ${totals.leastSteps} (${LEAST_STEPS} are asked for)`);
  console.log(
    `longest way to rest after the last fault: ${(totals.longestRestMs / 1000).toFixed(1)} s of virtual time`,
  );
  const faults = Object.keys(FAULTS).map((kind) => `${kind} ${totals.faults.get(kind) ?? 0}`);
  const others = PROVIDER_FAULTS.map((name) => `${name} ${totals.reached.get(name) ?? 0}`);
  console.log(`faults:  ${[...faults, ...others].join(", ")}`);
  console.log(`ends:    ${list(totals.ends)}`);
  console.log(`reached: ${list(totals.reached)}`);
  console.log("sometimes:");
  for (const name of SOMETIMES) console.log(`  ${String(totals.reached.get(name) ?? 0).padStart(8)}  ${name}`);
  for (const { name, reached, least } of shortages(totals)) {
    console.log(`too seldom: ${name}, ${reached} times instead of ${least}`);
  }
  const unreached = Object.keys(CRASH_POINTS).filter((point) => !totals.reached.has(`crash ${point}`));
  if (unreached.length > 0) console.log(`never:   ${unreached.map((point) => `crash ${point}`).join(", ")}`);
  const verdicts = (Object.keys(VERDICTS) as Verdict[]).map((name) => `${name} ${totals.verdicts.get(name) ?? 0}`);
  console.log(`traces:  ${sha256(totals.hashes.join(" "))}`);
  console.log(`verdict: ${verdicts.join(", ")}`);
  for (const report of rarestFirst(totals).slice(0, REPORTED_SEEDS)) {
    console.log(`\nseed ${report.seed} failed: npm run simulate -- --seed ${report.seed}`);
    printFound(report);
  }
  if (totals.failing.length > REPORTED_SEEDS) console.log(`\n${totals.failing.length} seeds failed`);
}

/** The seeds that failed: those with a verdict that few have come first. */
function rarestFirst({ failing, verdicts }: Totals): readonly Report[] {
  const rarity = ({ found }: Report): number => Math.min(...found.map(({ verdict }) => verdicts.get(verdict) ?? 0));
  return failing.toSorted((a, b) => rarity(a) - rarity(b) || a.seed - b.seed);
}

export function list(counts: ReadonlyMap<string, number>): string {
  return [...counts]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, count]) => `${name} ${count}`)
    .join(", ");
}

export function printFound(report: Report): void {
  for (const { verdict, time, what } of report.found) console.log(`${verdict} at ${time} ms: ${what}`);
}
