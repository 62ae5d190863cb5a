/** Routing: which deposit account carries a payout, and why not the others (docs/domain.md, Routing). */
import { min } from "../money/money.ts";
import type { Resolution } from "../news/resolution.ts";
import { assert } from "../result.ts";

/** Credentials at one provider. `gate` shut: nothing new is sent there; inquiries and callbacks go on. */
export interface ProviderAccount {
  readonly organizationId: string;
  readonly id: string;
  readonly connector: string;
  readonly name: string;
  /** Where the provider's interface answers, without a trailing slash. */
  readonly baseUrl: string;
  readonly settings: unknown;
  readonly credentials: Uint8Array;
  /** The opaque last part of the address that the provider calls back. */
  readonly callbackId: string;
  readonly gate: "open" | "shut";
  readonly gateReason: string | null;
  /** When `baseUrl`, `settings` or `credentials` last became others; null: they are as the account was made with. */
  readonly addressedTime: number | null;
  /** The epoch of the database in which that was. */
  readonly addressedEpoch: number | null;
  readonly version: number;
  readonly createdTime: number;
  readonly updatedTime: number;
}

/** One balance in one currency at a provider account. */
export interface DepositAccount {
  readonly organizationId: string;
  readonly id: string;
  readonly providerAccountId: string;
  readonly currency: string;
  readonly name: string;
  /** Kept back: a route is dropped when the balance would fall below it. */
  readonly minimalBalanceMinor: bigint;
  readonly version: number;
  readonly createdTime: number;
  readonly updatedTime: number;
}

/** A deposit account offering one payout service. Limits are minor units; null = none. */
export interface Route {
  readonly organizationId: string;
  readonly id: string;
  readonly depositAccountId: string;
  readonly service: string;
  readonly isEnabled: boolean;
  readonly isArchived: boolean;
  readonly isManual: boolean;
  readonly minAmountMinor: bigint | null;
  readonly maxAmountMinor: bigint | null;
  readonly version: number;
  readonly createdTime: number;
  readonly updatedTime: number;
}

/** A revision of a routing, rate or commerce scheme. Revisions never change. */
export interface Scheme {
  readonly organizationId: string;
  readonly kind: "routing" | "rate" | "commerce";
  readonly id: string;
  readonly revision: number;
  readonly name: string;
  readonly body: unknown;
  readonly createdTime: number;
}

/** What a routing scheme says for one service: a strategy over routes, several in order, or *block*. */
export type RoutingLeaf =
  | { readonly strategy: "direct" | "priority"; readonly routes: readonly string[] }
  | { readonly strategy: "weight"; readonly routes: readonly { readonly route: string; readonly weight: number }[] }
  | { readonly set: readonly RoutingLeaf[] }
  | { readonly block: true };

export interface RoutingScheme {
  readonly services: Readonly<Record<string, RoutingLeaf>>;
  /** For services that are not named. */
  readonly otherwise?: RoutingLeaf;
}

/** A route with what the filters ask about it. */
export interface Candidate {
  readonly route: Route;
  readonly providerAccountId: string;
  readonly currency: string;
  readonly isGateOpen: boolean;
  /** The deposit account's balance less its minimal balance, minor units. */
  readonly spendableMinor: bigint;
}

/** What is to be routed. `excluded`: routes that refused this request before; `random`: 0 <= random < 1 000 000. */
export interface RoutingQuestion {
  readonly service: string;
  readonly currency: string;
  readonly amountMinor: bigint;
  readonly excluded: ReadonlySet<string>;
  readonly random: number;
}

/** Why a candidate was dropped; stored beside the decision. */
export type Dropped =
  | "missing"
  | "archived"
  | "disabled"
  | "service"
  | "currency"
  | "below_minimum"
  | "above_maximum"
  | "gate_shut"
  | "refused_before"
  | "insufficient_funds";

export interface RoutingDecision {
  readonly chosen: Candidate | null;
  /** Set when nothing was chosen. */
  readonly resolution: Resolution | null;
  /** Nothing was chosen, but only for want of money at the provider: waiting may help. */
  readonly awaitsFunds: boolean;
  readonly dropped: readonly { readonly route: string; readonly why: Dropped }[];
  /** The route that was asked for by name and cannot carry it. */
  readonly refused?: Candidate;
}

function whyDropped(candidate: Candidate | undefined, question: RoutingQuestion): Dropped | null {
  if (candidate === undefined) return "missing";
  const { route } = candidate;
  if (route.isArchived) return "archived";
  if (!route.isEnabled) return "disabled";
  if (route.service !== question.service) return "service";
  if (candidate.currency !== question.currency) return "currency";
  if (route.minAmountMinor !== null && question.amountMinor < route.minAmountMinor) return "below_minimum";
  if (route.maxAmountMinor !== null && question.amountMinor > route.maxAmountMinor) return "above_maximum";
  if (!candidate.isGateOpen) return "gate_shut";
  if (question.excluded.has(route.id)) return "refused_before";
  if (candidate.spendableMinor < question.amountMinor) return "insufficient_funds";
  return null;
}

/** Chooses one of the usable routes by weight; `random` decides, so that the draw can be stored and repeated. */
function draw(usable: readonly { candidate: Candidate; weight: number }[], random: number): Candidate | null {
  const total = usable.reduce((sum, each) => sum + each.weight, 0);
  if (total === 0) return null;
  let ticket = Math.floor((random * total) / 1_000_000);
  for (const each of usable) {
    if (ticket < each.weight) return each.candidate;
    ticket -= each.weight;
  }
  return null;
}

