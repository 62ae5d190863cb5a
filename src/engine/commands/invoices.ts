/** Payout invoices: made, processed, expired. */

import { type Refusal, refusal } from "../../core/errors.ts";
import { sha256 } from "../../core/ids.ts";
import type { Entry } from "../../core/money/ledger.ts";
import * as ledger from "../../core/money/ledger.ts";
import { askForEnd } from "../../core/order/dispatch.ts";
import { freezeTerms, type Invoice } from "../../core/order/invoice.ts";
import { moveName } from "../../core/order/machine.ts";
import type { Payout } from "../../core/order/payout.ts";
import { DEFAULT_ATTEMPTS, type PayoutRequest } from "../../core/order/request.ts";
import { begin, moveInvoice, noteMove, reopen, stepInvoice } from "../../core/order/story.ts";
import { assert, err, ok, type Result } from "../../core/result.ts";
import { type Handler, ORDER, type Seen } from "../command.ts";
import type { Context } from "../context.ts";
import {
  accountWants,
  carryOn,
  payoutsOf,
  saveInvoiceAlone,
  storyMore,
  storyOf,
  storyWants,
  tellOfUnasked,
} from "../orders.ts";
import type { TableName, Want, Work } from "../ports.ts";
import { destinationBinding } from "../world.ts";
import {
  type CreateInvoice,
  checkOrder,
  type InvoiceOrder,
  type Plan,
  type Priced,
  priceOrder,
} from "./invoice-order.ts";

/** An invoice with everything below it, as it stands after a command. */
export interface InvoiceRows {
  readonly invoice: Invoice;
  readonly request: PayoutRequest | null;
  readonly payouts: readonly Payout[];
  readonly entries: readonly Entry[];
}

export const createInvoice: Handler<CreateInvoice, InvoiceRows> = {
  name: "create-payout-invoice",
  order: ORDER.accept,
  wants: ({ order }, organizationId) => {
    const { websiteId, referenceId, customer, paymentInstrumentId } = order;
    const wants: Want<TableName>[] = [];
    if (websiteId !== undefined) {
      wants.push({ table: "website", by: "primary", keys: [[organizationId, websiteId]] });
      if (referenceId !== undefined) {
        wants.push({ table: "invoice", by: "reference_id_used", keys: [[organizationId, websiteId, referenceId]] });
      }
      if (customer?.referenceId !== undefined) {
        const keys = [[organizationId, websiteId, customer.referenceId]];
        wants.push({ table: "customer", by: "customer_reference_once", keys });
      }
    }
    if (customer?.id !== undefined) {
      wants.push({ table: "customer", by: "primary", keys: [[organizationId, customer.id]] });
    }
    if (paymentInstrumentId !== undefined) {
      wants.push({ table: "paymentInstrument", by: "primary", keys: [[organizationId, paymentInstrumentId]] });
    }
    return wants;
  },
  more({ order }, seen) {
    const { organizationId, rows } = seen;
    if (order.websiteId === undefined) return [];
    const existing = findInvoice(rows, organizationId, order);
    if (existing !== undefined) return invoiceRowsWants(seen, existing);
    const instrument =
      order.paymentInstrumentId === undefined
        ? null
        : rows.get("paymentInstrument", [organizationId, order.paymentInstrumentId]);
    return [
      ...accountWants(organizationId, order.websiteId, seen.setup),
      ...(instrument === null
        ? []
        : [{ table: "customer" as const, by: "primary", keys: [[organizationId, instrument.customerId]] }]),
    ];
  },
  decide: decideCreate,
};

function findInvoice(
  rows: Pick<Context["rows"], "group">,
  organizationId: string,
  order: InvoiceOrder,
): Invoice | undefined {
  return rows
    .group("invoice", "referenceId", order.referenceId ?? "")
    .find((row) => row.organizationId === organizationId && row.websiteId === order.websiteId);
}

