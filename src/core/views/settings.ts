/** What the outside sees of what an organization has configured, of its events and of its webhooks. Secrets never. */
import type { Entry } from "../money/ledger.ts";
import type { Customer, PaymentInstrument, Website } from "../setup/merchant.ts";
import type { DepositAccount, ProviderAccount, Route, Scheme } from "../setup/routing.ts";
import { Exact, money, type Shown, timeText } from "./orders.ts";

const self = (base: string, path: string) => [{ rel: "self", href: `${base}${path}` }];

/** What every configured thing ends with. */
function around(row: { version: number; createdTime: number; updatedTime: number }): Shown {
  return { version: row.version, createdTime: timeText(row.createdTime), updatedTime: timeText(row.updatedTime) };
}

const DAY_MS = 86_400_000;

export function websiteView(website: Website, base: string): Shown {
  return {
    id: website.id,
    name: website.name,
    url: website.url,
    autoprocess: website.autoprocess,
    payoutRequest: { autoprocess: website.requestAutoprocess },
    lifetimeMinutes: website.lifetimeMinutes,
    requestLifetimeDays: website.requestLifetimeMs / DAY_MS,
    revokeAtExpiry: website.revokeAtExpiry,
    refundCommission: website.refundCommission,
    secondPersonAbove: website.secondPersonAbove,
    routingSchemeId: website.routingSchemeId,
    rateSchemeId: website.rateSchemeId,
    commerceSchemeId: website.commerceSchemeId,
    ...around(website),
    _links: self(base, `/websites/${website.id}`),
  };
}

export function customerView(customer: Customer, base: string): Shown {
  return {
    id: customer.id,
    websiteId: customer.websiteId,
    referenceId: customer.referenceId,
    email: customer.email,
    phone: customer.phone,
    name: customer.name,
    metadata: customer.metadata,
    ...around(customer),
    _links: self(base, `/customers/${customer.id}`),
  };
}

export function paymentInstrumentView(instrument: PaymentInstrument, base: string): Shown {
  return {
    id: instrument.id,
    customerId: instrument.customerId,
    service: instrument.service,
    masked: instrument.masked,
    ...around(instrument),
    _links: self(base, `/payment-instruments/${instrument.id}`),
  };
}

/** A field of a payee's details, or of a provider account. */
interface DescribedField {
  readonly name: string;
  readonly required: boolean;
  readonly label: string;
  readonly pattern?: string;
  readonly maxLength: number;
  readonly secret: boolean;
}

export interface OfferedService {
  readonly connector: string;
  readonly service: {
    readonly code: string;
    readonly currency: string;
    readonly method: string;
    readonly fields: readonly DescribedField[];
  };
}

export function payoutServiceView({ connector, service }: OfferedService): Shown {
  return {
    id: service.code,
    currency: service.currency,
    method: service.method,
    connector,
    fields: service.fields.map((field) => ({
      name: field.name,
      label: field.label,
      required: field.required,
      maxLength: field.maxLength,
      pattern: field.pattern ?? null,
      secret: field.secret,
    })),
  };
}

/** Without its credentials: those go in and never out. */
export function providerAccountView(account: ProviderAccount, base: string): Shown {
  return {
    id: account.id,
    connector: account.connector,
    name: account.name,
    baseUrl: account.baseUrl,
    settings: account.settings,
    gate: account.gate,
    gateReason: account.gateReason,
    callbackUrl: `${base}/callbacks/${account.callbackId}`,
    ...around(account),
    _links: self(base, `/provider-accounts/${account.id}`),
  };
}

/** `balanceMinor`: what the ledger has at this account. */
export function depositAccountView(account: DepositAccount, balanceMinor: bigint, base: string): Shown {
  const { currency } = account;
  return {
    id: account.id,
    providerAccountId: account.providerAccountId,
    currency,
    name: account.name,
    balance: money(balanceMinor, currency),
    minimalBalance: money(account.minimalBalanceMinor, currency),
    ...around(account),
    _links: self(base, `/deposit-accounts/${account.id}`),
  };
}

/** `currency`: the deposit account's, in which the limits are. */
export function payoutRouteView(route: Route, currency: string, base: string): Shown {
  const limit = (minor: bigint | null) => (minor === null ? null : money(minor, currency));
  return {
    id: route.id,
    depositAccountId: route.depositAccountId,
    service: route.service,
    currency,
    isEnabled: route.isEnabled,
    isArchived: route.isArchived,
    isManual: route.isManual,
    minAmount: limit(route.minAmountMinor),
    maxAmount: limit(route.maxAmountMinor),
    ...around(route),
    _links: self(base, `/payout-routes/${route.id}`),
  };
}

const FIGURES = new Set(["rate", "feePercent", "feeFixed", "feeRate", "feeMin", "feeMax"]);
const NUMBER = /^-?(?:0|[1-9]\d*)(?:\.\d+)?$/;

/** Figures are kept as decimal text and shown as numbers. */
function withFigures(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withFigures);
  if (typeof value !== "object" || value === null) return value;
  const members = Object.entries(value).map(([name, member]): [string, unknown] => {
    const isFigure = FIGURES.has(name) && typeof member === "string" && NUMBER.test(member);
    return [name, isFigure ? new Exact(member) : withFigures(member)];
  });
  return Object.fromEntries(members);
}

/** One revision of a scheme: its body's members stand beside its name. `path`: where its kind is found. */
export function schemeView(scheme: Scheme, path: string, base: string): Shown {
  return {
    id: scheme.id,
    name: scheme.name,
    revision: scheme.revision,
    ...(withFigures(scheme.body) as Shown),
    createdTime: timeText(scheme.createdTime),
    _links: self(base, `${path}/${scheme.id}`),
  };
}

export function entryView(entry: Entry): Shown {
  return {
    sequence: entry.sequence,
    accountId: entry.accountId,
    subject: entry.subject,
    cause: entry.cause,
    currency: entry.currency,
    amount: money(entry.amountMinor, entry.currency),
    time: timeText(entry.time),
  };
}

/** `books`: which of the two it has. */
export function organizationView(organization: { id: string; name: string }, books: readonly string[]): Shown {
  return { id: organization.id, name: organization.name, books };
}

/** Where webhooks go. Its secrets are no part of it. */
export interface Endpoint {
  readonly id: string;
  readonly url: string;
  readonly events: readonly string[];
  readonly status: string;
  readonly description: string | null;
  readonly version: number;
  readonly createdTime: number;
  readonly updatedTime: number;
}

export function webhookEndpointView(endpoint: Endpoint, base: string): Shown {
  return {
    id: endpoint.id,
    url: endpoint.url,
    events: endpoint.events,
    status: endpoint.status,
    description: endpoint.description,
    ...around(endpoint),
    _links: self(base, `/webhook-endpoints/${endpoint.id}`),
  };
}

/** One event on its way to one address. */
export interface Delivery {
  readonly id: string;
  readonly endpointId: string | null;
  readonly url: string;
  readonly eventType: string;
  readonly sequence: number;
  readonly status: string;
  readonly tries: number;
  readonly lastResult: string | null;
  readonly version: number;
  readonly createdTime: number;
  readonly updatedTime: number;
}

export function webhookDeliveryView(delivery: Delivery, base: string): Shown {
  return {
    id: delivery.id,
    endpointId: delivery.endpointId,
    url: delivery.url,
    eventType: delivery.eventType,
    sequence: delivery.sequence,
    status: delivery.status,
    tries: delivery.tries,
    lastResult: delivery.lastResult,
    ...around(delivery),
    _links: self(base, `/webhook-deliveries/${delivery.id}`),
  };
}
