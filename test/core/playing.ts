/**
 * An order that lives: beside core's decisions what the engine does between them. Wake-ups come due, leases are taken
 * and run out, calls are answered or lost, people act. No database, no network.
 */
import type { Answer } from "../../src/core/news/answer.ts";
import { endUnpaid } from "../../src/core/news/facts.ts";
import { endStatus, hear, type News } from "../../src/core/news/news.ts";
import type { Resolution } from "../../src/core/news/resolution.ts";
import { abandonReversal, openReversal } from "../../src/core/news/reversal.ts";
import { askForEnd, isEnded } from "../../src/core/order/dispatch.ts";
import type { Operation, Payout } from "../../src/core/order/payout.ts";
import { invoke, type World } from "../../src/core/order/payout-plan.ts";
import { type Draft, movePayout, patchPayout, payoutOf, reopen } from "../../src/core/order/story.ts";
import { Telling, TRUTH } from "./stories.ts";

/** What a call came to. */
export type Outcome =
  | { readonly kind: "answer"; readonly answer: Answer }
  | { readonly kind: "lost" | "not_sent"; readonly resolution: Resolution };

export class Playing extends Telling {
  /** What people did, by name. */
  readonly acts: string[] = [];

  /** Throws away what has been decided since the last save. */
  forget(): void {
    const { invoice, request, payouts } = this.draft.before;
    if (request === null) throw new Error("a story that was saved has a request");
    this.draft = reopen({ invoice, request, payouts }, this.now);
  }

  /** Somebody does something; a refusal leaves nothing behind. Answers whether it was done. */
  attempt(what: (draft: Draft, world: World) => unknown): boolean {
    const obstacle = what(this.draft, this.world());
    if (obstacle !== null && obstacle !== undefined) {
      this.forget();
      return false;
    }
    this.advance();
    return true;
  }

  /** The holder of a payout's lease reports. */
  report(id: string, outcome: Outcome): void {
    const call = this.calls.get(id);
    if (call === undefined) return;
    this.calls.delete(id);
    const payout = payoutOf(this.draft, id);
    const { operation, askedTime } = call;
    if (operation === "inquire") patchPayout(this.draft, id, { inquiries: payout.inquiries + 1 });
    const news: News =
      outcome.kind === "answer"
        ? { kind: "answer", operation, answer: outcome.answer, askedTime }
        : { kind: outcome.kind, operation, resolution: outcome.resolution };
    hear(this.draft, id, news, TRUTH);
    this.advance();
  }

  /** Time passes, and everything that has come due is looked at, at most a few times each. */
  pass(ms: number): void {
    this.later(ms);
    for (let round = 0; round < 3; round += 1) {
      const due = [...this.wakes].filter(([, { dueTime }]) => dueTime <= this.now);
      for (const [key] of due.toSorted(([a], [b]) => (a < b ? -1 : 1))) this.#wake(key);
    }
  }

  #wake(key: string): void {
    const wake = this.wakes.get(key);
    if (wake === undefined || wake.dueTime > this.now) return;
    const [kind, id = ""] = key.split(":");
    if (kind === "request") {
      if (this.now >= this.draft.request.expiresTime) askForEnd(this.draft, "expire");
      this.wakes.delete(key);
      this.advance();
    } else {
      this.#wakePayout(payoutOf(this.draft, id));
    }
  }

  #wakePayout(payout: Payout): void {
    const { draft } = this;
    const { request } = draft;
    const isWaiting = payout.status === "CREATED" || (payout.status === "READY" && payout.isManual);
    if (this.now >= request.expiresTime && request.endAsked === null && !isEnded(draft)) {
      askForEnd(draft, "expire");
    } else if (!isWaiting) {
      const isUnsent = payout.status === "READY" || (payout.status === "INVOKING" && payout.send === "not_now");
      if (isUnsent && !payout.moderationRequired) this.#send(payout);
      else if (payout.reversal === "due") this.#reverse(payout);
      else if (payout.send === "again") this.#repeat(payout);
      else this.#inquire(payout);
    }
    this.advance();
  }

  #send(payout: Payout): void {
    const { draft } = this;
    if (draft.request.endAsked !== null) {
      if (payout.status === "INVOKING") endUnpaid(draft, payout.id, endStatus(draft), "D0");
    } else if (draft.request.blocked) {
      draft.wakes.set(`payout:${payout.id}`, { dueTime: this.now + 5_000, lease: false });
    } else if (this.shut.has(payout.providerAccountId)) {
      if (payout.status === "READY") movePayout(draft, payout.id, "INVOKING");
      patchPayout(draft, payout.id, { resolution: "ACCESS_DENIED", resolutionOf: "invoke" });
      endUnpaid(draft, payout.id, "INVOKE_FAILED", "D0");
    } else {
      invoke(draft, payout.id, TRUTH);
    }
  }

  #repeat(payout: Payout): void {
    const { blocked, endAsked } = this.draft.request;
    if (blocked || endAsked !== null || this.shut.has(payout.providerAccountId)) {
      patchPayout(this.draft, payout.id, { send: "unknown" });
      this.draft.wakes.set(`payout:${payout.id}`, { dueTime: this.now, lease: false });
    } else {
      invoke(this.draft, payout.id, TRUTH);
    }
  }

  #reverse(payout: Payout): void {
    openReversal(this.draft, payout.id, TRUTH);
    this.#lease(payout.id, payout.status === "REVOKING" ? "revoke" : "cancel");
  }

  #inquire(payout: Payout): void {
    if (payout.send === "open") {
      patchPayout(this.draft, payout.id, {
        send: "unknown",
        resolution: payout.resolution ?? "CONNECTION_ERROR",
        resolutionOf: payout.resolutionOf ?? "invoke",
        moderationRequired: true,
        flaggedTime: payout.flaggedTime ?? this.now,
      });
      const item = { kind: "payout", subject: payout.id, reason: "outcome_unknown", isIncident: false } as const;
      this.draft.items.push({ ...item, details: {} });
    }
    if (payout.reversal === "open") abandonReversal(this.draft, payout.id, TRUTH);
    this.#lease(payout.id, "inquire");
  }

  #lease(id: string, operation: Operation): void {
    this.draft.wakes.set(`payout:${id}`, { dueTime: this.now + TRUTH.leaseMs, lease: true, fence: 1 });
    this.calls.set(id, { operation, askedTime: this.now });
  }
}
