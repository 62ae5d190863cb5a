/** How every scenario must go: what the first request is answered, what the book and an inquiry say in the end. */
import type { SCENARIOS } from "../../src/sandbox/scenarios.ts";

export type Name = keyof typeof SCENARIOS;

export interface Expected {
  /** "200 status", "http error", "silence" or "unreadable". */
  readonly answer: string;
  /** Asked when the operation has this status, as often as there are answers. */
  readonly ask?: readonly ["revoke" | "cancel", at: string, ...answers: string[]];
  /** Status, effective, paid, returned; null: not in the book. */
  readonly ends: readonly [string, number, string, string] | null;
  /** Of an inquiry at the end. */
  readonly inquiry: string;
  /** Statuses of the callbacks in the order in which they came; a forged one is marked. */
  readonly callbacks: readonly string[];
}

const PAID = ["paid", 1, "100.78", "0.00"] as const;
const PART = ["paid_part", 1, "60.46", "0.00"] as const;
const NOTHING = ["0.00", "0.00"] as const;
const QUEUED = ["queued", 0, ...NOTHING] as const;
const FAILED = ["failed", 0, ...NOTHING] as const;
const RECALLED = ["recalled", 0, ...NOTHING] as const;
const BACK = ["returned", 1, "100.78", "100.78"] as const;
const RECALL = ["revoke", "queued", "200 recalled"] as const;
const REFUSE = ["revoke", "queued", "409 revoke_refused"] as const;
const LIMITED = "429 rate_limited";

