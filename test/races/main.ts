/**
 * `npm run races -- [--rounds 10] [--seed 7] [--only pairs,leases]`: every race so many rounds, one table at the end.
 * Exit code 1 on any violation. The seed decides orders of statements and when the weather strikes; what it meets there
 * is up to the machine.
 */
import { randomInt } from "node:crypto";
import { parseArgs } from "node:util";
import { seedFrom, wholeNumber } from "../support/options.ts";
import { RACES, type RaceName, runRace } from "./races.ts";
import { printTallies, type Tally } from "./tally.ts";

const AT_ONCE: Readonly<Record<RaceName, number>> = {
  balances: 20,
  keys: 20,
  funds: 20,
  limits: 5,
  pairs: 5,
  workers: 1,
  leases: 20,
  commits: 3,
  sessions: 3,
  crashes: 3,
};

function readOptions() {
  const { values } = parseArgs({
    options: { rounds: { type: "string", default: "3" }, seed: { type: "string" }, only: { type: "string" } },
  });
  const all = Object.keys(RACES) as RaceName[];
  const chosen = values.only?.split(",") ?? all;
  const unknown = chosen.filter((name) => !all.some((each) => each === name));
  if (unknown.length > 0) throw new TypeError(`--only takes ${all.join(", ")}, not ${unknown.join(", ")}`);
  const names = all.filter((name) => chosen.includes(name));
  const seed = seedFrom(values.seed, () => randomInt(1_000_000));
  return { rounds: wholeNumber("rounds", values.rounds), seed, names };
}

const { rounds, seed, names } = readOptions();
console.log(`seed ${seed}`);
const tallies: Tally[] = [];
for (const name of names) {
  const began = performance.now();
  tallies.push(await runRace(name, { rounds, seed }, AT_ONCE[name]));
  console.log(`${name}: ${((performance.now() - began) / 1_000).toFixed(1)} s`);
}
printTallies(tallies, console.log);
const isClean = tallies.every(({ violations }) => violations.length === 0);
console.log(isClean ? "clean" : `NOT clean: npm run races -- --rounds ${rounds} --seed ${seed}`);
process.exitCode = isClean ? 0 : 1;
