/** Our books beside the provider's own: what of each payout is paid and came back must be the same in both. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Gateway } from "../support/gateway.ts";

interface Ours {
  readonly id: string;
  readonly reference: string;
  readonly status: string;
  readonly processedAmount: number;
  readonly returnedAmount: number;
}

interface Theirs {
  readonly reference: string;
  readonly paidAmount: string;
  readonly returnedAmount: string;
}

const PAGE = 1_000;
const PATIENCE_MS = 10_000;
const EVERY_MS = 500;

async function readOurs(gateway: Gateway): Promise<readonly Ours[]> {
  const all: Ours[] = [];
  for (;;) {
    const { body } = await gateway.call("GET", `/payouts?limit=${PAGE}&offset=${all.length}&sort=createdTime`);
    const page = body as unknown as readonly Ours[];
    all.push(...page);
    if (page.length < PAGE) return all;
  }
}

async function compare(gateway: Gateway): Promise<readonly string[]> {
  const ours = await readOurs(gateway);
  const book = (await gateway.providerBook()) as unknown as readonly Theirs[];
  const theirs = new Map(book.map((row) => [row.reference, row]));
  const known = new Set(ours.map(({ reference }) => reference));
  const strange = book.filter(({ reference }) => !known.has(reference));
  const different = ours.flatMap(({ id, reference, status, processedAmount, returnedAmount }) => {
    const row = theirs.get(reference);
    const paid = Number(row?.paidAmount ?? 0);
    const returned = Number(row?.returnedAmount ?? 0);
    if (paid === processedAmount && returned === returnedAmount) return [];
    return [`payout ${id}, ${status}: ${processedAmount} paid, ${returnedAmount} returned; there ${paid}, ${returned}`];
  });
  return [...strange.map(({ reference }) => `the provider has ${reference}, which is no payout of ours`), ...different];
}

/** Every difference, one line each, once those have had time to go that news under way explains. */
export async function differences(gateway: Gateway): Promise<readonly string[]> {
  const deadline = Date.now() + PATIENCE_MS;
  for (;;) {
    const found = await compare(gateway);
    if (found.length === 0 || Date.now() > deadline) return found;
    await sleep(EVERY_MS);
  }
}
