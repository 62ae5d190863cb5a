/**
 * A *story* is what one order is made of: its request, the payouts of the request, and the invoice above it if there
 * is one. Decisions are written into a *draft* of the story: rows as they shall be, moves taken, postings, wake-ups,
 * moderation items. Nothing here reads or writes anything else, so a draft can be thrown away.
 */

import type { Posting } from "../money/ledger.ts";
import { assert } from "../result.ts";
import { INVOICE, INVOICE_STATUS_OF, type Invoice, type InvoiceStatus } from "./invoice.ts";
import { moveName } from "./machine.ts";
import { isPlannedOrOpen, PAYOUT, type Payout, type PayoutStatus } from "./payout.ts";
import { arithmetic, type DispatchStatus, type PayoutRequest, REQUEST } from "./request.ts";

export interface Story {
  readonly invoice: Invoice | null;
  readonly request: PayoutRequest;
  readonly payouts: readonly Payout[];
}

/**
 * Something that shall be looked at again; `dueTime: null` removes it. A wake-up that is a lease carries its fence
 * once the engine has drawn one; others leave the fence of a lease that somebody may hold alone.
 */
export interface Wake {
  readonly dueTime: number | null;
  readonly lease: boolean;
  readonly fence?: number;
  /** Leaves alone a wake-up that is there and comes no later, or soon: it may be a lease, or a question's next try. */
  readonly isGentle?: true;
}

const SOON_MS = 60_000;

/** Whether a wake-up that is there already stays, instead of this one. Times in milliseconds since 1970. */
export function keepsWake(wake: Wake, knownTime: number, now: number): boolean {
  return wake.isGentle === true && knownTime <= Math.max(wake.dueTime ?? 0, now + SOON_MS);
}

/** Something that a person must look at. Items of one cause are one item with a count. */
export interface Item {
  readonly kind: "payout" | "request" | "provider_account" | "organization" | "callback" | "delivery";
  readonly subject: string;
  readonly reason: ItemReason;
  readonly isIncident: boolean;
  readonly details: Readonly<Record<string, string>>;
}

/** Why a person is asked. */
export const ITEM_REASONS = {
  outcome_unknown: "What became of a payout is not known.",
  answer_differs: "The provider speaks of another amount, currency, payee or reference than ours.",
  not_sent_by_us: "The provider knows a payout that we have not sent.",
  ended_unasked: "An order has ended that may have been paid in the time that a restore has lost.",
  paid_late: "A payout that had ended was paid after all.",
  paid_too_much: "More was paid than asked, or a part was paid twice.",
  returned_too_much: "More came back than was paid.",
  partly_paid: "Less was paid than the amount; the rest is still held.",
  account_refused: "The provider refuses our account; nothing new is sent there.",
  internal_fault: "Bursar itself could not go on with it.",
  payout_unknown: "A verified message speaks of a payout that we do not know.",
  second_person: "What a moderator has decided waits for a second person.",
} as const;

export type ItemReason = keyof typeof ITEM_REASONS;

/** A story being changed. The only place where statuses are written. */
export interface Draft {
  readonly now: number;
  /** What was there before; null for what begins with this draft. */
  readonly before: {
    readonly invoice: Invoice | null;
    readonly request: PayoutRequest | null;
    readonly payouts: readonly Payout[];
  };
  invoice: Invoice | null;
  request: PayoutRequest;
  payouts: Payout[];
  /** Moves taken, by aggregate key (`payout:<id>`). */
  readonly moves: Map<string, string[]>;
  readonly postings: Posting[];
  readonly wakes: Map<string, Wake>;
  readonly items: Item[];
  /** Items that have lost their reason: `subject reason`. */
  readonly closedItems: { subject: string; reason: ItemReason }[];
  /** Provider accounts whose gate is to be shut, with the reason. */
  readonly shutAccounts: Map<string, string>;
  /** The payout whose due work this is: its wake-up is used up. */
  readonly woken: string | null;
}

/** Opens a draft of a story that exists. */
export function reopen(story: Story, now: number, woken: string | null = null): Draft {
  return { ...emptyDraft(now), before: story, ...story, payouts: [...story.payouts], woken };
}

/** Opens the draft of a story that begins with this request. Its invoice, if any, may have been waiting before. */
export function begin(
  request: PayoutRequest,
  invoices: { readonly now: Invoice | null; readonly before: Invoice | null },
  now: number,
): Draft {
  const before = { invoice: invoices.before, request: null, payouts: [] };
  return { ...emptyDraft(now), before, request, invoice: invoices.now, payouts: [] };
}

function emptyDraft(now: number) {
  return {
    now,
    moves: new Map<string, string[]>(),
    postings: [] as Posting[],
    wakes: new Map<string, Wake>(),
    items: [] as Item[],
    closedItems: [] as { subject: string; reason: ItemReason }[],
    shutAccounts: new Map<string, string>(),
    woken: null,
  };
}

export function noteMove(draft: Draft, key: string, name: string): void {
  const moves = draft.moves.get(key);
  if (moves === undefined) draft.moves.set(key, [name]);
  else moves.push(name);
}

/** The payout as it now stands in the draft. */
export function payoutOf(draft: Draft, id: string): Payout {
  const payout = draft.payouts.find((each) => each.id === id);
  assert(payout !== undefined, `payout ${id} is not part of this story`);
  return payout;
}

