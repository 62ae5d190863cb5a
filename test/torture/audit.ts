/** The judgement: what the shop was told, what Bursar says now, and what the provider's own book holds, side by side. */
import { setTimeout as sleep } from "node:timers/promises";
import {
  type Bare,
  type Finding,
  type Invoice,
  isFinal,
  judgeOrders,
  type Operation,
  type Payout,
  waiting,
} from "./judgement.ts";
import type { Place } from "./processes.ts";
import { openRecords } from "./records.ts";
import { CUSTOMER } from "./setup.ts";
import type { Acknowledged, Shop } from "./shop.ts";

export interface Verdicts {
  readonly findings: Finding[];
  /** Invoices by their last status. */
  readonly ends: ReadonlyMap<string, number>;
  /** Bare requests by their last status. */
  readonly requests: ReadonlyMap<string, number>;
  /** Refunds that were asked for. */
  readonly refunds: number;
  /** Payouts that wait for a person. */
  readonly inModeration: number;
  /** From the last start to the last order's end. */
  readonly settledSeconds: number;
  readonly operations: number;
  readonly payouts: number;
  readonly abandonedSends: number;
  readonly isDurable: boolean;
  /** What is known about the orders that were found, for a person to read. */
  readonly histories: readonly string[];
}

interface Account {
  readonly id: string;
  readonly kind: string;
  readonly balance: number;
}

const SETTLE_LIMIT_MS = 150_000;
const SETTLE_POLL_MS = 500;
const READERS = 8;
const HISTORIES_MAX = 5;
/** Members that are frozen when an order is acknowledged. */
const FROZEN = ["id", "referenceId", "websiteId", "customerId", "currency", "amount", "fee", "writeoff", "service"];
const FROZEN_TOO = ["serviceAmount", "serviceWriteoff", "payoutRequestId", "createdTime", "expiresTime"];

async function read<T>(shop: Shop, path: string): Promise<T> {
  const { status, text } = await shop.call({ method: "GET", path });
  if (status !== 200) throw new Error(`GET ${path}: ${status} ${text}`);
  return JSON.parse(text) as T;
}

/** A whole list, page by page. Ids begin with their time, so the last id of a page is where the next begins. */
async function readAll<Row extends { readonly id: string }>(shop: Shop, path: string): Promise<Row[]> {
  const rows: Row[] = [];
  for (let cursor = ""; ; ) {
    const page = await read<Row[]>(shop, `${path}?limit=1000&sort=createdTime${cursor}`);
    rows.push(...page);
    const last = page.at(-1);
    if (last === undefined || page.length < 1_000) return rows;
    cursor = `&cursor=${Buffer.from(JSON.stringify([last.id]), "utf8").toString("base64url")}`;
  }
}

/** Waits until every order is final, or the time is over. Seconds since the last start. */
async function untilSettled(shop: Shop, startedAt: number): Promise<number> {
  const going = "filter=status:created,processing,process_pending,refunding,refund_pending&limit=1";
  // Every bare request is of this customer, and of no invoice.
  const unpaid = `filter=customerId:${CUSTOMER};status:instrument-selected,partially-fulfilled&limit=1`;
  for (;;) {
    const open = await read<Invoice[]>(shop, `/payout-invoices?${going}`);
    const bare = await read<Bare[]>(shop, `/payout-requests?${unpaid}`);
    const elapsed = performance.now() - startedAt;
    if ((open.length === 0 && bare.length === 0) || elapsed > SETTLE_LIMIT_MS) return elapsed / 1_000;
    await sleep(SETTLE_POLL_MS);
  }
}

/** What is missing or different of an acknowledged order; null when all is as it was told. */
async function lossOf(
  shop: Shop,
  { id, order, text }: Acknowledged,
  found: Invoice | undefined,
): Promise<string | null> {
  if (found === undefined) return `acknowledged as ${id}, and no list has its referenceId`;
  if (found.id !== id) return `acknowledged as ${id}, and its referenceId belongs to ${found.id}`;
  const { status, text: now } = await shop.call({ method: "GET", path: `/payout-invoices/${id}` });
  if (status !== 200) return `acknowledged as ${id}, which is answered ${status}`;
  const told = JSON.parse(text) as Record<string, unknown>;
  const shown = JSON.parse(now) as Record<string, unknown>;
  const changed = [...FROZEN, ...FROZEN_TOO].filter((name) => told[name] !== shown[name]);
  if (changed.length > 0) return `${changed.join(", ")} changed: told ${text}, now ${now}`;
  if (order.idempotencyKey === null) return null;
  return shop.repeat({ id, order, text });
}

