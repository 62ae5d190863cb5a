/** What core asks of the world while a story is decided: routes, balances, connectors, slots. */
import type { PayoutQuery } from "../connectors/contract.ts";
import { atProvider } from "../core/money/ledger.ts";
import type { SendTruth } from "../core/news/doubt.ts";
import { mayHaveOtherParts, needsChecks, type PartSearch, type RecoveryCheck } from "../core/news/recovery.ts";
import type { Resolution } from "../core/news/resolution.ts";
import type { Payout } from "../core/order/payout.ts";
import type { Routed, RouteQuestion, World } from "../core/order/payout-plan.ts";
import type { PayoutRequest } from "../core/order/request.ts";
import type { Draft } from "../core/order/story.ts";
import { assert } from "../core/result.ts";
import { type Candidate, capacitiesOf, route, routeOnly, routesOf } from "../core/setup/routing.ts";
import type { Context } from "./context.ts";
import { type ProviderSetup, routingLeaf } from "./setup.ts";

/** An account's truth as core reads it. The wait window exists only where all of its parts are declared. */
export function sendTruth({ connector: { truth }, row }: ProviderSetup): SendTruth {
  const { lateArrivalMs, inquiryLagMs } = truth;
  const isDeclared = lateArrivalMs !== null && inquiryLagMs !== null;
  return {
    leaseMs: truth.leaseMs,
    leaseMarginMs: truth.leaseMarginMs,
    waitWindowMs: isDeclared ? truth.timeoutMs + lateArrivalMs + inquiryLagMs + truth.workerPauseMs : null,
    isInquiryComplete: truth.inquiry.complete,
    inquiryScheduleMs: truth.inquiry.scheduleMs,
    addressedTime: row.addressedTime,
    addressedEpoch: row.addressedEpoch,
  };
}

/** The provider account of a payout, with its connector. */
export function providerOf(context: Context, payout: Payout): ProviderSetup {
  const provider = context.setup.providers.get(payout.providerAccountId);
  assert(provider !== undefined, `the connector ${payout.connector} of payout ${payout.id} is installed`);
  return provider;
}

/** Whether anything new may be sent for this organization at all, and in this currency where one is named. */
export function isSendingOpen(context: Context, currency: string | null = null): boolean {
  const { gate, shutCurrencies } = context.lock;
  if (!context.moment.isGateOpen || gate !== "open") return false;
  return currency === null || !shutCurrencies.includes(currency);
}

/**
 * Why a payout cannot go by its route any more, although it could when it was planned: it may have waited since, for a
 * person, a slot or a worker, and what is only planned takes nothing of a balance. The wake-up ends it with D0, so that
 * another route may carry the order, or lets it wait where only money is missing.
 */
export function obstacleToSend(context: Context, draft: Draft, payout: Payout): Resolution | null {
  const { organizationId, rows, setup } = context;
  // An account whose connector is not installed has no setup: nothing is sent by it.
  const provider = setup.providers.get(payout.providerAccountId);
  const row = rows.get("providerAccount", [organizationId, payout.providerAccountId]) ?? provider?.row;
  if (provider === undefined || row?.gate !== "open") return "ACCESS_DENIED";
  // What was sent before is off the balance already.
  if (payout.firstSendTime !== null) return null;
  const { depositAccountId } = payout;
  const deposit =
    rows.get("depositAccount", [organizationId, depositAccountId]) ?? setup.deposits.get(depositAccountId);
  assert(deposit !== undefined, `the deposit account of payout ${payout.id} is known`);
  const { balanceMinor } = context.account(atProvider(deposit.id, deposit.currency));
  const spendableMinor = balanceMinor - deposit.minimalBalanceMinor - leavingWith(draft, payout);
  return spendableMinor < payout.amountMinor ? "INSUFFICIENT_FUNDS" : null;
}

/** What the same decision sends from the same deposit account: it is posted when the decision is saved. */
function leavingWith(draft: Draft, payout: Payout): bigint {
  const wasSent = new Set(draft.before.payouts.filter((each) => each.firstSendTime !== null).map(({ id }) => id));
  return draft.payouts
    .filter((each) => each.depositAccountId === payout.depositAccountId && each.firstSendTime !== null)
    .reduce((sum, { id, amountMinor }) => (wasSent.has(id) ? sum : sum + amountMinor), 0n);
}

