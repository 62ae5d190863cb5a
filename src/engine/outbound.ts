/**
 * The only socket to the outside: one request, no redirects, no retry in any layer, capped in size and time. Closed
 * before the answer is complete means that the outcome is unknown, unless not a byte can have left.
 */
import { lookup } from "node:dns";
import { isIP } from "node:net";
import ipaddr from "ipaddr.js";
import { Agent, buildConnector, type Dispatcher, request } from "undici";
import type { HttpResult } from "../connectors/contract.ts";
import type { Http, HttpOrder, HttpOutcome } from "./ports.ts";

const MAX_BODY_BYTES = 1_048_576;
const CONNECTIONS_PER_ORIGIN = 128;
const CONNECT_TIMEOUT_MS = 2_000;

/** Refused by ourselves: the address leads into a private network. */
const PRIVATE_ADDRESS = "PRIVATE_ADDRESS";

/** Said only of a connection that never came to be. */
const NO_CONNECTION = new Set(["UND_ERR_CONNECT_TIMEOUT", PRIVATE_ADDRESS]);
/** Said of a connection that never came to be, and some of them of one that carried a request and died. */
const UNREACHABLE = new Set([
  "ECONNREFUSED",
  "ENOTFOUND",
  "EAI_AGAIN",
  "EHOSTUNREACH",
  "ENETUNREACH",
  // Of several addresses, the ones that did not answer soon enough.
  "ETIMEDOUT",
]);
const CONNECTING = new Set(["connect", "getaddrinfo"]);

export interface Outbound extends Http {
  close(): Promise<void>;
}

export interface OutboundOptions {
  /** Whether merchants may name addresses inside private networks: for trying Bursar on one machine. */
  readonly mayReachPrivate: boolean;
  /** How connections are made; tests have slow and dying ones. */
  readonly connect?: buildConnector.connector;
}

/** Opens the outbound port. Connections are kept alive per origin, one request at a time on each. */
export function openOutbound(options: OutboundOptions): Outbound {
  const common = { connections: CONNECTIONS_PER_ORIGIN, pipelining: 1 };
  const open = new Agent({ ...common, connect: options.connect ?? { timeout: CONNECT_TIMEOUT_MS } });
  const guarded = options.mayReachPrivate ? open : new Agent({ ...common, connect: guardedConnect() });
  return {
    send: (order) => send(order.audience === "merchant" ? guarded : open, order),
    async close() {
      await Promise.all([open.destroy(), guarded.destroy()]);
    },
  };
}

/** Whether an address is one of the public internet. Mapped, translated and special addresses are not. */
function isPublicAddress(address: string): boolean {
  return ipaddr.isValid(address) && ipaddr.process(address).range() === "unicast";
}

/**
 * Connects only to public addresses. Names are checked when they are resolved, all of their addresses, and the
 * connection goes to what was checked; literals never pass a resolver and are checked here.
 */
function guardedConnect(): buildConnector.connector {
  const connect = buildConnector({
    timeout: CONNECT_TIMEOUT_MS,
    lookup: (hostname, options, callback) => {
      lookup(hostname, { ...options, all: true }, (error, addresses) => {
        if (error !== null) return callback(error, []);
        if (addresses.length > 0 && addresses.every(({ address }) => isPublicAddress(address))) {
          return callback(null, addresses);
        }
        return callback(privateAddress(), []);
      });
    },
  });
  return (options, callback) => {
    const literal = options.hostname.replace(/^\[|\]$/g, "");
    if (isIP(literal) !== 0 && !isPublicAddress(literal)) {
      callback(privateAddress(), null);
      return;
    }
    connect(options, callback);
  };
}

function privateAddress(): NodeJS.ErrnoException {
  return Object.assign(new Error("the address is not public"), { code: PRIVATE_ADDRESS });
}

class LeaseOver extends Error {
  override readonly name = "LeaseOver";
}

/**
 * Asks directly before the first byte whether the request may still leave: finding the address, connecting and TLS
 * come before that, and a process that stood still meanwhile may be long past its lease. undici starts a request when
 * its connection is there, writes it in the same breath, and writes nothing of one that is aborted here.
 */
