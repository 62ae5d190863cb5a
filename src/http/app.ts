/** The HTTP side, put together. It does not listen: whoever builds it does. */
import { randomUUID } from "node:crypto";
import type { IncomingMessage } from "node:http";
import fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from "fastify";
import type { Logger } from "pino";
import { sha256 } from "../core/ids.ts";
import type { Engine } from "../engine/engine.ts";
import type { Clock } from "../engine/ports.ts";
import { realClock } from "../engine/real.ts";
import type { Reads } from "../store/reads.ts";
import { KeyRing } from "./auth.ts";
import type { Endpoint, World } from "./endpoint.ts";
import { parseJson, writeJson } from "./json.ts";
import { MethodTable } from "./methods.ts";
import { Metrics } from "./metrics.ts";
import { collectRoutes, showRoutes } from "./openapi.ts";
import { PROBLEM, problemAnswer, type Refused, refuse, refusedBy } from "./problem.ts";
import { decorate, register, requirePermission, send } from "./register.ts";
import { accounts } from "./routes/accounts.ts";
import { acts } from "./routes/acts.ts";
import { allocations } from "./routes/allocations.ts";
import { CALLBACK_ROUTE, callbacks } from "./routes/callbacks.ts";
import { customers } from "./routes/customers.ts";
import { events } from "./routes/events.ts";
import { funds } from "./routes/funds.ts";
import { gates } from "./routes/gates.ts";
import { errorPages, health, metricsPage } from "./routes/health.ts";
import { moderation } from "./routes/moderation.ts";
import { organizations } from "./routes/organizations.ts";
import { payoutInvoices } from "./routes/payout-invoices.ts";
import { payoutRequests } from "./routes/payout-requests.ts";
import { payoutServices } from "./routes/payout-services.ts";
import { payouts } from "./routes/payouts.ts";
import { providerAccounts } from "./routes/provider-accounts.ts";
import { schemes } from "./routes/schemes.ts";
import { timeline } from "./routes/timeline.ts";
import { webhooks } from "./routes/webhooks.ts";
import { websites } from "./routes/websites.ts";
import { DECIMAL_KEYWORD } from "./schema.ts";

export interface AppOptions {
  readonly engine: Engine;
  readonly reads: Reads;
  /** Where we are reached; asked with each use, for a port may be chosen late. */
  readonly publicUrl: string | (() => string);
  readonly log: Logger;
  /** Counts requests, and is shown at `/metrics`. Default: numbers of its own. */
  readonly metrics?: Metrics;
  /** False in a process that only works: it tells how it is, and serves nobody. Default: true. */
  readonly isServing?: boolean;
  /** Measures how long a key is believed. Default: the process's own. */
  readonly clock?: Clock;
}

const BODY_MAX = 256 * 1024;
/** A request that is not here by then does not come any more, milliseconds. */
const REQUEST_TIMEOUT_MS = 30_000;
const REQUEST_ID = /^[\w.:-]{1,100}$/;
/** Every call that needs a key. */
export const ENDPOINTS: readonly Endpoint[] = [
  ...payoutInvoices,
  ...payoutRequests,
  ...allocations,
  ...payouts,
  ...acts,
  ...moderation,
  ...timeline,
  ...accounts,
  ...funds,
  ...gates,
  ...organizations,
  ...websites,
  ...customers,
  ...payoutServices,
  ...providerAccounts,
  ...schemes,
  ...events,
  ...webhooks,
];

/** Ours unless the caller names it: one id through all logs. */
function requestIdOf(request: IncomingMessage): string {
  const given = request.headers["request-id"] ?? request.headers["x-request-id"];
  return typeof given === "string" && REQUEST_ID.test(given) ? given : randomUUID();
}

function newFastify(): FastifyInstance {
  return fastify({
    // One line per request is written below; nothing else of a request is logged.
    logger: false,
    bodyLimit: BODY_MAX,
    requestTimeout: REQUEST_TIMEOUT_MS,
    genReqId: requestIdOf,
    routerOptions: { ignoreTrailingSlash: true, maxParamLength: 250 },
    ajv: {
      customOptions: {
        coerceTypes: false,
        removeAdditional: false,
        useDefaults: false,
        // Every fault at once. Bounded by the size of a body.
        allErrors: true,
        allowUnionTypes: true,
        keywords: [DECIMAL_KEYWORD],
      },
    },
    frameworkErrors: (error, request, reply) => {
      // Before routing: no hook has run.
      void sendProblem(refusedBy(error).refused, { request, reply, base: "" });
    },
    clientErrorHandler(_error, socket) {
      if (socket.destroyed) return;
      const body = writeJson({ type: "about:blank", title: "Bad Request", status: 400, detail: "This is no HTTP." });
      const head = `HTTP/1.1 400 Bad Request\r\ncontent-type: ${PROBLEM}\r\ncontent-length: ${Buffer.byteLength(body)}`;
      socket.end(`${head}\r\nconnection: close\r\n\r\n${body}`);
    },
  });
}

