/**
 * The commission: what the merchant is charged (write-off), what the payee gets, and the fee between them, on both
 * sides of an exchange rate (docs/domain.md, Commission). All amounts are minor units.
 *
 * | strategy | reverse | the input is        | fee                                    |
 * |----------|---------|---------------------|----------------------------------------|
 * | external | no      | what the payee gets | payee * rate + fixed                   |
 * | external | yes     | the write-off       | (writeoff * rate + fixed) / (1 + rate) |
 * | internal | no      | the write-off       | writeoff * rate + fixed                |
 * | internal | yes     | what the payee gets | (payee * rate + fixed) / (1 - rate)    |
 */

import { assert, err, ok, type Result } from "../result.ts";
import { divide, isStorable, max, min, type Rounding, share } from "./money.ts";
import { convert, inverted, ONE, type Ratio } from "./rate.ts";

/**
 * A service's terms in the commerce scheme. The fixed part and the bounds are minor units of the service's currency.
 */
export interface FeeTerms {
  /** A fraction: 0.05 is five per cent. */
  readonly feeRate: Ratio;
  readonly feeFixedMinor: bigint;
  /** 0 = unset. */
  readonly feeMinMinor: bigint;
  /** 0 = unset. */
  readonly feeMaxMinor: bigint;
  readonly strategy: "external" | "internal";
  readonly isReverse: boolean;
}

/** What is frozen when an invoice is quoted. */
export interface Deal {
  readonly accountCurrency: string;
  readonly serviceCurrency: string;
  /** Major units of the service's currency per major unit of the account's; positive, and 1 within one currency. */
  readonly rate: Ratio;
  readonly fee: FeeTerms;
}

export interface PriceOrder extends Deal {
  /** The one figure that the merchant gave, in the account's or in the service's currency. */
  readonly requested: { readonly amountMinor: bigint } | { readonly serviceAmountMinor: bigint };
}

/** Account currency: amount + fee = writeoff. Service currency: serviceAmount + serviceFee = serviceWriteoff. */
export interface Price {
  readonly amountMinor: bigint;
  readonly writeoffMinor: bigint;
  readonly feeMinor: bigint;
  readonly serviceAmountMinor: bigint;
  readonly serviceWriteoffMinor: bigint;
  readonly serviceFeeMinor: bigint;
  /** Which of its two sides the terms take the merchant's figure for. */
  readonly input: "payee" | "writeoff";
}

/** Why there is no price. `field` is the member to correct: the figure the merchant gave, or one of the terms. */
export type PriceFault =
  /** The fee leaves the payee nothing, or the figure was zero or less. */
  | { readonly code: "service_amount_not_positive"; readonly field: "amount" | "serviceAmount" }
  /** A side of the price needs more than 38 digits. */
  | { readonly code: "too_large"; readonly field: "amount" | "serviceAmount" }
  /** Internal and reverse: what is added on top would be the whole write-off or more. */
  | { readonly code: "fee_rate_not_below_one"; readonly field: "feeRate" }
  | { readonly code: "fee_max_below_min"; readonly field: "feeMax" }
  | { readonly code: "negative"; readonly field: "feeRate" | "feeFixed" | "feeMin" | "feeMax" };

/** The amounts of a row, before it is known that there is something to pay. */
type Figures = Omit<Price, "feeMinor" | "input">;

function faultOf(fee: FeeTerms): PriceFault | null {
  if (fee.feeRate.numerator < 0n) return { code: "negative", field: "feeRate" };
  if (fee.feeFixedMinor < 0n) return { code: "negative", field: "feeFixed" };
  if (fee.feeMinMinor < 0n) return { code: "negative", field: "feeMin" };
  if (fee.feeMaxMinor < 0n) return { code: "negative", field: "feeMax" };
  if (fee.feeMaxMinor > 0n && fee.feeMaxMinor < fee.feeMinMinor) return { code: "fee_max_below_min", field: "feeMax" };
  if (fee.strategy === "internal" && fee.isReverse && fee.feeRate.numerator >= fee.feeRate.denominator) {
    return { code: "fee_rate_not_below_one", field: "feeRate" };
  }
  return null;
}

/** The row's fee on its input, service currency: exact until rounded up, then held within the bounds. */
function feeOn(inputMinor: bigint, fee: FeeTerms): bigint {
  const { numerator, denominator } = fee.feeRate;
  const added = fee.strategy === "external" ? numerator : -numerator;
  const exact = inputMinor * numerator + fee.feeFixedMinor * denominator;
  const rounded = divide(exact, fee.isReverse ? denominator + added : denominator, "up");
  const raised = max(rounded, fee.feeMinMinor);
  return fee.feeMaxMinor > 0n ? min(raised, fee.feeMaxMinor) : raised;
}

function toService(deal: Deal, minor: bigint, rounding: Rounding): bigint {
  return convert({ minor, from: deal.accountCurrency, to: deal.serviceCurrency, rate: deal.rate, rounding });
}

function toAccount(deal: Deal, minor: bigint, rounding: Rounding): bigint {
  return convert({ minor, from: deal.serviceCurrency, to: deal.accountCurrency, rate: inverted(deal.rate), rounding });
}

/**
 * The input is what the payee gets. Where the service's minor unit is worth more than the account's, rounding the
 * payee's amount down can make the write-off less than the amount given (10001 kopiyky at 0.0323 are 323 cents, which
 * are 10000 kopiyky); a fee is never negative, so the write-off is then the amount.
 */
