/** Due work: payouts to be sent or asked about, requests and invoices whose time is over, callbacks to be matched. */
import type { HttpDraft } from "../../connectors/contract.ts";
import type { Refusal } from "../../core/errors.ts";
import { isAddressKept } from "../../core/news/doubt.ts";
import { endUnpaid } from "../../core/news/facts.ts";
import { endStatus } from "../../core/news/news.ts";
import { isFromBefore, needsChecks } from "../../core/news/recovery.ts";
import type { Resolution } from "../../core/news/resolution.ts";
import { abandonReversal, openReversal } from "../../core/news/reversal.ts";
import { askForEnd, FUNDS_WAIT_MS, isEnded } from "../../core/order/dispatch.ts";
import { type Operation, PAYOUT_MEANING, type Payout } from "../../core/order/payout.ts";
import { invoke, refusedRoutes } from "../../core/order/payout-plan.ts";
import { type Draft, movePayout, patchPayout, reopen, wakePayout } from "../../core/order/story.ts";
import { assert, ok, type Result } from "../../core/result.ts";
import { type Handler, ORDER, type Seen } from "../command.ts";
import type { Context } from "../context.ts";
import { carryOn, errand, isSameRequest, saveStory, storyMore, storyOf, storyWants } from "../orders.ts";
import type { TableName, Want, Work } from "../ports.ts";
import { openItem } from "../record.ts";
import { type BeforeSend, checkBeforeSend, checkWants, isToBeInquired } from "../recovery.ts";
import { searchBeforeSend } from "../recovery-search.ts";
import { isSendingOpen, obstacleToSend, providerOf, queryOf, sendTruth, worldOf } from "../world.ts";
import { matchCallback } from "./callback.ts";
import { expireInvoice } from "./invoices.ts";
import { wakeDelivery } from "./webhooks.ts";

/** `held`: nothing could be done now (a shut gate, no free slot); it stays due. */
type Woken = "moved" | "held";

/** The command that looks at one piece of due work. */
export function wakeHandler(kind: Work["kind"]): Handler<Work, unknown> {
  switch (kind) {
    case "payout":
      return wakePayoutWork;
    case "request":
      return wakeRequestWork;
    case "invoice":
      return expireInvoice;
    case "callback":
      return matchCallback;
    case "delivery":
      return wakeDelivery;
  }
}

const PARK_MS = 60_000;

/**
 * Work that cannot be done for a fault of ours waits a minute, and a person is told; everything else goes on. Where
 * somebody else has the lease by now, the row is theirs.
 */
export const parkWork: Handler<Work, "parked"> = {
  name: "park-work",
  order: ORDER.claim,
  needsNoSetup: true,
  wants: (work, organizationId) => [
    { table: "work", by: "primary", keys: [[organizationId, work.kind, work.subject]] },
    { table: "moderationItem", by: "moderation_item_by_subject", keys: [[organizationId, work.subject]] },
  ],
  decide(context, work) {
    const row = context.rows.get("work", [context.organizationId, work.kind, work.subject]);
    if (row?.fence === work.fence) context.rows.put("work", { ...row, dueTime: context.now + PARK_MS });
    const { kind, subject } = work;
    openItem(context, {
      kind: kind === "invoice" ? "request" : kind,
      subject,
      reason: "internal_fault",
      isIncident: true,
      details: { kind },
    });
    return ok("parked");
  },
};

/** How long a payout waits that a shut gate holds back. */
const GATE_WAIT_MS = 5_000;

