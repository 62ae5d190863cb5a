/** What is not paid yet and is pulled back, and the worst that a provider can do with an order. */
import assert from "node:assert/strict";
import { type Case, invoice, payout, request } from "./cases.ts";
import type { Stage } from "./stage.ts";

const REVOKES: readonly Case[] = [
  {
    name: "pulled back while queued: it is not sent again",
    shows: payout("PENDING>REVOKING", "REVOKING>REVOKED"),
    async run(stage) {
      const place = await stage.place({ routes: [{}, { scenario: "ok" }] });
      const order = await stage.order({ place, scenario: "revoke_ok" });
      await order.payout("PENDING");
      await order.act("revoke");
      const { payouts } = await order.is("process_failed");
      assert.deepEqual([payouts.length, payouts[0]?.evidence], [1, "D2"]);
      assert.equal(await order.balanceOf("available"), 0);
    },
  },
  {
    name: "pulled back to be paid by another route",
    shows: payout("REVOKING>REVOKED"),
    async run(stage) {
      const place = await stage.place({ routes: [{}, { scenario: "ok" }] });
      const order = await stage.order({ place, scenario: "revoke_ok" });
      await order.payout("PENDING");
      await order.act("revoke", { then: "reroute" });
      const { payouts } = await order.is("processed");
      assert.deepEqual(
        payouts.map((each) => each.status),
        ["REVOKED", "PROCESSED"],
      );
    },
  },
  {
    name: "pulled back while the provider works on it",
    shows: payout("PROCESSING>REVOKING", "REVOKING>REVOKED"),
    async run(stage) {
      const order = await stage.order({ test: { payout_status: "PROCESSING" } });
      await order.payout("PROCESSING");
      await order.act("revoke");
      await order.is("process_failed");
    },
  },
  {
    name: "pulled back while nobody knows whether it arrived",
    shows: payout("INVOKING>REVOKING", "REVOKING>REVOKED"),
    async run(stage) {
      const order = await stage.order({ scenario: "timeout_revoke_ok" });
      await order.until((seen) => seen.moderationRequired);
      await order.act("revoke");
      await order.is("process_failed");
    },
  },
  ...(
    [
      ["the provider asks to come later twice, then does it", "revoke_later"],
      ["the provider takes its time", "revoke_slow"],
      ["the answer never comes, and an inquiry finds it done", "revoke_timeout"],
    ] as const
  ).map(([what, scenario]) => ({
    name: `pulled back: ${what}`,
    shows: payout("PENDING>REVOKING", "REVOKING>REVOKED"),
    async run(stage: Stage) {
      const order = await stage.order({ scenario });
      await order.payout("PENDING");
      await order.act("revoke");
      const { payouts, moderationRequired } = await order.is("process_failed");
      assert.deepEqual([payouts[0]?.status, moderationRequired], ["REVOKED", false]);
      assert.equal(await order.balanceOf("available"), 0);
    },
  })),
  {
    name: "pulling back is lost: after the wait window it counts as not done",
    shows: payout("REVOKING>REVOKE_FAILED"),
    async run(stage) {
      const order = await stage.order({ scenario: "revoke_lost" });
      await order.payout("PENDING");
      await order.act("revoke");
      await order.payout("REVOKE_FAILED");
      assert.equal((await order.read()).status, "process_pending", "its money question is open");
    },
  },
  ...(
    [
      ["paid", "revoke_refused", "PROCESSED", "processed"],
      ["paid in part", "revoke_refused_part", "PARTIALLY_PROCESSED", "partially_processed"],
      ["failed", "revoke_refused_failed", "PROCESS_FAILED", "process_failed"],
      ["pulled back after all", "revoke_refused_recalled", "REVOKED", "process_failed"],
    ] as const
  ).map(([what, scenario, to, end]) => ({
    name: `pulling back is refused, then it is ${what}`,
    shows: payout("REVOKING>REVOKE_FAILED", `REVOKE_FAILED>${to}`),
    async run(stage: Stage) {
      const order = await stage.order({ scenario, more: { allowPartially: true, attemptsLimit: 1 } });
      await order.payout("PENDING");
      await order.act("revoke");
      await order.payout("REVOKE_FAILED");
      assert.equal((await order.read()).status, "process_pending");
      await order.is(end);
      assert.deepEqual(await order.incidents(), [], "no contradiction: the pull-back had ended, not the payout");
    },
  })),
];

