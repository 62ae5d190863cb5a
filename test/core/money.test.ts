import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { CURRENCIES } from "../../src/core/money/currency.ts";
import {
  divide,
  formatMajor,
  formatUnits,
  isStorable,
  max,
  min,
  parseMajor,
  parseUnits,
  type Rounding,
  readDecimal,
  share,
} from "../../src/core/money/money.ts";
import { err, InvariantBroken, ok } from "../../src/core/result.ts";

const RUNS = { numRuns: 1000 };
const LIMIT = 10n ** 38n;
const storable = fc.bigInt({ min: 1n - LIMIT, max: LIMIT - 1n });
const places = fc.integer({ min: 0, max: 18 });
const abs = (value: bigint): bigint => (value < 0n ? -value : value);

test("rounding, one by one", () => {
  const cases: [bigint, bigint, Record<Rounding, bigint>][] = [
    [6n, 3n, { up: 2n, down: 2n, half_even: 2n }],
    [7n, 3n, { up: 3n, down: 2n, half_even: 2n }],
    [8n, 3n, { up: 3n, down: 2n, half_even: 3n }],
    [5n, 2n, { up: 3n, down: 2n, half_even: 2n }],
    [7n, 2n, { up: 4n, down: 3n, half_even: 4n }],
    [1n, 2n, { up: 1n, down: 0n, half_even: 0n }],
    [0n, 5n, { up: 0n, down: 0n, half_even: 0n }],
    [-7n, 3n, { up: -3n, down: -2n, half_even: -2n }],
    [-5n, 2n, { up: -3n, down: -2n, half_even: -2n }],
    [-1n, 10n, { up: -1n, down: 0n, half_even: 0n }],
    [7n, -2n, { up: -4n, down: -3n, half_even: -4n }],
    [-7n, -2n, { up: 4n, down: 3n, half_even: 4n }],
  ];
  for (const [numerator, denominator, expected] of cases) {
    for (const rounding of ["up", "down", "half_even"] as const) {
      assert.equal(
        divide(numerator, denominator, rounding),
        expected[rounding],
        `${numerator}/${denominator} ${rounding}`,
      );
    }
  }
  assert.throws(() => divide(1n, 0n, "down"), InvariantBroken);
});

test("rounding obeys its laws", () => {
  const divisor = fc.bigInt({ min: -(10n ** 20n), max: 10n ** 20n }).filter((value) => value !== 0n);
  // Small numbers as well, or no tie would ever be drawn.
  const small = fc.tuple(fc.bigInt({ min: -50n, max: 50n }), fc.constantFrom(1n, 2n, 4n, 6n, -2n, -8n));
  fc.assert(
    fc.property(fc.oneof(small, fc.tuple(storable, divisor)), ([numerator, denominator]) => {
      const [up, down, half] = (["up", "down", "half_even"] as const).map((r) => divide(numerator, denominator, r));
      assert.ok(up !== undefined && down !== undefined && half !== undefined);
      const isExact = numerator % denominator === 0n;
      assert.equal(abs(up) - abs(down), isExact ? 0n : 1n);
      assert.ok(abs(down * denominator) <= abs(numerator) && abs(numerator) <= abs(up * denominator));
      assert.ok(half === up || half === down);
      const [distance, unit] = [2n * abs(half * denominator - numerator), abs(denominator)];
      assert.ok(distance <= unit);
      if (distance === unit) assert.equal(half % 2n, 0n);
      for (const rounding of ["up", "down", "half_even"] as const) {
        assert.equal(divide(-numerator, denominator, rounding), -divide(numerator, denominator, rounding));
      }
    }),
    RUNS,
  );
});

