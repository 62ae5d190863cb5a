/** What a sandbox account and a sandbox payee are described by, and the services: one per currency. */
import { CURRENCIES } from "../../core/currency.ts";
import type { FieldDescription, ServiceDescription } from "../contract.ts";

/** What the provider can be told to do with an order. */
export const SCENARIO_NAMES = [
  "ok",
  "ok_sync",
  "slow",
  "pending_paid",
  "timeout_paid",
  "reset_paid",
  "http_500_paid",
  "unreadable_paid",
  "refused",
  "pending_failed",
  "timeout_absent",
  "http_500_absent",
  "unknown_word",
  "duplicate_id",
  "rate_limited",
  "callback_lost",
  "callback_doubled",
  "callback_swapped",
  "callback_forged",
  "callback_before_answer",
  "wrong_amount",
  "inquiry_401",
  "inquiry_404_then_paid",
  "repeat_refused",
  "partial",
  "partial_then_rest",
  "late_return",
  "return_part",
  "return_twice",
  "late_paid",
  "refused_then_paid",
  "paid_more",
  "revoke_ok",
  "revoke_refused",
  "revoke_then_paid",
  "cancel_ok",
  "cancel_refused",
  "cancel_timeout",
  "needs_details",
] as const;

/** The payout statuses that a provider can bring about. */
export const OUTCOME_STATUSES = [
  "INVOKING",
  "INVOKE_FAILED",
  "PROCESSING",
  "PENDING",
  "PROCESSED",
  "PARTIALLY_PROCESSED",
  "PROCESS_FAILED",
  "EXPIRED",
  "REVOKED",
  "REVOKING",
  "REVOKE_FAILED",
  "CANCELLING",
  "CANCELLED",
  "CANCEL_FAILED",
] as const;

export const OUTCOME_RESOLUTIONS = [
  "OK",
  "CONNECTION_ERROR",
  "PROVIDER_INTERNAL_ERROR",
  "CONNECTION_TIMEOUT_ERROR",
  "GENERAL_ERROR",
  "UNKNOWN",
  "INVALID_DETAILS",
  "INVALID_REQUEST",
  "REQUEST_ERROR",
  "INVALID_AMOUNT",
  "INVALID_METHOD",
  "INVALID_CREDENTIALS",
  "FORBIDDEN_IP",
  "SIGNATURE_ERROR",
  "ACCESS_ERROR",
  "ACCESS_DENIED",
  "DUPLICATED_ID",
  "INSUFFICIENT_FUNDS",
  "ANTIFRAUD_ERROR",
  "RECIPIENT_NOT_FOUND",
  "INVALID_RECIPIENT",
  "DECLINED_ERROR",
  "GENERAL_FATAL_ERROR",
  "LIMIT_VIOLATION",
  "INTERNAL_ERROR",
  "OPERATION_EXPIRED",
  "PROCESSING_ERROR",
] as const;

const oneOf = (words: readonly string[]): string => `^(${words.join("|")})$`;

function testField(name: string, label: string, pattern: string): FieldDescription {
  return { name, required: false, label, pattern, maxLength: 64, secret: false };
}

export const TEST_FIELDS: readonly FieldDescription[] = [
  testField("test_details_payout_status", "Expected status", oneOf(OUTCOME_STATUSES)),
  testField("test_details_payout_resolution", "Expected resolution", oneOf(OUTCOME_RESOLUTIONS)),
  testField("test_details_success_rate", "Success rate (%)", "^(100|[1-9]?[0-9])$"),
  testField("test_details_scenario", "Scenario", oneOf(SCENARIO_NAMES)),
];

const ACCOUNT: FieldDescription = {
  name: "account",
  required: true,
  label: "Account",
  pattern: "^[^\\x00-\\x1f\\x7f]{1,100}$",
  maxLength: 100,
  secret: true,
};

export const SERVICES: readonly ServiceDescription[] = [...CURRENCIES.keys()].map((currency) => ({
  code: `test_${currency.toLowerCase()}`,
  currency,
  method: "test",
  fields: [ACCOUNT, ...TEST_FIELDS],
}));

export const SETTINGS: readonly FieldDescription[] = [
  {
    name: "secret",
    required: true,
    label: "Secret",
    pattern: "^[\\x21-\\x7e]{1,200}$",
    maxLength: 200,
    secret: true,
  },
  {
    name: "scenario",
    required: false,
    label: "Scenario of every payout of this account",
    pattern: oneOf(SCENARIO_NAMES),
    maxLength: 64,
    secret: false,
  },
];
