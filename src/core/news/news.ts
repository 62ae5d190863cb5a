/**
 * What a provider's words do to a payout. A clear fact walks statuses (facts.ts); what is not a clear fact keeps the
 * status, sets the moderation flag and asks again (doubt.ts). Nothing but evidence D0 to D4 says that a payout is not
 * paid (docs/safety.md).
 */

import type { Operation, Payout, PayoutStatus } from "../order/payout.ts";
import { isPlannedOrOpen } from "../order/payout.ts";
import { type Draft, patchPayout, payoutOf, wakePayout } from "../order/story.ts";
import type { Answer } from "./answer.ts";
import { NOT_NOW_LIMIT, notNowDelayMs } from "./backoff.ts";
import {
  flag,
  hearUnsure,
  inquireLater,
  isAddressKept,
  openUnknown,
  type SendTruth,
  said,
  tellUnknown,
} from "./doubt.ts";
import { differences, endUnpaid, hearFact } from "./facts.ts";
import { type Resolution, resolutionRow } from "./resolution.ts";
import { hearReversal } from "./reversal.ts";

/** How news reached us. */
export type News =
  /** The provider answered our call on the same exchange. */
  | { readonly kind: "answer"; readonly operation: Operation; readonly answer: Answer; readonly askedTime: number }
  /** A verified callback. */
  | { readonly kind: "callback"; readonly answer: Answer }
  /** A person's decision, with evidence attached (D4). */
  | { readonly kind: "decision"; readonly answer: Answer }
  /** Nothing readable came back; the request may have arrived. */
  | { readonly kind: "lost"; readonly operation: Operation; readonly resolution: Resolution }
  /** No byte left us. */
  | { readonly kind: "not_sent"; readonly operation: Operation; readonly resolution: Resolution };

/** Hears one piece of news about a payout: moves, postings, flag, evidence and the next wake-up. */
export function hear(draft: Draft, payoutId: string, news: News, truth: SendTruth): void {
  const payout = payoutOf(draft, payoutId);
  switch (news.kind) {
    case "callback":
      hearFact(draft, payoutId, { operation: "process", answer: news.answer, askedTime: null, proves: "D2" }, truth);
      return;
    case "decision":
      hearDecision(draft, payout, news.answer, truth);
      return;
    case "not_sent":
    case "lost":
    case "answer":
      hearOutcome(draft, payout, news, truth);
  }
}

/** What came of one of our own calls. */
function hearOutcome(
  draft: Draft,
  payout: Payout,
  news: Extract<News, { operation: Operation }>,
  truth: SendTruth,
): void {
  const { operation } = news;
  if (operation === "revoke" || operation === "cancel") {
    hearReversal(draft, payout.id, { ...news, operation }, truth);
  } else if (news.kind === "answer") {
    hearAnswer(draft, payout, news, truth);
  } else if (news.kind === "lost") {
    hearUnsure(draft, payout.id, news, truth);
  } else if (operation === "invoke") {
    hearNotNow(draft, payout, news.resolution, null);
  } else {
    inquireLater(draft, payout.id, truth);
  }
}

function hearAnswer(draft: Draft, payout: Payout, news: News & { kind: "answer" }, truth: SendTruth): void {
  const { answer, operation, askedTime } = news;
  if (operation === "inquire") {
    if (answer.found === "no") hearAbsent(draft, payout, askedTime, truth);
    else hearFact(draft, payout.id, { operation, answer, askedTime, proves: "D2" }, truth);
    return;
  }
  if (answer.sent === "not_now" || answer.sent === "not_sent") {
    hearNotNow(draft, payout, answer.resolution, answer.retryAfterMs ?? null);
  } else if (answer.sent === "refused") {
    hearRefusal(draft, payout, answer, truth);
  } else if (answer.sent === "accepted") {
    hearFact(draft, payout.id, { operation, answer, askedTime: null, proves: "D2" }, truth);
  } else {
    hearUnsure(draft, payout.id, { operation, resolution: answer.resolution, answer }, truth);
  }
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
    endUnpaid(draft, payout.id, endStatus(draft), "D0");
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
  // Without a reason only a clear *failed* is a no.
  const { mayHaveMoved } = resolutionRow(answer.resolution);
  const isNo = mayHaveMoved === false || (answer.resolution === "OK" && answer.fact === "failed");
  if (!isOnly || !isEchoRight || !isNo) {
    // The refusal of a repeat is evidence of nothing: it may be about the repeat alone.
    hearUnsure(draft, payout.id, { operation: "invoke", resolution: answer.resolution, answer }, truth);
    return;
  }
  patchPayout(draft, payout.id, {
    ...said(answer),
    send: "answered",
    resolution: answer.resolution,
    resolutionOf: "invoke",
  });
  endUnpaid(draft, payout.id, "INVOKE_FAILED", "D1");
}

/**
 * "Never heard of it" is evidence D3 only after the wait window, only from a provider that lists everything, and only
 * where everything was sent that may have arrived.
 */
function hearAbsent(draft: Draft, payout: Payout, askedTime: number, truth: SendTruth): void {
  const isAfterWindow =
    truth.waitWindowMs !== null &&
    payout.lastLeaveTime !== null &&
    askedTime > payout.lastLeaveTime + truth.waitWindowMs;
  const isUndecided =
    (payout.status === "INVOKING" || payout.status === "REVOKING" || payout.status === "REVOKE_FAILED") &&
    payout.send !== "answered" &&
    payout.send !== "none";
  if (isUndecided && !isAddressKept(truth, payout.firstSendTime)) {
    // It was sent to another address, or as somebody else: a person must find out what became of it there.
    tellUnknown(draft, payout.id);
    inquireLater(draft, payout.id, truth);
    return;
  }
  if (isUndecided && isAfterWindow && truth.isInquiryComplete) {
    endUnpaid(draft, payout.id, absentEnd(draft, payout), "D3");
    return;
  }
  // A provider that has lost an order which it once confirmed proves nothing: a person must look.
  if (!isUndecided && isPlannedOrOpen(payout)) {
    flag(draft, payout.id);
    openUnknown(draft, payout.id, "UNKNOWN");
  }
  inquireLater(draft, payout.id, truth);
}

function absentEnd(draft: Draft, payout: Payout): PayoutStatus {
  if (payout.status === "REVOKING" || payout.status === "REVOKE_FAILED") return "REVOKED";
  return draft.request.endAsked === null ? "INVOKE_FAILED" : endStatus(draft);
}

/** How a payout ends that nothing arrived of, where an end was asked for. */
export function endStatus(draft: Draft): "EXPIRED" | "TERMINATED" {
  return draft.request.endAsked === "expire" ? "EXPIRED" : "TERMINATED";
}

/** A person says what became of it. What was never registered, as far as anybody knows, ends as that. */
function hearDecision(draft: Draft, payout: Payout, answer: Answer, truth: SendTruth): void {
  if (payout.status === "INVOKING" && answer.fact === "failed") {
    patchPayout(draft, payout.id, { send: "answered" });
    endUnpaid(draft, payout.id, "INVOKE_FAILED", "D4");
    return;
  }
  hearFact(draft, payout.id, { operation: "process", answer, askedTime: null, proves: "D4" }, truth);
}
