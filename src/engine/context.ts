/** What one command decides with: its branch of the rows, the time, the setup, and the counters of its organization. */
import type { Connector } from "../connectors/contract.ts";
import { type Refusal, refusal } from "../core/errors.ts";
import { uuid7 } from "../core/ids.ts";
import type { LedgerAccount } from "../core/money/ledger.ts";
import { type AccountRef, accountId, balanceAfter, openAccount, type Posting } from "../core/money/ledger.ts";
import { assert, err, InvariantBroken, ok, type Result } from "../core/result.ts";
import type { Cause, Errand } from "./command.ts";
import type { OrganizationLock, Rng } from "./ports.ts";
import type { Setup } from "./setup.ts";
import type { Branch } from "./view.ts";

/** What a decision may ask of the process around it. */
export interface Surroundings {
  readonly rng: Rng;
  readonly connectors: ReadonlyMap<string, Connector>;
  /** Whether this process calls out, and a slot of this key is free. Counted until the batch is over. */
  readonly takeSlot: (organizationId: string, slotKey: string) => boolean;
}

export interface Moment {
  readonly now: number;
  readonly epoch: number;
  readonly isGateOpen: boolean;
}

export class Context {
  readonly organizationId: string;
  readonly rows: Branch;
  readonly setup: Setup;
  readonly cause: Cause;
  readonly moment: Moment;
  readonly errands: Errand[] = [];
  readonly #name: string;
  readonly #around: Surroundings;
  #commandId: string | null = null;
  /** What the decision has learned about its cause, kept with it. */
  #learned: Readonly<Record<string, unknown>> = {};

  constructor(
    at: { organizationId: string; rows: Branch; setup: Setup; moment: Moment },
    command: { name: string; cause: Cause },
    around: Surroundings,
  ) {
    this.organizationId = at.organizationId;
    this.rows = at.rows;
    this.setup = at.setup;
    this.moment = at.moment;
    this.cause = command.cause;
    this.#name = command.name;
    this.#around = around;
  }

  get now(): number {
    return this.moment.now;
  }

  newId(): string {
    return uuid7(this.now, this.#around.rng.bytes(10));
  }

  /** A number below one million, from the process's randomness: the draw of a weighted choice. */
  random(): number {
    const bytes = this.#around.rng.bytes(4);
    return Buffer.from(bytes).readUInt32BE(0) % 1_000_000;
  }

  get connectors(): ReadonlyMap<string, Connector> {
    return this.#around.connectors;
  }

  /** A slot for one request to a provider account, or to a webhook's receiver. */
  takeSlot(slotKey: string): boolean {
    return this.#around.takeSlot(this.organizationId, slotKey);
  }

  secretBytes(count: number): Uint8Array {
    return this.#around.rng.bytes(count);
  }

  get lock(): OrganizationLock {
    const lock = this.rows.get("organizationLock", [this.organizationId]);
    assert(lock !== null, "decisions are taken under the organization's lock row");
    return lock;
  }

  /** Changes counters of the lock row; the row's version grows once per batch, when it is written. */
  count(patch: Partial<Omit<OrganizationLock, "organizationId" | "version">>): void {
    this.rows.put("organizationLock", { ...this.lock, ...patch });
  }

  nextFence(): number {
    const fence = this.lock.fence + 1;
    this.count({ fence });
    return fence;
  }

  /** Keeps something with the cause of this command: what a provider's answer was read as, for instance. */
  learn(members: Readonly<Record<string, unknown>>): void {
    this.#learned = { ...this.#learned, ...members };
    if (this.#commandId === null) return;
    const row = this.rows.get("command", [this.organizationId, this.#commandId]);
    if (row !== null) this.rows.put("command", { ...row, body: this.#body() });
  }

  #body(): unknown {
    const said = this.cause.body ?? null;
    if (Object.keys(this.#learned).length === 0) return said;
    return typeof said === "object" && said !== null ? { ...said, ...this.#learned } : { ...this.#learned };
  }

  /** The row that says what caused the changes of this command; written once, when first asked for. */
  commandId(subject: string | null): string {
    if (this.#commandId !== null) return this.#commandId;
    const id = this.newId();
    this.#commandId = id;
    const { cause } = this;
    this.rows.put("command", {
      organizationId: this.organizationId,
      id,
      kind: this.#name,
      actor: cause.actor,
      subject,
      providerAccountId: cause.providerAccountId ?? null,
      messageId: cause.messageId ?? null,
      verified: cause.verified ?? null,
      body: this.#body(),
      bodyHash: cause.bodyHash ?? null,
      time: this.now,
    });
    return id;
  }

  account(ref: AccountRef): LedgerAccount {
    return (
      this.rows.get("ledgerAccount", [this.organizationId, accountId(ref)]) ?? openAccount(this.organizationId, ref)
    );
  }

  /**
   * Writes a posting: entries and balances. Refused with `insufficient-funds` when a merchant's available balance
   * would fall below its floor; any other account below its floor is a broken invariant.
   */
  post(posting: Posting): Result<null, Refusal> {
    let { entrySequence } = this.lock;
    let line = 0;
    for (const { account: ref, amountMinor } of posting.lines) {
      const account = this.account(ref);
      const balanceMinor = balanceAfter(account, amountMinor);
      if (account.floorMinor !== null && balanceMinor < account.floorMinor) {
        if (account.kind !== "available") {
          throw new InvariantBroken(`${posting.cause} of ${posting.subject} takes ${account.id} below its floor`);
        }
        return err(refusal("insufficient-funds", `Website ${ref.owner} has not enough available ${ref.currency}.`));
      }
      this.rows.put("ledgerAccount", { ...account, balanceMinor, version: account.version + 1 });
      entrySequence += 1;
      this.rows.put("entry", {
        organizationId: this.organizationId,
        accountId: account.id,
        sequence: entrySequence,
        subject: posting.subject,
        cause: posting.cause,
        line,
        currency: ref.currency,
        amountMinor,
        time: this.now,
      });
      line += 1;
    }
    this.count({ entrySequence });
    return ok(null);
  }
}
