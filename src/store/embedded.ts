/**
 * The default database: a real PostgreSQL 18 from npm, started and stopped by us when there is no DATABASE_URL.
 *
 * The server outlives us: Ctrl-C does not reach it and a killed parent leaves it running, so a start first looks for a
 * server to adopt. Every step may be interrupted at any point; the next start goes on from whatever it finds.
 */
import { execFile, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import * as fs from "node:fs";
import { createServer } from "node:net";
import { dirname, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { promisify } from "node:util";
import { Client, type ClientConfig } from "pg";
import {
  type Binaries,
  findBinaries,
  type Home,
  makePrivateDir,
  openDataDir,
  openHome,
  rolePassword,
  SOCKET_PORT,
  syncDir,
  writeWhole,
} from "./embedded/home.ts";
import { isPostmasterOf, isRunning, withStartLock } from "./embedded/process.ts";
import { placeOf } from "./epoch/place.ts";
import { APP_ROLE, ensureRoles } from "./roles.ts";

const DATABASE = "bursar";
const OWNER_ROLE = "bursar_owner";

/** Recovery after a crash replays at most max_wal_size: well under a minute on any disk, ten times that on a bad day. */
const START_TIMEOUT_MS = 300_000;
/** How long a fast stop may take before it becomes an immediate one (safe too: the next start replays the log). */
const STOP_TIMEOUT_MS = 60_000;
const POLL_MS = 10;
const LONGEST_LOG_BYTES = 10_000_000;

/** Written to postgresql.conf once, by initdb: an administrator may change them there. */
const DEFAULTS = {
  shared_buffers: "128MB",
  max_wal_size: "2GB",
  wal_compression: "on",
  jit: "off",
  max_connections: "50",
  timezone: "UTC",
  log_timezone: "UTC",
};

export interface EmbeddedOptions {
  /** Made when missing. Holds the database, or a note that says where it is (see embedded/home.ts). */
  readonly dataDir: string;
  /** The TCP port to try first, used only where the path is too long for a Unix socket. Default: the last, or any. */
  readonly port?: number;
  /** Hears what an operator should know: a database kept elsewhere, a recovery, an adopted server. */
  readonly log?: (message: string) => void;
  /** False: commits do not wait for the disk. For tests only. Default: true. */
  readonly durable?: boolean;
}

export interface Embedded {
  /** Connects to `database` as its owner, a superuser: for migrations and locks, never for requests. */
  readonly ownerConfig: ClientConfig;
  /** Connects as `bursar_app`: bound by row-level security, owns nothing. */
  appConfig(database?: string): ClientConfig;
  readonly database: string;
  /** The postmaster. */
  readonly pid: number;
  /**
   * Stops the server, whoever started it; does nothing when it is gone. `fast` ends all sessions and checkpoints,
   * `immediate` leaves the work of recovery to the next start.
   *
   * @throws when the server does not end.
   */
  stop(mode?: "fast" | "immediate"): Promise<void>;
}

interface Server {
  readonly pid: number;
  /** A socket directory, or 127.0.0.1. */
  readonly host: string;
  readonly port: number;
}

interface Context {
  readonly home: Home;
  readonly options: EmbeddedOptions;
  readonly log: (message: string) => void;
}

/** What postmaster.pid says of the server that runs this cluster; null = none runs, whatever the file says. */
function findServer(home: Home): (Server & { readonly status: string }) | null {
  let lines: string[];
  try {
    lines = fs.readFileSync(join(home.cluster, "postmaster.pid"), "utf8").split("\n");
  } catch {
    return null;
  }
  const pid = Number(lines[0]);
  if (!isPostmasterOf(pid, home.cluster)) return null;
  return { pid, port: Number(lines[3]), host: lines[4] || "127.0.0.1", status: lines[7]?.trim() ?? "starting" };
}

async function until(holds: () => boolean, timeoutMs: number): Promise<boolean> {
  const deadline = Date.now() + timeoutMs;
  while (!holds()) {
    if (Date.now() > deadline) return false;
    await delay(POLL_MS);
  }
  return true;
}

/** Waits until the server takes connections. Null when it ended instead: it failed, or was just being stopped. */
async function untilReady(context: Context, pid: number): Promise<Server | null> {
  const settled = () => findServer(context.home)?.status === "ready" || !isRunning(pid);
  if (!(await until(settled, 3_000))) {
    context.log("The database is still starting: it recovers from a crash, or is still being stopped");
    if (!(await until(settled, START_TIMEOUT_MS))) {
      throw new Error(
        `PostgreSQL (process ${pid}) was not ready after ${START_TIMEOUT_MS} ms: ${context.home.logFile}`,
      );
    }
  }
  const server = findServer(context.home);
  return server?.status === "ready" ? server : null;
}

/** The server's environment: nothing of ours but the path, messages in English because some are recognised below. */
const SERVER_ENV = { PATH: process.env.PATH ?? "/usr/bin:/bin", LC_ALL: "C", TZ: "UTC" };

/** Makes the cluster beside its place and moves it there when it is whole: a killed start leaves only rubbish. */
async function makeCluster({ home, options }: Context, binaries: Binaries): Promise<void> {
  for (const name of fs.readdirSync(home.dir)) {
    // An initdb whose parent was killed may still be writing there.
    if (name.startsWith("cluster.new"))
      fs.rmSync(join(home.dir, name), { recursive: true, force: true, maxRetries: 9 });
  }
  // A name of its own for every try, so that such an initdb cannot write into this one.
  const fresh = join(home.dir, `cluster.new.${randomBytes(6).toString("hex")}`);
  const passwordFile = `${fresh}.password`;
  makePrivateDir(fresh, home.user);
  writeWhole(passwordFile, rolePassword(home, OWNER_ROLE));
  if (home.user) fs.chownSync(passwordFile, home.user.uid, home.user.gid);
  const settings = Object.entries(DEFAULTS).map(([name, value]) => `--set=${name}=${value}`);
  const access = ["--auth-local=trust", "--auth-host=scram-sha-256", `--pwfile=${passwordFile}`];
  // The built-in C.UTF-8 sorts alike on every machine and for ever: no index breaks when a system library is updated.
  const locale = ["--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"];
  const args = ["-D", fresh, "-U", OWNER_ROLE, "--data-checksums", "--no-instructions", ...access, ...locale];
  if (options.durable === false) args.push("--no-sync");
  try {
    await promisify(execFile)(binaries.initdb, [...args, ...settings], { ...home.user, cwd: "/", env: SERVER_ENV });
  } catch (error) {
    const { stderr, message } = error as { stderr?: string; message: string };
    throw new Error(`initdb could not make the database: ${stderr?.trim() || message}`, { cause: error });
  } finally {
    fs.rmSync(passwordFile, { force: true });
  }
  fs.renameSync(fresh, home.cluster);
  for (const dir of [home.dir, dirname(home.dir), home.dataDir]) syncDir(dir);
}

/**
 * PostgreSQL takes any live process of its user that has the pid in a lock file for the holder. Where such a process is
 * not our postmaster, the lock is old: its pid has been given to another. (A dead pid PostgreSQL handles itself, and
 * with more care than we could: it looks whether orphans of the old postmaster still use its memory.)
 */
async function removeStaleLocks(home: Home): Promise<void> {
  const locks = [join(home.cluster, "postmaster.pid"), join(home.socketDir, `.s.PGSQL.${SOCKET_PORT}.lock`)];
  for (const path of locks.filter((lock) => fs.existsSync(lock))) {
    const pid = Math.abs(Number(fs.readFileSync(path, "utf8").split("\n")[0]));
    if (!isRunning(pid) || isPostmasterOf(pid, home.cluster)) continue;
    // A postmaster that is dying just now has lost its command line already.
    if (!(await until(() => !isRunning(pid), 200))) fs.rmSync(path, { force: true });
  }
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once("error", reject);
    probe.listen(0, "127.0.0.1", () => {
      const address = probe.address();
      probe.close(() => resolve(typeof address === "object" && address ? address.port : 0));
    });
  });
}

