/**
 * The judgement after a race: the invariants of docs/safety.md in SQL of its own, written from the document and not
 * from the product's code, and the provider's book beside them.
 */
import { BOOK, type Place } from "./place.ts";

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

/** Orders by payee: each race gives every order a payee of its own. */
export async function effectivePerPayee(place: Place): Promise<ReadonlyMap<string, number>> {
  const paid = new Map<string, number>();
  for (const { destination, effective } of await place.providerBook()) {
    paid.set(destination, (paid.get(destination) ?? 0) + effective);
  }
  return paid;
}

async function judgePayments(place: Place): Promise<void> {
  const twice = [...(await effectivePerPayee(place))].filter(([, effective]) => effective > 1);
  place.faults.check("provider's book", twice.length === 0, () => `paid more than once: ${JSON.stringify(twice)}`);
}

/** When all is settled: what is processed was paid once, and what ended otherwise was not. */
export async function judgeEnds(place: Place, isForged: (referenceId: string) => boolean = () => false): Promise<void> {
  const paid = await effectivePerPayee(place);
  const invoices = await place.rows<{ referenceId: string; status: string }>(
    'select reference_id as "referenceId", status from bursar.invoice where organization_id = $1',
    [BOOK],
  );
  for (const { referenceId, status } of invoices) {
    if (isForged(referenceId)) continue;
    const effective = paid.get(referenceId) ?? 0;
    const holds = effective === (status === "processed" ? 1 : 0);
    place.faults.check(
      "orders in both books",
      holds,
      () => `${referenceId} is ${status} and was paid ${effective} times`,
    );
  }
}
