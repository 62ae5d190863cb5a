/**
 * The auditor: checks on the live database what the rules of docs/safety.md say of its rows. One organization at a
 * time, in one read-only snapshot, so that writers neither wait nor are seen half-way. PostgreSQL adds up; only
 * breaches are fetched. An audit without breaches leaves a mark, and the next one looks at what came after it.
 */
import { Client, type ClientConfig } from "pg";
import { assert } from "../core/result.ts";
import { GUARD_CHECKS } from "./audit/guards.ts";
import { HISTORY_CHECKS } from "./audit/history.ts";
import { foldOf, LEDGER_CHECKS } from "./audit/ledger.ts";
import { ORDER_CHECKS } from "./audit/orders.ts";
import { type AuditCheck, type AuditMark, type AuditSet, scopeOf } from "./audit/scope.ts";

/** Every check, in the order in which they are reported. */
export const AUDIT_CHECKS: readonly AuditCheck[] = [
  ...GUARD_CHECKS,
  ...LEDGER_CHECKS,
  ...ORDER_CHECKS,
  ...HISTORY_CHECKS,
];

/** As many breaches of a check are named; all are counted. */
export const BREACHES_MAX = 100;

export interface Breach {
  /** What is wrong: the id of a payout, a request, an account, or the number of a row. */
  readonly id: string;
  readonly what: string;
  /** How far it is off, where the id does not say which breach it is (`AuditCheck`). */
  readonly figure?: string;
}

/** A check that found something, and how much. */
export interface Broken {
  readonly check: string;
  readonly breaches: number;
}

export interface CheckResult {
  readonly check: string;
  /** Rows that the check looked at. */
  readonly rows: number;
  readonly breaches: number;
  /** The first of them, at most `BREACHES_MAX`. */
  readonly found: readonly Breach[];
  readonly ms: number;
}

export interface AuditReport {
  readonly organizationId: string;
  readonly scope: "full" | "incremental";
  /** The database's time of the snapshot, milliseconds since 1970. */
  readonly time: number;
  readonly breaches: number;
  readonly checks: readonly CheckResult[];
  /** After an incremental audit: what the last full one found. It stands until a full one finds nothing. */
  readonly unrepaired: readonly Broken[];
  readonly ms: number;
}

/** An organization, and when its last full audit was. Times are the database's, milliseconds since 1970. */
export interface AuditedBook {
  readonly organizationId: string;
  readonly now: number;
  /** Null: there was none. */
  readonly lastFull: { readonly time: number; readonly isClean: boolean } | null;
}

export interface Auditor {
  /** Every organization, in the order of ids. */
  books(): Promise<readonly AuditedBook[]>;
  /**
   * Audits one organization; one that does not exist is null. `isFull`: everything from the beginning, which is also
   * done where there is no mark to begin at.
   *
   * @throws when the database cannot be reached or an administrator ends the session.
   */
  audit(organizationId: string, how: { readonly isFull: boolean }): Promise<AuditReport | null>;
}

/**
 * Snapshots of a big book take their time; its sorts shall stay in memory where they can. What changed lately is in
 * memory too: a plan that reads the whole of history to find some rows of it is the wrong one.
 */
const SETTINGS = "-c statement_timeout=0 -c work_mem=64MB -c random_page_cost=1.1 -c jit=off -c timezone=UTC";

