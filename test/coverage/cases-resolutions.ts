/** Every resolution that a provider can give for refusing an order, and what it does to the next attempt. */
import assert from "node:assert/strict";
import { RESOLUTIONS, type Resolution, resolutionRow } from "../../src/core/news/resolution.ts";
import { type Case, payout } from "./cases.ts";
import type { Stage } from "./stage.ts";

/** The answer is a clear no, so it is over at once. */
async function refusedFor(stage: Stage, resolution: Resolution, shutsAccount: boolean): Promise<void> {
  const place = shutsAccount ? await stage.place() : stage.plain;
  const test = { payout_status: "INVOKE_FAILED", payout_resolution: resolution };
  const order = await stage.order({ place, test, more: { attemptsLimit: 1 } });
  const invoice = await order.is("process_failed");
  const { evidence, resolution: why } = await order.payoutNow();
  assert.deepEqual([evidence, why, invoice.resolution], ["D1", resolution, resolution]);
  if (shutsAccount) assert.equal(await stage.gateOf(place), "shut");
}

/** Money may have moved: it is held and asked about, until it is proven that nothing has. */
async function unsureFor(stage: Stage, resolution: Resolution): Promise<void> {
  const test = { payout_status: "INVOKE_FAILED", payout_resolution: resolution };
  const order = await stage.order({ test, more: { attemptsLimit: 1 } });
  const unsure = await order.until((seen) => seen.moderationRequired);
  assert.deepEqual([unsure.status, unsure.payouts[0]?.resolution], ["process_pending", resolution]);
  // What its provider has shown once, in a word of no table, was there: "not found" is no proof, a person has one.
  const isShown = resolution === "UNKNOWN";
  if (isShown) {
    await order.until(({ payouts }) => (payouts[0]?.inquiries ?? 0) > 5);
    await order.evidence("not_paid");
  }
  await order.is("process_failed");
  const { evidence, resolution: why } = await order.payoutNow();
  assert.deepEqual([evidence, why], [isShown ? "D4" : "D3", resolution]);
}

const ofProviders = Object.keys(RESOLUTIONS)
  .map((name) => name as Resolution)
  .filter((name) => resolutionRow(name).group !== "ROUTING");

export const RESOLUTION_CASES: readonly Case[] = ofProviders.map((name) => {
  const { mayHaveMoved, shutsAccount = false } = resolutionRow(name);
  const isUnsure = mayHaveMoved === true;
  return {
    name: isUnsure ? `${name}: nobody knows, until it is proven` : `${name}: a clear no`,
    shows: payout("INVOKING>INVOKE_FAILED"),
    run: (stage) => (isUnsure ? unsureFor(stage, name) : refusedFor(stage, name, shutsAccount)),
  };
});
