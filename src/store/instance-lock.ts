/** "Another Bursar runs here": one server per embedded database. Against a DATABASE_URL many may run. */
import { setTimeout as delay } from "node:timers/promises";
import { Client, type ClientConfig } from "pg";
import { err, ok, type Result } from "../core/result.ts";
import { LOCK_CLASS } from "./migrate.ts";

const INSTANCE_LOCK = 2;
/** A killed holder's session ends when its server notices, within milliseconds: a restart waits that long. */
const PATIENCE_MS = 1_000;

/** A running Bursar, as it names itself to others. */
export interface Instance {
  readonly pid: number;
  /** The HTTP port. */
  readonly port: number;
}

export interface InstanceLock {
  /** Fulfilled if the session that holds the lock is lost: from then on another Bursar may start. Never rejected. */
  readonly lost: Promise<Error>;
  release(): Promise<void>;
}

/** Who holds the lock; null when nobody does any more. The name is hidden from roles other than the holder's. */
async function findHolder(client: Client): Promise<Instance | null> {
  const { rows } = await client.query<{ name: string | null }>(
    `select a.application_name as name from pg_locks l left join pg_stat_activity a on a.pid = l.pid
     where l.locktype = 'advisory' and l.granted and l.classid = $1 and l.objid = $2 and l.objsubid = 2
       and l.database = (select oid from pg_database where datname = current_database())`,
    [LOCK_CLASS, INSTANCE_LOCK],
  );
  if (!rows[0]) return null;
  const parts = /^bursar pid=(\d+) port=(\d+)$/.exec(rows[0].name ?? "");
  if (!parts) throw new Error(`A session that does not say who it is holds the instance lock: ${rows[0].name}`);
  return { pid: Number(parts[1]), port: Number(parts[2]) };
}

async function tryLock(client: Client): Promise<Instance | null> {
  const deadline = Date.now() + PATIENCE_MS;
  for (;;) {
    const got = await client.query("select where pg_try_advisory_lock($1, $2)", [LOCK_CLASS, INSTANCE_LOCK]);
    if (got.rowCount === 1) return null;
    const holder = await findHolder(client);
    if (holder && Date.now() > deadline) return holder;
    await delay(50);
  }
}

/**
 * Claims the database for this process, or says which process has it. The lock lives as long as the session behind it:
 * it is free again when the process dies, however it dies. The session does not keep the process alive.
 *
 * @throws when the database cannot be reached.
 */
export async function instanceLock(config: ClientConfig, self: Instance): Promise<Result<InstanceLock, Instance>> {
  const client = new Client({ ...config, application_name: `bursar pid=${self.pid} port=${self.port}` });
  const lost = new Promise<Error>((resolve) => {
    client.once("error", resolve);
    client.once("end", () => resolve(new Error("The session of the instance lock has ended")));
  });
  client.on("error", () => {});
  await client.connect();
  let holder: Instance | null;
  try {
    holder = await tryLock(client);
  } catch (error) {
    await client.end();
    throw error;
  }
  if (holder) {
    await client.end();
    return err(holder);
  }
  socketOf(client).unref();
  let isReleased = false;
  return ok({
    lost: lost.then((error) => (isReleased ? new Promise<never>(() => {}) : error)),
    release: async () => {
      isReleased = true;
      socketOf(client).ref();
      await client.end();
    },
  });
}

/** The client's own `ref` and `unref`, which its types leave out. */
function socketOf(client: Client): { ref(): void; unref(): void } {
  return client as unknown as { ref(): void; unref(): void };
}
