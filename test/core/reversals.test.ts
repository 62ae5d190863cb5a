// Method: an order is told step by step until something of it is pulled back or reversed; expected are the statuses of
// all layers and the balances, whichever way the provider answers.
import assert from "node:assert/strict";
import { test } from "node:test";
import { ratio } from "../../src/core/money/rate.ts";
import { askCancel, askRevoke } from "../../src/core/news/reversal.ts";
import { refund } from "../../src/core/order/moderation.ts";
import { Playing } from "./playing.ts";
import { FIVE_PERCENT, type OrderOptions } from "./stories.ts";

const CROSS = { serviceCurrency: "UAH", rate: ratio(30_959_723n, 1_000_000n) };

/** An order that its provider has taken. */
function accepted(options: OrderOptions = {}): Playing {
  const story = new Playing({ fee: FIVE_PERCENT, ...options });
  story.report("p1", { kind: "answer", answer: { sent: "accepted", fact: "accepted", resolution: "OK" } });
  return story;
}

function paid(options: OrderOptions = {}): Playing {
  const story = accepted(options);
  story.fact("paid", {}, "p1");
  return story;
}

/** Asks for a payout to be pulled back, and lets the request leave. */
function revoke(story: Playing, then: "stop" | "reroute"): void {
  story.act((draft) => askRevoke(draft, "p1", then));
  story.pass(1);
  assert.equal(story.calls.get("p1")?.operation, "revoke");
}

function cancel(story: Playing, cancelMinor: bigint | null): void {
  story.act((draft) => askCancel(draft, "p1", cancelMinor));
  story.pass(1);
  assert.equal(story.calls.get("p1")?.operation, "cancel");
}

const REFUSED = { sent: "refused", fact: "failed", resolution: "DECLINED_ERROR" } as const;

test("pulled back to stop: nothing is paid, and everything is back where it was", () => {
  const story = accepted();
  revoke(story, "stop");
  assert.equal(story.invoice.status, "processing");
  story.report("p1", { kind: "answer", answer: { sent: "accepted", fact: "recalled", resolution: "OK" } });
  assert.deepEqual(story.statuses, ["REVOKED"]);
  assert.equal(story.payout.evidence, "D2");
  assert.equal(story.invoice.status, "process_failed");
  assert.deepEqual(story.books, {});
});

test("pulled back to go by another route: it goes only once it is revoked", () => {
  const story = accepted();
  revoke(story, "reroute");
  assert.deepEqual(story.statuses, ["REVOKING"]);
  story.report("p1", { kind: "answer", answer: { sent: "accepted", fact: "recalled", resolution: "OK" } });
  assert.deepEqual(story.statuses, ["REVOKED", "INVOKING"]);
  assert.equal(story.books["in_flight:dep_r1:USD"], undefined);
  assert.equal(story.books["in_flight:dep_r2:USD"], 10_000n);
});

test("a revoke that is refused ends the revoke only: the payout is paid afterwards, without an incident", () => {
  const story = accepted();
  revoke(story, "reroute");
  story.report("p1", { kind: "answer", answer: REFUSED });
  assert.deepEqual(story.statuses, ["REVOKE_FAILED"]);
  assert.equal(story.invoice.status, "process_pending");
  story.fact("paid", {}, "p1");
  assert.deepEqual(story.statuses, ["PROCESSED"]);
  assert.equal(story.invoice.status, "processed");
  assert.deepEqual(story.items, []);
});

test("a revoke whose answer is lost is asked about; after the wait window an order that still stands was not revoked", () => {
  const story = accepted();
  revoke(story, "reroute");
  story.report("p1", { kind: "lost", resolution: "CONNECTION_TIMEOUT_ERROR" });
  assert.deepEqual(story.statuses, ["REVOKING"]);
  assert.equal(story.payout.moderationRequired, true);
  const still = { sent: "accepted", fact: "pending", resolution: "OK", found: "yes" } as const;
  story.pass(8_000);
  story.report("p1", { kind: "answer", answer: still });
  assert.deepEqual(story.statuses, ["REVOKING"], "the request may still arrive");
  for (let asked = 0; asked < 5 && story.payout.status === "REVOKING"; asked += 1) {
    story.pass(5_000);
    story.report("p1", { kind: "answer", answer: still });
  }
  assert.deepEqual(story.statuses, ["REVOKE_FAILED"]);
  assert.equal(story.payout.moderationRequired, false);
});

