/**
 * The vocabulary of plans: the words for where an operation is, what a step, an answer and a scenario are made of, and
 * the pieces that many scenarios share.
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
  /** "all": everything that was paid; in a cancel of an amount, that amount more than before. */
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
  /** A 429 also says when to come again. */
  | { readonly kind: "error"; readonly http: number; readonly code: string };

/** What a revoke or cancel does, unless what a former one brings about is still to come. No steps: nothing changes. */
export interface CommandPlan {
  readonly answer: AnswerPlan;
  readonly steps: readonly StepPlan[];
  /** So many are answered 429 and do nothing. */
  readonly limited?: number;
}

/** The requests about an order that may be there. */
export type LaterRequest = "inquire" | "revoke" | "cancel" | "repeat";

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
  /** Answers that stand above all the rest: such a request does nothing, whether the order is there or not. */
  readonly forced?: Readonly<Partial<Record<LaterRequest, AnswerPlan>>>;
}

const ONCE: readonly CallPlan[] = [{ after: [] }];

type StepExtra = Partial<Pick<StepPlan, "code" | "paid" | "returned" | "calls">>;

export function step(after: readonly DelayWord[], status: StatusWord, extra: StepExtra = {}): StepPlan {
  return { after, status, calls: ONCE, ...extra };
}

export const silent = { calls: [] } as const;
export const shown: AnswerPlan = { kind: "shown" };
export const withheld: AnswerPlan = { kind: "withheld" };
export const error = (http: number, code: string): AnswerPlan => ({ kind: "error", http, code });

export const declined = error(422, "declined");
export const rateLimited = error(429, "rate_limited");
export const fault = error(500, "internal_fault");
export const accepted = step([], "accepted", silent);
export const queued = step([], "queued", silent);
export const refusedNow = step([], "refused", { code: "declined", calls: [] });
export const paidNow = step([], "paid", { paid: 100 });
export const paidSilently = step([], "paid", { paid: 100, calls: [] });
export const paidSoon = step(["callback"], "paid", { paid: 100 });
export const paidLate = step(["late"], "paid", { paid: 100 });
export const returnedNow = step([], "returned", { returned: "all" });

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
