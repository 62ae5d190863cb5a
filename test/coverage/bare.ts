/** A payout request without an invoice in the hands of a case. */
import assert from "node:assert/strict";
import type { Json, Reply } from "../support/gateway.ts";
import type { PayoutView } from "./order.ts";
import type { Place } from "./place.ts";
import type { Stage } from "./stage.ts";

export interface RequestView {
  readonly status: string;
  readonly availableAmount: number;
  readonly allocations: readonly { readonly transactionId: string; readonly transactionResult?: string }[];
}

export class Bare {
  readonly id: string;
  readonly #stage: Stage;
  readonly #place: Place;

  constructor(stage: Stage, place: Place, id: string) {
    this.#stage = stage;
    this.#place = place;
    this.id = id;
  }

  async put(members: Json, status = 200): Promise<void> {
    const reply = await this.#stage.gateway.call("PUT", `/payout-requests/${this.id}`, {
      websiteId: this.#place.websiteId,
      customerId: this.#place.customerId,
      currency: "USD",
      amount: 100,
      ...members,
    });
    assert.equal(reply.status, status, JSON.stringify(reply.body));
  }

  async read(): Promise<RequestView> {
    const reply = await this.#stage.gateway.call("GET", `/payout-requests/${this.id}`);
    assert.equal(reply.status, 200, JSON.stringify(reply.body));
    return reply.body as unknown as RequestView;
  }

  is(status: string): Promise<RequestView> {
    return this.#stage.until(
      this.id,
      () => this.read(),
      (request) => request.status === status,
    );
  }

  /** Allocates, and answers with the payout's id. */
  async allocate(members: Json = {}): Promise<string> {
    const body = { payoutRequestId: this.id, ...members };
    const reply = await this.#stage.gateway.call("POST", "/payout-request-allocations", body);
    assert.equal(reply.status, 201, JSON.stringify(reply.body));
    return String(reply.body["id"]);
  }

  async process(...allocationIds: readonly string[]): Promise<void> {
    const reply = await this.#stage.gateway.call("POST", "/payout-request-allocations/process", { allocationIds });
    assert.equal(reply.status, 204, JSON.stringify(reply.body));
  }

  async payoutNow(id: string): Promise<PayoutView> {
    const reply = await this.#stage.gateway.call("GET", `/payouts/${id}`);
    assert.equal(reply.status, 200, JSON.stringify(reply.body));
    return reply.body as unknown as PayoutView;
  }

  payout(id: string, status: string): Promise<PayoutView> {
    return this.#stage.until(
      this.id,
      () => this.payoutNow(id),
      (payout) => payout.status === status,
    );
  }

  /** Allocates an amount, lets it start, and waits until its payout has a status. */
  async pay(members: Json, status = "PROCESSED"): Promise<string> {
    const id = await this.allocate(members);
    await this.process(id);
    await this.payout(id, status);
    return id;
  }

  async act(id: string, word: string, body: Json = {}): Promise<void> {
    const path = `/payouts/${id}/${word}`;
    const reply = await this.#stage.act(path, { reason: "told so", ...body }, () => this.payoutNow(id));
    assert.equal(reply.status, 200, `${word}: ${JSON.stringify(reply.body)}`);
  }

  tryCancel(): Promise<Reply> {
    const body = { description: "not wanted any more", canceledBy: "merchant" };
    return this.#stage.gateway.call("POST", `/payout-requests/${this.id}/cancel`, body);
  }

  async cancel(): Promise<void> {
    const reply = await this.tryCancel();
    assert.ok(reply.status === 200 || reply.status === 201, `${reply.status} ${JSON.stringify(reply.body)}`);
  }

  /** Waits until the request's workflow stands at a status: reads do not show the workflow, events do. */
  stands(dispatchStatus: string): Promise<unknown> {
    const events = this.#stage.feed.events;
    const now = (): string | undefined => events.findLast(({ data }) => data.id === this.id)?.data.status;
    return this.#stage.until(
      this.id,
      () => Promise.resolve(now()),
      (status) => status === dispatchStatus,
    );
  }
}
