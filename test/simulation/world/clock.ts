/**
 * The database's clock. It jumps by seconds or minutes where the plan says so, while the processes' own clocks and the
 * world go on evenly. Forward only while nothing that was sent is undecided: the wait window is measured on this very
 * clock, and the product cannot see such a jump.
 */
import type { Mirror } from "../judges/mirror.ts";
import type { Random } from "./random.ts";
import type { Scheduler } from "./scheduler.ts";
import type { Weather } from "./weather.ts";

const MINUTE_MS = 60_000;
const JUMPS_MS = [2_000, 20_000, 120_000] as const;
/** Callbacks are signed with the provider's time, and taken up to five minutes beside ours. */
const FARTHEST_MS = 200_000;
const TRY_AGAIN_MS = 700;

export class DatabaseClock {
  readonly #scheduler: Scheduler;
  readonly #begin: number;
  #offset = 0;
  #transactions = 0;

  /** `begin`: what it shows at first, milliseconds since 1970. */
  constructor(scheduler: Scheduler, begin: number) {
    this.#scheduler = scheduler;
    this.#begin = begin;
  }

  now(): number {
    return this.#begin + this.#scheduler.now + this.#offset;
  }

  /** A transaction begins: its time is read, and decisions are taken by it until the result ends it. */
  enter(): () => void {
    this.#transactions += 1;
    return () => {
      this.#transactions -= 1;
    };
  }

  startJumping(of: { weather: Weather; random: Random; mirror: Mirror }): void {
    const { weather, random } = of;
    const perMinute = weather.plan.faults.clock_jump;
    if (perMinute === 0) return;
    this.#scheduler.after(random.between(1, Math.floor((2 * MINUTE_MS) / perMinute)), null, "", () => {
      if (!weather.isStormy) return;
      const byMs = random.between(1, random.pick(JUMPS_MS)) * (random.chance(0.5) ? 1 : -1);
      this.#jump(byMs, of);
      this.startJumping(of);
    });
  }

  #jump(byMs: number, of: { weather: Weather; mirror: Mirror }): void {
    const { weather, mirror } = of;
    if (!weather.isStormy || Math.abs(this.#offset + byMs) > FARTHEST_MS) return;
    // A repeat is let go by the age of the first send: a clock that goes back makes it look younger than it is.
    if (byMs < 0 && weather.plan.retentionMs !== null) return;
    if (byMs > 0 && (this.#transactions > 0 || hasUndecided(mirror))) {
      this.#scheduler.after(TRY_AGAIN_MS, null, "", () => this.#jump(byMs, of));
      return;
    }
    this.#offset += byMs;
    weather.inflict("clock_jump", null);
    this.#scheduler.note(null, `the database's clock jumps by ${byMs} ms`);
  }
}

function hasUndecided(mirror: Mirror): boolean {
  for (const { send, reversal } of mirror.rows("payout")) {
    if (send === "open" || send === "unknown" || send === "again") return true;
    if (reversal === "open" || reversal === "unknown") return true;
  }
  return false;
}
