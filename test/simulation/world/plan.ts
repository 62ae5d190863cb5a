/**
 * What one seed is about: how many of everything, which faults and how often. Every seed draws its own mix, with some
 * faults left out, because a fault that is always there hides what happens without it.
 */
import type { Random } from "./random.ts";

/** What the world does to us. Rates are probabilities per opportunity; of crashes, jumps and changes, times per minute. */
export const FAULTS = {
  lost_request: "A request never arrives.",
  lost_answer: "A request arrives, its answer does not.",
  late_arrival: "A request arrives after the client's timeout, within the declared bound.",
  crash: "A process dies, between any two events or at a named point.",
  pause: "A process stands still for longer than the lease, before the pre-send check or anywhere.",
  pause_after_check: "A process stands still between the pre-send check and the first byte, within the declared pause.",
  unreachable: "No connection: not a byte leaves.",
  commit_unknown: "A process that lives on is never told whether its commit has taken effect.",
  commit_failed: "The database refuses a commit: it has not taken effect, and everybody knows.",
  clock_jump: "The database's clock jumps, by seconds or minutes; the processes' own clocks go on evenly.",
  failover: "A standby takes over that lacks the last seconds: what was committed in them is forgotten.",
  restore: "The database goes back to a backup: what was committed in the last minute or so is forgotten.",
  configuration: "Somebody changes routes, limits, gates or schemes while orders are under way.",
  wrong_amount: "The provider describes an order with another amount than its book has.",
  key_forgotten: "The provider forgets a reference after the time for which it says that it knows one.",
  callback_lost: "A callback never comes, though it is the provider's duty to try again.",
  callback_doubled: "A callback comes twice.",
  callback_delayed: "A callback comes after later ones, when its news is old.",
  late_return: "What was paid comes back: all of it, a part, or in two parts.",
  broken_word: "The provider pays what it had failed or recalled, or once more what had come back.",
  callback_forged: "Somebody without the secret calls back that an order has failed.",
} as const;
export type Fault = keyof typeof FAULTS;

/** Where a process may die, besides between any two events. */
export const CRASH_POINTS = {
  before_commit: "The decision is taken, the commit does not take effect.",
  after_commit: "The commit takes effect, the process never learns of it.",
  before_check: "The intent is committed, the pre-send check is not reached.",
  after_check: "The pre-send check has passed, no byte leaves.",
  after_leaving: "The request has left.",
  before_outcome: "The answer has arrived, its outcome is not written.",
} as const;
export type CrashPoint = keyof typeof CRASH_POINTS;

/** What the provider does with an order that arrives: its ordinary life, no fault. It calls back with every state. */
const OUTCOMES = {
  paid_at_once: "Answers paid.",
  paid_later: "Answers accepted, pays later.",
  queued: "Answers queued, pays later.",
  refused: "Refuses for good; another route may be tried.",
  refused_payee: "Refuses for good because of the payee: nothing more is tried.",
  failed_later: "Answers accepted, fails later.",
  grows: "Answers queued, pays a part, later the rest.",
  paid_part: "Answers accepted, closes it with a part paid.",
  not_now: "Answers 429 or 503 and does nothing.",
  error_after_accept: "Takes the order and answers with an error or with half a body.",
  error_absent: "Answers with an error and does nothing.",
} as const;
export type Outcome = keyof typeof OUTCOMES;

/** What the provider does with a revoke or a cancel that arrives, and could be carried out. */
const COMMAND_OUTCOMES = {
  done: "Does it and says so.",
  later: "Takes it and does it later; a cancel may come to nothing then.",
  refused: "Refuses it.",
  not_now: "Answers 429 or 503 and does nothing.",
  error_done: "Does it and answers with an error.",
  error_absent: "Answers with an error and does nothing.",
} as const;
export type CommandOutcome = keyof typeof COMMAND_OUTCOMES;

