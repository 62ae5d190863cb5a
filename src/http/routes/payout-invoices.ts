/** Payout invoices: made, read, processed. */
import Type, { type Static } from "typebox";
import type { InvalidField } from "../../core/errors.ts";
import { INVOICE_STATUSES } from "../../core/order/invoice.ts";
import { type InvoiceParts, invoiceView } from "../../core/views/orders.ts";
import type { StoredAnswer } from "../../engine/command.ts";
import type { InvoiceOrder } from "../../engine/commands/invoice-order.ts";
import { createInvoice, processInvoice, terminateInvoice } from "../../engine/commands/invoices.ts";
import { isUuid } from "../../store/reads.ts";
import { type Call, checkForm, command, created, type Endpoint, ifMatch, notFound, resource } from "../endpoint.ts";
import { type List, listAnswer, listParameters, pageAnswer, readList } from "../lists.ts";
import { Id, Metadata, Money, Named, Text, TextMembers, Time } from "../schema.ts";

const TEN_YEARS_MINUTES = 5_256_000;

const NEW_CUSTOMER = Type.Object(
  {
    id: Type.Optional(Id("A customer that exists.")),
    referenceId: Type.Optional(Text(255, "The merchant's own name of the customer.")),
    email: Type.Optional(
      Type.String({ format: "email", maxLength: 255, description: "The customer's e-mail address." }),
    ),
    phone: Type.Optional(Text(50, "The customer's telephone number.")),
    name: Type.Optional(Text(255, "The customer's name.")),
    metadata: Type.Optional(Metadata("Whatever the merchant wants to keep with the customer.")),
  },
  { description: "Who is paid. Made when neither the id nor the reference is known." },
);

const NEW_INVOICE = Type.Object(
  {
    referenceId: Text(255, "The merchant's own name of the order, unique per website for ever."),
    websiteId: Id("The website that pays."),
    currency: Text(10, "The account's currency."),
    amount: Type.Optional(Money("In the account's currency; or `serviceAmount`.")),
    serviceAmount: Type.Optional(Money("In the service's currency; or `amount`.")),
    service: Text(100, "The payout service."),
    fields: Type.Optional(TextMembers(1_000, "The payee's details, as the service wants them.")),
    paymentInstrumentId: Type.Optional(Id("A saved instrument instead of `fields`.")),
    description: Type.Optional(Text(1_000, "For people.")),
    descriptor: Type.Optional(Text(255, "For the payee's statement.")),
    customer: Type.Optional(NEW_CUSTOMER),
    metadata: Type.Optional(Metadata("Whatever the merchant wants to keep with the order.")),
    callbackUrl: Type.Optional(
      Type.String({ format: "uri", pattern: "^https?://", maxLength: 2_083, description: "For news." }),
    ),
    expiresTime: Type.Optional(Time("The end of its lifetime.")),
    autoprocess: Type.Optional(Type.Boolean({ description: "False: it waits for *process*. Default: the website's." })),
    attemptsLimit: Type.Optional(Type.Integer({ minimum: 1, maximum: 100, description: "Default 5." })),
    allowPartially: Type.Optional(Type.Boolean({ description: "Default false." })),
    splitMode: Type.Optional(
      Type.Boolean({
        description: "Several payouts may share the amount where no route carries it whole. Default false.",
      }),
    ),
    parallelMode: Type.Optional(
      Type.Boolean({ description: "All parts at once, instead of one after the other. Default false." }),
    ),
    lifetimeMinutes: Type.Optional(
      Type.Integer({ minimum: 1, maximum: TEN_YEARS_MINUTES, description: "Default: the website's." }),
    ),
  },
  {
    examples: [
      {
        referenceId: "order-1",
        websiteId: "web_demo",
        currency: "USD",
        amount: 100.78,
        service: "test_usd",
        fields: { account: "payee-1" },
      },
    ],
  },
);

const PROCESS = Type.Object({
  acceptQuote: Type.Optional(Type.Boolean({ description: "Take the new rate where the quote has expired." })),
});

const LIST: List = {
  table: "invoice",
  filters: {
    id: { column: "id", kind: "text" },
    referenceId: { column: "referenceId", kind: "text" },
    websiteId: { column: "websiteId", kind: "text" },
    customerId: { column: "customerId", kind: "text" },
    status: { column: "status", kind: "text", words: Object.keys(INVOICE_STATUSES) },
    currency: { column: "currency", kind: "text" },
    createdTime: { column: "createdTime", kind: "time" },
    updatedTime: { column: "updatedTime", kind: "time" },
  },
  params: ["referenceId", "websiteId"],
};

