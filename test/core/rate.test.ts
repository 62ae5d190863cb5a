import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { Rounding } from "../../src/core/money/money.ts";
import {
  convert,
  customerRate,
  formatDecimal,
  inverted,
  multiply,
  ONE,
  parseDecimal,
  type Ratio,
  ratio,
  subtract,
} from "../../src/core/money/rate.ts";
import { err, InvariantBroken, ok } from "../../src/core/result.ts";

const RUNS = { numRuns: 1000 };
const part = fc.bigInt({ min: -(10n ** 18n), max: 10n ** 18n });
const positive = fc.bigInt({ min: 1n, max: 10n ** 18n });
const anyRatio = fc.tuple(part, positive).map(([n, d]) => ratio(n, d));
const positiveRatio = fc.tuple(positive, positive).map(([n, d]) => ratio(n, d));

function decimal(text: string): Ratio {
  const read = parseDecimal(text);
  assert.ok(read.ok, text);
  return read.value;
}

test("a ratio is in lowest terms over a positive denominator", () => {
  assert.deepEqual(ratio(6n, 4n), { numerator: 3n, denominator: 2n });
  assert.deepEqual(ratio(6n, -4n), { numerator: -3n, denominator: 2n });
  assert.deepEqual(ratio(0n, -7n), { numerator: 0n, denominator: 1n });
  assert.deepEqual(ratio(1n), ONE);
  assert.throws(() => ratio(1n, 0n), InvariantBroken);
  assert.throws(() => inverted(ratio(0n)), InvariantBroken);
});

test("ratios compute exactly", () => {
  fc.assert(
    fc.property(anyRatio, anyRatio, positiveRatio, (a, b, c) => {
      assert.deepEqual(subtract(a, a), ratio(0n));
      assert.deepEqual(subtract(subtract(a, b), subtract(ratio(0n), b)), a);
      assert.deepEqual(multiply(multiply(a, c), inverted(c)), a);
      assert.deepEqual(multiply(c, subtract(a, b)), subtract(multiply(c, a), multiply(c, b)));
      assert.deepEqual(inverted(inverted(c)), c);
    }),
    RUNS,
  );
});

test("decimals are read exactly", () => {
  assert.deepEqual(decimal("30.959723"), ratio(30959723n, 1000000n));
  assert.deepEqual(decimal("1e-8"), ratio(1n, 100000000n));
  assert.deepEqual(decimal("1.5E3"), ratio(1500n));
  assert.deepEqual(decimal("0.50"), ratio(1n, 2n));
  assert.deepEqual(decimal("-0.25"), ratio(-1n, 4n));
  assert.deepEqual(decimal("0e99"), ratio(0n));
  assert.deepEqual(decimal("1e-37"), ratio(1n, 10n ** 37n));
  assert.deepEqual(decimal("1e37"), ratio(10n ** 37n));
});

test("decimals that could not be kept are refused", () => {
  for (const text of ["", "1,5", ".5", "+1", "1/3", "NaN", "5%"])
    assert.deepEqual(parseDecimal(text), err("not_a_number"), text);
  for (const text of ["1e-38", "1e-99999999999"]) assert.deepEqual(parseDecimal(text), err("too_many_decimals"), text);
  const large = ["1e38", "1e99999999999", "9".repeat(39), `1.${"1".repeat(37)}e1${"0".repeat(20)}`, "1".repeat(61)];
  for (const text of large) assert.deepEqual(parseDecimal(text), err("too_large"), text);
  assert.deepEqual(parseDecimal(`12.${"1".repeat(37)}`), err("too_large"), "39 digits in all");
});

test("decimals are written with at most the digits asked for", () => {
  const cases: [Ratio, number, string][] = [
    [ratio(1n, 3n), 4, "0.3333"],
    [ratio(2n, 3n), 4, "0.6667"],
    [ratio(5n, 2n), 6, "2.5"],
    [ratio(5n, 2n), 0, "2"],
    [ratio(100n), 3, "100"],
    [ratio(100n), 0, "100"],
    [ratio(0n), 5, "0"],
    [ratio(-1n, 8n), 2, "-0.12"],
    [ratio(-1n, 1000n), 2, "0"],
    [ratio(30959723n, 1000000n), 10, "30.959723"],
  ];
  for (const [value, digits, text] of cases) assert.equal(formatDecimal(value, digits), text);
});

test("a decimal that was written in full is read back", () => {
  fc.assert(
    fc.property(part, fc.integer({ min: 0, max: 18 }), (coefficient, digits) => {
      const value = ratio(coefficient, 10n ** BigInt(digits));
      assert.deepEqual(decimal(formatDecimal(value, digits)), value);
      assert.deepEqual(decimal(formatDecimal(value, 37)), value);
    }),
    RUNS,
  );
});

