/**
 * Random stories of core against a small model of their own: sums, classes of statuses, what was proved and said.
 * `npm run model -- --runs 10000 [--seed n] [--path p]`; a failure prints the seed and the shortest story found.
 */
import { parseArgs } from "node:util";
import fc from "fast-check";
import { ratio } from "../../src/core/money/rate.ts";
import type { Answer } from "../../src/core/news/answer.ts";
import type { Fact } from "../../src/core/news/resolution.ts";
import { moveName } from "../../src/core/order/machine.ts";
import type { Evidence, Payout } from "../../src/core/order/payout.ts";
import { PAYOUT, PAYOUT_MEANING } from "../../src/core/order/payout.ts";
import { REQUEST } from "../../src/core/order/request.ts";
import { wholeNumber } from "../support/options.ts";
import { judge, type Model, newModel } from "./model-rules.ts";
import { actOn, answerOf, callBack, percentIn, type Step, step } from "./model-steps.ts";
import { Playing } from "./playing.ts";
import { FIVE_PERCENT, type OrderOptions } from "./stories.ts";

/** Every move of the tables of payouts and requests, but the first one of each. */
export const TABLE_MOVES: readonly string[] = [
  ...PAYOUT.moves.map(({ from, to }) => moveName("payout", from, to)),
  ...REQUEST.moves.map(({ from, to }) => moveName("request", from, to)),
].filter((name) => name !== "request.new>CREATED");

const WAIT_MS = 9_000;
const LAST_LEAVE_MS = 12_000;
const NO_MORE: ReadonlySet<Fact> = new Set<Fact>(["failed", "expired", "returned", "recalled"]);
const DEFINITE_NO = new Set([
  "DECLINED_ERROR",
  "LIMIT_VIOLATION",
  "INVALID_DETAILS",
  "ACCESS_DENIED",
  "RECIPIENT_NOT_FOUND",
]);

/** What the model counts beside what the rules read. */
interface Counts {
  sequence: number;
  /** The last instant at which a request could have left. */
  readonly lastLeave: Map<string, number>;
  seenInvokes: number;
}

/** The story, and what it is judged by. */
interface World {
  readonly story: Playing;
  readonly counts: Counts;
}

const limits: fc.Arbitrary<OrderOptions["limits"]> = fc.constantFrom<OrderOptions["limits"][]>(
  undefined,
  undefined,
  {
    r1: { minMinor: 1n, maxMinor: 4_000n },
    r2: { minMinor: 1n, maxMinor: 4_000n },
    r3: { minMinor: 1n, maxMinor: 4_000n },
  },
  {
    r1: { minMinor: 3_000n, maxMinor: 5_000n },
    r2: { minMinor: 2_000n, maxMinor: 6_000n },
    r3: { minMinor: 1n, maxMinor: 100n },
  },
);

const options: fc.Arbitrary<OrderOptions> = fc
  .record({
    isBare: fc.constantFrom(false, false, true),
    isLeftToPeople: fc.boolean(),
    isPayeeAwaited: fc.boolean(),
    isCross: fc.boolean(),
    allowPartially: fc.boolean(),
    attemptsLimit: fc.integer({ min: 1, max: 4 }),
    isSplit: fc.boolean(),
    isParallel: fc.boolean(),
    returnsCommission: fc.boolean(),
    revokesAtExpiry: fc.boolean(),
    isHeld: fc.constantFrom(false, false, false, true),
    isBlocked: fc.constantFrom(false, false, false, true),
    lifetimeMs: fc.constantFrom(1e9, 1e9, 4_000, 40_000),
    limits,
  })
  .map(({ isBare, isCross, isLeftToPeople, isPayeeAwaited, isBlocked, limits: own, ...rest }) => ({
    ...rest,
    routes: ["r1", "r2", "r3"],
    fee: FIVE_PERCENT,
    isBare,
    ...(own === undefined ? {} : { limits: own }),
    ...(isBare ? { isLeftToPeople, isPayeeAwaited, isBlocked } : {}),
    ...(isCross && !isBare ? { serviceCurrency: "UAH", rate: ratio(309_597n, 300_000n) } : {}),
  }));

function prove(model: Model, id: string, evidence: Evidence): void {
  const known = model.proofs.get(id) ?? new Set<Evidence>();
  model.proofs.set(id, known.add(evidence));
}

