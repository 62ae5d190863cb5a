/**
 * The provider: speaks the sandbox's wire format and keeps a book of its own, which is the oracle. It keeps its
 * contract, whatever the network does: a reference is paid once, and whoever asks for it is told the truth.
 */
import { createHmac } from "node:crypto";
import type { HttpDraft, HttpResult, RawCallback } from "../../src/connectors/contract.ts";
import { SIGNATURE_HEADER } from "../../src/connectors/sandbox/connector.ts";
import { formatMajor, parseMajor } from "../../src/core/money.ts";
import { assert } from "../../src/core/result.ts";
import type { Outcome } from "./plan.ts";
import type { Scheduler } from "./scheduler.ts";
import type { Tally } from "./tally.ts";
import type { Weather } from "./weather.ts";

type Status = "accepted" | "queued" | "paid" | "failed";

/** One account with the provider, known by its secret: another account is another provider, with another book. */
export interface Customer {
  readonly secret: string;
  readonly callbackId: string;
}

/** One operation of the book. */
export interface Operation {
  readonly customer: Customer;
  readonly reference: string;
  readonly amountMinor: bigint;
  readonly currency: string;
  /** Whom it pays: each order of the workload has a payee of its own. */
  readonly payee: string;
  readonly arrivedTime: number;
  status: Status;
  code: string | null;
  /** Counts its states, from 1. */
  sequence: number;
}

export const isEffective = (operation: Operation): boolean => operation.status === "paid";

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
  callBack(callbackId: string, message: RawCallback, from: "provider" | "forger"): void;
}

const ERRORS_AFTER_ACCEPT = ["internal_fault", "gateway", "unreadable", "broken_off"] as const;
const REFUSALS = ["declined", "insufficient_funds", "over_limit", "refused", "refused_unspecified"] as const;
const PAYEE_REFUSALS = ["payee_not_found", "payee_not_payable", "invalid_details", "suspicious"] as const;
const LONGEST_WORK_MS = 20_000;
const LONGEST_CALLBACK_MS = 30_000;
const FORGED_SEQUENCE = 99;

interface Asked {
  readonly reference: string;
  readonly amountMinor: bigint;
  readonly currency: string;
  readonly payee: string;
}

export class Provider {
  readonly operations = new Map<string, Operation>();
  readonly #world: ProviderWorld;
  readonly #witness: Witness;
  readonly #customers: ReadonlyMap<string, Customer>;
  /** Refused for good: the same reference is refused again. */
  readonly #refused = new Map<string, string>();

  constructor(world: ProviderWorld, customers: readonly Customer[], witness: Witness) {
    this.#world = world;
    this.#witness = witness;
    this.#customers = new Map(customers.map((each) => [each.secret, each]));
  }

  find(secret: string, reference: string): Operation | undefined {
    return this.operations.get(`${secret} ${reference}`);
  }

  /** Whether every operation has come to its end. */
  isAtRest(): boolean {
    for (const { status } of this.operations.values()) if (status !== "paid" && status !== "failed") return false;
    return true;
  }

  answer(draft: HttpDraft): HttpResult {
    const secret = (draft.headers["authorization"] ?? "").replace(/^Bearer /, "");
    const customer = this.#customers.get(secret);
    if (customer === undefined) return refusal(401, "unauthorized");
    if (draft.method === "POST" && draft.path === "/payouts") return this.#create(customer, draft);
    const reference = /^\/payouts\/([a-z2-7]+)$/.exec(draft.path)?.[1];
    if (draft.method !== "GET" || reference === undefined) return refusal(404, "no_such_route");
    const operation = this.find(secret, reference);
    return operation === undefined ? refusal(404, "not_found", { reference }) : shown(this.#described(operation));
  }

  #create(customer: Customer, draft: HttpDraft): HttpResult {
    const asked = readOrder(draft);
    const { reference } = asked;
    const key = `${customer.secret} ${reference}`;
    const refused = this.#refused.get(key);
    if (refused !== undefined) return refusal(422, refused, { reference });
    if (this.operations.has(key)) {
      this.#world.tally.reach("duplicate reference refused");
      return refusal(409, "duplicate_reference", { reference });
    }
    const { weather, tally, scheduler } = this.#world;
    const outcome = this.#draw();
    tally.reach(`provider ${outcome}`);
    scheduler.note(null, `provider ${outcome} ${reference.slice(0, 8)}`);
    switch (outcome) {
      case "paid_at_once": {
        const operation = this.#accept(customer, asked, "accepted");
        this.#move(operation, "paid", null);
        return shown(operation);
      }
      case "paid_later":
        return shown(this.#workOn(this.#accept(customer, asked, "accepted"), "paid"));
      case "queued":
        return shown(this.#workOn(this.#accept(customer, asked, "queued"), "paid"));
      case "failed_later":
        return shown(this.#workOn(this.#accept(customer, asked, "accepted"), "failed"));
      case "error_after_accept":
        return this.#fail(this.#workOn(this.#accept(customer, asked, "accepted"), "paid"));
      case "error_absent":
        return weather.random.chance(0.5)
          ? refusal(500, "internal_fault")
          : { status: 502, headers: {}, body: "<html>" };
      case "not_now":
        return this.#notNow();
      case "refused":
      case "refused_payee": {
        const code = weather.random.pick(outcome === "refused" ? REFUSALS : PAYEE_REFUSALS);
        this.#refused.set(key, code);
        return refusal(422, code, { reference });
      }
    }
  }

  /** When the faults have ended, nothing breaks or is put off any more; refusals and failures go on. */
  #draw(): Outcome {
    const { weather } = this.#world;
    const outcome = weather.random.weighted(weather.plan.outcomes);
    if (weather.isStormy) return outcome;
    const isTrouble = outcome === "not_now" || outcome === "error_after_accept" || outcome === "error_absent";
    return isTrouble ? "paid_later" : outcome;
  }

  #accept(customer: Customer, asked: Asked, status: Status): Operation {
    const { scheduler } = this.#world;
    const operation: Operation = { ...asked, customer, arrivedTime: scheduler.now, status, code: null, sequence: 1 };
    this.operations.set(`${customer.secret} ${asked.reference}`, operation);
    this.#witness.arrived(operation);
    this.#callBack(operation);
    return operation;
  }

  #workOn(operation: Operation, end: "paid" | "failed"): Operation {
    const { scheduler, weather } = this.#world;
    const inMs = weather.random.between(1, weather.random.pick([50, 2_000, LONGEST_WORK_MS]));
    scheduler.after(inMs, null, `provider ${end} ${operation.reference.slice(0, 8)}`, () => {
      this.#move(operation, end, end === "failed" ? weather.random.pick(["declined", "refused_unspecified"]) : null);
    });
    return operation;
  }

