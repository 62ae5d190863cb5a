// Method: a server of its own with fsync on, a client that repeats what is not answered, and a line or a server that
// breaks under it. What was acknowledged must be there, once, in both books.
import assert from "node:assert/strict";
import { randomInt } from "node:crypto";
import { test } from "node:test";
import { RACES, type RaceName } from "./races.ts";
import { printTallies } from "./tally.ts";

const WEATHER: readonly (readonly [RaceName, string])[] = [
  ["commits", "answers to COMMIT are cut off"],
  ["sessions", "sessions are ended in the middle of their transactions"],
  ["crashes", "the server crashes three times, upon orders that were acknowledged"],
];

for (const [name, title] of WEATHER) {
  test(`${title}: nothing acknowledged is lost or paid twice`, async (t) => {
    const seed = randomInt(1_000_000);
    const tally = await RACES[name]({ rounds: 1, seed });
    printTallies([tally], (line) => t.diagnostic(line));
    assert.deepEqual(tally.violations, [], `seed ${seed}`);
  });
}
