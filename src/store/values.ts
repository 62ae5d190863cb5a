/**
 * Values on their way into the database and back, by column type, as PostgreSQL's text form. The memory store sends
 * its values through here too, so that both refuse the same ones and give back the same ones.
 *
 * Nothing passes through a float but what is one: money is a bigint, a JSON number must survive a double unchanged.
 */

import { StoreRefused } from "../core/faults.ts";
import { assert } from "../core/result.ts";
import { type ColumnType, REFUSALS } from "./describe.ts";
import { parseJson } from "./json.ts";

const MONEY_MAX = 10n ** 38n;
const INT_MAX = 2 ** 31;
const TIME_MIN = Date.UTC(-1, 11, 31) + 366 * 86_400_000; // year 0 is 1 BC; the year 1 begins here
const TIME_MAX = Date.UTC(9999, 11, 31, 23, 59, 59, 999);
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

function refuse(type: ColumnType, value: unknown): never {
  throw new StoreRefused(REFUSALS.unstorable, new TypeError(`no ${type}: ${typeof value}`));
}

function encodeText(value: unknown): string {
  if (typeof value !== "string" || value.includes("\0") || !value.isWellFormed()) return refuse("text", value);
  return value;
}

function encodeUuid(value: unknown): string {
  if (typeof value !== "string" || !UUID.test(value)) return refuse("uuid", value);
  return value;
}

function encodeInt(value: unknown): string {
  if (!Number.isInteger(value) || (value as number) >= INT_MAX || (value as number) < -INT_MAX) {
    return refuse("int", value);
  }
  return `${value as number}`;
}

function encodeLong(value: unknown): string {
  if (!Number.isSafeInteger(value)) return refuse("long", value);
  return `${value as number}`;
}

function encodeMoney(value: unknown): string {
  if (typeof value !== "bigint" || value >= MONEY_MAX || value <= -MONEY_MAX) return refuse("money", value);
  return `${value}`;
}

function encodeFlag(value: unknown): string {
  if (typeof value !== "boolean") return refuse("flag", value);
  return value ? "t" : "f";
}

// Most rows of a batch carry the same few times.
let lastTime = 0;
let lastTimeText = "1970-01-01T00:00:00.000Z";

function encodeTime(value: unknown): string {
  if (value === lastTime) return lastTimeText;
  if (!Number.isInteger(value) || (value as number) < TIME_MIN || (value as number) > TIME_MAX) {
    return refuse("time", value);
  }
  lastTime = value as number;
  lastTimeText = new Date(lastTime).toISOString();
  return lastTimeText;
}

const SUSPICIOUS_ESCAPE = /\\u(?:0000|d[89a-f])/i;

function encodeJson(value: unknown): string {
  let text: string | undefined;
  try {
    text = JSON.stringify(value);
  } catch {
    return refuse("json", value);
  }
  if (text === undefined) return refuse("json", value);
  // jsonb has no zero character and no half of a surrogate pair; an escaped backslash before "u0000" is neither.
  if (SUSPICIOUS_ESCAPE.test(text) && SUSPICIOUS_ESCAPE.test(text.replaceAll("\\\\", ""))) return refuse("json", value);
  return text;
}

function encodeBytes(value: unknown): string {
  if (!(value instanceof Uint8Array)) return refuse("bytes", value);
  return `\\x${Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString("hex")}`;
}

function encodeTexts(value: unknown): string {
  if (!Array.isArray(value)) return refuse("texts", value);
  return `{${value.map((each) => quoteElement(encodeText(each))).join(",")}}`;
}

const TO_ESCAPE = /["\\]/g;

/** A text as an element of an array literal. */
function quoteElement(text: string): string {
  return `"${text.replace(TO_ESCAPE, "\\$&")}"`;
}

/**
 * A value as the text that PostgreSQL reads. Not for null.
 *
 * @throws StoreRefused `value_unstorable` when the column type cannot hold the value.
 */
export const ENCODE: Readonly<Record<ColumnType, (value: unknown) => string>> = {
  text: encodeText,
  uuid: encodeUuid,
  int: encodeInt,
  long: encodeLong,
  money: encodeMoney,
  flag: encodeFlag,
  time: encodeTime,
  json: encodeJson,
  bytes: encodeBytes,
  texts: encodeTexts,
};

const NEEDS_QUOTES: ReadonlySet<ColumnType> = new Set(["text", "json", "bytes", "texts"]);

/** One member of many rows as an array literal. */
export function encodeColumn(
  type: ColumnType,
  rows: readonly Readonly<Record<string, unknown>>[],
  name: string,
): string {
  const encode = ENCODE[type];
  const isQuoted = NEEDS_QUOTES.has(type);
  let literal = "{";
  for (const row of rows) {
    const value = row[name];
    if (literal.length > 1) literal += ",";
    if (value === null) literal += "NULL";
    else literal += isQuoted ? quoteElement(encode(value)) : encode(value);
  }
  return `${literal}}`;
}

const digits = (text: string, start: number, end: number): number => {
  let number = 0;
  for (let at = start; at < end; at++) number = number * 10 + text.charCodeAt(at) - 48;
  return number;
};

let lastRead = "";
let lastReadTime = 0;

/** `2026-11-21 02:11:22.123456+00`, as DateStyle ISO writes it in UTC, in whole milliseconds (the rest is dropped). */
function decodeTime(text: string): number {
  if (text === lastRead) return lastReadTime;
  assert(text.endsWith("+00") && text[10] === " ", "times are read in UTC and between the years 1 and 9999");
  let millis = 0;
  for (let at = 20; at < 23; at++) {
    const code = text.charCodeAt(at);
    millis = millis * 10 + (at < text.length - 3 && code >= 48 && code <= 57 ? code - 48 : 0);
  }
  const date = new Date(0);
  // Not Date.UTC: it takes the years 0 to 99 for 1900 to 1999.
  date.setUTCFullYear(digits(text, 0, 4), digits(text, 5, 7) - 1, digits(text, 8, 10));
  lastReadTime = date.setUTCHours(digits(text, 11, 13), digits(text, 14, 16), digits(text, 17, 19), millis);
  lastRead = text;
  return lastReadTime;
}

function decodeLong(text: string): number {
  const value = Number(text);
  assert(Number.isSafeInteger(value), "a whole number does not fit into a double");
  return value;
}

function decodeBytes(text: string): Uint8Array {
  assert(text.startsWith("\\x"), "bytes are read as hex");
  // A copy: a small Buffer is a view into memory that it shares.
  return new Uint8Array(Buffer.from(text.slice(2), "hex"));
}

/** A one-dimensional array literal of texts. */
function decodeTexts(text: string): string[] {
  const elements: string[] = [];
  const element = /"((?:[^"\\]|\\[\s\S])*)"|([^",{}]+)/g;
  for (const [, quoted, bare = ""] of text.matchAll(element)) {
    elements.push(quoted === undefined ? bare : quoted.replace(/\\([\s\S])/g, "$1"));
  }
  return elements;
}

/** What PostgreSQL wrote, as the value it stands for. Not for null. */
export const DECODE: Readonly<Record<ColumnType, (text: string) => unknown>> = {
  text: (text) => text,
  uuid: (text) => text,
  int: Number,
  long: decodeLong,
  money: BigInt,
  flag: (text) => text === "t",
  time: decodeTime,
  json: parseJson,
  bytes: decodeBytes,
  texts: decodeTexts,
};
