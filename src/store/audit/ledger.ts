/** What an audit checks of the ledger: journals, balances, holds, and what is on its way (docs/domain.md, Ledger). */
import { DISPATCH_STATUSES, type DispatchStatus } from "../../core/order/request.ts";
import { type AuditCheck, IS_FRESH, isOfClass, SIGNED, texts } from "./scope.ts";

/** Statuses of a request whose workflow is over; what was paid may still be reversed. */
const STILL_REVERSIBLE: readonly DispatchStatus[] = ["PROCESSED", "PARTIALLY_PROCESSED", "CANCELING"];
const SETTLED = (Object.keys(DISPATCH_STATUSES) as DispatchStatus[]).filter(
  (status) => DISPATCH_STATUSES[status].final || STILL_REVERSIBLE.includes(status),
);

/** Whether the workflow of the request `r` is over. */
export const IS_SETTLED = `r.dispatch_status in (${texts(SETTLED)})`;

const journals: AuditCheck = {
  name: "journal_sums_to_zero",
  of: "entry_row",
  sql: () => `select subject as id, format('%s is off by %s %s', cause, sum(amount_minor), currency) as what,
      format('%s %s %s', cause, sum(amount_minor), currency) as figure
    from entry_row group by subject, cause, currency having sum(amount_minor) <> 0`,
};

const trialBalance: AuditCheck = {
  name: "trial_balance_is_zero",
  of: "account_row",
  sql: () => `select a.currency as id, format('all balances add up to %s', sum(${SIGNED})) as what,
      sum(${SIGNED})::text as figure
    from account_row a group by a.currency having sum(${SIGNED}) <> 0`,
};

/** An event that moves nothing posts nothing. */
const lines: AuditCheck = {
  name: "journal_has_lines",
  of: "entry_row",
  sql: () => `select subject as id, format('%s has %s lines, %s of them zero', cause, count(*),
      count(*) filter (where amount_minor = 0)) as what, cause as figure
    from entry_row group by subject, cause having count(*) < 2 or bool_or(amount_minor = 0)`,
};

/** The sum of the entries of each account: what the mark knows, and what came after it. */
export function foldOf(isFull: boolean): string {
  const known = isFull ? "0" : "coalesce(b.sum_minor, 0)";
  const join = isFull ? "" : "left join bursar.audit_balance b on b.organization_id = $1 and b.account_id = a.id";
  return `select a.id, a.currency, ${SIGNED} as signed, ${known} + coalesce(s.added, 0) as folded, s.added
    from account_row a ${join}
    left join (select account_id, sum(amount_minor) as added from entry_row group by account_id) s on s.account_id = a.id`;
}

const balances: AuditCheck = {
  name: "balance_is_sum_of_entries",
  of: "account_row",
  sql: (
    mark,
  ) => `select id, format('the balance is %s, the entries add up to %s (debit positive)', signed, folded) as what,
      (signed - folded)::text as figure
    from (${foldOf(mark === null)}) f where signed <> folded`,
};

const floors: AuditCheck = {
  name: "balance_within_floor",
  of: "account_row",
  sql: () => `select id, format('the balance %s is below %s', balance_minor, floor_minor) as what
    from account_row where balance_minor < floor_minor`,
};

const accounts: AuditCheck = {
  name: "entry_has_account",
  of: "entry_row",
  sql: () => `select e.subject as id, format('entry %s names %s in %s', e.sequence, e.account_id, e.currency) as what
    from entry_row e left join account_row a on a.id = e.account_id where a.currency is distinct from e.currency`,
};

/**
 * A hold is used up at most once, is what was posted as held, is closed when its request has settled, and is open
 * while something of it is planned or open for the first time, or partly paid and a person has been asked.
 */
const holds: AuditCheck = {
  name: "hold_fits_request",
  of: "invoice_row",
  sql: () => `select i.key as id, format('held %s, posted %s, released %s; its request is %s; %s was posted as held',
      i.held_minor, i.posted_minor, i.released_minor, coalesce(r.dispatch_status, 'not there'),
      coalesce(-e.amount_minor, 0)) as what
    from invoice_row i
    left join request_row r on r.id = i.request_id
    left join bursar.entry e on e.organization_id = $1 and e.subject = r.id and e.cause = 'hold' and e.amount_minor < 0
    left join (select p.request_id, bool_or(${isOfClass("planned", "open")} and ${IS_FRESH}) as has_fresh,
        bool_or(p.processed_minor > 0) as has_paid,
        bool_or(not ${IS_FRESH} and (${isOfClass("open")} or p.processed_minor > 0)) as has_revived
      from payout_row p group by p.request_id) p on p.request_id = r.id
    where i.posted_minor < 0 or i.released_minor < 0 or i.posted_minor + i.released_minor > i.held_minor
      or i.held_minor <> coalesce(-e.amount_minor, 0)
      or (${IS_SETTLED} and i.posted_minor + i.released_minor <> i.held_minor)
      or (i.held_minor > 0 and i.posted_minor + i.released_minor = i.held_minor and not ${IS_SETTLED}
        and not p.has_revived and ((p.has_fresh and not p.has_paid) or exists (select from bursar.moderation_item m
          where m.organization_id = $1 and m.subject = r.id and m.status = 'open' and m.reason = 'partly_paid')))`,
};

