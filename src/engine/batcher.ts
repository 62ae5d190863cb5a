/**
 * Batches. Every write is a command, and what a lane hands over at once runs as one transaction. A refusal belongs to
 * its command alone, and so does a fault: whatever is wrong with one command or organization stops no other.
 */
import { ERRORS, type Refusal, refusal } from "../core/errors.ts";
import { isWeather } from "../core/faults.ts";
import { assert, err, ok, type Result } from "../core/result.ts";
import { type Cause, type Errand, type Handler, type Once, type StoredAnswer } from "./command.ts";
import { Context, type Surroundings } from "./context.ts";
import { Lane, type Pending } from "./lane.ts";
import type { Changes, Clock, OrganizationLock, Store, Tables, Tx, Want, Work } from "./ports.ts";
import type { Counting } from "./processor.ts";
import { buildSetup, closedSetup, type Setup, type SetupSource, setupWants } from "./setup.ts";
import { View } from "./view.ts";

/** Loads of one batch after the first: a chain of references is short. */
const MAX_ROUNDS = 4;
/** How much due work of one kind a claim takes per organization. */
const CLAIM_LIMIT = 50;

/** What became of one command inside a batch. */
type Decided =
  | { readonly kind: "result"; readonly result: Result<unknown, Refusal>; readonly errands: readonly Errand[] }
  | { readonly kind: "broken"; readonly error: unknown };

/** What a batch decides on, besides the rows. */
interface Loaded {
  readonly setups: Map<string, Setup>;
  /** Commands that cannot be decided, and why: what they need cannot be named, or not be read. */
  readonly broken: Map<Pending, unknown>;
}

/** Nothing of a transaction happened, and it is no weather: parts of it may run again, to find what is wrong. */
class Undone extends Error {
  override readonly name = "Undone";
}

export interface BatcherOptions extends SetupSource, Pick<Surroundings, "rng"> {
  readonly store: Store;
  readonly lanes: number;
  /** The command that looks at one piece of due work. */
  readonly wake: (kind: Work["kind"]) => Handler<Work, unknown>;
  /** The command that puts broken work aside, so that it is not tried every second. */
  readonly park: Handler<Work, unknown>;
  /** Opens the slot counting of a batch: `take` as in `Surroundings`, `keep` when the commit is known. */
  readonly openSlots: () => Counting;
  /** Provider calls that a commit has made due. */
  readonly onErrands: (errands: readonly Errand[], startedAt: number) => void;
  /** Work of an organization that a commit has made due in so many milliseconds. */
  readonly onDue: (organizationId: string, inMs: number) => void;
  readonly clock: Clock;
  readonly onBatch: (commands: number, ms: number) => void;
  readonly onBroken: (error: unknown, what: string) => void;
}

export class Batcher {
  readonly #options: BatcherOptions;
  readonly #lanes: Lane[];
  readonly #setups = new Map<string, Setup>();
  /** The database's time in the newest transaction, and when that was on the process's own clock. */
  #lastTime = 0;
  #lastTimeAt = 0;
  #isClosed = false;

