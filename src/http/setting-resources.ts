/** The schemas of what an organization configures, of events and of webhooks; `core/views/settings.ts` makes them. */
import Type from "typebox";
import { EVENT_TYPES } from "../core/views/events.ts";
import { currency, links, text, textOrNull, times, version } from "./resources.ts";
import { MoneyOut, NumberOrNull, OneOf, TextOrNull, Time } from "./schema.ts";

const flag = (description: string) => Type.Boolean({ description });
const idOrNull = (description: string) => TextOrNull(50, description);
const around = { version, ...times, _links: links };
const members = (description: string) => Type.Unsafe({ type: "object", additionalProperties: true, description });

const ORGANIZATION_DOC = Type.Object(
  {
    id: text("As the paths name it."),
    name: text("For people."),
    books: Type.Array(OneOf(["live", "test"], "A book that it has."), {
      description: "The key says which one it opens.",
    }),
  },
  { $id: "Organization", description: "Whoever runs this Bursar. Live and test are two books that never meet." },
);

const WEBSITE_DOC = Type.Object(
  {
    id: text("Chosen by the caller, or ours."),
    name: text("For people."),
    url: text("Where a customer returns to by default."),
    autoprocess: flag("An invoice starts processing when it is made."),
    payoutRequest: Type.Object(
      { autoprocess: flag("A bare request is dispatched by the routing scheme once its details are complete.") },
      { description: "How payout requests without an invoice are treated." },
    ),
    lifetimeMinutes: Type.Integer({ description: "How long an invoice lives, unless it says otherwise." }),
    requestLifetimeDays: Type.Number({ description: "How long a bare request lives, in days." }),
    revokeAtExpiry: flag("What is at a provider is pulled back when a lifetime ends."),
    refundCommission: Type.Union([Type.Literal("keep"), Type.Literal("return")], {
      description: "Whether the commission on what comes back is given back.",
    }),
    secondPersonAbove: Type.Record(Type.String(), Type.String(), {
      description: "By currency, in major units: above it a second person confirms what moderators decide.",
    }),
    routingSchemeId: idOrNull("Which routes carry its payouts; null: none, so nothing is paid."),
    rateSchemeId: idOrNull("At which rates other currencies are paid; null: none."),
    commerceSchemeId: idOrNull("What commission it pays; null: none."),
    ...around,
  },
  { $id: "Website", description: "A merchant's account with us." },
);

const CUSTOMER_DOC = Type.Object(
  {
    id: text("Chosen by the caller, or ours."),
    websiteId: text("The website whose customer it is."),
    referenceId: textOrNull("The merchant's own name, unique per website."),
    email: textOrNull("E-mail address."),
    phone: textOrNull("Telephone number."),
    name: textOrNull("Name."),
    metadata: Type.Unsafe<unknown>({ type: ["object", "null"], description: "As it was given." }),
    ...around,
  },
  { $id: "Customer", description: "Somebody who is paid." },
);

const INSTRUMENT_DOC = Type.Object(
  {
    id: text("Chosen by the caller, or ours."),
    customerId: text("Who is paid by it."),
    service: text("The payout service that it is for."),
    masked: text("What may be shown of the payee's details."),
    ...around,
  },
  { $id: "PaymentInstrument", description: "How a customer is paid. Another destination is another instrument." },
);

const SERVICE_DOC = Type.Object(
  {
    id: text("The service's code."),
    currency: currency("What it pays."),
    method: text("The payment method."),
    connector: text("Which kind of provider offers it."),
    fields: Type.Array(
      Type.Object({
        name: text("The member of `fields`."),
        label: text("For people."),
        required: flag("It must be given."),
        maxLength: Type.Integer({ description: "Characters." }),
        pattern: textOrNull("A regular expression that it must match; null: none."),
        secret: flag("Shown masked."),
      }),
      { description: "The payee's details that it wants." },
    ),
  },
  { $id: "PayoutService", description: "One currency by one method at one kind of provider." },
);

const PROVIDER_ACCOUNT_DOC = Type.Object(
  {
    id: text("Chosen by the caller, or ours."),
    connector: text("Which kind of provider."),
    name: text("For people."),
    baseUrl: text("Where the provider answers."),
    settings: members("As the connector describes them. Credentials are never shown."),
    gate: OneOf(["open", "shut"], "Shut: nothing new is sent there; inquiries and callbacks go on."),
    gateReason: textOrNull("Why it is shut."),
    callbackUrl: text("Where the provider reports to. Tell it to nobody else."),
    ...around,
  },
  { $id: "ProviderAccount", description: "An account at a provider." },
);

const DEPOSIT_ACCOUNT_DOC = Type.Object(
  {
    id: text("Chosen by the caller, or ours."),
    providerAccountId: text("The account at the provider."),
    currency: currency("What it is in."),
    name: text("For people."),
    balance: MoneyOut("What the ledger has there."),
    minimalBalance: MoneyOut("Kept back: no route takes the balance below it."),
    ...around,
  },
  { $id: "DepositAccount", description: "A balance at a provider that payouts are paid from." },
);

const ROUTE_DOC = Type.Object(
  {
    id: text("Chosen by the caller, or ours."),
    depositAccountId: text("The balance that pays."),
    service: text("The payout service."),
    currency: currency("What the limits are in."),
    isEnabled: flag("Payouts may take it."),
    isArchived: flag("Put away; no payout takes it."),
    isManual: flag("Its payouts wait for a person."),
    minAmount: NumberOrNull("The least amount; null: any."),
    maxAmount: NumberOrNull("The largest amount; null: any."),
    ...around,
  },
  { $id: "PayoutRoute", description: "A deposit account that offers a payout service." },
);

