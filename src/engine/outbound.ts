/**
 * The only socket to the outside: one request, no redirects, no retry in any layer, capped in size and time. Closed
 * before the answer is complete means that the outcome is unknown, unless not a byte can have left.
 */
import { type Dispatcher, Pool } from "undici";
import type { HttpResult } from "../connectors/contract.ts";
import type { Http, HttpOrder, HttpOutcome } from "./ports.ts";

const MAX_BODY_BYTES = 1_048_576;
const CONNECTIONS_PER_ORIGIN = 128;
const CONNECT_TIMEOUT_MS = 2_000;

/** Errors that can only happen before a new connection carries anything: evidence D0. */
const NOTHING_LEFT = new Set([
  "ECONNREFUSED",
  "ENOTFOUND",
  "EAI_AGAIN",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "UND_ERR_CONNECT_TIMEOUT",
]);

export interface Outbound extends Http {
  close(): Promise<void>;
}

/** Opens the outbound port. Connections are kept alive per origin, one request at a time on each. */
export function openOutbound(): Outbound {
  const pools = new Map<string, Pool>();
  const poolOf = (origin: string): Pool => {
    let pool = pools.get(origin);
    if (pool === undefined) {
      pool = new Pool(origin, {
        connections: CONNECTIONS_PER_ORIGIN,
        pipelining: 1,
        connect: { timeout: CONNECT_TIMEOUT_MS },
      });
      pools.set(origin, pool);
    }
    return pool;
  };
  return {
    send: (order) => send(poolOf, order),
    async close() {
      await Promise.all([...pools.values()].map((pool) => pool.destroy()));
    },
  };
}

async function send(poolOf: (origin: string) => Pool, order: HttpOrder): Promise<HttpOutcome> {
  const base = new URL(order.baseUrl);
  const abort = new AbortController();
  let isTimedOut = false;
  const timer = setTimeout(() => {
    isTimedOut = true;
    abort.abort();
  }, order.timeoutMs);
  // The last instant at which it can still be dropped: from here on the request may arrive.
  if (!order.maySend()) {
    clearTimeout(timer);
    return { kind: "not_sent", reason: "the lease is over" };
  }
  try {
    const path = `${base.pathname === "/" ? "" : base.pathname}${order.draft.path}`;
    const response = await poolOf(base.origin).request({
      method: order.draft.method,
      path,
      headers: order.draft.headers,
      body: order.draft.body,
      signal: abort.signal,
    });
    return { kind: "answer", result: await readAnswer(response) };
  } catch (error) {
    if (isTimedOut) return { kind: "timeout" };
    const code = errorCode(error);
    if (NOTHING_LEFT.has(code)) return { kind: "not_sent", reason: code };
    return { kind: "lost", reason: code };
  } finally {
    clearTimeout(timer);
  }
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
