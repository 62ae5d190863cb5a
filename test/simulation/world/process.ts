/**
 * One life of one process: an engine of production on simulated ports. A crash ends it for ever: its events are
 * dropped, its promises never settle, its open transactions roll back. The next life is another object.
 */

import { OutcomeUnknown, StoreUnavailable } from "../../../src/core/faults.ts";
import { Engine, type EngineOptions } from "../../../src/engine/engine.ts";
import type { Http, Store } from "../../../src/engine/ports.ts";
import type { Tally } from "../judges/tally.ts";
import type { CrashPoint } from "./plan.ts";
import type { Random } from "./random.ts";
import type { Owner, Scheduler } from "./scheduler.ts";
import type { Weather } from "./weather.ts";

/** What a process's promises wait for, once it is dead. One each: a shared one would remember all who wait. */
export function never(): Promise<never> {
  return new Promise(() => {});
}

/** The server ends a transaction whose client stands still for this long, so that it does not stop its organization. */
const IDLE_TRANSACTION_MS = 5_000;

/** Ends a transaction whose process has died; no engine ever sees it. */
export class ProcessDied extends Error {
  override readonly name = "ProcessDied";
}

/** A transaction under way, as the database server sees it. */
export interface Connection {
  /** Settles as the promise does, unless the connection ends before. */
  guard<T>(promise: Promise<T>): Promise<T>;
  readonly isOpen: boolean;
  close(): void;
}

export interface Life {
  readonly name: string;
  readonly isWorking: boolean;
  readonly lanes: number;
}

/** What all processes share. */
export interface Surroundings {
  readonly scheduler: Scheduler;
  readonly weather: Weather;
  readonly tally: Tally;
  readonly publicUrl: string;
  readonly vault: EngineOptions["vault"];
  readonly connectors: EngineOptions["connectors"];
  storeOf(process: SimProcess): Store;
  httpOf(process: SimProcess): Http;
}

export class SimProcess implements Owner {
  readonly name: string;
  readonly engine: Engine;
  isAlive = true;
  pausedUntil = 0;
  /** Told once when it dies. */
  onDeath: () => void = () => {};
  readonly #around: Surroundings;
  readonly #breaks = new Set<(error: Error) => void>();

  constructor(life: Life, around: Surroundings, random: Random) {
    this.name = life.name;
    this.#around = around;
    // A monotonic clock begins anywhere: whoever compares it with the database's time is wrong at once.
    const offset = random.between(0, 1_000_000_000);
    this.engine = new Engine({
      ports: {
        store: around.storeOf(this),
        http: around.httpOf(this),
        clock: { monotonic: () => around.scheduler.now + offset },
        rng: { bytes: (count) => random.bytes(count) },
        timer: { after: (delayMs, task) => around.scheduler.after(Math.ceil(delayMs), this, "", task) },
      },
      vault: around.vault,
      connectors: around.connectors,
      publicUrl: () => around.publicUrl,
      isWorking: life.isWorking,
      lanes: life.lanes,
      onBroken: (error, what) => this.#report(error, what),
    });
  }

  /** Never resolves for the dead. */
  sleep(delayMs: number): Promise<void> {
    return new Promise((resolve) => {
      this.#around.scheduler.after(delayMs, this, "", resolve);
    });
  }

  /** Opens a connection that ends with the process, or when the process stands still for too long. */
  connect(): Connection {
    let failed: Error | null = null;
    const listeners = new Set<(error: Error) => void>();
    const end = (error: Error): void => {
      failed = error;
      this.#breaks.delete(end);
      for (const listener of listeners) listener(error);
    };
    this.#breaks.add(end);
    return {
      guard: (promise) =>
        new Promise((resolve, reject) => {
          if (failed !== null) reject(failed);
          listeners.add(reject);
          void promise.then(resolve, reject).finally(() => listeners.delete(reject));
        }),
      get isOpen() {
        return failed === null;
      },
      close: () => this.#breaks.delete(end),
    };
  }

  /** Stands still: nothing of it happens before the pause is over. */
  pause(forMs: number): void {
    const { scheduler } = this.#around;
    const end = scheduler.now + forMs;
    if (end <= this.pausedUntil) return;
    this.pausedUntil = end;
    scheduler.note(this, `stands still for ${forMs} ms`);
    if (forMs <= IDLE_TRANSACTION_MS || this.#breaks.size === 0) return;
    const idle = [...this.#breaks];
    scheduler.after(IDLE_TRANSACTION_MS, null, "", () => {
      for (const end of idle) {
        if (!this.#breaks.has(end)) continue;
        this.#around.tally.reach("idle transaction ended");
        end(new StoreUnavailable("the server ended an idle transaction"));
      }
    });
  }

  /** Dies here if the plan says so. */
  crashesAt(point: CrashPoint): boolean {
    if (!this.#around.weather.strikesAt(point)) return false;
    this.#around.tally.reach(`crash ${point}`);
    this.crash(point);
    return true;
  }

  crash(where: string): void {
    if (!this.isAlive) return;
    this.#around.weather.inflict("crash", this);
    this.#around.scheduler.note(this, `dies: ${where}`);
    this.isAlive = false;
    for (const end of this.#breaks) end(new ProcessDied());
    this.onDeath();
  }

  #report(error: unknown, what: string): void {
    if (!this.isAlive) return;
    // The database was away for a moment, or broke off: that is reported, and it is no bug.
    if (error instanceof OutcomeUnknown) this.#around.tally.reach(`commit unknown to ${what.split(" ")[0]}`);
    else if (error instanceof StoreUnavailable) this.#around.tally.reach("database unavailable");
    else this.#around.tally.judge("broken", `${this.name}, ${what}: ${describe(error)}`);
  }
}

/** The message and where it was thrown: the first two lines of a stack. */
export function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const place = error.stack?.split("\n").find((line) => line.includes("/src/"));
  return `${error.name}: ${error.message}${place === undefined ? "" : ` (${place.replace(/^.*\/src\//, "src/").replace(/\)$/, "")})`}`;
}
