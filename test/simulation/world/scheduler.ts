/**
 * Virtual time. One event at a time, by time and then by the order in which they were planned; between two events
 * everything that became possible (microtasks) runs to its end. Whole milliseconds.
 */
import { assert } from "../../../src/core/result.ts";
import type { Trace } from "../judges/trace.ts";

/** Whose event it is. The dead do nothing; who is paused does it later. */
export interface Owner {
  readonly name: string;
  readonly isAlive: boolean;
  /** Until when it does nothing at all. */
  readonly pausedUntil: number;
}

export type Cancel = () => void;

interface Planned {
  time: number;
  readonly sequence: number;
  readonly owner: Owner | null;
  readonly label: string;
  /** Null: cancelled. */
  task: (() => void) | null;
}

const isBefore = (a: Planned, b: Planned): boolean => (a.time === b.time ? a.sequence < b.sequence : a.time < b.time);

export class Scheduler {
  readonly trace: Trace;
  /** What happens outside of virtual time and has to end before it goes on; null: nothing does. */
  outside: () => Promise<void> | null = () => null;
  readonly #heap: Planned[] = [];
  #now = 0;
  #sequence = 0;
  #steps = 0;

  constructor(trace: Trace) {
    this.trace = trace;
  }

  /** Milliseconds since the simulation began. */
  get now(): number {
    return this.#now;
  }

  /** Events that happened. */
  get steps(): number {
    return this.#steps;
  }

  /** Plans an event; the result cancels it. `label: ""` keeps it out of the trace. */
  after(delayMs: number, owner: Owner | null, label: string, task: () => void): Cancel {
    assert(Number.isSafeInteger(delayMs) && delayMs >= 0, `an event ${delayMs} ms from now`);
    this.#sequence += 1;
    const planned: Planned = { time: this.#now + delayMs, sequence: this.#sequence, owner, label, task };
    this.#push(planned);
    return () => {
      planned.task = null;
    };
  }

  /** Lets events happen until nothing is planned, `isOver` says so, or the next one lies after `until`. */
  async run(until: number, isOver: () => boolean): Promise<void> {
    await this.#settled();
    for (let next = this.#heap[0]; next !== undefined && next.time <= until; next = this.#heap[0]) {
      this.#pop();
      const { owner, task } = next;
      if (task === null || owner?.isAlive === false) continue;
      this.#now = next.time;
      if (owner !== null && owner.pausedUntil > this.#now) {
        // It keeps its place among those that wait for the same end of the pause.
        next.time = owner.pausedUntil;
        this.#push(next);
        continue;
      }
      this.#steps += 1;
      if (next.label !== "") this.note(owner, next.label);
      task();
      await this.#settled();
      if (isOver()) return;
    }
  }

  async #settled(): Promise<void> {
    await drained();
    for (let waits = this.outside(); waits !== null; waits = this.outside()) {
      await waits;
      await drained();
    }
  }

  /** Writes a line of the trace, at this moment. */
  note(owner: Owner | null, text: string): void {
    this.trace.add(`${this.#now} ${owner === null ? "-" : owner.name} ${text}`);
  }

  #push(planned: Planned): void {
    const heap = this.#heap;
    let at = heap.length;
    heap.push(planned);
    while (at > 0) {
      const above = (at - 1) >> 1;
      const parent = heap[above];
      if (parent === undefined || !isBefore(planned, parent)) break;
      heap[at] = parent;
      at = above;
    }
    heap[at] = planned;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return;
    let at = 0;
    for (;;) {
      let below = 2 * at + 1;
      let child = heap[below];
      const right = heap[below + 1];
      if (child !== undefined && right !== undefined && isBefore(right, child)) {
        below += 1;
        child = right;
      }
      if (child === undefined || !isBefore(child, last)) break;
      heap[at] = child;
      at = below;
    }
    heap[at] = last;
  }
}

/** Resolves when every microtask has run: immediates come after all of them, and nothing here uses real input. */
function drained(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}
