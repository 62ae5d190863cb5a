/** What goes with a change: its line of history, the events of it, what a person must look at, and shut gates. */

import type { Payout } from "../core/order/payout.ts";
import type { Item } from "../core/order/story.ts";
import { announce } from "./commands/webhooks.ts";
import type { Context } from "./context.ts";
import type { History } from "./ports.ts";

interface Chronicle {
  readonly kind: History["kind"];
  readonly subject: string;
  readonly status: string;
  readonly row: Pick<Payout, "version" | "resolution" | "moderationRequired">;
  readonly moves: readonly string[];
  /** Where this invoice's merchant wants to hear of it besides the endpoints. */
  readonly callbackUrl?: string | null;
}

/** Writes the line of history of one change of one thing, and sends its event out. */
export function addHistory(context: Context, of: Chronicle): void {
  const sequence = context.lock.historySequence + 1;
  context.count({ historySequence: sequence });
  const change: History = {
    organizationId: context.organizationId,
    sequence,
    kind: of.kind,
    subject: of.subject,
    versionFrom: of.row.version - 1,
    versionTo: of.row.version,
    moves: of.moves,
    status: of.status,
    resolution: of.row.resolution,
    moderationRequired: of.row.moderationRequired,
    commandId: context.commandId(of.subject),
    time: context.now,
  };
  context.rows.put("history", change);
  announce(context, change, of.callbackUrl ?? null);
}

/** Opens a moderation item, or counts the cause again on the one that is open. */
export function openItem(context: Context, item: Item): void {
  const { organizationId, now } = context;
  const open = context.rows
    .group("moderationItem", "subject", item.subject)
    .filter((row) => row.organizationId === organizationId && row.status === "open")
    .find((row) => row.reason === item.reason && row.kind === item.kind);
  if (open !== undefined) {
    context.rows.put("moderationItem", { ...open, count: open.count + 1, version: open.version + 1 });
    return;
  }
  // Closed and met again in one moment: it is the same item, and not two of one cause in one transaction.
  const justClosed = context.rows
    .group("moderationItem", "subject", item.subject)
    .filter((row) => row.organizationId === organizationId && row.closedTime === now)
    .find((row) => row.reason === item.reason && row.kind === item.kind);
  if (justClosed !== undefined) {
    const { count, version } = justClosed;
    const again = { status: "open", closedTime: null, count: count + 1, version: version + 1 } as const;
    context.rows.put("moderationItem", { ...justClosed, ...again });
    return;
  }
  context.rows.put("moderationItem", {
    organizationId,
    id: context.newId(),
    kind: item.kind,
    subject: item.subject,
    reason: item.reason,
    isIncident: item.isIncident,
    status: "open",
    count: 1,
    details: item.details,
    assignee: null,
    openedTime: now,
    closedTime: null,
    version: 1,
  });
}

/** Closes what has lost its reason. */
export function closeItems(context: Context, subject: string, reason: string): void {
  const open = context.rows
    .group("moderationItem", "subject", subject)
    .filter((row) => row.organizationId === context.organizationId && row.status === "open");
  for (const row of open) {
    if (row.reason !== reason) continue;
    context.rows.put("moderationItem", {
      ...row,
      status: "closed",
      closedTime: context.now,
      version: row.version + 1,
    });
  }
}

/** Shuts the sending gate of a provider account and asks a person to look. */
export function shutAccount(context: Context, providerAccountId: string, reason: string): void {
  const key = [context.organizationId, providerAccountId];
  const row = context.rows.get("providerAccount", key) ?? context.setup.providers.get(providerAccountId)?.row;
  if (row === undefined || row.gate === "shut") return;
  context.rows.put("providerAccount", {
    ...row,
    gate: "shut",
    gateReason: reason,
    version: row.version + 1,
    updatedTime: context.now,
  });
  context.count({ configRevision: context.lock.configRevision + 1 });
  openItem(context, {
    kind: "provider_account",
    subject: providerAccountId,
    reason: "account_refused",
    isIncident: false,
    details: { reason },
  });
}
