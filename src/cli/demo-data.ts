/** What a fresh demo installation is given: the test book of `org_demo`, ready to pay through the sandbox provider. */
import { randomBytes } from "node:crypto";
import type { Refusal } from "../core/errors.ts";
import type { Result } from "../core/result.ts";
import type { FundsMovement } from "../core/setup/merchant.ts";
import type { ProviderAccount } from "../core/setup/routing.ts";
import { approveFunds, createFunds } from "../engine/commands/funds.ts";
import { installSetup, moveProviderAccount, type SetupPackage } from "../engine/commands/settings.ts";
import type { Engine } from "../engine/engine.ts";
import type { Store } from "../engine/ports.ts";
import { createCallbackAddress } from "../engine/provision.ts";

export const DEMO_ORGANIZATION = "org_demo";

/**
 * Two accounts at the sandbox provider. The second is the next route of every service, and plays `ok` whatever an order
 * asks for: what the first refuses, it pays.
 */
const ACCOUNTS = [
  { id: "pacc_demo", name: "Sandbox provider", prefix: "demo", settings: {} },
  { id: "pacc_backup", name: "Sandbox provider, second account", prefix: "backup", settings: { scenario: "ok" } },
] as const;

/** Funds of the demo website, major units, and where they stand: 100 000 in each currency, over both accounts. */
const DEMO_FUNDS = [
  { currency: "USD", amount: "60000", depositAccountId: "dep_demo_usd" },
  { currency: "USD", amount: "40000", depositAccountId: "dep_backup_usd" },
  { currency: "EUR", amount: "60000", depositAccountId: "dep_demo_eur" },
  { currency: "EUR", amount: "40000", depositAccountId: "dep_backup_eur" },
] as const;

export interface DemoPlace {
  /** Where the sandbox provider answers, without a trailing slash. */
  readonly sandboxUrl: string;
  /** For each provider account: the secret that signs its callbacks, and the last part of its callback address. */
  readonly secrets: Readonly<Record<string, { readonly secret: string; readonly callbackId: string }>>;
}

const CURRENCIES = ["USD", "EUR"] as const;
const lower = (currency: string): string => currency.toLowerCase();

const SERVICES = CURRENCIES.map((currency) => `test_${lower(currency)}`);

const WEBSITE: SetupPackage["websites"][number] = {
  id: "web_demo",
  name: "Demo website",
  url: "https://shop.example",
  autoprocess: true,
  requestAutoprocess: false,
  lifetimeMinutes: 2880,
  requestLifetimeMs: 365 * 86_400_000,
  revokeAtExpiry: false,
  refundCommission: "keep",
  secondPersonAbove: {},
  routingSchemeId: "route_demo",
  rateSchemeId: "rate_demo",
  commerceSchemeId: "commerce_demo",
};

const INSTRUMENT: SetupPackage["instruments"][number] = {
  id: "inst_demo",
  customerId: "cus_demo",
  service: "test_usd",
  fields: { account: "demo-account-1" },
  masked: "****nt-1",
};

const SCHEMES: SetupPackage["schemes"] = [
  {
    kind: "routing",
    id: "route_demo",
    name: "Demo routing",
    body: {
      services: Object.fromEntries(
        SERVICES.map((service) => [
          service,
          { strategy: "priority", routes: ACCOUNTS.map(({ prefix }) => service.replace("test", `rt_${prefix}`)) },
        ]),
      ),
    },
  },
  {
    kind: "rate",
    id: "rate_demo",
    name: "Demo rates",
    body: {
      pairs: [
        { base: "USD", quote: "EUR", rate: "0.92", feePercent: "1" },
        { base: "EUR", quote: "USD", rate: "1.08", feePercent: "1" },
      ],
    },
  },
  {
    kind: "commerce",
    id: "commerce_demo",
    name: "Demo commission",
    body: { services: {}, otherwise: { feeRate: "0.01", strategy: "external" } },
  },
];

function demoCustomer(id: string): SetupPackage["customers"][number] {
  const email = `${id}@shop.example`;
  return { id, websiteId: WEBSITE.id, referenceId: null, email, phone: null, name: null, metadata: null };
}

