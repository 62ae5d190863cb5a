/**
 * Money is a bigint of minor units beside a currency code; major units exist only as decimal text. No float ever
 * holds an amount: 0.1 + 0.2 is a rounding error, and above 2^53 (0.009 ETH) a float loses minor units silently.
 */

import { assert, err, ok, type Result } from "../result.ts";
import { exponentOf, isCurrency } from "./currency.ts";

/**
 * How a remainder is settled, the same for both signs: `up` is away from zero (for positive amounts the next larger),
 * `down` is towards zero, `half_even` is to the nearest, a tie to the even neighbour.
 */
export type Rounding = "up" | "down" | "half_even";

/** Why a text is no number that we take. `too_large`: over 38 digits, or a text of over 60 characters. */
export type DecimalFault = "not_a_number" | "too_many_decimals" | "too_large";
export type MoneyFault = DecimalFault | "unknown_currency";

/** What a column of money or of a rate's parts holds: numeric(38,0). */
export const MAX_DIGITS = 38;
const MAX_TEXT_LENGTH = 60;

/**
 * An exact decimal, coefficient / 10^scale, without trailing zeros; the scale of a large round number is negative.
 */
export interface Decimal {
  readonly coefficient: bigint;
  readonly scale: bigint;
}

export function max(a: bigint, b: bigint): bigint {
  return a > b ? a : b;
}

export function min(a: bigint, b: bigint): bigint {
  return a < b ? a : b;
}

/** Whether a column of 38 digits holds it. */
export function isStorable(amount: bigint): boolean {
  const limit = 10n ** BigInt(MAX_DIGITS);
  return amount < limit && amount > -limit;
}

/** numerator / denominator as a whole number. Throws InvariantBroken when the denominator is zero. */
export function divide(numerator: bigint, denominator: bigint, rounding: Rounding): bigint {
  assert(denominator !== 0n, "division by zero");
  if (denominator < 0n) return divide(-numerator, -denominator, rounding);
  const towardsZero = numerator / denominator;
  const remainder = numerator % denominator;
  if (remainder === 0n || rounding === "down") return towardsZero;
  const awayFromZero = numerator < 0n ? towardsZero - 1n : towardsZero + 1n;
  if (rounding === "up") return awayFromZero;
  const twice = 2n * (remainder < 0n ? -remainder : remainder);
  if (twice !== denominator) return twice < denominator ? towardsZero : awayFromZero;
  return towardsZero % 2n === 0n ? towardsZero : awayFromZero;
}

/**
 * The cumulative share rule (docs/domain.md, Ledger): what `part` of `whole` is of `total`, rounded down. Post the
 * share of what is paid *so far* less the share posted before; then parts add up to the total exactly, in any order
 * and number. All are minor units; `part` and `whole` are in one currency, `total` may be in another. Throws
 * InvariantBroken unless 0 <= part <= whole and whole > 0: what was paid beyond the whole is an incident and has no
 * share.
 */
export function share(total: bigint, part: bigint, whole: bigint): bigint {
  assert(total >= 0n, "a share of a negative total");
  assert(whole > 0n && part >= 0n && part <= whole, `a share of ${part} in ${whole}`);
  return (total * part) / whole;
}

/**
 * Reads decimal text as JSON writes numbers: no plus sign, no bare point, no leading zeros, no separators; an
 * exponent is taken at its word ("1.10E2" is 110). Its work is bounded whatever the exponent says: no power of ten is
 * built here.
 */
export function readDecimal(text: string): Result<Decimal, "not_a_number" | "too_large"> {
  if (text.length > MAX_TEXT_LENGTH) return err("too_large");
  const match = /^(-?)(0|[1-9]\d*)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/.exec(text);
  if (match === null) return err("not_a_number");
  const [, sign = "", whole = "", fraction = "", exponent = "0"] = match;
  const digits = whole + fraction;
  const significant = digits.replace(/0+$/, "");
  if (significant === "") return ok({ coefficient: 0n, scale: 0n });
  const zeros = digits.length - significant.length;
  return ok({
    coefficient: BigInt(sign + significant),
    scale: BigInt(fraction.length) - BigInt(zeros) - BigInt(exponent),
  });
}

/**
 * Decimal text in units of 10^-places: "1.5" with 2 places is 150n. Decimals beyond `places` are refused, not
 * rounded; zeros there are none ("100.7800" has two decimals).
 */
export function parseUnits(text: string, places: number): Result<bigint, DecimalFault> {
  const decimal = readDecimal(text);
  if (!decimal.ok) return decimal;
  const { coefficient, scale } = decimal.value;
  const zeros = BigInt(places) - scale;
  if (zeros < 0n) return err("too_many_decimals");
  if (zeros > MAX_DIGITS) return err("too_large");
  const units = coefficient * 10n ** zeros;
  return isStorable(units) ? ok(units) : err("too_large");
}

/** The inverse of parseUnits, with all `places` decimals: 150n with 2 places is "1.50", with none "150". */
export function formatUnits(units: bigint, places: number): string {
  const sign = units < 0n ? "-" : "";
  const digits = (units < 0n ? -units : units).toString().padStart(places + 1, "0");
  const point = digits.length - places;
  return places === 0 ? sign + digits : `${sign}${digits.slice(0, point)}.${digits.slice(point)}`;
}

/**
 * An amount in major units, as a request writes it, in minor units: "100.78" USD is 10078n. The sign is kept.
 * Refused: what JSON would not call a number, more decimals than the currency has, over 38 digits, a currency not in
 * our table.
 */
export function parseMajor(text: string, currency: string): Result<bigint, MoneyFault> {
  return isCurrency(currency) ? parseUnits(text, exponentOf(currency)) : err("unknown_currency");
}

/**
 * Minor units as a decimal text in major units, with the currency's decimals and nothing else, so that it can stand
 * in JSON as a number: "100.78", "-0.05", JPY "100". Throws InvariantBroken for a currency that is not in our table.
 */
export function formatMajor(minor: bigint, currency: string): string {
  return formatUnits(minor, exponentOf(currency));
}
