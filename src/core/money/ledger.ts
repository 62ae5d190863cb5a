/**
 * The double-entry ledger: accounts, and the journals of docs/domain.md (Ledger) as templates. Every template sums to
 * zero per currency, is posted under a cause that happens at most once, and is never edited.
 */
import { assert } from "../result.ts";

/** On which side an account's balance stands, and whether it may go below zero. */
const ACCOUNT_KINDS = {
  /** What the merchant may spend: a debt of ours. Owner: website. */
  available: { side: "credit", floored: true },
  /** What is held for payouts under way. Owner: website. */
  reserved: { side: "credit", floored: true },
  /** Sent to providers, outcome open. Owner: deposit account. */
  in_flight: { side: "debit", floored: true },
  /** Our money at a provider. May be funded outside, so it may go below zero. Owner: deposit account. */
  deposit: { side: "debit", floored: false },
  /** Our money at the bank. */
  bank: { side: "debit", floored: false },
  commission: { side: "credit", floored: false },
  fx_position: { side: "debit", floored: false },
  /** What bare requests paid and their owner has not settled yet. Owner: website. */
  request_clearing: { side: "debit", floored: false },
  provider_fee: { side: "debit", floored: false },
  variance: { side: "debit", floored: false },
  incident_suspense: { side: "debit", floored: false },
  /** What an incident has cost us for good. */
  incident_loss: { side: "debit", floored: false },
} as const satisfies Record<string, { side: "debit" | "credit"; floored: boolean }>;

export type AccountKind = keyof typeof ACCOUNT_KINDS;

export interface LedgerAccount {
  readonly organizationId: string;
  /** `kind:owner:currency`, so that an account is found without a look-up. */
  readonly id: string;
  readonly kind: AccountKind;
  /** A website, a deposit account, or empty for the organization's own accounts. */
  readonly owner: string;
  readonly currency: string;
  /** Minor units on the account's normal side. */
  readonly balanceMinor: bigint;
  /** The least balance allowed (0, or minus an overdraft limit); null = none. */
  readonly floorMinor: bigint | null;
  readonly version: number;
}

/** One line of the ledger. Debit is positive, credit is negative. */
export interface Entry {
  readonly organizationId: string;
  readonly accountId: string;
  /** Gapless per organization, in commit order. */
  readonly sequence: number;
  /** What caused it: the id of a payout, a request, an invoice or a movement of funds. */
  readonly subject: string;
  /** Which event of the subject; (subject, cause, line) is unique, so nothing posts twice. */
  readonly cause: string;
  readonly line: number;
  readonly currency: string;
  readonly amountMinor: bigint;
  readonly time: number;
}

export interface AccountRef {
  readonly kind: AccountKind;
  readonly owner: string;
  readonly currency: string;
}

/** One journal: what happened to which subject, and its lines. */
export interface Posting {
  readonly subject: string;
  readonly cause: string;
  readonly lines: readonly { readonly account: AccountRef; readonly amountMinor: bigint }[];
}

export function accountId(ref: AccountRef): string {
  return `${ref.kind}:${ref.owner}:${ref.currency}`;
}

/** A new account, empty. */
export function openAccount(organizationId: string, ref: AccountRef): LedgerAccount {
  return {
    organizationId,
    id: accountId(ref),
    kind: ref.kind,
    owner: ref.owner,
    currency: ref.currency,
    balanceMinor: 0n,
    floorMinor: ACCOUNT_KINDS[ref.kind].floored ? 0n : null,
    version: 1,
  };
}

/** The balance of an account after a line, on the account's normal side. */
export function balanceAfter(account: LedgerAccount, amountMinor: bigint): bigint {
  return account.balanceMinor + (ACCOUNT_KINDS[account.kind].side === "debit" ? amountMinor : -amountMinor);
}

/** A pair of lines: debit one account, credit another, `amountMinor` in their common currency. */
function move(debit: AccountRef, credit: AccountRef, amountMinor: bigint): Posting["lines"] {
  assert(debit.currency === credit.currency, "a ledger move stays in one currency");
  assert(amountMinor >= 0n, "a ledger move is not negative");
  if (amountMinor === 0n) return [];
  return [
    { account: debit, amountMinor },
    { account: credit, amountMinor: -amountMinor },
  ];
}

