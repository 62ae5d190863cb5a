/** What people do about payouts and orders: each act at the address of what it is about. */
import Type, { type Static } from "typebox";
import type { StoryAct } from "../../core/acts.ts";
import { actView } from "../../core/views/moderation.ts";
import { invoiceView, payoutView } from "../../core/views/orders.ts";
import type { StoredAnswer } from "../../engine/command.ts";
import type { ActBody } from "../../engine/commands/act-executors.ts";
import { type ActRows, moderate } from "../../engine/commands/moderation.ts";
import { isUuid } from "../../store/reads.ts";
import { answer, type Call, checkForm, command, type Endpoint, ifMatch, notFound, resource } from "../endpoint.ts";
import { refuse, refuseFields } from "../problem.ts";
import { Money, Named, OneOf, Text } from "../schema.ts";

const REASON = Text(1_000, "Why, for the record.");
const JUST_REASON = Type.Object({ reason: Type.Optional(REASON) }, { examples: [{ reason: "The payee has called." }] });

/** Answers with what the act was about; or, while a second person must agree, with the act. */
function shown(call: Call, rows: ActRows): StoredAnswer {
  const base = call.world.base();
  if (rows.act.status === "proposed") return answer(202, actView(rows.act, base));
  if (rows.payout !== null) return resource(payoutView(rows.payout, base), rows.payout.version);
  if (rows.invoice !== null) return resource(invoiceView(rows.invoice, base), rows.invoice.invoice.version);
  return answer(200, actView(rows.act, base));
}

type Said = { readonly reason?: string } & ActBody;

/** Runs an act about a payout or a request; `body` is as it was checked. */
function act(
  call: Call,
  what: Pick<Parameters<typeof moderate.decide>[1], "kind" | "subjectKind" | "subject" | "version">,
  needsKey = false,
): Promise<StoredAnswer> {
  const { reason = "", ...body } = call.body as Said;
  return command(call, {
    handler: moderate,
    payload: { ...what, reason, body },
    render: (rows) => shown(call, rows),
    needsKey,
  });
}

interface PayoutAct {
  readonly kind: StoryAct;
  readonly summary: string;
  readonly body: Endpoint["body"];
  readonly isOnMoney: boolean;
  readonly refusals?: Endpoint["refusals"];
}

const EVIDENCE = Type.Object(
  {
    reason: REASON,
    verdict: OneOf(
      ["paid", "not_paid", "returned", "not_returned"],
      "What became of it. `returned` names what came back in all; `not_returned` ends a cancel.",
    ),
    amount: Type.Optional(Money("What was paid, or what came back, in all. Default: all of it.")),
    evidence: Type.Object(
      {
        kind: OneOf(["provider_report", "document", "reference", "text"], "What it is."),
        value: Text(4_000, "The line of the report, the reference, or the text."),
        sha256: Type.Optional(
          Type.String({ pattern: "^[0-9a-f]{64}$", description: "Of the document or the report, in hex." }),
        ),
      },
      { description: "What proves it. That nothing was paid is proved by a report or a document, with its hash." },
    ),
  },
  {
    examples: [
      {
        reason: "The provider's report of the day does not list it.",
        verdict: "not_paid",
        evidence: { kind: "provider_report", value: "2026-11-20.csv", sha256: "0".repeat(64) },
      },
    ],
  },
);

const PAYOUT_ACTS: readonly PayoutAct[] = [
  { kind: "inquire", summary: "Ask the provider now.", body: JUST_REASON, isOnMoney: false },
  { kind: "process", summary: "Let a payout start that waits for a person.", body: JUST_REASON, isOnMoney: true },
  { kind: "terminate", summary: "End a payout of which nothing was sent.", body: JUST_REASON, isOnMoney: true },
  {
    kind: "revoke",
    summary: "Pull back a payout that is not paid yet.",
    body: Type.Object(
      {
        reason: Type.Optional(REASON),
        // What came back is not sent again by a machine, unless whoever pulls it back says so.
        // biome-ignore lint/suspicious/noThenProperty: the word of the contract, in a body.
        then: Type.Optional(OneOf(["stop", "reroute"], "What follows: nothing, or another route. Default stop.")),
      },
      // biome-ignore lint/suspicious/noThenProperty: as above.
      { examples: [{ reason: "Wrong payee.", then: "stop" }] },
    ),
    isOnMoney: true,
  },
  {
    kind: "cancel",
    summary: "Reverse a payout that is paid, whole or in part.",
    body: Type.Object(
      { reason: Type.Optional(REASON), amount: Type.Optional(Money("How much. Default: all that is left.")) },
      { examples: [{ reason: "Paid by mistake." }] },
    ),
    isOnMoney: true,
    refusals: ["more-than-available"],
  },
  {
    kind: "evidence",
    summary: "Say what became of a payout, with evidence attached.",
    body: EVIDENCE,
    isOnMoney: true,
    refusals: ["more-than-available"],
  },
  {
    kind: "repeat",
    summary: "Send the same reference again, where that is proven harmless.",
    body: JUST_REASON,
    isOnMoney: true,
  },
  {
    kind: "settle_incident",
    summary: "Say who bears what of a payout stands in suspense.",
    body: Type.Object(
      { reason: REASON, chargeTo: OneOf(["merchant", "loss"], "The website's account, or ourselves.") },
      { examples: [{ reason: "Agreed with the merchant.", chargeTo: "merchant" }] },
    ),
    isOnMoney: true,
    refusals: ["insufficient-funds"],
  },
];

