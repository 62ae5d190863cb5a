// Method: the tally is given events by hand. It must name what is missing and what is in no table, or the test of the
// whole domain could not fail.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Told } from "./feed.ts";
import { tableOf, tally } from "./tally.ts";

let sequence = 0;

function told(
  object: Told["data"]["object"],
  id: string,
  passed: readonly string[],
  above: string | null = null,
): Told {
  sequence += 1;
  const status = passed.at(-1) ?? "";
  const names = { payoutInvoiceId: above, payoutRequestId: "r" };
  const data = { object, id, ...names, status, passed, resolution: "OK", version: sequence, sequence };
  return { type: `${object}.${status}`, data };
}

const moves = (events: readonly Told[], machine: string) => {
  const found = tally(events, new Set()).counts.find(({ what }) => what === `${machine}: moves`);
  assert.ok(found !== undefined);
  return found;
};

describe("the tally", () => {
  test("derives moves from the statuses passed, over several events", () => {
    const events = [told("payout", "a", ["CREATED", "READY"], "i"), told("payout", "a", ["INVOKING"], "i")];
    const { seen, all, missing } = moves(events, "payout");
    assert.deepEqual([seen, all - missing.length], [3, 3]);
    assert.ok(missing.includes("payout.INVOKING>PROCESSED"));
    assert.deepEqual(
      [...(tally(events, new Set()).ofStory.get("i") ?? [])],
      ["payout.new>CREATED", "payout.CREATED>READY", "payout.READY>INVOKING"],
    );
  });

  test("does not mix up things, and puts events in order", () => {
    const first = told("payout-invoice", "i", ["created", "processing"]);
    const other = told("payout-invoice", "j", ["created"]);
    const last = told("payout-invoice", "i", ["processed"]);
    assert.equal(moves([last, other, first], "payout invoice").seen, 3);
    assert.deepEqual(tally([last, other, first], new Set()).foreign, []);
  });

  test("names moves that are in no table", () => {
    const events = [told("payout", "a", ["CREATED", "PROCESSED"])];
    assert.deepEqual(tally(events, new Set()).foreign, ["payout.CREATED>PROCESSED"]);
    assert.match(tableOf(tally(events, new Set())), /^in no table: payout\.CREATED>PROCESSED$/m);
  });

  test("counts statuses and resolutions, and lists by name what is missing", () => {
    const seen = tally([told("payout", "a", ["CREATED"])], new Set(["pending"]));
    const of = (what: string) => seen.counts.find((each) => each.what === what);
    assert.equal(of("payout: statuses")?.seen, 1);
    assert.equal(of("payout request: public statuses")?.seen, 1);
    assert.deepEqual([of("resolutions")?.seen, of("resolutions")?.all], [1, 30]);
    assert.match(tableOf(seen), /^missing: BLOCKED_BY_SCHEME$/m);
  });
});
