/**
 * The parts of a request: which of them may get another payout, how much of the amount is free for new ones, and how
 * an amount is cut where no route can carry it whole (docs/domain.md, Parts and attempts).
 */
import { max, min } from "../money/money.ts";
import { resolutionRow } from "../news/resolution.ts";
import { countedMinor, isPlannedOrOpen, type Payout } from "./payout.ts";
import type { PayoutRequest } from "./request.ts";

/** The most parts that an order has: an amount is cut into no more, and a request takes no more allocations. */
export const MAX_PARTS = 100;

/** A part, as its payouts make it. */
export interface Part {
  readonly part: number;
  readonly attempts: number;
  readonly last: Payout;
  /** What its payouts have paid or may still pay, minor units: an older one may have been revived. */
  readonly countedMinor: bigint;
  /** Whether one of its payouts, not only the newest, is planned or open. */
  readonly isBusy: boolean;
  /** Whether something of it was paid and came back. */
  readonly isReturned: boolean;
}

export function partsOf(payouts: readonly Payout[]): readonly Part[] {
  return [...Map.groupBy(payouts, (payout) => payout.part)].map(([part, group]) => {
    const last = group.reduce((a, b) => (b.attempt > a.attempt ? b : a));
    return {
      part,
      attempts: group.length,
      last,
      countedMinor: group.reduce((sum, payout) => sum + countedMinor(payout), 0n),
      isBusy: group.some(isPlannedOrOpen),
      isReturned: group.some((payout) => payout.returnedMinor > 0n),
    };
  });
}

/** The number of a part that begins. */
export function nextPart(payouts: readonly Payout[]): number {
  return Math.max(0, ...payouts.map((payout) => payout.part)) + 1;
}

/** Another attempt needs stored evidence that the one before cannot pay. */
export function isProvenUnpaid(payout: Payout): boolean {
  return payout.status === "CREATE_FAILED" || payout.evidence !== null;
}

/** Whether a resolution says that no other route helps either: the payee, or the details, are the reason. */
export function isStop(payout: Payout): boolean {
  return payout.resolution !== null && resolutionRow(payout.resolution).then === "stop";
}

/**
 * Whether the machine may make another payout of a part: the last one is proven unpaid, attempts are left, and nothing
 * of the part came back. What was revoked is paid by another route only if whoever revoked it said so.
 */
function mayTryAgain(part: Part, request: Pick<PayoutRequest, "attemptsLimit" | "paymentInstrumentId">): boolean {
  const { last } = part;
  if (part.isReturned || part.attempts >= request.attemptsLimit) return false;
  switch (last.status) {
    case "REVOKED":
      return last.afterRevoke === "reroute";
    case "CREATE_FAILED":
    case "INVOKE_FAILED":
    case "PROCESS_FAILED":
      // Another instrument lifts a stop: it was about the payee, or the payee's details.
      return isProvenUnpaid(last) && (!isStop(last) || last.paymentInstrumentId !== request.paymentInstrumentId);
    default:
      return false;
  }
}

/** What may be planned now, minor units. */
export interface Plannable {
  /** Parts whose next attempt may be made, each with its amount. */
  readonly again: readonly { readonly part: Part; readonly amountMinor: bigint }[];
  /** What no part has claimed yet. */
  readonly freshMinor: bigint;
  /** Whether some part is over without having been paid in full. */
  readonly hasLost: boolean;
}

/** What of the available amount belongs to which part. */
export function plannable(request: PayoutRequest, payouts: readonly Payout[]): Plannable {
  const again: { part: Part; amountMinor: bigint }[] = [];
  let left = request.availableMinor;
  let hasLost = false;
  for (const part of partsOf(payouts)) {
    if (part.isBusy) continue;
    const missing = max(0n, min(part.last.amountMinor - part.countedMinor, left));
    if (missing === 0n) continue;
    left -= missing;
    if (mayTryAgain(part, request)) again.push({ part, amountMinor: missing });
    else hasLost = true;
  }
  return { again, freshMinor: left, hasLost };
}

/** What a route can carry now, minor units. */
export interface Capacity {
  readonly routeId: string;
  readonly minMinor: bigint;
  readonly maxMinor: bigint;
}

/** So many routes are tried in combination: more than a scheme has in practice, and few enough to try them all. */
const MAX_COMBINED = 8;

/**
 * The least amount, at least `leastMinor`, that can be paid: by some of the routes once each, and by one of them any
 * number of times besides.
 */
function leastPayable(able: readonly Capacity[], leastMinor: bigint): bigint {
  const combined = able.slice(0, MAX_COMBINED);
  let best: bigint | null = null;
  for (let subset = 0; subset < 2 ** combined.length; subset += 1) {
    const once = combined.filter((_, index) => (subset & (1 << index)) !== 0);
    const from = once.reduce((sum, { minMinor }) => sum + minMinor, 0n);
    const upTo = once.reduce((sum, { maxMinor }) => sum + maxMinor, 0n);
    for (const { minMinor, maxMinor } of able) {
      const times = max(0n, (leastMinor - upTo + maxMinor - 1n) / maxMinor);
      const payable = max(leastMinor, from + times * minMinor);
      if (best === null || payable < best) best = payable;
    }
  }
  return best ?? leastMinor;
}

/**
 * How much of `amountMinor` to give to the next part, where no route carries all of it: as much as the first route of
 * the scheme can carry such that the rest can still be paid, in as many parts as that takes. Null: nothing of it can
 * be carried that way.
 */
export function cut(amountMinor: bigint, capacities: readonly Capacity[]): bigint | null {
  const able = capacities.filter(({ minMinor, maxMinor }) => maxMinor > 0n && maxMinor >= minMinor);
  for (const { minMinor, maxMinor } of able) {
    if (maxMinor >= amountMinor && amountMinor >= minMinor) return amountMinor;
    const leastRest = amountMinor - min(maxMinor, amountMinor - 1n);
    const chunk = amountMinor - leastPayable(able, leastRest);
    if (chunk > 0n && chunk >= minMinor) return chunk;
  }
  return null;
}
