/** What the outside hears: a row of history as an event (docs/api.md, Webhooks). */
import { ACTS, type ActKind } from "../acts.ts";
import type { Resolution } from "../news/resolution.ts";
import { INVOICE_STATUSES, type InvoiceStatus } from "../order/invoice.ts";
import { PAYOUT_STATUSES, type PayoutStatus } from "../order/payout.ts";
import type { DispatchStatus } from "../order/request.ts";

/** The members of a history row that an event is made of. */
export interface Happening {
  readonly sequence: number;
  /** What has changed; `act`: nothing, but a person did something. */
  readonly kind: "invoice" | "request" | "payout" | "act";
  readonly subject: string;
  readonly versionFrom: number;
  readonly versionTo: number;
  readonly moves: readonly string[];
  readonly status: string;
  readonly resolution: Resolution | null;
  readonly moderationRequired: boolean;
  readonly time: number;
}

type EventType =
  | `payout-invoice.${InvoiceStatus}`
  | `payout.${PayoutStatus}`
  | "payout-request-created"
  | "payout-request-modified"
  | "payout-request-canceled"
  | "payout-request-fulfilled"
  | `moderation.${ActKind}`;

/** Every type that there is. */
export const EVENT_TYPES: readonly string[] = [
  ...Object.keys(INVOICE_STATUSES).map((status) => `payout-invoice.${status}`),
  ...["created", "modified", "canceled", "fulfilled"].map((word) => `payout-request-${word}`),
  ...Object.keys(PAYOUT_STATUSES).map((status) => `payout.${status}`),
  ...Object.keys(ACTS).map((kind) => `moderation.${kind}`),
];

/** The table in which the thing stands that a change is about. */
export const TABLE_OF = { invoice: "invoice", request: "request", payout: "payout", act: "moderationAct" } as const;

const OBJECTS = {
  invoice: "payout-invoice",
  request: "payout-request",
  payout: "payout",
  act: "moderation-act",
} as const;

/**
 * Whether a change is an event: every move is, every act of a person, and every change of a request, which its
 * contract calls modified.
 */
export function isEvent({ kind, moves }: Pick<Happening, "kind" | "moves">): boolean {
  return kind === "request" || kind === "act" || moves.length > 0;
}

/** What a request's change is called: the four words of its public contract. */
function requestEvent(happening: Happening): EventType {
  if (happening.versionFrom === 0) return "payout-request-created";
  if (happening.moves.length === 0) return "payout-request-modified";
  switch (happening.status as DispatchStatus) {
    case "PROCESSED":
      return "payout-request-fulfilled";
    case "TERMINATED":
    case "EXPIRED":
      return "payout-request-canceled";
    default:
      return "payout-request-modified";
  }
}

/** The type under which a change is told. */
export function eventType(happening: Happening): EventType {
  switch (happening.kind) {
    case "invoice":
      return `payout-invoice.${happening.status as InvoiceStatus}`;
    case "payout":
      return `payout.${happening.status as PayoutStatus}`;
    case "request":
      return requestEvent(happening);
    case "act":
      return `moderation.${happening.status as ActKind}`;
  }
}

/** Whether an endpoint that listens to these types hears this one. None means all; a final `*` stands for any end. */
export function isHeard(listened: readonly string[], type: string): boolean {
  if (listened.length === 0) return true;
  return listened.some((each) => (each.endsWith("*") ? type.startsWith(each.slice(0, -1)) : each === type));
}

/** The members of an invoice, a request or a payout that name it to the merchant. */
export interface Named {
  readonly websiteId?: string;
  readonly referenceId?: string;
  readonly requestId?: string | null;
  readonly invoiceId?: string | null;
  /** What an act is about. */
  readonly subjectKind?: string;
  readonly subject?: string;
}

/** What never changes of a thing, and tells the merchant which of theirs it is. */
export interface EventNames {
  readonly referenceId?: string;
  readonly websiteId?: string;
  readonly payoutInvoiceId?: string | null;
  readonly payoutRequestId?: string | null;
  readonly subjectKind?: string;
  readonly subject?: string;
}

/** What tells the merchant which of theirs it is, from the row that has changed. */
export function eventNames(kind: Happening["kind"], row: Named | null): EventNames {
  if (row === null) return {};
  const websiteId = row.websiteId ?? "";
  switch (kind) {
    case "invoice":
      return { referenceId: row.referenceId ?? "", websiteId, payoutRequestId: row.requestId ?? null };
    case "request":
      return { websiteId, payoutInvoiceId: row.invoiceId ?? null };
    case "payout":
      return { websiteId, payoutRequestId: row.requestId ?? null, payoutInvoiceId: row.invoiceId ?? null };
    case "act":
      return { subjectKind: row.subjectKind ?? "", subject: row.subject ?? "" };
  }
}

/**
 * The body of an event: equal at every try. Small on purpose: what the thing looks like now is read from the API.
 * `sequence` grows by one with every change of the organization, `version` with every change of the thing.
 */
export function eventBody(happening: Happening, names: EventNames) {
  return {
    type: eventType(happening),
    timestamp: new Date(happening.time).toISOString(),
    data: {
      object: OBJECTS[happening.kind],
      id: happening.subject,
      ...names,
      status: happening.status,
      // The statuses passed on the way, in order.
      passed: happening.moves.map((move) => move.slice(move.indexOf(">") + 1)),
      resolution: happening.resolution,
      moderationRequired: happening.moderationRequired,
      version: happening.versionTo,
      sequence: happening.sequence,
    },
  };
}
