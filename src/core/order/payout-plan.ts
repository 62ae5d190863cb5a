/** Making payouts: from a routing decision to a row, and from a row to the committed intent. */

import { providerReference, type ReferenceShape } from "../ids.ts";
import * as ledger from "../money/ledger.ts";
import type { SendTruth } from "../news/doubt.ts";
import type { Resolution } from "../news/resolution.ts";
import type { Dropped, RoutingDecision } from "../setup/routing.ts";
import type { Capacity } from "./parts.ts";
import { NOTHING_PAID, type Payout } from "./payout.ts";
import { addPayout, type Draft, movePayout, patchPayout, payoutOf, wakePayout } from "./story.ts";

/** What is asked of the routing scheme, or of one route. */
export interface RouteQuestion {
  readonly amountMinor: bigint;
  /** Routes that refused this request before. */
  readonly excluded: ReadonlySet<string>;
  /** What payouts of this very decision take of deposit accounts, beyond what the ledger says. */
  readonly taken: ReadonlyMap<string, bigint>;
  /** Only this route, whatever the scheme says. */
  readonly only?: string;
}

export interface Routed {
  readonly decision: RoutingDecision;
  readonly revision: number;
  /** Of the chosen route's connector; null when nothing was chosen. */
  readonly connector: {
    readonly name: string;
    readonly reference: ReferenceShape;
    readonly truth: SendTruth;
    /** What the provider's echoes of the payee are compared with; null while the details are awaited. */
    readonly destinationHash: string | null;
  } | null;
}

/** What the engine answers while a story is decided. Every member is a plain look-up or a number from outside. */
export interface World {
  newId(): string;
  /** Whether the request may start payouts by itself: an invoice's always, a bare one where its website says so. */
  readonly mayDispatch: boolean;
  /** Whether the website wants to have pulled back what is at a provider when the lifetime ends. */
  readonly revokesAtExpiry: boolean;
  /** Whether the commission on what comes back is given back too. */
  readonly returnsCommission: boolean;
  route(question: RouteQuestion): Routed;
  /** What each route of the scheme could carry, in the scheme's order. */
  capacities(question: Omit<RouteQuestion, "amountMinor" | "only">): readonly Capacity[];
  /** Whether a payout may be sent at once, by this process, in this transaction. Taking the slot is part of asking. */
  takeSendSlot(payout: Payout): boolean;
  /** Whether it is certain that nothing of a planned payout has left: after a restore it may have, and be forgotten. */
  isSurelyUnsent(payout: Payout): boolean;
  /** Whether the payout's connector can pull back what is at its provider. */
  canRevoke(payout: Payout): boolean;
  /** The payee as a payout's connector names it, once the details are known. */
  destinationHashOf(payout: Payout): string;
  truthOf(payout: Payout): SendTruth;
}

/** Which payout is to be made. */
export interface Planned {
  readonly part: number;
  readonly attempt: number;
  readonly amountMinor: bigint;
  /** Waits for a person's *process* whatever its route says. */
  readonly isManual: boolean;
}

/** Routes that definitively refused; one that only had no time, or never got the order, may be asked again. */
export function refusedRoutes(draft: Draft): ReadonlySet<string> {
  const refused = draft.payouts.filter(({ evidence }) => evidence === "D1" || evidence === "D2" || evidence === "D4");
  return new Set(refused.map((payout) => payout.routeId));
}

/** What payouts that this draft has made take of their deposit accounts. */
export function takenInDraft(draft: Draft): ReadonlyMap<string, bigint> {
  const known = new Set(draft.before.payouts.map((payout) => payout.id));
  const taken = new Map<string, bigint>();
  for (const { id, status, depositAccountId, amountMinor } of draft.payouts) {
    if (known.has(id) || status === "CREATE_FAILED") continue;
    taken.set(depositAccountId, (taken.get(depositAccountId) ?? 0n) + amountMinor);
  }
  return taken;
}

/**
 * Makes a payout on the route that was chosen: READY, sent at once where it may be; CREATED where the payee's details
 * are awaited. The routing decision must have chosen a route.
 */
export function makePayout(draft: Draft, world: World, routed: Routed, planned: Planned): Payout {
  const payout = newPayout(draft, world, routed, planned);
  addPayout(draft, payout);
  if (payout.destinationHash === null) return payout;
  movePayout(draft, payout.id, "READY");
  if (!payout.isManual) start(draft, world, payout.id);
  return payoutOf(draft, payout.id);
}

