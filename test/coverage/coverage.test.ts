// Method: cases arrange and act through the API against the running sandbox provider; what they reach is read from the
// events and lists of the API and compared with the tables that the code is made of. Never a row is written by a test.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { type Gateway, openGateway } from "../support/gateway.ts";
import { playAll, type Run } from "./run.ts";
import { tableOf } from "./tally.ts";

let gateway: Gateway;
let run: Run;

before(async () => {
  gateway = await openGateway();
  run = await playAll(gateway);
});

after(async () => {
  await gateway.close();
});

describe("the domain, reached through the API", () => {
  test("every case ends as it should and passes the moves that it is there for", () => {
    const faults = run.played.filter(({ fault }) => fault !== null);
    assert.deepEqual(faults, []);
  });

  test("every status, every move and every resolution of the tables is reached", () => {
    const missing = run.tally.counts.flatMap((count) => count.missing);
    assert.deepEqual(missing, [], tableOf(run.tally));
  });

  test("no move was made that is in no table", () => {
    assert.deepEqual(run.tally.foreign, []);
  });

  test("the engine kept its invariants, and the books balance", () => {
    assert.deepEqual(gateway.broken, []);
    assert.equal(run.isBalanced, true);
  });

  test("what is paid and what came back is the same in the provider's own book", () => {
    assert.deepEqual(run.differences, []);
  });
});
