/** Lists: which part of one was asked for, and the headers that say which part was answered. */
import Type, { type TSchema } from "typebox";
import type { InvalidField } from "../core/errors.ts";
import type { Shown } from "../core/views/orders.ts";
import type { StoredAnswer } from "../engine/command.ts";
import { type ListTable, listKeys } from "../store/reads/lists.ts";
import { type Condition, isUuid, type ListQuery, type Page } from "../store/reads.ts";
import { type AnswerDoc, answer, type Call } from "./endpoint.ts";
import { FilterFault, type FilterMembers, parseFilter } from "./filter.ts";
import { refuseFields } from "./problem.ts";
import { ListOf } from "./schema.ts";

const LIMIT_DEFAULT = 100;
const LIMIT_MAX = 1_000;
/** The database walks over what an offset skips: further on, there is the cursor. */
const OFFSET_MAX = 10_000;
const SEQUENCE_MAX = Number.MAX_SAFE_INTEGER;

/** A list from the database, or one that is in memory, ordered by its ids. */
export interface List {
  readonly table: ListTable | "memory";
  readonly filters: FilterMembers;
  /** Filters that are parameters of their own as well. */
  readonly params?: readonly string[];
  /** Ordered by id, first to last; else by time of creation, newest first unless `sort` says otherwise. */
  readonly isById?: true;
  /** Ordered by sequence, first to last: `after` is the last one that the caller has, and stands for a cursor. */
  readonly isBySequence?: true;
}

const isFixed = (list: List): boolean => list.isById === true || list.isBySequence === true;

/** The parameters of a list, for the document. */
export function listParameters(list: List): TSchema {
  const own = (list.params ?? []).map((name) => [
    name,
    Type.Optional(Type.String({ description: `Only of this one.` })),
  ]);
  const sort = Type.Unsafe({
    type: "string",
    enum: ["createdTime", "-createdTime"],
    default: "-createdTime",
    description: "Oldest or newest first.",
  });
  const limit = { minimum: 0, maximum: LIMIT_MAX, default: LIMIT_DEFAULT, description: "How many." };
  const offset = { minimum: 0, maximum: OFFSET_MAX, default: 0, description: "How many to skip." };
  const names = Object.keys(list.filters).join(", ");
  const after = { minimum: 0, default: 0, description: "Only what comes after this sequence." };
  const paging = {
    offset: Type.Optional(Type.Integer(offset)),
    cursor: Type.Optional(Type.String({ description: "Where a page begins, from the `Link` of the page before." })),
  };
  return Type.Object({
    limit: Type.Optional(Type.Integer(limit)),
    ...(list.isBySequence === true ? { after: Type.Optional(Type.Integer(after)) } : paging),
    ...(isFixed(list) ? {} : { sort: Type.Optional(sort) }),
    filter: Type.Optional(Type.String({ description: `\`member:value,value;member:!value\`, by ${names}.` })),
    ...Object.fromEntries(own),
  });
}

/** What a list answers, for the document. */
export function listAnswer(name: string): AnswerDoc {
  const whole = (description: string) => ({ type: "integer", description });
  return {
    description: "The part of the list that was asked for.",
    schema: ListOf(name),
    headers: {
      "Pagination-Total": whole("How long the whole list is; 10000 when it is longer and filtered."),
      "Pagination-Total-Capped": { type: "boolean", description: "True where the total was not counted to its end." },
      "Pagination-Limit": whole("How many were asked for."),
      "Pagination-Offset": whole("How many were skipped."),
      Link: { type: "string", description: "The first and the next page." },
    },
  };
}

class QueryReader {
  readonly faults: InvalidField[] = [];
  readonly #query: Readonly<Record<string, unknown>>;

  constructor(query: Readonly<Record<string, unknown>>) {
    this.#query = query;
  }

  fault(field: string, message: string): null {
    this.faults.push({ field, message });
    return null;
  }

  text(name: string): string | null {
    const value = this.#query[name];
    if (value === undefined || value === "") return null;
    return typeof value === "string" ? value : this.fault(name, "must be given once");
  }

  whole(name: string, max: number, fallback: number): number {
    const text = this.text(name);
    if (text === null) return fallback;
    const value = /^\d{1,9}$/.test(text) ? Number(text) : Number.POSITIVE_INFINITY;
    if (value <= max) return value;
    this.fault(name, `must be a whole number from 0 to ${max}`);
    return fallback;
  }
}

/** @throws Refused naming every faulty parameter. */
export function readList(call: Call, list: List): ListQuery {
  const reader = new QueryReader(call.query);
  const isBySequence = list.isBySequence === true;
  const cursor = isBySequence ? null : reader.text("cursor");
  const query: ListQuery = {
    limit: reader.whole("limit", LIMIT_MAX, LIMIT_DEFAULT),
    offset: isBySequence ? 0 : reader.whole("offset", OFFSET_MAX, 0),
    conditions: readConditions(reader, list),
    after: isBySequence ? [reader.whole("after", SEQUENCE_MAX, 0)] : readCursor(reader, cursor, list.table),
    isAscending: isFixed(list) || readSort(reader),
  };
  if (cursor !== null && query.offset > 0) reader.fault("offset", "cannot be given with a cursor");
  if (reader.faults.length > 0) throw refuseFields(reader.faults);
  return query;
}

