/**
 * Looks for parts of an order that this database does not know, before any part of it leaves in an epoch that began
 * with a restore, a failover or a copy: an order may have been cut otherwise then, by other routes or by other people.
 * Each search goes through the parts at one account for one attempt; its row says how far it is, so that whoever dies
 * in the middle is followed by the next holder of the lease.
 */
import type { Refusal } from "../core/errors.ts";
import { providerReference } from "../core/ids.ts";
import {
  type Accounted,
  advance,
  askAgainTime,
  mayHaveOtherParts,
  needsChecks,
  nextCheck,
  type PartSearch,
  resume,
  searchesOf,
  searchFrom,
} from "../core/news/recovery.ts";
import { PAYOUT_MEANING, type Payout } from "../core/order/payout.ts";
import { type Draft, wakeGently, wakePayout } from "../core/order/story.ts";
import { assert, ok, type Result } from "../core/result.ts";
import type { Context } from "./context.ts";
import { carryOn } from "./orders.ts";
import {
  areChecksAnswered,
  ask,
  type BeforeSend,
  giveToPerson,
  type HeardCheck,
  mayDeny,
  readOutcome,
  tellOfSilence,
  waitForPerson,
} from "./recovery.ts";
import type { ProviderSetup } from "./setup.ts";
import { isDenied, searchesFor } from "./world.ts";

/** How long a payout waits while another one of its order searches for all of them, is asked about, or is in doubt. */
const OTHERS_LOOK_MS = 60_000;

/**
 * Stands before every send, like the payout's own checks, and before an end without one: all parts of an order together
 * must be no more than the order, and what was paid must not be given back. So no part leaves before it is certain of
 * every other whether, and as what, the provider knows it.
 */
export function searchBeforeSend(context: Context, draft: Draft, payout: Payout): BeforeSend {
  if (!needsChecks(payout, context.moment.epoch) || !mayHaveOtherParts(draft.request)) return "clear";
  const searches = allSearches(context, draft);
  const found = searches.find(({ state }) => state === "found");
  if (found !== undefined) {
    stop(context, draft, { payout, search: found });
    return "asked";
  }
  const isEnding = draft.request.endAsked !== null;
  if (!isEnding && isWaiting(context, draft, payout)) return "asked";
  const search = nextCheck(searches);
  if (search === null) return "clear";
  if (draft.payouts.find((each) => isSearcher(each, isEnding))?.id !== payout.id) {
    wakePayout(draft, payout.id, context.now + OTHERS_LOOK_MS);
    return "asked";
  }
  const provider = context.setup.providers.get(search.providerAccountId);
  assert(provider !== undefined, `provider account ${search.providerAccountId}, which is searched, is installed`);
  if (!mayDeny(provider, draft.request)) {
    stop(context, draft, { payout, search });
    return "asked";
  }
  if (!context.takeSlot(search.providerAccountId)) return "held";
  const { tries, version } = search;
  context.rows.put("partSearch", { ...search, tries: tries + 1, askedTime: context.now, version: version + 1 });
  ask(context, draft, { payout, provider, suspect: suspectOf(draft, search, provider) });
  return "asked";
}

/** Whether it waits for others of its order: planned ones must be denied by everybody, and none be in doubt. */
function isWaiting(context: Context, draft: Draft, payout: Payout): boolean {
  const others = draft.payouts.filter((each) => each.id !== payout.id);
  if (others.some((each) => each.moderationRequired)) {
    wakePayout(draft, payout.id, context.now + OTHERS_LOOK_MS);
    return true;
  }
  const unasked = others.filter((each) => each.status === "READY" && !isDenied(context, each));
  // What waits for a person is asked about by nobody yet.
  for (const { id } of unasked) wakeGently(draft, id, context.now);
  if (unasked.length > 0) wakePayout(draft, payout.id, context.now + OTHERS_LOOK_MS);
  return unasked.length > 0;
}

/** Whether it asks for the whole order if it is the first that does: it is about to leave, or to end without. */
function isSearcher({ status, send, isManual, moderationRequired }: Payout, isEnding: boolean): boolean {
  if (moderationRequired) return false;
  if (status === "INVOKING") return send === "not_now";
  return isEnding ? PAYOUT_MEANING[status].class === "planned" : status === "READY" && !isManual;
}

