/** What can be listed: the rows of each list, its order, and what is peculiar to it. */
import type { Entry } from "../../core/money/ledger.ts";
import type { Scheme } from "../../core/setup/routing.ts";
import type { History, OrganizationLock, TableName, Tables } from "../../engine/ports.ts";
import { tableOf } from "../tables.ts";
import { EVENT_TYPE_SQL } from "./events.ts";
import { ALLOCATION_STATUS_SQL, PUBLIC_STATUS_SQL } from "./words.ts";

export type Counter = keyof OrganizationLock & (`${string}Count` | "historySequence");

/** The rows of each list. */
export interface Lists extends Pick<Tables, "invoice" | "request" | "payout" | "ledgerAccount" | "fundsMovement"> {
  website: Tables["website"];
  customer: Tables["customer"];
  paymentInstrument: Tables["paymentInstrument"];
  providerAccount: Tables["providerAccount"];
  depositAccount: Tables["depositAccount"];
  route: Tables["route"];
  webhookEndpoint: Tables["webhookEndpoint"];
  delivery: Tables["delivery"];
  moderationItem: Tables["moderationItem"];
  moderationAct: Tables["moderationAct"];
  /** The newest revision of each. */
  scheme: Scheme;
  schemeRevision: Scheme;
  entry: Entry;
  /** Payouts of bare requests. */
  allocation: Tables["payout"];
  event: History;
}
export type ListTable = keyof Lists;
/** Tables whose rows are read as they are, by their id. */
export type PlainTable =
  | "website"
  | "customer"
  | "paymentInstrument"
  | "providerAccount"
  | "depositAccount"
  | "route"
  | "webhookEndpoint"
  | "delivery"
  | "moderationItem"
  | "moderationAct";
export type PlainList = PlainTable | "scheme" | "schemeRevision" | "entry" | "allocation";

export interface ListSource {
  readonly table: TableName;
  /** The keys by which it is ordered. */
  readonly order: readonly string[];
  /** The counter of the lock row that knows its length. */
  readonly counter?: Counter;
  /** What all of its rows have in common. */
  readonly where?: string;
  /** Members of conditions that are no column. */
  readonly computed?: Readonly<Record<string, string>>;
}

const NEWEST_REVISION = `not exists (select from bursar."scheme" n where n.organization_id = t.organization_id
  and n.kind = t.kind and n.id = t.id and n.revision > t.revision)`;

export const LISTS: Readonly<Record<ListTable, ListSource>> = {
  // Our own ids begin with their time: the primary key is the order of creation.
  invoice: { table: "invoice", order: ["id"], counter: "invoiceCount" },
  payout: { table: "payout", order: ["id"], counter: "payoutCount" },
  fundsMovement: { table: "fundsMovement", order: ["id"] },
  delivery: { table: "delivery", order: ["id"] },
  moderationItem: { table: "moderationItem", order: ["id"] },
  moderationAct: { table: "moderationAct", order: ["id"] },
  request: {
    table: "request",
    order: ["createdTime", "id"],
    counter: "requestCount",
    computed: { publicStatus: PUBLIC_STATUS_SQL },
  },
  // Ids of the caller: their order is the index's.
  ledgerAccount: { table: "ledgerAccount", order: ["id"] },
  website: { table: "website", order: ["id"] },
  customer: { table: "customer", order: ["id"] },
  paymentInstrument: { table: "paymentInstrument", order: ["id"] },
  providerAccount: { table: "providerAccount", order: ["id"] },
  depositAccount: { table: "depositAccount", order: ["id"] },
  route: { table: "route", order: ["id"] },
  webhookEndpoint: { table: "webhookEndpoint", order: ["id"] },
  scheme: { table: "scheme", order: ["id"], where: NEWEST_REVISION },
  schemeRevision: { table: "scheme", order: ["revision"] },
  entry: { table: "entry", order: ["sequence"] },
  allocation: {
    table: "payout",
    order: ["id"],
    where: 't."invoice_id" is null',
    computed: { allocationStatus: ALLOCATION_STATUS_SQL },
  },
  event: {
    table: "history",
    order: ["sequence"],
    // Gapless: the last sequence is their number.
    counter: "historySequence",
    computed: { type: EVENT_TYPE_SQL },
  },
};

type KeyKind = "text" | "time" | "uuid" | "int" | "long";

/** The keys of a list's rows, so that a cursor from outside can be checked. */
export function listKeys(list: ListTable): readonly KeyKind[] {
  const { table, order } = LISTS[list];
  return order.map((member) => tableOf(table).columns[member]?.type as KeyKind);
}
