/** Reads for answers and lists. Every one names its organization, beside row-level security; none decides about money. */

import type { Entry, LedgerAccount } from "../core/money/ledger.ts";
import type { Invoice } from "../core/order/invoice.ts";
import type { Payout } from "../core/order/payout.ts";
import type { PayoutRequest } from "../core/order/request.ts";
import type { FundsMovement, Website } from "../core/setup/merchant.ts";
import type { Scheme } from "../core/setup/routing.ts";
import type { KindTotal } from "../core/views/orders.ts";
import type { TimelineRows } from "../core/views/timeline.ts";
import type { ApiKey, History, Locator, Organization, TableName, Tables } from "../engine/ports.ts";
import { sqlName } from "./describe.ts";
import type { Parameter, Reader } from "./reader.ts";
import { type NamedRows, namesOf } from "./reads/events.ts";
import { type Gates, readGates } from "./reads/gates.ts";
import { type Gauges, readGauges } from "./reads/gauges.ts";
import {
  type Counter,
  LISTS,
  type Lists,
  type ListTable,
  listKeys,
  type PlainList,
  type PlainTable,
} from "./reads/lists.ts";
import { readTimeline, type TimelineScope } from "./reads/timeline.ts";
import { tableOf } from "./tables.ts";

/** A condition of a list: a column has one of the values, or lies in one of the ranges (inclusive, milliseconds). */
export interface Condition {
  readonly member: string;
  readonly isNot: boolean;
  readonly anyOf: readonly (string | boolean | { readonly from: number | null; readonly to: number | null })[];
}

/** Which part of a list. Newest first unless `isAscending`. */
export interface ListQuery {
  readonly conditions: readonly Condition[];
  readonly limit: number;
  readonly offset: number;
  /** The keys of the row before the first one wanted, as an earlier page named them. */
  readonly after: readonly (string | number)[] | null;
  readonly isAscending: boolean;
}

export interface Page<R> {
  readonly rows: readonly R[];
  readonly total: number;
  /** There are more than `total`: nobody counted on. */
  readonly isCapped: boolean;
  /** Where the next page begins; null on the last one. */
  readonly next: readonly (string | number)[] | null;
}

/** A live key with its book, and the database's time. */
export interface FoundKey {
  readonly organizationId: string;
  readonly id: string;
  readonly role: ApiKey["role"];
  readonly expiresTime: number | null;
  /** The book's data key, sealed. */
  readonly sealedKey: Uint8Array;
  readonly now: number;
}

export interface InvoiceBelow {
  readonly invoice: Invoice;
  readonly payouts: readonly Payout[];
  readonly entries: readonly Entry[];
}

export interface RequestBelow {
  readonly request: PayoutRequest;
  readonly payouts: readonly Payout[];
  readonly website: Website;
}

/** An event: a change, and the row that has changed, as far as it names it. */
export interface EventRow {
  readonly change: History;
  readonly row: NamedRows[History["kind"]] | null;
}

/** Times of the database, milliseconds, both included. */
export interface Span {
  readonly from: number;
  readonly to: number;
}

