// Method: an order is told step by step; what is expected is the statuses of all layers and the balances afterwards.
import assert from "node:assert/strict";
import { test } from "node:test";
import { ratio } from "../../src/core/money/rate.ts";
import { RESOLUTIONS, type Resolution } from "../../src/core/news/resolution.ts";
import { settleIncident } from "../../src/core/order/settlement.ts";
import { FIVE_PERCENT, Telling } from "./stories.ts";

const HOLD = { "available:web:USD": -10_500n, "reserved:web:USD": 10_500n };

test("one currency: hold, sent, paid, commission earned, nothing left in flight", () => {
  const story = new Telling({ fee: FIVE_PERCENT });
  assert.deepEqual(story.statuses, ["INVOKING"]);
  assert.deepEqual(story.books, { ...HOLD, "deposit:dep_r1:USD": -10_000n, "in_flight:dep_r1:USD": 10_000n });
  story.answer({ fact: "paid" });
  assert.equal(story.invoice.status, "processed");
  assert.equal(story.draft.request.dispatchStatus, "PROCESSED");
  assert.deepEqual(story.books, {
    "available:web:USD": -10_500n,
    "commission::USD": 500n,
    "deposit:dep_r1:USD": -10_000n,
  });
});

test("two currencies: the position carries both sides, the hold is used up to the cent", () => {
  const story = new Telling({ fee: FIVE_PERCENT, serviceCurrency: "UAH", rate: ratio(30_959_723n, 1_000_000n) });
  assert.equal(story.payout.amountMinor, 309_597n);
  story.answer({ fact: "paid" });
  assert.deepEqual(story.books, {
    "available:web:USD": -10_500n,
    "commission::USD": 500n,
    "deposit:dep_r1:UAH": -309_597n,
    "fx_position::UAH": 309_597n,
    "fx_position::USD": -10_000n,
  });
});

test("a refusal on the list ends the payout with D1, and the next route is tried with a reference of its own", () => {
  const story = new Telling();
  const first = story.payout.reference;
  story.answer({ sent: "refused", fact: "failed", resolution: "DECLINED_ERROR" });
  assert.deepEqual(story.statuses, ["INVOKE_FAILED", "INVOKING"]);
  assert.equal(story.draft.payouts[0]?.evidence, "D1");
  assert.equal(story.payout.routeId, "r2");
  assert.notEqual(story.payout.reference, first);
  story.answer({ sent: "refused", fact: "failed", resolution: "DECLINED_ERROR" });
  assert.equal(story.invoice.status, "process_failed");
  assert.equal(story.invoice.resolution, "DECLINED_ERROR");
  assert.deepEqual(story.books, {}, "everything is back where it was");
});

test("a stop resolution ends the order although routes are left", () => {
  const story = new Telling();
  story.answer({ sent: "refused", fact: "failed", resolution: "RECIPIENT_NOT_FOUND" });
  assert.deepEqual(story.statuses, ["INVOKE_FAILED"]);
  assert.equal(story.invoice.status, "process_failed");
});

test("a lost answer keeps the hold, sets the flag and sends nothing; the inquiry's paid clears it", () => {
  const story = new Telling({ fee: FIVE_PERCENT });
  story.hear({ kind: "lost", operation: "invoke", resolution: "CONNECTION_TIMEOUT_ERROR" });
  assert.deepEqual(story.statuses, ["INVOKING"]);
  assert.equal(story.invoice.status, "process_pending");
  assert.equal(story.invoice.moderationRequired, true);
  assert.deepEqual(story.items, ["outcome_unknown"]);
  const answer = { sent: "accepted", fact: "paid", resolution: "OK", found: "yes" } as const;
  story.later(600).hear({ kind: "answer", operation: "inquire", answer, askedTime: story.now });
  assert.deepEqual(story.statuses, ["PROCESSED"]);
  assert.equal(story.invoice.moderationRequired, false);
  assert.equal(story.invoice.status, "processed");
});

