/**
 * The HTTP side on a real database, without sockets: calls are injected, and the provider is a script. For tests of
 * what the API says; `gateway.ts` is for tests of what becomes of money.
 */
import { createHmac } from "node:crypto";
import type { FastifyInstance, LightMyRequestResponse } from "fastify";
import { pino } from "pino";
import { DEMO_ORGANIZATION, demoSetup } from "../../src/cli/demo-data.ts";
import { CONNECTORS } from "../../src/connectors/registry.ts";
import { approveFunds, createFunds } from "../../src/engine/commands/funds.ts";
import { installSetup, type SetupPackage } from "../../src/engine/commands/settings.ts";
import { Engine } from "../../src/engine/engine.ts";
import type { ApiKey, Http, HttpOrder, HttpOutcome } from "../../src/engine/ports.ts";
import {
  type BookKind,
  bookId,
  createApiKey,
  createBook,
  createCallbackAddress,
  newKeyText,
} from "../../src/engine/provision.ts";
import { realClock, realRng, realTimer } from "../../src/engine/real.ts";
import { Vault } from "../../src/engine/vault.ts";
import { buildApp } from "../../src/http/app.ts";
import { openStore } from "../../src/store/postgres.ts";
import { openReader } from "../../src/store/reader.ts";
import { openReads, type Reads } from "../../src/store/reads.ts";
import { type TestDatabase, testDatabase } from "./database.ts";

export const PUBLIC_URL = "https://pay.example";
const SECRET = "provider-secret";
const CALLBACK_ID = "callback-address-of-pacc-demo";

/** A provider that says what it is told to say, and remembers what it was asked. */
class ScriptedProvider implements Http {
  readonly orders: HttpOrder[] = [];
  /** Its answer to each request; by default it holds every order and never ends one. */
  answer: (order: HttpOrder) => HttpOutcome | Promise<HttpOutcome> = (order) => said(this.#aboutWhat(order), "queued");

  async send(order: HttpOrder): Promise<HttpOutcome> {
    if (!order.maySend()) return { kind: "not_sent", reason: "the lease is over" };
    this.orders.push(order);
    return this.answer(order);
  }

  /** The order itself, or the one that an inquiry asks about. */
  #aboutWhat(order: HttpOrder): HttpOrder {
    if (order.draft.body !== null) return order;
    const reference = order.draft.path.split("/").at(-1) ?? "";
    return this.orders.find((each) => each.draft.body?.includes(reference)) ?? order;
  }
}

/** The sandbox provider's description of an order that it was just sent. */
export function message(order: HttpOrder, status: string): Record<string, unknown> {
  const { reference, amount, currency, account } = JSON.parse(order.draft.body ?? "{}") as Record<string, string>;
  const zero = (amount ?? "0").replaceAll(/\d/g, "0").replace(/^0+(?=\d)/, "");
  return {
    reference,
    providerReference: `sbx-${reference}`,
    amount,
    currency,
    account,
    status,
    sequence: status === "queued" ? 1 : 2,
    paidAmount: status === "paid" ? amount : zero,
    returnedAmount: zero,
  };
}

export function said(order: HttpOrder, status: string): HttpOutcome {
  return { kind: "answer", result: { status: 200, headers: {}, body: JSON.stringify(message(order, status)) } };
}

export interface Callback {
  readonly url: string;
  readonly body: string;
  readonly headers: Readonly<Record<string, string>>;
}

/** A callback as the sandbox provider signs it. */
export function signed(members: object, secret = SECRET, callbackId = CALLBACK_ID): Callback {
  const body = JSON.stringify(members);
  const time = Date.now();
  const mac = createHmac("sha256", secret).update(`${time}.${body}`).digest("hex");
  const headers = { "content-type": "application/json", "x-sandbox-signature": `t=${time},v1=${mac}` };
  return { url: `/callbacks/${callbackId}`, body, headers };
}

