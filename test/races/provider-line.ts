/** The line to the provider in a race's hand: requests really go out, and their answers come in when the race says. */
import type { Http, HttpOrder, HttpOutcome } from "../../src/engine/ports.ts";

export interface HeldAnswer {
  readonly order: HttpOrder;
  /** What the provider has really answered. */
  readonly outcome: HttpOutcome;
  /** Lets it arrive; or something else in its place. */
  release(instead?: HttpOutcome): void;
}

export const isSend = (order: HttpOrder): boolean => order.draft.method === "POST" && order.draft.path === "/payouts";

export class ProviderLine {
  /** Which answers are held back. */
  holds: (order: HttpOrder) => boolean = () => false;
  /** Awaited before a request is given to the socket: where a process stands still. */
  before: (order: HttpOrder) => Promise<void> = async () => {};
  /** Requests that left, by reference and operation. */
  readonly left: HttpOrder[] = [];
  readonly held: HeldAnswer[] = [];
  /** Exchanges under way and not held. */
  underWay = 0;

  wrap(http: Http): Http {
    return {
      send: async (order) => {
        this.underWay += 1;
        try {
          await this.before(order);
          let isLeaving = false;
          const outcome = await http.send({
            ...order,
            maySend: () => {
              const may = order.maySend();
              // It is asked before connecting and again before the first byte: what was said last counts.
              if (may && !isLeaving) this.left.push(order);
              else if (!may && isLeaving) this.left.splice(this.left.lastIndexOf(order), 1);
              isLeaving = may;
              return may;
            },
          });
          if (!this.holds(order)) return outcome;
          this.underWay -= 1;
          const arrived = await new Promise<HttpOutcome>((resolve) => {
            const release = (instead?: HttpOutcome): void => resolve(instead ?? outcome);
            this.held.push({ order, outcome, release });
          });
          this.underWay += 1;
          return arrived;
        } finally {
          this.underWay -= 1;
        }
      },
    };
  }

  /** Holds nothing any more, and lets everything arrive. */
  open(): void {
    this.holds = () => false;
    this.releaseAll();
  }

  /** Everything that is held arrives. */
  releaseAll(): void {
    for (const answer of this.held.splice(0)) answer.release();
  }
}
