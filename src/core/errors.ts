/** The error catalogue: every code that a caller can meet, with its HTTP status, title and what to do. */

interface ErrorRow {
  readonly status: number;
  readonly title: string;
  readonly advice: string;
}

export const ERRORS = {
  "malformed-body": { status: 400, title: "The body is not valid JSON", advice: "Send one JSON value in UTF-8." },
  "unsafe-number": {
    status: 400,
    title: "A number cannot be represented exactly",
    advice: "Send it as a string, or shorten it.",
  },
  unauthorized: { status: 401, title: "No valid API key", advice: "Send the key as a bearer token." },
  forbidden: { status: 403, title: "The key may not do this", advice: "Use a key with the role that is named." },
  "not-found": { status: 404, title: "Nothing with this id", advice: "Check the id, and live against test keys." },
  "method-not-allowed": { status: 405, title: "The method is not offered here", advice: "See /reference." },
  "reference-id-used": {
    status: 409,
    title: "The referenceId belongs to another order",
    advice: "The order that has it stands in Location. Nothing was changed.",
  },
  "id-used": { status: 409, title: "The id belongs to another resource", advice: "Choose another id." },
  "insufficient-funds": {
    status: 409,
    title: "Not enough available funds",
    advice: "Deposit first, or send a smaller order. Nothing was reserved.",
  },
  "payout-in-flight": {
    status: 409,
    title: "A payout of it is at its provider",
    advice: "Wait until its outcome is known. Nothing was changed.",
  },
  "not-in-this-status": {
    status: 409,
    title: "Not possible in the present status",
    advice: "Read the resource. Nothing was changed.",
  },
  "no-route": {
    status: 409,
    title: "No route can carry it",
    advice: "Look at limits, balances and gates of the routes, and at the attempts. Nothing was changed.",
  },
  "more-than-available": {
    status: 409,
    title: "More than there is",
    advice: "Read the resource for what is left. Nothing was changed.",
  },
  "second-person-needed": {
    status: 403,
    title: "Somebody else must confirm it",
    advice: "Use the key of another person.",
  },
  "quote-expired": {
    status: 409,
    title: "The quoted rate has expired",
    advice: "Repeat with acceptQuote to take the new one.",
  },
  "version-conflict": { status: 412, title: "It has changed in between", advice: "Read it and decide again." },
  "if-match-required": { status: 428, title: "If-Match is required", advice: "Send the ETag you have read." },
  "body-too-large": { status: 413, title: "The body is too large", advice: "At most 256 kB." },
  "unsupported-media-type": { status: 415, title: "The body must be JSON", advice: "Content-Type: application/json." },
  "validation-failed": {
    status: 422,
    title: "Some members are not valid",
    advice: "Each is named in invalidFields. Nothing was changed.",
  },
  "rate-unavailable": {
    status: 422,
    title: "There is no exchange rate for this pair",
    advice: "Add the pair to the website's rate scheme.",
  },
  "idempotency-key-reused": {
    status: 422,
    title: "The Idempotency-Key was used with another request",
    advice: "Use a new key for a new request.",
  },
  "idempotency-key-required": {
    status: 422,
    title: "This call needs an Idempotency-Key",
    advice: "Send a fresh key of your own with each new order.",
  },
  "too-many-requests": { status: 429, title: "Too many requests", advice: "Wait as Retry-After says." },
  internal: {
    status: 500,
    title: "Something is wrong on our side",
    advice: "The outcome of this call is unknown: look the resource up, or repeat with the same reference.",
  },
  unavailable: {
    status: 503,
    title: "Not available right now",
    advice: "Repeat with the same reference after Retry-After.",
  },
} as const satisfies Record<string, ErrorRow>;

export type ErrorCode = keyof typeof ERRORS;

export interface InvalidField {
  /** The member's path, with dots. */
  readonly field: string;
  readonly message: string;
}

/** How the domain says no. Nothing was changed. */
export interface Refusal {
  readonly code: ErrorCode;
  readonly detail: string;
  readonly invalidFields?: readonly InvalidField[];
  /** Where the resource in the way can be found. */
  readonly location?: string;
}

export function refusal(code: ErrorCode, detail: string): Refusal {
  return { code, detail };
}

export function invalid(fields: readonly InvalidField[]): Refusal {
  const names = fields.map((each) => each.field).join(", ");
  return { code: "validation-failed", detail: `Not valid: ${names}.`, invalidFields: fields };
}
