/** What the provider does with each request: reads it, writes the book, says how it is answered. */
import { isCurrency } from "../core/money/currency.ts";
import { parseMajor } from "../core/money/money.ts";
import { type Book, bookRow, type Control, leftMinor, type Operation, type Order, stateAt } from "./book.ts";
import type { Callbacks } from "./callbacks.ts";
import { messageOf } from "./message.ts";
import { choosePlan, type FieldProblem, planNamed, type Wish, wishProblems } from "./outcomes.ts";
import {
  type AnswerPlan,
  COMMANDS,
  type CommandName,
  type CommandPlan,
  type LaterRequest,
  rateLimited,
} from "./plans.ts";

/** A request as it came in; header names are lower-case. */
export interface Incoming {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
  readonly body: string;
  /** Unix milliseconds. */
  readonly at: number;
}

export type Reply =
  | {
      readonly kind: "body";
      readonly http: number;
      readonly body: string;
      readonly headers?: Readonly<Record<string, string>>;
    }
  | { readonly kind: "withheld"; readonly closeAfterMs: number }
  | { readonly kind: "reset" };

/** Which sandbox this is, for whoever wants to adopt it. */
export interface Identity {
  readonly instance: string;
  readonly pid: number;
  readonly dataDir: string;
}

/** Seconds. */
const RETRY_LATER = { "retry-after": "1" } as const;
/** A command that names no amount. */
const ALL_OF_IT = { cancelMinor: null } as const;
const CONTROL_MAX_MS = 3_600_000;
const CALLBACK_FIRST_MS = 1500;
const REFERENCE = /^[A-Za-z0-9_-]{1,64}$/;
/** Not the words for an unknown order: a wrong address must never look like proof that an order is absent. */
const NO_ROUTE = refusal(404, "no_such_route");

function absent(reference: string): Reply {
  return refusal(404, "not_found", { reference });
}

export class Provider {
  readonly #book: Book;
  readonly #callbacks: Callbacks;
  readonly #identity: Identity;

  constructor(book: Book, callbacks: Callbacks, identity: Identity) {
    this.#book = book;
    this.#callbacks = callbacks;
    this.#identity = identity;
  }

  async answer(incoming: Incoming): Promise<Reply> {
    const { method, path } = incoming;
    const [, root = "", reference, verb, ...rest] = path.split("/");
    if (rest.length > 0) return NO_ROUTE;
    if (root === "payouts") return this.#payouts(incoming, reference, verb);
    if (reference !== undefined) return NO_ROUTE;
    if (root === "health" && method === "GET") return json(200, { status: "ok", ...this.#identity });
    if (root === "book" && method === "GET") return this.#list(incoming);
    if (root === "control" && method === "GET") return json(200, this.#book.control);
    if (root === "control" && method === "PUT") return this.#setControl(incoming.body);
    return NO_ROUTE;
  }

  async #payouts(incoming: Incoming, reference: string | undefined, verb: string | undefined): Promise<Reply> {
    const { method } = incoming;
    const secret = bearerOf(incoming);
    if (secret === null) return refusal(401, "unauthorized");
    if (reference === undefined) return method === "POST" ? this.#create(incoming, secret) : NO_ROUTE;
    const request = requestOf(method, verb);
    if (request === null) return NO_ROUTE;
    const forced = this.#book.planOf(reference)?.forced?.[request];
    if (forced !== undefined) return this.#force(forced, reference, incoming.at);
    const operation = this.#book.find(reference);
    if (operation === undefined || stateAt(operation, incoming.at) === undefined) return absent(reference);
    return request === "inquire" ? this.#inquire(operation, incoming.at) : this.#command(operation, request, incoming);
  }

  /** A forced answer: nothing is done, and it is the same whether the order is there or not. */
  async #force(answer: AnswerPlan, reference: string, at: number): Promise<Reply> {
    const operation = this.#book.find(reference);
    await operation?.durable;
    const isArrived = operation !== undefined && stateAt(operation, at) !== undefined;
    return this.#enact(answer, isArrived ? this.#current(operation, at) : null);
  }

  async #create(incoming: Incoming, secret: string): Promise<Reply> {
    const read = readOrder(incoming, secret);
    if ("problems" in read) return refusal(400, "invalid_request", { fields: read.problems });
    const { order, wish } = read;
    const forced = this.#book.planOf(order.reference)?.forced?.repeat;
    if (forced !== undefined) return this.#force(forced, order.reference, incoming.at);
    const known = this.#book.find(order.reference);
    if (known !== undefined) return this.#repeat(known, incoming.at);

    const planName = choosePlan(wish, order.reference);
    const plan = planNamed(planName);
    if (plan === null) throw new Error(`no plan ${planName}`);
    if (this.#book.postsOf(order.reference) < (plan.limitedPosts ?? 0)) {
      await this.#book.countPost(order.reference, planName, incoming.at);
      return this.#enact(rateLimited, null);
    }
    if (plan.steps.length === 0) {
      const posts = await this.#book.countPost(order.reference, planName, incoming.at);
      return this.#enact(posts > 1 ? (plan.repeat ?? plan.answer) : plan.answer, null);
    }
    const operation = this.#book.create(order, planName, incoming.at);
    await operation.durable;
    const firstCallback = this.#callbacks.schedule(operation, 0);
    if (plan.answer.kind === "shown" && plan.answer.waits === "callback") {
      await Promise.race([firstCallback, wait(CALLBACK_FIRST_MS)]);
    }
    return this.#enact(plan.answer, messageOf(operation, 0));
  }

