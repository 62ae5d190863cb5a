/**
 * How an order goes on: which payouts are made next, when the request settles, and what its invoice says. Called after
 * everything that changes a story; does nothing when nothing follows (docs/domain.md, Settle rule).
 */
import { min } from "../money/money.ts";
import { askRevoke, isRevocable } from "../news/reversal.ts";
import { cut, isProvenUnpaid, isStop, MAX_PARTS, nextPart, partsOf, plannable } from "./parts.ts";
import { countedMinor, isPlannedOrOpen, PAYOUT_MEANING, type Payout } from "./payout.ts";
import {
  makePayout,
  type Planned,
  type Routed,
  refusedRoutes,
  start,
  takenInDraft,
  type World,
} from "./payout-plan.ts";
import { type EndAsked, REQUEST } from "./request.ts";
import { closeHold, isHoldOpen, isPaid, isReversing, returnCommission } from "./settlement.ts";
import {
  awaitsDecision,
  type Draft,
  foldPayouts,
  isLifetimeOver,
  moveInvoice,
  movePayout,
  moveRequest,
  patchInvoice,
  patchPayout,
  patchRequest,
  wakeGently,
  wakePayout,
  wakeRequest,
} from "./story.ts";

/** How long a request sleeps that waits for money at its providers. */
export const FUNDS_WAIT_MS = 30_000;

/** How often an order is looked at whose end was asked for and that cannot end yet. */
const LOOK_AGAIN_MS = 60_000;

/** Carries a story on from where it stands. */
export function advance(draft: Draft, world: World): void {
  relieve(draft, world);
  if (isEnded(draft)) reopenIfRevived(draft);
  else goOn(draft, world);
  if (world.returnsCommission) returnCommission(draft);
  scheduleEnd(draft);
}

/**
 * Whatever is not final has a wake-up at the end of its lifetime at the latest: the payouts that are planned or open,
 * each with its own, else the request.
 */
function scheduleEnd(draft: Draft): void {
  const { expiresTime, endAsked } = draft.request;
  const endTime = endAsked === null ? expiresTime : Math.max(expiresTime, draft.now + LOOK_AGAIN_MS);
  if (isEnded(draft) || draft.payouts.some(isPlannedOrOpen)) {
    wakeRequest(draft, null);
    for (const payout of draft.payouts) {
      const isWaiting = payout.status === "CREATED" || (payout.status === "READY" && payout.isManual);
      if (isWaiting) wakeGently(draft, payout.id, endTime);
    }
    return;
  }
  if (!draft.wakes.has(`request:${draft.request.id}`)) wakeRequest(draft, endTime);
}

function goOn(draft: Draft, world: World): void {
  // Whoever looks first after the lifetime finds it over: its own wake-up may be late, and nothing leaves after it.
  if (isLifetimeOver(draft)) askForEnd(draft, "expire");
  endPlanned(draft, world);
  foldPayouts(draft);
  completeDetails(draft, world);
  if (!draft.payouts.some(isPlannedOrOpen)) takeDetails(draft);
  if (world.mayDispatch) makeNext(draft, world);
  foldPayouts(draft);
  if (draft.payouts.some(isPlannedOrOpen)) follow(draft);
  else if (!draft.wakes.has(`request:${draft.request.id}`)) settle(draft);
}

/** Whether the payee's details are known, and were not refused, decides between waiting for them and being ready. */
function detailsStatus(draft: Draft): "WAITING_DETAILS" | "READY" {
  const { destinationHash, areDetailsRefused, invoiceId } = draft.request;
  return destinationHash === null || (areDetailsRefused && invoiceId === null) ? "WAITING_DETAILS" : "READY";
}

function takeDetails(draft: Draft): void {
  const { dispatchStatus, blocked } = draft.request;
  // Nothing is decided about a request that was blocked from the start.
  if (dispatchStatus === "CREATED" && blocked) return;
  const isBefore = dispatchStatus === "CREATED" || dispatchStatus === "WAITING_DETAILS" || dispatchStatus === "READY";
  if (isBefore) moveRequest(draft, detailsStatus(draft));
}

