/** The processes of a simulation: started, killed, stalled, started again; and the way in to them from outside. */

import { OutcomeUnknown, StoreUnavailable } from "../../../src/core/faults.ts";
import type { Engine } from "../../../src/engine/engine.ts";
import { describe, type Life, SimProcess, type Surroundings } from "./process.ts";
import type { Random } from "./random.ts";

const RESTART_MS = [100, 1_000, 15_000] as const;
const STALL_MS = [200, 3_000, 40_000] as const;
const STALL_EVERY_MS = 40_000;
const LONGER_THAN_A_LEASE_MS = 15_000;
const MINUTE_MS = 60_000;
/** How long a caller of ours waits for an answer. */
const CALLER_PATIENCE_MS = 5_000;

export class Cluster {
  readonly #around: Surroundings;
  readonly #random: Random;
  readonly #current = new Map<string, SimProcess>();

  constructor(around: Surroundings, random: Random) {
    this.#around = around;
    this.#random = random;
  }

  start(lives: readonly Life[]): void {
    for (const life of lives) this.#bear(life, 1);
  }

  #bear(life: Life, generation: number): void {
    const { scheduler } = this.#around;
    const process = new SimProcess(life, this.#around, this.#random.stream(`${life.name} ${generation}`));
    this.#current.set(life.name, process);
    scheduler.note(process, "starts");
    process.onDeath = () => {
      const inMs = this.#random.between(1, this.#random.pick(RESTART_MS));
      scheduler.after(inMs, null, "", () => this.#bear(life, generation + 1));
    };
    process.engine.start();
    this.#planCrash(process);
    this.#planStall(process);
  }

  /** The plan's rate of crashes is per minute and process. */
  #planCrash(process: SimProcess): void {
    const { scheduler, weather } = this.#around;
    const perMinute = weather.plan.faults.crash;
    if (perMinute === 0 || !weather.isStormy) return;
    const inMs = this.#random.between(1, Math.floor((2 * MINUTE_MS) / perMinute));
    scheduler.after(inMs, null, "", () => {
      if (weather.isStormy) process.crash("between two events");
    });
  }

  #planStall(process: SimProcess): void {
    const { scheduler, weather } = this.#around;
    if (!weather.plan.hasStalls || !weather.isStormy) return;
    scheduler.after(this.#random.between(1, STALL_EVERY_MS), null, "", () => {
      if (!process.isAlive || !weather.isStormy) return;
      const forMs = this.#random.between(1, this.#random.pick(STALL_MS));
      if (forMs > LONGER_THAN_A_LEASE_MS) weather.inflict("pause", process);
      process.pause(forMs);
      this.#planStall(process);
    });
  }

  /**
   * Somebody outside calls us: some process answers, or nobody does. Null: no answer came, and the caller knows
   * nothing. Bugs are told to the tally.
   */
  call<T>(name: string, work: (engine: Engine) => Promise<T>): Promise<T | null> {
    const { scheduler, weather } = this.#around;
    const way = (): number => this.#random.between(1, weather.plan.networkDelayMs);
    return new Promise((resolve) => {
      const process = this.#random.pick([...this.#current.values()]);
      scheduler.after(CALLER_PATIENCE_MS, null, "", () => resolve(null));
      if (weather.strikes("lost_request", null)) return;
      const isAnswerLost = weather.strikes("lost_answer", null);
      // A dead process receives nothing: the caller waits in vain.
      scheduler.after(way(), process, name, () => {
        void this.#work(process, name, work).then((answer) => {
          if (!isAnswerLost) scheduler.after(way(), null, "", () => resolve(answer));
        });
      });
    });
  }

  async #work<T>(process: SimProcess, name: string, work: (engine: Engine) => Promise<T>): Promise<T | null> {
    try {
      return await work(process.engine);
    } catch (error) {
      // 503: the caller knows as little as without an answer.
      if (!(error instanceof StoreUnavailable || error instanceof OutcomeUnknown)) {
        this.#around.tally.judge("broken", `${process.name}, ${name}: ${describe(error)}`);
      }
      return null;
    }
  }
}
