/** Orders that end before they are paid: by their lifetime, by a person, or by what a person has blocked. */
import assert from "node:assert/strict";
import { type Case, invoice, payout, request } from "./cases.ts";
import type { PlacePlan } from "./place.ts";
import type { Stage } from "./stage.ts";

/** Later than this, the provider's second thoughts come; an end that they contradict must have been reached before. */
export const LATE_MS = 4_000;
const SHORT_MS = 2_000;

const THEN = {
  queued: { payout: "PENDING", request: "PENDING", invoice: "process_pending" },
  paid: { payout: "PROCESSED", request: "PROCESSED", invoice: "processed" },
  part: { payout: "PARTIALLY_PROCESSED", request: "PARTIALLY_PROCESSED", invoice: "partially_processed" },
} as const;

type Then = keyof typeof THEN;
const THENS = Object.keys(THEN) as readonly Then[];

/** An order of which nothing arrived, as far as its provider said, is ended; then the provider has it after all. */
function endedThenHeard(end: "TERMINATED" | "EXPIRED", then: Then): Case {
  const to = THEN[then];
  const ended = end.toLowerCase();
  return {
    name: `${ended} while the provider had no time, then ${then} after all`,
    shows: [
      ...payout(`INVOKING>${end}`, `${end}>${to.payout}`),
      ...request(`DISPATCHING>${end}`, `${end}>${to.request}`),
      ...invoice(`processing>${ended}`, `${ended}>${to.invoice}`),
    ],
    async run(stage) {
      const place = await stage.place();
      const isExpiry = end === "EXPIRED";
      const order = await stage.order({
        place,
        scenario: `late_limited_${then}`,
        ...(isExpiry ? { expiresInMs: SHORT_MS } : {}),
      });
      if (!isExpiry) await order.terminate();
      await order.is(ended);
      await order.is(to.invoice);
      await checkLate(stage, { order, then });
      assert.equal(await stage.gateOf(place), then === "queued" ? "open" : "shut");
    },
  };
}

/** What is paid after its hold went back stands in suspense, and the merchant's money is left alone. */
async function checkLate(
  stage: Stage,
  { order, then }: { order: Awaited<ReturnType<Stage["order"]>>; then: Then },
): Promise<void> {
  const isPaid = then !== "queued";
  const last = await order.payoutNow();
  assert.equal(last.incidentAmount, { queued: 0, paid: 100, part: 60 }[then], stage.slug);
  assert.deepEqual(await order.incidents(), isPaid ? ["paid_late", "paid_too_much"] : ["paid_late"]);
  assert.equal((await order.journals())["paid_beyond"] ?? 0, isPaid ? 1 : 0);
  assert.equal(await order.balanceOf("available"), 0);
  assert.equal(await order.balanceOf("reserved"), 0);
}

/** The provider says no, for good, and has second thoughts. */
function failedThenHeard(how: "refused" | "failed", then: Then): Case {
  const to = THEN[then];
  const end = how === "refused" ? "INVOKE_FAILED" : "PROCESS_FAILED";
  return {
    name: `${how}, then ${then} after all`,
    shows: [
      ...payout(`${end}>${to.payout}`),
      ...request(`FAILED>${to.request}`),
      ...invoice(`process_failed>${to.invoice}`),
    ],
    async run(stage) {
      const place = await stage.place();
      const order = await stage.order({ place, scenario: `late_${how}_${then}`, more: { attemptsLimit: 1 } });
      await order.is("process_failed");
      await order.is(to.invoice);
      await checkLate(stage, { order, then });
    },
  };
}

/** Pulled back, and yet it comes. */
function recalledThenHeard(then: Then): Case {
  const to = THEN[then];
  return {
    name: `pulled back, then ${then} after all`,
    shows: [...payout("REVOKING>REVOKED", `REVOKED>${to.payout}`), ...request(`FAILED>${to.request}`)],
    async run(stage) {
      const place = await stage.place();
      const order = await stage.order({ place, scenario: `late_recalled_${then}` });
      await order.payout("PENDING");
      await order.act("revoke");
      await order.is("process_failed");
      await order.is(to.invoice);
      await checkLate(stage, { order, then });
    },
  };
}

