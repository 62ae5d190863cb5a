/** What the campaign draws: when Bursar is struck down, and who and what besides. */
import type { Dice } from "./dice.ts";
import { isDatabasePoint, POINT_NAMES, type Point } from "./points.ts";

/** The instant of a kill: a named point after some that are passed, or any time of a start or of the work after it. */
export type Instant =
  | { readonly kind: "named"; readonly point: Point; readonly skip: number }
  | { readonly kind: "start"; readonly afterMs: number }
  | { readonly kind: "work"; readonly burst: number; readonly afterMs: number };

export interface Strike {
  readonly instant: Instant;
  /** Whether Bursar runs on a DATABASE_URL, which leads through a line; else it keeps its PostgreSQL itself. */
  readonly isThroughLine: boolean;
  /** Before the kill: answers to COMMIT that are cut off (on the line only), sessions ended in their transaction. */
  readonly cuts: number;
  readonly endedSessions: number;
  readonly sandbox: boolean;
  readonly database: "SIGKILL" | "SIGQUIT" | null;
  /** Milliseconds between the victims: long enough at times for Bursar to live without the others. */
  readonly gapMs: number;
  /** A named point is Bursar's: there it is always first. */
  readonly isBursarFirst: boolean;
  /** Until the next start. */
  readonly restMs: number;
}

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

/** Dealt in random order: each comes once before one comes again, so that few kills reach all. */
class Deck<Card> {
  readonly #dice: Dice;
  readonly #cards: readonly Card[];
  #left: Card[] = [];

  constructor(dice: Dice, cards: readonly Card[]) {
    this.#dice = dice;
    this.#cards = cards;
  }

  deal(): Card {
    if (this.#left.length === 0) this.#left = [...this.#cards];
    const [card] = this.#left.splice(this.#dice.below(this.#left.length), 1);
    if (card === undefined) throw new Error("there are cards");
    return card;
  }
}

/** Half of the kills fall at named points; of the others about a third while Bursar starts. */
const KINDS = ["named", "named", "named", "start", "work", "work"] as const;
const SKIP_MAX = 12;
/** Where the database is disturbed on the way to a kill, and where Bursar then runs through the line: two in five. */
const TWO_IN_FIVE = [true, true, false, false, false] as const;

export class Strikes {
  readonly #dice: Dice;
  readonly #sandbox: Turn;
  readonly #database: Turn;
  readonly #kinds: Deck<Instant["kind"]>;
  readonly #points: Deck<Point>;
  /** Dealt as well: a campaign of fifty kills must have some of each, and by chance alone one in two thousand has none. */
  readonly #disturbed: Deck<boolean>;
  readonly #lines: Deck<boolean>;

  constructor(dice: Dice, every: { readonly sandbox: number; readonly database: number }) {
    this.#dice = dice;
    this.#sandbox = new Turn(dice, every.sandbox);
    this.#database = new Turn(dice, every.database);
    this.#kinds = new Deck(dice, KINDS);
    this.#points = new Deck(dice, POINT_NAMES);
    this.#disturbed = new Deck(dice, TWO_IN_FIVE);
    this.#lines = new Deck(dice, TWO_IN_FIVE);
  }

  draw(): Strike {
    const dice = this.#dice;
    const instant = this.#instant();
    const isNamed = instant.kind === "named";
    const isDisturbed = instant.kind !== "start" && this.#disturbed.deal();
    const isLed = isDisturbed ? this.#lines.deal() : dice.chance(0.3);
    const isThroughLine = isLed || (isNamed && isDatabasePoint(instant.point));
    return {
      instant,
      isThroughLine,
      cuts: isThroughLine && isDisturbed ? 1 + dice.below(2) : 0,
      endedSessions: isDisturbed ? dice.below(3) : 0,
      sandbox: this.#sandbox.take(),
      database: this.#database.take() ? (dice.chance(0.5) ? "SIGKILL" : "SIGQUIT") : null,
      gapMs: dice.chance(0.3) ? dice.below(2_500) : dice.below(150),
      isBursarFirst: isNamed || dice.chance(0.5),
      restMs: dice.chance(0.5) ? 0 : dice.below(300),
    };
  }

  #instant(): Instant {
    const dice = this.#dice;
    const kind = this.#kinds.deal();
    if (kind === "named") return { kind, point: this.#points.deal(), skip: dice.below(SKIP_MAX) };
    if (kind === "start") return { kind, afterMs: dice.below(1_500) };
    return { kind, burst: dice.chance(0.1) ? 1 : 5 + dice.below(40), afterMs: dice.below(400) };
  }
}
