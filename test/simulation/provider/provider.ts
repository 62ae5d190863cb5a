/**
 * The provider: speaks the sandbox's wire format and keeps a book of its own, which is the oracle. It keeps its
 * contract, whatever the network does: a reference is paid once, and whoever asks for it is told the truth. Where it
 * breaks its word (it pays what it had failed, or once more what had come back) the book says so: that is its fault.
 */
import { createHmac } from "node:crypto";
import type { HttpDraft, HttpResult, RawCallback } from "../../../src/connectors/contract.ts";
import { SIGNATURE_HEADER } from "../../../src/connectors/sandbox/connector.ts";
import type { Tally } from "../judges/tally.ts";
import type { Outcome } from "../world/plan.ts";
import type { Scheduler } from "../world/scheduler.ts";
import type { Weather } from "../world/weather.ts";
import type { Letter } from "./callbacks.ts";
import { obey } from "./commands.ts";
import { thinkAgain } from "./second-thoughts.ts";
import { type Asked, bodyOf, readOrder, refusal, shown } from "./words.ts";

/** As the sandbox's words: the connector reads each of them. */
export type Status =
  | "accepted"
  | "queued"
  | "paid"
  | "paid_part"
  | "failed"
  | "recalled"
  | "returning"
  | "returned_part"
  | "returned";

/** One account with the provider, known by its secret: another account is another provider, with another book. */
export interface Customer {
  readonly secret: string;
  readonly callbackId: string;
}

/** One operation of the book. */
export interface Operation {
  readonly customer: Customer;
  readonly reference: string;
  readonly providerReference: string;
  readonly amountMinor: bigint;
  readonly currency: string;
  /** Whom it pays: each order of the workload has a payee of its own. */
  readonly payee: string;
  readonly arrivedTime: number;
  status: Status;
  code: string | null;
  /** Both cumulative, minor units: who is paid, gives it back and is paid again was paid twice as much. */
  paidMinor: bigint;
  returnedMinor: bigint;
  /** Counts its states, from 1. */
  sequence: number;
  /** The provider did what it had said it would not: what follows is not our doing. */
  hasBrokenWord: boolean;
  /** Whether it has come to an end before, whatever has followed. */
  hasEnded: boolean;
  /** Moves that are still to come. A command that takes effect drops them. */
  readonly planned: Set<() => void>;
}

const ALIVE: ReadonlySet<Status> = new Set<Status>(["accepted", "queued"]);

/** Whether it may still be paid without any broken word. */
export const isAlive = (operation: Operation): boolean => ALIVE.has(operation.status);

/** What the payee has now, minor units. */
export const heldByPayee = (operation: Operation): bigint => operation.paidMinor - operation.returnedMinor;

/** What the judge wants to be told of, as it happens. */
export interface Witness {
  arrived(operation: Operation): void;
  paid(operation: Operation): void;
}

export interface ProviderWorld {
  readonly scheduler: Scheduler;
  readonly weather: Weather;
  readonly tally: Tally;
  /** The present time, milliseconds since 1970. */
  now(): number;
  /** Brings a callback on its way, or one that only pretends to be the provider's. */
  callBack(callbackId: string, letter: Letter): void;
}

/** What changes of an operation. */
export type Move = Partial<Pick<Operation, "status" | "code" | "paidMinor" | "returnedMinor">>;

const ERRORS_AFTER_ACCEPT = ["internal_fault", "gateway", "unreadable", "broken_off"] as const;
const REFUSALS = ["declined", "insufficient_funds", "over_limit", "refused", "refused_unspecified"] as const;
const PAYEE_REFUSALS = ["payee_not_found", "payee_not_payable", "invalid_details", "suspicious"] as const;
export const LONGEST_WORK_MS = 20_000;
const LONGEST_CALLBACK_MS = 30_000;
const FORGED_SEQUENCE = 9_999;

export class Provider {
  readonly world: ProviderWorld;
  readonly #operations: Operation[] = [];
  /** The newest of each reference. */
  readonly #known = new Map<string, Operation>();
  readonly #witness: Witness;
  readonly #customers: ReadonlyMap<string, Customer>;
  /** Refused for good: the same reference is refused again. */
  readonly #refused = new Map<string, string>();

  constructor(world: ProviderWorld, customers: readonly Customer[], witness: Witness) {
    this.world = world;
    this.#witness = witness;
    this.#customers = new Map(customers.map((each) => [each.secret, each]));
  }

  get operations(): readonly Operation[] {
    return this.#operations;
  }

  find(secret: string, reference: string): Operation | undefined {
    return this.#known.get(`${secret} ${reference}`);
  }

  isRefused(secret: string, reference: string): boolean {
    return this.#refused.has(`${secret} ${reference}`);
  }

  /** Whether every operation has come to its end. */
  isAtRest(): boolean {
    return this.#operations.every((each) => !isAlive(each) && each.status !== "returning" && each.planned.size === 0);
  }

