/** The judgement: what the shop was told, what Bursar says now, and what the provider's own book holds, side by side. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Place } from "./processes.ts";
import { openRecords } from "./records.ts";
import type { Acknowledged, Order, Shop } from "./shop.ts";

export const VERDICTS = {
  lost: "acknowledged and lost or changed",
  "paid twice": "orders paid more than once",
  "wrong amount": "payments of another amount, currency or payee's order",
  orphan: "provider operations without a payout of ours",
  unsettled: "orders neither final nor in moderation",
  "for a person": "orders that wait for a person, beyond what is explained",
  unbalanced: "trial balances that are not zero",
  "still held": "accounts that hold money of finished orders",
  disagreement: "orders whose status the provider's book denies",
  ledger: "balances that are not the sum of their entries",
  surprise: "answers that nobody should get",
  "no answers": "times when nothing was answered",
  "failed start": "starts that ended by themselves",
  crash: "runs that ended by themselves",
  "unclean stop": "stops that left something behind",
  "not reached": "points and faults that came too seldom",
} as const;

export type Verdict = keyof typeof VERDICTS;

export interface Finding {
  readonly verdict: Verdict;
  readonly referenceId: string | null;
  readonly what: string;
}

export interface Verdicts {
  readonly findings: Finding[];
  /** Orders by their last status. */
  readonly ends: ReadonlyMap<string, number>;
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

interface Payout {
  readonly id: string;
  readonly reference: string;
  readonly status: string;
}

interface Invoice {
  readonly id: string;
  readonly referenceId: string;
  readonly status: string;
  readonly moderationRequired: boolean;
  readonly payoutRequestId: string | null;
  readonly payouts: readonly Payout[];
}

interface Operation {
  readonly reference: string;
  readonly destination: string;
  readonly amount: string;
  readonly currency: string;
  readonly status: string;
  readonly effective: number;
  readonly paidAmount: string;
  readonly returnedAmount: string;
}

interface Account {
  readonly id: string;
  readonly kind: string;
  readonly balance: number;
}

const SETTLE_LIMIT_MS = 90_000;
const SETTLE_POLL_MS = 500;
const READERS = 8;
const HISTORIES_MAX = 5;
/** The provider answers every inquiry of this workload, so that every doubt ends by itself: nobody is needed. */
const MODERATION_LIMIT = 0;
const NOTHING = "0.00";
const FINAL = new Set(["processed", "process_failed", "expired", "terminated"]);
/** Members that are frozen when an order is acknowledged. */
const FROZEN = ["id", "referenceId", "websiteId", "customerId", "currency", "amount", "fee", "writeoff", "service"];
const FROZEN_TOO = ["serviceAmount", "serviceWriteoff", "payoutRequestId", "createdTime", "expiresTime"];

async function read<T>(shop: Shop, path: string): Promise<T> {
  const { status, text } = await shop.call("GET", path);
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
  const going = "filter=status:created,processing,process_pending&limit=1";
  for (;;) {
    const open = await read<Invoice[]>(shop, `/payout-invoices?${going}`);
    const elapsed = performance.now() - startedAt;
    if (open.length === 0 || elapsed > SETTLE_LIMIT_MS) return elapsed / 1_000;
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
  const { status, text: now } = await shop.call("GET", `/payout-invoices/${id}`);
  if (status !== 200) return `acknowledged as ${id}, which is answered ${status}`;
  const told = JSON.parse(text) as Record<string, unknown>;
  const shown = JSON.parse(now) as Record<string, unknown>;
  const changed = [...FROZEN, ...FROZEN_TOO].filter((name) => told[name] !== shown[name]);
  if (changed.length > 0) return `${changed.join(", ")} changed: told ${text}, now ${now}`;
  if (order.idempotencyKey === null) return null;
  return shop.repeat({ id, order, text });
}

async function judgeAcknowledged(shop: Shop, invoices: ReadonlyMap<string, Invoice>): Promise<Finding[]> {
  const findings: Finding[] = [];
  const waiting = [...shop.acknowledged.values()];
  const reader = async (): Promise<void> => {
    for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
      const { referenceId } = next.order;
      const what = await lossOf(shop, next, invoices.get(referenceId));
      if (what !== null) findings.push({ verdict: "lost", referenceId, what });
    }
  };
  await Promise.all(Array.from({ length: READERS }, reader));
  return findings;
}

