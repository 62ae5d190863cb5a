/** A payout request: which payouts are to happen, and what they add up to (docs/domain.md, Payout request). */

import type { Resolution } from "../news/resolution.ts";
import { machine } from "./machine.ts";
import { countedMinor, type Payout } from "./payout.ts";

const final = (doc: string) => ({ final: true, doc });
const going = (doc: string) => ({ final: false, doc });

export const DISPATCH_STATUSES = {
  CREATED: going("Made; nothing has been decided yet."),
  WAITING_DETAILS: going("Waits for the payee's details or for a payment instrument."),
  READY: going("Could be paid; waits for its first or next allocation."),
  DISPATCHING: going("Payouts are being planned or are at their providers."),
  PENDING: going("A payout is pending or unknown, or a person, funds or details are awaited."),
  PROCESSED: going("Paid in full."),
  PARTIALLY_PROCESSED: going("Closed with less than the amount."),
  FAILED: final("Nothing was paid and nothing more may be tried."),
  TERMINATED: final("Ended by a person or the payee; nothing was paid."),
  EXPIRED: final("The lifetime passed; nothing was paid."),
  CANCELING: going("What was paid is being reversed."),
  CANCELED: final("All that was paid came back."),
  PARTIALLY_CANCELED: final("Some of what was paid came back."),
  CANCEL_FAILED: final("A reversal was asked for; nothing came back."),
} as const;

/** How often a part is tried where the order does not say. */
export const DEFAULT_ATTEMPTS = 5;

export type DispatchStatus = keyof typeof DISPATCH_STATUSES;

export const REQUEST = machine<DispatchStatus>("request", DISPATCH_STATUSES, [
  { from: ["new"], to: ["CREATED"] },
  { from: ["CREATED"], to: ["WAITING_DETAILS", "READY"] },
  { from: ["WAITING_DETAILS"], to: ["READY"] },
  { from: ["READY"], to: ["WAITING_DETAILS", "DISPATCHING"] },
  { from: ["DISPATCHING"], to: ["PENDING"] },
  { from: ["PENDING"], to: ["DISPATCHING"] },
  { from: ["CREATED", "WAITING_DETAILS", "READY", "DISPATCHING", "PENDING"], to: ["TERMINATED", "EXPIRED"] },
  { from: ["DISPATCHING", "PENDING"], to: ["PROCESSED", "PARTIALLY_PROCESSED", "FAILED"] },
  { from: ["DISPATCHING", "PENDING"], to: ["READY", "WAITING_DETAILS"] },
  { from: ["READY", "WAITING_DETAILS"], to: ["PARTIALLY_PROCESSED"] },
  { from: ["CANCELED", "PARTIALLY_CANCELED"], to: ["READY"] },
  { from: ["PROCESSED", "PARTIALLY_PROCESSED", "PARTIALLY_CANCELED", "CANCEL_FAILED"], to: ["CANCELING"] },
  { from: ["CANCELING"], to: ["CANCELED", "PARTIALLY_CANCELED", "CANCEL_FAILED"] },
  {
    from: ["FAILED", "EXPIRED", "TERMINATED", "CANCELED", "PARTIALLY_CANCELED"],
    to: ["PENDING", "PROCESSED", "PARTIALLY_PROCESSED"],
    kind: "late",
  },
  { from: ["PARTIALLY_PROCESSED"], to: ["PROCESSED"], kind: "late" },
]);

export const BLOCK_REASONS = [
  "fraud-suspected",
  "kyc-verification-required",
  "aml-review",
  "account-verification",
  "duplicate-request",
  "insufficient-documentation",
  "risk-review",
  "other",
] as const;

export type BlockReason = (typeof BLOCK_REASONS)[number];
export type Canceler = "merchant" | "customer";

/** Somebody asked for the end; what is open is followed, nothing new is made. `accept`: what is paid is enough. */
export type EndAsked = "terminate" | "cancel" | "expire" | "accept";

export interface PayoutRequest {
  readonly organizationId: string;
  readonly id: string;
  /** The merchant's own name of the order; provider references are derived from it (docs/safety.md, rule 2). */
  readonly root: string;
  readonly invoiceId: string | null;
  readonly websiteId: string;
  readonly customerId: string;
  readonly currency: string;
  readonly amountMinor: bigint;
  readonly description: string | null;
  readonly service: string | null;
  readonly paymentInstrumentId: string | null;
  /** The payee's details, sealed; null while they are awaited or stand with the instrument. */
  readonly destination: Uint8Array | null;
  readonly destinationHash: string | null;
  readonly redirectUrl: string | null;
  readonly blocked: boolean;
  readonly blockReason: BlockReason | null;
  readonly dispatchStatus: DispatchStatus;
  readonly version: number;
  readonly resolution: Resolution | null;
  readonly moderationRequired: boolean;
  readonly attemptsLimit: number;
  readonly allowPartially: boolean;
  /** Whether several payouts may share the amount where no route can carry it whole, and whether all at once. */
  readonly isSplit: boolean;
  readonly isParallel: boolean;
  /** A provider said that the payee's details are wrong: a bare request waits for others. */
  readonly areDetailsRefused: boolean;
  readonly endAsked: EndAsked | null;
  readonly canceledBy: Canceler | null;
  readonly cancelDescription: string | null;
  /** Minor units, kept equal to the fold of the payouts at every commit. */
  readonly paidMinor: bigint;
  readonly availableMinor: bigint;
  readonly overpaidMinor: bigint;
  readonly batchId: string | null;
  readonly expiresTime: number;
  readonly createdTime: number;
  readonly updatedTime: number;
}

export const PUBLIC_STATUSES = {
  canceled: "Canceled, terminated or expired.",
  fulfilled: "What is paid adds up to the amount.",
  "partially-fulfilled": "Something is paid.",
  "instrument-selected": "An instrument, or a complete destination, is chosen.",
  pending: "None of these yet.",
} as const;

export type PublicStatus = keyof typeof PUBLIC_STATUSES;

/** The request's public `status`: a function of facts, never stored. */
export function publicStatus(request: PayoutRequest): PublicStatus {
  const ended = request.dispatchStatus === "TERMINATED" || request.dispatchStatus === "EXPIRED";
  if (request.canceledBy !== null || ended) return "canceled";
  if (request.paidMinor >= request.amountMinor) return "fulfilled";
  if (request.paidMinor > 0n) return "partially-fulfilled";
  if (request.paymentInstrumentId !== null || request.destinationHash !== null) return "instrument-selected";
  return "pending";
}

/**
 * What a request's payouts add up to, in minor units: paid (less what came back), still available, and paid or
 * planned beyond the amount. `amount + overpaid = available + counted` holds by construction.
 */
export function arithmetic(
  amountMinor: bigint,
  payouts: readonly Payout[],
): { paidMinor: bigint; availableMinor: bigint; overpaidMinor: bigint } {
  let counted = 0n;
  let paidMinor = 0n;
  for (const payout of payouts) {
    counted += countedMinor(payout);
    paidMinor += payout.processedMinor - payout.returnedMinor;
  }
  const rest = amountMinor - counted;
  return { paidMinor, availableMinor: rest > 0n ? rest : 0n, overpaidMinor: rest < 0n ? -rest : 0n };
}
