/**
 * How an order goes on: which payout is made next, when the request settles, and what its invoice says. Called after
 * everything that changes a story; does nothing when nothing follows (docs/domain.md, Settle rule).
 */
import { providerReference, type ReferenceShape } from "./ids.ts";
import * as ledger from "./ledger.ts";
import type { SendTruth } from "./news.ts";
import { isPlannedOrOpen, type Payout } from "./payout.ts";
import type { EndAsked } from "./request.ts";
import { resolutionRow } from "./resolution.ts";
import type { RoutingDecision } from "./routing.ts";
import { closeHold, isPaid, isReversing } from "./settlement.ts";
import {
  addPayout,
  awaitsDecision,
  type Draft,
  foldPayouts,
  movePayout,
  moveRequest,
  patchInvoice,
  patchPayout,
  patchRequest,
  payoutOf,
  wakePayout,
  wakeRequest,
} from "./story.ts";

/** What the engine answers while a story is decided. Every member is a plain look-up or a number from outside. */
export interface World {
  newId(): string;
  /** Whether the request may start payouts by itself: an invoice's always, a bare one where its website says so. */
  readonly mayDispatch: boolean;
  /** Routes a payout of the request; `excluded`: routes that refused this request before. */
  route(excluded: ReadonlySet<string>): Routed;
  /** Whether a payout may be sent at once, by this process, in this transaction. Taking the slot is part of asking. */
  takeSendSlot(payout: Payout): boolean;
}

export interface Routed {
  readonly decision: RoutingDecision;
  readonly revision: number;
  /** Of the chosen route's connector; null when nothing was chosen. */
  readonly connector: {
    readonly name: string;
    readonly reference: ReferenceShape;
    readonly truth: SendTruth;
    /** What the provider's echoes of the payee are compared with. */
    readonly destinationHash: string;
  } | null;
}

/** How long a request sleeps that waits for money at its providers. */
const FUNDS_WAIT_MS = 30_000;

/** Carries a story on from where it stands. */
export function advance(draft: Draft, world: World): void {
  if (isEnded(draft)) reopenIfRevived(draft);
  else goOn(draft, world);
  scheduleEnd(draft);
}

/**
 * Whatever is not final has a wake-up at the end of its lifetime at the latest: the payouts that are planned or open,
 * each with its own, else the request.
 */
function scheduleEnd(draft: Draft): void {
  const { expiresTime } = draft.request;
  if (isEnded(draft) || draft.payouts.some(isPlannedOrOpen)) {
    wakeRequest(draft, null);
    for (const payout of draft.payouts) {
      const isWaitingForPerson = payout.status === "READY" && payout.isManual;
      if (isWaitingForPerson && !draft.wakes.has(`payout:${payout.id}`)) wakePayout(draft, payout.id, expiresTime);
    }
    return;
  }
  if (!draft.wakes.has(`request:${draft.request.id}`)) wakeRequest(draft, expiresTime);
}

function goOn(draft: Draft, world: World): void {
  endPlanned(draft);
  foldPayouts(draft);
  if (draft.payouts.some(isPlannedOrOpen)) {
    follow(draft);
    return;
  }
  takeDetails(draft);
  if (world.mayDispatch && mayMakeNext(draft)) makeNext(draft, world);
  else settle(draft);
}

/** Whether the payee's details are known decides between waiting for them and being ready. */
function takeDetails(draft: Draft): void {
  const { dispatchStatus, destinationHash } = draft.request;
  const isBefore = dispatchStatus === "CREATED" || dispatchStatus === "WAITING_DETAILS" || dispatchStatus === "READY";
  if (isBefore) moveRequest(draft, destinationHash === null ? "WAITING_DETAILS" : "READY");
}

