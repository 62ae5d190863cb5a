/** What each act does to a story, or why it cannot be done now. */
import type { StoryAct } from "../../core/acts.ts";
import { type ErrorCode, invalid, type Refusal, refusal } from "../../core/errors.ts";
import { parseMajor } from "../../core/money/money.ts";
import { isFromBefore, needsChecks } from "../../core/news/recovery.ts";
import { askCancel, askRevoke, isCancellable, isRevocable } from "../../core/news/reversal.ts";
import { isEnded } from "../../core/order/dispatch.ts";
import {
  type ActObstacle,
  acceptPartial,
  continueRequest,
  decide,
  isCallOpen,
  processPayout,
  refund,
  repeatPayout,
  takeBack,
  terminatePayout,
  type Verdict,
} from "../../core/order/moderation.ts";
import { type AfterRevoke, PAYOUT_MEANING, type Payout } from "../../core/order/payout.ts";
import { settleIncident } from "../../core/order/settlement.ts";
import { type Draft, patchInvoice, patchRequest, payoutOf, wakePayout } from "../../core/order/story.ts";
import { assert, err, ok, type Result } from "../../core/result.ts";
import type { Context } from "../context.ts";
import { isSameRequest } from "../orders.ts";
import { isLeftToPerson } from "../recovery.ts";
import { isSurelyUnsent, providerOf, sendTruth, worldOf } from "../world.ts";

/** What may be said with an act; each kind reads its own members. Amounts are decimal text in major units. */
export interface ActBody {
  readonly verdict?: Verdict["says"];
  readonly amount?: string;
  readonly evidence?: unknown;
  readonly then?: AfterRevoke;
  readonly chargeTo?: "merchant" | "loss";
  readonly attemptsLimit?: number;
  readonly allowPartially?: boolean;
}

export interface Doing {
  readonly context: Context;
  readonly draft: Draft;
  /** Null for acts about an order as a whole. */
  readonly payoutId: string | null;
  readonly actId: string;
  readonly body: ActBody;
}

type Executor = (doing: Doing) => Result<null, Refusal>;

const WORDS: Readonly<Record<ActObstacle, { code: ErrorCode; detail: string }>> = {
  in_flight: { code: "payout-in-flight", detail: "Something of it is at its provider, or on the way there." },
  in_this_status: { code: "not-in-this-status", detail: "That is not possible in its present status." },
  no_route: { code: "no-route", detail: "No route is left that could carry it, or no attempt." },
  too_much: { code: "more-than-available", detail: "That is more than there is." },
  readdressed: {
    code: "not-in-this-status",
    detail: "Its provider account has got another address, other settings or other credentials since it was sent.",
  },
  too_early: { code: "payout-in-flight", detail: "The first request may still arrive: wait for the wait window." },
};

function said(obstacle: ActObstacle | null): Result<null, Refusal> {
  return obstacle === null ? ok(null) : err(refusal(WORDS[obstacle].code, WORDS[obstacle].detail));
}

function no(detail: string): Result<null, Refusal> {
  return err(refusal("not-in-this-status", detail));
}

function payoutIn({ draft, payoutId }: Doing): Payout {
  assert(payoutId !== null, "the act is about a payout");
  return payoutOf(draft, payoutId);
}

/** The amount of an act in minor units; null: none was said. */
function amountOf(body: ActBody, currency: string): Result<bigint | null, Refusal> {
  if (body.amount === undefined) return ok(null);
  const parsed = parseMajor(body.amount, currency);
  if (parsed.ok && parsed.value > 0n) return ok(parsed.value);
  return err(invalid([{ field: "amount", message: `must be more than zero, in ${currency}` }]));
}

/** Asks at once; also about a payout that is over. */
function inquire(doing: Doing): Result<null, Refusal> {
  const payout = payoutIn(doing);
  if (isCallOpen(payout)) return said("in_flight");
  if (payout.firstSendTime === null) return no("Nothing of it has been sent: there is nothing to ask.");
  wakePayout(doing.draft, payout.id, doing.draft.now);
  return ok(null);
}

function revoke(doing: Doing): Result<null, Refusal> {
  const payout = payoutIn(doing);
  const { connector } = providerOf(doing.context, payout);
  if (payout.send === "open") return said("in_flight");
  if (!isRevocable(payout)) return no(`It is ${payout.status}: only what is at its provider can be pulled back.`);
  if (connector.revoke === undefined || connector.truth.revoke === "none") return no("Its provider revokes nothing.");
  askRevoke(doing.draft, payout.id, doing.body.then ?? "stop");
  return ok(null);
}

function mayCancel(context: Context, payout: Payout, isPart: boolean): boolean {
  const { connector } = providerOf(context, payout);
  const { cancel, partialCancel } = connector.truth;
  const isOffered = connector.cancel !== undefined && (cancel === "sync" || cancel === "async");
  return isOffered && (!isPart || partialCancel);
}

function cancel(doing: Doing): Result<null, Refusal> {
  const payout = payoutIn(doing);
  const amount = amountOf(doing.body, payout.currency);
  if (!amount.ok) return amount;
  if (!isCancellable(payout)) return no(`It is ${payout.status}: only what is paid can be reversed.`);
  const left = payout.processedMinor - payout.returnedMinor;
  if (amount.value !== null && amount.value > left) return said("too_much");
  const cancelMinor = amount.value === left ? null : amount.value;
  if (!mayCancel(doing.context, payout, cancelMinor !== null)) return no("Its provider does not reverse that.");
  askCancel(doing.draft, payout.id, cancelMinor);
  return ok(null);
}

