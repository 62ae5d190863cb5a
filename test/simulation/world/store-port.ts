/**
 * The database as one process sees it: the shared store in memory behind a connection that takes time, and that can
 * break before the commit takes effect or after it, so that nobody on this side knows. Whatever took effect is shown to the auditor.
 */
import { OutcomeUnknown, StoreRefused, StoreUnavailable } from "../../../src/core/faults.ts";
import type { Changes, Store, Tx } from "../../../src/engine/ports.ts";
import type { Tally } from "../judges/tally.ts";
import type { DatabaseClock } from "./clock.ts";
import type { Locks } from "./locks.ts";
import { type Connection, describe, never, ProcessDied, type SimProcess } from "./process.ts";
import type { Random } from "./random.ts";
import type { Weather } from "./weather.ts";

export interface StoreWorld {
  readonly store: Store;
  readonly locks: Locks;
  readonly tally: Tally;
  readonly weather: Weather;
  readonly random: Random;
  readonly delayMs: number;
  readonly clock: DatabaseClock;
  /** Told of every change that took effect, in order. */
  committed(changes: Changes, by: SimProcess): void;
}

export function storePort(world: StoreWorld, process: SimProcess): Store {
  const pause = (): Promise<void> => process.sleep(world.random.between(0, world.delayMs));
  return {
    commit: (organizations, options, body) => commit(world, process, { organizations, options, body, pause }),
    async due(limit) {
      await pause();
      const due = await world.store.due(limit);
      await pause();
      return due;
    },
  };
}

type CommitParameters = Parameters<Store["commit"]>;

interface Asked<T> {
  readonly organizations: CommitParameters[0];
  readonly options: CommitParameters[1];
  readonly body: (tx: Tx) => Promise<{ readonly changes: Changes; readonly result: T }>;
  pause(): Promise<void>;
}

async function commit<T>(world: StoreWorld, process: SimProcess, asked: Asked<T>): Promise<T> {
  await asked.pause();
  const connection = process.connect();
  const isUnknown = world.weather.strikes("commit_unknown", process);
  const takesEffect = !isUnknown || world.random.chance(0.5);
  let saved: Changes | null = null;
  let result: T;
  const taken = await world.locks.take(asked.organizations, asked.options.skipLocked === true);
  const leave = world.clock.enter();
  try {
    const commit = world.store.commit(taken, asked.options, async (tx) => {
      // It may have waited for a lock: the connection may have ended meanwhile.
      const decided = await connection.guard(decide(tx, connection, asked));
      await connection.guard(asked.pause());
      if (process.crashesAt("before_commit")) throw new ProcessDied();
      if (!takesEffect) throw unknown();
      if (world.weather.strikes("commit_failed", process)) throw new StoreUnavailable("the commit has failed");
      saved = decided.changes;
      return decided;
    });
    // Also for the dead, whose callers never hear of it.
    result = await commit.finally(() => {
      world.locks.release(taken);
      leave();
    });
  } catch (error) {
    if (!process.isAlive) return await never();
    judge(world.tally, error);
    await asked.pause();
    throw error;
  } finally {
    connection.close();
  }
  if (saved !== null) world.committed(saved, process);
  if (process.crashesAt("after_commit")) return await never();
  await asked.pause();
  if (isUnknown) throw unknown();
  return result;
}

function unknown(): OutcomeUnknown {
  return new OutcomeUnknown("the connection broke when the commit was on its way");
}

/** Runs the body with loads that take their time. */
async function decide<T>(
  tx: Tx,
  connection: Connection,
  asked: Asked<T>,
): Promise<{ readonly changes: Changes; readonly result: T }> {
  const check = (): void => {
    if (!connection.isOpen) throw new StoreUnavailable("the connection has ended");
  };
  const use = async (): Promise<void> => {
    await asked.pause();
    check();
  };
  check();
  return asked.body({
    now: tx.now,
    epoch: tx.epoch,
    isGateOpen: tx.isGateOpen,
    locks: tx.locks,
    async load(wants) {
      await use();
      return tx.load(wants);
    },
    async claim(kind, limit) {
      await use();
      return tx.claim(kind, limit);
    },
  });
}

function judge(tally: Tally, error: unknown): void {
  if (error instanceof StoreUnavailable || error instanceof OutcomeUnknown) return;
  const what = error instanceof StoreRefused ? `the store refused: ${error.constraint}` : describe(error);
  tally.judge("broken", what);
}
