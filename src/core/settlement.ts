/** What payments and returns do to the ledger, and how an order closes (docs/domain.md, Ledger). */
import type { Answer } from "./answer.ts";
import { priceOfPaid } from "./fee.ts";
import { dealOf, priceOf } from "./invoice.ts";
import * as ledger from "./ledger.ts";
import { max, min, share } from "./money.ts";
import type { Payout, PayoutStatus } from "./payout.ts";
import { PAYOUT_MEANING } from "./payout.ts";
import { assert } from "./result.ts";
import { type Draft, patchInvoice, patchPayout, payoutOf } from "./story.ts";

/** Statuses in which a provider has paid something. */
export const PAID_WALK_END: ReadonlySet<PayoutStatus> = new Set<PayoutStatus>(["PROCESSED", "PARTIALLY_PROCESSED"]);

/** Where the money of a payout stands as long as it is not paid: on its way, at the provider, or never sent. */
export function standsAt(payout: Payout): "in_flight" | "deposit" | "unsent" {
  if (payout.firstSendTime === null) return "unsent";
  const wasReversed = payout.evidence !== null || payout.processedMinor > 0n;
  return wasReversed ? "deposit" : "in_flight";
}

/**
 * Records that a payout is paid up to `totalMinor` (minor units, cumulative). What the hold covers is taken from it;
 * what nothing covers (the hold was released, the part was paid already, more than asked) goes to suspense with an
 * incident. Never refuses: the money has left.
 */
export function postPaid(draft: Draft, id: string, totalMinor: bigint): void {
  const payout = payoutOf(draft, id);
  const delta = totalMinor - payout.processedMinor;
  if (delta <= 0n) return;
  const from = standsAt(payout) === "in_flight" ? "in_flight" : "deposit";
  const coveredMinor = coverable(draft, payout, totalMinor);
  const parties = ledger.partiesOf(payout, draft.invoice);
  patchPayout(draft, id, { processedMinor: totalMinor });
  if (coveredMinor > 0n) {
    const shareMinor = takeFromHold(draft, coveredMinor);
    draft.postings.push(ledger.paid(parties, { upToMinor: totalMinor, paidMinor: coveredMinor, shareMinor, from }));
  }
  // Only what was sent can be in flight: anything beyond left the deposit account unannounced.
  const beyond = delta - coveredMinor;
  const stillInFlight = from === "in_flight" ? payout.amountMinor - coveredMinor : 0n;
  const inFlightMinor = min(beyond, stillInFlight);
  if (beyond > 0n) {
    const unannouncedMinor = beyond - inFlightMinor;
    draft.postings.push(ledger.paidBeyond(parties, { upToMinor: totalMinor, inFlightMinor, unannouncedMinor }));
    reportOverpaid(draft, payout, beyond);
  }
  if (stillInFlight > inFlightMinor) draft.postings.push(ledger.cameBack(parties, stillInFlight - inFlightMinor));
}

/** How much of a payment the order still covers, minor units of the service's currency. */
function coverable(draft: Draft, payout: Payout, totalMinor: bigint): bigint {
  const withinMinor = min(totalMinor, payout.amountMinor) - min(payout.processedMinor, payout.amountMinor);
  const others = draft.payouts.filter((each) => each.id !== payout.id);
  const paidByOthers = others.reduce((sum, each) => sum + each.processedMinor - each.returnedMinor, 0n);
  const orderRoom = max(0n, draft.request.amountMinor - paidByOthers - (payout.processedMinor - payout.returnedMinor));
  const covered = min(withinMinor, orderRoom);
  const { invoice } = draft;
  if (invoice === null) return covered;
  // A hold that was released cannot be taken back: the merchant may have spent it.
  return invoice.postedMinor + invoice.releasedMinor >= invoice.heldMinor ? 0n : covered;
}

/** Uses up the hold for a payment; returns the account-currency share, so that all parts add up exactly. */
function takeFromHold(draft: Draft, serviceMinor: bigint): bigint {
  const { invoice } = draft;
  if (invoice === null) return serviceMinor;
  const shareMinor = shareOfPaid(invoice, serviceMinor);
  patchInvoice(draft, {
    postedMinor: invoice.postedMinor + shareMinor,
    processedServiceMinor: invoice.processedServiceMinor + serviceMinor,
  });
  return shareMinor;
}

