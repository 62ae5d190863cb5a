/** The steps of a modelled story: what providers, time and people do to it, as data that can be shrunk. */
import fc from "fast-check";
import type { Answer } from "../../src/core/news/answer.ts";
import { hear } from "../../src/core/news/news.ts";
import type { Fact, Resolution } from "../../src/core/news/resolution.ts";
import { askCancel, askRevoke, isCancellable, isRevocable } from "../../src/core/news/reversal.ts";
import { allocate } from "../../src/core/order/allocation.ts";
import { askForEnd, isEnded } from "../../src/core/order/dispatch.ts";
import {
  acceptPartial,
  continueRequest,
  decide,
  processPayout,
  refund,
  repeatPayout,
  takeBack,
  terminatePayout,
  type Verdict,
} from "../../src/core/order/moderation.ts";
import type { Payout } from "../../src/core/order/payout.ts";
import { PAYOUT_MEANING } from "../../src/core/order/payout.ts";
import { publicStatus } from "../../src/core/order/request.ts";
import { settleIncident } from "../../src/core/order/settlement.ts";
import { type Draft, patchInvoice, patchRequest, wakePayout } from "../../src/core/order/story.ts";
import type { Playing } from "./playing.ts";
import { TRUTH } from "./stories.ts";

/** What a provider says, in parts of the payout's amount. */
export interface Words {
  readonly sent: Answer["sent"];
  readonly fact: Fact;
  readonly resolution: Resolution;
  readonly found: "yes" | "no" | null;
  /** Numbered on, numbered as long ago, or not numbered. */
  readonly order: "next" | "old" | "none";
  readonly paidPercent: number | null;
  readonly returnedPercent: number | null;
  readonly isOfAnother: boolean;
}

export type Act =
  | { readonly do: "terminate_payout" | "process" | "repeat" | "inquire" }
  | { readonly do: "revoke"; readonly then: "stop" | "reroute" }
  | { readonly do: "cancel"; readonly percent: number | null }
  | { readonly do: "refund"; readonly percent: number | null }
  | { readonly do: "evidence"; readonly says: Verdict["says"]; readonly percent: number | null }
  | { readonly do: "continue" | "accept_partial" | "take_back" | "cancel_request" | "terminate" | "open_gates" }
  | { readonly do: "change"; readonly attemptsLimit: number; readonly allowPartially: boolean }
  | { readonly do: "block"; readonly blocked: boolean }
  | { readonly do: "settle_incident"; readonly by: "merchant" | "loss" }
  | { readonly do: "allocate"; readonly percent: number; readonly route: string | null }
  | { readonly do: "choose_instrument"; readonly which: number };

export type Step =
  | { readonly step: "report"; readonly which: number; readonly words: Words }
  | { readonly step: "lose"; readonly which: number; readonly how: "lost" | "not_sent" }
  | { readonly step: "callback"; readonly which: number; readonly words: Words }
  | { readonly step: "pass"; readonly ms: number }
  | { readonly step: "act"; readonly which: number; readonly act: Act };

const percentOf = (amount: bigint, percent: number): bigint => (amount * BigInt(percent)) / 100n;

/** A connector's translation of words about a payout; `numbers` counts a provider's messages. */
export function answerOf(words: Words, payout: Payout, sequence: number): Answer {
  const { sent, fact, resolution, found, order, paidPercent, returnedPercent, isOfAnother } = words;
  return {
    sent,
    fact,
    resolution,
    ...(found === null ? {} : { found }),
    ...(order === "none" ? {} : { sequence: order === "next" ? sequence : 1 }),
    ...(paidPercent === null ? {} : { paidMinor: percentOf(payout.amountMinor, paidPercent) }),
    ...(returnedPercent === null ? {} : { returnedMinor: percentOf(payout.amountMinor, returnedPercent) }),
    ...(isOfAnother ? { echo: { amountMinor: payout.amountMinor + 1n } } : {}),
  };
}

/** Hears a callback about a payout. */
export function callBack(story: Playing, id: string, answer: Answer): void {
  hear(story.draft, id, { kind: "callback", answer }, TRUTH);
  story.advance();
}

