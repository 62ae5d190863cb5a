/** Sending gates: shut, nothing new is sent in their scope; the API, inquiries and callbacks go on (docs/safety.md). */
import { type Refusal, refusal } from "../../core/errors.ts";
import { err, ok, type Result } from "../../core/result.ts";
import type { ProviderAccount } from "../../core/routing.ts";
import { type Handler, ORDER } from "../command.ts";
import type { Context } from "../context.ts";
import type { TableName, Want } from "../ports.ts";
import { openItem } from "../record.ts";
import { growRevision, renewed } from "./configuration.ts";

export interface GateOrder {
  /** Null: the gate of the whole organization. */
  readonly providerAccountId: string | null;
  /** Why, for the person who reads it later. */
  readonly reason: string;
}

/** `unchanged`: it stood like this before. */
export type GateChange = "changed" | "unchanged";

function gateWants({ providerAccountId }: GateOrder, organizationId: string): readonly Want<TableName>[] {
  const subject = providerAccountId ?? organizationId;
  const items: Want<TableName> = {
    table: "moderationItem",
    by: "moderation_item_by_subject",
    keys: [[organizationId, subject]],
  };
  if (providerAccountId === null) return [items];
  return [items, { table: "providerAccount", by: "primary", keys: [[organizationId, providerAccountId]] }];
}

function accountOf(context: Context, id: string): Result<ProviderAccount, Refusal> {
  const account = context.rows.get("providerAccount", [context.organizationId, id]);
  return account === null ? err(refusal("not-found", "There is no such provider account.")) : ok(account);
}

/** Puts one gate as it shall be. Nothing is written where it stands so already. */
function moveGate(context: Context, order: GateOrder, to: "open" | "shut"): Result<GateChange, Refusal> {
  const { organizationId, rows, lock } = context;
  const { providerAccountId, reason } = order;
  if (providerAccountId === null) {
    if (lock.gate === to) return ok("unchanged");
    context.count({ gate: to });
  } else {
    const account = accountOf(context, providerAccountId);
    if (!account.ok) return account;
    if (account.value.gate === to) return ok("unchanged");
    const gateReason = to === "shut" ? reason : null;
    rows.put("providerAccount", renewed(context, { ...account.value, gate: to, gateReason }));
    growRevision(context);
  }
  context.commandId(providerAccountId ?? organizationId);
  return ok("changed");
}

/** Shuts a gate and asks a person to look. Fails with `not-found` when there is no such provider account. */
export const shutGate: Handler<GateOrder, GateChange> = {
  name: "shut-gate",
  order: ORDER.outcome,
  wants: gateWants,
  decide(context, order) {
    const moved = moveGate(context, order, "shut");
    if (!moved.ok) return moved;
    const scope = order.providerAccountId === null ? "organization" : "provider_account";
    // Said again, it is counted again: what shut the gate is still there.
    openItem(context, {
      kind: "provider_account",
      subject: order.providerAccountId ?? context.organizationId,
      reason: "internal_fault",
      isIncident: true,
      details: { scope, reason: order.reason },
    });
    return moved;
  },
};

/** A person has looked: opens a gate and closes what asked for the look. Fails with `not-found` as `shutGate` does. */
export const openGate: Handler<GateOrder, GateChange> = {
  name: "open-gate",
  order: ORDER.accept,
  wants: gateWants,
  decide(context, order) {
    const moved = moveGate(context, order, "open");
    if (!moved.ok) return moved;
    const { organizationId, rows, now } = context;
    const subject = order.providerAccountId ?? organizationId;
    const open = rows.filter(
      "moderationItem",
      (row) =>
        row.organizationId === organizationId &&
        row.kind === "provider_account" &&
        row.subject === subject &&
        row.status === "open",
    );
    for (const row of open) {
      rows.put("moderationItem", { ...row, status: "closed", closedTime: now, version: row.version + 1 });
    }
    return moved;
  },
};
