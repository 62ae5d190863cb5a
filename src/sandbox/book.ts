/**
 * The provider's book: every operation it holds, as a fold over a journal. A line says what will happen and when, so
 * the state at any time is a function of the lines and the clock: a restart forgets nothing and has nothing to redo.
 */
import { createHash } from "node:crypto";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { formatMajor, max } from "../core/money/money.ts";
import { type Journal, openJournal } from "./journal.ts";
import { planNamed } from "./outcomes.ts";
import type { CommandName, DelayWord, ScenarioPlan, StatusWord, StepPlan } from "./plans.ts";

/** Delays in milliseconds. They hold for what begins after they are set. */
export interface Control {
  /** When a withheld answer's socket is closed. */
  readonly timeoutMs: number;
  /** How late an answer is where the scenario says "answer". */
  readonly answerDelayMs: number;
  readonly callbackDelayMs: number;
  /** Late arrivals, late payments, returns. */
  readonly lateMs: number;
}

const DEFAULT_CONTROL: Control = { timeoutMs: 3000, answerDelayMs: 1000, callbackDelayMs: 150, lateMs: 1500 };

export interface Order {
  readonly reference: string;
  readonly amountMinor: bigint;
  readonly currency: string;
  /** The payee's account. */
  readonly account: string;
  readonly callbackUrl: string | null;
  /** The caller's secret: callbacks are signed with it. */
  readonly secret: string;
}

/** Where an operation is from `due` (Unix milliseconds) on. Amounts are decimal strings in major units, cumulative. */
export interface State {
  readonly due: number;
  readonly status: StatusWord;
  readonly code?: string;
  readonly paid: string;
  readonly returned: string;
  readonly returnId?: string;
  /**
   * How many times the order has been carried out: how often the payee has had the money at one time. So it is 1 from
   * the first payment on, also when that has come back since; paid again after it came back in full it stays 1, for
   * never more than one payment was out at once.
   */
  readonly effective: number;
}

/** A callback about the state with this index. */
export interface ScheduledCall {
  readonly due: number;
  readonly state: number;
  readonly forged?: "status" | "amount";
}

interface OperationLine {
  readonly kind: "operation";
  readonly at: number;
  readonly reference: string;
  readonly providerReference: string;
  readonly amount: string;
  /** The amount that messages name; differs from `amount` in one scenario only. */
  readonly echo: string;
  readonly currency: string;
  readonly account: string;
  readonly callbackUrl: string | null;
  readonly secretId: string;
  readonly plan: string;
  readonly states: readonly State[];
  readonly calls: readonly ScheduledCall[];
}

type Line =
  | OperationLine
  | { readonly kind: "secret"; readonly id: string; readonly secret: string }
  /** A request that booked nothing; `plan` is what it asked for, where that forces later answers. */
  | { readonly kind: "post"; readonly at: number; readonly reference: string; readonly plan?: string }
  /** A revoke or cancel that was told to come later. */
  | { readonly kind: "limited"; readonly at: number; readonly reference: string; readonly command: CommandName }
  | {
      readonly kind: "command";
      readonly at: number;
      readonly reference: string;
      readonly command: CommandName;
      /** Follow the states that were due at `at`; what was planned for later is dropped. */
      readonly states: readonly State[];
      readonly calls: readonly ScheduledCall[];
    }
  | { readonly kind: "call"; readonly reference: string; readonly call: number; readonly isDelivered: boolean }
  | { readonly kind: "control"; readonly control: Control };

export interface Operation {
  readonly made: OperationLine;
  readonly plan: ScenarioPlan;
  readonly secret: string;
  states: readonly State[];
  calls: readonly ScheduledCall[];
  /** Indexes of calls that are over: delivered or given up. */
  readonly done: Set<number>;
  readonly asked: Set<CommandName>;
  /** How many of each were told to come later. */
  readonly limited: Map<CommandName, number>;
  /** Resolves when all that is known of it is written down. */
  durable: Promise<void>;
}

/** An operation in the provider's own account of what it did. */
export interface BookRow {
  readonly reference: string;
  readonly providerReference: string;
  readonly amount: string;
  readonly currency: string;
  readonly destination: string;
  readonly status: StatusWord;
  readonly effective: number;
  readonly paidAmount: string;
  readonly returnedAmount: string;
}

/** What a new plan or command is measured from. */
interface Start {
  readonly at: number;
  readonly control: Control;
  readonly amountMinor: bigint;
  readonly currency: string;
  readonly providerReference: string;
  /** The states before it. */
  readonly before: readonly State[];
  /** How much "all" that is returned is, in minor units; null: all that was paid. */
  readonly cancelMinor: bigint | null;
}

/** A revoke or cancel that is carried out. */
interface Command {
  readonly name: CommandName;
  readonly steps: readonly StepPlan[];
  /** Minor units, at most what is left; null: all of it. */
  readonly cancelMinor: bigint | null;
}

const UNBOOKED: ScenarioPlan = { doc: "Not known any more.", answer: { kind: "shown" }, steps: [] };

