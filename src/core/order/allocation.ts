/**
 * Allocations: payouts of a bare request, made by a person. They wait in READY until *process*; where the payee's
 * details are still awaited, in CREATED (docs/domain.md, Payout request).
 */
import { isEnded } from "./dispatch.ts";
import { MAX_PARTS, nextPart } from "./parts.ts";
import type { Payout } from "./payout.ts";
import { failToCreate, makePayout, refusedRoutes, takenInDraft, type World } from "./payout-plan.ts";
import { REQUEST } from "./request.ts";
import { type Draft, foldPayouts, isLifetimeOver, moveRequest } from "./story.ts";

/** Why nothing was allocated. */
export type NotAllocated =
  | "in_this_status"
  | "blocked"
  | "more_than_available"
  | "too_many_parts"
  | "no_route"
  | "unknown_route";

/** Why a request takes no allocation of so much; null: it does. */
function obstacleToAllocation(draft: Draft, amountMinor: bigint): NotAllocated | null {
  const { request } = draft;
  const isOver = isEnded(draft) && REQUEST.find(request.dispatchStatus, "READY") === undefined;
  if (isOver || isLifetimeOver(draft) || request.endAsked !== null || request.dispatchStatus === "CREATED") {
    return request.blocked ? "blocked" : "in_this_status";
  }
  if (request.blocked) return "blocked";
  if (nextPart(draft.payouts) > MAX_PARTS) return "too_many_parts";
  return amountMinor > request.availableMinor || amountMinor <= 0n ? "more_than_available" : null;
}

/**
 * Allocates so much of a bare request: to the named route (a refusal of it is recorded as CREATE_FAILED), or to the
 * one that the scheme chooses. Changes nothing when it answers with a reason.
 */
export function allocate(
  draft: Draft,
  world: World,
  wanted: { readonly amountMinor: bigint; readonly routeId: string | null },
): Payout | NotAllocated {
  const { amountMinor, routeId } = wanted;
  const obstacle = obstacleToAllocation(draft, amountMinor);
  if (obstacle !== null) return obstacle;
  const question = {
    amountMinor,
    excluded: routeId === null ? refusedRoutes(draft) : new Set<string>(),
    taken: takenInDraft(draft),
    ...(routeId === null ? {} : { only: routeId }),
  };
  const routed = world.route(question);
  const { chosen, refused } = routed.decision;
  if (routed.connector === null || (chosen === null && refused === undefined)) {
    return routeId === null ? "no_route" : "unknown_route";
  }
  if (isEnded(draft)) moveRequest(draft, "READY");
  const planned = { part: nextPart(draft.payouts), attempt: 1, amountMinor, isManual: true };
  const make = chosen === null ? failToCreate : makePayout;
  const payout = make(draft, world, routed, planned);
  foldPayouts(draft);
  return payout;
}
