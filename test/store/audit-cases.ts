/** What no code of ours can do to a book: for each check of the audit, corruptions by SQL that it must find. */

const INVOICE = "(select id from bursar.invoice where reference_id = 'new-paid')";
const REQUEST = "(select request_id from bursar.invoice where reference_id = 'new-paid')";
const payoutOf = (name: string, attempt = 1): string =>
  `(select p.id from bursar.payout p join bursar.invoice i on i.request_id = p.request_id
    where i.reference_id = '${name}' and p.attempt = ${attempt})`;
const PAID = payoutOf("new-paid");
const QUEUED = payoutOf("new-queued");
const QUEUED_REQUEST = "(select request_id from bursar.invoice where reference_id = 'new-queued')";

const MORE_ENTRIES =
  "update bursar.organization_lock set entry_sequence = entry_sequence + 1 where organization_id = 'org_demo:test'";

const ACT = "'00000000-0000-4000-8000-000000000001'";

/** An act that is done, of the key `one`. */
const anAct = (
  confirmedBy: string,
): string => `insert into bursar.moderation_act (organization_id, id, kind, subject_kind,
    subject, status, actor, confirmed_by, reason, version, created_time, updated_time)
  values ('org_demo:test', ${ACT}, 'continue', 'request', ${REQUEST}, 'done', 'key:one', ${confirmedBy}, 'because', 1, now(), now())`;

/** What history tells of it: whether it waited for a second person. */
const proposal = (isWaiting: boolean): string => `insert into bursar.history (organization_id, sequence, kind, subject,
    version_from, version_to, moves, status, moderation_required, command_id, "time")
  select h.organization_id, l.history_sequence + 1, 'act', ${ACT}, 0, 1, '{}', 'continue', ${isWaiting}, h.command_id, h.time
  from bursar.history h, bursar.organization_lock l
  where l.organization_id = h.organization_id and h.sequence = l.history_sequence;
  update bursar.organization_lock set history_sequence = history_sequence + 1 where organization_id = 'org_demo:test'`;

export interface Case {
  readonly check: string;
  readonly title: string;
  readonly sql: string;
  /** Where what came after the mark does not show it. */
  readonly fullOnly?: true;
  /** No other check finds it. */
  readonly isAlone?: true;
}