/** What a piece of news proves and says of a payout, at the most. */
function weigh(model: Model, payout: Payout, answer: Answer): void {
  // What has not been sent cannot be paid, whoever says so.
  if (answer.echo !== undefined || PAYOUT_MEANING[payout.status].class === "planned") return;
  if (NO_MORE.has(answer.fact)) prove(model, payout.id, "D2");
  claim(model, payout, answer.paidMinor ?? payout.amountMinor);
}

/** Once everything has come back, what is said to be paid is paid again. */
function claim(model: Model, payout: Payout, paidMinor: bigint): void {
  const { id, processedMinor, returnedMinor } = payout;
  const again = processedMinor > 0n && processedMinor === returnedMinor ? processedMinor + paidMinor : paidMinor;
  const known = model.claimed.get(id) ?? 0n;
  if (again > known) model.claimed.set(id, again);
}

/** What the holder of a lease reports, weighed before core hears it. */
function weighReport(model: Model, { story, counts }: World, payout: Payout, answer: Answer | null): void {
  const call = story.calls.get(payout.id);
  if (call === undefined) return;
  const { id } = payout;
  const sends = model.sends.get(id) ?? 0;
  const isStill = answer === null || answer.sent === "not_now" || answer.sent === "not_sent";
  if (call.operation === "invoke") {
    const isReasonless = answer?.resolution === "OK" && answer.fact === "failed";
    const isSaid = answer?.sent === "refused" && answer.echo === undefined;
    const isNo = isSaid && (isReasonless || DEFINITE_NO.has(answer.resolution));
    if (isNo && sends === 1) prove(model, id, "D1");
    if (isStill) model.sends.set(id, sends - 1);
    else counts.lastLeave.set(id, Math.min(counts.lastLeave.get(id) ?? story.now, story.now));
  }
  if (answer === null) return;
  const isTooLate = call.askedTime > (counts.lastLeave.get(id) ?? Number.POSITIVE_INFINITY) + WAIT_MS;
  if (call.operation === "inquire" && answer.found === "no" && isTooLate) prove(model, id, "D3");
  weigh(model, payout, answer);
}

/** Takes one step, if it is possible. */
function take(model: Model, world: World, next: Step): void {
  const { story } = world;
  const payouts = story.draft.payouts;
  if (next.step === "pass") {
    story.pass(next.ms);
    return;
  }
  if (next.step === "report" || next.step === "lose") {
    const ids = [...story.calls.keys()];
    const id = ids[next.which % Math.max(1, ids.length)];
    const payout = payouts.find((each) => each.id === id);
    if (payout !== undefined) report(model, world, payout, next);
    return;
  }
  // Only what waits in READY is let go by a person.
  const isProcess = next.step === "act" && next.act.do === "process";
  const able = isProcess ? payouts.filter((each) => each.status === "READY") : payouts;
  const payout = able[next.which % Math.max(1, able.length)];
  if (next.step === "callback") {
    if (payout === undefined) return;
    world.counts.sequence += 1;
    const answer = answerOf(next.words, payout, world.counts.sequence);
    weigh(model, payout, answer);
    callBack(story, payout.id, answer);
    return;
  }
  actInModel(model, world, payout, next);
}

function report(model: Model, world: World, payout: Payout, next: Step & { step: "report" | "lose" }): void {
  if (next.step === "report") {
    world.counts.sequence += 1;
    const answer = answerOf(next.words, payout, world.counts.sequence);
    weighReport(model, world, payout, answer);
    world.story.report(payout.id, { kind: "answer", answer });
    return;
  }
  if (next.how === "not_sent") weighReport(model, world, payout, null);
  else if (world.story.calls.get(payout.id)?.operation === "invoke") {
    const { story, counts } = world;
    counts.lastLeave.set(payout.id, Math.min(counts.lastLeave.get(payout.id) ?? story.now, story.now));
  }
  world.story.report(payout.id, { kind: next.how, resolution: "CONNECTION_ERROR" });
}

