/** Do the rows of each order belong together? Sums, open parts, evidence, what is frozen, and whether it goes on. */

import { needsWake } from "../../../src/core/news/doubt.ts";
import { countedMinor, isPlannedOrOpen, PAYOUT_MEANING, type Payout } from "../../../src/core/order/payout.ts";
import type { PayoutRequest } from "../../../src/core/order/request.ts";
import { DISPATCH_STATUSES, type DispatchStatus } from "../../../src/core/order/request.ts";
import type { Tables } from "../../../src/engine/ports.ts";
import type { Change, Mirror } from "./mirror.ts";
import type { Oracle } from "./oracle.ts";
import type { Tally } from "./tally.ts";

/** What no update may change in a payout. `requestHash` is written once. */
const FROZEN = [
  "requestId",
  "part",
  "attempt",
  "routeId",
  "providerAccountId",
  "depositAccountId",
  "service",
  "currency",
  "amountMinor",
  "destinationHash",
  "reference",
] as const satisfies readonly (keyof Payout)[];

const NONE: ReadonlySet<string> = new Set();

/** Statuses that say: nothing was paid, and nothing will be. */
const UNPAID_ENDS: ReadonlySet<string> = new Set(["FAILED", "EXPIRED", "TERMINATED"]);
const UNPAID_INVOICES: ReadonlySet<string> = new Set(["process_failed", "expired", "terminated"]);

/** Statuses of a request whose workflow is over, though some may still be reversed. */
const SETTLED: ReadonlySet<DispatchStatus> = new Set<DispatchStatus>(["PROCESSED", "PARTIALLY_PROCESSED"]);

export function isSettled(status: DispatchStatus): boolean {
  return SETTLED.has(status) || DISPATCH_STATUSES[status].final;
}

export class OrderAudit {
  readonly #mirror: Mirror;
  readonly #tally: Tally;
  readonly #oracle: Oracle;

  constructor(mirror: Mirror, tally: Tally, oracle: Oracle) {
    this.#mirror = mirror;
    this.#tally = tally;
    this.#oracle = oracle;
  }

  committed(changes: readonly Change[]): void {
    const requests = new Map<string, PayoutRequest>();
    const touch = (organizationId: string, requestId: string): void => {
      const request = this.#mirror.get("request", [organizationId, requestId]);
      if (request !== null) requests.set(`${organizationId} ${requestId}`, request);
    };
    for (const change of changes) {
      const row = change.after ?? change.before;
      if (row === null) continue;
      if (change.table === "request" && change.after !== null) touch(change.after.organizationId, change.after.id);
      if (change.table === "payout" && change.after !== null) {
        touch(change.after.organizationId, change.after.requestId);
        this.#checkPayout(change.before, change.after);
      }
      if (change.table === "invoice" && change.after !== null && change.after.requestId !== null) {
        touch(change.after.organizationId, change.after.requestId);
      }
      if (change.table === "openPart") {
        const part = change.after ?? change.before;
        if (part !== null) touch(part.organizationId, part.requestId);
      }
      if (change.table === "moderationItem" && change.before === null && change.after !== null) {
        this.#checkItem(change.after);
      }
      if (change.table === "work" && change.before !== null) this.#touchWork(change.before, touch);
    }
    for (const request of requests.values()) this.#checkRequest(request);
  }

  /** A person is asked. */
  #checkItem({ organizationId, kind, subject, reason }: Tables["moderationItem"]): void {
    this.#tally.reach(`asked ${reason}`);
    if (reason !== "paid_too_much" && reason !== "paid_late") return;
    const payout = this.#mirror.get("payout", [organizationId, subject]);
    if (this.#oracle.hasForgotten) return;
    // A person's decision has no place in the provider's sequence: news from before it may come after it.
    if (reason === "paid_late" && payout?.evidence === "D4") return;
    if (payout !== null && this.#oracle.isBetrayed(organizationId, payout.requestId)) return;
    this.#tally.judge("overpaid", `a person is told of ${reason} of ${kind} ${subject}`);
  }

  #touchWork(
    work: { organizationId: string; kind: string; subject: string },
    touch: (organizationId: string, requestId: string) => void,
  ): void {
    if (work.kind === "request") touch(work.organizationId, work.subject);
    if (work.kind !== "payout") return;
    const payout = this.#mirror.get("payout", [work.organizationId, work.subject]);
    if (payout !== null) touch(work.organizationId, payout.requestId);
  }