export class Book {
  readonly #journal: Journal<Line>;
  readonly #operations = new Map<string, Operation>();
  readonly #posts = new Map<string, number>();
  /** Of orders that are not booked, as far as they force later answers. */
  readonly #unbooked = new Map<string, ScenarioPlan>();
  readonly #secrets = new Map<string, string>();
  #control: Control = DEFAULT_CONTROL;

  private constructor(journal: Journal<Line>, lines: readonly Line[]) {
    this.#journal = journal;
    for (const line of lines) this.#apply(line, Promise.resolve());
  }

  /** @param folder made when absent; the book is `book.ndjson` in it */
  static async open(folder: string): Promise<Book> {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const { journal, lines } = await openJournal<Line>(join(folder, "book.ndjson"));
    return new Book(journal, lines);
  }

  get control(): Control {
    return this.#control;
  }

  find(reference: string): Operation | undefined {
    return this.#operations.get(reference);
  }

  operations(): IterableIterator<Operation> {
    return this.#operations.values();
  }

  async setControl(change: Partial<Control>): Promise<Control> {
    const control = { ...this.#control, ...change };
    await this.#write({ kind: "control", control });
    return control;
  }

  /** Counts a request that books nothing; answers how many there were with this reference. */
  async countPost(reference: string, planName: string, at: number): Promise<number> {
    const plan = planNamed(planName)?.forced === undefined ? {} : { plan: planName };
    const written = this.#write({ kind: "post", at, reference, ...plan });
    const count = this.#posts.get(reference) ?? 0;
    await written;
    return count;
  }

  postsOf(reference: string): number {
    return this.#posts.get(reference) ?? 0;
  }

  /** The plan of an order, also of one that is not booked but forces later answers. */
  planOf(reference: string): ScenarioPlan | undefined {
    return this.#operations.get(reference)?.plan ?? this.#unbooked.get(reference);
  }

  /** Books an order by a plan. It can be found at once and is durable when `durable` resolves. */
  create(order: Order, planName: string, at: number): Operation {
    const plan = planNamed(planName) ?? UNBOOKED;
    const secretId = hash(`secret:${order.secret}`).slice(0, 20);
    if (!this.#secrets.has(secretId)) void this.#write({ kind: "secret", id: secretId, secret: order.secret });
    const providerReference = `sbx_${hash(`operation:${order.reference}`).slice(0, 20)}`;
    const { currency } = order;
    const amountMinor = echoed(order.amountMinor, plan.echoPercent ?? 100);
    const start: Start = {
      at,
      control: this.#control,
      amountMinor,
      currency,
      providerReference,
      before: [],
      cancelMinor: null,
    };
    const line: OperationLine = {
      kind: "operation",
      at,
      reference: order.reference,
      providerReference,
      amount: formatMajor(order.amountMinor, currency),
      echo: formatMajor(amountMinor, currency),
      currency,
      account: order.account,
      callbackUrl: order.callbackUrl,
      secretId,
      plan: planName,
      ...schedule(plan.steps, start),
    };
    void this.#write(line);
    const operation = this.#operations.get(order.reference);
    if (operation === undefined) throw new Error("a booked operation is not in the book");
    return operation;
  }

  /** Carries out a revoke or cancel; with no steps it only remembers that it was asked. */
  command(operation: Operation, { name: command, steps, cancelMinor }: Command, at: number): void {
    const { made } = operation;
    const before = steps.length === 0 ? operation.states : operation.states.filter(({ due }) => due <= at);
    const start: Start = {
      at,
      control: this.#control,
      amountMinor: minorOf(made.echo),
      currency: made.currency,
      providerReference: made.providerReference,
      before,
      cancelMinor,
    };
    void this.#write({ kind: "command", at, reference: made.reference, command, ...schedule(steps, start) });
  }

  /** Counts a revoke or cancel that is told to come later; durable when the operation's `durable` resolves. */
  limitCommand(operation: Operation, command: CommandName, at: number): void {
    void this.#write({ kind: "limited", at, reference: operation.made.reference, command });
  }

  /** Notes that a callback needs no further attempt. Nothing waits for it: lost, the callback comes once more. */
  closeCall(operation: Operation, call: number, isDelivered: boolean): void {
    void this.#write({ kind: "call", reference: operation.made.reference, call, isDelivered });
  }

  close(): Promise<void> {
    return this.#journal.close();
  }

  #write(line: Line): Promise<void> {
    const written = this.#journal.append(line);
    // Who does not wait for it must not bring the process down; who waits gets the error.
    written.catch(() => undefined);
    this.#apply(line, written);
    return written;
  }

  #apply(line: Line, written: Promise<void>): void {
    switch (line.kind) {
      case "secret":
        this.#secrets.set(line.id, line.secret);
        break;
      case "control":
        this.#control = line.control;
        break;
      case "post":
        this.#countPost(line);
        break;
      case "operation":
        this.#operations.set(line.reference, this.#begin(line, written));
        break;
      case "limited":
      case "command":
      case "call":
        this.#change(line, written);
        break;
    }
  }

