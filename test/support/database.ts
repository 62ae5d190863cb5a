/**
 * Databases for tests: one cluster for the run, one template with all migrations, one clone per call (70-110 ms).
 *
 *     node --test --test-global-setup=test/support/database.ts
 *
 * A test file run by hand starts the cluster itself and stops it when it ends. The cluster's directory is kept in the
 * system's temporary directory, one per checkout and user, so only the first run pays for it; runs at the same time
 * share the server, and the last one stops it. It runs without fsync: tests of crashes make clusters of their own.
 */
import { createHash, randomBytes } from "node:crypto";
import { mkdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Client, type ClientConfig } from "pg";
import { type Embedded, startEmbedded } from "../../src/store/embedded.ts";
import { migrate, readMigrations } from "../../src/store/migrate.ts";
import { APP_ROLE } from "../../src/store/roles.ts";

/** Tells the processes of a run where its cluster is. */
const VARIABLE = "BURSAR_TEST_DATABASE";

/** What a test process needs to know. */
interface Cluster {
  readonly ownerConfig: ClientConfig;
  readonly appConfig: ClientConfig;
  /** Clones of the run are named `bursar_test_<run>_<nonce>`. */
  readonly run: string;
  readonly template: string;
}

export interface TestDatabase {
  readonly name: string;
  /** A superuser: for looking behind the curtain. */
  readonly ownerConfig: ClientConfig;
  /** What the product uses. */
  readonly appConfig: ClientConfig;
  /** Drops the database and whatever sessions it still has. Needless at the end of a run. */
  close(): Promise<void>;
}

/** Every run holds it shared; who gets it alone may stop the server. */
const IN_USE = "bursar test cluster in use";
const BUILDING = "bursar test template";
const SESSION = "bursar-test-run ";

const lockKey = (name: string) => createHash("sha256").update(name).digest().readBigInt64BE().toString();

function dataDir(): string {
  const checkout = fileURLToPath(new URL("../..", import.meta.url));
  const uid = process.getuid?.() ?? 0;
  const dir = join(
    tmpdir(),
    `bursar-test-${createHash("sha256").update(`${uid} ${checkout}`).digest("hex").slice(0, 12)}`,
  );
  mkdirSync(dir, { recursive: true, mode: 0o711 });
  // The name can be guessed and the place is everybody's.
  if (statSync(dir).uid !== uid) throw new Error(`${dir} belongs to another user: set TMPDIR`);
  return dir;
}

async function start(dir: string): Promise<Embedded> {
  try {
    return await startEmbedded({ dataDir: dir, durable: false });
  } catch (error) {
    // Without fsync a power cut may leave rubbish. Nothing in it is worth keeping; what a test never does is guess.
    console.error(`The test cluster in ${dir} does not start and is made anew:`, error);
    rmSync(dir, { recursive: true, force: true });
    return startEmbedded({ dataDir: dataDir(), durable: false });
  }
}