/** The word in the address: `settle_incident` is at `/settle-incident`. */
const wordOf = (kind: StoryAct): string => kind.replaceAll("_", "-");

function nameOf(kind: StoryAct): string {
  return `${kind.replaceAll(/_(\w)/g, (_, letter: string) => letter.toUpperCase())}Payout`;
}

function payoutAct({ kind, summary, body, isOnMoney, refusals = [] }: PayoutAct): Endpoint {
  return {
    method: "POST",
    path: `/payouts/:id/${wordOf(kind)}`,
    name: nameOf(kind),
    tag: "Payouts",
    summary,
    permission: "moderation",
    ...(body === undefined ? {} : { body }),
    ifMatch: isOnMoney ? "required" : "optional",
    answers: {
      200: { description: "The payout.", schema: Named("Payout") },
      202: { description: "It waits for a second person.", schema: Named("ModerationAct") },
    },
    refusals: [
      "not-found",
      "version-conflict",
      ...(isOnMoney ? (["if-match-required"] as const) : []),
      "not-in-this-status",
      "payout-in-flight",
      ...refusals,
    ],
    async handle(call) {
      checkForm(call);
      const subject = call.params["id"] ?? "";
      if (!isUuid(subject)) throw notFound("payout");
      if (kind === "evidence") checkEvidence(call.body as Static<typeof EVIDENCE>);
      const version = ifMatch(call, isOnMoney ? "required" : "optional");
      return act(call, { kind, subjectKind: "payout", subject, version });
    },
  };
}

/** That nothing was paid is never said on somebody's word alone. */
function checkEvidence({ verdict, evidence }: Static<typeof EVIDENCE>): void {
  if (verdict !== "not_paid") return;
  const isAttached = evidence.kind === "provider_report" || evidence.kind === "document";
  if (!isAttached) throw refuseFields([{ field: "evidence.kind", message: "must be provider_report or document" }]);
  if (evidence.sha256 === undefined) throw refuseFields([{ field: "evidence.sha256", message: "is required" }]);
}

const ORDER_ACT = Type.Object(
  {
    act: OneOf(
      ["continue", "accept_partial", "take_back", "change"],
      "`continue`: the unpaid rest goes by another payout. `accept_partial`: what is paid is enough. `take_back`: that, " +
        "and what is paid is asked back. `change`: the members below.",
    ),
    reason: REASON,
    attemptsLimit: Type.Optional(Type.Integer({ minimum: 1, maximum: 100, description: "Of `change`." })),
    allowPartially: Type.Optional(Type.Boolean({ description: "Of `change`." })),
  },
  { examples: [{ act: "accept_partial", reason: "The payee agrees." }] },
);

const REFUND = Type.Object(
  { reason: Type.Optional(REASON), amount: Type.Optional(Money("In the account's currency. Default: all of it.")) },
  { examples: [{ amount: 30, reason: "Half of the order was returned." }] },
);

/** The request below an invoice: every act about an order is about that. */
async function requestOf(call: Call): Promise<string> {
  const found = await call.world.reads.invoice(call.identity.book, call.params["id"] ?? "");
  if (found === null) throw notFound("payout invoice");
  const { requestId, status } = found.invoice;
  if (requestId === null) throw refuse("not-in-this-status", `The invoice is ${status}: nothing of it is processed.`);
  return requestId;
}

const INVOICE = {
  200: { description: "The invoice.", schema: Named("PayoutInvoice") },
  202: { description: "It waits for a second person.", schema: Named("ModerationAct") },
};
const INVOICE_REFUSALS = [
  "not-found",
  "version-conflict",
  "if-match-required",
  "not-in-this-status",
  "payout-in-flight",
] as const;

export const acts: readonly Endpoint[] = [
  ...PAYOUT_ACTS.map(payoutAct),
  {
    method: "POST",
    path: "/payout-invoices/:id/refund",
    name: "refundPayoutInvoice",
    tag: "Payout invoices",
    summary: "Ask for what an invoice has paid to be brought back, or for part of it.",
    permission: "moderation",
    body: REFUND,
    needsKey: true,
    ifMatch: "required",
    answers: INVOICE,
    refusals: [...INVOICE_REFUSALS, "more-than-available", "idempotency-key-required"],
    async handle(call) {
      checkForm(call);
      const version = ifMatch(call, "required");
      const subject = await requestOf(call);
      return act(call, { kind: "refund", subjectKind: "request", subject, version }, true);
    },
  },
  {
    method: "POST",
    path: "/payout-invoices/:id/moderation",
    name: "moderatePayoutInvoice",
    tag: "Payout invoices",
    summary: "Decide how an order goes on that the machine has left to people.",
    permission: "moderation",
    body: ORDER_ACT,
    ifMatch: "required",
    answers: INVOICE,
    refusals: [...INVOICE_REFUSALS, "no-route"],
    async handle(call) {
      checkForm(call);
      const version = ifMatch(call, "required");
      const { act: kind } = call.body as Static<typeof ORDER_ACT>;
      return act(call, { kind, subjectKind: "request", subject: await requestOf(call), version });
    },
  },
];