/** Payouts that were made before the payee's details were known take them as soon as they are. */
function completeDetails(draft: Draft, world: World): void {
  if (draft.request.destinationHash === null) return;
  for (const payout of draft.payouts) {
    if (payout.status !== "CREATED") continue;
    const { paymentInstrumentId } = draft.request;
    patchPayout(draft, payout.id, { destinationHash: world.destinationHashOf(payout), paymentInstrumentId });
    movePayout(draft, payout.id, "READY");
    if (!payout.isManual) start(draft, world, payout.id);
  }
}

/** A request whose workflow is over: only late news, reversals and new allocations move it. */
export function isEnded(draft: Pick<Draft, "request">): boolean {
  switch (draft.request.dispatchStatus) {
    case "CREATED":
    case "WAITING_DETAILS":
    case "READY":
    case "DISPATCHING":
    case "PENDING":
      return false;
    default:
      return true;
  }
}

/** At expiry, on terminate and on cancel, planned payouts end; what is open is followed to its end. */
function endPlanned(draft: Draft, world: World): void {
  const { endAsked } = draft.request;
  if (endAsked === null) return;
  for (const payout of draft.payouts) {
    if (PAYOUT_MEANING[payout.status].class === "planned") {
      // The provider knows it although we never sent it: it may be paid, so its hold is not released.
      if (payout.moderationRequired) continue;
      if (!world.isSurelyUnsent(payout)) {
        // Its providers are asked first, unless that has just been seen to.
        wakeGently(draft, payout.id, draft.now);
        continue;
      }
      movePayout(draft, payout.id, endAsked === "expire" ? "EXPIRED" : "TERMINATED");
      wakePayout(draft, payout.id, null);
    } else if (endAsked === "expire" && world.revokesAtExpiry && isRevocable(payout) && world.canRevoke(payout)) {
      askRevoke(draft, payout.id, "stop");
    }
  }
}

/**
 * An earlier payout of a part turned out alive or paid while a later one is under way: the later one is taken back as
 * far as that is possible. Whoever is paid first has the hold.
 */
function relieve(draft: Draft, world: World): void {
  foldPayouts(draft);
  for (const planned of draft.payouts.toReversed()) {
    // What has been revived takes the room of whatever is only planned, of every part.
    if (draft.request.overpaidMinor === 0n) return;
    if (PAYOUT_MEANING[planned.status].class !== "planned" || !world.isSurelyUnsent(planned)) continue;
    movePayout(draft, planned.id, "TERMINATED");
    wakePayout(draft, planned.id, null);
    foldPayouts(draft);
  }
  for (const { last } of partsOf(draft.payouts)) {
    if (PAYOUT_MEANING[last.status].class !== "open") continue;
    const others = draft.payouts.filter((each) => each.part === last.part && each.id !== last.id);
    if (
      !others.some((each) => countedMinor(each) > 0n && countedMinor(each) + last.amountMinor > roomOf(draft, last))
    ) {
      continue;
    }
    // Should the earlier one come to nothing after all, the part may still be paid by another route.
    if (isRevocable(last) && world.canRevoke(last)) askRevoke(draft, last.id, "reroute");
  }
}

/** How much of the order the payouts of one part may take together: what the other parts leave. */
function roomOf(draft: Draft, of: Payout): bigint {
  const elsewhere = draft.payouts.filter((each) => each.part !== of.part);
  return draft.request.amountMinor - elsewhere.reduce((sum, each) => sum + countedMinor(each), 0n);
}

/** Something is planned or open: the request is dispatching, or pending where it waits for longer or for somebody. */
function follow(draft: Draft): void {
  const waits = draft.payouts.some(
    (payout) =>
      payout.status === "PENDING" ||
      payout.status === "REVOKE_FAILED" ||
      payout.status === "CREATED" ||
      payout.moderationRequired ||
      (payout.status === "READY" && payout.isManual),
  );
  walkTo(draft, waits ? "PENDING" : "DISPATCHING");
}