  /** A second request with a reference pays nothing, whatever else is in it. */
  async #repeat(operation: Operation, at: number): Promise<Reply> {
    await operation.durable;
    const isRefused = stateAt(operation, at)?.status === "refused";
    const plan = operation.plan.repeat ?? (isRefused ? operation.plan.answer : null);
    if (plan !== null) return this.#enact(plan, messageOf(operation, 0));
    return refusal(409, "duplicate_reference", { reference: operation.made.reference });
  }

  async #inquire(operation: Operation, at: number): Promise<Reply> {
    await operation.durable;
    const { inquiry } = operation.plan;
    const index = currentIndex(operation, at);
    if (inquiry !== undefined) return this.#enact(inquiry, messageOf(operation, index));
    const isRefused = operation.states[index]?.status === "refused";
    return isRefused ? absent(operation.made.reference) : json(200, messageOf(operation, index));
  }

  async #command(operation: Operation, name: CommandName, incoming: Incoming): Promise<Reply> {
    const { at } = incoming;
    const byDefault = COMMANDS[name];
    const status = stateAt(operation, at)?.status;
    if (status === "refused") return absent(operation.made.reference);
    const read = name === "cancel" ? readCancel(incoming.body, operation.made.currency) : ALL_OF_IT;
    if ("problems" in read) return refusal(400, "invalid_request", { fields: read.problems });
    const { cancelMinor } = read;
    const isWorking = byDefault.worksOn.some((word) => word === status);
    // What a former one brings about must not be put off by asking again; when it is over, this is another one.
    const isUnderWay = operation.asked.has(name) && operation.states.some(({ due }) => due > at);
    const isDone = isUnderWay || status === byDefault.plan.steps[0].status;
    if (cancelMinor !== null && !isWithin(cancelMinor, operation, at)) {
      await operation.durable;
      return refusal(422, "over_limit");
    }
    if (!isWorking) {
      await operation.durable;
      return this.#enact(isDone ? byDefault.plan.answer : byDefault.refusal, this.#current(operation, at));
    }
    const plan: CommandPlan = operation.plan[name] ?? byDefault.plan;
    if ((operation.limited.get(name) ?? 0) < (plan.limited ?? 0)) {
      this.#book.limitCommand(operation, name, at);
      await operation.durable;
      return this.#enact(rateLimited, null);
    }
    const callsBefore = operation.calls.length;
    this.#book.command(operation, { name, steps: isUnderWay ? [] : plan.steps, cancelMinor }, at);
    await operation.durable;
    void this.#callbacks.schedule(operation, callsBefore);
    return this.#enact(plan.answer, this.#current(operation, at));
  }

  #current(operation: Operation, at: number): object {
    return messageOf(operation, currentIndex(operation, at));
  }

  async #list({ query, at }: Incoming): Promise<Reply> {
    const reference = query.get("reference");
    const wanted = reference === null ? [...this.#book.operations()] : [this.#book.find(reference)];
    const operations = wanted.filter((operation) => operation !== undefined);
    await Promise.all(operations.map(({ durable }) => durable));
    const rows = operations.map((operation) => bookRow(operation, at)).filter((row) => row !== null);
    return json(200, rows);
  }

  async #setControl(body: string): Promise<Reply> {
    const read = readControl(body, this.#book.control);
    if ("problems" in read) return refusal(400, "invalid_request", { fields: read.problems });
    return json(200, await this.#book.setControl(read.control));
  }

  async #enact(plan: AnswerPlan, message: object | null): Promise<Reply> {
    const { answerDelayMs, timeoutMs } = this.#book.control;
    switch (plan.kind) {
      case "withheld":
        return { kind: "withheld", closeAfterMs: timeoutMs };
      case "reset":
        return { kind: "reset" };
      case "unreadable":
        return { kind: "body", http: 200, body: JSON.stringify(message ?? { status: "accepted" }).slice(0, -20) };
      case "error":
        return refusal(plan.http, plan.code, {}, plan.http === 429 ? RETRY_LATER : {});
      case "shown":
        if (plan.waits === "answer") await wait(answerDelayMs);
        return json(200, { ...message, ...(plan.status === undefined ? {} : { status: plan.status }) });
    }
  }
}

