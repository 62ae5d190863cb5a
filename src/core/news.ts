/**
 * What a provider's words do to a payout. Facts walk statuses by a table; what is not a clear fact keeps the status,
 * sets the moderation flag and asks again. Nothing but evidence D0 to D4 says that a payout is not paid
 * (docs/safety.md).
 */
import type { Answer } from "./answer.ts";
import { inquiryDelayMs, notNowDelayMs } from "./backoff.ts";
import * as ledger from "./ledger.ts";
import type { Evidence, Operation, Payout, PayoutStatus } from "./payout.ts";
import { isPlannedOrOpen, PAYOUT, PAYOUT_MEANING } from "./payout.ts";
import { type Fact, type Resolution, resolutionRow } from "./resolution.ts";
import { assert } from "./result.ts";
import { PAID_WALK_END, postPaid, postReturned, standsAt } from "./settlement.ts";
import { type Draft, movePayout, patchPayout, payoutOf, wakePayout } from "./story.ts";

/** What the engine knows of a connector and core decides by; milliseconds. */
export interface SendTruth {
  readonly leaseMs: number;
  readonly leaseMarginMs: number;
  /** The wait window W; null when the connector does not declare all of it: then absence proves nothing. */
  readonly waitWindowMs: number | null;
  readonly isInquiryComplete: boolean;
  readonly inquiryScheduleMs: readonly number[];
}

/** How news reached us. */
export type News =
  /** The provider answered our call on the same exchange. */
  | { readonly kind: "answer"; readonly operation: Operation; readonly answer: Answer; readonly askedTime: number }
  /** A verified callback. */
  | { readonly kind: "callback"; readonly answer: Answer }
  /** Nothing readable came back; the request may have arrived. */
  | { readonly kind: "lost"; readonly operation: Operation; readonly resolution: Resolution }
  /** No byte left us. */
  | { readonly kind: "not_sent"; readonly operation: Operation; readonly resolution: Resolution };

type Walk = readonly PayoutStatus[];
type Walks = Readonly<Partial<Record<Fact, Walk>>>;

const REVERSED: Walk = ["CANCELLING", "CANCELLED"];
const OPEN_WALKS: Walks = {
  pending: ["PENDING"],
  held: ["PENDING"],
  paid: ["PROCESSED"],
  paid_part: ["PARTIALLY_PROCESSED"],
  returning: ["PENDING"],
  // A return presupposes a payment, whichever message came first: both orders must end alike.
  returned: ["PROCESSED", ...REVERSED],
  recalled: ["REVOKING", "REVOKED"],
};
const FAILED_WALKS: Walks = { failed: ["PROCESS_FAILED"], expired: ["PROCESS_FAILED"] };
const LATE_WALKS: Walks = {
  accepted: ["PENDING"],
  pending: ["PENDING"],
  held: ["PENDING"],
  paid: ["PROCESSED"],
  paid_part: ["PARTIALLY_PROCESSED"],
};
const PAID_WALKS: Walks = {
  failed: REVERSED,
  expired: REVERSED,
  returning: ["CANCELLING"],
  returned: REVERSED,
  recalled: REVERSED,
};
const REVOKED_BY: Walks = {
  failed: ["REVOKED"],
  expired: ["REVOKED"],
  returned: ["REVOKED"],
  recalled: ["REVOKED"],
};