/** Walks to DISPATCHING or PENDING from wherever an unsettled request stands. */
function walkTo(draft: Draft, to: "DISPATCHING" | "PENDING"): void {
  const { dispatchStatus } = draft.request;
  if (dispatchStatus === "CREATED" || dispatchStatus === "WAITING_DETAILS") moveRequest(draft, "READY");
  if (draft.request.dispatchStatus === "READY") moveRequest(draft, "DISPATCHING");
  moveRequest(draft, to);
}

/** Whether nothing of the request as a whole stands in the way of another payout. */
function mayMakeAny(draft: Draft): boolean {
  const { request } = draft;
  if (request.endAsked !== null || request.blocked || request.availableMinor === 0n) return false;
  if (isLifetimeOver(draft)) return false;
  if (detailsStatus(draft) === "WAITING_DETAILS") return false;
  // What has been given back to the merchant is not there any more, whatever has been revived since.
  return isHoldOpen(draft.invoice);
}

/** Makes every payout that may be made now. */
function makeNext(draft: Draft, world: World): void {
  if (!mayMakeAny(draft)) return;
  // The payee, or the payee's details, were refused: another payout would be as well.
  const { paymentInstrumentId } = draft.request;
  const isSamePayee = (payout: Payout): boolean => payout.paymentInstrumentId === paymentInstrumentId;
  if (draft.payouts.some((payout) => isSamePayee(payout) && isProvenUnpaid(payout) && isStop(payout))) return;
  for (let made = 0; made < MAX_PARTS; made += 1) {
    const { isSplit, isParallel } = draft.request;
    const isBusy = draft.payouts.some(isPlannedOrOpen);
    if (isBusy && !(isSplit && isParallel)) return;
    if (!makeOne(draft, world)) return;
    foldPayouts(draft);
  }
}

/** Makes the next payout: another attempt of a part that may have one, else a new part. False: none was made. */
function makeOne(draft: Draft, world: World): boolean {
  const { again, freshMinor, hasLost } = plannable(draft.request, draft.payouts);
  // What is lost already makes the whole impossible: without `allowPartially` a person says how it goes on.
  if (hasLost && !draft.request.allowPartially) return false;
  for (const { part, amountMinor } of again) {
    if (carve(draft, world, { part: part.part, attempt: part.attempts + 1, amountMinor })) return true;
    // A part for which no route is left is lost, too.
    if (!draft.request.allowPartially) return false;
  }
  const parts = partsOf(draft.payouts).length;
  const mayHaveMore = parts === 0 || (draft.request.isSplit && parts < MAX_PARTS);
  if (freshMinor === 0n || !mayHaveMore) return false;
  return carve(draft, world, { part: nextPart(draft.payouts), attempt: 1, amountMinor: freshMinor });
}

/**
 * A person lets an order go on whose machine has stopped: every part that is over without having been paid in full,
 * and that did not come back, gets another payout, if attempts and a route are left. Answers how many were made.
 */
export function continueOrder(draft: Draft, world: World): number {
  let made = 0;
  for (const part of partsOf(draft.payouts)) {
    const { last, attempts } = part;
    const missing = last.amountMinor - part.countedMinor;
    if (part.isBusy || part.isReturned || missing <= 0n) continue;
    if (attempts >= draft.request.attemptsLimit || !mayMakeAny(draft)) continue;
    const amountMinor = min(missing, draft.request.availableMinor);
    if (amountMinor > 0n && carve(draft, world, { part: part.part, attempt: attempts + 1, amountMinor })) made += 1;
    foldPayouts(draft);
  }
  return made;
}