/** Everything below an invoice, for the answer; what payouts have posted, once the payouts are there. */
export function invoiceRowsWants(
  { organizationId, rows }: Pick<Seen, "organizationId" | "rows">,
  invoice: Pick<Invoice, "requestId">,
): readonly Want<TableName>[] {
  const { requestId } = invoice;
  if (requestId === null) return [];
  const payouts = payoutsOf({ organizationId, rows }, requestId);
  const subjects = [requestId, ...payouts.map((payout) => payout.id)];
  return [
    { table: "request", by: "primary", keys: [[organizationId, requestId]] },
    { table: "payout", by: "payout_by_request", keys: [[organizationId, requestId]] },
    { table: "entry", by: "entry_by_subject", keys: subjects.map((subject) => [organizationId, subject]) },
  ];
}

/** An invoice with everything below it, from the rows of a command. */
export function invoiceRows(context: Context, invoiceId: string): InvoiceRows {
  const { organizationId, rows } = context;
  const invoice = rows.get("invoice", [organizationId, invoiceId]);
  assert(invoice !== null, `invoice ${invoiceId} is loaded`);
  const { requestId } = invoice;
  if (requestId === null) return { invoice, request: null, payouts: [], entries: [] };
  const request = rows.get("request", [organizationId, requestId]);
  const payouts = payoutsOf(context, requestId);
  const subjects = [requestId, ...payouts.map((payout) => payout.id)];
  const entries = subjects
    .flatMap((subject) => rows.group("entry", "subject", subject))
    .filter((row) => row.organizationId === organizationId);
  return { invoice, request, payouts, entries };
}

function decideCreate(context: Context, { order, problems }: CreateInvoice): Result<InvoiceRows, Refusal> {
  const contentHash = sha256(canonical(order));
  const existing = findInvoice(context.rows, context.organizationId, order);
  if (existing !== undefined && problems.length === 0) {
    if (existing.contentHash === contentHash) return ok(invoiceRows(context, existing.id));
    return err({
      ...refusal("reference-id-used", `Another order of this website has the referenceId ${existing.referenceId}.`),
      location: `/payout-invoices/${existing.id}`,
    });
  }
  const plan = checkOrder(context, order, problems);
  if (!plan.ok) return plan;
  const priced = priceOrder(context.setup, plan.value);
  if (!priced.ok) return priced;
  const customerId = customerOf(context, plan.value);
  const invoice = newInvoice(context, { plan: plan.value, priced: priced.value, customerId, contentHash });
  context.count({ invoiceCount: context.lock.invoiceCount + 1 });
  const started = invoice.autoprocess ? startProcessing(context, invoice, null) : keepWaiting(context, invoice);
  return started.ok ? ok(invoiceRows(context, invoice.id)) : started;
}

/** A text that is equal for equal orders, whatever the order of their members. */
function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  if (typeof value === "object" && value !== null) {
    const members = Object.entries(value).filter(([, member]) => member !== undefined);
    members.sort(([a], [b]) => (a < b ? -1 : 1));
    return `{${members.map(([name, member]) => `${JSON.stringify(name)}:${canonical(member)}`).join(",")}}`;
  }
  return JSON.stringify(value) ?? "null";
}

/** The order's customer, or one made for it: every payout has a payee whom the merchant can name. */
function customerOf(context: Context, plan: Plan): string {
  if (plan.customer !== null) return plan.customer.id;
  const { organizationId, now } = context;
  const instrumentId = plan.order.paymentInstrumentId;
  const instrument =
    instrumentId === undefined ? null : context.rows.get("paymentInstrument", [organizationId, instrumentId]);
  if (instrument !== null) return instrument.customerId;
  const given = plan.order.customer;
  const id = `cus_${context.newId().replaceAll("-", "")}`;
  context.rows.put("customer", {
    organizationId,
    id,
    websiteId: plan.website.id,
    referenceId: given?.referenceId ?? null,
    email: given?.email ?? null,
    phone: given?.phone ?? null,
    name: given?.name ?? null,
    metadata: given?.metadata ?? null,
    version: 1,
    createdTime: now,
    updatedTime: now,
  });
  return id;
}

