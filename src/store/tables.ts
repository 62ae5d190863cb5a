/**
 * The table of tables: every table described once. The PostgreSQL store, the memory store, the schema test and the
 * first migration all read this; no SQL of a single table stands anywhere else.
 */
import { INVOICE } from "../core/invoice.ts";
import { type Machine, moveName } from "../core/machine.ts";
import { PAYOUT } from "../core/payout.ts";
import { REQUEST } from "../core/request.ts";
import type { TableName, Tables } from "../engine/ports.ts";

/**
 * How a column is stored. `text` string, `uuid` string, `int` number (int4), `long` number (int8, below 2^53),
 * `money` bigint (numeric(38,0)), `flag` boolean, `time` number (timestamptz, milliseconds), `json` jsonb,
 * `bytes` bytea, `texts` text[].
 */
export type ColumnType = "text" | "uuid" | "int" | "long" | "money" | "flag" | "time" | "json" | "bytes" | "texts";

export interface Column {
  readonly type: ColumnType;
  readonly isNullable: boolean;
}

export interface Unique<R> {
  readonly columns: readonly (keyof R & string)[];
  /** A partial unique key: only rows for which this holds. */
  readonly where?: { readonly sql: string; readonly holds: (row: R) => boolean };
}

export interface Check<R> {
  readonly sql: string;
  readonly holds: (row: R) => boolean;
}

export interface Foreign<R> {
  readonly columns: readonly (keyof R & string)[];
  readonly table: TableName;
}

/** One table. Names of uniques, checks and foreign keys are the constraint names in the database. */
export interface Table<R> {
  readonly columns: { readonly [K in keyof R & string]-?: Column };
  readonly primary: readonly (keyof R & string)[];
  /** `tenant`: row-level security by `organizationId`; `global`: no tenant. */
  readonly scope: "tenant" | "global";
  /** The application role may not UPDATE or DELETE. */
  readonly isAppendOnly?: true;
  /** The column whose value as read guards every UPDATE. */
  readonly guard?: keyof R & string;
  /** Rows change often: leave room on the page, so that updates stay on it. */
  readonly isHot?: true;
  readonly uniques?: Readonly<Record<string, Unique<R>>>;
  /** Plain indexes that loads may use, by name. */
  readonly lookups?: Readonly<Record<string, readonly (keyof R & string)[]>>;
  readonly checks?: Readonly<Record<string, Check<R>>>;
  readonly foreigns?: Readonly<Record<string, Foreign<R>>>;
}

const column = (type: ColumnType): Column => ({ type, isNullable: false });
const orNull = (type: ColumnType): Column => ({ type, isNullable: true });
const text = column("text");
const uuid = column("uuid");
const int = column("int");
const long = column("long");
const money = column("money");
const flag = column("flag");
const time = column("time");
const json = column("json");
const bytes = column("bytes");

const notNegative = <K extends string>(name: K, sqlName: string): Check<Readonly<Record<K, bigint>>> => ({
  sql: `${sqlName} >= 0`,
  holds: (row) => row[name] >= 0n,
});
const positive = <K extends string>(name: K, sqlName: string): Check<Readonly<Record<K, bigint>>> => ({
  sql: `${sqlName} > 0`,
  holds: (row) => row[name] > 0n,
});

function moveNames<S extends string>(machine: Machine<S>): string[] {
  return machine.moves.map((move) => moveName(machine.name, move.from, move.to));
}

/** Every move that history may name; the database checks it too, from this same list. */
export const MOVE_NAMES: readonly string[] = [...moveNames(INVOICE), ...moveNames(REQUEST), ...moveNames(PAYOUT)];
const MOVE_SET: ReadonlySet<string> = new Set(MOVE_NAMES);

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
};

