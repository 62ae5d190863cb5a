/** Stories between rows and decisions: loading one, letting core decide, and writing everything that follows. */

import type { Refusal } from "../core/errors.ts";
import { sha256 } from "../core/ids.ts";
import { mayHaveOtherParts, needsChecks } from "../core/news/recovery.ts";
import { advance, isEnded } from "../core/order/dispatch.ts";
import type { Invoice } from "../core/order/invoice.ts";
import { isPlannedOrOpen, type Payout } from "../core/order/payout.ts";
import type { PayoutRequest } from "../core/order/request.ts";
import { type Draft, keepsWake, patchPayout, type Story, type Wake } from "../core/order/story.ts";
import { assert, ok, type Result } from "../core/result.ts";
import type { ProviderErrand, Seen } from "./command.ts";
import type { Context } from "./context.ts";
import type { TableName, Want } from "./ports.ts";
import { addHistory, closeItems, openItem, shutAccount } from "./record.ts";
import type { Setup } from "./setup.ts";
import { isSurelyUnsent, openDestination, providerOf, worldOf } from "./world.ts";

/** What names a story. */
export interface StoryKey {
  readonly requestId: string;
  readonly invoiceId: string | null;
  readonly websiteId: string;
}

/** The rows of a story, by the ids that any payout of it carries. */
export function storyWants(organizationId: string, key: StoryKey): readonly Want<TableName>[] {
  return [
    { table: "request", by: "primary", keys: [[organizationId, key.requestId]] },
    ...(key.invoiceId === null
      ? []
      : [{ table: "invoice" as const, by: "primary", keys: [[organizationId, key.invoiceId]] }]),
    { table: "payout", by: "payout_by_request", keys: [[organizationId, key.requestId]] },
    { table: "website", by: "primary", keys: [[organizationId, key.websiteId]] },
    { table: "work", by: "primary", keys: [[organizationId, "request", key.requestId]] },
  ];
}

/** What deciding a story needs besides: balances, the work rows and open items of its payouts. */
export function storyMore(key: StoryKey, seen: Seen): readonly Want<TableName>[] {
  const { organizationId, setup } = seen;
  const payouts = payoutsOf(seen, key.requestId);
  const request = seen.rows.get("request", [organizationId, key.requestId]);
  // After a restore all parts of an order are decided about together.
  const isInParts = request !== null && mayHaveOtherParts(request);
  const isLeaving = isInParts && payouts.some((payout) => isPlanned(payout) || payout.send === "not_now");
  const subjects = [key.requestId, ...payouts.map((payout) => payout.id), ...setup.providers.keys()];
  return [
    ...accountWants(organizationId, key.websiteId, setup),
    ...payouts.map((payout) => ({
      table: "work" as const,
      by: "primary",
      keys: [[organizationId, "payout", payout.id]],
    })),
    ...payouts.map((payout) => ({
      table: "openPart" as const,
      by: "primary",
      keys: [[organizationId, key.requestId, payout.part]],
    })),
    { table: "paymentInstrument", by: "primary", keys: instrumentKeys(organizationId, payouts) },
    ...(isInParts
      ? [{ table: "partSearch" as const, by: "part_search_by_request", keys: [[organizationId, key.requestId]] }]
      : []),
    // What is planned may not end before it is certain that it was never sent.
    {
      table: "recoveryCheck",
      by: "recovery_check_by_payout",
      keys: payouts.filter((payout) => isLeaving || isPlanned(payout)).map((payout) => [organizationId, payout.id]),
    },
    {
      table: "moderationItem",
      by: "moderation_item_by_subject",
      keys: subjects.map((subject) => [organizationId, subject]),
    },
  ];
}

function isPlanned({ status }: Payout): boolean {
  return status === "CREATED" || status === "READY";
}

/** The instruments that payouts were sent to: their request may have another one by now. */
function instrumentKeys(organizationId: string, payouts: readonly Payout[]): readonly (readonly string[])[] {
  const ids = payouts.map((payout) => payout.paymentInstrumentId).filter((id) => id !== null);
  return [...new Set(ids)].map((id) => [organizationId, id]);
}

/** The ledger accounts that an order of this website may touch. */
export function accountWants(organizationId: string, websiteId: string, setup: Setup): readonly Want<TableName>[] {
  const owners = [websiteId, "", ...setup.deposits.keys()];
  return [
    { table: "ledgerAccount", by: "ledger_account_by_owner", keys: owners.map((owner) => [organizationId, owner]) },
  ];
}