  constructor(options: BatcherOptions) {
    this.#options = options;
    this.#lanes = Array.from(
      { length: options.lanes },
      () =>
        new Lane(
          (batch) => this.#flush(batch),
          (orgs) => this.#claim(orgs),
        ),
    );
  }

  /** Runs a command in its organization's lane. Rejects when the outcome is unknown or something is broken. */
  run<P, A>(organizationId: string, handler: Handler<P, A>, payload: P, cause: Cause): Promise<Result<A, Refusal>> {
    const what = { handler: handler as Handler<unknown, unknown>, payload, cause, once: null };
    return this.#enqueue(organizationId, what) as Promise<Result<A, Refusal>>;
  }

  /** Runs a command whose answer is stored with its key: a repeat gets the same answer and changes nothing. */
  runOnce<P, A>(
    organizationId: string,
    what: { handler: Handler<P, A>; payload: P; cause: Cause; once: Once<A> },
  ): Promise<Result<StoredAnswer, Refusal>> {
    const handler = what.handler as Handler<unknown, unknown>;
    const once = what.once as Once<unknown>;
    return this.#enqueue(organizationId, { ...what, handler, once }) as Promise<Result<StoredAnswer, Refusal>>;
  }

  /** Looks at what is due for an organization, after everything that is nearer to the money. */
  claim(organizationId: string): void {
    if (!this.#isClosed) this.#laneOf(organizationId).claim(organizationId);
  }

  /** An organization's setup as the last transaction here read it, and the database's time by now. */
  known(organizationId: string): { readonly setup: Setup; readonly now: number } | null {
    const setup = this.#setups.get(organizationId);
    if (setup === undefined) return null;
    return { setup, now: this.#lastTime + Math.round(this.#options.clock.monotonic() - this.#lastTimeAt) };
  }

  /** Puts work aside that cannot be done for a fault of ours, so that it is not tried every second. */
  async park(work: Work): Promise<void> {
    try {
      await this.run(work.organizationId, this.#options.park, work, { actor: "system" });
    } catch (error) {
      this.#options.onBroken(error, "park");
    }
  }

  /** Commands waiting, over all lanes. */
  get depth(): number {
    return this.#lanes.reduce((sum, lane) => sum + lane.depth, 0);
  }

  /** Takes no new claims, and resolves when everything queued is done. */
  async drain(): Promise<void> {
    this.#isClosed = true;
    await Promise.all(this.#lanes.map((lane) => lane.idle()));
  }

  #enqueue(
    organizationId: string,
    what: Pick<Pending, "handler" | "payload" | "cause" | "once">,
  ): Promise<Result<unknown, Refusal>> {
    return new Promise((resolve, reject) => {
      this.#laneOf(organizationId).push({ organizationId, ...what, settle: resolve, fail: reject });
    });
  }

  #laneOf(organizationId: string): Lane {
    let hash = 0;
    for (const character of organizationId) hash = (hash * 31 + (character.codePointAt(0) ?? 0)) >>> 0;
    const lane = this.#lanes[hash % this.#lanes.length];
    assert(lane !== undefined, "there is a lane");
    return lane;
  }

  /** One transaction for a batch of commands; each command gets its own answer. */
  async #flush(batch: readonly Pending[]): Promise<void> {
    const organizations = [...new Set(batch.map((each) => each.organizationId))].sort();
    try {
      const decided = await this.#transact(organizations, {}, async () => batch);
      batch.forEach((pending, index) => {
        const each = decided[index];
        assert(each !== undefined, "every command is decided");
        if (each.kind === "result") pending.settle(each.result);
        else {
          this.#options.onBroken(each.error, pending.handler.name);
          pending.fail(each.error);
        }
      });
    } catch (error) {
      if (error instanceof Undone && batch.length > 1) {
        // One poisoned command hurts nobody else: the halves run on their own.
        const middle = batch.length >> 1;
        await this.#flush(batch.slice(0, middle));
        await this.#flush(batch.slice(middle));
        return;
      }
      for (const pending of batch) pending.fail(error instanceof Undone ? error.cause : error);
    }
  }

  /** One transaction for due work; organizations that another process holds are left to it. */
  async #claim(organizations: readonly string[]): Promise<void> {
    const kinds: readonly Work["kind"][] = ["payout", "request", "invoice", "callback", "delivery"];
    let isFull = false;
    let claimed: Pending[] = [];
    try {
      const decided = await this.#transact([...organizations].sort(), { skipLocked: true }, async (tx) => {
        claimed = [];
        const due = await Promise.all(kinds.map((kind) => tx.claim(kind, CLAIM_LIMIT)));
        for (const work of due.flat()) claimed.push(this.#wakeOf(work));
        isFull = claimed.length >= CLAIM_LIMIT;
        return claimed;
      });
      decided.forEach((each, index) => {
        if (each.kind === "broken") claimed[index]?.fail(each.error);
      });
      const isMoving = decided.some((each) => each.kind === "result" && each.result.ok && each.result.value !== "held");
      if (isFull && isMoving) for (const each of organizations) this.claim(each);
    } catch (error) {
      if (!(error instanceof Undone)) {
        if (!isWeather(error)) this.#options.onBroken(error, "claim");
        return;
      }
      // Each organization by itself; then what was claimed in halves, until the poisoned piece of work is alone.
      if (organizations.length > 1) for (const each of organizations) await this.#claim([each]);
      else if (claimed.length > 0) await this.#flush(claimed);
      else this.#options.onBroken(error.cause, `claim of ${organizations.join()}`);
    }
  }

  #wakeOf(work: Work): Pending {
    return {
      organizationId: work.organizationId,
      handler: this.#options.wake(work.kind),
      payload: work,
      cause: { actor: "system" },
      once: null,
      settle: () => {},
      fail: (error) => {
        if (isWeather(error)) return;
        this.#options.onBroken(error, `wake-up of ${work.kind} ${work.subject}`);
        void this.park(work);
      },
    };
  }

  /** Loads, decides in order, saves; hands the errands over once the commit is answered. */
  async #transact(
    organizations: readonly string[],
    options: { skipLocked?: boolean },
    take: (tx: Tx) => Promise<readonly Pending[]>,
  ): Promise<readonly Decided[]> {
    // Leases are measured from before the transaction: the holder's clock never runs longer than the database's.
    const startedAt = this.#options.clock.monotonic();
    const slots = { current: this.#options.openSlots() };
    const { decided, due } = await this.#commit(organizations, options, async (tx) => {
      // The body may run again: counting starts afresh.
      slots.current = this.#options.openSlots();
      this.#lastTime = tx.now;
      this.#lastTimeAt = this.#options.clock.monotonic();
      const batch = await take(tx);
      const view = new View();
      for (const lock of tx.locks.values()) view.takeRow("organizationLock", lock);
      const loaded = await this.#load(tx, view, batch);
      const decided = batch.map((pending) => this.#decide(tx, view, { pending, loaded, take: slots.current.take }));
      const changes = withLockVersions(view.changes());
      return { changes, result: { decided, due: dueIn(changes, tx.now) } };
    });
    const errands = decided.flatMap((each) => (each.kind === "result" && each.result.ok ? each.errands : []));
    slots.current.keep(errands);
    this.#options.onBatch(decided.length, this.#options.clock.monotonic() - startedAt);
    if (errands.length > 0) this.#options.onErrands(errands, startedAt);
    for (const [organizationId, inMs] of due) this.#options.onDue(organizationId, inMs);
    return decided;
  }

  /** Says of a failure of the store's own that it is one: what throws after a commit must not make it run again. */
  readonly #commit: Store["commit"] = async (organizations, options, body) => {
    try {
      return await this.#options.store.commit(organizations, options, body);
    } catch (error) {
      throw isWeather(error) ? error : new Undone("nothing of the transaction happened", { cause: error });
    }
  };

  /** Two rounds: what the commands name, and what those rows refer to. */
  async #load(tx: Tx, view: View, batch: readonly Pending[]): Promise<Loaded> {
    const loaded: Loaded = { setups: new Map(), broken: new Map() };
    const live = batch.filter((each) => tx.locks.has(each.organizationId));
    const stale = [...tx.locks.values()].filter(
      (lock) => this.#setups.get(lock.organizationId)?.revision !== lock.configRevision,
    );
    const setupLoads = stale.map((lock) => setupWants(lock.organizationId));
    const named: Want[] = live.flatMap((each) =>
      wantsOf(loaded, each, () => [
        ...each.handler.wants(each.payload, each.organizationId),
        ...(each.once === null ? [] : [idempotencyWant(each.organizationId, each.once.key)]),
      ]),
    );
    const wants = view.fresh(named);
    const results = await tx.load([...setupLoads.flat(), ...wants]);
    let at = 0;
    for (const [index, lock] of stale.entries()) {
      const size = setupLoads[index]?.length ?? 0;
      const rows = results.slice(at, at + size) as readonly (readonly Tables["organization"][])[];
      at += size;
      this.#renew(loaded, lock, { rows, live });
    }
    view.take(wants, results.slice(at));
    for (const organizationId of tx.locks.keys()) {
      const setup = loaded.setups.get(organizationId) ?? this.#setups.get(organizationId);
      assert(setup !== undefined, "the setup of a locked organization is loaded");
      loaded.setups.set(organizationId, setup);
      for (const provider of setup.providers.values()) view.takeRow("providerAccount", provider.row);
    }
    for (let round = 0; round < MAX_ROUNDS; round += 1) {
      const more = view.fresh(
        live.flatMap((each) => {
          const { handler, payload, organizationId } = each;
          const setup = loaded.setups.get(organizationId);
          if (setup === undefined) return [];
          return wantsOf(loaded, each, () => handler.more?.(payload, { organizationId, rows: view, setup }) ?? []);
        }),
      );
      if (more.length === 0) break;
      view.take(more, await tx.load(more));
    }
    return loaded;
  }

  /** Builds the setup of one organization anew. Where it cannot be read, only its own commands cannot be decided. */
  #renew(
    { setups, broken }: Loaded,
    { organizationId, configRevision }: OrganizationLock,
    of: { readonly rows: Parameters<typeof buildSetup>[2]; readonly live: readonly Pending[] },
  ): void {
    try {
      this.#setups.set(organizationId, buildSetup(this.#options, configRevision, of.rows));
    } catch (error) {
      setups.set(organizationId, closedSetup(configRevision, error));
      for (const each of of.live) {
        if (each.organizationId === organizationId && each.handler.needsNoSetup !== true) broken.set(each, error);
      }
    }
  }

  #decide(tx: Tx, view: View, of: { pending: Pending; loaded: Loaded; take: Surroundings["takeSlot"] }): Decided {
    const { pending, loaded } = of;
    if (loaded.broken.has(pending)) return { kind: "broken", error: loaded.broken.get(pending) };
    const setup = loaded.setups.get(pending.organizationId);
    if (setup === undefined) {
      return { kind: "result", result: err(refusal("not-found", "There is no such organization.")), errands: [] };
    }
    const branch = view.branch();
    const context = new Context(
      {
        organizationId: pending.organizationId,
        rows: branch,
        setup,
        moment: { now: tx.now, epoch: tx.epoch, isGateOpen: tx.isGateOpen },
      },
      { name: pending.handler.name, cause: pending.cause },
      { rng: this.#options.rng, connectors: this.#options.connectors, takeSlot: of.take },
    );
    try {
      const result = pending.once === null ? pending.handler.decide(context, pending.payload) : once(context, pending);
      if (result.ok) branch.merge();
      return { kind: "result", result, errands: result.ok ? context.errands : [] };
    } catch (error) {
      return { kind: "broken", error };
    }
  }
}