const ABSENT = { sent: "unknown", fact: "unknown", resolution: "UNKNOWN", found: "no" } as const;

test("not found counts only when asked later than the wait window after the last instant of sending", () => {
  const story = new Telling();
  story.later(2_000).hear({ kind: "lost", operation: "invoke", resolution: "CONNECTION_TIMEOUT_ERROR" });
  const lost = story.now;
  story.later(9_000).hear({ kind: "answer", operation: "inquire", answer: ABSENT, askedTime: story.now });
  assert.deepEqual(story.statuses, ["INVOKING"], "exactly W is not later than W");
  story.later(1).hear({ kind: "answer", operation: "inquire", answer: ABSENT, askedTime: lost + 9_000 });
  assert.deepEqual(story.statuses, ["INVOKING"], "what counts is when it was asked, not when it was answered");
  story.hear({ kind: "answer", operation: "inquire", answer: ABSENT, askedTime: story.now });
  assert.deepEqual(story.statuses, ["INVOKE_FAILED", "INVOKING"]);
  assert.equal(story.draft.payouts[0]?.evidence, "D3");
  assert.equal(story.draft.payouts[0]?.resolution, "CONNECTION_TIMEOUT_ERROR", "the lost send's resolution stays");
  assert.equal(story.payout.routeId, "r1", "a route that never got the order is not excluded");
});

test("not now: the same reference goes again, at most ten times, and counts as no attempt", () => {
  const story = new Telling({ routes: ["r1"], attemptsLimit: 1 });
  const { reference } = story.payout;
  for (let tries = 1; tries < 10; tries += 1) {
    story.answer({ sent: "not_now", fact: "unknown", resolution: "GENERAL_ERROR", retryAfterMs: 1_000 });
    assert.deepEqual(story.statuses, ["INVOKING"]);
    assert.equal(story.payout.send, "not_now");
    assert.equal(story.payout.moderationRequired, false);
    story.later(1_000).send();
    assert.equal(story.payout.reference, reference);
  }
  story.answer({ sent: "not_now", fact: "unknown", resolution: "GENERAL_ERROR" });
  assert.deepEqual(story.statuses, ["INVOKE_FAILED"]);
  assert.equal(story.payout.evidence, "D0");
  assert.deepEqual(story.books, {}, "sent was posted once and came back once");
});

test("after a not-now the next refusal is still about the only request: D1", () => {
  const story = new Telling({ routes: ["r1"] });
  story.answer({ sent: "not_now", fact: "unknown", resolution: "GENERAL_ERROR" }).later(500).send();
  story.answer({ sent: "refused", fact: "failed", resolution: "DECLINED_ERROR" });
  assert.deepEqual(story.statuses, ["INVOKE_FAILED"]);
  assert.equal(story.payout.evidence, "D1");
});

test("a refusal that may hide a payment, or is about another order, is no refusal", () => {
  for (const resolution of ["DUPLICATED_ID", "INTERNAL_ERROR", "OPERATION_EXPIRED", "PROCESSING_ERROR"] as const) {
    const story = new Telling();
    story.answer({ sent: "refused", fact: "failed", resolution });
    assert.deepEqual(story.statuses, ["INVOKING"], resolution);
    assert.equal(story.payout.moderationRequired, true);
  }
  const other = new Telling();
  other.answer({ sent: "refused", fact: "failed", resolution: "DECLINED_ERROR", echo: { reference: "another" } });
  assert.deepEqual(other.statuses, ["INVOKING"]);
});

test("only FATAL resolutions with a proven no end a payout at the door; every other keeps it open", () => {
  for (const [code, row] of Object.entries(RESOLUTIONS)) {
    if (row.group === "ROUTING" || code === "OK") continue;
    const story = new Telling({ routes: ["r1"] });
    story.answer({ sent: "refused", fact: "failed", resolution: code as Resolution });
    const ends = row.mayHaveMoved === false;
    assert.equal(story.payout.status, ends ? "INVOKE_FAILED" : "INVOKING", code);
    assert.equal(story.payout.moderationRequired, !ends, code);
  }
});