const wakePayoutWork: Handler<Work, Woken> = {
  name: "wake-payout",
  order: ORDER.claim,
  wants: (work, organizationId) => [
    { table: "payout", by: "primary", keys: [[organizationId, work.subject]] },
    { table: "work", by: "primary", keys: [[organizationId, "payout", work.subject]] },
    checkWants(organizationId, work.subject),
  ],
  more: (work, seen) => storyOfPayoutWants(work.subject, seen),
  decide(context, work) {
    const now = context.rows.get("work", [context.organizationId, "payout", work.subject]);
    if (now === null || now.fence !== work.fence || now.dueTime > context.now) return ok("moved");
    const row = context.rows.get("payout", [context.organizationId, work.subject]);
    assert(row !== null, `payout ${work.subject} has due work and exists`);
    const story = storyOf(context, row.requestId);
    assert(story !== null, `the story of payout ${row.id} exists`);
    const draft = reopen(story, context.now, row.id);
    return decideWake(context, draft, row);
  },
};

/** The story of a payout, whose row is there in the first round and names it for the second. */
export function storyOfPayoutWants(payoutId: string, seen: Seen): readonly Want<TableName>[] {
  const payout = seen.rows.get("payout", [seen.organizationId, payoutId]);
  if (payout === null) return [];
  return [...storyWants(seen.organizationId, payout), ...storyMore(payout, seen)];
}

function decideWake(context: Context, draft: Draft, payout: Payout): Result<Woken, Refusal> {
  const { request } = draft;
  // A flagged payout is never sent by a machine, only asked about.
  const isUnsent = payout.status === "READY" || (payout.status === "INVOKING" && payout.send === "not_now");
  const isToBeSent = isUnsent && !payout.moderationRequired;
  const isWaitingForPerson = payout.status === "READY" && payout.isManual;
  const isLeftToOthers = payout.status === "CREATED" || isWaitingForPerson;
  const before = askBefore(context, draft, payout);
  if (before === "held") return ok("held");
  if (before === "asked") return moved(saveStory(context, draft));
  if (context.now >= request.expiresTime && request.endAsked === null && !isEnded(draft)) {
    // What follows from the end comes first; the payout stays due and is looked at again.
    askForEnd(draft, "expire");
    return moved(carryOn(context, draft));
  }
  // It waits for details or for a person.
  if (isLeftToOthers) return moved(carryOn(context, draft));
  if (isToBeSent) return sendReady(context, draft, payout);
  // The gate opens when everything that was listed has its answer: a reversal that the gate holds back is asked about.
  const isAskedFirst = isToBeInquired(context, payout);
  if (payout.reversal === "due" && !isAskedFirst) return reverse(context, draft, payout);
  if (payout.send === "again") return repeat(context, draft, payout);
  // Work about a payout that is over is there because a person has asked for an inquiry.
  return inquire(context, draft, payout);
}

/**
 * After a restore the question comes first, also while the gate is shut: what was forgotten may have been paid. It is
 * asked about what shall be sent, and about what shall end without having been. What a person looks at already is asked
 * about to the last question, too, so that the person knows everything.
 */
function askBefore(context: Context, draft: Draft, payout: Payout): BeforeSend {
  const { status, send, isManual, moderationRequired } = payout;
  const isEnding = draft.request.endAsked !== null && PAYOUT_MEANING[status].class === "planned";
  const isUnsent = status === "READY" || (status === "INVOKING" && send === "not_now" && !moderationRequired);
  if (!needsChecks(payout, context.moment.epoch) || !(isUnsent || (isEnding && !moderationRequired))) return "clear";
  const own = checkBeforeSend(context, draft, payout);
  const isLeaving = isEnding || !(status === "READY" && isManual);
  return own === "clear" && isLeaving && !moderationRequired ? searchBeforeSend(context, draft, payout) : own;
}

function moved(saved: Result<null, Refusal>): Result<Woken, Refusal> {
  return saved.ok ? ok("moved") : saved;
}

/**
 * TX1 of a payout that waited, or whose provider said *not now*: checks the gates again, takes the lease, and the
 * first time posts *sent*. An end that was asked for comes first.
 */
