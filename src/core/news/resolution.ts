/** Why a payout is where it is (docs/domain.md, Resolution), and the words in which connectors report (facts). */

export type ResolutionGroup = "OK" | "ERROR" | "FATAL" | "ROUTING";

/** What happens when the answer to the only send of a payout says this and the connector lists it as a definitive no. */
export type ResolutionThen = "done" | "inquire" | "other_route" | "stop";

interface ResolutionRow {
  readonly group: ResolutionGroup;
  /** May money have moved although the provider answered so? `null`: the question does not arise. */
  readonly mayHaveMoved: boolean | null;
  readonly then: ResolutionThen;
  /** The refusal is about our account at the provider: no new sends there until a person looks. */
  readonly shutsAccount?: true;
  /** The deposit account's balance must be read again. */
  readonly refreshesBalance?: true;
  readonly doc: string;
}

const no = (then: ResolutionThen, doc: string): ResolutionRow => ({ group: "FATAL", mayHaveMoved: false, then, doc });
const maybe = (doc: string): ResolutionRow => ({ group: "FATAL", mayHaveMoved: true, then: "inquire", doc });
const error = (doc: string): ResolutionRow => ({ group: "ERROR", mayHaveMoved: true, then: "inquire", doc });
const account = (doc: string): ResolutionRow => ({ ...no("other_route", doc), shutsAccount: true });
const routing = (doc: string): ResolutionRow => ({ group: "ROUTING", mayHaveMoved: null, then: "stop", doc });

export const RESOLUTIONS = {
  OK: {
    group: "OK",
    mayHaveMoved: null,
    then: "done",
    doc: "Done; beside a failed status, a final no without a reason.",
  },

  CONNECTION_ERROR: error("Transport or TLS failed, or an answer outside 2xx that is in no table."),
  PROVIDER_INTERNAL_ERROR: error("The provider reports a fault of its own."),
  CONNECTION_TIMEOUT_ERROR: error("No answer in time."),
  GENERAL_ERROR: error("The provider reports an error without saying what became of the order."),
  UNKNOWN: error("A word that is missing from the connector's mapping."),

  INVALID_DETAILS: no("stop", "The payee's details must change."),
  INVALID_REQUEST: no("other_route", "The provider does not understand the request."),
  REQUEST_ERROR: no("other_route", "The provider refuses the request's form."),
  INVALID_AMOUNT: no("other_route", "The amount is not allowed here."),
  INVALID_METHOD: no("other_route", "The method is not offered here."),
  INVALID_CREDENTIALS: account("Our credentials are refused."),
  FORBIDDEN_IP: account("Our address is not allowed."),
  SIGNATURE_ERROR: account("Our signature is refused."),
  ACCESS_ERROR: account("Our account may not do this."),
  ACCESS_DENIED: account("Our account is locked or restricted."),
  DUPLICATED_ID: maybe("An operation with our reference is already there: ask about it."),
  INSUFFICIENT_FUNDS: { ...no("other_route", "Our balance at the provider does not suffice."), refreshesBalance: true },
  ANTIFRAUD_ERROR: no("stop", "Refused as suspicious."),
  RECIPIENT_NOT_FOUND: no("stop", "The payee is not known there."),
  INVALID_RECIPIENT: no("stop", "The payee cannot be paid there."),
  DECLINED_ERROR: no("other_route", "Declined without a more exact reason."),
  GENERAL_FATAL_ERROR: no("other_route", "Refused for good, reason unsaid."),
  LIMIT_VIOLATION: no("other_route", "Over a limit of the provider."),
  INTERNAL_ERROR: maybe("A final error that may follow an order already sent on."),
  OPERATION_EXPIRED: maybe("The provider gave the operation up; whether anything left is to be asked."),
  PROCESSING_ERROR: maybe("Processing broke off; whether anything left is to be asked."),

  STRATEGY_RECEIVED_NO_ROUTES: routing("The routing scheme names no route for this payout."),
  STRATEGY_CONFIGURED_ROUTES_WERE_FILTERED: routing("Every route of the scheme was dropped by a filter."),
  BLOCKED_BY_SCHEME: routing("The routing scheme blocks this payout."),
} as const satisfies Record<string, ResolutionRow>;

export type Resolution = keyof typeof RESOLUTIONS;

/** The row of a resolution, with the optional columns visible. */
export function resolutionRow(code: Resolution): ResolutionRow {
  return RESOLUTIONS[code];
}

export const FACTS = {
  accepted: "The provider holds the order.",
  pending: "Sent to the rail, or queued; will be resolved later.",
  held: "Waits for a person at the provider or for the payee.",
  paid: "The money is with the payee or irrevocably on its way.",
  paid_part: "Closed with less than asked.",
  failed: "A definitive no.",
  returning: "The money is on its way back.",
  returned: "The money is back with us.",
  recalled: "A recall worked.",
  expired: "The provider's lifetime ended unpaid.",
  unknown: "A word that is missing from the mapping, or news about another amount, currency or reference.",
  ignore: "News about something else.",
} as const;

export type Fact = keyof typeof FACTS;
