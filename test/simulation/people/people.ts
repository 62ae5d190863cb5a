/**
 * Moderators and merchants' people: while the faults last they do whatever is possible, apt or not; afterwards they
 * work through what waits for a person, so that everything comes to its end.
 */

import { formatMajor } from "../../../src/core/money/money.ts";
import { isEnded } from "../../../src/core/order/dispatch.ts";
import { PAYOUT_MEANING, type Payout } from "../../../src/core/order/payout.ts";
import { type GateOrder, openGate } from "../../../src/engine/commands/gates.ts";
import { terminateInvoice } from "../../../src/engine/commands/invoices.ts";
import { workOnItem } from "../../../src/engine/commands/moderation.ts";
import { putRequest } from "../../../src/engine/commands/requests.ts";
import type { Tables } from "../../../src/engine/ports.ts";
import { isForInquiry } from "../judges/auditor.ts";
import { Desk, type DeskWorld, type Doing } from "./desk.ts";
import type { SimOrganization } from "./organizations.ts";

const MINUTE_MS = 60_000;
const DUTY_MS = 5_000;
/** After so many lives of a part people take what is paid as enough. */
const PATIENCE = 4;

export class People {
  readonly #desk: Desk;
  readonly #world: DeskWorld;
  readonly #organizations: readonly SimOrganization[];

  constructor(world: DeskWorld, organizations: readonly SimOrganization[]) {
    this.#world = world;
    this.#desk = new Desk(world);
    this.#organizations = organizations;
  }

  start(): void {
    const { weather } = this.#world;
    if (weather.plan.actsPerMinute > 0) for (const { book } of this.#organizations) this.#actSometime(book);
    this.#workSometime();
  }

  #actSometime(book: string): void {
    const { scheduler, weather, random } = this.#world;
    const inMs = random.between(1, Math.floor((2 * MINUTE_MS) / weather.plan.actsPerMinute));
    scheduler.after(inMs, null, "", () => {
      if (!weather.isStormy) return;
      void this.#actOnSomething(book);
      this.#actSometime(book);
    });
  }

  /** Gates are looked at all the time, everything else once the faults have ended. */
  #workSometime(): void {
    const { scheduler, weather, random } = this.#world;
    scheduler.after(random.between(DUTY_MS, 3 * DUTY_MS), null, "", () => {
      this.#openGates();
      for (const act of this.#world.mirror.rows("moderationAct")) this.#agree(act);
      if (!weather.isStormy) this.#workThrough();
      this.#workSometime();
    });
  }

