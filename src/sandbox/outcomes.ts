/**
 * How an order says what shall become of it: the account's own scenario first, then the field
 * `test_details_scenario`, then the other test fields. The fields that force an answer go with any of them. The chosen
 * plan has a name that the book keeps and that says all of it, for instance `ok+inquire:INVALID_CREDENTIALS`.
 */
import { createHash } from "node:crypto";
import type { AnswerPlan, LaterRequest, ScenarioPlan, StepPlan } from "./plans.ts";
import { SCENARIOS, scenarioPlan } from "./scenarios.ts";

interface Reason {
  /** The provider's word for the reason, beside a status. */
  readonly code: string;
  /** How a request is answered that meets this reason. */
  readonly answer: AnswerPlan;
}

function reason(http: number, code: string): Reason {
  return { code, answer: { kind: "error", http, code } };
}

/** Resolutions as the test field names them, in this provider's own words. */
export const REASONS = {
  OK: reason(422, "refused_unspecified"),
  CONNECTION_ERROR: { code: "transport_fault", answer: { kind: "unreadable" } },
  PROVIDER_INTERNAL_ERROR: reason(500, "internal_fault"),
  CONNECTION_TIMEOUT_ERROR: { code: "timed_out", answer: { kind: "withheld" } },
  GENERAL_ERROR: reason(422, "general_error"),
  UNKNOWN: { code: "unexplained", answer: { kind: "shown", status: "frobnicated" } },
  INVALID_DETAILS: reason(422, "invalid_details"),
  INVALID_REQUEST: reason(400, "invalid_request"),
  REQUEST_ERROR: reason(400, "malformed_request"),
  INVALID_AMOUNT: reason(422, "invalid_amount"),
  INVALID_METHOD: reason(422, "method_not_offered"),
  INVALID_CREDENTIALS: reason(401, "unauthorized"),
  FORBIDDEN_IP: reason(403, "address_not_allowed"),
  SIGNATURE_ERROR: reason(401, "bad_signature"),
  ACCESS_ERROR: reason(403, "not_permitted"),
  ACCESS_DENIED: reason(403, "account_locked"),
  DUPLICATED_ID: reason(409, "duplicate_reference"),
  INSUFFICIENT_FUNDS: reason(422, "insufficient_funds"),
  ANTIFRAUD_ERROR: reason(422, "suspicious"),
  RECIPIENT_NOT_FOUND: reason(422, "payee_not_found"),
  INVALID_RECIPIENT: reason(422, "payee_not_payable"),
  DECLINED_ERROR: reason(422, "declined"),
  GENERAL_FATAL_ERROR: reason(422, "refused"),
  LIMIT_VIOLATION: reason(422, "over_limit"),
  INTERNAL_ERROR: reason(422, "broken_off"),
  OPERATION_EXPIRED: reason(422, "operation_expired"),
  PROCESSING_ERROR: reason(422, "processing_error"),
} as const satisfies Record<string, Reason>;

const shown: AnswerPlan = { kind: "shown" };
const accepted: StepPlan = { after: [], status: "accepted", calls: [] };
const queued: StepPlan = { after: [], status: "queued", calls: [] };
const paid: StepPlan = { after: ["callback"], status: "paid", paid: 100, calls: [{ after: [] }] };
const later = { after: ["callback", "late"], calls: [{ after: [] }] } as const;

type Row = (cause: Reason | null) => ScenarioPlan;

function coded(step: StepPlan, cause: Reason | null): StepPlan {
  return cause === null ? step : { ...step, code: cause.code };
}

/** Accepted, then this status by callback. */
function ends(status: StepPlan["status"], percent: number, doc: string): Row {
  const step: StepPlan = { ...paid, status, paid: percent };
  return (cause) => ({ doc, answer: shown, steps: [accepted, coded(step, cause)] });
}

/** The payout statuses that a provider can bring about; where a reason is named, it stands at the decisive place. */
export const OUTCOMES: Readonly<Record<string, Row>> = {
  INVOKING: (cause) => ({
    doc: "No answer, and inquiries fail: nobody can know.",
    answer: { kind: "withheld" },
    steps: [queued],
    inquiry: (cause ?? REASONS.PROVIDER_INTERNAL_ERROR).answer,
  }),
  INVOKE_FAILED: (cause) => ({
    doc: "Refused in the answer.",
    answer: (cause ?? REASONS.OK).answer,
    steps: [{ ...coded(accepted, cause ?? REASONS.OK), status: "refused" }],
  }),
  PROCESSING: (cause) => ({ doc: "Accepted, for ever.", answer: shown, steps: [coded(accepted, cause)] }),
  PENDING: ends("queued", 0, "Queued, for ever."),
  PROCESSED: ends("paid", 100, "Paid by callback."),
  PARTIALLY_PROCESSED: ends("paid_part", 60, "Closed with 60 %."),
  PROCESS_FAILED: ends("failed", 0, "Failed by callback."),
  EXPIRED: ends("expired", 0, "The provider gives it up."),
  REVOKED: ends("recalled", 0, "The provider recalls it."),
  REVOKING: (cause) => ({
    doc: "Queued; a revoke is never decided.",
    answer: shown,
    steps: [queued],
    revoke: { answer: (cause ?? REASONS.PROVIDER_INTERNAL_ERROR).answer, steps: [] },
  }),
  REVOKE_FAILED: (cause) => ({
    ...SCENARIOS.revoke_refused,
    revoke: { ...SCENARIOS.revoke_refused.revoke, answer: cause?.answer ?? SCENARIOS.revoke_refused.revoke.answer },
  }),
  CANCELLING: (cause) => ({
    doc: "Paid, then on its way back for ever.",
    answer: shown,
    steps: [accepted, paid, coded({ ...later, status: "returning" }, cause)],
  }),
  CANCELLED: (cause) => ({
    doc: "Paid, then back in full.",
    answer: shown,
    steps: [accepted, paid, coded({ ...later, status: "returned", returned: "all" }, cause)],
  }),
  CANCEL_FAILED: (cause) => ({
    ...SCENARIOS.cancel_refused,
    cancel: { answer: cause?.answer ?? SCENARIOS.cancel_refused.cancel.answer, steps: [] },
  }),
};

