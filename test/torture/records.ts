/** The database's own rows, read past the API: only for the judgement and for the person who reads it. */
import { join } from "node:path";
import { Client } from "pg";
import { startEmbedded } from "../../src/store/embedded.ts";
import type { Place } from "./processes.ts";

export interface Records {
  /** Accounts whose balance is not the sum of their entries. */
  driftedBalances(): Promise<readonly string[]>;
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

const ABANDONED = `
  select count(*)::int4 as count from bursar.history h
  join bursar.command c on c.organization_id = h.organization_id and c.id = h.command_id
  where h.kind = 'payout' and h.moderation_required and c.kind = 'wake-payout'`;

/** The order's invoice, request and payouts by their ids. */
const SUBJECTS = `
  with invoice as (select organization_id, id::text as id, request_id from bursar.invoice where reference_id = $1)
  select id from invoice
  union all select request_id from invoice where request_id is not null
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
