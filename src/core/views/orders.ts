/** What the outside sees of our rows: the API and webhooks show these, and nothing else. A payee's details never. */

import { type AccountKind, balanceAfter, type Entry, type LedgerAccount, openAccount } from "../money/ledger.ts";
import { formatMajor } from "../money/money.ts";
import { formatDecimal, ratio } from "../money/rate.ts";
import type { Invoice } from "../order/invoice.ts";
import { allocationStatus, countedMinor, PAYOUT_MEANING, type Payout } from "../order/payout.ts";
import { type Canceler, type PayoutRequest, publicStatus } from "../order/request.ts";
import { assert } from "../result.ts";
import type { FundsMovement } from "../setup/merchant.ts";

const JSON_NUMBER = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/;

/** The part of the runtime's JSON that our library of types does not have yet. */
const exactJson = JSON as unknown as { rawJSON(text: string): unknown };

/** A number as its decimal text. `JSON.stringify` writes that text and nothing else: 100.10 keeps its zero. */
export class Exact {
  readonly text: string;

  constructor(text: string) {
    assert(JSON_NUMBER.test(text), "an exact number is one that JSON can write");
    this.text = text;
  }

  toJSON(): unknown {
    return exactJson.rawJSON(this.text);
  }
}

/** An amount in major units, with all decimals of its currency. */
export function money(minor: bigint, currency: string): Exact {
  return new Exact(formatMajor(minor, currency));
}

/** RFC 3339 in UTC, with milliseconds. */
export function timeText(timeMs: number): string {
  return new Date(timeMs).toISOString();
}

const timeOrNull = (timeMs: number | null): string | null => (timeMs === null ? null : timeText(timeMs));

/** A JSON object on its way out. */
export type Shown = Readonly<Record<string, unknown>>;

const link = (rel: string, href: string): Shown => ({ rel, href });

/** An invoice with everything below it. */
export interface InvoiceParts {
  readonly invoice: Invoice;
  readonly payouts: readonly Payout[];
  readonly entries: readonly Entry[];
}

/** More decimals than any published rate has; the ratio itself may need infinitely many. */
const RATE_DIGITS = 18;

/** `base` is our public address without a trailing slash. */
export function invoiceView({ invoice, payouts, entries }: InvoiceParts, base: string): Shown {
  const { currency, serviceCurrency, requestedMember } = invoice;
  const rate = ratio(invoice.rateNumerator, invoice.rateDenominator);
  const requestedIn = requestedMember === "amount" ? currency : serviceCurrency;
  return {
    id: invoice.id,
    referenceId: invoice.referenceId,
    websiteId: invoice.websiteId,
    customerId: invoice.customerId,
    status: invoice.status,
    resolution: invoice.resolution,
    moderationRequired: invoice.moderationRequired,
    currency,
    amount: money(invoice.amountMinor, currency),
    fee: money(invoice.feeMinor, currency),
    writeoff: money(invoice.writeoffMinor, currency),
    service: invoice.service,
    serviceCurrency,
    serviceAmount: money(invoice.serviceAmountMinor, serviceCurrency),
    serviceFee: money(invoice.serviceFeeMinor, serviceCurrency),
    serviceWriteoff: money(invoice.serviceWriteoffMinor, serviceCurrency),
    requested: { [requestedMember]: money(invoice.requestedMinor, requestedIn) },
    exchangeRate: {
      rate: new Exact(formatDecimal(rate, RATE_DIGITS)),
      source: invoice.rateSource,
      quoteTime: timeText(invoice.quoteTime),
      expiresTime: timeText(invoice.quoteExpiresTime),
    },
    processedAmount: money(invoice.processedMinor, currency),
    processedFee: money(invoice.processedFeeMinor, currency),
    processedWriteoff: money(invoice.processedMinor + invoice.processedFeeMinor, currency),
    processedServiceAmount: money(invoice.processedServiceMinor, serviceCurrency),
    refundedAmount: money(invoice.refundedMinor, currency),
    refundedFee: money(invoice.refundedFeeMinor, currency),
    refundPendingAmount: money(refundPendingMinor(invoice, payouts), currency),
    autoprocess: invoice.autoprocess,
    attemptsLimit: invoice.attemptsLimit,
    allowPartially: invoice.allowPartially,
    splitMode: invoice.isSplit,
    parallelMode: invoice.isParallel,
    description: invoice.description,
    descriptor: invoice.descriptor,
    metadata: invoice.metadata,
    callbackUrl: invoice.callbackUrl,
    paymentInstrumentId: invoice.paymentInstrumentId,
    payoutRequestId: invoice.requestId,
    payouts: inOrder(payouts).map((payout) => payoutView(payout, base)),
    ledgerTransactions: ledgerTransactionsView(entries),
    version: invoice.version,
    expiresTime: timeText(invoice.expiresTime),
    createdTime: timeText(invoice.createdTime),
    updatedTime: timeText(invoice.updatedTime),
    _links: [
      link("self", `${base}/payout-invoices/${invoice.id}`),
      ...(invoice.requestId === null ? [] : [link("payoutRequest", `${base}/payout-requests/${invoice.requestId}`)]),
    ],
  };
}

