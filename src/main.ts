/** The composition root: settings in, a running Bursar out. The only place that knows every part. */
import { randomBytes } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Logger } from "pino";
import { AuditWatch } from "./cli/audit-watch.ts";
import { DEMO_ORGANIZATION, installDemo } from "./cli/demo-data.ts";
import { API_KEY_FORM, type Config } from "./config.ts";
import { CONNECTORS } from "./connectors/registry.ts";
import { err, ok, type Result } from "./core/result.ts";
import { Engine } from "./engine/engine.ts";
import { openOutbound } from "./engine/outbound.ts";
import type { Store } from "./engine/ports.ts";
import { bookId, createApiKey, createBook, kindOfKey, newKeyText } from "./engine/provision.ts";
import { realClock, realRng, realTimer } from "./engine/real.ts";
import { Vault } from "./engine/vault.ts";
import { buildApp } from "./http/app.ts";
import { Metrics } from "./http/metrics.ts";
import { startSandbox } from "./sandbox/supervise.ts";
import { openAuditor } from "./store/audit.ts";
import { startEmbedded } from "./store/embedded.ts";
import { enterEpoch } from "./store/epoch.ts";
import { type InstanceLock, instanceLock } from "./store/instance-lock.ts";
import { migrate } from "./store/migrate.ts";
import { openStore } from "./store/postgres.ts";
import { openReader } from "./store/reader.ts";
import { openReads } from "./store/reads.ts";

/** A Bursar that answers and works. */
export interface Running {
  /** Where it answers, without a trailing slash. */
  readonly url: string;
  /** The API key made at this start; null when there was one already, or it was given in the settings. */
  readonly newKey: string | null;
  /** To be called once the key has been shown: it is forgotten then. */
  forgetKey(): void;
  readonly sandboxUrl: string | null;
  /** Fulfilled when the database has gone to another process and this one must end. */
  readonly lost: Promise<Error>;
  /** Takes nothing new, finishes what is out, and ends what it started. */
  stop(): Promise<void>;
}

/** Things to undo, last first; also when a later step of the start fails. */
class Undo {
  readonly #steps: (() => Promise<void>)[] = [];

  add(step: () => Promise<void>): void {
    this.#steps.push(step);
  }