  answer(draft: HttpDraft): HttpResult {
    const secret = (draft.headers["authorization"] ?? "").replace(/^Bearer /, "");
    const customer = this.#customers.get(secret);
    if (customer === undefined) return refusal(401, "unauthorized");
    if (draft.method === "POST" && draft.path === "/payouts") return this.#create(customer, draft);
    const [, reference = "", command = ""] = /^\/payouts\/([a-z2-7]+)(?:\/(revoke|cancel))?$/.exec(draft.path) ?? [];
    const isRoute = draft.method === (command === "" ? "GET" : "POST") && reference !== "";
    if (!isRoute) return refusal(404, "no_such_route");
    const operation = this.find(secret, reference);
    if (operation === undefined) return refusal(404, "not_found", { reference });
    if (command === "") return shown(this.#described(operation));
    return obey(this, operation, { command: command as "revoke" | "cancel", draft });
  }

  #create(customer: Customer, draft: HttpDraft): HttpResult {
    const asked = readOrder(draft);
    const { reference } = asked;
    const key = `${customer.secret} ${reference}`;
    const refused = this.#refused.get(key);
    if (refused !== undefined) return refusal(422, refused, { reference });
    const before = this.#known.get(key);
    const { tally, scheduler } = this.world;
    if (before !== undefined && !this.#isForgotten(before)) {
      tally.reach("duplicate reference refused");
      if (tally.hasStruckSince(before.arrivedTime, "crash")) tally.reach("DUPLICATED_ID after a crash");
      return refusal(409, "duplicate_reference", { reference });
    }
    const outcome = this.#draw();
    tally.reach(`provider ${outcome}`);
    scheduler.note(null, `provider ${outcome} ${reference.slice(0, 8)}`);
    return this.#carryOut(customer, asked, outcome);
  }