/** An act about the order as a whole, or about one of its payouts: null when it was done, else why not. */
export function actOn(story: Playing, act: Act, payout: Payout | undefined): boolean {
  if (act.do === "open_gates") {
    story.shut.clear();
    return true;
  }
  return story.attempt((draft, world) => {
    switch (act.do) {
      case "continue":
        return continueRequest(draft, world);
      case "accept_partial":
        return acceptPartial(draft);
      case "take_back":
        return takeBack(draft, world, () => true);
      case "allocate": {
        const amountMinor = percentOf(draft.request.amountMinor, act.percent);
        if (draft.invoice !== null) return "an order pays by itself";
        const made = allocate(draft, world, { amountMinor, routeId: act.route });
        return typeof made === "string" ? made : null;
      }
      case "process":
        return payout === undefined ? "nothing" : processPayout(draft, world, payout.id);
      default:
        return payout === undefined
          ? actOnOrder(draft, act)
          : (actOnOrder(draft, act) ?? actOnPayout(draft, act, payout));
    }
  });
}

/** Acts about the request. Those about a payout are none of it, and answer null. */
function actOnOrder(draft: Draft, act: Act): string | null {
  const { request, payouts } = draft;
  switch (act.do) {
    case "refund":
      return refundOrder(draft, act.percent);
    case "cancel_request": {
      const isOver = ["canceled", "fulfilled"].includes(publicStatus(request)) || isEnded(draft);
      const isOpen = payouts.some(({ status }) => PAYOUT_MEANING[status].class === "open" || status === "CANCELLING");
      if (isOver || isOpen) return "in_flight";
      askForEnd(draft, "cancel");
      patchRequest(draft, { canceledBy: "merchant" });
      return null;
    }
    case "terminate": {
      const { invoice } = draft;
      if (invoice === null || (invoice.status !== "processing" && invoice.status !== "process_pending")) return "no";
      askForEnd(draft, "terminate");
      return null;
    }
    case "change": {
      const { attemptsLimit, allowPartially } = act;
      if (isEnded(draft) || attemptsLimit < Math.max(0, ...payouts.map((payout) => payout.attempt))) return "no";
      patchRequest(draft, { attemptsLimit, allowPartially });
      if (draft.invoice !== null) patchInvoice(draft, { attemptsLimit, allowPartially });
      return null;
    }
    case "block":
      if (["canceled", "fulfilled"].includes(publicStatus(request))) return "over";
      patchRequest(draft, { blocked: act.blocked });
      return null;
    case "choose_instrument": {
      const isUnderWay = payouts.some(
        ({ status }) => status !== "CREATED" && ["planned", "open"].includes(PAYOUT_MEANING[status].class),
      );
      if (draft.invoice !== null || isUnderWay || ["canceled", "fulfilled"].includes(publicStatus(request)))
        return "no";
      const isChosen = act.which > 0;
      patchRequest(draft, {
        paymentInstrumentId: isChosen ? `pin_${act.which}` : null,
        destinationHash: isChosen ? "payee" : null,
        areDetailsRefused: false,
      });
      return null;
    }
    default:
      return null;
  }
}

function refundOrder(draft: Draft, percent: number | null): string | null {
  const { invoice } = draft;
  if (invoice === null) return "no invoice";
  const refundable = invoice.processedMinor - invoice.refundedMinor;
  const asked = percent === null ? refundable : percentOf(refundable, percent);
  if (asked <= 0n) return "nothing";
  const upTo =
    ((invoice.refundedMinor + asked) * invoice.serviceAmountMinor + invoice.amountMinor - 1n) / invoice.amountMinor;
  return refund(draft, asked === refundable ? null : upTo - invoice.refundedServiceMinor, () => true);
}

function actOnPayout(draft: Draft, act: Act, payout: Payout): string | null {
  const { id, amountMinor } = payout;
  switch (act.do) {
    case "terminate_payout":
      return terminatePayout(draft, id);
    case "repeat":
      return repeatPayout(draft, id, { ...TRUTH, isRepeatHarmless: true, retentionMs: 1e9 });
    case "inquire":
      if (payout.send === "open" || payout.reversal === "open" || payout.firstSendTime === null) return "no";
      wakePayout(draft, id, draft.now);
      return null;
    case "revoke":
      if (payout.send === "open" || !isRevocable(payout)) return "no";
      askRevoke(draft, id, act.then);
      return null;
    case "cancel": {
      const left = payout.processedMinor - payout.returnedMinor;
      const asked = act.percent === null ? null : percentOf(left, act.percent);
      if (!isCancellable(payout) || asked === 0n) return "no";
      askCancel(draft, id, asked === left ? null : asked);
      return null;
    }
    case "evidence":
      return decide(draft, id, { says: act.says, amountMinor: percentIn(amountMinor, act.percent) }, TRUTH);
    case "settle_incident":
      if (payout.incidentMinor === 0n) return "nothing";
      settleIncident(draft, id, { actId: `${draft.now}:${draft.payouts.length}:${payout.processedMinor}`, by: act.by });
      return null;
    default:
      return null;
  }
}

