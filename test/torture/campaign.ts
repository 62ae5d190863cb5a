/** The campaign: a shop that orders, a Bursar that is struck down again and again, and the verdict at the end. */
import { setTimeout as sleep } from "node:timers/promises";
import { type Finding, judge, type Verdicts } from "./audit.ts";
import { Dice } from "./dice.ts";
import { clear, Gateway, leftOvers, newPlace, type Place, postmasterPid, sandboxPid, signal } from "./processes.ts";
import { SCENARIOS, type Scenario, Shop } from "./shop.ts";

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

/** One strike: when, and who besides Bursar. */
interface Strike {
  /** Milliseconds into the start; null: after a burst of acknowledgements. */
  readonly duringStartMs: number | null;
  readonly burst: number;
  readonly afterBurstMs: number;
  readonly sandbox: boolean;
  readonly database: "SIGKILL" | "SIGQUIT" | null;
  /** Milliseconds between the victims: long enough at times for Bursar to live without the others. */
  readonly gapMs: number;
  readonly isBursarFirst: boolean;
  /** Until the next start. */
  readonly restMs: number;
}

const ERROR_LEVEL = 50;
const BURST_LIMIT_MS = 15_000;
const FINISH_LIMIT_MS = 30_000;

/** Something that comes around every so often, give or take a third. */
class Turn {
  readonly #dice: Dice;
  readonly #every: number;
  #left: number;

  constructor(dice: Dice, every: number) {
    this.#dice = dice;
    this.#every = every;
    this.#left = 1 + dice.below(every);
  }

  take(): boolean {
    this.#left -= 1;
    if (this.#left > 0) return false;
    const third = Math.ceil(this.#every / 3);
    this.#left = this.#every - third + this.#dice.below(2 * third + 1);
    return true;
  }
}

function drawStrike(dice: Dice, turns: { readonly sandbox: Turn; readonly database: Turn }): Strike {
  return {
    duringStartMs: dice.chance(0.2) ? dice.below(1_500) : null,
    burst: dice.chance(0.1) ? 1 : 5 + dice.below(40),
    afterBurstMs: dice.below(400),
    sandbox: turns.sandbox.take(),
    database: turns.database.take() ? (dice.chance(0.5) ? "SIGKILL" : "SIGQUIT") : null,
    gapMs: dice.chance(0.3) ? dice.below(2_500) : dice.below(150),
    isBursarFirst: dice.chance(0.5),
    restMs: dice.chance(0.5) ? 0 : dice.below(300),
  };
}

class Campaign {
  readonly place: Place;
  readonly shop: Shop;
  readonly findings: Finding[] = [];
  readonly faults = new Map<string, number>();
  readonly warnings = new Map<string, number>();
  kills = 0;
  sandboxKills = 0;
  databaseKills = 0;
  killsDuringStart = 0;
  longestStartMs = 0;
  #running: Gateway | null = null;
  #isOver = false;
  readonly #options: CampaignOptions;
  readonly #dice: Dice;
  readonly #turns: { readonly sandbox: Turn; readonly database: Turn };
  readonly #began = performance.now();

  constructor(place: Place, options: CampaignOptions) {
    this.place = place;
    this.#options = options;
    const dice = new Dice(options.seed);
    this.#dice = dice;
    this.#turns = {
      sandbox: new Turn(dice, options.sandboxEvery ?? 10),
      database: new Turn(dice, options.databaseEvery ?? 15),
    };
    const without = new Set<string>(options.without ?? []);
    const scenarios = Object.fromEntries(Object.entries(SCENARIOS).filter(([name]) => !without.has(name)));
    // The shop draws from a dice of its own: the strikes of a seed are the same, whatever the weather does to it.
    this.shop = new Shop({ place, dice: new Dice(options.seed ^ 0x5eed), scenarios });
  }

  get seconds(): number {
    return (performance.now() - this.#began) / 1_000;
  }

  #launch(): Gateway {
    if (this.#isOver) throw new Interrupted("interrupted");
    this.#running = new Gateway(this.place);
    return this.#running;
  }

  /** Ends everything, wherever the campaign is. */
  async close(): Promise<void> {
    this.#isOver = true;
    await this.shop.close();
    this.#running?.kill("SIGKILL");
    await this.#running?.ended;
    await clear(this.place);
  }

  /** Starts Bursar and waits until it is ready, however often that takes; a start that ends by itself is a finding. */
  async start(): Promise<Gateway> {
    for (let tries = 1; ; tries += 1) {
      const began = performance.now();
      const gateway = this.#launch();
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
    const strike = drawStrike(this.#dice, this.#turns);
    let gateway: Gateway;
    if (strike.duringStartMs === null) {
      gateway = await this.start();
      await this.#burst(strike.burst, gateway);
      await sleep(strike.afterBurstMs);
    } else {
      gateway = this.#launch();
      await Promise.race([sleep(strike.duringStartMs), gateway.ended]);
      this.killsDuringStart += 1;
    }
    await this.#strike(gateway, strike);
    const isHitWhileStarting = strike.duringStartMs !== null && (strike.sandbox || strike.database !== null);
    await this.note(gateway, isHitWhileStarting);
    await sleep(strike.restMs);
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
        `during start ${this.killsDuringStart}), acknowledged ${acknowledged.size}, unanswered ${unanswered}, ` +
        `surprises ${surprises.length}, ${this.seconds.toFixed(0)} s`,
    );
  }

  async run(): Promise<Verdicts> {
    const { kills, limitMs } = this.#options;
    // The first start is whole: it makes the database, the demo's accounts, and their funds.
    const first = await this.start();
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

/** Runs a campaign on a data directory of its own, which is thrown away at the end. */
export async function runCampaign(options: CampaignOptions): Promise<CampaignReport> {
  const place = await newPlace("torture");
  const campaign = new Campaign(place, options);
  try {
    const interrupted = new Promise<never>((_, reject) => {
      options.signal?.addEventListener("abort", () => reject(new Interrupted("interrupted")));
    });
    const verdicts = await Promise.race([campaign.run(), interrupted]);
    const { kills, sandboxKills, databaseKills, killsDuringStart, seconds, longestStartMs, faults, warnings, shop } =
      campaign;
    return {
      kills,
      sandboxKills,
      databaseKills,
      killsDuringStart,
      acknowledged: shop.acknowledged.size,
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
