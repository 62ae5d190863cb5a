/**
 * `npm run simulate -- --seeds 100 --from 1` runs seeds and prints what was found; `-- --seed 7` runs one and prints
 * its trace. Exit code 1 on any verdict, and where many seeds met too little. The same seed always gives the same trace
 * hash, whatever `--workers` says.
 */
import { availableParallelism } from "node:os";
import { parseArgs } from "node:util";
import { wholeNumber } from "../support/options.ts";
import { LEAST_STEPS, shortages } from "./judges/sometimes.ts";
import { add, list, noTotals, print, printFound } from "./judges/totals.ts";
import { seedsFrom, simulateMany } from "./pool.ts";
import { simulate } from "./simulate.ts";

function readOptions(): { seeds: number; from: number; workers: number; seed: number | null } {
  const { values } = parseArgs({
    options: {
      seeds: { type: "string", default: "100" },
      from: { type: "string", default: "1" },
      seed: { type: "string" },
      workers: { type: "string", default: String(availableParallelism()) },
    },
  });
  return {
    seeds: wholeNumber("seeds", values.seeds),
    from: wholeNumber("from", values.from, 0),
    workers: wholeNumber("workers", values.workers),
    seed: values.seed === undefined ? null : wholeNumber("seed", values.seed, 0),
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

async function runMany(of: { seeds: number; from: number; workers: number }): Promise<boolean> {
  const began = performance.now();
  const totals = noTotals();
  await simulateMany(seedsFrom(of.from, of.seeds), of.workers, (report) => add(totals, report));
  print(totals, (performance.now() - began) / 1000);
  return totals.failing.length === 0 && shortages(totals).length === 0 && totals.leastSteps >= LEAST_STEPS;
}

const options = readOptions();
process.exitCode = (await (options.seed === null ? runMany(options) : runOne(options.seed))) ? 0 : 1;