export interface Plan {
  readonly seed: number;
  readonly organizations: number;
  readonly payouts: number;
  readonly processes: readonly { readonly name: string; readonly isWorking: boolean; readonly lanes: number }[];
  /** How long faults last, milliseconds. */
  readonly safetyMs: number;
  readonly faults: Readonly<Record<Fault, number>>;
  /** Whether pauses and late arrivals last as long as they may, to a few milliseconds. */
  readonly isLatest: boolean;
  /** How many of the pauses before the check end just in time for it to pass. */
  readonly pausesInTime: number;
  /** Whether processes also stand still between any two events. */
  readonly hasStalls: boolean;
  /** Whether only sends have bad luck: who asks quickly finds out first whether the wait window is too short. */
  readonly sparesInquiries: boolean;
  readonly crashPoints: Readonly<Record<CrashPoint, number>>;
  readonly outcomes: Readonly<Record<Outcome, number>>;
  readonly commands: Readonly<Record<CommandOutcome, number>>;
  /** Acts of people per minute and organization; 0: nobody does anything. */
  readonly actsPerMinute: number;
  /** How many orders may be split, and how many are bare requests. */
  readonly splits: number;
  readonly bare: number;
  /** When the database goes back, and how far, milliseconds; null: never. */
  readonly failover: { readonly atMs: number; readonly lostMs: number } | null;
  /** For how long the provider knows a reference, milliseconds; null: for ever. */
  readonly retentionMs: number | null;
  /** Longest ordinary delay of one exchange with the database, milliseconds. */
  readonly storeDelayMs: number;
  /** Longest ordinary way of a message in one direction, milliseconds. */
  readonly networkDelayMs: number;
}

const RATES = [0.03, 0.1, 0.3, 0.6] as const;

/**
 * Moods that chance alone would hardly ever put together. `slow_sender`: requests leave as late as they may, arrive as
 * late as they may, and whoever sent them cannot report: the worst case that the wait window is made for. `deaf`: hardly
 * an answer is heard, so that people let orders go once more that are there already. `sleepers`: whoever holds a lease
 * stands still, some for longer than it lasts, while people let the order go again: one speaks of a send that is
 * another's by now. `restored`: the database forgets a good deal, and what is repeated finds other routes than before.
 */
const MOODS = { mixed: 8, slow_sender: 4, deaf: 2, calm: 0.5, sleepers: 0.8, restored: 0.5 } as const;

export function drawPlan(seed: number, random: Random): Plan {
  const mood = random.weighted(MOODS);
  const processCount = mood === "slow_sender" || mood === "sleepers" ? 3 : random.between(1, 3);
  const plan: Plan = {
    seed,
    organizations: random.between(1, 3),
    payouts: random.between(3, 20),
    processes: Array.from({ length: processCount }, (_, index) => ({
      name: `p${index + 1}`,
      // The first always calls providers; the others may serve the API alone.
      isWorking: index === 0 || random.chance(0.75),
      lanes: random.pick([1, 4]),
    })),
    safetyMs: random.between(30, 120) * 1000,
    faults: drawFaults(random),
    isLatest: false,
    pausesInTime: 0.3,
    hasStalls: random.chance(0.5),
    sparesInquiries: random.chance(0.3),
    crashPoints: drawRates(Object.keys(CRASH_POINTS) as CrashPoint[], () =>
      random.chance(0.4) ? random.pick([0.005, 0.02, 0.06]) : 0,
    ),
    outcomes: drawRates(Object.keys(OUTCOMES) as Outcome[], (outcome) => weight(outcome, random)),
    commands: drawRates(Object.keys(COMMAND_OUTCOMES) as CommandOutcome[], (outcome) =>
      outcome === "done" || random.chance(0.5) ? random.pick([0.5, 1, 3]) : 0,
    ),
    actsPerMinute: random.chance(0.7) ? random.pick([2, 10, 30]) : 0,
    splits: random.chance(0.5) ? random.pick([0.2, 0.7]) : 0,
    bare: random.chance(0.5) ? random.pick([0.2, 0.6]) : 0,
    retentionMs: random.chance(0.15) ? random.between(60, 120) * 1000 : null,
    failover: null,
    storeDelayMs: random.pick([1, 3, 20, 200]),
    networkDelayMs: random.pick([5, 50, 400, 900]),
  };
  const moody = inMood(plan, mood, random);
  return mood === "mixed" && random.chance(0.15) ? withFailover(moody, random) : moody;
}

/** From so much that is lost it is a backup that comes back, no standby that takes over. */
export const RESTORE_MS = 15_000;

/** A standby lacks the last seconds, a backup the last minute. Clocks go evenly then, and keys are not forgotten. */
function withFailover(plan: Plan, random: Random): Plan {
  const atMs = random.between(Math.floor(plan.safetyMs / 4), Math.floor(plan.safetyMs * 0.9));
  const lostMs = Math.min(atMs - 1, random.between(1, random.pick([200, 3_000, 15_000, 60_000])));
  return {
    ...plan,
    failover: { atMs, lostMs },
    retentionMs: null,
    faults: { ...plan.faults, clock_jump: 0 },
  };
}

