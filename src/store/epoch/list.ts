/** The list of payouts that must be inquired after a restore: made in batches, each under its organization's lock. */
import type { Client } from "pg";
import { PAYOUT_MEANING, PAYOUT_STATUSES, type PayoutStatus } from "../../core/order/payout.ts";

const BATCH = 500;
const NO_ID = "00000000-0000-0000-0000-000000000000";

/**
 * Statuses in which a payout may still move by itself at its provider. A paid one only moves by a reversal; one that
 * still waits for the payee's details is asked about before it is sent.
 */
const GOING = (Object.keys(PAYOUT_STATUSES) as PayoutStatus[]).filter((status) => {
  const { class: counts } = PAYOUT_MEANING[status];
  if (status === "CREATED") return false;
  return counts === "planned" || counts === "open" || status === "CANCELLING";
});

/** The newest rows of an organization from before the epoch: history and commands are written with every commit. */
const NEWEST = `
  select greatest(
    (select "time" from bursar."history" where organization_id = o.id and "time" < to_timestamp($1)
      order by sequence desc limit 1),
    (select "time" from bursar."command" where organization_id = o.id and "time" < to_timestamp($1)
      order by id desc limit 1)) as newest
  from bursar.organization o`;

/** Not final, or changed shortly before the restore point, in the order of their ids. */
const FIND = `
  select id::text as id from bursar."payout"
  where organization_id = $1 and id > $2 and created_time < to_timestamp($3)
    and (status = any($4) or updated_time >= $5) order by id limit $6`;

const ASK = `
  insert into bursar."recovery_check" (organization_id, payout_id, epoch, provider_account_id, attempt, reference, state,
    fact, tries, asked_time, version)
  select organization_id, id, $3, provider_account_id, attempt, reference, 'due', null, 0, null, 1
  from bursar."payout" where organization_id = $1 and id = any($2) on conflict do nothing`;

/** A lease that ran in the old database has no holder any more. */
const WAKE = `
  insert into bursar."work" (organization_id, kind, subject, due_time, fence)
  select $1, 'payout', id::text, clock_timestamp(), 0 from unnest($2::uuid[]) id
  on conflict (organization_id, kind, subject) do update set due_time = least("work".due_time, excluded.due_time)`;

async function listOrganization(
  client: Client,
  organizationId: string,
  of: { epoch: number; lostFrom: Date | null },
): Promise<number> {
  let last = NO_ID;
  let count = 0;
  for (;;) {
    await client.query("begin");
    await client.query("select from bursar.organization_lock where organization_id = $1 for no key update", [
      organizationId,
    ]);
    const since = of.lostFrom ?? "infinity";
    const { rows } = await client.query<{ id: string }>(FIND, [organizationId, last, of.epoch, GOING, since, BATCH]);
    const ids = rows.map(({ id }) => id);
    await client.query(ASK, [organizationId, ids, of.epoch]);
    await client.query(WAKE, [organizationId, ids]);
    await client.query("commit");
    count += ids.length;
    last = ids.at(-1) ?? last;
    if (ids.length < BATCH) return count;
  }
}

/** Lists and wakes all payouts of an epoch, and records the lost window. Repeats harmlessly. */
export async function addToList(client: Client, of: { epoch: number; marginMs: number }): Promise<void> {
  try {
    const newest = await client.query<{ newest: Date | null }>(`select max(newest) as newest from (${NEWEST}) n`, [
      of.epoch,
    ]);
    const restorePoint = newest.rows[0]?.newest ?? null;
    const lostFrom = restorePoint === null ? null : new Date(restorePoint.getTime() - of.marginMs);
    const { rows } = await client.query<{ id: string }>("select id from bursar.organization order by id");
    let payouts = 0;
    for (const { id } of rows) payouts += await listOrganization(client, id, { epoch: of.epoch, lostFrom });
    await client.query("begin");
    const listed = await client.query(
      `update bursar.epoch set restore_point = $2, lost_from = $3, listed_time = clock_timestamp()
       where number = $1 and listed_time is null`,
      [of.epoch, restorePoint, lostFrom],
    );
    if (listed.rowCount === 1) {
      await client.query("insert into bursar.epoch_act (epoch, act, details) values ($1, 'listed', $2)", [
        of.epoch,
        JSON.stringify({ payouts, restorePoint, lostFrom }),
      ]);
    }
    await client.query("commit");
  } catch (error) {
    await client.query("rollback").catch(() => {});
    throw error;
  }
}
