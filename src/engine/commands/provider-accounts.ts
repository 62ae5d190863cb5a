/** Provider accounts: credentials at one provider, the address where it calls us back, and the gate before it. */
import type { Connector } from "../../connectors/contract.ts";
import type { Refusal } from "../../core/errors.ts";
import { sha256 } from "../../core/ids.ts";
import { err, ok, type Result } from "../../core/result.ts";
import { checkFields } from "../../core/setup/fields.ts";
import type { ProviderAccount } from "../../core/setup/routing.ts";
import { type Handler, ORDER } from "../command.ts";
import type { Context } from "../context.ts";
import { credentialsBinding } from "../setup.ts";
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
  urlFault,
} from "./configuration.ts";

type Texts = Readonly<Record<string, string>>;

/** On a change: members of settings and credentials that are absent stay as they are, null takes them away. */
export interface ProviderAccountOrder {
  readonly id?: string;
  readonly connector?: string;
  readonly name?: string;
  readonly baseUrl?: string;
  readonly settings?: Readonly<Record<string, string | null>>;
  readonly credentials?: Readonly<Record<string, string | null>>;
  readonly gate?: ProviderAccount["gate"];
  readonly gateReason?: string;
}

/** 256 bits: who does not know the address cannot guess it. */
const CALLBACK_BYTES = 32;
const SHUT_BY_HAND = "shut by a person";

function merged(before: Texts, given: Readonly<Record<string, string | null>> | undefined): Texts {
  const entries = Object.entries({ ...before, ...given });
  return Object.fromEntries(entries.filter((entry): entry is [string, string] => entry[1] !== null));
}

