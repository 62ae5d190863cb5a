/** JSON as the database gives it back: read natively where that is right, and by core/json.ts where it is not. */
import { isKeptByDouble, type JsonRules, scanJson } from "../core/json.ts";
import { assert } from "../core/result.ts";

/** A number this long may have more digits than a double keeps. (In a string it only costs time.) */
const LONG_NUMBER = /(?:^|[[:,\s])-?[\d.]{16}/;
/** A string and, when it is a key, what stands behind it. */
const STRING_OR_KEY = /"[^"\\]*(?:\\[\s\S][^"\\]*)*"(\s*:)?/g;

const RULES: JsonRules = {
  number(text) {
    assert(isKeptByDouble(text), "a JSON number does not fit into a double");
    return Number(text);
  },
};

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
  return scanJson(text, RULES);
}