async function withSession<T>(config: ClientConfig, work: (client: Client) => Promise<T>): Promise<T> {
  const options = [config.options, SETTINGS].filter(Boolean).join(" ");
  const client = new Client({ application_name: "bursar audit", ...config, options });
  client.on("error", () => {}); // the next query says it
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

interface Snapshot extends AuditMark {
  readonly time: number;
}

const COUNTER_NAMES = ["history_sequence", "entry_sequence", "invoice_count", "request_count", "payout_count"];

/** Zeros where there is no row: a book without its lock row is audited from the beginning. */
const COUNTERS = COUNTER_NAMES.map(
  (name) => `coalesce(${name}, 0)::float8 as "${name.replace(/_(.)/, (_, letter: string) => letter.toUpperCase())}"`,
).join(", ");

async function begin(client: Client, organizationId: string): Promise<void> {
  await client.query("begin isolation level repeatable read read only");
  await client.query("select set_config('bursar.organizations', $1, true)", [organizationId]);
}

async function readSnapshot(client: Client, organizationId: string): Promise<Snapshot | null> {
  const { rows } = await client.query<Snapshot>(
    `select ${COUNTERS}, extract(epoch from clock_timestamp())::float8 * 1000 as time
     from bursar.organization o left join bursar.organization_lock l on l.organization_id = o.id where o.id = $1`,
    [organizationId],
  );
  return rows[0] ?? null;
}

/** A mark ahead of the book is of a book that was restored since: then everything is looked at again. */
async function readMark(client: Client, organizationId: string, now: Snapshot): Promise<AuditMark | null> {
  const { rows } = await client.query<AuditMark>(
    `select ${COUNTERS} from bursar.audit_mark where organization_id = $1`,
    [organizationId],
  );
  const mark = rows[0] ?? null;
  const isBehind =
    mark !== null && mark.historySequence <= now.historySequence && mark.entrySequence <= now.entrySequence;
  return isBehind ? mark : null;
}

const COUNTED_SETS: readonly AuditSet[] = [
  "book_row",
  "table_row",
  "act_row",
  "request_row",
  "payout_row",
  "invoice_row",
  "history_row",
  "entry_row",
  "account_row",
  "counter_row",
];

async function countSets(client: Client, organizationId: string, mark: AuditMark | null): Promise<Map<string, number>> {
  const counts = COUNTED_SETS.map((set) => `select '${set}' as set, count(*)::float8 as count from ${set}`);
  const text = `${scopeOf(mark)} ${counts.join(" union all ")}`;
  const { rows } = await client.query<{ set: string; count: number }>(text, [organizationId]);
  return new Map(rows.map(({ set, count }) => [set, count]));
}

interface Found {
  readonly breaches: number;
  readonly found: readonly Breach[] | null;
}

async function runCheck(client: Client, organizationId: string, text: string): Promise<Found> {
  const { rows } = await client.query<Found>(text, [organizationId]);
  assert(rows[0], "a count gives one row");
  return rows[0];
}

function checkText(sql: string, mark: AuditMark | null): string {
  return `${scopeOf(mark)}, breach as materialized (${sql})
    select (select count(*)::float8 from breach) as breaches,
      (select json_agg(b) from (select * from breach order by id, what limit ${BREACHES_MAX}) b) as found`;
}

async function runChecks(client: Client, organizationId: string, mark: AuditMark | null): Promise<CheckResult[]> {
  const counts = await countSets(client, organizationId, mark);
  const results: CheckResult[] = [];
  for (const check of AUDIT_CHECKS) {
    const sql = check.sql(mark);
    if (sql === null) continue;
    const began = performance.now();
    const { breaches, found } = await runCheck(client, organizationId, checkText(sql, mark));
    const ms = Math.round(performance.now() - began);
    results.push({ check: check.name, rows: counts.get(check.of) ?? 0, breaches, found: found ?? [], ms });
  }
  return results;
}

interface Sums {
  readonly ids: readonly string[];
  readonly sums: readonly string[];
}

/** What accounts add up to where that has changed: as many as there are accounts, not as there are entries. */
async function readSums(client: Client, organizationId: string, mark: AuditMark | null): Promise<Sums> {
  const text = `${scopeOf(mark)} select id, folded::text as sum from (${foldOf(mark === null)}) f where added is not null`;
  const { rows } = await client.query<{ id: string; sum: string }>(text, [organizationId]);
  return { ids: rows.map(({ id }) => id), sums: rows.map(({ sum }) => sum) };
}

/** Never moves back: of two audits at the same time the one that saw more stays. */
async function keepMark(client: Client, organizationId: string, what: { at: Snapshot; sums: Sums }): Promise<void> {
  const { at, sums } = what;
  await client.query("begin");
  const kept = await client.query(
    `insert into bursar.audit_mark values ($1, $2, $3, $4, $5, $6, clock_timestamp())
     on conflict (organization_id) do update set history_sequence = excluded.history_sequence,
       entry_sequence = excluded.entry_sequence, invoice_count = excluded.invoice_count,
       request_count = excluded.request_count, payout_count = excluded.payout_count, "time" = excluded."time"
     where audit_mark.history_sequence <= excluded.history_sequence
       and audit_mark.entry_sequence <= excluded.entry_sequence`,
    [organizationId, at.historySequence, at.entrySequence, at.invoiceCount, at.requestCount, at.payoutCount],
  );
  if (kept.rowCount === 1) {
    await client.query(
      `insert into bursar.audit_balance select $1, id, sum from unnest($2::text[], $3::numeric[]) as s(id, sum)
       on conflict (organization_id, account_id) do update set sum_minor = excluded.sum_minor`,
      [organizationId, sums.ids, sums.sums],
    );
  }
  await client.query("commit");
}

/** What a full audit found, and when: the next one is due by it. Of two at the same time the one that saw more stays. */
async function keepFull(
  client: Client,
  organizationId: string,
  what: { time: number; broken: readonly Broken[] },
): Promise<void> {
  const { time, broken } = what;
  await client.query(
    `insert into bursar.audit_full values ($1, to_timestamp($2::float8 / 1000), $3)
     on conflict (organization_id) do update set "time" = excluded."time", broken = excluded.broken
     where audit_full."time" <= excluded."time" or audit_full."time" > clock_timestamp()`,
    [organizationId, time, JSON.stringify(broken)],
  );
}

async function readUnrepaired(client: Client, organizationId: string): Promise<readonly Broken[]> {
  const { rows } = await client.query<{ broken: readonly Broken[] }>(
    "select broken from bursar.audit_full where organization_id = $1",
    [organizationId],
  );
  return rows[0]?.broken ?? [];
}

async function readBooks(client: Client): Promise<readonly AuditedBook[]> {
  const { rows } = await client.query<AuditedBook>(
    `select o.id as "organizationId", extract(epoch from clock_timestamp())::float8 * 1000 as now,
       case when f.organization_id is not null then json_build_object('time', extract(epoch from f."time")::float8 * 1000,
         'isClean', f.broken = '[]') end as "lastFull"
     from bursar.organization o left join bursar.audit_full f on f.organization_id = o.id order by o.id`,
  );
  return rows;
}

async function audit(client: Client, organizationId: string, isFull: boolean): Promise<AuditReport | null> {
  const began = performance.now();
  await begin(client, organizationId);
  const at = await readSnapshot(client, organizationId);
  if (at === null) {
    await client.query("rollback");
    return null;
  }
  const mark = isFull ? null : await readMark(client, organizationId, at);
  const scope = mark === null ? "full" : "incremental";
  const checks = await runChecks(client, organizationId, mark);
  const broken = checks.filter((each) => each.breaches > 0).map(({ check, breaches }) => ({ check, breaches }));
  const breaches = broken.reduce((sum, check) => sum + check.breaches, 0);
  const unrepaired = scope === "full" ? [] : await readUnrepaired(client, organizationId);
  const sums = breaches === 0 ? await readSums(client, organizationId, mark) : null;
  await client.query("commit");
  if (scope === "full") await keepFull(client, organizationId, { time: at.time, broken });
  // A breach keeps the mark where it is: it is found again until it is repaired.
  if (sums !== null) await keepMark(client, organizationId, { at, sums });
  const ms = Math.round(performance.now() - began);
  return { organizationId, scope, time: Math.round(at.time), breaches, checks, unrepaired, ms };
}

/** `config`: how the application role connects. A connection is made for each audit and closed after it. */
export function openAuditor(config: ClientConfig): Auditor {
  return {
    books: () => withSession(config, readBooks),
    audit: (organizationId, { isFull }) => withSession(config, (client) => audit(client, organizationId, isFull)),
  };
}
