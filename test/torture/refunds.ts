/** A merchant who asks for money back under bad weather: once an order is paid, under a key, until there is an answer. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Dice } from "./dice.ts";
import type { Acknowledged, Answer, Request } from "./shop.ts";

/** What was asked for. */
export interface Refund {
  /** As the provider's book writes it. */
  readonly amount: string;
  readonly isAll: boolean;
  /** Whether its acknowledgement was seen. */
  readonly isTold: boolean;
}

const POLL_MS = 400;
const REPEAT_PAUSE_MAX_MS = 120;
/** It has changed in between, or something of it is at the provider: nothing was done, read it and decide again. */
const AGAIN = new Set([409, 412]);

export class Refunds {
  /** By referenceId. */
  readonly asked = new Map<string, Refund>();
  readonly surprises: string[] = [];
  readonly #call: (request: Request) => Promise<Answer>;
  readonly #dice: Dice;
  readonly #waiting = new Map<string, Acknowledged>();
  #isGivingUp = false;
  #keys = 0;

  constructor(call: (request: Request) => Promise<Answer>, dice: Dice) {
    this.#call = call;
    this.#dice = dice;
  }

  /** It is asked back as soon as it is paid. */
  want(known: Acknowledged): void {
    this.#waiting.set(known.id, known);
  }

  /** Goes on until `isClosing` says so; what was sent is repeated even then until it is answered. */
  async work(isClosing: () => boolean): Promise<void> {
    while (!isClosing()) {
      for (const known of this.#waiting.values()) {
        if (isClosing()) return;
        if (await this.#try(known)) this.#waiting.delete(known.id);
      }
      await sleep(POLL_MS);
    }
  }

  giveUp(): void {
    this.#isGivingUp = true;
  }

  /** True when there is nothing more to be done about it. */
  async #try(known: Acknowledged): Promise<boolean> {
    const path = `/payout-invoices/${known.id}`;
    const found = await this.#call({ method: "GET", path }).catch(() => null);
    if (found?.status !== 200) return false;
    const { status, version } = JSON.parse(found.text) as { status: string; version: number };
    if (status !== "processed") return status === "process_failed";
    const { referenceId, cents } = known.order;
    // Of a cent there is no part.
    const asked = this.#dice.chance(0.5) ? cents : Math.max(1, Math.floor(cents / 2));
    const refund = { amount: (asked / 100).toFixed(2), isAll: asked === cents, isTold: false };
    this.asked.set(referenceId, refund);
    this.#keys += 1;
    const answer = await this.#untilAnswered({
      method: "POST",
      path: `${path}/refund`,
      body: JSON.stringify({ amount: asked / 100 }),
      idempotencyKey: `refund-${this.#keys}`,
      tag: `"${version}"`,
    });
    if (answer === null) return true;
    if (answer.status === 200) {
      this.asked.set(referenceId, { ...refund, isTold: true });
      return true;
    }
    this.asked.delete(referenceId);
    if (AGAIN.has(answer.status)) return false;
    this.surprises.push(`${referenceId}: its refund was answered ${answer.status} ${answer.text}`);
    return true;
  }

  /** The very same request again and again: the key makes it one. Null when it gave up. */
  async #untilAnswered(request: Request): Promise<Answer | null> {
    while (!this.#isGivingUp) {
      const answer = await this.#call(request).catch(() => null);
      if (answer !== null && answer.status !== 503) return answer;
      await sleep(this.#dice.below(REPEAT_PAUSE_MAX_MS));
    }
    return null;
  }
}
