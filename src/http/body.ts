/** Reading a body by its route's schema: what is known and sound goes on, every fault is named, none stops the others. */
import type { InvalidField } from "../core/errors.ts";
import { Exact } from "../core/views/orders.ts";
import { decimalText } from "./json.ts";
import { refuse } from "./problem.ts";
import { DECIMAL_KEYWORD, DECIMAL_PATTERN } from "./schema.ts";

/** As much of a JSON schema as our bodies use. */
interface Schema {
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly additionalProperties?: boolean | Schema;
  readonly items?: Schema;
  readonly [DECIMAL_KEYWORD]?: string;
}

/** Whatever it is, it is kept. */
const ANYTHING: Schema = { additionalProperties: true };

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** The path of a member; of a list's, its place in brackets. */
function join(path: string, name: string): string {
  if (path === "") return name;
  return /^\d+$/.test(name) ? `${path}[${name}]` : `${path}.${name}`;
}

/** A text that the database cannot hold, and that nobody means to send. */
function textFault(text: string): string | null {
  if (text.includes("\u0000")) return "has a NUL character";
  return text.isWellFormed() ? null : "has half a surrogate pair";
}

class Reading {
  readonly faults: InvalidField[] = [];

  value(schema: Schema, value: unknown, path: string): unknown {
    if (schema[DECIMAL_KEYWORD] !== undefined) return decimalText(value);
    if (value instanceof Exact) throw refuse("unsafe-number", `${path} is a number that would not be kept exactly.`);
    if (typeof value === "string") {
      this.#check(value, path);
      return value;
    }
    if (Array.isArray(value)) {
      return value.map((each, at) => this.value(schema.items ?? ANYTHING, each, join(path, String(at))));
    }
    return isObject(value) ? this.#members(schema, value, path) : value;
  }

  #members(schema: Schema, value: Readonly<Record<string, unknown>>, path: string): Record<string, unknown> {
    const kept: Record<string, unknown> = {};
    for (const [name, member] of Object.entries(value)) {
      const known = memberSchema(schema, name);
      // Unknown and read-only members are ignored, whatever they hold.
      if (known === null) continue;
      const at = join(path, name);
      this.#check(name, at);
      kept[name] = this.value(known, member, at);
    }
    return kept;
  }

  #check(text: string, path: string): void {
    const message = textFault(text);
    // The name in the answer must be readable itself.
    if (message !== null) this.faults.push({ field: path.replaceAll("\u0000", "\\u0000").toWellFormed(), message });
  }
}

function memberSchema(schema: Schema, name: string): Schema | null {
  const { properties, additionalProperties } = schema;
  if (properties !== undefined && Object.hasOwn(properties, name)) return properties[name] ?? null;
  if (typeof additionalProperties === "object") return additionalProperties;
  return additionalProperties === true || properties === undefined ? ANYTHING : null;
}

export interface ReadBody {
  readonly value: Record<string, unknown>;
  readonly faults: readonly InvalidField[];
}

/**
 * The members that the schema knows, decimals as text.
 *
 * @throws Refused for a body that is no object, and for a number elsewhere that would not be kept exactly.
 */
export function readBody(schema: object, body: unknown): ReadBody {
  if (body === undefined || body === null) return { value: {}, faults: [] };
  if (!isObject(body) || body instanceof Exact) throw refuse("malformed-body", "The body must be a JSON object.");
  const reading = new Reading();
  const value = reading.value(schema, body, "") as Record<string, unknown>;
  return { value, faults: reading.faults };
}

/** One fault as the validator reports it. */
export interface SchemaFault {
  readonly keyword: string;
  readonly instancePath: string;
  readonly params: Readonly<Record<string, unknown>>;
  readonly message?: string;
}

const TYPES: Readonly<Record<string, string>> = {
  string: "a text",
  number: "a number",
  integer: "a whole number",
  boolean: "true or false",
  object: "an object",
  array: "a list",
  null: "null",
};

const FORMATS: Readonly<Record<string, string>> = {
  "date-time": "must be a time as RFC 3339 writes it, such as 2026-11-21T12:00:00Z",
  email: "must be an e-mail address",
  uri: "must be a web address",
};

function typeWords(type: unknown): string {
  const types = Array.isArray(type) ? type.map(String) : String(type).split(",");
  return types.map((each) => TYPES[each] ?? each).join(" or ");
}

const count = (limit: unknown, word: string): string => `${String(limit)} ${word}${limit === 1 ? "" : "s"}`;

/** What is wrong, in plain words, by the keyword that found it. */
const MESSAGES: Readonly<Record<string, (params: Readonly<Record<string, unknown>>) => string>> = {
  required: () => "is required",
  type: ({ type }) => `must be ${typeWords(type)}`,
  minLength: ({ limit }) => (limit === 1 ? "must not be empty" : `has less than ${count(limit, "character")}`),
  maxLength: ({ limit }) => `has more than ${count(limit, "character")}`,
  minimum: ({ limit }) => `must be at least ${String(limit)}`,
  maximum: ({ limit }) => `must be at most ${String(limit)}`,
  maxProperties: ({ limit }) => `has more than ${count(limit, "member")}`,
  enum: ({ allowedValues }) => `must be one of ${(allowedValues as unknown[]).map(String).join(", ")}`,
  format: ({ format }) => FORMATS[String(format)] ?? `must be a ${String(format)}`,
  pattern: ({ pattern }) => (pattern === DECIMAL_PATTERN ? "is not a decimal number" : "does not have the right form"),
};

/** `/customer/id` as `customer.id`. */
function pathOf(pointer: string): string {
  const parts = pointer.split("/").slice(1);
  return parts.map((part) => part.replaceAll("~1", "/").replaceAll("~0", "~")).reduce(join, "");
}

/** Faults of form as the caller reads them: the first of each member. */
export function faultsOf(found: readonly SchemaFault[]): InvalidField[] {
  const faults = new Map<string, InvalidField>();
  for (const { keyword, instancePath, params, message } of found) {
    const path = pathOf(instancePath);
    const field = keyword === "required" ? join(path, String(params["missingProperty"])) : path;
    if (!faults.has(field)) faults.set(field, { field, message: MESSAGES[keyword]?.(params) ?? message ?? "is wrong" });
  }
  return [...faults.values()];
}

/** A body without the members that are at fault, so that what is left can be judged by its meaning. */
export function withoutFaulty(
  value: Record<string, unknown>,
  faults: readonly InvalidField[],
): Record<string, unknown> {
  const fields = new Set(faults.map((fault) => fault.field));
  return fields.size === 0 ? value : (prune(value, fields, "") as Record<string, unknown>);
}

function prune(value: unknown, fields: ReadonlySet<string>, path: string): unknown {
  if (Array.isArray(value)) return value.map((each, at) => prune(each, fields, join(path, String(at))));
  if (!isObject(value)) return value;
  const members = Object.entries(value).filter(([name]) => !fields.has(join(path, name)));
  return Object.fromEntries(members.map(([name, member]) => [name, prune(member, fields, join(path, name))]));
}