/** The searches of an order in this epoch, made where they are missing: from the first part that is unknown here. */
function allSearches(context: Context, draft: Draft): readonly PartSearch[] {
  const { organizationId, moment } = context;
  const { id: requestId, attemptsLimit } = draft.request;
  const known = searchesFor(context, requestId);
  const accounted = accountedIn(context, draft);
  const accounts = [...context.setup.providers.keys()].map((providerAccountId) => ({ providerAccountId }));
  // A limit that was lowered meanwhile does not undo what was found beyond it.
  const places = searchesOf({ attempts: attemptsLimit }, accounts).filter(
    (place) => !known.some((each) => isAt(each, place)),
  );
  const fresh = places.map((place): PartSearch => {
    const begun = { organizationId, requestId, epoch: moment.epoch, ...place, fact: null, askedTime: null, version: 1 };
    return searchFrom({ ...begun, part: 1 }, accounted);
  });
  const resumed = known.map((each) => resume(each, accounted));
  // Where it stands is kept: whoever asks whether the order was searched reads the rows.
  for (const search of [...resumed, ...fresh]) if (!known.includes(search)) context.rows.put("partSearch", search);
  return [...resumed, ...fresh];
}

/** What of an order is no secret: sent from here, or asked about together with its later attempts before it is. */
function accountedIn(context: Context, draft: Draft): readonly Accounted[] {
  const sendable = draft.payouts.filter(({ status }) => status !== "CREATED" && status !== "CREATE_FAILED");
  return sendable.map((payout) => ({
    part: payout.part,
    attempt: payout.attempt,
    areLaterAsked: payout.status === "READY" || areChecksAnswered(context, draft.request, payout),
  }));
}

type Place = Pick<PartSearch, "providerAccountId" | "attempt">;

function isAt(search: Place, place: Place): boolean {
  return search.providerAccountId === place.providerAccountId && search.attempt === place.attempt;
}

function suspectOf(draft: Draft, { part, attempt }: PartSearch, { connector }: ProviderSetup) {
  const { organizationId, root } = draft.request;
  const reference = providerReference({ organizationId, root, part, attempt }, connector.truth.reference);
  return { of: "order" as const, part, attempt, reference };
}

/** Nothing of the order is sent by a machine: a part that is unknown here is at the provider, or nobody can say. */
function stop(context: Context, draft: Draft, at: { payout: Payout; search: PartSearch }): void {
  const { payout, search } = at;
  const { providerAccountId, fact } = search;
  const provider = context.setup.providers.get(providerAccountId);
  assert(provider !== undefined, `provider account ${providerAccountId}, which is searched, is installed`);
  const about = { providerAccountId, ...suspectOf(draft, search, provider) };
  giveToPerson(draft, payout, {
    reason: search.state === "found" ? "not_sent_by_us" : "outcome_unknown",
    about,
    fact,
  });
  waitForPerson(draft, payout);
}

/** Takes the outcome of a question from the holder of its lease. */
export function hearSearch(context: Context, draft: Draft, heard: HeardCheck): Result<"taken", Refusal> {
  const { payout, errand } = heard;
  const { attempt, part } = errand.check;
  const place = { providerAccountId: errand.providerAccountId, attempt };
  const search = allSearches(context, draft).find((each) => isAt(each, place));
  assert(search !== undefined, `the search for parts of request ${payout.requestId} is there`);
  const { state, fact, truth } = readOutcome(context, draft, heard);
  const next = advance(search, { part, state, fact }, accountedIn(context, draft));
  if (next !== search) context.rows.put("partSearch", next);
  tellOfSilence(draft, payout, { state, tries: search.tries });
  if (next.state === "absent") wakeOthers(context, draft, payout);
  if (next.state === "found") stop(context, draft, { payout, search: next });
  else wakePayout(draft, payout.id, state === "absent" ? context.now : askAgainTime(next, context.now, truth));
  const carried = carryOn(context, draft);
  return carried.ok ? ok("taken") : carried;
}

/** A search is over: those that wait for nothing else look again, and the last search lets them go. */
function wakeOthers(context: Context, draft: Draft, payout: Payout): void {
  const isEnding = draft.request.endAsked !== null;
  for (const each of draft.payouts) {
    const isWaiting = each.id !== payout.id && isSearcher(each, isEnding) && isDenied(context, each);
    if (isWaiting) wakePayout(draft, each.id, context.now);
  }
}
