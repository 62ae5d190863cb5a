/**
 * A merchant's client under bad weather: it orders all the time, remembers what was acknowledged, and repeats what was
 * not answered, with the same referenceId, until it is.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { Pool } from "undici";
import type { Dice } from "./dice.ts";
import type { Place } from "./processes.ts";
import { Refunds } from "./refunds.ts";
import { BARE_SCENARIOS, CUSTOMER, instrumentOf } from "./setup.ts";

/** What the provider is told to do with an order, by how often. */
export const SCENARIOS = {
  ok: 60,
  timeout_paid: 3,
  reset_paid: 4,
  http_500_paid: 4,
  unreadable_paid: 4,
  refused: 4,
  pending_failed: 4,
  duplicate_id: 4,
  callback_doubled: 4,
  callback_swapped: 4,
  callback_lost: 4,
  rate_limited: 3,
  timeout_absent: 2,
} as const;

export type Scenario = keyof typeof SCENARIOS;

export interface Order {
  /** An invoice, by a referenceId of the shop, or a bare request, by an id of the shop. */
  readonly kind: "invoice" | "request";
  readonly referenceId: string;
  /** The payee: one per invoice, so that the provider's book can be read by order; requests share one per scenario. */
  readonly account: string;
  readonly scenario: Scenario;
  /** What the payee is to get, as the provider's book writes it. */
  readonly amount: string;
  readonly cents: number;
  readonly currency: string;
  /** Null: the order has none and is repeated by its referenceId alone. */
  readonly idempotencyKey: string | null;
  readonly body: string;
}

/** A 201 that was seen. */
export interface Acknowledged {
  readonly order: Order;
  readonly id: string;
  readonly text: string;
}

export interface Answer {
  readonly status: number;
  readonly text: string;
}

export interface Request {
  readonly method: "GET" | "POST" | "PUT";
  readonly path: string;
  readonly body?: string;
  readonly idempotencyKey?: string | null;
  /** The version that is meant, as If-Match wants it. */
  readonly tag?: string;
}

export interface ShopOptions {
  readonly place: Place;
  /** Where it finds Bursar: the line before it. */
  readonly url: string;
  readonly dice: Dice;
  readonly scenarios: Readonly<Partial<Record<Scenario, number>>>;
}

const WORKERS = 12;
/** Between two orders of a worker: a burst now and then, a pause mostly. */
const PAUSE_MAX_MS = 350;
const REPEAT_PAUSE_MAX_MS = 120;
const REQUEST_LIMIT_MS = 20_000;
/** So often an order that was answered is sent once more. */
const AGAIN = 0.1;
const KEYED = 0.3;
const BARE = 0.06;
const REFUNDED = 0.06;
const CURRENCY = "USD";
const ATTEMPTS_LIMIT = 2;

export class Shop {
  /** By referenceId: invoices and requests. */
  readonly acknowledged = new Map<string, Acknowledged>();
  readonly refunds: Refunds;
  /** Answers that nobody should get. */
  readonly surprises: string[] = [];
  /** Requests without an answer, and answers that asked to come again. */
  unanswered = 0;
  readonly #options: ShopOptions;
  readonly #pool: Pool;
  readonly #open = new Set<Order>();
  #orders = 0;
  #isClosing = false;
  #isGivingUp = false;
  #workers: Promise<void>[] = [];

