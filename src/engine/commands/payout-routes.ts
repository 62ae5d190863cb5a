/** Deposit accounts, and the routes that offer their balances to payout services. */

import type { Refusal } from "../../core/errors.ts";
import { isCurrency } from "../../core/money/currency.ts";
import { accountId, atProvider } from "../../core/money/ledger.ts";
import { parseMajor } from "../../core/money/money.ts";
import { assert, err, ok, type Result } from "../../core/result.ts";
import type { DepositAccount, Route } from "../../core/setup/routing.ts";
import { type Handler, ORDER, type Seen } from "../command.ts";
import type { Context } from "../context.ts";
import type { TableName, Want } from "../ports.ts";
import {
  born,
  type Change,
  type Create,
  current,
  Faults,
  growRevision,
  idOf,
  renewed,
  taken,
} from "./configuration.ts";
import { findService, readAmount } from "./invoice-order.ts";

function byId<T extends "providerAccount" | "depositAccount" | "route">(
  table: T,
  organizationId: string,
  id: string | undefined,
): readonly Want<TableName>[] {
  return id === undefined ? [] : [{ table, by: "primary", keys: [[organizationId, id]] }];
}

/** The currency of a deposit account never changes, nor where it is. */
export interface DepositAccountOrder {
  readonly id?: string;
  readonly providerAccountId?: string;
  readonly currency?: string;
  readonly name?: string;
  /** Decimal text in major units. */
  readonly minimalBalance?: string;
}

/** A deposit account with what the ledger has there. */
export interface DepositRows {
  readonly deposit: DepositAccount;
  readonly balanceMinor: bigint;
}

/** An amount that may be zero; null after a fault. */
function readBalance(text: string, currency: string, faults: Faults): bigint | null {
  const field = "minimalBalance";
  const parsed = parseMajor(text, currency);
  if (!parsed.ok) return readAmount(text, currency, { field, fault: faults.say });
  return parsed.value < 0n ? faults.say(field, "must not be negative") : parsed.value;
}

function saveDeposit(context: Context, deposit: DepositAccount): Result<DepositRows, Refusal> {
  context.rows.put("depositAccount", deposit);
  growRevision(context);
  context.commandId(deposit.id);
  const { balanceMinor } = context.account(atProvider(deposit.id, deposit.currency));
  return ok({ deposit, balanceMinor });
}

export const createDepositAccount: Handler<Create<DepositAccountOrder>, DepositRows> = {
  name: "create-deposit-account",
  order: ORDER.accept,
  wants: ({ order }, organizationId) => [
    ...byId("providerAccount", organizationId, order.providerAccountId),
    ...byId("depositAccount", organizationId, order.id),
  ],
  decide(context, { order, problems }) {
    const faults = new Faults(problems);
    const { organizationId, rows } = context;
    const { providerAccountId, currency, name } = order;
    if (providerAccountId === undefined) faults.say("providerAccountId", "is required");
    else if (rows.get("providerAccount", [organizationId, providerAccountId]) === null) {
      faults.say("providerAccountId", "is not a provider account of this organization");
    }
    if (name === undefined) faults.say("name", "is required");
    const isKnown = currency !== undefined && isCurrency(currency);
    if (currency === undefined) faults.say("currency", "is required");
    else if (!isKnown) faults.say("currency", "is not a currency that Bursar knows");
    const minimalBalanceMinor = isKnown ? readBalance(order.minimalBalance ?? "0", currency, faults) : null;
    if (!faults.isSound || !providerAccountId || !isKnown || !name || minimalBalanceMinor === null) {
      return err(faults.refusal);
    }
    const id = idOf(context, order.id, "dep");
    if (rows.get("depositAccount", [organizationId, id]) !== null) {
      return err(taken("id-used", `There is a deposit account ${id} already.`, `/deposit-accounts/${id}`));
    }
    return saveDeposit(context, { ...born(context), id, providerAccountId, currency, name, minimalBalanceMinor });
  },
};

export const changeDepositAccount: Handler<Change<DepositAccountOrder>, DepositRows> = {
  name: "change-deposit-account",
  order: ORDER.accept,
  wants: ({ id }, organizationId) => byId("depositAccount", organizationId, id),
  more({ id }, { organizationId, rows }) {
    const row = rows.get("depositAccount", [organizationId, id]);
    if (row === null) return [];
    const ledgerId = accountId(atProvider(id, row.currency));
    return [{ table: "ledgerAccount", by: "primary", keys: [[organizationId, ledgerId]] }];
  },
  decide(context, { id, version, order, problems }) {
    const read = current("deposit account", context.rows.get("depositAccount", [context.organizationId, id]), version);
    if (!read.ok) return read;
    const row = read.value;
    const faults = new Faults(problems);
    const { minimalBalance } = order;
    const given = minimalBalance === undefined ? null : readBalance(minimalBalance, row.currency, faults);
    if (!faults.isSound) return err(faults.refusal);
    const minimalBalanceMinor = given ?? row.minimalBalanceMinor;
    return saveDeposit(context, renewed(context, { ...row, name: order.name ?? row.name, minimalBalanceMinor }));
  },
};

/** Limits are decimal text in major units of the service's currency; null = none. */
export interface RouteOrder {
  readonly id?: string;
  readonly depositAccountId?: string;
  readonly service?: string;
  readonly isEnabled?: boolean;
  readonly isArchived?: boolean;
  readonly isManual?: boolean;
  readonly minAmount?: string | null;
  readonly maxAmount?: string | null;
}

