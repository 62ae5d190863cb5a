/** Whether faults happen: drawn from the plan's rates as long as the safety phase lasts, then never again. */

import type { Tally } from "../judges/tally.ts";
import type { CrashPoint, Fault, Plan } from "./plan.ts";
import type { Random } from "./random.ts";
import type { Owner, Scheduler } from "./scheduler.ts";

export class Weather {
  readonly plan: Plan;
  readonly random: Random;
  readonly #scheduler: Scheduler;
  readonly #tally: Tally;
  #isStormy = true;

  constructor(plan: Plan, random: Random, of: { scheduler: Scheduler; tally: Tally }) {
    this.plan = plan;
    this.random = random;
    this.#scheduler = of.scheduler;
    this.#tally = of.tally;
  }

  get isStormy(): boolean {
    return this.#isStormy;
  }

  clear(): void {
    this.#isStormy = false;
    this.#scheduler.note(null, "the faults end");
  }

  /** Draws whether a fault strikes here. */
  strikes(fault: Exclude<Fault, "crash">, owner: Owner | null): boolean {
    if (!this.#isStormy || !this.random.chance(this.plan.faults[fault])) return false;
    this.inflict(fault, owner);
    return true;
  }

  strikesAt(point: CrashPoint): boolean {
    return this.#isStormy && this.random.chance(this.plan.crashPoints[point]);
  }

  /** Counts a fault that happens now. */
  inflict(fault: Fault, owner: Owner | null): void {
    this.#tally.fault(fault);
    this.#scheduler.note(owner, `fault ${fault}`);
  }
}