  constructor(options: ShopOptions) {
    this.#options = options;
    this.refunds = new Refunds((request) => this.call(request), options.dice);
    this.#pool = new Pool(options.url, {
      connections: WORKERS * 2,
      headersTimeout: REQUEST_LIMIT_MS,
      bodyTimeout: REQUEST_LIMIT_MS,
    });
  }

  /** Orders that were sent and not answered yet. */
  get open(): number {
    return this.#open.size;
  }

  start(): void {
    const refunds = this.refunds.work(() => this.#isClosing);
    this.#workers = [refunds, ...Array.from({ length: WORKERS }, () => this.#work())];
  }

  /** Orders nothing new and resolves when everything sent was answered, or the time is over. */
  async finish(limitMs: number): Promise<void> {
    this.#isClosing = true;
    const timer = setTimeout(() => this.#giveUp(), limitMs);
    await Promise.all(this.#workers);
    clearTimeout(timer);
  }

  async close(): Promise<void> {
    this.#isClosing = true;
    this.#giveUp();
    await Promise.all(this.#workers);
    await this.#pool.destroy();
  }

  #giveUp(): void {
    this.#isGivingUp = true;
    this.refunds.giveUp();
  }

  /** One request. @throws when there is no whole answer */
  async call({ method, path, body, idempotencyKey = null, tag }: Request): Promise<Answer> {
    const headers: Record<string, string> = { authorization: `Bearer ${this.#options.place.key}` };
    if (body !== undefined) headers["content-type"] = "application/json";
    if (idempotencyKey !== null) headers["idempotency-key"] = idempotencyKey;
    if (tag !== undefined) headers["if-match"] = tag;
    const reply = await this.#pool.request({ method, path, headers, body: body ?? null });
    return { status: reply.statusCode, text: await reply.body.text() };
  }

  async #work(): Promise<void> {
    const { dice } = this.#options;
    while (!this.#isClosing) {
      const order = this.#newOrder();
      this.#open.add(order);
      const answer = await this.#untilAnswered(order);
      if (answer === null) return;
      this.#open.delete(order);
      this.#take(order, answer);
      if (dice.chance(AGAIN)) await this.#again(order);
      if (dice.chance(0.6)) await sleep(dice.below(PAUSE_MAX_MS));
    }
  }

  #newOrder(): Order {
    const { dice, scenarios } = this.#options;
    this.#orders += 1;
    // Little enough for the funds to pay two hundred thousand of them.
    const cents = 1 + dice.below(50);
    const shared = { cents, amount: (cents / 100).toFixed(2), currency: CURRENCY };
    if (dice.chance(BARE)) {
      const scenario = dice.pick(BARE_SCENARIOS);
      const body = { websiteId: "web_demo", customerId: CUSTOMER, currency: CURRENCY, amount: cents / 100 };
      return {
        ...shared,
        kind: "request",
        referenceId: `bare-${this.#orders}`,
        account: instrumentOf(scenario),
        scenario,
        idempotencyKey: null,
        body: JSON.stringify({ ...body, paymentInstrumentId: instrumentOf(scenario) }),
      };
    }
    const referenceId = `order-${this.#orders}`;
    const account = `payee-${this.#orders}`;
    const scenario = dice.pick(scenarios);
    const body = JSON.stringify({
      referenceId,
      websiteId: "web_demo",
      currency: CURRENCY,
      amount: cents / 100,
      service: "test_usd",
      fields: { account, test_details_scenario: scenario },
      attemptsLimit: ATTEMPTS_LIMIT,
    });
    const idempotencyKey = dice.chance(KEYED) ? `key-${this.#orders}` : null;
    return { ...shared, kind: "invoice", referenceId, account, scenario, idempotencyKey, body };
  }

  #send({ kind, referenceId, body, idempotencyKey }: Order): Promise<Answer> {
    if (kind === "request") return this.call({ method: "PUT", path: `/payout-requests/${referenceId}`, body });
    return this.call({ method: "POST", path: "/payout-invoices", body, idempotencyKey });
  }

  /** Null when it gave up. */
  async #untilAnswered(order: Order): Promise<Answer | null> {
    while (!this.#isGivingUp) {
      try {
        const answer = await this.#send(order);
        if (answer.status < 500) return answer;
        if (answer.status !== 503) this.surprises.push(`${order.referenceId}: ${answer.status} ${answer.text}`);
      } catch {
        // No answer: the order may be there or not.
      }
      this.unanswered += 1;
      await sleep(this.#options.dice.below(REPEAT_PAUSE_MAX_MS));
    }
    return null;
  }

  #take(order: Order, answer: Answer): void {
    if (!isTaken(order, answer)) {
      this.surprises.push(`${order.referenceId}: ${answer.status} ${answer.text}`);
      return;
    }
    const { id } = JSON.parse(answer.text) as { id: string };
    const known: Acknowledged = { order, id, text: answer.text };
    this.acknowledged.set(order.referenceId, known);
    if (order.kind === "invoice" && this.#options.dice.chance(REFUNDED)) this.refunds.want(known);
  }

  /** The same order once more has the same answer: the same invoice, and with a key the same bytes. */
  async #again(order: Order): Promise<void> {
    const known = this.acknowledged.get(order.referenceId);
    if (known === undefined) return;
    const fault = await this.repeat(known);
    if (fault !== null) this.surprises.push(`${order.referenceId}: ${fault}`);
  }

  /** Sends an acknowledged order again; what is wrong with the answer, null when nothing is or there is none. */
  async repeat({ order, id, text }: Acknowledged): Promise<string | null> {
    let answer: Answer;
    try {
      answer = await this.#send(order);
    } catch {
      return null;
    }
    if (answer.status === 503) return null;
    if (!isTaken(order, answer)) return `a repeat was answered ${answer.status} ${answer.text}`;
    if (order.idempotencyKey !== null && answer.text !== text) return "a repeat with its key got other bytes";
    const again = JSON.parse(answer.text) as { id: string };
    return again.id === id ? null : `a repeat made another invoice, ${again.id} beside ${id}`;
  }
}

/** A request that is put again was there: it is no new one. */
function isTaken({ kind }: Order, { status }: Answer): boolean {
  return status === 201 || (kind === "request" && status === 200);
}