/** The order that a body asks for. `expiresTime` was checked by form; a 60th second is the one thing that is left. */
function orderOf(call: Call): { order: InvoiceOrder; problems: readonly InvalidField[] } {
  const { expiresTime: given, ...members } = call.body as Partial<Static<typeof NEW_INVOICE>>;
  if (given === undefined) return { order: members, problems: call.problems };
  const expiresTime = Date.parse(given);
  if (!Number.isNaN(expiresTime)) return { order: { ...members, expiresTime }, problems: call.problems };
  const fault = { field: "expiresTime", message: "is no time that a clock shows" };
  return { order: members, problems: [...call.problems, fault] };
}

const location = (call: Call, id: string): string => `${call.world.base()}/payout-invoices/${id}`;

function shown(call: Call, rows: InvoiceParts): StoredAnswer {
  return resource(invoiceView(rows, call.world.base()), rows.invoice.version);
}

const ONE = { description: "The invoice.", schema: Named("PayoutInvoice") };

export const payoutInvoices: readonly Endpoint[] = [
  {
    method: "POST",
    path: "/payout-invoices",
    name: "createPayoutInvoice",
    tag: "Payout invoices",
    summary: "Order a payout. The same order again, by its referenceId, answers with the one that exists.",
    permission: "orders",
    body: NEW_INVOICE,
    answers: { 201: { ...ONE, description: "Made, or made before by the same order." } },
    refusals: ["validation-failed", "rate-unavailable", "reference-id-used", "insufficient-funds"],
    handle: (call) =>
      command(call, {
        handler: createInvoice,
        payload: orderOf(call),
        render: (rows) =>
          created(invoiceView(rows, call.world.base()), rows.invoice.version, location(call, rows.invoice.id)),
      }),
  },
  {
    method: "GET",
    path: "/payout-invoices",
    name: "listPayoutInvoices",
    tag: "Payout invoices",
    summary: "List invoices.",
    permission: "read",
    query: listParameters(LIST),
    answers: { 200: listAnswer("PayoutInvoice") },
    refusals: ["validation-failed"],
    async handle(call) {
      const query = readList(call, LIST);
      const page = await call.world.reads.invoices(call.identity.book, query);
      return pageAnswer(call, query, page, (rows) => invoiceView(rows, call.world.base()));
    },
  },
  {
    method: "GET",
    path: "/payout-invoices/:id",
    name: "getPayoutInvoice",
    tag: "Payout invoices",
    summary: "Read an invoice with everything below it.",
    permission: "read",
    answers: { 200: ONE },
    refusals: ["not-found"],
    async handle(call) {
      const rows = await call.world.reads.invoice(call.identity.book, call.params["id"] ?? "");
      if (rows === null) throw notFound("payout invoice");
      return shown(call, rows);
    },
  },
  {
    method: "POST",
    path: "/payout-invoices/:id/terminate",
    name: "terminatePayoutInvoice",
    tag: "Payout invoices",
    summary: "End an invoice before its lifetime. What is at a provider is followed to its end.",
    permission: "orders",
    answers: { 200: ONE },
    refusals: ["not-found", "not-in-this-status"],
    handle(call) {
      const invoiceId = call.params["id"] ?? "";
      if (!isUuid(invoiceId)) throw notFound("payout invoice");
      return command(call, {
        handler: terminateInvoice,
        payload: { invoiceId },
        render: (rows) => shown(call, rows),
      });
    },
  },
  {
    method: "POST",
    path: "/payout-invoices/:id/process",
    name: "processPayoutInvoice",
    tag: "Payout invoices",
    summary: "Start processing an invoice that waits in `created`.",
    permission: "orders",
    body: PROCESS,
    ifMatch: "optional",
    answers: { 200: ONE },
    refusals: ["not-found", "not-in-this-status", "quote-expired", "insufficient-funds", "version-conflict"],
    handle: processOne,
  },
];

async function processOne(call: Call): Promise<StoredAnswer> {
  checkForm(call);
  const { acceptQuote = false } = call.body as Static<typeof PROCESS>;
  const version = ifMatch(call, "optional");
  const invoiceId = call.params["id"] ?? "";
  if (!isUuid(invoiceId)) throw notFound("payout invoice");
  return command(call, {
    handler: processInvoice,
    payload: { invoiceId, acceptQuote, version },
    render: (rows) => shown(call, rows),
  });
}
