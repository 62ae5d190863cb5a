/**
 * Revoke and cancel: pulling back what is not yet paid, and reversing what is. Asked for by a person, by the lifetime,
 * or because another payout of the same part turned out alive. The request is sent at most once per asking; what
 * became of it is found out by inquiry (docs/domain.md, Reversals).
 */

import type { AfterRevoke, Payout, PayoutStatus } from "../order/payout.ts";
import { type Draft, movePayout, patchPayout, payoutOf, wakePayout } from "../order/story.ts";
import type { Answer } from "./answer.ts";
import { NOT_NOW_LIMIT, notNowDelayMs } from "./backoff.ts";
import { hearUnsure, inquireLater, type SendTruth, said, unflag } from "./doubt.ts";
import { hearFact } from "./facts.ts";
import { type Resolution, resolutionRow } from "./resolution.ts";
import { leaveReversal } from "./reversal-rules.ts";

const REVOCABLE: ReadonlySet<PayoutStatus> = new Set<PayoutStatus>(["INVOKING", "PROCESSING", "PENDING"]);
const CANCELLABLE: ReadonlySet<PayoutStatus> = new Set<PayoutStatus>([
  "PROCESSED",
  "PARTIALLY_PROCESSED",
  "CANCEL_FAILED",
]);

/** Whether a payout is at its provider and may be pulled back; not while its own request may be in flight. */
export function isRevocable(payout: Payout): boolean {
  return REVOCABLE.has(payout.status) && payout.send !== "open" && payout.send !== "not_now";
}

/** Whether a payout is paid, and something of that has not come back. */
export function isCancellable(payout: Payout): boolean {
  return CANCELLABLE.has(payout.status) && payout.processedMinor > payout.returnedMinor;
}

/** Asks for a payout to be pulled back. It must be revocable. */
export function askRevoke(draft: Draft, id: string, then: AfterRevoke): void {
  const { send } = movePayout(draft, id, "REVOKING");
  patchPayout(draft, id, { ...DUE, afterRevoke: then, send: send === "again" ? "unknown" : send });
  wakePayout(draft, id, draft.now);
}

/** Asks for `cancelMinor` of a payout to be brought back; null: all that is left. It must be cancellable. */
export function askCancel(draft: Draft, id: string, cancelMinor: bigint | null): void {
  movePayout(draft, id, "CANCELLING");
  patchPayout(draft, id, { ...DUE, cancelMinor });
  wakePayout(draft, id, draft.now);
}

const DUE = { reversal: "due", reversalTime: null, reversalNotNows: 0 } as const;

/** The intent: from here on the request of the reversal may leave. */
export function openReversal(draft: Draft, id: string, truth: SendTruth): void {
  patchPayout(draft, id, {
    reversal: "open",
    reversalTime: draft.now + truth.leaseMs - truth.leaseMarginMs,
  });
}

/** What came of the request of a reversal. */
export type ReversalNews =
  | { readonly kind: "answer"; readonly operation: "revoke" | "cancel"; readonly answer: Answer }
  | { readonly kind: "lost"; readonly operation: "revoke" | "cancel"; readonly resolution: Resolution }
  | { readonly kind: "not_sent"; readonly operation: "revoke" | "cancel"; readonly resolution: Resolution };

/** Hears what became of the request. News that overtook it has the last word. */
export function hearReversal(draft: Draft, id: string, news: ReversalNews, truth: SendTruth): void {
  const { status, reversal } = payoutOf(draft, id);
  const { operation } = news;
  if (status !== (operation === "revoke" ? "REVOKING" : "CANCELLING") || reversal !== "open") {
    inquireLater(draft, id, truth);
    return;
  }
  if (news.kind === "not_sent") {
    sendLater(draft, id, { operation, resolution: news.resolution, retryAfterMs: null }, truth);
    return;
  }
  if (news.kind === "lost") {
    hearLost(draft, id, { operation, resolution: news.resolution }, truth);
    return;
  }
  const { answer } = news;
  switch (answer.sent) {
    case "not_now":
    case "not_sent": {
      const retryAfterMs = answer.retryAfterMs ?? null;
      sendLater(draft, id, { operation, resolution: answer.resolution, retryAfterMs }, truth);
      return;
    }
    case "refused":
      // Behind some words money may have moved although they sound final.
      if (resolutionRow(answer.resolution).mayHaveMoved === true) {
        hearLost(draft, id, { operation, resolution: answer.resolution, answer }, truth);
        return;
      }
      patchPayout(draft, id, said(answer));
      refuse(draft, id, { operation, resolution: answer.resolution }, truth);
      return;
    case "accepted":
      patchPayout(draft, id, { reversal: "accepted" });
      hearFact(draft, id, { operation, answer, askedTime: null, proves: "D2" }, truth);
      return;
    case "unknown":
      hearLost(draft, id, { operation, resolution: answer.resolution, answer }, truth);
  }
}

/** The request may have arrived: only inquiries from here. The holder reports: whatever left, left before now. */
function hearLost(
  draft: Draft,
  id: string,
  unsure: { operation: "revoke" | "cancel"; resolution: Resolution; answer?: Answer },
  truth: SendTruth,
): void {
  const { reversalTime } = payoutOf(draft, id);
  patchPayout(draft, id, { reversal: "unknown", reversalTime: Math.min(reversalTime ?? draft.now, draft.now) });
  hearUnsure(draft, id, unsure, truth);
}

/** Whoever held the lease of the request never reported. */
export function abandonReversal(draft: Draft, id: string, truth: SendTruth): void {
  const { status } = payoutOf(draft, id);
  const operation = status === "REVOKING" ? "revoke" : "cancel";
  patchPayout(draft, id, { reversal: "unknown" });
  hearUnsure(draft, id, { operation, resolution: "CONNECTION_ERROR" }, truth);
}

/** Nothing was done: it goes again later, ten times; then it has failed. */
function sendLater(
  draft: Draft,
  id: string,
  why: { operation: "revoke" | "cancel"; resolution: Resolution; retryAfterMs: number | null },
  truth: SendTruth,
): void {
  const reversalNotNows = payoutOf(draft, id).reversalNotNows + 1;
  const { operation: resolutionOf, resolution } = why;
  patchPayout(draft, id, { reversal: "due", reversalTime: null, reversalNotNows, resolution, resolutionOf });
  if (reversalNotNows >= NOT_NOW_LIMIT) refuse(draft, id, why, truth);
  else wakePayout(draft, id, draft.now + (why.retryAfterMs ?? notNowDelayMs(reversalNotNows)));
}

/** The provider will not do it. That ends the reversal, not the payout: its money is where it was. */
function refuse(
  draft: Draft,
  id: string,
  why: { operation: "revoke" | "cancel"; resolution: Resolution },
  truth: SendTruth,
): void {
  patchPayout(draft, id, { resolution: why.resolution, resolutionOf: why.operation });
  movePayout(draft, id, why.operation === "revoke" ? "REVOKE_FAILED" : "CANCEL_FAILED");
  leaveReversal(draft, id);
  unflag(draft, id);
  inquireLater(draft, id, truth);
}
