/** The resources that answers show, as schemas: the document's vocabulary. `core/views.ts` is what they describe. */

import Type from "typebox";
import { ACTS, type ActKind } from "../core/acts.ts";
import { ERRORS, type ErrorCode } from "../core/errors.ts";
import { RESOLUTIONS, type Resolution } from "../core/news/resolution.ts";
import { INVOICE_STATUSES, type InvoiceStatus } from "../core/order/invoice.ts";
import { ALLOCATION_STATUSES, PAYOUT_STATUSES, type PayoutStatus } from "../core/order/payout.ts";
import { BLOCK_REASONS, PUBLIC_STATUSES, type PublicStatus } from "../core/order/request.ts";
import { ITEM_REASONS, type ItemReason } from "../core/order/story.ts";
import { GATEWAYS, METHODS } from "./public-words.ts";
import { MoneyOut, NumberOrNull, OneOf, OneOfOrNull, Text, TextOrNull, Time } from "./schema.ts";

const keysOf = <K extends string>(table: Readonly<Record<K, unknown>>): readonly K[] => Object.keys(table) as K[];

const LONG = 10_000;
export const text = (description: string) => Type.String({ description });
export const textOrNull = (description: string) => TextOrNull(LONG, description);
export const currency = (description: string) => Type.String({ description, examples: ["USD"] });
export const version = Type.Integer({ minimum: 0, description: "Grows with each change; the ETag is made of it." });
export const links = Type.Array(Type.Object({ rel: text("What it leads to."), href: text("Where.") }), {
  description: "Where to go from here.",
});
const resolution = OneOfOrNull(keysOf<Resolution>(RESOLUTIONS), "Why it is where it is.");
const moderation = Type.Boolean({ description: "A person must look at it; nothing of it is sent until then." });
export const times = {
  createdTime: Time("When it was made."),
  updatedTime: Time("When it last changed."),
};

const InvalidField = Type.Object({
  field: Type.String({
    description: "The member's path: `customer.email`, `pairs[0].rate`.",
    examples: ["customer.email"],
  }),
  message: Type.String({ description: "What is wrong, in plain words.", examples: ["is required"] }),
});

const PROBLEM_DOC = Type.Object(
  {
    type: Type.String({ description: "Names the kind of problem.", examples: ["/errors/validation-failed"] }),
    title: text("The kind of problem, in words."),
    status: Type.Integer({ description: "The HTTP status." }),
    detail: text("What was wrong this time."),
    instance: text("The path that was asked for."),
    code: OneOf(keysOf<ErrorCode>(ERRORS), "The kind of problem, for programs."),
    invalidFields: Type.Optional(Type.Array(InvalidField, { description: "Every member at fault, all at once." })),
  },
  { $id: "Problem", description: "An error, as RFC 9457 describes it. A 4xx changed nothing." },
);

const TRANSACTION_RESULTS = ["declined", "approved", "abandoned", "unknown", "canceled"] as const;

const Allocation = Type.Object({
  transactionId: text("The payout."),
  transactionResult: Type.Optional(OneOf(TRANSACTION_RESULTS, "Absent while nothing was sent.")),
  method: OneOf([...METHODS], "The payment method."),
  gatewayName: Type.Optional(OneOf([...GATEWAYS], "The provider; absent where the catalogue has no name for it.")),
  paymentInstrumentId: Type.Optional(text("The instrument that is paid to.")),
  amount: MoneyOut("What counts: planned, on its way or paid, less what came back."),
  currency: currency("The request's currency."),
  ...times,
});

const ALLOCATION_DOC = Type.Object(
  {
    id: text("Ours; the payout's."),
    payoutRequestId: text("The request that it is a part of."),
    status: OneOf(ALLOCATION_STATUSES, "Where it is."),
    paymentMethod: OneOf([...METHODS], "The payment method."),
    gatewayName: Type.Optional(OneOf([...GATEWAYS], "The provider; absent where the catalogue has no name for it.")),
    gatewayAccountId: text("The deposit account that it is paid from."),
    paymentInstrumentId: TextOrNull(50, "What is paid to."),
    amount: MoneyOut("What is allocated."),
    currency: currency("The request's currency."),
    transactionId: text("The payout."),
    transactionResult: OneOfOrNull(TRANSACTION_RESULTS, "Null while nothing was sent."),
    resolution,
    ...times,
    _links: links,
  },
  {
    $id: "PayoutRequestAllocation",
    description: "A part of a bare payout request that a person has given to a deposit account.",
  },
);

