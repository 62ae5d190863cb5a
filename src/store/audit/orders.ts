/** What an audit checks of orders: sums, open parts, evidence, and that everything goes on (docs/safety.md). */
import { INVOICE_STATUS_OF } from "../../core/order/invoice.ts";
import { moveName } from "../../core/order/machine.ts";
import { PAYOUT, PAYOUT_MEANING } from "../../core/order/payout.ts";
import { IS_SETTLED } from "./ledger.ts";
import { type AuditCheck, COUNTED, HAS_INCIDENT, IS_FRESH, isAwaited, isOfClass, statusesOf, texts } from "./scope.ts";

const arithmetic: AuditCheck = {
  name: "request_adds_up",
  of: "request_row",
  sql: () => `select r.id, format('amount %s, overpaid %s, available %s, counted %s; paid %s, by its payouts %s',
      r.amount_minor, r.overpaid_minor, r.available_minor, coalesce(s.counted, 0), r.paid_minor, coalesce(s.paid, 0)) as what
    from request_row r left join (select p.request_id, sum(${COUNTED}) as counted,
        sum(p.processed_minor - p.returned_minor) as paid from payout_row p group by p.request_id) s on s.request_id = r.id
    where r.amount_minor + r.overpaid_minor <> r.available_minor + coalesce(s.counted, 0)
      or r.paid_minor <> coalesce(s.paid, 0) or r.overpaid_minor < 0
      or r.available_minor < 0 or r.available_minor > r.amount_minor`,
};

/** What an amount in the service's currency is in the account's, of the invoice `i`. */
const shareOf = (serviceMinor: string): string =>
  `div(i.amount_minor * ${serviceMinor}, nullif(i.service_amount_minor, 0))`;

/**
 * What an invoice paid and got back is what its payouts did, less what stands in suspense or has cost us; in the
 * account's currency it is the share of that at the frozen rate, rounded down (`shareOf` of core/settlement.ts).
 */
const invoiceSums: AuditCheck = {
  name: "invoice_adds_up",
  of: "invoice_row",
  sql: () => `select i.key as id, format('paid %s (%s), refunded %s (%s); by its payouts %s are paid and not back',
      i.processed_service_minor, i.processed_minor, i.refunded_service_minor, i.refunded_minor,
      coalesce(s.paid, 0)) as what
    from invoice_row i left join (select p.request_id,
        sum(p.processed_minor - p.returned_minor - p.incident_minor - p.loss_minor) as paid
      from payout_row p group by p.request_id) s on s.request_id = i.request_id
    where i.processed_service_minor - i.refunded_service_minor <> coalesce(s.paid, 0)
      or i.processed_minor is distinct from ${shareOf("i.processed_service_minor")}
      or i.refunded_minor is distinct from ${shareOf("i.refunded_service_minor")}`,
};

/** A payout that late news has revived may find its part taken: only the first of them is new money. */
const openParts: AuditCheck = {
  name: "open_part_is_open_payout",
  of: "payout_row",
  sql: () => `select p.key as id, format('part %s of %s is open in status %s, its row says %s',
      p.part, p.request_id, p.status, coalesce(o.payout_id::text, 'nothing')) as what
    from payout_row p left join bursar.open_part o
      on o.organization_id = $1 and o.request_id = p.request_id and o.part = p.part
    where ${isOfClass("planned", "open")} and ${IS_FRESH} and o.payout_id is distinct from p.id
    union all
    select o.payout_id::text, format('part %s of %s is said to be open, its payout is %s',
      o.part, o.request_id, coalesce(p.status, 'not there'))
    from bursar.open_part o left join bursar.payout p on p.organization_id = $1 and p.id = o.payout_id
    where o.organization_id = $1 and (p.id is null or p.request_id <> o.request_id or p.part <> o.part
      or not ${isOfClass("planned", "open")})`,
};

/**
 * What never had an intent cannot pay; after money that was paid or came back a person may go on. Of what late news has
 * revived the evidence stays.
 */
const attempts: AuditCheck = {
  name: "next_attempt_is_proven",
  of: "payout_row",
  sql: () => `select p.key as id, format('attempt %s of part %s of %s follows one that is %s without evidence',
      n.attempt, p.part, p.request_id, p.status) as what
    from (select key, attempt, lag(key) over (partition by request_id, part order by attempt) as before
      from payout_row) n join payout_row p on p.key = n.before
    where ${IS_FRESH} and not (p.status = 'CREATE_FAILED' or ${isOfClass("paid", "returned")}
      or (${isOfClass("not_paid")} and p.first_send_time is null))`,
};

const sends: AuditCheck = {
  name: "send_is_recorded",
  of: "payout_row",
  sql: () => `select p.key as id, format('%s after %s sends; reference %s, hash %s, posting %s', p.status, p.sends,
      coalesce(nullif(p.reference, ''), 'missing'), coalesce(left(p.request_hash, 8), 'missing'),
      case when e.subject is null then 'missing' else 'there' end) as what
    from payout_row p left join bursar.entry e
      on e.organization_id = $1 and e.subject = p.key and e.cause = 'sent' and e.line = 0
    where p.reference = ''
      or ((p.sends > 0 or p.first_send_time is not null) and (p.request_hash is null or e.subject is null))
      or (${isOfClass("open", "paid", "returned")} and p.first_send_time is null and not ${HAS_INCIDENT})`,
};

