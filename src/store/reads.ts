/** Reads for answers and lists. Every one names its organization, beside row-level security; none decides about money. */
import type { Invoice } from "../core/invoice.ts";
import type { Entry, LedgerAccount } from "../core/ledger.ts";
import type { FundsMovement, Website } from "../core/merchant.ts";
import type { Payout } from "../core/payout.ts";
import type { PayoutRequest } from "../core/request.ts";
import type { KindTotal } from "../core/views.ts";
import type { ApiKey, Delivery, History, Locator, Tables, WebhookEndpoint } from "../engine/ports.ts";
import { sqlName } from "./describe.ts";
import type { Parameter, Reader } from "./reader.ts";
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
  webhookEndpoint(organizationId: string, id: string): Promise<WebhookEndpoint | null>;
  webhookEndpoints(organizationId: string, query: ListQuery): Promise<Page<WebhookEndpoint>>;
  delivery(organizationId: string, id: string): Promise<Delivery | null>;
  deliveries(organizationId: string, query: ListQuery): Promise<Page<Delivery>>;
  /** Over all books: for the operator alone, never for a caller of the API. */
  state(): Promise<State>;
  /** Changes after a sequence, oldest first, at most `limit`. */
  changesAfter(organizationId: string, after: number, limit: number): Promise<readonly History[]>;
  /** History sequences of a span of time, oldest first, at most `limit`. Times in milliseconds. */
  sequencesBetween(
    organizationId: string,
    span: { from: number; to: number; limit: number },
  ): Promise<readonly number[]>;
}

/** What somebody on call asks about, over all books of at most this many organizations. */
const STATE_BOOKS = 1_000;

/** How the whole installation is: late work, money whose outcome is unknown, open moderation. */
export interface State {
  readonly due: readonly { readonly kind: string; readonly ageMs: number }[];
  readonly unknown: readonly {
    readonly providerAccountId: string;
    readonly currency: string;
    readonly amountMinor: bigint;
  }[];
  readonly moderation: readonly { readonly reason: string; readonly count: number }[];
}

/** No list is counted further than this. */
export const COUNT_MAX = 10_000;
/** No organization has this id: reading for it is as much work as for a real one, and finds nothing. */
const NOBODY = "-";
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

type Counter = "invoiceCount" | "requestCount" | "payoutCount";
/** What can be listed. */
export type ListTable =
  | "invoice"
  | "request"
  | "payout"
  | "ledgerAccount"
  | "fundsMovement"
  | "webhookEndpoint"
  | "delivery";

/** The keys by which each list is ordered, and the counter of the lock row that knows its length. */
const LISTS: Readonly<Record<ListTable, { readonly order: readonly string[]; readonly counter: Counter | null }>> = {
  // Our own ids begin with their time: the primary key is the order of creation.
  invoice: { order: ["id"], counter: "invoiceCount" },
  payout: { order: ["id"], counter: "payoutCount" },
  fundsMovement: { order: ["id"], counter: null },
  ledgerAccount: { order: ["id"], counter: null },
  webhookEndpoint: { order: ["id"], counter: null },
  delivery: { order: ["id"], counter: null },
  request: { order: ["createdTime", "id"], counter: "requestCount" },
};

/** The keys of a list's rows, so that a cursor from outside can be checked. */
export function listKeys(table: ListTable): readonly ("text" | "time" | "uuid")[] {
  return LISTS[table].order.map((member) => tableOf(table).columns[member]?.type as "text" | "time" | "uuid");
}

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

