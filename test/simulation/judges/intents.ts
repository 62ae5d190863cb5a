/**
 * Every intent that was ever committed: what we once meant to send stays known, also where the database forgets it.
 * By them it is decided whose fault a payment is.
 */
import type { Payout } from "../../../src/core/order/payout.ts";
import type { PayoutRequest } from "../../../src/core/order/request.ts";

export interface Intent {
  readonly organizationId: string;
  readonly requestId: string;
  readonly reference: string;
  /** More than one where the order was forgotten, denied by everybody, and cut otherwise when it was repeated. */
  readonly amounts: Set<bigint>;
  readonly currency: string;
  /** SHA-256 of the request, as it was built. */
  readonly requestHashes: Set<string>;
  /** What the order asked for in all, minor units of the service's currency. */
  readonly orderMinor: bigint;
  /** When the newest send of it was committed, milliseconds since the simulation began. */
  sentTime: number;
}

const keyOf = (organizationId: string, accountId: string, reference: string): string =>
  `${organizationId} ${accountId} ${reference}`;

export class Intents {
  readonly #intents = new Map<string, Intent>();
  /** What was asked to be done about a payout afterwards: also about one that was taken over, whose send is forgotten. */
  readonly #reversals = new Set<string>();

  note(payout: Payout, request: PayoutRequest, now: number): void {
    const key = keyOf(payout.organizationId, payout.providerAccountId, payout.reference);
    if (payout.reversal === "open") this.#reversals.add(`${key} ${payout.status === "REVOKING" ? "revoke" : "cancel"}`);
    if (payout.firstSendTime === null || payout.requestHash === null) return;
    const known = this.#intents.get(key);
    if (known !== undefined) {
      known.requestHashes.add(payout.requestHash);
      known.amounts.add(payout.amountMinor);
      if (payout.send === "open") known.sentTime = now;
      return;
    }
    const { organizationId, requestId, reference, amountMinor, currency } = payout;
    const requestHashes = new Set([payout.requestHash]);
    const orderMinor = request.amountMinor;
    this.#intents.set(key, {
      organizationId,
      requestId,
      reference,
      amounts: new Set([amountMinor]),
      currency,
      requestHashes,
      orderMinor,
      sentTime: now,
    });
  }

  /** Whether a `revoke` or a `cancel` of it was ever committed. */
  isReversed(organizationId: string, accountId: string, reference: string, command: string): boolean {
    return this.#reversals.has(`${keyOf(organizationId, accountId, reference)} ${command}`);
  }

  find(organizationId: string, accountId: string, reference: string): Intent | undefined {
    return this.#intents.get(keyOf(organizationId, accountId, reference));
  }
}

/** The order that a payee stands for: each order of the workload has payees of its own. */
export function orderOfPayee(payee: string): string {
  return payee.replace(/^payee of /, "").replace(/ \(\d+\)$/, "");
}
