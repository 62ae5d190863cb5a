/**
 * Callbacks: a hint, not an order. Verified on the raw bytes before this, each message is stored once and goes through
 * the same guarded moves as an inquiry. A message about a payout that we do not know yet is kept and matched again.
 */
import type { CallbackNews } from "../../connectors/contract.ts";
import type { Refusal } from "../../core/errors.ts";
import { holdUnsent, needsWake, tellUnsent } from "../../core/news/doubt.ts";
import { hear } from "../../core/news/news.ts";
import { PAYOUT_MEANING, type Payout } from "../../core/order/payout.ts";
import { reopen, wakePayout } from "../../core/order/story.ts";
import { assert, ok, type Result } from "../../core/result.ts";
import { type Handler, ORDER, type Seen } from "../command.ts";
import type { Context } from "../context.ts";
import { carryOn, storyMore, storyOf, storyWants } from "../orders.ts";
import type { TableName, Want, Work } from "../ports.ts";
import { openItem } from "../record.ts";
import { checkWants, isToBeInquired } from "../recovery.ts";
import { isSurelyUnsent, providerOf, sendTruth } from "../world.ts";
import { learned } from "./outcome.ts";

export interface CallbackMessage {
  readonly providerAccountId: string;
  readonly news: CallbackNews;
}

/** `again`: the same message was stored before. `unmatched`: kept, its payout is not known. */
type Heard = "heard" | "again" | "unmatched";

const MATCH_EVERY_MS = 60_000;
const MATCH_FOR_MS = 24 * 3_600_000;

function payoutWant(organizationId: string, providerAccountId: string, reference: string): Want<TableName> {
  return {
    table: "payout",
    by: "payout_reference_once",
    keys: [[organizationId, providerAccountId, reference]],
  };
}

function findPayout(seen: Pick<Seen, "organizationId" | "rows">, accountId: string, reference: string): Payout | null {
  const found = seen.rows
    .group("payout", "reference", reference)
    .find((row) => row.organizationId === seen.organizationId && row.providerAccountId === accountId);
  return found ?? null;
}

function storyMoreOf(seen: Seen, payout: Payout | null): readonly Want<TableName>[] {
  if (payout === null) return [];
  const { organizationId } = seen;
  return [
    ...storyWants(organizationId, payout),
    ...storyMore(payout, seen),
    { table: "work", by: "primary", keys: [[organizationId, "payout", payout.id]] },
    checkWants(organizationId, payout.id),
    { table: "openPart", by: "primary", keys: [[organizationId, payout.requestId, payout.part]] },
    { table: "moderationItem", by: "moderation_item_by_subject", keys: [[organizationId, payout.id]] },
  ];
}

export const hearCallback: Handler<CallbackMessage, Heard> = {
  name: "provider-callback",
  order: ORDER.outcome,
  wants: ({ providerAccountId, news }, organizationId) => [
    payoutWant(organizationId, providerAccountId, news.reference),
    { table: "command", by: "command_message_once", keys: [[organizationId, providerAccountId, news.messageId]] },
  ],
  more: ({ providerAccountId, news }, seen) => storyMoreOf(seen, findPayout(seen, providerAccountId, news.reference)),
  decide(context, message) {
    const { providerAccountId, news } = message;
    const known = context.rows
      .group("command", "messageId", news.messageId)
      .filter((row) => row.organizationId === context.organizationId && row.providerAccountId === providerAccountId);
    if (known.length > 0) return ok("again");
    const payout = findPayout(context, providerAccountId, news.reference);
    const commandId = context.commandId(payout?.id ?? null);
    if (payout !== null) return apply(context, payout, message);
    context.rows.put("work", {
      organizationId: context.organizationId,
      kind: "callback",
      subject: commandId,
      dueTime: context.now + MATCH_EVERY_MS,
      fence: 0,
    });
    return ok("unmatched");
  },
};

