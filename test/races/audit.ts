/**
 * The judgement after a race: the invariants of docs/safety.md in SQL of its own, written from the document and not
 * from the product's code, and the provider's book beside them.
 */
import { createHash } from "node:crypto";
import { BOOK, type Operation, type Place } from "./place.ts";

const OPEN = "'CREATED', 'READY', 'INVOKING', 'PROCESSING', 'PENDING', 'REVOKING', 'REVOKE_FAILED'";
const PAID = "'PROCESSED', 'PARTIALLY_PROCESSED', 'CANCELLING', 'CANCEL_FAILED'";
const NOT_PAID = "'CREATE_FAILED', 'TERMINATED', 'EXPIRED', 'INVOKE_FAILED', 'PROCESS_FAILED', 'REVOKED'";

/** Balances as their entries have it: debit positive. */
const SIGNED = "case when a.kind in ('available', 'reserved', 'commission') then -1 else 1 end";

/** Each selects what is wrong as `what`; $1 is the book. */
const CHECKS: Readonly<Record<string, string>> = {
  "journals sum to zero": `select format('%s %s is off by %s', subject, cause, sum(amount_minor)) as what
    from bursar.entry where organization_id = $1 group by subject, cause, currency having sum(amount_minor) <> 0`,

  "trial balance is zero": `select format('%s: %s', a.currency, sum(${SIGNED} * a.balance_minor)) as what
    from bursar.ledger_account a where a.organization_id = $1
    group by a.currency having sum(${SIGNED} * a.balance_minor) <> 0`,

  "balances are the sum of their entries": `select format('%s is %s, its entries say %s', a.id, a.balance_minor,
      ${SIGNED} * coalesce(sum(e.amount_minor), 0)) as what
    from bursar.ledger_account a left join bursar.entry e on e.organization_id = $1 and e.account_id = a.id
    where a.organization_id = $1 group by a.id, a.kind, a.balance_minor
    having a.balance_minor <> ${SIGNED} * coalesce(sum(e.amount_minor), 0)`,

  "available never went below zero": `select format('%s was %s after entry %s', account_id, balance, sequence) as what
    from (select account_id, sequence, -sum(amount_minor) over (partition by account_id order by sequence) as balance
      from bursar.entry where organization_id = $1 and account_id like 'available:%') e where balance < 0`,

  "requests add up": `select format('%s: amount %s, overpaid %s, available %s, counted %s', r.id, r.amount_minor,
      r.overpaid_minor, r.available_minor, coalesce(p.counted, 0)) as what
    from bursar.request r left join (select request_id, sum(case when status in (${OPEN}) then amount_minor
        when status in (${PAID}) then processed_minor - returned_minor else 0 end) as counted
      from bursar.payout where organization_id = $1 group by request_id) p on p.request_id = r.id
    where r.organization_id = $1 and (r.amount_minor + r.overpaid_minor <> r.available_minor + coalesce(p.counted, 0)
      or r.available_minor not between 0 and r.amount_minor)`,

  "open parts are open payouts": `select format('part %s of %s: payout %s, row %s', coalesce(o.part, p.part),
      coalesce(o.request_id, p.request_id), p.id, o.payout_id) as what
    from (select * from bursar.open_part where organization_id = $1) o
    full join (select * from bursar.payout where organization_id = $1 and status in (${OPEN}) and evidence is null
      and (first_send_time is not null or status in ('CREATED', 'READY'))) p
      on p.request_id = o.request_id and p.part = o.part and p.id = o.payout_id
    where p.id is null and not exists (select from bursar.payout q where q.organization_id = $1
        and q.id = o.payout_id and q.status in (${OPEN})) or o.payout_id is null`,

  "holds are used once": `select format('%s: held %s, posted %s, released %s', reference_id, held_minor, posted_minor,
      released_minor) as what
    from bursar.invoice where organization_id = $1 and (posted_minor < 0 or released_minor < 0
      or posted_minor + released_minor > held_minor
      or (status in ('processed', 'process_failed', 'expired', 'terminated')
        and posted_minor + released_minor <> held_minor))`,

  "the next attempt has evidence": `select format('attempt %s of %s follows one that is %s', attempt, request_id, before)
      as what
    from (select request_id, part, attempt, lag(status) over w as before, lag(evidence) over w as evidence,
        lag(first_send_time) over w as sent
      from bursar.payout where organization_id = $1 window w as (partition by request_id, part order by attempt)) p
    where before is not null and evidence is null and (before not in (${NOT_PAID}) or sent is not null)`,

  "a payout is posted as sent once": `select format('%s after %s sends: %s postings', p.id, p.sends, count(e.subject)) as what
    from bursar.payout p left join bursar.entry e on e.organization_id = $1 and e.subject = p.id::text
      and e.cause = 'sent' and e.account_id like 'in_flight:%'
    where p.organization_id = $1 group by p.id, p.sends
    having count(e.subject) > 1 or (p.sends > 0) <> (count(e.subject) = 1)`,

  "what is sent is what the payout says": `select format('%s of %s: %s are posted as sent', p.id, p.amount_minor,
      e.amount_minor) as what
    from bursar.payout p join bursar.entry e on e.organization_id = $1 and e.subject = p.id::text
      and e.cause = 'sent' and e.account_id like 'in_flight:%'
    where p.organization_id = $1 and e.amount_minor <> p.amount_minor`,

  "one payout of a part is under way": `select format('part %s of %s has %s', p.part, p.request_id, count(*)) as what
    from bursar.payout p join bursar.request r on r.organization_id = $1 and r.id = p.request_id
    where p.organization_id = $1 and p.status in (${OPEN}) and p.evidence is null and r.overpaid_minor = 0
    group by p.request_id, p.part having count(*) > 1`,

  "attempts and parts are within their limits": `select format('%s: attempt %s of %s, part %s', p.request_id,
      max(p.attempt), r.attempts_limit, max(p.part)) as what
    from bursar.payout p join bursar.request r on r.organization_id = $1 and r.id = p.request_id
    where p.organization_id = $1 group by p.request_id, r.attempts_limit
    having max(p.attempt) > r.attempts_limit or max(p.part) > 100`,

  "no more comes back than was paid": `select format('%s: paid %s, back %s, of its payouts %s', i.reference_id,
      i.processed_minor, i.refunded_minor, p.returned) as what
    from bursar.invoice i join (select request_id, sum(processed_minor) as processed, sum(returned_minor) as returned
      from bursar.payout where organization_id = $1 group by request_id) p on p.request_id = i.request_id
    where i.organization_id = $1 and (i.refunded_minor > i.processed_minor or p.returned > p.processed
      or (i.currency = i.service_currency and i.refunded_minor > p.returned))`,

  "acts are done once, by another person where one must agree": `select format('%s %s by %s and %s: %s moves', a.kind,
      a.status, a.actor, a.confirmed_by, count(h.sequence)) as what
    from bursar.moderation_act a left join bursar.history h on h.organization_id = $1 and h.kind = 'act'
      and h.subject = a.id::text
    where a.organization_id = $1 group by a.id, a.kind, a.status, a.actor, a.confirmed_by, a.version
    having count(h.sequence) <> a.version or a.version > 2 or (a.status = 'done' and a.confirmed_by = a.actor)`,

  "history has no gap": `select format('%s rows up to %s, the lock counts %s', count(h.sequence),
      coalesce(max(h.sequence), 0), l.history_sequence) as what
    from bursar.organization_lock l left join bursar.history h on h.organization_id = l.organization_id
    where l.organization_id = $1 group by l.history_sequence
    having count(h.sequence) <> l.history_sequence or coalesce(max(h.sequence), 0) <> l.history_sequence`,

  "moves connect": `select format('%s %s version %s: [%s] after %s', kind, subject, version_to,
      array_to_string(moves, ' '), before) as what
    from (select *, lag(status, 1, 'new') over w as before, lag(version_to, 1, 0) over w as version_before
      from bursar.history where organization_id = $1 and kind in ('invoice', 'request', 'payout')
      window w as (partition by kind, subject order by version_to)) h
    where version_from <> version_before or version_to <> version_before + 1
      or case cardinality(moves) when 0 then status <> before
        else not starts_with(moves[1], kind || '.' || before || '>')
          or split_part(moves[cardinality(moves)], '>', 2) <> status end`,

  "history tells the status": `select format('%s is %s in version %s', s.key, s.status, s.version) as what
    from (select 'payout' as kind, id::text as key, status, version from bursar.payout where organization_id = $1
      union all select 'request', id, dispatch_status, version from bursar.request where organization_id = $1
      union all select 'invoice', id::text, status, version from bursar.invoice where organization_id = $1) s
    left join bursar.history h on h.organization_id = $1 and h.kind = s.kind and h.subject = s.key
      and h.version_to = s.version
    where h.status is distinct from s.status`,

  "counters count": `select format('%s invoices, %s requests, %s payouts are counted', l.invoice_count,
      l.request_count, l.payout_count) as what
    from bursar.organization_lock l where l.organization_id = $1 and (
      l.invoice_count <> (select count(*) from bursar.invoice where organization_id = $1)
      or l.request_count <> (select count(*) from bursar.request where organization_id = $1)
      or l.payout_count <> (select count(*) from bursar.payout where organization_id = $1))`,

  "open payouts are looked at again": `select format('%s is %s and nothing is due', p.id, p.status) as what
    from bursar.payout p where p.organization_id = $1 and p.status in (${OPEN})
      and not exists (select from bursar.work w where w.organization_id = $1 and w.subject = p.id::text)
      and not exists (select from bursar.moderation_item m where m.organization_id = $1 and m.subject = p.id::text
        and m.status = 'open')`,
};