/** Reads one after the other for each, several at a time. */
async function forEach<Item>(items: readonly Item[], work: (item: Item) => Promise<void>): Promise<void> {
  const left = [...items];
  const reader = async (): Promise<void> => {
    for (let next = left.pop(); next !== undefined; next = left.pop()) await work(next);
  };
  await Promise.all(Array.from({ length: READERS }, reader));
}

async function judgeAcknowledged(shop: Shop, invoices: ReadonlyMap<string, Invoice>): Promise<Finding[]> {
  const findings: Finding[] = [];
  await forEach(ordersOf(shop, "invoice"), async (known) => {
    const { referenceId } = known.order;
    const what = await lossOf(shop, known, invoices.get(referenceId));
    if (what !== null) findings.push({ verdict: "lost", referenceId, what });
  });
  return findings;
}

const ordersOf = (shop: Shop, kind: Acknowledged["order"]["kind"]): readonly Acknowledged[] =>
  [...shop.acknowledged.values()].filter(({ order }) => order.kind === kind);

/** The bare requests that are there of those that were acknowledged. */
async function readRequests(shop: Shop): Promise<readonly Bare[]> {
  const found: Bare[] = [];
  await forEach(ordersOf(shop, "request"), async ({ order }) => {
    const { status, text } = await shop.call({ method: "GET", path: `/payout-requests/${order.referenceId}` });
    if (status === 200) found.push(JSON.parse(text) as Bare);
  });
  return found;
}

async function judgeLedger(shop: Shop, isAllFinal: boolean): Promise<Finding[]> {
  const findings: Finding[] = [];
  const trial = await read<{ balanced: boolean; currencies: unknown }>(shop, "/accounts/trial-balance");
  if (!trial.balanced) {
    findings.push({ verdict: "unbalanced", referenceId: null, what: JSON.stringify(trial.currencies) });
  }
  const accounts = await read<Account[]>(shop, "/accounts?limit=1000");
  for (const { id, kind, balance } of accounts) {
    const isHolding = kind === "reserved" || kind === "in_flight";
    if (isAllFinal && isHolding && balance !== 0) {
      findings.push({ verdict: "still held", referenceId: null, what: `${id} holds ${balance}` });
    }
  }
  return findings;
}

function count(names: readonly string[]): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1);
  return counts;
}

/** Waits until all is settled, then compares. `findings`: what the campaign has found on the way. */
export async function judge(of: {
  readonly place: Place;
  readonly shop: Shop;
  readonly startedAt: number;
  readonly findings: readonly Finding[];
}): Promise<Verdicts> {
  const { place, shop } = of;
  const settledSeconds = await untilSettled(shop, of.startedAt);
  const invoices = await readAll<Invoice>(shop, "/payout-invoices");
  const payouts = await readAll<Payout>(shop, "/payouts");
  const book = (await (await fetch(`${place.sandboxUrl}/book`)).json()) as Operation[];
  const requests = await readRequests(shop);
  const isAllFinal = invoices.every(isFinal) && requests.every(({ status }) => status === "fulfilled");
  const records = await openRecords(place);
  try {
    const drifted = await records.driftedBalances();
    const findings: Finding[] = [
      ...of.findings,
      ...[...shop.surprises, ...shop.refunds.surprises].map((what): Finding => {
        return { verdict: "surprise", referenceId: /^(?:order|bare)-\d+/.exec(what)?.[0] ?? null, what };
      }),
      ...(await judgeAcknowledged(shop, new Map(invoices.map((invoice) => [invoice.referenceId, invoice])))),
      ...judgeOrders(
        { acknowledged: shop.acknowledged, refunds: shop.refunds.asked },
        { invoices, requests, payouts, book, held: await records.held() },
      ),
      ...(await judgeLedger(shop, isAllFinal)),
      ...drifted.map((what): Finding => ({ verdict: "ledger", referenceId: null, what })),
    ];
    const named = new Set(findings.flatMap(({ referenceId }) => referenceId ?? []));
    const histories: string[] = [];
    for (const referenceId of [...named].slice(0, HISTORIES_MAX)) histories.push(await records.historyOf(referenceId));
    return {
      findings,
      ends: count(invoices.map(({ status }) => status)),
      requests: count(requests.map(({ status }) => status)),
      refunds: shop.refunds.asked.size,
      inModeration: waiting({ payouts }).length,
      settledSeconds,
      operations: book.length,
      payouts: payouts.length,
      abandonedSends: await records.abandonedSends(),
      isDurable: await records.isDurable(),
      histories,
    };
  } finally {
    await records.close();
  }
}