function apply(context: Context, payout: Payout, { news }: CallbackMessage) {
  const story = storyOf(context, payout.requestId);
  assert(story !== null, `the story of payout ${payout.id} exists`);
  const draft = reopen(story, context.now);
  const heard = { kind: "callback", answer: news.answer } as const;
  context.learn(learned(heard));
  const isPlanned = PAYOUT_MEANING[payout.status].class === "planned";
  if (isPlanned && !isSurelyUnsent(context, draft.request, payout)) {
    // A restore may have forgotten that it was sent: the question before its first send takes it over.
    wakePayout(draft, payout.id, context.now);
  } else {
    hear(draft, payout.id, heard, sendTruth(providerOf(context, payout)));
    // What recovery has listed is inquired, whatever else is said about it meanwhile.
    if (isToBeInquired(context, payout)) wakePayout(draft, payout.id, context.now);
  }
  const carried = carryOn(context, draft);
  return carried.ok ? ok("heard" as const) : carried;
}

/** A stored message whose payout was not known when it came: matched again for a day, then a person must look. */
export const matchCallback: Handler<Work, "moved"> = {
  name: "match-callback",
  order: ORDER.claim,
  wants: (work, organizationId) => [
    { table: "command", by: "primary", keys: [[organizationId, work.subject]] },
    { table: "work", by: "primary", keys: [[organizationId, "callback", work.subject]] },
    { table: "moderationItem", by: "moderation_item_by_subject", keys: [[organizationId, work.subject]] },
  ],
  more(work, seen) {
    const stored = seen.rows.get("command", [seen.organizationId, work.subject]);
    const reference = referenceIn(stored?.body);
    if (stored?.providerAccountId === null || stored === null || reference === null) return [];
    const payout = findPayout(seen, stored.providerAccountId, reference);
    return [payoutWant(seen.organizationId, stored.providerAccountId, reference), ...storyMoreOf(seen, payout)];
  },
  decide(context, work) {
    const { organizationId } = context;
    const stored = context.rows.get("command", [organizationId, work.subject]);
    assert(stored !== null && stored.providerAccountId !== null, "a stored callback names its provider account");
    const reference = referenceIn(stored.body) ?? "";
    const payout = findPayout(context, stored.providerAccountId, reference);
    const key = [organizationId, "callback", work.subject];
    if (payout !== null) {
      context.rows.remove("work", key);
      return match(context, payout, stored.body);
    }
    if (context.now - stored.time < MATCH_FOR_MS) {
      context.rows.put("work", { ...work, dueTime: context.now + MATCH_EVERY_MS });
      return ok("moved");
    }
    context.rows.remove("work", key);
    openItem(context, {
      kind: "callback",
      subject: work.subject,
      reason: "payout_unknown",
      isIncident: true,
      details: { reference, providerAccountId: stored.providerAccountId },
    });
    return ok("moved");
  },
};

/**
 * The payout of a kept message is known by now: its own inquiry tells what the message wanted to say. What was not sent
 * by anybody is not asked about, and must not be sent after this.
 */
function match(context: Context, payout: Payout, kept: unknown): Result<"moved", Refusal> {
  const story = storyOf(context, payout.requestId);
  assert(story !== null, `the story of payout ${payout.id} exists`);
  const draft = reopen(story, context.now);
  const fact = wordIn(kept, "fact") ?? "unknown";
  const isUnsent = PAYOUT_MEANING[payout.status].class === "planned" && isSurelyUnsent(context, draft.request, payout);
  if (isUnsent && fact !== "ignore") holdUnsent(draft, payout.id, { operation: "process", fact });
  else if (payout.status === "CREATE_FAILED") tellUnsent(draft, payout.id, { operation: "process", fact });
  // What has ended meanwhile has no inquiry ahead, and may have been paid all the same.
  else if (!needsWake(payout)) wakePayout(draft, payout.id, context.now);
  const carried = carryOn(context, draft);
  return carried.ok ? ok("moved") : carried;
}

const referenceIn = (body: unknown): string | null => wordIn(body, "reference");

function wordIn(body: unknown, name: string): string | null {
  if (typeof body !== "object" || body === null || !(name in body)) return null;
  const word = (body as Readonly<Record<string, unknown>>)[name];
  return typeof word === "string" ? word : null;
}