export const EXPECTED: Readonly<Record<Name, Expected>> = {
  ok: { answer: "200 accepted", ends: PAID, inquiry: "200 paid", callbacks: ["paid"] },
  ok_sync: { answer: "200 paid", ends: PAID, inquiry: "200 paid", callbacks: [] },
  slow: { answer: "200 accepted", ends: PAID, inquiry: "200 paid", callbacks: ["paid"] },
  pending_paid: { answer: "200 accepted", ends: PAID, inquiry: "200 paid", callbacks: ["queued", "paid"] },
  timeout_paid: { answer: "silence", ends: PAID, inquiry: "200 paid", callbacks: [] },
  reset_paid: { answer: "silence", ends: PAID, inquiry: "200 paid", callbacks: [] },
  http_500_paid: { answer: "500 internal_fault", ends: PAID, inquiry: "200 paid", callbacks: [] },
  unreadable_paid: { answer: "unreadable", ends: PAID, inquiry: "200 paid", callbacks: [] },
  refused: { answer: "422 declined", ends: ["refused", 0, ...NOTHING], inquiry: "404 not_found", callbacks: [] },
  pending_failed: {
    answer: "200 accepted",
    ends: ["failed", 0, ...NOTHING],
    inquiry: "200 failed",
    callbacks: ["failed"],
  },
  timeout_absent: { answer: "silence", ends: null, inquiry: "404 not_found", callbacks: [] },
  http_500_absent: { answer: "500 internal_fault", ends: null, inquiry: "404 not_found", callbacks: [] },
  unknown_word: {
    answer: "200 frobnicated",
    ends: ["frobnicated", 1, "100.78", "0.00"],
    inquiry: "200 frobnicated",
    callbacks: [],
  },
  duplicate_id: { answer: "409 duplicate_reference", ends: PAID, inquiry: "200 paid", callbacks: [] },
  rate_limited: { answer: "429 rate_limited", ends: null, inquiry: "404 not_found", callbacks: [] },
  callback_lost: { answer: "200 accepted", ends: PAID, inquiry: "200 paid", callbacks: [] },
  callback_doubled: { answer: "200 accepted", ends: PAID, inquiry: "200 paid", callbacks: ["paid", "paid"] },
  callback_swapped: { answer: "200 accepted", ends: PAID, inquiry: "200 paid", callbacks: ["paid", "accepted"] },
  callback_forged: {
    answer: "200 accepted",
    ends: PAID,
    inquiry: "200 paid",
    callbacks: ["forged failed", "forged paid", "paid"],
  },
  callback_before_answer: { answer: "200 accepted", ends: PAID, inquiry: "200 paid", callbacks: ["paid"] },
  wrong_amount: {
    answer: "200 accepted",
    ends: ["paid", 1, "110.85", "0.00"],
    inquiry: "200 paid",
    callbacks: ["paid"],
  },
  inquiry_401: { answer: "silence", ends: PAID, inquiry: "401 unauthorized", callbacks: [] },
  inquiry_404_then_paid: { answer: "silence", ends: PAID, inquiry: "200 paid", callbacks: [] },
  repeat_refused: { answer: "silence", ends: PAID, inquiry: "500 internal_fault", callbacks: [] },
  partial: {
    answer: "200 accepted",
    ends: ["paid_part", 1, "60.46", "0.00"],
    inquiry: "200 paid_part",
    callbacks: ["paid_part"],
  },
  partial_then_rest: { answer: "200 accepted", ends: PAID, inquiry: "200 paid", callbacks: ["queued", "paid"] },
  late_return: {
    answer: "200 accepted",
    ends: BACK,
    inquiry: "200 returned",
    callbacks: ["paid", "returning", "returned"],
  },
  return_part: {
    answer: "200 accepted",
    ends: ["returned_part", 1, "100.78", "40.31"],
    inquiry: "200 returned_part",
    callbacks: ["paid", "returned_part"],
  },
  return_twice: {
    answer: "200 accepted",
    ends: BACK,
    inquiry: "200 returned",
    callbacks: ["paid", "returned_part", "returned"],
  },
  late_paid: { answer: "200 accepted", ends: PAID, inquiry: "200 paid", callbacks: ["failed", "paid"] },
  refused_then_paid: { answer: "422 declined", ends: PAID, inquiry: "200 paid", callbacks: ["paid"] },
  paid_more: { answer: "200 accepted", ends: ["paid", 1, "120.93", "0.00"], inquiry: "200 paid", callbacks: ["paid"] },
  revoke_ok: {
    answer: "200 queued",
    ask: ["revoke", "queued", "200 recalled"],
    ends: ["recalled", 0, ...NOTHING],
    inquiry: "200 recalled",
    callbacks: ["recalled"],
  },
  revoke_refused: {
    answer: "200 queued",
    ask: ["revoke", "queued", "409 revoke_refused"],
    ends: PAID,
    inquiry: "200 paid",
    callbacks: ["paid"],
  },
  revoke_then_paid: {
    answer: "200 queued",
    ask: ["revoke", "queued", "200 recalled"],
    ends: PAID,
    inquiry: "200 paid",
    callbacks: ["recalled", "paid"],
  },
  cancel_ok: {
    answer: "200 accepted",
    ask: ["cancel", "paid", "200 returned"],
    ends: BACK,
    inquiry: "200 returned",
    callbacks: ["paid", "returned"],
  },
  cancel_refused: {
    answer: "200 accepted",
    ask: ["cancel", "paid", "409 cancel_refused"],
    ends: PAID,
    inquiry: "200 paid",
    callbacks: ["paid"],
  },
  cancel_timeout: {
    answer: "200 accepted",
    ask: ["cancel", "paid", "silence"],
    ends: BACK,
    inquiry: "200 returned",
    callbacks: ["paid"],
  },
  needs_details: {
    answer: "200 held",
    ends: ["held", 0, ...NOTHING],
    inquiry: "200 held",
    callbacks: ["held"],
  },

  partial_sync: { answer: "200 paid_part", ends: PART, inquiry: "200 paid_part", callbacks: [] },
  pending_partial: { answer: "200 accepted", ends: PART, inquiry: "200 paid_part", callbacks: ["queued", "paid_part"] },
  pending_queued_failed: {
    answer: "200 accepted",
    ends: FAILED,
    inquiry: "200 failed",
    callbacks: ["queued", "failed"],
  },
  queued_accepted_paid: { answer: "200 queued", ends: PAID, inquiry: "200 paid", callbacks: ["accepted", "paid"] },
  partial_then_paid: { answer: "200 accepted", ends: PAID, inquiry: "200 paid", callbacks: ["paid_part", "paid"] },
  partial_returned: {
    answer: "200 accepted",
    ends: ["returned", 1, "60.46", "60.46"],
    inquiry: "200 returned",
    callbacks: ["paid_part", "returned"],
  },
  paid_again: {
    answer: "200 accepted",
    ends: ["paid", 1, "201.56", "100.78"],
    inquiry: "200 paid",
    callbacks: ["paid", "returned", "paid"],
  },
  queued_again: {
    answer: "200 accepted",
    ends: ["paid", 1, "201.56", "100.78"],
    inquiry: "200 paid",
    callbacks: ["paid", "returned", "queued", "paid"],
  },
  late_refused_queued: { answer: "422 declined", ends: QUEUED, inquiry: "200 queued", callbacks: ["queued"] },
  late_refused_paid: { answer: "422 declined", ends: PAID, inquiry: "200 paid", callbacks: ["paid"] },
  late_refused_part: { answer: "422 declined", ends: PART, inquiry: "200 paid_part", callbacks: ["paid_part"] },
  late_failed_queued: { answer: "200 accepted", ends: QUEUED, inquiry: "200 queued", callbacks: ["failed", "queued"] },
  late_failed_paid: { answer: "200 accepted", ends: PAID, inquiry: "200 paid", callbacks: ["failed", "paid"] },
  late_failed_part: {
    answer: "200 accepted",
    ends: PART,
    inquiry: "200 paid_part",
    callbacks: ["failed", "paid_part"],
  },
  late_recalled_queued: {
    answer: "200 queued",
    ask: RECALL,
    ends: QUEUED,
    inquiry: "200 queued",
    callbacks: ["recalled", "queued"],
  },
  late_recalled_paid: {
    answer: "200 queued",
    ask: RECALL,
    ends: PAID,
    inquiry: "200 paid",
    callbacks: ["recalled", "paid"],
  },
  late_recalled_part: {
    answer: "200 queued",
    ask: RECALL,
    ends: PART,
    inquiry: "200 paid_part",
    callbacks: ["recalled", "paid_part"],
  },
  late_limited_queued: { answer: "429 rate_limited", ends: QUEUED, inquiry: "200 queued", callbacks: ["queued"] },
  late_limited_paid: { answer: "429 rate_limited", ends: PAID, inquiry: "200 paid", callbacks: ["paid"] },
  late_limited_part: { answer: "429 rate_limited", ends: PART, inquiry: "200 paid_part", callbacks: ["paid_part"] },
  timeout_revoke_ok: {
    answer: "silence",
    ask: RECALL,
    ends: RECALLED,
    inquiry: "500 internal_fault",
    callbacks: ["recalled"],
  },
  revoke_refused_part: {
    answer: "200 queued",
    ask: REFUSE,
    ends: PART,
    inquiry: "200 paid_part",
    callbacks: ["paid_part"],
  },
  revoke_refused_failed: {
    answer: "200 queued",
    ask: REFUSE,
    ends: FAILED,
    inquiry: "200 failed",
    callbacks: ["failed"],
  },
  revoke_refused_recalled: {
    answer: "200 queued",
    ask: REFUSE,
    ends: RECALLED,
    inquiry: "200 recalled",
    callbacks: ["recalled"],
  },
  revoke_later: {
    answer: "200 queued",
    ask: ["revoke", "queued", LIMITED, LIMITED, "200 recalled", "200 recalled"],
    ends: RECALLED,
    inquiry: "200 recalled",
    callbacks: ["recalled"],
  },
  revoke_slow: {
    answer: "200 queued",
    ask: ["revoke", "queued", "200 queued", "200 queued"],
    ends: RECALLED,
    inquiry: "200 recalled",
    callbacks: ["recalled"],
  },
  revoke_lost: {
    answer: "200 queued",
    ask: ["revoke", "queued", "silence", "silence"],
    ends: QUEUED,
    inquiry: "200 queued",
    callbacks: [],
  },
  revoke_timeout: {
    answer: "200 queued",
    ask: ["revoke", "queued", "silence"],
    ends: RECALLED,
    inquiry: "200 recalled",
    callbacks: [],
  },
  cancel_later: {
    answer: "200 accepted",
    ask: ["cancel", "paid", LIMITED, LIMITED, "200 returned", "200 returned"],
    ends: BACK,
    inquiry: "200 returned",
    callbacks: ["paid", "returned"],
  },
  cancel_slow: {
    answer: "200 accepted",
    ask: ["cancel", "paid", "200 returning", "200 returning"],
    ends: BACK,
    inquiry: "200 returned",
    callbacks: ["paid", "returned"],
  },
  cancel_lost: {
    answer: "200 accepted",
    ask: ["cancel", "paid", "silence", "silence"],
    ends: PAID,
    inquiry: "200 paid",
    callbacks: ["paid"],
  },
  cancel_refused_then_returned: {
    answer: "200 accepted",
    ask: ["cancel", "paid", "409 cancel_refused"],
    ends: BACK,
    inquiry: "200 returned",
    callbacks: ["paid", "returned"],
  },
  cancel_slow_refused: {
    answer: "200 accepted",
    ask: ["cancel", "paid", "200 returning"],
    ends: PAID,
    inquiry: "200 paid",
    callbacks: ["paid", "paid"],
  },
};
