// Method: the rules of recovery, case by case: who is asked, what an answer proves, when the gate may be opened.
import assert from "node:assert/strict";
import { test } from "node:test";
import { providerReference } from "../../src/core/ids.ts";
import type { Answer } from "../../src/core/news/answer.ts";
import {
  advance,
  askAgainTime,
  type CheckState,
  isFromBefore,
  lastLeaveTime,
  lostEndOf,
  mayHaveOtherParts,
  needsChecks,
  nextCheck,
  nextUnknownPart,
  type PartSearch,
  questionsOf,
  type RecoveryCheck,
  readCheck,
  resume,
  searchesOf,
  WATCH_MS,
  whyNotOpen,
} from "../../src/core/news/recovery.ts";
import { MAX_PARTS } from "../../src/core/order/parts.ts";
import type { Payout } from "../../src/core/order/payout.ts";

const EPOCH = 1_795_000_000;
const LOST_END = EPOCH * 1_000;
const W = 9_000;
const SHAPE = { alphabet: "abcdefghijklmnopqrstuvwxyz234567", maxLength: 32 };
const TRUTH = { waitWindowMs: W, isInquiryComplete: true, inquiryScheduleMs: [500, 5_000], addressedEpoch: null };
const ORDER = { root: "i:web:order-1", attemptsLimit: 3 };

function payout(more: Partial<Payout> = {}): Payout {
  const own = {
    organizationId: "org",
    part: 1,
    attempt: 1,
    providerAccountId: "a",
    status: "READY",
    lastLeaveTime: null,
  };
  const reference = referenceOf(more.attempt ?? 1);
  return { ...own, reference, createdTime: LOST_END + 1, ...more } as Payout;
}

const referenceOf = (attempt: number): string =>
  providerReference({ organizationId: "org", root: ORDER.root, part: 1, attempt }, SHAPE);

const accounts = ["a", "b"].map((providerAccountId) => ({ providerAccountId, reference: SHAPE }));
const absent: Answer = { sent: "unknown", fact: "unknown", resolution: "UNKNOWN", found: "no" };

test("only an epoch that followed another database has a lost window", () => {
  assert.equal(lostEndOf(1), null);
  assert.equal(lostEndOf(EPOCH), LOST_END);
  assert.equal(needsChecks(payout(), 1), false);
  assert.equal(isFromBefore(payout({ createdTime: 0 }), 1), false);
});

test("payouts from before, and of the 30 days after, are asked about before they are sent", () => {
  assert.equal(needsChecks(payout({ createdTime: LOST_END - 90 * WATCH_MS }), EPOCH), true);
  assert.equal(needsChecks(payout({ createdTime: LOST_END + WATCH_MS - 1 }), EPOCH), true);
  assert.equal(needsChecks(payout({ createdTime: LOST_END + WATCH_MS }), EPOCH), false);
  assert.equal(isFromBefore(payout({ createdTime: LOST_END - 1 }), EPOCH), true);
  assert.equal(isFromBefore(payout({ createdTime: LOST_END }), EPOCH), false);
});

test("every account is asked for every attempt that may have been made, the payout's own last", () => {
  const asked = questionsOf(payout(), ORDER, accounts);
  const places = asked.map(({ providerAccountId, attempt }) => `${providerAccountId}${attempt}`);
  assert.deepEqual(places, ["a2", "a3", "b1", "b2", "b3", "a1"]);
  for (const { attempt, reference } of asked) assert.equal(reference, referenceOf(attempt));
});

test("attempts that this database knows the end of are not asked for again", () => {
  const asked = questionsOf(payout({ attempt: 3, providerAccountId: "b" }), ORDER, accounts);
  assert.deepEqual(
    asked.map(({ providerAccountId, attempt }) => `${providerAccountId}${attempt}`),
    ["a3", "b3"],
  );
  assert.equal(questionsOf(payout({ attempt: 5 }), ORDER, accounts).length, 2, "the limit was lowered meanwhile");
});

test("the next question is the first without an answer that counts", () => {
  const check = (attempt: number, state: CheckState) => ({ attempt, state }) as RecoveryCheck;
  assert.equal(nextCheck([check(1, "absent"), check(2, "asked"), check(3, "due")])?.attempt, 2);
  assert.equal(nextCheck([check(1, "absent"), check(2, "found")]), null);
});

test("not found counts from the end of the lost window and W on, from a provider that lists everything", () => {
  const at = (askedTime: number) => ({ askedTime, epoch: EPOCH, order: { createdTime: LOST_END + 1 } });
  assert.equal(readCheck(absent, at(LOST_END + W + 1), TRUTH), "absent");
  assert.equal(readCheck(absent, at(LOST_END + W), TRUTH), "asked");
  assert.equal(readCheck(absent, at(LOST_END + W + 1), { ...TRUTH, isInquiryComplete: false }), "asked");
  assert.equal(readCheck(absent, at(LOST_END + W + 1), { ...TRUTH, waitWindowMs: null }), "asked");
});

