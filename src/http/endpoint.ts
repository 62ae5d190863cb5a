/** An endpoint as data, and what its handler is given. Handlers parse, make one engine call or one read, and map. */
import type { FastifyRequest } from "fastify";
import type { TSchema } from "typebox";
import type { Connector } from "../connectors/contract.ts";
import type { ErrorCode, InvalidField, Refusal } from "../core/errors.ts";
import { sha256 } from "../core/ids.ts";
import type { Payout } from "../core/order/payout.ts";
import type { Permission } from "../core/permissions.ts";
import type { AllocationWords, Shown } from "../core/views/orders.ts";
import type { Handler, StoredAnswer } from "../engine/command.ts";
import type { Engine } from "../engine/engine.ts";
import type { Reads } from "../store/reads.ts";
import type { Identity } from "./auth.ts";
import { writeJson } from "./json.ts";
import { Refused, refuse, refuseFields } from "./problem.ts";
import { METHODS } from "./public-words.ts";
import { ID_MAX, ID_PATTERN } from "./schema.ts";

/** What every handler may use. */
export interface World {
  readonly engine: Engine;
  readonly reads: Reads;
  /** Where we are reached, without a trailing slash. */
  readonly base: () => string;
}

/** One authenticated call. */
export interface Call {
  readonly world: World;
  readonly identity: Identity;
  readonly request: FastifyRequest;
  /** The path without organization prefix, query and trailing slash. */
  readonly path: string;
  readonly params: Readonly<Record<string, string>>;
  readonly query: Readonly<Record<string, unknown>>;
  /** The sound members of the body. */
  readonly body: Readonly<Record<string, unknown>>;
  /** The faults of form of the others. */
  readonly problems: readonly InvalidField[];
  readonly bodyHash: string;
}

/** What an answer's status means, and which resource it carries. */
export interface AnswerDoc {
  readonly description: string;
  readonly schema: TSchema;
  readonly headers?: Readonly<Record<string, { readonly type: string; readonly description: string }>>;
}

export interface Endpoint {
  readonly method: "GET" | "POST" | "PUT" | "PATCH";
  /** As Fastify writes it. */
  readonly path: string;
  /** The operation's name in the document. */
  readonly name: string;
  readonly tag: string;
  readonly summary: string;
  /** What a key's role must grant. */
  readonly permission: Permission;
  readonly body?: TSchema;
  readonly query?: TSchema;
  /** Whether an `Idempotency-Key` must come with it; it may come with every POST. */
  readonly needsKey?: true;
  /** Whether `If-Match` is read, and must come. */
  readonly ifMatch?: "required" | "optional";
  readonly answers: Readonly<Record<number, AnswerDoc>>;
  readonly refusals: readonly ErrorCode[];
  handle(call: Call): Promise<StoredAnswer>;
}

const JSON_TYPE = "application/json; charset=utf-8";

/** An answer with a JSON body. */
export function answer(status: number, body: unknown, headers: Readonly<Record<string, string>> = {}): StoredAnswer {
  return { status, headers: { "content-type": JSON_TYPE, ...headers }, body: writeJson(body) };
}

/** One resource that has a version. */
export function resource(shown: Shown, version: number): StoredAnswer {
  return answer(200, shown, { etag: `"${version}"` });
}

/** A resource that was just made, and where it stands. */
export function created(shown: Shown, version: number, location: string): StoredAnswer {
  return answer(201, shown, { etag: `"${version}"`, location });
}

/** Throws what the engine refused with, so that one place makes problems. */
function orThrow(refused: Refusal): never {
  throw new Refused(refused);
}

const KEY = /^[\x21-\x7e]{1,255}$/;

/** The caller's key of a POST; null where none came and none is needed. */
export function idempotencyKey(call: Call, need: "required" | "optional"): string | null {
  const key = call.request.headers["idempotency-key"];
  if (key === undefined) {
    if (need === "required") throw refuse("idempotency-key-required");
    return null;
  }
  if (typeof key === "string" && KEY.test(key)) return key;
  throw refuseFields([{ field: "Idempotency-Key", message: "must be 1 to 255 printable characters without spaces" }]);
}

/** What a command is, and how its result becomes the answer. `render` must have no effect: it may run more than once. */
export interface Order<P, A> {
  readonly handler: Handler<P, A>;
  readonly payload: P;
  readonly render: (result: A) => StoredAnswer;
  /** The answer to whoever asked first, where it holds a secret: that is shown once and not stored. */
  readonly renderOnce?: (result: A) => StoredAnswer;
  readonly needsKey?: boolean;
}

/** Runs a command; with an Idempotency-Key its answer is stored, and repeated byte for byte. */
export async function command<P, A>(call: Call, order: Order<P, A>): Promise<StoredAnswer> {
  const { engine } = call.world;
  const { handler, payload, render, renderOnce } = order;
  const { book, keyId } = call.identity;
  const cause = { actor: `key:${keyId}`, bodyHash: call.bodyHash };
  const key =
    call.request.method === "POST" ? idempotencyKey(call, order.needsKey === true ? "required" : "optional") : null;
  if (key === null) {
    const result = await engine.run(book, handler, payload, cause);
    return result.ok ? (renderOnce ?? render)(result.value) : orThrow(result.error);
  }
  const fingerprint = sha256(`${call.request.method}\n${call.path}\n${call.bodyHash}`);
  const stored = new Map<StoredAnswer, A>();
  const once = {
    key,
    fingerprint,
    render: (result: A): StoredAnswer => {
      const rendered = render(result);
      stored.set(rendered, result);
      return rendered;
    },
  };
  const result = await engine.runOnce(book, { handler, payload, cause, once });
  if (!result.ok) return orThrow(result.error);
  // Our own answer, not one of an earlier try that was rolled back: the very same object.
  if (stored.has(result.value)) {
    return renderOnce === undefined ? result.value : renderOnce(stored.get(result.value) as A);
  }
  return { ...result.value, headers: { ...result.value.headers, "idempotency-replayed": "true" } };
}

const VERSION_TAG = /^(?:W\/)?"(\d{1,9})"$/;

/** The version that the caller has read; null where none was said and none is needed. */
export function ifMatch(call: Call, need: "required" | "optional"): number | null {
  const header = call.request.headers["if-match"];
  if (header === undefined) {
    if (need === "required") throw refuse("if-match-required");
    return null;
  }
  const [, version] = VERSION_TAG.exec(header.trim()) ?? [];
  // A tag that is none of ours is of no version of ours.
  if (version === undefined) throw refuse("version-conflict", `No version of it has the tag ${header.slice(0, 80)}.`);
  return Number(version);
}

/** For commands that have no fault of meaning to add. */
export function checkForm(call: Call): void {
  if (call.problems.length > 0) throw refuseFields(call.problems);
}

const ID_FORM = new RegExp(ID_PATTERN);

/** The id in the path. @throws Refused for a text that is nobody's. */
export function pathId(call: Call, what: string): string {
  const id = call.params["id"] ?? "";
  if (id.length > ID_MAX || !ID_FORM.test(id)) throw notFound(what);
  return id;
}

export function notFound(what: string): Refused {
  return refuse("not-found", `There is no such ${what}.`);
}

/** How a payout is called in the public catalogues. */
export function wordsOf(connectors: ReadonlyMap<string, Connector>): (payout: Payout) => AllocationWords {
  return (payout) => {
    const connector = connectors.get(payout.connector);
    const method = connector?.services.find((service) => service.code === payout.service)?.method ?? "";
    return { method: METHODS.has(method) ? method : "miscellaneous", gatewayName: connector?.gatewayName ?? null };
  };
}
