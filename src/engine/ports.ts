/**
 * What the engine needs from the world. Production gives it PostgreSQL, sockets and clocks; the simulator gives it
 * books in memory and faults. Nothing in the engine reaches past these interfaces.
 */
import type { HttpDraft, HttpResult } from "../connectors/contract.ts";
import type { ModerationAct, ModerationItem } from "../core/acts.ts";
import type { Entry, LedgerAccount } from "../core/money/ledger.ts";
import type { PartSearch, RecoveryCheck } from "../core/news/recovery.ts";
import type { Invoice } from "../core/order/invoice.ts";
import type { Payout } from "../core/order/payout.ts";
import type { PayoutRequest } from "../core/order/request.ts";
import type { Customer, FundsMovement, PaymentInstrument, Website } from "../core/setup/merchant.ts";
import type { DepositAccount, ProviderAccount, Route, Scheme } from "../core/setup/routing.ts";
import type { Happening } from "../core/views/events.ts";

/** One book of an organization, live or test; its id is the tenant everywhere in the database. */
export interface Organization {
  readonly id: string;
  readonly name: string;
  /** The book's data key, sealed under the master key. */
  readonly sealedKey: Uint8Array;
  readonly createdTime: number;
}

/** The only lock of the system: whoever holds an organization's row writes alone, and counts without gaps. */
export interface OrganizationLock {
  readonly organizationId: string;
  readonly version: number;
  readonly historySequence: number;
  readonly entrySequence: number;
  /** Every lease is a higher number than any before it. */
  readonly fence: number;
  /** Grows with each change of routes, accounts or schemes; process caches compare it. */
  readonly configRevision: number;
  readonly invoiceCount: number;
  readonly requestCount: number;
  readonly payoutCount: number;
  readonly gate: "open" | "shut";
  /** Currencies in which nothing new is sent, whatever the gate says. */
  readonly shutCurrencies: readonly string[];
}

/** Maps the SHA-256 of an API key or callback path to its book: the one read before the organization is known. */
export interface Locator {
  readonly hash: string;
  readonly kind: "api_key" | "callback";
  readonly organizationId: string;
  readonly id: string;
}

export interface ApiKey {
  readonly organizationId: string;
  readonly id: string;
  readonly hash: string;
  readonly label: string;
  readonly role: "owner" | "administrator" | "manager" | "developer" | "support" | "viewer";
  readonly createdTime: number;
  readonly expiresTime: number | null;
  readonly revokedTime: number | null;
  readonly version: number;
}

/** The part of a request that is planned or open: its existence is the uniqueness of the open payout. */
export interface OpenPart {
  readonly organizationId: string;
  readonly requestId: string;
  readonly part: number;
  readonly payoutId: string;
}

/** Something to look at again. A lease is the same row with a new fence and the lease's end as due time. */
export interface Work {
  readonly organizationId: string;
  readonly kind: "payout" | "request" | "invoice" | "callback" | "delivery";
  readonly subject: string;
  readonly dueTime: number;
  readonly fence: number;
}

/** A row of history: one per aggregate and transaction; the event that the outside sees is the same row. */
export interface History extends Happening {
  readonly organizationId: string;
  readonly commandId: string;
}

/** What caused a change: an API call, a provider's answer, a callback, a person, a timer. Inbox and evidence at once. */
export interface Command {
  readonly organizationId: string;
  readonly id: string;
  readonly kind: string;
  readonly actor: string;
  readonly subject: string | null;
  readonly providerAccountId: string | null;
  /** The provider's id of a message: unique per provider account. */
  readonly messageId: string | null;
  readonly verified: boolean | null;
  readonly body: unknown;
  readonly bodyHash: string | null;
  readonly time: number;
}

export interface Idempotency {
  readonly organizationId: string;
  readonly key: string;
  readonly fingerprint: string;
  readonly status: number;
  readonly headers: unknown;
  readonly body: string;
  readonly createdTime: number;
}

/** Where the merchant hears of changes. */
export interface WebhookEndpoint {
  readonly organizationId: string;
  readonly id: string;
  readonly url: string;
  /** Event types, exact or with a final `*`; none means all. */
  readonly events: readonly string[];
  readonly status: "active" | "disabled";
  /** Signing secrets, sealed: the current one, and for a day after a rotation the one before. */
  readonly secrets: Uint8Array;
  readonly description: string | null;
  readonly version: number;
  readonly createdTime: number;
  readonly updatedTime: number;
}

/** One event on its way to one address. Its id is the webhook's id, the same at every try. */
export interface Delivery {
  readonly organizationId: string;
  readonly id: string;
  /** Null: the `callbackUrl` of an invoice. */
  readonly endpointId: string | null;
  readonly url: string;
  readonly eventType: string;
  /** The history row that is told. */
  readonly sequence: number;
  readonly status: "pending" | "delivered" | "failed";
  readonly tries: number;
  /** What the last try met: an HTTP status, or a word where no answer came. */
  readonly lastResult: string | null;
  readonly version: number;
  readonly createdTime: number;
  readonly updatedTime: number;
}

