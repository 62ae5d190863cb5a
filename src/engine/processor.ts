/**
 * Calls providers. An errand exists only after its intent is committed; its outcome goes back as a command under the
 * errand's fence. Whoever dies in between is found by the lease, and the finder asks before anything is sent again.
 */

import { isWeather, StoreUnavailable } from "../core/faults.ts";
import { sha256 } from "../core/ids.ts";
import type { Batcher } from "./batcher.ts";
import type { Cause, Errand, ProviderErrand } from "./command.ts";
import { recordOutcome } from "./commands/outcome.ts";
import { recordDelivery } from "./commands/webhooks.ts";
import type { Clock, Http, HttpOutcome, Store, Timer, Work } from "./ports.ts";

const MAX_PER_ACCOUNT = 64;
const MAX_PER_ENDPOINT = 16;
const MAX_PER_PROCESS = 512;
/** The sweep finds what other processes left behind; a process's own work it wakes itself, to the millisecond. */
const SWEEP_MS = 1_000;
const SWEEP_ORGANIZATIONS = 64;
/** An outcome that cannot be written is tried again for a while; after that the lease's end finds the payout. */
const OUTCOME_TRIES = 5;
const OUTCOME_RETRY_MS = 500;

export interface ProcessorOptions {
  readonly store: Store;
  readonly clock: Clock;
  readonly timer: Timer;
  readonly http: Http;
  /** False in a process that only serves the API: it leaves all work to others. */
  readonly isWorking: boolean;
  readonly onBroken: (error: unknown, what: string) => void;
}

/** The slots of one batch while it is decided. */
export interface Counting {
  readonly take: (organizationId: string, slotKey: string) => boolean;
  /** Holds the slots of what is really going out, once the commit is known. */
  readonly keep: (errands: readonly Errand[]) => void;
}

/** Counts requests that are out at providers, so that one slow provider cannot take the whole process. */
export class Slots {
  readonly #isOpen: () => boolean;
  readonly #byKey = new Map<string, number>();
  /** Organizations that found no slot: they are claimed for as soon as one is free. */
  readonly #waiting = new Set<string>();
  #total = 0;

  constructor(isOpen: () => boolean) {
    this.#isOpen = isOpen;
  }

