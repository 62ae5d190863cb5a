/**
 * The lock rows of organizations as the processes of a simulation wait for them: first come, first served, and whoever
 * gets one begins in an event of its own. So it is the same whether the store behind is in memory or a real database.
 */
import type { Scheduler } from "./scheduler.ts";

export class Locks {
  readonly #scheduler: Scheduler;
  readonly #held = new Set<string>();
  readonly #waiting = new Map<string, (() => void)[]>();

  constructor(scheduler: Scheduler) {
    this.#scheduler = scheduler;
  }

  /** Takes all, one after the other in order; or, with `isSkipping`, those that are free. */
  async take(organizations: readonly string[], isSkipping: boolean): Promise<readonly string[]> {
    const asked = [...new Set(organizations)].sort();
    const taken = isSkipping ? asked.filter((id) => !this.#held.has(id)) : asked;
    for (const id of taken) {
      if (!this.#held.has(id)) this.#held.add(id);
      else await this.#waitFor(id);
    }
    return taken;
  }

  #waitFor(id: string): Promise<void> {
    const queue = this.#waiting.get(id) ?? [];
    this.#waiting.set(id, queue);
    return new Promise((resolve) => queue.push(resolve));
  }

  release(taken: readonly string[]): void {
    for (const id of taken) {
      const next = this.#waiting.get(id)?.shift();
      if (next === undefined) this.#held.delete(id);
      else this.#scheduler.after(0, null, "", next);
    }
  }
}
