/** What a person may do about an order that the machine leaves alone (docs/domain.md, Moderation). */

import { min } from "../money/money.ts";
import type { Answer } from "../news/answer.ts";
import { isAddressKept, type SendTruth, unflag } from "../news/doubt.ts";
import { endUnpaid } from "../news/facts.ts";
import { hear } from "../news/news.ts";
import { askCancel, isCancellable } from "../news/reversal.ts";
import { leaveReversal } from "../news/reversal-rules.ts";
import { advance, askForEnd, continueOrder } from "./dispatch.ts";
import type { Payout } from "./payout.ts";
import { isPlannedOrOpen, PAYOUT_MEANING } from "./payout.ts";
import { adopt, start, type World } from "./payout-plan.ts";
import { REQUEST } from "./request.ts";
import {
  awaitsDecision,
  type Draft,
  foldPayouts,
  isLifetimeOver,
  movePayout,
  patchPayout,
  payoutOf,
  wakePayout,
} from "./story.ts";

/** Why an act is not possible now. */
export type ActObstacle = "in_flight" | "in_this_status" | "no_route" | "too_much" | "too_early" | "readdressed";

/** What a person says became of a payout. `amountMinor`: what was paid or came back in all; null: all of it. */
export interface Verdict {
  readonly says: "paid" | "not_paid" | "returned" | "not_returned";
  readonly amountMinor: bigint | null;
}

/** Whether a request about a payout may be on its way: until its outcome is known nobody decides anything. */
export function isCallOpen(payout: Payout): boolean {
  return payout.send === "open" || payout.reversal === "open";
}

/** Takes a person's word, with evidence attached (D4), for what became of a payout. */
export function decide(draft: Draft, id: string, verdict: Verdict, truth: SendTruth): ActObstacle | null {
  if (isInQuestion(payoutOf(draft, id))) {
    if (verdict.says === "not_paid") return endInQuestion(draft, id);
    // What somebody forgot to have sent is taken over, and then decided like everything that was sent.
    if (verdict.says === "paid" && payoutOf(draft, id).destinationHash !== null) adopt(draft, id);
  }
  const payout = payoutOf(draft, id);
  const cls = PAYOUT_MEANING[payout.status].class;
  if (isCallOpen(payout)) return "in_flight";
  if (cls === "planned" || payout.status === "CREATE_FAILED") return "in_this_status";
  // As long as a request may still arrive, nobody can say that it did not.
  const mayArrive = payout.lastLeaveTime !== null && draft.now <= payout.lastLeaveTime + (truth.waitWindowMs ?? 0);
  if (verdict.says === "not_paid" && payout.send === "unknown" && mayArrive) return "too_early";
  if (verdict.says === "not_returned") {
    if (payout.status !== "CANCELLING") return "in_this_status";
    movePayout(draft, id, "CANCEL_FAILED");
    leaveReversal(draft, id);
    unflag(draft, id);
    wakePayout(draft, id, null);
    return null;
  }
  const isApt = verdict.says === "returned" ? cls === "paid" : verdict.says === "paid" || cls === "open";
  if (!isApt) return "in_this_status";
  const figure = verdict.amountMinor ?? (verdict.says === "returned" ? payout.processedMinor : payout.amountMinor);
  if (verdict.says === "returned" && figure > payout.processedMinor) return "too_much";
  // What all came back was paid before that: only a figure beyond it says that it was paid again.
  if (verdict.says === "paid" && isAllBack(payout) && figure <= payout.processedMinor) return "in_this_status";
  hear(draft, id, { kind: "decision", answer: answerOf(payout, verdict, figure) }, truth);
  const after = payoutOf(draft, id);
  const isMoved = after.status !== payout.status || after.processedMinor !== payout.processedMinor;
  return isMoved || after.returnedMinor !== payout.returnedMinor ? null : "in_this_status";
}

/** Not sent, as far as we know, and yet a provider has spoken of it. */
function isInQuestion(payout: Payout): boolean {
  return PAYOUT_MEANING[payout.status].class === "planned" && payout.moderationRequired;
}

/** A person has proved that a provider's word about an order that we never sent was about nothing. */
function endInQuestion(draft: Draft, id: string): null {
  movePayout(draft, id, "TERMINATED");
  patchPayout(draft, id, { evidence: "D4", moderationRequired: false, flaggedTime: null });
  draft.closedItems.push({ subject: id, reason: "not_sent_by_us" });
  wakePayout(draft, id, null);
  return null;
}

function isAllBack({ processedMinor, returnedMinor }: Payout): boolean {
  return processedMinor > 0n && returnedMinor === processedMinor;
}

function answerOf(payout: Payout, { says }: Verdict, figure: bigint): Answer {
  const said = { sent: "accepted", resolution: "OK" } as const;
  if (says === "not_paid") return { ...said, fact: "failed", resolution: payout.resolution ?? "OK" };
  if (says === "returned") return { ...said, fact: "returned", returnedMinor: figure };
  const { returnedMinor } = payout;
  const fact = figure < payout.amountMinor ? "paid_part" : "paid";
  return { ...said, fact, paidMinor: figure, ...(isAllBack(payout) ? { returnedMinor } : {}) };
}