/** The members of a new invoice that its price freezes. */
function pricedMembers({ plan, priced }: { plan: Plan; priced: Priced }) {
  const { price, quote, terms } = priced;
  const isAmount = "amountMinor" in plan.requested;
  return {
    currency: plan.currency,
    amountMinor: price.amountMinor,
    writeoffMinor: price.writeoffMinor,
    feeMinor: price.feeMinor,
    serviceCurrency: plan.service.currency,
    serviceAmountMinor: price.serviceAmountMinor,
    serviceWriteoffMinor: price.serviceWriteoffMinor,
    serviceFeeMinor: price.serviceFeeMinor,
    requestedMember: isAmount ? "amount" : "serviceAmount",
    requestedMinor: "amountMinor" in plan.requested ? plan.requested.amountMinor : plan.requested.serviceAmountMinor,
    rateNumerator: quote.rate.numerator,
    rateDenominator: quote.rate.denominator,
    rateSource: quote.source,
    feeTerms: freezeTerms(terms),
  } as const;
}

const NOTHING_PAID = {
  heldMinor: 0n,
  postedMinor: 0n,
  releasedMinor: 0n,
  processedMinor: 0n,
  processedFeeMinor: 0n,
  processedServiceMinor: 0n,
  refundedMinor: 0n,
  refundedServiceMinor: 0n,
  refundedFeeMinor: 0n,
} as const;

function newInvoice(
  context: Context,
  of: { plan: Plan; priced: Priced; customerId: string; contentHash: string },
): Invoice {
  const { plan } = of;
  const { order, website } = plan;
  const { now } = context;
  const expiresTime = order.expiresTime ?? now + (order.lifetimeMinutes ?? website.lifetimeMinutes) * 60_000;
  return {
    organizationId: context.organizationId,
    id: context.newId(),
    websiteId: website.id,
    referenceId: plan.referenceId,
    contentHash: of.contentHash,
    requestId: null,
    customerId: of.customerId,
    service: plan.service.code,
    status: "created",
    version: 0,
    resolution: null,
    moderationRequired: false,
    ...pricedMembers(of),
    quoteTime: now,
    quoteExpiresTime: expiresTime,
    autoprocess: order.autoprocess ?? website.autoprocess,
    attemptsLimit: order.attemptsLimit ?? DEFAULT_ATTEMPTS,
    allowPartially: order.allowPartially ?? false,
    isSplit: order.splitMode ?? false,
    isParallel: order.parallelMode ?? false,
    description: order.description ?? null,
    descriptor: order.descriptor ?? null,
    metadata: order.metadata ?? null,
    callbackUrl: order.callbackUrl ?? null,
    ...sealDestination(context, plan.destination),
    paymentInstrumentId: order.paymentInstrumentId ?? null,
    ...NOTHING_PAID,
    expiresTime,
    createdTime: now,
    updatedTime: now,
  };
}

/** The payee's details sealed, with the hash that they are bound to. */
function sealDestination(
  context: Context,
  details: Plan["destination"],
): Pick<Invoice, "destination" | "destinationHash"> {
  if (details === null) return { destination: null, destinationHash: null };
  const { safe } = context.setup;
  const destinationHash = safe.fingerprint(details);
  return {
    destination: safe.seal(details, destinationBinding(context.organizationId, destinationHash)),
    destinationHash,
  };
}

/** An invoice that waits in `created` for the process command. */
function keepWaiting(context: Context, invoice: Invoice): Result<null, Refusal> {
  saveInvoiceAlone(context, invoice, [moveName("invoice", "new", "created")]);
  context.rows.put("work", {
    organizationId: context.organizationId,
    kind: "invoice",
    subject: invoice.id,
    dueTime: invoice.expiresTime,
    fence: 0,
  });
  return ok(null);
}