/** What a request about an order is; null: there is no such address. */
function requestOf(method: string, verb: string | undefined): Exclude<LaterRequest, "repeat"> | null {
  if (verb === undefined) return method === "GET" ? "inquire" : null;
  return method === "POST" && (verb === "revoke" || verb === "cancel") ? verb : null;
}

/** Whether so much can come back of an order at this time. */
function isWithin(cancelMinor: bigint, operation: Operation, at: number): boolean {
  const state = stateAt(operation, at);
  return state !== undefined && cancelMinor > 0n && cancelMinor <= leftMinor(state);
}

function currentIndex(operation: Operation, at: number): number {
  return operation.states.findLastIndex(({ due }) => due <= at);
}

function wait(ms: number): Promise<void> {
  return new Promise((resolve) => {
    // Whoever waits holds a connection open; without one there is nothing to stay for.
    setTimeout(resolve, ms).unref();
  });
}

function json(http: number, body: object): Reply {
  return { kind: "body", http, body: JSON.stringify(body) };
}

function refusal(http: number, error: string, more: object = {}, headers: Record<string, string> = {}): Reply {
  return { kind: "body", http, body: JSON.stringify({ error, ...more }), headers };
}

function bearerOf({ headers }: Incoming): string | null {
  const { authorization } = headers;
  const match = typeof authorization === "string" ? /^Bearer ([\x21-\x7e]{1,200})$/.exec(authorization) : null;
  return match?.[1] ?? null;
}

type Problems = { readonly problems: readonly FieldProblem[] };

function readObject(body: string): Readonly<Record<string, unknown>> | null {
  try {
    const value: unknown = JSON.parse(body);
    return typeof value === "object" && value !== null && !Array.isArray(value) ? { ...value } : null;
  } catch {
    return null;
  }
}

/** Reads members one by one and collects what is wrong with them. */
function reader(members: Readonly<Record<string, unknown>>) {
  const problems: FieldProblem[] = [];
  const note = (field: string, problem: string): void => {
    problems.push({ field, problem });
  };
  const text = (field: string, isGood: (value: string) => boolean, problem: string): string => {
    const value = members[field];
    if (typeof value === "string" && isGood(value)) return value;
    note(field, problem);
    return "";
  };
  return { problems, note, text };
}

