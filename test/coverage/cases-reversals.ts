/** What is paid and comes back: asked for by a person, or sent back by the bank. */
import assert from "node:assert/strict";
import { type Case, invoice, payout, request } from "./cases.ts";
import type { Place } from "./place.ts";
import type { Stage } from "./stage.ts";

async function paid(stage: Stage, scenario: string, place?: Place) {
  const order = await stage.order({ scenario, ...(place === undefined ? {} : { place }) });
  await order.is("processed");
  return order;
}

const REFUNDS: readonly Case[] = [
  {
    name: "refunded whole",
    shows: [
      ...payout("PROCESSED>CANCELLING", "CANCELLING>CANCELLED"),
      ...request("PROCESSED>CANCELING", "CANCELING>CANCELED"),
      ...invoice("processed>refunding", "refunding>refunded"),
    ],
    async run(stage) {
      const order = await paid(stage, "cancel_ok");
      await order.refund();
      const { refundedAmount, refundedFee } = await order.is("refunded");
      assert.deepEqual([refundedAmount, refundedFee], [100, 0]);
      assert.deepEqual(await order.journals(), { hold: 1, sent: 1, paid: 1, settled: 1, returned: 1 });
      assert.equal(await order.balanceOf("available"), 1, "the commission is kept");
    },
  },
  {
    name: "refunded where the commission goes back too",
    shows: invoice("refunding>refunded"),
    async run(stage) {
      const place = await stage.place({ website: { refundCommission: "return" } });
      const order = await paid(stage, "cancel_ok", place);
      await order.refund();
      const { refundedFee } = await order.is("refunded");
      assert.equal(refundedFee, 1);
      assert.equal(await order.balanceOf("available"), 0);
    },
  },
  {
    name: "refunded 30, then 20, then the rest",
    shows: [
      ...payout("CANCELLING>PARTIALLY_PROCESSED", "PARTIALLY_PROCESSED>CANCELLING", "CANCELLING>CANCELLED"),
      ...request("CANCELING>PARTIALLY_CANCELED", "PARTIALLY_CANCELED>CANCELING"),
      ...invoice("refunding>partially_refunded", "partially_refunded>refunding"),
    ],
    async run(stage) {
      const order = await paid(stage, "ok");
      await order.refund(30);
      await order.is("partially_refunded");
      await order.refund(20);
      await order.until((seen) => seen.status === "partially_refunded" && seen.refundedAmount === 50);
      await order.refund();
      const { refundedAmount } = await order.is("refunded");
      assert.equal(refundedAmount, 100);
      assert.equal((await order.journals())["returned"], 3);
    },
  },
  {
    name: "a refund is refused",
    shows: [
      ...payout("CANCELLING>CANCEL_FAILED"),
      ...request("CANCELING>CANCEL_FAILED"),
      ...invoice("refunding>refund_failed"),
    ],
    async run(stage) {
      const order = await paid(stage, "cancel_refused");
      await order.refund();
      const { refundedAmount, refundPendingAmount } = await order.is("refund_failed");
      assert.deepEqual([refundedAmount, refundPendingAmount], [0, 0]);
    },
  },
  {
    name: "a refund is refused, and the bank returns it later all the same",
    shows: [
      ...payout("CANCEL_FAILED>CANCELLING"),
      ...request("CANCEL_FAILED>CANCELING"),
      ...invoice("refund_failed>refunding", "refunding>refunded"),
    ],
    async run(stage) {
      const order = await paid(stage, "cancel_refused_then_returned");
      await order.refund();
      await order.is("refund_failed");
      await order.is("refunded");
    },
  },
  {
    name: "a refund takes its time",
    shows: invoice("refunding>refund_pending", "refund_pending>refunded"),
    async run(stage) {
      const order = await paid(stage, "cancel_slow");
      await order.refund();
      const { refundPendingAmount } = await order.is("refund_pending");
      assert.equal(refundPendingAmount, 100);
      await order.is("refunded");
    },
  },
  {
    name: "a refund of 30 takes its time",
    shows: invoice("refund_pending>partially_refunded"),
    async run(stage) {
      const order = await paid(stage, "cancel_slow");
      await order.refund(30);
      await order.is("refund_pending");
      const { refundedAmount } = await order.is("partially_refunded");
      assert.equal(refundedAmount, 30);
    },
  },
  {
    name: "a refund is on its way and then broken off",
    shows: invoice("refund_pending>refund_failed"),
    async run(stage) {
      const order = await paid(stage, "cancel_slow_refused");
      await order.refund();
      await order.is("refund_pending");
      await order.is("refund_failed");
    },
  },
  {
    name: "a refund's answer never comes, and an inquiry finds it done",
    shows: [...payout("CANCELLING>CANCELLED"), ...invoice("refunding>refund_pending")],
    async run(stage) {
      const order = await paid(stage, "cancel_timeout");
      await order.refund();
      await order.until((seen) => seen.moderationRequired);
      const { moderationRequired } = await order.is("refunded");
      assert.equal(moderationRequired, false);
    },
  },
  {
    name: "a refund is lost: after the wait window it counts as not done",
    shows: [...payout("CANCELLING>CANCEL_FAILED"), ...invoice("refund_pending>refund_failed")],
    async run(stage) {
      const order = await paid(stage, "cancel_lost");
      await order.refund();
      await order.is("refund_failed");
      assert.equal(await order.balanceOf("available"), 101, "nothing came back");
    },
  },
  {
    name: "one part of a refund is awaited, a person says that it came, the other is still being asked for",
    shows: invoice("refund_pending>refunding"),
    async run(stage) {
      const place = await stage.place({
        routes: [
          { scenario: "cancel_slow", minAmount: 60, maxAmount: 60 },
          { scenario: "cancel_later", maxAmount: 40 },
        ],
      });
      const order = await stage.order({ place, more: { splitMode: true } });
      await order.is("processed");
      await order.refund();
      await order.is("refund_pending");
      await order.evidence("returned", 1);
      const { refundedAmount } = await order.is("refunded");
      assert.equal(refundedAmount, 100, "once each");
    },
  },
];

