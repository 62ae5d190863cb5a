/** Rate and commerce schemes: what a service costs and at which rate it is paid (docs/domain.md, Commission). */
import type { FeeTerms } from "../money/fee.ts";
import { parseMajor } from "../money/money.ts";
import { customerRate, ONE, parseDecimal, type Ratio, ratio } from "../money/rate.ts";
import { err, ok, type Result } from "../result.ts";

/** Commission terms as a scheme spells them: decimal text in major units of the service's currency. */
export interface SpelledTerms {
  readonly feeRate?: string;
  readonly feeFixed?: string;
  readonly feeMin?: string;
  readonly feeMax?: string;
  readonly strategy?: "external" | "internal";
  readonly reverse?: boolean;
}

export interface CommerceScheme {
  readonly services: Readonly<Record<string, SpelledTerms>>;
  /** For services that are not named; absent: no commission. */
  readonly otherwise?: SpelledTerms;
}

/** A rule per pair: major units of `quote` (the service's currency) per unit of `base` (the account's). */
export interface RatePair {
  readonly base: string;
  readonly quote: string;
  readonly rate: string;
  /** The figure is `base` per `quote`. */
  readonly inverted?: boolean;
  readonly feePercent?: string;
  readonly feeFixed?: string;
}

export interface RateScheme {
  readonly pairs: readonly RatePair[];
}

export interface RateQuote {
  readonly rate: Ratio;
  readonly source: string;
}

/** The terms for a service; fails with the member that cannot be read, in a scheme that was stored unchecked. */
export function termsFor(scheme: CommerceScheme | null, service: string, currency: string): Result<FeeTerms, string> {
  const spelled = scheme?.services[service] ?? scheme?.otherwise ?? {};
  const feeRate = parseDecimal(spelled.feeRate ?? "0");
  const feeFixed = parseMajor(spelled.feeFixed ?? "0", currency);
  const feeMin = parseMajor(spelled.feeMin ?? "0", currency);
  const feeMax = parseMajor(spelled.feeMax ?? "0", currency);
  if (!feeRate.ok) return err("feeRate");
  if (!feeFixed.ok) return err("feeFixed");
  if (!feeMin.ok) return err("feeMin");
  if (!feeMax.ok) return err("feeMax");
  return ok({
    feeRate: feeRate.value,
    feeFixedMinor: feeFixed.value,
    feeMinMinor: feeMin.value,
    feeMaxMinor: feeMax.value,
    strategy: spelled.strategy ?? "external",
    isReverse: spelled.reverse ?? false,
  });
}

/** The customer's rate from `base` to `quote`: 1 within one currency, else by the scheme's rule; none is no rate. */
export function rateFor(scheme: RateScheme | null, base: string, quote: string): Result<RateQuote, "no_rate"> {
  if (base === quote) return ok({ rate: ONE, source: "same-currency" });
  const pair = scheme?.pairs.find((each) => each.base === base && each.quote === quote);
  if (pair === undefined) return err("no_rate");
  const source = parseDecimal(pair.rate);
  const feePercent = parseDecimal(pair.feePercent ?? "0");
  const feeFixed = parseDecimal(pair.feeFixed ?? "0");
  if (!source.ok || !feePercent.ok || !feeFixed.ok) return err("no_rate");
  const rate = customerRate({
    source: source.value,
    isInverted: pair.inverted ?? false,
    feePercent: feePercent.value,
    feeFixed: feeFixed.value,
  });
  return rate.ok ? ok({ rate: ratio(rate.value.numerator, rate.value.denominator), source: "scheme" }) : err("no_rate");
}
