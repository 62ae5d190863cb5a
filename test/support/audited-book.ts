/**
 * A book filled through the engine, with an audit's mark in its middle, and copies of it to spoil. The world that filled
 * it has ended: a database is copied while nobody uses it.
 */
import assert from "node:assert/strict";
import { Client, type ClientConfig } from "pg";
import { approveFunds, createFunds } from "../../src/engine/commands/funds.ts";
import { type Auditor, type AuditReport, openAuditor } from "../../src/store/audit.ts";
import type { TestDatabase } from "./database.ts";
import { demoOrder, type Json, openWorld, said, type World } from "./world.ts";

/** A copy of the book that may be changed. */
export interface Copy {
  readonly auditor: Auditor;
  owner<T>(work: (client: Client) => Promise<T>): Promise<T>;
}

export interface AuditedBook {
  readonly id: string;
  readonly database: TestDatabase;
  onCopy<T>(work: (copy: Copy) => Promise<T>): Promise<T>;
  /** Without constraints and triggers: the owner of a database can do what no code of ours can. */
  onUnguardedCopy<T>(work: (copy: Copy) => Promise<T>): Promise<T>;
}

export const breachesOf = (report: AuditReport | null): string[] =>
  (report?.checks ?? []).flatMap(({ check, found }) => found.map(({ id, what }) => `${check} ${id}: ${what}`));

export async function withOwner<T>(config: ClientConfig, work: (client: Client) => Promise<T>): Promise<T> {
  const client = new Client(config);
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

const DECLINED = { status: 422, headers: {}, body: JSON.stringify({ error: "declined" }) };

async function ordered(world: World, referenceId: string, status: string, more: Json = {}): Promise<void> {
  const { body, text } = await world.call("POST", "/payout-invoices", { body: demoOrder(referenceId, more) });
  const { id } = body as { id?: string };
  assert.ok(id !== undefined, text);
  await world.until(`/payout-invoices/${id}`, (invoice) => invoice["status"] === status);
}

/** The second account pays what the first one refuses. */
async function fundBackup(world: World): Promise<void> {
  const funds = { websiteId: "web_demo", currency: "USD", amount: "1000", depositAccountId: "dep_backup_usd" };
  const actor = { actor: "test" };
  const made = await world.engine.run(world.book, createFunds, { kind: "deposit", order: funds, problems: [] }, actor);
  assert.ok(made.ok);
  const { id, version } = made.value;
  const approved = await world.engine.run(world.book, approveFunds, { kind: "deposit", id, version }, actor);
  assert.ok(approved.ok);
}

/** Orders of every kind of standing; `prefix` tells those before the mark from those after it. */
async function fill(world: World, prefix: string): Promise<void> {
  world.provider.answer = (each) => said(each, "paid");
  await ordered(world, `${prefix}-paid`, "processed");
  world.provider.answer = (each) => said(each, "queued");
  await ordered(world, `${prefix}-queued`, "process_pending");
  let sends = 0;
  world.provider.answer = (each) => {
    sends += 1;
    return sends === 1 ? { kind: "answer", result: DECLINED } : said(each, "paid");
  };
  await ordered(world, `${prefix}-second`, "processed");
  await ordered(world, `${prefix}-waiting`, "created", { autoprocess: false });
  await world.call("PUT", `/payout-requests/${prefix}-bare`, {
    body: { websiteId: "web_demo", customerId: "cus_demo", currency: "USD", amount: 25 },
  });
}

/** Everything that keeps a row as it must be, except that it is stored, and what the auditor keeps for itself. */
const UNGUARD = `alter table bursar.entry disable trigger all; do $$ declare c record; begin
  for c in select conrelid::regclass as rel, conname from pg_constraint
    where connamespace = 'bursar'::regnamespace and contype in ('c', 'f', 'u', 'p')
      and not (contype = 'p' and starts_with(conrelid::regclass::text, 'bursar.audit_'))
    order by case contype when 'f' then 0 else 1 end
  loop execute format('alter table %s drop constraint %I', c.rel, c.conname); end loop;
end $$`;

async function fillAndEnd(): Promise<{ id: string; database: TestDatabase }> {
  const world = await openWorld();
  await fundBackup(world);
  await fill(world, "old");
  const marked = await openAuditor(world.database.appConfig).audit(world.book, { isFull: true });
  assert.deepEqual(breachesOf(marked), []);
  await fill(world, "new");
  assert.deepEqual(world.broken, []);
  // The book stays when the world ends.
  const { close } = world.database;
  world.database.close = () => Promise.resolve();
  await world.close();
  world.database.close = close;
  return { id: world.book, database: world.database };
}

export async function openAuditedBook(): Promise<AuditedBook> {
  const { id, database } = await fillAndEnd();
  const { name, ownerConfig, appConfig } = database;
  const admin = { ...ownerConfig, database: "postgres" };
  const unguarded = `${name}_unguarded`;
  await withOwner(admin, (client) => client.query(`create database ${unguarded} template ${name}`));
  await withOwner({ ...ownerConfig, database: unguarded }, (client) => client.query(UNGUARD));
  let copies = 0;
  const onCopyOf = async <T>(template: string, work: (copy: Copy) => Promise<T>): Promise<T> => {
    const copy = `${name}_${(copies += 1)}`;
    await withOwner(admin, (client) => client.query(`create database ${copy} template ${template}`));
    try {
      return await work({
        auditor: openAuditor({ ...appConfig, database: copy }),
        owner: (inside) => withOwner({ ...ownerConfig, database: copy }, inside),
      });
    } finally {
      await withOwner(admin, (client) => client.query(`drop database ${copy} with (force)`));
    }
  };
  return {
    id,
    database,
    onCopy: (work) => onCopyOf(name, work),
    onUnguardedCopy: (work) => onCopyOf(unguarded, work),
  };
}
