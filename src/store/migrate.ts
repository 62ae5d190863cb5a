/**
 * Brings a database forward: every file of the migrations folder once, in order, each in its own transaction.
 *
 * There is no way back: what has been applied must stay in the folder unchanged, and new files come last.
 */
import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Client, type ClientConfig } from "pg";
import { APP_ROLE, ensureRoles, WAKER_ROLE } from "./roles.ts";

/** Where the product's migrations are. */
const MIGRATIONS_DIR = fileURLToPath(new URL("../../migrations", import.meta.url));

/** Advisory locks of the product: `classid` says it is ours ("bur"), `objid` which one. */
export const LOCK_CLASS = 0x627572;
const MIGRATION_LOCK = 1;

const FILE_NAME = /^\d{12}_[a-z0-9_]+\.sql$/;

/** One file of the folder. */
export interface Migration {
  /** The file's name without `.sql`. */
  readonly name: string;
  readonly sql: string;
  /** SHA-256 of the text, in hex, line ends counted as LF. */
  readonly checksum: string;
}

/** The folder and the database do not fit together, or a file fails. `migration` names the file's migration. */
export class MigrationError extends Error {
  override readonly name = "MigrationError";
  readonly migration: string;

  constructor(migration: string, message: string, options?: ErrorOptions) {
    super(`Migration ${migration} ${message}`, options);
    this.migration = migration;
  }
}

/**
 * The migrations of a folder in the order of their names. Other files than `.sql` are ignored.
 *
 * @throws MigrationError when a name is not `YYYYMMDDHHMM_name.sql`.
 */
export function readMigrations(folder: string = MIGRATIONS_DIR): Migration[] {
  const files = readdirSync(folder).filter((file) => file.endsWith(".sql"));
  return files.sort().map((file) => {
    const name = file.slice(0, -".sql".length);
    if (!FILE_NAME.test(file)) throw new MigrationError(name, "has no name of the form YYYYMMDDHHMM_name.sql");
    const sql = readFileSync(join(folder, file), "utf8").replaceAll("\r\n", "\n");
    return { name, sql, checksum: createHash("sha256").update(sql).digest("hex") };
  });
}

/** What is left to apply, after every check of what has been applied. */
async function compare(client: Client, folder: string): Promise<Migration[]> {
  const migrations = readMigrations(folder);
  const { rows: applied } = await client.query<{ name: string; checksum: string }>(
    'select name, checksum from bursar.migration order by name collate "C"',
  );
  for (const { name, checksum } of applied) {
    const migration = migrations.find((candidate) => candidate.name === name);
    if (!migration) throw new MigrationError(name, `was applied to this database but is not in ${folder}`);
    if (migration.checksum !== checksum) throw new MigrationError(name, "was changed after it was applied");
  }
  const last = applied.at(-1)?.name ?? "";
  const pending = migrations.filter(({ name }) => !applied.some((row) => row.name === name));
  for (const { name } of pending) {
    if (name < last) throw new MigrationError(name, `comes before ${last}, which was applied: give it a later time`);
  }
  return pending;
}

/** " (line 3)" where the server says at which character it stopped. */
function lineOf(error: unknown, sql: string): string {
  const position = Number((error as { position?: string }).position);
  return position > 0 ? ` (line ${sql.slice(0, position).split("\n").length})` : "";
}

async function apply(client: Client, { name, sql, checksum }: Migration): Promise<void> {
  try {
    await client.query("begin");
    const before = await client.query<{ id: string }>("select pg_current_xact_id()::text as id");
    // What a file does not qualify lands in our schema.
    await client.query("set local search_path to bursar");
    await client.query(sql);
    const after = await client.query<{ id: string }>("select pg_current_xact_id()::text as id");
    if (after.rows[0]?.id !== before.rows[0]?.id) throw new Error("it ended its own transaction");
    await client.query("insert into bursar.migration (name, checksum) values ($1, $2)", [name, checksum]);
    await client.query("commit");
  } catch (error) {
    await client.query("rollback").catch(() => {});
    throw new MigrationError(name, `failed${lineOf(error, sql)}: ${(error as Error).message}`, { cause: error });
  }
}

async function isPrepared(client: Client): Promise<boolean> {
  const found = await client.query("select where to_regclass('bursar.migration') is not null");
  return found.rowCount === 1;
}

/** The schema and the list of what was applied: what every migration stands on. */
async function prepare(client: Client): Promise<void> {
  if (await isPrepared(client)) return;
  await client.query(`
    begin;
    create schema if not exists bursar;
    grant usage on schema bursar to ${APP_ROLE}, ${WAKER_ROLE};
    create table bursar.migration (
      name text not null constraint migration_name primary key,
      checksum text not null,
      applied_at timestamptz not null default clock_timestamp()
    );
    commit;`);
}

/** Runs `work` on one session of the owner, alone among all who migrate this database. */
async function withMigrationLock<T>(owner: ClientConfig, work: (client: Client) => Promise<T>): Promise<T> {
  const client = new Client({ application_name: "bursar migrate", ...owner });
  client.on("error", () => {}); // the next query says it
  await client.connect();
  try {
    // Limits meant for requests do not hold here: we wait for another migrator, and a migration takes what it takes.
    await client.query("set statement_timeout = 0; set lock_timeout = 0; set client_min_messages = warning");
    await client.query("select pg_advisory_lock($1, $2)", [LOCK_CLASS, MIGRATION_LOCK]);
    return await work(client);
  } finally {
    await client.end();
  }
}

/**
 * Applies what is missing and makes the roles where they are missing. Two at once take turns.
 *
 * @throws MigrationError when an applied file was changed or is gone, when a new file's name comes before an applied
 * one, or when a file fails (it leaves nothing behind, the ones before it stay). Errors of the roles: see ensureRoles.
 */
export async function migrate(owner: ClientConfig, folder: string = MIGRATIONS_DIR): Promise<{ applied: string[] }> {
  return withMigrationLock(owner, async (client) => {
    await ensureRoles(client);
    await prepare(client);
    const applied: string[] = [];
    for (const migration of await compare(client, folder)) {
      await apply(client, migration);
      applied.push(migration.name);
    }
    return { applied };
  });
}

/**
 * The names of the migrations that are not applied yet, in order. Changes nothing.
 *
 * @throws MigrationError as `migrate` does when the folder and the database do not fit together.
 */
export async function pendingMigrations(owner: ClientConfig, folder: string = MIGRATIONS_DIR): Promise<string[]> {
  return withMigrationLock(owner, async (client) => {
    const pending = (await isPrepared(client)) ? await compare(client, folder) : readMigrations(folder);
    return pending.map(({ name }) => name);
  });
}
