// Method: an order is told until the machine leaves it alone; then a person acts. Expected are the statuses of all
// layers, the balances, and what is sent again.
import assert from "node:assert/strict";
import { test } from "node:test";
import { ratio } from "../../src/core/money/rate.ts";
import { allocate } from "../../src/core/order/allocation.ts";
import { askForEnd } from "../../src/core/order/dispatch.ts";
import {
  acceptPartial,
  continueRequest,
  decide,
  processPayout,
  repeatPayout,
  takeBack,
  terminatePayout,
  type Verdict,
} from "../../src/core/order/moderation.ts";
import { MAX_PARTS } from "../../src/core/order/parts.ts";
import { settleIncident } from "../../src/core/order/settlement.ts";
import { patchRequest, wakePayout } from "../../src/core/order/story.ts";
import { Playing } from "./playing.ts";
import { FIVE_PERCENT, type OrderOptions, TRUTH } from "./stories.ts";

const REFUSED = { sent: "refused", fact: "failed", resolution: "DECLINED_ERROR" } as const;
const ABSENT = { sent: "unknown", fact: "unknown", resolution: "UNKNOWN", found: "no" } as const;

/** An order whose first answer was lost. */
function unknown(options: OrderOptions = {}): Playing {
  const story = new Playing({ fee: FIVE_PERCENT, ...options });
  story.report("p1", { kind: "lost", resolution: "CONNECTION_TIMEOUT_ERROR" });
  return story;
}

/** An order of 100 of which 60 are paid, and nobody has said whether that is enough. */
function partlyPaid(options: OrderOptions = {}): Playing {
  const story = new Playing({ fee: FIVE_PERCENT, ...options });
  story.fact("paid_part", { paidMinor: 6_000n }, "p1");
  assert.equal(story.invoice.status, "process_pending");
  return story;
}

const says = (story: Playing, verdict: Verdict["says"], amountMinor: bigint | null = null): boolean =>
  story.attempt((draft) => decide(draft, "p1", { says: verdict, amountMinor }, TRUTH));

test("internal commission of 5 %: what is written off is the input, and the payee gets the rest", () => {
  const fee = { ...FIVE_PERCENT, strategy: "internal" } as const;
  const story = new Playing({ fee });
  assert.equal(story.invoice.amountMinor, 9_500n);
  story.fact("paid", {}, "p1");
  assert.deepEqual(story.books, {
    "available:web:USD": -10_000n,
    "commission::USD": 500n,
    "deposit:dep_r1:USD": -9_500n,
  });
});

test("what all came back is paid again only by a figure beyond what was paid before", () => {
  const story = new Playing({});
  story.fact("paid", {}, "p1");
  story.fact("returned", {}, "p1");
  assert.deepEqual(story.statuses, ["CANCELLED"]);
  assert.equal(says(story, "paid"), false, "it was, before it came back");
  assert.equal(says(story, "paid", 10_000n), false);
  assert.deepEqual(story.statuses, ["CANCELLED"]);
  assert.ok(says(story, "paid", 20_000n));
  assert.deepEqual(story.statuses, ["PROCESSED"]);
  assert.deepEqual([story.payout.processedMinor, story.payout.returnedMinor], [20_000n, 10_000n]);
});

test("an inquiry that a person asked for about what is over outlives other news, and ends with its answer", () => {
  const story = new Playing({});
  story.fact("paid", {}, "p1");
  assert.equal(story.wakes.has("payout:p1"), false);
  story.act((draft) => wakePayout(draft, "p1", story.now));
  story.fact("returned", { returnedMinor: 4_000n, paidMinor: 10_000n }, "p1");
  assert.ok(story.wakes.has("payout:p1"), "the provider is asked all the same");
  story.draft = { ...story.draft, woken: "p1" };
  story.fact("returned", { paidMinor: 10_000n }, "p1");
  assert.equal(story.wakes.has("payout:p1"), false);
});

test("evidence that it is paid: as if the provider had said so", () => {
  const story = unknown();
  assert.ok(says(story, "paid"));
  assert.deepEqual(story.statuses, ["PROCESSED"]);
  assert.equal(story.invoice.status, "processed");
  assert.deepEqual(story.openItems, []);
  assert.equal(story.payout.moderationRequired, false);
});