const RETURNS: readonly Case[] = [
  {
    name: "60 of 100 paid, and those come back",
    shows: [
      ...payout("PARTIALLY_PROCESSED>CANCELLING"),
      ...request("PARTIALLY_PROCESSED>CANCELING"),
      ...invoice("partially_processed>refunding"),
    ],
    async run(stage) {
      const order = await stage.order({ scenario: "partial_returned", more: { allowPartially: true } });
      await order.is("partially_processed");
      const { refundedAmount } = await order.is("refunded");
      assert.equal(refundedAmount, 60);
    },
  },
  {
    name: "60 of 100 paid: a person takes them back",
    shows: [
      ...request("PENDING>PARTIALLY_PROCESSED", "PARTIALLY_PROCESSED>CANCELING"),
      ...invoice("refunding>refunded"),
    ],
    async run(stage) {
      const order = await stage.order({ scenario: "partial" });
      await order.payout("PARTIALLY_PROCESSED");
      await order.decide("take_back");
      const { refundedAmount, payouts } = await order.is("refunded");
      assert.deepEqual([refundedAmount, payouts.length], [60, 1]);
    },
  },
  {
    name: "the bank returns it twice: 40, then the rest",
    shows: [
      ...payout("CANCELLING>PARTIALLY_PROCESSED", "CANCELLING>CANCELLED"),
      ...invoice("processed>refunding", "refunding>partially_refunded", "partially_refunded>refunding"),
    ],
    async run(stage) {
      const order = await stage.order({ scenario: "return_twice" });
      const { refundedAmount } = await order.is("partially_refunded");
      assert.equal(refundedAmount, 40);
      const after = await order.is("refunded");
      assert.equal(after.refundedAmount, 100, "each cent once");
      assert.deepEqual(await order.journals(), { hold: 1, sent: 1, paid: 1, settled: 1, returned: 2 });
      assert.equal(await order.balanceOf("available"), 1, "what remains is the commission");
      assert.equal(await order.balanceOf("incident_suspense"), 0);
      assert.equal(after.payouts.length, 1, "what came back is not sent again");
    },
  },
  {
    name: "of two parts one comes back one day, the other another day",
    shows: [
      ...request("CANCELING>PARTIALLY_CANCELED", "PARTIALLY_CANCELED>CANCELING", "CANCELING>CANCELED"),
      ...invoice("partially_refunded>refunding", "refunding>refunded"),
    ],
    async run(stage) {
      const place = await stage.place({
        routes: [
          { minAmount: 60, maxAmount: 60 },
          { scenario: "return_twice", maxAmount: 40 },
        ],
      });
      const test = { payout_status: "CANCELLED" };
      const order = await stage.order({ place, test, more: { splitMode: true, parallelMode: true } });
      await order.payout("CANCELLED", 1);
      await order.is("partially_refunded");
      const { refundedAmount } = await order.is("refunded");
      assert.equal(refundedAmount, 100);
    },
  },
];