function checkBaseUrl(baseUrl: string, faults: Faults): void {
  const fault = urlFault(baseUrl);
  if (fault !== null) faults.say("baseUrl", fault);
  else if (/[?#]/.test(baseUrl)) faults.say("baseUrl", "must end before any ? or #");
}

/** A connector's fields are settings where they may be shown, and credentials where they may not. */
function checkOwn(connector: Connector, given: { settings: Texts; credentials: Texts }, faults: Faults): void {
  for (const member of ["settings", "credentials"] as const) {
    const fields = connector.settings.filter((field) => field.secret === (member === "credentials"));
    for (const { field, message } of checkFields(fields, given[member], member)) {
      faults.say(field, message.replace("this service", "this connector"));
    }
  }
}

const withoutSlash = (url: string): string => url.replace(/\/+$/, "");

function isSame(one: Texts, other: Texts): boolean {
  const names = new Set([...Object.keys(one), ...Object.keys(other)]);
  return [...names].every((name) => one[name] === other[name]);
}

/**
 * The members of an account of which is noted that it is addressed elsewhere, or as somebody else, from now on: what is
 * not known there says nothing about what was sent before.
 */
export function readdressed({ now, moment }: Context) {
  return { addressedTime: now, addressedEpoch: moment.epoch } as const;
}

function save(context: Context, row: ProviderAccount, credentials: Texts): Result<ProviderAccount, Refusal> {
  const { organizationId, rows, setup } = context;
  const sealed = setup.safe.seal(credentials, credentialsBinding(organizationId, row.id));
  const account = { ...row, credentials: sealed };
  rows.put("providerAccount", account);
  growRevision(context);
  context.commandId(row.id);
  return ok(account);
}

export const createProviderAccount: Handler<Create<ProviderAccountOrder>, ProviderAccount> = {
  name: "create-provider-account",
  order: ORDER.accept,
  wants: ({ order: { id } }, organizationId) =>
    id === undefined ? [] : [{ table: "providerAccount", by: "primary", keys: [[organizationId, id]] }],
  decide(context, { order, problems }) {
    const faults = new Faults(problems);
    const { name, baseUrl } = order;
    const connector = order.connector === undefined ? undefined : context.connectors.get(order.connector);
    if (order.connector === undefined) faults.say("connector", "is required");
    else if (connector === undefined) faults.say("connector", "is not a connector of this Bursar");
    if (name === undefined) faults.say("name", "is required");
    if (baseUrl === undefined) faults.say("baseUrl", "is required");
    else checkBaseUrl(baseUrl, faults);
    const settings = merged({}, order.settings);
    const credentials = merged({}, order.credentials);
    if (connector !== undefined) checkOwn(connector, { settings, credentials }, faults);
    if (!faults.isSound || connector === undefined || name === undefined || baseUrl === undefined) {
      return err(faults.refusal);
    }
    const { organizationId, rows } = context;
    const id = idOf(context, order.id, "pacc");
    if (rows.get("providerAccount", [organizationId, id]) !== null) {
      return err(taken("id-used", `There is a provider account ${id} already.`, `/provider-accounts/${id}`));
    }
    const callbackId = Buffer.from(context.secretBytes(CALLBACK_BYTES)).toString("base64url");
    rows.put("locator", { hash: sha256(callbackId), kind: "callback", organizationId, id });
    const row: ProviderAccount = {
      ...born(context),
      id,
      connector: connector.name,
      name,
      baseUrl: withoutSlash(baseUrl),
      settings,
      credentials: new Uint8Array(),
      callbackId,
      gate: "open",
      gateReason: null,
      addressedTime: null,
      addressedEpoch: null,
    };
    return save(context, row, credentials);
  },
};

export const changeProviderAccount: Handler<Change<ProviderAccountOrder>, ProviderAccount> = {
  name: "change-provider-account",
  order: ORDER.accept,
  wants: ({ id }, organizationId) => [
    { table: "providerAccount", by: "primary", keys: [[organizationId, id]] },
    { table: "moderationItem", by: "moderation_item_by_subject", keys: [[organizationId, id]] },
  ],
  decide(context, { id, version, order, problems }) {
    const { organizationId, rows, setup } = context;
    const read = current("provider account", rows.get("providerAccount", [organizationId, id]), version);
    if (!read.ok) return read;
    const row = read.value;
    const faults = new Faults(problems);
    if (order.baseUrl !== undefined) checkBaseUrl(order.baseUrl, faults);
    const settings = merged(row.settings as Texts, order.settings);
    const held = setup.safe.open(row.credentials, credentialsBinding(organizationId, id));
    const credentials = merged(held, order.credentials);
    const connector = context.connectors.get(row.connector);
    const isTouched = order.settings !== undefined || order.credentials !== undefined;
    if (isTouched && connector !== undefined) checkOwn(connector, { settings, credentials }, faults);
    const gate = order.gate ?? row.gate;
    if (order.gateReason !== undefined && gate === "open") faults.say("gateReason", "is of a gate that is shut");
    if (!faults.isSound) return err(faults.refusal);
    if (order.gate === "open") closeItems(context, id);
    const baseUrl = order.baseUrl === undefined ? row.baseUrl : withoutSlash(order.baseUrl);
    const isAsBefore = baseUrl === row.baseUrl && isSame(settings, row.settings as Texts) && isSame(credentials, held);
    const changed = {
      ...row,
      ...(isAsBefore ? {} : readdressed(context)),
      name: order.name ?? row.name,
      baseUrl,
      settings,
      gate,
      gateReason: gate === "open" ? null : (order.gateReason ?? row.gateReason ?? SHUT_BY_HAND),
    };
    return save(context, renewed(context, changed), credentials);
  },
};

/** Who opens the gate has looked: what asked for it is done. */
function closeItems(context: Context, id: string): void {
  const { organizationId, rows, now } = context;
  const open = rows.filter("moderationItem", (row) => {
    const isOfAccount = row.organizationId === organizationId && row.kind === "provider_account" && row.subject === id;
    return isOfAccount && row.status === "open";
  });
  for (const row of open) {
    rows.put("moderationItem", { ...row, status: "closed", closedTime: now, version: row.version + 1 });
  }
}