test("paid while it was being pulled back: recorded as paid", () => {
  const story = accepted();
  revoke(story, "reroute");
  story.fact("paid", {}, "p1");
  assert.deepEqual(story.statuses, ["PROCESSED"]);
  assert.equal(story.invoice.status, "processed");
  assert.equal(story.books["commission::USD"], 500n);
  story.report("p1", { kind: "answer", answer: REFUSED });
  assert.deepEqual(story.statuses, ["PROCESSED"], "an answer that was overtaken changes nothing");
});

test("not now, ten times, is a reversal that has failed", () => {
  const story = paid();
  story.act((draft) => askCancel(draft, "p1", null));
  for (let tries = 1; tries <= 10; tries += 1) {
    assert.deepEqual(story.statuses, ["CANCELLING"]);
    story.pass(60_000);
    assert.equal(story.calls.get("p1")?.operation, "cancel");
    story.report("p1", { kind: "answer", answer: { sent: "not_now", fact: "unknown", resolution: "GENERAL_ERROR" } });
  }
  assert.deepEqual(story.statuses, ["CANCEL_FAILED"]);
  assert.equal(story.invoice.status, "refund_failed");
});

test("cancelled whole: the merchant has the money again; the commission is kept, or returned with it", () => {
  for (const returnsCommission of [false, true]) {
    const story = paid({ returnsCommission });
    cancel(story, null);
    assert.equal(story.invoice.status, "refunding");
    story.report("p1", { kind: "answer", answer: { sent: "accepted", fact: "returned", resolution: "OK" } });
    assert.deepEqual(story.statuses, ["CANCELLED"]);
    assert.equal(story.invoice.status, "refunded");
    const kept = { "available:web:USD": -500n, "commission::USD": 500n };
    assert.deepEqual(story.books, returnsCommission ? {} : kept);
  }
});

test("30 of 100 come back, with their share of the commission; then the rest", () => {
  const story = paid({ returnsCommission: true });
  cancel(story, 3_000n);
  const part = { sent: "accepted", fact: "returned", resolution: "OK", returnedMinor: 3_000n } as const;
  story.report("p1", { kind: "answer", answer: part });
  assert.deepEqual(story.statuses, ["PARTIALLY_PROCESSED"]);
  assert.equal(story.draft.request.dispatchStatus, "PARTIALLY_CANCELED");
  assert.equal(story.invoice.status, "partially_refunded");
  assert.deepEqual(story.books, {
    "available:web:USD": -10_500n + 3_000n + 150n,
    "commission::USD": 350n,
    "deposit:dep_r1:USD": -7_000n,
  });
  story.fact("returned", { returnedMinor: 10_000n }, "p1");
  assert.equal(story.invoice.status, "refunded");
  assert.deepEqual(story.books, {});
});

test("across two currencies what comes back is the merchant's at the frozen rate, to the cent", () => {
  const story = paid({ ...CROSS, returnsCommission: true });
  story.fact("returned", { returnedMinor: 100_000n }, "p1");
  assert.equal(story.invoice.refundedMinor, 3_230n);
  story.fact("returned", { returnedMinor: 200_000n }, "p1");
  assert.equal(story.invoice.refundedMinor, 6_460n);
  story.fact("returned", { returnedMinor: 309_597n }, "p1");
  assert.equal(story.invoice.refundedMinor, 10_000n);
  assert.equal(story.invoice.status, "refunded");
  assert.deepEqual(story.books, {}, "both sides of the position are closed");
});

test("a cancel that is refused, and the bank that returns the money next week", () => {
  const story = paid();
  cancel(story, null);
  story.report("p1", { kind: "answer", answer: REFUSED });
  assert.deepEqual(story.statuses, ["CANCEL_FAILED"]);
  assert.equal(story.invoice.status, "refund_failed");
  story.later(7 * 86_400_000).fact("returned", {}, "p1");
  assert.deepEqual(story.statuses, ["CANCELLED"]);
  assert.equal(story.invoice.status, "refunded");
  assert.deepEqual(story.books, { "available:web:USD": -500n, "commission::USD": 500n });
});

