/** A whole gateway for tests: real PostgreSQL, real HTTP in and out, the sandbox provider as a real server. */
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { pino } from "pino";
import { installDemo } from "../../src/cli/demo-data.ts";
import { CONNECTORS } from "../../src/connectors/registry.ts";
import { Engine } from "../../src/engine/engine.ts";
import { openOutbound } from "../../src/engine/outbound.ts";
import { bookId, createApiKey, createBook, newKeyText } from "../../src/engine/provision.ts";
import { realClock, realRng, realTimer } from "../../src/engine/real.ts";
import { Vault } from "../../src/engine/vault.ts";
import { buildApp } from "../../src/http/app.ts";
import { openSandbox } from "../../src/sandbox/server.ts";
import { type Auditor, openAuditor } from "../../src/store/audit.ts";
import { openStore } from "../../src/store/postgres.ts";
import { openReader, type Reader } from "../../src/store/reader.ts";
import { openReads } from "../../src/store/reads.ts";
import { testDatabase } from "./database.ts";

/** One operation in the provider's own book: the oracle of "never twice". */
export interface Operation {
  readonly reference: string;
  readonly amount: string;
  readonly currency: string;
  readonly destination: string;
  readonly status: string;
  readonly effective: number;
}

export type Json = Readonly<Record<string, unknown>>;

export interface Reply {
  readonly status: number;
  readonly headers: Headers;
  readonly body: Json;
}

export interface Gateway {
  readonly url: string;
  readonly key: string;
  readonly book: string;
  readonly engine: Engine;
  readonly sandboxUrl: string;
  /** Bugs that the engine reported: none is expected. */
  readonly broken: readonly string[];
  call(method: string, path: string, body?: unknown, headers?: Readonly<Record<string, string>>): Promise<Reply>;
  /** Polls an invoice until it is as wanted, and returns it; fails after the limit with what it is then. */
  until(invoiceId: string, wanted: (invoice: Json) => boolean, limitMs?: number): Promise<Json>;
  /** Open moderation items of a subject, by reason. */
  openItems(subject: string): Promise<readonly { reason: string; isIncident: boolean }[]>;
  /** What a full audit of the book finds: nothing is expected. */
  breaches(): Promise<readonly string[]>;
  providerBook(): Promise<readonly Operation[]>;
  control(settings: Json): Promise<void>;
  close(): Promise<void>;
}

/** Starts one, with the demo in it. */
export async function openGateway(): Promise<Gateway> {
  const database = await testDatabase();
  const dir = mkdtempSync(join(tmpdir(), "bursar-gateway-"));
  const broken: string[] = [];
  const onFault = (error: unknown): void => void broken.push(`sandbox: ${String(error)}`);
  const sandbox = await openSandbox({ dataDir: dir, port: 0, instance: "test", onFault });
  const sandboxUrl = `http://127.0.0.1:${sandbox.port}`;
  const store = await openStore({ config: database.appConfig });
  const reader = openReader({ config: database.appConfig });
  const outbound = openOutbound({ mayReachPrivate: true });
  const vault = new Vault(randomBytes(32), realRng);
  let url = "";
  const engine = new Engine({
    ports: { store, clock: realClock, rng: realRng, timer: realTimer, http: outbound },
    vault,
    connectors: CONNECTORS,
    publicUrl: () => url,
    isWorking: true,
    onBroken: (error, what) => broken.push(`${what}: ${String(error)}`),
  });
  const log = pino({ level: "silent" });
  const app = await buildApp({ engine, reads: openReads(reader), publicUrl: () => url, log });
  url = await app.listen({ port: 0, host: "127.0.0.1" });
  const book = bookId("org_demo", "test");
  await createBook(store, vault, { id: book, name: "Demo" });
  await installDemo({ engine, store, book, sandboxUrl });
  const key = newKeyText("test", realRng);
  await createApiKey(store, book, { text: key, id: "key_test", label: "test", role: "owner" });
  engine.start();

  const call = caller(url, key);
  return {
    url,
    key,
    book,
    engine,
    sandboxUrl,
    broken,
    call,
    until: (invoiceId, wanted, limitMs = 60_000) => until(call, invoiceId, { wanted, limitMs }),
    openItems: (subject) => openItems(reader, book, subject),
    breaches: () => breaches(openAuditor(database.appConfig), book),
    ...provider(sandboxUrl),
    async close() {
      await engine.stop();
      await app.close();
      await outbound.close();
      await sandbox.close();
      await reader.close();
      await store.close();
      await database.close();
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

async function openItems(reader: Reader, book: string, subject: string) {
  const where = "t.subject = $1 and t.status = 'open'";
  const found = await reader.rows("moderationItem", book, { where, values: [subject] });
  return found.map(({ reason, isIncident }) => ({ reason, isIncident }));
}

async function breaches(auditor: Auditor, book: string): Promise<readonly string[]> {
  const report = await auditor.audit(book, { isFull: true });
  if (report === null) return ["the book is not there"];
  return report.checks.flatMap(({ check, found }) => found.map((each) => `${check}: ${JSON.stringify(each)}`));
}

function caller(url: string, key: string): Gateway["call"] {
  return async (method, path, body, headers = {}) => {
    const response = await fetch(`${url}${path}`, {
      method,
      headers: { authorization: `Bearer ${key}`, "content-type": "application/json", ...headers },
      ...(body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) }),
    });
    const text = await response.text();
    return { status: response.status, headers: response.headers, body: (text === "" ? {} : JSON.parse(text)) as Json };
  };
}

async function until(
  call: Gateway["call"],
  invoiceId: string,
  what: { wanted: (invoice: Json) => boolean; limitMs: number },
): Promise<Json> {
  const deadline = Date.now() + what.limitMs;
  for (;;) {
    const { body } = await call("GET", `/payout-invoices/${invoiceId}`);
    if (what.wanted(body)) return body;
    if (Date.now() > deadline) throw new Error(`not as wanted in ${what.limitMs} ms: ${JSON.stringify(body)}`);
    await sleep(50);
  }
}

function provider(sandboxUrl: string): Pick<Gateway, "providerBook" | "control"> {
  return {
    async providerBook() {
      return (await (await fetch(`${sandboxUrl}/book`)).json()) as Operation[];
    },
    async control(settings) {
      const response = await fetch(`${sandboxUrl}/control`, { method: "PUT", body: JSON.stringify(settings) });
      if (!response.ok) throw new Error(`the sandbox refused: ${await response.text()}`);
    },
  };
}
