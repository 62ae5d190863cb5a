/** What a provider said about one order, after its connector has translated it. Core decides what it means. */
import type { Fact, Resolution } from "./resolution.ts";

/**
 * What became of a request at the provider's door.
 * `not_sent`: nothing left us. `accepted`: it holds the order. `refused`: definitively not registered, and the words
 * stand on the connector's `send.no` list. `not_now`: nothing was done, ask again later. `unknown`: all else.
 */
export type Sent = "not_sent" | "accepted" | "refused" | "not_now" | "unknown";

/** Amounts are minor units of the order's currency. */
export interface Answer {
  readonly sent: Sent;
  readonly fact: Fact;
  readonly resolution: Resolution;
  /** Inquiries only: whether the provider knows our reference. `no` is evidence D3, and only after the wait window. */
  readonly found?: "yes" | "no";
  readonly providerReference?: string;
  readonly providerStatus?: string;
  readonly providerCode?: string;
  /** What the provider echoed. Where present it must equal the order's, else the fact is not taken. */
  readonly echo?: {
    readonly reference?: string;
    readonly amountMinor?: bigint;
    readonly currency?: string;
    readonly destinationHash?: string;
  };
  /** Paid so far and returned so far, both cumulative. */
  readonly paidMinor?: bigint;
  readonly returnedMinor?: bigint;
  readonly returnId?: string;
  readonly feeMinor?: bigint;
  /** The provider's own order of events, where it has one: an older fact changes nothing. */
  readonly sequence?: number;
  /** Milliseconds to wait, from a `not_now` answer. */
  readonly retryAfterMs?: number;
}
