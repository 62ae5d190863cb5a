/**
 * Looks for parts of an order that this database does not know, before any part of it leaves in an epoch that began
 * with a restore, a failover or a copy: an order may have been cut otherwise then, by other routes or by other people.
 * Each search goes through the parts at one account for one attempt; its row says how far it is, so that whoever dies
 * in the middle is followed by the next holder of the lease.
 */
import type { Refusal } from "../core/errors.ts";
import { providerReference } from "../core/ids.ts";
import { PAYOUT_MEANING, type Payout } from "../core/payout.ts";
import {
  advance,
  askAgainTime,
  mayHaveOtherParts,
  needsChecks,
  nextCheck,
  type PartSearch,
  resume,
  searchesOf,
  searchFrom,
} from "../core/recovery.ts";
import { assert, ok, type Result } from "../core/result.ts";
import { type Draft, wakePayout } from "../core/story.ts";
import type { Context } from "./context.ts";
import { carryOn } from "./orders.ts";
import { ask, type BeforeSend, giveToPerson, type HeardCheck, readOutcome } from "./recovery.ts";
import type { ProviderSetup } from "./setup.ts";
import { isSurelyUnsent } from "./world.ts";

/** How long a payout waits while another one of its order searches for all of them, or is asked about. */
const OTHERS_LOOK_MS = 5_000;
/** How long it waits while a person must look at another one. */
const PERSON_LOOKS_MS = 60_000;

/**
 * Stands before every send, like the payout's own checks: all parts of an order together must be no more than the
 * order. So none of them leaves before it is certain of every other whether, and as what, the provider knows it.
 */
export function searchBeforeSend(context: Context, draft: Draft, payout: Payout): BeforeSend {
  if (!needsChecks(payout, context.moment.epoch) || !mayHaveOtherParts(draft.request)) return "clear";
  const searches = allSearches(context, draft);
  const found = searches.find(({ state }) => state === "found");
  if (found !== undefined) {
    stop(context, draft, { payout, search: found });
    return "asked";
  }
  if (isWaiting(context, draft, payout)) return "asked";
  const search = nextCheck(searches);
  if (search === null) return "clear";
  if (draft.payouts.find(isLeaving)?.id !== payout.id) {
    wakePayout(draft, payout.id, context.now + OTHERS_LOOK_MS);
    return "asked";
  }
  const provider = context.setup.providers.get(search.providerAccountId);
  assert(provider !== undefined, `provider account ${search.providerAccountId}, which is searched, is installed`);
  if (provider.connector.truth.inquiry.byOurReference !== "yes") {
    stop(context, draft, { payout, search });
    return "asked";
  }
  if (!context.takeSlot(search.providerAccountId)) return "held";
  const { tries, version } = search;
  context.rows.put("partSearch", { ...search, tries: tries + 1, askedTime: context.now, version: version + 1 });
  ask(context, draft, { payout, provider, suspect: suspectOf(draft, search, provider) });
  return "asked";
}

/** Whether it waits for others of its order: planned ones must be denied by everybody, open ones confirmed. */
function isWaiting(context: Context, draft: Draft, payout: Payout): boolean {
  const others = draft.payouts.filter((each) => each.id !== payout.id);
  if (others.some((each) => each.moderationRequired)) {
    wakePayout(draft, payout.id, context.now + PERSON_LOOKS_MS);
    return true;
  }
  const unasked = others.filter((each) => each.status === "READY" && !isSurelyUnsent(context, each));
  // What waits for a person is asked about by nobody yet; what has work is being asked about.
  const isIdle = ({ id }: Payout): boolean => context.rows.get("work", [context.organizationId, "payout", id]) === null;
  for (const each of unasked) if (isIdle(each)) wakePayout(draft, each.id, context.now);
  if (unasked.length > 0) wakePayout(draft, payout.id, context.now + OTHERS_LOOK_MS);
  return unasked.length > 0;
}

/** Whether a machine is about to send it: the first of an order searches, the others wait for what it finds. */
function isLeaving({ status, send, isManual, moderationRequired }: Payout): boolean {
  if (moderationRequired) return false;
  if (status === "INVOKING") return send === "not_now";
  return PAYOUT_MEANING[status].class === "planned" && status !== "CREATED" && !isManual;
}

/** The searches of an order in this epoch, made where they are missing: from the first part that is unknown here. */
function allSearches(context: Context, draft: Draft): readonly PartSearch[] {
  const { organizationId, moment } = context;
  const { id: requestId } = draft.request;
  const isOurs = (row: PartSearch): boolean => row.organizationId === organizationId && row.epoch === moment.epoch;
  const known = context.rows.group("partSearch", "requestId", requestId).filter(isOurs);
  const accounts = [...context.setup.providers.keys()].map((providerAccountId) => ({ providerAccountId }));
  return searchesOf(draft.request, accounts).map((place) => {
    const found = known.find((each) => isAt(each, place));
    if (found !== undefined) return resume(found, draft.payouts);
    const { epoch } = moment;
    const begun = { organizationId, requestId, epoch, ...place, part: 1, fact: null, askedTime: null, version: 1 };
    const fresh: PartSearch = searchFrom(begun, draft.payouts);
    context.rows.put("partSearch", fresh);
    return fresh;
  });
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
  wakePayout(draft, payout.id, draft.request.expiresTime);
}

/** Takes the outcome of a question from the holder of its lease. */
export function hearSearch(context: Context, draft: Draft, heard: HeardCheck): Result<"taken", Refusal> {
  const { payout, errand } = heard;
  const { attempt, part } = errand.check;
  const search = allSearches(context, draft).find((each) =>
    isAt(each, { providerAccountId: errand.providerAccountId, attempt }),
  );
  assert(search !== undefined, `the search for parts of request ${payout.requestId} is there`);
  const { state, fact, truth } = readOutcome(context, draft, heard);
  // Whoever asked before this payout may have gone on: an older "absent" says nothing new.
  const isNews = state === "found" || search.part === part;
  const next = isNews ? advance({ ...search, part }, { state, fact }, draft.payouts) : search;
  if (isNews) context.rows.put("partSearch", next);
  if (state === "found") stop(context, draft, { payout, search: next });
  else wakePayout(draft, payout.id, state === "absent" ? context.now : askAgainTime(next, context.now, truth));
  const carried = carryOn(context, draft);
  return carried.ok ? ok("taken") : carried;
}
