import { deepEqual, equal, notEqual, ok } from "node:assert/strict";
import { describe, test } from "node:test";
import type { Connector } from "../../src/connectors/contract.ts";
import { LEAST_STEPS, shortages } from "./judges/sometimes.ts";
import type { Verdict } from "./judges/tally.ts";
import { add, noTotals } from "./judges/totals.ts";
import { seedsFrom, simulateMany } from "./pool.ts";
import { simulateOnBoth } from "./postgres.ts";
import { gullible, hasty, impatient } from "./provider/broken.ts";
import { type Report, simulate } from "./simulate.ts";
import { FAULTS } from "./world/plan.ts";

const SEEDS = 500;
/** Two cores are shared by all tiers. */
const WORKERS = 2;

/** Seeds that once found a bug, with what it was. A change of the simulator gives them another meaning. */
const REMEMBERED: readonly (readonly [seed: number, what: string])[] = [
  [20, "answers to older inquiries woke the next one, so that every asker came too late, for ever"],
];

describe("the product under simulated faults", () => {
  const reports: Report[] = [];

  test(`${SEEDS} seeds find nothing`, async () => {
    await simulateMany(seedsFrom(1, SEEDS), WORKERS, (report) => reports.push(report));
    for (const { seed, found } of reports) deepEqual(found, [], `npm run simulate -- --seed ${seed}`);
  });

  test("in them, faults of every kind strike and every evidence is found", () => {
    const met = new Set(reports.flatMap(({ faults, reached }) => [...faults.keys(), ...reached.keys()]));
    const situations = ["asked answer_differs", "forged callback refused", "dropped before the first byte"];
    for (const name of [...Object.keys(FAULTS), ...situations]) ok(met.has(name), `${name} was never met`);
  });

  test("in them, what is rare is met as often as so many seeds should, and every seed is a story", () => {
    const totals = noTotals();
    for (const report of reports) add(totals, report);
    deepEqual(shortages(totals), []);
    ok(totals.leastSteps >= LEAST_STEPS, `a seed has ${totals.leastSteps} steps`);
  });

  for (const [seed, what] of REMEMBERED) {
    test(`seed ${seed}: ${what}`, async () => {
      deepEqual((await simulate(seed)).found, []);
    });
  }
});

describe("on the real database", () => {
  for (const seed of [1, 2, 3]) {
    test(`seed ${seed} has the trace that it has in memory`, async () => {
      const { memory, postgres } = await simulateOnBoth(seed);
      deepEqual(postgres.found, []);
      equal(postgres.hash, memory.hash);
    });
  }
});

describe("the simulator", () => {
  test("the same seed gives the same trace, whatever ran before", async () => {
    const first = await simulate(7);
    const other = await simulate(8);
    const again = await simulate(7);
    equal(again.hash, first.hash);
    equal(again.steps, first.steps);
    notEqual(other.hash, first.hash);
  });

  test("the same seeds give the same traces, however many workers share them", async () => {
    const hashes: string[] = [];
    await simulateMany(seedsFrom(1, 6), WORKERS, ({ hash }) => hashes.push(hash));
    const alone: string[] = [];
    await simulateMany(seedsFrom(1, 6), 1, ({ hash }) => alone.push(hash));
    deepEqual(hashes, alone);
  });

  test("a trace is the same for whoever reads it", async () => {
    const lines: string[] = [];
    const { hash } = await simulate(9, { print: (line) => lines.push(line) });
    equal((await simulate(9)).hash, hash);
    ok(lines.length > 100);
  });
});

/** The first seed whose verdicts have this one; the oracle is worth nothing if there is none. */
async function firstFound(connector: Connector, verdict: Verdict, within: number): Promise<number | null> {
  for (let seed = 1; seed <= within; seed += 1) {
    const { found } = await simulate(seed, { connector });
    if (found.some((each) => each.verdict === verdict)) return seed;
  }
  return null;
}

describe("the oracle can fail", () => {
  test("a wait window that is too short pays twice", async () => {
    notEqual(await firstFound(impatient, "paid_twice", 200), null);
  });

  test("a 5xx taken for a refusal pays twice", async () => {
    notEqual(await firstFound(gullible, "paid_twice", 100), null);
  });

  test("an absence taken for a final no pays twice", async () => {
    notEqual(await firstFound(hasty, "paid_twice", 100), null);
  });
});