test("more came back than was paid: the rest stands in suspense, with an incident", () => {
  const story = paid();
  story.fact("returned", { returnedMinor: 11_000n }, "p1");
  assert.deepEqual(story.statuses, ["CANCELLED"]);
  assert.ok(story.items.includes("returned_too_much"));
  assert.equal(story.books["incident_suspense::USD"], -1_000n);
  assert.equal(story.books["available:web:USD"], -500n);
});

test("cancelled, and then paid a second time by the bank: against suspense, with an incident", () => {
  const story = paid();
  story.fact("returned", {}, "p1").fact("paid", {}, "p1");
  assert.deepEqual(story.statuses, ["PROCESSED"]);
  assert.equal(story.invoice.status, "processed");
  assert.equal(story.books["incident_suspense::USD"], 10_000n);
  assert.equal(story.books["deposit:dep_r1:USD"], -10_000n);
  assert.ok(story.items.includes("paid_too_much"));
});

test("a refund of 70 takes the newest payout whole and part of the one before", () => {
  const story = new Playing({ isSplit: true, isParallel: true, limitMinor: 5_000n, routes: ["r1", "r2", "r3", "r4"] });
  story.fact("paid", {}, "p1").fact("paid", {}, "p2");
  assert.equal(story.invoice.status, "processed");
  assert.ok(story.attempt((draft) => refund(draft, 7_000n, () => true)));
  assert.deepEqual(
    story.draft.payouts.map(({ status, cancelMinor }) => [status, cancelMinor]),
    [
      ["CANCELLING", 2_000n],
      ["CANCELLING", null],
    ],
  );
  story.fact("returned", {}, "p2");
  assert.equal(story.invoice.status, "refunding", "the other is still being asked for");
  story.fact("returned", { returnedMinor: 2_000n }, "p1");
  assert.equal(story.invoice.status, "partially_refunded");
  assert.equal(story.invoice.refundedMinor, 7_000n);
  assert.equal(
    story.attempt((draft) => refund(draft, 4_000n, () => true)),
    false,
    "no more than is left",
  );
  assert.ok(story.attempt((draft) => refund(draft, 3_000n, () => true)));
});

test("two parts are returned on two days: partially refunded, then refunded", () => {
  const story = new Playing({ isSplit: true, isParallel: true, limitMinor: 5_000n, fee: FIVE_PERCENT });
  story.fact("paid", {}, "p1").fact("paid", {}, "p2");
  story.fact("returned", {}, "p1");
  assert.equal(story.invoice.status, "partially_refunded");
  story.fact("returned", {}, "p2");
  assert.equal(story.invoice.status, "refunded");
  assert.deepEqual(story.books, { "available:web:USD": -500n, "commission::USD": 500n });
});

test("an earlier attempt that turns out paid takes the hold, and the later one is pulled back", () => {
  const story = new Playing({ fee: FIVE_PERCENT });
  story.report("p1", { kind: "answer", answer: REFUSED });
  story.report("p2", { kind: "answer", answer: { sent: "accepted", fact: "accepted", resolution: "OK" } });
  story.fact("paid", {}, "p1");
  assert.deepEqual(story.statuses, ["PROCESSED", "REVOKING"]);
  assert.equal(story.draft.request.overpaidMinor, 10_000n);
  story.pass(1);
  assert.equal(story.calls.get("p2")?.operation, "revoke");
  story.report("p2", { kind: "answer", answer: { sent: "accepted", fact: "recalled", resolution: "OK" } });
  assert.deepEqual(story.statuses, ["PROCESSED", "REVOKED"]);
  assert.equal(story.invoice.status, "processed");
  assert.equal(story.books["incident_suspense::USD"], undefined);
});

test("an earlier attempt that turns out alive ends a later one that waits", () => {
  const story = new Playing();
  story.report("p1", { kind: "answer", answer: { sent: "accepted", fact: "accepted", resolution: "OK" } });
  story.isHeld = true;
  story.fact("failed", { resolution: "DECLINED_ERROR" }, "p1");
  assert.deepEqual(story.statuses, ["PROCESS_FAILED", "READY"]);
  story.fact("pending", {}, "p1");
  assert.deepEqual(story.statuses, ["PENDING", "TERMINATED"]);
  assert.deepEqual(story.invokes, ["p1"]);
});

