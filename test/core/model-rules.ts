/** What must hold after every step of any story, by sums and classes only: no status of core is asked about twice. */
import assert from "node:assert/strict";
import { INVOICE_STATUS_OF } from "../../src/core/order/invoice.ts";
import type { Evidence, Payout } from "../../src/core/order/payout.ts";
import { PAYOUT_MEANING } from "../../src/core/order/payout.ts";
import type { Playing } from "./playing.ts";

/** What the story is judged by, kept apart from it. */
export interface Model {
  /** What anybody has ever proved about a payout. */
  readonly proofs: Map<string, Set<Evidence>>;
  /** The most that anybody has ever said to be paid of a payout, minor units, all payments together. */
  readonly claimed: Map<string, bigint>;
  /** Requests of a payout that may have arrived. */
  readonly sends: Map<string, number>;
  /** Payouts that had ended and live again. */
  readonly revived: Set<string>;
  /** What came back beyond what was paid, minor units. */
  beyondMinor: bigint;
  /** What of incidents people have charged to the merchant, minor units of the account's currency; and settled at all. */
  chargedMinor: bigint;
  hasEnded: boolean;
  /** What the step under way may do: a person lets an unpaid rest go by another payout. */
  isContinuing: boolean;
  before: readonly Payout[];
  readonly causes: Set<string>;
  checkedPostings: number;
  checkedInvokes: number;
}

export function newModel(): Model {
  return {
    proofs: new Map(),
    claimed: new Map(),
    sends: new Map(),
    revived: new Set(),
    beyondMinor: 0n,
    chargedMinor: 0n,
    hasEnded: false,
    isContinuing: false,
    before: [],
    causes: new Set(),
    checkedPostings: 0,
    checkedInvokes: 0,
  };
}

const sum = (values: readonly bigint[]): bigint => values.reduce((total, each) => total + each, 0n);
const classOf = (payout: Payout) => PAYOUT_MEANING[payout.status].class;
const lives = (payout: Payout): boolean => classOf(payout) === "planned" || classOf(payout) === "open";

/** Judges the story after a step, and remembers it for the next one. */
export function judge(model: Model, story: Playing): void {
  note(model, story);
  checkArithmetic(story);
  checkParts(model, story);
  checkPostings(model, story);
  checkBalances(model, story);
  checkHold(model, story);
  checkSends(model, story);
  checkProofs(model, story);
  checkAwake(story);
  checkInvoice(story);
  model.before = [...story.draft.payouts];
  model.isContinuing = false;
}

const OPEN_REQUEST = new Set(["CREATED", "WAITING_DETAILS", "READY", "DISPATCHING", "PENDING"]);

function note(model: Model, story: Playing): void {
  if (!OPEN_REQUEST.has(story.draft.request.dispatchStatus)) model.hasEnded = true;
  for (const payout of story.draft.payouts) {
    const before = model.before.find((each) => each.id === payout.id);
    const hadEnded = before !== undefined && !lives(before) && classOf(before) !== "paid";
    if (hadEnded && lives(payout)) model.revived.add(payout.id);
  }
}

function checkArithmetic({ draft: { request, payouts } }: Playing): void {
  const counted = payouts.map((payout) => {
    if (lives(payout)) return payout.amountMinor;
    return classOf(payout) === "paid" ? payout.processedMinor - payout.returnedMinor : 0n;
  });
  const { amountMinor, availableMinor, overpaidMinor } = request;
  assert.equal(amountMinor + overpaidMinor, availableMinor + sum(counted), "the sums of the request add up");
  assert.ok(availableMinor >= 0n && availableMinor <= amountMinor, "0 <= available <= amount");
  assert.ok(overpaidMinor === 0n || availableMinor === 0n, "nothing is available of what is overpaid");
  for (const payout of payouts) {
    const { id, processedMinor, returnedMinor, incidentMinor, inFlightMinor } = payout;
    if (classOf(payout) !== "open") assert.equal(inFlightMinor, 0n, `${id} is ${payout.status}: nothing is in flight`);
    assert.ok(returnedMinor >= 0n && returnedMinor <= processedMinor, `${id}: no more came back than was paid`);
    assert.ok(incidentMinor >= 0n && incidentMinor <= processedMinor - returnedMinor, `${id}: incident within paid`);
    assert.ok(inFlightMinor >= 0n, `${id}: nothing negative is in flight`);
  }
}

