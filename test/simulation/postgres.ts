/**
 * `npm run simulate:postgres -- --seeds 200 --from 1` runs seeds twice: on the store in memory and on a real PostgreSQL.
 * Both must find nothing, and tell the same story: their traces have the same hash. Seeds whose plan takes the database
 * back to an earlier commit run without that.
 */
import { parseArgs } from "node:util";
import { wholeNumber } from "../support/options.ts";
import { type Report, simulate } from "./simulate.ts";
import { postgresStore } from "./world/postgres-store.ts";

/** The same seed on both stores. */
export async function simulateOnBoth(seed: number): Promise<{ readonly memory: Report; readonly postgres: Report }> {
  const memory = await simulate(seed, { isSteady: true });
  const postgres = await simulate(seed, { isSteady: true, openStore: postgresStore });
  return { memory, postgres };
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: { seeds: { type: "string", default: "200" }, from: { type: "string", default: "1" } },
  });
  const from = wholeNumber("from", values.from, 0);
  const seeds = wholeNumber("seeds", values.seeds);
  const began = performance.now();
  let failed = 0;
  for (let seed = from; seed < from + seeds; seed += 1) {
    const { memory, postgres } = await simulateOnBoth(seed);
    const isSame = memory.hash === postgres.hash;
    if (isSame && postgres.found.length === 0 && memory.found.length === 0) continue;
    failed += 1;
    console.log(`seed ${seed}: ${isSame ? "the same trace" : `steps ${memory.steps} and ${postgres.steps}`}`);
    for (const { verdict, time, what } of postgres.found) console.log(`  ${verdict} at ${time} ms: ${what}`);
  }
  const seconds = (performance.now() - began) / 1000;
  console.log(`${seeds} seeds on both stores in ${seconds.toFixed(1)} s, ${failed} differ or have findings`);
  process.exitCode = failed === 0 ? 0 : 1;
}

if (import.meta.main) await main();
