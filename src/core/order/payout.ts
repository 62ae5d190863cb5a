/** A payout: one operation at one provider. Its statuses, moves and what each status counts as (docs/domain.md, Payout). */

import type { Resolution } from "../news/resolution.ts";
import { machine } from "./machine.ts";

const final = (doc: string) => ({ final: true, doc });
const going = (doc: string) => ({ final: false, doc });

export const PAYOUT_STATUSES = {
  CREATE_FAILED: final("The payout was not created: the attempt was refused before anything else happened."),
  CREATED: going("Created; details are still being verified or awaited."),
  READY: going("Details are complete; it waits for the processor, or for a person where it is manual."),
  TERMINATED: final("Given up before anything was sent, or with proof that nothing arrived."),
  EXPIRED: final("The lifetime passed before anything was sent, or with proof that nothing arrived."),
  INVOKING: going("The intent is committed; the call that registers it at the provider may be in flight."),
  INVOKE_FAILED: final("The provider refused to register it, or it is proven never to have got there."),
  PROCESSING: going("Registered; the provider is working on it."),
  PENDING: going("The provider holds it and will resolve it later."),
  PROCESSED: going("Paid in full; can still be cancelled or returned."),
  PARTIALLY_PROCESSED: going("The provider has closed it with less than asked."),
  PROCESS_FAILED: final("The provider definitively could not pay."),
  CANCELLING: going("A processed payout is being reversed."),
  CANCELLED: final("A processed payout has been reversed."),
  CANCEL_FAILED: final("The reversal was refused; the payee keeps the money."),
  REVOKING: going("A payout that is not yet processed is being pulled back."),
  REVOKED: final("Pulled back: nothing was paid."),
  REVOKE_FAILED: final("The pull-back was refused; whether the payee is paid is still open."),
} as const;

export type PayoutStatus = keyof typeof PAYOUT_STATUSES;

export const PAYOUT = machine<PayoutStatus>("payout", PAYOUT_STATUSES, [
  { from: ["new"], to: ["CREATED", "CREATE_FAILED"] },
  { from: ["CREATED"], to: ["READY", "TERMINATED", "EXPIRED"] },
  { from: ["READY"], to: ["INVOKING", "TERMINATED", "EXPIRED"] },
  {
    from: ["INVOKING"],
    to: ["PROCESSING", "PENDING", "PROCESSED", "PARTIALLY_PROCESSED", "INVOKE_FAILED", "REVOKING"],
  },
  { from: ["INVOKING"], to: ["TERMINATED", "EXPIRED"] },
  { from: ["PROCESSING"], to: ["PENDING"] },
  { from: ["PENDING"], to: ["PROCESSING"] },
  { from: ["PROCESSING", "PENDING"], to: ["PROCESSED", "PARTIALLY_PROCESSED", "PROCESS_FAILED", "REVOKING"] },
  { from: ["REVOKING"], to: ["REVOKED", "REVOKE_FAILED"] },
  { from: ["REVOKE_FAILED"], to: ["PROCESSED", "PARTIALLY_PROCESSED", "PROCESS_FAILED", "REVOKED"] },
  { from: ["PROCESSED", "PARTIALLY_PROCESSED", "CANCEL_FAILED"], to: ["CANCELLING"] },
  { from: ["CANCELLING"], to: ["CANCELLED", "CANCEL_FAILED", "PARTIALLY_PROCESSED"] },
  {
    from: ["INVOKE_FAILED", "PROCESS_FAILED", "EXPIRED", "TERMINATED", "REVOKED"],
    to: ["PENDING", "PROCESSED", "PARTIALLY_PROCESSED"],
    kind: "late",
  },
  { from: ["PARTIALLY_PROCESSED"], to: ["PROCESSED"], kind: "late" },
  { from: ["CANCELLED"], to: ["PENDING", "PROCESSED"], kind: "late" },
]);

/** What a status means for the request above it. */
export type PayoutClass = "planned" | "open" | "paid" | "returned" | "not_paid";

