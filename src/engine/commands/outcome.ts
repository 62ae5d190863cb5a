/** What became of a provider call: written under the fence of its lease, in the epoch in which it was sent. */
import type { Connector } from "../../connectors/contract.ts";
import type { Refusal } from "../../core/errors.ts";
import { needsWake } from "../../core/news/doubt.ts";
import { hear, type News } from "../../core/news/news.ts";
import type { Resolution } from "../../core/news/resolution.ts";
import { type Operation, PAYOUT_MEANING, type Payout } from "../../core/order/payout.ts";
import { type Draft, patchPayout, reopen, wakePayout } from "../../core/order/story.ts";
import { assert, ok, type Result } from "../../core/result.ts";
import { type Handler, ORDER, type ProviderErrand } from "../command.ts";
import type { Context } from "../context.ts";
import { carryOn, saveStory, storyMore, storyOf, storyWants } from "../orders.ts";
import type { HttpOutcome } from "../ports.ts";
import { checkWants, hearCheck, isCheck, noteInquiry, rememberLoss } from "../recovery.ts";
import { hearSearch } from "../recovery-search.ts";
import { providerOf, queryOf, sendTruth } from "../world.ts";

export interface Outcome {
  readonly errand: ProviderErrand;
  readonly outcome: HttpOutcome;
}

export const recordOutcome: Handler<Outcome, "taken" | "stale"> = {
  name: "provider-outcome",
  order: ORDER.outcome,
  wants: ({ errand }, organizationId) => [
    ...storyWants(organizationId, errand),
    { table: "work", by: "primary", keys: [[organizationId, "payout", errand.payoutId]] },
    ...(errand.operation === "inquire" ? [checkWants(organizationId, errand.payoutId)] : []),
  ],
  more: ({ errand }, seen) => storyMore(errand, seen),
  decide: decideOutcome,
};

function decideOutcome(context: Context, { errand, outcome }: Outcome): Result<"taken" | "stale", Refusal> {
  const story = storyOf(context, errand.requestId);
  const payout = story?.payouts.find((each) => each.id === errand.payoutId);
  if (story === null || payout === undefined) {
    // Only a database that has gone back forgets what it has sent: recovery asks about it.
    assert(errand.epoch !== context.moment.epoch, `payout ${errand.payoutId} exists`);
    return ok("stale");
  }
  const work = context.rows.get("work", [context.organizationId, "payout", payout.id]);
  const isHolder = work?.fence === errand.fence && errand.epoch === context.moment.epoch;
  const draft = reopen(story, context.now, isHolder ? payout.id : null);
  if (!isHolder) {
    // Somebody else has the lease: what we heard of a send is evidence, and the inquiry that it wakes decides. The
    // answer to an older question wakes nobody: askers that take longer than the sweep would overtake each other for
    // ever, none of them still holding the lease when it is answered.
    const isFollowed = work !== null && needsWake(payout);
    // What counts as not paid was proven so without this answer: it may say that it was paid all the same.
    const isDoubted = outcome.kind === "answer" && PAYOUT_MEANING[payout.status].class === "not_paid";
    if (errand.operation === "inquire" || !(isFollowed || isDoubted)) return ok("stale");
    context.commandId(draft.request.id);
    wakePayout(draft, payout.id, context.now);
    const saved = saveStory(context, draft);
    return saved.ok ? ok("stale") : saved;
  }
  if (isCheck(errand)) {
    const take = errand.check.of === "payout" ? hearCheck : hearSearch;
    return take(context, draft, { payout, errand, outcome });
  }
  const provider = providerOf(context, payout);
  if (errand.operation === "inquire") {
    patchPayout(draft, payout.id, { inquiries: payout.inquiries + 1 });
    rememberLoss(context, draft, payout);
  }
  const news = read(context, { payout, draft, connector: provider.connector }, { errand, outcome });
  context.learn(learned(news));
  hear(draft, payout.id, news, sendTruth(provider));
  if (errand.operation === "inquire") {
    const answer = news.kind === "answer" ? news.answer : null;
    noteInquiry(context, draft, { payout, answer, askedTime: errand.askedTime });
  }
  const carried = carryOn(context, draft);
  return carried.ok ? ok("taken") : carried;
}

/** What an outcome says, in core's words. Reading is the connector's; a lost answer has nothing to read. */
function read(
  context: Context,
  about: { payout: Payout; draft: Draft; connector: Connector },
  { errand, outcome }: Outcome,
): News {
  const { operation } = errand;
  switch (outcome.kind) {
    case "not_sent":
      return { kind: "not_sent", operation, resolution: "CONNECTION_ERROR" };
    case "timeout":
      return lost(operation, "CONNECTION_TIMEOUT_ERROR");
    case "lost":
      return lost(operation, "CONNECTION_ERROR");
    case "answer": {
      const { payout, connector } = about;
      const { service, cancelMinor } = payout;
      const query = { ...queryOf(context, about.draft, payout), service, cancelMinor };
      const { description } = about.draft.request;
      const answer = callOf(connector, operation).read(outcome.result, { ...query, description });
      return { kind: "answer", operation, answer, askedTime: errand.askedTime };
    }
  }
}

/** What an outcome was read as, in our words and the provider's: each sub-operation keeps its own resolution. */
export function learned(news: News): Readonly<Record<string, unknown>> {
  if (!("answer" in news)) return { resolution: news.resolution };
  const { fact, resolution, sent, found, providerStatus, providerCode } = news.answer;
  const all = { fact, resolution, sent, found, providerStatus, providerCode };
  return Object.fromEntries(Object.entries(all).filter(([, word]) => word !== undefined));
}

function lost(operation: Operation, resolution: Resolution): News {
  return { kind: "lost", operation, resolution };
}

function callOf(connector: Connector, operation: Operation) {
  switch (operation) {
    case "invoke":
      return connector.create;
    case "inquire":
    case "process":
      return connector.inquire;
    case "revoke":
      assert(connector.revoke !== undefined, "a revoke was sent by a connector that offers it");
      return connector.revoke;
    case "cancel":
      assert(connector.cancel !== undefined, "a cancel was sent by a connector that offers it");
      return connector.cancel;
  }
}
