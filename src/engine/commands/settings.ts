/** What an organization configures. Every change grows the revision by which process caches know it. */

import { type Refusal, refusal } from "../../core/errors.ts";
import { err, ok, type Result } from "../../core/result.ts";
import { type Handler, ORDER } from "../command.ts";
import type { Context } from "../context.ts";
import type { Tables } from "../ports.ts";
import { credentialsBinding } from "../setup.ts";
import { destinationBinding } from "../world.ts";
import { renewed } from "./configuration.ts";
import { readdressed } from "./provider-accounts.ts";

type Plain<T, Omitted extends keyof T> = Omit<
  T,
  Omitted | "organizationId" | "version" | "createdTime" | "updatedTime"
>;

/** A whole setup at once: what a fresh installation is given. Secrets are plain here and sealed before they are stored. */
export interface SetupPackage {
  readonly websites: readonly Plain<Tables["website"], never>[];
  readonly customers: readonly Plain<Tables["customer"], never>[];
  readonly instruments: readonly (Plain<Tables["paymentInstrument"], "destination" | "destinationHash"> & {
    readonly fields: Readonly<Record<string, string>>;
  })[];
  readonly providerAccounts: readonly (Plain<
    Tables["providerAccount"],
    "credentials" | "gate" | "gateReason" | "addressedTime" | "addressedEpoch"
  > & { readonly secrets: Readonly<Record<string, string>> })[];
  readonly depositAccounts: readonly Plain<Tables["depositAccount"], never>[];
  readonly routes: readonly Plain<Tables["route"], never>[];
  readonly schemes: readonly Pick<Tables["scheme"], "kind" | "id" | "name" | "body">[];
}

/** Writes a setup into an organization that has none of these ids yet; a scheme that exists gets a new revision. */
export const installSetup: Handler<SetupPackage, null> = {
  name: "install-setup",
  order: ORDER.accept,
  wants: () => [],
  decide: (context, setup) => install(context, setup),
};

function install(context: Context, setup: SetupPackage): Result<null, Refusal> {
  const { organizationId, rows, now } = context;
  const { safe } = context.setup;
  const born = { organizationId, version: 1, createdTime: now, updatedTime: now };
  for (const each of setup.websites) rows.put("website", { ...each, ...born });
  for (const each of setup.customers) rows.put("customer", { ...each, ...born });
  for (const { fields, ...each } of setup.instruments) {
    const destinationHash = safe.fingerprint(fields);
    const destination = safe.seal(fields, destinationBinding(organizationId, destinationHash));
    rows.put("paymentInstrument", { ...each, ...born, destination, destinationHash });
  }
  for (const { secrets, ...each } of setup.providerAccounts) {
    const credentials = safe.seal(secrets, credentialsBinding(organizationId, each.id));
    const untouched = { gate: "open", gateReason: null, addressedTime: null, addressedEpoch: null } as const;
    rows.put("providerAccount", { ...each, ...born, ...untouched, credentials });
  }
  for (const each of setup.depositAccounts) rows.put("depositAccount", { ...each, ...born });
  for (const each of setup.routes) rows.put("route", { ...each, ...born });
  for (const each of setup.schemes) {
    const revision = (context.setup.schemes.get(`${each.kind}:${each.id}`)?.revision ?? 0) + 1;
    rows.put("scheme", { ...each, organizationId, revision, createdTime: now });
  }
  context.count({ configRevision: context.lock.configRevision + 1 });
  context.commandId(null);
  return ok(null);
}

export interface MoveProviderAccount {
  readonly id: string;
  readonly baseUrl: string;
}

/** Changes where a provider account answers. */
export const moveProviderAccount: Handler<MoveProviderAccount, null> = {
  name: "move-provider-account",
  order: ORDER.accept,
  wants: ({ id }, organizationId) => [{ table: "providerAccount", by: "primary", keys: [[organizationId, id]] }],
  decide(context, { id, baseUrl }) {
    const row = context.rows.get("providerAccount", [context.organizationId, id]);
    if (row === null) return err(refusal("not-found", "There is no such provider account."));
    context.rows.put("providerAccount", renewed(context, { ...row, ...readdressed(context), baseUrl }));
    context.count({ configRevision: context.lock.configRevision + 1 });
    context.commandId(id);
    return ok(null);
  },
};
