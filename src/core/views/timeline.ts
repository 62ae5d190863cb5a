/**
 * The whole story of an order in one list: what changed, what providers were asked and said, what was posted, what
 * people did and were asked, and who was told. Bodies are never shown: of an exchange only what it was read as.
 */
import type { ModerationAct, ModerationItem } from "../acts.ts";
import type { Entry } from "../money/ledger.ts";
import { eventType, type Happening } from "./events.ts";
import { ledgerTransactionsView, type Shown, timeText } from "./orders.ts";
import type { Delivery } from "./settings.ts";

/** A change, and the command that caused it. */
export interface Change extends Happening {
  readonly commandId: string;
}

/** What caused a change: an API call, a provider's answer, a callback, a person, a timer. */
export interface Cause {
  readonly id: string;
  readonly kind: string;
  readonly actor: string;
  readonly providerAccountId: string | null;
  readonly messageId: string | null;
  readonly verified: boolean | null;
  readonly body: unknown;
  readonly bodyHash: string | null;
  readonly time: number;
}

/** Everything that a timeline is made of. */
export interface TimelineRows {
  /** Of the invoice, the request, the payouts and the acts about them, by sequence. */
  readonly changes: readonly Change[];
  readonly causes: readonly Cause[];
  readonly entries: readonly Entry[];
  readonly acts: readonly ModerationAct[];
  readonly items: readonly ModerationItem[];
  readonly deliveries: readonly Delivery[];
  /** Later changes were left out. */
  readonly isCut: boolean;
}

/** One line with its place: by time, then by the change that it belongs to, then cause before effect. */
interface Line {
  readonly time: number;
  readonly anchor: number;
  readonly rank: number;
  readonly shown: Shown;
}

const RANK = { cause: 0, change: 1, posting: 2, item: 3, delivery: 4 } as const;
const LAST = Number.POSITIVE_INFINITY;

const EXCHANGES: ReadonlySet<string> = new Set(["provider-outcome", "provider-callback"]);

/** What an exchange was read as. Nothing else of what is kept of it is shown: a body may name the payee. */
const SAID = ["fact", "resolution", "sent", "found", "providerStatus", "providerCode"] as const;
/** What is shown of what was said with an act; of evidence its kind and hash only. */
const SAID_WITH_ACT = ["verdict", "amount", "then", "chargeTo", "attemptsLimit", "allowPartially", "assignee"] as const;

function membersOf(value: unknown, names: readonly string[]): Record<string, unknown> {
  if (typeof value !== "object" || value === null) return {};
  const members = value as Readonly<Record<string, unknown>>;
  return Object.fromEntries(names.filter((name) => members[name] !== undefined).map((name) => [name, members[name]]));
}

/** The story in its order. A line of something that comes after the changes that were left out is left out too. */
export function timelineView(rows: TimelineRows): readonly Shown[] {
  const lines = [
    ...changeLines(rows),
    ...exchangeLines(rows),
    ...postingLines(rows),
    ...itemLines(rows),
    ...deliveryLines(rows),
  ];
  const end = rows.isCut ? (rows.changes.at(-1)?.time ?? 0) : LAST;
  return lines
    .filter(({ time }) => time <= end)
    .toSorted((a, b) => a.time - b.time || compare(a.anchor, b.anchor) || a.rank - b.rank)
    .map(({ shown }) => shown);
}

/** Not a difference: the last place is infinite. */
function compare(a: number, b: number): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}

function changeLines({ changes, causes, acts }: TimelineRows): Line[] {
  const causeOf = new Map(causes.map((cause) => [cause.id, cause]));
  const actOf = new Map(acts.map((act) => [act.id, act]));
  return changes.map((change) => {
    const cause = causeOf.get(change.commandId);
    const act = change.kind === "act" ? actOf.get(change.subject) : undefined;
    const shown = {
      time: timeText(change.time),
      sequence: change.sequence,
      layer: change.kind === "act" ? "moderation" : change.kind,
      id: change.subject,
      type: eventType(change),
      ...(act === undefined ? movedView(change) : actMembers(change, act)),
      ...(cause === undefined ? {} : { cause: { id: cause.id, kind: cause.kind, actor: cause.actor } }),
    };
    return { time: change.time, anchor: change.sequence, rank: RANK.change, shown };
  });
}