function sendReady(context: Context, draft: Draft, payout: Payout): Result<Woken, Refusal> {
  if (draft.request.endAsked !== null) {
    // Nothing has left, or every answer was "not now": nothing arrived.
    if (payout.status === "INVOKING") endUnpaid(draft, payout.id, endStatus(draft), "D0");
    return moved(carryOn(context, draft));
  }
  if (draft.request.blocked || !isSendingOpen(context, payout.currency)) {
    return wait(context, draft, payout, GATE_WAIT_MS);
  }
  const obstacle = obstacleToSend(context, draft, payout);
  if (obstacle === "INSUFFICIENT_FUNDS" && awaitsFunds(context, draft, payout)) {
    return wait(context, draft, payout, FUNDS_WAIT_MS);
  }
  if (obstacle !== null) return refuse(context, draft, payout, obstacle);
  if (!context.takeSlot(payout.providerAccountId)) return ok("held");
  invoke(draft, payout.id, sendTruth(providerOf(context, payout)));
  return moved(carryOn(context, draft));
}

/** Our own refusal before anything is sent ends a payout at once (evidence D0): another route may carry the order. */
function refuse(context: Context, draft: Draft, payout: Payout, resolution: Resolution): Result<Woken, Refusal> {
  if (payout.status === "READY") movePayout(draft, payout.id, "INVOKING");
  patchPayout(draft, payout.id, { resolution, resolutionOf: "invoke" });
  endUnpaid(draft, payout.id, "INVOKE_FAILED", "D0");
  return moved(carryOn(context, draft));
}

/**
 * Whether a payout for which only money is missing waits for it: no attempt is spent where no other route could carry
 * it now. One that a person has started is told to the person instead.
 */
function awaitsFunds(context: Context, draft: Draft, payout: Payout): boolean {
  const world = worldOf(context, draft);
  if (!world.mayDispatch) return false;
  const attempts = draft.payouts.filter(({ part }) => part === payout.part).length;
  if (attempts >= draft.request.attemptsLimit) return true;
  const excluded = new Set([...refusedRoutes(draft), payout.routeId]);
  return world.route({ amountMinor: payout.amountMinor, excluded, taken: new Map() }).decision.chosen === null;
}

/** A shut gate of the system or the organization holds everything back, and so does money that is missing. */
function wait(context: Context, draft: Draft, payout: Payout, forMs: number): Result<Woken, Refusal> {
  wakePayout(draft, payout.id, context.now + forMs);
  return moved(saveStory(context, draft));
}

/**
 * TX1 of a repeat that a person has allowed: the same reference and bytes, a new lease. Where it may not go now it does
 * not go at all: the first request is asked about as before.
 */
function repeat(context: Context, draft: Draft, payout: Payout): Result<Woken, Refusal> {
  const account = context.rows.get("providerAccount", [context.organizationId, payout.providerAccountId]);
  const { blocked, endAsked } = draft.request;
  const isOpen = isSendingOpen(context, payout.currency) && account?.gate === "open";
  const truth = sendTruth(providerOf(context, payout));
  // What was allowed before a restore, or for another address, was allowed on knowledge that is gone.
  const isOutdated = isFromBefore(payout, context.moment.epoch) || !isAddressKept(truth, payout.firstSendTime);
  if (blocked || endAsked !== null || !isOpen || isOutdated || !isSameRequest(context, draft, payout)) {
    patchPayout(draft, payout.id, { send: "unknown" });
    wakePayout(draft, payout.id, context.now);
    return moved(saveStory(context, draft));
  }
  if (!context.takeSlot(payout.providerAccountId)) return ok("held");
  invoke(draft, payout.id, truth);
  return moved(carryOn(context, draft));
}

/**
 * TX1 of a revoke or a cancel. A shut gate of a provider account does not hold it back: it moves no money out. The
 * system's and the organization's do, for a copy of the database must not speak for us.
 */
