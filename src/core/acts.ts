/** What a person does, and who else must agree (docs/domain.md, Moderation). */
import type { Payout } from "./order/payout.ts";
import type { PayoutRequest } from "./order/request.ts";

interface ActRow {
  readonly doc: string;
  /** Decides where money goes: above the website's limit a second person confirms it. */
  readonly decidesMoney?: true;
}

/** Everything that a person does, by the word in which events name it. */
export const ACTS = {
  inquire: { doc: "Asked the provider at once." },
  process: { doc: "Let a payout start that waited for a person." },
  terminate: { doc: "Ended a payout of which nothing has been sent." },
  revoke: { doc: "Asked for a payout under way to be pulled back." },
  cancel: { doc: "Asked for a paid payout to be reversed." },
  refund: { doc: "Asked for what an invoice has paid to be brought back, or part of it." },
  evidence: { doc: "Said what became of a payout, with evidence attached.", decidesMoney: true },
  repeat: { doc: "Let the same reference be sent again.", decidesMoney: true },
  continue: { doc: "Let the unpaid rest of an order go by another payout.", decidesMoney: true },
  accept_partial: { doc: "Took what is paid as enough.", decidesMoney: true },
  take_back: { doc: "Closed an order with what is paid, and asked for that to be brought back.", decidesMoney: true },
  settle_incident: { doc: "Said who bears what stands in suspense.", decidesMoney: true },
  change: { doc: "Changed attempts or partial payment of an order.", decidesMoney: true },
  assign: { doc: "Gave a moderation item to somebody." },
  comment: { doc: "Wrote a comment." },
  close: { doc: "Closed a moderation item that needs nothing more." },
} as const satisfies Record<string, ActRow>;

export type ActKind = keyof typeof ACTS;
/** Acts about a payout or an order; the others are about a moderation item. */
export type StoryAct = Exclude<ActKind, "assign" | "comment" | "close">;

export function decidesMoney(kind: ActKind): boolean {
  const row: ActRow = ACTS[kind];
  return row.decidesMoney === true;
}

/**
 * How the subject of an act stands, as a text: equal as long as nothing has changed that a person's word about its
 * money rests on. Inquiries and what a provider says besides change nothing of it.
 */
export function standingOf(payout: Payout | null, request: PayoutRequest): string {
  if (payout !== null) {
    const { status, sends, processedMinor, returnedMinor, incidentMinor, lossMinor } = payout;
    return [status, sends, processedMinor, returnedMinor, incidentMinor, lossMinor].join(" ");
  }
  const { amountMinor, paidMinor, overpaidMinor, attemptsLimit, allowPartially, endAsked } = request;
  return [amountMinor, paidMinor, overpaidMinor, attemptsLimit, allowPartially, endAsked].join(" ");
}

/** Something that a person must look at. */
export interface ModerationItem {
  readonly organizationId: string;
  readonly id: string;
  readonly kind: "payout" | "request" | "provider_account" | "organization" | "callback" | "delivery";
  readonly subject: string;
  readonly reason: string;
  readonly isIncident: boolean;
  readonly status: "open" | "closed";
  readonly count: number;
  readonly details: unknown;
  /** Who of the merchant's people takes care of it; null: nobody yet. */
  readonly assignee: string | null;
  readonly openedTime: number;
  readonly closedTime: number | null;
  readonly version: number;
}

/** What a person did, or wants to do, about something: who, when, why. Never deleted. */
export interface ModerationAct {
  readonly organizationId: string;
  readonly id: string;
  readonly kind: string;
  readonly subjectKind: "payout" | "request" | "item";
  readonly subject: string;
  /** `proposed`: waits for a second person. */
  readonly status: "done" | "proposed" | "withdrawn";
  readonly actor: string;
  readonly confirmedBy: string | null;
  readonly reason: string;
  /** What else was said: the verdict, the evidence, the figures. */
  readonly body: unknown;
  /** Of what was proposed: how its subject stood then, in what an act may depend on; null: done at once. */
  readonly standing: string | null;
  readonly version: number;
  readonly createdTime: number;
  readonly updatedTime: number;
}
