/**
 * A witness inside the database: at the commit of every first send it looks at what may forbid it, under the very lock
 * of that commit. Answers and clocks cannot tell whether a send came before or after the gate was shut; this can.
 */
import type { Place } from "./place.ts";

/** What forbids a first send, from docs/safety.md and docs/domain.md; `p` is the payout. */
const FORBIDS: Readonly<Record<string, string>> = {
  "the gate of the organization is shut": `exists (select from bursar.organization_lock l
    where l.organization_id = p.organization_id and (l.gate <> 'open' or p.currency = any (l.shut_currencies)))`,
  // Shut by this very transaction: a batch decides one command after another, and what news of another payout shuts
  // binds what is decided after it. That it does is a test of the engine (gates.test.ts); no row here tells the order.
  "the gate of its provider account is shut": `exists (select from bursar.provider_account a
    where a.organization_id = p.organization_id and a.id = p.provider_account_id and a.gate <> 'open'
      and a.xmin <> pg_current_xact_id()::xid)`,
  "the end of its order was asked for": `exists (select from bursar.request r
    where r.organization_id = p.organization_id and r.id = p.request_id and r.end_asked is not null)`,
  "its order is blocked": `exists (select from bursar.request r
    where r.organization_id = p.organization_id and r.id = p.request_id and r.blocked)`,
  "its deposit account is below its minimal balance": `exists (select from bursar.deposit_account d
    join bursar.ledger_account l on l.organization_id = d.organization_id and l.kind = 'deposit' and l.owner = d.id
    where d.organization_id = p.organization_id and d.id = p.deposit_account_id
      and l.balance_minor < d.minimal_balance_minor)`,
};

const CHECKS = Object.entries(FORBIDS)
  .map(([what, holds]) => `select '${what}'::text as what where ${holds}`)
  .join(" union all ");

/** Deferred: it sees the transaction whole, in whichever order its statements came. */
const INSTALL = `
  create schema race;
  create sequence race.sends;
  create table race.breach (payout text not null, what text not null);
  create function race.witness() returns trigger language plpgsql security definer set search_path = '' as $$
  begin
    perform nextval('race.sends');
    insert into race.breach
      select p.reference, c.what
      from bursar.payout p cross join lateral (${CHECKS}) c
      where p.organization_id = new.organization_id and p.id = new.id;
    return null;
  end $$;
  create constraint trigger race_made after insert on bursar.payout deferrable initially deferred
    for each row when (new.first_send_time is not null) execute function race.witness();
  create constraint trigger race_sent after update on bursar.payout deferrable initially deferred
    for each row when (old.first_send_time is null and new.first_send_time is not null)
    execute function race.witness();`;

/** From here on every first send is looked at. */
export async function callWitness(place: Place): Promise<void> {
  await place.rows(INSTALL);
}

/** What the witness has seen: each breach once. Counts the sends; at the end there must have been some. */
export async function hearWitness(place: Place, isEnd = false): Promise<void> {
  const { faults } = place;
  const [seen] = await place.rows<{ sends: number }>(
    "select case when is_called then last_value::int4 else 0 end as sends from race.sends",
  );
  const breaches = await place.rows<{ payout: string; what: string }>("delete from race.breach returning *");
  for (const { payout, what } of breaches) faults.say(`${payout} was sent although ${what}`);
  const sends = seen?.sends ?? 0;
  faults.count("sends witnessed", sends);
  if (isEnd && sends === 0) faults.say("the witness has seen no send");
}