function readOrder(incoming: Incoming, secret: string): Problems | { readonly order: Order; readonly wish: Wish } {
  const members = readObject(incoming.body);
  if (members === null) return { problems: [{ field: "body", problem: "must be a JSON object" }] };
  const { problems, note, text } = reader(members);
  const reference = text("reference", (value) => REFERENCE.test(value), "must have 1 to 64 letters, digits, - or _");
  if (incoming.headers["x-reference"] !== members["reference"]) note("x-reference", "must repeat the reference");
  const currency = text("currency", isCurrency, "is not known");
  const amount = text("amount", () => true, "must be a decimal string");
  const amountMinor = isCurrency(currency) ? parseMajor(amount, currency) : null;
  if (amountMinor !== null && (!amountMinor.ok || amountMinor.value <= 0n)) {
    note("amount", "must be above zero, with no more decimals than the currency has");
  }
  const account = text("account", (value) => value !== "" && value.length <= 200, "must have 1 to 200 characters");
  const callbackUrl = members["callbackUrl"] ?? null;
  if (callbackUrl !== null && !isWebAddress(callbackUrl)) note("callbackUrl", "must be an http or https address");
  const scenario = members["scenario"] ?? null;
  if (scenario !== null && typeof scenario !== "string") note("scenario", "must be a string");
  const wish: Wish = { scenario: typeof scenario === "string" ? scenario : null, fields: readFields(members, note) };
  problems.push(...wishProblems(wish));
  if (problems.length > 0 || amountMinor?.ok !== true) return { problems };
  const url = typeof callbackUrl === "string" ? callbackUrl : null;
  return { order: { reference, amountMinor: amountMinor.value, currency, account, callbackUrl: url, secret }, wish };
}

function readFields(
  members: Readonly<Record<string, unknown>>,
  note: (field: string, problem: string) => void,
): Record<string, string> {
  const fields = members["fields"] ?? {};
  const good: Record<string, string> = {};
  if (typeof fields !== "object" || Array.isArray(fields)) note("fields", "must be an object of strings");
  else {
    for (const [name, value] of Object.entries(fields)) {
      if (typeof value === "string") good[name] = value;
      else note(`fields.${name}`, "must be a string");
    }
  }
  return good;
}

/** How much a cancel shall bring back; null: all that is left. Whether there is so much is not looked at. */
function readCancel(body: string, currency: string): Problems | { readonly cancelMinor: bigint | null } {
  if (body === "") return ALL_OF_IT;
  const members = readObject(body);
  if (members === null) return { problems: [{ field: "body", problem: "must be a JSON object" }] };
  const value = members["amount"];
  if (value === undefined) return ALL_OF_IT;
  const amount = typeof value === "string" ? parseMajor(value, currency) : null;
  if (amount?.ok === true) return { cancelMinor: amount.value };
  return {
    problems: [{ field: "amount", problem: "must be a decimal string with no more decimals than the currency" }],
  };
}

function isWebAddress(value: unknown): boolean {
  if (typeof value !== "string") return false;
  const url = URL.parse(value);
  return url?.protocol === "http:" || url?.protocol === "https:";
}

function readControl(body: string, now: Control): Problems | { readonly control: Partial<Control> } {
  const members = readObject(body);
  if (members === null) return { problems: [{ field: "body", problem: "must be a JSON object" }] };
  const problems: FieldProblem[] = [];
  const control: Record<string, number> = {};
  for (const [field, value] of Object.entries(members)) {
    if (!Object.hasOwn(now, field)) problems.push({ field, problem: "is not known" });
    else if (typeof value !== "number" || !Number.isInteger(value) || value < 0 || value > CONTROL_MAX_MS) {
      problems.push({ field, problem: `must be a whole number of milliseconds from 0 to ${CONTROL_MAX_MS}` });
    } else control[field] = value;
  }
  return problems.length > 0 ? { problems } : { control };
}