/** The story of a request as the rows have it. A request that does not exist is null. */
export function storyOf(context: Context, requestId: string): Story | null {
  const { organizationId, rows } = context;
  const request = rows.get("request", [organizationId, requestId]);
  if (request === null) return null;
  const invoice = request.invoiceId === null ? null : rows.get("invoice", [organizationId, request.invoiceId]);
  assert(request.invoiceId === null || invoice !== null, `the invoice of request ${requestId} is loaded`);
  const payouts = payoutsOf(context, requestId).toSorted((a, b) => a.part - b.part || a.attempt - b.attempt);
  return { request, invoice, payouts };
}

/** The payouts of a request that are loaded by now. */
export function payoutsOf(
  { organizationId, rows }: Pick<Seen, "organizationId" | "rows">,
  requestId: string,
): Payout[] {
  return rows.group("payout", "requestId", requestId).filter((row) => row.organizationId === organizationId);
}

/** Carries a story on and writes what follows. */
export function carryOn(context: Context, draft: Draft): Result<null, Refusal> {
  advance(draft, worldOf(context, draft));
  return saveStory(context, draft);
}

/** Writes a decided draft: rows, history, postings, wake-ups, items, and the errands of its leases. */
export function saveStory(context: Context, draft: Draft): Result<null, Refusal> {
  for (const posting of draft.postings) {
    const posted = context.post(posting);
    if (!posted.ok) return posted;
  }
  for (const payout of draft.payouts) {
    if (takesErrand(draft, payout)) addCreateErrand(context, draft, payout);
  }
  for (const payout of draft.payouts) savePayout(context, draft, payout);
  saveRequest(context, draft);
  saveInvoice(context, draft);
  tellOfUnaskedEnd(context, draft);
  for (const [key, wake] of draft.wakes) saveWake(context, key, wake);
  for (const item of draft.items) openItem(context, item);
  for (const closed of draft.closedItems) closeItems(context, closed.subject, closed.reason);
  for (const [account, reason] of draft.shutAccounts) shutAccount(context, account, reason);
  return ok(null);
}

/** An order that is ended on demand after a restore, and of which no payout here could be asked about. */
function tellOfUnaskedEnd(context: Context, { before, request, payouts }: Draft): void {
  const isEnding = request.endAsked !== null && isEnded({ request });
  const wasOver = before.request === null || isEnded({ request: before.request });
  const isLeft = request.availableMinor > 0n;
  if (!isEnding || wasOver || !isLeft || payouts.some((payout) => wasDenied(context, request, payout))) return;
  tellOfUnasked(context, request);
}

function wasDenied(context: Context, request: PayoutRequest, payout: Payout): boolean {
  return needsChecks(payout, context.moment.epoch) && isSurelyUnsent(context, request, payout);
}

/**
 * A provider is asked about an order by the references of its payouts. One that ends without any may have been started
 * and paid in the lost window all the same, and whoever believes its end pays again: a person is told.
 */
export function tellOfUnasked(context: Context, order: { readonly id: string; readonly createdTime: number }): void {
  if (!needsChecks(order, context.moment.epoch)) return;
  const details = { epoch: String(context.moment.epoch) };
  openItem(context, { kind: "request", subject: order.id, reason: "ended_unasked", isIncident: false, details });
}

function takesErrand(draft: Draft, payout: Payout): boolean {
  const wake = draft.wakes.get(`payout:${payout.id}`);
  return payout.status === "INVOKING" && wake?.lease === true && wake.fence === undefined;
}

/** The request that sends a payout, and its hash. */
function createRequest(context: Context, draft: Pick<Draft, "request">, payout: Payout) {
  const { connector, account } = providerOf(context, payout);
  const destination = openDestination(context, draft);
  assert(connector.destinationHash(destination) === payout.destinationHash, "the payee of a payout never changes");
  const http = connector.create.build(
    {
      reference: payout.reference,
      amountMinor: payout.amountMinor,
      currency: payout.currency,
      service: payout.service,
      destination,
      description: draft.request.description,
    },
    account,
    context.now,
  );
  return { http, hash: sha256(`${http.method} ${http.path}\n${http.body ?? ""}`) };
}

/** Whether a payout would be sent again with the bytes of its first request: our own address may be in them. */
export function isSameRequest(context: Context, draft: Pick<Draft, "request">, payout: Payout): boolean {
  return payout.requestHash === null || createRequest(context, draft, payout).hash === payout.requestHash;
}

/** Builds the request that is to be sent, freezes its hash, and notes the errand. */
function addCreateErrand(context: Context, draft: Draft, payout: Payout): void {
  const { http, hash: requestHash } = createRequest(context, draft, payout);
  // After a *not now* nothing has arrived, so the next request may differ (our own address may have changed).
  const isFirst = payout.requestHash === null || payout.sends === 1;
  assert(isFirst || payout.requestHash === requestHash, "a repeat sends the same bytes");
  patchPayout(draft, payout.id, { requestHash });
  const { truth } = providerOf(context, payout).connector;
  const fence = context.nextFence();
  draft.wakes.set(`payout:${payout.id}`, { dueTime: context.now + truth.leaseMs, lease: true, fence });
  context.errands.push(
    errand(context, payout, {
      operation: "invoke",
      draft: http,
      fence,
      sendWithinMs: truth.leaseMs - truth.leaseMarginMs,
      timeoutMs: truth.timeoutMs,
    }),
  );
}

