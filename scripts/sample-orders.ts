/** Orders of 100.00 USD in every status, as rows: what the generated matrix of commands is computed on. */
import type { Invoice, InvoiceStatus } from "../src/core/order/invoice.ts";
import { INVOICE_STATUS_OF } from "../src/core/order/invoice.ts";
import { NOTHING_PAID, PAYOUT_MEANING, type Payout, type PayoutStatus } from "../src/core/order/payout.ts";
import type { DispatchStatus, PayoutRequest } from "../src/core/order/request.ts";
import { arithmetic } from "../src/core/order/request.ts";
import type { Story } from "../src/core/order/story.ts";
import { NOW, ORGANIZATION, PAYEE, type Sample, SEALED } from "./sample-world.ts";

const AMOUNT = 10_000n;
const HOUR_MS = 3_600_000;
/** Long enough ago that no request can arrive any more. */
const SENT = NOW - HOUR_MS;

const SENT_AND_ANSWERED = {
  send: "answered",
  sends: 1,
  firstSendTime: SENT,
  lastLeaveTime: SENT,
} as const;
const FLYING = { ...SENT_AND_ANSWERED, inFlightMinor: AMOUNT };
const UNKNOWN = { ...FLYING, send: "unknown", moderationRequired: true, flaggedTime: SENT } as const;
const PAID = { ...SENT_AND_ANSWERED, processedMinor: AMOUNT, resolution: "OK", resolutionOf: "invoke" } as const;
const REFUSED = { resolution: "DECLINED_ERROR", resolutionOf: "invoke" } as const;

/** What the row of a payout in a status says beside it. */
const PAYOUTS: Readonly<Record<PayoutStatus, Partial<Payout>>> = {
  CREATE_FAILED: { ...REFUSED, evidence: "D0" },
  CREATED: { isManual: true, destinationHash: null },
  READY: { isManual: true },
  TERMINATED: { evidence: "D0" },
  EXPIRED: { evidence: "D0" },
  INVOKING: UNKNOWN,
  INVOKE_FAILED: { ...SENT_AND_ANSWERED, ...REFUSED, evidence: "D1" },
  PROCESSING: FLYING,
  PENDING: FLYING,
  PROCESSED: PAID,
  PARTIALLY_PROCESSED: { ...PAID, processedMinor: 6_000n },
  PROCESS_FAILED: { ...SENT_AND_ANSWERED, ...REFUSED, evidence: "D2" },
  CANCELLING: { ...PAID, reversal: "accepted", reversalTime: SENT },
  CANCELLED: { ...PAID, returnedMinor: AMOUNT },
  CANCEL_FAILED: PAID,
  REVOKING: { ...FLYING, reversal: "accepted", reversalTime: SENT, afterRevoke: "stop" },
  REVOKED: { ...SENT_AND_ANSWERED, evidence: "D2", afterRevoke: "stop" },
  REVOKE_FAILED: FLYING,
};

/** The same status as it is at another moment: what may be done differs. */
export const PAYOUT_MOMENTS: readonly {
  readonly status: PayoutStatus;
  readonly when: string;
  readonly row: Partial<Payout>;
}[] = [
  { status: "READY", when: "starts by itself", row: { isManual: false } },
  { status: "INVOKING", when: "request on its way", row: { ...FLYING, send: "open" } },
  { status: "INVOKING", when: "answered *not now*", row: { ...FLYING, send: "not_now", sends: 0 } },
];

function payoutOf(status: PayoutStatus, more: Partial<Payout>, isOfInvoice: boolean): Payout {
  return {
    organizationId: ORGANIZATION,
    id: "p1",
    requestId: "q1",
    invoiceId: isOfInvoice ? "i1" : null,
    websiteId: "web",
    part: 1,
    attempt: 1,
    status,
    version: 1,
    resolution: null,
    resolutionOf: null,
    moderationRequired: false,
    flaggedTime: null,
    isManual: false,
    routeId: "r1",
    routingRevision: 1,
    providerAccountId: "acc_1",
    depositAccountId: "dep_1",
    connector: "sandbox",
    service: "test_usd",
    currency: "USD",
    amountMinor: AMOUNT,
    paymentInstrumentId: null,
    destinationHash: PAYEE,
    reference: "reference",
    requestHash: null,
    ...NOTHING_PAID,
    providerReference: null,
    providerStatus: null,
    providerCode: null,
    factSequence: null,
    createdTime: SENT,
    updatedTime: SENT,
    ...more,
  };
}

