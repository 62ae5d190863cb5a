/** Delivers callbacks when they are due: at least once, a few times at most. */
import { type Agent, type ClientRequest, Agent as HttpAgent, request as httpRequest } from "node:http";
import { Agent as HttpsAgent, request as httpsRequest } from "node:https";
import type { Book, Operation } from "./book.ts";
import { signCallback } from "./message.ts";

/** Milliseconds before each attempt; after the last one the callback is given up. */
const ATTEMPT_DELAYS_MS = [0, 250, 1000, 4000, 15_000] as const;
const ATTEMPT_TIMEOUT_MS = 5000;
const AGENT_OPTIONS = { keepAlive: true, maxSockets: 64 } as const;

export class Callbacks {
  readonly #book: Book;
  readonly #http = new HttpAgent(AGENT_OPTIONS);
  readonly #https = new HttpsAgent(AGENT_OPTIONS);
  readonly #timers = new Set<NodeJS.Timeout>();
  readonly #requests = new Set<ClientRequest>();
  #isStopped = false;

  constructor(book: Book) {
    this.#book = book;
  }

  /** Takes up every callback of the book that is not over, those of past times at once. */
  resume(): void {
    for (const operation of this.#book.operations()) void this.schedule(operation, 0);
  }

  /** Schedules the operation's callbacks from the index `from` on; resolves when the first of them was tried once. */
  schedule(operation: Operation, from: number): Promise<void> {
    if (operation.made.callbackUrl === null) return Promise.resolve();
    let first: Promise<void> | null = null;
    for (let call = from; call < operation.calls.length; call += 1) {
      if (operation.done.has(call)) continue;
      const tried = this.#tryAt(operation, call, 0);
      first ??= tried;
    }
    return first ?? Promise.resolve();
  }

  stop(): void {
    this.#isStopped = true;
    for (const timer of this.#timers) clearTimeout(timer);
    for (const request of this.#requests) request.destroy();
    this.#http.destroy();
    this.#https.destroy();
  }

  #tryAt(operation: Operation, call: number, attempt: number): Promise<void> {
    const { due = 0 } = operation.calls[call] ?? {};
    const delayMs = attempt === 0 ? Math.max(due - Date.now(), 0) : (ATTEMPT_DELAYS_MS[attempt] ?? 0);
    return new Promise((resolve) => {
      const timer = setTimeout(() => {
        this.#timers.delete(timer);
        void this.#attempt(operation, call, attempt).then(resolve);
      }, delayMs);
      this.#timers.add(timer);
    });
  }

  async #attempt(operation: Operation, call: number, attempt: number): Promise<void> {
    // A revoke or cancel may have taken back the state that this callback was about.
    if (this.#isStopped || operation.done.has(call)) return;
    const isDelivered = await this.#deliver(operation, call);
    if (this.#isStopped) return;
    const isLast = attempt + 1 >= ATTEMPT_DELAYS_MS.length;
    if (isDelivered || isLast) this.#book.closeCall(operation, call, isDelivered);
    else void this.#tryAt(operation, call, attempt + 1);
  }

  /** Whether the receiver took it. A redirect is no receiver. */
  #deliver(operation: Operation, call: number): Promise<boolean> {
    const { body, signature } = signCallback(operation, call, Date.now());
    const url = new URL(operation.made.callbackUrl ?? "");
    const isTls = url.protocol === "https:";
    const agent: Agent = isTls ? this.#https : this.#http;
    return new Promise((resolve) => {
      const request = (isTls ? httpsRequest : httpRequest)(url, {
        method: "POST",
        agent,
        headers: {
          "content-type": "application/json",
          "content-length": Buffer.byteLength(body),
          "x-sandbox-signature": signature,
        },
      });
      this.#requests.add(request);
      const timer = setTimeout(() => request.destroy(), ATTEMPT_TIMEOUT_MS);
      request.once("response", (response) => {
        const { statusCode = 0 } = response;
        response.resume();
        resolve(statusCode >= 200 && statusCode < 300);
      });
      request.once("error", () => resolve(false));
      request.once("close", () => {
        clearTimeout(timer);
        this.#requests.delete(request);
        resolve(false);
      });
      request.end(body);
    });
  }
}