/** A request whose workflow is over: only late news and reversals move it. */
function isEnded(draft: Draft): boolean {
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
function endPlanned(draft: Draft): void {
  const { endAsked } = draft.request;
  if (endAsked === null) return;
  for (const payout of draft.payouts) {
    if (payout.status !== "READY" && payout.status !== "CREATED") continue;
    movePayout(draft, payout.id, endAsked === "expire" ? "EXPIRED" : "TERMINATED");
    wakePayout(draft, payout.id, null);
  }
}

/** Something is planned or open: the request is dispatching, or pending where it waits for longer or for somebody. */
function follow(draft: Draft): void {
  const waits = draft.payouts.some(
    (payout) =>
      payout.status === "PENDING" ||
      payout.status === "REVOKE_FAILED" ||
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

/** Whether nothing stands in the way of another payout of the request. */
function mayMakeNext(draft: Draft): boolean {
  const { request } = draft;
  if (request.endAsked !== null || request.blocked || request.availableMinor === 0n) return false;
  if (request.destinationHash === null) return false;
  // What came back is not sent again by a machine; what is partly paid waits for a person.
  if (draft.payouts.some((payout) => payout.processedMinor > 0n || payout.status === "REVOKED")) return false;
  if (draft.payouts.length >= request.attemptsLimit) return false;
  const last = draft.payouts.at(-1);
  if (last === undefined) return true;
  return isProvenUnpaid(last) && (last.resolution === null || resolutionRow(last.resolution).then !== "stop");
}

/** Another attempt needs stored evidence that the one before cannot pay. */
function isProvenUnpaid(payout: Payout): boolean {
  return payout.status === "CREATE_FAILED" || payout.evidence !== null;
}

/** Routes that definitively refused; one that only had no time, or never got the order, may be asked again. */
function refusedRoutes(draft: Draft): ReadonlySet<string> {
  const refused = draft.payouts.filter((payout) => payout.evidence !== "D0" && payout.evidence !== "D3");
  return new Set(refused.map((payout) => payout.routeId));
}

function makeNext(draft: Draft, world: World): void {
  const routed = world.route(refusedRoutes(draft));
  const { decision, connector } = routed;
  if (decision.chosen === null || connector === null) {
    if (decision.awaitsFunds) {
      walkTo(draft, "PENDING");
      wakeRequest(draft, Math.min(draft.request.expiresTime, draft.now + FUNDS_WAIT_MS));
      return;
    }
    // Why the last attempt failed says more than that no further route is left.
    if (draft.payouts.length === 0) patchRequest(draft, { resolution: decision.resolution });
    settle(draft);
    return;
  }
  const payout = newPayout(draft, world, routed);
  addPayout(draft, payout);
  movePayout(draft, payout.id, "READY");
  if (!payout.isManual && world.takeSendSlot(payout)) invoke(draft, payout.id, connector.truth);
  else if (!payout.isManual) wakePayout(draft, payout.id, draft.now);
  foldPayouts(draft);
  follow(draft);
}

function newPayout(draft: Draft, world: World, routed: Routed): Payout {
  const { request } = draft;
  const { chosen } = routed.decision;
  const { connector } = routed;
  if (chosen === null || connector === null) throw new TypeError("a payout needs a route");
  const part = 1;
  const attempt = draft.payouts.length + 1;
  const { organizationId, root } = request;
  return {
    organizationId,
    id: world.newId(),
    requestId: request.id,
    invoiceId: request.invoiceId,
    websiteId: request.websiteId,
    part,
    attempt,
    status: "CREATED",
    version: 0,
    resolution: null,
    resolutionOf: null,
    moderationRequired: false,
    flaggedTime: null,
    isManual: chosen.route.isManual,
    routeId: chosen.route.id,
    routingRevision: routed.revision,
    providerAccountId: chosen.providerAccountId,
    depositAccountId: chosen.route.depositAccountId,
    connector: connector.name,
    service: chosen.route.service,
    currency: request.currency,
    amountMinor: request.availableMinor,
    paymentInstrumentId: request.paymentInstrumentId,
    destinationHash: connector.destinationHash,
    reference: providerReference({ organizationId, root, part, attempt }, connector.reference),
    requestHash: null,
    send: "none",
    sends: 0,
    notNows: 0,
    inquiries: 0,
    lastLeaveTime: null,
    firstSendTime: null,
    processedMinor: 0n,
    returnedMinor: 0n,
    evidence: null,
    providerReference: null,
    providerStatus: null,
    providerCode: null,
    factSequence: null,
    createdTime: draft.now,
    updatedTime: draft.now,
  };
}

/**
 * The intent: from here on a request with this reference may leave. Taken for the first send and again after a
 * *not now*; *sent* is posted once. The lease is the payout's wake-up: who dies holding it is found by it.
 */
export function invoke(draft: Draft, id: string, truth: SendTruth): void {
  const payout = payoutOf(draft, id);
  const isFirst = payout.firstSendTime === null;
  if (payout.status === "READY") movePayout(draft, id, "INVOKING");
  patchPayout(draft, id, {
    send: "open",
    sends: payout.sends + 1,
    firstSendTime: payout.firstSendTime ?? draft.now,
    // The holder drops the request at its lease's end less the margin; not a byte leaves after that.
    lastLeaveTime: draft.now + truth.leaseMs - truth.leaseMarginMs,
  });
  if (isFirst) draft.postings.push(ledger.sent(ledger.partiesOf(payout, draft.invoice), payout.amountMinor));
  draft.wakes.set(`payout:${id}`, { dueTime: draft.now + truth.leaseMs, lease: true });
}

/** Nothing is planned or open, and no next payout may be made: the request closes as what was paid says. */
function settle(draft: Draft): void {
  foldPayouts(draft);
  const { request } = draft;
  if (draft.payouts.some(isReversing)) return;
  const isWaiting = request.blocked || request.destinationHash === null;
  if (isWaiting && request.endAsked === null && request.paidMinor === 0n) return;
  // A return that came before the news of its payment: settled by what was paid, then reversed.
  const returned = returnedMinor(draft.payouts);
  const paidMinor = request.paidMinor + returned;
  if (paidMinor >= request.amountMinor) close(draft, "PROCESSED");
  else if (paidMinor > 0n) settlePart(draft);
  else if (request.endAsked !== null) close(draft, request.endAsked === "expire" ? "EXPIRED" : "TERMINATED");
  else if (isBare(draft)) waitForAllocation(draft);
  else close(draft, "FAILED");
  if (returned > 0n && isEnded(draft)) {
    startReversal(draft);
    endReversal(draft);
  }
}

function settlePart(draft: Draft): void {
  const { request } = draft;
  if (request.allowPartially || request.endAsked !== null) {
    close(draft, "PARTIALLY_PROCESSED");
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

function isBare(draft: Draft): boolean {
  return draft.request.invoiceId === null;
}

/** A bare request never fails: it waits for its next allocation. */
function waitForAllocation(draft: Draft): void {
  const { dispatchStatus } = draft.request;
  if (dispatchStatus === "DISPATCHING" || dispatchStatus === "PENDING") moveRequest(draft, "READY");
}

function close(draft: Draft, to: "PROCESSED" | "PARTIALLY_PROCESSED" | "FAILED" | "EXPIRED" | "TERMINATED"): void {
  const isDirect = to === "EXPIRED" || to === "TERMINATED" || (to === "PARTIALLY_PROCESSED" && isBare(draft));
  if (!isDirect) walkTo(draft, draft.request.dispatchStatus === "PENDING" ? "PENDING" : "DISPATCHING");
  const last = draft.payouts.at(-1);
  if (last !== undefined) patchRequest(draft, { resolution: last.resolution });
  closeHold(draft);
  moveRequest(draft, to);
  foldPayouts(draft);
  if (draft.invoice !== null) patchInvoice(draft, { resolution: draft.request.resolution });
}

/** After the end: a payout that was paid after all, or one that is being reversed. */
function reopenIfRevived(draft: Draft): void {
  foldPayouts(draft);
  const { request } = draft;
  const reversing = draft.payouts.some(isReversing);
  if (reversing || returnedMinor(draft.payouts) > returnedMinor(draft.before.payouts)) {
    startReversal(draft);
    if (!reversing) endReversal(draft);
    return;
  }
  if (request.dispatchStatus === "CANCELING") {
    endReversal(draft);
    return;
  }
  if (draft.payouts.some(isPlannedOrOpen)) {
    if (request.dispatchStatus !== "PROCESSED" && request.dispatchStatus !== "PARTIALLY_PROCESSED") {
      moveRequest(draft, "PENDING");
    }
    return;
  }
  if (!draft.payouts.some(isPaid)) return;
  closeHold(draft);
  if (request.paidMinor >= request.amountMinor) moveRequest(draft, "PROCESSED");
  else if (request.dispatchStatus !== "PARTIALLY_PROCESSED" && request.paidMinor > 0n) {
    moveRequest(draft, "PARTIALLY_PROCESSED");
  }
}

function returnedMinor(payouts: readonly Payout[]): bigint {
  return payouts.reduce((sum, payout) => sum + payout.returnedMinor, 0n);
}

function startReversal(draft: Draft): void {
  if (draft.request.dispatchStatus !== "CANCELING") moveRequest(draft, "CANCELING");
}

/** No payout is being reversed any more: the request says how much came back. */
function endReversal(draft: Draft): void {
  const returned = returnedMinor(draft.payouts);
  if (draft.request.dispatchStatus !== "CANCELING") return;
  if (returned === 0n) moveRequest(draft, "CANCEL_FAILED");
  else moveRequest(draft, draft.request.paidMinor === 0n ? "CANCELED" : "PARTIALLY_CANCELED");
}

/** Somebody, or the lifetime, asks for the end. Nothing new is made; what is open is followed. */
export function askForEnd(draft: Draft, how: EndAsked): void {
  if (draft.request.endAsked === null) patchRequest(draft, { endAsked: how });
}
