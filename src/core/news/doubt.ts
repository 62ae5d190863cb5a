/**
 * What is done while nobody can say what became of a request: the status is kept, the flag is set, a person is told,
 * and the provider is asked again (docs/safety.md).
 */

import type { Operation, Payout } from "../order/payout.ts";
import { isPlannedOrOpen, PAYOUT_MEANING } from "../order/payout.ts";
import { type Draft, patchPayout, payoutOf, wakePayout } from "../order/story.ts";
import type { Answer } from "./answer.ts";
import { inquiryDelayMs } from "./backoff.ts";
import { type Resolution, resolutionRow } from "./resolution.ts";

/** What the engine knows of a connector and core decides by; milliseconds. */
export interface SendTruth {
  readonly leaseMs: number;
  readonly leaseMarginMs: number;
  /** The wait window W; null when the connector does not declare all of it: then absence proves nothing. */
  readonly waitWindowMs: number | null;
  readonly isInquiryComplete: boolean;
  readonly inquiryScheduleMs: readonly number[];
  /** When the account was last given another address, settings or credentials; null: not since it was made. */
  readonly addressedTime: number | null;
  /** The epoch of the database in which that was done. */
  readonly addressedEpoch: number | null;
}

/**
 * Whether what left at this instant, milliseconds since 1970, went where the provider is asked now, and as whom. A
 * change in the same instant may have come after it.
 */
export function isAddressKept(truth: Pick<SendTruth, "addressedTime">, leftTime: number | null): boolean {
  return truth.addressedTime === null || (leftTime !== null && leftTime > truth.addressedTime);
}

interface Unsure {
  readonly operation: Operation;
  readonly resolution: Resolution;
  readonly answer?: Answer;
}

/** Not a no and not a yes: status kept, flag set, nothing sent, asked again. */
export function hearUnsure(draft: Draft, id: string, unsure: Unsure, truth: SendTruth): void {
  const payout = payoutOf(draft, id);
  if (!needsWake(payout)) {
    doubtEnd(draft, payout, unsure, truth);
    return;
  }
  const isSend = unsure.operation !== "inquire";
  const isOfOpenSend = unsure.operation === "invoke" && payout.send === "open";
  patchPayout(draft, id, {
    // The holder of the lease reports: whatever left, left before now.
    ...(isOfOpenSend ? { lastLeaveTime: Math.min(payout.lastLeaveTime ?? draft.now, draft.now) } : {}),
    ...(unsure.answer === undefined ? {} : said(unsure.answer)),
    send: isOfOpenSend ? "unknown" : payout.send,
    // A failed inquiry says nothing about the send: what the send ended with stays on record.
    ...(isSend || payout.resolution === null || resolutionRow(payout.resolution).group === "OK"
      ? { resolution: unsure.resolution, resolutionOf: unsure.operation }
      : {}),
  });
  if (isShown(unsure)) markAnswered(draft, id);
  flag(draft, id);
  const since = payoutOf(draft, id).flaggedTime ?? draft.now;
  const isOld = truth.waitWindowMs !== null && draft.now > since + truth.waitWindowMs;
  if (isSend || isOld) openUnknown(draft, id, unsure.resolution);
  inquireLater(draft, id, truth);
}

/**
 * What is over has no inquiries ahead. Where it counts as not paid, and its provider shows it in a word that we do not
 * understand, it may have been paid after all: a person is told, and the provider is asked once more what it means.
 */
function doubtEnd(draft: Draft, payout: Payout, unsure: Unsure, truth: SendTruth): void {
  if (PAYOUT_MEANING[payout.status].class !== "not_paid" || !isShown(unsure)) {
    inquireLater(draft, payout.id, truth);
    return;
  }
  flag(draft, payout.id);
  openUnknown(draft, payout.id, unsure.resolution);
  if (unsure.operation === "process") wakePayout(draft, payout.id, draft.now);
  else inquireLater(draft, payout.id, truth);
}

/**
 * Whether a provider speaks of our order as one that it has, in words that we do not understand: a verified message
 * names it, an inquiry has found it, or it has a name of the provider's own.
 */
function isShown({ operation, answer }: Unsure): boolean {
  if (answer === undefined) return false;
  return operation === "process" || answer.found === "yes" || answer.providerReference !== undefined;
}

/** The provider has the order, or had it: neither that it is not found later nor a refusal says that it never did. */
export function markAnswered(draft: Draft, id: string): void {
  const { send } = payoutOf(draft, id);
  if (send !== "none" && send !== "answered") patchPayout(draft, id, { send: "answered" });
}

/** The provider's own words, kept beside what they mean. */
export function said(answer: Answer): Partial<Pick<Payout, "providerReference" | "providerStatus" | "providerCode">> {
  return {
    ...(answer.providerReference === undefined ? {} : { providerReference: answer.providerReference }),
    ...(answer.providerStatus === undefined ? {} : { providerStatus: answer.providerStatus }),
    ...(answer.providerCode === undefined ? {} : { providerCode: answer.providerCode }),
  };
}

export function flag(draft: Draft, id: string): void {
  const payout = payoutOf(draft, id);
  if (payout.moderationRequired) return;
  patchPayout(draft, id, { moderationRequired: true, flaggedTime: draft.now });
}

export function unflag(draft: Draft, id: string): void {
  if (!payoutOf(draft, id).moderationRequired) return;
  patchPayout(draft, id, { moderationRequired: false, flaggedTime: null });
  draft.closedItems.push({ subject: id, reason: "outcome_unknown" });
}

export function openUnknown(draft: Draft, id: string, resolution: Resolution): void {
  draft.items.push({
    kind: "payout",
    subject: id,
    reason: "outcome_unknown",
    isIncident: false,
    details: { resolution },
  });
}

/** What was answered proves nothing: it stays unknown, and a person must find out. */
export function tellUnknown(draft: Draft, id: string): void {
  flag(draft, id);
  openUnknown(draft, id, payoutOf(draft, id).resolution ?? "UNKNOWN");
}

/** Nobody of ours has sent it, and yet a provider speaks of it: it is not sent any more, and a person must look. */
export function holdUnsent(draft: Draft, id: string, details: Readonly<Record<string, string>>): void {
  flag(draft, id);
  tellUnsent(draft, id, details);
}

/** A provider speaks of what was never sent from here. */
export function tellUnsent(draft: Draft, id: string, details: Readonly<Record<string, string>>): void {
  draft.items.push({ kind: "payout", subject: id, reason: "not_sent_by_us", isIncident: true, details });
}

/** Whether a payout is still being followed; an inquiry about any other is a person's. */
export function needsWake(payout: Payout): boolean {
  return isPlannedOrOpen(payout) || payout.status === "CANCELLING";
}

export function inquireLater(draft: Draft, id: string, truth: SendTruth): void {
  const payout = payoutOf(draft, id);
  if (needsWake(payout)) {
    wakePayout(draft, id, draft.now + inquiryDelayMs(truth.inquiryScheduleMs, payout.inquiries));
    return;
  }
  // What was over before has work only where a person has asked for an inquiry: other news does not answer that.
  const before = draft.before.payouts.find((each) => each.id === id);
  const isAwaited = before !== undefined && !needsWake(before) && draft.woken !== id;
  if (!isAwaited) wakePayout(draft, id, null);
}