/** A route with the currency of its limits. */
export interface RouteRows {
  readonly route: Route;
  readonly currency: string;
}

type Limits = Pick<Route, "minAmountMinor" | "maxAmountMinor">;

function readLimits(order: RouteOrder, before: Limits, by: { currency: string | null; faults: Faults }): Limits {
  const { faults, currency } = by;
  const read = (field: "minAmount" | "maxAmount", present: bigint | null): bigint | null => {
    const text = order[field];
    if (text === undefined || text === null) return text === null ? null : present;
    return readAmount(text, currency, { field, fault: faults.say });
  };
  const minAmountMinor = read("minAmount", before.minAmountMinor);
  const maxAmountMinor = read("maxAmount", before.maxAmountMinor);
  if (minAmountMinor !== null && maxAmountMinor !== null && maxAmountMinor < minAmountMinor) {
    faults.say(order.maxAmount === undefined ? "minAmount" : "maxAmount", "leaves no amount between the limits");
  }
  return { minAmountMinor, maxAmountMinor };
}

function saveRoute(context: Context, route: Route, currency: string): Result<RouteRows, Refusal> {
  context.rows.put("route", route);
  growRevision(context);
  context.commandId(route.id);
  return ok({ route, currency });
}

/** The deposit account that pays, if its provider offers the service in its currency. */
function findDeposit(context: Context, order: RouteOrder, faults: Faults): DepositAccount | null {
  const { organizationId, rows } = context;
  const { depositAccountId } = order;
  if (depositAccountId === undefined) return faults.say("depositAccountId", "is required");
  const deposit = rows.get("depositAccount", [organizationId, depositAccountId]);
  if (deposit === null) return faults.say("depositAccountId", "is not a deposit account of this organization");
  const service = order.service === undefined ? null : findService(context, order.service);
  if (service === null) {
    faults.say("service", order.service === undefined ? "is required" : "is not a payout service");
    return deposit;
  }
  const account = rows.get("providerAccount", [organizationId, deposit.providerAccountId]);
  const offered = context.connectors.get(account?.connector ?? "")?.services ?? [];
  if (!offered.some((each) => each.code === service.code)) {
    faults.say("service", "is not offered by the provider of this deposit account");
  } else if (service.currency !== deposit.currency) {
    faults.say("service", `pays ${service.currency}, and the deposit account is in ${deposit.currency}`);
  }
  return deposit;
}

export const createRoute: Handler<Create<RouteOrder>, RouteRows> = {
  name: "create-payout-route",
  order: ORDER.accept,
  wants: ({ order }, organizationId) => [
    ...byId("depositAccount", organizationId, order.depositAccountId),
    ...byId("route", organizationId, order.id),
  ],
  more: ({ order }, seen) => providerOf(order.depositAccountId, seen),
  decide(context, { order, problems }) {
    const faults = new Faults(problems);
    const deposit = findDeposit(context, order, faults);
    if (order.service === undefined) faults.say("service", "is required");
    const currency = deposit?.currency ?? null;
    const limits = readLimits(order, { minAmountMinor: null, maxAmountMinor: null }, { currency, faults });
    if (!faults.isSound || deposit === null || order.service === undefined) return err(faults.refusal);
    const id = idOf(context, order.id, "rt");
    if (context.rows.get("route", [context.organizationId, id]) !== null) {
      return err(taken("id-used", `There is a payout route ${id} already.`, `/payout-routes/${id}`));
    }
    const route: Route = {
      ...born(context),
      id,
      depositAccountId: deposit.id,
      service: order.service,
      isEnabled: order.isEnabled ?? true,
      isArchived: order.isArchived ?? false,
      isManual: order.isManual ?? false,
      ...limits,
    };
    return saveRoute(context, route, deposit.currency);
  },
};

function providerOf(depositAccountId: string | undefined, { organizationId, rows }: Seen): readonly Want<TableName>[] {
  if (depositAccountId === undefined) return [];
  const deposit = rows.get("depositAccount", [organizationId, depositAccountId]);
  return byId("providerAccount", organizationId, deposit?.providerAccountId);
}

export const changeRoute: Handler<Change<RouteOrder>, RouteRows> = {
  name: "change-payout-route",
  order: ORDER.accept,
  wants: ({ id }, organizationId) => byId("route", organizationId, id),
  more({ id }, { organizationId, rows }) {
    return byId("depositAccount", organizationId, rows.get("route", [organizationId, id])?.depositAccountId);
  },
  decide(context, { id, version, order, problems }) {
    const { organizationId, rows } = context;
    const read = current("payout route", rows.get("route", [organizationId, id]), version);
    if (!read.ok) return read;
    const row = read.value;
    const deposit = rows.get("depositAccount", [organizationId, row.depositAccountId]);
    assert(deposit !== null, `the deposit account of route ${id} is loaded`);
    const faults = new Faults(problems);
    const limits = readLimits(order, row, { currency: deposit.currency, faults });
    if (!faults.isSound) return err(faults.refusal);
    const { isEnabled = row.isEnabled, isArchived = row.isArchived, isManual = row.isManual } = order;
    return saveRoute(
      context,
      renewed(context, { ...row, isEnabled, isArchived, isManual, ...limits }),
      deposit.currency,
    );
  },
};
