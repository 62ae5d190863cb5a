/** The words of our JSON schemas: what a member may be, said once for validation, documentation and types. */
import Type, { type TSchema } from "typebox";
import { PROBLEM } from "./problem.ts";

/** Marks members that are read from the source text. Our validator and the reader of bodies know it. */
export const DECIMAL_KEYWORD = "x-decimal";

export const DECIMAL_PATTERN = "^-?(0|[1-9]\\d*)(\\.\\d+)?([eE][+-]?\\d+)?$";

/** How clients name things: payout requests, websites, customers, instruments. */
export const ID_PATTERN = "^[@~\\-.\\w]+$";
export const ID_MAX = 50;

function decimal<V extends string | null>(
  kind: "money" | "decimal",
  description: string,
  types: readonly string[] = ["number", "string"],
) {
  return Type.Unsafe<V>({
    type: [...types],
    pattern: DECIMAL_PATTERN,
    description,
    examples: [100.78],
    [DECIMAL_KEYWORD]: kind,
  });
}

/** An amount in a body: a JSON number or a decimal text, in major units. Handed on as decimal text. */
export const Money = (description: string) =>
  decimal<string>("money", `${description} Major units; a number or decimal text.`);

export const MoneyOrNull = (description: string) =>
  decimal<string | null>("money", `${description} Major units; a number, decimal text or null.`, [
    "number",
    "string",
    "null",
  ]);

/** Any other exact number in a body. */
export const Decimal = (description: string) => decimal<string>("decimal", `${description} A number or decimal text.`);

/** An amount in an answer: a number with all decimals of its currency. */
export const MoneyOut = (description: string) =>
  Type.Number({ description: `${description} Major units, with the currency's decimals.`, examples: [100.78] });

export const Text = (maxLength: number, description: string) => Type.String({ minLength: 1, maxLength, description });

export const Id = (description: string) =>
  Type.String({ minLength: 1, maxLength: ID_MAX, pattern: ID_PATTERN, description });

/** A text of at most so many characters, or null. */
export const TextOrNull = (maxLength: number, description: string) =>
  Type.Unsafe<string | null>({ type: ["string", "null"], maxLength, description });

/** A text that is not empty, or null. */
export const SomeTextOrNull = (maxLength: number, description: string, format?: "email") =>
  Type.Unsafe<string | null>({
    type: ["string", "null"],
    minLength: 1,
    maxLength,
    ...(format === undefined ? {} : { format }),
    description,
  });

export const IdOrNull = (description: string) =>
  Type.Unsafe<string | null>({
    type: ["string", "null"],
    minLength: 1,
    maxLength: ID_MAX,
    pattern: ID_PATTERN,
    description,
  });

export const Time = (description: string) =>
  Type.String({ format: "date-time", description, examples: ["2026-11-21T12:00:00.000Z"] });

export const OneOf = <W extends string>(words: readonly W[], description: string) =>
  Type.Unsafe<W>({ type: "string", enum: [...words], description });

export const OneOfOrNull = <W extends string>(words: readonly W[], description: string) =>
  Type.Unsafe<W | null>({ type: ["string", "null"], enum: [...words, null], description });

export const NumberOrNull = (description: string) =>
  Type.Unsafe<number | null>({ type: ["number", "null"], description });

/** Any JSON object, kept as it is. */
export const Metadata = (description: string) =>
  Type.Unsafe<Readonly<Record<string, unknown>>>({ type: "object", additionalProperties: true, description });

/** An object whose members are all texts. */
export const TextMembers = (maxLength: number, description: string) =>
  Type.Unsafe<Readonly<Record<string, string>>>({
    type: "object",
    maxProperties: 100,
    additionalProperties: { type: "string", maxLength },
    description,
  });

/** The same, for changes: null takes a member away. */
export const TextOrNullMembers = (maxLength: number, description: string) =>
  Type.Unsafe<Readonly<Record<string, string | null>>>({
    type: "object",
    maxProperties: 100,
    additionalProperties: { type: ["string", "null"], maxLength },
    description,
  });

/** A resource that the document describes once, by its name. */
export const Named = (name: string): TSchema => Type.Unsafe({ $ref: `${name}#` });

export const ListOf = (name: string): TSchema => Type.Unsafe({ type: "array", items: { $ref: `${name}#` } });

export const ProblemAnswer = (description: string) => ({
  description,
  content: { [PROBLEM]: { schema: { $ref: "Problem#" } } },
});
