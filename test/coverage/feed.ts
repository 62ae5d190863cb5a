/** The events of a gateway as they come over HTTP: who waits for a story is woken by them, and the tally counts them. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Gateway } from "../support/gateway.ts";

/** An event as `GET /events` tells it. */
export interface Told {
  readonly type: string;
  readonly data: {
    readonly object: "payout-invoice" | "payout-request" | "payout" | "moderation-act";
    readonly id: string;
    readonly payoutInvoiceId?: string | null;
    readonly payoutRequestId?: string | null;
    readonly status: string;
    /** The statuses passed on the way, in order. */
    readonly passed: readonly string[];
    readonly resolution: string | null;
    readonly version: number;
    readonly sequence: number;
  };
}

const EVERY_MS = 100;
const PAGE = 1_000;

/** The story that an event belongs to: its invoice's id, else its request's. */
export function storyOf({ data }: Told): string {
  if (data.object === "payout-invoice") return data.id;
  if (data.object === "payout-request") return data.payoutInvoiceId ?? data.id;
  return data.payoutInvoiceId ?? data.payoutRequestId ?? "";
}

export class Feed {
  readonly events: Told[] = [];
  readonly #gateway: Gateway;
  readonly #waiting = new Map<string, (() => void)[]>();
  #isOpen = true;
  readonly #running: Promise<void>;

  constructor(gateway: Gateway) {
    this.#gateway = gateway;
    this.#running = this.#run();
    // Whoever closes it hears of a fault.
    this.#running.catch(() => undefined);
  }

  /** Resolves at the next event of a story, or after the limit. Asked for before reading, nothing is missed. */
  next(story: string, limitMs: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, limitMs);
      const wake = (): void => {
        clearTimeout(timer);
        resolve();
      };
      this.#waiting.set(story, [...(this.#waiting.get(story) ?? []), wake]);
    });
  }

  /** Takes what is still there and stops. */
  async close(): Promise<void> {
    this.#isOpen = false;
    await this.#running;
    await this.#take();
  }

  async #run(): Promise<void> {
    while (this.#isOpen) {
      await this.#take();
      await sleep(EVERY_MS);
    }
  }

  async #take(): Promise<void> {
    for (;;) {
      const after = this.events.at(-1)?.data.sequence ?? 0;
      const { status, body } = await this.#gateway.call("GET", `/events?limit=${PAGE}&after=${after}`);
      if (status !== 200) throw new Error(`events: ${status} ${JSON.stringify(body)}`);
      const page = body as unknown as readonly Told[];
      for (const event of page) this.#tell(event);
      if (page.length < PAGE) return;
    }
  }

  #tell(event: Told): void {
    this.events.push(event);
    const story = storyOf(event);
    const wakes = this.#waiting.get(story) ?? [];
    this.#waiting.delete(story);
    for (const wake of wakes) wake();
  }
}