/** What a command says that it needs. One that cannot say so is broken. */
function wantsOf({ broken }: Loaded, pending: Pending, say: () => readonly Want[]): readonly Want[] {
  if (broken.has(pending)) return [];
  try {
    return say();
  } catch (error) {
    broken.set(pending, error);
    return [];
  }
}

function idempotencyWant(organizationId: string, key: string): Want<"idempotency"> {
  return { table: "idempotency", by: "primary", keys: [[organizationId, key]] };
}

/** Decides a command with an Idempotency-Key: a repeat is answered from the store, another body is refused. */
function once(context: Context, pending: Pending): Result<StoredAnswer, Refusal> {
  const { organizationId } = pending;
  assert(pending.once !== null, "this command has a key");
  const { key, fingerprint } = pending.once;
  const stored = context.rows.get("idempotency", [organizationId, key]);
  if (stored !== null) {
    if (stored.fingerprint !== fingerprint) {
      return err(refusal("idempotency-key-reused", ERRORS["idempotency-key-reused"].advice));
    }
    return ok({ status: stored.status, headers: stored.headers as Record<string, string>, body: stored.body });
  }
  const result = pending.handler.decide(context, pending.payload);
  if (!result.ok) return result;
  const answer = pending.once.render(result.value);
  context.rows.put("idempotency", { organizationId, key, fingerprint, ...answer, createdTime: context.now });
  return ok(answer);
}

/** When the soonest work that these changes write becomes due, by organization. */
function dueIn(changes: Changes, now: number): ReadonlyMap<string, number> {
  const soonest = new Map<string, number>();
  const note = (organizationId: string, dueTime: number): void => {
    const inMs = Math.max(0, dueTime - now);
    if (inMs < (soonest.get(organizationId) ?? Number.POSITIVE_INFINITY)) soonest.set(organizationId, inMs);
  };
  for (const work of changes.insert.work ?? []) note(work.organizationId, work.dueTime);
  for (const { key, set } of changes.update.work ?? []) {
    if (set.dueTime !== undefined) note(String(key[0]), set.dueTime);
  }
  return soonest;
}

/** Every lock row that a batch has changed is one version on. */
function withLockVersions(changes: Changes): Changes {
  const locks = changes.update.organizationLock;
  if (locks === undefined) return changes;
  const next = locks.map((each) => ({ ...each, set: { ...each.set, version: each.version + 1 } }));
  return { ...changes, update: { ...changes.update, organizationLock: next } };
}
