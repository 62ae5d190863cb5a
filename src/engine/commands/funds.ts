/** Movements of funds that a person makes: created first, posted when approved. */

import { type InvalidField, invalid, type Refusal, refusal } from "../../core/errors.ts";
import { isCurrency } from "../../core/money/currency.ts";
import * as ledger from "../../core/money/ledger.ts";
import { assert, err, ok, type Result } from "../../core/result.ts";
import type { FundsMovement } from "../../core/setup/merchant.ts";
import { type Handler, ORDER } from "../command.ts";
import type { Context } from "../context.ts";
import type { TableName, Want } from "../ports.ts";
import { readAmount } from "./invoice-order.ts";

export interface CreateFunds {
  readonly kind: FundsMovement["kind"];
  readonly order: {
    readonly websiteId?: string;
    readonly toWebsiteId?: string;
    readonly depositAccountId?: string;
    readonly currency?: string;
    /** Decimal text in major units. */
    readonly amount?: string;
    readonly description?: string;
  };
  readonly problems: readonly InvalidField[];
}

export const createFunds: Handler<CreateFunds, FundsMovement> = {
  name: "create-funds-movement",
  order: ORDER.accept,
  wants({ order }, organizationId) {
    const ids = [order.websiteId, order.toWebsiteId].filter((id) => id !== undefined);
    return ids.map((id) => ({ table: "website", by: "primary", keys: [[organizationId, id]] }));
  },
  decide: decideCreate,
};

function decideCreate(context: Context, { kind, order, problems }: CreateFunds): Result<FundsMovement, Refusal> {
  const faults: InvalidField[] = [...problems];
  const fault = (field: string, message: string): null => {
    if (!faults.some((each) => each.field === field)) faults.push({ field, message });
    return null;
  };
  const { organizationId, rows, setup, now } = context;
  const { websiteId, toWebsiteId, depositAccountId, currency } = order;
  const websiteMembers = kind === "transfer" ? (["websiteId", "toWebsiteId"] as const) : (["websiteId"] as const);
  for (const member of websiteMembers) {
    const id = order[member];
    if (id === undefined) fault(member, "is required");
    else if (rows.get("website", [organizationId, id]) === null) fault(member, "is not a website of this organization");
  }
  if (kind === "transfer" && websiteId === toWebsiteId && websiteId !== undefined) {
    fault("toWebsiteId", "must be another website");
  }
  if (currency === undefined) fault("currency", "is required");
  else if (!isCurrency(currency)) fault("currency", "is not a currency that Bursar knows");
  const deposit = depositAccountId === undefined ? null : setup.deposits.get(depositAccountId);
  if (deposit === undefined) fault("depositAccountId", "is not a deposit account of this organization");
  else if (deposit !== null && deposit.currency !== currency) fault("depositAccountId", "is in another currency");
  const known = currency !== undefined && isCurrency(currency) ? currency : null;
  const isGiven = order.amount !== undefined;
  const amountMinor = isGiven
    ? readAmount(order.amount, known, { field: "amount", fault })
    : fault("amount", "is required");
  if (faults.length > 0 || amountMinor === null || websiteId === undefined || currency === undefined) {
    return err(invalid(faults));
  }
  const movement: FundsMovement = {
    organizationId,
    id: context.newId(),
    kind,
    status: "created",
    websiteId,
    toWebsiteId: toWebsiteId ?? null,
    depositAccountId: depositAccountId ?? null,
    currency,
    amountMinor,
    description: order.description ?? null,
    version: 1,
    createdTime: now,
    updatedTime: now,
  };
  rows.put("fundsMovement", movement);
  context.commandId(movement.id);
  return ok(movement);
}

export interface ApproveFunds {
  readonly kind: FundsMovement["kind"];
  readonly id: string;
  /** The version that the caller has read. */
  readonly version: number;
}

export const approveFunds: Handler<ApproveFunds, FundsMovement> = {
  name: "approve-funds-movement",
  order: ORDER.accept,
  wants: ({ id }, organizationId) => [{ table: "fundsMovement", by: "primary", keys: [[organizationId, id]] }],
  more({ id }, seen) {
    const movement = seen.rows.get("fundsMovement", [seen.organizationId, id]);
    if (movement === null) return [];
    const owners = [movement.websiteId, movement.toWebsiteId, movement.depositAccountId ?? ""];
    const keys = owners.filter((owner) => owner !== null).map((owner) => [seen.organizationId, owner]);
    const wants: Want<TableName>[] = [{ table: "ledgerAccount", by: "ledger_account_by_owner", keys }];
    return wants;
  },
  decide(context, { kind, id, version }) {
    const movement = context.rows.get("fundsMovement", [context.organizationId, id]);
    if (movement === null || movement.kind !== kind) return err(refusal("not-found", `There is no such ${kind}.`));
    if (movement.version !== version) {
      return err(refusal("version-conflict", `The ${kind} is at version ${movement.version}, not ${version}.`));
    }
    if (movement.status !== "created") {
      return err(refusal("not-in-this-status", `The ${kind} is already ${movement.status}.`));
    }
    const posted = context.post(postingOf(movement));
    if (!posted.ok) return posted;
    const approved: FundsMovement = {
      ...movement,
      status: "approved",
      version: movement.version + 1,
      updatedTime: context.now,
    };
    context.rows.put("fundsMovement", approved);
    context.commandId(id);
    return ok(approved);
  },
};

function postingOf(movement: FundsMovement): ledger.Posting {
  const { id, kind, websiteId, toWebsiteId, depositAccountId, currency, amountMinor } = movement;
  const place =
    depositAccountId === null ? ledger.own("bank", currency) : ledger.atProvider(depositAccountId, currency);
  switch (kind) {
    case "deposit":
      return ledger.deposited(id, websiteId, place, amountMinor);
    case "withdrawal":
      return ledger.withdrawn(id, websiteId, place, amountMinor);
    case "transfer":
      assert(toWebsiteId !== null, "a transfer names its receiver");
      return ledger.transferred(
        id,
        ledger.available(websiteId, currency),
        ledger.available(toWebsiteId, currency),
        amountMinor,
      );
  }
}
