/**
 * What may have happened at the providers that this database has forgotten (docs/safety.md, Recovery). After a restore,
 * a failover or a copy nothing leaves for the first time until the providers have been asked whether it left before.
 */

import { providerReference, type ReferenceShape } from "../ids.ts";
import { MAX_PARTS } from "../order/parts.ts";
import { isPlannedOrOpen, type Payout } from "../order/payout.ts";
import type { PayoutRequest } from "../order/request.ts";
import type { Answer } from "./answer.ts";
import { inquiryDelayMs } from "./backoff.ts";
import type { SendTruth } from "./doubt.ts";

const DAY_MS = 24 * 60 * 60 * 1000;

/** How long after the end of the lost window merchants may still repeat orders that were acknowledged inside it. */
export const WATCH_MS = 30 * DAY_MS;

/**
 * `due`: to be asked. `asked`: asked, and the answer said nothing that counts. `absent`: the provider does not know the
 * reference, and no request with it can still arrive. `found`: it does.
 */
export type CheckState = "due" | "asked" | "absent" | "found";

/** One question: does this provider account know the reference of this attempt? */
export interface RecoveryCheck {
  readonly organizationId: string;
  readonly payoutId: string;
  readonly epoch: number;
  readonly providerAccountId: string;
  readonly attempt: number;
  readonly reference: string;
  readonly state: CheckState;
  /** What the provider said of the order that it knows. */
  readonly fact: string | null;
  readonly tries: number;
  readonly askedTime: number | null;
  readonly version: number;
}

/** The first epoch is numbered 1; every later one by the second of 1970 in which it began. */
const FIRST_SECOND = 1_000_000_000;

/**
 * The last instant at which the database before this one can have acted, milliseconds since 1970: an epoch is numbered
 * by it. Null: there was no database before this one.
 */
export function lostEndOf(epoch: number): number | null {
  return epoch < FIRST_SECOND ? null : epoch * 1000;
}

/** Whether a payout was made before this database took over: what has become of it since may be forgotten. */
export function isFromBefore(payout: Pick<Payout, "createdTime">, epoch: number): boolean {
  const lostEnd = lostEndOf(epoch);
  return lostEnd !== null && payout.createdTime < lostEnd;
}

/**
 * Whether the providers must be asked before this payout is sent: it is from before, or first seen within 30 days
 * after. An order that is repeated has the same references as the one that was forgotten, for they are hashes of what
 * the merchant named: an invoice's referenceId, a request's id, or the Idempotency-Key of a POST without an id. An order
 * with no name of the merchant's could not be recognised: none is taken in that time.
 */
export function needsChecks(payout: Pick<Payout, "createdTime">, epoch: number): boolean {
  const lostEnd = lostEndOf(epoch);
  return lostEnd !== null && payout.createdTime < lostEnd + WATCH_MS;
}

/** What is asked of one provider account. */
export interface Questioned {
  readonly providerAccountId: string;
  readonly reference: ReferenceShape;
}

/**
 * Everything to be asked before a payout leaves: the references of its own and every later attempt, at each account.
 * The forgotten order may have been refused at one account and paid at the next; earlier attempts stand in this
 * database with their ends. The payout's own reference at its own account comes last: once that is answered, all is.
 */
export function questionsOf(
  payout: Payout,
  order: { readonly root: string; readonly attemptsLimit: number },
  accounts: readonly Questioned[],
): readonly Pick<RecoveryCheck, "providerAccountId" | "attempt" | "reference">[] {
  const { organizationId, part } = payout;
  const last = Math.max(payout.attempt, order.attemptsLimit);
  const isOwn = (id: string, attempt: number): boolean => id === payout.providerAccountId && attempt === payout.attempt;
  const others = accounts.flatMap(({ providerAccountId, reference }) =>
    Array.from({ length: last - payout.attempt + 1 }, (_, index) => payout.attempt + index)
      .filter((attempt) => !isOwn(providerAccountId, attempt))
      .map((attempt) => ({
        providerAccountId,
        attempt,
        reference: providerReference({ organizationId, root: order.root, part, attempt }, reference),
      })),
  );
  const { providerAccountId, attempt, reference } = payout;
  return [...others, { providerAccountId, attempt, reference }];
}