/** Of an invoice: all that it has paid, or so much of it in the account's currency, at the frozen rate. */
function refundOrder(doing: Doing): Result<null, Refusal> {
  const { invoice } = doing.draft;
  if (invoice === null) return no("Only what an invoice has paid is refunded.");
  const amount = amountOf(doing.body, invoice.currency);
  if (!amount.ok) return amount;
  const refundable = invoice.processedMinor - invoice.refundedMinor;
  if (amount.value !== null && amount.value > refundable) return said("too_much");
  const isAll = amount.value === null || amount.value === refundable;
  const service = isAll ? null : serviceShare(doing.draft, amount.value);
  return said(refund(doing.draft, service, (payout, isPart) => mayCancel(doing.context, payout, isPart)));
}

/** The least of the service's currency whose cumulative share, rounded down, gives back what is asked for. */
function serviceShare({ invoice }: Draft, amountMinor: bigint): bigint {
  assert(invoice !== null, "an invoice is refunded");
  const target = invoice.refundedMinor + amountMinor;
  const upTo = (target * invoice.serviceAmountMinor + invoice.amountMinor - 1n) / invoice.amountMinor;
  return upTo - invoice.refundedServiceMinor;
}

function evidence(doing: Doing): Result<null, Refusal> {
  const payout = payoutIn(doing);
  const amount = amountOf(doing.body, payout.currency);
  if (!amount.ok) return amount;
  const { verdict } = doing.body;
  if (verdict === undefined) return err(invalid([{ field: "verdict", message: "is required" }]));
  const { context, draft } = doing;
  // After a restore the other questions about it must have their answers first: they may prove more than this one.
  const isPlanned = PAYOUT_MEANING[payout.status].class === "planned";
  const isInQuestion = isPlanned && needsChecks(payout, context.moment.epoch);
  if (isInQuestion && !isLeftToPerson(context, draft.request, payout)) return said("too_early");
  const truth = sendTruth(providerOf(context, payout));
  return said(decide(doing.draft, payout.id, { says: verdict, amountMinor: amount.value }, truth));
}

function repeat(doing: Doing): Result<null, Refusal> {
  const payout = payoutIn(doing);
  const provider = providerOf(doing.context, payout);
  const { truth } = provider.connector;
  const { retentionMs } = truth.reference;
  // In the lost window it may have been found absent and paid under its next reference; nobody here remembers.
  if (isFromBefore(payout, doing.context.moment.epoch)) return said("in_this_status");
  const isRepeatHarmless = truth.repeat === "harmless";
  const obstacle = repeatPayout(doing.draft, payout.id, { ...sendTruth(provider), isRepeatHarmless, retentionMs });
  if (obstacle === null && !isSameRequest(doing.context, doing.draft, payout)) {
    return no("The same bytes cannot be sent again: what the request is made of has changed.");
  }
  return said(obstacle);
}

function settle(doing: Doing): Result<null, Refusal> {
  const payout = payoutIn(doing);
  if (payout.incidentMinor === 0n) return no("Nothing of it stands in suspense.");
  settleIncident(doing.draft, payout.id, { actId: doing.actId, by: doing.body.chargeTo ?? "loss" });
  for (const reason of ["paid_too_much", "paid_late"] as const) {
    doing.draft.closedItems.push({ subject: payout.id, reason });
  }
  return ok(null);
}

function change({ draft, body }: Doing): Result<null, Refusal> {
  const { attemptsLimit, allowPartially } = body;
  const made = Math.max(0, ...draft.payouts.map((payout) => payout.attempt));
  if (attemptsLimit !== undefined && attemptsLimit < made) {
    return err(invalid([{ field: "attemptsLimit", message: `is below the ${made} attempts that were made` }]));
  }
  if (isEnded(draft)) return no("The order is settled.");
  const patch = {
    ...(attemptsLimit === undefined ? {} : { attemptsLimit }),
    ...(allowPartially === undefined ? {} : { allowPartially }),
  };
  patchRequest(draft, patch);
  if (draft.invoice !== null) patchInvoice(draft, patch);
  return ok(null);
}

export const EXECUTORS: Readonly<Record<StoryAct, Executor>> = {
  inquire,
  process: (doing) => said(processPayout(doing.draft, worldOf(doing.context, doing.draft), payoutIn(doing).id)),
  terminate(doing) {
    const payout = payoutIn(doing);
    if (PAYOUT_MEANING[payout.status].class === "not_paid") return no(`It is ${payout.status} already.`);
    if (!isSurelyUnsent(doing.context, doing.draft.request, payout)) return said("in_flight");
    return said(terminatePayout(doing.draft, payout.id));
  },
  revoke,
  cancel,
  refund: refundOrder,
  evidence,
  repeat,
  continue: ({ context, draft }) => said(continueRequest(draft, worldOf(context, draft))),
  accept_partial: ({ draft }) => said(acceptPartial(draft)),
  take_back: ({ context, draft }) =>
    said(takeBack(draft, worldOf(context, draft), (payout) => mayCancel(context, payout, false))),
  settle_incident: settle,
  change,
};