  async run(): Promise<void> {
    for (let step = this.#steps.pop(); step !== undefined; step = this.#steps.pop()) await step();
  }
}

/** How the application role connects. */
type Login = Parameters<typeof openStore>[0]["config"];
type App = Awaited<ReturnType<typeof buildApp>>;

interface Database {
  readonly config: Login;
  readonly lock: InstanceLock | null;
}

/** Starts everything that the settings ask for. A refusal is a sentence for the person who started it. */
export async function start(config: Config, log: Logger): Promise<Result<Running, string>> {
  const undo = new Undo();
  try {
    const database = await openDatabase(config, log, undo);
    if (!database.ok) {
      await undo.run();
      return database;
    }
    return ok(await startOn(database.value, { config, log, undo }));
  } catch (error) {
    await undo.run();
    if (error instanceof Error && "code" in error && error.code === "EADDRINUSE") {
      return err(`Port ${config.port} is taken by another program: choose another one with PORT.`);
    }
    throw error;
  }
}

/** The embedded database, claimed and migrated, or the one of DATABASE_URL. */
async function openDatabase(config: Config, log: Logger, undo: Undo): Promise<Result<Database, string>> {
  if (config.databaseUrl !== null) {
    const owner: Login = { connectionString: config.databaseUrl };
    const { applied } = await migrate(owner);
    if (applied.length > 0) log.info({ applied }, "database migrated");
    await enterEpoch(owner);
    // The same login, but bound by row-level security from the first statement on.
    return ok({ config: { ...owner, options: "-c role=bursar_app" }, lock: null });
  }
  const embedded = await startEmbedded({ dataDir: join(config.dataDir, "postgres"), log: (text) => log.info(text) });
  const locked = await instanceLock(embedded.ownerConfig, { pid: process.pid, port: config.port });
  if (!locked.ok) {
    const { pid, port } = locked.error;
    return err(`Another Bursar runs on this data directory: process ${pid}, port ${port}.`);
  }
  undo.add(() => embedded.stop());
  undo.add(() => locked.value.release());
  const { applied } = await migrate(embedded.ownerConfig);
  if (applied.length > 0) log.info({ applied }, "database migrated");
  await enterEpoch(embedded.ownerConfig);
  return ok({ config: embedded.appConfig(), lock: locked.value });
}

interface Start {
  readonly config: Config;
  readonly log: Logger;
  readonly undo: Undo;
}

async function startOn(database: Database, { config, log, undo }: Start): Promise<Running> {
  const store = await openStore({
    config: database.config,
    log: (level, message, details) => log[level](details ?? {}, message),
  });
  undo.add(() => store.close());
  const reader = openReader({ config: database.config });
  undo.add(() => reader.close());
  // Started first and so stopped last: what is out there is still answered while Bursar drains.
  const sandbox = config.demo
    ? await startSandbox({ dataDir: join(config.dataDir, "sandbox"), port: config.sandboxPort })
    : null;
  if (sandbox !== null) undo.add(() => sandbox.stop());
  const outbound = openOutbound({ mayReachPrivate: config.privateWebhooks });
  undo.add(() => outbound.close());
  const vault = new Vault(config.masterKey ?? masterKeyOf(config.dataDir), realRng);
  let url = "";
  const metrics = new Metrics();
  const engine = new Engine({
    ports: { store, clock: realClock, rng: realRng, timer: realTimer, http: outbound },
    vault,
    connectors: CONNECTORS,
    publicUrl: () => config.publicUrl ?? url,
    isWorking: config.role !== "api",
    onBatch: metrics.onBatch,
    onBroken: (error, what) => log.error({ err: error, what }, "something is broken"),
  });
  undo.add(() => engine.stop());
  const app = await buildApp({
    engine,
    reads: openReads(reader),
    publicUrl: () => config.publicUrl ?? url,
    log,
    isServing: config.role !== "worker",
    metrics,
  });
  undo.add(() => close(app));
  url = await listen(app, config);
  const newKey = await provision({ config, engine, store, vault }, sandbox?.url ?? null);
  engine.start();
  watchBooks(database, { engine, metrics }, { config, log, undo });
  return {
    url,
    newKey,
    forgetKey: () => rmSync(firstKeyPath(config), { force: true }),
    sandboxUrl: sandbox?.url ?? null,
    lost: database.lock?.lost ?? new Promise(() => {}),
    stop: () => undo.run(),
  };
}

/** Audits the books from time to time, where payouts are worked on. */
function watchBooks(
  database: Database,
  parts: { engine: Engine; metrics: Metrics },
  { config, log, undo }: Start,
): void {
  if (config.role === "api" || config.auditMinutes === 0) return;
  const watch = new AuditWatch({
    auditor: openAuditor(database.config),
    engine: parts.engine,
    timer: realTimer,
    log,
    minutes: config.auditMinutes,
    onReport: parts.metrics.onAudit,
    onRound: parts.metrics.onAuditRound,
  });
  undo.add(() => watch.stop());
  watch.start();
}

const CLOSE_GRACE_MS = 2_000;

/** Answers what is being asked, then hangs up; also on connections that were opened and never used. */
async function close(app: App): Promise<void> {
  const cut = realTimer.after(CLOSE_GRACE_MS, () => app.server.closeAllConnections());
  await app.close();
  cut();
}

async function listen(app: App, config: Config): Promise<string> {
  await app.listen({ port: config.port, host: config.host });
  const address = app.server.address();
  const port = typeof address === "object" && address !== null ? address.port : config.port;
  const isAny = config.host === "0.0.0.0" || config.host === "::";
  return `http://${isAny ? "127.0.0.1" : config.host}:${port}`;
}

/** The master key of the data directory, made at the first start. Whoever has it and the database has the secrets. */
function masterKeyOf(dataDir: string): Uint8Array {
  const path = join(dataDir, "master.key");
  if (!existsSync(path)) {
    mkdirSync(dataDir, { recursive: true, mode: 0o700 });
    const fresh = `${path}.${process.pid}`;
    writeFileSync(fresh, `${randomBytes(32).toString("hex")}\n`, { mode: 0o600, flush: true });
    renameSync(fresh, path);
  }
  const text = readFileSync(path, "utf8").trim();
  if (!/^[0-9a-f]{64}$/.test(text)) throw new Error(`${path} is not a master key: restore it from a backup`);
  return Buffer.from(text, "hex");
}

interface Parts {
  readonly config: Config;
  readonly engine: Engine;
  readonly store: Store;
  readonly vault: Vault;
}

const FIRST_KEY = "key_first";
const BOOTSTRAP_KEY = "key_bootstrap";

/** What the first start makes: both books of the organization, the demo's data, and a key to begin with. */
async function provision({ config, engine, store, vault }: Parts, sandboxUrl: string | null): Promise<string | null> {
  const organization = config.demo ? DEMO_ORGANIZATION : "org_main";
  for (const kind of ["live", "test"] as const) {
    await createBook(store, vault, { id: bookId(organization, kind), name: organization });
  }
  const demoBook = bookId(organization, "test");
  if (config.demo && sandboxUrl !== null) await installDemo({ engine, store, book: demoBook, sandboxUrl });
  if (config.bootstrapKey !== null) {
    const kind = kindOfKey(config.bootstrapKey) ?? "test";
    const key = { text: config.bootstrapKey, id: BOOTSTRAP_KEY, label: "bootstrap key", role: "owner" } as const;
    await createApiKey(store, bookId(organization, kind), key);
    return null;
  }
  const kind = config.demo ? "test" : "live";
  const book = bookId(organization, kind);
  const noted = readFirstKey(config);
  if (noted === null && !(await isKeyless(store, book))) return null;
  const text = noted ?? newKeyText(kind, realRng);
  // Noted before it is made and forgotten once shown: a start killed in between shows it next time.
  if (noted === null && config.databaseUrl === null) writeFileSync(firstKeyPath(config), text, { mode: 0o600 });
  await createApiKey(store, book, { text, id: FIRST_KEY, label: "first key", role: "owner" });
  return text;
}

const firstKeyPath = (config: Config): string => join(config.dataDir, "first.key");

function readFirstKey(config: Config): string | null {
  const path = firstKeyPath(config);
  if (config.databaseUrl !== null || !existsSync(path)) return null;
  const text = readFileSync(path, "utf8");
  // Killed while it was written: nobody can have the key, and no hash of it is stored.
  return API_KEY_FORM.test(text) ? text : null;
}

/** Whether a book has no key yet: a start that died before it made one makes it now. */
async function isKeyless(store: Store, book: string): Promise<boolean> {
  return store.commit([book], {}, async (tx) => {
    const keys = [
      [book, FIRST_KEY],
      [book, BOOTSTRAP_KEY],
    ];
    const [found] = await tx.load([{ table: "apiKey", by: "primary", keys }]);
    return { changes: { insert: {}, update: {}, delete: {} }, result: found?.length === 0 };
  });
}
