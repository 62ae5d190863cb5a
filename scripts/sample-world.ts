/** One organization without a database: what the engine's commands decide with, around one order. For documents only. */
import type { Connector } from "../src/connectors/contract.ts";
import { sandbox } from "../src/connectors/sandbox/connector.ts";
import { accountId, openAccount } from "../src/core/money/ledger.ts";
import type { Story } from "../src/core/order/story.ts";
import type { Customer, PaymentInstrument, Website } from "../src/core/setup/merchant.ts";
import type { ProviderAccount } from "../src/core/setup/routing.ts";
import { Context } from "../src/engine/context.ts";
import type { OrganizationLock, TableName, Tables } from "../src/engine/ports.ts";
import type { Setup } from "../src/engine/setup.ts";
import { KEY_BYTES, Safe } from "../src/engine/vault.ts";
import { View } from "../src/engine/view.ts";
import { destinationBinding } from "../src/engine/world.ts";

/** A day on which everything happens. */
export const NOW = Date.UTC(2026, 0, 1);
export const ORGANIZATION = "org";
const DESTINATION = { account: "payee" };

const STAMPS = { organizationId: ORGANIZATION, version: 1, createdTime: 0, updatedTime: 0 };

/** Random bytes that are the same for everybody: documents must not change by themselves. */
function counter(): { bytes(count: number): Uint8Array } {
  let calls = 0;
  return {
    bytes(count) {
      calls += 1;
      return new Uint8Array(count).fill(calls % 256);
    },
  };
}

export const PAYEE = sandbox.destinationHash(DESTINATION);
/** Nothing is secret here: the key is all zeros. */
const SAFE = new Safe(new Uint8Array(KEY_BYTES), counter());
export const SEALED = SAFE.seal(DESTINATION, destinationBinding(ORGANIZATION, PAYEE));

const WEBSITE: Website = {
  ...STAMPS,
  id: "web",
  name: "Shop",
  url: "https://shop.example",
  autoprocess: true,
  requestAutoprocess: false,
  lifetimeMinutes: 60,
  requestLifetimeMs: 86_400_000,
  revokeAtExpiry: false,
  refundCommission: "keep",
  secondPersonAbove: {},
  routingSchemeId: "routes",
  rateSchemeId: null,
  commerceSchemeId: null,
};

const CUSTOMER: Customer = {
  ...STAMPS,
  id: "cus",
  websiteId: "web",
  referenceId: null,
  email: null,
  phone: null,
  name: null,
  metadata: null,
};

export const INSTRUMENT: PaymentInstrument = {
  ...STAMPS,
  id: "pin_2",
  customerId: "cus",
  service: "test_usd",
  destination: SEALED,
  destinationHash: PAYEE,
  masked: "*",
};

function setupOf(): Setup {
  const names = ["1", "2"];
  const provider = (name: string): ProviderAccount => ({
    ...STAMPS,
    id: `acc_${name}`,
    connector: "sandbox",
    name,
    baseUrl: "https://provider.example",
    settings: {},
    credentials: SEALED,
    callbackId: name,
    gate: "open",
    gateReason: null,
    addressedTime: null,
    addressedEpoch: null,
  });
  const deposit = (name: string) =>
    ({
      ...STAMPS,
      id: `dep_${name}`,
      providerAccountId: `acc_${name}`,
      currency: "USD",
      name,
      minimalBalanceMinor: 0n,
    }) as const;
  const route = (name: string) => ({
    ...STAMPS,
    id: `r${name}`,
    depositAccountId: `dep_${name}`,
    service: "test_usd",
    isEnabled: true,
    isArchived: false,
    isManual: false,
    minAmountMinor: null,
    maxAmountMinor: null,
  });
  const body = { services: {}, otherwise: { strategy: "priority", routes: ["r1", "r2"] } };
  const scheme = { ...STAMPS, kind: "routing", id: "routes", revision: 1, name: "Routes", body } as const;
  const account = (name: string) => ({ id: `acc_${name}`, settings: {}, credentials: {}, callbackUrl: null });
  return {
    revision: 1,
    safe: SAFE,
    providers: new Map(
      names.map((name) => [`acc_${name}`, { row: provider(name), connector: sandbox, account: account(name) }]),
    ),
    deposits: new Map(names.map((name) => [`dep_${name}`, deposit(name)])),
    routes: new Map(names.map((name) => [`r${name}`, route(name)])),
    endpoints: new Map(),
    schemes: new Map([["routing:routes", scheme]]),
  };
}

const SETUP = setupOf();

const LOCK: OrganizationLock = {
  organizationId: ORGANIZATION,
  version: 1,
  historySequence: 0,
  entrySequence: 0,
  fence: 0,
  configRevision: 1,
  invoiceCount: 0,
  requestCount: 0,
  payoutCount: 0,
  gate: "open",
  shutCurrencies: [],
};

/** An order, or an invoice that has not begun. */
export type Sample = Story | (Omit<Story, "request"> & { readonly request: null });

/** The context of one command about an order, with the ledger as the order's rows say. */
export function contextOf({ invoice, request, payouts }: Sample): Context {
  const view = new View();
  const put = <T extends TableName>(table: T, row: Tables[T]): void => view.takeRow(table, row);
  put("organizationLock", LOCK);
  put("website", WEBSITE);
  put("customer", CUSTOMER);
  put("paymentInstrument", INSTRUMENT);
  for (const { row } of SETUP.providers.values()) put("providerAccount", row);
  if (invoice !== null) put("invoice", invoice);
  if (request !== null) put("request", request);
  for (const payout of payouts) put("payout", payout);
  const balance = (kind: "available" | "reserved" | "in_flight" | "deposit", owner: string, balanceMinor: bigint) => {
    const ref = { kind, owner, currency: "USD" } as const;
    put("ledgerAccount", { ...openAccount(ORGANIZATION, ref), id: accountId(ref), balanceMinor });
  };
  balance("available", "web", 10n ** 9n);
  balance("reserved", "web", invoice === null ? 0n : invoice.heldMinor - invoice.postedMinor - invoice.releasedMinor);
  const flying = payouts.reduce((sum, payout) => sum + payout.inFlightMinor, 0n);
  balance("in_flight", "dep_1", flying);
  for (const name of ["dep_1", "dep_2"]) balance("deposit", name, 10n ** 9n);
  return new Context(
    {
      organizationId: ORGANIZATION,
      rows: view.branch(),
      setup: SETUP,
      moment: { now: NOW, epoch: 1, isGateOpen: true },
    },
    { name: "document", cause: { actor: "key:1" } },
    { rng: counter(), connectors: new Map<string, Connector>([["sandbox", sandbox]]), takeSlot: () => true },
  );
}
