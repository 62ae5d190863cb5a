/**
 * What the sandbox provider can do to an order: one row per scenario. A row is a plan of steps; the server and the
 * book carry plans out and know no scenario by name, so a new scenario is a new row.
 */
import {
  accepted,
  type CommandPlan,
  type DelayWord,
  declined,
  error,
  fault,
  paidLate,
  paidNow,
  paidSilently,
  paidSoon,
  queued,
  rateLimited,
  refusedNow,
  returnedNow,
  type ScenarioPlan,
  type StepPlan,
  shown,
  silent,
  step,
  withheld,
} from "./plans.ts";

const failedSoon = step(["callback"], "failed", { code: "declined" });
const queuedSoon = step(["callback"], "queued");
const partSoon = step(["callback"], "paid_part", { paid: 60 });
const partLate = step(["late"], "paid_part", { paid: 60 });
const returnedLate = step(["late"], "returned", { returned: "all" });
const returningNow = step([], "returning", silent);
const recalledNow = step([], "recalled");
const revokeRefused = error(409, "revoke_refused");

/** What is in the provider's book late, after an end that said that nothing would be. */
const SECOND_THOUGHTS = {
  queued: (after: readonly DelayWord[]) => step(after, "queued"),
  paid: (after: readonly DelayWord[]) => step(after, "paid", { paid: 100 }),
  part: (after: readonly DelayWord[]) => step(after, "paid_part", { paid: 60 }),
} as const;

const THEN_DOC = { queued: "queued after all", paid: "paid after all", part: "60 % paid after all" } as const;

type Then = keyof typeof SECOND_THOUGHTS;

function lateRefused(then: Then): ScenarioPlan {
  const steps = [refusedNow, SECOND_THOUGHTS[then](["late"])];
  return { doc: `Declined in the answer, then ${THEN_DOC[then]}.`, answer: declined, steps };
}

function lateFailed(then: Then): ScenarioPlan {
  const steps = [accepted, failedSoon, SECOND_THOUGHTS[then](["callback", "late"])];
  return { doc: `Failed by callback, then ${THEN_DOC[then]}.`, answer: shown, steps };
}

function lateRecalled(then: Then): ScenarioPlan {
  const steps = [recalledNow, SECOND_THOUGHTS[then](["late"])];
  return revoked({ doc: `recalled, then ${THEN_DOC[then]}.`, answer: shown, steps });
}

function lateLimited(then: Then): ScenarioPlan {
  const doc = `Every request is told to come later, as if nothing had been done, then ${THEN_DOC[then]}.`;
  return { doc, answer: rateLimited, repeat: rateLimited, steps: [SECOND_THOUGHTS[then](["late"])] };
}

type DocumentedCommand = CommandPlan & { readonly doc: string };

/** Queued until it is revoked. */
function revoked({ doc, ...revoke }: DocumentedCommand) {
  return { doc: `Queued until it is revoked: ${doc}`, answer: shown, steps: [queued], revoke };
}

/** Paid by callback; then cancelled. */
function cancelled({ doc, ...cancel }: DocumentedCommand) {
  return { doc: `Paid; a cancel ${doc}`, answer: shown, steps: [accepted, paidSoon], cancel };
}

/** Accepted, paid by callback, then one step after another, a late delay apart. */
function afterPaid(...statuses: ((after: readonly DelayWord[]) => StepPlan)[]): readonly StepPlan[] {
  const late = (count: number): DelayWord[] => Array.from({ length: count }, () => "late");
  return [accepted, paidSoon, ...statuses.map((make, index) => make(["callback", ...late(index + 1)]))];
}

const returnedAt = (after: readonly DelayWord[]): StepPlan => step(after, "returned", { returned: "all" });
const queuedAt = (after: readonly DelayWord[]): StepPlan => step(after, "queued");
const paidAgainAt = (after: readonly DelayWord[]): StepPlan => step(after, "paid", { paid: 200 });

