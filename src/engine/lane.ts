/**
 * Lanes: a lane takes whatever queued while its last transaction was in flight, and hands it over as one batch. No
 * timer; at most 100 commands of 64 organizations.
 */
import type { Refusal } from "../core/errors.ts";
import { assert, type Result } from "../core/result.ts";
import { type Cause, type Handler, type Once, ORDER } from "./command.ts";

const ORDERS = Object.keys(ORDER).length;
const MAX_COMMANDS = 100;
const MAX_ORGANIZATIONS = 64;

/** A command waiting for its transaction. */
export interface Pending {
  readonly organizationId: string;
  readonly handler: Handler<unknown, unknown>;
  readonly payload: unknown;
  readonly cause: Cause;
  readonly once: Once<unknown> | null;
  settle(result: Result<unknown, Refusal>): void;
  fail(error: unknown): void;
}

/** One lane: its commands run one batch at a time. */
export class Lane {
  readonly #flush: (batch: readonly Pending[]) => Promise<void>;
  readonly #claim: (organizations: readonly string[]) => Promise<void>;
  /** By order, then by organization, so that a busy organization delays no other. */
  readonly #queues = Array.from({ length: ORDERS }, () => new Map<string, Pending[]>());
  readonly #claims = new Set<string>();
  #isRunning = false;
  #idlers: (() => void)[] = [];

  constructor(
    flush: (batch: readonly Pending[]) => Promise<void>,
    claim: (organizations: readonly string[]) => Promise<void>,
  ) {
    this.#flush = flush;
    this.#claim = claim;
  }

  get depth(): number {
    let count = 0;
    for (const queues of this.#queues) for (const queue of queues.values()) count += queue.length;
    return count;
  }

  push(pending: Pending): void {
    const queues = this.#queues[pending.handler.order];
    assert(queues !== undefined, "every order has a queue");
    const queue = queues.get(pending.organizationId);
    if (queue === undefined) queues.set(pending.organizationId, [pending]);
    else queue.push(pending);
    this.#start();
  }

  claim(organizationId: string): void {
    this.#claims.add(organizationId);
    this.#start();
  }

  idle(): Promise<void> {
    if (!this.#isRunning) return Promise.resolve();
    return new Promise((resolve) => this.#idlers.push(resolve));
  }

  #start(): void {
    if (this.#isRunning) return;
    this.#isRunning = true;
    // In the next microtask, so that what one caller queues in a row becomes one batch.
    queueMicrotask(() => void this.#run());
  }

  async #run(): Promise<void> {
    for (;;) {
      const batch = this.#next();
      if (batch.length > 0) await this.#flush(batch);
      const claims = [...this.#claims].slice(0, MAX_ORGANIZATIONS);
      for (const each of claims) this.#claims.delete(each);
      if (claims.length > 0) await this.#claim(claims);
      if (batch.length === 0 && claims.length === 0) break;
    }
    this.#isRunning = false;
    const idlers = this.#idlers;
    this.#idlers = [];
    for (const resolve of idlers) resolve();
  }

  /** The next batch: by order, and within an order one command of each organization in turn. */
  #next(): Pending[] {
    const batch: Pending[] = [];
    const organizations = new Set<string>();
    for (const queues of this.#queues) {
      let isTaking = true;
      while (isTaking && batch.length < MAX_COMMANDS) {
        isTaking = false;
        for (const [organizationId, queue] of queues) {
          if (!organizations.has(organizationId) && organizations.size >= MAX_ORGANIZATIONS) continue;
          const pending = queue.shift();
          if (pending === undefined) continue;
          if (queue.length === 0) queues.delete(organizationId);
          organizations.add(organizationId);
          batch.push(pending);
          isTaking = true;
          if (batch.length >= MAX_COMMANDS) break;
        }
      }
    }
    return batch;
  }
}