const TRUTHS: readonly Case[] = [
  {
    name: "paid after its hold was released and spent",
    shows: [
      ...payout("INVOKE_FAILED>PROCESSED"),
      ...request("FAILED>PROCESSED"),
      ...invoice("process_failed>processed"),
    ],
    async run(stage) {
      const place = await stage.place({ routes: [{ funds: 202 }] });
      const order = await stage.order({ place, scenario: "late_refused_paid", more: { attemptsLimit: 1 } });
      await order.is("process_failed");
      const other = await stage.order({ place, scenario: "ok_sync", amount: 200 });
      await other.is("processed");
      assert.equal(await stage.standsAt("available", place), 0, "all of it is spent");
      await order.is("processed");
      assert.deepEqual(await order.journals(), { hold: 1, sent: 1, unsent: 1, settled: 1, paid_beyond: 1 });
      assert.equal(await order.balanceOf("incident_suspense"), 100);
      assert.equal(await stage.standsAt("available", place), 0, "and nobody's balance fell below zero");
      assert.deepEqual(await order.incidents(), ["paid_late", "paid_too_much"]);
      assert.equal(await stage.gateOf(place), "shut");
      const refused = await order.tryAct("settle-incident", { chargeTo: "merchant" });
      assert.deepEqual([refused.status, refused.body["code"]], [409, "insufficient-funds"]);
      await order.act("settle-incident", { chargeTo: "loss" });
      assert.equal(await order.balanceOf("incident_suspense"), 0);
      assert.equal(await order.balanceOf("incident_loss"), 100);
      assert.deepEqual(await order.incidents(), []);
    },
  },
  {
    name: "a part is paid twice: the first attempt was refused and then paid, the second paid as well",
    shows: payout("INVOKE_FAILED>PROCESSED"),
    async run(stage) {
      const place = await stage.place({ routes: [{}, { scenario: "ok" }] });
      const order = await stage.order({ place, scenario: "late_refused_paid" });
      await order.is("processed");
      const { payouts, processedAmount } = await order.until((seen) => seen.payouts[0]?.status === "PROCESSED");
      assert.deepEqual(
        payouts.map((each) => [each.status, each.incidentAmount]),
        [
          ["PROCESSED", 100],
          ["PROCESSED", 0],
        ],
      );
      assert.equal(processedAmount, 100, "the merchant pays once");
      assert.deepEqual(await order.journals(), { hold: 1, sent: 2, unsent: 1, paid: 1, settled: 1, paid_beyond: 1 });
      assert.equal(await order.balanceOf("reserved"), 0);
      assert.deepEqual(await order.incidents(), ["paid_late", "paid_too_much"]);
      assert.deepEqual([await stage.gateOf(place, 0), await stage.gateOf(place, 1)], ["shut", "open"]);
    },
  },
  {
    name: "the first attempt turns out paid while the second is queued: the second is pulled back",
    shows: payout("INVOKE_FAILED>PROCESSED", "PENDING>REVOKING", "REVOKING>REVOKED"),
    async run(stage) {
      const place = await stage.place({ routes: [{}, { scenario: "revoke_ok" }] });
      const order = await stage.order({ place, scenario: "late_refused_paid" });
      await order.payout("PENDING", 1, 2);
      const { payouts, processedAmount } = await order.is("processed");
      assert.deepEqual(
        payouts.map((each) => [each.status, each.incidentAmount]),
        [
          ["PROCESSED", 0],
          ["REVOKED", 0],
        ],
      );
      assert.equal(processedAmount, 100);
      assert.equal(await order.balanceOf("incident_suspense"), 0, "the hold was still there");
      assert.deepEqual(await order.incidents(), ["paid_late"]);
    },
  },
  {
    name: "more is paid than asked",
    shows: payout("PROCESSING>PROCESSED"),
    async run(stage) {
      const place = await stage.place();
      const order = await stage.order({ place, scenario: "paid_more" });
      const { payouts, processedAmount } = await order.is("processed");
      assert.deepEqual([payouts[0]?.processedAmount, payouts[0]?.incidentAmount, processedAmount], [120, 20, 100]);
      assert.deepEqual(await order.journals(), { hold: 1, sent: 1, paid: 1, paid_beyond: 1, settled: 1 });
      assert.equal(await order.balanceOf("incident_suspense"), 20);
      assert.deepEqual(await order.incidents(), ["paid_too_much"]);
      assert.equal(await stage.gateOf(place), "shut");
      await order.act("settle-incident", { chargeTo: "merchant" });
      assert.equal(await order.balanceOf("available"), 121);
      const opened = await stage.gateway.call(
        "PATCH",
        `/provider-accounts/${place.accountIds[0] ?? ""}`,
        { gate: "open" },
        { "if-match": '"2"' },
      );
      assert.equal(opened.body["gate"], "open", JSON.stringify(opened.body));
    },
  },
  {
    name: "closed with 60 of 100, then all of it is paid after all",
    shows: [
      ...payout("PARTIALLY_PROCESSED>PROCESSED"),
      ...request("PARTIALLY_PROCESSED>PROCESSED"),
      ...invoice("partially_processed>processed"),
    ],
    async run(stage) {
      const place = await stage.place();
      const order = await stage.order({ place, scenario: "partial_then_paid", more: { allowPartially: true } });
      await order.is("partially_processed");
      const { payouts } = await order.is("processed");
      assert.deepEqual([payouts[0]?.processedAmount, payouts[0]?.incidentAmount], [100, 40]);
      assert.deepEqual(await order.journals(), { hold: 1, sent: 1, paid: 1, unsent: 1, settled: 1, paid_beyond: 1 });
      assert.deepEqual(await order.incidents(), ["paid_late", "paid_too_much"]);
      assert.equal(await stage.gateOf(place), "shut");
    },
  },
  {
    name: "of three parts one is paid and two are refused for good, where a part is not enough",
    shows: request("PENDING>PARTIALLY_PROCESSED"),
    async run(stage) {
      const place = await stage.place({
        routes: [
          { scenario: "ok", minAmount: 45, maxAmount: 45 },
          { scenario: "refused", minAmount: 30, maxAmount: 30 },
          { scenario: "refused", minAmount: 25, maxAmount: 25 },
        ],
      });
      const order = await stage.order({ place, more: { splitMode: true, parallelMode: true } });
      await order.until((seen) => seen.moderationRequired && seen.processedAmount === 45);
      assert.equal((await order.read()).status, "process_pending");
      await order.decide("change", { allowPartially: true });
      const { processedAmount, processedFee } = await order.is("partially_processed");
      assert.deepEqual([processedAmount, processedFee], [45, 0.45]);
      assert.equal(await order.balanceOf("reserved"), 0);
    },
  },
];

const SHARED: readonly Case[] = [
  {
    name: "of three parts at once the second is refused for good, where a part is enough",
    shows: request("DISPATCHING>PARTIALLY_PROCESSED"),
    async run(stage) {
      const place = await stage.place({
        routes: [
          { scenario: "ok", minAmount: 45, maxAmount: 45 },
          { scenario: "refused", minAmount: 30, maxAmount: 30 },
          { scenario: "ok", minAmount: 25, maxAmount: 25 },
        ],
      });
      const order = await stage.order({ place, more: { splitMode: true, parallelMode: true, allowPartially: true } });
      const { payouts, processedAmount } = await order.is("partially_processed");
      assert.deepEqual(
        payouts.map((each) => [each.amount, each.status]),
        [
          [45, "PROCESSED"],
          [30, "INVOKE_FAILED"],
          [25, "PROCESSED"],
        ],
      );
      assert.equal(processedAmount, 70);
      assert.equal(await order.balanceOf("reserved"), 0);
    },
  },
];

export const REVOKES_AND_TRUTHS: readonly Case[] = [...REVOKES, ...TRUTHS, ...SHARED];