/** (status, fact) -> the statuses walked, in order. What is not listed changes nothing. */
export const WALKS: Readonly<Record<PayoutStatus, Walks>> = {
  CREATE_FAILED: {},
  CREATED: {},
  READY: {},
  INVOKING: {
    ...OPEN_WALKS,
    accepted: ["PROCESSING"],
    // The provider knows the order and has failed it: it was registered, so the end is PROCESS_FAILED whether the
    // answer to our call or this news came first.
    failed: ["PROCESSING", "PROCESS_FAILED"],
    expired: ["PROCESSING", "PROCESS_FAILED"],
  },
  PROCESSING: { ...OPEN_WALKS, ...FAILED_WALKS },
  PENDING: { ...OPEN_WALKS, ...FAILED_WALKS, pending: [], held: [], returning: [] },
  REVOKING: {
    ...REVOKED_BY,
    paid: ["REVOKE_FAILED", "PROCESSED"],
    paid_part: ["REVOKE_FAILED", "PARTIALLY_PROCESSED"],
  },
  REVOKE_FAILED: {
    ...FAILED_WALKS,
    paid: ["PROCESSED"],
    paid_part: ["PARTIALLY_PROCESSED"],
    returned: ["REVOKED"],
    recalled: ["REVOKED"],
  },
  PROCESSED: PAID_WALKS,
  PARTIALLY_PROCESSED: { ...PAID_WALKS, paid: ["PROCESSED"] },
  CANCELLING: {
    failed: ["CANCELLED"],
    expired: ["CANCELLED"],
    returned: ["CANCELLED"],
    recalled: ["CANCELLED"],
    paid: ["CANCEL_FAILED"],
  },
  CANCEL_FAILED: PAID_WALKS,
  CANCELLED: { pending: ["PENDING"], paid: ["PROCESSED"] },
  REVOKED: LATE_WALKS,
  INVOKE_FAILED: LATE_WALKS,
  PROCESS_FAILED: LATE_WALKS,
  TERMINATED: LATE_WALKS,
  EXPIRED: LATE_WALKS,
};

/** After this many "not now" answers a payout ends as never registered. */
export const NOT_NOW_LIMIT = 10;

/** Hears one piece of news about a payout: moves, postings, flag, evidence and the next wake-up. */
export function hear(draft: Draft, payoutId: string, news: News, truth: SendTruth): void {
  const payout = payoutOf(draft, payoutId);
  switch (news.kind) {
    case "not_sent":
      if (news.operation === "invoke") hearNotNow(draft, payout, news.resolution, null);
      else inquireLater(draft, payout, truth);
      break;
    case "lost":
      hearUnsure(draft, payout, { operation: news.operation, resolution: news.resolution }, truth);
      break;
    case "callback":
      hearFact(draft, payout, { operation: "process", answer: news.answer }, truth);
      break;
    case "answer":
      hearAnswer(draft, payout, news, truth);
      break;
  }
}

function hearAnswer(draft: Draft, payout: Payout, news: News & { kind: "answer" }, truth: SendTruth): void {
  const { answer, operation } = news;
  if (operation === "inquire") {
    if (answer.found === "no") hearAbsent(draft, payout, news.askedTime, truth);
    else hearFact(draft, payout, { operation, answer }, truth);
    return;
  }
  if (operation === "invoke") {
    if (answer.sent === "not_now" || answer.sent === "not_sent") {
      hearNotNow(draft, payout, answer.resolution, answer.retryAfterMs ?? null);
      return;
    }
    if (answer.sent === "refused") {
      hearRefusal(draft, payout, answer, truth);
      return;
    }
  }
  if (answer.sent === "accepted") hearFact(draft, payout, { operation, answer }, truth);
  else hearUnsure(draft, payout, { operation, resolution: answer.resolution, answer }, truth);
}

/** Nothing was done: the same reference may go again. Ten times; then the payout was never registered. */
function hearNotNow(draft: Draft, payout: Payout, resolution: Resolution, retryAfterMs: number | null): void {
  if (payout.status !== "INVOKING" || payout.send !== "open") return;
  const notNows = payout.notNows + 1;
  const sends = payout.sends - 1;
  const known = patchPayout(draft, payout.id, {
    notNows,
    sends,
    // Another request of this reference may have arrived: then "not now" answers only this one.
    send: sends === 0 ? "not_now" : "unknown",
    resolution,
    resolutionOf: "invoke",
  });
  if (known.send === "not_now" && draft.request.endAsked !== null) {
    endUnpaid(draft, payout.id, draft.request.endAsked === "expire" ? "EXPIRED" : "TERMINATED", "D0");
    return;
  }
  if (known.send === "not_now" && notNows >= NOT_NOW_LIMIT) {
    endUnpaid(draft, payout.id, "INVOKE_FAILED", "D0");
    return;
  }
  wakePayout(draft, payout.id, draft.now + (retryAfterMs ?? notNowDelayMs(notNows)));
}

