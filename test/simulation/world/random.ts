/**
 * The only randomness of a simulation: a small generator (sfc32) that a seed determines completely. Streams with
 * names keep concerns apart: a draw more in the network does not change the workload.
 */
import { createHash } from "node:crypto";
import { assert } from "../../../src/core/result.ts";

const TWO_TO_32 = 4_294_967_296;

export class Random {
  readonly #seed: string;
  #a: number;
  #b: number;
  #c: number;
  #counter = 1;

  constructor(seed: string) {
    this.#seed = seed;
    const hash = createHash("sha256").update(seed).digest();
    this.#a = hash.readInt32LE(0);
    this.#b = hash.readInt32LE(4);
    this.#c = hash.readInt32LE(8);
  }

  /** A stream of its own, the same for the same name however much was drawn here. */
  stream(name: string): Random {
    return new Random(`${this.#seed}/${name}`);
  }

  /** 32 random bits. */
  bits(): number {
    const sum = (this.#a + this.#b + this.#counter) | 0;
    this.#counter = (this.#counter + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = ((this.#c << 21) | (this.#c >>> 11)) + sum;
    return sum >>> 0;
  }

  /** A whole number from `least` to `most`, both included. */
  between(least: number, most: number): number {
    assert(Number.isSafeInteger(least) && most >= least, "a range has whole ends in order");
    return least + Math.floor((this.bits() / TWO_TO_32) * (most - least + 1));
  }

  /** Like `between`, but every other time close to an end: bounds are broken at their edges. */
  edgy(least: number, most: number): number {
    const margin = Math.floor((most - least) / 20);
    if (this.chance(0.5)) return this.between(least, most);
    return this.chance(0.5) ? this.between(least, least + margin) : this.between(most - margin, most);
  }

  chance(probability: number): boolean {
    return this.bits() / TWO_TO_32 < probability;
  }

  pick<T>(from: readonly T[]): T {
    const value = from[this.between(0, from.length - 1)];
    assert(value !== undefined, "there is something to pick from");
    return value;
  }

  /** One of the keys, as often as its weight says. */
  weighted<K extends string>(weights: Readonly<Record<K, number>>): K {
    const entries = Object.entries(weights) as [K, number][];
    const total = entries.reduce((sum, [, weight]) => sum + weight, 0);
    let ticket = (this.bits() / TWO_TO_32) * total;
    for (const [key, weight] of entries) {
      if (ticket < weight) return key;
      ticket -= weight;
    }
    const last = entries.findLast(([, weight]) => weight > 0);
    assert(last !== undefined, "some weight is above zero");
    return last[0];
  }

  bytes(count: number): Uint8Array {
    const bytes = new Uint8Array(count);
    for (let at = 0; at < count; at += 1) bytes[at] = this.bits() & 255;
    return bytes;
  }
}
