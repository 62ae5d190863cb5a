/** Starts the sandbox provider as a process that outlives its parent, or adopts the one that lives already. */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdir, open, readFile, realpath } from "node:fs/promises";
import { dirname, extname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { askHealth, discard, isProcess, type Life, type PidRecord, pidPath, probe, readRecord } from "./pid-file.ts";

export interface RunningSandbox {
  /** Base address, without a slash at the end. */
  readonly url: string;
  readonly pid: number;
  /** Ends it, started or adopted; resolves when the process is gone. */
  stop(): Promise<void>;
}

export interface SandboxPlace {
  /** Its own directory: the book, the pid file and the log are in it. Made when absent. */
  readonly dataDir: string;
  /** 0: any free one. An adopted sandbox keeps the port that it has. */
  readonly port: number;
}

const START_LIMIT_MS = 20_000;
const STOP_LIMIT_MS = 10_000;
const POLL_MS = 20;
/** A process that has closed its port may still be writing its book. */
const ABSENT_GRACE_MS = 3000;
const PORT_TAKEN = 98;
const ALREADY_RUNNING = 99;

/** @throws with a message for people: the port is taken, the book is damaged, the process does not answer */
export async function startSandbox(place: SandboxPlace): Promise<RunningSandbox> {
  await mkdir(place.dataDir, { recursive: true, mode: 0o700 });
  const dataDir = await realpath(place.dataDir);
  const deadline = Date.now() + START_LIMIT_MS;
  let child: ChildProcess | null = null;
  let absentSince: number | null = null;
  while (Date.now() < deadline) {
    const record = await readRecord(dataDir);
    const life: Life = record === null ? "dead" : await probe(record);
    if (record !== null && life === "alive") return running(record, dataDir, child);
    absentSince = life === "absent" ? (absentSince ?? Date.now()) : null;
    const isGone = life === "dead" || (absentSince !== null && Date.now() - absentSince > ABSENT_GRACE_MS);
    if (child !== null && child.exitCode !== null) {
      if (child.exitCode !== ALREADY_RUNNING) throw await failureOf(child.exitCode, place.port, dataDir);
      child = null;
    } else if (child !== null && child.signalCode !== null) {
      throw new Error(`the sandbox provider was ended by ${child.signalCode} while it started`);
    } else if (isGone && child === null) {
      if (record !== null) await discard(dataDir, record);
      child = await launch(place.port, dataDir);
    }
    await sleep(POLL_MS);
  }
  throw new Error(
    `the sandbox provider of ${dataDir} does not answer; see ${logPath(dataDir)} and ${pidPath(dataDir)}`,
  );
}

const logPath = (dataDir: string): string => join(dataDir, "sandbox.log");

/** Detached, with its own log: neither the parent's end nor a Ctrl-C in its terminal may cut off the provider. */
async function launch(port: number, dataDir: string): Promise<ChildProcess> {
  const here = fileURLToPath(import.meta.url);
  const main = join(dirname(here), `main${extname(here)}`);
  const log = await open(logPath(dataDir), "a", 0o600);
  try {
    const child = spawn(process.execPath, [main, "--port", String(port), "--data-dir", dataDir], {
      detached: true,
      stdio: ["ignore", log.fd, log.fd],
      // The provider is a stranger: it gets nothing of our environment, least of all our secrets.
      env: {},
    });
    child.unref();
    await new Promise<void>((resolve, reject) => {
      child.once("spawn", resolve);
      child.once("error", reject);
    });
    return child;
  } finally {
    await log.close();
  }
}

async function failureOf(exitCode: number, port: number, dataDir: string): Promise<Error> {
  if (exitCode === PORT_TAKEN) {
    const health = await askHealth(port);
    const holder =
      typeof health === "object" ? `the sandbox provider of ${health.dataDir} (pid ${health.pid})` : "another program";
    return new Error(`port ${port} of the sandbox provider is taken by ${holder}: choose another port`);
  }
  const log = await readFile(logPath(dataDir), "utf8").catch(() => "");
  return new Error(`the sandbox provider ended with code ${exitCode}: ${log.slice(-1000).trim()}`);
}

function running(record: PidRecord, dataDir: string, child: ChildProcess | null): RunningSandbox {
  const { pid, port } = record;
  const own = child?.pid === pid ? child : null;
  return { url: `http://127.0.0.1:${port}`, pid, stop: () => stop(record, dataDir, own) };
}

/** Signals only a process that has just proved to be this sandbox, or is our own child: pids are used again. */
async function stop(record: PidRecord, dataDir: string, child: ChildProcess | null): Promise<void> {
  const isOwn = child !== null && child.exitCode === null && child.signalCode === null;
  const life = await probe(record);
  if (!isOwn && life !== "alive") {
    if (life === "hung") throw new Error(`the sandbox provider (pid ${record.pid}) does not answer: end it by hand`);
    if (life === "dead") await discard(dataDir, record);
    return;
  }
  process.kill(record.pid, "SIGTERM");
  const deadline = Date.now() + STOP_LIMIT_MS;
  while (isProcess(record.pid)) {
    if (Date.now() > deadline) throw new Error(`the sandbox provider (pid ${record.pid}) does not end`);
    await sleep(POLL_MS);
  }
}
