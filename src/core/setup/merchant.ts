/** The merchant's side: websites (accounts with us), their customers, and how those want to be paid. */

export interface Website {
  readonly organizationId: string;
  readonly id: string;
  readonly name: string;
  /** Where a customer returns to by default. */
  readonly url: string;
  /** Whether an invoice starts processing in the transaction that creates it. */
  readonly autoprocess: boolean;
  /** Whether a bare payout request is dispatched by its routing scheme once its details are complete. */
  readonly requestAutoprocess: boolean;
  readonly lifetimeMinutes: number;
  readonly requestLifetimeMs: number;
  /** Whether what is at a provider is pulled back when an order's lifetime ends. */
  readonly revokeAtExpiry: boolean;
  readonly refundCommission: "keep" | "return";
  /** Above this much of a currency, decimal text in major units, a second person confirms what moderators decide. */
  readonly secondPersonAbove: Readonly<Record<string, string>>;
  readonly routingSchemeId: string | null;
  readonly rateSchemeId: string | null;
  readonly commerceSchemeId: string | null;
  readonly version: number;
  readonly createdTime: number;
  readonly updatedTime: number;
}

export interface Customer {
  readonly organizationId: string;
  readonly id: string;
  readonly websiteId: string;
  readonly referenceId: string | null;
  readonly email: string | null;
  readonly phone: string | null;
  readonly name: string | null;
  readonly metadata: unknown;
  readonly version: number;
  readonly createdTime: number;
  readonly updatedTime: number;
}

export interface PaymentInstrument {
  readonly organizationId: string;
  readonly id: string;
  readonly customerId: string;
  readonly service: string;
  /** The payee's details, sealed; what may be shown of them stands in `masked`. */
  readonly destination: Uint8Array;
  readonly destinationHash: string;
  readonly masked: string;
  readonly version: number;
  readonly createdTime: number;
  readonly updatedTime: number;
}

/** Money that a person moves: recorded when created, posted when approved. */
export interface FundsMovement {
  readonly organizationId: string;
  readonly id: string;
  readonly kind: "deposit" | "withdrawal" | "transfer";
  readonly status: "created" | "approved";
  readonly websiteId: string;
  /** The receiving website of a transfer. */
  readonly toWebsiteId: string | null;
  /** Where the money stands at a provider; null means the bank. */
  readonly depositAccountId: string | null;
  readonly currency: string;
  readonly amountMinor: bigint;
  readonly description: string | null;
  readonly version: number;
  readonly createdTime: number;
  readonly updatedTime: number;
}