const REQUEST_DOC = Type.Object(
  {
    id: text("Chosen by whoever made it."),
    websiteId: text("The website that it is of."),
    customerId: text("Who is paid."),
    currency: currency("What the amounts are in."),
    amount: MoneyOut("What is to be paid."),
    availableAmount: MoneyOut("What of it is not allocated."),
    paymentInstrumentId: TextOrNull(50, "What is paid to; null while nobody has chosen."),
    description: textOrNull("For people."),
    status: OneOf(keysOf<PublicStatus>(PUBLIC_STATUSES), "Where it is."),
    blocked: Type.Boolean({ description: "Blocked: nothing new starts." }),
    blockReason: OneOfOrNull(BLOCK_REASONS, "Why it is blocked."),
    batchId: TextOrNull(50, "The batch that it is in."),
    allocations: Type.Array(Allocation, { description: "The payouts that it is paid by." }),
    selectPaymentInstrumentUrl: text("Where the customer chooses an instrument. A fresh link with every answer."),
    selectedPaymentInstrumentRedirectUrl: text("Where the customer goes then; `{{id}}` becomes the request's id."),
    cancellationReason: Type.Optional(
      Type.Object(
        {
          description: textOrNull("Why."),
          canceledBy: OneOf(["merchant", "customer"], "Who canceled it."),
        },
        { description: "Only of a canceled request." },
      ),
    ),
    ...times,
    _links: links,
  },
  { $id: "PayoutRequest", description: "That somebody is to be paid, and what has become of it." },
);

const PAYOUT_DOC = Type.Object(
  {
    id: text("Ours."),
    payoutInvoiceId: TextOrNull(36, "The invoice above it; null for a bare request."),
    payoutRequestId: text("The request above it."),
    websiteId: text("The website that pays."),
    part: Type.Integer({ description: "Which part of the request, from 1." }),
    attempt: Type.Integer({ description: "Which attempt at this part, from 1." }),
    status: OneOf(keysOf<PayoutStatus>(PAYOUT_STATUSES), "Where it is."),
    resolution,
    resolutionOf: OneOfOrNull(["invoke", "process", "inquire", "revoke", "cancel"], "What the resolution answered."),
    moderationRequired: moderation,
    evidence: OneOfOrNull(["D0", "D1", "D2", "D3", "D4"], "What proves that it is not paid."),
    currency: currency("The service's currency."),
    amount: MoneyOut("What the payee is to get."),
    processedAmount: MoneyOut("What was paid."),
    returnedAmount: MoneyOut("What came back."),
    incidentAmount: MoneyOut("What was paid beyond everything that the order covers, and stands in suspense."),
    isManual: Type.Boolean({ description: "Waits in READY for a person." }),
    afterRevoke: OneOfOrNull(["stop", "reroute"], "What follows once it is pulled back."),
    service: text("The payout service."),
    connector: text("Which kind of provider."),
    routeId: text("The route that was chosen."),
    routingRevision: Type.Integer({ description: "The revision of the routing scheme that chose it." }),
    providerAccountId: text("The account at the provider."),
    depositAccountId: text("The balance that it is paid from."),
    paymentInstrumentId: TextOrNull(50, "What is paid to."),
    reference: text("The name under which the provider knows it."),
    providerReference: textOrNull("The provider's own name for it."),
    providerStatus: textOrNull("The provider's word for where it is."),
    providerCode: textOrNull("The provider's word for why."),
    sends: Type.Integer({ description: "Requests that left with this reference." }),
    inquiries: Type.Integer({ description: "How often the provider was asked." }),
    firstSendTime: Type.Unsafe<string | null>({
      type: ["string", "null"],
      format: "date-time",
      description: "When the first request could have left.",
    }),
    version,
    ...times,
    _links: links,
  },
  { $id: "Payout", description: "One operation at one provider." },
);

const LedgerTransaction = Type.Object({
  subject: text("What it is about: the id of a payout or of a request."),
  cause: text("What happened; posted at most once per subject."),
  time: Time("When it was posted."),
  entries: Type.Array(
    Type.Object({
      accountId: text("The ledger account."),
      currency: currency("The entry's currency."),
      amount: MoneyOut("Debit is positive, credit is negative; a transaction sums to zero per currency."),
    }),
  ),
});

