/**
 * The audit of a running Bursar: what is new every few minutes, everything once a day. A breach is logged and counted,
 * and shuts the sending gate of its organization: money stays where it is until a person has looked.
 */
import { createHash } from "node:crypto";
import type { Logger } from "pino";
import { StoreUnavailable } from "../core/faults.ts";
import { shutGate } from "../engine/commands/gates.ts";
import type { Engine } from "../engine/engine.ts";
import type { Timer } from "../engine/ports.ts";
import type { AuditedBook, Auditor, AuditReport, Breach, CheckResult } from "../store/audit.ts";

export interface WatchOptions {
  readonly auditor: Auditor;
  readonly engine: Pick<Engine, "run">;
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

/** Once a day, at the book's own time of it (UTC), whoever was started since; sooner where the last one found something. */
export function isFullDue({ organizationId, now, lastFull }: AuditedBook): boolean {
  if (lastFull === null) return true;
  if (!lastFull.isClean) return now - lastFull.time >= AGAIN_MS;
  const sinceItsTime = (now - placeInDay(organizationId) * DAY_MS) % DAY_MS;
  return lastFull.time < now - sinceItsTime;
}

/** What is known of a check that found something: the names of its breaches, as far as they were named, and how many. */
interface Known {
  readonly names: ReadonlySet<string>;
  readonly breaches: number;
}

/** What names a breach, whenever it is found again. */
const nameOf = ({ id, figure }: Breach): string => `${id} ${figure ?? ""}`;

/** Whether a check found what is not known. Beyond those that are named only their number tells. */
function isNew({ breaches, found }: CheckResult, known: Known | undefined): boolean {
  if (known === undefined || found.some((breach) => !known.names.has(nameOf(breach)))) return true;
  return breaches > found.length && breaches > known.breaches;
}

/** What is known after an audit: a full one sees everything, and forgets what it does not find. */
function learned(
  { checks, scope }: AuditReport,
  known: ReadonlyMap<string, Known> | undefined,
): ReadonlyMap<string, Known> {
  const isFull = scope === "full";
  const next = new Map(isFull ? [] : known);
  for (const { check, breaches, found } of checks) {
    if (breaches === 0) continue;
    const before = known?.get(check);
    const isAllNamed = isFull && breaches === found.length;
    const names = new Set([...found.map(nameOf), ...(isAllNamed ? [] : (before?.names ?? []))]);
    next.set(check, { names, breaches: isFull ? breaches : Math.max(breaches, before?.breaches ?? 0) });
  }
  return next;
}

export class AuditWatch {
  readonly #options: WatchOptions;
  /** Breaches that have shut a gate, by check. Whoever opens it has seen them; only a new one shuts it again. */
  readonly #known = new Map<string, ReadonlyMap<string, Known>>();
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
      for (const book of await auditor.books()) {
        if (this.#isClosing) return;
        const report = await this.#audit(book);
        first ??= report?.time ?? null;
      }
      if (first !== null) onRound(first);
    } catch (error) {
      const why = error instanceof StoreUnavailable ? "the database is away" : "the audit could not run";
      // Weather, as far as anybody knows: the next round comes, and an alert watches for audits that stay away.
      log.warn({ err: error }, why);
    }
  }

  async #audit(book: AuditedBook): Promise<AuditReport | null> {
    const { auditor, onReport } = this.#options;
    const report = await auditor.audit(book.organizationId, { isFull: isFullDue(book) });
    if (report === null) return null;
    onReport(report);
    const known = this.#known.get(report.organizationId);
    const broken = report.checks.filter((check) => check.breaches > 0);
    if (broken.length > 0) this.#tell(report, broken);
    if (broken.some((check) => isNew(check, known?.get(check.check))) && !(await this.#shut(report, broken)))
      return report;
    this.#known.set(report.organizationId, learned(report, known));
    return report;
  }

  #tell({ organizationId, scope, breaches }: AuditReport, broken: readonly CheckResult[]): void {
    const checks = broken.map(({ check, breaches: count, found }) => ({
      check,
      breaches: count,
      first: found.slice(0, 5),
    }));
    this.#options.log.error({ organizationId, scope, breaches, checks }, "the audit found breaches");
  }

  /** Shuts the gate. Where that fails the next round tries again; other books go on. */
  async #shut({ organizationId }: AuditReport, broken: readonly CheckResult[]): Promise<boolean> {
    const { engine, log } = this.#options;
    const reason = `audit: ${broken.map(({ check }) => check).join(", ")}`;
    const order = { providerAccountId: null, currency: null, reason };
    const shut = await engine.run(organizationId, shutGate, order, { actor: "system", body: { reason } });
    if (!shut.ok) {
      // Without its lock row nothing of an organization can be changed, and nothing is sent.
      log.error({ organizationId, err: shut.error }, "the gate could not be shut");
      return false;
    }
    return true;
  }
}