test("evidence that it is not paid: D4, and the order goes by another route", () => {
  const story = unknown();
  assert.equal(says(story, "not_paid"), false, "the request may still arrive");
  story.pass(TRUTH.leaseMs + (TRUTH.waitWindowMs ?? 0) + 1);
  for (let tries = 0; !says(story, "not_paid"); tries += 1) {
    assert.ok(tries < 5);
    story.report("p1", { kind: "lost", resolution: "CONNECTION_TIMEOUT_ERROR" });
  }
  assert.deepEqual(story.statuses, ["INVOKE_FAILED", "INVOKING"]);
  assert.equal(story.draft.payouts[0]?.evidence, "D4");
  assert.equal(story.payout.routeId, "r2");
});

test("nobody decides while a request is on its way, nor what is not in question", () => {
  const story = new Playing();
  assert.equal(says(story, "not_paid"), false);
  assert.deepEqual(story.statuses, ["INVOKING"]);
  story.report("p1", { kind: "answer", answer: { sent: "accepted", fact: "paid", resolution: "OK" } });
  assert.equal(says(story, "not_paid"), false);
  assert.equal(says(story, "not_returned"), false);
  assert.equal(says(story, "returned", 10_001n), false, "no more than was paid");
  assert.ok(says(story, "returned", 4_000n));
  assert.equal(story.invoice.status, "partially_refunded");
});

test("a repeat is possible only after the wait window, and its refusal proves nothing", () => {
  const story = unknown();
  const truth = { ...TRUTH, isRepeatHarmless: true, retentionMs: 1e9 };
  const repeat = (more: object = {}): boolean =>
    story.attempt((draft) => repeatPayout(draft, "p1", { ...truth, ...more }));
  assert.equal(repeat(), false, "the first request may still arrive");
  story.later(9_001);
  assert.equal(repeat({ isRepeatHarmless: false }), false);
  assert.equal(repeat({ retentionMs: 11_000 }), false, "the provider may soon have forgotten the first");
  assert.ok(repeat());
  const { reference } = story.payout;
  story.pass(0);
  assert.deepEqual(story.invokes, ["p1", "p1"]);
  assert.equal(story.payout.reference, reference);
  story.report("p1", { kind: "answer", answer: REFUSED });
  assert.deepEqual(story.statuses, ["INVOKING"]);
  assert.equal(story.postings.filter(({ cause }) => cause === "sent").length, 1, "sent is posted once");
});

test("not now, said to a repeat, does not say that the first request never arrived", () => {
  const story = unknown();
  story.later(9_001);
  const truth = { ...TRUTH, isRepeatHarmless: true, retentionMs: 1e9 };
  assert.ok(story.attempt((draft) => repeatPayout(draft, "p1", truth)));
  story.pass(0);
  story.report("p1", { kind: "answer", answer: { sent: "not_now", fact: "unknown", resolution: "GENERAL_ERROR" } });
  assert.equal(story.payout.send, "unknown");
  story.pass(60_000);
  assert.equal(story.calls.get("p1")?.operation, "inquire", "it is asked about, not sent");
});

test("the unpaid 40 of 100 go by another payout when a person says so", () => {
  const story = partlyPaid();
  assert.ok(story.attempt(continueRequest));
  assert.deepEqual(story.statuses, ["PARTIALLY_PROCESSED", "INVOKING"]);
  assert.equal(story.payout.amountMinor, 4_000n);
  assert.equal(story.payout.attempt, 2);
  assert.deepEqual(story.openItems, []);
  story.fact("paid", {}, "p2");
  assert.equal(story.invoice.status, "processed");
  assert.equal(story.books["reserved:web:USD"], undefined);
  assert.equal(story.books["commission::USD"], 500n);
});

test("nothing goes on where no attempt or no route is left; then it can be accepted", () => {
  const story = partlyPaid({ attemptsLimit: 1 });
  assert.equal(story.attempt(continueRequest), false);
  assert.deepEqual(story.statuses, ["PARTIALLY_PROCESSED"]);
  assert.ok(story.attempt(acceptPartial));
  assert.equal(story.invoice.status, "partially_processed");
  assert.deepEqual(story.books, {
    "available:web:USD": -6_300n,
    "commission::USD": 300n,
    "deposit:dep_r1:USD": -6_000n,
  });
  assert.deepEqual(story.openItems, []);
});

