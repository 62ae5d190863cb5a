/** What a case acts with: it arranges by the API, acts by the API, and waits until the API shows what it wants. */
import assert from "node:assert/strict";
import type { Gateway, Json, Reply } from "../support/gateway.ts";
import { Bare } from "./bare.ts";
import type { Feed } from "./feed.ts";
import { type InvoiceView, Order } from "./order.ts";
import { makePlace, type Place, type PlacePlan } from "./place.ts";

const LIMIT_MS = 60_000;
/** Not every change is an event: look again after this long in any case. */
const LOOK_MS = 1_500;

/** What all cases of a run share. */
export interface Hall {
  readonly gateway: Gateway;
  readonly feed: Feed;
  /** A place without anything special, for cases that leave no trace on others. */
  readonly plain: Place;
}

/** What an order asks for besides the usual; `scenario` and `test` become the payee's fields. */
export interface OrderPlan {
  readonly place?: Place;
  readonly scenario?: string;
  /** Further test fields, without `test_details_`. */
  readonly test?: Readonly<Record<string, string>>;
  readonly amount?: number;
  readonly expiresInMs?: number;
  readonly more?: Json;
}

export class Stage {
  /** The stories of this case, as events name them. */
  readonly stories: string[] = [];
  readonly gateway: Gateway;
  readonly feed: Feed;
  readonly plain: Place;
  /** Letters and digits, one of its own per case. */
  readonly slug: string;
  #places = 0;

  constructor({ gateway, feed, plain }: Hall, slug: string) {
    this.gateway = gateway;
    this.feed = feed;
    this.plain = plain;
    this.slug = slug;
  }

  place(plan: PlacePlan = {}): Promise<Place> {
    this.#places += 1;
    return makePlace(this.gateway, `${this.slug}_${this.#places}`, plan);
  }

  /** Orders, and checks that it was made. */
  async order(plan: OrderPlan): Promise<Order> {
    const reply = await this.tryOrder(plan);
    assert.equal(reply.status, 201, JSON.stringify(reply.body));
    const order = new Order(this, reply.body as unknown as InvoiceView);
    this.stories.push(order.id);
    return order;
  }

  tryOrder(plan: OrderPlan): Promise<Reply> {
    const { place = this.plain, amount = 100, expiresInMs, more = {} } = plan;
    return this.gateway.call("POST", "/payout-invoices", {
      referenceId: `${this.slug}-${this.stories.length}`,
      websiteId: place.websiteId,
      currency: "USD",
      amount,
      service: "test_usd",
      fields: this.fieldsOf(plan),
      ...(expiresInMs === undefined ? {} : { expiresTime: new Date(Date.now() + expiresInMs).toISOString() }),
      ...more,
    });
  }

  fieldsOf({ scenario, test = {} }: Pick<OrderPlan, "scenario" | "test">): Json {
    const wishes = { ...(scenario === undefined ? {} : { scenario }), ...test };
    const fields = Object.entries(wishes).map(([name, value]) => [`test_details_${name}`, value]);
    return { account: `payee-${this.slug}`, ...Object.fromEntries(fields) };
  }

  /** A payment instrument of a place's customer; answers with its id. */
  async instrument(plan: Pick<OrderPlan, "place" | "scenario" | "test">): Promise<string> {
    const { place = this.plain } = plan;
    const body = { customerId: place.customerId, service: "test_usd", fields: this.fieldsOf(plan) };
    const reply = await this.gateway.call("POST", "/payment-instruments", body);
    assert.equal(reply.status, 201, JSON.stringify(reply.body));
    return String(reply.body["id"]);
  }

  /** Makes a bare request. */
  async bare(place: Place, members: Json = {}): Promise<Bare> {
    const bare = new Bare(this, place, `${this.slug}.${this.stories.length}`);
    this.stories.push(bare.id);
    await bare.put(members, 201);
    return bare;
  }

  /** Reads again with every event of a story until it is as wanted; fails with what it is then. */
  async until<T>(story: string, read: () => Promise<T>, isWanted: (seen: T) => boolean): Promise<T> {
    const deadline = Date.now() + LIMIT_MS;
    for (;;) {
      const woken = this.feed.next(story, LOOK_MS);
      const seen = await read();
      if (isWanted(seen)) return seen;
      if (Date.now() > deadline) throw new Error(`not as wanted in ${LIMIT_MS} ms: ${JSON.stringify(seen)}`);
      await woken;
    }
  }

  /** Posts an act about something that was read. Between the reading and the act an inquiry may have changed it. */
  async act(path: string, body: Json, read: () => Promise<{ readonly version: number }>): Promise<Reply> {
    for (let tries = 0; ; tries += 1) {
      const { version } = await read();
      const key = { "if-match": `"${version}"`, "idempotency-key": `${path}-${version}-${tries}` };
      const reply = await this.gateway.call("POST", path, body, key);
      if (reply.status !== 412 || tries === 20) return reply;
    }
  }

  async gateOf(place: Place, index = 0): Promise<unknown> {
    const reply = await this.gateway.call("GET", `/provider-accounts/${place.accountIds[index] ?? ""}`);
    return reply.body["gate"];
  }

  /** What stands on an account of a website, in dollars: `available` is what it may spend. */
  async standsAt(kind: "available" | "reserved" | "request_clearing", place: Place): Promise<number> {
    const id = encodeURIComponent(`${kind}:${place.websiteId}:USD`);
    const reply = await this.gateway.call("GET", `/accounts?filter=id:${id}`);
    assert.equal(reply.status, 200, JSON.stringify(reply.body));
    const [account] = reply.body as unknown as { balance: number }[];
    return account?.balance ?? 0;
  }
}