/** The question of a later call about a payout. */
export function queryOf(context: Context, draft: Pick<Draft, "request">, payout: Payout): PayoutQuery {
  return {
    reference: payout.reference,
    providerReference: payout.providerReference,
    amountMinor: payout.amountMinor,
    currency: payout.currency,
    destination: destinationOf(context, draft, payout),
  };
}

/** Everything that core may ask while it decides this draft. */
export function worldOf(context: Context, draft: Draft): World {
  const website = context.rows.get("website", [context.organizationId, draft.request.websiteId]);
  assert(website !== null, `website ${draft.request.websiteId} is loaded`);
  const schemeId = website.routingSchemeId;
  return {
    newId: () => context.newId(),
    mayDispatch: draft.request.invoiceId !== null || website.requestAutoprocess,
    revokesAtExpiry: website.revokeAtExpiry,
    returnsCommission: website.refundCommission === "return",
    route: (question) => routeStory(context, draft, { ...question, schemeId }),
    capacities: ({ excluded, taken }) => {
      const { leaf, service } = leafOf(context, draft, schemeId);
      const random = 0;
      return capacitiesOf(leaf, candidatesOf(context, routesOf(leaf), taken), {
        service,
        currency: draft.request.currency,
        excluded,
        random,
      });
    },
    // After a restore the providers are asked first whether they know it already (src/engine/recovery.ts).
    takeSendSlot: (payout) =>
      isSendingOpen(context, payout.currency) &&
      !needsChecks(payout, context.moment.epoch) &&
      obstacleToSend(context, draft, payout) === null &&
      context.takeSlot(payout.providerAccountId),
    isSurelyUnsent: (payout) => isSurelyUnsent(context, draft.request, payout),
    canRevoke: (payout) => providerOf(context, payout).connector.revoke !== undefined,
    destinationHashOf: (payout) =>
      providerOf(context, payout).connector.destinationHash(openDestination(context, draft)),
    truthOf: (payout) => sendTruth(providerOf(context, payout)),
  };
}

/** What was asked about a payout in this epoch. */
export function checksOf({ moment, rows }: Context, payoutId: string): readonly RecoveryCheck[] {
  return rows.group("recoveryCheck", "payoutId", payoutId).filter((row) => row.epoch === moment.epoch);
}

/** Whether every account that was asked about a payout has denied it: its own account is asked last. */
export function isDenied(context: Context, payout: Payout): boolean {
  const { epoch } = context.moment;
  if (!needsChecks(payout, epoch)) return true;
  const checks = checksOf(context, payout.id);
  const isOwn = (check: RecoveryCheck): boolean =>
    check.providerAccountId === payout.providerAccountId && check.attempt === payout.attempt;
  return checks.some(isOwn) && checks.every(({ state }) => state === "absent");
}

/** How far the search for parts of an order that were forgotten is, in this epoch. */
export function searchesFor(context: Context, requestId: string): readonly PartSearch[] {
  const { organizationId, moment, rows } = context;
  return rows
    .group("partSearch", "requestId", requestId)
    .filter((row) => row.organizationId === organizationId && row.epoch === moment.epoch);
}

/** Whether neither a planned payout nor an unknown part of its order can be at a provider. */
export function isSurelyUnsent(context: Context, request: PayoutRequest, payout: Payout): boolean {
  if (!needsChecks(payout, context.moment.epoch)) return true;
  if (!isDenied(context, payout)) return false;
  const searches = searchesFor(context, request.id);
  const isSearched = searches.length > 0 && searches.every(({ state }) => state === "absent");
  return isSearched || !mayHaveOtherParts(request);
}

function leafOf(context: Context, draft: Draft, schemeId: string | null) {
  const service = draft.request.service ?? "";
  return { ...routingLeaf(context.setup, schemeId, service), service };
}