/** Looks at the whole book, and at what the provider has paid. */
export async function audit(place: Place): Promise<void> {
  const { faults } = place;
  for (const [name, text] of Object.entries(CHECKS)) {
    const found = await place.rows<{ what: string }>(text, [BOOK]);
    faults.check("invariants", found.length === 0, () => {
      return `not so: ${name}: ${found
        .slice(0, 3)
        .map(({ what }) => what)
        .join("; ")}`;
    });
  }
  await judgePayments(place);
}

/** In the name of the payees of bare requests, which may be paid in several allocations. */
export const BARE_PAYEE = "~bare";

/** Orders by payee: each race gives every order a payee of its own. */
export async function effectivePerPayee(place: Place): Promise<ReadonlyMap<string, number>> {
  const paid = new Map<string, number>();
  for (const { destination, effective } of await place.providerBook()) {
    paid.set(destination, (paid.get(destination) ?? 0) + effective);
  }
  return paid;
}

interface PayoutRow {
  readonly reference: string;
  readonly amountMinor: number;
  readonly currency: string;
  readonly payeeHash: string;
  readonly paidMinor: number;
  readonly returnedMinor: number;
}

/** Every payout by the reference under which its provider knows it. */
async function payoutsByReference(place: Place): Promise<ReadonlyMap<string, PayoutRow>> {
  const rows = await place.rows<PayoutRow>(
    `select reference, amount_minor::float8 as "amountMinor", currency, destination_hash as "payeeHash",
       processed_minor::float8 as "paidMinor", returned_minor::float8 as "returnedMinor"
     from bursar.payout where organization_id = $1`,
    [BOOK],
  );
  return new Map(rows.map((row) => [row.reference, row]));
}