/** Changes members of a payout that are not its status. */
export function patchPayout(draft: Draft, id: string, patch: Partial<Omit<Payout, "status" | "id">>): Payout {
  const index = draft.payouts.findIndex((each) => each.id === id);
  const old = draft.payouts[index];
  assert(old !== undefined, `payout ${id} is not part of this story`);
  const next = { ...old, ...patch };
  draft.payouts[index] = next;
  return next;
}

/** Moves a payout along one edge of its machine. An edge that is not in the table is a bug. */
export function movePayout(draft: Draft, id: string, to: PayoutStatus): Payout {
  const index = draft.payouts.findIndex((each) => each.id === id);
  const old = draft.payouts[index];
  assert(old !== undefined, `payout ${id} is not part of this story`);
  assert(PAYOUT.find(old.status, to) !== undefined, `a payout does not move from ${old.status} to ${to}`);
  noteMove(draft, `payout:${id}`, moveName("payout", old.status, to));
  const next = { ...old, status: to };
  draft.payouts[index] = next;
  return next;
}

/** Adds a new payout in its first status. */
export function addPayout(draft: Draft, payout: Payout): void {
  assert(PAYOUT.find("new", payout.status) !== undefined, `a payout does not begin as ${payout.status}`);
  noteMove(draft, `payout:${payout.id}`, moveName("payout", "new", payout.status));
  draft.payouts.push(payout);
}

export function patchRequest(draft: Draft, patch: Partial<Omit<PayoutRequest, "dispatchStatus" | "id">>): void {
  draft.request = { ...draft.request, ...patch };
}

/**
 * Moves the request along one edge, and the invoice above it as the map says. Children report, the parent's own
 * table decides: a move of the request that the invoice's machine does not know is a bug.
 */
export function moveRequest(draft: Draft, to: DispatchStatus): void {
  const from = draft.request.dispatchStatus;
  if (from === to) return;
  assert(REQUEST.find(from, to) !== undefined, `a request does not move from ${from} to ${to}`);
  noteMove(draft, `request:${draft.request.id}`, moveName("request", from, to));
  draft.request = { ...draft.request, dispatchStatus: to };
  if (draft.invoice === null) return;
  moveInvoice(draft, to === "CANCELING" ? "refunding" : INVOICE_STATUS_OF[to]);
}

/** Moves the invoice along one edge; standing still is no move. */
export function moveInvoice(draft: Draft, to: InvoiceStatus): void {
  const { invoice } = draft;
  assert(invoice !== null, "there is no invoice to move");
  if (invoice.status === to) return;
  const step = stepInvoice(invoice, to);
  noteMove(draft, `invoice:${invoice.id}`, step.move);
  draft.invoice = step.invoice;
}

/** One edge of the invoice's machine, for an invoice that has no request yet or within a draft. */
export function stepInvoice(invoice: Invoice, to: InvoiceStatus): { readonly invoice: Invoice; readonly move: string } {
  assert(INVOICE.find(invoice.status, to) !== undefined, `an invoice does not move from ${invoice.status} to ${to}`);
  return { invoice: { ...invoice, status: to }, move: moveName("invoice", invoice.status, to) };
}

export function patchInvoice(draft: Draft, patch: Partial<Omit<Invoice, "status" | "id">>): void {
  assert(draft.invoice !== null, "there is no invoice to change");
  draft.invoice = { ...draft.invoice, ...patch };
}

/** Wakes a payout at the latest then, without disturbing what wakes it sooner. */
export function wakeGently(draft: Draft, id: string, dueTime: number): void {
  if (draft.wakes.has(`payout:${id}`)) return;
  wakePayout(draft, id, dueTime);
  const wake = draft.wakes.get(`payout:${id}`);
  if (wake !== undefined && draft.woken !== id) draft.wakes.set(`payout:${id}`, { ...wake, isGentle: true });
}

/**
 * Wakes a payout at a time, or when its order's lifetime ends if that is sooner, without touching a lease that
 * somebody may hold.
 */
export function wakePayout(draft: Draft, id: string, dueTime: number | null): void {
  const { expiresTime, endAsked } = draft.request;
  const isEndAhead = endAsked === null && draft.now < expiresTime;
  const soonest = dueTime !== null && isEndAhead ? Math.min(dueTime, expiresTime) : dueTime;
  draft.wakes.set(`payout:${id}`, { dueTime: soonest, lease: false });
}

export function wakeRequest(draft: Draft, dueTime: number | null): void {
  draft.wakes.set(`request:${draft.request.id}`, { dueTime, lease: false });
}

/** Brings the request's sums in line with its payouts, and its flag and the invoice's with theirs. */
export function foldPayouts(draft: Draft): void {
  const sums = arithmetic(draft.request.amountMinor, draft.payouts);
  const isFlagged = draft.payouts.some((payout) => payout.moderationRequired) || awaitsDecision(draft);
  draft.request = { ...draft.request, ...sums, moderationRequired: isFlagged };
  if (draft.invoice !== null) draft.invoice = { ...draft.invoice, moderationRequired: isFlagged };
}

/** Whether nothing new may leave for an order any more, although nobody has ended it yet. */
export function isLifetimeOver({ now, request }: Pick<Draft, "now" | "request">): boolean {
  return now >= request.expiresTime;
}

/** Whether something of an invoice is paid, less than asked, and a person must say how it goes on. */
export function awaitsDecision(draft: Draft): boolean {
  const { request } = draft;
  if (request.invoiceId === null || request.allowPartially || request.endAsked !== null) return false;
  const isPart = request.paidMinor > 0n && request.paidMinor < request.amountMinor;
  return isPart && request.dispatchStatus === "PENDING" && !draft.payouts.some(isPlannedOrOpen);
}
