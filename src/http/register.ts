/** Endpoints as Fastify routes: at their path, and the same below `/organizations/{organizationId}`. */
import type { FastifyInstance, FastifyReply, FastifyRequest, RouteOptions } from "fastify";
import { ERRORS, type ErrorCode, type InvalidField } from "../core/errors.ts";
import { sha256 } from "../core/ids.ts";
import { isPermission, type Permission } from "../core/permissions.ts";
import type { StoredAnswer } from "../engine/command.ts";
import { checkAllowed, type Identity, type KeyRing } from "./auth.ts";
import { faultsOf, readBody, type SchemaFault, withoutFaulty } from "./body.ts";
import type { Call, Endpoint, World } from "./endpoint.ts";
import { MAX_FIELDS } from "./problem.ts";
import { ProblemAnswer } from "./schema.ts";

declare module "fastify" {
  interface FastifyRequest {
    /** Who calls; null where nobody need say. */
    identity: Identity | null;
    /** SHA-256 (hex) of the body's bytes. */
    bodyHash: string;
    /** Faults that the reader of the body found. */
    bodyFaults: readonly InvalidField[];
  }
  interface FastifyContextConfig {
    /** What a key's role must grant. */
    permission?: Permission;
    /** Parameters for the document: they are read by hand, not by the validator. */
    docs?: Readonly<Record<"params" | "querystring" | "headers", object | undefined>>;
  }
}

const PREFIX = "/organizations/:organizationId";
const NO_BODY_HASH = sha256("");

/** Refusals that every call may meet. */
const ALWAYS: readonly ErrorCode[] = ["unauthorized", "forbidden", "internal", "unavailable"];
const WITH_BODY: readonly ErrorCode[] = [
  "malformed-body",
  "unsafe-number",
  "body-too-large",
  "unsupported-media-type",
  "validation-failed",
];

/** Every route that asks for no key. */
const OPEN_ROUTES: ReadonlySet<string> = new Set([
  "/health/live",
  "/health/ready",
  "/errors/:code",
  // Signed by the provider.
  "/callbacks/:callbackId",
  "/openapi.json",
  // Answers this machine alone.
  "/metrics",
]);
/** A page and its files. */
const OPEN_FOLDER = "/reference";

/** Nothing is open because somebody forgot: a route that is not listed above has a permission, or nothing starts. */
export function requirePermission({ method, url, config }: RouteOptions): void {
  const isOpen = OPEN_ROUTES.has(url) || url === OPEN_FOLDER || url.startsWith(`${OPEN_FOLDER}/`);
  const permission: string | undefined = config?.permission;
  if (isOpen || (permission !== undefined && isPermission(permission))) return;
  throw new Error(`${String(method)} ${url} has no permission: nobody would be kept from it`);
}

/** Sends an answer as it is. */
export function send(reply: FastifyReply, answer: StoredAnswer): FastifyReply {
  return reply.code(answer.status).headers(answer.headers).send(answer.body);
}

/** The path without query, organization prefix and trailing slash: what one call has in common with its repeat. */
function barePath(url: string): string {
  const [path = ""] = url.split("?");
  const bare = path.replace(/^\/organizations\/[^/]+(?=\/)/, "").replace(/\/+$/, "");
  return bare === "" ? "/" : bare;
}

/** Answers by status, for the document: success, and every refusal as a problem. */
function responses(endpoint: Endpoint): Readonly<Record<string, object>> {
  const documented: Record<string, object> = {};
  for (const [status, { description, schema, headers }] of Object.entries(endpoint.answers)) {
    documented[status] = { description, headers: headers ?? {}, content: { "application/json": { schema } } };
  }
  const hasKey = endpoint.method === "POST";
  const codes = new Set<ErrorCode>([
    ...ALWAYS,
    ...(endpoint.body === undefined ? [] : WITH_BODY),
    ...(hasKey ? (["idempotency-key-reused"] as const) : []),
    ...endpoint.refusals,
  ]);
  for (const [status, group] of Map.groupBy(codes, (code) => ERRORS[code].status)) {
    const meanings = group.map((code) => `\`${code}\`: ${ERRORS[code].title}.`);
    documented[String(status)] = ProblemAnswer(meanings.join(" "));
  }
  return documented;
}

function documentedHeaders(endpoint: Endpoint): object | undefined {
  const properties: Record<string, object> = {};
  const required: string[] = [];
  if (endpoint.method === "POST") {
    const description = "A key of your own: a repeat with it gets the same answer and does nothing.";
    properties["Idempotency-Key"] = { type: "string", minLength: 1, maxLength: 255, description };
    if (endpoint.needsKey === true) required.push("Idempotency-Key");
  }
  if (endpoint.ifMatch !== undefined) {
    properties["If-Match"] = { type: "string", description: "The ETag that you have read.", examples: ['"1"'] };
    if (endpoint.ifMatch === "required") required.push("If-Match");
  }
  return Object.keys(properties).length === 0 ? undefined : { type: "object", properties, required };
}

function documentedParams(path: string): object | undefined {
  const names = [...path.matchAll(/:(\w+)/g)].map(([, name = ""]) => name);
  if (names.length === 0) return undefined;
  const text = { type: "string", description: "The resource's id." };
  return { type: "object", properties: Object.fromEntries(names.map((name) => [name, text])), required: names };
}

function callOf(request: FastifyRequest, world: World): Call {
  const found = (request.validationError?.validation ?? []) as unknown as readonly SchemaFault[];
  const form = faultsOf(found).filter((fault) => !request.bodyFaults.some((each) => each.field === fault.field));
  const problems = [...request.bodyFaults, ...form];
  const { identity } = request;
  if (identity === null) throw new Error("an endpoint was reached without a key");
  return {
    world,
    identity,
    request,
    path: barePath(request.url),
    params: request.params as Record<string, string>,
    query: request.query as Record<string, unknown>,
    body: withoutFaulty((request.body ?? {}) as Record<string, unknown>, problems),
    problems: problems.slice(0, MAX_FIELDS),
    bodyHash: request.bodyHash,
  };
}

export function register(app: FastifyInstance, endpoint: Endpoint, parts: { world: World; keys: KeyRing }): void {
  const { body, permission } = endpoint;
  const docs = {
    params: documentedParams(endpoint.path),
    querystring: endpoint.query,
    headers: documentedHeaders(endpoint),
  };
  for (const prefix of ["", PREFIX]) {
    app.route({
      method: endpoint.method,
      url: prefix + endpoint.path,
      schema: {
        operationId: endpoint.name,
        tags: [endpoint.tag],
        summary: endpoint.summary,
        hide: prefix !== "",
        ...(body === undefined ? {} : { body }),
        response: responses(endpoint),
      },
      config: { docs, permission },
      attachValidation: true,
      async onRequest(request) {
        request.identity = await parts.keys.identify(request.headers);
        const { organizationId } = request.params as { organizationId?: string };
        checkAllowed(request.identity, { ...(organizationId === undefined ? {} : { organizationId }), permission });
      },
      async preValidation(request) {
        if (body === undefined) return;
        const read = readBody(body, request.body);
        request.body = read.value;
        request.bodyFaults = read.faults;
      },
      async handler(request, reply) {
        return send(reply, await endpoint.handle(callOf(request, parts.world)));
      },
    });
  }
}

/** What the routes of an app need to know of each request. */
export function decorate(app: FastifyInstance): void {
  app.decorateRequest("identity", null);
  app.decorateRequest("bodyHash", NO_BODY_HASH);
  app.decorateRequest("bodyFaults");
  app.addHook("onRequest", async (request) => {
    request.bodyFaults = [];
  });
}
