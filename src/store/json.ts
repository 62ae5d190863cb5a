/**
 * JSON without surprises. Two things that JSON.parse does are not for money: it turns long numbers into other numbers,
 * and V8 up to 14.6 misreads escaped keys: once any object with the key "\\" was parsed, `{"a":1,"\n":2}` may come out
 * with the key "\\" too (github.com/nodejs/node/issues/63785). Texts with neither go to JSON.parse, the rest is read here.
 */
import { assert } from "../core/result.ts";

/** A number this long may have more digits than a double keeps. (In a string it only costs time.) */
const LONG_NUMBER = /(?:^|[[:,\s])-?[\d.]{16}/;
/** A string and, when it is a key, what stands behind it. */
const STRING_OR_KEY = /"[^"\\]*(?:\\[\s\S][^"\\]*)*"(\s*:)?/g;

const SPACE = /[ \t\n\r]*/y;
const STRING = /"[^"\\]*(?:\\[\s\S][^"\\]*)*"/y;
const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const WORD = /true|false|null/y;
const WORDS: Readonly<Record<string, boolean | null>> = { true: true, false: false, null: null };

/** A decimal number without its spelling: digits and power of ten. */
function canonical(number: string): string {
  const parts = /^(-?)(\d+)(?:\.(\d+))?(?:e([+-]?\d+))?$/i.exec(number);
  const [, sign = "", whole = "", fraction = "", power = "0"] = parts ?? [];
  const all = (whole + fraction).replace(/^0+/, "");
  const kept = all.replace(/0+$/, "");
  return kept === "" ? "0" : `${sign}${kept}e${Number(power) - fraction.length + all.length - kept.length}`;
}

class Scan {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  whole(): unknown {
    const value = this.#value();
    if (this.#at !== this.#text.length) this.#fail();
    return value;
  }

  #fail(): never {
    throw new SyntaxError(`no JSON at character ${this.#at}`);
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
    this.#at++;
    this.#take(SPACE);
    return true;
  }

  #value(): unknown {
    this.#take(SPACE);
    const value = this.#is("{") ? this.#object() : this.#is("[") ? this.#array() : this.#scalar();
    this.#take(SPACE);
    return value;
  }

  #scalar(): unknown {
    const string = this.#take(STRING);
    // A string alone is read rightly, and its escapes are checked.
    if (string !== null) return JSON.parse(string);
    const word = this.#take(WORD);
    if (word !== null) return WORDS[word];
    const number = this.#take(NUMBER) ?? this.#fail();
    const value = Number(number);
    assert(canonical(number) === canonical(String(value)), "a JSON number does not fit into a double");
    return value;
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
      const key = this.#take(STRING) ?? this.#fail();
      this.#take(SPACE);
      if (!this.#is(":")) this.#fail();
      members.push([String(JSON.parse(key)), this.#value()]);
    } while (this.#is(","));
    if (!this.#is("}")) this.#fail();
    return Object.fromEntries(members);
  }
}

function hasEscapedKey(text: string): boolean {
  if (!text.includes("\\")) return false;
  for (const [string, colon] of text.matchAll(STRING_OR_KEY)) {
    if (colon !== undefined && string.includes("\\")) return true;
  }
  return false;
}

/**
 * @throws SyntaxError when the text is no JSON; InvariantBroken when a number in it would be read as another number.
 * What JSON.stringify wrote is always read.
 */
export function parseJson(text: string): unknown {
  if (!LONG_NUMBER.test(text) && !hasEscapedKey(text)) return JSON.parse(text);
  return new Scan(text).whole();
}