/** A refusal on the connector's list: evidence D1, but only of the only request that this reference ever sent. */
function hearRefusal(draft: Draft, payout: Payout, answer: Answer, truth: SendTruth): void {
  const isOnly = payout.status === "INVOKING" && payout.sends === 1 && payout.send === "open";
  const isEchoRight = differences(payout, answer).length === 0;
  if (!isOnly || !isEchoRight || resolutionRow(answer.resolution).mayHaveMoved !== false) {
    hearUnsure(draft, payout, { operation: "invoke", resolution: answer.resolution, answer }, truth);
    return;
  }
  patchPayout(draft, payout.id, {
    ...said(answer),
    send: "answered",
    resolution: answer.resolution,
    resolutionOf: "invoke",
  });
  endUnpaid(draft, payout.id, "INVOKE_FAILED", "D1");
  if (resolutionRow(answer.resolution).shutsAccount === true) {
    draft.shutAccounts.set(payout.providerAccountId, answer.resolution);
  }
}

interface Unsure {
  readonly operation: Operation;
  readonly resolution: Resolution;
  readonly answer?: Answer;
}

/** Not a no and not a yes: status kept, flag set, nothing sent, asked again. */
function hearUnsure(draft: Draft, payout: Payout, unsure: Unsure, truth: SendTruth): void {
  if (!isPlannedOrOpen(payout) && payout.status !== "CANCELLING") return;
  const isSend = unsure.operation !== "inquire";
  const isOfOpenSend = unsure.operation === "invoke" && payout.send === "open";
  patchPayout(draft, payout.id, {
    // The holder of the lease reports: whatever left, left before now.
    ...(isOfOpenSend ? { lastLeaveTime: Math.min(payout.lastLeaveTime ?? draft.now, draft.now) } : {}),
    ...(unsure.answer === undefined ? {} : said(unsure.answer)),
    send: isOfOpenSend ? "unknown" : payout.send,
    // A failed inquiry says nothing about the send: what the send ended with stays on record.
    ...(isSend || payout.resolution === null || resolutionRow(payout.resolution).group === "OK"
      ? { resolution: unsure.resolution, resolutionOf: unsure.operation }
      : {}),
  });
  flag(draft, payout.id);
  const since = payoutOf(draft, payout.id).flaggedTime ?? draft.now;
  const isOld = truth.waitWindowMs !== null && draft.now > since + truth.waitWindowMs;
  if (isSend || isOld) openUnknown(draft, payout.id, unsure.resolution);
  inquireLater(draft, payout, truth);
}

/** "Never heard of it" is evidence D3 only after the wait window, and only from a provider that lists everything. */
function hearAbsent(draft: Draft, payout: Payout, askedTime: number, truth: SendTruth): void {
  const isAfterWindow =
    truth.waitWindowMs !== null &&
    payout.lastLeaveTime !== null &&
    askedTime > payout.lastLeaveTime + truth.waitWindowMs;
  const isUndecided = payout.status === "INVOKING" && payout.send !== "answered" && payout.send !== "none";
  if (isUndecided && isAfterWindow && truth.isInquiryComplete) {
    const to = draft.request.endAsked === null ? "INVOKE_FAILED" : endStatus(draft);
    endUnpaid(draft, payout.id, to, "D3");
    return;
  }
  // A provider that has lost an order which it once confirmed proves nothing: a person must look.
  if (!isUndecided && isPlannedOrOpen(payout)) {
    flag(draft, payout.id);
    openUnknown(draft, payout.id, "UNKNOWN");
  }
  inquireLater(draft, payout, truth);
}

