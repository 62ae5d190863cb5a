/** The ports of production: the process's own clock, timers and randomness. */
import { randomBytes } from "node:crypto";
import type { Clock, Rng, Timer } from "./ports.ts";

export const realClock: Clock = {
  monotonic: () => performance.now(),
};

export const realRng: Rng = {
  bytes: (count) => randomBytes(count),
};

export const realTimer: Timer = {
  after(delayMs, task) {
    const timer = setTimeout(task, delayMs);
    return () => clearTimeout(timer);
  },
};