export const SCENARIOS = {
  ok: { doc: "Accepted, then paid by callback.", answer: shown, steps: [accepted, paidSoon] },
  ok_sync: { doc: "Paid in the answer.", answer: shown, steps: [paidSilently] },
  slow: {
    doc: "Accepted after the answer delay, then paid by callback.",
    answer: { kind: "shown", waits: "answer" },
    steps: [accepted, step(["answer", "callback"], "paid", { paid: 100 })],
  },
  pending_paid: {
    doc: "Accepted, queued, paid: each by callback.",
    answer: shown,
    steps: [accepted, step(["callback"], "queued"), step(["callback", "callback"], "paid", { paid: 100 })],
  },

  timeout_paid: { doc: "Paid; the answer never comes.", answer: withheld, steps: [paidSilently] },
  reset_paid: { doc: "Paid; the connection is reset.", answer: { kind: "reset" }, steps: [paidSilently] },
  http_500_paid: { doc: "Paid; the answer is 500.", answer: fault, steps: [paidSilently] },
  unreadable_paid: { doc: "Paid; the answer is cut off.", answer: { kind: "unreadable" }, steps: [paidSilently] },
  refused: {
    doc: "Declined in the answer, for good.",
    answer: declined,
    steps: [refusedNow],
  },
  pending_failed: {
    doc: "Accepted, then failed by callback.",
    answer: shown,
    steps: [accepted, step(["callback"], "failed", { code: "declined" })],
  },
  timeout_absent: { doc: "The request is lost and nothing answers.", answer: withheld, repeat: withheld, steps: [] },
  http_500_absent: { doc: "500, and nothing is booked.", answer: fault, repeat: fault, steps: [] },

  unknown_word: {
    doc: "Paid under a status that nobody has mapped.",
    answer: shown,
    steps: [step([], "frobnicated", { paid: 100, calls: [] })],
  },
  duplicate_id: {
    doc: "The first request pays and is answered as a duplicate.",
    answer: error(409, "duplicate_reference"),
    steps: [paidSilently],
  },
  rate_limited: {
    doc: "Two requests are told to come later; then as ok.",
    answer: shown,
    limitedPosts: 2,
    steps: [accepted, paidSoon],
  },
  callback_lost: {
    doc: "Accepted, then paid without a word.",
    answer: shown,
    steps: [accepted, step(["callback"], "paid", { paid: 100, calls: [] })],
  },
  callback_doubled: {
    doc: "The callback comes twice.",
    answer: shown,
    steps: [accepted, step(["callback"], "paid", { paid: 100, calls: [{ after: [] }, { after: [] }] })],
  },
  callback_swapped: {
    doc: "The callback of paid comes before the one of accepted.",
    answer: shown,
    steps: [step([], "accepted", { calls: [{ after: ["callback", "callback"] }] }), paidSoon],
  },
  callback_forged: {
    doc: "Forged callbacks tell of a failure and of another amount, then the real one comes.",
    answer: shown,
    steps: [
      accepted,
      step(["callback"], "paid", {
        paid: 100,
        calls: [{ after: [], forged: "status" }, { after: [], forged: "amount" }, { after: ["callback"] }],
      }),
    ],
  },
  callback_before_answer: {
    doc: "The callback of paid is delivered before the answer, which still says accepted.",
    answer: { kind: "shown", waits: "callback" },
    steps: [accepted, paidNow],
  },
  wrong_amount: {
    doc: "Paid, and every message names another amount.",
    answer: shown,
    echoPercent: 110,
    steps: [accepted, paidSoon],
  },
  inquiry_401: {
    doc: "Paid; the answer never comes and inquiries are refused.",
    answer: withheld,
    inquiry: error(401, "unauthorized"),
    steps: [paidSilently],
  },
  inquiry_404_then_paid: {
    doc: "The request arrives late: absent at first, then paid.",
    answer: withheld,
    steps: [step(["late"], "paid", { paid: 100, calls: [] })],
  },
  repeat_refused: {
    doc: "Paid; the answer never comes, a repeat is refused, inquiries fail.",
    answer: withheld,
    repeat: error(422, "insufficient_funds"),
    inquiry: fault,
    steps: [paidSilently],
  },

  partial: {
    doc: "Closed with 60 %.",
    answer: shown,
    steps: [accepted, step(["callback"], "paid_part", { paid: 60 })],
  },
  partial_then_rest: {
    doc: "60 % paid with the rest queued, then all of it.",
    answer: shown,
    steps: [accepted, step(["callback"], "queued", { paid: 60 }), step(["late", "callback"], "paid", { paid: 100 })],
  },
  late_return: {
    doc: "Paid, then on its way back, then back in full.",
    answer: shown,
    steps: [
      accepted,
      paidSoon,
      step(["callback", "late"], "returning"),
      step(["callback", "late", "late"], "returned", { returned: "all" }),
    ],
  },
  return_part: {
    doc: "Paid, then 40 % comes back.",
    answer: shown,
    steps: [accepted, paidSoon, step(["callback", "late"], "returned_part", { returned: 40 })],
  },
  return_twice: {
    doc: "Paid, then 40 % comes back, then the rest.",
    answer: shown,
    steps: [
      accepted,
      paidSoon,
      step(["callback", "late"], "returned_part", { returned: 40 }),
      step(["callback", "late", "late"], "returned", { returned: "all" }),
    ],
  },
  late_paid: {
    doc: "Failed by callback, then paid after all.",
    answer: shown,
    steps: [
      accepted,
      step(["callback"], "failed", { code: "declined" }),
      step(["callback", "late"], "paid", { paid: 100 }),
    ],
  },
  refused_then_paid: {
    doc: "Declined in the answer, then paid after all.",
    answer: declined,
    steps: [refusedNow, paidLate],
  },
  partial_sync: {
    doc: "60 % paid in the answer, and closed.",
    answer: shown,
    steps: [step([], "paid_part", { paid: 60, calls: [] })],
  },
  pending_partial: {
    doc: "Queued, then closed with 60 %: each by callback.",
    answer: shown,
    steps: [accepted, queuedSoon, step(["callback", "callback"], "paid_part", { paid: 60 })],
  },
  pending_queued_failed: {
    doc: "Queued, then failed: each by callback.",
    answer: shown,
    steps: [accepted, queuedSoon, step(["callback", "callback"], "failed", { code: "declined" })],
  },
  queued_accepted_paid: {
    doc: "Queued in the answer, then accepted, then paid: each by callback.",
    answer: shown,
    steps: [queued, step(["callback"], "accepted"), step(["callback", "callback"], "paid", { paid: 100 })],
  },
  partial_then_paid: {
    doc: "Closed with 60 %, then all of it is paid after all.",
    answer: shown,
    steps: [accepted, partSoon, step(["callback", "late"], "paid", { paid: 100 })],
  },
  partial_returned: {
    doc: "Closed with 60 %, then those come back.",
    answer: shown,
    steps: [accepted, partSoon, returnedAt(["callback", "late"])],
  },
  paid_again: {
    doc: "Paid, back in full, then paid once more.",
    answer: shown,
    steps: afterPaid(returnedAt, paidAgainAt),
  },
  queued_again: {
    doc: "Paid, back in full, queued again, then paid once more.",
    answer: shown,
    steps: afterPaid(returnedAt, queuedAt, paidAgainAt),
  },

  paid_more: {
    doc: "120 % is paid.",
    answer: shown,
    steps: [accepted, step(["callback"], "paid", { paid: 120 })],
  },

  late_refused_queued: lateRefused("queued"),
  late_refused_paid: lateRefused("paid"),
  late_refused_part: lateRefused("part"),
  late_failed_queued: lateFailed("queued"),
  late_failed_paid: lateFailed("paid"),
  late_failed_part: lateFailed("part"),
  late_recalled_queued: lateRecalled("queued"),
  late_recalled_paid: lateRecalled("paid"),
  late_recalled_part: lateRecalled("part"),
  late_limited_queued: lateLimited("queued"),
  late_limited_paid: lateLimited("paid"),
  late_limited_part: lateLimited("part"),

  revoke_ok: {
    doc: "Queued until it is revoked: then recalled.",
    answer: shown,
    steps: [queued],
    revoke: { answer: shown, steps: [step([], "recalled")] },
  },
  revoke_refused: {
    doc: "Queued until it is revoked: refused, and paid later.",
    answer: shown,
    steps: [queued],
    revoke: { answer: error(409, "revoke_refused"), steps: [paidLate] },
  },
  revoke_then_paid: {
    doc: "Queued until it is revoked: recalled, and paid later all the same.",
    answer: shown,
    steps: [queued],
    revoke: { answer: shown, steps: [step([], "recalled"), paidLate] },
  },
  cancel_ok: {
    doc: "Paid; a cancel brings it back.",
    answer: shown,
    steps: [accepted, paidSoon],
    cancel: { answer: shown, steps: [returnedNow] },
  },
  cancel_refused: {
    doc: "Paid; a cancel is refused.",
    answer: shown,
    steps: [accepted, paidSoon],
    cancel: { answer: error(409, "cancel_refused"), steps: [] },
  },
  cancel_timeout: {
    doc: "Paid; a cancel brings it back and its answer never comes.",
    answer: shown,
    steps: [accepted, paidSoon],
    cancel: {
      answer: withheld,
      steps: [step([], "returned", { returned: "all", calls: [] })],
    },
  },
  timeout_revoke_ok: {
    doc: "Queued; the answer never comes and inquiries fail. A revoke works, and inquiries still fail.",
    answer: withheld,
    steps: [queued],
    inquiry: fault,
    revoke: { answer: shown, steps: [recalledNow] },
  },
  revoke_refused_part: revoked({ doc: "refused, and 60 % paid later.", answer: revokeRefused, steps: [partLate] }),
  revoke_refused_failed: revoked({
    doc: "refused, and failed later.",
    answer: revokeRefused,
    steps: [step(["late"], "failed", { code: "declined" })],
  }),
  revoke_refused_recalled: revoked({
    doc: "refused, and recalled later after all.",
    answer: revokeRefused,
    steps: [step(["late"], "recalled")],
  }),
  revoke_later: revoked({
    doc: "two are told to come later, then recalled.",
    answer: shown,
    limited: 2,
    steps: [recalledNow],
  }),
  revoke_slow: revoked({ doc: "still queued, recalled later.", answer: shown, steps: [step(["late"], "recalled")] }),
  revoke_lost: revoked({ doc: "nothing is done and the answer never comes.", answer: withheld, steps: [] }),
  revoke_timeout: revoked({
    doc: "recalled, and neither the answer nor a callback comes.",
    answer: withheld,
    steps: [step([], "recalled", silent)],
  }),
  cancel_later: cancelled({
    doc: "is told to come later twice, then brings it back.",
    answer: shown,
    limited: 2,
    steps: [returnedNow],
  }),
  cancel_slow: cancelled({
    doc: "sets it on its way back; later it is back.",
    answer: shown,
    steps: [returningNow, returnedLate],
  }),
  cancel_lost: cancelled({ doc: "does nothing and its answer never comes.", answer: withheld, steps: [] }),
  cancel_refused_then_returned: cancelled({
    doc: "is refused; later the bank returns it all the same.",
    answer: error(409, "cancel_refused"),
    steps: [returnedLate],
  }),
  cancel_slow_refused: cancelled({
    doc: "sets it on its way back; later that is broken off, and it is paid as before.",
    answer: shown,
    steps: [returningNow, step(["late"], "paid")],
  }),
  needs_details: {
    doc: "Held: the provider waits for the payee.",
    answer: shown,
    steps: [step([], "held")],
  },
} as const satisfies Record<string, ScenarioPlan>;

export function scenarioPlan(name: string): ScenarioPlan | null {
  return Object.hasOwn(SCENARIOS, name) ? SCENARIOS[name as keyof typeof SCENARIOS] : null;
}