test("news about another amount, currency or payee moves nothing and is an incident", () => {
  for (const echo of [{ amountMinor: 9_999n }, { currency: "EUR" }, { destinationHash: "somebody" }]) {
    const story = new Telling();
    story.answer({ fact: "paid", echo });
    assert.deepEqual(story.statuses, ["INVOKING"]);
    assert.equal(story.payout.moderationRequired, true);
    assert.deepEqual(story.items, ["answer_differs"]);
    assert.equal(story.books["in_flight:dep_r1:USD"], 10_000n);
  }
});

test("accepted, then failed: the end is the same whichever message came first", () => {
  const inOrder = new Telling({ routes: ["r1"] });
  inOrder.answer({ fact: "accepted", sequence: 1 }).fact("failed", { sequence: 2, resolution: "DECLINED_ERROR" });
  const swapped = new Telling({ routes: ["r1"] });
  swapped.fact("failed", { sequence: 2, resolution: "DECLINED_ERROR" }).answer({ fact: "accepted", sequence: 1 });
  for (const story of [inOrder, swapped]) {
    assert.deepEqual(story.statuses, ["PROCESS_FAILED"]);
    assert.equal(story.payout.evidence, "D2");
    assert.equal(story.invoice.status, "process_failed");
    assert.deepEqual(story.books, {});
  }
});

test("paid before accepted, and paid twice over, post once", () => {
  const story = new Telling({ fee: FIVE_PERCENT });
  story.fact("paid", { sequence: 2 }).answer({ fact: "accepted", sequence: 1 }).fact("paid", { sequence: 2 });
  assert.deepEqual(story.statuses, ["PROCESSED"]);
  assert.equal(story.books["commission::USD"], 500n);
  assert.equal(story.books["deposit:dep_r1:USD"], -10_000n);
});

test("60 of 100 with allowPartially: the part is priced, the rest of the hold and of the sent money goes back", () => {
  const story = new Telling({ fee: FIVE_PERCENT, allowPartially: true });
  story.answer({ fact: "paid_part", paidMinor: 6_000n });
  assert.equal(story.invoice.status, "partially_processed");
  assert.deepEqual(story.books, {
    "available:web:USD": -6_300n,
    "commission::USD": 300n,
    "deposit:dep_r1:USD": -6_000n,
  });
});

test("60 of 100 without allowPartially: a person is asked, the rest stays held", () => {
  const story = new Telling({ fee: FIVE_PERCENT });
  story.answer({ fact: "paid_part", paidMinor: 6_000n });
  assert.equal(story.invoice.status, "process_pending");
  assert.equal(story.invoice.moderationRequired, true);
  assert.equal(story.books["reserved:web:USD"], 4_500n);
  assert.ok(story.items.includes("partly_paid"));
});

test("returned after success: the money is the merchant's again, the commission is kept", () => {
  const story = new Telling({ fee: FIVE_PERCENT });
  story.answer({ fact: "paid" }).fact("returned", { returnedMinor: 10_000n, returnId: "ret-1" });
  assert.deepEqual(story.statuses, ["CANCELLED"]);
  assert.equal(story.draft.request.dispatchStatus, "CANCELED");
  assert.equal(story.invoice.status, "refunded");
  assert.deepEqual(story.books, { "available:web:USD": -500n, "commission::USD": 500n });
  story.fact("returned", { returnedMinor: 10_000n, returnId: "ret-1" });
  assert.equal(story.books["available:web:USD"], -500n, "the same return again changes nothing");
});

test("news of a payout that we have not sent flags it and moves nothing", () => {
  const story = new Telling({ isHeld: true });
  assert.deepEqual(story.statuses, ["READY"]);
  story.fact("paid");
  assert.deepEqual(story.statuses, ["READY"]);
  assert.equal(story.payout.moderationRequired, true);
  assert.deepEqual(story.items, ["not_sent_by_us"]);
});