const PAID_MOVES = PAYOUT.moves
  .filter(({ to }) => ["paid", "returned"].includes(PAYOUT_MEANING[to].class))
  .map(({ from, to }) => moveName("payout", from, to));

/** Paid: a verified message, or a person, moved it there. Not paid although sent: evidence. */
const ends: AuditCheck = {
  name: "end_has_evidence",
  of: "payout_row",
  sql: () => `select p.key as id, format('%s without evidence', p.status) as what from payout_row p
    where (${isOfClass("not_paid")} and p.first_send_time is not null and p.evidence is null)
      or (${isOfClass("paid", "returned")} and p.evidence is null and not exists (
        select from bursar.history h join bursar.command c on c.organization_id = $1 and c.id = h.command_id
        where h.organization_id = $1 and h.kind = 'payout' and h.subject = p.key
          and h.moves && array[${texts(PAID_MOVES)}] and (c.verified or starts_with(c.actor, 'key:'))))`,
};

const references: AuditCheck = {
  name: "reference_is_one_payout",
  of: "payout_row",
  sql: () => `select p.key as id, format('reference %s of %s is also of payout %s',
      p.reference, p.provider_account_id, q.id) as what
    from payout_row p join bursar.payout q on q.organization_id = $1
      and q.provider_account_id = p.provider_account_id and q.reference = p.reference where q.id <> p.id`,
};

/** Rule 8: whatever is not final, or whose money is open, has a wake-up, or a person has been asked. */
const goesOn: AuditCheck = {
  name: "everything_goes_on",
  of: "request_row",
  sql: (mark) => `select p.key as id, format('payout in %s: no wake-up, and nobody has been asked', p.status) as what
    from payout_row p
    where (${isOfClass("planned", "open")} or p.status = 'CANCELLING') and not ${isAwaited("payout", "p.key")}
    union all
    select r.id, format('request in %s: no wake-up, and nobody has been asked', r.dispatch_status) from request_row r
    where (not ${IS_SETTLED} or r.dispatch_status = 'CANCELING') and not ${isAwaited("request", "r.id")}
      and not exists (select from payout_row p where p.request_id = r.id
        and (${isOfClass("planned", "open")} or p.status = 'CANCELLING'))
    union all
    select i.key, 'invoice in created: no wake-up, and nobody has been asked' from invoice_row i
    where i.status = 'created' and not ${isAwaited("invoice", "i.key")}
    ${mark === null ? DELIVERIES : ""}`,
};

const DELIVERIES = `union all
    select d.key, 'webhook pending: no wake-up, and nobody has been asked'
    from (select id::text as key, status from bursar.delivery where organization_id = $1) d
    where d.status = 'pending' and not ${isAwaited("delivery", "d.key")}`;

const EXPECTED_STATUS = `case r.dispatch_status ${Object.entries(INVOICE_STATUS_OF)
  .map(([from, to]) => `when '${from}' then '${to}'`)
  .join(" ")} end`;

/** Nobody is told that an order is unpaid while one of its payouts may still pay. */
const told: AuditCheck = {
  name: "what_is_told_is_true",
  of: "request_row",
  sql: () => `select r.id, format('request is %s, payout %s is %s', r.dispatch_status, p.key, p.status) as what
    from request_row r join payout_row p on p.request_id = r.id
    where r.dispatch_status in ('FAILED', 'EXPIRED', 'TERMINATED') and p.status in (${statusesOf("planned", "open")})
    union all
    select i.key, format('invoice is %s, its request %s', i.status, r.dispatch_status)
    from invoice_row i join request_row r on r.id = i.request_id
    where i.status <> ${EXPECTED_STATUS}
      or (r.dispatch_status = 'CANCELING' and i.status not in ('refunding', 'refund_pending'))`,
};

const belongings: AuditCheck = {
  name: "rows_belong_together",
  of: "payout_row",
  sql: () => `select p.key as id, format('payout of request %s: another website, currency or invoice, or none', p.request_id) as what
    from payout_row p left join bursar.request r on r.organization_id = $1 and r.id = p.request_id
    where r.id is null or r.website_id <> p.website_id or r.currency <> p.currency
      or r.invoice_id is distinct from p.invoice_id
    union all
    select i.key, format('invoice of request %s: another one, or none', i.request_id)
    from invoice_row i left join bursar.request r on r.organization_id = $1 and r.id = i.request_id
    where (i.request_id is not null and (r.id is null or r.invoice_id is distinct from i.id
        or r.website_id <> i.website_id or r.currency <> i.service_currency))
      or (i.request_id is null and i.status not in ('created', 'expired', 'terminated'))
    union all
    select r.id, format('request of invoice %s: another one, or none', r.invoice_id)
    from request_row r left join bursar.invoice i on i.organization_id = $1 and i.id = r.invoice_id
    where r.invoice_id is not null and i.request_id is distinct from r.id`,
};

export const ORDER_CHECKS: readonly AuditCheck[] = [
  arithmetic,
  invoiceSums,
  openParts,
  attempts,
  sends,
  ends,
  references,
  goesOn,
  told,
  belongings,
];