/** Processing starts: the write-off is held, the request is made, and its first payout with it. */
function startProcessing(context: Context, invoice: Invoice, before: Invoice | null): Result<null, Refusal> {
  const requestId = `preq_${context.newId().replaceAll("-", "")}`;
  const request = requestOf(context, invoice, requestId);
  const held = { ...invoice, requestId, heldMinor: invoice.writeoffMinor, destination: null };
  const draft = begin(request, { now: held, before }, context.now);
  if (before === null) noteMove(draft, `invoice:${invoice.id}`, moveName("invoice", "new", "created"));
  noteMove(draft, `request:${requestId}`, moveName("request", "new", "CREATED"));
  moveInvoice(draft, "processing");
  draft.postings.push(ledger.hold(requestId, invoice.websiteId, invoice.currency, invoice.writeoffMinor));
  if (before !== null) draft.wakes.set(`invoice:${invoice.id}`, { dueTime: null, lease: false });
  return carryOn(context, draft);
}

function requestOf(context: Context, invoice: Invoice, id: string): PayoutRequest {
  return {
    organizationId: context.organizationId,
    id,
    root: `i:${invoice.websiteId}:${invoice.referenceId}`,
    invoiceId: invoice.id,
    websiteId: invoice.websiteId,
    customerId: invoice.customerId,
    currency: invoice.serviceCurrency,
    amountMinor: invoice.serviceAmountMinor,
    description: invoice.description,
    service: invoice.service,
    paymentInstrumentId: invoice.paymentInstrumentId,
    destination: invoice.destination,
    destinationHash: invoice.destinationHash,
    redirectUrl: null,
    blocked: false,
    blockReason: null,
    dispatchStatus: "CREATED",
    version: 0,
    resolution: null,
    moderationRequired: false,
    attemptsLimit: invoice.attemptsLimit,
    allowPartially: invoice.allowPartially,
    isSplit: invoice.isSplit,
    isParallel: invoice.isParallel,
    areDetailsRefused: false,
    endAsked: null,
    canceledBy: null,
    cancelDescription: null,
    paidMinor: 0n,
    availableMinor: invoice.serviceAmountMinor,
    overpaidMinor: 0n,
    batchId: null,
    expiresTime: invoice.expiresTime,
    createdTime: context.now,
    updatedTime: context.now,
  };
}

export interface ProcessInvoice {
  readonly invoiceId: string;
  readonly acceptQuote: boolean;
  /** The version that the caller has read; absent or null: whichever it is. */
  readonly version?: number | null;
}

/** A person's or the merchant's command to process an invoice that waits in `created`. */
export const processInvoice: Handler<ProcessInvoice, InvoiceRows> = {
  name: "process-payout-invoice",
  order: ORDER.accept,
  wants: ({ invoiceId }, organizationId) => [
    { table: "invoice", by: "primary", keys: [[organizationId, invoiceId]] },
    { table: "work", by: "primary", keys: [[organizationId, "invoice", invoiceId]] },
  ],
  more({ invoiceId }, seen) {
    const invoice = seen.rows.get("invoice", [seen.organizationId, invoiceId]);
    if (invoice === null) return [];
    return [
      { table: "website", by: "primary", keys: [[seen.organizationId, invoice.websiteId]] },
      ...accountWants(seen.organizationId, invoice.websiteId, seen.setup),
      ...invoiceRowsWants(seen, invoice),
    ];
  },
  decide(context, { invoiceId, version }) {
    const invoice = context.rows.get("invoice", [context.organizationId, invoiceId]);
    if (invoice === null) return err(refusal("not-found", "There is no such payout invoice."));
    if (version !== undefined && version !== null && version !== invoice.version) {
      return err(refusal("version-conflict", `The invoice is at version ${invoice.version}, not ${version}.`));
    }
    if (invoice.status !== "created") {
      return err(refusal("not-in-this-status", `The invoice is ${invoice.status}; only a created one is processed.`));
    }
    // Its wake-up may be late: nothing is paid after the lifetime, nor at a rate that was frozen for that long.
    if (context.now >= invoice.expiresTime) {
      return err(refusal("not-in-this-status", "The invoice's lifetime is over."));
    }
    const started = startProcessing(context, invoice, invoice);
    return started.ok ? ok(invoiceRows(context, invoiceId)) : started;
  },
};