  /**
   * A batch's own counting. What its decisions take counts for each other; what is kept is what came of them: an
   * errand holds a slot, a command that was refused after asking for one does not.
   */
  open(): Counting {
    const taken = new Map<string, number>();
    let count = 0;
    const take = (organizationId: string, slotKey: string): boolean => {
      if (!this.#isOpen()) return false;
      const most = slotKey.startsWith("webhook:") ? MAX_PER_ENDPOINT : MAX_PER_ACCOUNT;
      const key = `${organizationId} ${slotKey}`;
      const own = taken.get(key) ?? 0;
      if ((this.#byKey.get(key) ?? 0) + own >= most || this.#total + count >= MAX_PER_PROCESS) {
        this.#waiting.add(organizationId);
        return false;
      }
      taken.set(key, own + 1);
      count += 1;
      return true;
    };
    const keep = (errands: readonly Errand[]): void => {
      for (const { organizationId, slotKey } of errands) {
        const key = `${organizationId} ${slotKey}`;
        this.#byKey.set(key, (this.#byKey.get(key) ?? 0) + 1);
      }
      this.#total += errands.length;
    };
    return { take, keep };
  }

  free(organizationId: string, slotKey: string): void {
    const key = `${organizationId} ${slotKey}`;
    const left = (this.#byKey.get(key) ?? 1) - 1;
    if (left === 0) this.#byKey.delete(key);
    else this.#byKey.set(key, left);
    this.#total -= 1;
  }

  /** Organizations to claim for now that slots are free. */
  takeWaiting(): readonly string[] {
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    return waiting;
  }

  get inUse(): number {
    return this.#total;
  }
}

export class Processor {
  readonly #options: ProcessorOptions;
  readonly #batcher: Batcher;
  readonly #slots: Slots;
  readonly #running = new Set<Promise<void>>();
  /** The next own wake-up of each organization: when, on the monotonic clock, and how to cancel it. */
  readonly #wakes = new Map<string, { readonly at: number; cancel: () => void }>();
  #cancelSweep: (() => void) | null = null;
  #isClosing = false;

  constructor(options: ProcessorOptions, parts: { batcher: Batcher; slots: Slots }) {
    this.#options = options;
    this.#batcher = parts.batcher;
    this.#slots = parts.slots;
  }

  start(): void {
    if (this.#options.isWorking) this.#scheduleSweep(0);
  }

  /** Claims an organization's work when it is due, where the sweep would come later. */
  wakeIn(organizationId: string, inMs: number): void {
    if (!this.#options.isWorking || this.#isClosing || inMs >= SWEEP_MS) return;
    const at = this.#options.clock.monotonic() + inMs;
    const planned = this.#wakes.get(organizationId);
    if (planned !== undefined && planned.at <= at) return;
    planned?.cancel();
    const cancel = this.#options.timer.after(inMs, () => {
      this.#wakes.delete(organizationId);
      this.#batcher.claim(organizationId);
    });
    this.#wakes.set(organizationId, { at, cancel });
  }

  /** Stops taking work and resolves when every call that is out has been answered and written. */
  async stop(): Promise<void> {
    this.#isClosing = true;
    this.#cancelSweep?.();
    for (const wake of this.#wakes.values()) wake.cancel();
    this.#wakes.clear();
    while (this.#running.size > 0) await Promise.all(this.#running);
  }

  /** Provider calls whose intents are committed. `startedAt`: the monotonic time before their transaction began. */
  runAll(errands: readonly Errand[], startedAt: number): void {
    for (const errand of errands) {
      const run = this.#run(errand, startedAt)
        .catch((error: unknown) => this.#options.onBroken(error, "errand"))
        .finally(() => this.#running.delete(run));
      this.#running.add(run);
    }
  }

  #scheduleSweep(delayMs: number): void {
    this.#cancelSweep = this.#options.timer.after(delayMs, () => {
      const sweep = this.#sweep().finally(() => {
        this.#running.delete(sweep);
        if (!this.#isClosing) this.#scheduleSweep(SWEEP_MS);
      });
      this.#running.add(sweep);
    });
  }

  /** Finds organizations with due work; also everything that a process left behind when it died. */
  async #sweep(): Promise<void> {
    try {
      for (const organizationId of await this.#options.store.due(SWEEP_ORGANIZATIONS)) {
        this.#batcher.claim(organizationId);
      }
    } catch (error) {
      if (!(error instanceof StoreUnavailable)) this.#options.onBroken(error, "sweep");
    }
  }

  async #run(errand: Errand, startedAt: number): Promise<void> {
    let outcome: HttpOutcome;
    try {
      outcome = await this.#send(errand, startedAt);
    } finally {
      this.#slots.free(errand.organizationId, errand.slotKey);
      for (const organizationId of this.#slots.takeWaiting()) this.#batcher.claim(organizationId);
    }
    await this.#record(errand, outcome);
  }

  #send(errand: Errand, startedAt: number): Promise<HttpOutcome> {
    const { clock, http } = this.#options;
    const deadline = startedAt + errand.sendWithinMs;
    return http.send({
      baseUrl: errand.baseUrl,
      draft: errand.draft,
      timeoutMs: errand.timeoutMs,
      audience: errand.kind === "webhook" ? "merchant" : "provider",
      maySend: () => clock.monotonic() < deadline,
    });
  }

  async #record(errand: Errand, outcome: HttpOutcome): Promise<void> {
    for (let tries = 1; ; tries += 1) {
      try {
        if (errand.kind === "webhook") {
          await this.#batcher.run(errand.organizationId, recordDelivery, { errand, outcome }, { actor: "system" });
        } else {
          await this.#batcher.run(errand.organizationId, recordOutcome, { errand, outcome }, causeOf(errand, outcome));
        }
        return;
      } catch (error) {
        if (error instanceof StoreUnavailable && tries < OUTCOME_TRIES) {
          await this.#pause(OUTCOME_RETRY_MS);
          continue;
        }
        // What cannot be written now cannot be written when the provider says it again: a person must know.
        if (errand.kind === "provider" && !isWeather(error)) await this.#batcher.park(workOf(errand));
        throw error;
      }
    }
  }

  #pause(delayMs: number): Promise<void> {
    return new Promise((resolve) => void this.#options.timer.after(delayMs, resolve));
  }
}

/** The due row that the lease of a call stands in. */
function workOf({ organizationId, payoutId, fence, askedTime }: ProviderErrand): Work {
  return { organizationId, kind: "payout", subject: payoutId, dueTime: askedTime, fence };
}

/** What is kept of the exchange: its hash proves what was said, its kind and status tell a person. */
function causeOf(errand: ProviderErrand, outcome: HttpOutcome): Cause {
  const { providerAccountId, operation } = errand;
  const actor = `provider:${providerAccountId}`;
  if (outcome.kind !== "answer") return { actor, providerAccountId, body: { operation, outcome: outcome.kind } };
  const { status, body } = outcome.result;
  return { actor, providerAccountId, verified: true, body: { operation, status }, bodyHash: sha256(body) };
}