/** What is being brought back and is not back yet, at the frozen rate. */
function refundPendingMinor(invoice: Invoice, payouts: readonly Payout[]): bigint {
  let asked = 0n;
  for (const { status, cancelMinor, processedMinor, returnedMinor } of payouts) {
    if (status === "CANCELLING") asked += cancelMinor ?? processedMinor - returnedMinor;
  }
  return (invoice.amountMinor * asked) / invoice.serviceAmountMinor;
}

function inOrder(payouts: readonly Payout[]): Payout[] {
  return payouts.toSorted((a, b) => a.part - b.part || a.attempt - b.attempt);
}

/** Entries by the event that posted them, in the order in which they were posted. */
export function ledgerTransactionsView(entries: readonly Entry[]): readonly Shown[] {
  const sorted = entries.toSorted((a, b) => a.sequence - b.sequence);
  const events = Map.groupBy(sorted, (entry) => `${entry.subject} ${entry.cause}`);
  return [...events.values()].flatMap((lines) => {
    const [first] = lines;
    if (first === undefined) return [];
    return [
      {
        subject: first.subject,
        cause: first.cause,
        time: timeText(first.time),
        entries: lines.map((line) => ({
          accountId: line.accountId,
          currency: line.currency,
          amount: money(line.amountMinor, line.currency),
        })),
      },
    ];
  });
}

export function payoutView(payout: Payout, base: string): Shown {
  const { currency } = payout;
  return {
    id: payout.id,
    payoutInvoiceId: payout.invoiceId,
    payoutRequestId: payout.requestId,
    websiteId: payout.websiteId,
    part: payout.part,
    attempt: payout.attempt,
    status: payout.status,
    resolution: payout.resolution,
    resolutionOf: payout.resolutionOf,
    moderationRequired: payout.moderationRequired,
    evidence: payout.evidence,
    currency,
    amount: money(payout.amountMinor, currency),
    processedAmount: money(payout.processedMinor, currency),
    returnedAmount: money(payout.returnedMinor, currency),
    incidentAmount: money(payout.incidentMinor, currency),
    isManual: payout.isManual,
    afterRevoke: payout.afterRevoke,
    service: payout.service,
    connector: payout.connector,
    routeId: payout.routeId,
    routingRevision: payout.routingRevision,
    providerAccountId: payout.providerAccountId,
    depositAccountId: payout.depositAccountId,
    paymentInstrumentId: payout.paymentInstrumentId,
    reference: payout.reference,
    providerReference: payout.providerReference,
    providerStatus: payout.providerStatus,
    providerCode: payout.providerCode,
    sends: payout.sends,
    inquiries: payout.inquiries,
    firstSendTime: timeOrNull(payout.firstSendTime),
    version: payout.version,
    createdTime: timeText(payout.createdTime),
    updatedTime: timeText(payout.updatedTime),
    _links: [
      link("self", `${base}/payouts/${payout.id}`),
      link("payoutRequest", `${base}/payout-requests/${payout.requestId}`),
      ...(payout.invoiceId === null ? [] : [link("payoutInvoice", `${base}/payout-invoices/${payout.invoiceId}`)]),
    ],
  };
}

/** A payment method and a gateway in the words of the public catalogues; no gateway name is left out of answers. */
export interface AllocationWords {
  readonly method: string;
  readonly gatewayName: string | null;
}

export interface RequestParts {
  readonly request: PayoutRequest;
  readonly payouts: readonly Payout[];
  /** Where a customer returns to when the request does not say. */
  readonly websiteUrl: string;
}

export interface RequestAround {
  readonly base: string;
  /** The hosted page on which the customer chooses an instrument. */
  readonly selectUrl: string;
  wordsOf(payout: Payout): AllocationWords;
}

/** The payout request of the public contract, member by member. */
export function requestView({ request, payouts, websiteUrl }: RequestParts, around: RequestAround): Shown {
  const { base } = around;
  const instrumentId = request.paymentInstrumentId;
  return {
    id: request.id,
    websiteId: request.websiteId,
    customerId: request.customerId,
    currency: request.currency,
    amount: money(request.amountMinor, request.currency),
    availableAmount: money(request.availableMinor, request.currency),
    paymentInstrumentId: instrumentId,
    description: request.description,
    status: publicStatus(request),
    blocked: request.blocked,
    blockReason: request.blockReason,
    batchId: request.batchId,
    allocations: inOrder(payouts).map((payout) => allocationView(payout, around.wordsOf(payout))),
    selectPaymentInstrumentUrl: around.selectUrl,
    selectedPaymentInstrumentRedirectUrl: request.redirectUrl ?? websiteUrl,
    ...cancellationOf(request),
    createdTime: timeText(request.createdTime),
    updatedTime: timeText(request.updatedTime),
    _links: [
      link("self", `${base}/payout-requests/${request.id}`),
      ...(instrumentId === null ? [] : [link("paymentInstrument", `${base}/payment-instruments/${instrumentId}`)]),
    ],
  };
}