export type Json = Record<string, unknown>;

/** The body of a sound order of the demo's merchant: ten dollars to a payee of its own. */
export function demoOrder(referenceId: string, more: Json = {}): Json {
  const fields = { account: `payee-${referenceId}` };
  return { referenceId, websiteId: "web_demo", currency: "USD", amount: 10, service: "test_usd", fields, ...more };
}

export interface Reply {
  readonly status: number;
  readonly headers: LightMyRequestResponse["headers"];
  /** Byte for byte. */
  readonly text: string;
  readonly body: Json;
}

export interface Ask {
  /** A text is sent as it is, anything else as JSON. */
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  /** Default: the world's own; null: none. */
  readonly key?: string | null;
}

export interface World {
  readonly app: FastifyInstance;
  readonly engine: Engine;
  readonly reads: Reads;
  readonly provider: ScriptedProvider;
  readonly database: TestDatabase;
  /** A test key of `org_demo` with the role owner. */
  readonly key: string;
  readonly book: string;
  /** Bugs that the engine reported: none is expected. */
  readonly broken: readonly string[];
  /** Lines of the log, as objects. */
  readonly log: readonly Json[];
  call(method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE", path: string, ask?: Ask): Promise<Reply>;
  /** Makes a key; of a book that is made where need be. */
  makeKey(what: { organization?: string; kind?: BookKind; role?: ApiKey["role"]; book?: string }): Promise<string>;
  install(setup: Partial<SetupPackage>): Promise<void>;
  /** Repeats a read until it is as wanted: for what happens after an answer. Fails after 10 s. */
  until(path: string, wanted: (body: Json) => boolean): Promise<Json>;
  close(): Promise<void>;
}

const NO_SETUP: SetupPackage = {
  websites: [],
  customers: [],
  instruments: [],
  providerAccounts: [],
  depositAccounts: [],
  routes: [],
  schemes: [],
};

/** The demo's setup with a second website, which dispatches bare requests by itself. */
function worldSetup(): SetupPackage {
  const demo = demoSetup({
    sandboxUrl: "http://sandbox.example",
    secrets: { pacc_demo: { secret: SECRET, callbackId: CALLBACK_ID } },
  });
  const [website] = demo.websites;
  if (website === undefined) throw new Error("the demo has a website");
  const auto = { ...website, id: "web_auto", url: "https://auto.example", requestAutoprocess: true };
  const customer = { referenceId: null, email: null, phone: null, name: null, metadata: null };
  return {
    ...demo,
    websites: [...demo.websites, auto],
    customers: [...demo.customers, { ...customer, id: "cus_auto", websiteId: auto.id }],
    instruments: [
      ...demo.instruments,
      {
        id: "inst_auto",
        customerId: "cus_auto",
        service: "test_usd",
        fields: { account: "auto-account-1" },
        masked: "****nt-1",
      },
      {
        id: "inst_demo_2",
        customerId: "cus_demo_2",
        service: "test_usd",
        fields: { account: "demo-account-2" },
        masked: "****nt-2",
      },
    ],
  };
}

async function must<T>(result: Promise<{ ok: true; value: T } | { ok: false; error: { detail: string } }>): Promise<T> {
  const settled = await result;
  if (!settled.ok) throw new Error(settled.error.detail);
  return settled.value;
}

/** Funds of the demo website, so that its invoices can be held. */
async function fund(engine: Engine, book: string): Promise<void> {
  const actor = { actor: "test" };
  for (const currency of ["USD", "EUR"]) {
    const depositAccountId = `dep_demo_${currency.toLowerCase()}`;
    const order = { websiteId: "web_demo", currency, amount: "100000", depositAccountId };
    const made = await must(engine.run(book, createFunds, { kind: "deposit", order, problems: [] }, actor));
    await must(engine.run(book, approveFunds, { kind: "deposit", id: made.id, version: made.version }, actor));
  }
}

function replyOf(response: LightMyRequestResponse): Reply {
  const text = response.body;
  const isJson = /json/.test(String(response.headers["content-type"]));
  const body = (isJson && text !== "" ? JSON.parse(text) : {}) as Json;
  return { status: response.statusCode, headers: response.headers, text, body };
}

function payloadOf(body: unknown): string | Buffer {
  return typeof body === "string" || Buffer.isBuffer(body) ? body : JSON.stringify(body);
}

function callerOf(app: FastifyInstance, ownKey: string): World["call"] {
  return async (method, path, ask = {}) => {
    const key = ask.key === undefined ? ownKey : ask.key;
    const response = await app.inject({
      method,
      url: path,
      headers: {
        ...(key === null ? {} : { authorization: `Bearer ${key}` }),
        ...(ask.body === undefined ? {} : { "content-type": "application/json" }),
        ...ask.headers,
      },
      ...(ask.body === undefined ? {} : { payload: payloadOf(ask.body) }),
    });
    return replyOf(response);
  };
}

type Rig = Pick<World, "database" | "reads" | "provider" | "engine" | "broken" | "log" | "app"> & {
  readonly store: Awaited<ReturnType<typeof openStore>>;
  readonly vault: Vault;
  close(): Promise<void>;
};

/** The parts, with nothing in the database. */
async function openRig(): Promise<Rig> {
  const database = await testDatabase();
  const store = await openStore({ config: database.appConfig });
  const reader = openReader({ config: database.appConfig });
  const reads = openReads(reader);
  const vault = new Vault(realRng.bytes(32), realRng);
  const provider = new ScriptedProvider();
  const broken: string[] = [];
  const log: Json[] = [];
  const engine = new Engine({
    ports: { store, clock: realClock, rng: realRng, timer: realTimer, http: provider },
    vault,
    connectors: CONNECTORS,
    publicUrl: () => PUBLIC_URL,
    isWorking: true,
    onBroken: (error, what) => broken.push(`${what}: ${String(error)}`),
  });
  const logger = pino({ level: "info" }, { write: (line: string) => log.push(JSON.parse(line) as Json) });
  const app = await buildApp({ engine, reads, publicUrl: () => PUBLIC_URL, log: logger });
  const close = async (): Promise<void> => {
    await engine.stop();
    await app.close();
    await reader.close();
    await store.close();
    await database.close();
  };
  return { database, store, vault, reads, provider, engine, broken, log, app, close };
}

function keyMaker({ store, vault }: Rig): World["makeKey"] {
  let keys = 0;
  return async ({ organization = DEMO_ORGANIZATION, kind = "test", role = "owner", book }) => {
    const of = book ?? bookId(organization, kind);
    await createBook(store, vault, { id: of, name: organization });
    const text = newKeyText(kind, realRng);
    await createApiKey(store, of, { text, id: `key_${keys++}`, label: "test", role });
    return text;
  };
}

/** Builds one on a database of its own. */
export async function openWorld(): Promise<World> {
  const rig = await openRig();
  const { engine } = rig;
  const book = bookId(DEMO_ORGANIZATION, "test");
  const makeKey = keyMaker(rig);
  const key = await makeKey({});
  const install: World["install"] = async (setup) => {
    await must(engine.run(book, installSetup, { ...NO_SETUP, ...setup }, { actor: "test" }));
  };
  await install(worldSetup());
  await createCallbackAddress(rig.store, book, { id: "pacc_demo", callbackId: CALLBACK_ID });
  await fund(engine, book);
  const call = callerOf(rig.app, key);
  const until: World["until"] = async (path, wanted) => {
    const deadline = Date.now() + 30_000;
    for (;;) {
      const { body } = await call("GET", path);
      if (wanted(body)) return body;
      if (Date.now() > deadline) throw new Error(`not as wanted: ${JSON.stringify(body)}`);
    }
  };
  return { ...rig, key, book, call, makeKey, install, until };
}
