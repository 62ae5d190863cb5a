/** What a fresh demo installation is given: the test book of `org_demo`, ready to pay through the sandbox provider. */
import type { SetupPackage } from "../engine/commands/settings.ts";

export const DEMO_ORGANIZATION = "org_demo";

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

/** The whole setup of the demo: one website, two customers, one provider account with two deposit accounts. */
export function demoSetup(place: DemoPlace): SetupPackage {
  return {
    websites: [
      {
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
      },
    ],
    customers: ["cus_demo", "cus_demo_2"].map((id) => ({
      id,
      websiteId: "web_demo",
      referenceId: null,
      email: `${id}@shop.example`,
      phone: null,
      name: null,
      metadata: null,
    })),
    instruments: [
      {
        id: "inst_demo",
        customerId: "cus_demo",
        service: "test_usd",
        fields: { account: "demo-account-1" },
        masked: "****nt-1",
      },
    ],
    providerAccounts: [
      {
        id: "pacc_demo",
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
      providerAccountId: "pacc_demo",
      currency,
      name: `Sandbox ${currency}`,
      minimalBalanceMinor: 0n,
    })),
    routes: CURRENCIES.map((currency) => ({
      id: `rt_demo_${lower(currency)}`,
      depositAccountId: `dep_demo_${lower(currency)}`,
      service: `test_${lower(currency)}`,
      isEnabled: true,
      isArchived: false,
      isManual: false,
      minAmountMinor: null,
      maxAmountMinor: null,
    })),
    schemes: [
      {
        kind: "routing",
        id: "route_demo",
        name: "Demo routing",
        body: {
          services: Object.fromEntries(
            CURRENCIES.map((currency) => [
              `test_${lower(currency)}`,
              { strategy: "priority", routes: [`rt_demo_${lower(currency)}`] },
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
    ],
  };
}