/** Routes an amount whole, or, where the order may be split, as much of it as one route can carry. */
function carve(draft: Draft, world: World, wanted: Omit<Planned, "isManual">): boolean {
  const excluded = refusedRoutes(draft);
  const taken = takenInDraft(draft);
  let routed = world.route({ amountMinor: wanted.amountMinor, excluded, taken });
  let { amountMinor } = wanted;
  if (routed.decision.chosen === null && draft.request.isSplit && partsOf(draft.payouts).length < MAX_PARTS) {
    const chunk = cut(wanted.amountMinor, world.capacities({ excluded, taken }));
    if (chunk !== null && chunk < wanted.amountMinor) {
      amountMinor = chunk;
      routed = world.route({ amountMinor, excluded, taken });
    }
  }
  if (routed.decision.chosen === null || routed.connector === null) {
    waitForRoute(draft, routed);
    return false;
  }
  makePayout(draft, world, routed, { ...wanted, amountMinor, isManual: false });
  return true;
}

/** No route was found. Where money at the providers is all that is missing, waiting helps; else the reason is kept. */
function waitForRoute(draft: Draft, { decision }: Routed): void {
  if (draft.payouts.some(isPlannedOrOpen)) return;
  if (decision.awaitsFunds) {
    walkTo(draft, "PENDING");
    wakeRequest(draft, Math.min(draft.request.expiresTime, draft.now + FUNDS_WAIT_MS));
    return;
  }
  // Why the last attempt failed says more than that no further route is left.
  if (draft.payouts.length === 0) patchRequest(draft, { resolution: decision.resolution });
}

/** Nothing is planned or open, and no next payout may be made: the request closes as what was paid says. */
function settle(draft: Draft): void {
  foldPayouts(draft);
  const { request } = draft;
  if (draft.payouts.some(isReversing) || isIdle(draft)) return;
  // A return that came before the news of its payment: settled by what was paid, then reversed.
  const returnedNow = returnedMinor(draft.payouts) - returnedMinor(draft.before.payouts);
  const isPaidInFull = request.paidMinor + returnedNow >= request.amountMinor;
  if (isPaidInFull) close(draft, "PROCESSED");
  else if (request.blocked && request.endAsked === null && !isBare(draft)) walkTo(draft, "PENDING");
  else if (request.paidMinor > 0n) settlePart(draft);
  else settleUnpaid(draft);
  if (returnedNow > 0n && isPaidInFull) {
    startReversal(draft);
    endReversal(draft);
  }
}

/** Nothing has begun yet, and it cannot: details are missing, or it is blocked. */
function isIdle({ request }: Draft): boolean {
  if (request.endAsked !== null || request.paidMinor > 0n) return false;
  const hasBegun = request.dispatchStatus === "DISPATCHING" || request.dispatchStatus === "PENDING";
  return !hasBegun && (request.blocked || request.destinationHash === null);
}

function settlePart(draft: Draft): void {
  const { request } = draft;
  if (request.endAsked !== null || (request.allowPartially && !isBare(draft))) {
    close(draft, "PARTIALLY_PROCESSED");
    return;
  }
  if (isBare(draft)) {
    waitForAllocation(draft);
    return;
  }
  walkTo(draft, "PENDING");
  if (awaitsDecision(draft)) {
    draft.items.push({
      kind: "request",
      subject: request.id,
      reason: "partly_paid",
      isIncident: false,
      details: { paidMinor: request.paidMinor.toString(), currency: request.currency },
    });
  }
  foldPayouts(draft);
}

function settleUnpaid(draft: Draft): void {
  const { endAsked } = draft.request;
  if (endAsked !== null) close(draft, endAsked === "expire" ? "EXPIRED" : "TERMINATED");
  else if (isBare(draft)) waitForAllocation(draft);
  // A person has ended the payout itself: nothing else was going to be paid.
  else if (draft.payouts.at(-1)?.status === "TERMINATED") close(draft, "TERMINATED");
  else close(draft, "FAILED");
}

function isBare(draft: Draft): boolean {
  return draft.request.invoiceId === null;
}

/** A bare request never fails: it waits for its next allocation, or for other details. */
function waitForAllocation(draft: Draft): void {
  const { dispatchStatus } = draft.request;
  if (dispatchStatus === "DISPATCHING" || dispatchStatus === "PENDING") moveRequest(draft, detailsStatus(draft));
}

