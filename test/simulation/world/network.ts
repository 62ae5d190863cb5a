/**
 * The way to the providers, with everything that happens on it. A request is checked once by its process, leaves
 * within the declared pause after that, arrives within the declared bound after the client's timeout or never; its
 * answer may be lost, late, or find its process dead.
 */
import type { HttpDraft, HttpResult } from "../../../src/connectors/contract.ts";
import { TRUTH } from "../../../src/connectors/sandbox/truth.ts";
import { assert } from "../../../src/core/result.ts";
import type { Http, HttpOrder, HttpOutcome } from "../../../src/engine/ports.ts";
import type { Answered } from "../judges/oracle.ts";
import type { Tally } from "../judges/tally.ts";
import type { Fault } from "./plan.ts";
import type { SimProcess } from "./process.ts";
import type { Scheduler } from "./scheduler.ts";
import type { Weather } from "./weather.ts";

/**
 * The world's bounds: what the provider's real truth sheet declares, whatever a connector under test says. W is their
 * sum: a worker's pause, the client's timeout, then the late-arrival bound.
 */
const LATE_ARRIVAL_MS = TRUTH.lateArrivalMs ?? 0;
const WORKER_PAUSE_MS = TRUTH.workerPauseMs;
const LEASE_MS = TRUTH.leaseMs;
/** How close to a bound the latest come. */
const LATEST_MS = 20;
/** When the check still passes, if the intent was committed at once. */
const LAST_CHECK_MS = TRUTH.leaseMs - TRUTH.leaseMarginMs;

export interface Line {
  readonly scheduler: Scheduler;
  readonly weather: Weather;
  readonly tally: Tally;
  /** What stands at the other end. */
  answer(draft: HttpDraft): HttpResult;
  /** A request has passed its last check and its first byte leaves. */
  left(draft: HttpDraft): Answered;
}

export function httpPort(line: Line, process: SimProcess): Http {
  return { send: (order) => new Promise((resolve) => new Exchange(line, process, { order, resolve }).begin()) };
}

type Fate = "arrives" | "lost_request" | "lost_answer" | "late_arrival";

/** One request and what becomes of it. */
class Exchange {
  readonly #line: Line;
  readonly #process: SimProcess;
  readonly #order: HttpOrder;
  readonly #name: string;
  readonly #resolve: (outcome: HttpOutcome) => void;
  readonly #isSpared: boolean;
  #isOver = false;

  constructor(line: Line, process: SimProcess, of: { order: HttpOrder; resolve: (outcome: HttpOutcome) => void }) {
    this.#line = line;
    this.#process = process;
    this.#order = of.order;
    this.#resolve = of.resolve;
    this.#isSpared = line.weather.plan.sparesInquiries && of.order.draft.method === "GET";
    const reference = of.order.draft.headers["x-reference"] ?? of.order.draft.path.slice("/payouts/".length);
    this.#name = `${of.order.draft.method} ${reference.slice(0, 8)}`;
  }

  /** Between the intent's commit and the check: a process may die here, or stand still for longer than its lease. */
  begin(): void {
    const { weather } = this.#line;
    if (this.#process.crashesAt("before_check")) return;
    if (this.#strikes("pause")) {
      // Some wake up just in time for the check, others when the lease is long over.
      const isInTime = weather.random.chance(weather.plan.pausesInTime);
      this.#process.pause(isInTime ? this.#within(LAST_CHECK_MS) : weather.random.edgy(LEASE_MS, 2 * LEASE_MS));
    }
    this.#plan(weather.random.between(0, 20), this.#process, "checks", () => this.#check());
  }

  #check(): void {
    if (!this.#order.maySend()) {
      this.#line.tally.reach("dropped before the first byte");
      this.#finish({ kind: "not_sent", reason: "the lease is over" });
      return;
    }
    const { weather } = this.#line;
    if (this.#process.crashesAt("after_check")) return;
    if (this.#strikes("unreachable")) {
      this.#plan(weather.random.between(1, 50), this.#process, "finds nobody", () => {
        this.#finish({ kind: "not_sent", reason: "ECONNREFUSED" });
      });
      return;
    }
    this.#plan(this.#order.timeoutMs, this.#process, "", () => this.#finish({ kind: "timeout" }));
    let leavesIn = 0;
    if (this.#strikes("pause_after_check")) {
      leavesIn = this.#within(WORKER_PAUSE_MS);
      this.#process.pause(leavesIn);
    }
    this.#plan(leavesIn, null, "leaves", () => this.#leave());
  }

  #leave(): void {
    // Nobody writes for the dead; whoever was paused has written before it looks at its clock again.
    if (!this.#process.isAlive) return;
    const { weather } = this.#line;
    const answered = this.#line.left(this.#order.draft);
    const fate = this.#fate();
    const waysMs = weather.plan.networkDelayMs;
    if (fate !== "lost_request") {
      const late = this.#order.timeoutMs + this.#within(LATE_ARRIVAL_MS);
      const arrivesIn = fate === "late_arrival" ? late : weather.random.between(1, waysMs);
      this.#plan(arrivesIn, null, "arrives", () => this.#arrive(fate, answered));
    }
    // A connection that breaks is noticed before the timeout, and says just as little.
    if (fate !== "arrives" && weather.random.chance(0.4)) {
      const breaksIn = weather.random.between(1, this.#order.timeoutMs);
      this.#plan(breaksIn, this.#process, "breaks", () => this.#finish({ kind: "lost", reason: "ECONNRESET" }));
    }
    this.#process.crashesAt("after_leaving");
  }

  #fate(): Fate {
    for (const fault of ["lost_request", "lost_answer", "late_arrival"] as const) {
      if (this.#strikes(fault)) return fault;
    }
    return "arrives";
  }

  #arrive(fate: Fate, answered: Answered): void {
    const { weather, scheduler } = this.#line;
    const result = this.#line.answer(this.#order.draft);
    scheduler.note(null, `${this.#name} is answered ${result.status}`);
    if (fate !== "arrives") return;
    this.#plan(weather.random.between(1, weather.plan.networkDelayMs), this.#process, "", () => {
      if (this.#isOver) {
        this.#line.tally.reach("answer after the timeout");
        return;
      }
      if (this.#process.crashesAt("before_outcome")) return;
      answered(result);
      this.#finish({ kind: "answer", result });
    });
  }

  /** How much of a time that is allowed is used. */
  #within(mostMs: number): number {
    const { plan, random } = this.#line.weather;
    return plan.isLatest ? random.between(mostMs - LATEST_MS, mostMs) : random.edgy(1, mostMs);
  }

  #strikes(fault: Exclude<Fault, "crash">): boolean {
    return !this.#isSpared && this.#line.weather.strikes(fault, this.#process);
  }

  #finish(outcome: HttpOutcome): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#line.scheduler.note(this.#process, `${this.#name} ends: ${outcome.kind}`);
    this.#resolve(outcome);
  }

  #plan(delayMs: number, owner: SimProcess | null, label: string, task: () => void): void {
    assert(delayMs >= 0, "time goes on");
    this.#line.scheduler.after(delayMs, owner, label === "" ? "" : `${this.#name} ${label}`, task);
  }
}
