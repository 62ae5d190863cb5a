/**
 * What the embedded database needs to know about processes, and the lock that lets one process at a time start it.
 *
 * Pids are reused, so a pid alone proves nothing: a process is known by its pid and its start time, and the postmaster
 * by its command line. Both are read from /proc where there is one, else from `ps`.
 */
import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { closeSync, openSync, readdirSync, readFileSync, readlinkSync, rmSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";

const onLinux = process.platform === "linux";

function readOrNull(path: string): string | null {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return null;
  }
}

function ps(field: "lstart" | "command", pid: number): string {
  try {
    return execFileSync("ps", ["-o", `${field}=`, "-p", String(pid)], { encoding: "utf8", timeout: 5_000 }).trim();
  } catch {
    return "";
  }
}

/** Whether a process of this pid runs, whoever owns it. A zombie does not run: it only waits to be counted. */
export function isRunning(pid: number): boolean {
  if (!Number.isSafeInteger(pid) || pid <= 0) return false;
  try {
    process.kill(pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ESRCH") return false;
  }
  if (!onLinux) return true;
  // The second field is the program's name in brackets, which may hold anything: the state follows the last bracket.
  const stat = readOrNull(`/proc/${pid}/stat`);
  return stat === null || stat.slice(stat.lastIndexOf(")") + 2)[0] !== "Z";
}

/** When the process started, as a token for file names: equal means the same process. Empty where nobody can say. */
function startToken(pid: number): string {
  if (!onLinux) return ps("lstart", pid).replaceAll(/\W/g, "");
  const stat = readOrNull(`/proc/${pid}/stat`);
  return stat?.slice(stat.lastIndexOf(")") + 2).split(" ")[19] ?? "";
}

/** The postmaster works in its cluster's directory. Null where we may not look (another user's, in a container). */
function workingDirectory(pid: number): string | null {
  try {
    return readlinkSync(`/proc/${pid}/cwd`);
  } catch {
    return null;
  }
}

/** Whether `pid` is the postmaster of this cluster, and not another process that was given its pid since. */
export function isPostmasterOf(pid: number, clusterDir: string): boolean {
  if (!isRunning(pid)) return false;
  if (!onLinux) return `${ps("command", pid)} `.includes(`/postgres -D ${clusterDir} `);
  const line = (readOrNull(`/proc/${pid}/cmdline`) ?? "").replaceAll("\0", " ");
  return line.includes(`/postgres -D ${clusterDir} `) || workingDirectory(pid) === clusterDir;
}

/** The files that say "I am starting this": `starting.<pid>.<start token>.<nonce>`. The name says it all. */
const CLAIM = /^starting\.(\d+)\.(\w*)\.\w+$/;

function isClaimLive(pid: number, token: string): boolean {
  return isRunning(pid) && (token === "" || startToken(pid) === token);
}

/** The pids of the other claims in `dir` whose processes live. Removes those of the dead, whose names never return. */
function otherClaims(dir: string, mine: string): number[] {
  const live: number[] = [];
  for (const name of readdirSync(dir)) {
    const parts = CLAIM.exec(name);
    if (!parts || name === mine) continue;
    const pid = Number(parts[1]);
    if (isClaimLive(pid, parts[2] ?? "")) live.push(pid);
    else rmSync(join(dir, name), { force: true });
  }
  return live;
}

/**
 * Runs `work` while no other process (nor another call in this one) does so for the same directory.
 *
 * Everybody first writes a claim of their own and then looks for others: of two at once at least one sees the other,
 * withdraws and tries again after a random pause. A dead owner needs no stealing: nobody else can have its file name.
 * Holds between processes that see each other's pids, so not between two containers that share a directory.
 *
 * @throws when another live process keeps its claim for longer than `timeoutMs`, naming its pid; or what `work` throws.
 */
export async function withStartLock<T>(dir: string, timeoutMs: number, work: () => Promise<T>): Promise<T> {
  const mine = `starting.${process.pid}.${startToken(process.pid)}.${randomBytes(6).toString("hex")}`;
  const path = join(dir, mine);
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    closeSync(openSync(path, "wx", 0o600));
    try {
      const others = otherClaims(dir, mine);
      if (others.length === 0) return await work();
      if (Date.now() > deadline) {
        throw new Error(`Process ${others.join(", ")} has been starting the database in ${dir} for ${timeoutMs} ms`);
      }
    } finally {
      rmSync(path, { force: true });
    }
    await delay(10 + Math.random() * 50);
  }
}