const SECOND_THOUGHTS: readonly Case[] = THENS.flatMap((then) => [
  endedThenHeard("TERMINATED", then),
  endedThenHeard("EXPIRED", then),
  failedThenHeard("refused", then),
  failedThenHeard("failed", then),
  recalledThenHeard(then),
]);

const OF_CREATED: readonly Case[] = [
  {
    name: "nobody processes it: its lifetime passes",
    shows: invoice("created>expired"),
    async run(stage) {
      const order = await stage.order({ expiresInMs: SHORT_MS, more: { autoprocess: false } });
      await order.is("expired");
      assert.deepEqual(await order.journals(), {}, "nothing was ever held");
    },
  },
  {
    name: "ended before it is processed",
    shows: invoice("created>terminated"),
    async run(stage) {
      const order = await stage.order({ more: { autoprocess: false } });
      await order.terminate();
      await order.is("terminated");
    },
  },
  {
    name: "processed by a person's command",
    shows: invoice("created>processing"),
    async run(stage) {
      const order = await stage.order({ scenario: "ok_sync", more: { autoprocess: false } });
      const reply = await stage.gateway.call("POST", `/payout-invoices/${order.id}/process`, {});
      assert.equal(reply.status, 200, JSON.stringify(reply.body));
      await order.is("processed");
    },
  },
];

const MANUAL: readonly Case[] = [
  {
    name: "a manual payout starts when a person says so",
    shows: [...payout("READY>INVOKING"), ...request("PENDING>DISPATCHING")],
    async run(stage) {
      const place = await stage.place({ routes: [{ isManual: true }] });
      const order = await stage.order({ place, scenario: "ok" });
      await order.payout("READY");
      await order.act("process");
      await order.is("processed");
    },
  },
  {
    name: "ended while a manual payout waits for a person",
    shows: [...payout("READY>TERMINATED"), ...request("PENDING>TERMINATED"), ...invoice("process_pending>terminated")],
    async run(stage) {
      const place = await stage.place({ routes: [{ isManual: true }] });
      const order = await stage.order({ place });
      await order.payout("READY");
      await order.terminate();
      await order.is("terminated");
      assert.deepEqual(await order.journals(), { hold: 1, settled: 1 });
      assert.equal(await order.balanceOf("available"), 0);
    },
  },
  {
    name: "its request is cancelled while a manual payout waits for a person",
    shows: [...payout("READY>TERMINATED"), ...request("PENDING>TERMINATED"), ...invoice("process_pending>terminated")],
    async run(stage) {
      const place = await stage.place({ routes: [{ isManual: true }] });
      const order = await stage.order({ place });
      await order.payout("READY");
      const { payoutRequestId } = await order.read();
      const reply = await stage.gateway.call("POST", `/payout-requests/${payoutRequestId}/cancel`, {});
      assert.deepEqual([reply.status, reply.body["status"]], [200, "canceled"], JSON.stringify(reply.body));
      await order.is("terminated");
      assert.equal(await order.balanceOf("available"), 0);
    },
  },
  {
    name: "expired while a manual payout waits for a person",
    shows: [...payout("READY>EXPIRED"), ...request("PENDING>EXPIRED"), ...invoice("process_pending>expired")],
    async run(stage) {
      const place = await stage.place({ routes: [{ isManual: true }] });
      const order = await stage.order({ place, expiresInMs: SHORT_MS });
      await order.is("expired");
      assert.equal(await order.balanceOf("available"), 0);
    },
  },
];

