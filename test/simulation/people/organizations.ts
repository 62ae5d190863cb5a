/** The books of a simulation: each with a website, funds in two currencies, and two accounts with the provider. */

import type { Result } from "../../../src/core/result.ts";
import type { FundsMovement } from "../../../src/core/setup/merchant.ts";
import { approveFunds, createFunds } from "../../../src/engine/commands/funds.ts";
import { installSetup, type SetupPackage } from "../../../src/engine/commands/settings.ts";
import type { Engine } from "../../../src/engine/engine.ts";
import { bookId } from "../../../src/engine/provision.ts";
import type { AccountPlace } from "../judges/oracle.ts";
import type { Customer } from "../provider/provider.ts";
import type { Random } from "../world/random.ts";

export const CURRENCIES = ["USD", "EUR"] as const;
export type Currency = (typeof CURRENCIES)[number];

const ACCOUNTS = [1, 2] as const;
const lower = (currency: string): string => currency.toLowerCase();
export const serviceOf = (currency: Currency): string => `test_${lower(currency)}`;

export const CUSTOMER_ID = "cus_1";

/** Major units per website, deposit account and currency: enough for every order of a seed. */
const FUNDS = "1000000";

/** How somebody may be paid: an account of a payee, in a currency. */
export interface SimInstrument {
  readonly id: string;
  readonly currency: Currency;
  readonly account: string;
}

export interface SimOrganization {
  readonly book: string;
  readonly websiteId: string;
  readonly instruments: readonly SimInstrument[];
  readonly accounts: readonly (Customer & { readonly accountId: string })[];
}

export function organizationsOf(count: number): readonly SimOrganization[] {
  return Array.from({ length: count }, (_, index) => {
    const name = `org_${index + 1}`;
    return {
      book: bookId(name, "test"),
      websiteId: `web_${index + 1}`,
      instruments: [],
      accounts: ACCOUNTS.map((number) => ({
        accountId: `pacc_${number}`,
        secret: `secret-${name}-${number}`,
        callbackId: `callback-${name}-${number}`,
      })),
    };
  });
}

/** Whose account a secret is. */
export function placesOf(organizations: readonly SimOrganization[]): ReadonlyMap<string, AccountPlace> {
  const places = organizations.flatMap(({ book, accounts }) =>
    accounts.map(({ secret, accountId }) => [secret, { organizationId: book, accountId }] as const),
  );
  return new Map(places);
}

/** Installs a book's setup and its funds, before anything can go wrong. */
export async function furnish(engine: Engine, organization: SimOrganization, random: Random): Promise<void> {
  const { book, websiteId } = organization;
  must(await engine.run(book, installSetup, setupOf(organization, random), CAUSE));
  for (const number of ACCOUNTS) {
    for (const currency of CURRENCIES) {
      const depositAccountId = `dep_${number}_${lower(currency)}`;
      const order = { websiteId, currency, amount: FUNDS, depositAccountId };
      const made: FundsMovement = must(
        await engine.run(book, createFunds, { kind: "deposit", order, problems: [] }, CAUSE),
      );
      must(await engine.run(book, approveFunds, { kind: "deposit", id: made.id, version: made.version }, CAUSE));
    }
  }
}

const CAUSE = { actor: "system" };

function must<T>(result: Result<T, { readonly detail: string }>): T {
  if (result.ok) return result.value;
  throw new Error(`the simulated books cannot be set up: ${result.error.detail}`);
}

function setupOf(organization: SimOrganization, random: Random): SetupPackage {
  const { websiteId, accounts } = organization;
  const scheme = (kind: "routing" | "rate" | "commerce", body: object) => ({ kind, id: `${kind}_1`, name: kind, body });
  return {
    websites: [
      {
        id: websiteId,
        name: websiteId,
        url: "https://shop.example",
        autoprocess: true,
        requestAutoprocess: random.chance(0.3),
        lifetimeMinutes: 2880,
        // Whatever waits for a command that is never given must end by itself within the simulation.
        requestLifetimeMs: random.between(20, 150) * 1000,
        revokeAtExpiry: random.chance(0.5),
        refundCommission: random.pick(["keep", "return"]),
        secondPersonAbove: random.chance(0.3) ? { USD: "50", EUR: "50" } : {},
        routingSchemeId: "routing_1",
        rateSchemeId: "rate_1",
        commerceSchemeId: "commerce_1",
      },
    ],
    customers: [
      { id: CUSTOMER_ID, websiteId, referenceId: null, email: null, phone: null, name: null, metadata: null },
    ],
    instruments: organization.instruments.map(({ id, currency, account }) => ({
      id,
      customerId: CUSTOMER_ID,
      service: serviceOf(currency),
      masked: "payee",
      fields: { account },
    })),
    providerAccounts: accounts.map(({ accountId, secret, callbackId }) => ({
      id: accountId,
      connector: "sandbox",
      name: accountId,
      baseUrl: "http://provider.simulated",
      settings: {},
      callbackId,
      secrets: { secret },
    })),
    ...routesOf(random),
    schemes: [
      scheme("routing", {
        services: Object.fromEntries(CURRENCIES.map((each) => [serviceOf(each), leafOf(each, random)])),
      }),
      scheme("rate", {
        pairs: [
          { base: "USD", quote: "EUR", rate: "0.92", feePercent: "1" },
          { base: "EUR", quote: "USD", rate: "1.08371", feeFixed: "0.001" },
        ],
      }),
      scheme("commerce", {
        services: Object.fromEntries(CURRENCIES.map((each) => [serviceOf(each), termsOf(random)])),
      }),
    ],
  };
}

function routesOf(random: Random): Pick<SetupPackage, "depositAccounts" | "routes"> {
  const pairs = ACCOUNTS.flatMap((number) => CURRENCIES.map((currency) => ({ number, currency })));
  return {
    depositAccounts: pairs.map(({ number, currency }) => ({
      id: `dep_${number}_${lower(currency)}`,
      providerAccountId: `pacc_${number}`,
      currency,
      name: `${currency} at ${number}`,
      minimalBalanceMinor: 0n,
    })),
    routes: pairs.map(({ number, currency }) => ({
      id: `rt_${number}_${lower(currency)}`,
      depositAccountId: `dep_${number}_${lower(currency)}`,
      service: serviceOf(currency),
      isEnabled: true,
      isArchived: false,
      isManual: false,
      minAmountMinor: random.chance(0.15) ? BigInt(random.between(1, 1_000)) : null,
      maxAmountMinor: random.chance(0.4) ? BigInt(random.pick([50, 300, 3_000])) * 100n : null,
    })),
  };
}

export function leafOf(currency: Currency, random: Random): object {
  const routes = ACCOUNTS.map((number) => `rt_${number}_${lower(currency)}`);
  if (random.chance(0.6)) return { strategy: "priority", routes };
  return { strategy: "weight", routes: routes.map((route) => ({ route, weight: random.between(1, 3) })) };
}

function termsOf(random: Random): object {
  if (random.chance(0.3)) return {};
  return {
    feeRate: random.pick(["0", "0.01", "0.0275"]),
    feeFixed: random.pick(["0", "0.25"]),
    strategy: random.pick(["external", "internal"]),
    reverse: random.chance(0.3),
  };
}