/** An errand of a payout: the parts that only the caller knows, and the rest from the row. */
export function errand(
  context: Context,
  payout: Payout,
  how: Pick<ProviderErrand, "operation" | "draft" | "fence" | "sendWithinMs" | "timeoutMs">,
): ProviderErrand {
  return {
    kind: "provider",
    slotKey: payout.providerAccountId,
    organizationId: context.organizationId,
    payoutId: payout.id,
    requestId: payout.requestId,
    invoiceId: payout.invoiceId,
    websiteId: payout.websiteId,
    providerAccountId: payout.providerAccountId,
    baseUrl: providerOf(context, payout).row.baseUrl,
    epoch: context.moment.epoch,
    askedTime: context.now,
    ...how,
  };
}

function savePayout(context: Context, draft: Draft, payout: Payout): void {
  const before = draft.before.payouts.find((each) => each.id === payout.id) ?? null;
  if (payout === before) return;
  const { organizationId } = context;
  const saved = { ...payout, version: payout.version + 1, updatedTime: context.now };
  context.rows.put("payout", saved);
  if (before === null) context.count({ payoutCount: context.lock.payoutCount + 1 });
  const moves = draft.moves.get(`payout:${payout.id}`) ?? [];
  addHistory(context, { kind: "payout", subject: payout.id, status: payout.status, row: saved, moves });
  const key = [organizationId, payout.requestId, payout.part];
  const open = context.rows.get("openPart", key);
  if (isPlannedOrOpen(payout)) {
    if (open === null) {
      context.rows.put("openPart", {
        organizationId,
        requestId: payout.requestId,
        part: payout.part,
        payoutId: payout.id,
      });
    } else {
      // A payout revived by late news finds the part taken: only the first of them may be new money.
      assert(open.payoutId === payout.id || before !== null, "a part has one planned or open payout");
    }
  } else if (open?.payoutId === payout.id) {
    context.rows.remove("openPart", key);
  }
}

function saveRequest(context: Context, draft: Draft): void {
  const { request } = draft;
  if (request === draft.before.request) return;
  assert(
    request.amountMinor + request.overpaidMinor >= request.availableMinor + request.paidMinor,
    `the sums of request ${request.id} do not add up`,
  );
  if (isSame(request, draft.before.request)) return;
  const saved = { ...request, version: request.version + 1, updatedTime: context.now };
  context.rows.put("request", saved);
  if (draft.before.request === null) context.count({ requestCount: context.lock.requestCount + 1 });
  const moves = draft.moves.get(`request:${request.id}`) ?? [];
  addHistory(context, { kind: "request", subject: request.id, status: request.dispatchStatus, row: saved, moves });
}

function saveInvoice(context: Context, draft: Draft): void {
  const { invoice } = draft;
  if (invoice === null || isSame(invoice, draft.before.invoice)) return;
  saveInvoiceAlone(context, invoice, draft.moves.get(`invoice:${invoice.id}`) ?? []);
}

/** Writes an invoice and its history row; also for one that has no request yet. */
export function saveInvoiceAlone(context: Context, invoice: Invoice, moves: readonly string[]): void {
  const saved = { ...invoice, version: invoice.version + 1, updatedTime: context.now };
  context.rows.put("invoice", saved);
  const { callbackUrl } = invoice;
  addHistory(context, { kind: "invoice", subject: invoice.id, status: invoice.status, row: saved, moves, callbackUrl });
}

/** Equal in every member: recomputed sums that come out the same are no change. */
function isSame<R extends object>(a: R, b: R | null): boolean {
  if (b === null) return false;
  const other = b as Record<string, unknown>;
  return Object.entries(a).every(([name, value]) => other[name] === value);
}

function saveWake(context: Context, key: string, wake: Wake): void {
  const at = key.indexOf(":");
  const kind = key.slice(0, at) as "payout" | "request" | "invoice";
  const subject = key.slice(at + 1);
  const workKey = [context.organizationId, kind, subject];
  const old = context.rows.get("work", workKey);
  if (old !== null && keepsWake(wake, old.dueTime, context.now)) return;
  if (wake.dueTime === null) {
    if (old !== null) context.rows.remove("work", workKey);
    return;
  }
  context.rows.put("work", {
    organizationId: context.organizationId,
    kind,
    subject,
    dueTime: wake.dueTime,
    fence: wake.fence ?? old?.fence ?? 0,
  });
}