/** Every table, by name. `store/tables.ts` describes each of them once. */
export interface Tables {
  organization: Organization;
  organizationLock: OrganizationLock;
  locator: Locator;
  apiKey: ApiKey;
  website: Website;
  customer: Customer;
  paymentInstrument: PaymentInstrument;
  providerAccount: ProviderAccount;
  depositAccount: DepositAccount;
  route: Route;
  scheme: Scheme;
  ledgerAccount: LedgerAccount;
  fundsMovement: FundsMovement;
  invoice: Invoice;
  request: PayoutRequest;
  payout: Payout;
  openPart: OpenPart;
  work: Work;
  moderationItem: ModerationItem;
  moderationAct: ModerationAct;
  recoveryCheck: RecoveryCheck;
  partSearch: PartSearch;
  webhookEndpoint: WebhookEndpoint;
  delivery: Delivery;
  idempotency: Idempotency;
  command: Command;
  history: History;
  entry: Entry;
}

export type TableName = keyof Tables;
export type KeyValues = readonly (string | number)[];

/** A look-up: the rows of `table` whose key `by` (`primary`, or a unique key or look-up of the table) is in `keys`. */
export interface Want<T extends TableName = TableName> {
  readonly table: T;
  readonly by: string;
  readonly keys: readonly KeyValues[];
}

/** What one transaction writes, as plain data. `version` is the guard column's value as read: a miss is a bug. */
export interface Changes {
  readonly insert: { readonly [T in TableName]?: readonly Tables[T][] };
  readonly update: {
    readonly [T in TableName]?: readonly {
      readonly key: KeyValues;
      readonly version: number;
      readonly set: Partial<Tables[T]>;
    }[];
  };
  readonly delete: { readonly [T in TableName]?: readonly { readonly key: KeyValues; readonly version?: number }[] };
}

/** What is loaded under the lock rows of a transaction. */
export interface Tx {
  /** The database's clock at the start of the transaction, milliseconds since 1970. The only time that decides. */
  readonly now: number;
  /** The database's epoch: it changes when the database may have forgotten commits. */
  readonly epoch: number;
  /** Whether the system's gate is open: shut, nothing new is sent by anybody. */
  readonly isGateOpen: boolean;
  /** The lock rows that this transaction holds; with `skipLocked`, those that were free. */
  readonly locks: ReadonlyMap<string, OrganizationLock>;
  load<T extends TableName>(wants: readonly Want<T>[]): Promise<readonly (readonly Tables[T][])[]>;
  /** Work of one kind that is due, oldest first, at most `limit` per organization held. */
  claim(kind: Work["kind"], limit: number): Promise<readonly Work[]>;
}

export interface CommitOptions {
  /** Leave organizations alone whose lock row another process holds. */
  readonly skipLocked?: boolean;
}

export interface Store {
  /**
   * One transaction: takes the lock rows of `organizations`, lets `body` load and decide, then writes its changes.
   * The body may run more than once (a deadlock, a lock time-out): it must have no effect but its result. Resolves
   * only when the database has answered the commit, or has been asked what became of it. Rejects with the errors of
   * core/faults.ts, or with what the body threw.
   */
  commit<T>(
    organizations: readonly string[],
    options: CommitOptions,
    body: (tx: Tx) => Promise<{ readonly changes: Changes; readonly result: T }>,
  ): Promise<T>;
  /** Organizations that have due work, longest overdue first. */
  due(limit: number): Promise<readonly string[]>;
}

/** Time as the engine may see it. Decisions use `Tx.now`; this clock only measures leases and delays. */
export interface Clock {
  /** Milliseconds on a clock that never jumps. */
  monotonic(): number;
}

export interface Rng {
  bytes(count: number): Uint8Array;
}

export interface Timer {
  /** Runs `task` once, `delayMs` from now; the result cancels it. */
  after(delayMs: number, task: () => void): () => void;
}

/** What became of an outgoing request. `not_sent`: no byte of it left. `lost`: it may have arrived. */
export type HttpOutcome =
  | { readonly kind: "answer"; readonly result: HttpResult }
  | { readonly kind: "not_sent"; readonly reason: string }
  | { readonly kind: "timeout" }
  | { readonly kind: "lost"; readonly reason: string };

export interface HttpOrder {
  readonly baseUrl: string;
  readonly draft: HttpDraft;
  readonly timeoutMs: number;
  /** Merchants name their addresses themselves: those may not lead into the network that Bursar stands in. */
  readonly audience: "provider" | "merchant";
  /** Asked just before the first byte: false drops the request, which is then `not_sent`. */
  readonly maySend: () => boolean;
}

export interface Http {
  send(order: HttpOrder): Promise<HttpOutcome>;
}

export interface Ports {
  readonly store: Store;
  readonly clock: Clock;
  readonly rng: Rng;
  readonly timer: Timer;
  readonly http: Http;
}