/** What is wrong with an operation that has paid: the payee gets what was ordered, once and whole. */
function wrongAmount(order: Order, { amount, currency, paidAmount, returnedAmount }: Operation): boolean {
  const isMeant = amount === order.amount && currency === order.currency;
  return !isMeant || paidAmount !== order.amount || returnedAmount !== NOTHING;
}

interface Books {
  readonly invoices: readonly Invoice[];
  readonly book: readonly Operation[];
  /** What our ledger still holds, by referenceId. */
  readonly held: ReadonlyMap<string, string>;
}

/** Each order against the provider's book: paid at most once and rightly, and exactly when its status says so. */
function judgeOrders(shop: Shop, { invoices, book, held }: Books): Finding[] {
  const findings: Finding[] = [];
  const byAccount = Map.groupBy(book, (operation) => operation.destination);
  for (const invoice of invoices) {
    const { referenceId, status, moderationRequired, payouts } = invoice;
    const add = (verdict: Verdict, what: string): void => void findings.push({ verdict, referenceId, what });
    const order = shop.acknowledged.get(referenceId)?.order;
    if (order === undefined) {
      add("surprise", `an invoice ${invoice.id} that the shop has no acknowledgement for`);
      continue;
    }
    const operations = byAccount.get(order.account) ?? [];
    const paying = operations.filter((operation) => operation.effective > 0);
    const effective = operations.reduce((sum, operation) => sum + operation.effective, 0);
    const told = `${order.scenario}, ${status}, effective ${effective}: ${JSON.stringify(operations)}`;
    const isOfOthers = operations.some(({ reference }) => !payouts.some((payout) => payout.reference === reference));
    if (effective > 1) add("paid twice", told);
    if (paying.some((operation) => wrongAmount(order, operation))) add("wrong amount", `${order.amount}; ${told}`);
    if (isOfOthers) add("wrong amount", `an operation of another order: ${told}`);
    if (!FINAL.has(status) && !moderationRequired) add("unsettled", told);
    if (FINAL.has(status) && (status === "processed") !== (effective === 1)) add("disagreement", told);
    const holds = held.get(referenceId);
    if (FINAL.has(status) && holds !== undefined) add("still held", `${status}, holds ${holds}`);
  }
  const waiting = invoices.filter((invoice) => invoice.moderationRequired);
  if (waiting.length > MODERATION_LIMIT) {
    const what = `${waiting.length} orders: ${waiting.map(({ referenceId }) => referenceId).join(", ")}`;
    findings.push({ verdict: "for a person", referenceId: waiting[0]?.referenceId ?? null, what });
  }
  return findings;
}

function judgeOperations(payouts: readonly Payout[], book: readonly Operation[]): Finding[] {
  const known = new Set(payouts.map((payout) => payout.reference));
  return book
    .filter((operation) => !known.has(operation.reference))
    .map((operation) => ({
      verdict: "orphan",
      referenceId: operation.destination.replace("payee", "order"),
      what: JSON.stringify(operation),
    }));
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
  const isAllFinal = invoices.every(({ status }) => FINAL.has(status));
  const records = await openRecords(place);
  try {
    const drifted = await records.driftedBalances();
    const findings: Finding[] = [
      ...of.findings,
      ...shop.surprises.map((what): Finding => {
        return { verdict: "surprise", referenceId: /^order-\d+/.exec(what)?.[0] ?? null, what };
      }),
      ...(await judgeAcknowledged(shop, new Map(invoices.map((invoice) => [invoice.referenceId, invoice])))),
      ...judgeOrders(shop, { invoices, book, held: await records.held() }),
      ...judgeOperations(payouts, book),
      ...(await judgeLedger(shop, isAllFinal)),
      ...drifted.map((what): Finding => ({ verdict: "ledger", referenceId: null, what })),
    ];
    const named = new Set(findings.flatMap(({ referenceId }) => referenceId ?? []));
    const histories: string[] = [];
    for (const referenceId of [...named].slice(0, HISTORIES_MAX)) histories.push(await records.historyOf(referenceId));
    return {
      findings,
      ends: count(invoices.map(({ status }) => status)),
      inModeration: invoices.filter((invoice) => invoice.moderationRequired).length,
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