/** Builds a posting and proves that it sums to zero per currency. */
function posting(subject: string, cause: string, ...moves: readonly Posting["lines"][]): Posting {
  const lines = moves.flat();
  const sums = new Map<string, bigint>();
  for (const line of lines) {
    sums.set(line.account.currency, (sums.get(line.account.currency) ?? 0n) + line.amountMinor);
  }
  for (const [currency, sum] of sums) assert(sum === 0n, `${cause} of ${subject} is off by ${sum} ${currency}`);
  return { subject, cause, lines };
}

export const available = (website: string, currency: string): AccountRef => ({
  kind: "available",
  owner: website,
  currency,
});
const reserved = (website: string, currency: string): AccountRef => ({
  kind: "reserved",
  owner: website,
  currency,
});
const inFlight = (deposit: string, currency: string): AccountRef => ({
  kind: "in_flight",
  owner: deposit,
  currency,
});
export const atProvider = (deposit: string, currency: string): AccountRef => ({
  kind: "deposit",
  owner: deposit,
  currency,
});
const clearing = (website: string, currency: string): AccountRef => ({
  kind: "request_clearing",
  owner: website,
  currency,
});
export const own = (
  kind: "bank" | "commission" | "fx_position" | "provider_fee" | "variance" | "incident_suspense" | "incident_loss",
  currency: string,
): AccountRef => ({ kind, owner: "", currency });

/** Who is party to a payout's journals, with the minor units that move. */
export interface PayoutParties {
  readonly payoutId: string;
  readonly websiteId: string;
  readonly depositAccountId: string;
  /** The service's currency, in which the provider pays. */
  readonly currency: string;
  /** The merchant's account currency; null for a bare request, which has no hold. */
  readonly accountCurrency: string | null;
}

/** The parties of a payout, from its row and the invoice above it. */
export function partiesOf(
  payout: { id: string; websiteId: string; depositAccountId: string; currency: string },
  invoice: { currency: string } | null,
): PayoutParties {
  const { id, websiteId, depositAccountId, currency } = payout;
  return { payoutId: id, websiteId, depositAccountId, currency, accountCurrency: invoice?.currency ?? null };
}

/** Processing starts: the write-off is kept back. Account currency. */
export const hold = (requestId: string, websiteId: string, currency: string, writeoffMinor: bigint): Posting =>
  posting(requestId, "hold", move(available(websiteId, currency), reserved(websiteId, currency), writeoffMinor));

/** The intent is committed: the money is on its way, minor units of the service's currency. */
export const sent = (p: PayoutParties, amountMinor: bigint): Posting =>
  posting(
    p.payoutId,
    "sent",
    move(inFlight(p.depositAccountId, p.currency), atProvider(p.depositAccountId, p.currency), amountMinor),
  );

/** What one payment moves: `paidMinor` in the service's currency, `shareMinor` of the hold in the account's. */
export interface Paid {
  /** Tells one payment of a payout from the next: the cumulative amount paid. */
  readonly upToMinor: bigint;
  readonly paidMinor: bigint;
  readonly shareMinor: bigint;
  /** How much of it was in flight; the rest (a late success, already given back) left the deposit account. */
  readonly inFlightMinor: bigint;
}

/** Paid, in one currency or across two, or for a bare request. */
export function paid(p: PayoutParties, what: Paid): Posting {
  const cause = `paid:${what.upToMinor}`;
  const leaves = (debit: AccountRef): Posting["lines"] => [
    ...move(debit, inFlight(p.depositAccountId, p.currency), what.inFlightMinor),
    ...move(debit, atProvider(p.depositAccountId, p.currency), what.paidMinor - what.inFlightMinor),
  ];
  if (p.accountCurrency === null) return posting(p.payoutId, cause, leaves(clearing(p.websiteId, p.currency)));
  const held = reserved(p.websiteId, p.accountCurrency);
  if (p.accountCurrency === p.currency) return posting(p.payoutId, cause, leaves(held));
  return posting(
    p.payoutId,
    cause,
    move(held, own("fx_position", p.accountCurrency), what.shareMinor),
    leaves(own("fx_position", p.currency)),
  );
}

/** Money that left although nothing allowed it any more: recorded, never refused. `inFlightMinor` of it had been sent. */
export const paidBeyond = (
  p: PayoutParties,
  what: { readonly upToMinor: bigint; readonly inFlightMinor: bigint; readonly unannouncedMinor: bigint },
): Posting => {
  const suspense = own("incident_suspense", p.currency);
  return posting(
    p.payoutId,
    `paid_beyond:${what.upToMinor}`,
    move(suspense, inFlight(p.depositAccountId, p.currency), what.inFlightMinor),
    move(suspense, atProvider(p.depositAccountId, p.currency), what.unannouncedMinor),
  );
};

