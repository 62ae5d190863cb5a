/** Looks at every commit, and once more when everything has come to rest. */

import type { Entry } from "../../../src/core/money/ledger.ts";
import { needsWake } from "../../../src/core/news/doubt.ts";
import { INVOICE_STATUSES } from "../../../src/core/order/invoice.ts";
import type { Payout } from "../../../src/core/order/payout.ts";
import type { ItemReason } from "../../../src/core/order/story.ts";
import type { Changes, History, Tables } from "../../../src/engine/ports.ts";
import { type AnyRow, keyText } from "../../../src/store/describe.ts";
import { tableOf } from "../../../src/store/tables.ts";
import type { Snapshot } from "../../support/memory-store.ts";
import type { BareClient } from "../people/bare-clients.ts";
import type { Client } from "../people/clients.ts";
import type { SimStore } from "../world/postgres-store.ts";
import type { Scheduler } from "../world/scheduler.ts";
import { HistoryAudit } from "./history-audit.ts";
import { LedgerAudit } from "./ledger-audit.ts";
import { MIRRORED, Mirror } from "./mirror.ts";
import { type AccountPlace, Oracle } from "./oracle.ts";
import { isSettled, OrderAudit } from "./order-audit.ts";
import type { Tally } from "./tally.ts";

/** Paid invoices may still be refunded, but nothing has to happen to them. */
const RESTING: ReadonlySet<string> = new Set(["processed", "partially_processed"]);

/** What a person is asked, and what the next inquiry answers. */
const TOLD_BY_NOW: ReadonlySet<string> = new Set<ItemReason>(["outcome_unknown", "answer_differs"]);

export class Auditor {
  readonly mirror = new Mirror();
  readonly oracle: Oracle;
  readonly #tally: Tally;
  readonly #scheduler: Scheduler;
  readonly #ledger: LedgerAudit;
  readonly #history: HistoryAudit;
  readonly #orders: OrderAudit;

  constructor(tally: Tally, scheduler: Scheduler, places: ReadonlyMap<string, AccountPlace>) {
    this.#tally = tally;
    this.#scheduler = scheduler;
    this.oracle = new Oracle(this.mirror, { tally, places, now: () => scheduler.now });
    this.#ledger = new LedgerAudit(this.mirror, tally);
    this.#history = new HistoryAudit(tally);
    this.#orders = new OrderAudit(this.mirror, tally, this.oracle);
  }

  /** Called for each commit that took effect, in their order, before anything else happens. */
  committed(changes: Changes): void {
    const history = changes.insert.history ?? [];
    const changed = this.mirror.apply(changes);
    for (const row of history) this.#scheduler.note(null, this.#line(row));
    this.#ledger.committed(changes.insert.entry ?? [], changed);
    this.#history.committed(history, changed);
    this.#orders.committed(changed);
    this.oracle.committed(changed);
    for (const { table, before, after } of changed) {
      const isFound = table === "recoveryCheck" && before?.state !== "found" && after?.state === "found";
      if (isFound) this.#tally.reach("an order after a failover finds its old payout");
    }
  }

  /** The database has gone back to a snapshot. */
  restored({ rows }: Snapshot): void {
    this.mirror.restore(rows);
    this.#ledger.restored((rows.get("entry") ?? []) as unknown as readonly Entry[]);
    this.#history.restored((rows.get("history") ?? []) as unknown as readonly History[]);
    this.oracle.restored();
  }