test("a part of which something came back is not paid again by the machine", () => {
  const story = new Playing({ isBare: true });
  story.fact("failed", { resolution: "DECLINED_ERROR" }, "p1");
  story.report("p2", { kind: "answer", answer: { sent: "accepted", fact: "accepted", resolution: "OK" } });
  story.fact("paid", {}, "p1").fact("returned", {}, "p1");
  story.fact("failed", { resolution: "DECLINED_ERROR" }, "p2");
  assert.deepEqual(story.statuses.toSorted(), ["CANCELLED", "REVOKED"]);
});

test("a revoke of an order that never arrived is refused: that it is not found proves as much as before", () => {
  const story = new Playing({ fee: FIVE_PERCENT, routes: ["r1"] });
  story.report("p1", { kind: "lost", resolution: "CONNECTION_TIMEOUT_ERROR" });
  askRevoke(story.draft, "p1", "stop");
  story.advance();
  story.pass(1);
  const refused = { sent: "refused", fact: "ignore", resolution: "DECLINED_ERROR" } as const;
  story.report("p1", { kind: "answer", answer: refused });
  assert.deepEqual(story.statuses, ["REVOKE_FAILED"]);
  const absent = { sent: "unknown", fact: "unknown", resolution: "UNKNOWN", found: "no" } as const;
  for (let tries = 0; story.payout.status === "REVOKE_FAILED"; tries += 1) {
    assert.ok(tries < 30);
    story.pass(5_000);
    if (story.calls.has("p1")) story.report("p1", { kind: "answer", answer: absent });
  }
  assert.deepEqual([story.payout.status, story.payout.evidence], ["REVOKED", "D3"]);
  assert.deepEqual(story.books, {});
});

test("a part whose older payout turned out alive gets no third one when another part fails", () => {
  const story = new Playing({ isSplit: true, isParallel: true, limitMinor: 5_000n, routes: ["r1", "r2", "r3", "r4"] });
  for (const id of ["p1", "p2"]) {
    story.report(id, { kind: "answer", answer: { sent: "accepted", fact: "accepted", resolution: "OK" } });
  }
  story.fact("failed", {}, "p1");
  story.report("p3", { kind: "answer", answer: { sent: "accepted", fact: "accepted", resolution: "OK" } });
  story.act((draft) => askRevoke(draft, "p3", "reroute"));
  story.pass(1);
  story.fact("pending", {}, "p1");
  story.report("p3", { kind: "answer", answer: { sent: "accepted", fact: "recalled", resolution: "OK" } });
  story.fact("failed", {}, "p2");
  const made = story.draft.payouts.map(({ part, attempt, status }) => `${part}.${attempt} ${status}`);
  assert.deepEqual(made.sort(), ["1.1 PENDING", "1.2 REVOKED", "2.1 PROCESS_FAILED", "2.2 INVOKING"]);
});

for (const how of ["as it is", "while part of it is asked back"]) {
  test(`a paid order that its provider calls failed, counting nothing as paid any more, has come back: ${how}`, () => {
    const story = paid();
    if (how !== "as it is") cancel(story, 4_000n);
    story.fact("failed", { paidMinor: 0n, returnedMinor: 0n, resolution: "DECLINED_ERROR" }, "p1");
    assert.deepEqual(story.statuses, ["CANCELLED"]);
    assert.deepEqual([story.payout.processedMinor, story.payout.returnedMinor], [10_000n, 10_000n]);
    assert.equal(story.invoice.status, "refunded");
    assert.equal(story.invoice.refundedMinor, story.invoice.processedMinor);
  });
}

test("what comes back in part may tell of a second payment, whose own news was lost: both are recorded", () => {
  const story = paid();
  cancel(story, 4_000n);
  story.fact("returned", { paidMinor: 20_000n, returnedMinor: 15_000n }, "p1");
  assert.deepEqual(story.statuses, ["PARTIALLY_PROCESSED"]);
  assert.deepEqual([story.payout.processedMinor, story.payout.returnedMinor], [20_000n, 15_000n]);
  assert.ok(story.items.includes("paid_too_much"));
});
