/**
 * The table of tables: every table described once. The PostgreSQL store, the memory store, the schema test and the
 * first migration all read this; no SQL of a single table stands anywhere else.
 */
import type { TableName, Tables } from "../engine/ports.ts";
import {
  type AnyTable,
  bytes,
  column,
  flag,
  int,
  json,
  long,
  money,
  orNull,
  positive,
  type Table,
  text,
  time,
  uuid,
} from "./describe.ts";
import { entry, history, invoice, ledgerAccount, payout, request } from "./tables-orders.ts";

const website: Table<Tables["website"]> = {
  scope: "tenant",
  primary: ["organizationId", "id"],
  guard: "version",
  columns: {
    organizationId: text,
    id: text,
    name: text,
    url: text,
    autoprocess: flag,
    requestAutoprocess: flag,
    lifetimeMinutes: int,
    requestLifetimeDays: int,
    routingSchemeId: orNull("text"),
    rateSchemeId: orNull("text"),
    commerceSchemeId: orNull("text"),
    version: int,
    createdTime: time,
    updatedTime: time,
  },
};

const customer: Table<Tables["customer"]> = {
  scope: "tenant",
  primary: ["organizationId", "id"],
  guard: "version",
  columns: {
    organizationId: text,
    id: text,
    websiteId: text,
    referenceId: orNull("text"),
    email: orNull("text"),
    phone: orNull("text"),
    name: orNull("text"),
    metadata: orNull("json"),
    version: int,
    createdTime: time,
    updatedTime: time,
  },
  uniques: {
    customer_reference_once: {
      columns: ["organizationId", "websiteId", "referenceId"],
      where: { sql: "reference_id is not null", holds: (row) => row.referenceId !== null },
    },
  },
  foreigns: { customer_website_known: { columns: ["organizationId", "websiteId"], table: "website" } },
};

const paymentInstrument: Table<Tables["paymentInstrument"]> = {
  scope: "tenant",
  primary: ["organizationId", "id"],
  guard: "version",
  columns: {
    organizationId: text,
    id: text,
    customerId: text,
    service: text,
    destination: bytes,
    destinationHash: text,
    masked: text,
    version: int,
    createdTime: time,
    updatedTime: time,
  },
  lookups: { payment_instrument_by_customer: ["organizationId", "customerId"] },
  foreigns: {
    payment_instrument_customer_known: { columns: ["organizationId", "customerId"], table: "customer" },
  },
};

const providerAccount: Table<Tables["providerAccount"]> = {
  scope: "tenant",
  primary: ["organizationId", "id"],
  guard: "version",
  columns: {
    organizationId: text,
    id: text,
    connector: text,
    name: text,
    baseUrl: text,
    settings: json,
    credentials: bytes,
    callbackId: text,
    gate: text,
    gateReason: orNull("text"),
    version: int,
    createdTime: time,
    updatedTime: time,
  },
  lookups: { provider_account_by_organization: ["organizationId"] },
};

const depositAccount: Table<Tables["depositAccount"]> = {
  scope: "tenant",
  primary: ["organizationId", "id"],
  guard: "version",
  columns: {
    organizationId: text,
    id: text,
    providerAccountId: text,
    currency: text,
    name: text,
    minimalBalanceMinor: money,
    version: int,
    createdTime: time,
    updatedTime: time,
  },
  foreigns: {
    deposit_account_provider_account_known: {
      columns: ["organizationId", "providerAccountId"],
      table: "providerAccount",
    },
  },
  lookups: { deposit_account_by_organization: ["organizationId"] },
};

const route: Table<Tables["route"]> = {
  scope: "tenant",
  primary: ["organizationId", "id"],
  guard: "version",
  columns: {
    organizationId: text,
    id: text,
    depositAccountId: text,
    service: text,
    isEnabled: flag,
    isArchived: flag,
    isManual: flag,
    minAmountMinor: orNull("money"),
    maxAmountMinor: orNull("money"),
    version: int,
    createdTime: time,
    updatedTime: time,
  },
  foreigns: {
    route_deposit_account_known: { columns: ["organizationId", "depositAccountId"], table: "depositAccount" },
  },
  lookups: { route_by_organization: ["organizationId"] },
};

const scheme: Table<Tables["scheme"]> = {
  scope: "tenant",
  primary: ["organizationId", "kind", "id", "revision"],
  isAppendOnly: true,
  columns: {
    organizationId: text,
    kind: text,
    id: text,
    revision: int,
    name: text,
    body: json,
    createdTime: time,
  },
  lookups: { scheme_by_organization: ["organizationId"] },
};

const fundsMovement: Table<Tables["fundsMovement"]> = {
  scope: "tenant",
  primary: ["organizationId", "id"],
  guard: "version",
  columns: {
    organizationId: text,
    id: uuid,
    kind: text,
    status: text,
    websiteId: text,
    toWebsiteId: orNull("text"),
    depositAccountId: orNull("text"),
    currency: text,
    amountMinor: money,
    description: orNull("text"),
    version: int,
    createdTime: time,
    updatedTime: time,
  },
  checks: { funds_movement_amount_positive: positive("amountMinor", "amount_minor") },
  foreigns: { funds_movement_website_known: { columns: ["organizationId", "websiteId"], table: "website" } },
};

