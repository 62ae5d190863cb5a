/** A base backup of a place's PostgreSQL while it works, and bringing it back: what an operator would do by hand. */
import { execFile } from "node:child_process";
import { appendFileSync, chownSync, existsSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { Client } from "pg";
import { startEmbedded } from "../../src/store/embedded.ts";
import type { Place } from "../torture/processes.ts";

const run = promisify(execFile);

/** The data directory of a place's PostgreSQL, wherever it is kept. */
function clusterOf(place: Pick<Place, "dataDir">): string {
  const home = join(place.dataDir, "postgres");
  const note = join(home, "postgres.location");
  return join(existsSync(note) ? readFileSync(note, "utf8").trim() : join(home, "postgres"), "cluster");
}

/** A session of the owner of a database that runs. */
export async function ownerOf(place: Pick<Place, "dataDir">): Promise<Client> {
  const { ownerConfig } = await startEmbedded({ dataDir: join(place.dataDir, "postgres") });
  const client = new Client(ownerConfig);
  client.on("error", () => {}); // the next query says it
  await client.connect();
  return client;
}

/** Copies with owners and modes. Files may vanish meanwhile: the log brings them back. */
async function copy(from: string, to: string): Promise<void> {
  await run("cp", ["-a", from, to]).catch((error: { stderr?: string }) => {
    const lines = (error.stderr ?? "").split("\n").filter((line) => line !== "");
    if (lines.length === 0 || lines.some((line) => !line.includes("No such file"))) throw error;
  });
}

/** Writes a file into a cluster, for the server's user. */
function write(cluster: string, name: string, text: string): void {
  const { uid, gid } = statSync(join(cluster, "PG_VERSION"));
  writeFileSync(join(cluster, name), text, { mode: 0o600 });
  chownSync(join(cluster, name), uid, gid);
}

/** Takes a base backup into `<root>/backup`. What is committed after this resolves is not in it. */
export async function takeBackup(place: Place): Promise<string> {
  const cluster = clusterOf(place);
  const backup = join(place.root, "backup");
  const client = await ownerOf(place);
  try {
    await client.query("select pg_backup_start('drill', true)");
    await copy(cluster, backup);
    const stopped = await client.query<{ labelfile: string }>("select labelfile from pg_backup_stop(false)");
    rmSync(join(backup, "pg_wal"), { recursive: true });
    await copy(join(cluster, "pg_wal"), join(backup, "pg_wal"));
    for (const name of ["postmaster.pid", "postmaster.opts"]) rmSync(join(backup, name), { force: true });
    write(backup, "backup_label", stopped.rows[0]?.labelfile ?? "");
    return backup;
  } finally {
    await client.end();
  }
}

/** Puts a backup in the place of the cluster, which must not run. It recovers to the end of what was copied. */
export async function restoreBackup(place: Place, backup: string): Promise<void> {
  const cluster = clusterOf(place);
  rmSync(cluster, { recursive: true });
  await copy(backup, cluster);
  // There is no archive: the log that was copied is all there is.
  appendFileSync(join(cluster, "postgresql.auto.conf"), "restore_command = 'false'\n");
  write(cluster, "recovery.signal", "");
}

/** Copies a whole data directory whose database does not run, as somebody would to try something out. */
export async function cloneDataDir(from: string, to: string): Promise<void> {
  if (existsSync(join(from, "postgres", "postgres.location"))) throw new Error("the database is kept elsewhere");
  await copy(from, to);
}