test("taken back: closed with what is paid, and that is asked for again", () => {
  const story = partlyPaid();
  assert.ok(story.attempt((draft, world) => takeBack(draft, world, () => true)));
  assert.equal(story.invoice.status, "refunding");
  story.pass(1);
  story.report("p1", { kind: "answer", answer: { sent: "accepted", fact: "returned", resolution: "OK" } });
  assert.equal(story.invoice.status, "refunded");
  assert.deepEqual(story.books, { "available:web:USD": -300n, "commission::USD": 300n });
});

test("terminated with proof that nothing arrived, after it was sent: nothing stays in flight", () => {
  const story = unknown();
  story.act((draft) => askForEnd(draft, "terminate"));
  assert.deepEqual(story.statuses, ["INVOKING"], "money in flight is never abandoned");
  story.pass(15_000);
  story.report("p1", { kind: "answer", answer: ABSENT });
  assert.deepEqual(story.statuses, ["TERMINATED"]);
  assert.equal(story.payout.evidence, "D3");
  assert.equal(story.invoice.status, "terminated");
  assert.deepEqual(story.books, {});
});

test("the lifetime passes while it is unknown: it is followed to its end and then expires", () => {
  const story = unknown({ lifetimeMs: 5_000 });
  story.pass(5_000);
  assert.equal(story.draft.request.endAsked, "expire");
  assert.deepEqual(story.statuses, ["INVOKING"]);
  for (let asked = 0; asked < 5 && story.payout.status === "INVOKING"; asked += 1) {
    story.pass(15_000);
    story.report("p1", { kind: "answer", answer: ABSENT });
  }
  assert.deepEqual(story.statuses, ["EXPIRED"]);
  assert.equal(story.invoice.status, "expired");
  assert.deepEqual(story.books, {});
});

test("a payout that waits is ended by a person, and nothing else is made of it", () => {
  const story = new Playing({ isHeld: true, fee: FIVE_PERCENT });
  assert.deepEqual(story.statuses, ["READY"]);
  assert.ok(story.attempt((draft) => terminatePayout(draft, "p1")));
  assert.deepEqual(story.statuses, ["TERMINATED"]);
  assert.equal(story.invoice.status, "terminated");
  assert.deepEqual(story.books, {});
});

test("late success after release is settled by a person: the merchant bears it, or we do", () => {
  const late = (): Playing => {
    const story = new Playing({ routes: ["r1"], fee: FIVE_PERCENT });
    story.report("p1", { kind: "answer", answer: REFUSED });
    story.fact("paid", {}, "p1");
    assert.deepEqual(story.books, { "deposit:dep_r1:USD": -10_000n, "incident_suspense::USD": 10_000n });
    return story;
  };
  const merchant = late();
  merchant.act((draft) => settleIncident(draft, "p1", { actId: "act", by: "merchant" }));
  assert.deepEqual(merchant.books, { "deposit:dep_r1:USD": -10_000n, "available:web:USD": -10_000n });
  assert.equal(merchant.invoice.processedMinor, 10_000n);
  const loss = late();
  loss.act((draft) => settleIncident(draft, "p1", { actId: "act", by: "loss" }));
  assert.deepEqual(loss.books, { "deposit:dep_r1:USD": -10_000n, "incident_loss::USD": 10_000n });
});

test("an incident across two currencies is charged at the frozen rate", () => {
  const options = { routes: ["r1"], serviceCurrency: "UAH", rate: ratio(30_959_723n, 1_000_000n) };
  const story = new Playing({ ...options, fee: FIVE_PERCENT });
  story.report("p1", { kind: "answer", answer: REFUSED });
  story.fact("paid", {}, "p1");
  story.act((draft) => settleIncident(draft, "p1", { actId: "act", by: "merchant" }));
  assert.deepEqual(story.books, {
    "available:web:USD": -10_000n,
    "deposit:dep_r1:UAH": -309_597n,
    "fx_position::UAH": 309_597n,
    "fx_position::USD": -10_000n,
  });
});