export interface Reads {
  /** @throws StoreUnavailable */
  ping(): Promise<void>;
  findKey(hash: string): Promise<FoundKey | null>;
  findCallback(hash: string): Promise<Locator | null>;
  invoice(organizationId: string, id: string): Promise<InvoiceBelow | null>;
  invoices(organizationId: string, query: ListQuery): Promise<Page<InvoiceBelow>>;
  request(organizationId: string, id: string): Promise<RequestBelow | null>;
  requests(organizationId: string, query: ListQuery): Promise<Page<RequestBelow>>;
  payout(organizationId: string, id: string): Promise<Payout | null>;
  payouts(organizationId: string, query: ListQuery): Promise<Page<Payout>>;
  ledgerAccounts(organizationId: string, query: ListQuery): Promise<Page<LedgerAccount>>;
  /** Balances added up by kind and currency. */
  kindTotals(organizationId: string): Promise<readonly KindTotal[]>;
  fundsMovement(organizationId: string, id: string): Promise<FundsMovement | null>;
  fundsMovements(organizationId: string, query: ListQuery): Promise<Page<FundsMovement>>;
  /** One row that stands for itself. */
  one<T extends PlainTable>(table: T, organizationId: string, id: string): Promise<Tables[T] | null>;
  /** Those rows that exist, in no order. */
  several<T extends PlainTable | "ledgerAccount">(
    table: T,
    organizationId: string,
    ids: readonly string[],
  ): Promise<readonly Tables[T][]>;
  page<L extends PlainList>(list: L, organizationId: string, query: ListQuery): Promise<Page<Lists[L]>>;
  /** The newest revision of a scheme. */
  scheme(organizationId: string, kind: Scheme["kind"], id: string): Promise<Scheme | null>;
  events(organizationId: string, query: ListQuery): Promise<Page<EventRow>>;
  /** The first changes of an order's story, at most so many, and what belongs to them. */
  timeline(organizationId: string, scope: TimelineScope, limit: number): Promise<TimelineRows>;
  /** The first changes of a span of time, in their order. */
  changesWithin(organizationId: string, span: Span, limit: number): Promise<readonly History[]>;
  /** The books of an organization that exist. */
  books(ids: readonly string[]): Promise<readonly Pick<Organization, "id" | "name">[]>;
  gates(organizationId: string): Promise<Gates>;
  /** Over all books: for whoever watches the whole installation. */
  gauges(): Promise<Gauges>;
}

/** No list is counted further than this. */
export const COUNT_MAX = 10_000;
/** No organization has this id: reading for it is as much work as for a real one, and finds nothing. */
const NOBODY = "-";
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

export const isUuid = (text: string): boolean => UUID.test(text);

/** Collects a statement's parameters; each `add` gives its place. */
class Parameters {
  readonly values: Parameter[] = [];

  add(value: Parameter): string {
    this.values.push(value);
    return `$${this.values.length}`;
  }
}

const column = (member: string): string => `t."${sqlName(member)}"`;

function conditionSql(list: ListTable, condition: Condition, parameters: Parameters): string {
  const { table, computed } = LISTS[list];
  const name = computed?.[condition.member] ?? column(condition.member);
  const type = tableOf(table).columns[condition.member]?.type;
  const words = condition.anyOf.filter((each) => typeof each === "string");
  const parts: string[] = [];
  if (words.length > 0) {
    const cast = type === "uuid" ? "uuid" : "text";
    const known = type === "uuid" ? words.filter(isUuid) : words;
    parts.push(`${name} = any(${parameters.add(known)}::${cast}[])`);
  }
  for (const each of condition.anyOf) {
    if (typeof each === "boolean") parts.push(`${name} = ${parameters.add(each)}`);
    if (typeof each !== "object") continue;
    const bounds = [
      ...(each.from === null ? [] : [`${name} >= ${parameters.add(new Date(each.from))}`]),
      ...(each.to === null ? [] : [`${name} <= ${parameters.add(new Date(each.to))}`]),
    ];
    parts.push(bounds.length === 0 ? "true" : `(${bounds.join(" and ")})`);
  }
  const any = `(${parts.join(" or ")})`;
  // Not `not`: a column without a value has none of the values either.
  return condition.isNot ? `${any} is not true` : any;
}

const KEY_CASTS = { text: "", uuid: "::uuid", time: "::timestamptz", int: "::integer", long: "::bigint" } as const;

function afterSql(list: ListTable, query: ListQuery, parameters: Parameters): string | null {
  if (query.after === null) return null;
  const kinds = listKeys(list);
  const values = query.after.map((value, at) => {
    const kind = kinds[at] ?? "text";
    return parameters.add(kind === "time" ? new Date(Number(value)) : String(value)) + KEY_CASTS[kind];
  });
  const keys = LISTS[list].order.map(column).join(", ");
  return `(${keys}) ${query.isAscending ? ">" : "<"} (${values.join(", ")})`;
}

