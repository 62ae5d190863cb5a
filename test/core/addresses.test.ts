// Method: an order whose provider account gets another address, other settings or other credentials while it is under
// way: what still proves something afterwards, and what does not.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Answer } from "../../src/core/news/answer.ts";
import { isAddressKept } from "../../src/core/news/doubt.ts";
import { hear } from "../../src/core/news/news.ts";
import { canDeny, readCheck, WATCH_MS } from "../../src/core/news/recovery.ts";
import { askCancel, askRevoke, openReversal } from "../../src/core/news/reversal.ts";
import { advance } from "../../src/core/order/dispatch.ts";
import { repeatPayout } from "../../src/core/order/moderation.ts";
import { adopt, invoke } from "../../src/core/order/payout-plan.ts";
import { Telling, TRUTH } from "./stories.ts";

const ABSENT: Answer = { sent: "unknown", fact: "unknown", resolution: "UNKNOWN", found: "no" };
const PAID: Answer = { sent: "accepted", fact: "paid", resolution: "OK" };
const W = TRUTH.waitWindowMs ?? 0;
const SPAN = TRUTH.leaseMs - TRUTH.leaseMarginMs;

/** An order whose first answer was lost. */
function lost(): Telling {
  return new Telling().hear({ kind: "lost", operation: "invoke", resolution: "CONNECTION_TIMEOUT_ERROR" });
}

/** The provider answers an inquiry; its account was last addressed otherwise at this instant. */
function inquired(story: Telling, answer: Answer, addressedTime: number | null): Telling {
  const truth = { ...TRUTH, addressedTime, addressedEpoch: 1 };
  hear(story.draft, "p1", { kind: "answer", operation: "inquire", answer, askedTime: story.now }, truth);
  advance(story.draft, story.world());
  return story.save();
}

test("what left at the instant of a change may have gone to the old address", () => {
  assert.equal(isAddressKept({ addressedTime: null }, null), true);
  assert.equal(isAddressKept({ addressedTime: 5 }, 6), true);
  assert.equal(isAddressKept({ addressedTime: 5 }, 5), false);
  assert.equal(isAddressKept({ addressedTime: 5 }, null), false);
});

test("not found is evidence D3 only where everything was sent that may have arrived", () => {
  const sent = new Telling().now;
  for (const addressedTime of [null, sent - 1]) {
    const story = inquired(lost().later(W + 1), ABSENT, addressedTime);
    assert.equal(story.draft.payouts[0]?.evidence, "D3");
    assert.deepEqual(story.statuses, ["INVOKE_FAILED", "INVOKING"]);
  }
  for (const addressedTime of [sent, sent + 1, sent + W]) {
    const story = inquired(lost().later(W + 1), ABSENT, addressedTime);
    assert.deepEqual(story.statuses, ["INVOKING"]);
    assert.deepEqual([story.payout.evidence, story.payout.moderationRequired], [null, true]);
    assert.deepEqual(story.openItems, [{ subject: "p1", reason: "outcome_unknown" }]);
    assert.ok(story.wakes.has("payout:p1"), "it is asked on");
  }
});

test("what is known there counts as ever", () => {
  const story = lost().later(W + 1);
  inquired(inquired(story, ABSENT, story.now - 1), PAID, story.now - 1);
  assert.deepEqual(story.statuses, ["PROCESSED"]);
  assert.deepEqual(story.openItems, []);
});

test("a request that was surely not sent needs no care: what may have arrived left after the change", () => {
  const story = new Telling();
  const notNow = { sent: "not_now", fact: "unknown", resolution: "GENERAL_ERROR" } as const;
  const addressedTime = story.answer(notNow).later(1_000).now;
  story.later(1).act((draft) => invoke(draft, "p1", TRUTH));
  assert.equal(story.payout.firstSendTime, story.now);
  assert.equal(story.postings.filter(({ cause }) => cause === "sent").length, 1, "it is posted once all the same");
  story.hear({ kind: "lost", operation: "invoke", resolution: "CONNECTION_TIMEOUT_ERROR" });
  inquired(story.later(W + 1), ABSENT, addressedTime);
  assert.equal(story.draft.payouts[0]?.evidence, "D3");
});

test("what is taken over from a lost commit was sent as early as may be", () => {
  const story = new Telling({ isHeld: true }).later(5_000);
  story.act((draft) => adopt(draft, "p1"));
  assert.equal(story.payout.firstSendTime, story.payout.createdTime);
});