function close(draft: Draft, to: "PROCESSED" | "PARTIALLY_PROCESSED" | "FAILED" | "EXPIRED" | "TERMINATED"): void {
  const isDirect = REQUEST.find(draft.request.dispatchStatus, to) !== undefined;
  if (!isDirect) walkTo(draft, draft.request.dispatchStatus === "PENDING" ? "PENDING" : "DISPATCHING");
  const last = draft.payouts.at(-1);
  if (last !== undefined) patchRequest(draft, { resolution: last.resolution });
  closeHold(draft, to === "PROCESSED");
  moveRequest(draft, to);
  foldPayouts(draft);
  draft.closedItems.push({ subject: draft.request.id, reason: "partly_paid" });
  if (draft.invoice !== null) patchInvoice(draft, { resolution: draft.request.resolution });
}

/** After the end: a payout that was paid after all, or one that is being reversed. */
function reopenIfRevived(draft: Draft): void {
  foldPayouts(draft);
  const reversing = draft.payouts.some(isReversing);
  if (reversing || returnedMinor(draft.payouts) > returnedMinor(draft.before.payouts)) {
    startReversal(draft);
    if (reversing) {
      tellRefund(draft);
      return;
    }
  }
  endReversal(draft);
  const { request } = draft;
  const to = revivedStatus(draft);
  if (to === null || to === request.dispatchStatus || REQUEST.find(request.dispatchStatus, to) === undefined) return;
  closeHold(draft, to === "PROCESSED");
  moveRequest(draft, to);
}

/** Where late news leads an ended request: only a payout that lives again, or more that is paid, leads anywhere. */
function revivedStatus(draft: Draft): "PENDING" | "PROCESSED" | "PARTIALLY_PROCESSED" | null {
  const { request } = draft;
  if (draft.payouts.some(isPlannedOrOpen)) return "PENDING";
  const paidBefore = draft.before.request?.paidMinor ?? 0n;
  if (request.paidMinor <= paidBefore || !draft.payouts.some(isPaid)) return null;
  return request.paidMinor >= request.amountMinor ? "PROCESSED" : "PARTIALLY_PROCESSED";
}

function returnedMinor(payouts: readonly Payout[]): bigint {
  return payouts.reduce((sum, payout) => sum + payout.returnedMinor, 0n);
}

/** Nothing where the workflow has no way there: an order that was never paid, or waits for what was revived. */
function startReversal(draft: Draft): void {
  if (REQUEST.find(draft.request.dispatchStatus, "CANCELING") !== undefined) moveRequest(draft, "CANCELING");
}

/**
 * What the invoice says while something is on its way back: `refunding` as long as we are still asking for it,
 * `refund_pending` once the answer is unknown or awaited.
 */
function tellRefund(draft: Draft): void {
  if (draft.invoice === null || draft.request.dispatchStatus !== "CANCELING") return;
  const reversing = draft.payouts.filter(isReversing);
  const isAwaited = reversing.some(
    ({ moderationRequired, reversal }) => moderationRequired || (reversal !== "due" && reversal !== "open"),
  );
  moveInvoice(draft, isAwaited ? "refund_pending" : "refunding");
}

/** No payout is being reversed any more: the request says how much came back. */
function endReversal(draft: Draft): void {
  if (draft.request.dispatchStatus !== "CANCELING") return;
  const returned = returnedMinor(draft.payouts);
  if (returned === 0n) moveRequest(draft, "CANCEL_FAILED");
  else moveRequest(draft, draft.request.paidMinor === 0n ? "CANCELED" : "PARTIALLY_CANCELED");
}

/** Somebody, or the lifetime, asks for the end. Nothing new is made; what is open is followed. */
export function askForEnd(draft: Draft, how: EndAsked): void {
  if (draft.request.endAsked === null) patchRequest(draft, { endAsked: how });
}