/** Rows of one organization by the values of one column, all of them. */
async function below<T extends "payout" | "website">(
  reader: Reader,
  organizationId: string,
  what: { table: T; member: string; values: readonly string[] },
): Promise<readonly Tables[T][]> {
  if (what.values.length === 0) return [];
  const where = `${column("organizationId")} = $1 and ${column(what.member)} = any($2::text[])`;
  return reader.rows(what.table, organizationId, { where, values: [organizationId, [...new Set(what.values)]] });
}

/** More moves than that during one read are left to the next one. */
const STEADY_TRIES = 4;

/**
 * A row with what is below it, as they stood together: when the row has moved while the rest was read, both are read
 * again. Otherwise an answer could show a payout's end beside an invoice that does not know of it.
 */
async function steadily<R extends { readonly version: number }, W>(
  read: () => Promise<R | null>,
  below: (row: R) => Promise<readonly W[]>,
): Promise<W | null> {
  let row = await read();
  for (let tries = 1; row !== null; tries++) {
    const [whole] = await below(row);
    const now = await read();
    if (now === null || now.version === row.version || tries >= STEADY_TRIES) return whole ?? null;
    row = now;
  }
  return null;
}

class PostgresReads implements Reads {
  readonly #reader: Reader;

  constructor(reader: Reader) {
    this.#reader = reader;
  }

  async ping(): Promise<void> {
    await this.#reader.query(null, "select 1 as one");
  }

