/**
 * The judge of what matters most, by the provider's book and not by our tables: is an order paid once, does every
 * request stand on a committed intent, and do we ever say something that the book denies? A provider that breaks its
 * word is not our doing: what such an operation pays counts against nobody here, but it must be known at the end.
 */
import type { HttpDraft, HttpResult } from "../../../src/connectors/contract.ts";
import { sandbox } from "../../../src/connectors/sandbox/connector.ts";
import { sha256 } from "../../../src/core/ids.ts";
import { countedMinor, PAYOUT_MEANING, type Payout } from "../../../src/core/order/payout.ts";
import { heldByPayee, isAlive, type Operation, type Provider, type Witness } from "../provider/provider.ts";
import { Intents, orderOfPayee } from "./intents.ts";
import type { Change, Mirror } from "./mirror.ts";
import type { Tally } from "./tally.ts";

/** Which provider account of ours a secret belongs to. */
export interface AccountPlace {
  readonly organizationId: string;
  readonly accountId: string;
}

/** A pause, the client's timeout and the late-arrival bound after a request has left. */
const NOTHING_ARRIVES_AFTER_MS = 9_000;

/** Answers after which the same reference may be sent again: nothing was done. */
const NOT_NOW: ReadonlySet<number> = new Set([429, 503]);

/** Told when a send's answer has reached its process. */
export type Answered = (result: HttpResult) => void;

export class Oracle implements Witness {
  readonly intents = new Intents();
  readonly #mirror: Mirror;
  readonly #tally: Tally;
  readonly #places: ReadonlyMap<string, AccountPlace>;
  readonly #now: () => number;
  /** Requests that left and may have arrived, by secret and path. */
  readonly #open = new Map<string, number>();
  readonly #lastLeft = new Map<string, number>();
  #provider: Provider | null = null;
  #hasForgotten = false;

  constructor(mirror: Mirror, of: { tally: Tally; places: ReadonlyMap<string, AccountPlace>; now: () => number }) {
    this.#mirror = mirror;
    this.#tally = of.tally;
    this.#places = of.places;
    this.#now = of.now;
  }

  watch(provider: Provider): void {
    this.#provider = provider;
  }

  /** The database has forgotten its last commits. Recovery may send again what it finds nowhere. */
  restored(): void {
    this.#hasForgotten = true;
    this.#open.clear();
  }

  /** Whether the database has forgotten commits: then ends may turn out wrong that were right by what it knew. */
  get hasForgotten(): boolean {
    return this.#hasForgotten;
  }

  /** Whether the provider knows what we do not: only a person can go on. */
  isLeftToPerson({ organizationId, id }: Payout): boolean {
    if (!this.#hasForgotten) return false;
    for (const item of this.#mirror.rows("moderationItem")) {
      const isIt = item.organizationId === organizationId && item.subject === id && item.status === "open";
      if (isIt && item.reason === "not_sent_by_us") return true;
    }
    return false;
  }

  /** A request leaves: its intent is committed, with these very bytes, and no other of its kind is out. */
  left(draft: HttpDraft): Answered {
    if (draft.method !== "POST") return () => {};
    const secret = (draft.headers["authorization"] ?? "").replace(/^Bearer /, "");
    const reference = draft.headers["x-reference"];
    if (reference === undefined) return this.#reversalLeft(secret, draft);
    const key = `${secret} ${reference}`;
    const place = this.#places.get(secret);
    const intent = place && this.intents.find(place.organizationId, place.accountId, reference);
    const hash = sha256(`${draft.method} ${draft.path}\n${draft.body ?? ""}`);
    if (intent === undefined || !intent.requestHashes.has(hash)) {
      this.#tally.judge("no_intent", `${reference} leaves without an intent of these bytes`);
    }
    return this.#note(key, `${reference} leaves again`);
  }

  #note(key: string, what: string): Answered {
    const out = this.#open.get(key) ?? 0;
    const lastMs = this.#lastLeft.get(key) ?? 0;
    this.#lastLeft.set(key, this.#now());
    // Recovery may send again what it found nowhere once nothing of it could arrive any more.
    const mayGoAgain = this.#hasForgotten && this.#now() > lastMs + NOTHING_ARRIVES_AFTER_MS;
    if (out > 0 && !mayGoAgain) this.#tally.judge("second_send", `${what} while ${out} may have arrived`);
    this.#open.set(key, out + 1);
    return (result) => {
      if (NOT_NOW.has(result.status)) this.#open.set(key, (this.#open.get(key) ?? 1) - 1);
    };
  }

