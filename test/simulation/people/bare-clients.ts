/** Merchants with payout requests of their own: made by PUT, changed, blocked, allocated by hand, canceled. */

import { formatMajor } from "../../../src/core/money/money.ts";
import { isEnded } from "../../../src/core/order/dispatch.ts";
import { createAllocation, processAllocations } from "../../../src/engine/commands/allocations.ts";
import { cancelRequest, putRequest, type RequestOrder } from "../../../src/engine/commands/requests.ts";
import type { Tables } from "../../../src/engine/ports.ts";
import type { Desk } from "./desk.ts";
import { CUSTOMER_ID, type Currency } from "./organizations.ts";

const RETRY_MS = 3_000;
const STEP_MS = 8_000;
const MAX_STEPS = 14;
const MAX_TRIES = 20;

export interface BareOrder {
  readonly name: string;
  readonly book: string;
  readonly websiteId: string;
  readonly currency: Currency;
  readonly amount: string;
  readonly startMs: number;
  readonly isBlocked: boolean;
  readonly hasInstrument: boolean;
}

/** The instruments of a request: two accounts of one payee. */
export const instrumentIds = (name: string): readonly [string, string] => [`ins_${name}_1`, `ins_${name}_2`];

export class BareClient {
  readonly order: BareOrder;
  isDone = false;
  /** Whether a PUT was answered with success. */
  isTaken = false;
  readonly #desk: Desk;
  #steps = 0;
  #tries = 0;

  constructor(order: BareOrder, desk: Desk) {
    this.order = order;
    this.#desk = desk;
  }

  start(): void {
    this.#later(this.order.startMs, () => this.#make());
  }

  /** What is there is looked at before every step. */
  forget(): void {}

  /** The database may have forgotten the order: it is put again, under the same id. */
  repeat(): void {
    if (!this.isTaken || this.#row() !== null) return;
    this.isTaken = false;
    this.isDone = false;
    void this.#make();
  }

  /** Whether an order that was taken is still there. */
  isThere(): boolean {
    return !this.isTaken || this.#row() !== null;
  }

  #row(): Tables["request"] | null {
    return this.#desk.world.mirror.get("request", [this.order.book, this.order.name]);
  }

  async #make(): Promise<void> {
    const { isBlocked, hasInstrument, name } = this.order;
    const put = await this.#put({
      blocked: isBlocked,
      ...(hasInstrument ? { paymentInstrumentId: instrumentIds(name)[0] } : {}),
    });
    this.#tries += 1;
    if (put === null && this.#row() !== null && this.#tries > MAX_TRIES) {
      // It is there, and has gone on since: what is put is refused.
      this.isDone = true;
      return;
    }
    if (put === null) {
      this.#desk.world.tally.reach("order repeated");
      this.#later(this.#desk.world.random.between(1, RETRY_MS), () => this.#make());
      return;
    }
    this.isTaken = true;
    this.#goOn();
  }

  #put(more: RequestOrder) {
    const { name, book, websiteId, currency, amount } = this.order;
    const order = { websiteId, customerId: CUSTOMER_ID, currency, amount, ...more };
    return this.#desk.run(book, putRequest, { id: name, order, problems: [] });
  }

  #goOn(): void {
    const { random, weather } = this.#desk.world;
    this.#later(random.between(1, STEP_MS), async () => {
      const request = this.#row();
      const isOver = request === null || isEnded({ request }) || this.#steps >= MAX_STEPS || !weather.isStormy;
      if (isOver) {
        this.isDone = request !== null;
        if (request === null) this.repeat();
        return;
      }
      this.#steps += 1;
      await this.#step(request);
      this.#goOn();
    });
  }

  async #step(request: Tables["request"]): Promise<void> {
    const { random } = this.#desk.world;
    const what = random.weighted({
      allocate: 5,
      process: 4,
      instrument: 2,
      unblock: request.blocked ? 4 : 0,
      block: 0.5,
      cancel: 0.4,
    });
    const { name, book } = this.order;
    switch (what) {
      case "allocate":
        await this.#allocate(request);
        return;
      case "process":
        await this.#process();
        return;
      case "instrument":
        await this.#put({ paymentInstrumentId: random.chance(0.1) ? null : random.pick(instrumentIds(name)) });
        return;
      case "block":
      case "unblock":
        await this.#put({ blocked: what === "block" });
        return;
      case "cancel":
        await this.#desk.run(book, cancelRequest, { id: name, description: null, canceledBy: "customer" });
    }
  }

  async #allocate({ id, currency, availableMinor }: Tables["request"]): Promise<void> {
    const { random, tally } = this.#desk.world;
    const most = availableMinor + (random.chance(0.1) ? 1n : 0n);
    const part = availableMinor > 1n && random.chance(0.5) ? 1n + (most * BigInt(random.between(0, 99))) / 100n : null;
    const routeId = random.chance(0.5) ? `rt_${random.pick([1, 2])}_${currency.toLowerCase()}` : null;
    const amount = part === null ? {} : { amount: formatMajor(part, currency) };
    const order = { requestId: id, routeId, ...amount, problems: [] };
    const made = await this.#desk.run(this.order.book, createAllocation, order);
    if (made !== null) tally.reach(`allocation ${made.status}`);
  }

  async #process(): Promise<void> {
    const { book, name } = this.order;
    const payouts = this.#desk.world.mirror.payoutsOf(book, name);
    const ids = payouts.filter(({ status, isManual }) => status === "READY" && isManual).map(({ id }) => id);
    if (ids.length > 0) await this.#desk.run(book, processAllocations, { ids });
  }

  #later(inMs: number, task: () => void | Promise<void>): void {
    this.#desk.world.scheduler.after(inMs, null, "", () => void task());
  }
}
