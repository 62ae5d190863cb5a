// Method: a server of its own with fsync on, a client that repeats what is not answered, and a line or a server that
// breaks under it. What was acknowledged must be there, once, in both books.
import assert from "node:assert/strict";
import { randomInt } from "node:crypto";
import { test } from "node:test";
import { RACES } from "./races.ts";
import { printTallies } from "./tally.ts";

test("answers to COMMIT are cut off and sessions ended: nothing acknowledged is lost or paid twice", async (t) => {
  const seed = randomInt(1_000_000);
  const tally = await RACES.commits({ rounds: 1, seed });
  printTallies([tally], (line) => t.diagnostic(line));
  assert.deepEqual(tally.violations, [], `seed ${seed}`);
});

test("the server crashes three times: nothing acknowledged is lost or paid twice", async (t) => {
  const seed = randomInt(1_000_000);
  const tally = await RACES.crashes({ rounds: 1, seed });
  printTallies([tally], (line) => t.diagnostic(line));
  assert.deepEqual(tally.violations, [], `seed ${seed}`);
});
