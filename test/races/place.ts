/**
 * Where races are run: one real database, one sandbox provider behind a real socket, and as many gateways on them as a
 * race asks for. Each gateway is a process in all that matters here: an engine, connections and a door of its own.
 */
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import { pino } from "pino";
import { DEMO_ORGANIZATION, installDemo } from "../../src/cli/demo-data.ts";
import { CONNECTORS } from "../../src/connectors/registry.ts";
import { Engine } from "../../src/engine/engine.ts";
import { openOutbound } from "../../src/engine/outbound.ts";
import type { Clock, Http, Store, Timer } from "../../src/engine/ports.ts";
import { bookId, createApiKey, createBook, newKeyText } from "../../src/engine/provision.ts";
import { realClock, realRng, realTimer } from "../../src/engine/real.ts";
import { Vault } from "../../src/engine/vault.ts";
import { buildApp } from "../../src/http/app.ts";
import { openSandbox } from "../../src/sandbox/server.ts";
import { openStore } from "../../src/store/postgres.ts";
import { openReader } from "../../src/store/reader.ts";
import { openReads } from "../../src/store/reads.ts";
import { type Faults, noFaults } from "./tally.ts";

export const BOOK = bookId(DEMO_ORGANIZATION, "test");

export type Json = Readonly<Record<string, unknown>>;

export interface Reply {
  readonly status: number;
  readonly text: string;
  readonly body: Json;
  readonly tag: string;
}

/** One operation in the provider's own book: the judge of "never twice". */
export interface Operation {
  readonly reference: string;
  readonly destination: string;
  readonly effective: number;
  /** Decimal text in major units. */
  readonly amount: string;
  readonly currency: string;
  readonly paidAmount: string;
  readonly returnedAmount: string;
}

export interface GatewayOptions {
  /** Whether it calls providers. Default: true. */
  readonly isWorking?: boolean;
  readonly lanes?: number;
  /** Transactions at a time. Default: 2. */
  readonly connections?: number;
  /** Whether the provider is told where to send callbacks: to the first gateway that has a door. Default: true. */
  readonly hasCallbacks?: boolean;
  /** Another way to the database than the place's own. */
  readonly config?: pg.ClientConfig;
  readonly clock?: Clock;
  readonly timer?: Timer;
  /** Errors that are this race's weather and no bug. */
  isWeather?(error: unknown): boolean;
  wrapStore?(store: Store): Store;
  wrapHttp?(http: Http): Http;
}

export interface Gateway {
  readonly engine: Engine;
  /** One request over HTTP. @throws when there is no whole answer */
  call(method: string, path: string, body?: unknown, headers?: Json): Promise<Reply>;
  close(): Promise<void>;
}

/** A database that can be reached as its owner and as the product does. */
export interface Database {
  readonly ownerConfig: pg.ClientConfig;
  readonly appConfig: pg.ClientConfig;
  close(): Promise<void>;
}

export interface Place {
  /** What a race found, and what the engines reported as broken. */
  readonly faults: Faults;
  readonly appConfig: pg.ClientConfig;
  open(options?: GatewayOptions): Promise<Gateway>;
  /** Another person with a key of their own: the headers that say so. */
  person(name: string): Promise<Json>;
  /** Past the product, as the database's owner. */
  rows<T>(text: string, values?: readonly unknown[]): Promise<T[]>;
  providerBook(): Promise<readonly Operation[]>;
  close(): Promise<void>;
}

class RacePlace implements Place {
  readonly faults = noFaults();
  readonly appConfig: pg.ClientConfig;
  readonly #database: Database;
  readonly #dir = mkdtempSync(join(tmpdir(), "bursar-races-"));
  readonly #vault = new Vault(randomBytes(32), realRng);
  readonly #key = newKeyText("test", realRng);
  readonly #gateways: Gateway[] = [];
  readonly #owner: pg.Pool;
  #sandbox: Awaited<ReturnType<typeof openSandbox>> | null = null;
  /** Where callbacks go: the first door. */
  #url: string | null = null;

  constructor(database: Database) {
    this.#database = database;
    this.appConfig = database.appConfig;
    this.#owner = new pg.Pool({ ...database.ownerConfig, max: 2 });
    this.#owner.on("error", () => {}); // the next query says it
  }