function reverse(context: Context, draft: Draft, payout: Payout): Result<Woken, Refusal> {
  if (!isSendingOpen(context)) return wait(context, draft, payout, GATE_WAIT_MS);
  const provider = providerOf(context, payout);
  const { connector, account } = provider;
  const operation = payout.status === "REVOKING" ? "revoke" : "cancel";
  if (!context.takeSlot(payout.providerAccountId)) return ok("held");
  const query = queryOf(context, draft, payout);
  const http =
    operation === "revoke"
      ? connector.revoke?.build(query, account, context.now)
      : connector.cancel?.build({ ...query, cancelMinor: payout.cancelMinor }, account, context.now);
  assert(http !== undefined, `the connector ${connector.name} offers ${operation}, or nobody could have asked for it`);
  openReversal(draft, payout.id, sendTruth(provider));
  lease(context, draft, payout, { operation, http });
  return moved(carryOn(context, draft));
}

/** Takes a lease to ask the provider. A send whose holder died is marked as unknown first: from here only inquiries. */
function inquire(context: Context, draft: Draft, payout: Payout): Result<Woken, Refusal> {
  const provider = providerOf(context, payout);
  const { connector, account } = provider;
  if (!context.takeSlot(payout.providerAccountId)) return ok("held");
  if (payout.send === "open") abandonSend(draft, payout);
  if (payout.reversal === "open") abandonReversal(draft, payout.id, sendTruth(provider));
  const http = connector.inquire.build(queryOf(context, draft, payout), account, context.now);
  lease(context, draft, payout, { operation: "inquire", http });
  return moved(carryOn(context, draft));
}

/** The lease of one call, and the errand that makes it once this is committed. */
function lease(
  context: Context,
  draft: Draft,
  payout: Payout,
  call: { readonly operation: Operation; readonly http: HttpDraft },
): void {
  const { truth } = providerOf(context, payout).connector;
  const fence = context.nextFence();
  draft.wakes.set(`payout:${payout.id}`, { dueTime: context.now + truth.leaseMs, lease: true, fence });
  context.errands.push(
    errand(context, payout, {
      operation: call.operation,
      draft: call.http,
      fence,
      sendWithinMs: truth.leaseMs - truth.leaseMarginMs,
      timeoutMs: truth.timeoutMs,
    }),
  );
}

/** The holder of the lease never reported: its request may have left at any time until the lease's margin. */
function abandonSend(draft: Draft, payout: Payout): void {
  patchPayout(draft, payout.id, {
    send: "unknown",
    resolution: payout.resolution ?? "CONNECTION_ERROR",
    resolutionOf: payout.resolutionOf ?? "invoke",
    moderationRequired: true,
    flaggedTime: payout.flaggedTime ?? draft.now,
  });
  draft.items.push({
    kind: "payout",
    subject: payout.id,
    reason: "outcome_unknown",
    isIncident: false,
    details: { resolution: "CONNECTION_ERROR" },
  });
}

const wakeRequestWork: Handler<Work, Woken> = {
  name: "wake-request",
  order: ORDER.claim,
  wants: (work, organizationId) => [
    { table: "request", by: "primary", keys: [[organizationId, work.subject]] },
    { table: "payout", by: "payout_by_request", keys: [[organizationId, work.subject]] },
    { table: "work", by: "primary", keys: [[organizationId, "request", work.subject]] },
  ],
  more(work, seen) {
    const request = seen.rows.get("request", [seen.organizationId, work.subject]);
    if (request === null) return [];
    const key = { requestId: request.id, invoiceId: request.invoiceId, websiteId: request.websiteId };
    return [...storyWants(seen.organizationId, key), ...storyMore(key, seen)];
  },
  decide(context, work) {
    const story = storyOf(context, work.subject);
    assert(story !== null, `request ${work.subject} has due work and exists`);
    const draft = reopen(story, context.now);
    // The lifetime is over, or the request slept until money might be there.
    if (context.now >= draft.request.expiresTime) askForEnd(draft, "expire");
    return moved(carryOn(context, draft));
  },
};
