/** The campaign: a shop that orders, a Bursar that is struck down again and again, and the verdict at the end. */
import { setTimeout as sleep } from "node:timers/promises";
import { judge, type Verdicts } from "./audit.ts";
import { Dice } from "./dice.ts";
import type { Finding } from "./judgement.ts";
import { Lines, leastHits, POINT_NAMES, type Point } from "./points.ts";
import { clear, Gateway, leftOvers, newPlace, type Place, postmasterPid, sandboxPid, signal } from "./processes.ts";
import { endSessions } from "./records.ts";
import { leadThrough } from "./setup.ts";
import { SCENARIOS, type Scenario, Shop } from "./shop.ts";
import { type Strike, Strikes } from "./strikes.ts";

export interface CampaignOptions {
  /** How often Bursar is killed. */
  readonly kills: number;
  /** No further kill after so long; null: no limit. */
  readonly limitMs: number | null;
  readonly seed: number;
  /** About one kill in so many hits the provider, or PostgreSQL, as well. Default: 10 and 15. */
  readonly sandboxEvery?: number;
  readonly databaseEvery?: number;
  /** What orders may ask of the provider; default: everything that the shop knows. */
  readonly without?: readonly Scenario[];
  readonly print: (line: string) => void;
  /** Aborted: everything is ended at once, and the campaign rejects. */
  readonly signal?: AbortSignal;
}

export interface CampaignReport {
  readonly kills: number;
  readonly sandboxKills: number;
  readonly databaseKills: number;
  readonly killsDuringStart: number;
  /** Kills at each named point; all others came at a random time. */
  readonly hits: ReadonlyMap<Point, number>;
  /** Named kills whose point did not come in time, so that they fell at a random time. */
  readonly missed: number;
  /** Answers to COMMIT that were cut off, and sessions that were ended in a transaction. */
  readonly cuts: number;
  readonly endedSessions: number;
  readonly acknowledged: number;
  readonly unanswered: number;
  readonly seconds: number;
  readonly longestStartMs: number;
  readonly verdicts: Verdicts;
  /** What was logged at level error, by text, and how often: there is nothing to complain about after a kill. */
  readonly faults: ReadonlyMap<string, number>;
  /** The same at level warn, which is how weather is told. */
  readonly warnings: ReadonlyMap<string, number>;
}

/** The campaign was told to end. */
export class Interrupted extends Error {
  override readonly name = "Interrupted";
}

const ERROR_LEVEL = 50;
const BURST_LIMIT_MS = 30_000;
const FINISH_LIMIT_MS = 60_000;
const POINT_LIMIT_MS = 10_000;
const CUT_LIMIT_MS = 5_000;
const SESSIONS_LIMIT_MS = 500;
/** Commits that go well before one is cut off. */
const CUT_SKIP_MAX = 5;
/** Of cuts and ended sessions there is at least one in so many kills. */
const KILLS_PER_FAULT = 50;

class Campaign {
  readonly place: Place;
  readonly lines: Lines;
  readonly shop: Shop;
  readonly findings: Finding[] = [];
  readonly faults = new Map<string, number>();
  readonly warnings = new Map<string, number>();
  kills = 0;
  sandboxKills = 0;
  databaseKills = 0;
  killsDuringStart = 0;
  readonly hits = new Map<Point, number>(POINT_NAMES.map((point) => [point, 0]));
  missed = 0;
  cuts = 0;
  endedSessions = 0;
  longestStartMs = 0;
  #running: Gateway | null = null;
  #isOver = false;
  readonly #options: CampaignOptions;
  readonly #dice: Dice;
  readonly #strikes: Strikes;
  readonly #began = performance.now();

