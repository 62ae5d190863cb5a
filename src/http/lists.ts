/** Lists: which part of one was asked for, and the headers that say which part was answered. */
import Type, { type TSchema } from "typebox";
import type { InvalidField } from "../core/errors.ts";
import type { Shown } from "../core/views.ts";
import type { StoredAnswer } from "../engine/command.ts";
import { isUuid, type ListQuery, type ListTable, listKeys, type Page } from "../store/reads.ts";
import { type AnswerDoc, answer, type Call } from "./endpoint.ts";
import { FilterFault, type FilterMembers, parseFilter } from "./filter.ts";
import { refuseFields } from "./problem.ts";
import { ListOf } from "./schema.ts";

const LIMIT_DEFAULT = 100;
const LIMIT_MAX = 1_000;
/** The database walks over what an offset skips: further on, there is the cursor. */
const OFFSET_MAX = 10_000;

export interface List {
  readonly table: ListTable;
  readonly filters: FilterMembers;
  /** Filters that are parameters of their own as well. */
  readonly params?: readonly string[];
  /** Ordered by id, first to last; else by time of creation, newest first unless `sort` says otherwise. */
  readonly isById?: true;
}

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
  return Type.Object({
    limit: Type.Optional(Type.Integer(limit)),
    offset: Type.Optional(Type.Integer(offset)),
    cursor: Type.Optional(Type.String({ description: "Where a page begins, from the `Link` of the page before." })),
    ...(list.isById === true ? {} : { sort: Type.Optional(sort) }),
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
  const cursor = reader.text("cursor");
  const query: ListQuery = {
    limit: reader.whole("limit", LIMIT_MAX, LIMIT_DEFAULT),
    offset: reader.whole("offset", OFFSET_MAX, 0),
    conditions: readConditions(reader, list),
    after: cursor === null ? null : readCursor(reader, cursor, list.table),
    isAscending: list.isById === true || readSort(reader),
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
} as const;

function readCursor(reader: QueryReader, cursor: string, table: ListTable): ListQuery["after"] {
  const kinds = listKeys(table);
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

/** A page with its headers. */
export function pageAnswer<R>(call: Call, query: ListQuery, page: Page<R>, show: (row: R) => Shown): StoredAnswer {
  const address = (changes: Readonly<Record<string, string>>): string => {
    const kept = Object.entries(call.query).filter(([name, value]) => {
      return typeof value === "string" && name !== "cursor" && name !== "offset";
    });
    const search = new URLSearchParams([...(kept as [string, string][]), ...Object.entries(changes)]).toString();
    return `${call.world.base()}${call.path}${search === "" ? "" : `?${search}`}`;
  };
  const links = [`<${address({})}>; rel="first"`];
  if (page.next !== null) links.push(`<${address({ cursor: writeCursor(page.next) })}>; rel="next"`);
  return answer(200, page.rows.map(show), {
    "pagination-total": String(page.total),
    "pagination-limit": String(query.limit),
    "pagination-offset": String(query.offset),
    ...(page.isCapped ? { "pagination-total-capped": "true" } : {}),
    link: links.join(", "),
  });
}