/**
 * A search of one provider account for parts that this database does not know: cut by routes as they were then, or
 * allocated by people. Goes through the parts one by one, for each attempt that they may have had.
 */
export interface PartSearch {
  readonly organizationId: string;
  readonly requestId: string;
  readonly epoch: number;
  readonly providerAccountId: string;
  readonly attempt: number;
  /** The part that is asked about next; of every earlier one nothing is there that is not known here. */
  readonly part: number;
  /** `absent`: of all the parts that an order may have. */
  readonly state: CheckState;
  readonly fact: string | null;
  readonly tries: number;
  readonly askedTime: number | null;
  readonly version: number;
}

/** Whether an order may have had other parts than the ones known here. */
export function mayHaveOtherParts(request: Pick<PayoutRequest, "isSplit" | "invoiceId">): boolean {
  return request.isSplit || request.invoiceId === null;
}

/**
 * Where unknown parts of an order are to be looked for, before any part of it leaves: all of them together must be no
 * more than the order, and nobody here remembers how it was cut.
 */
export function searchesOf(
  order: { readonly attempts: number },
  accounts: readonly Pick<Questioned, "providerAccountId">[],
): readonly Pick<PartSearch, "providerAccountId" | "attempt">[] {
  return accounts.flatMap(({ providerAccountId }) =>
    Array.from({ length: order.attempts }, (_, index) => ({ providerAccountId, attempt: index + 1 })),
  );
}

/** A payout that this database can account for: it was sent, or will be asked about before it is. */
export interface Accounted {
  readonly part: number;
  readonly attempt: number;
  /** Whether every account was, or will be, asked about its later attempts as well. */
  readonly areLaterAsked: boolean;
}

/** The next part from `from` on of which this database cannot account for an attempt; null: it can for all. */
export function nextUnknownPart(known: readonly Accounted[], attempt: number, from: number): number | null {
  for (let part = from; part <= MAX_PARTS; part += 1) {
    const isIt = (each: Accounted): boolean =>
      each.part === part && (each.attempt === attempt || (each.areLaterAsked && each.attempt < attempt));
    if (!known.some(isIt)) return part;
  }
  return null;
}

/** A search that stands at the next part to be asked about; over where there is none. */
export function searchFrom<S extends Pick<PartSearch, "attempt" | "part">>(search: S, known: readonly Accounted[]) {
  const part = nextUnknownPart(known, search.attempt, search.part);
  return {
    ...search,
    part: part ?? MAX_PARTS,
    state: part === null ? ("absent" as const) : ("due" as const),
    tries: 0,
  };
}

/** A search as it stands now: a part that was made here since it stopped there is asked about by itself. */
export function resume(search: PartSearch, known: readonly Accounted[]): PartSearch {
  const isThere = nextUnknownPart(known, search.attempt, search.part) === search.part;
  return isAnswered(search) || isThere ? search : searchFrom({ ...search, version: search.version + 1 }, known);
}

/**
 * A search after an answer about a part. What is found stays found. Another payout of the order may have asked the same
 * question before: an older answer that found nothing says nothing new.
 */
export function advance(
  search: PartSearch,
  heard: { readonly part: number; readonly state: CheckState; readonly fact: string | null },
  known: readonly Accounted[],
): PartSearch {
  const { part, state, fact } = heard;
  const next = { ...search, version: search.version + 1 };
  if (search.state === "found") return search;
  if (state === "found") return { ...next, part, state, fact };
  if (isAnswered(search) || search.part !== part) return search;
  return state === "absent" ? searchFrom({ ...next, part: part + 1 }, known) : { ...next, state };
}

/** The check that is to be asked next; null when all have been answered. */
export function nextCheck<C extends Pick<RecoveryCheck, "state">>(checks: readonly C[]): C | null {
  return checks.find((check) => !isAnswered(check)) ?? null;
}