const ledgerAccount: Table<Tables["ledgerAccount"]> = {
  scope: "tenant",
  primary: ["organizationId", "id"],
  guard: "version",
  isHot: true,
  columns: {
    organizationId: text,
    id: text,
    kind: text,
    owner: text,
    currency: text,
    balanceMinor: money,
    floorMinor: orNull("money"),
    version: long,
  },
  checks: {
    insufficient_funds: {
      sql: "balance_minor >= floor_minor",
      holds: (row) => row.floorMinor === null || row.balanceMinor >= row.floorMinor,
    },
  },
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

const invoice: Table<Tables["invoice"]> = {
  scope: "tenant",
  primary: ["organizationId", "id"],
  guard: "version",
  isHot: true,
  columns: {
    organizationId: text,
    id: uuid,
    websiteId: text,
    referenceId: text,
    contentHash: text,
    requestId: orNull("text"),
    customerId: text,
    service: text,
    status: text,
    version: int,
    resolution: orNull("text"),
    moderationRequired: flag,
    currency: text,
    amountMinor: money,
    writeoffMinor: money,
    feeMinor: money,
    serviceCurrency: text,
    serviceAmountMinor: money,
    serviceWriteoffMinor: money,
    serviceFeeMinor: money,
    requestedMember: text,
    requestedMinor: money,
    rateNumerator: money,
    rateDenominator: money,
    rateSource: text,
    quoteTime: time,
    quoteExpiresTime: time,
    feeTerms: json,
    autoprocess: flag,
    attemptsLimit: int,
    allowPartially: flag,
    description: orNull("text"),
    descriptor: orNull("text"),
    metadata: orNull("json"),
    callbackUrl: orNull("text"),
    destination: orNull("bytes"),
    destinationHash: orNull("text"),
    paymentInstrumentId: orNull("text"),
    heldMinor: money,
    postedMinor: money,
    releasedMinor: money,
    processedMinor: money,
    processedFeeMinor: money,
    processedServiceMinor: money,
    refundedMinor: money,
    expiresTime: time,
    createdTime: time,
    updatedTime: time,
  },
  uniques: {
    reference_id_used: { columns: ["organizationId", "websiteId", "referenceId"] },
  },
  checks: {
    invoice_amount_positive: positive("serviceAmountMinor", "service_amount_minor"),
    invoice_hold_used_once: {
      sql: "posted_minor + released_minor <= held_minor",
      holds: (row) => row.postedMinor + row.releasedMinor <= row.heldMinor,
    },
  },
  foreigns: {
    invoice_website_known: { columns: ["organizationId", "websiteId"], table: "website" },
    invoice_customer_known: { columns: ["organizationId", "customerId"], table: "customer" },
  },
};

const request: Table<Tables["request"]> = {
  scope: "tenant",
  primary: ["organizationId", "id"],
  guard: "version",
  isHot: true,
  columns: {
    organizationId: text,
    id: text,
    root: text,
    invoiceId: orNull("uuid"),
    websiteId: text,
    customerId: text,
    currency: text,
    amountMinor: money,
    description: orNull("text"),
    service: orNull("text"),
    paymentInstrumentId: orNull("text"),
    destination: orNull("bytes"),
    destinationHash: orNull("text"),
    redirectUrl: orNull("text"),
    blocked: flag,
    blockReason: orNull("text"),
    dispatchStatus: text,
    version: int,
    resolution: orNull("text"),
    moderationRequired: flag,
    attemptsLimit: int,
    allowPartially: flag,
    endAsked: orNull("text"),
    canceledBy: orNull("text"),
    cancelDescription: orNull("text"),
    paidMinor: money,
    availableMinor: money,
    overpaidMinor: money,
    batchId: orNull("text"),
    expiresTime: time,
    createdTime: time,
    updatedTime: time,
  },
  checks: {
    request_amount_positive: positive("amountMinor", "amount_minor"),
    request_available_within_amount: {
      sql: "available_minor >= 0 and available_minor <= amount_minor",
      holds: (row) => row.availableMinor >= 0n && row.availableMinor <= row.amountMinor,
    },
    request_overpaid_not_negative: notNegative("overpaidMinor", "overpaid_minor"),
  },
  foreigns: {
    request_website_known: { columns: ["organizationId", "websiteId"], table: "website" },
    request_customer_known: { columns: ["organizationId", "customerId"], table: "customer" },
  },
};

const payout: Table<Tables["payout"]> = {
  scope: "tenant",
  primary: ["organizationId", "id"],
  guard: "version",
  isHot: true,
  columns: {
    organizationId: text,
    id: uuid,
    requestId: text,
    invoiceId: orNull("uuid"),
    websiteId: text,
    part: int,
    attempt: int,
    status: text,
    version: int,
    resolution: orNull("text"),
    resolutionOf: orNull("text"),
    moderationRequired: flag,
    isManual: flag,
    routeId: text,
    routingRevision: int,
    providerAccountId: text,
    depositAccountId: text,
    connector: text,
    service: text,
    currency: text,
    amountMinor: money,
    paymentInstrumentId: orNull("text"),
    destinationHash: text,
    reference: text,
    requestHash: orNull("text"),
    send: text,
    sends: int,
    notNows: int,
    inquiries: int,
    lastLeaveTime: orNull("time"),
    firstSendTime: orNull("time"),
    processedMinor: money,
    returnedMinor: money,
    evidence: orNull("text"),
    providerReference: orNull("text"),
    providerStatus: orNull("text"),
    providerCode: orNull("text"),
    factSequence: orNull("long"),
    createdTime: time,
    updatedTime: time,
  },
  uniques: {
    payout_reference_once: { columns: ["organizationId", "providerAccountId", "reference"] },
    payout_attempt_once: { columns: ["organizationId", "requestId", "part", "attempt"] },
  },
  lookups: { payout_by_request: ["organizationId", "requestId"] },
  checks: {
    payout_amount_positive: positive("amountMinor", "amount_minor"),
    payout_processed_not_negative: notNegative("processedMinor", "processed_minor"),
  },
  foreigns: { payout_request_known: { columns: ["organizationId", "requestId"], table: "request" } },
};

const entry: Table<Tables["entry"]> = {
  scope: "tenant",
  primary: ["organizationId", "accountId", "sequence"],
  isAppendOnly: true,
  columns: {
    organizationId: text,
    accountId: text,
    sequence: long,
    subject: text,
    cause: text,
    line: int,
    currency: text,
    amountMinor: money,
    time,
  },
  uniques: { entry_cause_once: { columns: ["organizationId", "subject", "cause", "line"] } },
  lookups: { entry_by_subject: ["organizationId", "subject"] },
  foreigns: { entry_account_known: { columns: ["organizationId", "accountId"], table: "ledgerAccount" } },
};

const history: Table<Tables["history"]> = {
  scope: "tenant",
  primary: ["organizationId", "sequence"],
  isAppendOnly: true,
  columns: {
    organizationId: text,
    sequence: long,
    kind: text,
    subject: text,
    versionFrom: int,
    versionTo: int,
    moves: column("texts"),
    status: text,
    resolution: orNull("text"),
    moderationRequired: flag,
    commandId: uuid,
    time,
  },
  uniques: { history_version_once: { columns: ["organizationId", "subject", "kind", "versionTo"] } },
  lookups: { history_by_subject: ["organizationId", "subject"] },
  checks: {
    history_move_listed: {
      sql: `moves <@ array[${MOVE_NAMES.map((name) => `'${name}'`).join(", ")}]::text[]`,
      holds: (row) => row.moves.every((name) => MOVE_SET.has(name)),
    },
  },
};

/** In the order in which rows are written: what others refer to comes first. */
export const TABLES: { readonly [T in TableName]: Table<Tables[T]> } = {
  organization: {
    scope: "global",
    primary: ["id"],
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
    columns: { organizationId: text, requestId: text, part: int, payoutId: uuid },
  },
  work: {
    scope: "tenant",
    primary: ["organizationId", "kind", "subject"],
    guard: "fence",
    isHot: true,
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
  idempotency: {
    scope: "tenant",
    primary: ["organizationId", "key"],
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

/** `createdTime` -> `created_time`: how a member is spelled in SQL. */
export function sqlName(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
