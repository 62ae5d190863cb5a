/**
 * What a clear fact about our order does: it walks statuses by a table, posts what was paid and what came back, and
 * keeps the evidence. Anything about another order is no fact (docs/domain.md, Payout).
 */

import { max, min } from "../money/money.ts";
import type { Evidence, Operation, Payout, PayoutStatus } from "../order/payout.ts";
import { PAYOUT, PAYOUT_MEANING } from "../order/payout.ts";
import { endFlight, postPaid, postReturned } from "../order/settlement.ts";
import { type Draft, movePayout, patchPayout, patchRequest, payoutOf, wakePayout } from "../order/story.ts";
import { assert } from "../result.ts";
import type { Answer } from "./answer.ts";
import {
  flag,
  hearUnsure,
  holdUnsent,
  inquireLater,
  markAnswered,
  type SendTruth,
  said,
  tellUnknown,
  tellUnsent,
  unflag,
} from "./doubt.ts";
import { type Fact, resolutionRow } from "./resolution.ts";
import { isReversalElsewhere, isReversalLost, isStillReversing, leaveReversal } from "./reversal-rules.ts";

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
  PENDING: { ...OPEN_WALKS, ...FAILED_WALKS, accepted: ["PROCESSING"], pending: [], held: [], returning: [] },
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
    paid_part: ["CANCEL_FAILED"],
  },
  CANCEL_FAILED: PAID_WALKS,
  CANCELLED: {
    pending: ["PENDING"],
    held: ["PENDING"],
    paid: ["PROCESSED"],
    paid_part: ["PENDING", "PARTIALLY_PROCESSED"],
  },
  REVOKED: LATE_WALKS,
  INVOKE_FAILED: LATE_WALKS,
  PROCESS_FAILED: LATE_WALKS,
  TERMINATED: LATE_WALKS,
  EXPIRED: LATE_WALKS,
};

/** A fact, and how it was heard. */
export interface Heard {
  readonly operation: Operation;
  readonly answer: Answer;
  /** When an inquiry was asked; null for what came by itself. */
  readonly askedTime: number | null;
  /** What it proves where it ends a payout unpaid: the provider's word, or a person's decision. */
  readonly proves: Extract<Evidence, "D2" | "D4">;
}

/** Hears what may be a fact about our order; what is none is flagged or asked about. */
export function hearFact(draft: Draft, id: string, heard: Heard, truth: SendTruth): void {
  const payout = payoutOf(draft, id);
  const { answer, operation } = heard;
  if (answer.fact === "ignore") {
    inquireLater(draft, id, truth);
    return;
  }
  if (PAYOUT_MEANING[payout.status].class === "planned") {
    holdUnsent(draft, id, { operation, fact: answer.fact });
    return;
  }
  if (payout.status === "CREATE_FAILED") {
    // It has never left either, and no inquiry will ever tell: nobody else would hear of it.
    tellUnsent(draft, id, { operation, fact: answer.fact });
    return;
  }
  const wrong = differences(payout, answer);
  if (wrong.length > 0) {
    flag(draft, id);
    const details = { members: wrong.join(", "), operation };
    draft.items.push({ kind: "payout", subject: id, reason: "answer_differs", isIncident: true, details });
    patchPayout(draft, id, { resolution: "UNKNOWN", resolutionOf: operation });
    markAnswered(draft, id);
    inquireLater(draft, id, truth);
    return;
  }
  if (answer.fact === "unknown" || isPartWithoutFigure(payout, answer)) {
    hearUnsure(draft, id, { operation, resolution: answer.resolution, answer }, truth);
    return;
  }
  if (isReversalLost(payout, heard, truth)) {
    // The provider has shown the order: that it is not found later proves nothing any more.
    markAnswered(draft, id);
    unflag(draft, id);
    movePayout(draft, id, payout.status === "REVOKING" ? "REVOKE_FAILED" : "CANCEL_FAILED");
    leaveReversal(draft, id);
  } else {
    if (isReversalElsewhere(payout, heard, truth)) tellUnknown(draft, id);
    else unflag(draft, id);
    if (!isOldNews(payout, answer)) {
      const skipped = skippedReturn(payout, answer);
      if (skipped !== null) takeFact(draft, id, { ...heard, answer: skipped });
      takeFact(draft, id, heard);
    }
  }
  inquireLater(draft, id, truth);
}