  #countPost({ reference, plan }: Line & { kind: "post" }): void {
    this.#posts.set(reference, (this.#posts.get(reference) ?? 0) + 1);
    const forcing = plan === undefined ? null : planNamed(plan);
    if (forcing !== null) this.#unbooked.set(reference, forcing);
  }

  #change(line: Line & { kind: "limited" | "command" | "call" }, written: Promise<void>): void {
    const operation = this.#operations.get(line.reference);
    if (operation === undefined) throw new Error(`the book names an operation that it never made`);
    switch (line.kind) {
      case "call":
        operation.done.add(line.call);
        break;
      case "limited":
        operation.limited.set(line.command, (operation.limited.get(line.command) ?? 0) + 1);
        operation.durable = written;
        break;
      case "command":
        obey(operation, line, written);
        break;
    }
  }

  #begin(line: OperationLine, durable: Promise<void>): Operation {
    const { states, calls } = line;
    const plan = planNamed(line.plan) ?? UNBOOKED;
    const secret = this.#secrets.get(line.secretId) ?? "";
    const [done, asked, limited] = [new Set<number>(), new Set<CommandName>(), new Map<CommandName, number>()];
    return { made: line, plan, secret, states, calls, done, asked, limited, durable };
  }
}

/** The state at a time; undefined while the order has not arrived. */
export function stateAt(operation: Operation, now: number): State | undefined {
  return operation.states.findLast(({ due }) => due <= now);
}

/** What was paid and has not come back, in minor units. */
export function leftMinor({ paid, returned }: State): bigint {
  return minorOf(paid) - minorOf(returned);
}

export function bookRow(operation: Operation, now: number): BookRow | null {
  const { made } = operation;
  const state = stateAt(operation, now);
  if (state === undefined) return null;
  return {
    reference: made.reference,
    providerReference: made.providerReference,
    amount: made.amount,
    currency: made.currency,
    destination: made.account,
    status: state.status,
    effective: state.effective,
    paidAmount: state.paid,
    returnedAmount: state.returned,
  };
}

function obey(operation: Operation, line: Line & { kind: "command" }, written: Promise<void>): void {
  operation.asked.add(line.command);
  operation.durable = written;
  if (line.states.length === 0) return;
  const kept = operation.states.filter(({ due }) => due <= line.at);
  operation.states = [...kept, ...line.states];
  // Indexes of calls are constant: one that tells of a dropped state is over, not gone.
  for (const [index, call] of operation.calls.entries()) if (call.state >= kept.length) operation.done.add(index);
  operation.calls = [...operation.calls, ...line.calls];
}

function delayMs(words: readonly DelayWord[], control: Control): number {
  const table: Record<DelayWord, number> = {
    answer: control.answerDelayMs,
    callback: control.callbackDelayMs,
    late: control.lateMs,
  };
  return words.reduce((sum, word) => sum + table[word], 0);
}

function schedule(steps: readonly StepPlan[], start: Start): { states: State[]; calls: ScheduledCall[] } {
  const states: State[] = [];
  const calls: ScheduledCall[] = [];
  let last = start.before.at(-1);
  for (const step of steps) {
    const state = stateOf(step, start, last);
    const index = start.before.length + states.length;
    states.push(state);
    last = state;
    for (const { after, ...call } of step.calls) {
      calls.push({ ...call, due: state.due + delayMs(after, start.control), state: index });
    }
  }
  return { states, calls };
}

function stateOf(step: StepPlan, start: Start, last: State | undefined): State {
  const { currency, amountMinor } = start;
  const part = (percent: number): string => formatMajor(percentOf(amountMinor, percent), currency);
  const none = formatMajor(0n, currency);
  const paid = step.paid === undefined ? (last?.paid ?? none) : part(step.paid);
  const before = last?.returned ?? none;
  const all = start.cancelMinor === null ? paid : formatMajor(minorOf(before) + start.cancelMinor, currency);
  const returned = step.returned === "all" ? all : step.returned === undefined ? before : part(step.returned);
  const returnId = returned === before ? last?.returnId : `${start.providerReference}-r${returned}`;
  return {
    due: start.at + delayMs(step.after, start.control),
    status: step.status === "returned" && returned !== paid ? "returned_part" : step.status,
    ...(step.code === undefined ? {} : { code: step.code }),
    paid,
    returned,
    ...(returnId === undefined ? {} : { returnId }),
    effective: /[1-9]/.test(paid) ? 1 : 0,
  };
}

/** Down, but never nothing of something. */
function percentOf(amountMinor: bigint, percent: number): bigint {
  return percent === 0 ? 0n : max((amountMinor * BigInt(percent)) / 100n, 1n);
}

/** Another amount for any percentage but 100, however small the amount is. */
function echoed(amountMinor: bigint, percent: number): bigint {
  return percent === 100 ? amountMinor : max((amountMinor * BigInt(percent)) / 100n, amountMinor + 1n);
}

/** The currency's exponent is in the text already: all its decimals are written. */
function minorOf(amount: string): bigint {
  return BigInt(amount.replace(".", ""));
}

function hash(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}