test("amounts in major units are read exactly", () => {
  const cases: [string, string, bigint][] = [
    ["100.78", "USD", 10078n],
    ["100.7800", "USD", 10078n],
    ["100", "USD", 10000n],
    ["100.00", "JPY", 100n],
    ["1.10E2", "USD", 11000n],
    ["1.10e+2", "JPY", 110n],
    ["1e-8", "BTC", 1n],
    ["1E-18", "ETH", 1n],
    ["0.000000010", "BTC", 1n],
    ["1234.567", "KWD", 1234567n],
    ["-0.05", "USD", -5n],
    ["0", "USD", 0n],
    ["-0", "USD", 0n],
    ["0.000", "JPY", 0n],
    ["0e999999", "USD", 0n],
    ["0e-999999", "USD", 0n],
    ["1000e-3", "JPY", 1n],
    ["9007199254740993", "JPY", 9007199254740993n],
    ["0.1", "ETH", 10n ** 17n],
    ["99999999999999999999999999999999999999", "JPY", LIMIT - 1n],
    ["999999999999999999999999999999999999.99", "USD", LIMIT - 1n],
    ["1e37", "JPY", 10n ** 37n],
  ];
  for (const [text, currency, minor] of cases)
    assert.deepEqual(parseMajor(text, currency), ok(minor), `${text} ${currency}`);
});

test("what is no number is refused", () => {
  const texts = [
    "",
    " ",
    "1 ",
    " 1",
    "+1",
    "-",
    ".5",
    "5.",
    "-.5",
    "01",
    "00",
    "-01",
    "1,00",
    "1_000",
    "1.2.3",
    "1e",
    "e1",
  ];
  const more = [
    "1e1.5",
    "0x10",
    "0b1",
    "NaN",
    "Infinity",
    "-Infinity",
    "1n",
    "١",
    "１",
    "1\n",
    "\u00001",
    "--1",
    "1e--1",
  ];
  for (const text of [...texts, ...more])
    assert.deepEqual(parseMajor(text, "USD"), err("not_a_number"), JSON.stringify(text));
});

test("more decimals than the currency has are refused, not rounded", () => {
  const cases = [
    "100.785 USD",
    "0.1 JPY",
    "1.5e0 JPY",
    "1e-1 JPY",
    "1e-9 BTC",
    "1.2345 KWD",
    "1e-999999999999999999999 ETH",
  ];
  for (const text of cases) {
    const [amount = "", currency = ""] = text.split(" ");
    assert.deepEqual(parseMajor(amount, currency), err("too_many_decimals"), text);
  }
});

test("what does not fit is refused, without building it", () => {
  for (const text of [
    "1e38",
    "-1e38",
    "1e999999999",
    `1e${"9".repeat(58)}`,
    "9".repeat(39),
    "1".repeat(61),
    "x".repeat(1e6),
  ]) {
    assert.deepEqual(parseMajor(text, "JPY"), err("too_large"), text.slice(0, 70));
  }
  assert.deepEqual(parseMajor("1e36", "USD"), err("too_large"));
  assert.deepEqual(parseMajor(`1.${"0".repeat(58)}`, "USD"), ok(100n), "60 characters");
  assert.deepEqual(parseMajor(`1.${"0".repeat(59)}`, "USD"), err("too_large"), "61 characters");
});

test("an unknown currency has no amounts", () => {
  for (const currency of ["BGN", "usd", "", "toString"])
    assert.deepEqual(parseMajor("1", currency), err("unknown_currency"));
  assert.throws(() => formatMajor(1n, "BGN"), InvariantBroken);
});

test("amounts are written with the currency's decimals", () => {
  const cases: [bigint, string, string][] = [
    [10078n, "USD", "100.78"],
    [-5n, "USD", "-0.05"],
    [0n, "USD", "0.00"],
    [100n, "JPY", "100"],
    [-1n, "JPY", "-1"],
    [5n, "KWD", "0.005"],
    [1n, "BTC", "0.00000001"],
    [10n ** 18n + 1n, "ETH", "1.000000000000000001"],
  ];
  for (const [minor, currency, text] of cases) assert.equal(formatMajor(minor, currency), text);
});

test("what was written is read back, for every exponent from 0 to 18", () => {
  fc.assert(
    fc.property(storable, places, (units, exponent) => {
      const text = formatUnits(units, exponent);
      assert.deepEqual(parseUnits(text, exponent), ok(units));
      assert.match(text, exponent === 0 ? /^-?\d+$/ : new RegExp(`^-?\\d+\\.\\d{${exponent}}$`));
    }),
    RUNS,
  );
});

test("what was written is read back, for every currency", () => {
  fc.assert(
    fc.property(storable, fc.constantFrom(...CURRENCIES.keys()), (minor, currency) => {
      assert.deepEqual(parseMajor(formatMajor(minor, currency), currency), ok(minor));
    }),
    RUNS,
  );
});

