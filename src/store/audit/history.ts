/** What an audit checks of the record: is every change of status in it, and are the counters what they count? */
import { type AuditCheck, type AuditMark, texts } from "./scope.ts";

/** What has a status that history tells, and a counter in the lock row. */
const COUNTED_TABLES = ["invoice", "request", "payout"] as const;

const sequences: AuditCheck = {
  name: "history_without_gap",
  of: "history_row",
  sql: (mark) => `select s.sequence::text as id, format('history %s follows %s', s.sequence, s.before) as what,
      '' as figure
    from (select sequence, lag(sequence, 1, ${mark?.historySequence ?? 0}::bigint) over (order by sequence) as before
      from bursar.history where organization_id = $1 and sequence > ${mark?.historySequence ?? 0}) s
    where s.sequence <> s.before + 1
    union all select 'last', format('%s changes are counted, the last one is %s', l.history_sequence, h.last),
      (l.history_sequence - h.last)::text
    from lock_row l, (select coalesce(max(sequence), 0) as last from bursar.history where organization_id = $1) h
    where l.history_sequence <> h.last`,
};

/** Moves follow each other, begin where the row before ended, and end in the row's own status. */
const moves: AuditCheck = {
  name: "history_moves_connect",
  of: "history_row",
  sql: () => `select subject as id, format('%s version %s is %s after %s (version %s), by %s', kind, version_to, status,
      before, version_before, coalesce(nullif(array_to_string(moves, ', '), ''), 'no move')) as what
    from (select *, lag(status, 1, 'new') over subject_rows as before,
        lag(version_to, 1, 0) over subject_rows as version_before
      from history_row where kind in (${texts(COUNTED_TABLES)})
      window subject_rows as (partition by kind, subject order by version_to)) h
    where version_from <> version_before or version_to <> version_before + 1
      or case cardinality(moves) when 0 then status <> before
        when 1 then moves[1] <> kind || '.' || before || '>' || status
        else not starts_with(moves[1], kind || '.' || before || '>')
          or split_part(moves[cardinality(moves)], '>', 2) <> status
          or exists (select from generate_series(2, cardinality(moves)) at
            where not starts_with(moves[at], kind || '.' || split_part(moves[at - 1], '>', 2) || '>')) end`,
};

const AGGREGATES = `select 'invoice' as kind, key, version, status, moderation_required from invoice_row
    union all select 'request', id, version, dispatch_status, moderation_required from request_row
    union all select 'payout', key, version, status, moderation_required from payout_row`;

const standing: AuditCheck = {
  name: "history_tells_status",
  of: "history_row",
  sql: () => `with standing as materialized (${AGGREGATES})
    select s.key as id, format('%s is %s in version %s, which history does not tell', s.kind, s.status, s.version) as what
    from standing s left join bursar.history h on h.organization_id = $1
      and h.subject = s.key and h.kind = s.kind and h.version_to = s.version
    where h.status is distinct from s.status
    union all
    select s.key, format('%s is in version %s, history goes on', s.kind, s.version)
    from standing s join (select kind, subject, max(version_to) as version_to from history_row group by kind, subject) h
      on h.subject = s.key and h.kind = s.kind and h.version_to > s.version
    union all
    select h.subject, format('history tells of a %s that is not there', h.kind)
    from history_row h left join standing s on s.key = h.subject and s.kind = h.kind
    where h.version_to = 1 and s.key is null and h.kind in (${texts(COUNTED_TABLES)})`,
};

const causes: AuditCheck = {
  name: "history_has_cause",
  of: "history_row",
  sql: () => `select h.subject as id, format('history %s names command %s, which is not there', h.sequence, h.command_id) as what
    from history_row h left join bursar.command c on c.organization_id = $1 and c.id = h.command_id where c.id is null`,
};

/** After a mark: what the counters grew by is what history tells as new. */
function grown(mark: AuditMark): string {
  const known = { invoice: mark.invoiceCount, request: mark.requestCount, payout: mark.payoutCount };
  return COUNTED_TABLES.map(
    (table) => `select '${table}' as kind, l.${table}_count as counted, ${known[table]} + (
      select count(*) from bursar.history h where h.organization_id = $1 and h.sequence > ${mark.historySequence}
        and h.kind = '${table}' and h.version_to = 1) as found from lock_row l`,
  ).join(" union all ");
}

const all = (): string =>
  COUNTED_TABLES.map(
    (table) =>
      `select '${table}' as kind, l.${table}_count as counted, (select count(*) from ${table}_row) as found from lock_row l`,
  ).join(" union all ");

const counters: AuditCheck = {
  name: "counters_count",
  of: "counter_row",
  sql: (mark) => `select kind as id, format('%s are counted, %s are there', counted, found) as what,
      (counted - found)::text as figure
    from (${mark === null ? all() : grown(mark)}) c where counted <> found`,
};

export const HISTORY_CHECKS: readonly AuditCheck[] = [sequences, moves, standing, causes, counters];