export interface Wish {
  /** The account's own scenario. */
  readonly scenario: string | null;
  readonly fields: Readonly<Record<string, string>>;
}

export interface FieldProblem {
  readonly field: string;
  readonly problem: string;
}

export const TEST_FIELDS = {
  scenario: "test_details_scenario",
  status: "test_details_payout_status",
  resolution: "test_details_payout_resolution",
  successRate: "test_details_success_rate",
} as const;

/** The resolution behind the answer to every such request about the order, whatever else its plan says. */
export const FORCING_FIELDS = {
  inquire: "test_details_inquire_resolution",
  revoke: "test_details_revoke_resolution",
  cancel: "test_details_cancel_resolution",
  repeat: "test_details_repeat_resolution",
} as const satisfies Record<LaterRequest, string>;

/** The problems of a wish; empty when `choosePlan` may be asked. */
export function wishProblems(wish: Wish): FieldProblem[] {
  const problems: FieldProblem[] = [];
  const check = (field: string, value: string | null | undefined, isKnown: (word: string) => boolean): void => {
    if (value !== null && value !== undefined && !isKnown(value)) problems.push({ field, problem: "is not known" });
  };
  check("scenario", wish.scenario, (word) => Object.hasOwn(SCENARIOS, word));
  check(TEST_FIELDS.scenario, wish.fields[TEST_FIELDS.scenario], (word) => Object.hasOwn(SCENARIOS, word));
  check(TEST_FIELDS.status, wish.fields[TEST_FIELDS.status], (word) => Object.hasOwn(OUTCOMES, word));
  check(TEST_FIELDS.resolution, wish.fields[TEST_FIELDS.resolution], (word) => Object.hasOwn(REASONS, word));
  for (const field of Object.values(FORCING_FIELDS)) {
    check(field, wish.fields[field], (word) => Object.hasOwn(REASONS, word));
  }
  const rate = wish.fields[TEST_FIELDS.successRate];
  if (rate !== undefined && !/^(100|[1-9]?[0-9])$/.test(rate)) {
    problems.push({ field: TEST_FIELDS.successRate, problem: "must be a whole number from 0 to 100" });
  }
  return problems;
}

/**
 * The name of the plan for an order: a scenario, or `<status>/<resolution>`, and then `+<request>:<resolution>` for each
 * forced answer. The same order always gets the same.
 */
export function choosePlan(wish: Wish, reference: string): string {
  const forced = Object.entries(FORCING_FIELDS).map(([request, field]) => {
    const resolution = wish.fields[field];
    return resolution === undefined ? "" : `+${request}:${resolution}`;
  });
  return `${chooseBase(wish, reference)}${forced.join("")}`;
}

function chooseBase(wish: Wish, reference: string): string {
  const scenario = wish.scenario ?? wish.fields[TEST_FIELDS.scenario];
  if (scenario !== undefined) return scenario;
  const rate = wish.fields[TEST_FIELDS.successRate];
  if (rate !== undefined && drawPercent(reference) < Number(rate)) return "ok";
  const resolution = wish.fields[TEST_FIELDS.resolution] ?? "OK";
  const failure = resolution !== "OK" ? "INVOKE_FAILED" : "PROCESS_FAILED";
  const status = wish.fields[TEST_FIELDS.status] ?? (rate !== undefined || resolution !== "OK" ? failure : null);
  return status === null ? "ok" : `${status}/${resolution}`;
}

/** The plan that `choosePlan` has named; null: this provider does not know the name. */
export function planNamed(name: string): ScenarioPlan | null {
  const [base = "", ...suffixes] = name.split("+");
  const plan = basePlan(base);
  if (plan === null || suffixes.length === 0) return plan;
  const forced: Partial<Record<LaterRequest, AnswerPlan>> = {};
  for (const suffix of suffixes) {
    const [request = "", resolution = ""] = suffix.split(":");
    if (!isLaterRequest(request) || !Object.hasOwn(REASONS, resolution)) return null;
    forced[request] = REASONS[resolution as keyof typeof REASONS].answer;
  }
  return { ...plan, forced };
}

function isLaterRequest(word: string): word is LaterRequest {
  return Object.hasOwn(FORCING_FIELDS, word);
}

function basePlan(name: string): ScenarioPlan | null {
  const [status = "", resolution = ""] = name.split("/");
  const row = Object.hasOwn(OUTCOMES, status) ? OUTCOMES[status] : undefined;
  if (row === undefined || !Object.hasOwn(REASONS, resolution)) return scenarioPlan(name);
  return row(resolution === "OK" ? null : REASONS[resolution as keyof typeof REASONS]);
}

/** 0 .. 99, a function of the reference alone. */
function drawPercent(reference: string): number {
  return createHash("sha256").update(reference).digest().readUInt32BE(0) % 100;
}
