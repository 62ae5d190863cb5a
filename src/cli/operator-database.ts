/** The database for a command that an operator types, whether or not a Bursar runs on it at the same time. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { type Config, readConfig } from "../config.ts";
import { err, ok, type Result } from "../core/result.ts";
import { startEmbedded } from "../store/embedded.ts";
import { instanceLock } from "../store/instance-lock.ts";
import { pendingMigrations } from "../store/migrate.ts";

export interface OperatorDatabase {
  /** How its owner connects. */
  readonly owner: Parameters<typeof pendingMigrations>[0];
  /** How the application role connects. */
  readonly login: Parameters<typeof pendingMigrations>[0];
  /** Leaves the database as it was found: running for a Bursar that uses it, else stopped. */
  close(): Promise<void>;
}

/** Opens it as it is. Refused where there is none, or where it is of another release: nothing is migrated here. */
export async function openOperatorDatabase(config: Config): Promise<Result<OperatorDatabase, string>> {
  if (config.databaseUrl !== null) {
    const owner = { connectionString: config.databaseUrl };
    const login = { ...owner, options: "-c role=bursar_app" };
    return checked({ owner, login, close: () => Promise.resolve() });
  }
  const dataDir = join(config.dataDir, "postgres");
  if (!existsSync(dataDir))
    return err(`There is no database in ${config.dataDir}: set BURSAR_DATA_DIR or DATABASE_URL.`);
  const embedded = await startEmbedded({ dataDir });
  // Whoever holds the lock uses the server; nobody holds it: the server is ours to stop.
  const locked = await instanceLock(embedded.ownerConfig, { pid: process.pid, port: 0 });
  const close = async (): Promise<void> => {
    if (!locked.ok) return;
    await locked.value.release();
    await embedded.stop();
  };
  return checked({ owner: embedded.ownerConfig, login: embedded.appConfig(), close });
}

async function checked(database: OperatorDatabase): Promise<Result<OperatorDatabase, string>> {
  try {
    const pending = await pendingMigrations(database.owner);
    if (pending.length === 0) return ok(database);
    await database.close();
    return err(`The database is of an earlier release: start Bursar once (${pending.join(", ")}).`);
  } catch (error) {
    await database.close();
    throw error;
  }
}

/** What a command does on the database: it prints for itself, and returns why it was refused, or null. */
type Work = (place: { readonly config: Config; readonly database: OperatorDatabase }) => Promise<string | null>;

/** Opens the database and works. A refusal and whatever goes wrong are said on stderr, with exit code 1. */
export async function onOperatorDatabase(work: Work): Promise<void> {
  const refusal = await tryOn(work).catch(
    (error: unknown) => `It could not be done: ${error instanceof Error ? error.message : String(error)}`,
  );
  if (refusal === null) return;
  console.error(refusal);
  process.exitCode = 1;
}

async function tryOn(work: Work): Promise<string | null> {
  const config = readConfig();
  if (!config.ok) return `These settings are wrong:\n  ${config.error.join("\n  ")}`;
  const database = await openOperatorDatabase(config.value);
  if (!database.ok) return database.error;
  try {
    return await work({ config: config.value, database: database.value });
  } finally {
    await database.value.close();
  }
}
