/** A payout invoice in the hands of a case. */
import assert from "node:assert/strict";
import type { Json, Reply } from "../support/gateway.ts";
import type { Stage } from "./stage.ts";

export interface PayoutView {
  readonly id: string;
  readonly part: number;
  readonly attempt: number;
  readonly status: string;
  readonly resolution: string | null;
  readonly moderationRequired: boolean;
  readonly evidence: string | null;
  readonly inquiries: number;
  readonly amount: number;
  readonly processedAmount: number;
  readonly returnedAmount: number;
  readonly incidentAmount: number;
  readonly reference: string;
  readonly sends: number;
  readonly version: number;
}

export interface InvoiceView {
  readonly id: string;
  readonly customerId: string;
  readonly websiteId: string;
  readonly payoutRequestId: string;
  readonly status: string;
  readonly resolution: string | null;
  readonly moderationRequired: boolean;
  readonly processedAmount: number;
  readonly processedFee: number;
  readonly refundedAmount: number;
  readonly refundedFee: number;
  readonly refundPendingAmount: number;
  readonly payouts: readonly PayoutView[];
  readonly ledgerTransactions: readonly {
    readonly cause: string;
    readonly entries: readonly { readonly accountId: string; readonly amount: number }[];
  }[];
  readonly version: number;
}

export class Order {
  readonly id: string;
  readonly #stage: Stage;

  constructor(stage: Stage, made: InvoiceView) {
    this.#stage = stage;
    this.id = made.id;
  }

  async read(): Promise<InvoiceView> {
    const reply = await this.#stage.gateway.call("GET", `/payout-invoices/${this.id}`);
    assert.equal(reply.status, 200, JSON.stringify(reply.body));
    return reply.body as unknown as InvoiceView;
  }

  until(isWanted: (invoice: InvoiceView) => boolean): Promise<InvoiceView> {
    return this.#stage.until(this.id, () => this.read(), isWanted);
  }

  is(status: string): Promise<InvoiceView> {
    return this.until((invoice) => invoice.status === status);
  }

  /** Waits until a payout has a status; `part` and `attempt` count from 1. */
  async payout(status: string, part = 1, attempt = 1): Promise<PayoutView> {
    const find = ({ payouts }: InvoiceView) => payouts.find((each) => each.part === part && each.attempt === attempt);
    const found = find(await this.until((invoice) => find(invoice)?.status === status));
    assert.ok(found !== undefined);
    return found;
  }

  async payoutNow(part = 1, attempt = 1): Promise<PayoutView> {
    const { payouts } = await this.read();
    const found = payouts.find((each) => each.part === part && each.attempt === attempt);
    assert.ok(found !== undefined, `there is no payout ${part}.${attempt}`);
    return found;
  }

  /** Does something about the first payout, or the one named; fails when it is refused. */
  async act(word: string, body: Json = {}, part = 1): Promise<void> {
    const reply = await this.tryAct(word, body, part);
    assert.equal(reply.status, 200, `${word}: ${JSON.stringify(reply.body)}`);
  }

  async tryAct(word: string, body: Json = {}, part = 1): Promise<Reply> {
    const { id } = await this.payoutNow(part);
    const path = `/payouts/${id}/${word}`;
    return this.#stage.act(path, { reason: "told so", ...body }, () => this.payoutNow(part));
  }

  /** Says with a document at hand what became of a payout. */
  evidence(verdict: string, part = 1): Promise<void> {
    const evidence = { kind: "document", value: "statement.pdf", sha256: "ab".repeat(32) };
    return this.act("evidence", { verdict, evidence }, part);
  }

  /** Asks for a refund, of all that is paid where no amount is said. */
  async refund(amount?: number): Promise<void> {
    const body = { reason: "sent back", ...(amount === undefined ? {} : { amount }) };
    const reply = await this.#stage.act(`/payout-invoices/${this.id}/refund`, body, () => this.read());
    assert.equal(reply.status, 200, JSON.stringify(reply.body));
  }

  /** Decides how an order goes on that waits for a person. */
  async decide(act: string, more: Json = {}): Promise<void> {
    const body = { act, reason: "decided", ...more };
    const reply = await this.#stage.act(`/payout-invoices/${this.id}/moderation`, body, () => this.read());
    assert.equal(reply.status, 200, JSON.stringify(reply.body));
  }

  async terminate(): Promise<void> {
    const reply = await this.#stage.gateway.call("POST", `/payout-invoices/${this.id}/terminate`);
    assert.equal(reply.status, 200, JSON.stringify(reply.body));
  }

  /** How often each kind of journal was posted. */
  async journals(): Promise<Readonly<Record<string, number>>> {
    const counts: Record<string, number> = {};
    for (const { cause } of (await this.read()).ledgerTransactions) {
      const kind = cause.split(":")[0] ?? "";
      counts[kind] = (counts[kind] ?? 0) + 1;
    }
    return counts;
  }

  /** What all journals of the order have left on an account, debits above zero. */
  async balanceOf(kind: string): Promise<number> {
    const { ledgerTransactions } = await this.read();
    const entries = ledgerTransactions.flatMap((each) => each.entries);
    const cents = entries
      .filter(({ accountId }) => accountId.startsWith(`${kind}:`))
      .reduce((sum, { amount }) => sum + Math.round(amount * 100), 0);
    return cents / 100;
  }

  /** Reasons of the open incidents about a payout. */
  async incidents(part = 1, attempt = 1): Promise<readonly string[]> {
    const { id } = await this.payoutNow(part, attempt);
    const filter = `subject:${id};status:open;isIncident:true`;
    const reply = await this.#stage.gateway.call("GET", `/moderation?filter=${filter}`);
    assert.equal(reply.status, 200, JSON.stringify(reply.body));
    const items = reply.body as unknown as readonly { reason: string; incident: boolean }[];
    assert.ok(items.every((item) => item.incident));
    return items.map((item) => item.reason).toSorted();
  }
}
