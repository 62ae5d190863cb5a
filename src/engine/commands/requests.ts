/** `PUT /payout-requests/{id}`: made or changed by the client's own id (docs/api.md). */

import { type InvalidField, invalid, type Refusal, refusal } from "../../core/errors.ts";
import { isCurrency } from "../../core/money/currency.ts";
import { askForEnd, isEnded } from "../../core/order/dispatch.ts";
import { moveName } from "../../core/order/machine.ts";
import { isPlannedOrOpen, PAYOUT_MEANING, type Payout } from "../../core/order/payout.ts";
import {
  type BlockReason,
  type Canceler,
  DEFAULT_ATTEMPTS,
  type PayoutRequest,
  publicStatus,
} from "../../core/order/request.ts";
import { begin, type Draft, noteMove, patchRequest, reopen, type Story } from "../../core/order/story.ts";
import { assert, err, ok, type Result } from "../../core/result.ts";
import type { PaymentInstrument, Website } from "../../core/setup/merchant.ts";
import { type Handler, ORDER } from "../command.ts";
import type { Context } from "../context.ts";
import { carryOn, payoutsOf, storyMore, storyOf, storyWants } from "../orders.ts";
import type { TableName, Want } from "../ports.ts";
import { destinationBinding } from "../world.ts";
import { type Fault, readAmount } from "./invoice-order.ts";

/** The writable members. Absent = unchanged (on create: the default), null = cleared. */
export interface RequestOrder {
  readonly currency?: string;
  readonly websiteId?: string;
  readonly customerId?: string;
  /** Decimal text in major units. */
  readonly amount?: string;
  readonly description?: string | null;
  readonly blocked?: boolean;
  readonly blockReason?: BlockReason | null;
  readonly paymentInstrumentId?: string | null;
  readonly redirectUrl?: string | null;
}

export interface PutRequest {
  readonly id: string;
  /** The merchant's own name of the order, where that is not its id. */
  readonly root?: string;
  readonly order: RequestOrder;
  readonly problems: readonly InvalidField[];
}

/** A request with its payouts, as it stands after the command. */
export interface RequestRows {
  readonly request: PayoutRequest;
  readonly payouts: readonly Payout[];
  readonly website: Website;
  readonly isNew: boolean;
}

const MAX_URL = 2083;

export const putRequest: Handler<PutRequest, RequestRows> = {
  name: "put-payout-request",
  order: ORDER.accept,
  wants({ id, order }, organizationId) {
    const { websiteId, customerId, paymentInstrumentId } = order;
    const wants: Want<TableName>[] = [
      { table: "request", by: "primary", keys: [[organizationId, id]] },
      { table: "payout", by: "payout_by_request", keys: [[organizationId, id]] },
      { table: "work", by: "primary", keys: [[organizationId, "request", id]] },
    ];
    if (websiteId !== undefined) {
      wants.push({ table: "website", by: "primary", keys: [[organizationId, websiteId]] });
    }
    if (customerId !== undefined) {
      wants.push({ table: "customer", by: "primary", keys: [[organizationId, customerId]] });
    }
    if (typeof paymentInstrumentId === "string") {
      wants.push({ table: "paymentInstrument", by: "primary", keys: [[organizationId, paymentInstrumentId]] });
    }
    return wants;
  },
  more({ id, order }, seen) {
    const existing = seen.rows.get("request", [seen.organizationId, id]);
    const websiteId = existing?.websiteId ?? order.websiteId;
    if (websiteId === undefined) return [];
    const key = { requestId: id, invoiceId: existing?.invoiceId ?? null, websiteId };
    return [...storyWants(seen.organizationId, key), ...storyMore(key, seen)];
  },
  decide(context, put) {
    const existing = context.rows.get("request", [context.organizationId, put.id]);
    const checked = checkPut(context, put);
    if (!checked.ok) return checked;
    return existing === null ? create(context, put, checked.value) : change(context, put, checked.value);
  },
};

interface Checked {
  readonly website: Website;
  readonly customerId: string;
  readonly currency: string;
  readonly amountMinor: bigint;
  readonly instrument: PaymentInstrument | null;
}

