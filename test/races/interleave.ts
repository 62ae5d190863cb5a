/**
 * Two sides, one statement at a time: a store that stands still before each step of a transaction until a seeded
 * scheduler lets it go on. Who waits for a lock of the other is seen in the database's own list of sessions.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { Store, Tx } from "../../src/engine/ports.ts";
import type { Dice } from "../torture/dice.ts";

type State = "idle" | "going" | "paused" | "over";

export class Side {
  state: State = "idle";
  /** Transactions under way, watched or not. */
  underWay = 0;
  readonly name: string;
  #point = "";
  #isArmed = false;
  #go: () => void = () => {};
  #tell: () => void = () => {};

  constructor(name: string) {
    this.name = name;
  }

  /** The next transaction is the one that is watched; claims of due work by the engine itself never are. */
  arm(): void {
    this.state = "going";
    this.#isArmed = true;
  }

  /** Resolves at the next change of state. */
  changed(): Promise<void> {
    return new Promise((resolve) => (this.#tell = resolve));
  }

  /** Lets it go on; returns where it stood. */
  resume(): string {
    this.#become("going");
    this.#go();
    return `${this.name}:${this.#point}`;
  }

  /** No transaction of it will be watched any more. */
  disarm(): void {
    this.#isArmed = false;
    if (this.state !== "paused") this.#become("over");
  }

  wrap(store: Store): Store {
    return {
      due: (limit) => store.due(limit),
      commit: async (organizations, options, body) => {
        this.underWay += 1;
        const isWatched = this.#isArmed && options.skipLocked !== true;
        if (isWatched) this.#isArmed = false;
        try {
          if (!isWatched) return await store.commit(organizations, options, body);
          await this.#pause("begin");
          return await store.commit(organizations, options, async (tx) => {
            await this.#pause("load");
            const decided = await body(this.#slowly(tx));
            await this.#pause("commit");
            return decided;
          });
        } finally {
          this.underWay -= 1;
          if (isWatched) this.#become("over");
        }
      },
    };
  }

  #slowly(tx: Tx): Tx {
    return {
      now: tx.now,
      epoch: tx.epoch,
      isGateOpen: tx.isGateOpen,
      locks: tx.locks,
      claim: (kind, limit) => tx.claim(kind, limit),
      load: async (wants) => {
        const rows = await tx.load(wants);
        await this.#pause("loaded");
        return rows;
      },
    };
  }

  #pause(point: string): Promise<void> {
    this.#point = point;
    return new Promise((resolve) => {
      this.#go = resolve;
      this.#become("paused");
    });
  }

  #become(state: State): void {
    this.state = state;
    this.#tell();
  }
}

const LOOK_EVERY_MS = 2;

/**
 * Runs armed sides to the end of their transactions, in an order that the dice draw.
 *
 * @returns the order, as "a:begin b:begin a:load ...", and how often a side was seen to wait for a lock.
 */
export async function interleave(
  dice: Dice,
  sides: readonly Side[],
  isSomebodyBlocked: () => Promise<boolean>,
): Promise<{ readonly order: string; readonly waits: number }> {
  const order: string[] = [];
  let waits = 0;
  for (;;) {
    const going = sides.filter(({ state }) => state === "going");
    const paused = sides.filter(({ state }) => state === "paused");
    if (going.length === 0 && paused.length === 0) return { order: order.join(" "), waits };
    if (going.length > 0) {
      await Promise.race([...going.map((side) => side.changed()), sleep(LOOK_EVERY_MS)]);
      if (going.some(({ state }) => state !== "going")) continue;
      // Nothing moves by itself while it waits for the lock of one that stands still.
      if (paused.length === 0 || !(await isSomebodyBlocked())) continue;
      if (going.some(({ state }) => state !== "going")) continue;
      waits += 1;
    }
    const next = paused[dice.below(paused.length)];
    if (next !== undefined) order.push(next.resume());
  }
}