/** Starts a payout that waits in READY for a person. */
export function processPayout(draft: Draft, world: World, id: string): ActObstacle | null {
  const payout = payoutOf(draft, id);
  const { blocked, endAsked } = draft.request;
  const isWaiting = payout.status === "READY" && payout.isManual && !payout.moderationRequired;
  if (!isWaiting || blocked || endAsked !== null || isLifetimeOver(draft)) return "in_this_status";
  patchPayout(draft, id, { isManual: false });
  start(draft, world, id);
  return null;
}

/** Ends a payout of which nothing has been sent, or every request was answered *not now*. */
export function terminatePayout(draft: Draft, id: string): ActObstacle | null {
  const payout = payoutOf(draft, id);
  // Its provider has spoken of it: only evidence ends it, or what was paid would be given back.
  if (isInQuestion(payout)) return "in_flight";
  if (PAYOUT_MEANING[payout.status].class === "planned") {
    movePayout(draft, id, "TERMINATED");
    patchPayout(draft, id, { evidence: "D0" });
    wakePayout(draft, id, null);
    return null;
  }
  if (payout.status === "INVOKING" && payout.send === "not_now") {
    endUnpaid(draft, id, "TERMINATED", "D0");
    return null;
  }
  return isPlannedOrOpen(payout) ? "in_flight" : "in_this_status";
}

/** Lets the same reference be sent again, once the first request can no longer arrive. */
export function repeatPayout(
  draft: Draft,
  id: string,
  truth: SendTruth & { readonly isRepeatHarmless: boolean; readonly retentionMs: number | null },
): ActObstacle | null {
  const payout = payoutOf(draft, id);
  if (isCallOpen(payout)) return "in_flight";
  const isUndecided = payout.status === "INVOKING" && payout.send === "unknown";
  if (!isUndecided || !truth.isRepeatHarmless || draft.request.blocked) return "in_this_status";
  const { firstSendTime, lastLeaveTime } = payout;
  if (firstSendTime === null || lastLeaveTime === null || truth.waitWindowMs === null) return "in_this_status";
  // Elsewhere, or sent by somebody else, the same reference would be a first order.
  if (!isAddressKept(truth, firstSendTime)) return "readdressed";
  // The provider recognises a repeat for so long; near the end of that nobody should try.
  const isOld = truth.retentionMs === null || draft.now - firstSendTime > (truth.retentionMs * 8) / 10;
  if (isOld) return "in_this_status";
  if (draft.now <= lastLeaveTime + truth.waitWindowMs) return "too_early";
  patchPayout(draft, id, { send: "again" });
  wakePayout(draft, id, draft.now);
  return null;
}

/** Lets the unpaid rest of an order go by another payout. */
export function continueRequest(draft: Draft, world: World): ActObstacle | null {
  if (draft.payouts.some(isPlannedOrOpen)) return "in_flight";
  if (!awaitsDecision(draft)) return "in_this_status";
  if (continueOrder(draft, world) === 0) return "no_route";
  draft.closedItems.push({ subject: draft.request.id, reason: "partly_paid" });
  return null;
}

/** Takes what is paid as enough: the rest of the hold goes back. */
export function acceptPartial(draft: Draft): ActObstacle | null {
  if (!awaitsDecision(draft)) return "in_this_status";
  askForEnd(draft, "accept");
  return null;
}

/** Closes an order with what is paid, and asks for that to be brought back, where its providers can do that. */
export function takeBack(draft: Draft, world: World, mayCancel: (payout: Payout) => boolean): ActObstacle | null {
  if (!draft.payouts.filter(isCancellable).every(mayCancel)) return "in_this_status";
  const obstacle = acceptPartial(draft);
  if (obstacle !== null) return obstacle;
  advance(draft, world);
  for (const payout of draft.payouts) if (isCancellable(payout)) askCancel(draft, payout.id, null);
  return null;
}

/**
 * Asks for what an order has paid to be brought back: `serviceMinor` of it (minor units of the service's currency), or
 * all of it (null). The newest payouts are reversed first; the last of them in part, where its provider can do that.
 */
export function refund(
  draft: Draft,
  serviceMinor: bigint | null,
  mayCancel: (payout: Payout, isPart: boolean) => boolean,
): ActObstacle | null {
  if (draft.payouts.some((payout) => payout.status === "CANCELLING" || isPlannedOrOpen(payout))) return "in_flight";
  // Before it has settled a person accepts what is paid, or takes it back.
  if (REQUEST.find(draft.request.dispatchStatus, "CANCELING") === undefined) return "in_this_status";
  let left = serviceMinor;
  const newestFirst = draft.payouts.filter(isCancellable).toReversed();
  for (const payout of newestFirst) {
    if (left === 0n) break;
    const has = payout.processedMinor - payout.returnedMinor;
    // What an incident has cost us comes back first, and to us: the merchant is refunded by what comes after it.
    const oursMinor = payout.incidentMinor + payout.lossMinor;
    const theirs = left === null ? has - oursMinor : min(left, has - oursMinor);
    if (left !== null && theirs === 0n) continue;
    const cancelMinor = left === null || oursMinor + theirs >= has ? null : oursMinor + theirs;
    if (!mayCancel(payout, cancelMinor !== null)) return "in_this_status";
    askCancel(draft, payout.id, cancelMinor);
    if (left !== null) left -= theirs;
  }
  foldPayouts(draft);
  if (newestFirst.length === 0) return "in_this_status";
  return left === null || left === 0n ? null : "too_much";
}