test("a return heard before its payment ends like one heard after it", () => {
  const swapped = new Telling({ fee: FIVE_PERCENT });
  swapped.fact("returned", { returnedMinor: 10_000n, paidMinor: 10_000n, returnId: "ret-1", sequence: 3 });
  swapped.answer({ fact: "paid", sequence: 2 });
  const inOrder = new Telling({ fee: FIVE_PERCENT });
  inOrder.answer({ fact: "paid", sequence: 2 });
  inOrder.fact("returned", { returnedMinor: 10_000n, paidMinor: 10_000n, returnId: "ret-1", sequence: 3 });
  for (const story of [swapped, inOrder]) {
    assert.deepEqual(story.statuses, ["CANCELLED"]);
    assert.equal(story.draft.request.dispatchStatus, "CANCELED");
    assert.equal(story.invoice.status, "refunded");
    assert.deepEqual(story.books, { "available:web:USD": -500n, "commission::USD": 500n });
  }
});

test("returned in two parts: partially refunded, then refunded", () => {
  const story = new Telling();
  story.answer({ fact: "paid" }).fact("returned", { returnedMinor: 4_000n, returnId: "a" });
  assert.equal(story.invoice.status, "partially_refunded");
  assert.deepEqual(story.statuses, ["PARTIALLY_PROCESSED"]);
  story.fact("returned", { returnedMinor: 10_000n, returnId: "b" });
  assert.deepEqual(story.statuses, ["CANCELLED"]);
  assert.equal(story.invoice.status, "refunded");
  assert.deepEqual(story.books, {});
});

test("the rest of a part arriving after all is late news, with an incident", () => {
  const story = new Telling({ allowPartially: true });
  story.answer({ fact: "paid_part", paidMinor: 6_000n }).fact("paid", { paidMinor: 10_000n });
  assert.deepEqual(story.statuses, ["PROCESSED"]);
  assert.equal(story.invoice.status, "processed");
  assert.ok(story.items.includes("paid_late"));
  assert.equal(story.books["deposit:dep_r1:USD"], -10_000n);
});

test("refused, hold released, and then paid after all: recorded against suspense, with an incident", () => {
  const story = new Telling({ routes: ["r1"], fee: FIVE_PERCENT });
  story.answer({ sent: "refused", fact: "failed", resolution: "DECLINED_ERROR" });
  assert.deepEqual(story.books, {});
  story.fact("paid");
  assert.deepEqual(story.statuses, ["PROCESSED"]);
  assert.equal(story.invoice.status, "processed");
  assert.deepEqual(story.books, { "deposit:dep_r1:USD": -10_000n, "incident_suspense::USD": 10_000n });
  assert.ok(story.items.includes("paid_late"));
});

test("attempt 1 refused and then paid, attempt 2 paid too: both are recorded, the second against suspense", () => {
  const story = new Telling({ fee: FIVE_PERCENT });
  story.answer({ sent: "refused", fact: "failed", resolution: "DECLINED_ERROR" });
  const first = story.draft.payouts[0]?.id ?? "";
  story.fact("paid", {}, first);
  assert.equal(story.draft.request.overpaidMinor, 10_000n);
  story.answer({ fact: "paid" });
  assert.deepEqual(story.statuses, ["PROCESSED", "PROCESSED"]);
  assert.equal(story.books["incident_suspense::USD"], 10_000n);
  assert.equal(story.books["in_flight:dep_r2:USD"], undefined);
  assert.equal(story.books["reserved:web:USD"], undefined);
  assert.equal(story.books["commission::USD"], 500n);
  assert.ok(story.items.includes("paid_too_much"));
});