function routeStory(context: Context, draft: Draft, asked: RouteQuestion & { schemeId: string | null }): Routed {
  const { request } = draft;
  const { leaf, revision, service } = leafOf(context, draft, asked.schemeId);
  const { amountMinor, excluded, taken, only } = asked;
  const question = { service, currency: request.currency, amountMinor, excluded };
  const candidates = candidatesOf(context, only === undefined ? routesOf(leaf) : [only], taken);
  const named = only === undefined ? undefined : candidates.get(only);
  // While the payee's details are awaited the route itself says which service it is.
  const decision =
    named === undefined
      ? route(only === undefined ? leaf : { strategy: "direct", routes: [only] }, candidates, {
          ...question,
          random: context.random(),
        })
      : routeOnly(named, { ...question, service: request.service ?? named.route.service, random: 0 });
  const candidate = decision.chosen ?? decision.refused;
  const provider = candidate === undefined ? undefined : context.setup.providers.get(candidate.providerAccountId);
  if (provider === undefined) return { decision, revision, connector: null };
  const { connector } = provider;
  const { alphabet, maxLength } = connector.truth.reference;
  const isKnown = request.destinationHash !== null;
  return {
    decision,
    revision,
    connector: {
      name: connector.name,
      reference: { alphabet, maxLength },
      truth: sendTruth(provider),
      destinationHash: isKnown ? connector.destinationHash(openDestination(context, draft)) : null,
    },
  };
}

function candidatesOf(
  context: Context,
  routeIds: readonly string[],
  taken: ReadonlyMap<string, bigint>,
): ReadonlyMap<string, Candidate> {
  const candidates = new Map<string, Candidate>();
  for (const id of routeIds) {
    const candidate = candidateOf(context, id, taken);
    if (candidate !== null) candidates.set(id, candidate);
  }
  return candidates;
}

function candidateOf(context: Context, routeId: string, taken: ReadonlyMap<string, bigint>): Candidate | null {
  const { setup } = context;
  const found = setup.routes.get(routeId);
  const deposit = found === undefined ? undefined : setup.deposits.get(found.depositAccountId);
  const provider = deposit === undefined ? undefined : setup.providers.get(deposit.providerAccountId);
  if (found === undefined || deposit === undefined || provider === undefined) return null;
  // The gate may have been shut by a command of this very batch, which the cached setup cannot know.
  const row = context.rows.get("providerAccount", [context.organizationId, provider.row.id]) ?? provider.row;
  const account = context.account({ kind: "deposit", owner: deposit.id, currency: deposit.currency });
  return {
    route: found,
    providerAccountId: provider.row.id,
    currency: deposit.currency,
    isGateOpen: row.gate === "open",
    spendableMinor: account.balanceMinor - deposit.minimalBalanceMinor - (taken.get(deposit.id) ?? 0n),
  };
}

/** The payee's details of a story, unsealed. */
export function openDestination(context: Context, draft: Pick<Draft, "request">): Readonly<Record<string, string>> {
  const { destination, destinationHash } = draft.request;
  assert(destination !== null && destinationHash !== null, "a story that is paid has a destination");
  return context.setup.safe.open(destination, destinationBinding(context.organizationId, destinationHash));
}

/**
 * The payee's details that a payout was sent with. A bare request may have another instrument by now; nothing, where
 * that instrument is not known any more.
 */
function destinationOf(
  context: Context,
  draft: Pick<Draft, "request">,
  payout: Payout,
): Readonly<Record<string, string>> {
  const { paymentInstrumentId } = payout;
  const { request } = draft;
  if (request.destination !== null && request.paymentInstrumentId === paymentInstrumentId) {
    return openDestination(context, draft);
  }
  const { organizationId, rows, setup } = context;
  const instrument =
    paymentInstrumentId === null ? null : rows.get("paymentInstrument", [organizationId, paymentInstrumentId]);
  if (instrument === null) return {};
  return setup.safe.open(instrument.destination, destinationBinding(organizationId, instrument.destinationHash));
}

export function destinationBinding(organizationId: string, destinationHash: string): string {
  return `destination:${organizationId}:${destinationHash}`;
}