/** A payout as the request's contract shows it: its amount is what it counts with. */
function allocationView(payout: Payout, words: AllocationWords): Shown {
  const { transactionResult } = PAYOUT_MEANING[payout.status];
  return {
    transactionId: payout.id,
    ...(transactionResult === null ? {} : { transactionResult }),
    method: words.method,
    ...(words.gatewayName === null ? {} : { gatewayName: words.gatewayName }),
    ...(payout.paymentInstrumentId === null ? {} : { paymentInstrumentId: payout.paymentInstrumentId }),
    amount: money(countedMinor(payout), payout.currency),
    currency: payout.currency,
    createdTime: timeText(payout.createdTime),
    updatedTime: timeText(payout.updatedTime),
  };
}

/** A payout of a bare request as the resource of its own that the contract has for it. */
export function allocationResource(payout: Payout, words: AllocationWords, base: string): Shown {
  const { id, requestId, paymentInstrumentId } = payout;
  return {
    id,
    payoutRequestId: requestId,
    status: allocationStatus(payout),
    paymentMethod: words.method,
    ...(words.gatewayName === null ? {} : { gatewayName: words.gatewayName }),
    gatewayAccountId: payout.depositAccountId,
    paymentInstrumentId,
    amount: money(payout.amountMinor, payout.currency),
    currency: payout.currency,
    transactionId: id,
    transactionResult: PAYOUT_MEANING[payout.status].transactionResult,
    resolution: payout.resolution,
    createdTime: timeText(payout.createdTime),
    updatedTime: timeText(payout.updatedTime),
    _links: [
      link("self", `${base}/payout-request-allocations/${id}`),
      link("transaction", `${base}/payouts/${id}`),
      link("gatewayAccount", `${base}/deposit-accounts/${payout.depositAccountId}`),
      link("payoutRequest", `${base}/payout-requests/${requestId}`),
      ...(paymentInstrumentId === null
        ? []
        : [link("paymentInstrument", `${base}/payment-instruments/${paymentInstrumentId}`)]),
    ],
  };
}

function cancellationOf(request: PayoutRequest): { cancellationReason?: Shown } {
  if (publicStatus(request) !== "canceled") return {};
  const isExpired = request.dispatchStatus === "EXPIRED";
  const fallback = isExpired ? "The lifetime passed." : null;
  // A termination is the merchant's act; for the rest the contract names a default.
  const canceledBy: Canceler =
    request.canceledBy ?? (request.dispatchStatus === "TERMINATED" ? "merchant" : "customer");
  return { cancellationReason: { description: request.cancelDescription ?? fallback, canceledBy } };
}

/** `owner` is a website or a deposit account; null for the organization's own accounts. */
export function ledgerAccountView(account: LedgerAccount): Shown {
  const { currency, floorMinor } = account;
  return {
    id: account.id,
    kind: account.kind,
    owner: account.owner === "" ? null : account.owner,
    currency,
    balance: money(account.balanceMinor, currency),
    floor: floorMinor === null ? null : money(floorMinor, currency),
    version: account.version,
  };
}

/** What all accounts of one kind and currency hold together, each on its normal side. */
export interface KindTotal {
  readonly kind: AccountKind;
  readonly currency: string;
  readonly balanceMinor: bigint;
}

/** Debits against credits, per currency. Where the two differ, something is broken. */
export function trialBalanceView(totals: readonly KindTotal[]): Shown {
  const currencies = [...Map.groupBy(totals, (total) => total.currency)].toSorted(([a], [b]) => (a < b ? -1 : 1));
  const sums = currencies.map(([currency, group]) => {
    let debit = 0n;
    let credit = 0n;
    for (const { kind, balanceMinor } of group) {
      if (isDebit(kind, currency)) debit += balanceMinor;
      else credit += balanceMinor;
    }
    return { currency, debit, credit };
  });
  return {
    balanced: sums.every(({ debit, credit }) => debit === credit),
    currencies: sums.map(({ currency, debit, credit }) => ({
      currency,
      debit: money(debit, currency),
      credit: money(credit, currency),
      difference: money(debit - credit, currency),
    })),
  };
}

/** Whether a debit makes the balance of such an account grow. */
function isDebit(kind: AccountKind, currency: string): boolean {
  return balanceAfter(openAccount("", { kind, owner: "", currency }), 1n) > 0n;
}

export function fundsMovementView(movement: FundsMovement, base: string): Shown {
  const { kind, currency } = movement;
  return {
    id: movement.id,
    kind,
    status: movement.status,
    websiteId: movement.websiteId,
    ...(kind === "transfer" ? { toWebsiteId: movement.toWebsiteId } : { depositAccountId: movement.depositAccountId }),
    currency,
    amount: money(movement.amountMinor, currency),
    description: movement.description,
    version: movement.version,
    createdTime: timeText(movement.createdTime),
    updatedTime: timeText(movement.updatedTime),
    _links: [link("self", `${base}/${kind}s/${movement.id}`)],
  };
}
