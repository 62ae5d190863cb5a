/** Requests without an invoice: they wait for details, and for allocations by a person. */
import assert from "node:assert/strict";
import type { Json } from "../support/gateway.ts";
import type { Bare } from "./bare.ts";
import { type Case, payout, request } from "./cases.ts";
import type { Place } from "./place.ts";
import type { OrderPlan, Stage } from "./stage.ts";

/** The lifetime of a bare request in days: three seconds. */
const SHORT = { website: { requestLifetimeDays: 3 / 86_400 } };

/** A request of the plain place, or of another, with an instrument chosen. */
async function chosen(stage: Stage, plan: Pick<OrderPlan, "place" | "scenario" | "test"> = {}): Promise<Bare> {
  const { place = stage.plain } = plan;
  return stage.bare(place, { paymentInstrumentId: await stage.instrument(plan) });
}

async function cancelled(bare: Bare): Promise<void> {
  await bare.cancel();
  await bare.is("canceled");
}

/** The route of a place, said by name. */
const onRoute = (place: Place, more: Json = {}): Json => ({ routeId: place.routeIds[0], ...more });

const WAITING: readonly Case[] = [
  {
    name: "a request waits for an instrument, has one, has none again, and is cancelled",
    shows: request(
      "CREATED>WAITING_DETAILS",
      "WAITING_DETAILS>READY",
      "READY>WAITING_DETAILS",
      "WAITING_DETAILS>TERMINATED",
    ),
    async run(stage) {
      const bare = await stage.bare(stage.plain);
      assert.equal((await bare.read()).status, "pending");
      await bare.put({ paymentInstrumentId: await stage.instrument({}) });
      assert.equal((await bare.read()).status, "instrument-selected");
      await bare.put({ paymentInstrumentId: null });
      assert.equal((await bare.read()).status, "pending");
      await cancelled(bare);
    },
  },
  {
    name: "a request with an instrument pays nothing by itself, and is cancelled",
    shows: request("CREATED>READY", "READY>TERMINATED"),
    async run(stage) {
      const bare = await chosen(stage);
      assert.deepEqual((await bare.read()).allocations, []);
      await cancelled(bare);
    },
  },
  {
    name: "a request that was blocked from its start is cancelled",
    shows: request("CREATED>TERMINATED"),
    run: async (stage) => cancelled(await stage.bare(stage.plain, { blocked: true, blockReason: "aml-review" })),
  },
  {
    name: "a request that was blocked from its start expires",
    shows: request("CREATED>EXPIRED"),
    async run(stage) {
      const place = await stage.place(SHORT);
      const bare = await stage.bare(place, { blocked: true, blockReason: "other" });
      await bare.stands("EXPIRED");
      assert.equal((await bare.read()).status, "canceled");
    },
  },
  {
    name: "a request that waits for an instrument expires",
    shows: request("WAITING_DETAILS>EXPIRED"),
    run: async (stage) => void (await (await stage.bare(await stage.place(SHORT))).is("canceled")),
  },
  {
    name: "a request with an instrument expires",
    shows: request("READY>EXPIRED"),
    run: async (stage) => void (await (await chosen(stage, { place: await stage.place(SHORT) })).is("canceled")),
  },
];

const ALLOCATING: readonly Case[] = [
  {
    name: "an allocation waits for the payee's details, and a person ends it",
    shows: [...payout("CREATED>TERMINATED"), ...request("PENDING>WAITING_DETAILS")],
    async run(stage) {
      const bare = await stage.bare(stage.plain);
      const id = await bare.allocate(onRoute(stage.plain));
      assert.equal((await bare.payoutNow(id)).status, "CREATED");
      await bare.act(id, "terminate");
      await bare.stands("WAITING_DETAILS");
    },
  },
  {
    name: "an allocation waits for the payee's details, has them, and is paid",
    shows: [...payout("CREATED>READY", "READY>INVOKING"), ...request("DISPATCHING>PROCESSED")],
    async run(stage) {
      const bare = await stage.bare(stage.plain);
      const id = await bare.allocate(onRoute(stage.plain));
      await bare.put({ paymentInstrumentId: await stage.instrument({ scenario: "ok" }) });
      await bare.payout(id, "READY");
      await bare.process(id);
      await bare.is("fulfilled");
    },
  },
  {
    name: "an allocation waits for the payee's details until the request expires",
    shows: [...payout("CREATED>EXPIRED"), ...request("PENDING>EXPIRED")],
    async run(stage) {
      const place = await stage.place(SHORT);
      const bare = await stage.bare(place);
      const id = await bare.allocate(onRoute(place));
      await bare.payout(id, "EXPIRED");
      await bare.is("canceled");
    },
  },
  {
    name: "an allocation by a route that cannot carry it is not made",
    shows: payout("new>CREATE_FAILED"),
    async run(stage) {
      const place = await stage.place({ routes: [{ maxAmount: 10 }] });
      const bare = await chosen(stage, { place });
      const id = await bare.allocate(onRoute(place));
      const { status, resolution } = await bare.payoutNow(id);
      assert.deepEqual([status, resolution], ["CREATE_FAILED", "LIMIT_VIOLATION"]);
      assert.equal((await bare.read()).availableAmount, 100);
    },
  },
  {
    name: "an allocation is refused: the request waits for the next",
    shows: request("DISPATCHING>READY"),
    async run(stage) {
      const bare = await chosen(stage, { scenario: "refused" });
      await bare.pay({}, "INVOKE_FAILED");
      await bare.stands("READY");
      assert.equal((await bare.read()).availableAmount, 100);
    },
  },
  {
    name: "an allocation is queued and then fails: the request waits for the next",
    shows: request("PENDING>READY"),
    async run(stage) {
      const bare = await chosen(stage, { scenario: "pending_queued_failed" });
      await bare.pay({}, "PROCESS_FAILED");
      await bare.stands("READY");
    },
  },
  {
    name: "the payee's details are wrong: the request waits for others, and is paid with them",
    shows: request("DISPATCHING>WAITING_DETAILS", "WAITING_DETAILS>READY"),
    async run(stage) {
      const bare = await chosen(stage, { test: { payout_resolution: "INVALID_DETAILS" } });
      await bare.pay({}, "INVOKE_FAILED");
      await bare.stands("WAITING_DETAILS");
      await bare.put({ paymentInstrumentId: await stage.instrument({ scenario: "ok" }) });
      await bare.stands("READY");
      // The route that was refused the wrong details is not asked again unless a person names it.
      await bare.pay(onRoute(stage.plain));
      await bare.is("fulfilled");
    },
  },
  {
    name: "the details of one allocation are wrong while another waits",
    shows: request("PENDING>WAITING_DETAILS"),
    async run(stage) {
      const test = { payout_status: "PROCESS_FAILED", payout_resolution: "INVALID_DETAILS" };
      const bare = await chosen(stage, { test });
      const waiting = await bare.allocate({ amount: 40 });
      await bare.pay({ amount: 60 }, "PROCESS_FAILED");
      await bare.act(waiting, "terminate");
      await bare.stands("WAITING_DETAILS");
    },
  },
];