/** What was taken from a hold, paid or earned, and what of it was given back, are as they were posted. */
const posted: AuditCheck = {
  name: "hold_fits_entries",
  of: "invoice_row",
  sql: () => `with line as (
      select p.request_id, e.cause, e.account_id, e.amount_minor from payout_row p
      join bursar.entry e on e.organization_id = $1 and e.subject = p.key and starts_with(e.account_id, 'reserved:')
      union all
      select i.request_id, e.cause, e.account_id, -e.amount_minor from invoice_row i
      join bursar.entry e on e.organization_id = $1 and e.subject = i.request_id and e.cause = 'settled'
      where not starts_with(e.account_id, 'reserved:')),
    told as (select request_id,
        coalesce(sum(amount_minor) filter (where not starts_with(account_id, 'available:')), 0) as posted,
        coalesce(sum(amount_minor) filter (where starts_with(account_id, 'available:')), 0) as released
      from line group by request_id)
    select i.key as id, format('posted %s, released %s; by the entries %s and %s', i.posted_minor, i.released_minor,
      coalesce(t.posted, 0), coalesce(t.released, 0)) as what
    from invoice_row i left join told t on t.request_id = i.request_id
    where i.posted_minor <> coalesce(t.posted, 0) or i.released_minor <> coalesce(t.released, 0)`,
};

/** A commission is earned on what was paid, and given back on what came back, never more than was earned. */
const commission: AuditCheck = {
  name: "commission_fits_entries",
  of: "invoice_row",
  sql: () => `select i.key as id, format('earned %s, given back %s; by the entries %s and %s', i.processed_fee_minor,
      i.refunded_fee_minor, coalesce(e.earned, 0), coalesce(e.returned, 0)) as what
    from invoice_row i left join (select i.key, -sum(e.amount_minor) filter (where e.amount_minor < 0) as earned,
        sum(e.amount_minor) filter (where e.amount_minor > 0) as returned from invoice_row i
      join bursar.entry e on e.organization_id = $1 and e.subject = i.request_id
        and starts_with(e.account_id, 'commission:') group by i.key) e on e.key = i.key
    where i.processed_fee_minor <> coalesce(e.earned, 0) or i.refunded_fee_minor <> coalesce(e.returned, 0)
      or i.refunded_fee_minor > i.processed_fee_minor
      or (i.processed_fee_minor > 0 and i.processed_service_minor = 0)
      or (i.refunded_fee_minor > 0 and i.refunded_minor = 0)`,
};

/** Needs every invoice, and so is looked at only when everything is. */
const reserved: AuditCheck = {
  name: "reserved_is_open_holds",
  of: "account_row",
  sql: (mark) =>
    mark !== null
      ? null
      : `select a.id, format('%s is reserved, open holds are %s', a.balance_minor, coalesce(h.open, 0)) as what,
      (a.balance_minor - coalesce(h.open, 0))::text as figure
    from account_row a left join (
      select website_id, currency, sum(held_minor - posted_minor - released_minor) as open
      from invoice_row group by website_id, currency) h on h.website_id = a.owner and h.currency = a.currency
    where a.kind = 'reserved' and a.balance_minor <> coalesce(h.open, 0)`,
};

const inFlight: AuditCheck = {
  name: "in_flight_is_open",
  of: "payout_row",
  sql: () => `select p.key as id, format('%s of %s is in flight, by the ledger %s, and the payout is %s',
      p.in_flight_minor, p.amount_minor, coalesce(f.amount, 0), p.status) as what
    from payout_row p left join (select p.key, sum(e.amount_minor) as amount from payout_row p
      join bursar.entry e on e.organization_id = $1 and e.subject = p.key and starts_with(e.account_id, 'in_flight:')
      group by p.key) f on f.key = p.key
    where p.in_flight_minor <> coalesce(f.amount, 0) or p.in_flight_minor > p.amount_minor
      or (p.in_flight_minor <> 0 and not ${isOfClass("open")})`,
};

const entrySequences: AuditCheck = {
  name: "entries_without_gap",
  of: "entry_row",
  sql: (mark) => `select s.sequence::text as id, format('entry %s follows %s', s.sequence, s.before) as what,
      '' as figure
    from (select sequence, lag(sequence, 1, ${mark?.entrySequence ?? 0}::bigint) over (order by sequence) as before
      from entry_row) s where s.sequence <> s.before + 1
    union all select 'last', format('%s entries are counted, the last one is %s', l.entry_sequence, e.last),
      (l.entry_sequence - e.last)::text
    from lock_row l, (select coalesce(max(sequence), ${mark?.entrySequence ?? 0}) as last from entry_row) e
    where l.entry_sequence <> e.last`,
};

export const LEDGER_CHECKS: readonly AuditCheck[] = [
  journals,
  lines,
  trialBalance,
  balances,
  floors,
  accounts,
  holds,
  posted,
  commission,
  reserved,
  inFlight,
  entrySequences,
];
