/** What payments and returns do to the ledger, and how an order closes (docs/domain.md, Ledger). */

import { priceOfPaid } from "../money/fee.ts";
import * as ledger from "../money/ledger.ts";
import { max, min, share } from "../money/money.ts";
import type { Answer } from "../news/answer.ts";
import { assert } from "../result.ts";
import { dealOf, type Invoice, priceOf } from "./invoice.ts";
import type { Payout } from "./payout.ts";
import { PAYOUT_MEANING } from "./payout.ts";
import { type Draft, patchInvoice, patchPayout, payoutOf } from "./story.ts";

/**
 * Records that a payout is paid up to `totalMinor` (minor units, cumulative). What the hold covers is taken from it;
 * what nothing covers (the hold was released, the part was paid already, more than asked) goes to suspense with an
 * incident. Never refuses: the money has left.
 */
export function postPaid(draft: Draft, id: string, totalMinor: bigint): void {
  const payout = payoutOf(draft, id);
  const delta = totalMinor - payout.processedMinor;
  if (delta <= 0n) return;
  const coveredMinor = coverable(draft, payout, totalMinor);
  const beyondMinor = delta - coveredMinor;
  // Only what was sent can be in flight: anything beyond left the deposit account unannounced.
  const coveredFlight = min(coveredMinor, payout.inFlightMinor);
  const beyondFlight = min(beyondMinor, payout.inFlightMinor - coveredFlight);
  const parties = ledger.partiesOf(payout, draft.invoice);
  patchPayout(draft, id, {
    processedMinor: totalMinor,
    inFlightMinor: payout.inFlightMinor - coveredFlight - beyondFlight,
    incidentMinor: payout.incidentMinor + beyondMinor,
  });
  if (coveredMinor > 0n) {
    const shareMinor = takeFromHold(draft, coveredMinor);
    draft.postings.push(
      ledger.paid(parties, {
        upToMinor: totalMinor,
        paidMinor: coveredMinor,
        shareMinor,
        inFlightMinor: coveredFlight,
      }),
    );
  }
  if (beyondMinor === 0n) return;
  const unannouncedMinor = beyondMinor - beyondFlight;
  draft.postings.push(
    ledger.paidBeyond(parties, { upToMinor: totalMinor, inFlightMinor: beyondFlight, unannouncedMinor }),
  );
  reportOverpaid(draft, payout, beyondMinor);
}

/** The provider has closed a payout: what of it is still in flight stands at the provider again. */
export function endFlight(draft: Draft, id: string): void {
  const payout = payoutOf(draft, id);
  if (payout.inFlightMinor === 0n) return;
  draft.postings.push(ledger.cameBack(ledger.partiesOf(payout, draft.invoice), payout.inFlightMinor));
  patchPayout(draft, id, { inFlightMinor: 0n });
}

/** How much of a payment the order still covers, minor units of the service's currency. */
function coverable(draft: Draft, payout: Payout, totalMinor: bigint): bigint {
  const withinMinor = min(totalMinor, payout.amountMinor) - min(payout.processedMinor, payout.amountMinor);
  const others = draft.payouts.filter((each) => each.id !== payout.id);
  const paidByOthers = others.reduce((sum, each) => sum + each.processedMinor - each.returnedMinor, 0n);
  const orderRoom = max(0n, draft.request.amountMinor - paidByOthers - (payout.processedMinor - payout.returnedMinor));
  // What came back does not fill the hold again: the same share of it is never used twice.
  const { invoice } = draft;
  const held = invoice === null ? orderRoom : max(0n, invoice.serviceAmountMinor - invoice.processedServiceMinor);
  const covered = min(min(withinMinor, orderRoom), held);
  // A hold that was released cannot be taken back: the merchant may have spent it.
  return isHoldOpen(invoice) ? covered : 0n;
}

/** Whether something is still held for an order. A bare request holds nothing and is covered by its owner. */
export function isHoldOpen(invoice: Invoice | null): boolean {
  return invoice === null || invoice.postedMinor + invoice.releasedMinor < invoice.heldMinor;
}

/** Uses up the hold for a payment; returns the account-currency share, so that all parts add up exactly. */
function takeFromHold(draft: Draft, serviceMinor: bigint): bigint {
  const { invoice } = draft;
  if (invoice === null) return serviceMinor;
  const shareMinor = shareOf(invoice, invoice.processedServiceMinor, serviceMinor);
  patchInvoice(draft, {
    postedMinor: invoice.postedMinor + shareMinor,
    processedMinor: invoice.processedMinor + shareMinor,
    processedServiceMinor: invoice.processedServiceMinor + serviceMinor,
  });
  return shareMinor;
}

/**
 * The account-currency share of what is added to `beforeMinor`, both minor units of the service's currency. Cumulative
 * and rounded down, as `share`; but what is paid, returned and paid again may add up to more than the order.
 */