/** In the order in which rows are written: what others refer to comes first. */
export const TABLES: { readonly [T in TableName]: Table<Tables[T]> } = {
  organization: {
    scope: "global",
    primary: ["id"],
    isAppendOnly: true,
    columns: { id: text, name: text, sealedKey: bytes, createdTime: time },
  },
  organizationLock: {
    scope: "global",
    primary: ["organizationId"],
    guard: "version",
    isHot: true,
    columns: {
      organizationId: text,
      version: long,
      historySequence: long,
      entrySequence: long,
      fence: long,
      configRevision: long,
      invoiceCount: long,
      requestCount: long,
      payoutCount: long,
      gate: text,
    },
    foreigns: { organization_lock_organization_known: { columns: ["organizationId"], table: "organization" } },
  },
  locator: {
    scope: "global",
    primary: ["hash"],
    isAppendOnly: true,
    columns: { hash: text, kind: text, organizationId: text, id: text },
    foreigns: { locator_organization_known: { columns: ["organizationId"], table: "organization" } },
  },
  apiKey: {
    scope: "tenant",
    primary: ["organizationId", "id"],
    guard: "version",
    columns: {
      organizationId: text,
      id: text,
      hash: text,
      label: text,
      role: text,
      createdTime: time,
      expiresTime: orNull("time"),
      revokedTime: orNull("time"),
      version: int,
    },
  },
  website,
  customer,
  paymentInstrument,
  providerAccount,
  depositAccount,
  route,
  scheme,
  ledgerAccount,
  fundsMovement,
  invoice,
  request,
  payout,
  openPart: {
    scope: "tenant",
    primary: ["organizationId", "requestId", "part"],
    isDeletable: true,
    isQueue: true,
    columns: { organizationId: text, requestId: text, part: int, payoutId: uuid },
  },
  work: {
    scope: "tenant",
    primary: ["organizationId", "kind", "subject"],
    guard: "fence",
    isDeletable: true,
    isQueue: true,
    columns: { organizationId: text, kind: text, subject: text, dueTime: time, fence: long },
  },
  moderationItem: {
    scope: "tenant",
    primary: ["organizationId", "id"],
    guard: "version",
    columns: {
      organizationId: text,
      id: uuid,
      kind: text,
      subject: text,
      reason: text,
      isIncident: flag,
      status: text,
      count: int,
      details: orNull("json"),
      openedTime: time,
      closedTime: orNull("time"),
      version: int,
    },
    lookups: { moderation_item_by_subject: ["organizationId", "subject"] },
    uniques: {
      moderation_item_open_once: {
        columns: ["organizationId", "kind", "subject", "reason"],
        where: { sql: "status = 'open'", holds: (row) => row.status === "open" },
      },
    },
  },
  webhookEndpoint: {
    scope: "tenant",
    primary: ["organizationId", "id"],
    guard: "version",
    columns: {
      organizationId: text,
      id: text,
      url: text,
      events: column("texts"),
      status: text,
      secrets: bytes,
      description: orNull("text"),
      version: int,
      createdTime: time,
      updatedTime: time,
    },
    lookups: { webhook_endpoint_by_organization: ["organizationId"] },
  },
  delivery: {
    scope: "tenant",
    primary: ["organizationId", "id"],
    guard: "version",
    isHot: true,
    columns: {
      organizationId: text,
      id: uuid,
      endpointId: orNull("text"),
      url: text,
      eventType: text,
      sequence: long,
      status: text,
      tries: int,
      lastResult: orNull("text"),
      version: int,
      createdTime: time,
      updatedTime: time,
    },
  },
  idempotency: {
    scope: "tenant",
    primary: ["organizationId", "key"],
    isDeletable: true,
    columns: {
      organizationId: text,
      key: text,
      fingerprint: text,
      status: int,
      headers: json,
      body: text,
      createdTime: time,
    },
  },
  command: {
    scope: "tenant",
    primary: ["organizationId", "id"],
    isAppendOnly: true,
    columns: {
      organizationId: text,
      id: uuid,
      kind: text,
      actor: text,
      subject: orNull("text"),
      providerAccountId: orNull("text"),
      messageId: orNull("text"),
      verified: orNull("flag"),
      body: orNull("json"),
      bodyHash: orNull("text"),
      time,
    },
    uniques: {
      command_message_once: {
        columns: ["organizationId", "providerAccountId", "messageId"],
        where: { sql: "message_id is not null", holds: (row) => row.messageId !== null },
      },
    },
  },
  history,
  entry,
};

/** Every table's name, in the order in which rows are written. */
export const TABLE_NAMES = Object.keys(TABLES) as readonly TableName[];

/** A table for code that works on every table alike. */
export function tableOf(name: TableName): AnyTable {
  return TABLES[name] as unknown as AnyTable;
}