  #checkPayout(before: Payout | null, after: Payout): void {
    if (before === null) {
      this.#checkSuccessor(after);
      return;
    }
    for (const name of FROZEN) {
      // The details of the payee may come later than the payout; then they stay.
      if (before[name] !== null && before[name] !== after[name])
        this.#tally.judge("no_intent", `${name} of payout ${after.id} has changed`);
    }
    if (before.requestHash !== null && before.requestHash !== after.requestHash) {
      this.#tally.judge("no_intent", `the request of payout ${after.id} is built anew`);
    }
    if (before.status !== after.status) this.#noteEnd(after);
    if (before.reversal === "unknown" && before.status !== after.status) {
      if (after.status === "REVOKED") this.#tally.reach("a lost revoke had worked");
      if (after.status === "CANCEL_FAILED") this.#tally.reach("a lost cancel had not worked");
    }
  }

  /** A further attempt stands on stored evidence that the one before is not paid. */
  #checkSuccessor(payout: Payout): void {
    const others = this.#mirror.payoutsOf(payout.organizationId, payout.requestId);
    const before = others.find((each) => each.part === payout.part && each.attempt === payout.attempt - 1);
    if (payout.attempt > 1) this.#tally.reach("next attempt");
    if (before?.evidence === "D3") this.#tally.reach("next attempt after D3");
    if (before?.status === "REVOKED") this.#tally.reach("next attempt after a revoke");
    const isUnpaid = before !== undefined && PAYOUT_MEANING[before.status].class === "not_paid";
    const isBetrayed = this.#oracle.isBetrayed(payout.organizationId, payout.requestId);
    const isProven = before?.evidence !== null && (isUnpaid || isBetrayed);
    const isLetGo = before?.status !== "REVOKED" || before.afterRevoke === "reroute" || this.#isLetOn(payout);
    if (payout.attempt > 1 && (!isProven || !isLetGo) && !this.#isContinued(before)) {
      this.#tally.judge("open_part", `payout ${payout.id} follows one that is ${before?.status ?? "not there"}`);
    }
  }

  /** Whether a person lets the order go on, whatever was revoked of it. */
  #isLetOn({ organizationId, requestId }: Payout): boolean {
    return [...this.#mirror.rows("moderationAct")].some(
      (act) =>
        act.organizationId === organizationId &&
        act.subject === requestId &&
        act.kind === "continue" &&
        act.status === "done",
    );
  }

  /** A person lets the unpaid rest of a part go by another payout. */
  #isContinued(before: Payout | undefined): boolean {
    return before !== undefined && PAYOUT_MEANING[before.status].class === "paid";
  }

  #noteEnd(payout: Payout): void {
    if (payout.evidence !== null) this.#tally.reach(`evidence ${payout.evidence}`);
    if (PAYOUT_MEANING[payout.status].class !== "not_paid" || payout.firstSendTime === null) return;
    if (payout.evidence === null)
      this.#tally.judge("open_part", `payout ${payout.id} is ${payout.status} without evidence`);
  }

  #checkRequest(request: PayoutRequest): void {
    const payouts = this.#mirror.payoutsOf(request.organizationId, request.id);
    this.#checkSums(request, payouts);
    this.#checkEnd(request, payouts);
    this.#checkParts(request, payouts);
    this.#checkGoesOn(request, payouts);
  }

  #checkSums(request: PayoutRequest, payouts: readonly Payout[]): void {
    const { amountMinor, availableMinor, overpaidMinor, paidMinor } = request;
    const counted = payouts.reduce((sum, payout) => sum + countedMinor(payout), 0n);
    const paid = payouts.reduce((sum, payout) => sum + payout.processedMinor - payout.returnedMinor, 0n);
    const isRight =
      amountMinor + overpaidMinor === availableMinor + counted &&
      availableMinor >= 0n &&
      availableMinor <= amountMinor &&
      paidMinor === paid;
    if (isRight) return;
    const sums = `${amountMinor} + ${overpaidMinor}, available ${availableMinor}, counted ${counted}, paid ${paidMinor} of ${paid}`;
    this.#tally.judge("arithmetic", `request ${request.id}: ${sums}`);
  }

  /** Nobody is told that an order is unpaid while one of its payouts may still pay. */
  #checkEnd(request: PayoutRequest, payouts: readonly Payout[]): void {
    const open = payouts.find(isPlannedOrOpen);
    if (open === undefined) return;
    const { organizationId, dispatchStatus, invoiceId } = request;
    const invoice = invoiceId === null ? null : this.#mirror.get("invoice", [organizationId, invoiceId]);
    const what = `while payout ${open.id} is ${open.status}`;
    if (UNPAID_ENDS.has(dispatchStatus)) {
      this.#tally.judge("false_final", `request ${request.id} is ${dispatchStatus} ${what}`);
    }
    if (invoice !== null && UNPAID_INVOICES.has(invoice.status)) {
      this.#tally.judge("false_final", `invoice ${invoice.referenceId} is ${invoice.status} ${what}`);
    }
  }

  /** At most one payout of a part is planned or open, and its row says which. */
  #checkParts(request: PayoutRequest, payouts: readonly Payout[]): void {
    const open = payouts.filter(isPlannedOrOpen);
    for (const part of new Set(payouts.map((payout) => payout.part))) {
      const row = this.#mirror.get("openPart", [request.organizationId, request.id, part]);
      const ids = open.filter((payout) => payout.part === part).map((payout) => payout.id);
      // One that was revived after its end lives beside its successor.
      const isRevived = open.some((payout) => payout.part === part && payout.evidence !== null);
      if (ids.length > 1 && !isRevived)
        this.#tally.judge("open_part", `part ${part} of ${request.id} has ${ids.length} open payouts`);
      const isRight = isRevived
        ? row === null || ids.includes(row.payoutId)
        : (row?.payoutId ?? null) === (ids[0] ?? null);
      if (!isRight) {
        this.#tally.judge("open_part", `part ${part} of ${request.id} is ${ids[0]}'s, its row says ${row?.payoutId}`);
      }
    }
  }

  /** Rule 8: what is not final has a wake-up, or a person has been asked. */
  #checkGoesOn(request: PayoutRequest, payouts: readonly Payout[]): void {
    const { organizationId } = request;
    const isAwaited = (kind: string, subject: string): boolean =>
      this.#mirror.get("work", [organizationId, kind, subject]) !== null || this.isModerated(organizationId, subject);
    const open = payouts.filter(needsWake);
    for (const payout of open) {
      if (!isAwaited("payout", payout.id))
        this.#tally.judge("stuck", `payout ${payout.id} (${payout.status}) has no wake-up`);
    }
    const goesOn = open.length > 0 || isAwaited("request", request.id);
    if (!isSettled(request.dispatchStatus) && !goesOn) {
      this.#tally.judge("stuck", `request ${request.id} (${request.dispatchStatus}) has no wake-up`);
    }
  }

  /** Whether a person has been asked about a subject; `besides`: for another reason than these. */
  isModerated(organizationId: string, subject: string, besides: ReadonlySet<string> = NONE): boolean {
    for (const item of this.#mirror.rows("moderationItem")) {
      const isOf = item.organizationId === organizationId && item.subject === subject;
      if (isOf && item.status === "open" && !besides.has(item.reason)) return true;
    }
    return false;
  }
}