const SHARES = { two: [60, 40], three: [45, 30, 25] } as const;

interface Again {
  readonly name: string;
  readonly shows: readonly string[];
  /** What each part's provider plays; null: paid, then back in full, once. */
  readonly parts: readonly (string | null)[];
  readonly between: string;
  readonly end: string;
  /** What is paid at the end, of 100. */
  readonly isPaid: number;
}

/** What had come back is paid once more: nobody asked for it. */
function again({ name, shows, parts, between, end, isPaid }: Again): Case {
  return {
    name,
    shows,
    async run(stage) {
      const shares = parts.length === 1 ? [100] : SHARES[parts.length === 2 ? "two" : "three"];
      const routes = shares.map((amount, index) => {
        const scenario = parts[index] ?? null;
        return { minAmount: amount, maxAmount: amount, ...(scenario === null ? {} : { scenario }) };
      });
      const place = await stage.place({ routes });
      const test = { payout_status: "CANCELLED" };
      const order = await stage.order({ place, test, more: { splitMode: true, parallelMode: true } });
      await order.is(between);
      await order.is(end);
      const { payouts } = await order.until((seen) => (seen.payouts[0]?.incidentAmount ?? 0) > 0);
      const nowPaid = payouts.reduce((sum, each) => sum + each.processedAmount - each.returnedAmount, 0);
      assert.equal(nowPaid, isPaid);
      assert.equal(payouts.length, parts.length, "no payout of ours was added");
      assert.equal(payouts[0]?.incidentAmount, shares[0], "nothing covers it: it stands in suspense");
      assert.deepEqual(await order.incidents(), ["paid_late", "paid_too_much"]);
      assert.equal(await order.balanceOf("incident_suspense"), shares[0]);
      assert.equal(await stage.gateOf(place), "shut");
    },
  };
}

const PAID_AGAIN: readonly Case[] = [
  again({
    name: "paid again after it was returned",
    shows: [...payout("CANCELLED>PROCESSED"), ...request("CANCELED>PROCESSED"), ...invoice("refunded>processed")],
    parts: ["paid_again"],
    between: "refunded",
    end: "processed",
    isPaid: 100,
  }),
  again({
    name: "queued and paid again after it was returned",
    shows: [
      ...payout("CANCELLED>PENDING", "PENDING>PROCESSED"),
      ...request("CANCELED>PENDING"),
      ...invoice("refunded>process_pending"),
    ],
    parts: ["queued_again"],
    between: "refunded",
    end: "process_pending",
    isPaid: 100,
  }),
  again({
    name: "two parts are returned, one of them is paid again",
    shows: [...request("CANCELED>PARTIALLY_PROCESSED"), ...invoice("refunded>partially_processed")],
    parts: ["paid_again", null],
    between: "refunded",
    end: "partially_processed",
    isPaid: 60,
  }),
  again({
    name: "one of two parts is returned, queued and paid again",
    shows: [...request("PARTIALLY_CANCELED>PENDING"), ...invoice("partially_refunded>process_pending")],
    parts: ["queued_again", "ok"],
    between: "partially_refunded",
    end: "process_pending",
    isPaid: 100,
  }),
  again({
    name: "one of two parts is returned and paid again",
    shows: [...request("PARTIALLY_CANCELED>PROCESSED"), ...invoice("partially_refunded>processed")],
    parts: ["paid_again", "ok"],
    between: "partially_refunded",
    end: "processed",
    isPaid: 100,
  }),
  again({
    name: "two of three parts are returned, one of them is paid again",
    shows: [...request("PARTIALLY_CANCELED>PARTIALLY_PROCESSED"), ...invoice("partially_refunded>partially_processed")],
    parts: ["paid_again", null, "ok"],
    between: "partially_refunded",
    end: "partially_processed",
    isPaid: 70,
  }),
];

export const REVERSALS: readonly Case[] = [...REFUNDS, ...RETURNS, ...PAID_AGAIN];