function conditionSql(table: ListTable, condition: Condition, parameters: Parameters): string {
  const name = column(condition.member);
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

const KEY_CASTS = { text: "", uuid: "::uuid", time: "::timestamptz" } as const;

function afterSql(table: ListTable, query: ListQuery, parameters: Parameters): string | null {
  if (query.after === null) return null;
  const kinds = listKeys(table);
  const values = query.after.map((value, at) => {
    const kind = kinds[at] ?? "text";
    return parameters.add(kind === "time" ? new Date(Number(value)) : String(value)) + KEY_CASTS[kind];
  });
  const keys = LISTS[table].order.map(column).join(", ");
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

  async #one<T extends ListTable>(table: T, organizationId: string, id: string): Promise<Tables[T] | null> {
    if (tableOf(table).columns["id"]?.type === "uuid" && !isUuid(id)) return null;
    const where = `${column("organizationId")} = $1 and ${column("id")} = $2`;
    const rows = await this.#reader.rows(table, organizationId, { where, values: [organizationId, id] });
    return rows[0] ?? null;
  }

  invoice(organizationId: string, id: string): Promise<InvoiceBelow | null> {
    return steadily(
      () => this.#one("invoice", organizationId, id),
      (invoice) => this.#belowInvoices(organizationId, [invoice]),
    );
  }

  async invoices(organizationId: string, query: ListQuery): Promise<Page<InvoiceBelow>> {
    const page = await this.#page("invoice", organizationId, query);
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
      () => this.#one("request", organizationId, id),
      (request) => this.#belowRequests(organizationId, [request]),
    );
  }

  async requests(organizationId: string, query: ListQuery): Promise<Page<RequestBelow>> {
    const page = await this.#page("request", organizationId, query);
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
    return this.#one("payout", organizationId, id);
  }

  payouts(organizationId: string, query: ListQuery): Promise<Page<Payout>> {
    return this.#page("payout", organizationId, query);
  }

  ledgerAccounts(organizationId: string, query: ListQuery): Promise<Page<LedgerAccount>> {
    return this.#page("ledgerAccount", organizationId, query);
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
    return this.#one("fundsMovement", organizationId, id);
  }

  fundsMovements(organizationId: string, query: ListQuery): Promise<Page<FundsMovement>> {
    return this.#page("fundsMovement", organizationId, query);
  }

  webhookEndpoint(organizationId: string, id: string): Promise<WebhookEndpoint | null> {
    return this.#one("webhookEndpoint", organizationId, id);
  }

  webhookEndpoints(organizationId: string, query: ListQuery): Promise<Page<WebhookEndpoint>> {
    return this.#page("webhookEndpoint", organizationId, query);
  }

  delivery(organizationId: string, id: string): Promise<Delivery | null> {
    return this.#one("delivery", organizationId, id);
  }

  deliveries(organizationId: string, query: ListQuery): Promise<Page<Delivery>> {
    return this.#page("delivery", organizationId, query);
  }

  async state(): Promise<State> {
    const books = await this.#reader.rows("organization", null, { orderBy: 't."id"', limit: STATE_BOOKS });
    // Row-level security takes the set of books; each query is one for all of them.
    const all = books.map((book) => book.id).join(",");
    const [due, unknown, moderation] = await Promise.all([
      this.#reader.query(
        all,
        `select t.kind, extract(epoch from clock_timestamp() - min(t.due_time)) * 1000 as age
         from bursar."work" t where t.due_time <= clock_timestamp() group by t.kind`,
      ),
      this.#reader.query(
        all,
        `select p.provider_account_id, p.currency, sum(p.amount_minor) as amount
         from bursar."open_part" o join bursar."payout" p
           on p.organization_id = o.organization_id and p.id = o.payout_id
         where p.moderation_required group by p.provider_account_id, p.currency`,
      ),
      this.#reader.query(
        all,
        `select t.reason, count(*) as count from bursar."moderation_item" t where t.status = 'open' group by t.reason`,
      ),
    ]);
    return {
      due: due.map((row) => ({ kind: String(row["kind"]), ageMs: Number(row["age"]) })),
      unknown: unknown.map((row) => ({
        providerAccountId: String(row["providerAccountId"]),
        currency: String(row["currency"]),
        amountMinor: BigInt(String(row["amount"])),
      })),
      moderation: moderation.map((row) => ({ reason: String(row["reason"]), count: Number(row["count"]) })),
    };
  }

  changesAfter(organizationId: string, after: number, limit: number): Promise<readonly History[]> {
    return this.#reader.rows("history", organizationId, {
      where: `${column("organizationId")} = $1 and ${column("sequence")} > $2`,
      values: [organizationId, after],
      orderBy: column("sequence"),
      limit,
    });
  }

  async sequencesBetween(
    organizationId: string,
    span: { from: number; to: number; limit: number },
  ): Promise<readonly number[]> {
    const rows = await this.#reader.query(
      organizationId,
      `select t.sequence from bursar."history" t
       where t.organization_id = $1 and t.time >= $2 and t.time < $3 order by t.sequence limit $4`,
      [organizationId, new Date(span.from), new Date(span.to), span.limit],
    );
    return rows.map((row) => Number(row["sequence"]));
  }

  async #page<T extends ListTable>(table: T, organizationId: string, query: ListQuery): Promise<Page<Tables[T]>> {
    const { order, counter } = LISTS[table];
    const parameters = new Parameters();
    const scope = `${column("organizationId")} = ${parameters.add(organizationId)}`;
    const filtered = [scope, ...query.conditions.map((each) => conditionSql(table, each, parameters))].join(" and ");
    const countValues = [...parameters.values];
    const after = afterSql(table, query, parameters);
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
      query.conditions.length === 0 && counter !== null
        ? this.#counted(organizationId, counter)
        : this.#count(table, organizationId, { where: filtered, values: countValues }),
    ]);
    const rows = found.slice(0, query.limit);
    const last = rows.at(-1) as Readonly<Record<string, string | number>> | undefined;
    const next = found.length > query.limit && last !== undefined ? order.map((member) => last[member] ?? "") : null;
    return { rows, ...counted, next };
  }

  async #counted(organizationId: string, counter: Counter): Promise<{ total: number; isCapped: boolean }> {
    const where = 't."organization_id" = $1';
    const [lock] = await this.#reader.rows("organizationLock", null, { where, values: [organizationId] });
    return { total: lock?.[counter] ?? 0, isCapped: false };
  }

  async #count(
    table: ListTable,
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
