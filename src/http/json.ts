/**
 * JSON in and out without loss. Read by hand: JSON.parse turns 38 digits into other digits, recurses without a bound,
 * and V8 up to 14.6 misreads escaped keys (github.com/nodejs/node/issues/63785). Strings alone go to JSON.parse.
 */
import { readDecimal } from "../core/money.ts";
import { Exact } from "../core/views.ts";

/** The text is no JSON, or JSON that nobody sends in good faith. The message may be shown. */
export class MalformedJson extends Error {
  override readonly name = "MalformedJson";
}

/** Deep enough for every body that we know; a stack is not. */
export const MAX_DEPTH = 64;
/** Any decimal of so many characters, without an exponent, comes back from a double as it was. */
const SAFE_LENGTH = 15;

const SPACE = /[ \t\n\r]*/y;
const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const WORD = /true|false|null/y;
const WORDS: Readonly<Record<string, boolean | null>> = { true: true, false: false, null: null };
/** Whatever a string cannot have as it is: control characters and the backslash. */
const UNPLAIN = /[^ -[\]-\u{10ffff}]/u;

class Scan {
  readonly #text: string;
  #at = 0;
  #depth = 0;

  constructor(text: string) {
    this.#text = text;
  }

  whole(): unknown {
    const value = this.#value();
    if (this.#at !== this.#text.length) this.#fail();
    return value;
  }

  #fail(): never {
    throw new MalformedJson(`There is no JSON at character ${this.#at}.`);
  }

  #take(pattern: RegExp): string | null {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#text);
    if (found === null) return null;
    this.#at += found[0].length;
    return found[0];
  }

  /** Whether the next character is this one; then it and the space behind it are taken. */
  #is(character: string): boolean {
    if (this.#text[this.#at] !== character) return false;
    this.#at += 1;
    this.#take(SPACE);
    return true;
  }

  #value(): unknown {
    this.#take(SPACE);
    this.#depth += 1;
    if (this.#depth > MAX_DEPTH) throw new MalformedJson(`The JSON is nested more than ${MAX_DEPTH} deep.`);
    const value = this.#is("{") ? this.#object() : this.#is("[") ? this.#array() : this.#scalar();
    this.#depth -= 1;
    this.#take(SPACE);
    return value;
  }

  #scalar(): unknown {
    if (this.#text[this.#at] === '"') return this.#string();
    const word = this.#take(WORD);
    if (word !== null) return WORDS[word];
    return toNumber(this.#take(NUMBER) ?? this.#fail());
  }

  #string(): string {
    const start = this.#at;
    if (this.#text[start] !== '"') this.#fail();
    let end = this.#text.indexOf('"', start + 1);
    while (end !== -1 && this.#isEscaped(end)) end = this.#text.indexOf('"', end + 1);
    if (end === -1) this.#fail();
    this.#at = end + 1;
    const inner = this.#text.slice(start + 1, end);
    if (!UNPLAIN.test(inner)) return inner;
    try {
      return JSON.parse(this.#text.slice(start, end + 1)) as string;
    } catch {
      this.#at = start;
      return this.#fail();
    }
  }

  /** Whether an odd number of backslashes stands before this place. */
  #isEscaped(at: number): boolean {
    let before = at;
    while (this.#text[before - 1] === "\\") before -= 1;
    return (at - before) % 2 === 1;
  }

  #array(): unknown[] {
    const values: unknown[] = [];
    if (this.#is("]")) return values;
    do values.push(this.#value());
    while (this.#is(","));
    if (!this.#is("]")) this.#fail();
    return values;
  }

  #object(): object {
    const members: Record<string, unknown> = {};
    if (this.#is("}")) return members;
    do {
      const key = this.#string();
      this.#take(SPACE);
      if (!this.#is(":")) this.#fail();
      const value = this.#value();
      if (isPoison(key, value)) throw new MalformedJson(`A member must not be called ${key}.`);
      members[key] = value;
    } while (this.#is(","));
    if (!this.#is("}")) this.#fail();
    return members;
  }
}

function isPoison(key: string, value: unknown): boolean {
  if (key === "__proto__") return true;
  return key === "constructor" && typeof value === "object" && value !== null && Object.hasOwn(value, "prototype");
}

/** A number as a number where that changes nothing, else as its own text. */
function toNumber(text: string): number | Exact {
  const value = Number(text);
  if (text.length <= SAFE_LENGTH && !text.includes("e") && !text.includes("E")) return value;
  const given = readDecimal(text);
  const kept = readDecimal(String(value));
  const isSame =
    given.ok && kept.ok && given.value.coefficient === kept.value.coefficient && given.value.scale === kept.value.scale;
  return isSame ? value : new Exact(text);
}

/**
 * Numbers that a double would change come as `Exact`.
 *
 * @throws MalformedJson
 */
export function parseJson(text: string): unknown {
  return new Scan(text).whole();
}

/** `Exact` numbers are written as they are, digit for digit. */
export function writeJson(value: unknown): string {
  return JSON.stringify(value);
}

/** No amount that we take needs more places; a text that would is left to whoever reads it. */
const MAX_PLACES = 60n;

/**
 * A number or a decimal text in one spelling, so that 1.10, "1.1" and 11e-1 are the same order. What is no decimal
 * stays as it is: whoever checks it says so.
 */
export function decimalText(value: unknown): unknown {
  if (typeof value !== "string" && typeof value !== "number" && !(value instanceof Exact)) return value;
  const text = value instanceof Exact ? value.text : String(value);
  const decimal = readDecimal(text);
  if (!decimal.ok) return text;
  const { coefficient, scale } = decimal.value;
  if (scale > MAX_PLACES || scale < -MAX_PLACES) return text;
  const digits = (coefficient < 0n ? -coefficient : coefficient).toString();
  const sign = coefficient < 0n ? "-" : "";
  if (scale <= 0n) return sign + digits + "0".repeat(Number(-scale));
  const padded = digits.padStart(Number(scale) + 1, "0");
  const point = padded.length - Number(scale);
  return `${sign}${padded.slice(0, point)}.${padded.slice(point)}`;
}
