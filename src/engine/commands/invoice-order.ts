/** Reading a payout invoice's order: every fault at once, and what it costs. */
import type { ServiceDescription } from "../../connectors/contract.ts";
import { type InvalidField, invalid, type Refusal, refusal } from "../../core/errors.ts";
import { isCurrency } from "../../core/money/currency.ts";
import { type FeeTerms, type Price, price } from "../../core/money/fee.ts";
import { parseMajor, readDecimal } from "../../core/money/money.ts";
import { err, ok, type Result } from "../../core/result.ts";
import { type CommerceScheme, type RateQuote, type RateScheme, rateFor, termsFor } from "../../core/setup/commerce.ts";
import { checkFields } from "../../core/setup/fields.ts";
import type { Customer, Website } from "../../core/setup/merchant.ts";
import type { Context } from "../context.ts";
import type { Setup } from "../setup.ts";
import { destinationBinding } from "../world.ts";

/** What a merchant asks for. Amounts are decimal text in major units; members that were not given are absent. */
export interface InvoiceOrder {
  readonly referenceId?: string;
  readonly websiteId?: string;
  readonly currency?: string;
  readonly amount?: string;
  readonly serviceAmount?: string;
  readonly service?: string;
  readonly fields?: Readonly<Record<string, string>>;
  readonly paymentInstrumentId?: string;
  readonly description?: string;
  readonly descriptor?: string;
  readonly customer?: {
    readonly id?: string;
    readonly referenceId?: string;
    readonly email?: string;
    readonly phone?: string;
    readonly name?: string;
    readonly metadata?: unknown;
  };
  readonly metadata?: unknown;
  readonly callbackUrl?: string;
  readonly expiresTime?: number;
  readonly autoprocess?: boolean;
  readonly attemptsLimit?: number;
  readonly allowPartially?: boolean;
  /** Whether several payouts may share the amount where no route can carry it whole, and whether all at once. */
  readonly splitMode?: boolean;
  readonly parallelMode?: boolean;
  readonly lifetimeMinutes?: number;
}

export interface CreateInvoice {
  readonly order: InvoiceOrder;
  /** Faults of form, found before: reported together with those of meaning. */
  readonly problems: readonly InvalidField[];
}

const MAX_LIFETIME_MS = 10 * 365 * 86_400_000;

/** An order whose members are all there and make sense. */
export interface Plan {
  readonly order: InvoiceOrder;
  readonly referenceId: string;
  readonly website: Website;
  readonly currency: string;
  readonly service: ServiceDescription;
  readonly requested: { amountMinor: bigint } | { serviceAmountMinor: bigint };
  readonly destination: Readonly<Record<string, string>> | null;
  readonly customer: Customer | null;
}

/** Every fault of an order at once. */
export function checkOrder(
  context: Context,
  order: InvoiceOrder,
  problems: readonly InvalidField[],
): Result<Plan, Refusal> {
  const faults: InvalidField[] = [...problems];
  const fault: Fault = (field, message, instead = []) => {
    const isSaid = faults.some((each) => each.field === field || instead.includes(each.field));
    if (!isSaid) faults.push({ field, message });
    return null;
  };
  const { referenceId, websiteId, currency } = order;
  if (referenceId === undefined) fault("referenceId", "is required");
  const website = websiteId === undefined ? null : context.rows.get("website", [context.organizationId, websiteId]);
  if (websiteId === undefined) fault("websiteId", "is required");
  else if (website === null) fault("websiteId", "is not a website of this organization");
  const isCurrencyKnown = currency !== undefined && isCurrency(currency);
  if (currency === undefined) fault("currency", "is required");
  else if (!isCurrencyKnown) fault("currency", "is not a currency that Bursar knows");
  const service = order.service === undefined ? null : findService(context, order.service);
  if (order.service === undefined) fault("service", "is required");
  else if (service === null) fault("service", "is not a payout service");
  const requested = readRequested(order, { currency: isCurrencyKnown ? currency : null, service }, fault);
  const customer = findCustomer(context, order, fault);
  const destination = readDestination(context, { order, service, customer }, fault);
  checkTimes(context, order, fault);
  if (faults.length > 0 || !website || !service || !requested || !currency || !referenceId) return err(invalid(faults));
  return ok({ order, referenceId, website, currency, service, requested, destination, customer });
}

/** Names a fault once. Where one of `instead` is at fault already, it is not missing: nothing is said. */
export type Fault = (field: string, message: string, instead?: readonly string[]) => null;

export function findService(context: Pick<Context, "connectors">, code: string): ServiceDescription | null {
  for (const connector of context.connectors.values()) {
    const service = connector.services.find((each) => each.code === code);
    if (service !== undefined) return service;
  }
  return null;
}

const MONEY_FAULTS = {
  not_a_number: "is not a decimal number",
  too_many_decimals: "has more decimals than the currency",
  too_large: "has too many digits",
  unknown_currency: "is in a currency that Bursar does not know",
} as const;

/**
 * A positive amount of major units as minor ones; null after a fault. Without a known currency only what is wrong in
 * every currency is a fault.
 */
export function readAmount(text: string, currency: string | null, at: { field: string; fault: Fault }): bigint | null {
  if (currency === null) {
    const decimal = readDecimal(text);
    if (!decimal.ok) return at.fault(at.field, MONEY_FAULTS[decimal.error]);
    return decimal.value.coefficient > 0n ? null : at.fault(at.field, "must be more than zero");
  }
  const parsed = parseMajor(text, currency);
  if (!parsed.ok) return at.fault(at.field, MONEY_FAULTS[parsed.error]);
  return parsed.value > 0n ? parsed.value : at.fault(at.field, "must be more than zero");
}