  #line(row: History): string {
    const payout = row.kind === "payout" ? this.mirror.get("payout", [row.organizationId, row.subject]) : null;
    const name = payout === null ? this.#nameOf(row) : `${payout.reference.slice(0, 8)} (${payout.attempt})`;
    const moves = row.moves.map((move) => move.replace(/^\w+\./, "")).join(" ");
    return `commit ${row.kind} ${name}: ${moves || row.status}, ${row.resolution ?? "-"}${payout === null ? "" : detailsOf(payout)}`;
  }

  #nameOf(row: History): string {
    const key = [row.organizationId, row.subject];
    const request = row.kind === "request" ? this.mirror.get("request", key) : null;
    const invoiceId = row.kind === "invoice" ? row.subject : (request?.invoiceId ?? "");
    return this.mirror.get("invoice", [row.organizationId, invoiceId])?.referenceId ?? row.subject;
  }

  isAtRest(): boolean {
    for (const item of this.mirror.rows("moderationItem")) if (isForInquiry(item)) return false;
    const left = new Set<string | null>();
    for (const payout of this.mirror.rows("payout")) {
      if (this.oracle.isLeftToPerson(payout)) left.add(payout.requestId);
      else if (needsWake(payout)) return false;
    }
    for (const { id, dispatchStatus } of this.mirror.rows("request")) {
      if (!left.has(id) && !isSettled(dispatchStatus)) return false;
    }
    for (const invoice of this.mirror.rows("invoice")) {
      if (!left.has(invoice.requestId) && !RESTING.has(invoice.status) && !INVOICE_STATUSES[invoice.status].final)
        return false;
    }
    return true;
  }

  /** When the time is over: is everything final, or has a person been asked? Was nothing lost? */
  async finish(store: SimStore, clients: readonly Client[], bare: readonly BareClient[]): Promise<void> {
    await this.#compareStores(store);
    this.oracle.finish();
    this.#ledger.finish();
    for (const payout of this.mirror.rows("payout")) {
      // Where a person must look at one of them, all parts of an order wait.
      const siblings = this.mirror.payoutsOf(payout.organizationId, payout.requestId);
      const held = siblings.filter((each) => this.oracle.isLeftToPerson(each)).map((each) => each.id);
      if (needsWake(payout) && !this.#isAsked(payout.organizationId, payout.id, payout.requestId, ...held)) {
        this.#tally.judge("stuck", `payout ${payout.id} is still ${payout.status}`);
      }
    }
    for (const invoice of this.mirror.rows("invoice")) {
      const isOver = RESTING.has(invoice.status) || INVOICE_STATUSES[invoice.status].final;
      if (isOver) continue;
      const payouts = this.mirror.payoutsOf(invoice.organizationId, invoice.requestId ?? "");
      const subjects = [invoice.id, invoice.requestId ?? "", ...payouts.map((payout) => payout.id)];
      if (!this.#isAsked(invoice.organizationId, ...subjects)) {
        this.#tally.judge("stuck", `invoice ${invoice.referenceId} is still ${invoice.status}`);
      }
    }
    for (const client of clients) this.#checkClient(client);
    for (const client of bare) {
      const { name } = client.order;
      if (!client.isDone) this.#tally.judge("stuck", `${name} was never answered`);
      if (!client.isThere()) this.#tally.judge("lost", `${name} was taken and is not there`);
    }
  }

  /** An unknown outcome, or an answer that differed, excuses nothing here: by now the provider has told the truth to whoever asked. */
  #isAsked(organizationId: string, ...subjects: readonly string[]): boolean {
    return subjects.some((subject) => this.#orders.isModerated(organizationId, subject, TOLD_BY_NOW));
  }

  #checkClient(client: Client): void {
    const { name, book } = client.order;
    if (!client.isDone) this.#tally.judge("stuck", `${name} was never answered`);
    if (client.invoiceId === null) return;
    const invoice = this.mirror.get("invoice", [book, client.invoiceId]);
    if (invoice?.referenceId !== name) this.#tally.judge("lost", `${name} was answered 201 and is not there`);
  }

  /** The auditor must not be fooled by its own copy. */
  async #compareStores(store: SimStore): Promise<void> {
    for (const table of MIRRORED) {
      const { primary, columns } = tableOf(table);
      const rows = (await store.rows(table)) as unknown as readonly AnyRow[];
      const mirrored = [...this.mirror.rows(table)] as unknown as readonly AnyRow[];
      const byKey = new Map(mirrored.map((row) => [keyText(primary.map((name) => row[name] as string)), row]));
      const plain = Object.keys(columns).filter((name) => !["json", "bytes"].includes(columns[name]?.type ?? ""));
      const isSame = rows.every((row) => {
        const twin = byKey.get(keyText(primary.map((name) => row[name] as string)));
        return twin !== undefined && plain.every((name) => String(twin[name]) === String(row[name]));
      });
      if (!isSame || rows.length !== mirrored.length) this.#tally.judge("broken", `the auditor's ${table} rows differ`);
    }
  }
}

/** Whether a person only has to ask the provider once more: its answer was about something else. */
export function isForInquiry({ kind, reason, status }: Tables["moderationItem"]): boolean {
  return kind === "payout" && reason === "answer_differs" && status === "open";
}

function detailsOf(payout: Payout): string {
  const { send, sends, notNows, inquiries, evidence, moderationRequired, providerAccountId } = payout;
  const flag = moderationRequired ? " flagged" : "";
  return ` [${providerAccountId} ${send} sends ${sends} not-nows ${notNows} inquiries ${inquiries} ${evidence ?? "-"}${flag}]`;
}