  constructor(place: Place, lines: Lines, options: CampaignOptions) {
    this.place = place;
    this.lines = lines;
    this.#options = options;
    this.#dice = new Dice(options.seed);
    this.#strikes = new Strikes(this.#dice, {
      sandbox: options.sandboxEvery ?? 10,
      database: options.databaseEvery ?? 15,
    });
    const without = new Set<string>(options.without ?? []);
    const scenarios = Object.fromEntries(Object.entries(SCENARIOS).filter(([name]) => !without.has(name)));
    // The shop draws from a dice of its own: the strikes of a seed are the same, whatever the weather does to it.
    this.shop = new Shop({ place, url: lines.orders.url, dice: new Dice(options.seed ^ 0x5eed), scenarios });
  }

  get seconds(): number {
    return (performance.now() - this.#began) / 1_000;
  }

  async #launch(isThroughLine: boolean): Promise<Gateway> {
    const environment = isThroughLine ? await this.lines.throughDatabase() : this.lines.environment;
    if (this.#isOver) throw new Interrupted("interrupted");
    this.#running = new Gateway(this.place, [], environment);
    return this.#running;
  }

  /** Ends everything, wherever the campaign is. */
  async close(): Promise<void> {
    this.#isOver = true;
    await this.shop.close();
    this.#running?.kill("SIGKILL");
    await this.#running?.ended;
    await this.lines.close();
    await clear(this.place);
  }

  /** Starts Bursar and waits until it is ready, however often that takes; a start that ends by itself is a finding. */
  async start(isThroughLine = false): Promise<Gateway> {
    for (let tries = 1; ; tries += 1) {
      const began = performance.now();
      const gateway = await this.#launch(isThroughLine);
      if (await gateway.ready) {
        this.longestStartMs = Math.max(this.longestStartMs, performance.now() - began);
        return gateway;
      }
      await this.note(gateway, true);
      this.findings.push({ verdict: "failed start", referenceId: null, what: gateway.output.slice(-2_000).trim() });
      if (tries === 5) throw new Error(`Bursar does not start:\n${gateway.output}`);
    }
  }

  /** Keeps what a run of Bursar had to say about faults, once it has ended. `isExcused`: it may end by itself. */
  async note(gateway: Gateway, isExcused = false): Promise<void> {
    const ending = await gateway.ended;
    for (const { level, what } of gateway.faults) {
      const counts = level >= ERROR_LEVEL ? this.faults : this.warnings;
      counts.set(what, (counts.get(what) ?? 0) + 1);
    }
    // Without a signal it ended by itself: because its database went, or because it broke.
    if (
      !isExcused &&
      ending.signal === null &&
      !gateway.output.includes("The database has gone") &&
      ending.code !== 0
    ) {
      this.findings.push({ verdict: "crash", referenceId: null, what: gateway.output.slice(-2_000).trim() });
    }
  }

  async round(): Promise<void> {
    const strike = this.#strikes.draw();
    const { instant } = strike;
    let gateway: Gateway;
    if (instant.kind === "start") {
      gateway = await this.#launch(strike.isThroughLine);
      await Promise.race([sleep(instant.afterMs), gateway.ended]);
      this.killsDuringStart += 1;
    } else {
      gateway = await this.start(strike.isThroughLine);
      await this.#disturb(strike, gateway);
    }
    if (instant.kind === "work") {
      await this.#burst(instant.burst, gateway);
      await sleep(instant.afterMs);
    }
    if (instant.kind === "named") await this.#killAt(instant, gateway);
    await this.#strike(gateway, strike);
    const isHitWhileStarting = instant.kind === "start" && (strike.sandbox || strike.database !== null);
    await this.note(gateway, isHitWhileStarting);
    await sleep(strike.restMs);
  }

  /** Faults of the database that Bursar lives through. */
  async #disturb({ cuts, endedSessions }: Strike, gateway: Gateway): Promise<void> {
    for (let left = cuts; left > 0; left--) {
      const at = { point: "commit_done", skip: this.#dice.below(CUT_SKIP_MAX), limitMs: CUT_LIMIT_MS } as const;
      if (!(await this.lines.until(at, (cut) => cut()))) continue;
      this.cuts += 1;
      // Nothing is killed before it has found out what became of that commit: orders wait for the one before.
      await this.#burst(1, gateway);
    }
    if (endedSessions > 0) this.endedSessions += await endSessions(this.place, endedSessions, SESSIONS_LIMIT_MS);
  }

  /** Kills in the very instant of a named point; where that does not come, `#strike` does it later. */
  async #killAt({ point, skip }: { point: Point; skip: number }, gateway: Gateway): Promise<void> {
    const isHit = await this.lines.until({ point, skip, limitMs: POINT_LIMIT_MS }, () => gateway.kill("SIGKILL"));
    if (isHit) this.hits.set(point, (this.hits.get(point) ?? 0) + 1);
    else this.missed += 1;
  }

  async #strike(gateway: Gateway, strike: Strike): Promise<void> {
    const victims = [
      async () => {
        if (strike.sandbox && signal(await sandboxPid(this.place), "SIGKILL")) this.sandboxKills += 1;
      },
      async () => {
        const name = strike.database;
        if (name !== null && signal(postmasterPid(this.place), name)) this.databaseKills += 1;
      },
    ];
    const bursar = async (): Promise<void> => void gateway.kill("SIGKILL");
    for (const hit of strike.isBursarFirst ? [bursar, ...victims] : [...victims, bursar]) {
      await hit();
      if (strike.sandbox || strike.database !== null) await sleep(strike.gapMs);
    }
    this.kills += 1;
  }

  /** Waits for so many acknowledgements more. */
  async #burst(count: number, gateway: Gateway): Promise<void> {
    const wanted = this.shop.acknowledged.size + count;
    const deadline = Date.now() + BURST_LIMIT_MS;
    while (this.shop.acknowledged.size < wanted) {
      if (Date.now() > deadline) {
        const what = `${this.shop.open} orders open, no burst of ${count} in ${BURST_LIMIT_MS} ms`;
        this.findings.push({
          verdict: "no answers",
          referenceId: null,
          what: `${what}\n${gateway.output.slice(-2_000)}`,
        });
        return;
      }
      await sleep(2);
    }
  }

  progress(): void {
    const { acknowledged, unanswered, surprises } = this.shop;
    this.#options.print(
      `kills ${this.kills}/${this.#options.kills} (sandbox ${this.sandboxKills}, database ${this.databaseKills}, ` +
        `during start ${this.killsDuringStart}, at named points ${sum(this.hits)}), acknowledged ${acknowledged.size}, unanswered ${unanswered}, ` +
        `surprises ${surprises.length}, ${this.seconds.toFixed(0)} s`,
    );
  }

  /** A campaign proves nothing about what it was there for and did not do. */
  #checkReached(): void {
    const add = (name: string, count: number, least: number): void => {
      const what = `${name}: ${count} times in ${this.kills} kills, at least ${least} expected`;
      if (count < least) this.findings.push({ verdict: "not reached", referenceId: null, what });
    };
    for (const [point, count] of this.hits) add(point, count, leastHits(this.kills));
    const faults = Math.floor(this.kills / KILLS_PER_FAULT);
    add("answers to COMMIT cut off", this.cuts, faults);
    add("sessions ended in a transaction", this.endedSessions, faults);
  }

  async run(): Promise<Verdicts> {
    const { kills, limitMs } = this.#options;
    // The first start is whole: it makes the database, the demo's accounts, and their funds.
    const first = await this.start();
    await leadThrough(this.place, this.lines.provider.url);
    this.shop.start();
    await this.#burst(20, first);
    first.kill("SIGKILL");
    this.kills += 1;
    await this.note(first);
    const limit = (limitMs ?? Number.POSITIVE_INFINITY) / 1_000;
    while (this.kills < kills && this.seconds < limit) {
      await this.round();
      if (this.kills % 10 === 0) this.progress();
    }
    this.#checkReached();
    const last = await this.start();
    const startedAt = performance.now();
    await this.shop.finish(FINISH_LIMIT_MS);
    if (this.shop.open > 0) {
      this.findings.push({ verdict: "no answers", referenceId: null, what: `${this.shop.open} orders never answered` });
    }
    const verdicts = await judge({ place: this.place, shop: this.shop, startedAt, findings: this.findings });
    const ending = await last.stop();
    await this.note(last);
    const left = await leftOvers(this.place);
    if (ending.code !== 0 || left.length > 0) {
      const what = `SIGTERM ended it with ${ending.code ?? ending.signal}, still running: ${left.join(", ") || "nothing"}`;
      verdicts.findings.push({ verdict: "unclean stop", referenceId: null, what });
    }
    return verdicts;
  }
}

function sum(counts: ReadonlyMap<string, number>): number {
  return [...counts.values()].reduce((total, count) => total + count, 0);
}

/** Runs a campaign on a data directory of its own, which is thrown away at the end. */
export async function runCampaign(options: CampaignOptions): Promise<CampaignReport> {
  const place = await newPlace("torture");
  const campaign = new Campaign(place, await Lines.start(place), options);
  try {
    const interrupted = new Promise<never>((_, reject) => {
      options.signal?.addEventListener("abort", () => reject(new Interrupted("interrupted")));
    });
    const verdicts = await Promise.race([campaign.run(), interrupted]);
    const { kills, sandboxKills, databaseKills, killsDuringStart, hits, missed, cuts, endedSessions } = campaign;
    const { seconds, longestStartMs, faults, warnings, shop } = campaign;
    const acknowledged = shop.acknowledged.size;
    const counts = { kills, sandboxKills, databaseKills, killsDuringStart, hits, missed, cuts, endedSessions };
    return {
      ...counts,
      acknowledged,
      unanswered: shop.unanswered,
      seconds,
      longestStartMs,
      verdicts,
      faults,
      warnings,
    };
  } finally {
    await campaign.close();
  }
}