function requestOf(
  dispatchStatus: DispatchStatus,
  payouts: readonly Payout[],
  more: Partial<PayoutRequest>,
): PayoutRequest {
  return {
    organizationId: ORGANIZATION,
    id: "q1",
    root: "i:web:1",
    invoiceId: "i1",
    websiteId: "web",
    customerId: "cus",
    currency: "USD",
    amountMinor: AMOUNT,
    description: null,
    service: "test_usd",
    paymentInstrumentId: null,
    destination: SEALED,
    destinationHash: PAYEE,
    redirectUrl: null,
    blocked: false,
    blockReason: null,
    dispatchStatus,
    version: 1,
    resolution: null,
    moderationRequired: payouts.some((payout) => payout.moderationRequired),
    attemptsLimit: 5,
    allowPartially: false,
    isSplit: false,
    isParallel: false,
    areDetailsRefused: false,
    endAsked: null,
    canceledBy: null,
    cancelDescription: null,
    ...arithmetic(AMOUNT, payouts),
    batchId: null,
    expiresTime: NOW + HOUR_MS,
    createdTime: SENT,
    updatedTime: SENT,
    ...more,
  };
}

const PRICE = {
  currency: "USD",
  amountMinor: AMOUNT,
  writeoffMinor: 10_500n,
  feeMinor: 500n,
  serviceCurrency: "USD",
  serviceAmountMinor: AMOUNT,
  serviceWriteoffMinor: 10_500n,
  serviceFeeMinor: 500n,
  requestedMember: "amount",
  requestedMinor: AMOUNT,
  rateNumerator: 1n,
  rateDenominator: 1n,
  rateSource: "same currency",
  quoteTime: SENT,
  quoteExpiresTime: NOW + HOUR_MS,
  feeTerms: {
    feeRate: "1/20",
    feeFixedMinor: "0",
    feeMinMinor: "0",
    feeMaxMinor: "0",
    strategy: "external",
    isReverse: false,
  },
} as const;

/** Commission 5.00, external. What is over has used up its hold. */
function invoiceOf(status: InvoiceStatus, payouts: readonly Payout[], isOver: boolean): Invoice {
  const paidMinor = payouts.reduce((sum, payout) => sum + payout.processedMinor, 0n);
  const backMinor = payouts.reduce((sum, payout) => sum + payout.returnedMinor, 0n);
  const feeMinor = isOver ? paidMinor / 20n : 0n;
  return {
    organizationId: ORGANIZATION,
    id: "i1",
    websiteId: "web",
    referenceId: "1",
    contentHash: "",
    requestId: status === "created" ? null : "q1",
    customerId: "cus",
    service: "test_usd",
    status,
    version: 1,
    resolution: null,
    moderationRequired: payouts.some((payout) => payout.moderationRequired),
    ...PRICE,
    autoprocess: status !== "created",
    attemptsLimit: 5,
    allowPartially: false,
    isSplit: false,
    isParallel: false,
    description: null,
    descriptor: null,
    metadata: null,
    callbackUrl: null,
    destination: SEALED,
    destinationHash: PAYEE,
    paymentInstrumentId: null,
    heldMinor: status === "created" ? 0n : 10_500n,
    postedMinor: paidMinor + feeMinor,
    releasedMinor: isOver ? 10_500n - paidMinor - feeMinor : 0n,
    processedMinor: paidMinor,
    processedFeeMinor: feeMinor,
    processedServiceMinor: paidMinor,
    refundedMinor: backMinor,
    refundedServiceMinor: backMinor,
    refundedFeeMinor: 0n,
    expiresTime: NOW + HOUR_MS,
    createdTime: SENT,
    updatedTime: SENT,
  };
}

/** Where the request of an order stands whose only payout is in a status. */
const REQUEST_AT: Readonly<Record<PayoutStatus, DispatchStatus>> = {
  CREATE_FAILED: "FAILED",
  CREATED: "PENDING",
  READY: "PENDING",
  TERMINATED: "TERMINATED",
  EXPIRED: "EXPIRED",
  INVOKING: "PENDING",
  INVOKE_FAILED: "FAILED",
  PROCESSING: "DISPATCHING",
  PENDING: "PENDING",
  PROCESSED: "PROCESSED",
  PARTIALLY_PROCESSED: "PARTIALLY_PROCESSED",
  PROCESS_FAILED: "FAILED",
  CANCELLING: "CANCELING",
  CANCELLED: "CANCELED",
  CANCEL_FAILED: "CANCEL_FAILED",
  REVOKING: "DISPATCHING",
  REVOKED: "FAILED",
  REVOKE_FAILED: "PENDING",
};

const GOING: ReadonlySet<DispatchStatus> = new Set<DispatchStatus>([
  "CREATED",
  "WAITING_DETAILS",
  "READY",
  "DISPATCHING",
  "PENDING",
]);

interface Kind {
  readonly payout: PayoutStatus | null;
  readonly row?: Partial<Payout>;
  readonly request?: DispatchStatus;
  readonly invoice?: InvoiceStatus;
  readonly more?: Partial<PayoutRequest>;
}