/** A part without a figure says nothing about money; nor does a return, while only a part was asked back. */
function isPartWithoutFigure({ cancelMinor }: Payout, { fact, paidMinor, returnedMinor }: Answer): boolean {
  if (fact === "paid_part") return paidMinor === undefined;
  return fact === "returned" && returnedMinor === undefined && cancelMinor !== null;
}

/** Takes a fact that is ours and new: records what was said, then walks. */
function takeFact(draft: Draft, id: string, heard: Heard): void {
  const payout = payoutOf(draft, id);
  const { answer, operation } = heard;
  markAnswered(draft, id);
  patchPayout(draft, id, {
    ...said(answer),
    // Said while the request of a cancel is on its way, it may be what became of that: it must still count afterwards.
    factSequence: isBesideCancel(payout, heard) ? payout.factSequence : (answer.sequence ?? payout.factSequence),
    resolution: answer.resolution,
    resolutionOf: operation === "inquire" ? "process" : operation,
  });
  for (const to of walkOf(payout, heard)) step(draft, id, to, heard);
  // What is paid may grow while the rest may still come, and after success: the provider's figure is the truth.
  const after = payoutOf(draft, id);
  const cls = PAYOUT_MEANING[after.status].class;
  if (cls === "open" || cls === "paid") postPaid(draft, id, paidOf(after, answer));
  leaveReversal(draft, id);
}

/**
 * The return of which an answer tells besides what it is about: its own news was lost, or is still to come. It is taken
 * first. Null: nothing more has come back than is known.
 */
function skippedReturn(payout: Payout, answer: Answer): Answer | null {
  const { returnedMinor, paidMinor } = answer;
  if (returnedMinor === undefined || returnedMinor <= payout.returnedMinor || !GOING_ON.has(answer.fact)) return null;
  const paid = max(min(paidMinor ?? payout.amountMinor, payout.amountMinor), max(returnedMinor, payout.processedMinor));
  return { ...answer, fact: "returned", resolution: "OK", paidMinor: paid };
}

const GOING_ON: ReadonlySet<Fact> = new Set<Fact>(["accepted", "pending", "held", "paid", "paid_part"]);

function isBesideCancel(payout: Payout, heard: Heard): boolean {
  return payout.status === "CANCELLING" && payout.reversal === "open" && isStillReversing(payout, heard);
}

/** The statuses that a fact walks from where a payout stands. */
function walkOf(payout: Payout, heard: Heard): Walk {
  const { answer } = heard;
  if (isStillReversing(payout, heard)) return [];
  const walk = WALKS[payout.status][answer.fact] ?? [];
  const { returnedMinor } = answer;
  const paid = paidOf(payout, answer);
  // All of it was paid before, and part of that has come back: hearing of the payment again changes nothing.
  if (payout.status === "PARTIALLY_PROCESSED" && answer.fact === "paid" && paid <= payout.processedMinor) return [];
  // A partial return leads back to PARTIALLY_PROCESSED instead of CANCELLED.
  if (walk.at(-1) === "CANCELLED" && returnedMinor !== undefined && returnedMinor < paid) {
    return walk.map((to) => (to === "CANCELLED" ? "PARTIALLY_PROCESSED" : to));
  }
  // Part of it is paid: what fails or is pulled back is the rest.
  const returned = returnedMinor ?? (answer.fact === "returned" ? paid : payout.returnedMinor);
  if (paid > returned) {
    if (walk.at(-1) === "PROCESS_FAILED") return [...walk.slice(0, -1), "PARTIALLY_PROCESSED"];
    if (walk.at(-1) === "REVOKED") {
      const start = walk.slice(0, -1);
      if (returned > payout.returnedMinor) {
        const open = payout.status === "REVOKE_FAILED" ? start : [...start, "REVOKE_FAILED" as const];
        const end = paid < payout.amountMinor ? "PARTIALLY_PROCESSED" : "PROCESSED";
        return [...open, end, "CANCELLING", "PARTIALLY_PROCESSED"];
      }
      return [
        ...start,
        ...(payout.status === "REVOKE_FAILED" ? [] : (["REVOKE_FAILED"] as const)),
        "PARTIALLY_PROCESSED",
      ];
    }
  }
  // It was paid before it could be pulled back, we have booked that, and all of it has come back.
  if (walk.at(-1) === "REVOKED" && payout.processedMinor > 0n && paid <= returned) {
    const start: Walk = payout.status === "REVOKE_FAILED" ? [] : [...walk.slice(0, -1), "REVOKE_FAILED"];
    return [...start, paid < payout.amountMinor ? "PARTIALLY_PROCESSED" : "PROCESSED", ...REVERSED];
  }
  return walk;
}