/** What came back: `returnedMinor` in the service's currency, `shareMinor` of it at the frozen rate in the account's. */
export interface Returned {
  /** The cumulative amount returned: it only grows, so that one return posts once. */
  readonly upToMinor: bigint;
  readonly returnedMinor: bigint;
  readonly shareMinor: bigint;
  /** Came back of what stood in suspense, or beyond what was paid (an incident of its own). */
  readonly suspenseMinor: bigint;
  /** Came back of what an incident had cost us. */
  readonly lossMinor: bigint;
}

/** Money that came back stands at the provider and is the merchant's again. */
export function returned(p: PayoutParties, what: Returned): Posting {
  const place = atProvider(p.depositAccountId, p.currency);
  const cause = `returned:${what.upToMinor}`;
  const beyond = [
    ...move(place, own("incident_suspense", p.currency), what.suspenseMinor),
    ...move(place, own("incident_loss", p.currency), what.lossMinor),
  ];
  if (p.accountCurrency === null) {
    return posting(p.payoutId, cause, move(place, clearing(p.websiteId, p.currency), what.returnedMinor), beyond);
  }
  const merchant = available(p.websiteId, p.accountCurrency);
  if (p.accountCurrency === p.currency) {
    return posting(p.payoutId, cause, move(place, merchant, what.returnedMinor), beyond);
  }
  return posting(
    p.payoutId,
    cause,
    move(place, own("fx_position", p.currency), what.returnedMinor),
    move(own("fx_position", p.accountCurrency), merchant, what.shareMinor),
    beyond,
  );
}

/** Ended with less than was sent: what did not leave stands at the provider again. */
export const cameBack = (p: PayoutParties, unpaidMinor: bigint): Posting =>
  posting(
    p.payoutId,
    "unsent",
    move(atProvider(p.depositAccountId, p.currency), inFlight(p.depositAccountId, p.currency), unpaidMinor),
  );

/** The request has settled: the commission is earned and the rest of the hold goes back. Account currency. */
export const settled = (
  requestId: string,
  websiteId: string,
  currency: string,
  amounts: { readonly feeMinor: bigint; readonly restMinor: bigint },
): Posting =>
  posting(
    requestId,
    "settled",
    move(reserved(websiteId, currency), own("commission", currency), amounts.feeMinor),
    move(reserved(websiteId, currency), available(websiteId, currency), amounts.restMinor),
  );

/** The commission on what came back is given back. `upToMinor`: given back so far, with this. Account currency. */
export const commissionReturned = (
  requestId: string,
  websiteId: string,
  currency: string,
  what: { readonly upToMinor: bigint; readonly feeMinor: bigint },
): Posting =>
  posting(
    requestId,
    `commission_returned:${what.upToMinor}`,
    move(own("commission", currency), available(websiteId, currency), what.feeMinor),
  );

/** A person has settled an incident: who bears what stood in suspense, minor units of the payout's currency. */
export const incidentSettled = (
  p: PayoutParties,
  what: {
    readonly actId: string;
    readonly amountMinor: bigint;
    readonly shareMinor: bigint;
    readonly by: "merchant" | "loss";
  },
): Posting => {
  const suspense = own("incident_suspense", p.currency);
  const cause = `incident_settled:${what.actId}`;
  if (what.by === "loss" || p.accountCurrency === null) {
    return posting(p.payoutId, cause, move(own("incident_loss", p.currency), suspense, what.amountMinor));
  }
  const merchant = available(p.websiteId, p.accountCurrency);
  if (p.accountCurrency === p.currency) return posting(p.payoutId, cause, move(merchant, suspense, what.amountMinor));
  return posting(
    p.payoutId,
    cause,
    move(merchant, own("fx_position", p.accountCurrency), what.shareMinor),
    move(own("fx_position", p.currency), suspense, what.amountMinor),
  );
};

/** Approved movements of funds, minor units of their currency. */
export const deposited = (id: string, websiteId: string, place: AccountRef, amountMinor: bigint): Posting =>
  posting(id, "deposit", move(place, available(websiteId, place.currency), amountMinor));

export const withdrawn = (id: string, websiteId: string, place: AccountRef, amountMinor: bigint): Posting =>
  posting(id, "withdrawal", move(available(websiteId, place.currency), place, amountMinor));

export const transferred = (id: string, from: AccountRef, to: AccountRef, amountMinor: bigint): Posting =>
  posting(id, "transfer", move(from, to, amountMinor));
