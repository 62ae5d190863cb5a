/** The pid file of a sandbox: one process per data directory, found again by whoever starts next. */
import { link, readFile, rename, rm, writeFile } from "node:fs/promises";
import { get } from "node:http";
import { join } from "node:path";

export interface PidRecord {
  readonly pid: number;
  /** 0 until it listens. */
  readonly port: number;
  /** The instance; `GET /health` answers it. */
  readonly token: string;
  /** Unix milliseconds. */
  readonly startedTime: number;
}

/**
 * What became of the process of a record. `absent`: its port is not served by it, though the pid lives; another program
 * may have got the pid. `hung`: something takes connections there and does not answer.
 */
export type Life = "dead" | "starting" | "alive" | "absent" | "hung";

const HEALTH_TIMEOUT_MS = 1000;
/** Replaying a book takes seconds at most; what "starts" for longer is a pid that another program has got. */
const STARTING_MAX_MS = 60_000;

export const pidPath = (dataDir: string): string => join(dataDir, "sandbox.pid");

/** Null when there is none; an unreadable one counts as none. */
export async function readRecord(dataDir: string): Promise<PidRecord | null> {
  return readRecordAt(pidPath(dataDir));
}

async function readRecordAt(path: string): Promise<PidRecord | null> {
  try {
    const { pid, port, token, startedTime } = JSON.parse(await readFile(path, "utf8")) as Partial<PidRecord>;
    if (!Number.isInteger(pid) || !Number.isInteger(port) || typeof token !== "string") return null;
    return { pid: Number(pid), port: Number(port), token, startedTime: Number(startedTime) };
  } catch {
    return null;
  }
}

export interface Health {
  readonly instance: string;
  readonly pid: number;
  readonly dataDir: string;
}

/** Asks what serves a port: a sandbox's own account of itself, or that nobody, or something else, is there. */
export function askHealth(port: number): Promise<Health | "nobody" | "stranger" | "silent"> {
  return new Promise((resolve) => {
    const request = get({ host: "127.0.0.1", port, path: "/health", agent: false }, (response) => {
      let text = "";
      response.setEncoding("utf8");
      response.on("data", (chunk: string) => {
        text = (text + chunk).slice(0, 4096);
      });
      response.once("close", () => resolve(readHealth(text)));
    });
    const timer = setTimeout(() => {
      resolve("silent");
      request.destroy();
    }, HEALTH_TIMEOUT_MS);
    request.once("error", (error: NodeJS.ErrnoException) => {
      resolve(error.code === "ECONNREFUSED" ? "nobody" : "stranger");
    });
    request.once("close", () => clearTimeout(timer));
  });
}

function readHealth(text: string): Health | "stranger" {
  try {
    const { instance, pid, dataDir } = JSON.parse(text) as Partial<Health>;
    if (typeof instance !== "string" || typeof pid !== "number" || typeof dataDir !== "string") return "stranger";
    return { instance, pid, dataDir };
  } catch {
    return "stranger";
  }
}

export async function probe(record: PidRecord): Promise<Life> {
  if (!isProcess(record.pid)) return "dead";
  if (record.port === 0) return Date.now() - record.startedTime < STARTING_MAX_MS ? "starting" : "dead";
  const health = await askHealth(record.port);
  if (health === "silent") return "hung";
  return typeof health === "object" && health.instance === record.token ? "alive" : "absent";
}

export function isProcess(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // EPERM: it lives and belongs to somebody else.
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

/** Takes the data directory for this process; answers the record that is in the way, or null when it is ours. */
export async function claim(dataDir: string, record: PidRecord): Promise<PidRecord | null> {
  const path = pidPath(dataDir);
  const own = `${path}.${record.token}`;
  await writeFile(own, JSON.stringify(record), { mode: 0o600 });
  try {
    for (;;) {
      try {
        // A link fails where the name exists: of two that start at once, one wins.
        await link(own, path);
        return null;
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
      }
      const other = await readRecord(dataDir);
      if (other !== null && (await probe(other)) !== "dead") return other;
      await discard(dataDir, other);
    }
  } finally {
    await rm(own, { force: true });
  }
}

/** Removes this very record and no newer one. */
export async function discard(dataDir: string, record: PidRecord | null): Promise<void> {
  const path = pidPath(dataDir);
  const aside = `${path}.old.${process.pid}`;
  try {
    await rename(path, aside);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return;
    throw error;
  }
  const moved = await readRecordAt(aside);
  if (moved !== null && moved.token !== record?.token) await link(aside, path).catch(() => undefined);
  await rm(aside, { force: true });
}

/** Writes the port beside the claim. @throws when the claim was lost meanwhile */
export async function announce(dataDir: string, record: PidRecord): Promise<void> {
  const current = await readRecord(dataDir);
  if (current?.token !== record.token) throw new Error("another sandbox has taken the data directory");
  const next = `${pidPath(dataDir)}.${record.token}`;
  await writeFile(next, JSON.stringify(record), { mode: 0o600 });
  await rename(next, pidPath(dataDir));
}
