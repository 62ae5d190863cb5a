/** An engine on the memory store, with time, timers and the provider in the test's hand. */

import { createHash } from "node:crypto";
import { demoSetup } from "../../src/cli/demo-data.ts";
import { CONNECTORS } from "../../src/connectors/registry.ts";
import { approveFunds, createFunds } from "../../src/engine/commands/funds.ts";
import type { InvoiceOrder } from "../../src/engine/commands/invoice-order.ts";
import { createInvoice, type InvoiceRows } from "../../src/engine/commands/invoices.ts";
import { installSetup } from "../../src/engine/commands/settings.ts";
import { Engine } from "../../src/engine/engine.ts";
import type { HttpOrder, HttpOutcome, Store, TableName, Tables } from "../../src/engine/ports.ts";
import { createBook } from "../../src/engine/provision.ts";
import { Vault } from "../../src/engine/vault.ts";
import { type MemoryStore, memoryStore } from "../support/memory-store.ts";

export const BOOK = "org_demo:test";
const CAUSE = { actor: "test" };

/** Randomness that repeats. */
function countingRng() {
  let next = 0;
  return {
    bytes(count: number): Uint8Array {
      next += 1;
      return createHash("sha256").update(String(next)).digest().subarray(0, count);
    },
  };
}

export class House {
  now = 1_700_000_000_000;
  readonly store: MemoryStore;
  readonly engine: Engine;
  readonly sent: HttpOrder[] = [];
  readonly broken: string[] = [];
  /** Where the provider reaches us, as setups that are built from now on have it. */
  publicUrl: string | null = null;
  /** Transactions that the engine has begun. */
  commits = 0;
  /** What the provider answers; pending for ever by default. */
  answer: (order: HttpOrder) => Promise<HttpOutcome> = () => new Promise(() => {});
  readonly #timers = new Set<{ readonly at: number; readonly task: () => void }>();

  /** `wrap` stands between the engine and the store, to see or to break what passes. */
  constructor(wrap: (store: Store) => Store = (store) => store, connectors = CONNECTORS) {
    this.store = memoryStore({ clock: { now: () => this.now } });
    const rng = countingRng();
    this.engine = new Engine({
      ports: {
        store: wrap(this.#counted()),
        rng,
        clock: { monotonic: () => this.now },
        timer: {
          after: (delayMs, task) => {
            const timer = { at: this.now + delayMs, task };
            this.#timers.add(timer);
            return () => void this.#timers.delete(timer);
          },
        },
        http: {
          send: async (order) => {
            if (!order.maySend()) return { kind: "not_sent", reason: "the lease is over" };
            this.sent.push(order);
            return this.answer(order);
          },
        },
      },
      vault: new Vault(rng.bytes(32), rng),
      connectors,
      publicUrl: () => this.publicUrl,
      isWorking: true,
      lanes: 1,
      onBroken: (error, what) => this.broken.push(`${what}: ${String(error)}`),
    });
  }

  #counted(): Store {
    return {
      commit: (...of) => {
        this.commits += 1;
        return this.store.commit(...of);
      },
      due: (limit) => this.store.due(limit),
    };
  }

  /** Opens a book, the demo's by default, with the demo's setup and `fundsMajor` of USD. */
  async open(fundsMajor = "100000", book = BOOK): Promise<this> {
    await createBook(this.store, this.engine.vault, { id: book, name: "Demo" });
    await this.engine.run(book, installSetup, demoSetup({ sandboxUrl: "http://provider", secrets: {} }), CAUSE);
    const order = { websiteId: "web_demo", currency: "USD", amount: fundsMajor, depositAccountId: "dep_demo_usd" };
    const made = await this.engine.run(book, createFunds, { kind: "deposit", order, problems: [] }, CAUSE);
    if (!made.ok) throw new Error(made.error.detail);
    const { id } = made.value;
    await this.engine.run(book, approveFunds, { kind: "deposit", id, version: 1 }, CAUSE);
    return this;
  }

  order(referenceId: string, amount = "10", more: Partial<InvoiceOrder> = {}, book = BOOK) {
    const fields = { account: `payee-${referenceId}` };
    const order = { referenceId, websiteId: "web_demo", currency: "USD", amount, service: "test_usd", fields, ...more };
    return this.engine.run(book, createInvoice, { order, problems: [] }, CAUSE);
  }

  async mustOrder(referenceId: string, amount = "10", more: Partial<InvoiceOrder> = {}): Promise<InvoiceRows> {
    const made = await this.order(referenceId, amount, more);
    if (!made.ok) throw new Error(made.error.detail);
    return made.value;
  }

  rows<T extends TableName>(table: T): readonly Tables[T][] {
    return this.store.rows(table);
  }

  /** Lets everything run that needs no time. */
  async settle(): Promise<void> {
    for (let round = 0; round < 20; round += 1) await new Promise(setImmediate);
  }

  /** Moves time on, running what becomes due on the way. */
  async pass(ms: number): Promise<void> {
    const until = this.now + ms;
    for (;;) {
      const due = [...this.#timers].filter((timer) => timer.at <= until).toSorted((a, b) => a.at - b.at)[0];
      if (due === undefined) break;
      this.#timers.delete(due);
      this.now = Math.max(this.now, due.at);
      due.task();
      await this.settle();
    }
    this.now = until;
    await this.settle();
  }
}

/** The sandbox provider's words about an order that was sent to it. */
export function says(order: HttpOrder, status: string, sequence: number): HttpOutcome {
  const { reference, amount, currency, account } = JSON.parse(order.draft.body ?? "{}") as Record<string, string>;
  const paidAmount = status === "paid" ? amount : "0.00";
  const state = { reference, providerReference: "p1", amount, currency, account, status, sequence };
  const body = JSON.stringify({ ...state, paidAmount, returnedAmount: "0.00" });
  return { kind: "answer", result: { status: 200, headers: {}, body } };
}