const revision = {
  id: text("Chosen by the caller, or ours."),
  name: text("For people."),
  revision: Type.Integer({ description: "From 1; the ETag is made of it. A revision never changes." }),
};
const end = { createdTime: Time("When this revision was made."), _links: links };

const ROUTING_SCHEME_DOC = Type.Object(
  {
    ...revision,
    services: members("What decides for each payout service."),
    otherwise: Type.Optional(members("What decides for services that are not named.")),
    ...end,
  },
  { $id: "RoutingScheme", description: "Which routes carry payouts." },
);

const RATE_SCHEME_DOC = Type.Object(
  {
    ...revision,
    pairs: Type.Array(
      Type.Object({
        base: currency("The account's."),
        quote: currency("The service's."),
        rate: Type.Number({ description: "Units of quote per unit of base; the other way round if inverted." }),
        inverted: Type.Optional(flag("The rate is base per quote.")),
        feePercent: Type.Optional(Type.Number({ description: "The margin, per cent of the rate." })),
        feeFixed: Type.Optional(Type.Number({ description: "The margin, in units of the rate." })),
      }),
      { description: "One rule per pair." },
    ),
    ...end,
  },
  { $id: "RateScheme", description: "At which rates payouts in other currencies are priced." },
);

const COMMERCE_SCHEME_DOC = Type.Object(
  {
    ...revision,
    services: members("The terms of each payout service."),
    otherwise: Type.Optional(members("The terms of services that are not named.")),
    ...end,
  },
  { $id: "CommerceScheme", description: "What commission is taken." },
);

const ENTRY_DOC = Type.Object(
  {
    sequence: Type.Integer({ description: "Grows with every entry of the organization." }),
    accountId: text("The ledger account."),
    subject: text("What it is about: the id of a payout, a request or a movement of funds."),
    cause: text("What happened."),
    currency: currency("The account's."),
    amount: MoneyOut("Debit is positive, credit is negative."),
    time: Time("When it was posted."),
  },
  { $id: "LedgerEntry", description: "One line of a posting. Never changed, never taken back." },
);

const EVENT_DOC = Type.Object(
  {
    type: OneOf(EVENT_TYPES, "What has happened."),
    timestamp: Time("When."),
    data: Type.Object(
      {
        object: OneOf(["payout-invoice", "payout-request", "payout"], "What has changed."),
        id: text("Its id."),
        referenceId: Type.Optional(text("Invoices: the merchant's own name.")),
        websiteId: Type.Optional(text("Its website.")),
        payoutInvoiceId: Type.Optional(textOrNull("The invoice above it.")),
        payoutRequestId: Type.Optional(textOrNull("The request of it.")),
        status: text("Where it was then."),
        passed: Type.Array(text("A status."), { description: "The statuses passed on the way, in order." }),
        resolution: textOrNull("Why."),
        moderationRequired: flag("A person had to look at it."),
        version: Type.Integer({ description: "Its version after the change." }),
        sequence: Type.Integer({ description: "Grows with every change of the organization: the order of events." }),
      },
      { description: "The same as in webhooks." },
    ),
  },
  { $id: "Event", description: "Something that has happened. Equal wherever and whenever it is told." },
);

const ENDPOINT_DOC = Type.Object(
  {
    id: text("Chosen by the caller, or ours."),
    url: text("Where webhooks go."),
    events: Type.Array(text("A type of event, exact or with a final `*`."), { description: "None means all." }),
    status: OneOf(["active", "disabled"], "Disabled: by a person, or because the receiver has answered 410."),
    description: textOrNull("For people."),
    secret: Type.Optional(text("What signs its webhooks. Only in the answer to whoever has just made it.")),
    ...around,
  },
  { $id: "WebhookEndpoint", description: "An address that hears of events." },
);

const DELIVERY_DOC = Type.Object(
  {
    id: text("The `webhook-id`: the same at every try."),
    endpointId: idOrNull("The endpoint; null: the `callbackUrl` of an invoice."),
    url: text("Where it goes."),
    eventType: text("The type of the event."),
    sequence: Type.Integer({ description: "The event." }),
    status: OneOf(["pending", "delivered", "failed"], "Failed: nobody tries again by himself."),
    tries: Type.Integer({ description: "How often it was tried." }),
    lastResult: textOrNull("What the last try met: an HTTP status, or what went wrong before there was one."),
    ...around,
  },
  { $id: "WebhookDelivery", description: "One event on its way to one address." },
);

const REPLAY_DOC = Type.Object(
  { count: Type.Integer({ description: "How many events are on their way again." }) },
  { $id: "WebhookReplay", description: "What a replay has begun." },
);

const SECRET_DOC = Type.Object(
  { secret: text("`whsec_` and 32 bytes in base64.") },
  { $id: "WebhookSecret", description: "What signs the webhooks that go to the `callbackUrl` of invoices." },
);

export const SETTING_RESOURCES = [
  ORGANIZATION_DOC,
  WEBSITE_DOC,
  CUSTOMER_DOC,
  INSTRUMENT_DOC,
  SERVICE_DOC,
  PROVIDER_ACCOUNT_DOC,
  DEPOSIT_ACCOUNT_DOC,
  ROUTE_DOC,
  ROUTING_SCHEME_DOC,
  RATE_SCHEME_DOC,
  COMMERCE_SCHEME_DOC,
  ENTRY_DOC,
  EVENT_DOC,
  ENDPOINT_DOC,
  DELIVERY_DOC,
  REPLAY_DOC,
  SECRET_DOC,
];