  /** Its keys are kept for so long; an order that comes later is a new one, whatever its reference. */
  #isForgotten({ arrivedTime }: Operation): boolean {
    const { scheduler, weather, tally } = this.world;
    const { retentionMs } = weather.plan;
    if (retentionMs === null || scheduler.now - arrivedTime <= retentionMs) return false;
    tally.reach("provider forgot a key");
    return true;
  }

  #carryOut(customer: Customer, asked: Asked, outcome: Outcome): HttpResult {
    const { weather } = this.world;
    const { reference } = asked;
    const accept = (status: "accepted" | "queued"): Operation => this.#accept(customer, asked, status);
    switch (outcome) {
      case "paid_at_once": {
        const operation = accept("accepted");
        this.#end(operation, "paid");
        return shown(operation);
      }
      case "paid_later":
        return shown(this.#workOn(accept("accepted"), "paid"));
      case "queued":
        return shown(this.#workOn(accept("queued"), "paid"));
      case "grows":
        return shown(this.#grow(accept("queued")));
      case "paid_part":
        return shown(this.#workOn(accept("accepted"), "paid_part"));
      case "failed_later":
        return shown(this.#workOn(accept("accepted"), "failed"));
      case "error_after_accept":
        return this.#fail(this.#workOn(accept("accepted"), "paid"));
      case "error_absent":
        return weather.random.chance(0.5)
          ? refusal(500, "internal_fault")
          : { status: 502, headers: {}, body: "<html>" };
      case "not_now":
        return this.notNow();
      case "refused":
      case "refused_payee": {
        const code = weather.random.pick(outcome === "refused" ? REFUSALS : PAYEE_REFUSALS);
        this.#refused.set(`${customer.secret} ${reference}`, code);
        return refusal(422, code, { reference });
      }
    }
  }

  /** When the faults have ended, nothing breaks or is put off any more; refusals and failures go on. */
  #draw(): Outcome {
    const { weather } = this.world;
    const outcome = weather.random.weighted(weather.plan.outcomes);
    if (weather.isStormy) return outcome;
    const isTrouble = outcome === "not_now" || outcome === "error_after_accept" || outcome === "error_absent";
    return isTrouble ? "paid_later" : outcome;
  }

  #accept(customer: Customer, asked: Asked, status: Status): Operation {
    const { scheduler } = this.world;
    const key = `${customer.secret} ${asked.reference}`;
    const isSecond = this.#known.has(key);
    const operation: Operation = {
      ...asked,
      customer,
      providerReference: `prov-${asked.reference}${isSecond ? "-2" : ""}`,
      arrivedTime: scheduler.now,
      status,
      code: null,
      paidMinor: 0n,
      returnedMinor: 0n,
      sequence: 1,
      hasBrokenWord: false,
      hasEnded: false,
      planned: new Set(),
    };
    this.#known.set(key, operation);
    this.#operations.push(operation);
    this.#witness.arrived(operation);
    this.#callBack(operation);
    return operation;
  }

  /** To be asked at the end: each key that it has forgotten by then is a fault that was there to be fallen for. */
  countForgotten(): void {
    const { scheduler, weather, tally } = this.world;
    const { retentionMs } = weather.plan;
    if (retentionMs === null) return;
    const forgotten = this.#operations.filter(({ arrivedTime }) => scheduler.now - arrivedTime > retentionMs);
    for (const _ of forgotten) tally.fault("key_forgotten");
  }

  /** Plans a move of an operation, some time within so many milliseconds. */
  plan(operation: Operation, withinMs: number, move: () => void): void {
    const { scheduler, weather } = this.world;
    const inMs = weather.random.between(1, weather.random.pick([50, 2_000, withinMs]));
    const planned = scheduler.after(inMs, null, "", () => {
      operation.planned.delete(planned);
      move();
    });
    operation.planned.add(planned);
  }

  #workOn(operation: Operation, end: "paid" | "paid_part" | "failed"): Operation {
    this.plan(operation, LONGEST_WORK_MS, () => this.#end(operation, end));
    return operation;
  }

  /** A part is paid while the rest is queued; then the rest. */
  #grow(operation: Operation): Operation {
    this.plan(operation, LONGEST_WORK_MS, () => {
      this.move(operation, { paidMinor: this.#partOf(operation.amountMinor) });
      this.#workOn(operation, "paid");
    });
    return operation;
  }

  /** Something of an amount, and not all of it, where that is possible. */
  #partOf(amountMinor: bigint): bigint {
    const part = (amountMinor * BigInt(this.world.weather.random.between(1, 99))) / 100n;
    return part === 0n ? 1n : part;
  }

  #end(operation: Operation, end: "paid" | "paid_part" | "failed"): void {
    const { random } = this.world.weather;
    const paidMinor = end === "paid" ? operation.amountMinor : this.#partOf(operation.amountMinor);
    if (end === "failed") this.move(operation, { status: end, code: random.pick(["declined", "refused_unspecified"]) });
    else this.move(operation, { status: paidMinor === operation.amountMinor ? "paid" : "paid_part", paidMinor });
    thinkAgain(this, operation);
  }

  /** Changes an operation and says so. */
  move(operation: Operation, move: Move): void {
    const before = operation.paidMinor;
    Object.assign(operation, { code: null, ...move });
    operation.sequence += 1;
    const { reference, status, paidMinor, returnedMinor } = operation;
    this.world.scheduler.note(null, `provider ${status} ${reference.slice(0, 8)} ${paidMinor}/${returnedMinor}`);
    if (paidMinor > before) this.#witness.paid(operation);
    this.#callBack(operation);
  }

  /** Drops what was planned for an operation. */
  settle(operation: Operation): void {
    for (const cancel of operation.planned) cancel();
    operation.planned.clear();
  }

  /** The order is taken, and nobody could tell from the answer. */
  #fail(operation: Operation): HttpResult {
    const { weather } = this.world;
    const how = weather.random.pick(ERRORS_AFTER_ACCEPT);
    if (how === "internal_fault") return refusal(500, "internal_fault");
    if (how === "broken_off") return refusal(422, "broken_off");
    if (how === "gateway") return { status: weather.random.pick([502, 504]), headers: {}, body: "<html>" };
    return { ...shown(operation), body: shown(operation).body.slice(0, -20) };
  }

  notNow(): HttpResult {
    const { weather } = this.world;
    if (weather.random.chance(0.3)) return refusal(503, "maintenance");
    const limited = refusal(429, "rate_limited");
    return weather.random.chance(0.5) ? { ...limited, headers: { "retry-after": "1" } } : limited;
  }

  /** The operation as it is told: now and then with another amount, while the book stays right. */
  #described(operation: Operation): Operation {
    const { weather } = this.world;
    if (!weather.strikes("wrong_amount", null)) return operation;
    const { amountMinor } = operation;
    const told = weather.random.chance(0.5) ? amountMinor * 10n : amountMinor / 2n + 1n;
    const paidMinor = operation.paidMinor === amountMinor ? told : operation.paidMinor;
    return { ...operation, amountMinor: told, paidMinor };
  }

  /** Says what state an operation has come to. */
  #callBack(operation: Operation): void {
    const { scheduler, weather } = this.world;
    const { callbackId, secret } = operation.customer;
    const text = bodyOf(this.#described(operation));
    // Until its end whoever waits for it asks; what comes after that is heard from its callback or never.
    const isPatient = operation.hasEnded;
    operation.hasEnded ||= !isAlive(operation);
    const send = (): void =>
      this.world.callBack(callbackId, { sign: () => this.#signed(text, secret), from: "provider", isPatient });
    const later = (): number => weather.random.between(1, weather.random.pick([500, LONGEST_CALLBACK_MS]));
    if (isPatient || !weather.strikes("callback_lost", null)) {
      scheduler.after(weather.strikes("callback_delayed", null) ? later() : 0, null, "", send);
      if (weather.strikes("callback_doubled", null)) scheduler.after(later(), null, "", send);
    }
    if (weather.strikes("callback_forged", null)) {
      const failed = bodyOf({ ...operation, status: "failed", code: "declined", sequence: FORGED_SEQUENCE });
      scheduler.after(later(), null, "", () => {
        const sign = (): RawCallback => this.#signed(failed, `not ${secret}`);
        this.world.callBack(callbackId, { sign, from: "forger", isPatient: false });
      });
    }
  }

  #signed(body: string, secret: string): RawCallback {
    const time = this.world.now();
    const mac = createHmac("sha256", secret).update(`${time}.${body}`).digest("hex");
    return { headers: { [SIGNATURE_HEADER]: `t=${time},v1=${mac}` }, body };
  }
}