test("a bare request pays by a person's hand, against clearing; a return is no new payment", () => {
  const story = new Playing({ isBare: true, isLeftToPeople: true });
  assert.equal(story.draft.request.dispatchStatus, "READY");
  const make = (amountMinor: bigint, routeId: string | null = null) =>
    story.act((draft, world) => allocate(draft, world, { amountMinor, routeId }));
  assert.equal(make(10_001n), "more_than_available");
  make(6_000n);
  assert.deepEqual(story.statuses, ["READY"]);
  assert.deepEqual(story.books, {}, "nothing is sent before a person lets it");
  assert.ok(story.attempt((draft, world) => processPayout(draft, world, "p1")));
  assert.equal(story.books["in_flight:dep_r1:USD"], 6_000n);
  story.fact("paid", {}, "p1");
  assert.equal(story.draft.request.dispatchStatus, "READY");
  assert.deepEqual(story.books, { "deposit:dep_r1:USD": -6_000n, "request_clearing:web:USD": 6_000n });
  make(4_000n, "r2");
  assert.ok(story.attempt((draft, world) => processPayout(draft, world, "p2")));
  story.fact("paid", {}, "p2");
  assert.equal(story.draft.request.dispatchStatus, "PROCESSED");
  story.fact("returned", {}, "p2");
  assert.equal(story.draft.request.dispatchStatus, "PARTIALLY_CANCELED");
  assert.deepEqual(story.books, { "deposit:dep_r1:USD": -6_000n, "request_clearing:web:USD": 6_000n });
  assert.equal(story.draft.request.availableMinor, 4_000n, "a person may allocate it anew");
});

test("a route that cannot carry an allocation is named in it, and the request waits for the next", () => {
  const limits = { r2: { minMinor: 1n, maxMinor: 10n } };
  const story = new Playing({ isBare: true, isLeftToPeople: true, limits });
  story.act((draft, world) => allocate(draft, world, { amountMinor: 4_000n, routeId: "r2" }));
  assert.deepEqual(story.statuses, ["CREATE_FAILED"]);
  assert.equal(story.payout.resolution, "LIMIT_VIOLATION");
  assert.equal(story.draft.request.availableMinor, 10_000n);
  assert.equal(
    story.act((draft, world) => allocate(draft, world, { amountMinor: 4_000n, routeId: "nowhere" })),
    "unknown_route",
  );
});

test("a request takes a hundred allocations, whatever became of them, and no more", () => {
  const limits = { r2: { minMinor: 1n, maxMinor: 10n } };
  const story = new Playing({ isBare: true, isLeftToPeople: true, limits });
  const make = () => story.act((draft, world) => allocate(draft, world, { amountMinor: 4_000n, routeId: "r2" }));
  for (let made = 0; made < MAX_PARTS; made += 1) make();
  assert.equal(story.statuses.length, MAX_PARTS);
  assert.equal(make(), "too_many_parts");
  assert.equal(story.statuses.length, MAX_PARTS);
});

test("an allocation before the payee is known waits, and becomes ready with the instrument", () => {
  const story = new Playing({ isBare: true, isLeftToPeople: true, isPayeeAwaited: true });
  assert.equal(story.draft.request.dispatchStatus, "WAITING_DETAILS");
  story.act((draft, world) => allocate(draft, world, { amountMinor: 10_000n, routeId: "r1" }));
  assert.deepEqual(story.statuses, ["CREATED"]);
  story.act((draft) => patchRequest(draft, { destinationHash: "payee", paymentInstrumentId: "pin_1" }));
  assert.deepEqual(story.statuses, ["READY"]);
  assert.deepEqual(story.invokes, [], "it waits for a person's word");
});

test("a blocked request takes no allocations and lets none start", () => {
  const story = new Playing({ isBare: true, isLeftToPeople: true });
  story.act((draft, world) => allocate(draft, world, { amountMinor: 4_000n, routeId: null }));
  story.act((draft) => patchRequest(draft, { blocked: true }));
  assert.equal(
    story.act((draft, world) => allocate(draft, world, { amountMinor: 4_000n, routeId: null })),
    "blocked",
  );
  assert.equal(
    story.attempt((draft, world) => processPayout(draft, world, "p1")),
    false,
  );
  story.act((draft) => patchRequest(draft, { blocked: false }));
  assert.ok(story.attempt((draft, world) => processPayout(draft, world, "p1")));
});
