/** The application: commands in, provider calls out, everything else behind. Built once, from ports. */
import type { Account, Connector } from "../connectors/contract.ts";
import type { Refusal } from "../core/errors.ts";
import { ok, type Result } from "../core/result.ts";
import { Batcher } from "./batcher.ts";
import { type Cause, type Handler, type Once, ORDER, type StoredAnswer } from "./command.ts";
import { parkWork, wakeHandler } from "./commands/wake.ts";
import type { Ports } from "./ports.ts";
import { Processor, Slots } from "./processor.ts";
import { withCleanWords } from "./provider-words.ts";
import type { Vault } from "./vault.ts";

export interface EngineOptions {
  readonly ports: Ports;
  readonly vault: Vault;
  readonly connectors: ReadonlyMap<string, Connector>;
  /** Where providers reach us, without a trailing slash; null when they cannot. */
  readonly publicUrl: () => string | null;
  /** Whether this process calls providers (roles `all` and `worker`). */
  readonly isWorking: boolean;
  readonly lanes?: number;
  /** Told of every transaction: how many commands it held, and how many milliseconds it took. */
  readonly onBatch?: (commands: number, ms: number) => void;
  /** Told of every bug and broken invariant, with what was being done. */
  readonly onBroken: (error: unknown, what: string) => void;
}

const DEFAULT_LANES = 4;

/** A provider account with its credentials unsealed, and the database's time. */
export interface OpenAccount {
  readonly connector: Connector;
  readonly account: Account;
  readonly now: number;
}

/** Changes nothing: the setup is loaded with every transaction. */
const readAccount: Handler<string, OpenAccount | null> = {
  name: "read-provider-account",
  order: ORDER.outcome,
  wants: () => [],
  decide(context, id) {
    const found = context.setup.providers.get(id);
    return ok(found === undefined ? null : { connector: found.connector, account: found.account, now: context.now });
  },
};

export class Engine {
  readonly connectors: ReadonlyMap<string, Connector>;
  readonly vault: Vault;
  readonly #batcher: Batcher;
  readonly #processor: Processor;
  readonly #slots: Slots;
  #isClosing = false;

  constructor(options: EngineOptions) {
    const { ports, vault } = options;
    const connectors = withCleanWords(options.connectors);
    this.connectors = connectors;
    this.vault = vault;
    this.#slots = new Slots(() => options.isWorking && !this.#isClosing);
    this.#batcher = new Batcher({
      store: ports.store,
      clock: ports.clock,
      rng: ports.rng,
      lanes: options.lanes ?? DEFAULT_LANES,
      vault,
      connectors,
      publicUrl: options.publicUrl,
      wake: wakeHandler,
      park: parkWork,
      openSlots: () => this.#slots.open(),
      onErrands: (errands, startedAt) => this.#processor.runAll(errands, startedAt),
      onDue: (organizationId, inMs) => this.#processor.wakeIn(organizationId, inMs),
      onBatch: options.onBatch ?? (() => {}),
      onBroken: options.onBroken,
    });
    this.#processor = new Processor(
      { ...ports, isWorking: options.isWorking, onBroken: options.onBroken },
      { batcher: this.#batcher, slots: this.#slots },
    );
  }

  /** Runs one command. Refusals are values; a rejection means that the outcome is unknown or something is broken. */
  run<P, A>(organizationId: string, handler: Handler<P, A>, payload: P, cause: Cause): Promise<Result<A, Refusal>> {
    return this.#batcher.run(organizationId, handler, payload, cause);
  }

  /** Runs one command whose answer is stored under its idempotency key. */
  runOnce<P, A>(
    organizationId: string,
    what: { handler: Handler<P, A>; payload: P; cause: Cause; once: Once<A> },
  ): Promise<Result<StoredAnswer, Refusal>> {
    return this.#batcher.runOnce(organizationId, what);
  }

  /** What this process last knew of a provider account, at no cost; null when it knows nothing of it. */
  knownAccount(organizationId: string, providerAccountId: string): OpenAccount | null {
    const known = this.#batcher.known(organizationId);
    const found = known?.setup.providers.get(providerAccountId);
    if (known === null || found === undefined) return null;
    return { connector: found.connector, account: found.account, now: known.now };
  }

  /** What it takes to verify a provider's message; null when there is no such account, or no connector for it. */
  async account(organizationId: string, providerAccountId: string): Promise<OpenAccount | null> {
    const read = await this.run(organizationId, readAccount, providerAccountId, { actor: "system" });
    return read.ok ? read.value : null;
  }

  /** Begins to look for due work. */
  start(): void {
    this.#processor.start();
  }

  /** Sends nothing new, waits for what is out, then for what is queued. */
  async stop(): Promise<void> {
    this.#isClosing = true;
    await this.#processor.stop();
    await this.#batcher.drain();
  }

  get queuedCommands(): number {
    return this.#batcher.depth;
  }

  get sendsInFlight(): number {
    return this.#slots.inUse;
  }
}