function shareOfPaid(
  invoice: { amountMinor: bigint; serviceAmountMinor: bigint; processedServiceMinor: bigint },
  addedMinor: bigint,
): bigint {
  const { amountMinor, serviceAmountMinor, processedServiceMinor } = invoice;
  const after = share(amountMinor, processedServiceMinor + addedMinor, serviceAmountMinor);
  return after - share(amountMinor, processedServiceMinor, serviceAmountMinor);
}

function reportOverpaid(draft: Draft, payout: Payout, beyondMinor: bigint): void {
  const others = draft.payouts.filter((each) => each.id !== payout.id && each.processedMinor > 0n);
  draft.items.push({
    kind: "payout",
    subject: payout.id,
    reason: "paid_too_much",
    isIncident: true,
    details: {
      beyondMinor: beyondMinor.toString(),
      currency: payout.currency,
      alsoPaid: others.map((each) => each.id).join(", "),
    },
  });
  draft.shutAccounts.set(payout.providerAccountId, "paid_too_much");
}

/** Records what came back, at the frozen rate; more than was paid is an incident. */
export function postReturned(draft: Draft, id: string, answer: Answer): void {
  const payout = payoutOf(draft, id);
  const total = answer.returnedMinor ?? payout.processedMinor;
  const delta = total - payout.returnedMinor;
  if (delta <= 0n) return;
  const within = min(delta, payout.processedMinor - payout.returnedMinor);
  const beyondMinor = delta - within;
  const { invoice } = draft;
  const shareMinor = invoice === null ? within : shareOfReturn(invoice, payout, within);
  draft.postings.push(
    ledger.returned(ledger.partiesOf(payout, invoice), {
      returnId: answer.returnId ?? total.toString(),
      returnedMinor: within,
      shareMinor,
      beyondMinor,
    }),
  );
  patchPayout(draft, id, { returnedMinor: payout.returnedMinor + within });
  if (invoice !== null) patchInvoice(draft, { refundedMinor: invoice.refundedMinor + shareMinor });
  if (beyondMinor > 0n) {
    draft.items.push({
      kind: "payout",
      subject: id,
      reason: "returned_too_much",
      isIncident: true,
      details: { beyondMinor: beyondMinor.toString(), currency: payout.currency },
    });
  }
}

function shareOfReturn(
  invoice: { amountMinor: bigint; serviceAmountMinor: bigint },
  payout: Payout,
  addedMinor: bigint,
): bigint {
  const { amountMinor, serviceAmountMinor } = invoice;
  const after = share(amountMinor, payout.returnedMinor + addedMinor, serviceAmountMinor);
  return after - share(amountMinor, payout.returnedMinor, serviceAmountMinor);
}

/**
 * Closes the invoice's hold: the commission on what was paid is earned, the rest goes back to the merchant. Happens
 * once, when the request settles. Account currency.
 */
export function closeHold(draft: Draft): void {
  const { invoice } = draft;
  if (invoice === null || invoice.heldMinor === 0n) return;
  const open = invoice.heldMinor - invoice.postedMinor - invoice.releasedMinor;
  if (open === 0n) return;
  const feeMinor = min(earnedFee(draft), open);
  const restMinor = open - feeMinor;
  draft.postings.push(ledger.settled(draft.request.id, invoice.websiteId, invoice.currency, { feeMinor, restMinor }));
  patchInvoice(draft, {
    postedMinor: invoice.postedMinor + feeMinor,
    releasedMinor: invoice.releasedMinor + restMinor,
    processedMinor: invoice.postedMinor,
    processedFeeMinor: feeMinor,
  });
}

/** The commission on what was paid: the frozen terms, priced again for a part, the agreed fee for the whole. */
function earnedFee(draft: Draft): bigint {
  const { invoice } = draft;
  assert(invoice !== null, "a commission is earned on an invoice");
  return priceOfPaid(dealOf(invoice), priceOf(invoice), invoice.processedServiceMinor).feeMinor;
}

/** Whether anything of a payout is still on its way back from a reversal. */
export function isReversing(payout: Payout): boolean {
  return payout.status === "CANCELLING";
}

/** Whether a payout counts as paid, in full or in part, with nothing of it undecided. */
export function isPaid(payout: Payout): boolean {
  return PAYOUT_MEANING[payout.status].class === "paid";
}
