/**
 * What an organization has configured: accounts at providers, routes, schemes. Kept in the process by the revision
 * number of the lock row, which every transaction reads anyway.
 */
import type { Account, Connector } from "../connectors/contract.ts";
import { assert } from "../core/result.ts";
import type {
  DepositAccount,
  ProviderAccount,
  Route,
  RoutingLeaf,
  RoutingScheme,
  Scheme,
} from "../core/setup/routing.ts";
import type { Tables, Want, WebhookEndpoint } from "./ports.ts";
import { type Safe, SealBroken, type Vault } from "./vault.ts";

export interface ProviderSetup {
  readonly row: ProviderAccount;
  readonly connector: Connector;
  /** Credentials unsealed; lives in memory only. */
  readonly account: Account;
}

export interface EndpointSetup {
  readonly row: WebhookEndpoint;
  /** Signing secrets unsealed; in memory only. */
  readonly secrets: Readonly<Record<string, string>>;
}

export interface Setup {
  readonly revision: number;
  readonly safe: Safe;
  readonly providers: ReadonlyMap<string, ProviderSetup>;
  readonly deposits: ReadonlyMap<string, DepositAccount>;
  readonly routes: ReadonlyMap<string, Route>;
  readonly endpoints: ReadonlyMap<string, EndpointSetup>;
  /** The newest revision of each scheme, by `kind:id`. */
  readonly schemes: ReadonlyMap<string, Scheme>;
}

export type SetupTable = "organization" | "providerAccount" | "depositAccount" | "route" | "scheme" | "webhookEndpoint";

/** The loads that rebuild an organization's setup, in this order. */
export function setupWants(organizationId: string): readonly Want<SetupTable>[] {
  const keys = [[organizationId]];
  return [
    { table: "organization", by: "primary", keys },
    { table: "providerAccount", by: "provider_account_by_organization", keys },
    { table: "depositAccount", by: "deposit_account_by_organization", keys },
    { table: "route", by: "route_by_organization", keys },
    { table: "scheme", by: "scheme_by_organization", keys },
    { table: "webhookEndpoint", by: "webhook_endpoint_by_organization", keys },
  ];
}

export interface SetupSource {
  readonly vault: Vault;
  readonly connectors: ReadonlyMap<string, Connector>;
  /** Where providers reach us, without a trailing slash; asked when a setup is built, for a port may be chosen late. */
  readonly publicUrl: () => string | null;
}

/** Builds a setup from what `setupWants` loaded. Throws when a seal cannot be opened: never an empty credential. */
export function buildSetup(
  source: SetupSource,
  revision: number,
  rows: readonly (readonly Tables[SetupTable][])[],
): Setup {
  const [organizations, providerRows, deposits, routes, schemeRows, endpointRows] = rows as unknown as [
    readonly Tables["organization"][],
    readonly ProviderAccount[],
    readonly DepositAccount[],
    readonly Route[],
    readonly Scheme[],
    readonly WebhookEndpoint[],
  ];
  const organization = organizations[0];
  assert(organization !== undefined, "an organization with a lock row exists");
  const safe = source.vault.safeOf(organization.id, organization.sealedKey);
  const providers = new Map<string, ProviderSetup>();
  for (const row of providerRows) {
    const connector = source.connectors.get(row.connector);
    // An account of a connector that this release does not have is left out: its routes are dropped, nothing is sent.
    if (connector !== undefined) providers.set(row.id, { row, connector, account: accountOf(source, safe, row) });
  }
  const schemes = new Map<string, Scheme>();
  for (const scheme of schemeRows) {
    const key = `${scheme.kind}:${scheme.id}`;
    if ((schemes.get(key)?.revision ?? 0) < scheme.revision) schemes.set(key, scheme);
  }
  return {
    revision,
    safe,
    providers,
    deposits: new Map(deposits.map((each) => [each.id, each])),
    routes: new Map(routes.map((each) => [each.id, each])),
    endpoints: new Map(
      endpointRows.map((row) => {
        const secrets = safe.open(row.secrets, secretsBinding(row.organizationId, row.id));
        return [row.id, { row, secrets }];
      }),
    ),
    schemes,
  };
}

/** Stands for a setup that cannot be read, for commands that need none: it has nothing, and opens nothing. */
export function closedSetup(revision: number, cause: unknown): Setup {
  return {
    revision,
    get safe(): Safe {
      throw new SealBroken("the setup cannot be read", { cause });
    },
    providers: new Map(),
    deposits: new Map(),
    routes: new Map(),
    endpoints: new Map(),
    schemes: new Map(),
  };
}

function accountOf(source: SetupSource, safe: Safe, row: ProviderAccount): Account {
  const publicUrl = source.publicUrl();
  return {
    id: row.id,
    settings: row.settings as Record<string, string>,
    credentials: safe.open(row.credentials, credentialsBinding(row.organizationId, row.id)),
    callbackUrl: publicUrl === null ? null : `${publicUrl}/callbacks/${row.callbackId}`,
  };
}

export function secretsBinding(organizationId: string, endpointId: string): string {
  return `webhook-secrets:${organizationId}:${endpointId}`;
}

export function credentialsBinding(organizationId: string, providerAccountId: string): string {
  return `credentials:${organizationId}:${providerAccountId}`;
}

/** The leaf of a website's routing scheme for a service, with the scheme's revision. */
export function routingLeaf(
  setup: Setup,
  routingSchemeId: string | null,
  service: string,
): { leaf: RoutingLeaf | undefined; revision: number } {
  const scheme = routingSchemeId === null ? undefined : setup.schemes.get(`routing:${routingSchemeId}`);
  if (scheme === undefined) return { leaf: undefined, revision: 0 };
  const body = scheme.body as RoutingScheme;
  return { leaf: body.services[service] ?? body.otherwise, revision: scheme.revision };
}
