/**
 * The database goes back to an earlier commit: a standby that lacked the last ones takes over, or a backup is restored.
 * What follows is the operator's procedure: a new epoch with its gate shut, the list of payouts to be inquired, the
 * gate opened when each has its answer. Merchants repeat their orders, providers their callbacks of the lost window.
 */

import type { RecoveryCheck } from "../../../src/core/news/recovery.ts";
import { isAnswered } from "../../../src/core/news/recovery.ts";
import { PAYOUT_MEANING, type Payout } from "../../../src/core/order/payout.ts";
import type { Changes, Store, Work } from "../../../src/engine/ports.ts";
import type { MemoryStore, Snapshot } from "../../support/memory-store.ts";
import type { Auditor } from "../judges/auditor.ts";
import type { Tally } from "../judges/tally.ts";
import type { DatabaseClock } from "./clock.ts";
import { RESTORE_MS } from "./plan.ts";
import type { Random } from "./random.ts";
import type { Scheduler } from "./scheduler.ts";
import type { Weather } from "./weather.ts";

const LOOK_MS = 2_000;
/** Long after the faults have ended: who still has no answer then waits without an end. */
const PATIENCE_MS = 600_000;
const REPEAT_MS = 15_000;

export interface FailoverWorld {
  readonly scheduler: Scheduler;
  readonly weather: Weather;
  readonly random: Random;
  readonly tally: Tally;
  readonly clock: DatabaseClock;
  readonly store: MemoryStore;
  /** The same store, shown to the auditor. */
  readonly watched: Store;
  readonly auditor: Auditor;
  /** A person asks about a payout. */
  inquire(payout: Payout): void;
  /** Told when the database has forgotten everything after so many milliseconds since the beginning. */
  struck(sinceMs: number): void;
  /** What merchants repeat, each sometime afterwards. */
  readonly clients: readonly { forget(): void; repeat(): void }[];
}

export class Failover {
  readonly #world: FailoverWorld;
  #snapshot: Snapshot | null = null;

  constructor(world: FailoverWorld) {
    this.#world = world;
  }

