/** What a race has done and found. */

export interface Tally {
  readonly race: string;
  readonly rounds: number;
  /** How much of all that there is was run, where that is not all. */
  readonly share?: string;
  /** What was looked at, and how often. */
  readonly checked: Readonly<Record<string, number>>;
  /** One sentence each; none is expected. */
  readonly violations: readonly string[];
}

export interface Faults {
  readonly all: readonly string[];
  say(what: string): void;
  /** Counts one look, and says what is wrong unless `holds`. */
  check(counted: string, holds: boolean, what: () => string): void;
  /** How often something has happened by now: the figure of the table, and no judgement. */
  count(what: string, times: number): void;
  tally(race: string, rounds: number): Tally;
}

export function noFaults(): Faults {
  const all: string[] = [];
  const checked: Record<string, number> = {};
  return {
    all,
    say: (what) => void all.push(what),
    check(counted, holds, what) {
      checked[counted] = (checked[counted] ?? 0) + 1;
      if (!holds) all.push(what());
    },
    count: (what, times) => void (checked[what] = times),
    tally: (race, rounds) => ({ race, rounds, checked: { ...checked }, violations: [...all] }),
  };
}

/** How often each word occurs, most telling first: "1 x 200, 1 x 409". */
export function spread(words: readonly (string | number)[]): string {
  const counts = new Map<string, number>();
  for (const word of words) counts.set(String(word), (counts.get(String(word)) ?? 0) + 1);
  return [...counts]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([word, count]) => `${count} x ${word}`)
    .join(", ");
}

export function printTallies(tallies: readonly Tally[], print: (line: string) => void): void {
  print(`${"race".padEnd(10)}${"rounds".padStart(7)}${"violations".padStart(12)}  checked`);
  for (const { race, rounds, share, checked, violations } of tallies) {
    const looks = Object.entries(checked).map(([what, count]) => `${what} ${count}`);
    if (share !== undefined) looks.unshift(share);
    const figures = `${race.padEnd(10)}${String(rounds).padStart(7)}${String(violations.length).padStart(12)}`;
    print(`${figures}  ${looks.join(", ")}`);
  }
  for (const { race, violations } of tallies) {
    for (const what of violations.slice(0, 20)) print(`${race}: ${what}`);
  }
}