function endStatus(draft: Draft): "EXPIRED" | "TERMINATED" {
  return draft.request.endAsked === "expire" ? "EXPIRED" : "TERMINATED";
}

/** A clear fact about our order walks its statuses; anything about another order is no fact. */
function hearFact(
  draft: Draft,
  payout: Payout,
  heard: { readonly operation: Operation; readonly answer: Answer },
  truth: SendTruth,
): void {
  const { answer, operation } = heard;
  if (answer.fact === "ignore") {
    inquireLater(draft, payout, truth);
    return;
  }
  if (PAYOUT_MEANING[payout.status].class === "planned") {
    // Nobody of ours has sent it, and yet it is there: it is not sent any more, and a person must look.
    flag(draft, payout.id);
    const details = { operation, fact: answer.fact };
    draft.items.push({ kind: "payout", subject: payout.id, reason: "not_sent_by_us", isIncident: true, details });
    return;
  }
  const wrong = differences(payout, answer);
  if (wrong.length > 0) {
    flag(draft, payout.id);
    draft.items.push({
      kind: "payout",
      subject: payout.id,
      reason: "answer_differs",
      isIncident: true,
      details: { members: wrong.join(", "), operation },
    });
    patchPayout(draft, payout.id, { resolution: "UNKNOWN", resolutionOf: operation });
    markAnswered(draft, payout.id);
    inquireLater(draft, payoutOf(draft, payout.id), truth);
    return;
  }
  if (answer.fact === "unknown") {
    hearUnsure(draft, payout, { operation, resolution: answer.resolution, answer }, truth);
    return;
  }
  if (isOldNews(payout, answer)) {
    unflag(draft, payout.id);
    inquireLater(draft, payout, truth);
    return;
  }
  takeFact(draft, payout, heard);
  const after = payoutOf(draft, payout.id);
  if (needsWake(after)) inquireLater(draft, after, truth);
  else wakePayout(draft, payout.id, null);
}

/** Takes a fact that is ours and new: records what was said, then walks. */
function takeFact(
  draft: Draft,
  payout: Payout,
  heard: { readonly operation: Operation; readonly answer: Answer },
): void {
  const { answer, operation } = heard;
  markAnswered(draft, payout.id);
  patchPayout(draft, payout.id, {
    ...said(answer),
    factSequence: answer.sequence ?? payout.factSequence,
    resolution: answer.resolution,
    resolutionOf: operation === "inquire" ? "process" : operation,
  });
  unflag(draft, payout.id);
  const walk = walkOf(payout, answer);
  for (const to of walk) step(draft, payout.id, to, answer);
  // Success may grow: the provider's cumulative figure is the truth about what left.
  if (walk.length === 0 && PAYOUT_MEANING[payout.status].class === "paid")
    postPaid(draft, payout.id, paidOf(payout, answer));
}

/** A partial return leads back to PARTIALLY_PROCESSED instead of CANCELLED. */
function walkOf(payout: Payout, answer: Answer): Walk {
  const walk = WALKS[payout.status][answer.fact] ?? [];
  const returned = answer.returnedMinor ?? null;
  const isPart = returned !== null && returned < paidOf(payout, answer);
  return isPart ? walk.map((to) => (to === "CANCELLED" ? "PARTIALLY_PROCESSED" : to)) : walk;
}

/** How much is paid by now, minor units: what the provider says, else all of it where the fact says so. */
function paidOf(payout: Payout, answer: Answer): bigint {
  if (answer.paidMinor !== undefined) return answer.paidMinor;
  const isPaidFact = answer.fact === "paid" || answer.fact === "returned";
  return isPaidFact ? payout.amountMinor : payout.processedMinor;
}