/**
 * Decides one routing leaf. The decision names every candidate that was dropped and why. Nothing usable:
 * `STRATEGY_RECEIVED_NO_ROUTES` when the leaf names none, `STRATEGY_CONFIGURED_ROUTES_WERE_FILTERED` when filters
 * dropped all, `BLOCKED_BY_SCHEME` at a *block* leaf.
 */
export function route(
  leaf: RoutingLeaf | undefined,
  candidates: ReadonlyMap<string, Candidate>,
  question: RoutingQuestion,
): RoutingDecision {
  const dropped: { route: string; why: Dropped }[] = [];
  const nothing = (resolution: Resolution, awaitsFunds: boolean): RoutingDecision => ({
    chosen: null,
    resolution,
    awaitsFunds,
    dropped,
  });
  if (leaf === undefined) return nothing("STRATEGY_RECEIVED_NO_ROUTES", false);
  if ("block" in leaf) return nothing("BLOCKED_BY_SCHEME", false);
  if ("set" in leaf) return routeBySet(leaf.set, candidates, question);

  const named = leaf.strategy === "weight" ? leaf.routes : leaf.routes.map((id) => ({ route: id, weight: 1 }));
  if (named.length === 0) return nothing("STRATEGY_RECEIVED_NO_ROUTES", false);
  const usable: { candidate: Candidate; weight: number }[] = [];
  for (const { route: id, weight } of named) {
    const candidate = candidates.get(id);
    const why = whyDropped(candidate, question);
    if (why !== null) dropped.push({ route: id, why });
    else if (candidate !== undefined) usable.push({ candidate, weight });
  }
  const chosen = leaf.strategy === "weight" ? draw(usable, question.random) : (usable[0]?.candidate ?? null);
  if (chosen !== null) return { chosen, resolution: null, awaitsFunds: false, dropped };
  return nothing(
    "STRATEGY_CONFIGURED_ROUTES_WERE_FILTERED",
    dropped.some((each) => each.why === "insufficient_funds"),
  );
}

/** An ordered set of strategies: the first that yields a route decides; a *block* inside it stops the search. */
function routeBySet(
  leaves: readonly RoutingLeaf[],
  candidates: ReadonlyMap<string, Candidate>,
  question: RoutingQuestion,
): RoutingDecision {
  const dropped: { route: string; why: Dropped }[] = [];
  let last: RoutingDecision | null = null;
  let awaitsFunds = false;
  for (const leaf of leaves) {
    const decision = route(leaf, candidates, question);
    dropped.push(...decision.dropped);
    awaitsFunds ||= decision.awaitsFunds;
    if (decision.chosen !== null || decision.resolution === "BLOCKED_BY_SCHEME") return { ...decision, dropped };
    last = decision;
  }
  if (last === null) {
    return { chosen: null, resolution: "STRATEGY_RECEIVED_NO_ROUTES", awaitsFunds: false, dropped };
  }
  const resolution = dropped.length > 0 ? "STRATEGY_CONFIGURED_ROUTES_WERE_FILTERED" : last.resolution;
  return { chosen: null, resolution, awaitsFunds, dropped };
}

/** Decides on one route that a person has named, whatever the scheme says. */
export function routeOnly(candidate: Candidate, question: RoutingQuestion): RoutingDecision {
  const why = whyDropped(candidate, question);
  if (why === null) return { chosen: candidate, resolution: null, awaitsFunds: false, dropped: [] };
  const resolution = "STRATEGY_CONFIGURED_ROUTES_WERE_FILTERED";
  const awaitsFunds = why === "insufficient_funds";
  return { chosen: null, resolution, awaitsFunds, dropped: [{ route: candidate.route.id, why }], refused: candidate };
}

/** What each route of a leaf could carry, minor units, in the leaf's order: the limits that are about the amount. */
export function capacitiesOf(
  leaf: RoutingLeaf | undefined,
  candidates: ReadonlyMap<string, Candidate>,
  question: Omit<RoutingQuestion, "amountMinor">,
): readonly { readonly routeId: string; readonly minMinor: bigint; readonly maxMinor: bigint }[] {
  return routesOf(leaf).flatMap((routeId) => {
    const candidate = candidates.get(routeId);
    if (candidate === undefined) return [];
    const { minAmountMinor, maxAmountMinor } = candidate.route;
    const minMinor = minAmountMinor ?? 1n;
    // Asked about the least that it takes, and as if it had that: what remains are the filters that no amount changes.
    const why = whyDropped({ ...candidate, spendableMinor: minMinor }, { ...question, amountMinor: minMinor });
    if (why !== null) return [];
    const spendable = candidate.spendableMinor;
    return [{ routeId, minMinor, maxMinor: maxAmountMinor === null ? spendable : min(maxAmountMinor, spendable) }];
  });
}

/** Every route that a scheme may lead to for a service, so that their balances can be read before deciding. */
export function routesOf(leaf: RoutingLeaf | undefined): readonly string[] {
  if (leaf === undefined || "block" in leaf) return [];
  if ("set" in leaf) return leaf.set.flatMap(routesOf);
  if (leaf.strategy === "weight") {
    assert(
      leaf.routes.every((each) => Number.isInteger(each.weight) && each.weight >= 0),
      "a route's weight is a whole number",
    );
    return leaf.routes.map((each) => each.route);
  }
  return leaf.routes;
}
