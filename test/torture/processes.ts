/**
 * Real processes: Bursar as an operator starts it, and the PostgreSQL and the sandbox provider that it starts, each of
 * which can be struck down. Only processes of one throw-away data directory are ever signalled.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { probe, readRecord } from "../../src/sandbox/pid-file.ts";
import { isPostmasterOf } from "../../src/store/embedded/process.ts";

const CLI = fileURLToPath(new URL("../../src/cli/main.ts", import.meta.url));
const STOP_LIMIT_MS = 40_000;
const POLL_MS = 20;

/** A data directory to be thrown away, and the ports and the key of the Bursar that lives on it. */
export interface Place {
  readonly root: string;
  readonly dataDir: string;
  readonly httpPort: number;
  readonly sandboxPort: number;
  readonly key: string;
  /** Where Bursar answers, without a trailing slash. */
  readonly url: string;
  readonly sandboxUrl: string;
}

export async function newPlace(name: string): Promise<Place> {
  const root = mkdtempSync(join(tmpdir(), `bursar-${name}-`));
  // As root PostgreSQL runs as another user, who must be able to pass through.
  chmodSync(root, 0o711);
  const [httpPort = 0, sandboxPort = 0] = await freePorts(2);
  return {
    root,
    dataDir: join(root, "data"),
    httpPort,
    sandboxPort,
    key: `bk_test_${randomBytes(32).toString("base64url")}`,
    url: `http://127.0.0.1:${httpPort}`,
    sandboxUrl: `http://127.0.0.1:${sandboxPort}`,
  };
}

/** All held at once, so that no two are the same. */
async function freePorts(count: number): Promise<readonly number[]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0, "127.0.0.1"));
  const ports: number[] = [];
  for (const server of servers) {
    if (!server.listening) await once(server, "listening");
    const address = server.address();
    if (typeof address === "object" && address !== null) ports.push(address.port);
  }
  for (const server of servers) {
    server.close();
    await once(server, "close");
  }
  return ports;
}

/** How a process ended. */
export interface Ending {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** A line of Bursar's log that tells of a fault. */
export interface Fault {
  readonly level: number;
  readonly what: string;
}

/** One run of Bursar. */
export class Gateway {
  /** Fulfilled with true when it is ready, with false when it ended before. */
  readonly ready: Promise<boolean>;
  readonly ended: Promise<Ending>;
  readonly #child: ChildProcess;
  #output = "";

  /**
   * @param nodeArguments what stands before the program: a profiler
   * @param environment settings besides those of the place
   */
  constructor(place: Place, nodeArguments: readonly string[] = [], environment: Readonly<Record<string, string>> = {}) {
    this.#child = spawn(process.execPath, [...nodeArguments, CLI, "start"], {
      env: {
        PATH: process.env["PATH"] ?? "",
        PORT: String(place.httpPort),
        BURSAR_SANDBOX_PORT: String(place.sandboxPort),
        BURSAR_DATA_DIR: place.dataDir,
        BURSAR_BOOTSTRAP_KEY: place.key,
        LOG_LEVEL: "warn",
        ...environment,
      },
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.ended = new Promise((resolve) => {
      this.#child.once("close", (code: number | null, signal: NodeJS.Signals | null) => resolve({ code, signal }));
    });
    this.ready = new Promise((resolve) => {
      const take = (chunk: Buffer): void => {
        this.#output += chunk.toString("utf8");
        if (this.#output.includes("\nBursar answers at ")) resolve(true);
      };
      this.#child.stdout?.on("data", take);
      this.#child.stderr?.on("data", take);
      void this.ended.then(() => resolve(false));
    });
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  get output(): string {
    return this.#output;
  }

  /** False when it had ended already. */
  kill(signal: "SIGTERM" | "SIGKILL"): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null && this.#child.kill(signal);
  }

  /** Asks it to end, and ends it if it does not. */
  async stop(): Promise<Ending> {
    this.kill("SIGTERM");
    const timer = setTimeout(() => this.kill("SIGKILL"), STOP_LIMIT_MS);
    const ending = await this.ended;
    clearTimeout(timer);
    return ending;
  }

  /** What it logged of level warn and above. */
  get faults(): readonly Fault[] {
    return this.#output.split("\n").flatMap((line) => {
      if (!line.startsWith("{")) return [];
      try {
        const entry = JSON.parse(line) as { level: number; msg?: string; what?: string; err?: { message?: string } };
        const parts = [entry.msg, entry.what, entry.err?.message, ...details(entry)];
        return [{ level: entry.level, what: parts.filter((part) => part !== undefined).join(": ") }];
      } catch {
        // Cut off by the kill.
        return [];
      }
    });
  }
}

function details(entry: object): string[] {
  return "reason" in entry && typeof entry.reason === "string" ? [entry.reason] : [];
}

/** The sandbox provider of this place; null when none answers. */
export async function sandboxPid(place: Place): Promise<number | null> {
  const record = await readRecord(join(place.dataDir, "sandbox"));
  return record !== null && (await probe(record)) === "alive" ? record.pid : null;
}

/** The postmaster of this place; null when none runs. */
export function postmasterPid(place: Place): number | null {
  const home = join(place.dataDir, "postgres");
  const note = join(home, "postgres.location");
  const cluster = join(existsSync(note) ? readFileSync(note, "utf8").trim() : join(home, "postgres"), "cluster");
  const file = join(cluster, "postmaster.pid");
  const pid = existsSync(file) ? Number(readFileSync(file, "utf8").split("\n")[0]) : 0;
  return isPostmasterOf(pid, cluster) ? pid : null;
}

/** Sends a signal to a process that may have ended meanwhile. */
export function signal(pid: number | null, name: "SIGKILL" | "SIGQUIT" | "SIGTERM"): boolean {
  if (pid === null) return false;
  try {
    return process.kill(pid, name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ESRCH") return false;
    throw error;
  }
}

/** Whether anything of this place still runs after its Bursar has ended. */
export async function leftOvers(place: Place): Promise<readonly string[]> {
  const found: string[] = [];
  if ((await sandboxPid(place)) !== null) found.push("the sandbox provider");
  if (postmasterPid(place) !== null) found.push("PostgreSQL");
  return found;
}

/** Ends what still runs and throws the place away. */
export async function clear(place: Place): Promise<void> {
  signal(await sandboxPid(place), "SIGKILL");
  signal(postmasterPid(place), "SIGQUIT");
  for (const deadline = Date.now() + STOP_LIMIT_MS; Date.now() < deadline; await sleep(POLL_MS)) {
    if ((await leftOvers(place)).length === 0) break;
  }
  rmSync(place.root, { recursive: true, force: true, maxRetries: 5 });
}
