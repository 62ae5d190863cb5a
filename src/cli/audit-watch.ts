/**
 * The audit of a running Bursar: what is new every few minutes, everything once a day. A breach is logged and counted,
 * and shuts the sending gate of its organization: money stays where it is until a person has looked.
 */
import { createHash } from "node:crypto";
import type { Logger } from "pino";
import { StoreUnavailable } from "../core/faults.ts";
import { shutGate } from "../engine/commands/gates.ts";
import type { Engine } from "../engine/engine.ts";
import type { Clock, Timer } from "../engine/ports.ts";
import type { Auditor, AuditReport } from "../store/audit.ts";

export interface WatchOptions {
  readonly auditor: Auditor;
  readonly engine: Pick<Engine, "run">;
  readonly clock: Clock;
  readonly timer: Timer;
  readonly log: Pick<Logger, "error" | "info" | "warn">;
  /** Time between two rounds, minutes. */
  readonly minutes: number;
  /** Told of every audit. */
  readonly onReport: (report: AuditReport) => void;
  /** Told when a round has audited every organization. `time`: of its first snapshot, milliseconds since 1970. */
  readonly onRound: (time: number) => void;
}

const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;
/** A full audit that found something is repeated sooner, so that its repair is seen. */
const AGAIN_MS = 60 * MINUTE_MS;
const FIRST_MS = 1_000;

/** Where in its day an organization's full audit lies: its own place, so that not all come at once. */
function placeInDay(organizationId: string): number {
  return createHash("sha256").update(organizationId).digest().readUInt32BE(0) / 2 ** 32;
}

/** What names a breach, whenever it is found again. */
const keysOf = ({ checks }: AuditReport): string[] =>
  checks.flatMap(({ check, found }) => found.map(({ id }) => `${check} ${id}`));

export class AuditWatch {
  readonly #options: WatchOptions;
  /** When the next full audit of an organization is due, on the monotonic clock. */
  readonly #fullAt = new Map<string, number>();
  /** Breaches that have shut a gate. Whoever opens it has seen them; only a new one shuts it again. */
  readonly #known = new Map<string, Set<string>>();
  #cancel: (() => void) | null = null;
  #round: Promise<void> | null = null;
  #isClosing = false;

  constructor(options: WatchOptions) {
    this.#options = options;
  }

  start(): void {
    this.#schedule(FIRST_MS);
  }

  /** Begins no further audit, and resolves when the one that runs is done. */
  async stop(): Promise<void> {
    this.#isClosing = true;
    this.#cancel?.();
    await this.#round;
  }

  #schedule(delayMs: number): void {
    this.#cancel = this.#options.timer.after(delayMs, () => {
      this.#round = this.runRound().finally(() => {
        if (!this.#isClosing) this.#schedule(this.#options.minutes * MINUTE_MS);
      });
    });
  }

  /** Audits every organization once. Never rejects: what goes wrong is logged, and the next round tries again. */
  async runRound(): Promise<void> {
    const { auditor, log, onRound } = this.#options;
    let first: number | null = null;
    try {
      for (const organizationId of await auditor.organizations()) {
        if (this.#isClosing) return;
        const report = await this.#audit(organizationId);
        first ??= report?.time ?? null;
      }
      if (first !== null) onRound(first);
    } catch (error) {
      const why = error instanceof StoreUnavailable ? "the database is away" : "the audit could not run";
      // Weather, as far as anybody knows: the next round comes, and an alert watches for audits that stay away.
      log.warn({ err: error }, why);
    }
  }

  async #audit(organizationId: string): Promise<AuditReport | null> {
    const { auditor, clock, onReport } = this.#options;
    const now = clock.monotonic();
    const fullAt = this.#fullAt.get(organizationId) ?? now + placeInDay(organizationId) * DAY_MS;
    const isFull = now >= fullAt;
    const found = await auditor.audit(organizationId, { isFull });
    if (found === null) return null;
    const laterMs = found.breaches > 0 ? AGAIN_MS : DAY_MS;
    this.#fullAt.set(organizationId, isFull ? now + laterMs : fullAt);
    const report = found.breaches > 0 ? await this.#answer(found) : found;
    onReport(report);
    return report;
  }

  /** Tells of the breaches, and shuts the gate where one of them is new. The report then says so. */
  async #answer(report: AuditReport): Promise<AuditReport> {
    const { organizationId, breaches, checks, scope } = report;
    const { engine, log } = this.#options;
    const broken = checks.filter((check) => check.breaches > 0);
    const told = broken.map(({ check, breaches: count, found }) => ({
      check,
      breaches: count,
      first: found.slice(0, 5),
    }));
    log.error({ organizationId, scope, breaches, checks: told }, "the audit found breaches");
    const known = this.#known.get(organizationId) ?? new Set<string>();
    const keys = keysOf(report);
    if (keys.every((key) => known.has(key))) return report;
    const reason = `audit: ${broken.map(({ check }) => check).join(", ")}`;
    const order = { providerAccountId: null, currency: null, reason };
    const cause = { actor: "system", body: { reason } };
    const shut = await engine.run(organizationId, shutGate, order, cause);
    if (!shut.ok) throw new Error(`the gate of ${organizationId} could not be shut: ${shut.error.detail}`);
    this.#known.set(organizationId, new Set(keys));
    const others = report.shutGates.filter((gate) => gate.scope !== "organization");
    return { ...report, shutGates: [{ scope: "organization", id: organizationId }, ...others] };
  }
}
