/**
 * The judge of what matters most, by the provider's book and not by our tables: is an order paid once, does every
 * request stand on a committed intent, and do we ever say something that the book denies?
 */
import type { HttpDraft, HttpResult } from "../../src/connectors/contract.ts";
import { sha256 } from "../../src/core/ids.ts";
import { PAYOUT_MEANING, type Payout } from "../../src/core/payout.ts";
import type { Change, Mirror } from "./mirror.ts";
import { isEffective, type Operation, type Provider, type Witness } from "./provider.ts";
import type { Tally } from "./tally.ts";

/** Which provider account of ours a secret belongs to. */
export interface AccountPlace {
  readonly organizationId: string;
  readonly accountId: string;
}

/** Answers after which the same reference may be sent again: nothing was done. */
const NOT_NOW: ReadonlySet<number> = new Set([429, 503]);

/** Told when a send's answer has reached its process. */
export type Answered = (result: HttpResult) => void;

export class Oracle implements Witness {
  readonly #mirror: Mirror;
  readonly #tally: Tally;
  readonly #places: ReadonlyMap<string, AccountPlace>;
  /** Sends that left and may have arrived, by secret and reference. */
  readonly #open = new Map<string, number>();
  #provider: Provider | null = null;

  constructor(mirror: Mirror, tally: Tally, places: ReadonlyMap<string, AccountPlace>) {
    this.#mirror = mirror;
    this.#tally = tally;
    this.#places = places;
  }

  watch(provider: Provider): void {
    this.#provider = provider;
  }

  /** A request leaves: its intent is committed, with these very bytes, and no other of its reference is out. */
  left(draft: HttpDraft): Answered {
    const reference = draft.headers["x-reference"];
    if (draft.method !== "POST" || reference === undefined) return () => {};
    const secret = (draft.headers["authorization"] ?? "").replace(/^Bearer /, "");
    const key = `${secret} ${reference}`;
    const payout = this.#payoutOf(secret, reference);
    const hash = sha256(`${draft.method} ${draft.path}\n${draft.body ?? ""}`);
    if (payout === null || payout.firstSendTime === null || payout.requestHash !== hash) {
      this.#tally.judge("no_intent", `${reference} leaves without an intent of these bytes`);
    }
    const out = this.#open.get(key) ?? 0;
    if (out > 0) this.#tally.judge("second_send", `${reference} leaves again while ${out} may have arrived`);
    this.#open.set(key, out + 1);
    return (result) => {
      if (NOT_NOW.has(result.status)) this.#open.set(key, (this.#open.get(key) ?? 1) - 1);
    };
  }

  arrived(operation: Operation): void {
    const payout = this.#payoutOf(operation.customer.secret, operation.reference);
    const isMeant =
      payout !== null &&
      payout.firstSendTime !== null &&
      payout.amountMinor === operation.amountMinor &&
      payout.currency === operation.currency;
    if (!isMeant) this.#tally.judge("no_intent", `operation ${operation.reference} is not what was meant`);
    if (payout !== null && PAYOUT_MEANING[payout.status].class === "not_paid") {
      this.#tally.judge("false_final", `${operation.reference} arrives when its payout is ${payout.status}`);
    }
  }

  /** The sum of everything effective for one payee: over all references, at all accounts. */
  paid(operation: Operation): void {
    const { payee } = operation;
    const all = [...(this.#provider?.operations.values() ?? [])].filter((each) => each.payee === payee);
    const effective = all.filter(isEffective);
    const sum = effective.reduce((total, each) => total + each.amountMinor, 0n);
    const asked = this.#askedFor(operation);
    if (sum > asked) {
      const references = effective.map((each) => each.reference.slice(0, 8)).join(", ");
      this.#tally.judge("paid_twice", `${payee} gets ${sum} instead of ${asked}: ${references}`);
    }
  }

  #askedFor(operation: Operation): bigint {
    const payout = this.#payoutOf(operation.customer.secret, operation.reference);
    if (payout === null) return 0n;
    return this.#mirror.get("request", [payout.organizationId, payout.requestId])?.amountMinor ?? 0n;
  }

  /** What we begin to say must be what the book says. */
  committed(changes: readonly Change[]): void {
    for (const change of changes) {
      if (change.table !== "payout" || change.after === null || change.after.status === change.before?.status) continue;
      this.#compare(change.after);
    }
  }

  /** At the end: every operation that pays is a payout that says so. */
  finish(): void {
    for (const operation of this.#provider?.operations.values() ?? []) {
      const payout = this.#payoutOf(operation.customer.secret, operation.reference);
      if (payout !== null) this.#compare(payout);
      if (isEffective(operation) && payout !== null && payout.status !== "PROCESSED" && !payout.moderationRequired) {
        this.#tally.judge("false_final", `${operation.reference} is paid, payout ${payout.id} is ${payout.status}`);
      }
    }
  }

  #compare(payout: Payout): void {
    const operation = this.#operationOf(payout);
    const says = PAYOUT_MEANING[payout.status].class;
    if (says === "not_paid" && operation !== undefined && operation.status !== "failed") {
      const evidence = payout.evidence ?? "nothing";
      this.#tally.judge(
        "false_final",
        `payout ${payout.id} is ${payout.status} by ${evidence}, the book: ${operation.status}`,
      );
    }
    const isPaidInBook = operation !== undefined && isEffective(operation);
    if (says === "paid" && (!isPaidInBook || operation.amountMinor !== payout.processedMinor)) {
      this.#tally.judge(
        "false_final",
        `payout ${payout.id} is ${payout.status}, the book: ${operation?.status ?? "nothing"}`,
      );
    }
  }

  #operationOf(payout: Payout): Operation | undefined {
    for (const [secret, place] of this.#places) {
      const isIt = place.organizationId === payout.organizationId && place.accountId === payout.providerAccountId;
      if (isIt) return this.#provider?.find(secret, payout.reference);
    }
    return undefined;
  }

  #payoutOf(secret: string, reference: string): Payout | null {
    const place = this.#places.get(secret);
    return place === undefined ? null : this.#mirror.payoutBy(place.organizationId, place.accountId, reference);
  }
}
