/** What a run counts: faults, states that were reached, and verdicts. */

/** What must never be. Each verdict of a run is a bug in the product, or in the simulator. */
export const VERDICTS = {
  paid_twice:
    "A provider's book pays, or may still pay, more for an order than it asked for, and keeps its word in that.",
  no_intent: "A request left, or an operation is at a provider, without a committed intent that matches it.",
  second_send: "A reference was sent again although its last request may have arrived.",
  no_room: "A payout is made or sent although, by all that we know, its order has no room for it.",
  lost: "A client was told 201 and the order is not there, or the book has an operation that we do not know.",
  false_final: "We say paid or not paid, and the provider's book says otherwise.",
  overpaid:
    "We say that more was paid than an order covers though the provider kept its word: its hold was let go early.",
  refund_beyond: "More than was paid is let go back.",
  unbalanced: "The ledger does not add up.",
  arithmetic: "The sums of a request do not follow from its payouts.",
  illegal_move: "A change of status is no move of its table, or stands in no history row.",
  open_part: "More than one payout of a part is planned or open, or its successor has no evidence to stand on.",
  stuck: "Something is not final, and nothing will ever look at it again.",
  broken: "The engine reported a bug, or the store refused a change.",
} as const;
export type Verdict = keyof typeof VERDICTS;

export interface Found {
  readonly verdict: Verdict;
  readonly time: number;
  readonly what: string;
}

/** Verdicts beyond this many of one run tell nothing new. */
const FOUND_MAX = 20;

export class Tally {
  readonly faults = new Map<string, number>();
  readonly #lastFault = new Map<string, number>();
  /** Situations that the simulation wants to meet often, by name. */
  readonly reached = new Map<string, number>();
  readonly found: Found[] = [];
  readonly #clock: () => number;

  constructor(clock: () => number) {
    this.#clock = clock;
  }

  fault(kind: string): void {
    this.faults.set(kind, (this.faults.get(kind) ?? 0) + 1);
    this.#lastFault.set(kind, this.#clock());
  }

  /** Whether one of these faults has struck since then. */
  hasStruckSince(time: number, ...kinds: readonly string[]): boolean {
    return kinds.some((kind) => (this.#lastFault.get(kind) ?? -1) >= time);
  }

  reach(name: string): void {
    this.reached.set(name, (this.reached.get(name) ?? 0) + 1);
  }

  judge(verdict: Verdict, what: string): void {
    if (this.found.length < FOUND_MAX) this.found.push({ verdict, time: this.#clock(), what });
  }
}