  #workThrough(): void {
    const { mirror } = this.#world;
    for (const request of mirror.rows("request")) this.#attendTo(request);
    for (const item of mirror.rows("moderationItem")) if (isForInquiry(item)) void this.#inquireAbout(item);
  }

  async #inquireAbout(item: Tables["moderationItem"]): Promise<void> {
    const { organizationId, subject, id: itemId, version } = item;
    const payout = this.#world.mirror.get("payout", [organizationId, subject]);
    if (payout === null) return;
    // What differs in the book too will differ whenever it is asked about: a person decides by what the book says.
    const isOther = this.#world.oracle.isOfAnotherOrder(payout);
    const decision = isOther ? (this.#evidence(payout) ?? this.#paidBefore(payout)) : null;
    const isDone = (await this.#desk.act(decision ?? { kind: "inquire", about: payout, of: "payout" })) !== null;
    if (decision?.body?.verdict === "paid") await this.#tellReturn(payout);
    const order = { itemId, version, kind: "close" as const, reason: "asked again", assignee: null };
    if (isDone) await this.#desk.run(organizationId, workOnItem, order);
  }

  #openGates(): void {
    const { mirror, weather, random } = this.#world;
    if (weather.isStormy && random.chance(0.5)) return;
    const open = (book: string, providerAccountId: string | null): void => {
      const order: GateOrder = { providerAccountId, currency: null, reason: "looked at" };
      void this.#desk.run(book, openGate, order);
    };
    for (const row of mirror.rows("providerAccount")) if (row.gate === "shut") open(row.organizationId, row.id);
    for (const row of mirror.rows("organizationLock")) if (row.gate === "shut") open(row.organizationId, null);
  }

  /** A second person looks again: what is not true any more is withdrawn. */
  #agree(act: Tables["moderationAct"]): void {
    if (act.status !== "proposed") return;
    const { mirror, random } = this.#world;
    const payout = mirror.get("payout", [act.organizationId, act.subject]);
    const truth = act.kind === "evidence" && payout !== null ? this.#desk.truthAbout(payout) : null;
    const isTrue = act.kind !== "evidence" || sameJson(truth, act.body);
    void this.#desk.confirm(act, isTrue && random.chance(0.8) ? "confirm" : "withdraw");
  }

  async #actOnSomething(book: string): Promise<void> {
    const { random } = this.#world;
    const payouts = this.#desk.of("payout", book);
    if (payouts.length === 0) return;
    const payout = random.pick(payouts);
    if (random.chance(0.15)) {
      const request = this.#world.mirror.get("request", [book, payout.requestId]);
      if (request !== null) await this.#actOnOrder(request);
      return;
    }
    const doing = this.#aptFor(payout);
    if (doing !== null) await this.#desk.act(doing);
  }

  /** Something that may be done about a payout as it stands; now and then something that may not. */
  #aptFor(payout: Payout): Doing | null {
    const { random } = this.#world;
    const what = (kind: Doing["kind"], body: Doing["body"] = {}): Doing => ({
      kind,
      about: payout,
      of: "payout",
      body,
    });
    const cls = random.chance(0.05) ? "returned" : PAYOUT_MEANING[payout.status].class;
    switch (cls) {
      case "planned":
        return what(random.pick(["process", "terminate"]));
      case "open": {
        const isUnknown = payout.status === "INVOKING" && payout.send === "unknown";
        const kind = random.weighted({ inquire: 1, revoke: 2, evidence: 1, repeat: isUnknown ? 6 : 1, terminate: 1 });
        if (kind === "revoke") return what(kind, { then: random.pick(["stop", "reroute"]) });
        if (kind === "repeat" && this.#isProposed(payout)) return null;
        return kind === "evidence" ? this.#evidence(payout) : what(kind);
      }
      case "paid": {
        const kind = random.pick(["cancel", "cancel", "refund", "evidence", "inquire", "settle_incident"] as const);
        if (kind === "evidence") return this.#evidence(payout);
        if (kind === "settle_incident") return what(kind, { chargeTo: random.pick(["merchant", "loss"]) });
        return kind === "refund" ? this.#refund(payout) : what(kind, kind === "cancel" ? this.#partOf(payout) : {});
      }
      case "returned":
      case "not_paid":
        return what(random.pick(["inquire", "cancel", "revoke", "repeat", "process"]));
    }
  }

  #isProposed({ id }: Payout): boolean {
    return [...this.#world.mirror.rows("moderationAct")].some((act) => act.subject === id && act.status === "proposed");
  }

  #evidence(payout: Payout): Doing | null {
    const body = this.#desk.truthAbout(payout);
    return body === null ? null : { kind: "evidence", about: payout, of: "payout", body };
  }

  async #tellReturn({ organizationId, id }: Payout): Promise<void> {
    const now = this.#world.mirror.get("payout", [organizationId, id]);
    const decision = now === null ? null : this.#evidence(now);
    if (decision?.body?.verdict === "returned") await this.#desk.act(decision);
  }

  /** What has come back since was paid first, and a person says one after the other. */
  #paidBefore(payout: Payout): Doing | null {
    const operation = this.#world.oracle.operationOf(payout);
    if (operation?.status !== "returned" || payout.processedMinor > 0n) return null;
    const body = { verdict: "paid", amount: formatMajor(operation.paidMinor, payout.currency) } as const;
    return { kind: "evidence", about: payout, of: "payout", body: { ...body, evidence: { kind: "provider-book" } } };
  }

  #partOf({ processedMinor, returnedMinor, currency }: Payout): Doing["body"] {
    const { random } = this.#world;
    const left = processedMinor - returnedMinor;
    if (left < 2n || random.chance(0.4)) return {};
    return { amount: formatMajor(1n + (left * BigInt(random.between(0, 99))) / 100n, currency) };
  }

  /** All of it, a part, or more than there is, which must be refused. */
  #refund(payout: Payout): Doing | null {
    const { mirror, random, tally } = this.#world;
    const request = mirror.get("request", [payout.organizationId, payout.requestId]);
    const invoice = mirror.get("invoice", [payout.organizationId, payout.invoiceId ?? ""]);
    if (request === null || invoice === null) return null;
    const left = invoice.processedMinor - invoice.refundedMinor;
    const about = this.#desk.orderOf(request);
    if (random.chance(0.2)) {
      const amount = formatMajor(left + BigInt(random.between(1, 100)), invoice.currency);
      void this.#desk.act({ kind: "refund", about, of: "request", body: { amount } }).then((rows) => {
        if (rows !== null) tally.judge("refund_beyond", `${amount} of invoice ${invoice.referenceId} is taken back`);
      });
      return null;
    }
    const part = left > 1n ? 1n + (left * BigInt(random.between(0, 99))) / 100n : 0n;
    const body = part === 0n || random.chance(0.4) ? {} : { amount: formatMajor(part, invoice.currency) };
    return { kind: "refund", about, of: "request", body };
  }

  async #actOnOrder(request: Tables["request"]): Promise<void> {
    const { random } = this.#world;
    const { invoiceId, organizationId: book } = request;
    const what = random.pick(["terminate", "block", "unblock", "change", "change", "decide", "decide"] as const);
    if (what === "block" || what === "unblock") this.#block(request, what === "block");
    else if (what === "terminate" && invoiceId !== null) await this.#desk.run(book, terminateInvoice, { invoiceId });
    else if (what === "decide") this.#decide(request);
    else {
      const body = { attemptsLimit: random.between(1, 6), ...(random.chance(0.3) ? { allowPartially: true } : {}) };
      await this.#desk.act({ kind: "change", about: this.#desk.orderOf(request), of: "request", body });
    }
  }

  #block(request: Tables["request"], blocked: boolean): void {
    const { id, websiteId, customerId, currency, amountMinor, organizationId } = request;
    const order = { websiteId, customerId, currency, amount: formatMajor(amountMinor, currency), blocked };
    void this.#desk.run(organizationId, putRequest, { id, order, problems: [] });
  }

  #decide(request: Tables["request"]): void {
    const { random, mirror } = this.#world;
    const made = mirror.payoutsOf(request.organizationId, request.id).length;
    const kinds =
      made > PATIENCE ? (["accept_partial"] as const) : (["continue", "accept_partial", "take_back"] as const);
    void this.#desk.act({ kind: random.pick(kinds), about: this.#desk.orderOf(request), of: "request" });
  }

  /** Whatever of an order waits for a person gets what it waits for. */
  #attendTo(request: Tables["request"]): void {
    if (isEnded({ request })) return;
    const { mirror } = this.#world;
    if (request.blocked) this.#block(request, false);
    const payouts = mirror.payoutsOf(request.organizationId, request.id);
    for (const payout of payouts) {
      const isWaiting = payout.status === "READY" && payout.isManual;
      if (isWaiting) void this.#desk.act({ kind: "process", about: payout, of: "payout" });
    }
    const isPart = request.invoiceId !== null && request.paidMinor > 0n && request.dispatchStatus === "PENDING";
    if (isPart && !payouts.some((each) => PAYOUT_MEANING[each.status].class === "open")) this.#decide(request);
  }
}

function sameJson(a: unknown, b: unknown): boolean {
  const text = (value: unknown): string =>
    JSON.stringify(Object.entries(value ?? {}).sort(([x], [y]) => (x < y ? -1 : 1)));
  return text(a) === text(b);
}
