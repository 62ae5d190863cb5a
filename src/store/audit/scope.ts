/**
 * Which rows an audit looks at, as SQL: all of an organization's, or those that changed after the last audit together
 * with everything that is still under way. Every text here takes the organization as `$1`.
 */
import type { AccountKind } from "../../core/money/ledger.ts";
import { PAYOUT_MEANING, PAYOUT_STATUSES, type PayoutClass, type PayoutStatus } from "../../core/order/payout.ts";
import { sqlName } from "../describe.ts";
import { TABLE_NAMES } from "../tables.ts";

/** Up to where the last audit came; null: everything is looked at. */
export interface AuditMark {
  readonly historySequence: number;
  readonly entrySequence: number;
  readonly invoiceCount: number;
  readonly requestCount: number;
  readonly payoutCount: number;
}

/** The sets that checks look at, as their own common table expressions. */
export type AuditSet =
  | "request_row"
  | "payout_row"
  | "invoice_row"
  | "history_row"
  | "entry_row"
  | "account_row"
  | "act_row"
  | "counter_row"
  | "book_row"
  | "table_row";

/**
 * One rule. Its SQL selects the breaches as (id text, what text). Where an id names more than one row, as a currency
 * does, `figure` says how far it is off: another figure is another breach. It stays as it is while the book goes on.
 */
export interface AuditCheck {
  readonly name: string;
  readonly of: AuditSet;
  /** Null: this check has nothing to look at in this scope. */
  sql(mark: AuditMark | null): string | null;
}

export const texts = (values: readonly string[]): string => values.map((value) => `'${value}'`).join(", ");

const STATUSES = Object.keys(PAYOUT_STATUSES) as PayoutStatus[];

/** The statuses of these classes, as a list for `in`. */
export function statusesOf(...classes: readonly PayoutClass[]): string {
  return texts(STATUSES.filter((status) => classes.includes(PAYOUT_MEANING[status].class)));
}

/** Whether the payout `p` is of these classes. */
export const isOfClass = (...classes: readonly PayoutClass[]): string => `p.status in (${statusesOf(...classes)})`;

/** How a class counts in its request: `countedMinor` of core/payout.ts in SQL, over the payout `p`. */
const COUNTED_AS: Readonly<Record<PayoutClass, string>> = {
  planned: "p.amount_minor",
  open: "p.amount_minor",
  paid: "p.processed_minor - p.returned_minor",
  returned: "0",
  not_paid: "0",
};

export const COUNTED = `case ${(Object.keys(COUNTED_AS) as PayoutClass[])
  .map((name) => `when ${isOfClass(name)} then ${COUNTED_AS[name]}`)
  .join(" ")} end`;

/**
 * Whether the payout `p` still goes its first way: nothing was ever proven against it and nothing came back. What late
 * news has revived is open again without being new money.
 */
export const IS_FRESH = `(p.evidence is null and p.returned_minor = 0
  and not (${isOfClass("open")} and p.first_send_time is null))`;

/** Kinds of accounts whose balance stands on the credit side; all others stand on the debit side. */
export const CREDIT_KINDS = ["available", "reserved", "commission"] as const satisfies readonly AccountKind[];

/** The balance of the account `a` as the sum of its entries has it: debit positive. */
export const SIGNED = `case when a.kind in (${texts(CREDIT_KINDS)}) then -a.balance_minor else a.balance_minor end`;

/** Whether somebody will come back to a subject: due work of this kind, or a person who has been asked. */
export function isAwaited(kind: string, key: string): string {
  return `(exists (select from bursar.work w where w.organization_id = $1 and w.kind = '${kind}' and w.subject = ${key})
    or exists (select from bursar.moderation_item m
      where m.organization_id = $1 and m.subject = ${key} and m.status = 'open'))`;
}

/** Whether an incident of the payout `p` is on record, open or closed. */
export const HAS_INCIDENT = `exists (select from bursar.moderation_item m
  where m.organization_id = $1 and m.subject = p.key and m.is_incident)`;

/**
 * What everything is about that changed after the mark, or that has a wake-up or an open part. Ids are cast here: a
 * cast would keep an index from being used.
 */
const headsAfter = ({ historySequence }: AuditMark): string => `
  head as materialized (
    select kind, subject from bursar.history where organization_id = $1 and sequence > ${historySequence}
    union select kind, subject from bursar.work
      where organization_id = $1 and kind in ('invoice', 'request', 'payout')),
  head_payout as materialized (select subject::uuid as id from head where kind = 'payout'),
  head_invoice as materialized (select subject::uuid as id from head where kind = 'invoice'),
  head_act as materialized (select subject::uuid as id from head where kind = 'act'),
  touched as materialized (
    select subject as id from head where kind = 'request'
    union select p.request_id from head_payout h join bursar.payout p on p.organization_id = $1 and p.id = h.id
    union select i.request_id from head_invoice h join bursar.invoice i on i.organization_id = $1 and i.id = h.id
      where i.request_id is not null
    union select request_id from bursar.open_part where organization_id = $1),
  request_row as materialized (select r.* from touched t
    join bursar.request r on r.organization_id = $1 and r.id = t.id),
  payout_row as materialized (select p.*, p.id::text as key from touched t
    join bursar.payout p on p.organization_id = $1 and p.request_id = t.id),
  touched_invoice as materialized (
    select id from head_invoice union select invoice_id from request_row where invoice_id is not null),
  invoice_row as materialized (select i.*, i.id::text as key from touched_invoice t
    join bursar.invoice i on i.organization_id = $1 and i.id = t.id),
  act_row as materialized (select a.* from head_act h
    join bursar.moderation_act a on a.organization_id = $1 and a.id = h.id),
  history_row as materialized (select h.* from head t cross join lateral (select * from bursar.history h
    where h.organization_id = $1 and h.subject = t.subject and h.kind = t.kind offset 0) h)`;

/** Entries are found account by account, for that is how they are indexed. */
const entriesAfter = ({ entrySequence }: AuditMark): string => `
  entry_row as materialized (select e.* from bursar.ledger_account a cross join lateral (
    select * from bursar.entry e where e.organization_id = $1 and e.account_id = a.id
      and e.sequence > ${entrySequence}) e where a.organization_id = $1)`;

const EVERYTHING = `
  request_row as not materialized (select * from bursar.request where organization_id = $1),
  payout_row as not materialized (select p.*, p.id::text as key from bursar.payout p where organization_id = $1),
  invoice_row as not materialized (select i.*, i.id::text as key from bursar.invoice i where organization_id = $1),
  act_row as not materialized (select * from bursar.moderation_act where organization_id = $1),
  history_row as not materialized (select * from bursar.history where organization_id = $1),
  entry_row as not materialized (select * from bursar.entry where organization_id = $1)`;

const TABLES_IN_SQL = `select unnest(array[${texts(TABLE_NAMES.map(sqlName))}]) as name`;

/** The sets as common table expressions; PostgreSQL runs only those that a query uses. */
export function scopeOf(mark: AuditMark | null): string {
  const rows = mark === null ? EVERYTHING : `${headsAfter(mark)},${entriesAfter(mark)}`;
  return `with lock_row as (select * from bursar.organization_lock where organization_id = $1),
  account_row as not materialized (select * from bursar.ledger_account where organization_id = $1),
  counter_row as (select unnest(array['invoice', 'request', 'payout']) as kind),
  book_row as (select * from bursar.organization where id = $1), table_row as (${TABLES_IN_SQL}),${rows}`;
}
