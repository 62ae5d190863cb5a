/** POST and PATCH of payout requests, each told by what PUT does (docs/api.md). */
import { invalid, refusal } from "../../core/errors.ts";
import { formatMajor } from "../../core/money/money.ts";
import { needsChecks } from "../../core/news/recovery.ts";
import { err } from "../../core/result.ts";
import type { Handler } from "../command.ts";
import { idOf } from "./configuration.ts";
import { type PutRequest, putRequest, type RequestRows } from "./requests.ts";

/** A POST of a request. */
interface PostRequest {
  readonly put: PutRequest;
  /** The id is ours: it is drawn under the lock, where ids come from. */
  readonly isOurs: boolean;
  /** The merchant's Idempotency-Key: its name of an order that has no id of the merchant's. */
  readonly key: string | null;
}

const NAMELESS =
  "is required, or an Idempotency-Key, for 30 days after the database was restored: without a name of yours nobody " +
  "can tell whether the order was paid already and forgotten";

/** As PUT, but what exists never changes: the very same again answers with it, anything else finds the id used. */
export const postRequest: Handler<PostRequest, RequestRows> = {
  ...putRequest,
  name: "post-payout-request",
  wants: ({ put }, organizationId) => putRequest.wants(put, organizationId),
  more: ({ put }, seen) => putRequest.more?.(put, seen) ?? [],
  decide(context, { put, isOurs, key }) {
    if (isOurs) {
      if (key === null && needsChecks({ createdTime: context.now }, context.moment.epoch)) {
        return err(invalid([...put.problems, { field: "id", message: NAMELESS }]));
      }
      const id = idOf(context, undefined, "req");
      return putRequest.decide(context, { ...put, id, ...(key === null ? {} : { root: `k:${key}` }) });
    }
    const before = context.rows.get("request", [context.organizationId, put.id]);
    const done = putRequest.decide(context, put);
    const isChange = before !== null && put.problems.length === 0;
    const isFault = !done.ok && done.error.code === "validation-failed";
    if (!isChange || isFault || (done.ok && done.value.request.version === before.version)) return done;
    return err(refusal("id-used", `There is another payout request with the id ${put.id}.`));
  },
};

/** As PUT, but what is absent need not be said again; what is not there is not made. */
export const patchRequest: Handler<PutRequest, RequestRows> = {
  ...putRequest,
  name: "patch-payout-request",
  more(put, seen) {
    const existing = seen.rows.get("request", [seen.organizationId, put.id]);
    if (existing === null) return [];
    const customer = [seen.organizationId, existing.customerId];
    return [{ table: "customer", by: "primary", keys: [customer] }, ...(putRequest.more?.(put, seen) ?? [])];
  },
  decide(context, put) {
    const existing = context.rows.get("request", [context.organizationId, put.id]);
    if (existing === null) return err(refusal("not-found", "There is no such payout request."));
    const { websiteId, customerId, currency, amountMinor } = existing;
    const present = { websiteId, customerId, currency, amount: formatMajor(amountMinor, currency) };
    return putRequest.decide(context, { ...put, order: { ...present, ...put.order } });
  },
};