const CLOSING: readonly Case[] = [
  {
    name: "cancelled with a part paid",
    shows: request("READY>PARTIALLY_PROCESSED"),
    async run(stage) {
      const bare = await chosen(stage, { scenario: "ok" });
      await bare.pay({ amount: 60 });
      await bare.is("partially-fulfilled");
      await cancelled(bare);
    },
  },
  {
    name: "cancelled with a part paid and no instrument any more",
    shows: request("READY>WAITING_DETAILS", "WAITING_DETAILS>PARTIALLY_PROCESSED"),
    async run(stage) {
      const bare = await chosen(stage, { scenario: "ok" });
      await bare.pay({ amount: 60 });
      await bare.stands("READY");
      await bare.put({ paymentInstrumentId: null });
      await bare.stands("WAITING_DETAILS");
      await cancelled(bare);
    },
  },
  {
    name: "not cancelled with 50 paid and 20 free while 30 are at their provider",
    shows: [...payout("INVOKING>PENDING"), ...request("READY>PARTIALLY_PROCESSED")],
    async run(stage) {
      const place = await stage.place({ routes: [{ scenario: "ok" }, { scenario: "revoke_ok" }] });
      const bare = await chosen(stage, { place });
      await bare.pay({ amount: 50 });
      const id = await bare.pay({ amount: 30, routeId: place.routeIds[1] }, "PENDING");
      const refused = await bare.tryCancel();
      assert.deepEqual([refused.status, refused.body["code"]], [409, "payout-in-flight"]);
      const { status, availableAmount } = await bare.read();
      assert.deepEqual([status, availableAmount], ["partially-fulfilled", 20], "nothing has changed");
      await bare.act(id, "revoke");
      await bare.payout(id, "REVOKED");
      await cancelled(bare);
    },
  },
  {
    name: "paid, returned, not sent again by the machine, and allocated anew by a person",
    shows: [...payout("PROCESSED>CANCELLING"), ...request("CANCELING>CANCELED", "CANCELED>READY")],
    async run(stage) {
      const place = await stage.place();
      const bare = await chosen(stage, { place, scenario: "ok" });
      const first = await bare.pay({});
      await bare.is("fulfilled");
      const paidOut = await stage.standsAt("request_clearing", place);
      await bare.act(first, "cancel");
      await bare.payout(first, "CANCELLED");
      await bare.stands("CANCELED");
      assert.equal((await bare.read()).allocations.length, 1);
      assert.equal(await stage.standsAt("request_clearing", place), 0);
      await bare.pay({});
      await bare.is("fulfilled");
      assert.equal(await stage.standsAt("request_clearing", place), paidOut, "its owner owes it once");
    },
  },
  {
    name: "one of two allocations is returned and allocated anew",
    shows: request("CANCELING>PARTIALLY_CANCELED", "PARTIALLY_CANCELED>READY"),
    async run(stage) {
      const bare = await chosen(stage, { scenario: "ok" });
      const first = await bare.pay({ amount: 60 });
      await bare.pay({ amount: 40 });
      await bare.is("fulfilled");
      await bare.act(first, "cancel");
      await bare.payout(first, "CANCELLED");
      await bare.stands("PARTIALLY_CANCELED");
      await bare.pay({ amount: 60 });
      await bare.is("fulfilled");
    },
  },
  {
    name: "a website that says so has its requests paid by themselves",
    shows: request("CREATED>READY", "READY>DISPATCHING", "DISPATCHING>PROCESSED"),
    async run(stage) {
      const place = await stage.place({ website: { payoutRequest: { autoprocess: true } } });
      const bare = await chosen(stage, { place, scenario: "ok" });
      await bare.is("fulfilled");
    },
  },
];

export const REQUESTS: readonly Case[] = [...WAITING, ...ALLOCATING, ...CLOSING];