/**
 * Ends an invoice before its lifetime does. Nothing new is made and what is planned ends; a payout that is at its
 * provider is followed to its end, and then the settle rule decides.
 */
export const terminateInvoice: Handler<{ readonly invoiceId: string }, InvoiceRows> = {
  name: "terminate-payout-invoice",
  order: ORDER.accept,
  wants: ({ invoiceId }, organizationId) => [
    { table: "invoice", by: "primary", keys: [[organizationId, invoiceId]] },
    { table: "work", by: "primary", keys: [[organizationId, "invoice", invoiceId]] },
    { table: "moderationItem", by: "moderation_item_by_subject", keys: [[organizationId, invoiceId]] },
  ],
  more({ invoiceId }, seen) {
    const invoice = seen.rows.get("invoice", [seen.organizationId, invoiceId]);
    if (invoice === null || invoice.requestId === null) return [];
    const key = { requestId: invoice.requestId, invoiceId, websiteId: invoice.websiteId };
    const { organizationId } = seen;
    return [...storyWants(organizationId, key), ...storyMore(key, seen), ...invoiceRowsWants(seen, invoice)];
  },
  decide(context, { invoiceId }) {
    const invoice = context.rows.get("invoice", [context.organizationId, invoiceId]);
    if (invoice === null) return err(refusal("not-found", "There is no such payout invoice."));
    if (invoice.status === "created") {
      context.rows.remove("work", [context.organizationId, "invoice", invoiceId]);
      const step = stepInvoice(invoice, "terminated");
      saveInvoiceAlone(context, step.invoice, [step.move]);
      tellOfUnasked(context, invoice);
      return ok(invoiceRows(context, invoiceId));
    }
    if (invoice.status !== "processing" && invoice.status !== "process_pending") {
      return err(refusal("not-in-this-status", `The invoice is ${invoice.status}; only an open one is terminated.`));
    }
    const story = invoice.requestId === null ? null : storyOf(context, invoice.requestId);
    assert(story !== null, `invoice ${invoiceId} is being processed and has a request`);
    const draft = reopen(story, context.now);
    askForEnd(draft, "terminate");
    const carried = carryOn(context, draft);
    return carried.ok ? ok(invoiceRows(context, invoiceId)) : carried;
  },
};

/** The lifetime of an invoice that nobody processed is over. */
export const expireInvoice: Handler<Work, "moved"> = {
  name: "expire-payout-invoice",
  order: ORDER.claim,
  wants: (work, organizationId) => [
    { table: "invoice", by: "primary", keys: [[organizationId, work.subject]] },
    { table: "work", by: "primary", keys: [[organizationId, "invoice", work.subject]] },
    { table: "moderationItem", by: "moderation_item_by_subject", keys: [[organizationId, work.subject]] },
  ],
  decide(context, work) {
    const invoice = context.rows.get("invoice", [context.organizationId, work.subject]);
    assert(invoice !== null, `invoice ${work.subject} has due work and exists`);
    context.rows.remove("work", [context.organizationId, "invoice", invoice.id]);
    if (invoice.status === "created") {
      const step = stepInvoice(invoice, "expired");
      saveInvoiceAlone(context, step.invoice, [step.move]);
      tellOfUnasked(context, invoice);
    }
    return ok("moved");
  },
};