test("conversion counts both currencies' exponents", () => {
  const cases: [bigint, string, string, string, Rounding, bigint][] = [
    [10000n, "USD", "UAH", "30.959723", "down", 309597n],
    [10000n, "USD", "UAH", "30.959723", "up", 309598n],
    [10000n, "USD", "JPY", "155.5", "down", 15550n],
    [15550n, "JPY", "USD", "0.0064", "half_even", 9952n],
    [100n, "USD", "KWD", "0.307", "down", 307n],
    [10000n, "USD", "BTC", "0.00001", "down", 100000n],
    [1n, "ETH", "USD", "3000", "down", 0n],
    [1n, "ETH", "USD", "3000", "up", 1n],
    [-10000n, "USD", "UAH", "30.959723", "up", -309598n],
    [123n, "USD", "USD", "1", "up", 123n],
  ];
  for (const [minor, from, to, rate, rounding, expected] of cases) {
    assert.equal(
      convert({ minor, from, to, rate: decimal(rate), rounding }),
      expected,
      `${minor} ${from} ${to} ${rounding}`,
    );
  }
  assert.throws(() => convert({ minor: 1n, from: "USD", to: "BGN", rate: ONE, rounding: "up" }), InvariantBroken);
});

test("there and back again, rounded down, makes no money; rounded up, loses none", () => {
  const currency = fc.constantFrom("USD", "JPY", "KWD", "UAH", "BTC", "ETH");
  fc.assert(
    fc.property(positive, currency, currency, positiveRatio, (minor, from, to, rate) => {
      const trip = (rounding: Rounding): bigint => {
        const there = convert({ minor, from, to, rate, rounding });
        return convert({ minor: there, from: to, to: from, rate: inverted(rate), rounding });
      };
      assert.ok(trip("down") <= minor);
      assert.ok(trip("up") >= minor);
    }),
    RUNS,
  );
});

test("the merchant's rate is the source less the margin", () => {
  const rule = { source: decimal("40"), isInverted: false, feePercent: decimal("1.5"), feeFixed: decimal("0.05") };
  assert.deepEqual(customerRate(rule), ok(decimal("39.35")));
  assert.deepEqual(customerRate({ ...rule, feePercent: ratio(0n), feeFixed: ratio(0n) }), ok(decimal("40")));
  assert.deepEqual(
    customerRate({ ...rule, source: ratio(1n), feePercent: ratio(50n), feeFixed: ratio(0n) }),
    ok(ratio(1n, 2n)),
  );
  // 1/40 = 0.025; the margin is taken after the inversion.
  const inverse = { ...rule, isInverted: true, feePercent: decimal("2"), feeFixed: decimal("0.0005") };
  assert.deepEqual(customerRate(inverse), ok(decimal("0.024")));
});

test("a rate of zero or less is refused", () => {
  const rule = { source: decimal("40"), isInverted: false, feePercent: ratio(0n), feeFixed: ratio(0n) };
  assert.deepEqual(customerRate({ ...rule, source: ratio(0n) }), err("not_positive"));
  assert.deepEqual(customerRate({ ...rule, source: ratio(0n), isInverted: true }), err("not_positive"));
  assert.deepEqual(customerRate({ ...rule, source: ratio(-1n), feePercent: ratio(300n) }), err("not_positive"));
  assert.deepEqual(customerRate({ ...rule, feePercent: ratio(100n) }), err("not_positive"));
  assert.deepEqual(customerRate({ ...rule, feeFixed: ratio(40n) }), err("not_positive"));
  assert.deepEqual(customerRate({ ...rule, feeFixed: decimal("40.000001") }), err("not_positive"));
});

test("a rate that could not be stored exactly is refused", () => {
  const rule = { source: decimal("1e-30"), isInverted: false, feePercent: decimal("1e-7"), feeFixed: ratio(0n) };
  assert.deepEqual(customerRate(rule), err("too_large"));
  assert.deepEqual(
    customerRate({ ...rule, isInverted: true, source: decimal("1e-37"), feePercent: ratio(-900n) }),
    err("too_large"),
  );
});

test("the merchant's rate is the source scaled, then shifted", () => {
  const percent = fc.bigInt({ min: 0n, max: 10000n }).map((value) => ratio(value, 100n));
  const source = fc.bigInt({ min: 1n, max: 10n ** 12n }).map((value) => ratio(value, 10n ** 6n));
  fc.assert(
    fc.property(source, fc.boolean(), percent, source, (figure, isInverted, feePercent, feeFixed) => {
      const got = customerRate({ source: figure, isInverted, feePercent, feeFixed });
      const base = isInverted ? inverted(figure) : figure;
      const expected = subtract(multiply(base, subtract(ONE, multiply(feePercent, ratio(1n, 100n)))), feeFixed);
      assert.deepEqual(got, expected.numerator > 0n ? ok(expected) : err("not_positive"));
    }),
    RUNS,
  );
});
