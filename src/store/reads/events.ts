/** Reading history as events. */

import type { ModerationAct } from "../../core/acts.ts";
import type { Invoice } from "../../core/order/invoice.ts";
import type { Payout } from "../../core/order/payout.ts";
import type { PayoutRequest } from "../../core/order/request.ts";
import { TABLE_OF } from "../../core/views/events.ts";
import type { History } from "../../engine/ports.ts";
import type { Reader } from "../reader.ts";

/** The rows that can have changed. */
export interface NamedRows {
  readonly invoice: Invoice;
  readonly request: PayoutRequest;
  readonly payout: Payout;
  readonly act: ModerationAct;
}

/** What `eventType` in core says, for filters; a test compares the two. */
export const EVENT_TYPE_SQL = `case t."kind"
  when 'invoice' then 'payout-invoice.' || t."status"
  when 'payout' then 'payout.' || t."status"
  when 'act' then 'moderation.' || t."status"
  else 'payout-request-' || case
    when t."version_from" = 0 then 'created'
    when cardinality(t."moves") = 0 then 'modified'
    when t."status" = 'PROCESSED' then 'fulfilled'
    when t."status" in ('TERMINATED', 'EXPIRED') then 'canceled'
    else 'modified' end
  end`;

const CASTS = { invoice: "uuid", request: "text", payout: "uuid", act: "uuid" } as const;

/** Finds the row of each change: one read per kind, whatever their number. */
export async function namesOf(
  reader: Reader,
  organizationId: string,
  changes: readonly History[],
): Promise<(change: History) => NamedRows[History["kind"]] | null> {
  const read = async (kind: History["kind"]) => {
    const ids = [...new Set(changes.filter((change) => change.kind === kind).map((change) => change.subject))];
    if (ids.length === 0) return [];
    const where = `t."organization_id" = $1 and t."id" = any($2::${CASTS[kind]}[])`;
    const rows = await reader.rows(TABLE_OF[kind], organizationId, { where, values: [organizationId, ids] });
    return rows.map((row) => [`${kind} ${row.id}`, row] as const);
  };
  const kinds = Object.keys(CASTS) as History["kind"][];
  const found = new Map<string, NamedRows[History["kind"]]>((await Promise.all(kinds.map(read))).flat());
  return (change) => found.get(`${change.kind} ${change.subject}`) ?? null;
}
