// Method: random amounts and routes are cut to the end; what is expected are sums and limits. Then whole orders that no
// route can carry, with their journals.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { ratio } from "../../src/core/money/rate.ts";
import { type Capacity, cut, MAX_PARTS } from "../../src/core/order/parts.ts";
import { FIVE_PERCENT, Telling } from "./stories.ts";

const capacity: fc.Arbitrary<Capacity> = fc
  .record({ routeId: fc.constant("r"), a: fc.bigInt({ min: 1n, max: 500n }), b: fc.bigInt({ min: 0n, max: 2_000n }) })
  .map(({ routeId, a, b }) => ({ routeId, minMinor: a, maxMinor: b }));

/** Routes whose limits are so far apart that any amount above the least can be paid with them. */
const wide: fc.Arbitrary<Capacity> = fc
  .record({ min: fc.bigInt({ min: 1n, max: 500n }), more: fc.bigInt({ min: 0n, max: 1_000n }) })
  .map(({ min, more }) => ({ routeId: "r", minMinor: min, maxMinor: 2n * min + more }));

const amount = fc.bigInt({ min: 1n, max: 5_000n });

const isAble = ({ minMinor, maxMinor }: Capacity): boolean => maxMinor > 0n && maxMinor >= minMinor;
const leastOf = (capacities: readonly Capacity[]): bigint =>
  capacities
    .filter(isAble)
    .map(({ minMinor }) => minMinor)
    .reduce((a, b) => (b < a ? b : a));

test("a chunk fits a route, and what it leaves is nothing or at least the least that some route takes", () => {
  fc.assert(
    fc.property(amount, fc.array(capacity, { maxLength: 5 }), (whole, capacities) => {
      const chunk = cut(whole, capacities);
      if (chunk === null) return;
      assert.ok(chunk > 0n && chunk <= whole);
      assert.ok(capacities.some(({ minMinor, maxMinor }) => chunk >= minMinor && chunk <= maxMinor));
      const rest = whole - chunk;
      assert.ok(rest === 0n || rest >= leastOf(capacities));
    }),
    { numRuns: 3_000 },
  );
});

test("nothing is cut where no route could carry anything, or all of them ask for more", () => {
  assert.equal(cut(100n, []), null);
  assert.equal(cut(100n, [{ routeId: "r", minMinor: 10n, maxMinor: 5n }]), null);
  assert.equal(cut(100n, [{ routeId: "r", minMinor: 101n, maxMinor: 500n }]), null);
  assert.equal(cut(100n, [{ routeId: "r", minMinor: 1n, maxMinor: 0n }]), null);
});

test("with routes whose limits are wide apart every amount is paid to the last unit", () => {
  fc.assert(
    fc.property(amount, fc.array(wide, { minLength: 1, maxLength: 4 }), (whole, capacities) => {
      fc.pre(whole >= leastOf(capacities));
      let rest = whole;
      const chunks: bigint[] = [];
      while (rest > 0n) {
        const chunk = cut(rest, capacities);
        assert.ok(chunk !== null, `${rest} of ${whole} is left after ${chunks.join(", ")}`);
        chunks.push(chunk);
        rest -= chunk;
      }
      assert.equal(
        chunks.reduce((a, b) => a + b, 0n),
        whole,
      );
    }),
    { numRuns: 3_000 },
  );
});

test("the last chunk but one is made smaller, so that the rest is not too small for every route", () => {
  const only = { routeId: "r", minMinor: 3_000n, maxMinor: 5_000n };
  assert.equal(cut(6_000n, [only]), 3_000n);
  assert.equal(cut(5_001n, [only]), null, "two payments of this route are 6000 at least");
  assert.equal(cut(11_000n, [only]), 5_000n);
});

test("an order is cut into a hundred parts at most, and the rest is not forgotten", () => {
  const story = new Telling({ isSplit: true, isParallel: true, limitMinor: 99n });
  assert.equal(story.draft.payouts.length, MAX_PARTS);
  assert.equal(story.draft.request.availableMinor, 10_000n - 9_900n);
  for (const payout of story.draft.payouts) story.fact("paid", {}, payout.id);
  assert.equal(story.draft.payouts.length, MAX_PARTS);
  assert.equal(story.invoice.status, "process_pending");
  assert.ok(story.items.includes("partly_paid"));
  assert.equal(story.books["reserved:web:USD"], 100n);
});

