/** The database's own rows, read past the API: only for the judgement and for the person who reads it. */
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Client } from "pg";
import { startEmbedded } from "../../src/store/embedded.ts";
import type { Place } from "./processes.ts";

export interface Records {
  /** Accounts whose balance is not the sum of their entries. */
  driftedBalances(): Promise<readonly string[]>;
  /** What stands in `reserved` and `in_flight` for an order, by its referenceId or the bare request's id; nothing for one that holds nothing. */
  held(): Promise<ReadonlyMap<string, string>>;
  /** Everything that happened to an order, one line per row. */
  historyOf(referenceId: string): Promise<string>;
  /** How many sends were found whose sender had died before it could say what became of them. */
  abandonedSends(): Promise<number>;
  /** Whether commits wait for the disk. */
  isDurable(): Promise<boolean>;
  close(): Promise<void>;
}

const DRIFTED = `
  select a.id, a.balance_minor::text as balance, coalesce(sum(e.amount_minor), 0)::text as entries
  from bursar.ledger_account a
  left join bursar.entry e on e.organization_id = a.organization_id and e.account_id = a.id
  group by a.organization_id, a.id, a.balance_minor
  having abs(a.balance_minor) <> abs(coalesce(sum(e.amount_minor), 0))`;

/** Entries name what caused them: the invoice, its request, or one of its payouts. */
const HELD = `
  with subject as (
    select organization_id, reference_id, id::text as id from bursar.invoice
    union select organization_id, reference_id, request_id from bursar.invoice
    union select i.organization_id, i.reference_id, p.id::text from bursar.payout p
      join bursar.invoice i on p.organization_id = i.organization_id and p.request_id = i.request_id
    union select organization_id, id, id from bursar.request where invoice_id is null
    union select organization_id, request_id, id::text from bursar.payout where invoice_id is null),
  held as (
    select s.reference_id, e.account_id, sum(e.amount_minor) as amount from bursar.entry e
    join subject s on s.organization_id = e.organization_id and s.id = e.subject
    where e.account_id like 'reserved:%' or e.account_id like 'in\\_flight:%'
    group by s.reference_id, e.account_id having sum(e.amount_minor) <> 0)
  select reference_id as "referenceId", string_agg(format('%s %s', account_id, amount), ', ') as what
  from held group by reference_id`;

const ABANDONED = `
  select count(*)::int4 as count from bursar.history h
  join bursar.command c on c.organization_id = h.organization_id and c.id = h.command_id
  where h.kind = 'payout' and h.moderation_required and c.kind = 'wake-payout'`;

/** The order's invoice (or the bare request), request and payouts by their ids. */
const SUBJECTS = `
  with invoice as (select organization_id, id::text as id, request_id from bursar.invoice where reference_id = $1)
  select id from invoice
  union all select request_id from invoice where request_id is not null
  union all select id from bursar.request where id = $1
  union all select id::text from bursar.payout where request_id = $1
  union all select p.id::text from bursar.payout p join invoice i
    on p.organization_id = i.organization_id and p.request_id = i.request_id`;

const HISTORY = `
  select h.sequence::text as sequence, h.time::text as time, h.kind, h.subject, h.moves, h.status, h.resolution,
    h.moderation_required as flag, c.kind as command, c.actor, c.body::text as body
  from bursar.history h left join bursar.command c on c.organization_id = h.organization_id and c.id = h.command_id
  where h.subject = any($1) order by h.sequence`;

const PAYOUTS = `
  select to_jsonb(p) - array['organization_id', 'website_id', 'request_id', 'invoice_id', 'destination_hash',
    'request_hash', 'service', 'connector', 'currency'] as row from bursar.payout p where p.id::text = any($1)
  union all select to_jsonb(w) - 'organization_id' from bursar.work w where w.subject = any($1)
  union all select to_jsonb(m) - 'organization_id' from bursar.moderation_item m where m.subject = any($1)`;

interface HistoryRow {
  readonly sequence: string;
  readonly time: string;
  readonly kind: string;
  readonly subject: string;
  readonly moves: readonly string[];
  readonly resolution: string | null;
  readonly flag: boolean;
  readonly command: string | null;
  readonly actor: string | null;
  readonly body: string | null;
}

function line(row: HistoryRow): string {
  const flag = row.flag ? " FLAGGED" : "";
  const cause = `${row.command ?? "?"} by ${row.actor ?? "?"}${row.body === null ? "" : ` ${row.body}`}`;
  const moves = row.moves.join(" ");
  return `  ${row.sequence} ${row.time} ${row.kind} ${row.subject} [${moves}] ${row.resolution ?? "-"}${flag} (${cause})`;
}

/** Connects to the database of a place. It must run. */
export async function openRecords(place: Place): Promise<Records> {
  const { ownerConfig } = await startEmbedded({ dataDir: join(place.dataDir, "postgres") });
  const client = new Client(ownerConfig);
  await client.connect();
  return {
    async driftedBalances() {
      const { rows } = await client.query<{ id: string; balance: string; entries: string }>(DRIFTED);
      return rows.map(({ id, balance, entries }) => `${id}: balance ${balance}, entries ${entries}`);
    },
    async held() {
      const { rows } = await client.query<{ referenceId: string; what: string }>(HELD);
      return new Map(rows.map(({ referenceId, what }) => [referenceId, what]));
    },
    async historyOf(referenceId) {
      const subjects = (await client.query<{ id: string }>(SUBJECTS, [referenceId])).rows.map(({ id }) => id);
      const { rows } = await client.query<HistoryRow>(HISTORY, [subjects]);
      const others = await client.query<{ row: unknown }>(PAYOUTS, [subjects]);
      return [referenceId, ...rows.map(line), ...others.rows.map(({ row }) => `  ${JSON.stringify(row)}`)].join("\n");
    },
    async abandonedSends() {
      return (await client.query<{ count: number }>(ABANDONED)).rows[0]?.count ?? 0;
    },
    async isDurable() {
      const { rows } = await client.query<{ fsync: string; commit: string }>(
        "select current_setting('fsync') as fsync, current_setting('synchronous_commit') as commit",
      );
      return rows[0]?.fsync === "on" && rows[0].commit === "on";
    },
    close: () => client.end(),
  };
}

const END_ONE = `
  select pg_terminate_backend(pid) as "isEnded" from pg_stat_activity
  where datname = current_database() and pid <> pg_backend_pid() and backend_type = 'client backend'
    and xact_start is not null and state in ('active', 'idle in transaction') order by random() limit 1`;

const END_POLL_MS = 3;

/** An administrator ends sessions in the middle of a transaction, one after the other. How many, before time is over. */
export async function endSessions(place: Place, count: number, limitMs: number): Promise<number> {
  const { ownerConfig } = await startEmbedded({ dataDir: join(place.dataDir, "postgres") });
  const client = new Client(ownerConfig);
  await client.connect();
  let ended = 0;
  try {
    for (const deadline = performance.now() + limitMs; ended < count && performance.now() < deadline; ) {
      const { rows } = await client.query<{ isEnded: boolean }>(END_ONE);
      if (rows[0]?.isEnded === true) ended += 1;
      else await sleep(END_POLL_MS);
    }
  } finally {
    await client.end();
  }
  return ended;
}