  /** A revoke or a cancel leaves: asked for, committed, and at most once per asking. */
  #reversalLeft(secret: string, draft: HttpDraft): Answered {
    const [, reference = "", command = ""] = /^\/payouts\/(\w+)\/(revoke|cancel)$/.exec(draft.path) ?? [];
    const place = this.#places.get(secret);
    const isMeant = place && this.intents.isReversed(place.organizationId, place.accountId, reference, command);
    if (isMeant !== true) this.#tally.judge("no_intent", `a ${command} of ${reference} leaves that nobody asked for`);
    return this.#note(`${secret} ${reference} ${command}`, `a ${command} of ${reference} leaves again`);
  }

  arrived(operation: Operation): void {
    const { customer, reference } = operation;
    const place = this.#places.get(customer.secret);
    const intent = place && this.intents.find(place.organizationId, place.accountId, reference);
    const isMeant = intent?.amounts.has(operation.amountMinor) === true && intent.currency === operation.currency;
    if (!isMeant) this.#tally.judge("no_intent", `operation ${reference} is not what was meant`);
    const payout = this.payoutOf(customer.secret, reference);
    if (payout !== null && PAYOUT_MEANING[payout.status].class === "not_paid") {
      this.#tally.judge("false_final", `${reference} arrives when its payout is ${payout.status}`);
    }
    this.#checkSum(operation);
  }

  paid(operation: Operation): void {
    this.#checkSum(operation);
  }

  /**
   * What the payee has, and what may still come by operations that keep their word: over all references, at all
   * accounts. More than the order asked for is ours.
   */
  #checkSum(operation: Operation): void {
    const order = orderOfPayee(operation.payee);
    const all = this.operationsOf(order).filter((each) => !each.hasBrokenWord);
    const sum = all.reduce((total, each) => total + (isAlive(each) ? each.amountMinor : heldByPayee(each)), 0n);
    const asked = this.#askedFor(operation);
    if (sum > asked && !operation.hasBrokenWord) {
      const references = all.map((each) => `${each.reference.slice(0, 8)} ${each.status}`).join(", ");
      this.#tally.judge("paid_twice", `${order} gets ${sum} instead of ${asked}: ${references}`);
    }
  }

  operationsOf(order: string): readonly Operation[] {
    return (this.#provider?.operations ?? []).filter((each) => orderOfPayee(each.payee) === order);
  }

  /** Whether the provider has broken its word about some payout of a request. */
  isBetrayed(organizationId: string, requestId: string): boolean {
    const payouts = this.#mirror.payoutsOf(organizationId, requestId);
    return payouts.some((payout) => this.operationOf(payout)?.hasBrokenWord === true);
  }

  #askedFor({ customer, reference }: Operation): bigint {
    const place = this.#places.get(customer.secret);
    return (place && this.intents.find(place.organizationId, place.accountId, reference))?.orderMinor ?? 0n;
  }

  /** What we begin to say must be what the book says; what we begin to do must have room. */
  committed(changes: readonly Change[]): void {
    const payouts = changes.filter((change) => change.table === "payout");
    const touched = new Set(payouts.map(({ after }) => after?.id));
    for (const { before, after } of payouts) {
      if (after === null) continue;
      const request = this.#mirror.get("request", [after.organizationId, after.requestId]);
      if (request !== null) this.intents.note(after, request, this.#now());
      this.#noteAsked(before, after);
      // A person lets a reference go once more.
      if (after.send === "again" && before?.send !== "again")
        this.#open.delete(`${this.#secretOf(after)} ${after.reference}`);
      // What a lost commit has sent is only taken over: it had its room then.
      const isMade = before === null || (before.firstSendTime === null && after.send === "open");
      if (isMade) this.#checkRoom(after, touched);
      const hasChanged = after.status !== before?.status || after.processedMinor !== before.processedMinor;
      if (hasChanged || after.returnedMinor !== before.returnedMinor) this.#compare(after, false);
    }
  }

  /** A reversal that is asked for anew may leave once more. */
  #noteAsked(before: Payout | null, after: Payout): void {
    const isAskedAnew =
      after.reversal === "due" && after.reversalNotNows === 0 && before !== null && before.status !== after.status;
    const secret = isAskedAnew ? this.#secretOf(after) : undefined;
    if (secret === undefined) return;
    this.#open.delete(`${secret} ${after.reference} ${after.status === "REVOKING" ? "revoke" : "cancel"}`);
  }

  /** A payout is made, or leaves for the first time: the order must have room for it, by all that we know then. */
  #checkRoom(payout: Payout, touched: ReadonlySet<string | undefined>): void {
    const { organizationId, requestId } = payout;
    const request = this.#mirror.get("request", [organizationId, requestId]);
    if (request === null) return;
    // What was revived by a later command of this very transaction was not known when the payout was made.
    const isKnown = (each: Payout): boolean => each.evidence === null || !touched.has(each.id);
    const others = this.#mirror.payoutsOf(organizationId, requestId).filter(isKnown);
    const counted = others.reduce((sum, each) => sum + countedMinor(each), 0n);
    if (counted > request.amountMinor) {
      this.#tally.judge("no_room", `payout ${payout.id} makes ${counted} of an order of ${request.amountMinor}`);
    }
  }

  /** At the end: what the book says of every operation is what its payout says. */
  finish(): void {
    for (const operation of this.#provider?.operations ?? []) {
      const payout = this.payoutOf(operation.customer.secret, operation.reference);
      // What was forgotten and never came up again is found by reconciliation with the provider's report, not by us.
      if (payout === null && this.#hasForgotten) this.#tally.reach("an operation is left to reconciliation");
      else if (payout === null) {
        this.#tally.judge("lost", `${operation.reference} is in the book, ${operation.status}, and nowhere else`);
      } else if (!payout.moderationRequired) this.#compare(payout, true);
    }
  }

  #compare(payout: Payout, isEnd: boolean): void {
    const operation = this.operationOf(payout);
    const says = PAYOUT_MEANING[payout.status].class;
    const isBook = `the book: ${operation === undefined ? "nothing" : `${operation.status} ${operation.paidMinor}/${operation.returnedMinor}`}`;
    const isTold = `payout ${payout.id} is ${payout.status} ${payout.processedMinor}/${payout.returnedMinor}`;
    const isDenied = operation !== undefined && (isAlive(operation) || heldByPayee(operation) > 0n);
    // A route that refuses an allocation says nothing of the send under its reference that was forgotten. Nothing leaves
    // before that was looked for, and at the end it is known.
    const isForgotten = this.#hasForgotten && payout.status === "CREATE_FAILED";
    const isLate = operation !== undefined && (mayLag(operation) || isForgotten) && !isEnd;
    // What a message says of it is told to a person, who looks at the order: its other payouts are not sent.
    if (isForgotten && this.isLeftToPerson(payout)) return this.#tally.reach("an allocation not made here is told");
    if (says === "not_paid" && isDenied && !isLate) {
      this.#tally.judge("false_final", `${isTold} by ${payout.evidence ?? "nothing"}, ${isBook}`);
    }
    const isAhead =
      payout.processedMinor > (operation?.paidMinor ?? 0n) || payout.returnedMinor > (operation?.returnedMinor ?? 0n);
    const isBehind =
      operation !== undefined &&
      (payout.processedMinor !== operation.paidMinor || payout.returnedMinor !== operation.returnedMinor);
    // Pulled back after it was paid: it came to nothing either way.
    const isNothing = says === "not_paid" && operation !== undefined && heldByPayee(operation) === 0n;
    // Revived, returned and paid once more: the return of what had never been paid, as far as we knew, is not booked.
    const isRevived = mayLag(operation) && payout.evidence !== null;
    // Paid again and brought back again, by a provider that broke its word: it came to the same.
    const isSame = mayLag(operation) && operation !== undefined && heldByPayee(operation) === countedMinor(payout);
    if (isAhead || (isEnd && isBehind && !isNothing && !isRevived && !isSame))
      this.#tally.judge("false_final", `${isTold}, ${isBook}`);
  }

  operationOf(payout: Payout): Operation | undefined {
    const secret = this.#secretOf(payout);
    return secret === undefined ? undefined : this.#provider?.find(secret, payout.reference);
  }

  /** Whether the book has another amount or payee: the order was forgotten, then repeated with other details. */
  isOfAnotherOrder(payout: Payout): boolean {
    const operation = this.operationOf(payout);
    if (operation === undefined) return false;
    const payee = sandbox.destinationHash({ account: operation.payee });
    return operation.amountMinor !== payout.amountMinor || payee !== payout.destinationHash;
  }

  isRefused(payout: Payout): boolean {
    return this.#provider?.isRefused(this.#secretOf(payout) ?? "", payout.reference) ?? false;
  }

  #secretOf(payout: Payout): string | undefined {
    for (const [secret, place] of this.#places) {
      if (place.organizationId === payout.organizationId && place.accountId === payout.providerAccountId) return secret;
    }
    return undefined;
  }

  payoutOf(secret: string, reference: string): Payout | null {
    const place = this.#places.get(secret);
    return place === undefined ? null : this.#mirror.payoutBy(place.organizationId, place.accountId, reference);
  }
}

/** Whether a provider's broken word excuses that we do not know yet, or not all of it. */
function mayLag(operation: Operation | undefined): boolean {
  return operation?.hasBrokenWord === true;
}
