/**
 * The filter language of lists: `status:PROCESSED,PENDING;createdTime:2026-11-01T00:00:00Z..`. Conditions are joined by
 * `;` and all hold; values are joined by `,` and one holds; `!` before them negates; `..` is a range, ends included.
 */
import type { Condition } from "../store/reads.ts";

/** A member that a list can be filtered by: a column of its own, never inside a JSON value. */
export interface FilterMember {
  readonly column: string;
  readonly kind: "text" | "time" | "flag";
  /** Where only these words make sense. */
  readonly words?: readonly string[];
}

export type FilterMembers = Readonly<Record<string, FilterMember>>;

/** What is wrong with a filter, in a sentence. */
export class FilterFault extends Error {
  override readonly name = "FilterFault";
}

const MAX_CONDITIONS = 20;
const MAX_VALUES = 100;

/** @throws FilterFault */
export function parseFilter(filter: string, members: FilterMembers): Condition[] {
  const texts = filter.split(";").filter((text) => text.trim() !== "");
  if (texts.length > MAX_CONDITIONS) throw new FilterFault(`has more than ${MAX_CONDITIONS} conditions`);
  return texts.map((text) => parseCondition(text.trim(), members));
}

function parseCondition(text: string, members: FilterMembers): Condition {
  const colon = text.indexOf(":");
  const name = colon === -1 ? text : text.slice(0, colon);
  const member = Object.hasOwn(members, name) ? members[name] : undefined;
  if (member === undefined) {
    throw new FilterFault(`cannot be by ${name.slice(0, 50)}; there are ${Object.keys(members).join(", ")}`);
  }
  const values = colon === -1 ? [] : text.slice(colon + 1).split(",");
  if (values.length === 0 || values.some((value) => value === "" || value === "!")) {
    throw new FilterFault(`has no value for ${name}`);
  }
  if (values.length > MAX_VALUES) throw new FilterFault(`has more than ${MAX_VALUES} values for ${name}`);
  // `!a,!b` and `!a,b` both mean neither.
  const isNot = values[0]?.startsWith("!") === true;
  const plain = values.map((value) => (isNot ? value.replace(/^!/, "") : value));
  return { member: member.column, isNot, anyOf: plain.map((value) => readValue(name, member, value)) };
}

function readValue(name: string, member: FilterMember, value: string): Condition["anyOf"][number] {
  if (member.kind === "flag") {
    if (value !== "true" && value !== "false") throw new FilterFault(`wants true or false for ${name}`);
    return value === "true";
  }
  if (member.kind === "time") {
    const [from = "", to] = value.split("..");
    const low = readTime(name, from);
    return { from: low, to: to === undefined ? low : readTime(name, to) };
  }
  if (value.includes("\u0000") || !value.isWellFormed()) throw new FilterFault(`has no sound value for ${name}`);
  if (member.words === undefined) return value;
  const word = member.words.find((each) => each.toLowerCase() === value.toLowerCase());
  if (word === undefined) throw new FilterFault(`wants one of ${member.words.join(", ")} for ${name}`);
  return word;
}

const TIME = /^\d{4}-\d\d-\d\d(?:T\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(?:Z|[+-]\d\d:\d\d))?$/;
/** What the database's type of times holds, with room to spare. */
const YEAR_MIN = 1;

/** An open end of a range is null. */
function readTime(name: string, text: string): number | null {
  if (text === "") return null;
  const time = TIME.test(text) ? Date.parse(text) : Number.NaN;
  if (Number.isNaN(time) || new Date(time).getUTCFullYear() < YEAR_MIN) {
    throw new FilterFault(`wants times such as 2026-11-21T12:00:00Z for ${name}`);
  }
  return time;
}
