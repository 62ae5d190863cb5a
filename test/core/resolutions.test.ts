// Method: every resolution is met by every sub-operation of a payout. What must follow is written here by hand, from
// the rules of docs/domain.md (Resolution); nothing of it is taken from the table in src/core/news/resolution.ts.
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { RESOLUTIONS, type Resolution } from "../../src/core/news/resolution.ts";
import { askCancel, askRevoke, openReversal } from "../../src/core/news/reversal.ts";
import { allocate } from "../../src/core/order/allocation.ts";
import { processPayout, repeatPayout } from "../../src/core/order/moderation.ts";
import { invoke } from "../../src/core/order/payout-plan.ts";
import { patchRequest } from "../../src/core/order/story.ts";
import { Telling, TRUTH } from "./stories.ts";

/** What a definitive no at the door says about the order: ask; another route; or nothing helps. */
type AtTheDoor = "ask" | "other route" | "stop";

interface Expected {
  readonly door: AtTheDoor;
  /** A final negative that is reported later is a proof whatever its reason; some reasons hold for every route. */
  readonly reported: "other route" | "stop";
  readonly shutsAccount?: true;
}

const ask: Expected = { door: "ask", reported: "other route" };
const other: Expected = { door: "other route", reported: "other route" };
const stop: Expected = { door: "stop", reported: "stop" };
const account: Expected = { ...other, shutsAccount: true };
// Words of our own routing. A provider that seems to say them has proven nothing at the door.
const routing: Expected = { door: "ask", reported: "stop" };

const EXPECTED: Readonly<Record<Resolution, Expected>> = {
  // No reason: a final no all the same, at the door and reported.
  OK: other,
  CONNECTION_ERROR: ask,
  PROVIDER_INTERNAL_ERROR: ask,
  CONNECTION_TIMEOUT_ERROR: ask,
  GENERAL_ERROR: ask,
  UNKNOWN: ask,
  INVALID_DETAILS: stop,
  INVALID_REQUEST: other,
  REQUEST_ERROR: other,
  INVALID_AMOUNT: other,
  INVALID_METHOD: other,
  INVALID_CREDENTIALS: account,
  FORBIDDEN_IP: account,
  SIGNATURE_ERROR: account,
  ACCESS_ERROR: account,
  ACCESS_DENIED: account,
  DUPLICATED_ID: ask,
  INSUFFICIENT_FUNDS: other,
  ANTIFRAUD_ERROR: stop,
  RECIPIENT_NOT_FOUND: stop,
  INVALID_RECIPIENT: stop,
  DECLINED_ERROR: other,
  GENERAL_FATAL_ERROR: other,
  LIMIT_VIOLATION: other,
  INTERNAL_ERROR: ask,
  OPERATION_EXPIRED: ask,
  PROCESSING_ERROR: ask,
  STRATEGY_RECEIVED_NO_ROUTES: routing,
  STRATEGY_CONFIGURED_ROUTES_WERE_FILTERED: routing,
  BLOCKED_BY_SCHEME: routing,
};

const CODES = Object.keys(EXPECTED) as Resolution[];
let cases = 0;

const REFUSED = { sent: "refused", fact: "failed" } as const;
const UNREADABLE = { sent: "unknown", fact: "unknown" } as const;

/** The payout that was there first, whatever has been made since. */
function first(story: Telling) {
  const [payout] = story.draft.payouts;
  assert.ok(payout !== undefined);
  return payout;
}

/** The money question is open: nothing has ended, nothing more is sent, the machine asks by itself. */
function assertKeptOpen(story: Telling, status: string, code: Resolution): void {
  const payout = first(story);
  assert.deepEqual(story.statuses, [status], code);
  assert.equal(payout.evidence, null, code);
  assert.equal(payout.moderationRequired, true, `${code}: the flag is set`);
  assert.equal(payout.sends, sendsOf(story), `${code}: nothing is sent`);
  const wake = story.wakes.get(`payout:${payout.id}`);
  assert.ok(wake !== undefined && !wake.isLease && wake.dueTime > story.now, `${code}: it is asked about by itself`);
  assert.deepEqual([...story.shut], [], `${code}: the account's gate stays open`);
}

/** How many leases to send were taken, by the postings and by repeats: `sent` is posted once. */
function sendsOf(story: Telling): number {
  const sent = story.postings.filter(({ cause }) => cause === "sent").length;
  return sent + story.repeats;
}