test("more paid than asked: the order is settled, the rest stands in suspense", () => {
  const story = new Telling({ fee: FIVE_PERCENT });
  story.answer({ fact: "paid", paidMinor: 12_000n });
  assert.equal(story.invoice.status, "processed");
  assert.equal(story.books["incident_suspense::USD"], 2_000n);
  assert.equal(story.books["deposit:dep_r1:USD"], -12_000n);
  assert.equal(story.draft.request.overpaidMinor, 2_000n);
});

test("attempts are limited, and an end that was asked for makes no new ones", () => {
  const limited = new Telling({ attemptsLimit: 1 });
  limited.answer({ sent: "refused", fact: "failed", resolution: "DECLINED_ERROR" });
  assert.deepEqual(limited.statuses, ["INVOKE_FAILED"]);
  assert.equal(limited.invoice.status, "process_failed");
  const ended = new Telling();
  ended.draft = { ...ended.draft, request: { ...ended.draft.request, endAsked: "expire" } };
  ended.answer({ sent: "refused", fact: "failed", resolution: "DECLINED_ERROR" });
  assert.equal(ended.invoice.status, "expired");
  assert.deepEqual(ended.books, {});
});

test("what an incident has cost us comes back to us, not to a merchant who never paid for it", () => {
  const story = new Telling({ routes: ["r1"], fee: FIVE_PERCENT });
  story.answer({ sent: "refused", fact: "failed", resolution: "DECLINED_ERROR" }).fact("paid", {}, "p1");
  assert.deepEqual(story.books, { "deposit:dep_r1:USD": -10_000n, "incident_suspense::USD": 10_000n });
  settleIncident(story.draft, "p1", { actId: "act", by: "loss" });
  story.advance();
  assert.deepEqual(story.books, { "deposit:dep_r1:USD": -10_000n, "incident_loss::USD": 10_000n });
  story.fact("returned");
  assert.deepEqual(story.books, {});
});

test("a hold is used once, whatever comes back and is paid again before the order settles", () => {
  const story = new Telling({ fee: FIVE_PERCENT, isSplit: true, isParallel: true, limitMinor: 5_000n });
  story.fact("failed", { resolution: "DECLINED_ERROR" }, "p2");
  story.fact("paid", {}, "p1").fact("returned", {}, "p1").fact("paid", {}, "p3").fact("paid", {}, "p2");
  const { postedMinor, releasedMinor, heldMinor } = story.invoice;
  assert.ok(postedMinor + releasedMinor <= heldMinor);
  assert.ok(story.items.includes("paid_too_much") || story.items.includes("paid_late"));
  assert.ok((story.balances.get("reserved:web:USD") ?? 0n) >= 0n);
});

test("a part that is paid without a figure says nothing about money", () => {
  const story = new Telling();
  story.answer({}).fact("paid_part");
  assert.deepEqual(story.statuses, ["PROCESSING"]);
  assert.equal(story.payout.moderationRequired, true);
});

test("part of it is paid a second time after all of it came back: recorded, with an incident", () => {
  const story = new Telling();
  story.answer({ fact: "paid" }).fact("returned").fact("paid_part", { paidMinor: 4_000n });
  assert.deepEqual(story.statuses, ["PARTIALLY_PROCESSED"]);
  assert.deepEqual([story.payout.processedMinor, story.payout.returnedMinor], [14_000n, 10_000n]);
  assert.equal(story.books["incident_suspense::USD"], 4_000n);
});

test("all that was paid came back before the order settled: no commission is earned", () => {
  const story = new Telling({ fee: FIVE_PERCENT, routes: ["r1"], attemptsLimit: 1 });
  story.answer({}).fact("paid_part", { paidMinor: 6_000n }).fact("returned", { paidMinor: 6_000n });
  assert.equal(story.invoice.status, "process_failed");
  assert.deepEqual(story.books, {});
});

test("a refusal of our account that is reported later shuts its gate as well", () => {
  const story = new Telling();
  story.answer({});
  story.fact("failed", { resolution: "ACCESS_DENIED" });
  assert.deepEqual([...story.shut], ["acc_r1"]);
});