function shareOf(
  { amountMinor, serviceAmountMinor }: { amountMinor: bigint; serviceAmountMinor: bigint },
  beforeMinor: bigint,
  addedMinor: bigint,
): bigint {
  const upTo = (serviceMinor: bigint): bigint => (amountMinor * serviceMinor) / serviceAmountMinor;
  return upTo(beforeMinor + addedMinor) - upTo(beforeMinor);
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

/**
 * Records what came back, at the frozen rate. What stood in suspense comes back first: the merchant never paid for
 * it. More than was paid is an incident.
 */
export function postReturned(draft: Draft, id: string, answer: Answer): void {
  const payout = payoutOf(draft, id);
  const total = answer.returnedMinor ?? payout.processedMinor;
  const delta = total - payout.returnedMinor;
  if (delta <= 0n) return;
  const within = min(delta, payout.processedMinor - payout.returnedMinor);
  const fromSuspense = min(within, payout.incidentMinor);
  // What an incident has cost us comes back to us, not to the merchant who never paid for it.
  const fromLoss = min(within - fromSuspense, payout.lossMinor);
  const merchantMinor = within - fromSuspense - fromLoss;
  const beyondMinor = delta - within;
  const { invoice } = draft;
  const shareMinor = invoice === null ? merchantMinor : shareOf(invoice, invoice.refundedServiceMinor, merchantMinor);
  draft.postings.push(
    ledger.returned(ledger.partiesOf(payout, invoice), {
      upToMinor: total,
      returnedMinor: merchantMinor,
      shareMinor,
      suspenseMinor: fromSuspense + beyondMinor,
      lossMinor: fromLoss,
    }),
  );
  patchPayout(draft, id, {
    returnedMinor: payout.returnedMinor + within,
    incidentMinor: payout.incidentMinor - fromSuspense,
    lossMinor: payout.lossMinor - fromLoss,
  });
  if (invoice !== null) {
    patchInvoice(draft, {
      refundedMinor: invoice.refundedMinor + shareMinor,
      refundedServiceMinor: invoice.refundedServiceMinor + merchantMinor,
    });
  }
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

/**
 * Closes the invoice's hold: the commission on what was paid is earned, the rest goes back to the merchant. Happens
 * once, when the request settles: `isPaidInFull` says whether as paid in full. Account currency.
 */
export function closeHold(draft: Draft, isPaidInFull: boolean): void {
  const { invoice } = draft;
  if (invoice === null || !isHoldOpen(invoice)) return;
  const open = invoice.heldMinor - invoice.postedMinor - invoice.releasedMinor;
  const feeMinor = min(earnedFee(draft, isPaidInFull), open);
  const restMinor = open - feeMinor;
  draft.postings.push(ledger.settled(draft.request.id, invoice.websiteId, invoice.currency, { feeMinor, restMinor }));
  patchInvoice(draft, {
    postedMinor: invoice.postedMinor + feeMinor,
    releasedMinor: invoice.releasedMinor + restMinor,
    processedFeeMinor: feeMinor,
  });
}

/** The commission on what was paid: the frozen terms, priced again for a part, the agreed fee for the whole. */
function earnedFee(draft: Draft, isPaidInFull: boolean): bigint {
  const { invoice } = draft;
  assert(invoice !== null, "a commission is earned on an invoice");
  // What came back before it settled was never delivered; what settles as paid in full was, whatever comes after.
  const returned = isPaidInFull ? 0n : invoice.refundedServiceMinor;
  const delivered = max(0n, invoice.processedServiceMinor - returned);
  return priceOfPaid(dealOf(invoice), priceOf(invoice), delivered).feeMinor;
}

/** Gives back the commission on what came back, where the website says so: cumulative, so that parts add up. */
export function returnCommission(draft: Draft): void {
  const { invoice } = draft;
  if (invoice === null || invoice.processedMinor === 0n || invoice.processedFeeMinor === 0n) return;
  const due = share(
    invoice.processedFeeMinor,
    min(invoice.refundedMinor, invoice.processedMinor),
    invoice.processedMinor,
  );
  const feeMinor = due - invoice.refundedFeeMinor;
  if (feeMinor <= 0n) return;
  const { websiteId, currency } = invoice;
  draft.postings.push(ledger.commissionReturned(draft.request.id, websiteId, currency, { upToMinor: due, feeMinor }));
  patchInvoice(draft, { refundedFeeMinor: due });
}

/**
 * A person settles what of a payout stands in suspense: the merchant bears it (then it counts as paid for the
 * invoice), or we do. Answers with the minor units settled. The merchant's available balance may refuse it.
 */
export function settleIncident(draft: Draft, id: string, how: { actId: string; by: "merchant" | "loss" }): bigint {
  const payout = payoutOf(draft, id);
  const amountMinor = payout.incidentMinor;
  const { invoice } = draft;
  const shareMinor = invoice === null ? amountMinor : shareOf(invoice, invoice.processedServiceMinor, amountMinor);
  const parties = ledger.partiesOf(payout, invoice);
  draft.postings.push(ledger.incidentSettled(parties, { ...how, amountMinor, shareMinor }));
  const isOurs = how.by === "loss" || invoice === null;
  patchPayout(draft, id, { incidentMinor: 0n, lossMinor: payout.lossMinor + (isOurs ? amountMinor : 0n) });
  if (invoice !== null && how.by === "merchant") {
    patchInvoice(draft, {
      processedMinor: invoice.processedMinor + shareMinor,
      processedServiceMinor: invoice.processedServiceMinor + amountMinor,
    });
  }
  return amountMinor;
}

/** Whether anything of a payout is still on its way back from a reversal. */
export function isReversing(payout: Payout): boolean {
  return payout.status === "CANCELLING";
}

/** Whether a payout counts as paid, in full or in part, with nothing of it undecided. */
export function isPaid(payout: Payout): boolean {
  return PAYOUT_MEANING[payout.status].class === "paid";
}