function movedView(change: Change): Shown {
  return {
    status: change.status,
    // The statuses passed on the way, in order; none where something else has changed.
    passed: change.moves.map((move) => move.slice(move.indexOf(">") + 1)),
    resolution: change.resolution,
    moderationRequired: change.moderationRequired,
    version: change.versionTo,
  };
}

/** An act as it was at this change: proposed first, where a second person had to agree. */
function actMembers(change: Change, act: ModerationAct): Shown {
  const isNewest = change.versionTo === act.version;
  const { evidence } = membersOf(act.body, ["evidence"]);
  return {
    status: isNewest ? act.status : "proposed",
    about: { kind: act.subjectKind, id: act.subject },
    actor: isNewest ? (act.confirmedBy ?? act.actor) : act.actor,
    reason: act.reason,
    ...membersOf(act.body, SAID_WITH_ACT),
    ...(evidence === undefined ? {} : { evidence: membersOf(evidence, ["kind", "sha256"]) }),
  };
}

function exchangeLines({ causes, changes }: TimelineRows): Line[] {
  const firstOf = new Map<string, number>();
  for (const { commandId, sequence } of changes) if (!firstOf.has(commandId)) firstOf.set(commandId, sequence);
  return causes
    .filter(({ kind }) => EXCHANGES.has(kind))
    .map((cause) => ({
      time: cause.time,
      anchor: firstOf.get(cause.id) ?? LAST,
      rank: RANK.cause,
      shown: exchangeView(cause),
    }));
}

function exchangeView(cause: Cause): Shown {
  const { operation, status, outcome } = membersOf(cause.body, ["operation", "status", "outcome"]);
  const isCallback = cause.kind === "provider-callback";
  return {
    time: timeText(cause.time),
    layer: "provider",
    id: cause.id,
    type: `provider.${isCallback ? "callback" : String(operation)}`,
    providerAccountId: cause.providerAccountId,
    // A callback is an answer that nobody has asked for.
    outcome: isCallback ? "message" : (outcome ?? "answer"),
    ...(isCallback ? { messageId: cause.messageId } : { httpStatus: status ?? null }),
    verified: cause.verified,
    bodyHash: cause.bodyHash,
    said: membersOf(cause.body, SAID),
  };
}

/** The change that something of the same moment and subject belongs to. */
function anchorIn(changes: readonly Change[], subject: string, time: number): number {
  const same = changes.filter((change) => change.time === time);
  const own = same.findLast((change) => change.subject === subject) ?? same.at(-1);
  return own?.sequence ?? LAST;
}

function postingLines({ entries, changes }: TimelineRows): Line[] {
  const groups = Map.groupBy(entries, ({ subject, cause }) => `${subject} ${cause}`);
  return [...groups.values()].flatMap((group) => {
    const [first] = group;
    const [posted] = ledgerTransactionsView(group);
    if (first === undefined || posted === undefined) return [];
    const { time, subject, cause } = first;
    const word = cause.replace(/:.*$/s, "");
    const { entries: lines } = posted;
    const shown = {
      time: timeText(time),
      layer: "ledger",
      id: subject,
      type: `ledger.${word}`,
      cause,
      entries: lines,
    };
    return [{ time, anchor: anchorIn(changes, subject, time), rank: RANK.posting, shown }];
  });
}

function itemLines({ items, changes }: TimelineRows): Line[] {
  return items.flatMap((item) => {
    const { id, subject, reason, isIncident, kind, count, openedTime, closedTime } = item;
    const line = (time: number, word: string): Line => ({
      time,
      anchor: anchorIn(changes, subject, time),
      rank: RANK.item,
      shown: {
        time: timeText(time),
        layer: "moderation",
        id,
        type: `moderation-item.${word}`,
        about: { kind, id: subject },
        reason,
        incident: isIncident,
        count,
      },
    });
    return [line(openedTime, "opened"), ...(closedTime === null ? [] : [line(closedTime, "closed")])];
  });
}

/** A delivery stands where its last try ended; one that has not been tried, where it was made. */
function deliveryLines({ deliveries }: TimelineRows): Line[] {
  return deliveries.map(({ id, endpointId, eventType: type, sequence, status, tries, lastResult, updatedTime }) => ({
    time: updatedTime,
    anchor: tries === 0 ? sequence : LAST,
    rank: RANK.delivery,
    shown: {
      time: timeText(updatedTime),
      layer: "webhook",
      id,
      type: `webhook.${status}`,
      endpointId,
      event: type,
      tells: sequence,
      tries,
      lastResult,
    },
  }));
}
