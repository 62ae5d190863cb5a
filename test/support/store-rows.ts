/** Rows for tests of the store, filled with what does not matter there. */
import type { LedgerAccount } from "../../src/core/money/ledger.ts";
import type { Customer, Website } from "../../src/core/setup/merchant.ts";
import type { Changes, Organization, OrganizationLock, Store, Work } from "../../src/engine/ports.ts";

export const T = Date.UTC(2026, 10, 21, 2, 0, 0, 123);
export const NONE: Changes = { insert: {}, update: {}, delete: {} };

export const lock = (organizationId: string): OrganizationLock => ({
  organizationId,
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
});
export const website = (organizationId: string): Website => ({
  organizationId,
  id: "shop",
  name: "Shop",
  url: "https://shop.example",
  autoprocess: true,
  requestAutoprocess: true,
  lifetimeMinutes: 60,
  requestLifetimeMs: 30 * 86_400_000,
  revokeAtExpiry: false,
  refundCommission: "keep",
  secondPersonAbove: {},
  routingSchemeId: null,
  rateSchemeId: null,
  commerceSchemeId: null,
  version: 1,
  createdTime: T,
  updatedTime: T,
});
export const customer = (organizationId: string, id: string, metadata: unknown = null): Customer => ({
  organizationId,
  id,
  websiteId: "shop",
  referenceId: id,
  email: null,
  phone: null,
  name: null,
  metadata,
  version: 1,
  createdTime: T,
  updatedTime: T,
});
export const account = (organizationId: string, balanceMinor: bigint): LedgerAccount => ({
  organizationId,
  id: "available:shop:EUR",
  kind: "available",
  owner: "shop",
  currency: "EUR",
  balanceMinor,
  floorMinor: 0n,
  version: 1,
});
export const work = (organizationId: string, subject: string, dueTime: number): Work => ({
  organizationId,
  kind: "payout",
  subject,
  dueTime,
  fence: 1,
});
export const inserting = (insert: Changes["insert"]): Changes => ({ ...NONE, insert });

export const organization = (id: string): Organization => ({
  id,
  name: id,
  sealedKey: new Uint8Array(32),
  createdTime: T,
});

/** Everything that an organization needs before it can have anything else. */
export const founding = (id: string): Changes["insert"] => ({
  organization: [organization(id)],
  organizationLock: [lock(id)],
  website: [website(id)],
  ledgerAccount: [account(id, 100n)],
});

export const save = (target: Store, organizations: readonly string[], insert: Changes["insert"]): Promise<void> =>
  target.commit(organizations, {}, async () => ({ changes: inserting(insert), result: undefined }));