/** Every account in every currency. */
function perBalance<T>(make: (prefix: string, currency: string, accountId: string) => T): T[] {
  return ACCOUNTS.flatMap(({ prefix, id }) => CURRENCIES.map((currency) => make(prefix, currency, id)));
}

function demoRoute(prefix: string, currency: string): SetupPackage["routes"][number] {
  return {
    id: `rt_${prefix}_${lower(currency)}`,
    depositAccountId: `dep_${prefix}_${lower(currency)}`,
    service: `test_${lower(currency)}`,
    isEnabled: true,
    isArchived: false,
    isManual: false,
    minAmountMinor: null,
    maxAmountMinor: null,
  };
}

/** The whole setup of the demo: one website, two customers, two accounts at the sandbox provider. */
export function demoSetup(place: DemoPlace): SetupPackage {
  return {
    websites: [WEBSITE],
    customers: [demoCustomer("cus_demo"), demoCustomer("cus_demo_2")],
    instruments: [INSTRUMENT],
    providerAccounts: ACCOUNTS.map(({ id, name, settings }) => {
      const { secret, callbackId } = place.secrets[id] ?? newSecrets();
      return { id, connector: "sandbox", name, baseUrl: place.sandboxUrl, settings, callbackId, secrets: { secret } };
    }),
    depositAccounts: perBalance((prefix, currency, providerAccountId) => ({
      id: `dep_${prefix}_${lower(currency)}`,
      providerAccountId,
      currency,
      name: `Sandbox ${prefix} ${currency}`,
      minimalBalanceMinor: 0n,
    })),
    routes: perBalance(demoRoute),
    schemes: SCHEMES,
  };
}

/** Installs the demo into a book, once: its setup, its callback address, and its funds. */
export async function installDemo(into: {
  readonly engine: Engine;
  readonly store: Store;
  readonly book: string;
  readonly sandboxUrl: string;
}): Promise<void> {
  const { engine, store, book, sandboxUrl } = into;
  const cause = { actor: "system" };
  const existing = await findAccounts(store, book);
  if (existing.length === 0) {
    const secrets = Object.fromEntries(ACCOUNTS.map(({ id }) => [id, newSecrets()]));
    must(await engine.run(book, installSetup, demoSetup({ sandboxUrl, secrets }), cause));
  }
  for (const { id, baseUrl } of existing) {
    if (baseUrl !== sandboxUrl) must(await engine.run(book, moveProviderAccount, { id, baseUrl: sandboxUrl }, cause));
  }
  const accounts = existing.length > 0 ? existing : await findAccounts(store, book);
  for (const { id, callbackId } of accounts) await createCallbackAddress(store, book, { id, callbackId });
  await fund(engine, book);
}

function newSecrets(): { secret: string; callbackId: string } {
  return { secret: randomBytes(32).toString("hex"), callbackId: randomBytes(24).toString("base64url") };
}

async function findAccounts(store: Store, book: string): Promise<readonly ProviderAccount[]> {
  return store.commit([book], {}, async (tx) => {
    const keys = ACCOUNTS.map(({ id }) => [book, id]);
    const [found] = await tx.load([{ table: "providerAccount", by: "primary", keys }]);
    return { changes: { insert: {}, update: {}, delete: {} }, result: found ?? [] };
  });
}

/** The demo's deposits, each under a key of its own: a start that died half-way goes on where it was. */
async function fund(engine: Engine, book: string): Promise<void> {
  const cause = { actor: "system" };
  for (const { currency, amount, depositAccountId } of DEMO_FUNDS) {
    const once = {
      key: `demo-funds-${depositAccountId}`,
      fingerprint: "demo",
      render: (movement: FundsMovement) => ({ status: 201, headers: {}, body: movement.id }),
    };
    const order = { websiteId: "web_demo", currency, amount, depositAccountId, description: "Demo funds" };
    const created = must(
      await engine.runOnce(book, {
        handler: createFunds,
        payload: { kind: "deposit", order, problems: [] },
        cause,
        once,
      }),
    );
    const approved = await engine.run(book, approveFunds, { kind: "deposit", id: created.body, version: 1 }, cause);
    if (!approved.ok && approved.error.code !== "version-conflict") must(approved);
  }
}

function must<T>(result: Result<T, Refusal>): T {
  if (result.ok) return result.value;
  throw new Error(`the demo could not be installed: ${result.error.detail}`);
}
