/**
 * What a connector is: pure translation between Bursar and one provider.
 *
 * A connector never opens a socket, reads a clock, retries or decides a status. For each call it offers two pure
 * functions: `build` turns a question into an HTTP request, `read` turns the provider's answer into a *fact* and a
 * *resolution*. The engine does the sending, once, and one reducer in core decides what the fact means.
 */
import type { Answer, Sent } from "../core/news/answer.ts";

export type { Answer, Sent };

/** One HTTP request, not yet sent. `path` is absolute on the provider account's base address. */
export interface HttpDraft {
  readonly method: "GET" | "POST" | "PUT" | "DELETE";
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | null;
}

/** A complete answer of the provider. Timeouts, resets and refused connections never reach a connector. */
export interface HttpResult {
  readonly status: number;
  /** Header names are lower-case. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** A provider account as a connector sees it: credentials already unsealed. */
export interface Account {
  readonly id: string;
  readonly settings: Readonly<Record<string, string>>;
  readonly credentials: Readonly<Record<string, string>>;
  /** Where the provider reaches us with callbacks; null when no public address is known. */
  readonly callbackUrl: string | null;
}

/** The question of `create`: pay this once, under this reference. `amountMinor` is in the currency's minor units. */
export interface PayoutOrder {
  readonly reference: string;
  readonly amountMinor: bigint;
  readonly currency: string;
  readonly service: string;
  /** The payee's details, checked against the service's fields. */
  readonly destination: Readonly<Record<string, string>>;
  readonly description: string | null;
}

/** The question of every later call about an order that may be at the provider. */
export interface PayoutQuery {
  readonly reference: string;
  readonly providerReference: string | null;
  readonly amountMinor: bigint;
  readonly currency: string;
  /** The payee's details as sent, so that an answer about somebody else's payout is noticed. */
  readonly destination: Readonly<Record<string, string>>;
}

/** The question of `cancel`. */
export interface CancelQuery extends PayoutQuery {
  /** How much to bring back, minor units; null: all that is left. */
  readonly cancelMinor: bigint | null;
}

/** One provider call as two pure functions. `read` never throws for what a provider says: the unmapped is `unknown`. */
export interface Call<Q> {
  build(question: Q, account: Account, now: number): HttpDraft;
  read(result: HttpResult, question: Q): Answer;
}

/** A message that arrived at our callback address, byte for byte. */
export interface RawCallback {
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** What one callback says about one order of ours. */
export interface CallbackNews {
  /** The provider's id of this message; the same message again has the same id. */
  readonly messageId: string;
  readonly reference: string;
  readonly answer: Answer;
}

/** What the engine must know to send safely; proved by the connector suite. All durations in milliseconds. */
export interface TruthSheet {
  readonly reference: {
    readonly alphabet: string;
    readonly maxLength: number;
    readonly carrier: string;
    /** What the provider does with a second request under one reference. */
    readonly onRepeat: "same_answer" | "error" | "new_payout" | "unknown";
    readonly retentionMs: number | null;
  };
  /** The client timeout for money-moving calls. */
  readonly timeoutMs: number;
  /** How long after our timeout a request may still arrive at the provider; null = not known, so absence proves nothing. */
  readonly lateArrivalMs: number | null;
  /** How long an accepted order may be invisible to inquiries; null = not known. */
  readonly inquiryLagMs: number | null;
  /** The longest pause of one of our workers that the wait window covers. */
  readonly workerPauseMs: number;
  readonly leaseMs: number;
  readonly leaseMarginMs: number;
  readonly inquiry: {
    readonly byOurReference: "yes" | "no" | "by_repeating";
    /** True: "not found" (after the wait window) means that the order never arrived. */
    readonly complete: boolean;
    /** Delays after the send; the last one repeats. */
    readonly scheduleMs: readonly number[];
  };
  readonly callbacks: { readonly signed: boolean; readonly ordered: boolean; readonly carriesState: boolean };
  readonly repeat: "never" | "harmless";
  readonly revoke: "none" | "sync" | "async";
  readonly cancel: "none" | "sync" | "async" | "provider_return_only";
  /** Whether a cancel takes an amount; without it a cancel brings back all that is left. */
  readonly partialCancel: boolean;
}

/** A field that the payee's details may have for a service. */
export interface FieldDescription {
  readonly name: string;
  readonly required: boolean;
  readonly label: string;
  readonly pattern?: string;
  readonly maxLength: number;
  /** Shown masked everywhere but at the provider. */
  readonly secret: boolean;
}

/** One payout service: one currency by one method at this connector. */
export interface ServiceDescription {
  readonly code: string;
  readonly currency: string;
  readonly method: string;
  readonly fields: readonly FieldDescription[];
}

export interface Connector {
  readonly name: string;
  /** The name that this provider has in the gateway catalogue; null leaves `gatewayName` out of answers. */
  readonly gatewayName: string | null;
  readonly truth: TruthSheet;
  /** Settings and credentials that a provider account of this connector has. */
  readonly settings: readonly FieldDescription[];
  readonly services: readonly ServiceDescription[];
  /** Identifies the payee within this connector, as `Answer.echo.destinationHash` does. */
  destinationHash(destination: Readonly<Record<string, string>>): string;
  readonly create: Call<PayoutOrder>;
  readonly inquire: Call<PayoutQuery>;
  readonly revoke?: Call<PayoutQuery>;
  readonly cancel?: Call<CancelQuery>;
  /** Checked on the raw bytes, before anything is parsed. */
  verifyCallback?(callback: RawCallback, account: Account, now: number): boolean;
  readCallback?(callback: RawCallback, account: Account): readonly CallbackNews[];
}