  /** As much work for a key that nobody has as for one that is good, so that the time taken tells nothing. */
  async findKey(hash: string): Promise<FoundKey | null> {
    const located = await this.#locate(hash, "api_key");
    const organizationId = located?.organizationId ?? NOBODY;
    const [[key], [book]] = await Promise.all([
      this.#reader.query(
        organizationId,
        `select t.id, t.role, t.expires_time, clock_timestamp() as now from bursar."api_key" t
         where t.organization_id = $1 and t.id = $2 and t.hash = $3 and t.revoked_time is null
           and (t.expires_time is null or t.expires_time > clock_timestamp())`,
        [organizationId, located?.id ?? "", hash],
      ),
      this.#reader.rows("organization", null, { where: 't."id" = $1', values: [organizationId] }),
    ]);
    if (key === undefined || book === undefined) return null;
    const found = key as Pick<FoundKey, "id" | "role" | "expiresTime" | "now">;
    return { ...found, organizationId, sealedKey: book.sealedKey };
  }

  findCallback(hash: string): Promise<Locator | null> {
    return this.#locate(hash, "callback");
  }

  async #locate(hash: string, kind: Locator["kind"]): Promise<Locator | null> {
    const values = [hash, kind];
    const rows = await this.#reader.rows("locator", null, { where: 't."hash" = $1 and t."kind" = $2', values });
    return rows[0] ?? null;
  }

  async one<T extends PlainTable | "invoice" | "request" | "payout" | "fundsMovement">(
    table: T,
    organizationId: string,
    id: string,
  ): Promise<Tables[T] | null> {
    if (tableOf(table).columns["id"]?.type === "uuid" && !isUuid(id)) return null;
    const where = `${column("organizationId")} = $1 and ${column("id")} = $2`;
    const rows = await this.#reader.rows(table, organizationId, { where, values: [organizationId, id] });
    return rows[0] ?? null;
  }

  invoice(organizationId: string, id: string): Promise<InvoiceBelow | null> {
    return steadily(
      () => this.one("invoice", organizationId, id),
      (invoice) => this.#belowInvoices(organizationId, [invoice]),
    );
  }

  async invoices(organizationId: string, query: ListQuery): Promise<Page<InvoiceBelow>> {
    const page = await this.page("invoice", organizationId, query);
    return { ...page, rows: await this.#belowInvoices(organizationId, page.rows) };
  }

  /** What is below is read after what is above: in a list it may be newer, and is never older. */
  async #belowInvoices(organizationId: string, invoices: readonly Invoice[]): Promise<InvoiceBelow[]> {
    const requestIds = invoices.map((invoice) => invoice.requestId).filter((id) => id !== null);
    if (requestIds.length === 0) return invoices.map((invoice) => ({ invoice, payouts: [], entries: [] }));
    const [payouts, entries] = await Promise.all([
      below(this.#reader, organizationId, { table: "payout", member: "requestId", values: requestIds }),
      this.#reader.rows("entry", organizationId, {
        where: `t."organization_id" = $1 and t."subject" = any($2::text[] || array(
          select p."id"::text from bursar."payout" p
          where p."organization_id" = $1 and p."request_id" = any($2::text[])))`,
        values: [organizationId, requestIds],
      }),
    ]);
    const payoutsOf = Map.groupBy(payouts, (payout) => payout.requestId);
    const entriesOf = Map.groupBy(entries, (entry) => entry.subject);
    return invoices.map((invoice) => {
      const own = payoutsOf.get(invoice.requestId ?? "") ?? [];
      const subjects = [invoice.requestId ?? "", ...own.map((payout) => payout.id)];
      return { invoice, payouts: own, entries: subjects.flatMap((subject) => entriesOf.get(subject) ?? []) };
    });
  }

  request(organizationId: string, id: string): Promise<RequestBelow | null> {
    return steadily(
      () => this.one("request", organizationId, id),
      (request) => this.#belowRequests(organizationId, [request]),
    );
  }

  async requests(organizationId: string, query: ListQuery): Promise<Page<RequestBelow>> {
    const page = await this.page("request", organizationId, query);
    return { ...page, rows: await this.#belowRequests(organizationId, page.rows) };
  }

  async #belowRequests(organizationId: string, requests: readonly PayoutRequest[]): Promise<RequestBelow[]> {
    const ids = requests.map((request) => request.id);
    const websiteIds = requests.map((request) => request.websiteId);
    const [payouts, websites] = await Promise.all([
      below(this.#reader, organizationId, { table: "payout", member: "requestId", values: ids }),
      below(this.#reader, organizationId, { table: "website", member: "id", values: websiteIds }),
    ]);
    const payoutsOf = Map.groupBy(payouts, (payout) => payout.requestId);
    return requests.flatMap((request) => {
      const website = websites.find((each) => each.id === request.websiteId);
      return website === undefined ? [] : [{ request, payouts: payoutsOf.get(request.id) ?? [], website }];
    });
  }

  payout(organizationId: string, id: string): Promise<Payout | null> {
    return this.one("payout", organizationId, id);
  }

  payouts(organizationId: string, query: ListQuery): Promise<Page<Payout>> {
    return this.page("payout", organizationId, query);
  }

  ledgerAccounts(organizationId: string, query: ListQuery): Promise<Page<LedgerAccount>> {
    return this.page("ledgerAccount", organizationId, query);
  }

  async kindTotals(organizationId: string): Promise<readonly KindTotal[]> {
    const rows = await this.#reader.query(
      organizationId,
      `select t.kind, t.currency, sum(t.balance_minor) as balance_minor from bursar."ledger_account" t
       where t.organization_id = $1 group by t.kind, t.currency`,
      [organizationId],
    );
    return rows as unknown as readonly KindTotal[];
  }

  fundsMovement(organizationId: string, id: string): Promise<FundsMovement | null> {
    return this.one("fundsMovement", organizationId, id);
  }

  fundsMovements(organizationId: string, query: ListQuery): Promise<Page<FundsMovement>> {
    return this.page("fundsMovement", organizationId, query);
  }

  async several<T extends PlainTable | "ledgerAccount">(
    table: T,
    organizationId: string,
    ids: readonly string[],
  ): Promise<readonly Tables[T][]> {
    if (ids.length === 0) return [];
    const where = `${column("organizationId")} = $1 and ${column("id")} = any($2::text[])`;
    return this.#reader.rows(table, organizationId, { where, values: [organizationId, [...new Set(ids)]] });
  }

  async scheme(organizationId: string, kind: Scheme["kind"], id: string): Promise<Scheme | null> {
    const where = 't."organization_id" = $1 and t."kind" = $2 and t."id" = $3';
    const values = [organizationId, kind, id];
    const newest = { where, values, orderBy: 't."revision" desc', limit: 1 };
    const [row] = await this.#reader.rows("scheme", organizationId, newest);
    return row ?? null;
  }

  async events(organizationId: string, query: ListQuery): Promise<Page<EventRow>> {
    const page = await this.page("event", organizationId, query);
    const named = await namesOf(this.#reader, organizationId, page.rows);
    return { ...page, rows: page.rows.map((change) => ({ change, row: named(change) })) };
  }

  timeline(organizationId: string, scope: TimelineScope, limit: number): Promise<TimelineRows> {
    return readTimeline(this.#reader, organizationId, scope, limit);
  }

  /** Times are almost in the order of sequences: what is older than the span by far ends the search from the newest. */
  changesWithin(organizationId: string, span: Span, limit: number): Promise<readonly History[]> {
    return this.#reader.rows("history", organizationId, {
      where: `t."organization_id" = $1 and t."time" between $2 and $3 and t."sequence" > coalesce((
        select h."sequence" from bursar."history" h
        where h."organization_id" = $1 and h."time" < $2::timestamptz - interval '1 minute'
        order by h."sequence" desc limit 1), 0)`,
      values: [organizationId, new Date(span.from), new Date(span.to)],
      orderBy: 't."sequence"',
      limit,
    });
  }

  books(ids: readonly string[]): Promise<readonly Organization[]> {
    const where = 't."id" = any($1::text[])';
    return this.#reader.rows("organization", null, { where, values: [ids], orderBy: 't."id"' });
  }

  gates(organizationId: string): Promise<Gates> {
    return readGates(this.#reader, organizationId);
  }

  gauges(): Promise<Gauges> {
    return readGauges(this.#reader);
  }

  async page<L extends ListTable>(list: L, organizationId: string, query: ListQuery): Promise<Page<Lists[L]>> {
    const { table, order, counter, where } = LISTS[list];
    const parameters = new Parameters();
    const scope = `${column("organizationId")} = ${parameters.add(organizationId)}`;
    const conditions = query.conditions.map((each) => conditionSql(list, each, parameters));
    const filtered = [scope, ...(where === undefined ? [] : [where]), ...conditions].join(" and ");
    const countValues = [...parameters.values];
    const after = afterSql(list, query, parameters);
    const direction = query.isAscending ? "" : " desc";
    const keys = order.map((member) => column(member) + direction).join(", ");
    const [found, counted] = await Promise.all([
      this.#reader.rows(table, organizationId, {
        where: after === null ? filtered : `${filtered} and ${after}`,
        values: parameters.values,
        orderBy: query.offset === 0 ? keys : `${keys} offset ${Math.trunc(query.offset)}`,
        // One more than asked for: whether there is a next page.
        limit: query.limit + 1,
      }),
      query.conditions.length === 0 && counter !== undefined
        ? this.#counted(organizationId, counter)
        : this.#count(table, organizationId, { where: filtered, values: countValues }),
    ]);
    const rows = found.slice(0, query.limit);
    const last = rows.at(-1) as Readonly<Record<string, string | number>> | undefined;
    const next = found.length > query.limit && last !== undefined ? order.map((member) => last[member] ?? "") : null;
    return { rows: rows as unknown as readonly Lists[L][], ...counted, next };
  }

  async #counted(organizationId: string, counter: Counter): Promise<{ total: number; isCapped: boolean }> {
    const where = 't."organization_id" = $1';
    const [lock] = await this.#reader.rows("organizationLock", null, { where, values: [organizationId] });
    return { total: lock?.[counter] ?? 0, isCapped: false };
  }

  async #count(
    table: TableName,
    organizationId: string,
    what: { where: string; values: readonly Parameter[] },
  ): Promise<{ total: number; isCapped: boolean }> {
    const [row] = await this.#reader.query(
      organizationId,
      `select count(*) as total from (
         select from bursar."${sqlName(table)}" t where ${what.where} limit ${COUNT_MAX + 1}) counted`,
      what.values,
    );
    const total = Number(row?.["total"] ?? 0);
    return { total: Math.min(total, COUNT_MAX), isCapped: total > COUNT_MAX };
  }
}

export function openReads(reader: Reader): Reads {
  return new PostgresReads(reader);
}
