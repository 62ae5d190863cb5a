/** The matrix of commands: every command is really decided, by the engine's own handler, on an order in every status. */
import type { Refusal } from "../src/core/errors.ts";
import { PAYOUT_STATUSES, type PayoutStatus } from "../src/core/order/payout.ts";
import { DISPATCH_STATUSES, type DispatchStatus } from "../src/core/order/request.ts";
import type { Result } from "../src/core/result.ts";
import type { ActBody } from "../src/engine/commands/act-executors.ts";
import { createAllocation, processAllocations } from "../src/engine/commands/allocations.ts";
import { processInvoice, terminateInvoice } from "../src/engine/commands/invoices.ts";
import { type ActOrder, moderate } from "../src/engine/commands/moderation.ts";
import { cancelRequest, putRequest, type RequestOrder } from "../src/engine/commands/requests.ts";
import type { Context } from "../src/engine/context.ts";
import { code, document, table } from "./markdown.ts";
import { bareRequest, INVOICE_MOMENTS, orderWithPayout, PAYOUT_MOMENTS } from "./sample-orders.ts";
import { contextOf, INSTRUMENT, ORGANIZATION, type Sample } from "./sample-world.ts";

type Command = (context: Context) => Result<unknown, Refusal>;
/** What is read before and after a command, to see what it has moved. */
type Look = (context: Context) => readonly string[];

const payoutLook: Look = (context) => [context.rows.get("payout", [ORGANIZATION, "p1"])?.status ?? "none"];
const invoiceLook: Look = (context) => [context.rows.get("invoice", [ORGANIZATION, "i1"])?.status ?? "none"];
const requestLook: Look = (context) => [
  context.rows.get("request", [ORGANIZATION, "q1"])?.dispatchStatus ?? "none",
  ...context.rows.filter("payout", () => true).map((payout) => payout.status),
];

/** What a command does to an order: the status that it leads to, "done" where that stays, or the error's code. */
function outcome(sample: Sample, command: Command, look: Look): string {
  const context = contextOf(sample);
  const before = look(context);
  const decided = command(context);
  if (!decided.ok) return code(decided.error.code);
  const after = look(context);
  const moved = after[0] !== before[0];
  const made = after.length > before.length ? after.at(-1) : undefined;
  const first = moved ? `**${after[0] ?? ""}**` : "done";
  return made === undefined ? first : `${first}, payout **${made}**`;
}

function act(kind: ActOrder["kind"], subjectKind: ActOrder["subjectKind"], body: ActBody = {}): Command {
  const subject = subjectKind === "payout" ? "p1" : "q1";
  return (context) => moderate.decide(context, { kind, subjectKind, subject, version: null, reason: "", body });
}

type Columns = Readonly<Record<string, Command>>;

const evidence = (verdict: NonNullable<ActBody["verdict"]>): Command => act("evidence", "payout", { verdict });

const ON_PAYOUT: Columns = {
  inquire: act("inquire", "payout"),
  process: act("process", "payout"),
  terminate: act("terminate", "payout"),
  revoke: act("revoke", "payout"),
  cancel: act("cancel", "payout"),
  "evidence: paid": evidence("paid"),
  not_paid: evidence("not_paid"),
  returned: evidence("returned"),
  not_returned: evidence("not_returned"),
  repeat: act("repeat", "payout"),
};

/** An act about an order whose processing has not started is refused before it is decided (src/http/routes/acts.ts). */
function orderAct(kind: ActOrder["kind"], body: ActBody = {}): Command {
  const decide = act(kind, "request", body);
  const detail = "Nothing of it is processed.";
  return (context) =>
    context.rows.get("request", [ORGANIZATION, "q1"]) === null
      ? { ok: false, error: { code: "not-in-this-status", detail } }
      : decide(context);
}

const ON_INVOICE: Columns = {
  process: (context) => processInvoice.decide(context, { invoiceId: "i1", acceptQuote: false }),
  terminate: (context) => terminateInvoice.decide(context, { invoiceId: "i1" }),
  refund: orderAct("refund"),
  continue: orderAct("continue"),
  accept_partial: orderAct("accept_partial"),
  take_back: orderAct("take_back"),
  change: orderAct("change", { attemptsLimit: 7 }),
};

const put = (order: RequestOrder): Command => {
  const required = { websiteId: "web", customerId: "cus", currency: "USD", amount: "100" };
  return (context) => putRequest.decide(context, { id: "q1", order: { ...required, ...order }, problems: [] });
};

const ON_REQUEST: Columns = {
  "PUT, a description": put({ description: "Wages" }),
  "PUT, an instrument": put({ paymentInstrumentId: INSTRUMENT.id }),
  "PUT, blocked": put({ blocked: true, blockReason: "other" }),
  cancel: (context) => cancelRequest.decide(context, { id: "q1", description: null, canceledBy: "merchant" }),
  "allocate 1.00": (context) =>
    createAllocation.decide(context, { requestId: "q1", amount: "1", routeId: "r2", problems: [] }),
  "process its allocation": (context) => processAllocations.decide(context, { ids: ["p1"] }),
};

interface Row {
  readonly name: string;
  readonly sample: Sample;
}

function matrix(head: string, rows: readonly Row[], columns: Columns, look: Look): string {
  const names = Object.keys(columns);
  const cells = rows.map(({ name, sample }) => [
    name,
    ...names.map((column) => outcome(sample, columns[column] as Command, look)),
  ]);
  return table([head, ...names], cells);
}

const named = (status: string, when: string): string => code(status) + (when === "" ? "" : ` (${when})`);

const WHEN: Readonly<Partial<Record<PayoutStatus, string>>> = {
  READY: "waits for a person",
  INVOKING: "outcome unknown, W is over",
};

function payoutRows(): readonly Row[] {
  return (Object.keys(PAYOUT_STATUSES) as PayoutStatus[]).flatMap((status) => [
    { name: named(status, WHEN[status] ?? ""), sample: orderWithPayout(status) },
    ...PAYOUT_MOMENTS.filter((moment) => moment.status === status).map(({ when, row }) => ({
      name: named(status, when),
      sample: orderWithPayout(status, row),
    })),
  ]);
}

function requestRows(): readonly Row[] {
  return (Object.keys(DISPATCH_STATUSES) as DispatchStatus[]).map((status) => {
    const when = { CREATED: "blocked", FAILED: "an invoice's" } as Readonly<Partial<Record<DispatchStatus, string>>>;
    return { name: named(status, when[status] ?? ""), sample: bareRequest(status) };
  });
}

/** Every cell is decided when the document is made. */
export function renderCommands(): string {
  const invoices = INVOICE_MOMENTS.map(({ status, when, sample }) => ({ name: named(status, when), sample }));
  return document("Commands by status", "the handlers in `src/engine/commands/`", [
    "Each cell is the answer of the real command on an order of 100.00 USD in that status, at the sandbox provider, " +
      "with a second route to spare. A status in bold is where the command has led; *done* means that it was done and " +
      "the status stayed (an inquiry that is due, a change); a code is the refusal, and nothing has changed.",
    "## Payouts",
    "An order here has one payout. What is settled, in flight or reversed stands behind each status as it usually does.",
    matrix("payout", payoutRows(), ON_PAYOUT, payoutLook),
    "## Payout invoices",
    "The last four are `POST /payout-invoices/{id}/moderation`.",
    matrix("invoice", invoices, ON_INVOICE, invoiceLook),
    "## Bare payout requests",
    "An allocation names its route. A payout in bold is the one that was made.",
    matrix("request", requestRows(), ON_REQUEST, requestLook),
  ]);
}
