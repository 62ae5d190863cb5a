/**
 * What the sandbox provider can do to an order: one row per scenario. A row is a plan of steps; the server and the
 * book carry plans out and know no scenario by name, so a new scenario is a new row.
 */

/** A delay of the control settings, in milliseconds: see `Control`. Several words add up. */
export type DelayWord = "answer" | "callback" | "late";

/**
 * The provider's own words for where an operation is. A `refused` one was never registered: inquiries do not know it.
 * `frobnicated` stands for every word that nobody has mapped.
 */
export type StatusWord =
  | "refused"
  | "accepted"
  | "queued"
  | "held"
  | "paid"
  | "paid_part"
  | "failed"
  | "returning"
  | "returned_part"
  | "returned"
  | "recalled"
  | "expired"
  | "frobnicated";

/** A callback about a step. `after` counts from the step; a forged one has a wrong signature and a lie in it. */
export interface CallPlan {
  readonly after: readonly DelayWord[];
  readonly forged?: "status" | "amount";
}

/** One state of an operation. `paid` and `returned` are cumulative per cent of the amount; absent = as before. */
export interface StepPlan {
  /** Counts from the arrival of the request that caused the step. */
  readonly after: readonly DelayWord[];
  readonly status: StatusWord;
  readonly code?: string;
  readonly paid?: number;
  /** "all": everything that was paid. */
  readonly returned?: number | "all";
  readonly calls: readonly CallPlan[];
}

export type AnswerPlan =
  /** The operation as it first was; `waits` for the answer delay, or until the first callback has been delivered. */
  | { readonly kind: "shown"; readonly waits?: "answer" | "callback"; readonly status?: StatusWord }
  /** Nothing at all; the socket closes after `timeoutMs`. */
  | { readonly kind: "withheld" }
  | { readonly kind: "reset" }
  /** 200 with JSON cut off in the middle. */
  | { readonly kind: "unreadable" }
  | { readonly kind: "error"; readonly http: number; readonly code: string };

/** What a revoke or cancel does, the first time it is asked. No steps: nothing changes. */
export interface CommandPlan {
  readonly answer: AnswerPlan;
  readonly steps: readonly StepPlan[];
}

export interface ScenarioPlan {
  readonly doc: string;
  /** The answer to the first POST. */
  readonly answer: AnswerPlan;
  /** No steps: the order is never booked. A first step that is not yet due: the order arrives late. */
  readonly steps: readonly StepPlan[];
  /** The answer to a further POST with the reference; without it 409 duplicate_reference, or the refusal again. */
  readonly repeat?: AnswerPlan;
  /** The answer to inquiries; without it they show the operation. */
  readonly inquiry?: AnswerPlan;
  readonly revoke?: CommandPlan;
  readonly cancel?: CommandPlan;
  /** So many POSTs are answered 429 and do nothing. */
  readonly limitedPosts?: number;
  /** Every message about the operation names this many per cent of the amount. */
  readonly echoPercent?: number;
}

const ONCE: readonly CallPlan[] = [{ after: [] }];

type StepExtra = Partial<Pick<StepPlan, "code" | "paid" | "returned" | "calls">>;

function step(after: readonly DelayWord[], status: StatusWord, extra: StepExtra = {}): StepPlan {
  return { after, status, calls: ONCE, ...extra };
}

const silent = { calls: [] } as const;
const shown: AnswerPlan = { kind: "shown" };
const withheld: AnswerPlan = { kind: "withheld" };
const error = (http: number, code: string): AnswerPlan => ({ kind: "error", http, code });

const declined = error(422, "declined");
const fault = error(500, "internal_fault");
const accepted = step([], "accepted", silent);
const queued = step([], "queued", silent);
const refusedNow = step([], "refused", { code: "declined", calls: [] });
const paidNow = step([], "paid", { paid: 100 });
const paidSilently = step([], "paid", { paid: 100, calls: [] });
const paidSoon = step(["callback"], "paid", { paid: 100 });
const paidLate = step(["late"], "paid", { paid: 100 });
const returnedNow = step([], "returned", { returned: "all" });

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
  paid_more: {
    doc: "120 % is paid.",
    answer: shown,
    steps: [accepted, step(["callback"], "paid", { paid: 120 })],
  },

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
  needs_details: {
    doc: "Held: the provider waits for the payee.",
    answer: shown,
    steps: [step([], "held")],
  },
} as const satisfies Record<string, ScenarioPlan>;

/** What revoke and cancel do where a plan does not say: an unpaid operation is recalled, a paid one comes back. */
export const COMMANDS = {
  revoke: {
    worksOn: ["accepted", "queued", "held"],
    refusal: error(409, "revoke_refused"),
    plan: { answer: shown, steps: [step([], "recalled")] },
  },
  cancel: {
    worksOn: ["paid", "paid_part", "returned_part"],
    refusal: error(409, "cancel_refused"),
    plan: { answer: shown, steps: [returnedNow] },
  },
} as const satisfies Record<string, { worksOn: readonly StatusWord[]; refusal: AnswerPlan; plan: CommandPlan }>;

export type CommandName = keyof typeof COMMANDS;

export function scenarioPlan(name: string): ScenarioPlan | null {
  return Object.hasOwn(SCENARIOS, name) ? SCENARIOS[name as keyof typeof SCENARIOS] : null;
}
