/** What a person on call needs as numbers: how late work is, what is unknown, how full the lanes are. */
import { collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";
import { StoreUnavailable } from "../core/faults.ts";
import { formatMajor } from "../core/money/money.ts";
import type { Engine } from "../engine/engine.ts";
import { organizationOf } from "../engine/provision.ts";
import type { Gauges } from "../store/reads/gauges.ts";
import type { Reads } from "../store/reads.ts";

const BATCH_SIZES = [1, 2, 5, 10, 20, 50, 100];
const SECONDS = [0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2, 5];

const PREFIX = /^\/organizations\/:organizationId(?=\/)/;

/** What is shown of an audit. */
export interface Audited {
  readonly organizationId: string;
  readonly checks: readonly { readonly check: string; readonly breaches: number }[];
  /** What the last full audit found, where this one was not full. */
  readonly unrepaired: readonly { readonly check: string; readonly breaches: number }[];
}

function bookLabels(organizationId: string): { organization: string; book: string } {
  const organization = organizationOf(organizationId);
  return { organization, book: organization === organizationId ? "live" : "test" };
}

/** The numbers of one process, and those of the database that it reads when it is asked. */
export class Metrics {
  readonly #registry = new Registry();
  readonly #batchCommands: Histogram;
  readonly #batchSeconds: Histogram;
  readonly #requestSeconds: Histogram<"method" | "route" | "status">;
  readonly #gauges: {
    readonly due: Gauge<"kind">;
    readonly unknown: Gauge<"organization" | "book" | "provider_account" | "currency">;
    readonly moderation: Gauge<"reason">;
    readonly unwatched: Gauge;
    readonly up: Gauge;
    readonly queued: Gauge;
    readonly inFlight: Gauge;
    readonly breaches: Gauge<"check">;
    readonly audited: Gauge;
    readonly shut: Gauge<"scope" | "organization" | "book" | "id">;
  };
  /** The newest audit of each book. */
  readonly #audits = new Map<string, Audited>();

  constructor() {
    const registers = [this.#registry];
    collectDefaultMetrics({ register: this.#registry });
    this.#batchCommands = new Histogram({
      name: "bursar_batch_commands",
      help: "Commands per transaction.",
      buckets: BATCH_SIZES,
      registers,
    });
    this.#batchSeconds = new Histogram({
      name: "bursar_batch_seconds",
      help: "How long a transaction took.",
      buckets: SECONDS,
      registers,
    });
    this.#requestSeconds = new Histogram({
      name: "bursar_request_seconds",
      help: "How long an HTTP request took, by route.",
      labelNames: ["method", "route", "status"],
      buckets: SECONDS,
      registers,
    });
    const gauge = <L extends string>(name: string, help: string, labelNames: readonly L[]): Gauge<L> =>
      new Gauge({ name, help, labelNames: [...labelNames], registers });
    this.#gauges = {
      due: gauge("bursar_work_due_age_seconds", "How late the oldest due work is.", ["kind"]),
      unknown: gauge("bursar_unknown_money", "Money whose outcome is not known, major units.", [
        "organization",
        "book",
        "provider_account",
        "currency",
      ]),
      moderation: gauge("bursar_moderation_open", "What waits for a person.", ["reason"]),
      unwatched: gauge("bursar_books_unwatched", "Books beyond those that these numbers look at.", []),
      up: gauge("bursar_database_up", "0: the database has not answered, and what it knows is left out.", []),
      queued: gauge("bursar_lane_depth", "Commands that wait for a transaction.", []),
      inFlight: gauge("bursar_sends_in_flight", "Requests that are out.", []),
      breaches: gauge("bursar_audit_breaches", "What the newest audits found wrong, over all books.", ["check"]),
      audited: gauge("bursar_audit_last_success_timestamp_seconds", "When every book had been audited.", []),
      shut: gauge("bursar_gate_shut", "1: nothing new is sent in this scope.", ["scope", "organization", "book", "id"]),
    };
  }

  /** A transaction of the engine: how many commands, and how long it took in milliseconds. */
  readonly onBatch = (commands: number, ms: number): void => {
    // A claim that found nothing is no batch.
    if (commands === 0) return;
    this.#batchCommands.observe(commands);
    this.#batchSeconds.observe(ms / 1000);
  };

  onRequest(request: { method: string; route: string; status: number; ms: number }): void {
    const { method } = request;
    // The same route below its organization is the same route.
    const route = request.route.replace(PREFIX, "");
    this.#requestSeconds.observe({ method, route, status: `${Math.floor(request.status / 100)}xx` }, request.ms / 1000);
  }

  /** A book was audited, whatever was found. What only a full audit sees stands as the last full one saw it. */
  readonly onAudit = (audit: Audited): void => {
    this.#audits.set(audit.organizationId, audit);
    const { breaches } = this.#gauges;
    breaches.reset();
    for (const { checks, unrepaired } of this.#audits.values()) {
      const worst = new Map<string, number>();
      for (const { check, breaches: count } of [...checks, ...unrepaired]) {
        worst.set(check, Math.max(worst.get(check) ?? 0, count));
      }
      for (const [check, count] of worst) breaches.inc({ check }, count);
    }
  };

  /** Every book was audited; `time`: milliseconds since 1970. */
  readonly onAuditRound = (time: number): void => this.#gauges.audited.set(time / 1000);

  get contentType(): string {
    return this.#registry.contentType;
  }

  /** The text that a scraper reads: also when the database is away, for then somebody will look. */
  async text(from: { engine: Engine; reads: Reads }): Promise<string> {
    const { due, unknown, moderation, shut, up, queued, inFlight } = this.#gauges;
    for (const each of [due, unknown, moderation, shut]) each.reset();
    try {
      this.#show(await from.reads.gauges());
      up.set(1);
    } catch (error) {
      if (!(error instanceof StoreUnavailable)) throw error;
      up.set(0);
    }
    queued.set(from.engine.queuedCommands);
    inFlight.set(from.engine.sendsInFlight);
    return this.#registry.metrics();
  }

  #show({ dueWork, unknownMoney, openItems, shutGates, unwatchedBooks }: Gauges): void {
    const { due, unknown, moderation, shut, unwatched } = this.#gauges;
    for (const { kind, ageSeconds } of dueWork) due.set({ kind }, ageSeconds);
    for (const { organizationId, providerAccountId, currency, amountMinor } of unknownMoney) {
      const labels = { ...bookLabels(organizationId), provider_account: providerAccountId, currency };
      unknown.set(labels, Number(formatMajor(amountMinor, currency)));
    }
    for (const { reason, count } of openItems) moderation.set({ reason }, count);
    for (const { scope, organizationId, id } of shutGates) {
      const labels = organizationId === null ? { organization: "", book: "" } : bookLabels(organizationId);
      shut.set({ scope, ...labels, id }, 1);
    }
    unwatched.set(unwatchedBooks);
  }
}
