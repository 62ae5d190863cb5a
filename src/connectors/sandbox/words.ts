/** The sandbox provider's words in ours. What is in no table here is unknown: it proves nothing. */
import type { Fact, Resolution } from "../../core/news/resolution.ts";

export const STATUSES: Readonly<Record<string, Fact>> = {
  accepted: "accepted",
  queued: "pending",
  held: "held",
  paid: "paid",
  paid_part: "paid_part",
  failed: "failed",
  returning: "returning",
  returned_part: "returned",
  returned: "returned",
  recalled: "recalled",
  expired: "expired",
};

/** Where a status comes without a code. A failure without one is a final no without a reason. */
export const STATUS_RESOLUTIONS: Readonly<Partial<Record<Fact, Resolution>>> = { expired: "OPERATION_EXPIRED" };

/** Why: beside a status, or as the `error` of a refused request. */
export const CODES: Readonly<Record<string, Resolution>> = {
  refused_unspecified: "OK",
  transport_fault: "CONNECTION_ERROR",
  internal_fault: "PROVIDER_INTERNAL_ERROR",
  timed_out: "CONNECTION_TIMEOUT_ERROR",
  general_error: "GENERAL_ERROR",
  unexplained: "UNKNOWN",
  invalid_details: "INVALID_DETAILS",
  invalid_request: "INVALID_REQUEST",
  malformed_request: "REQUEST_ERROR",
  too_large: "REQUEST_ERROR",
  invalid_amount: "INVALID_AMOUNT",
  method_not_offered: "INVALID_METHOD",
  unauthorized: "INVALID_CREDENTIALS",
  address_not_allowed: "FORBIDDEN_IP",
  bad_signature: "SIGNATURE_ERROR",
  not_permitted: "ACCESS_ERROR",
  account_locked: "ACCESS_DENIED",
  duplicate_reference: "DUPLICATED_ID",
  insufficient_funds: "INSUFFICIENT_FUNDS",
  suspicious: "ANTIFRAUD_ERROR",
  payee_not_found: "RECIPIENT_NOT_FOUND",
  payee_not_payable: "INVALID_RECIPIENT",
  declined: "DECLINED_ERROR",
  refused: "GENERAL_FATAL_ERROR",
  over_limit: "LIMIT_VIOLATION",
  broken_off: "INTERNAL_ERROR",
  operation_expired: "OPERATION_EXPIRED",
  processing_error: "PROCESSING_ERROR",
  rate_limited: "GENERAL_ERROR",
  maintenance: "GENERAL_ERROR",
  revoke_refused: "DECLINED_ERROR",
  cancel_refused: "DECLINED_ERROR",
  not_found: "GENERAL_ERROR",
};

/** What refused requests mean, each by its HTTP status and its code: the same code behind another status is unknown. */
export const SEND = {
  /** Definitively not registered. */
  no: [
    "400 invalid_request",
    "400 malformed_request",
    "401 bad_signature",
    "401 unauthorized",
    "403 account_locked",
    "403 address_not_allowed",
    "403 not_permitted",
    "413 too_large",
    "422 declined",
    "422 insufficient_funds",
    "422 invalid_amount",
    "422 invalid_details",
    "422 method_not_offered",
    "422 over_limit",
    "422 payee_not_found",
    "422 payee_not_payable",
    "422 refused",
    "422 refused_unspecified",
    "422 suspicious",
  ],
  /** Nothing was done; ask again later. */
  notNow: ["429 rate_limited", "503 maintenance"],
  /** An order may be there: only an inquiry tells. */
  lookUp: [
    "409 duplicate_reference",
    "422 broken_off",
    "422 general_error",
    "422 operation_expired",
    "422 processing_error",
    "500 internal_fault",
  ],
} as const satisfies Record<string, readonly string[]>;

/** How the provider says that it will not do a revoke or cancel; the order stays as it was. All else is unknown. */
export const COMMAND_REFUSALS = {
  revoke: ["409 revoke_refused"],
  cancel: ["409 cancel_refused", "422 over_limit"],
} as const satisfies Record<string, readonly string[]>;

/** The answer to an inquiry about an order that the provider does not know. */
export const ABSENT = "404 not_found";