function serverArguments(home: Home, port: number, durable: boolean): string[] {
  // The value is a list of names: quotes protect commas and blanks.
  const directories = home.hasSocket ? `"${home.socketDir.replaceAll('"', '""')}"` : "";
  const settings = {
    listen_addresses: home.hasSocket ? "" : "127.0.0.1",
    port: String(port),
    unix_socket_directories: directories,
    unix_socket_permissions: "0700",
    fsync: durable ? "on" : "off",
    full_page_writes: durable ? "on" : "off",
    synchronous_commit: durable ? "on" : "off",
  };
  return ["-D", home.cluster, ...Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`])];
}

/** Runs the server until it is ready, or until it ends: then what it wrote to its log. */
async function launch(context: Context, binaries: Binaries, port: number): Promise<Server | string> {
  const { home, options } = context;
  await removeStaleLocks(home);
  const size = fs.statSync(home.logFile, { throwIfNoEntry: false })?.size ?? 0;
  if (size > LONGEST_LOG_BYTES) fs.renameSync(home.logFile, `${home.logFile}.1`);
  const log = fs.openSync(home.logFile, "a", 0o600);
  const before = fs.fstatSync(log).size;
  // A session of its own: the terminal's Ctrl-C goes to our process group, and the server is not in it.
  const child = spawn(binaries.postgres, serverArguments(home, port, options.durable !== false), {
    ...home.user,
    cwd: "/",
    env: SERVER_ENV,
    detached: true,
    stdio: ["ignore", log, log],
  });
  fs.closeSync(log);
  child.unref();
  const failure = new Promise<Error>((resolve) => child.once("error", resolve));
  if (child.pid === undefined) return String(await failure);
  const server = await untilReady(context, child.pid);
  return server ?? fs.readFileSync(home.logFile).subarray(before).toString("utf8").trim();
}

/** The port to try: of the socket's name, or of TCP. A number is kept from start to start, for the tools set up for it. */
async function choosePort({ home, options }: Context): Promise<number> {
  if (home.hasSocket) return SOCKET_PORT;
  const last = join(home.dir, "port");
  if (options.port !== undefined) return options.port;
  return fs.existsSync(last) ? Number(fs.readFileSync(last, "utf8")) : freePort();
}

async function start(context: Context): Promise<Server> {
  const { home, log } = context;
  const binaries = await findBinaries(home, log);
  if (!fs.existsSync(home.cluster)) await makeCluster(context, binaries);
  let port = await choosePort(context);
  const deadline = Date.now() + START_TIMEOUT_MS;
  for (;;) {
    const outcome = await launch(context, binaries, port);
    if (typeof outcome !== "string") {
      if (!home.hasSocket) writeWhole(join(home.dir, "port"), `${port}\n`);
      return outcome;
    }
    // Orphans of a killed postmaster end as soon as they notice; a killed starter may have launched one just before us.
    const isPassing = /pre-existing shared memory block|lock file "[^"]*" already exists/.test(outcome);
    const isPortTaken = !home.hasSocket && /could not create any TCP\/IP sockets/.test(outcome);
    if (isPortTaken) port = await freePort();
    if (!(isPassing || isPortTaken) || Date.now() > deadline) {
      throw new Error(`PostgreSQL did not start (its log: ${home.logFile}):\n${outcome}`);
    }
    await delay(POLL_MS);
    const other = findServer(home);
    const adopted = other && (await untilReady(context, other.pid));
    if (adopted) return adopted;
  }
}

function clientConfig(home: Home, server: Server, user: string): ClientConfig {
  // Said with every connection: a copied data directory must not take itself for the one it was copied from.
  const place = placeOf(home.cluster);
  const options = place === null ? {} : { options: `-c bursar.place=${place}` };
  const config = { host: server.host, port: server.port, user, database: DATABASE, ssl: false, ...options };
  return server.host === "127.0.0.1" ? { ...config, password: rolePassword(home, user) } : config;
}

/** A restored backup answers, but takes no writes, until it has replayed the log that came with it. */
async function untilRecovered(client: Client): Promise<void> {
  for (const deadline = Date.now() + START_TIMEOUT_MS; ; await delay(POLL_MS)) {
    const { rows } = await client.query<{ isOver: boolean }>('select not pg_is_in_recovery() as "isOver"');
    if (rows[0]?.isOver) return;
    if (Date.now() > deadline) throw new Error("PostgreSQL is still in recovery: is it a standby?");
  }
}

/** Makes what is missing inside the server: roles, passwords, the database. Repeats harmlessly. */
async function provision({ home, options }: Context, server: Server): Promise<void> {
  const client = new Client({
    ...clientConfig(home, server, OWNER_ROLE),
    database: "postgres",
    connectionTimeoutMillis: 10_000,
  });
  client.on("error", () => {}); // the next query says it
  await client.connect();
  try {
    const { rows } = await client.query<{ fsync: string }>("select current_setting('fsync') as fsync");
    if (options.durable !== false && rows[0]?.fsync !== "on") {
      throw new Error(`PostgreSQL (process ${server.pid}) runs with fsync off, for tests: stop it first`);
    }
    await untilRecovered(client);
    await ensureRoles(client);
    for (const role of [OWNER_ROLE, APP_ROLE]) {
      await client.query(`alter role ${role} password ${client.escapeLiteral(rolePassword(home, role))}`);
    }
    const found = await client.query("select from pg_database where datname = $1", [DATABASE]);
    if (found.rowCount === 0) await client.query(`create database ${DATABASE}`);
    await client.query(`revoke all on database ${DATABASE} from public`);
    await client.query(`grant connect on database ${DATABASE} to ${APP_ROLE}`);
  } finally {
    await client.end();
  }
}

/** A server with all that it needs inside: the one that runs, or a new one. */
async function bringUp(context: Context): Promise<Server> {
  const { home, log } = context;
  for (let tries = 1; ; tries++) {
    const running = findServer(home);
    const adopted = running && (await untilReady(context, running.pid));
    if (adopted) log(`Adopted the database that was running (process ${adopted.pid})`);
    const server = adopted ?? (await start(context));
    try {
      await provision(context, server);
      return server;
    } catch (error) {
      // It may have been dying when we adopted it.
      const hasEnded = await until(() => !isPostmasterOf(server.pid, home.cluster), 1_000);
      if (!hasEnded || tries === 3) throw error;
    }
  }
}

async function stopServer(home: Home, pid: number, mode: "fast" | "immediate"): Promise<void> {
  const signals = mode === "fast" ? (["SIGINT", "SIGQUIT"] as const) : (["SIGQUIT"] as const);
  for (const signal of signals) {
    if (!isPostmasterOf(pid, home.cluster)) return;
    process.kill(pid, signal);
    if (await until(() => !isRunning(pid), STOP_TIMEOUT_MS)) return;
  }
  throw new Error(`PostgreSQL (process ${pid}) does not stop`);
}

/**
 * Starts the embedded PostgreSQL of a data directory, or adopts the one that already runs there, and makes its roles
 * and its database. The first start takes a second, later ones a tenth of one; after a crash it waits for recovery.
 *
 * @throws when there are no binaries for this platform, as root with no user to run the server as, when the directory
 * belongs to another user, when another process keeps starting it for minutes, when a server without fsync runs there,
 * or when PostgreSQL does not start (with the end of its log).
 */
export async function startEmbedded(options: EmbeddedOptions): Promise<Embedded> {
  const log = options.log ?? (() => {});
  const dataDir = openDataDir(options.dataDir);
  const lockTimeoutMs = START_TIMEOUT_MS + STOP_TIMEOUT_MS;
  return withStartLock(dataDir, lockTimeoutMs, async () => {
    const home = openHome(dataDir, log);
    const server = await bringUp({ home, options, log });
    const ownerConfig = clientConfig(home, server, OWNER_ROLE);
    return {
      ownerConfig,
      appConfig: (database = DATABASE) => ({ ...clientConfig(home, server, APP_ROLE), database }),
      database: DATABASE,
      pid: server.pid,
      stop: (mode = "fast") => {
        const stop = () => stopServer(home, server.pid, mode);
        // Not even a deleted data directory keeps a server running.
        return fs.existsSync(dataDir) ? withStartLock(dataDir, lockTimeoutMs, stop) : stop();
      },
    };
  });
}