function readRequested(
  order: InvoiceOrder,
  known: { currency: string | null; service: ServiceDescription | null },
  fault: Fault,
): Plan["requested"] | null {
  const { amount, serviceAmount } = order;
  if (amount !== undefined && serviceAmount !== undefined) {
    return fault("serviceAmount", "only one of amount and serviceAmount may be given");
  }
  if (amount !== undefined) {
    const amountMinor = readAmount(amount, known.currency, { field: "amount", fault });
    return amountMinor === null ? null : { amountMinor };
  }
  if (serviceAmount !== undefined) {
    const currency = known.service?.currency ?? null;
    const serviceAmountMinor = readAmount(serviceAmount, currency, { field: "serviceAmount", fault });
    return serviceAmountMinor === null ? null : { serviceAmountMinor };
  }
  return fault("amount", "amount or serviceAmount is required", ["serviceAmount"]);
}

function findCustomer(context: Context, order: InvoiceOrder, fault: Fault): Customer | null {
  const { organizationId, rows } = context;
  const { customer, websiteId } = order;
  if (customer?.id !== undefined) {
    const row = rows.get("customer", [organizationId, customer.id]);
    if (row !== null && row.websiteId === websiteId) return row;
    return fault("customer.id", "is not a customer of this website");
  }
  if (customer?.referenceId === undefined) return null;
  const found = rows
    .group("customer", "referenceId", customer.referenceId)
    .find((row) => row.organizationId === organizationId && row.websiteId === websiteId);
  return found ?? null;
}

function readDestination(
  context: Context,
  of: { order: InvoiceOrder; service: ServiceDescription | null; customer: Customer | null },
  fault: Fault,
): Plan["destination"] {
  const { fields, paymentInstrumentId, customer } = of.order;
  if (fields !== undefined && paymentInstrumentId !== undefined) {
    return fault("paymentInstrumentId", "only one of fields and paymentInstrumentId may be given");
  }
  if (fields !== undefined) {
    if (of.service === null) return null;
    for (const each of checkFields(of.service.fields, fields, "fields")) fault(each.field, each.message);
    return fields;
  }
  if (paymentInstrumentId === undefined) {
    if (customer !== undefined) return null;
    return fault("fields", "fields, a payment instrument or a customer is required", [
      "paymentInstrumentId",
      "customer",
    ]);
  }
  const { organizationId, rows, setup } = context;
  const instrument = rows.get("paymentInstrument", [organizationId, paymentInstrumentId]);
  const owner = instrument === null ? null : rows.get("customer", [organizationId, instrument.customerId]);
  const isForeign = owner === null || owner.websiteId !== of.order.websiteId;
  const isAnothers = of.customer !== null && of.customer.id !== owner?.id;
  if (instrument === null || isForeign || isAnothers) {
    return fault("paymentInstrumentId", "is not an instrument of this customer");
  }
  if (of.service !== null && instrument.service !== of.service.code) {
    return fault("paymentInstrumentId", "is for another service");
  }
  return setup.safe.open(instrument.destination, destinationBinding(organizationId, instrument.destinationHash));
}

function checkTimes(context: Context, order: InvoiceOrder, fault: Fault): void {
  const { expiresTime } = order;
  if (expiresTime === undefined) return;
  if (expiresTime <= context.now) fault("expiresTime", "is in the past");
  if (expiresTime > context.now + MAX_LIFETIME_MS) fault("expiresTime", "is more than ten years away");
}

export interface Priced {
  readonly terms: FeeTerms;
  readonly quote: RateQuote;
  readonly price: Price;
}

const PRICE_FAULTS = {
  service_amount_not_positive: "leaves nothing for the payee after the commission",
  too_large: "has too many digits",
  fee_rate_not_below_one: "the service's commission terms are not valid",
  fee_max_below_min: "the service's commission terms are not valid",
  negative: "the service's commission terms are not valid",
} as const;

function schemeBody(setup: Setup, kind: "rate" | "commerce", id: string | null): unknown {
  return id === null ? null : (setup.schemes.get(`${kind}:${id}`)?.body ?? null);
}

export function priceOrder(setup: Setup, plan: Plan): Result<Priced, Refusal> {
  const { website, service, currency } = plan;
  const commerce = schemeBody(setup, "commerce", website.commerceSchemeId) as CommerceScheme | null;
  const rates = schemeBody(setup, "rate", website.rateSchemeId) as RateScheme | null;
  const quote = rateFor(rates, currency, service.currency);
  if (!quote.ok) {
    return err(refusal("rate-unavailable", `No rate from ${currency} to ${service.currency} for this website.`));
  }
  const terms = termsFor(commerce, service.code, service.currency);
  if (!terms.ok) return err(invalid([{ field: "service", message: PRICE_FAULTS.negative }]));
  const priced = price({
    accountCurrency: currency,
    serviceCurrency: service.currency,
    rate: quote.value.rate,
    fee: terms.value,
    requested: plan.requested,
  });
  if (priced.ok) return ok({ terms: terms.value, quote: quote.value, price: priced.value });
  const { code, field } = priced.error;
  const member = field === "amount" || field === "serviceAmount" ? field : "service";
  return err(invalid([{ field: member, message: PRICE_FAULTS[code] }]));
}
