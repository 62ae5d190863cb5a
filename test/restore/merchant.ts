/** A merchant's client: it orders, remembers everything that it ordered, and repeats it under the same referenceIds. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Dice } from "../torture/dice.ts";
import type { Place } from "../torture/processes.ts";

/** Each of these ends with one payment of the order, by the first account or, where that refuses, by the second. */
const SCENARIOS = {
  ok: 50,
  ok_sync: 10,
  slow: 5,
  timeout_paid: 5,
  reset_paid: 5,
  http_500_paid: 5,
  callback_lost: 10,
  refused: 10,
} as const;

export interface MerchantOrder {
  readonly referenceId: string;
  /** The payee: one per order, so that the provider's book can be read by order. */
  readonly account: string;
  readonly body: string;
  /** The invoice's id as it was acknowledged first; null: nothing was heard. */
  invoiceId: string | null;
}

const WORKERS = 6;
const PAUSE_MAX_MS = 120;
const REPEAT_LIMIT_MS = 30_000;

export class Merchant {
  readonly orders: MerchantOrder[] = [];
  readonly #place: Place;
  readonly #dice: Dice;
  #isOrdering = true;
  readonly #workers: readonly Promise<void>[];

  constructor(place: Place, dice: Dice) {
    this.#place = place;
    this.#dice = dice;
    this.#workers = Array.from({ length: WORKERS }, () => this.#work());
  }

  get acknowledged(): readonly MerchantOrder[] {
    return this.orders.filter((order) => order.invoiceId !== null);
  }

  async stop(): Promise<void> {
    this.#isOrdering = false;
    await Promise.all(this.#workers);
  }

  async call(method: "GET" | "POST", path: string, body?: string): Promise<{ status: number; body: unknown }> {
    const headers = { authorization: `Bearer ${this.#place.key}`, "content-type": "application/json" };
    const reply = await fetch(`${this.#place.url}${path}`, {
      method,
      headers,
      ...(body === undefined ? {} : { body }),
    });
    const text = await reply.text();
    return { status: reply.status, body: text === "" ? null : JSON.parse(text) };
  }

  /** Orders everything again until each order is answered; the invoices' ids as they are now, by referenceId. */
  async repeatAll(): Promise<ReadonlyMap<string, string>> {
    const ids = new Map<string, string>();
    const deadline = Date.now() + REPEAT_LIMIT_MS;
    for (const order of this.orders) {
      for (;;) {
        const answer = await this.call("POST", "/payout-invoices", order.body).catch(() => null);
        if (answer?.status === 201) {
          ids.set(order.referenceId, (answer.body as { id: string }).id);
          break;
        }
        const isAgain = answer === null || answer.status >= 500;
        if (!isAgain || Date.now() > deadline) throw new Error(`a repeat is refused: ${JSON.stringify(answer)}`);
        await sleep(50);
      }
    }
    return ids;
  }

  async #work(): Promise<void> {
    while (this.#isOrdering) {
      const order = this.#next();
      this.orders.push(order);
      const answer = await this.call("POST", "/payout-invoices", order.body).catch(() => null);
      if (answer?.status === 201) order.invoiceId = (answer.body as { id: string }).id;
      await sleep(this.#dice.below(PAUSE_MAX_MS));
    }
  }

  #next(): MerchantOrder {
    const number = this.orders.length + 1;
    const account = `payee-${number}`;
    const referenceId = `order-${number}`;
    const body = JSON.stringify({
      referenceId,
      websiteId: "web_demo",
      currency: "USD",
      amount: (1 + this.#dice.below(500)) / 100,
      service: "test_usd",
      fields: { account, test_details_scenario: this.#dice.pick(SCENARIOS) },
      attemptsLimit: 2,
    });
    return { referenceId, account, body, invoiceId: null };
  }
}
