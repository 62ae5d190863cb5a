/** What a fresh demo installation is given: the test book of `org_demo`, ready to pay through the sandbox provider. */
import { randomBytes } from "node:crypto";
import type { Refusal } from "../core/errors.ts";
import type { FundsMovement } from "../core/merchant.ts";
import type { Result } from "../core/result.ts";
import type { ProviderAccount } from "../core/routing.ts";
import { approveFunds, createFunds } from "../engine/commands/funds.ts";
import { installSetup, moveProviderAccount, type SetupPackage } from "../engine/commands/settings.ts";
import type { Engine } from "../engine/engine.ts";
import type { Store } from "../engine/ports.ts";
import { createCallbackAddress } from "../engine/provision.ts";

export const DEMO_ORGANIZATION = "org_demo";
const PROVIDER_ACCOUNT = "pacc_demo";

/** Funds of the demo website, major units; each stands at the sandbox provider's deposit account of its currency. */
export const DEMO_FUNDS = [
  { currency: "USD", amount: "100000", depositAccountId: "dep_demo_usd" },
  { currency: "EUR", amount: "100000", depositAccountId: "dep_demo_eur" },
] as const;

export interface DemoPlace {
  /** Where the sandbox provider answers, without a trailing slash. */
  readonly sandboxUrl: string;
  /** The secret that the sandbox provider and we share: it signs callbacks. */
  readonly secret: string;
  /** The opaque last part of our callback address. */
  readonly callbackId: string;
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
  requestLifetimeDays: 365,
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
        SERVICES.map((service) => [service, { strategy: "priority", routes: [service.replace("test", "rt_demo")] }]),
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

function demoRoute(currency: string): SetupPackage["routes"][number] {
  return {
    id: `rt_demo_${lower(currency)}`,
    depositAccountId: `dep_demo_${lower(currency)}`,
    service: `test_${lower(currency)}`,
    isEnabled: true,
    isArchived: false,
    isManual: false,
    minAmountMinor: null,
    maxAmountMinor: null,
  };
}

/** The whole setup of the demo: one website, two customers, one provider account with two deposit accounts. */
export function demoSetup(place: DemoPlace): SetupPackage {
  return {
    websites: [WEBSITE],
    customers: [demoCustomer("cus_demo"), demoCustomer("cus_demo_2")],
    instruments: [INSTRUMENT],
    providerAccounts: [
      {
        id: PROVIDER_ACCOUNT,
        connector: "sandbox",
        name: "Sandbox provider",
        baseUrl: place.sandboxUrl,
        settings: {},
        callbackId: place.callbackId,
        secrets: { secret: place.secret },
      },
    ],
    depositAccounts: CURRENCIES.map((currency) => ({
      id: `dep_demo_${lower(currency)}`,
      providerAccountId: PROVIDER_ACCOUNT,
      currency,
      name: `Sandbox ${currency}`,
      minimalBalanceMinor: 0n,
    })),
    routes: CURRENCIES.map(demoRoute),
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
  const existing = await findAccount(store, book);
  if (existing === null) {
    const callbackId = randomBytes(24).toString("base64url");
    const place = { sandboxUrl, secret: randomBytes(32).toString("hex"), callbackId };
    must(await engine.run(book, installSetup, demoSetup(place), cause));
  } else if (existing.baseUrl !== sandboxUrl) {
    must(await engine.run(book, moveProviderAccount, { id: existing.id, baseUrl: sandboxUrl }, cause));
  }
  const account = existing ?? (await findAccount(store, book));
  if (account !== null) await createCallbackAddress(store, book, { id: account.id, callbackId: account.callbackId });
  await fund(engine, book);
}

async function findAccount(store: Store, book: string): Promise<ProviderAccount | null> {
  return store.commit([book], {}, async (tx) => {
    const [found] = await tx.load([{ table: "providerAccount", by: "primary", keys: [[book, PROVIDER_ACCOUNT]] }]);
    return { changes: { insert: {}, update: {}, delete: {} }, result: found?.[0] ?? null };
  });
}

/** The demo's deposits, each under a key of its own: a start that died half-way goes on where it was. */
async function fund(engine: Engine, book: string): Promise<void> {
  const cause = { actor: "system" };
  for (const { currency, amount, depositAccountId } of DEMO_FUNDS) {
    const once = {
      key: `demo-funds-${currency}`,
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
