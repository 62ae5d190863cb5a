/** Every race by name, and how large a round of it is. */
import { testDatabase } from "../support/database.ts";
import { openCluster } from "./cluster.ts";
import { raceCommits, raceCrashes, raceSessions } from "./database-faults.ts";
import { raceLeases } from "./leases.ts";
import { raceLimits } from "./limits.ts";
import { raceBalances, raceFunds, raceKeys } from "./merchant.ts";
import { racePairs } from "./pairs.ts";
import { openPlace, type Place } from "./place.ts";
import type { Tally } from "./tally.ts";
import { raceWorkers } from "./workers.ts";

export interface RaceOptions {
  readonly rounds: number;
  readonly seed: number;
  /** Of the pairs only so many each round, drawn by the seed. */
  readonly sample?: number;
}

type Race = (options: RaceOptions) => Promise<Tally>;

async function inPlace(race: (place: Place) => Promise<Tally>): Promise<Tally> {
  const place = await openPlace(await testDatabase());
  try {
    return await race(place);
  } finally {
    await place.close();
  }
}

async function onCluster(race: typeof raceCommits, options: RaceOptions): Promise<Tally> {
  const cluster = await openCluster();
  const place = await openPlace(cluster);
  try {
    return await race(place, cluster, options);
  } finally {
    await place.close();
  }
}

/** As many orders as forty claimers share in one round. */
const HEAP = 1_000;

export const RACES = {
  balances: ({ rounds }) => inPlace((place) => raceBalances(place, rounds)),
  keys: ({ rounds }) => inPlace((place) => raceKeys(place, rounds)),
  funds: ({ rounds }) => inPlace((place) => raceFunds(place, rounds)),
  limits: ({ rounds }) => inPlace((place) => raceLimits(place, rounds)),
  pairs: (options) => inPlace((place) => racePairs(place, options)),
  workers: ({ rounds }) => inPlace((place) => raceWorkers(place, rounds * HEAP)),
  leases: ({ rounds }) => inPlace((place) => raceLeases(place, rounds)),
  commits: (options) => onCluster(raceCommits, options),
  sessions: (options) => onCluster(raceSessions, options),
  crashes: (options) => onCluster(raceCrashes, options),
} as const satisfies Readonly<Record<string, Race>>;

export type RaceName = keyof typeof RACES;

/** So many rounds of one race, a few at a time, each time in a new place: the audit looks at the whole book. */
export async function runRace(name: RaceName, { rounds, seed }: RaceOptions, atOnce: number): Promise<Tally> {
  const checked: Record<string, number> = {};
  const violations: string[] = [];
  let share: string | undefined;
  let done = 0;
  for (let left = rounds; left > 0; left -= atOnce) {
    const tally = await RACES[name]({ rounds: Math.min(left, atOnce), seed: seed + rounds - left });
    done += tally.rounds;
    share = tally.share;
    violations.push(...tally.violations);
    for (const [what, count] of Object.entries(tally.checked)) checked[what] = (checked[what] ?? 0) + count;
  }
  return { race: name, rounds: done, ...(share === undefined ? {} : { share }), checked, violations };
}