function sendProblem(
  refused: Refused,
  to: { request: { url: string }; reply: FastifyReply; base: string },
): FastifyReply {
  const [instance = ""] = to.request.url.split("?");
  const problem = problemAnswer(refused.refusal, { instance, base: to.base });
  return send(to.reply.headers(refused.headers), problem);
}

/** JSON whatever it is called, or nothing at all. */
function readBodies(app: FastifyInstance): void {
  app.removeAllContentTypeParsers();
  const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  app.addContentTypeParser("application/json", { parseAs: "buffer" }, (request, body, done) => {
    request.bodyHash = sha256(body);
    if (body.length === 0) return done(null, undefined);
    let text: string;
    try {
      text = utf8.decode(body as Buffer);
    } catch {
      return done(refuse("malformed-body", "The body is not UTF-8."), undefined);
    }
    try {
      done(null, parseJson(text));
    } catch (error) {
      done(error as Error, undefined);
    }
  });
  // Some clients say this of a POST without a body. With one, it is another language.
  app.addContentTypeParser("application/x-www-form-urlencoded", { parseAs: "buffer" }, (_request, body, done) => {
    if (body.length === 0) done(null, undefined);
    else done(refuse("unsupported-media-type"), undefined);
  });
  app.addHook("onRequest", async (request) => {
    // One public client sends JSON without a word about it. A provider's message is left as it came.
    if (request.routeOptions.url !== CALLBACK_ROUTE) request.raw.headers["content-type"] ??= "application/json";
  });
}

function answerErrors(app: FastifyInstance, parts: { methods: MethodTable; base: () => string; log: Logger }): void {
  const { methods, base, log } = parts;
  app.setErrorHandler((error, request, reply) => {
    const { refused, isBug } = refusedBy(error);
    if (isBug) log.error({ err: error, requestId: request.id, route: request.routeOptions.url }, "a call has failed");
    return sendProblem(refused, { request, reply, base: base() });
  });
  app.setNotFoundHandler((request, reply) => {
    const allowed = methods.allowedAt(request.url);
    const isThere = allowed.length > 0;
    const detail = isThere ? `There is ${allowed.join(", ")}.` : "There is nothing at this path.";
    const refused = refuse(isThere ? "method-not-allowed" : "not-found", detail);
    if (isThere) reply.header("allow", allowed.join(", "));
    return sendProblem(refused, { request, reply, base: base() });
  });
}

/** One line per request, without bodies, keys or queries. An address that is a secret is told by its pattern only. */
function logRequests(app: FastifyInstance, log: Logger, metrics: Metrics): void {
  app.addHook("onResponse", async (request, reply) => {
    const route = request.routeOptions.url;
    const { method } = request;
    metrics.onRequest({ method, route: route ?? "none", status: reply.statusCode, ms: reply.elapsedTime });
    const [path = ""] = request.url.split("?");
    log.info(
      {
        requestId: request.id,
        method: request.method,
        path: route === CALLBACK_ROUTE ? route : path.slice(0, 300),
        status: reply.statusCode,
        ms: Math.round(reply.elapsedTime),
        ...(request.identity === null ? {} : { book: request.identity.book, keyId: request.identity.keyId }),
      },
      "request",
    );
  });
}

function addHeaders(app: FastifyInstance): void {
  app.addHook("onSend", async (request: FastifyRequest, reply, payload) => {
    reply.header("request-id", request.id);
    reply.header("x-content-type-options", "nosniff");
    if (!reply.hasHeader("cache-control")) reply.header("cache-control", "no-store");
    if (!reply.hasHeader("content-security-policy")) {
      reply.header("content-security-policy", "default-src 'none'; frame-ancestors 'none'");
    }
    return payload;
  });
}

/** Builds the whole API, ready to listen or to be called without a socket (`inject`). */
export async function buildApp(options: AppOptions): Promise<FastifyInstance> {
  const { engine, reads, publicUrl, log, isServing = true, metrics = new Metrics() } = options;
  const base = (): string => (typeof publicUrl === "string" ? publicUrl : publicUrl()).replace(/\/+$/, "");
  const world: World = { engine, reads, base };
  const keys = new KeyRing({ reads, vault: engine.vault, clock: options.clock ?? realClock });
  const app = newFastify();
  const methods = new MethodTable();
  app.addHook("onRoute", (route) => {
    requirePermission(route);
    methods.add(route.method, route.url);
  });
  // What is answered is written already, losslessly: Fastify's own writer would make floats of it.
  app.setSerializerCompiler(() => (body) => writeJson(body));
  decorate(app);
  readBodies(app);
  addHeaders(app);
  logRequests(app, log, metrics);
  answerErrors(app, { methods, base, log });
  await collectRoutes(app);
  // The collector hears of routes that are registered after it has been loaded.
  await app.register(async (scope) => {
    for (const endpoint of isServing ? ENDPOINTS : []) register(scope, endpoint, { world, keys });
    await health(scope, world);
    await metricsPage(scope, world, metrics);
    await errorPages(scope);
  });
  if (isServing) await app.register(async (scope) => callbacks(scope, world));
  await showRoutes(app, base);
  await app.ready();
  return app;
}