function actInModel(model: Model, { story }: World, payout: Payout | undefined, { act }: Step & { step: "act" }): void {
  if (payout !== undefined && act.do === "evidence") {
    const figure = percentIn(payout.amountMinor, act.percent) ?? payout.amountMinor;
    if (act.says === "not_paid" || act.says === "returned") prove(model, payout.id, "D4");
    if (act.says === "paid") claim(model, payout, figure);
  }
  model.isContinuing = act.do === "continue";
  const { invoice } = story.draft;
  const available = (): bigint => story.balances.get(`available:web:${invoice?.currency ?? ""}`) ?? 0n;
  const before = available();
  const isDone = actOn(story, act, payout);
  if (isDone) story.acts.push(act.do);
  if (!isDone || act.do !== "settle_incident") return;
  if (act.by === "merchant") model.chargedMinor += before - available();
}

/** Counts what was sent and what came back beyond in the step that was taken. */
function count(model: Model, { story, counts }: World, itemsBefore: number): void {
  for (const id of story.invokes.slice(counts.seenInvokes)) {
    model.sends.set(id, (model.sends.get(id) ?? 0) + 1);
    counts.lastLeave.set(id, story.now + LAST_LEAVE_MS);
  }
  counts.seenInvokes = story.invokes.length;
  for (const { id } of story.draft.payouts) if ((model.sends.get(id) ?? 0) === 0) prove(model, id, "D0");
  for (const item of story.allItems.slice(itemsBefore)) {
    if (item.reason === "returned_too_much") model.beyondMinor += BigInt(item.details.beyondMinor ?? "0");
  }
}

class Taken implements fc.Command<Model, World> {
  readonly next: Step;

  constructor(next: Step) {
    this.next = next;
  }

  check(): boolean {
    return true;
  }

  run(model: Model, world: World): void {
    const items = world.story.allItems.length;
    take(model, world, this.next);
    count(model, world, items);
    judge(model, world.story);
  }

  toString(): string {
    return JSON.stringify(this.next);
  }
}

export interface Runs {
  readonly runs: number;
  readonly seed?: number;
  readonly path?: string;
}

/** How far the stories got: moves of all machines, and what people did, each with how often. */
export interface Played {
  readonly steps: number;
  readonly moves: ReadonlyMap<string, number>;
  readonly acts: ReadonlyMap<string, number>;
}

/** Plays so many stories; throws with the seed and the shortest story that breaks a rule. */
export function playStories({ runs, seed, path }: Runs): Played {
  let steps = 0;
  const moves = new Map<string, number>();
  const acts = new Map<string, number>();
  const tally = (into: Map<string, number>, name: string): unknown => into.set(name, (into.get(name) ?? 0) + 1);
  const commands = fc.commands([step.map((next) => new Taken(next))], { size: "medium", maxCommands: 40 });
  fc.assert(
    fc.property(options, commands, (own, taken) => {
      const story = new Playing(own);
      fc.modelRun(() => {
        const model = newModel();
        const world = {
          story,
          counts: { sequence: 1, lastLeave: new Map(), seenInvokes: 0 },
        };
        count(model, world, 0);
        judge(model, story);
        return { model, real: world };
      }, taken);
      steps += [...taken].length;
      for (const move of story.moves) tally(moves, move);
      for (const name of story.acts) tally(acts, name);
    }),
    { numRuns: runs, ...(seed === undefined ? {} : { seed }), ...(path === undefined ? {} : { path }) },
  );
  return { steps, moves, acts };
}

function main(): void {
  const { values } = parseArgs({
    options: { runs: { type: "string", default: "1000" }, seed: { type: "string" }, path: { type: "string" } },
  });
  const began = performance.now();
  const { seed, path } = values;
  const { steps, moves, acts } = playStories({
    runs: wholeNumber("runs", values.runs),
    ...(seed === undefined ? {} : { seed: Number(seed) }),
    ...(path === undefined ? {} : { path }),
  });
  const seconds = ((performance.now() - began) / 1000).toFixed(1);
  const unseen = TABLE_MOVES.filter((name) => !moves.has(name));
  if (unseen.length > 0) console.log(`Moves that no story took: ${unseen.join(", ")}`);
  console.log(`Acts: ${[...acts].map(([name, times]) => `${name} ${times}`).join(", ")}`);
  console.log(`${values.runs} stories, ${steps} steps, ${seconds} s: every rule held after every step`);
}

if (import.meta.main) main();
