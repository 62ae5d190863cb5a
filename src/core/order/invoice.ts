/** A payout invoice: the business's order, priced and held (docs/domain.md, Payout invoice). */
import type { Deal, FeeTerms, Price } from "../money/fee.ts";
import { ratio } from "../money/rate.ts";
import type { Resolution } from "../news/resolution.ts";
import { machine } from "./machine.ts";
import type { DispatchStatus } from "./request.ts";

const final = (doc: string) => ({ final: true, doc });
const going = (doc: string) => ({ final: false, doc });

export const INVOICE_STATUSES = {
  created: going("Made; processing has not started."),
  expired: final("The lifetime passed without anything being paid."),
  terminated: final("Ended by a person or the payee before the lifetime, nothing paid."),
  processing: going("Being processed; updates will follow."),
  process_pending: going("The outcome is unknown, maybe for long."),
  processed: going("Paid in full; may still be refunded."),
  partially_processed: going("Less was paid than the amount."),
  process_failed: final("The request failed: attempts used up, a stop, no route, or blocked by the scheme."),
  refunding: going("A reversal is under way."),
  refund_pending: going("The outcome of a reversal is unknown, maybe for long."),
  partially_refunded: final("Some of what was paid came back."),
  refunded: final("All that was paid came back."),
  refund_failed: final("Nothing came back."),
} as const;

export type InvoiceStatus = keyof typeof INVOICE_STATUSES;

export const INVOICE = machine<InvoiceStatus>("invoice", INVOICE_STATUSES, [
  { from: ["new"], to: ["created"] },
  { from: ["created"], to: ["processing", "expired", "terminated"] },
  { from: ["processing"], to: ["process_pending"] },
  { from: ["process_pending"], to: ["processing"] },
  {
    from: ["processing", "process_pending"],
    to: ["processed", "partially_processed", "process_failed", "expired", "terminated"],
  },
  { from: ["processed", "partially_processed", "partially_refunded", "refund_failed"], to: ["refunding"] },
  { from: ["refunding"], to: ["refund_pending"] },
  { from: ["refund_pending"], to: ["refunding"] },
  { from: ["refunding", "refund_pending"], to: ["refunded", "partially_refunded", "refund_failed"] },
  {
    from: ["process_failed", "expired", "terminated", "refunded", "partially_refunded"],
    to: ["process_pending", "processed", "partially_processed"],
    kind: "late",
  },
  { from: ["partially_processed"], to: ["processed"], kind: "late" },
]);

/** The invoice's status as a map of its request's workflow; `CANCELING` depends on what is known and is not here. */
export const INVOICE_STATUS_OF: Readonly<Record<Exclude<DispatchStatus, "CANCELING">, InvoiceStatus>> = {
  CREATED: "processing",
  WAITING_DETAILS: "processing",
  READY: "processing",
  DISPATCHING: "processing",
  PENDING: "process_pending",
  PROCESSED: "processed",
  PARTIALLY_PROCESSED: "partially_processed",
  FAILED: "process_failed",
  EXPIRED: "expired",
  TERMINATED: "terminated",
  CANCELED: "refunded",
  PARTIALLY_CANCELED: "partially_refunded",
  CANCEL_FAILED: "refund_failed",
};

export interface Invoice {
  readonly organizationId: string;
  readonly id: string;
  readonly websiteId: string;
  /** The merchant's own name, unique per website for ever. */
  readonly referenceId: string;
  /** SHA-256 (hex) of what the merchant asked for, to tell a repeat from another order. */
  readonly contentHash: string;
  readonly requestId: string | null;
  readonly customerId: string;
  readonly service: string;
  readonly status: InvoiceStatus;
  readonly version: number;
  readonly resolution: Resolution | null;
  readonly moderationRequired: boolean;