/** One step of a walk, with the ledger that goes with it. */
function step(draft: Draft, id: string, to: PayoutStatus, answer: Answer): void {
  const from = payoutOf(draft, id);
  const wasPaid = PAYOUT_MEANING[from.status].class === "paid";
  const isLate = PAYOUT.find(from.status, to)?.kind === "late";
  if (to === "PROCESS_FAILED" || to === "REVOKED") {
    endUnpaid(draft, id, to, "D2");
    return;
  }
  movePayout(draft, id, to);
  if (PAID_WALK_END.has(to) && !wasPaid) postPaid(draft, id, paidOf(from, answer));
  if (to === "PROCESSED" && from.status === "PARTIALLY_PROCESSED") postPaid(draft, id, paidOf(from, answer));
  if (to === "CANCELLED" || (to === "PARTIALLY_PROCESSED" && from.status === "CANCELLING")) {
    postReturned(draft, id, answer);
  }
  if (isLate) {
    draft.items.push({
      kind: "payout",
      subject: id,
      reason: "paid_late",
      isIncident: true,
      details: { from: from.status, to },
    });
  }
}

/** Ends a payout that is not paid, with its evidence; what was sent stands at the provider again. */
export function endUnpaid(draft: Draft, id: string, to: PayoutStatus, evidence: Evidence): void {
  assert(PAYOUT_MEANING[to].class === "not_paid", `${to} is not an unpaid end`);
  const payout = movePayout(draft, id, to);
  if (standsAt(payout) === "in_flight") {
    draft.postings.push(ledger.cameBack(ledger.partiesOf(payout, draft.invoice), payout.amountMinor));
  }
  patchPayout(draft, id, { evidence });
  unflag(draft, id);
  wakePayout(draft, id, null);
}

/** Which echoed members differ from the order. */
function differences(payout: Payout, answer: Answer): string[] {
  const echo = answer.echo ?? {};
  const wrong: string[] = [];
  if (echo.reference !== undefined && echo.reference !== payout.reference) wrong.push("reference");
  if (echo.amountMinor !== undefined && echo.amountMinor !== payout.amountMinor) wrong.push("amount");
  if (echo.currency !== undefined && echo.currency !== payout.currency) wrong.push("currency");
  if (echo.destinationHash !== undefined && echo.destinationHash !== payout.destinationHash) wrong.push("destination");
  return wrong;
}

function isOldNews(payout: Payout, answer: Answer): boolean {
  return answer.sequence !== undefined && payout.factSequence !== null && answer.sequence <= payout.factSequence;
}

function markAnswered(draft: Draft, id: string): void {
  const payout = payoutOf(draft, id);
  if (payout.send === "open" || payout.send === "unknown") patchPayout(draft, id, { send: "answered" });
}

function said(answer: Answer): Partial<Pick<Payout, "providerReference" | "providerStatus" | "providerCode">> {
  return {
    ...(answer.providerReference === undefined ? {} : { providerReference: answer.providerReference }),
    ...(answer.providerStatus === undefined ? {} : { providerStatus: answer.providerStatus }),
    ...(answer.providerCode === undefined ? {} : { providerCode: answer.providerCode }),
  };
}

function flag(draft: Draft, id: string): void {
  const payout = payoutOf(draft, id);
  if (payout.moderationRequired) return;
  patchPayout(draft, id, { moderationRequired: true, flaggedTime: draft.now });
}

function unflag(draft: Draft, id: string): void {
  if (!payoutOf(draft, id).moderationRequired) return;
  patchPayout(draft, id, { moderationRequired: false, flaggedTime: null });
  draft.closedItems.push({ subject: id, reason: "outcome_unknown" });
}

function openUnknown(draft: Draft, id: string, resolution: Resolution): void {
  draft.items.push({
    kind: "payout",
    subject: id,
    reason: "outcome_unknown",
    isIncident: false,
    details: { resolution },
  });
}

function needsWake(payout: Payout): boolean {
  return isPlannedOrOpen(payout) || payout.status === "CANCELLING";
}

function inquireLater(draft: Draft, payout: Payout, truth: SendTruth): void {
  if (!needsWake(payoutOf(draft, payout.id))) return;
  wakePayout(draft, payout.id, draft.now + inquiryDelayMs(truth.inquiryScheduleMs, payout.inquiries));
}