function checkParts(model: Model, { draft: { request, payouts } }: Playing): void {
  for (const [part, group] of Map.groupBy(payouts, (payout) => payout.part)) {
    const living = group.filter(lives);
    const unexplained = living.filter((payout) => !model.revived.has(payout.id));
    assert.ok(unexplained.length <= 1, `part ${part} has ${unexplained.length} payouts that were never over`);
    assert.ok(living.length <= 1 || model.revived.size > 0, `part ${part} has one planned or open payout`);
    assert.equal(new Set(group.map((payout) => payout.attempt)).size, group.length, "attempts are numbered once");
  }
  assert.equal(new Set(payouts.map((payout) => payout.reference)).size, payouts.length, "references are used once");
  const known = new Set(model.before.map((payout) => payout.id));
  for (const payout of payouts) {
    if (known.has(payout.id)) continue;
    assert.ok(payout.amountMinor > 0n, "a payout is about something");
    assert.ok(payout.attempt <= request.attemptsLimit, `attempt ${payout.attempt} of ${request.attemptsLimit}`);
    if (payout.attempt > 1) checkNextAttempt(model, payouts, payout);
    const isAlone = !(request.isSplit && request.isParallel) && !payout.isManual && !model.isContinuing;
    const others = payouts.filter((each) => each.id !== payout.id && lives(each));
    if (isAlone) assert.equal(others.length, 0, `${payout.id} is made while another is under way`);
  }
}

function checkNextAttempt(model: Model, payouts: readonly Payout[], payout: Payout): void {
  const last = payouts.find((each) => each.part === payout.part && each.attempt === payout.attempt - 1);
  assert.ok(last !== undefined && !lives(last), `attempt ${payout.attempt} follows one that is over`);
  const others = payouts.filter((each) => each.part === payout.part && each.id !== payout.id);
  assert.ok(!others.some(lives), `attempt ${payout.attempt} is made while an older one of its part is alive`);
  if (model.isContinuing) return;
  const isBack = payouts.some((each) => each.part === payout.part && each.returnedMinor > 0n);
  assert.ok(!isBack, "what came back is not sent again by a machine");
  assert.equal(classOf(last), "not_paid", "only a person lets an order go on after a payment");
  assert.ok(last.evidence !== null, `attempt ${payout.attempt} follows evidence`);
  assert.ok(last.status !== "REVOKED" || last.afterRevoke === "reroute", "what was revoked to stop is not sent again");
}

function checkPostings(model: Model, { postings }: Playing): void {
  for (const { subject, cause, lines } of postings.slice(model.checkedPostings)) {
    const key = `${subject} ${cause}`;
    assert.ok(!model.causes.has(key), `${key} is posted once`);
    model.causes.add(key);
    const byCurrency = Map.groupBy(lines, (line) => line.account.currency);
    for (const [currency, own] of byCurrency) {
      assert.equal(sum(own.map((line) => line.amountMinor)), 0n, `${key} sums to zero in ${currency}`);
    }
  }
  model.checkedPostings = postings.length;
}

function checkBalances(model: Model, story: Playing): void {
  const { payouts, request, invoice } = story.draft;
  const { currency } = request;
  const balance = (id: string): bigint => story.balances.get(id) ?? 0n;
  let deposits = 0n;
  for (const [deposit, own] of Map.groupBy(payouts, (payout) => payout.depositAccountId)) {
    const inFlight = sum(own.map((payout) => payout.inFlightMinor));
    assert.equal(balance(`in_flight:${deposit}:${currency}`), inFlight, `what is in flight from ${deposit}`);
    deposits += balance(`deposit:${deposit}:${currency}`);
  }
  const gone = sum(payouts.map((payout) => payout.inFlightMinor + payout.processedMinor - payout.returnedMinor));
  assert.equal(deposits, model.beyondMinor - gone, "what left the deposit accounts is in flight or paid");
  const incidents = sum(payouts.map((payout) => payout.incidentMinor));
  assert.equal(balance(`incident_suspense::${currency}`), incidents - model.beyondMinor, "suspense is explained");
  if (invoice === null) return;
  const { heldMinor, releasedMinor, refundedMinor, refundedFeeMinor } = invoice;
  const merchant = releasedMinor + refundedMinor + refundedFeeMinor - heldMinor - model.chargedMinor;
  assert.equal(balance(`available:web:${invoice.currency}`), merchant, "what the merchant has is explained");
  const commission = invoice.processedFeeMinor - invoice.refundedFeeMinor;
  assert.equal(balance(`commission::${invoice.currency}`), commission, "commission is explained");
}