/** In races all money has two decimals. */
const minorOf = (decimal: string): number => Math.round(Number(decimal) * 100);

/** The sandbox's payee is the account, of which payouts keep the hash. */
const payeeHashOf = ({ destination }: Operation): string => createHash("sha256").update(destination).digest("hex");

async function judgePayments(place: Place): Promise<void> {
  const { faults } = place;
  const paid = [...(await effectivePerPayee(place))];
  const twice = paid.filter(([payee, effective]) => effective > 1 && !payee.includes(BARE_PAYEE));
  faults.check("provider's book", twice.length === 0, () => `paid more than once: ${JSON.stringify(twice)}`);
  const operations = await place.providerBook();
  const payouts = await payoutsByReference(place);
  const strange = operations.filter((operation) => {
    const payout = payouts.get(operation.reference);
    const isOurs = payout?.currency === operation.currency && payout.payeeHash === payeeHashOf(operation);
    const isWithin = minorOf(operation.returnedAmount) <= minorOf(operation.paidAmount);
    return !isOurs || !isWithin || payout.amountMinor !== minorOf(operation.amount);
  });
  faults.check("what was sent", strange.length === 0, () => `not as it was reserved: ${JSON.stringify(strange)}`);
}

/** An order of which something was paid, whether or not that came back. */
const PAID_ENDS = new Set(["processed", "partially_processed", "refunded", "partially_refunded", "refund_failed"]);

/**
 * When all is settled: what is processed was paid once, and what ended otherwise was not; and of every operation both
 * books say how much was paid and came back. `isForged`: of this payee somebody has lied.
 */
export async function judgeEnds(place: Place, isForged: (payee: string) => boolean = () => false): Promise<void> {
  const { faults } = place;
  const paid = await effectivePerPayee(place);
  const invoices = await place.rows<{ referenceId: string; status: string }>(
    'select reference_id as "referenceId", status from bursar.invoice where organization_id = $1',
    [BOOK],
  );
  for (const { referenceId, status } of invoices) {
    if (isForged(referenceId)) continue;
    const effective = paid.get(referenceId) ?? 0;
    const holds = effective === (PAID_ENDS.has(status) ? 1 : 0);
    faults.check("orders in both books", holds, () => `${referenceId} is ${status} and was paid ${effective} times`);
  }
  const payouts = await payoutsByReference(place);
  for (const { reference, destination, paidAmount, returnedAmount } of await place.providerBook()) {
    const payout = payouts.get(reference);
    if (payout === undefined || isForged(destination)) continue;
    const holds = payout.paidMinor === minorOf(paidAmount) && payout.returnedMinor === minorOf(returnedAmount);
    faults.check("figures in both books", holds, () => {
      const ours = `${payout.paidMinor} and ${payout.returnedMinor}`;
      return `${destination}: we say ${ours} were paid and came back, its provider ${paidAmount} and ${returnedAmount}`;
    });
  }
}
