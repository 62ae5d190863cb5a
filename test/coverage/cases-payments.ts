/** Orders that are paid, paid in part, or refused. */
import assert from "node:assert/strict";
import { type Case, invoice, payout, request } from "./cases.ts";

export const PAYMENTS: readonly Case[] = [
  {
    name: "paid in the answer",
    shows: [
      ...payout("new>CREATED", "CREATED>READY", "READY>INVOKING", "INVOKING>PROCESSED"),
      ...request("new>CREATED", "CREATED>READY", "READY>DISPATCHING", "DISPATCHING>PROCESSED"),
      ...invoice("new>created", "created>processing", "processing>processed"),
    ],
    async run(stage) {
      const order = await stage.order({ scenario: "ok_sync" });
      await order.is("processed");
      assert.deepEqual(await order.journals(), { hold: 1, sent: 1, paid: 1, settled: 1 });
      assert.equal(await order.balanceOf("reserved"), 0);
      assert.equal(await order.balanceOf("in_flight"), 0);
      assert.equal(await order.balanceOf("commission"), -1);
    },
  },
  {
    name: "accepted, then paid by callback",
    shows: payout("INVOKING>PROCESSING", "PROCESSING>PROCESSED"),
    run: async (stage) => void (await (await stage.order({ scenario: "ok" })).is("processed")),
  },
  {
    name: "accepted, queued, paid",
    shows: [
      ...payout("PROCESSING>PENDING", "PENDING>PROCESSED"),
      ...request("DISPATCHING>PENDING", "PENDING>PROCESSED"),
      ...invoice("processing>process_pending", "process_pending>processed"),
    ],
    run: async (stage) => void (await (await stage.order({ scenario: "pending_paid" })).is("processed")),
  },
  {
    name: "queued, accepted, paid",
    shows: [
      ...payout("INVOKING>PENDING", "PENDING>PROCESSING"),
      ...request("PENDING>DISPATCHING"),
      ...invoice("process_pending>processing"),
    ],
    run: async (stage) => void (await (await stage.order({ scenario: "queued_accepted_paid" })).is("processed")),
  },
  {
    name: "the answer never comes, and an inquiry finds it paid",
    shows: [...payout("INVOKING>PROCESSED"), ...request("PENDING>PROCESSED")],
    async run(stage) {
      const order = await stage.order({ scenario: "timeout_paid" });
      await order.until((seen) => seen.moderationRequired);
      const { payouts, moderationRequired } = await order.is("processed");
      assert.deepEqual([payouts.length, moderationRequired], [1, false]);
    },
  },
  {
    name: "the answer never comes, inquiries are refused, and a person says that it is paid",
    shows: payout("INVOKING>PROCESSED"),
    async run(stage) {
      const order = await stage.order({ scenario: "inquiry_401" });
      await order.is("process_pending");
      await order.until((seen) => seen.moderationRequired);
      assert.equal((await order.tryAct("repeat")).status, 409, "the first request may still arrive");
      await order.evidence("paid");
      const { payouts } = await order.is("processed");
      assert.equal(payouts.length, 1, "never sent elsewhere");
    },
  },
  {
    name: "a repeat of a lost request is refused, which says nothing about the first",
    shows: payout("INVOKING>PROCESSED"),
    async run(stage) {
      const order = await stage.order({ scenario: "repeat_refused" });
      await stage.until(
        order.id,
        () => order.tryAct("repeat"),
        ({ status }) => status === 200,
      );
      await order.until(({ payouts }) => payouts[0]?.sends === 2 && payouts[0].resolution === "INSUFFICIENT_FUNDS");
      const { payouts, moderationRequired } = await order.read();
      assert.deepEqual([payouts[0]?.status, payouts.length, moderationRequired], ["INVOKING", 1, true]);
      await order.evidence("paid");
      await order.is("processed");
    },
  },
  {
    name: "no byte leaves: the same reference goes again",
    shows: payout("INVOKING>PROCESSING"),
    async run(stage) {
      const place = await stage.place({ routes: [{ baseUrl: "http://127.0.0.1:9" }] });
      const order = await stage.order({ place, scenario: "ok" });
      await order.until(({ payouts }) => payouts[0]?.resolution === "CONNECTION_ERROR");
      const { moderationRequired, payouts: before } = await order.read();
      assert.equal(moderationRequired, false, "nothing was done, and nobody need look");
      const path = `/provider-accounts/${place.accountIds[0] ?? ""}`;
      const body = { baseUrl: stage.gateway.sandboxUrl };
      const moved = await stage.gateway.call("PATCH", path, body, { "if-match": '"1"' });
      assert.equal(moved.status, 200, JSON.stringify(moved.body));
      const { payouts } = await order.is("processed");
      assert.deepEqual([payouts.length, payouts[0]?.reference], [1, before[0]?.reference]);
    },
  },
  {
    name: "60 of 100 paid in the answer, where a part is enough",
    shows: [
      ...payout("INVOKING>PARTIALLY_PROCESSED"),
      ...request("DISPATCHING>PARTIALLY_PROCESSED"),
      ...invoice("processing>partially_processed"),
    ],
    async run(stage) {
      const order = await stage.order({ scenario: "partial_sync", more: { allowPartially: true } });
      const { processedAmount, processedFee } = await order.is("partially_processed");
      assert.deepEqual([processedAmount, processedFee], [60, 0.6]);
      assert.deepEqual(await order.journals(), { hold: 1, sent: 1, paid: 1, unsent: 1, settled: 1 });
      assert.equal(await order.balanceOf("in_flight"), 0, "the other 40 stand at the provider again");
      assert.equal(await order.balanceOf("reserved"), 0);
    },
  },
  {
    name: "queued, then closed with 60 of 100, where a part is enough",
    shows: [
      ...payout("PENDING>PARTIALLY_PROCESSED"),
      ...request("PENDING>PARTIALLY_PROCESSED"),
      ...invoice("process_pending>partially_processed"),
    ],
    async run(stage) {
      const order = await stage.order({ scenario: "pending_partial", more: { allowPartially: true } });
      await order.is("partially_processed");
    },
  },
  {
    name: "60 of 100 paid, where a part is not enough: a person accepts it",
    shows: [...payout("PROCESSING>PARTIALLY_PROCESSED"), ...request("PENDING>PARTIALLY_PROCESSED")],
    async run(stage) {
      const order = await stage.order({ scenario: "partial" });
      await order.payout("PARTIALLY_PROCESSED");
      const { status, moderationRequired } = await order.read();
      assert.deepEqual([status, moderationRequired], ["process_pending", true]);
      assert.equal(await order.balanceOf("reserved"), -41, "the rest stays held");
      await order.decide("accept_partial");
      const { processedAmount } = await order.is("partially_processed");
      assert.equal(processedAmount, 60);
      assert.equal(await order.balanceOf("reserved"), 0);
    },
  },
  {
    name: "60 of 100 paid: a person lets the rest go by another payout",
    shows: request("PENDING>DISPATCHING", "DISPATCHING>PROCESSED"),
    async run(stage) {
      const place = await stage.place({ routes: [{}, { scenario: "ok" }] });
      const order = await stage.order({ place, scenario: "partial" });
      await order.payout("PARTIALLY_PROCESSED");
      const disabled = await stage.gateway.call(
        "PATCH",
        `/payout-routes/${place.routeIds[0] ?? ""}`,
        { isEnabled: false },
        { "if-match": '"1"' },
      );
      assert.equal(disabled.status, 200, JSON.stringify(disabled.body));
      await order.decide("continue");
      const { payouts, processedAmount } = await order.is("processed");
      assert.deepEqual([payouts.map((each) => each.amount), processedAmount], [[100, 40], 100]);
    },
  },
  {
    name: "60 of 100 paid with the rest queued, then all of it: no incident",
    shows: payout("PENDING>PROCESSED"),
    async run(stage) {
      const order = await stage.order({ scenario: "partial_then_rest" });
      const { processedAmount } = await order.is("processed");
      assert.equal(processedAmount, 100);
      assert.deepEqual(await order.journals(), { hold: 1, sent: 1, paid: 2, settled: 1 });
      assert.deepEqual(await order.incidents(), []);
    },
  },
  {
    name: "refused in the answer, with no attempt left",
    shows: [
      ...payout("INVOKING>INVOKE_FAILED"),
      ...request("DISPATCHING>FAILED"),
      ...invoice("processing>process_failed"),
    ],
    async run(stage) {
      const order = await stage.order({ scenario: "refused", more: { attemptsLimit: 1 } });
      await order.is("process_failed");
      assert.equal((await order.payoutNow()).evidence, "D1");
      assert.deepEqual(await order.journals(), { hold: 1, sent: 1, unsent: 1, settled: 1 });
      assert.equal(await order.balanceOf("available"), 0, "the hold went back whole");
    },
  },
  {
    name: "failed by callback, with no attempt left",
    shows: payout("PROCESSING>PROCESS_FAILED"),
    async run(stage) {
      const order = await stage.order({ scenario: "pending_failed", more: { attemptsLimit: 1 } });
      await order.is("process_failed");
      assert.equal((await order.payoutNow()).evidence, "D2");
    },
  },
  {
    name: "queued, then failed",
    shows: [
      ...payout("PENDING>PROCESS_FAILED"),
      ...request("PENDING>FAILED"),
      ...invoice("process_pending>process_failed"),
    ],
    async run(stage) {
      const order = await stage.order({ scenario: "pending_queued_failed", more: { attemptsLimit: 1 } });
      await order.is("process_failed");
    },
  },
  {
    name: "failed without a reason: the next route pays",
    shows: payout("PROCESSING>PROCESS_FAILED"),
    async run(stage) {
      const place = await stage.place({ routes: [{}, { scenario: "ok" }] });
      const order = await stage.order({ place, test: { payout_status: "PROCESS_FAILED", payout_resolution: "OK" } });
      const { payouts } = await order.is("processed");
      assert.deepEqual(
        payouts.map(({ status, resolution }) => [status, resolution]),
        [
          ["PROCESS_FAILED", "OK"],
          ["PROCESSED", "OK"],
        ],
      );
    },
  },
  {
    name: "the payee's details are wrong: no other route is tried",
    shows: request("DISPATCHING>FAILED"),
    async run(stage) {
      const place = await stage.place({ routes: [{}, { scenario: "ok" }] });
      const order = await stage.order({ place, test: { payout_resolution: "INVALID_DETAILS" } });
      const { payouts, resolution } = await order.is("process_failed");
      assert.deepEqual([payouts.length, resolution], [1, "INVALID_DETAILS"]);
    },
  },
];
