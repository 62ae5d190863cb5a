// Method: several gateways on one real database do the same things at the same time, and then every invariant is read
// from the database and every payment from the provider's book. The long mode is `npm run races`.
import assert from "node:assert/strict";
import { randomInt } from "node:crypto";
import { test } from "node:test";
import { RACES, type RaceName } from "./races.ts";
import { printTallies } from "./tally.ts";

/** Of the pairs, so many: `npm run races` runs all of them. */
const SAMPLE = 120;

const ROUNDS: readonly (readonly [RaceName, number, string])[] = [
  ["balances", 3, "one balance, more orders than it covers: exactly as many are taken as it pays for"],
  ["keys", 3, "repeats at three doors at once: one effect, one answer"],
  ["funds", 3, "approvals, withdrawals and transfers at once: each is posted once"],
  ["limits", 1, "limits of accounts, attempts, allocations, refunds and acts: many at once never exceed them"],
  ["pairs", 1, "pairs of commands in drawn orders of their statements: every invariant after each"],
  ["workers", 1, "forty claimers on a thousand payouts: each is sent once"],
  ["leases", 1, "a worker that stands still for longer than its lease sends nothing and changes nothing"],
];

for (const [name, rounds, title] of ROUNDS) {
  test(title, async (t) => {
    const seed = randomInt(1_000_000);
    const tally = await RACES[name]({ rounds, seed, sample: SAMPLE });
    printTallies([tally], (line) => t.diagnostic(line));
    assert.deepEqual(tally.violations, [], `seed ${seed}`);
  });
}
