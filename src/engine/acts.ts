/**
 * The record of what people do: who, when, why, and what else was said. Every act is an event; one that decides where
 * money goes waits, above the website's limit, for a second person (docs/domain.md, Moderation).
 */

import type { ModerationAct } from "../core/acts.ts";
import { type ActKind, decidesMoney } from "../core/acts.ts";
import { parseMajor } from "../core/money/money.ts";
import type { Website } from "../core/setup/merchant.ts";
import type { Context } from "./context.ts";
import { addHistory, openItem } from "./record.ts";

/** What somebody does. */
export interface Act {
  readonly kind: ActKind;
  readonly subjectKind: ModerationAct["subjectKind"];
  readonly subject: string;
  readonly reason: string;
  /** As it was said, for the record and for the second person. */
  readonly body: unknown;
  /** Of what is proposed: how the subject stands. */
  readonly standing?: string;
}

/** Whether a second person must confirm an act about so much money. */
export function needsSecondPerson(kind: ActKind, website: Website, about: { currency: string; amountMinor: bigint }) {
  if (!decidesMoney(kind)) return false;
  const limit = website.secondPersonAbove[about.currency];
  if (limit === undefined) return false;
  const parsed = parseMajor(limit, about.currency);
  return !parsed.ok || about.amountMinor > parsed.value;
}

/** Writes an act down, done or proposed, and tells of it. */
export function recordAct(context: Context, act: Act, status: "done" | "proposed"): ModerationAct {
  const { organizationId, now } = context;
  const row: ModerationAct = {
    organizationId,
    id: context.newId(),
    kind: act.kind,
    subjectKind: act.subjectKind,
    subject: act.subject,
    status,
    actor: context.cause.actor,
    confirmedBy: null,
    reason: act.reason,
    body: act.body ?? null,
    standing: act.standing ?? null,
    version: 1,
    createdTime: now,
    updatedTime: now,
  };
  context.rows.put("moderationAct", row);
  tell(context, row);
  if (status === "proposed") {
    openItem(context, {
      kind: act.subjectKind === "payout" ? "payout" : "request",
      subject: act.subject,
      reason: "second_person",
      isIncident: false,
      details: { act: row.id, kind: act.kind },
    });
  }
  return row;
}

/** A second person has decided about a proposed act. */
export function closeAct(context: Context, act: ModerationAct, status: "done" | "withdrawn"): ModerationAct {
  const row: ModerationAct = {
    ...act,
    status,
    confirmedBy: context.cause.actor,
    version: act.version + 1,
    updatedTime: context.now,
  };
  context.rows.put("moderationAct", row);
  tell(context, row);
  return row;
}

function tell(context: Context, row: ModerationAct): void {
  addHistory(context, {
    kind: "act",
    subject: row.id,
    status: row.kind,
    row: { version: row.version, resolution: null, moderationRequired: row.status === "proposed" },
    moves: [],
  });
}
