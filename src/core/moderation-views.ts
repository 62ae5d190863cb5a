/** The moderation queue and what people did, as the outside sees them. */
import type { ModerationAct, ModerationItem } from "./acts.ts";
import { type Shown, timeText } from "./views.ts";

/** Something that a person must look at. */
export function itemView(item: ModerationItem, base: string): Shown {
  return {
    id: item.id,
    kind: item.kind,
    subject: item.subject,
    reason: item.reason,
    incident: item.isIncident,
    status: item.status,
    count: item.count,
    details: item.details,
    assignee: item.assignee,
    version: item.version,
    openedTime: timeText(item.openedTime),
    closedTime: item.closedTime === null ? null : timeText(item.closedTime),
    _links: [{ rel: "self", href: `${base}/moderation/${item.id}` }],
  };
}

/** What a person did, or wants to do. */
export function actView(act: ModerationAct, base: string): Shown {
  return {
    id: act.id,
    kind: act.kind,
    subjectKind: act.subjectKind,
    subject: act.subject,
    status: act.status,
    actor: act.actor,
    confirmedBy: act.confirmedBy,
    reason: act.reason,
    body: act.body,
    version: act.version,
    createdTime: timeText(act.createdTime),
    updatedTime: timeText(act.updatedTime),
    _links: [{ rel: "self", href: `${base}/moderation/acts/${act.id}` }],
  };
}
