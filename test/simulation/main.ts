/**
 * `npm run simulate -- --seeds 100 --from 1` runs seeds and prints what was found; `-- --seed 7` runs one and prints
 * its trace. Exit code 1 on any verdict. The same seed always gives the same trace hash.
 */
import { parseArgs } from "node:util";
import { sha256 } from "../../src/core/ids.ts";
import { CRASH_POINTS, FAULTS } from "./plan.ts";
import { type Report, simulate } from "./simulate.ts";
import { VERDICTS, type Verdict } from "./tally.ts";

const REPORTED_SEEDS = 10;

/** What many seeds add up to. */
interface Totals {
  seeds: number;
  steps: number;
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

function readOptions(): { seeds: number; from: number; seed: number | null } {
  const { values } = parseArgs({
    options: { seeds: { type: "string" }, from: { type: "string" }, seed: { type: "string" } },
  });
  const whole = (name: "seeds" | "from" | "seed", byDefault: number): number => {
    const text = values[name];
    if (text === undefined) return byDefault;
    if (!/^\d{1,9}$/.test(text)) throw new TypeError(`--${name} takes a whole number, not ${text}`);
    return Number(text);
  };
  return {
    seeds: whole("seeds", 100),
    from: whole("from", 1),
    seed: values.seed === undefined ? null : whole("seed", 1),
  };
}

async function runOne(seed: number): Promise<boolean> {
  const report = await simulate(seed, { print: (line) => console.log(line) });
  const { processes, organizations, faults, outcomes, storeDelayMs, networkDelayMs } = report.plan;
  console.log(`\nseed ${seed}: ${processes.length} processes, ${organizations} organizations, ${report.orders} orders`);
  console.log(`plan ${JSON.stringify({ faults, outcomes, storeDelayMs, networkDelayMs })}`);
  console.log(`steps ${report.steps}, payouts ${report.payouts}, at rest ${report.restedMs} ms after the last fault`);
  console.log(`ends ${list(report.ends)}`);
  console.log(`trace ${report.hash}`);
  printFound(report);
  return report.found.length === 0;
}

function printFound(report: Report): void {
  for (const { verdict, time, what } of report.found) console.log(`${verdict} at ${time} ms: ${what}`);
}

async function runMany(seeds: number, from: number): Promise<boolean> {
  const began = performance.now();
  const totals: Totals = {
    seeds: 0,
    steps: 0,
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
  for (let seed = from; seed < from + seeds; seed += 1) add(totals, await simulate(seed));
  print(totals, (performance.now() - began) / 1000);
  return totals.failing.length === 0;
}

function add(totals: Totals, report: Report): void {
  totals.seeds += 1;
  totals.hashes.push(report.hash);
  totals.steps += report.steps;
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

function print(totals: Totals, seconds: number): void {
  const { seeds, steps, orders, payouts } = totals;
  console.log(`${seeds} seeds, ${steps} steps, ${orders} orders, ${payouts} payouts in ${seconds.toFixed(1)} s`);
  console.log(
    `longest way to rest after the last fault: ${(totals.longestRestMs / 1000).toFixed(1)} s of virtual time`,
  );
  console.log(
    `faults:  ${Object.keys(FAULTS)
      .map((kind) => `${kind} ${totals.faults.get(kind) ?? 0}`)
      .join(", ")}`,
  );
  console.log(`ends:    ${list(totals.ends)}`);
  console.log(`reached: ${list(totals.reached)}`);
  const unreached = Object.keys(CRASH_POINTS).filter((point) => !totals.reached.has(`crash ${point}`));
  if (unreached.length > 0) console.log(`never:   ${unreached.map((point) => `crash ${point}`).join(", ")}`);
  const verdicts = (Object.keys(VERDICTS) as Verdict[]).map((name) => `${name} ${totals.verdicts.get(name) ?? 0}`);
  console.log(`traces:  ${sha256(totals.hashes.join(" "))}`);
  console.log(`verdict: ${verdicts.join(", ")}`);
  for (const report of totals.failing.slice(0, REPORTED_SEEDS)) {
    console.log(`\nseed ${report.seed} failed: npm run simulate -- --seed ${report.seed}`);
    printFound(report);
  }
  if (totals.failing.length > REPORTED_SEEDS) console.log(`\n${totals.failing.length} seeds failed`);
}

function list(counts: ReadonlyMap<string, number>): string {
  return [...counts]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, count]) => `${name} ${count}`)
    .join(", ");
}

const { seeds, from, seed } = readOptions();
const isClean = seed === null ? await runMany(seeds, from) : await runOne(seed);
process.exitCode = isClean ? 0 : 1;