function assertEnded(story: Telling, status: string, next: "other route" | "stop", code: Resolution): void {
  const payout = first(story);
  assert.equal(payout.status, status, code);
  assert.equal(payout.resolution, code);
  assert.equal(payout.moderationRequired, false, code);
  if (next === "stop") {
    assert.deepEqual(story.statuses, [status], code);
    assert.equal(story.draft.request.dispatchStatus, "FAILED", code);
    assert.equal(story.invoice.status, "process_failed", code);
    assert.equal(story.invoice.resolution, code);
    assert.deepEqual(story.books, {}, `${code}: everything is back where it was`);
    return;
  }
  assert.deepEqual(story.statuses, [status, "INVOKING"], code);
  assert.equal(story.payout.routeId, "r2", code);
  assert.equal(story.payout.attempt, 2, code);
  assert.notEqual(story.payout.reference, payout.reference, code);
  assert.equal(story.invoice.status, "processing", code);
}

const OPERATIONS: Readonly<Record<string, (code: Resolution) => void>> = {
  "invoke, a listed no"(code) {
    const story = new Telling();
    story.answer({ ...REFUSED, resolution: code });
    const { door, shutsAccount } = EXPECTED[code];
    if (door === "ask") {
      assertKeptOpen(story, "INVOKING", code);
      assert.equal(first(story).resolution, code);
      assert.deepEqual(story.items, ["outcome_unknown"], code);
      return;
    }
    assertEnded(story, "INVOKE_FAILED", door, code);
    assert.equal(first(story).evidence, "D1", code);
    assert.deepEqual([...story.shut], shutsAccount ? ["acc_r1"] : [], code);
  },

  "invoke, not on the list"(code) {
    const story = new Telling();
    story.answer({ ...UNREADABLE, resolution: code });
    assertKeptOpen(story, "INVOKING", code);
    assert.equal(first(story).resolution, code);
    assert.deepEqual(story.items, ["outcome_unknown"], code);
    assert.equal(story.invoice.status, "process_pending", code);
  },

  "process, a failure that is reported"(code) {
    for (const how of ["callback", "inquiry"] as const) {
      const story = new Telling();
      story.answer({ fact: "accepted" });
      const answer = { sent: "accepted", fact: "failed", resolution: code, found: "yes" } as const;
      if (how === "callback") story.hear({ kind: "callback", answer });
      else story.hear({ kind: "answer", operation: "inquire", answer, askedTime: story.now });
      assertEnded(story, "PROCESS_FAILED", EXPECTED[code].reported, code);
      assert.equal(first(story).evidence, "D2", code);
      assert.equal(first(story).resolutionOf, "process", code);
    }
  },

  "inquire, refused"(code) {
    for (const sent of ["refused", "unknown"] as const) {
      const story = new Telling();
      story.answer({ fact: "accepted" }).later(500);
      const answer = { sent, fact: "unknown", resolution: code } as const;
      story.hear({ kind: "answer", operation: "inquire", answer, askedTime: story.now });
      assertKeptOpen(story, "PROCESSING", code);
      assert.equal(first(story).resolution, code);
      assert.equal(first(story).resolutionOf, "inquire", code);
      assert.deepEqual(story.items, [], `${code}: a failed inquiry is no item before the wait window is over`);
    }
  },

  "revoke, outcome unknown or refused"(code) {
    const lost = revoking();
    lost.hear({
      kind: "answer",
      operation: "revoke",
      answer: { ...UNREADABLE, resolution: code },
      askedTime: lost.now,
    });
    assertKeptOpen(lost, "REVOKING", code);
    assert.equal(first(lost).reversal, "unknown", code);
    assert.equal(first(lost).resolutionOf, "revoke", code);
    // What may hide that it was done is no refusal of a revoke or a cancel: only a definite no ends them.
    if (EXPECTED[code].door === "ask") return;
    const refused = revoking();
    const answer = { ...REFUSED, resolution: code };
    refused.hear({ kind: "answer", operation: "revoke", answer, askedTime: refused.now });
    // The revoke is over, the payout is not: its money is where it was, and it is asked about.
    assert.deepEqual(refused.statuses, ["REVOKE_FAILED"], code);
    assert.equal(first(refused).resolution, code);
    assert.equal(first(refused).evidence, null, code);
    assert.equal(refused.books["in_flight:dep_r1:USD"], 10_000n, code);
    assert.equal(refused.invoice.status, "process_pending", code);
    assert.ok((refused.wakes.get("payout:p1")?.dueTime ?? 0) > refused.now, code);
    assert.deepEqual([...refused.shut], [], code);
  },

  "cancel, outcome unknown or refused"(code) {
    const lost = canceling();
    lost.hear({
      kind: "answer",
      operation: "cancel",
      answer: { ...UNREADABLE, resolution: code },
      askedTime: lost.now,
    });
    assertKeptOpen(lost, "CANCELLING", code);
    assert.equal(first(lost).reversal, "unknown", code);
    assert.equal(first(lost).resolutionOf, "cancel", code);
    assert.equal(lost.invoice.status, "refund_pending", code);
    if (EXPECTED[code].door === "ask") return;
    const refused = canceling();
    const answer = { ...REFUSED, resolution: code };
    refused.hear({ kind: "answer", operation: "cancel", answer, askedTime: refused.now });
    assert.deepEqual(refused.statuses, ["CANCEL_FAILED"], code);
    assert.equal(first(refused).resolution, code);
    assert.equal(refused.draft.request.dispatchStatus, "CANCEL_FAILED", code);
    assert.equal(refused.invoice.status, "refund_failed", code);
    assert.equal(refused.draft.request.paidMinor, 10_000n, `${code}: the payee keeps the money`);
    assert.deepEqual([...refused.shut], [], code);
  },

  "repeat, refused or unknown"(code) {
    for (const answer of [REFUSED, UNREADABLE]) {
      const story = new Telling();
      story.hear({ kind: "lost", operation: "invoke", resolution: "CONNECTION_TIMEOUT_ERROR" }).later(9_001);
      const truth = { ...TRUTH, isRepeatHarmless: true, retentionMs: 1e9 };
      assert.equal(
        story.act((draft) => repeatPayout(draft, "p1", truth)),
        null,
      );
      story.act((draft) => invoke(draft, "p1", TRUTH));
      story.repeats += 1;
      story.answer({ ...answer, resolution: code });
      // Whatever the provider says about the second request, the first may have been paid.
      assertKeptOpen(story, "INVOKING", code);
      assert.equal(first(story).sends, 2);
      assert.equal(first(story).resolution, code);
    }
  },
};

