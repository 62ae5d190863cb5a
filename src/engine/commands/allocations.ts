/** Allocations: payouts of bare requests, made and let go by a person. */

import { type ErrorCode, type InvalidField, invalid, type Refusal, refusal } from "../../core/errors.ts";
import { allocate, type NotAllocated } from "../../core/order/allocation.ts";
import { processPayout } from "../../core/order/moderation.ts";
import { MAX_PARTS } from "../../core/order/parts.ts";
import type { Payout } from "../../core/order/payout.ts";
import { reopen } from "../../core/order/story.ts";
import { assert, err, ok, type Result } from "../../core/result.ts";
import { recordAct } from "../acts.ts";
import { type Handler, ORDER, type Seen } from "../command.ts";
import type { Context } from "../context.ts";
import { carryOn, storyMore, storyOf, storyWants } from "../orders.ts";
import type { TableName, Want } from "../ports.ts";
import { worldOf } from "../world.ts";
import { readAmount } from "./invoice-order.ts";

export interface Allocation {
  readonly requestId?: string;
  /** Decimal text in major units of the request's currency. Absent: all that is available. */
  readonly amount?: string;
  /** Whose interface is to carry it, by route; null: as the scheme says. */
  readonly routeId: string | null;
  readonly problems: readonly InvalidField[];
}

const OBSTACLES: Readonly<Record<Exclude<NotAllocated, "unknown_route">, { code: ErrorCode; detail: string }>> = {
  in_this_status: { code: "not-in-this-status", detail: "The payout request takes no allocations any more." },
  blocked: { code: "not-in-this-status", detail: "The payout request is blocked." },
  more_than_available: { code: "more-than-available", detail: "The payout request has not so much available." },
  too_many_parts: { code: "not-in-this-status", detail: `The payout request has had ${MAX_PARTS} allocations.` },
  no_route: { code: "no-route", detail: "No route of the website's scheme can carry it." },
};

function requestMore(requestId: string, seen: Seen): readonly Want<TableName>[] {
  const request = seen.rows.get("request", [seen.organizationId, requestId]);
  if (request === null) return [];
  const key = { requestId, invoiceId: request.invoiceId, websiteId: request.websiteId };
  return [...storyWants(seen.organizationId, key), ...storyMore(key, seen)];
}

/** Makes an allocation: READY, or CREATED while the payee's details are awaited, or CREATE_FAILED with its reason. */
export const createAllocation: Handler<Allocation, Payout> = {
  name: "create-allocation",
  order: ORDER.accept,
  wants: ({ requestId }, organizationId) =>
    requestId === undefined
      ? []
      : [
          { table: "request", by: "primary", keys: [[organizationId, requestId]] },
          { table: "payout", by: "payout_by_request", keys: [[organizationId, requestId]] },
        ],
  more: ({ requestId }, seen) => (requestId === undefined ? [] : requestMore(requestId, seen)),
  decide: decideAllocation,
};

function decideAllocation(context: Context, order: Allocation): Result<Payout, Refusal> {
  const faults: InvalidField[] = [...order.problems];
  const fault = (field: string, message: string): null => {
    if (!faults.some((each) => each.field === field)) faults.push({ field, message });
    return null;
  };
  const { requestId, amount, routeId } = order;
  const story = requestId === undefined ? null : storyOf(context, requestId);
  if (requestId === undefined) fault("payoutRequestId", "is required");
  else if (story === null) fault("payoutRequestId", "is not a payout request of this organization");
  else if (story.invoice !== null) fault("payoutRequestId", "belongs to a payout invoice, which pays by itself");
  const currency = story?.request.currency ?? null;
  const given = amount === undefined ? null : readAmount(amount, currency, { field: "amount", fault });
  if (routeId !== null && !context.setup.routes.has(routeId)) fault("routeId", "is not a payout route");
  if (routeId === null && story !== null && story.request.service === null) {
    fault("payoutRequestId", "has no payment instrument yet: its route must be named");
  }
  if (faults.length > 0 || story === null) return err(invalid(faults));
  const draft = reopen(story, context.now);
  const amountMinor = given ?? story.request.availableMinor;
  const allocated = allocate(draft, worldOf(context, draft), { amountMinor, routeId });
  if (allocated === "unknown_route") return err(invalid([{ field: "routeId", message: "is not a payout route" }]));
  if (typeof allocated === "string") return err(refusal(OBSTACLES[allocated].code, OBSTACLES[allocated].detail));
  const carried = carryOn(context, draft);
  if (!carried.ok) return carried;
  const saved = context.rows.get("payout", [context.organizationId, allocated.id]);
  assert(saved !== null, "an allocation that was made is saved");
  return ok(saved);
}

/** Lets allocations start, all or none of them. */
export const processAllocations: Handler<{ readonly ids: readonly string[] }, readonly Payout[]> = {
  name: "process-allocations",
  order: ORDER.accept,
  wants: ({ ids }, organizationId) => [
    { table: "payout", by: "primary", keys: ids.map((id) => [organizationId, id]) },
    { table: "work", by: "primary", keys: ids.map((id) => [organizationId, "payout", id]) },
  ],
  more({ ids }, seen) {
    const requests = new Set(
      ids.map((id) => seen.rows.get("payout", [seen.organizationId, id])?.requestId).filter((id) => id !== undefined),
    );
    return [...requests].flatMap((requestId) => [
      { table: "request" as const, by: "primary", keys: [[seen.organizationId, requestId]] },
      ...requestMore(requestId, seen),
    ]);
  },
  decide(context, { ids }) {
    const { organizationId, rows } = context;
    const faults: InvalidField[] = [];
    for (const [index, id] of ids.entries()) {
      const payout = rows.get("payout", [organizationId, id]);
      const story = payout === null ? null : storyOf(context, payout.requestId);
      const field = `allocationIds[${index}]`;
      if (story === null || story.invoice !== null) {
        faults.push({ field, message: "is not an allocation of this organization" });
        continue;
      }
      const draft = reopen(story, context.now);
      if (processPayout(draft, worldOf(context, draft), id) !== null) {
        faults.push({
          field,
          message: `is ${payout?.status ?? "unknown"}, or its request is blocked: it cannot start`,
        });
        continue;
      }
      recordAct(context, { kind: "process", subjectKind: "payout", subject: id, reason: "", body: null }, "done");
      const carried = carryOn(context, draft);
      if (!carried.ok) return carried;
    }
    if (faults.length > 0) return err(invalid(faults));
    return ok(ids.map((id) => rows.get("payout", [organizationId, id])).filter((payout) => payout !== null));
  },
};
