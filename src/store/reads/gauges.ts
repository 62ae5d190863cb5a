/** What a person on call must know, over all books: a handful of reads, whatever their number. */
import { PAYOUT_MEANING, PAYOUT_STATUSES, type PayoutStatus } from "../../core/order/payout.ts";
import type { Reader } from "../reader.ts";

export interface Gauges {
  /** By kind: how long the oldest due work has been due, seconds. */
  readonly dueWork: readonly { readonly kind: string; readonly ageSeconds: number }[];
  /** Payouts that may have been paid and nobody knows. */
  readonly unknownMoney: readonly {
    readonly organizationId: string;
    readonly providerAccountId: string;
    readonly currency: string;
    readonly amountMinor: bigint;
  }[];
  readonly openItems: readonly { readonly reason: string; readonly count: number }[];
  /** Where nothing new is sent; the system's gate belongs to no organization. */
  readonly shutGates: readonly {
    readonly scope: "system" | "organization" | "currency" | "provider_account";
    readonly organizationId: string | null;
    readonly id: string;
  }[];
  /** Books beyond the limit: what is in them is not counted. */
  readonly unwatchedBooks: number;
}

/** As many books are watched: their ids are one parameter. */
const BOOKS_MAX = 1_000;

const OPEN = Object.keys(PAYOUT_STATUSES).filter((status) => PAYOUT_MEANING[status as PayoutStatus].class === "open");

const DUE_WORK = `select kind, extract(epoch from clock_timestamp() - min(due_time))::float8 as age_seconds
  from bursar."work" where due_time <= (select clock_timestamp()) group by kind`;

/** Every open payout has its part, or an item where late news has revived it: neither table grows with history. */
const UNKNOWN_MONEY = `select p.organization_id, p.provider_account_id, p.currency, sum(p.amount_minor) as amount_minor
  from bursar."payout" p where p.moderation_required and p.status = any($1::text[])
    and (p.organization_id, p.id) in (
      select organization_id, payout_id from bursar."open_part" union
      select organization_id, case kind when 'payout' then subject::uuid end from bursar."moderation_item"
      where status = 'open' and kind = 'payout')
  group by p.organization_id, p.provider_account_id, p.currency`;

const OPEN_ITEMS = `select reason, count(*)::integer as count from bursar."moderation_item"
  where status = 'open' group by reason`;

const SYSTEM_GATE = `select 'system' as scope, null as organization_id, 'system' as id
  from bursar.epoch where gate <> 'open'`;

const SHUT_GATES = `select 'organization' as scope, organization_id, organization_id as id
    from bursar."organization_lock" where gate <> 'open'
  union all select 'currency', organization_id, unnest(shut_currencies) from bursar."organization_lock"
  union all select 'provider_account', organization_id, id from bursar."provider_account" where gate <> 'open'`;

export async function readGauges(reader: Reader): Promise<Gauges> {
  const known = await reader.query(null, `select id from bursar."organization" order by id`);
  const books = known.slice(0, BOOKS_MAX).map((row) => String(row["id"]));
  const [dueWork, unknownMoney, openItems, system, gates] = await Promise.all([
    reader.query(books, DUE_WORK),
    reader.query(books, UNKNOWN_MONEY, [OPEN]),
    reader.query(books, OPEN_ITEMS),
    reader.query(null, SYSTEM_GATE),
    reader.query(books, SHUT_GATES),
  ]);
  return {
    dueWork: dueWork as unknown as Gauges["dueWork"],
    unknownMoney: unknownMoney as unknown as Gauges["unknownMoney"],
    openItems: openItems as unknown as Gauges["openItems"],
    shutGates: [...system, ...gates] as unknown as Gauges["shutGates"],
    unwatchedBooks: known.length - books.length,
  };
}
