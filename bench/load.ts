/**
 * The load generator, a process of its own: a closed loop of orders. An order is under way from its first byte until
 * it is `processed`, learned from its own webhook, or from the commission account, which grows by one fee per order.
 */
import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { Pool } from "undici";

export interface LoadOptions {
  readonly url: string;
  readonly key: string;
  /** Orders under way at a time. */
  readonly inflight: number;
  readonly hasWebhooks: boolean;
}

/** To the load generator: so many orders; how long each of them took; the end. */
export type LoadOrder =
  | { readonly kind: "run"; readonly invoices: number; readonly name: string }
  | { readonly kind: "ends" }
  | { readonly kind: "end" };

export interface LoadResult {
  readonly seconds: number;
  /** Milliseconds from an order's first byte to its 201, sorted. */
  readonly acceptMs: readonly number[];
  /** How often the commission account was read. */
  readonly polls: number;
}

/** Milliseconds from an order's first byte to `processed`, sorted. */
export type LoadEnds = readonly number[];

const CONNECTIONS = 64;
const POLL_MS = 20;
const PAGE = 1_000;
const AMOUNT = 1;
/** The demo's commission on it: 1 %. */
const FEE = 0.01;
/** Nothing has been finished for so long: the run has failed. */
const STALL_MS = 30_000;

interface Invoice {
  readonly id: string;
  readonly referenceId: string;
  readonly status: string;
  readonly updatedTime: string;
}

const wallClock = (): number => performance.timeOrigin + performance.now();

class Load {
  readonly #options: LoadOptions;
  readonly #pool: Pool;
  readonly #server: Server;
  #hooks = "";
  #sent = new Map<string, number>();
  #ended = new Map<string, number>();
  #acceptMs: number[] = [];
  #done = 0;
  #polls = 0;
  #failure: Error | null = null;
  #wake: () => void = () => {};