test("whatever the provider knows of the order is found; what says nothing is asked again", () => {
  const late = { askedTime: LOST_END + W + 1, epoch: EPOCH, order: { createdTime: LOST_END + 1 } };
  for (const fact of ["accepted", "pending", "paid", "failed", "returned"] as const) {
    assert.equal(readCheck({ sent: "accepted", fact, resolution: "OK" }, late, TRUTH), "found", fact);
  }
  const vague: Answer = { sent: "unknown", fact: "unknown", resolution: "UNKNOWN" };
  assert.equal(readCheck(vague, late, TRUTH), "asked");
  assert.equal(
    readCheck({ ...vague, found: "yes" }, late, TRUTH),
    "found",
    "a state that nobody can read is there too",
  );
  assert.equal(askAgainTime({ tries: 1 }, 1_000, TRUTH), 6_000);
});

test("absence of a payout from before counts from the end of the lost window at the earliest", () => {
  const old = { createdTime: LOST_END - 60_000, status: "INVOKING", lastLeaveTime: LOST_END - 50_000 } as const;
  assert.equal(lastLeaveTime(payout(old), EPOCH), LOST_END);
  assert.equal(lastLeaveTime(payout({ ...old, lastLeaveTime: LOST_END + 5 }), EPOCH), LOST_END + 5, "sent again since");
  assert.equal(lastLeaveTime(payout({ ...old, status: "PROCESSED" }), EPOCH), old.lastLeaveTime);
  assert.equal(lastLeaveTime(payout({ ...old, createdTime: LOST_END }), EPOCH), old.lastLeaveTime);
  assert.equal(lastLeaveTime(payout(old), 1), old.lastLeaveTime);
});

test("the gate opens when the list is complete and nothing on it is to do", () => {
  const progress = { listed: 3, inquired: 2, inModeration: 1, toDo: 0 };
  assert.equal(whyNotOpen(true, progress), null);
  assert.match(whyNotOpen(false, progress) ?? "", /list/);
  assert.match(whyNotOpen(true, { ...progress, inModeration: 0, toDo: 1 }) ?? "", /1 of 3/);
});

test("other parts are possible where an order may be split, and where people allocate", () => {
  assert.equal(mayHaveOtherParts({ isSplit: false, invoiceId: "inv" }), false);
  assert.equal(mayHaveOtherParts({ isSplit: true, invoiceId: "inv" }), true);
  assert.equal(mayHaveOtherParts({ isSplit: false, invoiceId: null }), true);
  const places = searchesOf({ attempts: 2 }, accounts).map((each) => `${each.providerAccountId}${each.attempt}`);
  assert.deepEqual(places, ["a1", "a2", "b1", "b2"]);
});

test("a search leaves out what this database can account for, and nothing else", () => {
  const known = (part: number, attempt = 1, areLaterAsked = false) => ({ part, attempt, areLaterAsked });
  assert.equal(nextUnknownPart([], 1, 1), 1);
  assert.equal(nextUnknownPart([known(1), known(2)], 1, 1), 3);
  assert.equal(nextUnknownPart([known(1)], 2, 1), 1, "its next attempt may have been forgotten");
  assert.equal(nextUnknownPart([known(1, 1, true)], 2, 1), 2, "it was asked about together with the first");
  assert.equal(nextUnknownPart([known(1, 2, true)], 1, 1), 1, "an attempt before the known one may have been sent");
  assert.equal(nextUnknownPart([known(1, 1), known(1, 2, true)], 3, 1), 2);
  assert.equal(nextUnknownPart([known(MAX_PARTS)], 1, MAX_PARTS), null);
});

test("a search goes on to the next part when one is absent, and ends at the last or where one is found", () => {
  const search = { attempt: 1, part: 98, state: "asked", fact: null, tries: 3, version: 7 } as PartSearch;
  const absent = { part: 98, state: "absent", fact: null } as const;
  const found = { part: 98, state: "found", fact: "paid" } as const;
  const next = advance(search, absent, []);
  assert.deepEqual([next.part, next.state, next.tries, next.version], [99, "due", 0, 8]);
  const last = advance({ ...search, part: MAX_PARTS }, { ...absent, part: MAX_PARTS }, []);
  assert.deepEqual([last.part, last.state], [MAX_PARTS, "absent"]);
  const again = advance(search, { part: 98, state: "asked", fact: "unknown" }, []);
  assert.deepEqual([again.part, again.state, again.fact, again.tries], [98, "asked", null, 3]);
  const made = { part: 98, attempt: 1, areLaterAsked: true };
  const isMade = resume(search, [made]);
  assert.deepEqual([isMade.part, isMade.state, isMade.tries], [99, "due", 0], "it was made here meanwhile");
  assert.equal(isMade.version, search.version + 1);
  assert.equal(resume(search, [{ ...made, part: 97 }]), search);
  const stopped = advance(search, found, []);
  assert.deepEqual([stopped.part, stopped.state, stopped.fact], [98, "found", "paid"]);
  assert.equal(advance(stopped, absent, []), stopped, "what is found stays found");
  assert.equal(advance(search, { ...absent, part: 97 }, []), search, "an older answer says nothing new");
  const late = advance(search, { ...found, part: 97 }, []);
  assert.deepEqual([late.part, late.state], [97, "found"], "unless it found something");
});
