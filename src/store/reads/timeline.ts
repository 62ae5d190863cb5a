/** Reading the whole story of an order: every select is by an index, and bounded. */
import type { TimelineRows } from "../../core/views/timeline.ts";
import type { Command, Delivery, History } from "../../engine/ports.ts";
import type { Reader } from "../reader.ts";

/** What a timeline is about. Null and empty: nothing of that kind. */
export interface TimelineScope {
  readonly invoiceId: string | null;
  readonly requestId: string | null;
  readonly payoutIds: readonly string[];
  /** When the story began, milliseconds. */
  readonly createdTime: number;
}

/** A provider's message that changed nothing has no line of history; it is looked for this long after the beginning. */
const QUIET_MS = 15 * 60_000;

/** The first and the last id that a moment can have: our ids begin with their time. */
function idsOf(timeMs: number): readonly [first: string, last: string] {
  const hex = timeMs.toString(16).padStart(12, "0");
  const head = `${hex.slice(0, 8)}-${hex.slice(8)}`;
  return [`${head}-0000-0000-000000000000`, `${head}-ffff-ffff-ffffffffffff`];
}

/** Reads at most `limit` changes, the first ones, and what belongs to them. */
export async function readTimeline(
  reader: Reader,
  organizationId: string,
  scope: TimelineScope,
  limit: number,
): Promise<TimelineRows> {
  const { invoiceId, requestId, payoutIds } = scope;
  const subjects = [...(requestId === null ? [] : [requestId]), ...payoutIds];
  const ofOrder = [organizationId, payoutIds, requestId] as const;
  const [items, entries] = await Promise.all([
    reader.rows("moderationItem", organizationId, {
      where: `t."organization_id" = $1 and ((t."kind" = 'payout' and t."subject" = any($2::text[]))
        or (t."kind" = 'request' and t."subject" = $3))`,
      values: ofOrder,
    }),
    reader.rows("entry", organizationId, {
      where: 't."organization_id" = $1 and t."subject" = any($2::text[])',
      values: [organizationId, subjects],
    }),
  ]);
  const acts = await reader.rows("moderationAct", organizationId, {
    where: `t."organization_id" = $1 and ((t."subject_kind" = 'payout' and t."subject" = any($2::text[]))
      or (t."subject_kind" = 'request' and t."subject" = $3)
      or (t."subject_kind" = 'item' and t."subject" = any($4::text[])))`,
    values: [...ofOrder, items.map(({ id }) => id)],
  });
  const found = await reader.rows("history", organizationId, {
    where: `t."organization_id" = $1 and ((t."kind" = 'payout' and t."subject" = any($2::text[]))
      or (t."kind" = 'request' and t."subject" = $3) or (t."kind" = 'invoice' and t."subject" = $4)
      or (t."kind" = 'act' and t."subject" = any($5::text[])))`,
    values: [...ofOrder, invoiceId, acts.map(({ id }) => id)],
    orderBy: 't."sequence"',
    limit: limit + 1,
  });
  const changes = found.slice(0, limit);
  const [causes, deliveries] = await Promise.all([
    readCauses(reader, organizationId, { changes, subjects, createdTime: scope.createdTime }),
    readDeliveries(reader, organizationId, changes),
  ]);
  return { changes, causes, entries, acts, items, deliveries, isCut: found.length > limit };
}

function readCauses(
  reader: Reader,
  organizationId: string,
  of: { changes: readonly History[]; subjects: readonly string[]; createdTime: number },
): Promise<readonly Command[]> {
  const [first] = idsOf(of.createdTime);
  const [, last] = idsOf(of.createdTime + QUIET_MS);
  const named = [...new Set(of.changes.map(({ commandId }) => commandId))];
  return reader.rows("command", organizationId, {
    where: `t."organization_id" = $1 and (t."id" = any($2::uuid[]) or (t."id" between $3::uuid and $4::uuid
      and t."subject" = any($5::text[]) and t."provider_account_id" is not null))`,
    values: [organizationId, named, first, last, of.subjects],
  });
}

/** A delivery is made in the moment of the change that it tells, and its id says when that was. */
async function readDeliveries(
  reader: Reader,
  organizationId: string,
  changes: readonly History[],
): Promise<readonly Delivery[]> {
  if (changes.length === 0) return [];
  const times = [...new Set(changes.map(({ time }) => time))].map(idsOf);
  return reader.rows("delivery", organizationId, {
    where: `t."organization_id" = $1 and t."id" in (
      select d."id" from unnest($2::uuid[], $3::uuid[]) as span(first, last)
        join bursar."delivery" d on d."organization_id" = $1 and d."id" between span.first and span.last
      where d."sequence" = any($4::bigint[]))`,
    values: [
      organizationId,
      times.map(([first]) => first),
      times.map(([, last]) => last),
      changes.map(({ sequence }) => String(sequence)),
    ],
  });
}