export const CASES: readonly Case[] = [
  {
    check: "journal_sums_to_zero",
    title: "a line of a journal is changed",
    sql: `update bursar.entry set amount_minor = amount_minor + 1 where subject = ${PAID}::text and cause = 'sent' and line = 0`,
  },
  {
    check: "trial_balance_is_zero",
    title: "a balance is changed",
    sql: "update bursar.ledger_account set balance_minor = balance_minor + 7 where kind = 'commission'",
  },
  {
    check: "balance_is_sum_of_entries",
    title: "two balances are changed so that they still add up",
    sql: `update bursar.ledger_account set balance_minor = balance_minor + 7
      where id in ('available:web_demo:USD', 'deposit:dep_demo_usd:USD')`,
  },
  {
    check: "balance_within_floor",
    title: "an account is below its floor",
    sql: "update bursar.ledger_account set floor_minor = balance_minor + 1 where id = 'available:web_demo:USD'",
  },
  {
    check: "entry_has_account",
    title: "entries name another currency than their account",
    sql: `update bursar.entry set currency = 'EUR' where subject = ${PAID}::text`,
  },
  {
    check: "entry_has_account",
    title: "an account is gone",
    sql: "delete from bursar.ledger_account where kind = 'commission'",
    fullOnly: true,
  },
  {
    check: "hold_fits_request",
    title: "a hold is open although its request has settled",
    sql: `update bursar.invoice set released_minor = released_minor - 1, posted_minor = posted_minor - 1 where id = ${INVOICE}`,
  },
  {
    check: "hold_fits_request",
    title: "a hold is used up twice",
    sql: `update bursar.invoice set posted_minor = held_minor, released_minor = held_minor where id = ${INVOICE}`,
  },
  {
    check: "hold_fits_request",
    title: "a hold is closed while its payout is open",
    sql: "update bursar.invoice set released_minor = held_minor where reference_id = 'new-queued'",
  },
  {
    check: "hold_fits_request",
    title: "less was posted as held than the invoice says",
    sql: "update bursar.invoice set held_minor = held_minor + 5 where reference_id = 'new-queued'",
  },
  {
    check: "reserved_is_open_holds",
    title: "the reserved balance is not that of the open holds",
    sql: "update bursar.ledger_account set balance_minor = balance_minor + 1 where kind = 'reserved'",
    fullOnly: true,
  },
  {
    check: "in_flight_is_open",
    title: "money of a payout that is paid is still in flight",
    sql: `update bursar.entry set account_id = 'deposit:dep_demo_usd:USD'
      where subject = ${PAID}::text and account_id like 'in_flight:%' and amount_minor < 0`,
  },
  {
    check: "entries_without_gap",
    title: "an entry is gone",
    sql: "delete from bursar.entry where sequence = (select max(sequence) - 1 from bursar.entry)",
  },
  {
    check: "entries_without_gap",
    title: "an entry has the number of another one",
    sql: "update bursar.entry set sequence = sequence - 1 where sequence = (select max(sequence) from bursar.entry)",
  },
  {
    check: "request_adds_up",
    title: "a request says more is available than there is",
    sql: `update bursar.request set available_minor = 1 where id = ${REQUEST}`,
  },
  {
    check: "request_adds_up",
    title: "a payout was paid more than its request knows",
    sql: `update bursar.payout set processed_minor = processed_minor + 1 where id = ${PAID}`,
  },
  {
    check: "open_part_is_open_payout",
    title: "the row of an open part is gone",
    sql: `delete from bursar.open_part where payout_id = ${QUEUED}`,
  },
  {
    check: "open_part_is_open_payout",
    title: "a part of a payout that has ended is said to be open",
    sql: `insert into bursar.open_part select organization_id, request_id, part, id from bursar.payout where id = ${PAID}`,
  },
  {
    check: "open_part_is_open_payout",
    title: "two payouts of a part are open",
    sql: `update bursar.payout set status = 'PENDING', evidence = null where id = ${payoutOf("new-second")};
      update bursar.payout set status = 'PENDING', processed_minor = 0 where id = ${payoutOf("new-second", 2)}`,
  },
  {
    check: "next_attempt_is_proven",
    title: "an attempt follows one without evidence",
    sql: `update bursar.payout set evidence = null where id = ${payoutOf("new-second")}`,
  },
  {
    check: "next_attempt_is_proven",
    title: "an attempt follows one that is open",
    sql: `update bursar.payout set evidence = null, status = 'PROCESSING' where id = ${payoutOf("new-second")}`,
  },
  {
    check: "send_is_recorded",
    title: "a payout was sent without a hash of its request",
    sql: `update bursar.payout set request_hash = null where id = ${QUEUED}`,
  },
  {
    check: "send_is_recorded",
    title: "a payout was sent and not posted as sent",
    sql: `update bursar.entry set cause = 'something' where subject = ${QUEUED}::text and cause = 'sent'`,
  },
  {
    check: "send_is_recorded",
    title: "a payout without a reference",
    sql: `update bursar.payout set reference = '' where id = ${QUEUED}`,
  },
  {
    check: "send_is_recorded",
    title: "a payout is open that was never sent",
    sql: `update bursar.payout set first_send_time = null, sends = 0 where id = ${QUEUED}`,
  },
  {
    check: "end_has_evidence",
    title: "a payout is paid on the word of nobody",
    sql: `update bursar.command set verified = null where id in (select command_id from bursar.history where subject = ${PAID}::text)`,
  },
  {
    check: "end_has_evidence",
    title: "a sent payout has ended unpaid without evidence",
    sql: `update bursar.payout set evidence = null where id = ${payoutOf("new-second")}`,
  },
  {
    check: "reference_is_one_payout",
    title: "a reference names two payouts",
    sql: `update bursar.payout set reference = (select reference from bursar.payout where id = ${payoutOf("old-paid")}) where id = ${PAID}`,
  },
  {
    check: "everything_goes_on",
    title: "an open payout has no wake-up",
    sql: `delete from bursar.work where subject = ${QUEUED}::text`,
  },
  {
    check: "everything_goes_on",
    title: "a request that waits has no wake-up",
    sql: "delete from bursar.work where subject = 'new-bare'",
  },
  {
    check: "everything_goes_on",
    title: "an invoice that waits has no wake-up",
    sql: "delete from bursar.work where subject = (select id::text from bursar.invoice where reference_id = 'new-waiting')",
  },
  {
    check: "what_is_told_is_true",
    title: "an order is said to have failed while its payout is open",
    sql: `update bursar.request set dispatch_status = 'FAILED' where id = ${QUEUED_REQUEST}`,
  },
  {
    check: "what_is_told_is_true",
    title: "an invoice does not say what its request says",
    sql: `update bursar.invoice set status = 'process_failed' where id = ${INVOICE}`,
  },
  {
    check: "rows_belong_together",
    title: "a payout of another organization",
    sql: `update bursar.request set organization_id = 'org_demo' where id = ${QUEUED_REQUEST}`,
  },
  {
    check: "rows_belong_together",
    title: "a payout in another currency than its request",
    sql: `update bursar.payout set currency = 'EUR' where id = ${PAID}`,
  },
  {
    check: "history_without_gap",
    title: "a change is not in history any more",
    sql: "delete from bursar.history where sequence = (select max(sequence) - 1 from bursar.history)",
  },
  {
    check: "history_without_gap",
    title: "the last change is not in history any more",
    sql: "delete from bursar.history where sequence = (select max(sequence) from bursar.history)",
  },
  {
    check: "history_moves_connect",
    title: "a version is missing",
    sql: `delete from bursar.history where subject = ${PAID}::text and version_to = 1`,
  },
  {
    check: "history_moves_connect",
    title: "moves do not follow each other",
    sql: `update bursar.history set moves = array['payout.new>CREATED', 'payout.INVOKING>PROCESSED']
      where subject = ${PAID}::text and version_to = 1`,
  },
  {
    check: "history_moves_connect",
    title: "a status was reached without a move",
    sql: `update bursar.history set moves = '{}' where subject = ${PAID}::text and version_to = 2`,
  },
  {
    check: "history_tells_status",
    title: "a status was changed and history does not know",
    sql: `update bursar.payout set status = 'PROCESSING' where id = ${QUEUED}`,
  },
  {
    check: "history_tells_status",
    title: "a version was written twice",
    sql: `update bursar.payout set version = version - 1 where id = ${PAID}`,
  },
  {
    check: "history_tells_status",
    title: "an order of which history tells is gone",
    sql: "delete from bursar.invoice where reference_id = 'new-waiting'",
  },
  {
    check: "history_has_cause",
    title: "what caused a change is gone",
    sql: `delete from bursar.command where id in (select command_id from bursar.history where subject = ${PAID}::text)`,
  },
  {
    check: "counters_count",
    title: "a counter of the lock row is off",
    sql: "update bursar.organization_lock set payout_count = payout_count + 1 where organization_id = 'org_demo:test'",
  },
  {
    check: "lock_row_is_there",
    title: "an organization has no lock row",
    sql: "delete from bursar.organization_lock where organization_id = 'org_demo:test'",
    fullOnly: true,
    isAlone: true,
  },
  {
    check: "rows_belong_together",
    title: "an old invoice that waits has a request which is not there",
    sql: "update bursar.invoice set request_id = 'nothing' where reference_id = 'old-waiting'",
  },
  {
    check: "request_adds_up",
    title: "an old bare request that waits says less is available than there is",
    sql: "update bursar.request set available_minor = available_minor - 1 where id = 'old-bare'",
    isAlone: true,
  },
  {
    check: "invoice_adds_up",
    title: "an invoice says that more was paid than its payouts say",
    sql: `update bursar.invoice set processed_service_minor = processed_service_minor + 1, processed_minor = processed_minor + 1
      where id = ${INVOICE}`,
    isAlone: true,
  },
  {
    check: "invoice_adds_up",
    title: "an invoice says that it got back what its payouts do not say",
    sql: `update bursar.invoice set refunded_service_minor = 3, refunded_minor = 3 where id = ${INVOICE}`,
    isAlone: true,
  },
  {
    check: "invoice_adds_up",
    title: "an invoice says in the account's currency more than what it says in the service's",
    sql: `update bursar.invoice set processed_minor = processed_minor + 1 where id = ${INVOICE}`,
    isAlone: true,
  },
  {
    check: "invoice_adds_up",
    title: "an incident of a payout is forgotten",
    sql: `update bursar.payout set incident_minor = 5 where id = ${PAID}`,
    isAlone: true,
  },
  {
    check: "hold_fits_entries",
    title: "what was paid from a hold is told as given back",
    sql: `update bursar.invoice set posted_minor = posted_minor - 1, released_minor = released_minor + 1 where id = ${INVOICE}`,
    isAlone: true,
  },
  {
    check: "hold_fits_entries",
    title: "a hold is used up step by step without a posting",
    sql: "update bursar.invoice set posted_minor = posted_minor + 1 where reference_id = 'new-queued'",
  },
  {
    check: "commission_fits_entries",
    title: "an invoice says another commission than was posted",
    sql: `update bursar.invoice set processed_fee_minor = processed_fee_minor + 1 where id = ${INVOICE}`,
    isAlone: true,
  },
  {
    check: "commission_fits_entries",
    title: "a commission is told as given back and was not",
    sql: `update bursar.invoice set refunded_fee_minor = 1 where id = ${INVOICE}`,
    isAlone: true,
  },
  {
    check: "second_person_is_another",
    title: "who proposed an act has confirmed it",
    sql: `${anAct("'key:one'")}; ${proposal(false)}`,
    isAlone: true,
  },
  {
    check: "second_person_is_another",
    title: "an act that waited for a second person is done without one",
    sql: `${anAct("null")}; ${proposal(true)}`,
    isAlone: true,
  },
  {
    check: "journal_has_lines",
    title: "a journal has a line of nothing",
    sql: `insert into bursar.entry select e.organization_id, e.account_id, l.entry_sequence + 1, e.subject, e.cause, 9,
        e.currency, 0, e.time from bursar.entry e, bursar.organization_lock l
        where l.organization_id = e.organization_id and e.subject = ${PAID}::text and e.cause = 'sent' and e.line = 0;
      ${MORE_ENTRIES}`,
    isAlone: true,
  },
  {
    check: "journal_has_lines",
    title: "a journal has one line",
    sql: `insert into bursar.entry select e.organization_id, e.account_id, l.entry_sequence + 1, e.subject, 'alone', 0,
        e.currency, 0, e.time from bursar.entry e, bursar.organization_lock l
        where l.organization_id = e.organization_id and e.subject = ${PAID}::text and e.cause = 'sent' and e.line = 0;
      ${MORE_ENTRIES}`,
    isAlone: true,
  },
];

/** What the owner can do to the catalogue, on a book with all its constraints. `id`: what alone is named. */
export const CATALOGUE_CASES: readonly Pick<Case & { id: string }, "check" | "title" | "sql" | "id">[] = [
  {
    check: "record_is_permanent",
    title: "the application may change entries",
    sql: "grant update on bursar.entry to bursar_app",
    id: "entry",
  },
  {
    check: "record_is_permanent",
    title: "the application may change one column of history",
    sql: "grant update (status) on bursar.history to bursar_app",
    id: "history",
  },
  {
    check: "record_is_permanent",
    title: "everybody may delete commands",
    sql: "grant delete on bursar.command to public",
    id: "command",
  },
  {
    check: "tenants_are_apart",
    title: "row-level security does not bind the owner of a table",
    sql: "alter table bursar.payout no force row level security",
    id: "payout",
  },
  {
    check: "tenants_are_apart",
    title: "row-level security is off for a table",
    sql: "alter table bursar.webhook_endpoint disable row level security",
    id: "webhook_endpoint",
  },
];