const LIFETIMES: readonly Case[] = [
  {
    name: "expired with a payout that its website wants pulled back",
    shows: [...payout("PENDING>REVOKING", "REVOKING>REVOKED"), ...request("DISPATCHING>EXPIRED")],
    async run(stage) {
      const place = await stage.place({ website: { revokeAtExpiry: true } });
      const order = await stage.order({ place, scenario: "revoke_ok", expiresInMs: SHORT_MS });
      await order.is("expired");
      assert.equal(await order.balanceOf("available"), 0);
    },
  },
  {
    name: "expired between a refusal and a route without money",
    shows: request("PENDING>EXPIRED"),
    async run(stage) {
      const place = await stage.place({ routes: [{}, { funds: 0 }] });
      const order = await stage.order({ place, scenario: "refused", expiresInMs: SHORT_MS });
      await order.payout("INVOKE_FAILED");
      await order.is("process_pending");
      const { payouts } = await order.is("expired");
      assert.equal(payouts.length, 1);
      assert.equal(await order.balanceOf("available"), 0);
    },
  },
  {
    name: "the lifetime passes with one part paid, one queued and one that waits for a person",
    shows: [...payout("READY>EXPIRED"), ...request("DISPATCHING>PARTIALLY_PROCESSED")],
    async run(stage) {
      const place = await stage.place({
        routes: [
          { scenario: "ok", minAmount: 45, maxAmount: 45 },
          { scenario: "revoke_ok", minAmount: 30, maxAmount: 30 },
          { isManual: true, minAmount: 25, maxAmount: 25 },
        ],
      });
      const more = { splitMode: true, parallelMode: true };
      const order = await stage.order({ place, expiresInMs: SHORT_MS, more });
      await order.payout("EXPIRED", 3);
      assert.equal((await order.payoutNow(2)).status, "PENDING", "money in flight is followed to its end");
      await order.act("revoke", {}, 2);
      const { processedAmount } = await order.is("partially_processed");
      assert.equal(processedAmount, 45);
      assert.equal(await order.balanceOf("reserved"), 0);
    },
  },
  {
    name: "blocked between two parts, until the lifetime passes",
    shows: request("PENDING>PARTIALLY_PROCESSED"),
    async run(stage) {
      const routes = [
        { scenario: "inquiry_401", minAmount: 60, maxAmount: 60 },
        { scenario: "ok", maxAmount: 40 },
      ];
      const place = await stage.place({ routes });
      const order = await stage.order({ place, expiresInMs: 2 * SHORT_MS, more: { splitMode: true } });
      await order.until((seen) => seen.moderationRequired);
      const { payoutRequestId, customerId, websiteId } = await order.read();
      const blocked = await stage.gateway.call("PUT", `/payout-requests/${payoutRequestId}`, {
        websiteId,
        customerId,
        currency: "USD",
        amount: 100,
        blocked: true,
        blockReason: "risk-review",
      });
      assert.equal(blocked.status, 200, JSON.stringify(blocked.body));
      await order.evidence("paid");
      const { payouts, processedAmount } = await order.is("partially_processed");
      assert.deepEqual([payouts.length, processedAmount], [1, 60], "no second part was begun");
    },
  },
];

/** Where no route is found: the order fails at once, and says why. */
function nowhere(name: string, resolution: string, plan: PlacePlan): Case {
  return {
    name,
    shows: request("READY>DISPATCHING", "DISPATCHING>FAILED"),
    async run(stage) {
      const order = await stage.order({ place: await stage.place(plan) });
      const seen = await order.is("process_failed");
      assert.deepEqual([seen.resolution, seen.payouts], [resolution, []]);
      assert.equal(await order.balanceOf("available"), 0, "the hold went back whole");
    },
  };
}

const NOWHERE: readonly Case[] = [
  nowhere("a scheme without routes pays nothing", "STRATEGY_RECEIVED_NO_ROUTES", { leaf: null }),
  nowhere("a scheme whose routes are all switched off pays nothing", "STRATEGY_CONFIGURED_ROUTES_WERE_FILTERED", {
    routes: [{ isEnabled: false }],
  }),
  nowhere("a scheme that blocks pays nothing", "BLOCKED_BY_SCHEME", { leaf: { block: true } }),
];

export const ENDS: readonly Case[] = [...OF_CREATED, ...MANUAL, ...LIFETIMES, ...NOWHERE, ...SECOND_THOUGHTS];
