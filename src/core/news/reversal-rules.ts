/** When a reversal that was asked for is over, without its having been done. */

import type { Payout } from "../order/payout.ts";
import { type Draft, patchPayout, payoutOf } from "../order/story.ts";
import type { Answer } from "./answer.ts";
import { isAddressKept, type SendTruth } from "./doubt.ts";
import type { Fact } from "./resolution.ts";

const STILL_THERE: ReadonlySet<Fact> = new Set<Fact>(["accepted", "pending", "held"]);
const STILL_PAID: ReadonlySet<Fact> = new Set<Fact>(["paid", "paid_part"]);

interface Asked {
  readonly answer: Answer;
  readonly askedTime: number | null;
}

/** Whether a fact says that nothing of the reversal has happened yet. */
function isUntouched(payout: Payout, { answer }: Asked): boolean {
  // What was said before tells of no return since, whatever had come back by then.
  const { sequence, returnedMinor } = answer;
  const isOld = sequence !== undefined && payout.factSequence !== null && sequence <= payout.factSequence;
  if (!isOld && returnedMinor !== undefined && returnedMinor > payout.returnedMinor) return false;
  if (payout.status === "REVOKING") return STILL_THERE.has(answer.fact);
  return payout.status === "CANCELLING" && (STILL_PAID.has(answer.fact) || isReturnedBefore(payout, answer));
}

/** Whether a return that is told of is the one of an earlier reversal, or a part of it. */
function isReturnedBefore({ returnedMinor }: Payout, answer: Answer): boolean {
  if (answer.fact !== "returned" || answer.returnedMinor === undefined) return false;
  return returnedMinor > 0n && answer.returnedMinor <= returnedMinor;
}

/**
 * Whether the request of a reversal whose outcome is unknown is known to have done nothing: asked later than the wait
 * window after it could last have left, the provider shows the order as it was before.
 */
export function isReversalLost(payout: Payout, asked: Asked, truth: SendTruth): boolean {
  return isLeftAlone(payout, asked, truth) && isReversalAddressKept(payout, truth);
}

/** The same, shown at another address than the request went to, or to somebody else: that proves nothing. */
export function isReversalElsewhere(payout: Payout, asked: Asked, truth: SendTruth): boolean {
  return isLeftAlone(payout, asked, truth) && !isReversalAddressKept(payout, truth);
}

/** The intent is at most a lease, less its margin, older than the last instant at which the request could have left. */
function isReversalAddressKept({ reversalTime }: Payout, truth: SendTruth): boolean {
  const earliest = reversalTime === null ? null : reversalTime - truth.leaseMs + truth.leaseMarginMs;
  return isAddressKept(truth, earliest);
}

function isLeftAlone(payout: Payout, asked: Asked, truth: SendTruth): boolean {
  if (payout.reversal !== "unknown" || asked.askedTime === null) return false;
  if (truth.waitWindowMs === null || payout.reversalTime === null) return false;
  return isUntouched(payout, asked) && asked.askedTime > payout.reversalTime + truth.waitWindowMs;
}

/**
 * Whether a fact that shows the order as it was before is no news about its reversal: it was said before the reversal,
 * or while that was on its way. Only a provider that numbers its news can say *paid* after it took a cancel and mean
 * that the cancel came to nothing.
 */
export function isStillReversing(payout: Payout, asked: Asked): boolean {
  if (!isUntouched(payout, asked)) return false;
  if (payout.status === "REVOKING") return true;
  const { sequence } = asked.answer;
  const isNumbered = sequence !== undefined && payout.factSequence !== null;
  switch (payout.reversal) {
    case "none":
      return false;
    case "accepted":
      return !isNumbered;
    case "due":
    case "open":
    case "unknown":
      return true;
  }
}

/** Forgets the request of a reversal once the payout has left the status that waits for it. */
export function leaveReversal(draft: Draft, id: string): void {
  const { status, reversal, cancelMinor } = payoutOf(draft, id);
  if (status === "REVOKING" || status === "CANCELLING") return;
  if (reversal === "none" && cancelMinor === null) return;
  patchPayout(draft, id, { reversal: "none", cancelMinor: null });
}