/** Every fault of form and meaning at once. The four required members are required on every PUT. */
function checkPut(context: Context, { order, problems }: PutRequest): Result<Checked, Refusal> {
  const faults: InvalidField[] = [...problems];
  const fault: Fault = (field, message) => {
    if (!faults.some((each) => each.field === field)) faults.push({ field, message });
    return null;
  };
  const { organizationId, rows } = context;
  const { websiteId, customerId, currency, amount } = order;
  const website = websiteId === undefined ? null : rows.get("website", [organizationId, websiteId]);
  if (websiteId === undefined) fault("websiteId", "is required");
  else if (website === null) fault("websiteId", "is not a website of this organization");
  const customer = customerId === undefined ? null : rows.get("customer", [organizationId, customerId]);
  if (customerId === undefined) fault("customerId", "is required");
  else if (customer === null) fault("customerId", "is not a customer of this organization");
  else if (website !== null && customer.websiteId !== website.id) {
    fault("customerId", "is not a customer of this website");
  }
  const isKnown = currency !== undefined && isCurrency(currency);
  if (currency === undefined) fault("currency", "is required");
  else if (!isKnown) fault("currency", "is not a currency that Bursar knows");
  if (amount === undefined) fault("amount", "is required");
  const isGiven = amount !== undefined;
  const amountMinor = isGiven ? readAmount(amount, isKnown ? currency : null, { field: "amount", fault }) : null;
  const instrument = checkInstrument(context, order, fault);
  checkRedirectUrl(order.redirectUrl, fault);
  if (faults.length > 0 || !website || !customerId || !currency || amountMinor === null) return err(invalid(faults));
  return ok({ website, customerId, currency, amountMinor, instrument });
}

function checkInstrument(context: Context, order: RequestOrder, fault: Fault): PaymentInstrument | null {
  const id = order.paymentInstrumentId;
  if (id === undefined || id === null) return null;
  const instrument = context.rows.get("paymentInstrument", [context.organizationId, id]);
  if (instrument === null || instrument.customerId !== order.customerId) {
    return fault("paymentInstrumentId", "is not an instrument of this customer");
  }
  return instrument;
}

/** At most 2083 characters, and a web address once `{{id}}` is filled in. */
function checkRedirectUrl(url: string | null | undefined, fault: Fault): void {
  if (url === undefined || url === null) return;
  const member = "selectedPaymentInstrumentRedirectUrl";
  if (url.length > MAX_URL) fault(member, `has more than ${MAX_URL} characters`);
  const filled = url.replaceAll("{{id}}", "id");
  const parsed = URL.canParse(filled) ? new URL(filled) : null;
  const isWeb = parsed?.protocol === "https:" || parsed?.protocol === "http:";
  if (!isWeb) fault(member, "is not a web address once {{id}} is filled in");
}

function create(context: Context, put: PutRequest, checked: Checked): Result<RequestRows, Refusal> {
  const { order } = put;
  const blocked = order.blocked ?? false;
  if (!blocked && order.blockReason) return err(invalid([{ field: "blockReason", message: "needs blocked: true" }]));
  const { organizationId, now } = context;
  const { website, instrument } = checked;
  const request: PayoutRequest = {
    organizationId,
    id: put.id,
    root: put.root ?? `r:${put.id}`,
    invoiceId: null,
    websiteId: website.id,
    customerId: checked.customerId,
    currency: checked.currency,
    amountMinor: checked.amountMinor,
    description: order.description ?? null,
    service: null,
    paymentInstrumentId: null,
    destination: null,
    destinationHash: null,
    redirectUrl: order.redirectUrl ?? null,
    blocked,
    blockReason: order.blockReason ?? null,
    dispatchStatus: "CREATED",
    version: 0,
    resolution: null,
    moderationRequired: false,
    attemptsLimit: DEFAULT_ATTEMPTS,
    allowPartially: false,
    isSplit: false,
    isParallel: false,
    areDetailsRefused: false,
    endAsked: null,
    canceledBy: null,
    cancelDescription: null,
    paidMinor: 0n,
    availableMinor: checked.amountMinor,
    overpaidMinor: 0n,
    batchId: null,
    expiresTime: now + website.requestLifetimeMs,
    createdTime: now,
    updatedTime: now,
  };
  const draft = begin(request, { now: null, before: null }, now);
  noteMove(draft, `request:${request.id}`, moveName("request", "new", "CREATED"));
  chooseInstrument(context, draft, instrument);
  const carried = carryOn(context, draft);
  return carried.ok ? ok(rowsOf(context, put.id, { website, isNew: true })) : carried;
}

