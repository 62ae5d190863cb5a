/** Websites: the merchant's accounts with us, and which schemes decide for them. */

import type { Refusal } from "../../core/errors.ts";
import { isCurrency } from "../../core/money/currency.ts";
import { parseMajor } from "../../core/money/money.ts";
import { err, ok, type Result } from "../../core/result.ts";
import type { Website } from "../../core/setup/merchant.ts";
import type { Scheme } from "../../core/setup/routing.ts";
import { type Handler, ORDER } from "../command.ts";
import type { Context } from "../context.ts";
import type { TableName, Want } from "../ports.ts";
import { born, type Change, type Create, current, Faults, idOf, renewed, taken, urlFault } from "./configuration.ts";

/** On a change: absent = as it is; null = none. */
export interface WebsiteOrder {
  readonly id?: string;
  readonly name?: string;
  readonly url?: string;
  readonly autoprocess?: boolean;
  readonly payoutRequest?: { readonly autoprocess?: boolean };
  readonly lifetimeMinutes?: number;
  readonly requestLifetimeDays?: number;
  readonly revokeAtExpiry?: boolean;
  readonly refundCommission?: Website["refundCommission"];
  readonly secondPersonAbove?: Readonly<Record<string, string>>;
  readonly routingSchemeId?: string | null;
  readonly rateSchemeId?: string | null;
  readonly commerceSchemeId?: string | null;
}

const DAY_MS = 86_400_000;

const DEFAULTS = {
  autoprocess: true,
  requestAutoprocess: false,
  lifetimeMinutes: 2_880,
  requestLifetimeMs: 365 * DAY_MS,
  revokeAtExpiry: false,
  refundCommission: "keep",
  secondPersonAbove: {},
  routingSchemeId: null,
  rateSchemeId: null,
  commerceSchemeId: null,
} as const;

const SCHEMES = [
  ["routing", "routingSchemeId"],
  ["rate", "rateSchemeId"],
  ["commerce", "commerceSchemeId"],
] as const satisfies readonly (readonly [Scheme["kind"], keyof WebsiteOrder])[];

/** Every scheme that there is has a first revision. */
function schemeWants(order: WebsiteOrder, organizationId: string): readonly Want<TableName>[] {
  return SCHEMES.flatMap(([kind, member]) => {
    const id = order[member];
    return typeof id === "string" ? [{ table: "scheme", by: "primary", keys: [[organizationId, kind, id, 1]] }] : [];
  });
}

function check(context: Context, order: WebsiteOrder, faults: Faults): void {
  const { organizationId, rows } = context;
  const fault = order.url === undefined ? null : urlFault(order.url);
  if (fault !== null) faults.say("url", fault);
  for (const [currency, amount] of Object.entries(order.secondPersonAbove ?? {})) {
    const field = `secondPersonAbove.${currency}`;
    if (!isCurrency(currency)) faults.say(field, "is not a currency that Bursar knows");
    else if (!parseMajor(amount, currency).ok) faults.say(field, "is not an amount of this currency");
  }
  for (const [kind, member] of SCHEMES) {
    const id = order[member];
    if (typeof id === "string" && rows.get("scheme", [organizationId, kind, id, 1]) === null) {
      faults.say(member, `is not a ${kind} scheme of this organization`);
    }
  }
}

/** The given members over those that are there. */
function over(before: Omit<Website, "name" | "url"> & Partial<Website>, order: WebsiteOrder) {
  const { id: _, payoutRequest, requestLifetimeDays, ...given } = order;
  const isRequestAuto = payoutRequest?.autoprocess;
  return {
    ...before,
    ...given,
    ...(isRequestAuto === undefined ? {} : { requestAutoprocess: isRequestAuto }),
    ...(requestLifetimeDays === undefined ? {} : { requestLifetimeMs: Math.round(requestLifetimeDays * DAY_MS) }),
  };
}

export const createWebsite: Handler<Create<WebsiteOrder>, Website> = {
  name: "create-website",
  order: ORDER.accept,
  wants: ({ order }, organizationId) => [
    ...schemeWants(order, organizationId),
    ...(order.id === undefined
      ? []
      : [{ table: "website" as const, by: "primary", keys: [[organizationId, order.id]] }]),
  ],
  decide(context, { order, problems }) {
    const faults = new Faults(problems);
    const { name, url } = order;
    if (name === undefined) faults.say("name", "is required");
    if (url === undefined) faults.say("url", "is required");
    check(context, order, faults);
    if (!faults.isSound || name === undefined || url === undefined) return err(faults.refusal);
    const id = idOf(context, order.id, "web");
    if (context.rows.get("website", [context.organizationId, id]) !== null) {
      return err(taken("id-used", `There is a website ${id} already.`, `/websites/${id}`));
    }
    return save(context, { ...over({ ...DEFAULTS, id, ...born(context) }, order), name, url });
  },
};

export const changeWebsite: Handler<Change<WebsiteOrder>, Website> = {
  name: "change-website",
  order: ORDER.accept,
  wants: ({ id, order }, organizationId) => [
    { table: "website", by: "primary", keys: [[organizationId, id]] },
    ...schemeWants(order, organizationId),
  ],
  decide(context, { id, version, order, problems }) {
    const row = current("website", context.rows.get("website", [context.organizationId, id]), version);
    if (!row.ok) return row;
    const faults = new Faults(problems);
    check(context, order, faults);
    if (!faults.isSound) return err(faults.refusal);
    const { name, url } = row.value;
    return save(context, renewed(context, { name, url, ...over(row.value, order) }));
  },
};

function save(context: Context, website: Website): Result<Website, Refusal> {
  context.rows.put("website", website);
  context.commandId(website.id);
  return ok(website);
}
