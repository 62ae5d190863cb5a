/** JSON in and out without loss: see core/json.ts for why it is read by hand. */
import { isKeptByDouble, type JsonRules, scanJson } from "../core/json.ts";
import { readDecimal } from "../core/money/money.ts";
import { Exact } from "../core/views/orders.ts";

function isPoison(key: string, value: unknown): boolean {
  if (key === "__proto__") return true;
  return key === "constructor" && typeof value === "object" && value !== null && Object.hasOwn(value, "prototype");
}

/** A number as a number where that changes nothing, else as its own text. */
const RULES: JsonRules = {
  number: (text) => (isKeptByDouble(text) ? Number(text) : new Exact(text)),
  isRefused: isPoison,
};

/**
 * Numbers that a double would change come as `Exact`.
 *
 * @throws MalformedJson
 */
export function parseJson(text: string): unknown {
  return scanJson(text, RULES);
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