/** Takes an instrument's details over, so that what is paid is what was chosen; null gives them back. */
function chooseInstrument(context: Context, draft: Draft, instrument: PaymentInstrument | null): void {
  if (instrument === null) {
    const areDetailsRefused = false;
    const nothing = { paymentInstrumentId: null, service: null, destination: null, destinationHash: null };
    patchRequest(draft, { ...nothing, areDetailsRefused });
    return;
  }
  const { organizationId, setup } = context;
  const binding = destinationBinding(organizationId, instrument.destinationHash);
  patchRequest(draft, {
    paymentInstrumentId: instrument.id,
    service: instrument.service,
    destination: setup.safe.seal(setup.safe.open(instrument.destination, binding), binding),
    destinationHash: instrument.destinationHash,
    areDetailsRefused: false,
  });
}

function rowsOf(context: Context, id: string, of: { website: Website; isNew: boolean }): RequestRows {
  const { organizationId, rows } = context;
  const request = rows.get("request", [organizationId, id]);
  assert(request !== null, `request ${id} is loaded`);
  const payouts = payoutsOf(context, id);
  return { request, payouts, website: of.website, isNew: of.isNew };
}

export interface CancelRequest {
  readonly id: string;
  readonly description: string | null;
  readonly canceledBy: Canceler;
}

/**
 * Cancels a request: what is planned ends, nothing new is made. Refused with `payout-in-flight` while anything of it
 * is at a provider, and once it is fulfilled; then nothing has changed.
 */
export const cancelRequest: Handler<CancelRequest, RequestRows> = {
  name: "cancel-payout-request",
  order: ORDER.accept,
  wants: ({ id }, organizationId) => [
    { table: "request", by: "primary", keys: [[organizationId, id]] },
    { table: "payout", by: "payout_by_request", keys: [[organizationId, id]] },
  ],
  more({ id }, seen) {
    const request = seen.rows.get("request", [seen.organizationId, id]);
    if (request === null) return [];
    const key = { requestId: id, invoiceId: request.invoiceId, websiteId: request.websiteId };
    return [...storyWants(seen.organizationId, key), ...storyMore(key, seen)];
  },
  decide(context, { id, description, canceledBy }) {
    const story = storyOf(context, id);
    if (story === null) return err(refusal("not-found", "There is no such payout request."));
    const status = publicStatus(story.request);
    if (status === "canceled" || status === "fulfilled") {
      return err(refusal("not-in-this-status", `The payout request is ${status}.`));
    }
    if (
      story.payouts.some((payout) => PAYOUT_MEANING[payout.status].class === "open" || payout.status === "CANCELLING")
    ) {
      return err(refusal("payout-in-flight", "An allocation of it is at its provider."));
    }
    const draft = reopen(story, context.now);
    if (isEnded(draft)) return err(refusal("not-in-this-status", "The payout request is settled."));
    askForEnd(draft, "cancel");
    patchRequest(draft, { canceledBy, cancelDescription: description });
    const carried = carryOn(context, draft);
    if (!carried.ok) return carried;
    const website = context.rows.get("website", [context.organizationId, story.request.websiteId]);
    assert(website !== null, "the website of a story is loaded");
    return ok(rowsOf(context, id, { website, isNew: false }));
  },
};

/** What a PUT would change of an existing request; an empty patch changes nothing, in every status, for ever. */
function patchOf(put: PutRequest, request: PayoutRequest, checked: Checked): Partial<PayoutRequest> {
  const { order } = put;
  const wanted: Partial<PayoutRequest> = {
    websiteId: checked.website.id,
    customerId: checked.customerId,
    currency: checked.currency,
    amountMinor: checked.amountMinor,
    ...(order.description === undefined ? {} : { description: order.description }),
    ...(order.redirectUrl === undefined ? {} : { redirectUrl: redirectOf(order.redirectUrl, request, checked) }),
    ...(order.paymentInstrumentId === undefined ? {} : { paymentInstrumentId: order.paymentInstrumentId }),
    ...(order.blocked === undefined ? {} : { blocked: order.blocked }),
    ...(order.blocked === false ? { blockReason: null } : {}),
    ...(order.blockReason === undefined || order.blocked === false ? {} : { blockReason: order.blockReason }),
  };
  const current = request as unknown as Record<string, unknown>;
  return Object.fromEntries(Object.entries(wanted).filter(([name, value]) => current[name] !== value));
}