function orderOf({ payout, row = {}, request, invoice, more = {} }: Kind): Story & { readonly invoice: Invoice } {
  const payouts = payout === null ? [] : [payoutOf(payout, { ...PAYOUTS[payout], ...row }, true)];
  const at = request ?? (payout === null ? "READY" : REQUEST_AT[payout]);
  const status = invoice ?? (at === "CANCELING" ? "refund_pending" : INVOICE_STATUS_OF[at]);
  const isAwaited = payouts.some((each) => each.destinationHash === null);
  const known = isAwaited ? { destination: null, destinationHash: null } : {};
  return {
    invoice: invoiceOf(status, payouts, !GOING.has(at)),
    request: requestOf(at, payouts, { ...known, ...more }),
    payouts,
  };
}

/** An order whose only payout is in a status. */
export function orderWithPayout(status: PayoutStatus, row: Partial<Payout> = {}): Story {
  const isPlanned = PAYOUT_MEANING[status].class === "planned";
  const order = orderOf({ payout: status, row });
  // An invoice's payouts start by themselves; those that wait for a person belong to a bare request.
  if (!isPlanned || row.isManual === false) return order;
  const payouts = order.payouts.map((payout) => ({ ...payout, invoiceId: null }));
  return { invoice: null, request: { ...order.request, invoiceId: null }, payouts };
}

/** Orders by the status of their invoice; some statuses stand for several moments. */
export const INVOICE_MOMENTS: readonly {
  readonly status: InvoiceStatus;
  readonly when: string;
  readonly sample: Sample;
}[] = [
  { status: "created", when: "", sample: { invoice: invoiceOf("created", [], false), request: null, payouts: [] } },
  { status: "expired", when: "", sample: orderOf({ payout: "EXPIRED" }) },
  { status: "terminated", when: "", sample: orderOf({ payout: "TERMINATED" }) },
  { status: "processing", when: "", sample: orderOf({ payout: "PROCESSING" }) },
  { status: "process_pending", when: "an outcome is unknown", sample: orderOf({ payout: "INVOKING" }) },
  {
    status: "process_pending",
    when: "60 of 100 are paid",
    sample: orderOf({ payout: "PARTIALLY_PROCESSED", request: "PENDING", more: { moderationRequired: true } }),
  },
  { status: "processed", when: "", sample: orderOf({ payout: "PROCESSED" }) },
  { status: "partially_processed", when: "", sample: orderOf({ payout: "PARTIALLY_PROCESSED" }) },
  { status: "process_failed", when: "", sample: orderOf({ payout: "PROCESS_FAILED" }) },
  {
    status: "refunding",
    when: "",
    sample: orderOf({ payout: "CANCELLING", invoice: "refunding", row: { reversal: "due", reversalTime: null } }),
  },
  { status: "refund_pending", when: "", sample: orderOf({ payout: "CANCELLING" }) },
  {
    status: "partially_refunded",
    when: "",
    sample: orderOf({
      payout: "PARTIALLY_PROCESSED",
      request: "PARTIALLY_CANCELED",
      row: { processedMinor: AMOUNT, returnedMinor: 4_000n },
    }),
  },
  { status: "refunded", when: "", sample: orderOf({ payout: "CANCELLED" }) },
  { status: "refund_failed", when: "", sample: orderOf({ payout: "CANCEL_FAILED" }) },
];

const AWAITED = { destination: null, destinationHash: null };

/** What a bare request in a status consists of. */
const BARE: Readonly<Record<DispatchStatus, Kind>> = {
  CREATED: { payout: null, more: { ...AWAITED, blocked: true, blockReason: "risk-review" } },
  WAITING_DETAILS: { payout: null, more: AWAITED },
  READY: { payout: null },
  DISPATCHING: { payout: "PROCESSING" },
  PENDING: { payout: "READY" },
  PROCESSED: { payout: "PROCESSED" },
  PARTIALLY_PROCESSED: { payout: "PARTIALLY_PROCESSED", more: { endAsked: "expire" } },
  FAILED: { payout: "INVOKE_FAILED" },
  TERMINATED: { payout: "TERMINATED", more: { endAsked: "cancel", canceledBy: "merchant" } },
  EXPIRED: { payout: "EXPIRED", more: { endAsked: "expire" } },
  CANCELING: { payout: "CANCELLING" },
  CANCELED: { payout: "CANCELLED" },
  PARTIALLY_CANCELED: { payout: "PARTIALLY_PROCESSED", row: { processedMinor: AMOUNT, returnedMinor: 4_000n } },
  CANCEL_FAILED: { payout: "CANCEL_FAILED" },
};

/** A bare request in a status; `FAILED` is only ever the status of an invoice's. */
export function bareRequest(status: DispatchStatus): Story {
  const order = orderOf({ ...BARE[status], request: status });
  if (status === "FAILED") return order;
  const payouts = order.payouts.map((payout) => ({ ...payout, invoiceId: null }));
  return { invoice: null, request: { ...order.request, invoiceId: null }, payouts };
}