  start(): void {
    const { scheduler, weather, store } = this.#world;
    const { failover } = weather.plan;
    if (failover === null) return;
    const sinceMs = failover.atMs - failover.lostMs;
    scheduler.after(sinceMs, null, "", () => {
      this.#snapshot = store.snapshot();
    });
    scheduler.after(failover.atMs, null, "", () => void this.#strike(sinceMs));
  }

  async #strike(sinceMs: number): Promise<void> {
    const { weather, clock, store, auditor, random, scheduler, clients } = this.#world;
    if (this.#snapshot === null) return;
    weather.inflict((weather.plan.failover?.lostMs ?? 0) >= RESTORE_MS ? "restore" : "failover", null);
    store.restore(this.#snapshot);
    // As the database numbers it: the second after which the one before cannot have acted, rounded up.
    const epoch = Math.ceil(clock.now() / 1000);
    store.epoch = { number: epoch, gate: "shut" };
    auditor.restored(this.#snapshot);
    this.#world.struck(sinceMs);
    for (const client of clients) {
      client.forget();
      scheduler.after(random.between(1, REPEAT_MS), null, "", () => client.repeat());
    }
    await this.#list(epoch);
    this.#look(epoch);
  }

  /** Everything that is not final or has changed lately is to be inquired, and due. */
  async #list(epoch: number): Promise<void> {
    const { watched, auditor } = this.#world;
    const locks = [...auditor.mirror.rows("organizationLock")].map((row) => row.organizationId);
    for (const organizationId of locks) {
      await watched.commit([organizationId], {}, async (tx) => {
        const ids = [...auditor.mirror.rows("payout")].filter((row) => row.organizationId === organizationId);
        const [payouts = []] = await tx.load([
          { table: "payout", by: "primary", keys: ids.map(({ id }) => [organizationId, id]) },
        ]);
        const listed = payouts.filter((row) => row.status !== "CREATED" && row.createdTime < epoch * 1000);
        const [work = []] = await tx.load([
          { table: "work", by: "primary", keys: listed.map(({ id }) => [organizationId, "payout", id]) },
        ]);
        return { changes: changesOf(listed, { epoch, now: tx.now, work }), result: null };
      });
    }
  }

  #look(epoch: number): void {
    const { scheduler, store, weather, tally } = this.#world;
    scheduler.after(LOOK_MS, null, "", () => {
      if (this.#isAllAnswered(epoch)) {
        store.epoch = { number: epoch, gate: "open" };
        scheduler.note(null, "the gate is opened");
        return;
      }
      if (scheduler.now > (weather.plan.failover?.atMs ?? 0) + PATIENCE_MS) {
        tally.judge("stuck", "the gate stays shut: what was listed gets no answer");
        return;
      }
      for (const payout of this.#unasked(epoch)) this.#world.inquire(payout);
      this.#look(epoch);
    });
  }

  #checks(epoch: number): RecoveryCheck[] {
    return [...this.#world.auditor.mirror.rows("recoveryCheck")].filter((row) => row.epoch === epoch);
  }

  /** Listed payouts whose wake-up was taken away by other news: nobody asks about them but a person. */
  #unasked(epoch: number): Payout[] {
    const { mirror } = this.#world.auditor;
    return this.#checks(epoch).flatMap((check) => {
      const payout = mirror.get("payout", [check.organizationId, check.payoutId]);
      const work = mirror.get("work", [check.organizationId, "payout", check.payoutId]);
      return isAnswered(check) || payout === null || work !== null ? [] : [payout];
    });
  }

  /** As `bursar recover` counts: answered, settled by news of its own, or in the hands of a person. */
  #isAllAnswered(epoch: number): boolean {
    const { mirror } = this.#world.auditor;
    return [...Map.groupBy(this.#checks(epoch), (row) => row.payoutId)].every(([, own]) => {
      const organizationId = own[0]?.organizationId ?? "";
      const payout = mirror.get("payout", [organizationId, own[0]?.payoutId ?? ""]);
      if (payout === null || payout.createdTime >= epoch * 1000) return true;
      const work = mirror.get("work", [organizationId, "payout", payout.id]);
      const isSettled = payout.updatedTime >= epoch * 1000 && work === null;
      const wasLookedAt = own.some(({ tries }) => tries > 0) || work === null || work.dueTime > this.#world.clock.now();
      return own.every(isAnswered) || isSettled || (payout.moderationRequired && wasLookedAt);
    });
  }
}

function changesOf(payouts: readonly Payout[], of: { epoch: number; now: number; work: readonly Work[] }): Changes {
  const due = payouts.filter((row) => PAYOUT_MEANING[row.status].class !== "planned" || !row.isManual);
  const known = due.map((row) => of.work.find((each) => each.subject === row.id) ?? null);
  const missing = due.filter((_, at) => known[at] === null);
  return {
    insert: {
      recoveryCheck: payouts.map((row) => checkOf(row, of.epoch)),
      work: missing.map(
        (row): Work => ({
          organizationId: row.organizationId,
          kind: "payout",
          subject: row.id,
          dueTime: of.now,
          fence: 0,
        }),
      ),
    },
    update: {
      work: known
        .filter((row) => row !== null)
        .map((row) => ({
          key: [row.organizationId, "payout", row.subject],
          version: row.fence,
          set: { dueTime: Math.min(row.dueTime, of.now) },
        })),
    },
    delete: {},
  };
}

function checkOf(payout: Payout, epoch: number): RecoveryCheck {
  const { organizationId, id: payoutId, providerAccountId, attempt, reference } = payout;
  return {
    organizationId,
    payoutId,
    epoch,
    providerAccountId,
    attempt,
    reference,
    state: "due",
    fact: null,
    tries: 0,
    askedTime: null,
    version: 1,
  };
}