/** Answers show the website's URL where none was chosen: sent back, it is no choice. */
function redirectOf(given: string | null, request: PayoutRequest, { website }: Checked): string | null {
  return request.redirectUrl === null && given === website.url ? null : given;
}

const FROZEN = ["amountMinor", "currency", "customerId", "websiteId"] as const;
/** What may change of the request that belongs to an invoice. */
const CHANGEABLE_OF_INVOICE = new Set(["description", "blocked", "blockReason", "redirectUrl"]);

function change(context: Context, put: PutRequest, checked: Checked): Result<RequestRows, Refusal> {
  const story = storyOf(context, put.id);
  assert(story !== null, `request ${put.id} is loaded`);
  const { request } = story;
  const { order } = put;
  const patch = patchOf(put, request, checked);
  const website = checked.website;
  const willBeBlocked = patch.blocked ?? request.blocked;
  const reason = patch.blockReason === undefined ? request.blockReason : patch.blockReason;
  if (order.blockReason && (order.blocked === false || (!willBeBlocked && reason !== null))) {
    return err(invalid([{ field: "blockReason", message: "needs blocked: true" }]));
  }
  if (Object.keys(patch).length === 0) return ok(rowsOf(context, put.id, { website, isNew: false }));
  const obstacle = obstacleTo(patch, story, checked.instrument);
  if (obstacle !== null) return err(refusal("not-in-this-status", obstacle));
  const fault = instrumentFault(patch, story, checked.instrument);
  if (fault !== null) return err(invalid([{ field: "paymentInstrumentId", message: fault }]));
  const draft = reopen(story, context.now);
  patchRequest(draft, patch);
  if (patch.paymentInstrumentId !== undefined) chooseInstrument(context, draft, checked.instrument);
  const carried = carryOn(context, draft);
  return carried.ok ? ok(rowsOf(context, put.id, { website, isNew: false })) : carried;
}

/** Why the instrument that a request would have then is none for it; null: it is one, or there is none. */
function instrumentFault(
  patch: Partial<PayoutRequest>,
  { request, invoice }: Story,
  instrument: PaymentInstrument | null,
): string | null {
  const isKept = patch.paymentInstrumentId === undefined && request.paymentInstrumentId !== null;
  // It is the former customer's: whoever names another customer says who is paid, or that it is not known yet.
  if (isKept && patch.customerId !== undefined) return "is not an instrument of this customer";
  // An invoice is priced for its service: another one would be paid at these terms, or have no route at all.
  const isOther = invoice !== null && instrument !== null && instrument.service !== invoice.service;
  return isOther ? "is for another service" : null;
}

/** Why a change is not possible any more, in a sentence; null when it is. */
function obstacleTo(
  patch: Partial<PayoutRequest>,
  { request, payouts }: Story,
  instrument: PaymentInstrument | null,
): string | null {
  const status = publicStatus(request);
  if (status === "canceled" || status === "fulfilled") return `The payout request is ${status}.`;
  const names = Object.keys(patch);
  const frozen = FROZEN.filter((name) => names.includes(name));
  if (payouts.length > 0 && frozen.length > 0) {
    return `An allocation exists: ${frozen.join(", ").replace("amountMinor", "amount")} cannot change.`;
  }
  const isUnderWay = payouts.some((payout) => isPlannedOrOpen(payout) && payout.status !== "CREATED");
  if (names.includes("paymentInstrumentId") && isUnderWay) {
    return "An allocation is under way: the payment instrument cannot change.";
  }
  const isOther = (payout: Payout): boolean => payout.status === "CREATED" && payout.service !== instrument?.service;
  if (instrument !== null && names.includes("paymentInstrumentId") && payouts.some(isOther)) {
    return "An allocation that awaits the payee's details is of another service than the payment instrument.";
  }
  if (request.invoiceId === null) return null;
  const isAwaited = request.dispatchStatus === "WAITING_DETAILS";
  const foreign = names.filter(
    (name) => !CHANGEABLE_OF_INVOICE.has(name) && !(name === "paymentInstrumentId" && isAwaited),
  );
  return foreign.length === 0 ? null : "It belongs to a payout invoice, which decides these members.";
}
