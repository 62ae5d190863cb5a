/**
 * Exchange rates, and other factors such as percentages, as ratios of whole numbers. Rounding happens only in money.
 */

import { assert, err, ok, type Result } from "../result.ts";
import { exponentOf } from "./currency.ts";
import { type DecimalFault, divide, formatUnits, isStorable, MAX_DIGITS, type Rounding, readDecimal } from "./money.ts";

/** A fraction in lowest terms; the denominator is positive, so equal values have equal parts. */
export interface Ratio {
  readonly numerator: bigint;
  readonly denominator: bigint;
}

/** The rate between a currency and itself. */
export const ONE: Ratio = { numerator: 1n, denominator: 1n };

function greatestCommonDivisor(a: bigint, b: bigint): bigint {
  let [x, y] = [a < 0n ? -a : a, b];
  while (y !== 0n) [x, y] = [y, x % y];
  return x;
}

/** numerator / denominator in lowest terms. Throws InvariantBroken when the denominator is zero. */
export function ratio(numerator: bigint, denominator = 1n): Ratio {
  assert(denominator !== 0n, "a ratio over zero");
  if (denominator < 0n) return ratio(-numerator, -denominator);
  const divisor = greatestCommonDivisor(numerator, denominator);
  return { numerator: numerator / divisor, denominator: denominator / divisor };
}

/** Swaps the parts: units of A per B become units of B per A. Throws InvariantBroken for zero. */
export function inverted(value: Ratio): Ratio {
  return ratio(value.denominator, value.numerator);
}

export function multiply(a: Ratio, b: Ratio): Ratio {
  return ratio(a.numerator * b.numerator, a.denominator * b.denominator);
}

export function subtract(a: Ratio, b: Ratio): Ratio {
  return ratio(a.numerator * b.denominator - b.numerator * a.denominator, a.denominator * b.denominator);
}

/**
 * The exact value of a decimal text in the notation of JSON numbers: "30.959723", "1e-8". Refused are texts of over
 * 60 characters, and values whose parts need over 38 digits (a whole part that long, or more than 37 decimals).
 */
export function parseDecimal(text: string): Result<Ratio, DecimalFault> {
  const decimal = readDecimal(text);
  if (!decimal.ok) return decimal;
  const { coefficient, scale } = decimal.value;
  if (scale >= MAX_DIGITS) return err("too_many_decimals");
  if (scale <= -MAX_DIGITS) return err("too_large");
  const value = scale > 0n ? ratio(coefficient, 10n ** scale) : ratio(coefficient * 10n ** -scale);
  return isStorable(value.numerator) ? ok(value) : err("too_large");
}

/**
 * A decimal text with at most `digits` decimals, the last one rounded half to even, without trailing zeros: 1/3 with
 * 4 digits is "0.3333", 5/2 is "2.5". Parsing it again gives the same ratio if no digit was cut.
 */
export function formatDecimal(value: Ratio, digits: number): string {
  const units = divide(value.numerator * 10n ** BigInt(digits), value.denominator, "half_even");
  const text = formatUnits(units, digits);
  return digits === 0 ? text : text.replace(/\.?0+$/, "");
}

/** What to convert: minor units of `from`, at `rate` major units of `to` per major unit of `from`. */
export interface Conversion {
  readonly minor: bigint;
  readonly from: string;
  readonly to: string;
  readonly rate: Ratio;
  readonly rounding: Rounding;
}

/** Minor units of `to`: one multiplication, one rounding. Throws InvariantBroken for a currency not in our table. */
export function convert({ minor, from, to, rate, rounding }: Conversion): bigint {
  const numerator = minor * rate.numerator * 10n ** BigInt(exponentOf(to));
  return divide(numerator, rate.denominator * 10n ** BigInt(exponentOf(from)), rounding);
}

/** A rule of a rate scheme with its source's figure at hand. */
export interface RateRule {
  /** Major units of the service's currency per major unit of the account's; the other way round if `isInverted`. */
  readonly source: Ratio;
  readonly isInverted: boolean;
  /** The operator's margin: a percentage of the source (1.5 means 1.5 %), then a fixed part in the rate's own units. */
  readonly feePercent: Ratio;
  readonly feeFixed: Ratio;
}

/**
 * The rate that the merchant gets, in service units per account unit: source - source * feePercent / 100 - feeFixed,
 * the source inverted first if the rule says so (docs/domain.md, Commission). `not_positive`: the source, or what the
 * margin leaves of it, is zero or less. `too_large`: a part of the ratio needs over 38 digits and could not be stored
 * exactly.
 */
export function customerRate(rule: RateRule): Result<Ratio, "not_positive" | "too_large"> {
  if (rule.source.numerator <= 0n) return err("not_positive");
  const source = rule.isInverted ? inverted(rule.source) : rule.source;
  const margin = multiply(source, multiply(rule.feePercent, ratio(1n, 100n)));
  const rate = subtract(subtract(source, margin), rule.feeFixed);
  if (rate.numerator <= 0n) return err("not_positive");
  return isStorable(rate.numerator) && isStorable(rate.denominator) ? ok(rate) : err("too_large");
}