  get #sandboxUrl(): string {
    return `http://127.0.0.1:${this.#sandbox?.port ?? 0}`;
  }

  async prepare(): Promise<this> {
    const onFault = (error: unknown): void => this.faults.say(`sandbox: ${String(error)}`);
    this.#sandbox = await openSandbox({ dataDir: this.#dir, port: 0, instance: "races", onFault });
    const store = await openStore({ config: this.appConfig, connections: 1 });
    const engine = this.#engine({ isWorking: false }, store, { send: () => Promise.reject(new Error("no calls")) });
    await createBook(store, this.#vault, { id: BOOK, name: "Races" });
    await installDemo({ engine, store, book: BOOK, sandboxUrl: this.#sandboxUrl });
    await createApiKey(store, BOOK, { text: this.#key, id: "key_races", label: "races", role: "owner" });
    await engine.stop();
    await store.close();
    return this;
  }

  #engine(options: GatewayOptions, store: Store, http: Http): Engine {
    return new Engine({
      ports: { store, clock: options.clock ?? realClock, rng: realRng, timer: options.timer ?? realTimer, http },
      vault: this.#vault,
      connectors: CONNECTORS,
      publicUrl: () => (options.hasCallbacks === false ? null : this.#url),
      isWorking: options.isWorking ?? true,
      ...(options.lanes === undefined ? {} : { lanes: options.lanes }),
      onBroken: (error, what) => {
        if (options.isWeather?.(error) !== true) this.faults.say(`${what}: ${String(error)}`);
      },
    });
  }

  async open(options: GatewayOptions = {}): Promise<Gateway> {
    const config = options.config ?? this.appConfig;
    const store = await openStore({ config, connections: options.connections ?? 2 });
    const reader = openReader({ config: this.appConfig, connections: 1 });
    const outbound = openOutbound({ mayReachPrivate: true });
    const engine = this.#engine(options, options.wrapStore?.(store) ?? store, options.wrapHttp?.(outbound) ?? outbound);
    const log = pino({ level: "silent" });
    const app = await buildApp({ engine, reads: openReads(reader), publicUrl: () => this.#url ?? "", log });
    const url = await app.listen({ port: 0, host: "127.0.0.1" });
    this.#url ??= url;
    let closing: Promise<void> | null = null;
    const close = async (): Promise<void> => {
      await engine.stop();
      await app.close();
      await outbound.close();
      await reader.close();
      await store.close();
    };
    const gateway = { engine, call: caller(url, this.#key), close: () => (closing ??= close()) };
    this.#gateways.push(gateway);
    return gateway;
  }

  async person(name: string): Promise<Json> {
    const text = newKeyText("test", realRng);
    const store = await openStore({ config: this.appConfig, connections: 1 });
    await createApiKey(store, BOOK, { text, id: `key_${name}`, label: name, role: "owner" });
    await store.close();
    return { authorization: `Bearer ${text}` };
  }

  async rows<T>(text: string, values: readonly unknown[] = []): Promise<T[]> {
    try {
      return (await this.#owner.query(text, [...values])).rows as T[];
    } catch (error) {
      // The database may have been away since this connection was made.
      if (error instanceof pg.DatabaseError && error.code?.startsWith("57") !== true) throw error;
      return (await this.#owner.query(text, [...values])).rows as T[];
    }
  }

  async providerBook(): Promise<readonly Operation[]> {
    return (await (await fetch(`${this.#sandboxUrl}/book`)).json()) as Operation[];
  }

  async close(): Promise<void> {
    for (const gateway of this.#gateways) await gateway.close();
    await this.#sandbox?.close();
    await this.#owner.end();
    await this.#database.close();
    rmSync(this.#dir, { recursive: true, force: true });
  }
}

/** A place on a database that has the schema and nothing in it. It owns the database from here on. */
export function openPlace(database: Database): Promise<Place> {
  return new RacePlace(database).prepare();
}

function caller(url: string, key: string): Gateway["call"] {
  return async (method, path, body, headers = {}) => {
    const response = await fetch(`${url}${path}`, {
      method,
      headers: { authorization: `Bearer ${key}`, "content-type": "application/json", ...headers },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    const tag = response.headers.get("etag") ?? "";
    return { status: response.status, text, tag, body: (text === "" ? {} : JSON.parse(text)) as Json };
  };
}

/** Whose bare requests are. */
export const demoMembers = { websiteId: "web_demo", customerId: "cus_demo", currency: "USD" };

/** An order of dollars to a payee of its own. */
export function order(websiteId: string, referenceId: string, members: Json = {}): Json {
  const fields = { account: referenceId, test_details_scenario: "ok_sync" };
  return { referenceId, websiteId, currency: "USD", amount: 10, service: "test_usd", fields, ...members };
}

/** A movement of funds that waits to be approved. @throws when it is refused */
export async function movement(gateway: Gateway, path: string, body: Json): Promise<{ approve: string; tag: string }> {
  const headers = { "idempotency-key": randomBytes(12).toString("hex") };
  const made = await gateway.call("POST", path, { currency: "USD", ...body }, headers);
  if (made.status !== 201) throw new Error(`${path}: ${made.status} ${made.text}`);
  return { approve: `${path}/${String(made.body["id"])}/approve`, tag: made.tag };
}

/** Makes something, and answers with it. @throws when it is refused */
export async function make(gateway: Gateway, path: string, body: Json): Promise<Reply> {
  const made = await gateway.call("POST", path, body);
  if (made.status !== 201) throw new Error(`${path}: ${made.status} ${made.text}`);
  return made;
}

/** A website of its own with so many dollars. @throws when anything is refused */
export async function website(gateway: Gateway, id: string, dollars: number, members: Json = {}): Promise<string> {
  const schemes = { routingSchemeId: "route_demo", rateSchemeId: "rate_demo", commerceSchemeId: "commerce_demo" };
  await make(gateway, "/websites", { id, name: id, url: "https://race.example", ...schemes, ...members });
  if (dollars > 0) {
    const deposit = await movement(gateway, "/deposits", { websiteId: id, amount: dollars });
    await gateway.call("POST", deposit.approve, undefined, { "if-match": deposit.tag });
  }
  return id;
}

/** What a website has left, in minor units. */
export async function availableOf(place: Place, websiteId: string): Promise<number> {
  const text = "select balance_minor::float8 as balance from bursar.ledger_account where id = $1";
  return (await place.rows<{ balance: number }>(text, [`available:${websiteId}:USD`]))[0]?.balance ?? 0;
}

const SETTLE_POLL_MS = 100;

/** Waits until no invoice is under way. Those that still are, at most ten, when the time is over. */
export async function settled(place: Place, limitMs: number): Promise<readonly string[]> {
  const deadline = performance.now() + limitMs;
  for (;;) {
    const open = await place.rows<{ what: string }>(
      `select format('%s is %s', reference_id, status) as what from bursar.invoice
       where status in ('processing', 'process_pending') limit 10`,
    );
    if (open.length === 0 || performance.now() > deadline) return open.map(({ what }) => what);
    await sleep(SETTLE_POLL_MS);
  }
}
