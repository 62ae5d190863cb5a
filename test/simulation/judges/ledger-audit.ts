/** Does the ledger add up? Folds every entry on its own and compares; looks at holds and at what is on its way. */

import type { Entry } from "../../../src/core/money/ledger.ts";
import { accountId, balanceAfter } from "../../../src/core/money/ledger.ts";
import type { InvoiceStatus } from "../../../src/core/order/invoice.ts";
import { isPlannedOrOpen, PAYOUT_MEANING } from "../../../src/core/order/payout.ts";
import type { Tables } from "../../../src/engine/ports.ts";
import type { Change, Mirror } from "./mirror.ts";
import type { Tally } from "./tally.ts";

/** Invoices that still hold money may have an open hold; all others have used it up. */
const HOLDING: ReadonlySet<string> = new Set(["processing", "process_pending"] satisfies InvoiceStatus[]);

export class LedgerAudit {
  readonly #mirror: Mirror;
  readonly #tally: Tally;
  /** The signed sum of an account's entries. */
  readonly #folds = new Map<string, bigint>();
  readonly #sequences = new Map<string, number>();

  constructor(mirror: Mirror, tally: Tally) {
    this.#mirror = mirror;
    this.#tally = tally;
  }

  /** Forgets what came after a snapshot with these entries. */
  restored(entries: readonly Entry[]): void {
    this.#folds.clear();
    this.#sequences.clear();
    this.#foldEntries(entries);
  }

  committed(entries: readonly Entry[], changes: readonly Change[]): void {
    this.#foldEntries(entries);
    const organizations = new Set<string>();
    for (const change of changes) {
      const row = change.after ?? change.before;
      if (row !== null) organizations.add(row.organizationId);
      if (change.table === "ledgerAccount" && change.after !== null) this.#checkAccount(change.after);
      if (change.table === "invoice" && change.after !== null) this.#checkHold(change.after);
    }
    for (const organizationId of organizations) this.#checkSums(organizationId);
  }

  #foldEntries(entries: readonly Entry[]): void {
    const postings = new Map<string, { sum: bigint; lines: number }>();
    const ordered = [...entries].sort((a, b) => a.sequence - b.sequence);
    for (const entry of ordered) {
      const account = `${entry.organizationId} ${entry.accountId}`;
      this.#folds.set(account, (this.#folds.get(account) ?? 0n) + entry.amountMinor);
      const key = `${entry.organizationId} ${entry.subject} ${entry.cause} ${entry.currency}`;
      const posting = postings.get(key) ?? { sum: 0n, lines: 0 };
      postings.set(key, { sum: posting.sum + entry.amountMinor, lines: posting.lines + 1 });
      const last = this.#sequences.get(entry.organizationId) ?? 0;
      if (entry.sequence !== last + 1) this.#off(`entry ${entry.sequence} of ${entry.organizationId} follows ${last}`);
      this.#sequences.set(entry.organizationId, entry.sequence);
    }
    for (const [key, { sum, lines }] of postings) {
      if (sum !== 0n || lines < 2) this.#off(`posting ${key} has ${lines} lines and is off by ${sum}`);
    }
  }

  #checkAccount(account: Tables["ledgerAccount"]): void {
    const fold = this.#folds.get(`${account.organizationId} ${account.id}`) ?? 0n;
    const balance = balanceAfter({ ...account, balanceMinor: 0n }, fold);
    if (balance !== account.balanceMinor) {
      this.#off(`${account.id} of ${account.organizationId} says ${account.balanceMinor}, its entries ${balance}`);
    }
    if (account.floorMinor !== null && account.balanceMinor < account.floorMinor) {
      this.#off(`${account.id} of ${account.organizationId} is below its floor: ${account.balanceMinor}`);
    }
  }

  #checkHold(invoice: Tables["invoice"]): void {
    const { heldMinor, postedMinor, releasedMinor, status } = invoice;
    const open = heldMinor - postedMinor - releasedMinor;
    if (open < 0n) this.#off(`invoice ${invoice.referenceId} has used ${-open} more than was held`);
    if (open > 0n && !HOLDING.has(status))
      this.#off(`invoice ${invoice.referenceId} is ${status} and still holds ${open}`);
    if (status === "created" && heldMinor > 0n)
      this.#off(`invoice ${invoice.referenceId} holds before it is processed`);
  }

  /** What is reserved is what open holds have left; what is in flight is what was sent and is not decided. */
  #checkSums(organizationId: string): void {
    const expected = new Map<string, bigint>();
    const add = (account: string, amount: bigint): void => {
      expected.set(account, (expected.get(account) ?? 0n) + amount);
    };
    for (const invoice of this.#mirror.rows("invoice")) {
      if (invoice.organizationId !== organizationId) continue;
      const open = invoice.heldMinor - invoice.postedMinor - invoice.releasedMinor;
      add(accountId({ kind: "reserved", owner: invoice.websiteId, currency: invoice.currency }), open);
    }
    for (const payout of this.#mirror.rows("payout")) {
      if (payout.organizationId !== organizationId) continue;
      const isOpen = PAYOUT_MEANING[payout.status].class === "open";
      const isFirstFlight = isOpen && payout.evidence === null && payout.returnedMinor === 0n;
      const account = accountId({ kind: "in_flight", owner: payout.depositAccountId, currency: payout.currency });
      const missing = payout.amountMinor - payout.processedMinor;
      add(account, isFirstFlight && missing > 0n ? missing : 0n);
    }
    for (const [account, amount] of expected) {
      const balance = this.#mirror.get("ledgerAccount", [organizationId, account])?.balanceMinor ?? 0n;
      if (balance !== amount) this.#off(`${account} of ${organizationId} is ${balance}, orders account for ${amount}`);
    }
  }

  /** At the end: every currency of every organization sums to zero, and nothing is on its way that is not open. */
  finish(): void {
    const sums = new Map<string, bigint>();
    for (const account of this.#mirror.rows("ledgerAccount")) {
      this.#checkAccount(account);
      const key = `${account.organizationId} ${account.currency}`;
      sums.set(key, (sums.get(key) ?? 0n) + (this.#folds.get(`${account.organizationId} ${account.id}`) ?? 0n));
    }
    for (const [key, sum] of sums) if (sum !== 0n) this.#off(`the trial balance of ${key} is ${sum}`);
    const isQuiet = ![...this.#mirror.rows("payout")].some(isPlannedOrOpen);
    for (const account of this.#mirror.rows("ledgerAccount")) {
      const isResting = account.kind !== "in_flight" || account.balanceMinor === 0n;
      if (isQuiet && !isResting) this.#off(`${account.id} is ${account.balanceMinor} and no payout is open`);
    }
  }

  #off(what: string): void {
    this.#tally.judge("unbalanced", what);
  }
}