function revoking(): Telling {
  const story = new Telling();
  story.answer({ fact: "accepted" });
  story.act((draft) => askRevoke(draft, "p1", "stop"));
  story.act((draft) => openReversal(draft, "p1", TRUTH));
  return story.later(500);
}

function canceling(): Telling {
  const story = new Telling();
  story.answer({ fact: "paid" });
  story.act((draft) => askCancel(draft, "p1", null));
  story.act((draft) => openReversal(draft, "p1", TRUTH));
  return story.later(500);
}

for (const [name, meet] of Object.entries(OPERATIONS)) {
  test(`${name}: every resolution leads where its rule says`, () => {
    for (const code of CODES) {
      meet(code);
      cases += 1;
    }
  });
}

test("the table above names every resolution, and nothing else", () => {
  assert.deepEqual(CODES.toSorted(), Object.keys(RESOLUTIONS).toSorted());
  assert.equal(CODES.length, 30);
});

test("details that were refused: a bare request waits for others, and a person lets it go on with them", () => {
  const story = new Telling({ isBare: true, isLeftToPeople: true });
  const allocateAndStart = (): void => {
    const payout = story.act((draft, world) => allocate(draft, world, { amountMinor: 10_000n, routeId: "r1" }));
    assert.ok(typeof payout !== "string", "it is allocated");
    assert.equal(
      story.act((draft, world) => processPayout(draft, world, payout.id)),
      null,
    );
  };
  allocateAndStart();
  story.answer({ ...REFUSED, resolution: "INVALID_DETAILS" });
  assert.deepEqual(story.statuses, ["INVOKE_FAILED"]);
  assert.equal(story.draft.request.dispatchStatus, "WAITING_DETAILS");
  story.act((draft) => patchRequest(draft, { areDetailsRefused: false, paymentInstrumentId: "pin_2" }));
  assert.equal(story.draft.request.dispatchStatus, "READY");
  allocateAndStart();
  story.answer({ fact: "paid" });
  assert.deepEqual(story.statuses, ["INVOKE_FAILED", "PROCESSED"]);
  assert.equal(story.draft.request.dispatchStatus, "PROCESSED");
});

test("an account that was refused carries nothing more, and the order goes by the others", () => {
  const story = new Telling({ routes: ["r1", "r1b", "r2"] });
  story.answer({ ...REFUSED, resolution: "FORBIDDEN_IP" });
  assert.equal(story.payout.routeId, "r1b");
  assert.deepEqual([...story.shut], ["acc_r1"]);
});

after(() => {
  assert.equal(cases, 30 * 7, "30 resolutions met by 7 sub-operations");
});