test("parts one after the other: the next is made when the one before is paid", () => {
  const story = new Telling({ isSplit: true, limitMinor: 4_000n });
  assert.deepEqual(story.statuses, ["INVOKING"]);
  story.answer({ fact: "paid" });
  assert.deepEqual(story.statuses, ["PROCESSED", "INVOKING"]);
  story.fact("paid", {}, "p2").fact("paid", {}, "p3");
  assert.deepEqual(
    story.draft.payouts.map((payout) => payout.amountMinor),
    [4_000n, 4_000n, 2_000n],
  );
  assert.equal(story.invoice.status, "processed");
  assert.deepEqual(story.books, { "available:web:USD": -10_000n, "deposit:dep_r1:USD": -10_000n });
});

const CROSS = {
  fee: FIVE_PERCENT,
  serviceCurrency: "UAH",
  rate: ratio(30_959_723n, 1_000_000n),
  isSplit: true,
  isParallel: true,
} as const;

test("1000 + 1000 + 1095.97 UAH of 100.00 USD: the shares add up, and the hold is used up to the cent", () => {
  const limits = { r1: { minMinor: 1n, maxMinor: 100_000n }, r2: { minMinor: 1n, maxMinor: 109_597n } };
  const story = new Telling({ ...CROSS, limits });
  assert.deepEqual(
    story.draft.payouts.map((payout) => payout.amountMinor),
    [100_000n, 100_000n, 109_597n],
  );
  for (const payout of story.draft.payouts) story.fact("paid", {}, payout.id);
  const shares = story.postings
    .filter(({ cause }) => cause.startsWith("paid:"))
    .map(({ lines }) => lines.find(({ account }) => account.kind === "reserved")?.amountMinor);
  assert.deepEqual(shares, [3_230n, 3_230n, 3_540n]);
  assert.equal(story.invoice.status, "processed");
  assert.equal(story.books["reserved:web:USD"], undefined);
  assert.equal(story.books["fx_position::USD"], -10_000n);
  assert.equal(story.books["commission::USD"], 500n);
});

test("a hundred parts across two currencies, paid in any order, add up as well", () => {
  fc.assert(
    fc.property(fc.shuffledSubarray([...Array(MAX_PARTS).keys()], { minLength: MAX_PARTS }), (order) => {
      const story = new Telling({ ...CROSS, limitMinor: 3_096n });
      assert.equal(story.draft.payouts.length, MAX_PARTS);
      for (const index of order) story.fact("paid", {}, `p${index + 1}`);
      assert.equal(story.invoice.status, "processed");
      assert.equal(story.books["reserved:web:USD"], undefined);
      assert.equal(story.books["fx_position::USD"], -10_000n);
      assert.equal(story.books["fx_position::UAH"], 309_597n);
      assert.equal(story.books["available:web:USD"], -10_500n);
    }),
    { numRuns: 5 },
  );
});

test("what is left of 120 by a route that takes 40 to 50 can be paid: three times 40", () => {
  const capacity: Capacity = { routeId: "r1", minMinor: 4_000n, maxMinor: 5_000n };
  assert.equal(cut(12_000n, [capacity]), 4_000n);
  assert.equal(cut(8_000n, [capacity]), 4_000n);
  assert.equal(cut(5_000n, [capacity]), 5_000n);
  assert.equal(cut(7_000n, [capacity]), null, "no number of parts makes 70 of 40 to 50");
});

test("routes of fixed amounts are combined", () => {
  const exactly = (minor: bigint): Capacity => ({ routeId: `r${minor}`, minMinor: minor, maxMinor: minor });
  const routes = [exactly(45n), exactly(30n), exactly(25n)];
  assert.deepEqual([cut(100n, routes), cut(55n, routes), cut(25n, routes)], [45n, 30n, 25n]);
});