test("every spelling of a number is the same amount", () => {
  fc.assert(
    fc.property(
      fc.bigInt({ min: -(10n ** 15n), max: 10n ** 15n }),
      places,
      fc.integer({ min: -20, max: 20 }),
      fc.integer({ min: 0, max: 5 }),
      (units, exponent, shift, zeros) => {
        // units * 10^-exponent, with the point moved by `shift` and the exponent part moving it back.
        const moved = exponent + shift;
        const plain = moved >= 0 ? formatUnits(units, moved) : `${units * 10n ** BigInt(-moved)}`;
        const padded = (plain.includes(".") ? plain : `${plain}.0`) + "0".repeat(zeros);
        assert.deepEqual(parseUnits(`${padded}e${shift}`, exponent), ok(units));
        assert.deepEqual(parseUnits(`${padded}E${shift < 0 ? shift : `+${shift}`}`, exponent), ok(units));
      },
    ),
    RUNS,
  );
});

test("no text makes the reader throw, and what it takes is a number to JSON as well", () => {
  const alphabet = fc.constantFrom(..."0123456789.eE+-, ".split(""));
  const text = fc.oneof(
    fc.string({ unit: alphabet, maxLength: 12 }),
    fc.string({ maxLength: 70 }),
    fc.float().map(String),
  );
  fc.assert(
    fc.property(text, places, (candidate, exponent) => {
      const read = parseUnits(candidate, exponent);
      if (read.ok) {
        assert.equal(typeof JSON.parse(candidate), "number");
        assert.ok(isStorable(read.value));
      } else if (read.error === "not_a_number") {
        assert.throws(() => {
          if (typeof JSON.parse(candidate) !== "number" || candidate !== candidate.trim()) throw new SyntaxError();
        }, SyntaxError);
      }
    }),
    RUNS,
  );
});

test("a decimal is read into lowest terms", () => {
  assert.deepEqual(readDecimal("-1.2300e2"), ok({ coefficient: -123n, scale: 0n }));
  assert.deepEqual(readDecimal("1200"), ok({ coefficient: 12n, scale: -2n }));
  assert.deepEqual(readDecimal("-0.00e7"), ok({ coefficient: 0n, scale: 0n }));
});

test("a share is rounded down", () => {
  assert.equal(share(10000n, 100000n, 309597n), 3230n);
  assert.equal(share(100n, 0n, 3n), 0n);
  assert.equal(share(100n, 3n, 3n), 100n);
  assert.equal(share(0n, 1n, 3n), 0n);
  const broken: [bigint, bigint, bigint][] = [
    [1n, 0n, 0n],
    [1n, 2n, 1n],
    [1n, -1n, 1n],
    [-1n, 1n, 1n],
    [1n, 1n, -1n],
  ];
  for (const [total, part, whole] of broken) assert.throws(() => share(total, part, whole), InvariantBroken);
});

test("cumulative shares of all parts add up to the total exactly", () => {
  const parts = fc.array(fc.bigInt({ min: 1n, max: 10n ** 12n }), { minLength: 1, maxLength: 100 });
  fc.assert(
    fc.property(fc.bigInt({ min: 0n, max: 10n ** 15n }), parts, (total, paid) => {
      const whole = paid.reduce((sum, part) => sum + part, 0n);
      let [soFar, posted] = [0n, 0n];
      for (const part of paid) {
        const before = posted;
        soFar += part;
        posted = share(total, soFar, whole);
        assert.ok(posted >= before, "a part's share is negative");
        const exact = total * part;
        assert.ok(abs((posted - before) * whole - exact) < whole, "a part is off by a unit or more");
      }
      assert.equal(posted, total);
    }),
    RUNS,
  );
});

test("the larger and the smaller of two", () => {
  assert.deepEqual([max(1n, 2n), max(2n, 1n), min(1n, 2n), min(2n, 1n)], [2n, 2n, 1n, 1n]);
});

test("38 digits are storable, 39 are not", () => {
  assert.deepEqual([LIMIT - 1n, 1n - LIMIT, LIMIT, -LIMIT].map(isStorable), [true, true, false, false]);
});