class LastCheck implements Dispatcher.DispatchHandler {
  /** Whether any byte may have left. */
  hasStarted = false;
  readonly #maySend: () => boolean;
  #handler: Dispatcher.DispatchHandler = {};

  constructor(maySend: () => boolean) {
    this.#maySend = maySend;
  }

  /** A dispatcher for the one request that this check is about. */
  before(dispatcher: Dispatcher): Dispatcher {
    return dispatcher.compose((dispatch) => (options, handler) => {
      this.#handler = handler;
      return dispatch(options, this);
    });
  }

  onRequestStart(controller: Dispatcher.DispatchController, context: unknown): void {
    // HTTP/2 starts a request anew that a server has turned away: what has left once is ours to ask about, not to repeat.
    if (this.hasStarted) return controller.abort(new Error("a request leaves once"));
    if (!this.#maySend()) return controller.abort(new LeaseOver());
    this.hasStarted = true;
    this.#handler.onRequestStart?.(controller, context);
  }

  onResponseStart(...told: Parameters<NonNullable<Dispatcher.DispatchHandler["onResponseStart"]>>): void {
    this.#handler.onResponseStart?.(...told);
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    this.#handler.onResponseData?.(controller, chunk);
  }

  onResponseEnd(...told: Parameters<NonNullable<Dispatcher.DispatchHandler["onResponseEnd"]>>): void {
    this.#handler.onResponseEnd?.(...told);
  }

  onResponseError(controller: Dispatcher.DispatchController, error: Error): void {
    this.#handler.onResponseError?.(controller, error);
  }
}

async function send(dispatcher: Dispatcher, order: HttpOrder): Promise<HttpOutcome> {
  const abort = new AbortController();
  const check = new LastCheck(order.maySend);
  let isTimedOut = false;
  const timer = setTimeout(() => {
    isTimedOut = true;
    abort.abort();
  }, order.timeoutMs);
  try {
    // What is late already does not even connect.
    if (!order.maySend()) throw new LeaseOver();
    const response = await request(`${order.baseUrl}${order.draft.path}`, {
      dispatcher: check.before(dispatcher),
      method: order.draft.method,
      headers: order.draft.headers,
      body: order.draft.body,
      signal: abort.signal,
    });
    return { kind: "answer", result: await readAnswer(response) };
  } catch (error) {
    if (error instanceof LeaseOver) return { kind: "not_sent", reason: "the lease is over" };
    if (isTimedOut) return { kind: "timeout" };
    const isUnsent = !check.hasStarted && isConnectFailure(error);
    return { kind: isUnsent ? "not_sent" : "lost", reason: errorCode(error) };
  } finally {
    clearTimeout(timer);
  }
}

/**
 * Whether an error can only happen before a connection carries anything: evidence D0. The code alone does not say so:
 * "unreachable" is also how a connection ends whose data was never acknowledged, and that data may have arrived.
 */
function isConnectFailure(error: unknown): boolean {
  if (error instanceof AggregateError) return error.errors.length > 0 && error.errors.every(isConnectFailure);
  if (!(error instanceof Error)) return false;
  const { code = "", syscall = "" } = error as NodeJS.ErrnoException;
  return NO_CONNECTION.has(code) || (UNREACHABLE.has(code) && CONNECTING.has(syscall));
}

async function readAnswer(response: Dispatcher.ResponseData): Promise<HttpResult> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of response.body as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > MAX_BODY_BYTES) throw new Error("the answer is too large");
    chunks.push(chunk);
  }
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(response.headers)) {
    if (value !== undefined) headers[name] = Array.isArray(value) ? value.join(", ") : value;
  }
  return { status: response.statusCode, headers, body: Buffer.concat(chunks).toString("utf8") };
}

function errorCode(error: unknown): string {
  if (typeof error !== "object" || error === null) return "UNKNOWN";
  if ("code" in error && typeof error.code === "string") return error.code;
  return "cause" in error ? errorCode(error.cause) : "UNKNOWN";
}