function drawFaults(random: Random): Plan["faults"] {
  return {
    lost_request: rate(random),
    lost_answer: rate(random),
    late_arrival: rate(random),
    crash: random.chance(0.6) ? random.pick([0.2, 1, 3]) : 0,
    pause: rate(random) / 4,
    pause_after_check: rate(random) / 2,
    unreachable: rate(random) / 4,
    commit_unknown: random.chance(0.5) ? random.between(3, 5) / 100 : 0,
    commit_failed: random.chance(0.5) ? random.between(1, 5) / 100 : 0,
    clock_jump: random.chance(0.3) ? random.pick([0.3, 1, 3]) : 0,
    failover: 0,
    restore: 0,
    key_forgotten: 0,
    configuration: random.chance(0.4) ? random.pick([1, 4]) : 0,
    late_return: rate(random),
    broken_word: random.chance(0.5) ? random.pick([0.1, 0.5]) : 0,
    wrong_amount: rate(random) / 4,
    callback_doubled: rate(random),
    callback_delayed: rate(random),
    callback_forged: rate(random) / 2,
    callback_lost: rate(random),
  };
}

function inMood(plan: Plan, mood: keyof typeof MOODS, random: Random): Plan {
  switch (mood) {
    case "mixed":
      return plan;
    case "slow_sender":
      return slowSender(awake(plan), random);
    case "deaf":
      return deaf(awake(plan), random);
    case "sleepers":
      return sleepers(awake(plan));
    case "restored":
      return withFailover({ ...plan, faults: { ...plan.faults, configuration: 12 } }, random);
    case "calm":
      return { ...plan, faults: NO_FAULTS, crashPoints: NO_CRASHES, hasStalls: false };
  }
}

/** Somebody must be awake to ask too early. */
function awake(plan: Plan): Plan {
  return { ...plan, processes: plan.processes.map((each) => ({ ...each, isWorking: true })), hasStalls: false };
}

function slowSender(plan: Plan, random: Random): Plan {
  return {
    ...plan,
    outcomes: { ...plan.outcomes, not_now: 0, refused_payee: 0 },
    actsPerMinute: 0,
    payouts: 20,
    retentionMs: null,
    faults: { ...NO_FAULTS, late_arrival: 0.95, pause: 0.8, pause_after_check: 0.95 },
    pausesInTime: 0.9,
    ...random.pick([
      { storeDelayMs: 100 },
      // A database that takes its time: a lease is measured from before the transaction, not from its end.
      { isLatest: true, storeDelayMs: 700, networkDelayMs: 5, safetyMs: 180_000 },
    ]),
    sparesInquiries: true,
    crashPoints: { ...NO_CRASHES, after_leaving: 0.5 },
  };
}

function deaf(plan: Plan, random: Random): Plan {
  return {
    ...plan,
    faults: { ...NO_FAULTS, lost_answer: 0.95, lost_request: 0.3, callback_delayed: 1, callback_lost: 0.8, crash: 1 },
    sparesInquiries: false,
    crashPoints: NO_CRASHES,
    actsPerMinute: 30,
    safetyMs: 120_000,
    retentionMs: random.pick([30_000, 60_000]),
  };
}

function sleepers(plan: Plan): Plan {
  return {
    ...plan,
    organizations: 1,
    outcomes: { ...NO_OUTCOMES, paid_at_once: 3, paid_later: 1, not_now: 1 },
    commands: { done: 1, later: 0, refused: 3, not_now: 1, error_done: 0, error_absent: 1 },
    faults: { ...NO_FAULTS, pause: 0.5, lost_answer: 0.1 },
    pausesInTime: 0.6,
    sparesInquiries: true,
    crashPoints: NO_CRASHES,
    actsPerMinute: 120,
    safetyMs: 240_000,
    retentionMs: null,
  };
}

const NO_FAULTS = drawRates(Object.keys(FAULTS) as Fault[], () => 0);
const NO_OUTCOMES = drawRates(Object.keys(OUTCOMES) as Outcome[], () => 0);
const NO_CRASHES = drawRates(Object.keys(CRASH_POINTS) as CrashPoint[], () => 0);

function rate(random: Random): number {
  return random.chance(0.6) ? random.pick(RATES) : 0;
}

/** Some way to pay is always left, else nothing could be paid twice. */
function weight(outcome: Outcome, random: Random): number {
  if (outcome === "paid_later") return 3;
  if (outcome === "grows" || outcome === "paid_part") return random.chance(0.35) ? random.pick([0.5, 1]) : 0;
  return random.chance(0.65) ? random.pick([0.5, 1, 3]) : 0;
}

function drawRates<K extends string>(names: readonly K[], draw: (name: K) => number): Readonly<Record<K, number>> {
  return Object.fromEntries(names.map((name) => [name, draw(name)])) as Record<K, number>;
}
