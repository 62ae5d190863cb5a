/** Randomness with a seed. What is drawn from one dice depends on nothing but the draws before. */
export class Dice {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** From 0 to below 1 (mulberry32). */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = this.#state;
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  }

  /** A whole number from 0 to below `limit`. */
  below(limit: number): number {
    return Math.floor(this.next() * limit);
  }

  chance(probability: number): boolean {
    return this.next() < probability;
  }

  /** A name by its weight. */
  pick<Name extends string>(weights: Readonly<Partial<Record<Name, number>>>): Name {
    const rows = Object.entries(weights) as [Name, number][];
    let left = this.next() * rows.reduce((sum, [, weight]) => sum + weight, 0);
    const found = rows.find(([, weight]) => (left -= weight) < 0) ?? rows.at(-1);
    if (found === undefined) throw new Error("there is nothing to pick from");
    return found[0];
  }
}