function readSort(reader: QueryReader): boolean {
  const sort = reader.text("sort") ?? "-createdTime";
  if (sort !== "createdTime" && sort !== "-createdTime") reader.fault("sort", "must be createdTime or -createdTime");
  return sort === "createdTime";
}

function readConditions(reader: QueryReader, list: List): ListQuery["conditions"] {
  const texts: (readonly [name: string, filter: string])[] = [];
  const filter = reader.text("filter");
  if (filter !== null) texts.push(["filter", filter]);
  for (const name of list.params ?? []) {
    const value = reader.text(name);
    // A parameter is one value, whatever stands in it.
    if (value !== null && /[,;!]/.test(value)) reader.fault(name, "is not an id");
    else if (value !== null) texts.push([name, `${name}:${value}`]);
  }
  return texts.flatMap(([name, text]) => {
    try {
      return parseFilter(text, list.filters);
    } catch (error) {
      if (!(error instanceof FilterFault)) throw error;
      reader.fault(name, error.message);
      return [];
    }
  });
}

function writeCursor(keys: readonly (string | number)[]): string {
  return Buffer.from(JSON.stringify(keys), "utf8").toString("base64url");
}

const CHECKS = {
  time: (value: unknown) => Number.isSafeInteger(value) && Math.abs(value as number) < 8e15,
  uuid: (value: unknown) => typeof value === "string" && isUuid(value),
  text: (value: unknown) => typeof value === "string" && !value.includes("\u0000") && value.isWellFormed(),
  int: (value: unknown) => Number.isInteger(value) && Math.abs(value as number) < 2 ** 31,
  long: (value: unknown) => Number.isSafeInteger(value),
} as const;

function readCursor(reader: QueryReader, cursor: string | null, table: List["table"]): ListQuery["after"] {
  if (cursor === null) return null;
  const kinds = table === "memory" ? (["text"] as const) : listKeys(table);
  try {
    const keys: unknown = JSON.parse(Buffer.from(cursor, "base64url").toString("utf8"));
    const isSound =
      Array.isArray(keys) && keys.length === kinds.length && kinds.every((kind, at) => CHECKS[kind](keys[at]));
    if (isSound) return keys as (string | number)[];
  } catch {
    // Said below, like every other text that is no cursor.
  }
  return reader.fault("cursor", "is not a cursor of this list");
}

/** What a query asks for of rows that are all in memory. Conditions are on texts and flags. */
export function pageOf<R extends { readonly id: string }>(all: readonly R[], query: ListQuery): Page<R> {
  const found = all
    .filter((row) => query.conditions.every((each) => holds(each, row as Readonly<Record<string, unknown>>)))
    .toSorted((a, b) => (a.id < b.id ? -1 : 1));
  const [after] = query.after ?? [];
  const rest = after === undefined ? found : found.filter((row) => row.id > String(after));
  const rows = rest.slice(query.offset, query.offset + query.limit);
  const last = rows.at(-1);
  const isMore = last !== undefined && rest.at(-1) !== last;
  return { rows, total: found.length, isCapped: false, next: isMore ? [last.id] : null };
}

function holds({ member, isNot, anyOf }: Condition, row: Readonly<Record<string, unknown>>): boolean {
  return anyOf.some((each) => each === row[member]) !== isNot;
}

/** Makes the answer for a page. */
type PageAnswer = <R>(call: Call, query: ListQuery, page: Page<R>, show: (row: R) => Shown) => StoredAnswer;

/** A page with its headers; the next one begins at a cursor. */
export const pageAnswer: PageAnswer = (call, query, page, show) => {
  const next = page.next === null ? null : { cursor: writeCursor(page.next) };
  return linked(call, query, { page, next, body: page.rows.map(show) });
};

/** A page by sequence with its headers; the next one comes after the last row. */
export const sequenceAnswer: PageAnswer = (call, query, page, show) => {
  const next = page.next === null ? null : { after: String(page.next[0]) };
  return linked(call, query, { page, next, body: page.rows.map(show) });
};

const STARTS = new Set(["cursor", "after", "offset"]);

function linked(
  call: Call,
  query: ListQuery,
  of: { page: Page<unknown>; next: Readonly<Record<string, string>> | null; body: readonly Shown[] },
): StoredAnswer {
  const address = (changes: Readonly<Record<string, string>>): string => {
    const kept = Object.entries(call.query).filter(([name, value]) => typeof value === "string" && !STARTS.has(name));
    const search = new URLSearchParams([...(kept as [string, string][]), ...Object.entries(changes)]).toString();
    return `${call.world.base()}${call.path}${search === "" ? "" : `?${search}`}`;
  };
  const links = [`<${address({})}>; rel="first"`];
  if (of.next !== null) links.push(`<${address(of.next)}>; rel="next"`);
  return answer(200, of.body, {
    "pagination-total": String(of.page.total),
    "pagination-limit": String(query.limit),
    "pagination-offset": String(query.offset),
    ...(of.page.isCapped ? { "pagination-total-capped": "true" } : {}),
    link: links.join(", "),
  });
}
