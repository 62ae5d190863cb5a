/** Words of the public contract that are a function of a row, as SQL: made from the tables of core, for filters. */
import { PAYOUT_MEANING, type PayoutStatus } from "../core/payout.ts";

const STATUSES = Object.keys(PAYOUT_MEANING) as PayoutStatus[];

/** What `allocationStatus` in core says of a payout; a test compares the two. */
export const ALLOCATION_STATUS_SQL = [
  "case when t.\"status\" = 'READY' and not t.\"is_manual\" then 'queued'",
  ...[...Map.groupBy(STATUSES, (status) => PAYOUT_MEANING[status].allocation)].map(
    ([word, group]) => `when t."status" in (${group.map((status) => `'${status}'`).join(", ")}) then '${word}'`,
  ),
  "end",
].join(" ");