interface StatusMeaning {
  readonly class: PayoutClass;
  /** The allocation's `transactionResult` on the wire; null leaves it out. */
  readonly transactionResult: "declined" | "approved" | "abandoned" | "unknown" | "canceled" | null;
  /** The `status` of an allocation, which a payout of a bare request is. */
  readonly allocation: AllocationStatus;
}

/** Where an allocation is, in the words of the public contract. */
export const ALLOCATION_STATUSES = [
  "pending",
  "queued",
  "processing",
  "waiting-completion",
  "completed",
  "failed",
  "canceled",
  "declined",
] as const;

export type AllocationStatus = (typeof ALLOCATION_STATUSES)[number];

const meaning = (
  cls: PayoutClass,
  result: StatusMeaning["transactionResult"],
  allocation: AllocationStatus,
): StatusMeaning => ({ class: cls, transactionResult: result, allocation });

export const PAYOUT_MEANING: Readonly<Record<PayoutStatus, StatusMeaning>> = {
  CREATED: meaning("planned", null, "pending"),
  READY: meaning("planned", null, "pending"),
  INVOKING: meaning("open", "unknown", "processing"),
  PROCESSING: meaning("open", "unknown", "processing"),
  PENDING: meaning("open", "unknown", "waiting-completion"),
  REVOKING: meaning("open", "unknown", "waiting-completion"),
  REVOKE_FAILED: meaning("open", "unknown", "waiting-completion"),
  PROCESSED: meaning("paid", "approved", "completed"),
  PARTIALLY_PROCESSED: meaning("paid", "approved", "completed"),
  CANCELLING: meaning("paid", "approved", "completed"),
  CANCEL_FAILED: meaning("paid", "approved", "completed"),
  CANCELLED: meaning("returned", "canceled", "canceled"),
  INVOKE_FAILED: meaning("not_paid", "declined", "declined"),
  PROCESS_FAILED: meaning("not_paid", "declined", "declined"),
  CREATE_FAILED: meaning("not_paid", "declined", "failed"),
  REVOKED: meaning("not_paid", "canceled", "canceled"),
  TERMINATED: meaning("not_paid", "abandoned", "canceled"),
  EXPIRED: meaning("not_paid", "abandoned", "canceled"),
};

/** The status of an allocation: one whose *process* was asked for is queued until it is sent. */
export function allocationStatus(payout: Pick<Payout, "status" | "isManual">): AllocationStatus {
  if (payout.status === "READY" && !payout.isManual) return "queued";
  return PAYOUT_MEANING[payout.status].allocation;
}

/** Which provider call, or which report of the provider, a resolution belongs to. */
export type Operation = "invoke" | "process" | "inquire" | "revoke" | "cancel";

/** What is known about the requests that left with a payout's reference. */
export type SendState =
  /** Nothing has been sent. */
  | "none"
  /** A request may be in flight; its holder has the lease. */
  | "open"
  /** Every request so far was answered "not now", or never left: the same reference may be sent again. */
  | "not_now"
  /** The provider answered and the answer is known. */
  | "answered"
  /** A request may have arrived and nobody knows: only inquiries from here. */
  | "unknown"
  /** As before; but a person lets the same reference be sent again. */
  | "again";

/** Where the call that reverses a payout stands: the revoke of a REVOKING one, the cancel of a CANCELLING one. */
export type Reversal =
  /** Nobody of ours has asked: the provider reverses by itself, or nothing is being reversed. */
  | "none"
  /** Asked for by a person or by the lifetime; not yet sent. */
  | "due"
  /** A request may be in flight; its holder has the lease. */
  | "open"
  /** The provider has taken the request and has not said that it is done. */
  | "accepted"
  /** A request may have arrived and nobody knows. */
  | "unknown";

/** What becomes of the money of a revoked payout: nothing by itself, or another route. */
export type AfterRevoke = "stop" | "reroute";

/** Evidence that a payout is not paid (docs/safety.md, Evidence). */
export type Evidence = "D0" | "D1" | "D2" | "D3" | "D4";

