/**
 * JSON read by hand, for two reasons that matter where money is: JSON.parse turns 38 digits into other digits and
 * recurses without a bound, and V8 up to 14.6 misreads escaped keys once any object with the key "\\" was parsed
 * (github.com/nodejs/node/issues/63785). Strings alone go to JSON.parse: it reads those rightly.
 */
/** The text is no JSON, or JSON that nobody sends in good faith. The message may be shown. */
export class MalformedJson extends SyntaxError {
  override readonly name = "MalformedJson";
}

/** Deep enough for every body that we know; a stack is not. */
export const MAX_DEPTH = 64;

export interface JsonRules {
  /** What a number becomes, from its own text. */
  number(text: string): unknown;
  /** Members that nobody sends in good faith. */
  isRefused?(key: string, value: unknown): boolean;
}

/** Any decimal of so many characters, without an exponent, comes back from a double as it was. */
const SAFE_LENGTH = 15;

/** A decimal number without its spelling: digits and power of ten. */
function canonical(number: string): string {
  const parts = /^(-?)(\d+)(?:\.(\d+))?(?:e([+-]?\d+))?$/i.exec(number);
  const [, sign = "", whole = "", fraction = "", power = "0"] = parts ?? [];
  const all = (whole + fraction).replace(/^0+/, "");
  const kept = all.replace(/0+$/, "");
  return kept === "" ? "0" : `${sign}${kept}e${Number(power) - fraction.length + all.length - kept.length}`;
}

/** Whether a double keeps a number of JSON exactly as it is written. */
export function isKeptByDouble(text: string): boolean {
  if (text.length <= SAFE_LENGTH && !text.includes("e") && !text.includes("E")) return true;
  return canonical(text) === canonical(String(Number(text)));
}

const SPACE = /[ \t\n\r]*/y;
const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const WORD = /true|false|null/y;
const WORDS: Readonly<Record<string, boolean | null>> = { true: true, false: false, null: null };
/** Whatever a string cannot have as it is: control characters and the backslash. */
const UNPLAIN = /[^ -[\]-\u{10ffff}]/u;

class Scan {
  readonly #text: string;
  readonly #rules: JsonRules;
  #at = 0;
  #depth = 0;

  constructor(text: string, rules: JsonRules) {
    this.#text = text;
    this.#rules = rules;
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
    return this.#rules.number(this.#take(NUMBER) ?? this.#fail());
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
    const members: [string, unknown][] = [];
    if (this.#is("}")) return {};
    do {
      const key = this.#string();
      this.#take(SPACE);
      if (!this.#is(":")) this.#fail();
      const value = this.#value();
      if (this.#rules.isRefused?.(key, value)) throw new MalformedJson(`A member must not be called ${key}.`);
      members.push([key, value]);
    } while (this.#is(","));
    if (!this.#is("}")) this.#fail();
    return Object.fromEntries(members);
  }
}

/** @throws MalformedJson, and what the rules throw */
export function scanJson(text: string, rules: JsonRules): unknown {
  return new Scan(text, rules).whole();
}