const invoiceMoney = {
  currency: currency("The account's currency."),
  amount: MoneyOut("What the payee's amount costs, without the commission."),
  fee: MoneyOut("The commission: writeoff less amount."),
  writeoff: MoneyOut("What is held and at most taken from the account."),
  service: text("The payout service."),
  serviceCurrency: currency("The service's currency."),
  serviceAmount: MoneyOut("What the payee gets."),
  serviceFee: MoneyOut("The commission, in the service's currency."),
  serviceWriteoff: MoneyOut("Both together, in the service's currency."),
  requested: Type.Object(
    {
      amount: Type.Optional(MoneyOut("As it was given.")),
      serviceAmount: Type.Optional(MoneyOut("As it was given.")),
    },
    { description: "Which amount the order named." },
  ),
  exchangeRate: Type.Object({
    rate: Type.Number({ description: "Service units per account unit." }),
    source: text("Where it came from."),
    quoteTime: Time("When it was frozen."),
    expiresTime: Time("Until when it holds."),
  }),
  processedAmount: MoneyOut("Settled: what was paid, at the frozen rate."),
  processedFee: MoneyOut("Settled: the commission on it."),
  processedWriteoff: MoneyOut("Settled: both together."),
  processedServiceAmount: MoneyOut("What the payee got so far."),
  refundedAmount: MoneyOut("What came back, at the frozen rate."),
  refundedFee: MoneyOut("What of the commission was given back."),
  refundPendingAmount: MoneyOut("What is being brought back and is not back yet."),
};

const INVOICE_DOC = Type.Object(
  {
    id: text("Ours."),
    referenceId: text("The merchant's own name, unique per website for ever."),
    websiteId: text("The website that pays."),
    customerId: text("Who is paid."),
    status: OneOf(keysOf<InvoiceStatus>(INVOICE_STATUSES), "Where it is."),
    resolution,
    moderationRequired: moderation,
    ...invoiceMoney,
    autoprocess: Type.Boolean({ description: "Processing starts by itself." }),
    attemptsLimit: Type.Integer({ description: "The most payouts ever made for one part." }),
    allowPartially: Type.Boolean({ description: "Less than the amount is a success too." }),
    splitMode: Type.Boolean({ description: "Several payouts may share the amount where no route carries it whole." }),
    parallelMode: Type.Boolean({ description: "All parts at once, instead of one after the other." }),
    description: textOrNull("For people."),
    descriptor: textOrNull("For the payee's statement."),
    metadata: Type.Unsafe<unknown>({ type: ["object", "null"], description: "As it was given." }),
    callbackUrl: textOrNull("Where news of it goes."),
    paymentInstrumentId: TextOrNull(50, "What is paid to."),
    payoutRequestId: TextOrNull(50, "The request below it; null until processing starts."),
    payouts: Type.Unsafe({ type: "array", items: { $ref: "Payout#" }, description: "The payouts below it." }),
    ledgerTransactions: Type.Array(LedgerTransaction, { description: "What it has posted." }),
    version,
    expiresTime: Time("The end of its lifetime."),
    ...times,
    _links: links,
  },
  { $id: "PayoutInvoice", description: "An order to pay, priced and held." },
);

const LEDGER_ACCOUNT_DOC = Type.Object(
  {
    id: text("`kind:owner:currency`."),
    kind: text("What the account is for."),
    owner: TextOrNull(100, "A website or a deposit account; null for the organization's own."),
    currency: currency("What it is in."),
    balance: MoneyOut("On the account's normal side."),
    floor: NumberOrNull("The least balance allowed; null: none."),
    version,
  },
  { $id: "LedgerAccount", description: "An account of the double-entry ledger." },
);

const TRIAL_BALANCE_DOC = Type.Object(
  {
    balanced: Type.Boolean({ description: "Debits equal credits in every currency." }),
    currencies: Type.Array(
      Type.Object({
        currency: currency("Summed by it."),
        debit: MoneyOut("Balances of the debit side."),
        credit: MoneyOut("Balances of the credit side."),
        difference: MoneyOut("Zero, or something is broken."),
      }),
    ),
  },
  { $id: "TrialBalance", description: "All balances, debits against credits." },
);

const FUNDS_DOC = Type.Object(
  {
    id: text("Ours."),
    kind: OneOf(["deposit", "withdrawal", "transfer"], "Which way the money goes."),
    status: OneOf(["created", "approved"], "Posted once it is approved."),
    websiteId: text("Whose account."),
    toWebsiteId: Type.Optional(text("Transfers: who receives.")),
    depositAccountId: Type.Optional(TextOrNull(50, "Where the money stands at a provider; null: at the bank.")),
    currency: currency("What the amount is in."),
    amount: MoneyOut("How much."),
    description: textOrNull("For people."),
    version,
    ...times,
    _links: links,
  },
  { $id: "FundsMovement", description: "Money that a person moves: first made, then approved." },
);

const ITEM_DOC = Type.Object(
  {
    id: text("Ours."),
    kind: OneOf(["payout", "request", "provider_account", "organization", "callback", "delivery"], "What it is about."),
    subject: text("The id of that."),
    reason: OneOf(keysOf<ItemReason>(ITEM_REASONS), "Why a person is asked."),
    incident: Type.Boolean({ description: "Something went wrong that must be understood, not only decided." }),
    status: OneOf(["open", "closed"], "Closed by a person, or when its reason has gone."),
    count: Type.Integer({ description: "How often the same cause was met." }),
    details: Type.Unsafe<unknown>({ type: ["object", "null"], description: "What was met." }),
    assignee: textOrNull("Who takes care of it."),
    version,
    openedTime: Time("When it was opened."),
    closedTime: Type.Unsafe<string | null>({ type: ["string", "null"], format: "date-time", description: "The end." }),
    _links: links,
  },
  { $id: "ModerationItem", description: "Something that a person must look at." },
);