function fromPayee(order: PriceOrder): Figures {
  const { requested } = order;
  const serviceAmountMinor =
    "amountMinor" in requested ? toService(order, requested.amountMinor, "down") : requested.serviceAmountMinor;
  const serviceFeeMinor = feeOn(serviceAmountMinor, order.fee);
  const serviceWriteoffMinor = serviceAmountMinor + serviceFeeMinor;
  const amountMinor = "amountMinor" in requested ? requested.amountMinor : toAccount(order, serviceAmountMinor, "down");
  const writeoffMinor = max(amountMinor, toAccount(order, serviceWriteoffMinor, "up"));
  return { amountMinor, writeoffMinor, serviceAmountMinor, serviceWriteoffMinor, serviceFeeMinor };
}

/** The input is the write-off; the amount is at most that, for the same reason as above. */
function fromWriteoff(order: PriceOrder): Figures {
  const { requested } = order;
  const serviceWriteoffMinor =
    "amountMinor" in requested ? toService(order, requested.amountMinor, "up") : requested.serviceAmountMinor;
  const serviceFeeMinor = feeOn(serviceWriteoffMinor, order.fee);
  const serviceAmountMinor = serviceWriteoffMinor - serviceFeeMinor;
  const writeoffMinor =
    "amountMinor" in requested ? requested.amountMinor : toAccount(order, serviceWriteoffMinor, "up");
  const amountMinor = min(writeoffMinor, toAccount(order, serviceAmountMinor, "down"));
  return { amountMinor, writeoffMinor, serviceAmountMinor, serviceWriteoffMinor, serviceFeeMinor };
}

function assertDeal(deal: Deal): void {
  assert(deal.rate.numerator > 0n, "an exchange rate is positive");
  if (deal.accountCurrency !== deal.serviceCurrency) return;
  const { numerator, denominator } = deal.rate;
  assert(numerator === ONE.numerator && denominator === ONE.denominator, "within one currency the rate is 1");
}

/**
 * Prices an order from the one figure that the merchant gave, in minor units of its currency (docs/domain.md,
 * Commission). Every rounding is in the operator's favour: fees and write-offs up, amounts down. The account's amount
 * can be 0 where the payee's is less than one of the account's minor units. Throws InvariantBroken for an unknown
 * currency, a rate of zero or less, and a rate other than 1 within one currency.
 */
export function price(order: PriceOrder): Result<Price, PriceFault> {
  assertDeal(order);
  const fault = faultOf(order.fee);
  if (fault !== null) return err(fault);
  const input = (order.fee.strategy === "external") === order.fee.isReverse ? "writeoff" : "payee";
  const figures = input === "payee" ? fromPayee(order) : fromWriteoff(order);
  const field = "amountMinor" in order.requested ? "amount" : "serviceAmount";
  if (figures.serviceAmountMinor <= 0n) return err({ code: "service_amount_not_positive", field });
  if (!isStorable(figures.writeoffMinor) || !isStorable(figures.serviceWriteoffMinor)) {
    return err({ code: "too_large", field });
  }
  return ok({ ...figures, feeMinor: figures.writeoffMinor - figures.amountMinor, input });
}

/**
 * The fee on the payee-input row. Null: that row has no answer, because an internal rate of one or more is only
 * possible under feeMax on the write-off row, and then every part owes the whole of it.
 */
function feeOnPaid(paidMinor: bigint, fee: FeeTerms): bigint | null {
  if (paidMinor === 0n) return 0n;
  const isReverse = fee.strategy === "internal";
  if (isReverse && fee.feeRate.numerator >= fee.feeRate.denominator) return null;
  return feeOn(paidMinor, { ...fee, isReverse });
}

/**
 * What a partly paid order costs: priced again by the payee-input row of its strategy, from what was paid
 * (cumulative, minor units of the service's currency) at the frozen terms. `amountMinor` is the share that the ledger
 * posts for it (see `share`), so amount, fee and the rest of the hold add up to what was held. Neither the fee nor
 * the write-off is more than what was held; paid in full, or beyond, it is the held price; nothing paid costs
 * nothing. `deal` and `held` are those of the order: the terms are not checked again. Throws InvariantBroken when the
 * amount paid is negative.
 */
export function priceOfPaid(deal: Deal, held: Price, paidServiceMinor: bigint): Price {
  assertDeal(deal);
  assert(paidServiceMinor >= 0n, "a negative amount was paid");
  if (paidServiceMinor >= held.serviceAmountMinor) return held;
  const amountMinor = share(held.amountMinor, paidServiceMinor, held.serviceAmountMinor);
  const serviceFeeMinor = min(held.serviceFeeMinor, feeOnPaid(paidServiceMinor, deal.fee) ?? held.serviceFeeMinor);
  const serviceWriteoffMinor = paidServiceMinor + serviceFeeMinor;
  const costMinor = max(amountMinor, toAccount(deal, serviceWriteoffMinor, "up"));
  const feeMinor = min(held.feeMinor, costMinor - amountMinor);
  return {
    amountMinor,
    writeoffMinor: amountMinor + feeMinor,
    feeMinor,
    serviceAmountMinor: paidServiceMinor,
    serviceWriteoffMinor,
    serviceFeeMinor,
    input: held.input,
  };
}
