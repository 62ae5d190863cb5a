// Method: books with a last full audit at a known time, and what is said about them at other times.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { isFullDue } from "../../src/cli/audit-watch.ts";

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const NOW = Date.UTC(2026, 0, 15, 12);

describe("a full audit is due", () => {
  const book = (organizationId: string, ago: number, isClean = true) => ({
    organizationId,
    now: NOW,
    lastFull: { time: NOW - ago, isClean },
  });
  const ids = Array.from({ length: 200 }, (_, n) => `org_${n}`);

  test("where there was none, and a day after the last one at the latest", () => {
    for (const organizationId of ids) {
      assert.equal(isFullDue({ organizationId, now: NOW, lastFull: null }), true);
      assert.equal(isFullDue(book(organizationId, DAY)), true);
      assert.equal(isFullDue(book(organizationId, 0)), false);
    }
  });

  test("once a day, at each book's own time", () => {
    for (const organizationId of ids.slice(0, 20)) {
      let last = NOW;
      const done: number[] = [];
      for (let now = NOW + HOUR / 4; now <= NOW + 5 * DAY; now += HOUR / 4) {
        if (!isFullDue({ organizationId, now, lastFull: { time: last, isClean: true } })) continue;
        last = now;
        done.push(now);
      }
      assert.equal(done.length, 5, organizationId);
      assert.ok(done.every((time, n) => n === 0 || time - (done[n - 1] ?? 0) === DAY));
    }
    // Of books that were all audited six hours ago about a quarter is due.
    const due = ids.filter((organizationId) => isFullDue(book(organizationId, DAY / 4))).length;
    assert.ok(due > 30 && due < 70, String(due));
  });

  test("an hour after one that found something", () => {
    assert.deepEqual(
      ids.map((organizationId) => [
        isFullDue(book(organizationId, HOUR - 1, false)),
        isFullDue(book(organizationId, HOUR, false)),
      ]),
      ids.map(() => [false, true]),
    );
  });
});