export const percentIn = (amount: bigint, percent: number | null): bigint | null =>
  percent === null ? null : percentOf(amount, percent);

// What the steps are drawn from: mostly what happens on ordinary days, so that stories get far.

const which = fc.nat(7);
const percent = fc.option(fc.constantFrom(30, 40, 60, 100), { nil: null });
const said = fc.option(fc.constantFrom(40, 60, 100, 120), { nil: null, freq: 1 });

const words: fc.Arbitrary<Words> = fc.record({
  sent: fc.constantFrom("accepted", "accepted", "accepted", "refused", "not_now", "unknown", "not_sent"),
  fact: fc.constantFrom<Fact[]>(
    ...(["accepted", "pending", "held", "paid", "paid", "paid_part", "paid_part", "failed"] as const),
    ...(["returning", "returned", "recalled", "expired", "unknown", "ignore"] as const),
  ),
  resolution: fc.constantFrom<Resolution[]>(
    ...(["OK", "OK", "DECLINED_ERROR", "DECLINED_ERROR", "LIMIT_VIOLATION", "CONNECTION_ERROR"] as const),
    ...(["INVALID_DETAILS", "ACCESS_DENIED", "DUPLICATED_ID", "RECIPIENT_NOT_FOUND"] as const),
  ),
  found: fc.constantFrom("yes", "yes", "no", null),
  order: fc.constantFrom("next", "next", "none", "old"),
  paidPercent: said,
  returnedPercent: said,
  isOfAnother: fc.constantFrom(false, false, false, false, false, false, false, true),
});

const allocation = fc.record({
  do: fc.constant("allocate"),
  percent: fc.constantFrom(30, 40, 60, 100),
  route: fc.constantFrom(null, "r1", "r2"),
});

const act: fc.Arbitrary<Act> = fc.oneof(
  fc.record({ do: fc.constantFrom("terminate_payout", "process", "repeat", "inquire") }),
  fc.record({ do: fc.constant("process") }),
  fc.record({ do: fc.constant("revoke"), then: fc.constantFrom("stop", "reroute") }),
  fc.record({ do: fc.constant("cancel"), percent }),
  fc.record({ do: fc.constant("refund"), percent }),
  fc.record({
    do: fc.constant("evidence"),
    says: fc.constantFrom<Verdict["says"][]>("paid", "not_paid", "returned", "not_returned"),
    percent,
  }),
  { weight: 4, arbitrary: fc.record({ do: fc.constantFrom("continue", "continue", "accept_partial", "take_back") }) },
  fc.record({ do: fc.constantFrom("cancel_request", "terminate", "open_gates") }),
  fc.record({ do: fc.constant("change"), attemptsLimit: fc.integer({ min: 1, max: 6 }), allowPartially: fc.boolean() }),
  fc.record({ do: fc.constant("block"), blocked: fc.constantFrom(true, false, false) }),
  fc.record({ do: fc.constant("settle_incident"), by: fc.constantFrom("merchant", "loss") }),
  { weight: 3, arbitrary: allocation },
  fc.record({ do: fc.constant("choose_instrument"), which: fc.nat(2) }),
);

export const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ step: fc.constant("report"), which, words }) },
  { weight: 2, arbitrary: fc.record({ step: fc.constant("lose"), which, how: fc.constantFrom("lost", "not_sent") }) },
  { weight: 4, arbitrary: fc.record({ step: fc.constant("callback"), which, words }) },
  {
    weight: 5,
    arbitrary: fc.record({
      step: fc.constant("pass"),
      ms: fc.constantFrom(1, 500, 1_000, 5_000, 9_001, 15_000, 20_000, 60_000),
    }),
  },
  { weight: 6, arbitrary: fc.record({ step: fc.constant("act"), which, act }) },
);