/**
 * How much is paid by now, minor units, cumulative: what the provider says, else all of it where the fact says so. Once
 * everything had come back, a payment is a second one, whether the provider counts on or begins again.
 */
function paidOf(payout: Payout, answer: Answer): bigint {
  const { processedMinor, returnedMinor } = payout;
  const isAllBack = processedMinor > 0n && returnedMinor === processedMinor;
  if (isAllBack && answer.fact !== "paid" && answer.fact !== "paid_part") return processedMinor;
  if (isAllBack) return processedMinor + (answer.paidMinor ?? payout.amountMinor) - (answer.returnedMinor ?? 0n);
  if (answer.paidMinor !== undefined) return answer.paidMinor;
  const isAllPaid = answer.fact === "paid" || (answer.fact === "returned" && processedMinor === 0n);
  return isAllPaid ? max(payout.amountMinor, processedMinor) : processedMinor;
}

/** One step of a walk, with the ledger that goes with it. */
function step(draft: Draft, id: string, to: PayoutStatus, heard: Heard): void {
  const { answer } = heard;
  const from = payoutOf(draft, id);
  const isLate = PAYOUT.find(from.status, to)?.kind === "late";
  if (to === "PROCESS_FAILED" || to === "REVOKED") {
    endUnpaid(draft, id, to, heard.proves);
    return;
  }
  const paid = paidOf(from, answer);
  movePayout(draft, id, to);
  if (to === "PROCESSED" || (to === "PARTIALLY_PROCESSED" && from.status !== "CANCELLING")) {
    postPaid(draft, id, paid);
    endFlight(draft, id);
  }
  if (to === "CANCELLED") {
    // Nothing of it is left. A provider that calls a paid order failed may count neither its payment nor its return any
    // more; by our count all of it has come back.
    postReturned(draft, id, { ...answer, returnedMinor: max(answer.returnedMinor ?? 0n, from.processedMinor) });
  } else if (to === "PARTIALLY_PROCESSED" && from.status === "CANCELLING") {
    // It may tell of a second payment besides, whose own news was lost: no more can come back than was paid.
    postPaid(draft, id, paid);
    postReturned(draft, id, answer);
  }
  if (isLate) {
    const details = { from: from.status, to };
    draft.items.push({ kind: "payout", subject: id, reason: "paid_late", isIncident: true, details });
  }
}

/** Ends a payout that is not paid, with its evidence; what was sent stands at the provider again. */
export function endUnpaid(draft: Draft, id: string, to: PayoutStatus, evidence: Evidence): void {
  assert(PAYOUT_MEANING[to].class === "not_paid", `${to} is not an unpaid end`);
  movePayout(draft, id, to);
  endFlight(draft, id);
  const payout = patchPayout(draft, id, { evidence });
  const { resolution } = payout;
  if (resolution === "INVALID_DETAILS") patchRequest(draft, { areDetailsRefused: true });
  if (resolution !== null && evidence !== "D4" && resolutionRow(resolution).shutsAccount === true) {
    draft.shutAccounts.set(payout.providerAccountId, resolution);
  }
  leaveReversal(draft, id);
  unflag(draft, id);
  wakePayout(draft, id, null);
}

/** Which echoed members differ from the order. */
export function differences(payout: Payout, answer: Answer): string[] {
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