/** What a route that cannot carry a payout says about it. */
const REFUSED_AS: Readonly<Record<Dropped, Resolution>> = {
  missing: "INVALID_METHOD",
  archived: "INVALID_METHOD",
  disabled: "INVALID_METHOD",
  service: "INVALID_METHOD",
  currency: "INVALID_METHOD",
  below_minimum: "LIMIT_VIOLATION",
  above_maximum: "LIMIT_VIOLATION",
  gate_shut: "ACCESS_DENIED",
  refused_before: "DECLINED_ERROR",
  insufficient_funds: "INSUFFICIENT_FUNDS",
};

/** Records that a payout was wanted on a route which cannot carry it: nothing else has happened. */
export function failToCreate(draft: Draft, world: World, routed: Routed, planned: Planned): Payout {
  const payout = newPayout(draft, world, routed, planned);
  const why = routed.decision.dropped[0]?.why ?? "missing";
  const failed: Payout = {
    ...payout,
    status: "CREATE_FAILED",
    resolution: REFUSED_AS[why],
    resolutionOf: "invoke",
    evidence: "D0",
  };
  addPayout(draft, failed);
  return failed;
}

/** Sends a READY payout, now or as soon as it may be. */
export function start(draft: Draft, world: World, id: string): void {
  const payout = payoutOf(draft, id);
  if (world.takeSendSlot(payout)) invoke(draft, id, world.truthOf(payout));
  else wakePayout(draft, id, draft.now);
}

function newPayout(draft: Draft, world: World, routed: Routed, planned: Planned): Payout {
  const { request } = draft;
  const { chosen, refused } = routed.decision;
  const candidate = chosen ?? refused ?? null;
  const { connector } = routed;
  if (candidate === null || connector === null) throw new TypeError("a payout needs a route");
  const { part, attempt, amountMinor } = planned;
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
    isManual: planned.isManual || candidate.route.isManual,
    routeId: candidate.route.id,
    routingRevision: routed.revision,
    providerAccountId: candidate.providerAccountId,
    depositAccountId: candidate.route.depositAccountId,
    connector: connector.name,
    service: candidate.route.service,
    currency: request.currency,
    amountMinor,
    paymentInstrumentId: request.paymentInstrumentId,
    destinationHash: connector.destinationHash,
    reference: providerReference({ organizationId, root, part, attempt }, connector.reference),
    requestHash: null,
    ...NOTHING_PAID,
    providerReference: null,
    providerStatus: null,
    providerCode: null,
    factSequence: null,
    createdTime: draft.now,
    updatedTime: draft.now,
  };
}

/**
 * The intent: from here on a request with this reference may leave. Taken for the first send, again after a *not now*,
 * and for a repeat; *sent* is posted once. The lease is the payout's wake-up: who dies holding it is found by it.
 */
export function invoke(draft: Draft, id: string, truth: SendTruth): void {
  const payout = payoutOf(draft, id);
  const isFirst = payout.firstSendTime === null;
  if (payout.status === "READY") movePayout(draft, id, "INVOKING");
  patchPayout(draft, id, {
    send: "open",
    sends: payout.sends + 1,
    // Nothing has arrived that all was answered "not now": what counts as the first begins here.
    firstSendTime: payout.sends === 0 ? draft.now : payout.firstSendTime,
    ...(isFirst ? { inFlightMinor: payout.amountMinor } : {}),
    // The holder drops the request at its lease's end less the margin; not a byte leaves after that.
    lastLeaveTime: draft.now + truth.leaseMs - truth.leaseMarginMs,
  });
  if (isFirst) draft.postings.push(ledger.sent(ledger.partiesOf(payout, draft.invoice), payout.amountMinor));
  draft.wakes.set(`payout:${id}`, { dueTime: draft.now + truth.leaseMs, lease: true });
}

/**
 * The provider holds an order under exactly this reference, which this database does not remember to have sent: a
 * commit of ours was lost. It is taken over as sent with its outcome unknown, and the next inquiry says what it is. That
 * it is not found then proves nothing: it was there.
 */
export function adopt(draft: Draft, id: string): void {
  const payout = movePayout(draft, id, "INVOKING");
  patchPayout(draft, id, {
    send: "answered",
    sends: 1,
    // Nobody remembers when. As early as may be: where it was sent to may have changed since.
    firstSendTime: payout.createdTime,
    lastLeaveTime: draft.now,
    inFlightMinor: payout.amountMinor,
    resolution: "CONNECTION_ERROR",
    resolutionOf: "invoke",
    moderationRequired: true,
    flaggedTime: draft.now,
  });
  draft.postings.push(ledger.sent(ledger.partiesOf(payout, draft.invoice), payout.amountMinor));
  wakePayout(draft, id, draft.now);
}