async function withClient<T>(config: ClientConfig, work: (client: Client) => Promise<T>): Promise<T> {
  const client = new Client(config);
  client.on("error", () => {}); // the next query says it
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

/** Makes the template unless a run before has. Its name holds the hash of what it was made of. */
async function ensureTemplate(admin: ClientConfig, run: string): Promise<string> {
  const hash = createHash("sha256");
  for (const { name, checksum } of readMigrations()) hash.update(`${name} ${checksum}\n`);
  const template = `bursar_template_${hash.digest("hex").slice(0, 16)}`;
  return withClient(admin, async (client) => {
    await client.query("select pg_advisory_lock($1)", [lockKey(BUILDING)]);
    const found = await client.query("select from pg_database where datname = $1", [template]);
    if (found.rowCount) return template;
    // Under the name of a clone until it is whole, so that a later run removes what a killed one left.
    const fresh = `bursar_test_${run}_template`;
    await client.query(`create database ${fresh}`);
    await migrate({ ...admin, database: fresh });
    await client.query(`alter database ${fresh} rename to ${template}`);
    // Whoever connected to it would make every clone wait for five seconds.
    await client.query(`alter database ${template} with allow_connections false`);
    return template;
  });
}

/** Removes the clones of runs that are gone and, when nobody else runs, the templates of other migrations. */
async function sweep(admin: ClientConfig, template: string): Promise<void> {
  await withClient(admin, async (client) => {
    const { rows } = await client.query<{ name: string }>(
      `select datname as name from pg_database d
       where datname like 'bursar\\_test\\_%' and not exists (
         select from pg_stat_activity a where a.application_name = $1 || split_part(d.datname, '_', 3))`,
      [SESSION],
    );
    const runs = await client.query("select from pg_stat_activity where starts_with(application_name, $1)", [SESSION]);
    const isAlone = runs.rowCount === 1;
    const old = await client.query<{ name: string }>(
      "select datname as name from pg_database where datname like 'bursar\\_template\\_%' and datname <> $1",
      [template],
    );
    for (const { name } of isAlone ? [...rows, ...old.rows] : rows) {
      await client.query(`drop database if exists ${name} with (force)`);
    }
  });
}

interface Membership {
  readonly cluster: Cluster;
  leave(): Promise<void>;
}

/** A session that keeps the server running for us, but not this process. Null when the server was just stopped. */
async function stay(admin: ClientConfig, run: string): Promise<Client | null> {
  const session = new Client({ ...admin, application_name: `${SESSION}${run}` });
  session.on("error", () => {});
  try {
    await session.connect();
    await session.query("select pg_advisory_lock_shared($1)", [lockKey(IN_USE)]);
  } catch (error) {
    await session.end().catch(() => {});
    // 57P01 to 57P03: the server shuts down. Without a code: the connection broke, or there was nobody to take it.
    const code = (error as { code?: string }).code ?? "";
    if (/^(57P0.|ECONN.*|ENOENT|EPIPE|)$/.test(code)) return null;
    throw error;
  }
  handleOf(session).unref();
  return session;
}

/** The client's own `ref` and `unref`, which its types leave out. */
function handleOf(client: Client): { ref(): void; unref(): void } {
  return client as unknown as { ref(): void; unref(): void };
}

/** Joins the cluster of this checkout, starting it if need be, and stays until `leave`: the last to leave stops it. */
async function joinCluster(): Promise<Membership> {
  const run = randomBytes(5).toString("hex");
  for (let tries = 0; tries < 10; tries++) {
    const server = await start(dataDir());
    const admin = { ...server.ownerConfig, database: "postgres" };
    const session = await stay(admin, run);
    if (!session) continue;
    try {
      const template = await ensureTemplate(admin, run);
      await sweep(admin, template);
      const cluster = { ownerConfig: admin, appConfig: server.appConfig("postgres"), run, template };
      return { cluster, leave: () => leave(server, session, run) };
    } catch (error) {
      await leave(server, session, run);
      throw error;
    }
  }
  throw new Error("The test cluster was stopped under our hands ten times");
}

/** Drops the clones of the run (7 ms each without fsync) and stops the server unless another run uses it. */
async function leave(server: Embedded, session: Client, run: string): Promise<void> {
  handleOf(session).ref();
  const clones = "select datname as name from pg_database where starts_with(datname, $1)";
  const { rows } = await session.query<{ name: string }>(clones, [`bursar_test_${run}_`]);
  for (const { name } of rows) await session.query(`drop database if exists ${name} with (force)`);
  await session.query("select pg_advisory_unlock_shared($1)", [lockKey(IN_USE)]);
  const last = await session.query("select pg_try_advisory_lock($1) as alone", [lockKey(IN_USE)]);
  // Whoever joins now waits for our lock, loses its session with the server, and starts it again.
  if (last.rows[0].alone) await server.stop();
  await session.end().catch(() => {});
}

let membership: Membership | null = null;

export async function globalSetup(): Promise<void> {
  membership = await joinCluster();
  process.env[VARIABLE] = JSON.stringify(membership.cluster);
}

export async function globalTeardown(): Promise<void> {
  delete process.env[VARIABLE];
  await membership?.leave();
  membership = null;
}

let lazily: Promise<Membership> | null = null;

async function findCluster(): Promise<Cluster> {
  const given = process.env[VARIABLE];
  if (given) return JSON.parse(given);
  if (!lazily) {
    lazily = joinCluster();
    const joined = lazily;
    process.once("beforeExit", () => void joined.then((member) => member.leave()));
  }
  return (await lazily).cluster;
}

/** A database of one's own with all migrations applied and nothing in it. */
export async function testDatabase(): Promise<TestDatabase> {
  const cluster = await findCluster();
  return makeDatabase(cluster, cluster.template);
}

/** A database of one's own without any migration: for tests of the migrator. */
export async function emptyDatabase(): Promise<TestDatabase> {
  return makeDatabase(await findCluster(), "template1");
}

async function makeDatabase({ ownerConfig, appConfig, run }: Cluster, template: string): Promise<TestDatabase> {
  const name = `bursar_test_${run}_${randomBytes(5).toString("hex")}`;
  await withClient(ownerConfig, async (client) => {
    await client.query(`create database ${name} template ${template}`);
    // A clone does not inherit the privileges of its template: these are the ones of the product's database.
    await client.query(`revoke all on database ${name} from public`);
    await client.query(`grant connect on database ${name} to ${APP_ROLE}`);
  });
  return {
    name,
    ownerConfig: { ...ownerConfig, database: name },
    appConfig: { ...appConfig, database: name },
    close: async () => {
      await withClient(ownerConfig, (client) => client.query(`drop database if exists ${name} with (force)`));
    },
  };
}
