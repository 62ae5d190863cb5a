/** The moderation queue and what people did, as the outside sees them. */
import type { ModerationAct, ModerationItem } from "../acts.ts";
import { type Shown, timeText } from "./orders.ts";

/** Where the thing stands that an item or an act is about. What is not here has no address of its own. */
const PLACES: ReadonlyMap<string, string> = new Map([
  ["payout", "payouts"],
  ["request", "payout-requests"],
  ["provider_account", "provider-accounts"],
  ["delivery", "webhook-deliveries"],
  ["item", "moderation"],
]);

function linksOf(self: string, about: { readonly kind: string; readonly subject: string }, base: string) {
  const place = PLACES.get(about.kind);
  return [
    { rel: "self", href: `${base}/moderation/${self}` },
    ...(place === undefined ? [] : [{ rel: "subject", href: `${base}/${place}/${about.subject}` }]),
  ];
}

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
    _links: linksOf(item.id, item, base),
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
    _links: linksOf(`acts/${act.id}`, { kind: act.subjectKind, subject: act.subject }, base),
  };
}
