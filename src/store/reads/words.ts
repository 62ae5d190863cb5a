/** Words of the public contract that are a function of a row, as SQL: made from the tables of core, for filters. */
import { PAYOUT_MEANING, type PayoutStatus } from "../../core/order/payout.ts";

const STATUSES = Object.keys(PAYOUT_MEANING) as PayoutStatus[];

/** What `allocationStatus` in core says of a payout; a test compares the two. */
export const ALLOCATION_STATUS_SQL = [
  "case when t.\"status\" = 'READY' and not t.\"is_manual\" then 'queued'",
  ...[...Map.groupBy(STATUSES, (status) => PAYOUT_MEANING[status].allocation)].map(
    ([word, group]) => `when t."status" in (${group.map((status) => `'${status}'`).join(", ")}) then '${word}'`,
  ),
  "end",
].join(" ");

/** What `publicStatus` in core says of a request, rule by rule in its order; a test compares the two. */
export const PUBLIC_STATUS_SQL = `case
  when t."canceled_by" is not null or t."dispatch_status" in ('TERMINATED', 'EXPIRED') then 'canceled'
  when t."paid_minor" >= t."amount_minor" then 'fulfilled'
  when t."paid_minor" > 0 then 'partially-fulfilled'
  when t."payment_instrument_id" is not null or t."destination_hash" is not null then 'instrument-selected'
  else 'pending' end`;