  /** The account's side, minor units of `currency`. */
  readonly currency: string;
  readonly amountMinor: bigint;
  readonly writeoffMinor: bigint;
  readonly feeMinor: bigint;
  /** The service's side, minor units of `serviceCurrency`. */
  readonly serviceCurrency: string;
  readonly serviceAmountMinor: bigint;
  readonly serviceWriteoffMinor: bigint;
  readonly serviceFeeMinor: bigint;
  /** Which member the merchant gave, and which price row that chose. */
  readonly requestedMember: "amount" | "serviceAmount";
  readonly requestedMinor: bigint;
  /** Service units per account unit, as a ratio. */
  readonly rateNumerator: bigint;
  readonly rateDenominator: bigint;
  readonly rateSource: string;
  readonly quoteTime: number;
  readonly quoteExpiresTime: number;
  /** The commission's terms as frozen, see `core/fee.ts`. */
  readonly feeTerms: FrozenFeeTerms;

  readonly autoprocess: boolean;
  readonly attemptsLimit: number;
  readonly allowPartially: boolean;
  readonly isSplit: boolean;
  readonly isParallel: boolean;
  readonly description: string | null;
  readonly descriptor: string | null;
  readonly metadata: unknown;
  readonly callbackUrl: string | null;
  /** The payee's details, sealed, while no request holds them. */
  readonly destination: Uint8Array | null;
  readonly destinationHash: string | null;
  readonly paymentInstrumentId: string | null;

  /** The hold on the merchant's account, minor units: used up step by step, `posted + released <= held`. */
  readonly heldMinor: bigint;
  readonly postedMinor: bigint;
  readonly releasedMinor: bigint;
  /** What was paid, priced: account currency, and the service's side. */
  readonly processedMinor: bigint;
  readonly processedFeeMinor: bigint;
  readonly processedServiceMinor: bigint;
  /** What came back to the merchant, and what of the commission was given back with it. */
  readonly refundedMinor: bigint;
  readonly refundedServiceMinor: bigint;
  readonly refundedFeeMinor: bigint;

  readonly expiresTime: number;
  readonly createdTime: number;
  readonly updatedTime: number;
}

/** Commission terms as plain data, so that a stored invoice prices the same for ever. */
export interface FrozenFeeTerms {
  readonly feeRate: string;
  readonly feeFixedMinor: string;
  readonly feeMinMinor: string;
  readonly feeMaxMinor: string;
  readonly strategy: "external" | "internal";
  readonly isReverse: boolean;
}

/** Commission terms as they are stored with an invoice. */
export function freezeTerms(terms: FeeTerms): FrozenFeeTerms {
  return {
    feeRate: `${terms.feeRate.numerator}/${terms.feeRate.denominator}`,
    feeFixedMinor: terms.feeFixedMinor.toString(),
    feeMinMinor: terms.feeMinMinor.toString(),
    feeMaxMinor: terms.feeMaxMinor.toString(),
    strategy: terms.strategy,
    isReverse: terms.isReverse,
  };
}

/** The terms and the rate that an invoice was priced with. */
export function dealOf(invoice: Invoice): Deal {
  const { feeTerms } = invoice;
  const [numerator = "0", denominator = "1"] = feeTerms.feeRate.split("/");
  return {
    accountCurrency: invoice.currency,
    serviceCurrency: invoice.serviceCurrency,
    rate: ratio(invoice.rateNumerator, invoice.rateDenominator),
    fee: {
      feeRate: ratio(BigInt(numerator), BigInt(denominator)),
      feeFixedMinor: BigInt(feeTerms.feeFixedMinor),
      feeMinMinor: BigInt(feeTerms.feeMinMinor),
      feeMaxMinor: BigInt(feeTerms.feeMaxMinor),
      strategy: feeTerms.strategy,
      isReverse: feeTerms.isReverse,
    },
  };
}

/** The price that an invoice was made at. */
export function priceOf(invoice: Invoice): Price {
  const { amountMinor, writeoffMinor, feeMinor, serviceAmountMinor, serviceWriteoffMinor, serviceFeeMinor } = invoice;
  const { strategy, isReverse } = invoice.feeTerms;
  const input = (strategy === "external") === isReverse ? "writeoff" : "payee";
  return { amountMinor, writeoffMinor, feeMinor, serviceAmountMinor, serviceWriteoffMinor, serviceFeeMinor, input };
}