function checkHold(model: Model, story: Playing): void {
  const { invoice } = story.draft;
  if (invoice === null) return;
  const { heldMinor, postedMinor, releasedMinor, processedFeeMinor } = invoice;
  const used = postedMinor + releasedMinor;
  assert.ok(used <= heldMinor, "a hold is used up at most once");
  assert.equal(story.balances.get(`reserved:web:${invoice.currency}`) ?? 0n, heldMinor - used, "reserved is the hold");
  if (model.hasEnded) assert.equal(used, heldMinor, "the hold is closed when the workflow is over");
  else assert.equal(releasedMinor + processedFeeMinor, 0n, "nothing is released or earned before the end");
  assert.ok(invoice.refundedMinor <= invoice.processedMinor, "no more is refunded than was processed");
  assert.ok(invoice.refundedServiceMinor <= invoice.processedServiceMinor, "nor in the service's currency");
  assert.ok(invoice.refundedFeeMinor <= invoice.processedFeeMinor, "nor of the commission");
}

function checkSends(model: Model, story: Playing): void {
  const { request, payouts } = story.draft;
  for (const id of story.invokes.slice(model.checkedInvokes)) {
    assert.equal(request.endAsked, null, `${id} is not sent after an end was asked for`);
    assert.equal(request.blocked, false, `${id} is not sent while the request is blocked`);
    const before = model.before.find((payout) => payout.id === id);
    const isAllowed = before === undefined || !before.moderationRequired || before.send === "again";
    assert.ok(isAllowed, `${id} is not sent while it is flagged`);
    if (before === undefined) continue;
    const isFree = before.send === "none" || before.send === "not_now" || before.send === "again";
    assert.ok(isFree, `${id} is not sent while the outcome of a request is open`);
  }
  model.checkedInvokes = story.invokes.length;
  for (const payout of payouts) {
    const mayHaveArrived = (model.sends.get(payout.id) ?? 0) > 0;
    if (mayHaveArrived) assert.notEqual(payout.send, "not_now", `${payout.id}: an earlier request may have arrived`);
    const isOpen = payout.send === "open" && payout.status === "INVOKING";
    if (isOpen) assert.ok(story.wakes.has(`payout:${payout.id}`), `${payout.id}: who dies holding a lease is found`);
  }
}

/** No payout ends unpaid without a proof that somebody gave, and none is paid beyond what somebody said. */
function checkProofs(model: Model, { draft: { payouts } }: Playing): void {
  for (const payout of payouts) {
    const { id, evidence } = payout;
    const hasEnded = classOf(payout) === "not_paid";
    const wasSent = payout.firstSendTime !== null;
    if (hasEnded && wasSent) assert.ok(evidence !== null, `${id} is ${payout.status} and was sent: on what evidence?`);
    if (evidence !== null && evidence !== "D0") {
      assert.ok(model.proofs.get(id)?.has(evidence) === true, `${id}: nobody has given ${evidence}`);
    }
    const claimed = model.claimed.get(id) ?? 0n;
    assert.ok(payout.processedMinor <= claimed, `${id}: ${payout.processedMinor} paid, ${claimed} was said`);
  }
}

function checkAwake(story: Playing): void {
  const { request, payouts } = story.draft;
  const isAsked = (subject: string): boolean => story.openItems.some((item) => item.subject === subject);
  for (const payout of payouts) {
    const isUnfinished = lives(payout) || payout.status === "CANCELLING";
    if (isUnfinished) assert.ok(story.wakes.has(`payout:${payout.id}`), `${payout.id} (${payout.status}) wakes`);
    if (payout.moderationRequired) {
      const isSeen = isAsked(payout.id) || story.wakes.has(`payout:${payout.id}`);
      assert.ok(isSeen, `${payout.id} is flagged, and somebody or something looks at it`);
    }
  }
  const isOpen = OPEN_REQUEST.has(request.dispatchStatus) || request.dispatchStatus === "CANCELING";
  const isFollowed = payouts.some((payout) => lives(payout) || payout.status === "CANCELLING");
  if (!isOpen || isFollowed) return;
  const isSeen = story.wakes.has(`request:${request.id}`) || isAsked(request.id);
  assert.ok(isSeen, `the request is ${request.dispatchStatus}, and somebody or something looks at it`);
}

function checkInvoice({ draft: { invoice, request } }: Playing): void {
  if (invoice === null) return;
  if (request.dispatchStatus === "CANCELING") {
    assert.ok(invoice.status === "refunding" || invoice.status === "refund_pending", invoice.status);
  } else {
    assert.equal(invoice.status, INVOICE_STATUS_OF[request.dispatchStatus], "the invoice says what its request does");
  }
  assert.equal(invoice.moderationRequired, request.moderationRequired);
}
