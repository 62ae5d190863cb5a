/**
 * A command: everything that changes state is one. It says what it must read, then decides on those rows; the batcher
 * runs many of them in one transaction.
 */
import type { HttpDraft } from "../connectors/contract.ts";
import type { Refusal } from "../core/errors.ts";
import type { Operation } from "../core/order/payout.ts";
import type { Result } from "../core/result.ts";
import type { Context } from "./context.ts";
import type { TableName, Want } from "./ports.ts";
import type { Setup } from "./setup.ts";
import type { Rowset } from "./view.ts";

/** Work that is nearer to the money goes first. */
export const ORDER = { outcome: 0, inquiry: 1, claim: 2, accept: 3 } as const;
export type Order = (typeof ORDER)[keyof typeof ORDER];

export interface Handler<P, A> {
  /** How the command is called in the audit trail. */
  readonly name: string;
  readonly order: Order;
  /** Decided on rows alone: also where the setup of its organization cannot be read. */
  readonly needsNoSetup?: true;
  /** What the payload names. */
  wants(payload: P, organizationId: string): readonly Want<TableName>[];
  /**
   * What those rows refer to. Asked again after each load with all that is there by then, until it names nothing new:
   * most commands need one such round.
   */
  more?(payload: P, seen: Seen): readonly Want<TableName>[];
  /** Decides on a branch of the rows. A refusal changes nothing; a throw is a bug and changes nothing either. */
  decide(context: Context, payload: P): Result<A, Refusal>;
}

export interface Seen {
  readonly organizationId: string;
  readonly rows: Pick<Rowset, "get" | "filter" | "group">;
  readonly setup: Setup;
}

/** Who or what caused a command. */
export interface Cause {
  /** `key:<id>`, `provider:<account>`, `system`. */
  readonly actor: string;
  readonly providerAccountId?: string;
  readonly messageId?: string;
  readonly verified?: boolean;
  /** What was said, redacted: kept with the command. */
  readonly body?: unknown;
  readonly bodyHash?: string;
}

/** An answer as it left us, to be repeated byte for byte. */
export interface StoredAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** A POST with an Idempotency-Key: how to recognise a repeat, and how to turn the result into the answer to store. */
export interface Once<A> {
  readonly key: string;
  readonly fingerprint: string;
  render(result: A): StoredAnswer;
}

/** What every outgoing request has that a commit has made due. */
interface Outgoing {
  readonly organizationId: string;
  /** What is counted so that one slow receiver takes not the whole process: a provider account, an endpoint. */
  readonly slotKey: string;
  readonly baseUrl: string;
  readonly draft: HttpDraft;
  readonly fence: number;
  /** Longest time from the start of the transaction to the first byte, milliseconds. */
  readonly sendWithinMs: number;
  readonly timeoutMs: number;
}

/** One try of a webhook. */
export interface WebhookErrand extends Outgoing {
  readonly kind: "webhook";
  readonly deliveryId: string;
}

/** One call to a provider about a payout. */
export interface ProviderErrand extends Outgoing {
  readonly kind: "provider";
  readonly payoutId: string;
  readonly requestId: string;
  readonly invoiceId: string | null;
  readonly websiteId: string;
  readonly providerAccountId: string;
  readonly operation: Operation;
  readonly epoch: number;
  /** The transaction's time: an inquiry is asked no earlier than this. */
  readonly askedTime: number;
}

export type Errand = ProviderErrand | WebhookErrand;