export interface Payout {
  readonly organizationId: string;
  readonly id: string;
  readonly requestId: string;
  readonly invoiceId: string | null;
  readonly websiteId: string;
  /** Parts and attempts count from 1. */
  readonly part: number;
  readonly attempt: number;
  readonly status: PayoutStatus;
  readonly version: number;
  readonly resolution: Resolution | null;
  readonly resolutionOf: Operation | null;
  readonly moderationRequired: boolean;
  /** When the flag was set; null while it is not. */
  readonly flaggedTime: number | null;
  /** Waits in READY for a person's command. */
  readonly isManual: boolean;

  /** Frozen when the payout is made. */
  readonly routeId: string;
  readonly routingRevision: number;
  readonly providerAccountId: string;
  readonly depositAccountId: string;
  readonly connector: string;
  readonly service: string;
  readonly currency: string;
  readonly amountMinor: bigint;
  readonly paymentInstrumentId: string | null;
  /** Null while the payee's details are awaited. */
  readonly destinationHash: string | null;
  readonly reference: string;

  /** SHA-256 (hex) of the request as built for the first send. */
  readonly requestHash: string | null;
  readonly send: SendState;
  /** Requests that left, or may have left, and were not answered "not now". */
  readonly sends: number;
  readonly notNows: number;
  readonly inquiries: number;
  /** The last instant at which any request with this reference could have left us. */
  readonly lastLeaveTime: number | null;
  /** When the first of the requests was committed that may have arrived: what came before was answered *not now*. */
  readonly firstSendTime: number | null;

  /** Sent and neither paid nor back, as the ledger has it. */
  readonly inFlightMinor: bigint;
  /** What was paid and what came back, both cumulative: who is paid, reversed and paid again is paid twice. */
  readonly processedMinor: bigint;
  readonly returnedMinor: bigint;
  /** What was paid beyond everything that the order covers, and has not come back: it stands in suspense. */
  readonly incidentMinor: bigint;
  /** What of that a person has settled as our own loss, and has not come back. */
  readonly lossMinor: bigint;
  readonly reversal: Reversal;
  /** The last instant at which the request of the reversal could have left us. */
  readonly reversalTime: number | null;
  /** How often the provider, or the way to it, said *not now* to the reversal. */
  readonly reversalNotNows: number;
  /** How much a cancel is to bring back, minor units; null: all that is left. */
  readonly cancelMinor: bigint | null;
  readonly afterRevoke: AfterRevoke | null;
  readonly evidence: Evidence | null;
  readonly providerReference: string | null;
  readonly providerStatus: string | null;
  readonly providerCode: string | null;
  /** The provider's sequence of the newest fact taken; an older fact changes nothing. */
  readonly factSequence: number | null;
  readonly createdTime: number;
  readonly updatedTime: number;
}

/** A payout of which nothing has been sent. */
export const NOTHING_PAID = {
  send: "none",
  sends: 0,
  notNows: 0,
  inquiries: 0,
  lastLeaveTime: null,
  firstSendTime: null,
  inFlightMinor: 0n,
  processedMinor: 0n,
  returnedMinor: 0n,
  incidentMinor: 0n,
  lossMinor: 0n,
  reversal: "none",
  reversalTime: null,
  reversalNotNows: 0,
  cancelMinor: null,
  afterRevoke: null,
  evidence: null,
} as const;

/** What a payout counts in its request with, in minor units of the request's currency. */
export function countedMinor(payout: Payout): bigint {
  switch (PAYOUT_MEANING[payout.status].class) {
    case "planned":
    case "open":
      return payout.amountMinor;
    case "paid":
      return payout.processedMinor - payout.returnedMinor;
    case "returned":
    case "not_paid":
      return 0n;
  }
}

/** Whether a payout may still take, or has not yet given back, its share of the request. */
export function isPlannedOrOpen(payout: Payout): boolean {
  const cls = PAYOUT_MEANING[payout.status].class;
  return cls === "planned" || cls === "open";
}