  #move(operation: Operation, to: Status, code: string | null): void {
    operation.status = to;
    operation.code = code;
    operation.sequence += 1;
    if (to === "paid") this.#witness.paid(operation);
    this.#callBack(operation);
  }

  /** The order is taken, and nobody could tell from the answer. */
  #fail(operation: Operation): HttpResult {
    const { weather } = this.#world;
    const how = weather.random.pick(ERRORS_AFTER_ACCEPT);
    if (how === "internal_fault") return refusal(500, "internal_fault");
    if (how === "broken_off") return refusal(422, "broken_off");
    if (how === "gateway") return { status: weather.random.pick([502, 504]), headers: {}, body: "<html>" };
    return { ...shown(operation), body: shown(operation).body.slice(0, -20) };
  }

  #notNow(): HttpResult {
    const { weather } = this.#world;
    if (weather.random.chance(0.3)) return refusal(503, "maintenance");
    const limited = refusal(429, "rate_limited");
    return weather.random.chance(0.5) ? { ...limited, headers: { "retry-after": "1" } } : limited;
  }

  /** The operation as it is told: now and then with another amount, while the book stays right. */
  #described(operation: Operation): Operation {
    const { weather } = this.#world;
    if (!weather.strikes("wrong_amount", null)) return operation;
    const { amountMinor } = operation;
    return { ...operation, amountMinor: weather.random.chance(0.5) ? amountMinor * 10n : amountMinor / 2n + 1n };
  }

  /** Says what state an operation has come to. */
  #callBack(operation: Operation): void {
    const { scheduler, weather } = this.#world;
    const { callbackId, secret } = operation.customer;
    const text = bodyOf(this.#described(operation));
    const send = (): void => this.#world.callBack(callbackId, this.#signed(text, secret), "provider");
    const later = (): number => weather.random.between(1, weather.random.pick([500, LONGEST_CALLBACK_MS]));
    scheduler.after(weather.strikes("callback_delayed", null) ? later() : 0, null, "", send);
    if (weather.strikes("callback_doubled", null)) scheduler.after(later(), null, "", send);
    if (weather.strikes("callback_forged", null)) {
      const failed = bodyOf({ ...operation, status: "failed", code: "declined", sequence: FORGED_SEQUENCE });
      scheduler.after(later(), null, "", () => {
        this.#world.callBack(callbackId, this.#signed(failed, `not ${secret}`), "forger");
      });
    }
  }

  #signed(body: string, secret: string): RawCallback {
    const time = this.#world.now();
    const mac = createHmac("sha256", secret).update(`${time}.${body}`).digest("hex");
    return { headers: { [SIGNATURE_HEADER]: `t=${time},v1=${mac}` }, body };
  }
}

function bodyOf(operation: Operation): string {
  const message = messageOf(operation);
  return JSON.stringify({ messageId: `${message.providerReference}-${message.sequence}`, ...message });
}

function readOrder(draft: HttpDraft): Asked {
  const members = JSON.parse(draft.body ?? "") as Record<string, unknown>;
  const { reference, amount, currency, account } = members;
  assert(typeof reference === "string" && reference === draft.headers["x-reference"], "an order names its reference");
  assert(
    typeof amount === "string" && typeof currency === "string" && typeof account === "string",
    "an order is whole",
  );
  const amountMinor = parseMajor(amount, currency);
  assert(amountMinor.ok && amountMinor.value > 0n, `an order is about an amount, not ${amount}`);
  return { reference, amountMinor: amountMinor.value, currency, payee: account };
}

function messageOf(operation: Operation) {
  const { reference, currency, payee, status, sequence } = operation;
  const amount = formatMajor(operation.amountMinor, currency);
  return {
    reference,
    providerReference: `prov-${reference}`,
    amount,
    currency,
    account: payee,
    status,
    ...(operation.code === null ? {} : { code: operation.code }),
    sequence,
    paidAmount: isEffective(operation) ? amount : formatMajor(0n, currency),
    returnedAmount: formatMajor(0n, currency),
  };
}

function shown(operation: Operation): HttpResult {
  return { status: 200, headers: {}, body: JSON.stringify(messageOf(operation)) };
}

function refusal(status: number, error: string, more: object = {}): HttpResult {
  return { status, headers: {}, body: JSON.stringify({ error, ...more }) };
}