test("an order to be pulled back that is not found elsewhere is not believed gone", () => {
  for (const [addressedTime, status] of [[-1, "REVOKED"] as const, [1, "REVOKING"] as const]) {
    const story = lost().later(1);
    const change = story.now + addressedTime - 1;
    story.act((draft) => askRevoke(draft, "p1", "stop"));
    inquired(story.later(W + 1), ABSENT, change);
    assert.deepEqual(story.statuses, [status]);
  }
});

test("a reversal is not believed lost by what another address shows", () => {
  for (const isPaid of [true, false]) {
    const before = new Telling().answer({ fact: isPaid ? "paid" : "accepted" }).later(60_000);
    const shown: Answer = isPaid ? PAID : { ...PAID, fact: "accepted" };
    const asked = () => {
      const story = new Telling().answer({ fact: isPaid ? "paid" : "accepted" }).later(60_000);
      story.act((draft) => (isPaid ? askCancel(draft, "p1", null) : askRevoke(draft, "p1", "stop")));
      story.act((draft) => openReversal(draft, "p1", TRUTH));
      const operation = isPaid ? ("cancel" as const) : ("revoke" as const);
      // The holder reports when all of its lease has run: the request left at any time since.
      story.later(SPAN).hear({ kind: "lost", operation, resolution: "CONNECTION_TIMEOUT_ERROR" });
      return story.later(W + 1);
    };
    const kept = inquired(asked(), shown, before.now - 1);
    assert.deepEqual(kept.statuses, [isPaid ? "CANCEL_FAILED" : "REVOKE_FAILED"]);
    for (const addressedTime of [before.now, before.now + SPAN - 1, before.now + SPAN + W]) {
      const story = inquired(asked(), shown, addressedTime);
      assert.deepEqual(story.statuses, [isPaid ? "CANCELLING" : "REVOKING"]);
      assert.equal(story.payout.moderationRequired, true);
      assert.deepEqual(story.openItems, [{ subject: "p1", reason: "outcome_unknown" }]);
      inquired(story, { ...PAID, fact: isPaid ? "returned" : "paid" }, addressedTime);
      assert.deepEqual(story.statuses, [isPaid ? "CANCELLED" : "PROCESSED"], "what is known there counts as ever");
      assert.deepEqual(story.openItems, []);
    }
  }
});

test("the same bytes do not go to another address", () => {
  const story = lost().later(W + 1);
  const { firstSendTime } = story.payout;
  const truth = { ...TRUTH, isRepeatHarmless: true, retentionMs: 1e9, addressedEpoch: 1 };
  const repeat = (addressedTime: number | null) =>
    repeatPayout(story.draft, "p1", { ...truth, addressedTime: addressedTime });
  assert.equal(repeat(firstSendTime), "readdressed");
  assert.equal(repeat((firstSendTime ?? 0) - 1), null);
});

test("a restore: absence counts unless the account was addressed otherwise since a loss that the order may be of", () => {
  const epoch = 1_795_000_000;
  const lostEnd = epoch * 1_000;
  const asked = { askedTime: lostEnd + W + 1, epoch };
  const order = { createdTime: lostEnd + 1 };
  const heard = (addressedEpoch: number | null, at = asked, about = order) =>
    readCheck(ABSENT, { ...at, order: about }, { ...TRUTH, addressedEpoch });
  assert.equal(heard(null), "absent");
  assert.equal(heard(1), "absent", "it was so when the lost window began");
  assert.equal(heard(epoch), "asked", "what was forgotten was sent before the change");
  // A person has said that the old database acted longer: the change was made here nevertheless.
  const later = { askedTime: lostEnd + 600_000 + W + 1, epoch: epoch + 600 };
  assert.equal(heard(epoch, later), "asked");
  // A second restore, later: what the first one lost still counts for orders of then, and for no newer ones.
  const again = { askedTime: lostEnd + 2 * WATCH_MS + W + 1, epoch: epoch + (2 * WATCH_MS) / 1_000 };
  assert.equal(heard(epoch, again), "asked");
  assert.equal(heard(epoch, again, { createdTime: lostEnd + WATCH_MS }), "absent");
  assert.equal(readCheck(PAID, { ...asked, order }, { ...TRUTH, addressedEpoch: epoch }), "found");
  assert.equal(canDeny({ ...TRUTH, addressedEpoch: 1 }, "yes", order), true);
  assert.equal(canDeny({ ...TRUTH, addressedEpoch: epoch }, "yes", order), false);
});