export function isAnswered(check: Pick<RecoveryCheck, "state">): boolean {
  return check.state === "absent" || check.state === "found";
}

export type CheckTruth = Pick<SendTruth, "waitWindowMs" | "isInquiryComplete" | "inquiryScheduleMs" | "addressedEpoch">;

/** When an order was made here, milliseconds since 1970. */
type OrderTime = Pick<PayoutRequest, "createdTime">;

/**
 * Whether an account is addressed as it was when the order may have been sent there and forgotten. What this database
 * knows of the account from before it took over was so when the lost window began: a change in the window is forgotten
 * as well, and must be made again. So only a change made since then matters, and only for orders of which a database
 * before it may have known; of a newer order nothing can have been sent before the change. Epochs, not times, are
 * compared: the window's end may be moved to after a change that was made here (docs/decisions/0013-readdressed.md).
 */
function isAddressedAsBefore({ addressedEpoch }: CheckTruth, order: OrderTime): boolean {
  return addressedEpoch === null || !needsChecks(order, addressedEpoch);
}

/**
 * What an answer says about a forgotten send. "Not found" counts only where evidence D3 would: from a provider that
 * lists everything, asked where it may have been sent, when no request of the old database can still arrive. Times in
 * milliseconds since 1970.
 */
export function readCheck(
  answer: Answer,
  asked: { readonly askedTime: number; readonly epoch: number; readonly order: OrderTime },
  truth: CheckTruth,
): CheckState {
  if (answer.found === "no") {
    const lostEnd = lostEndOf(asked.epoch) ?? 0;
    const { waitWindowMs, isInquiryComplete } = truth;
    const isLateEnough = waitWindowMs !== null && asked.askedTime > lostEnd + waitWindowMs;
    const isThere = isInquiryComplete && isAddressedAsBefore(truth, asked.order);
    return isLateEnough && isThere ? "absent" : "asked";
  }
  const isKnown = answer.fact !== "unknown" && answer.fact !== "ignore";
  return answer.found === "yes" || isKnown ? "found" : "asked";
}

/** After so many answers that say nothing a person is told. */
export const PATIENCE = 12;

/** Whether an account's "not found" can ever prove that nothing of an order is there. */
export function canDeny(truth: CheckTruth, byOurReference: string, order: OrderTime): boolean {
  const isCertain = truth.waitWindowMs !== null && truth.isInquiryComplete;
  return byOurReference === "yes" && isCertain && isAddressedAsBefore(truth, order);
}

/** When a question whose answer did not count is asked again, milliseconds since 1970. */
export function askAgainTime(check: Pick<RecoveryCheck, "tries">, now: number, truth: CheckTruth): number {
  return now + inquiryDelayMs(truth.inquiryScheduleMs, check.tries);
}

/**
 * A payout from before may have been sent again under its reference, and nobody here knows when: the last instant at
 * which any request with it could have left is the end of the lost window at the earliest.
 */
export function lastLeaveTime(payout: Payout, epoch: number): number | null {
  const lostEnd = lostEndOf(epoch);
  if (lostEnd === null || payout.createdTime >= lostEnd || !isPlannedOrOpen(payout)) return payout.lastLeaveTime;
  return Math.max(payout.lastLeaveTime ?? 0, lostEnd);
}

/** How far the inquiries are. */
export interface Progress {
  readonly listed: number;
  /** Inquired with an answer that counts, since the epoch began. */
  readonly inquired: number;
  /** Not answered, but in the hands of a person. */
  readonly inModeration: number;
  readonly toDo: number;
}

/** Why the gate may not be opened yet; null: it may. */
export function whyNotOpen(isListed: boolean, progress: Progress): string | null {
  if (!isListed) return "the list of payouts to be inquired is not complete";
  if (progress.toDo === 0) return null;
  return `${progress.toDo} of ${progress.listed} payouts have not been inquired with an answer`;
}