const ACT_DOC = Type.Object(
  {
    id: text("Ours."),
    kind: OneOf(keysOf<ActKind>(ACTS), "What was done."),
    subjectKind: OneOf(["payout", "request", "item"], "What it was done to."),
    subject: text("The id of that."),
    status: OneOf(["done", "proposed", "withdrawn"], "`proposed`: it waits for a second person."),
    actor: text("Who did it, or wants to."),
    confirmedBy: textOrNull("The second person."),
    reason: Type.String({ description: "Why." }),
    body: Type.Unsafe<unknown>({ type: ["object", "null"], description: "What else was said." }),
    version,
    ...times,
    _links: links,
  },
  { $id: "ModerationAct", description: "What a person did, or wants to do." },
);

const TIMELINE_DOC = Type.Object(
  {
    time: Time("When."),
    sequence: Type.Optional(Type.Integer({ description: "Of a change: its place among all of the organization." })),
    layer: OneOf(
      ["invoice", "request", "payout", "provider", "ledger", "moderation", "webhook"],
      "Where it happened. Each has members of its own.",
    ),
    id: text("Of the thing that has changed, of the exchange, the item, the act or the delivery."),
    type: Type.String({
      description: "What happened: an event's type, or `provider.<operation>`, `ledger.<cause>` and the like.",
      examples: ["payout.PROCESSED", "provider.inquire", "ledger.settled", "moderation.refund", "webhook.delivered"],
    }),
    status: Type.Optional(text("Changes: where it was then. Acts: done, proposed or withdrawn.")),
    passed: Type.Optional(Type.Array(Type.String(), { description: "The statuses passed on the way." })),
    resolution: Type.Optional(resolution),
    moderationRequired: Type.Optional(moderation),
    version: Type.Optional(version),
    cause: Type.Optional(
      Type.Unsafe<unknown>({
        type: ["object", "string"],
        description: "Changes: the command behind it, its kind and actor. Postings: what was posted.",
      }),
    ),
    outcome: Type.Optional(OneOf(["answer", "timeout", "lost", "not_sent", "message"], "What came of an exchange.")),
    httpStatus: Type.Optional(Type.Unsafe<number | null>({ type: ["integer", "null"], description: "Of an answer." })),
    verified: Type.Optional(
      Type.Unsafe<boolean | null>({ type: ["boolean", "null"], description: "That it is the provider who speaks." }),
    ),
    bodyHash: Type.Optional(textOrNull("SHA-256 of the body as it came. Bodies themselves are not shown.")),
    said: Type.Optional(Type.Unsafe<unknown>({ type: "object", description: "What an exchange was read as." })),
  },
  { $id: "TimelineEntry", description: "One line of an order's story." },
);

const GATES_DOC = Type.Object(
  {
    system: OneOf(
      ["open", "shut"],
      "Of the whole installation: shut after a restore, until everything was asked about.",
    ),
    organization: OneOf(["open", "shut"], "Of the book."),
    shutCurrencies: Type.Array(Type.String(), { description: "Currencies in which nothing new is sent." }),
    shutProviderAccounts: Type.Array(
      Type.Object({ id: text("The account."), reason: textOrNull("Why it was shut.") }),
      { description: "Provider accounts to which nothing new is sent." },
    ),
  },
  { $id: "Gates", description: "Before each gate new sends wait; inquiries and callbacks go on." },
);

const GATE_CHANGE_DOC = Type.Object(
  {
    gate: OneOf(["open", "shut"], "How it stands now."),
    change: OneOf(["changed", "unchanged"], "Whether it stood otherwise before."),
  },
  { $id: "GateChange", description: "What came of moving a gate." },
);

const HEALTH_DOC = Type.Object({ status: Text(20, "How it is.") }, { $id: "Health", description: "How we are." });

/** Every schema that has a name in the document. */
export const RESOURCES = [
  PROBLEM_DOC,
  PAYOUT_DOC,
  REQUEST_DOC,
  ALLOCATION_DOC,
  INVOICE_DOC,
  LEDGER_ACCOUNT_DOC,
  TRIAL_BALANCE_DOC,
  FUNDS_DOC,
  ITEM_DOC,
  ACT_DOC,
  GATES_DOC,
  GATE_CHANGE_DOC,
  TIMELINE_DOC,
  HEALTH_DOC,
];