  constructor(options: LoadOptions) {
    this.#options = options;
    this.#pool = new Pool(options.url, { connections: CONNECTIONS });
    this.#server = createServer((request, response) => {
      let text = "";
      request.setEncoding("utf8");
      request.on("data", (chunk: string) => (text += chunk));
      request.once("end", () => {
        response.writeHead(204).end();
        this.#hear(text);
      });
    });
  }

  async open(): Promise<void> {
    this.#server.listen(0, "127.0.0.1");
    await once(this.#server, "listening");
    this.#hooks = `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/hooks`;
  }

  async close(): Promise<void> {
    await this.#pool.destroy();
    this.#server.close();
    this.#server.closeAllConnections();
  }

  async run(invoices: number, name: string): Promise<LoadResult> {
    this.#sent = new Map();
    this.#ended = new Map();
    this.#acceptMs = [];
    this.#done = 0;
    this.#failure = null;
    this.#polls = 0;
    const before = this.#options.hasWebhooks ? 0 : await this.#processed();
    const began = performance.now();
    const [seconds] = await Promise.all([this.#pump(invoices, name, began), this.#poll(invoices, before)]);
    return { seconds, acceptMs: this.#acceptMs.toSorted((a, b) => a - b), polls: this.#polls };
  }

  /** How long the orders of the last run took. Where no webhook told, they are read: not while anything is measured. */
  async ends(): Promise<LoadEnds> {
    if (!this.#options.hasWebhooks) await this.#readEnds();
    const endMs = [...this.#ended].map(([referenceId, at]) => at - (this.#sent.get(referenceId) ?? Number.NaN));
    return endMs.toSorted((a, b) => a - b);
  }

  /** Keeps so many orders under way. Resolves to the seconds until the last one was processed. */
  async #pump(invoices: number, name: string, began: number): Promise<number> {
    let launched = 0;
    for (;;) {
      if (this.#failure !== null) throw this.#failure;
      if (this.#done >= invoices) return (performance.now() - began) / 1_000;
      while (launched < invoices && launched - this.#done < this.#options.inflight) {
        launched += 1;
        this.#post(`${name}-${launched}`).catch((error: unknown) => this.#fail(error));
      }
      await this.#next();
    }
  }

  /** Waits until something is done. */
  #next(): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => this.#fail(new Error(`nothing was processed for ${STALL_MS} ms`)), STALL_MS);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  #fail(error: unknown): void {
    this.#failure ??= error instanceof Error ? error : new Error(String(error));
    this.#wake();
  }

  async #post(referenceId: string): Promise<void> {
    const { key, hasWebhooks } = this.#options;
    const order = {
      referenceId,
      websiteId: "web_demo",
      currency: "USD",
      amount: AMOUNT,
      service: "test_usd",
      fields: { account: `payee-${referenceId}` },
      ...(hasWebhooks ? { callbackUrl: this.#hooks } : {}),
    };
    const headers = { authorization: `Bearer ${key}`, "content-type": "application/json" };
    const began = wallClock();
    this.#sent.set(referenceId, began);
    const body = JSON.stringify(order);
    const reply = await this.#pool.request({ method: "POST", path: "/payout-invoices", headers, body });
    const text = await reply.body.text();
    if (reply.statusCode !== 201) throw new Error(`an order was answered ${reply.statusCode} ${text}`);
    this.#acceptMs.push(wallClock() - began);
  }

  async #get<T>(path: string): Promise<T> {
    const headers = { authorization: `Bearer ${this.#options.key}` };
    const reply = await this.#pool.request({ method: "GET", path, headers });
    if (reply.statusCode !== 200) throw new Error(`GET ${path}: ${reply.statusCode} ${await reply.body.text()}`);
    return (await reply.body.json()) as T;
  }

  /** A webhook: one comes when an order is accepted, one when it is processed; either may come twice. */
  #hear(text: string): void {
    const { data } = JSON.parse(text) as { data: { referenceId: string; status: string } };
    if (data.status !== "processed" || !this.#sent.has(data.referenceId) || this.#ended.has(data.referenceId)) return;
    this.#ended.set(data.referenceId, wallClock());
    this.#done += 1;
    this.#wake();
  }

  /** How many orders have paid their commission. */
  async #processed(): Promise<number> {
    this.#polls += 1;
    const [account] = await this.#get<{ balance: number }[]>("/accounts?filter=id:commission::USD&limit=1");
    return Math.round((account?.balance ?? 0) / FEE);
  }

  async #poll(invoices: number, before: number): Promise<void> {
    while (!this.#options.hasWebhooks && this.#done < invoices && this.#failure === null) {
      const done = (await this.#processed()) - before;
      if (done > this.#done) {
        this.#done = done;
        this.#wake();
      }
      await sleep(POLL_MS);
    }
  }

  /** When each order was processed, by the database's clock: the time of the transaction, a commit before the truth. */
  async #readEnds(): Promise<void> {
    for (let cursor = ""; ; ) {
      const page = await this.#get<Invoice[]>(`/payout-invoices?limit=${PAGE}${cursor}`);
      for (const { referenceId, status, updatedTime } of page) {
        if (!this.#sent.has(referenceId)) continue;
        if (status !== "processed") throw new Error(`${referenceId} is ${status}`);
        this.#ended.set(referenceId, Date.parse(updatedTime));
      }
      const last = page.at(-1);
      if (last === undefined || !this.#sent.has(last.referenceId)) return;
      cursor = `&cursor=${Buffer.from(JSON.stringify([last.id]), "utf8").toString("base64url")}`;
    }
  }
}

/** Speaks with the process that started it. */
async function serve(options: LoadOptions): Promise<void> {
  const load = new Load(options);
  await load.open();
  process.on("message", (order: LoadOrder) => {
    if (order.kind === "end") {
      void load.close().then(() => process.disconnect());
      return;
    }
    const answer = order.kind === "run" ? load.run(order.invoices, order.name) : load.ends();
    answer.then(
      (result) => process.send?.({ result }),
      (error: unknown) => process.send?.({ error: error instanceof Error ? error.message : String(error) }),
    );
  });
  process.send?.({ ready: true });
}

await serve(JSON.parse(process.argv[2] ?? "{}") as LoadOptions);
