/** Sending gates: shut, nothing new is sent in their scope; the API, inquiries and callbacks go on (docs/safety.md). */
import { type Refusal, refusal } from "../../core/errors.ts";
import { err, ok, type Result } from "../../core/result.ts";
import type { ProviderAccount } from "../../core/setup/routing.ts";
import { type Handler, ORDER } from "../command.ts";
import type { Context } from "../context.ts";
import type { TableName, Want } from "../ports.ts";
import { openItem } from "../record.ts";
import { growRevision, renewed } from "./configuration.ts";

export interface GateOrder {
  /** The gate of one provider account; null: of the organization. */
  readonly providerAccountId: string | null;
  /** Of the organization: of one currency only; null: of all of it. */
  readonly currency: string | null;
  /** Why, for the person who reads it later. */
  readonly reason: string;
}

/** `unchanged`: it stood like this before. */
export type GateChange = "changed" | "unchanged";

/** What the moderation item of a gate is about. */
function subjectOf({ providerAccountId, currency }: GateOrder, organizationId: string): string {
  return providerAccountId ?? (currency === null ? organizationId : `${organizationId} ${currency}`);
}

function gateWants(order: GateOrder, organizationId: string): readonly Want<TableName>[] {
  const { providerAccountId } = order;
  const subject = subjectOf(order, organizationId);
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
  const { providerAccountId, currency, reason } = order;
  if (providerAccountId === null && currency !== null) {
    const others = lock.shutCurrencies.filter((each) => each !== currency);
    if (lock.shutCurrencies.includes(currency) === (to === "shut")) return ok("unchanged");
    context.count({ shutCurrencies: to === "shut" ? [...others, currency].toSorted() : others });
  } else if (providerAccountId === null) {
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
    const kind = order.providerAccountId === null ? "organization" : "provider_account";
    // Said again, it is counted again: what shut the gate is still there.
    openItem(context, {
      kind,
      subject: subjectOf(order, context.organizationId),
      reason: "internal_fault",
      isIncident: true,
      details: { reason: order.reason },
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
    const kind = order.providerAccountId === null ? "organization" : "provider_account";
    const open = rows
      .group("moderationItem", "subject", subjectOf(order, organizationId))
      .filter((row) => row.organizationId === organizationId && row.kind === kind && row.status === "open");
    for (const row of open) {
      rows.put("moderationItem", { ...row, status: "closed", closedTime: now, version: row.version + 1 });
    }
    return moved;
  },
};
