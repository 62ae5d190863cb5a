/** `POST /callbacks/{callbackId}`: where providers reach us. Verified on the raw bytes before anything is believed. */
import type { FastifyInstance, FastifyRequest } from "fastify";
import type { CallbackNews, RawCallback } from "../../connectors/contract.ts";
import { sha256 } from "../../core/ids.ts";
import { hearCallback } from "../../engine/commands/callback.ts";
import type { OpenAccount } from "../../engine/engine.ts";
import type { Locator } from "../../engine/ports.ts";
import { isKeepable } from "../../engine/provider-words.ts";
import { answer, notFound, type World } from "../endpoint.ts";
import { refuse } from "../problem.ts";
import { send } from "../register.ts";
import { ProblemAnswer } from "../schema.ts";

/** No provider has that much to say. */
const BODY_MAX = 64 * 1024;
const ID_MAX = 200;
const ADDRESSES_MAX = 10_000;

/** Lower-case names, one text each, as connectors read them. */
function rawOf(request: FastifyRequest, body: Buffer): RawCallback {
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(request.headers)) {
    if (value !== undefined) headers[name] = Array.isArray(value) ? value.join(", ") : value;
  }
  return { headers, body: body.toString("utf8") };
}

/** What is kept of a message: our reference, and what it says about the order. Nothing about the payee. */
function keptOf(news: CallbackNews): Readonly<Record<string, unknown>> {
  const { sent, fact, resolution, providerReference, providerStatus, providerCode, sequence } = news.answer;
  const { paidMinor, returnedMinor, returnId } = news.answer;
  return {
    reference: news.reference,
    sent,
    fact,
    resolution,
    providerReference,
    providerStatus,
    providerCode,
    sequence,
    returnId,
    paidMinor: paidMinor?.toString(),
    returnedMinor: returnedMinor?.toString(),
  };
}

/** Addresses never change hands, so what was found once is kept; strangers' guesses are not. */
class Addresses {
  readonly #found = new Map<string, Locator>();

  async find(world: World, callbackId: string): Promise<Locator | null> {
    if (callbackId.length > ID_MAX) return null;
    const hash = sha256(callbackId);
    const known = this.#found.get(hash);
    if (known !== undefined) return known;
    const located = await world.reads.findCallback(hash);
    if (located !== null && this.#found.size < ADDRESSES_MAX) this.#found.set(hash, located);
    return located;
  }
}

/**
 * The account whose provider signed this message; null when nobody's did. What this process knows is tried first; a
 * message that it does not verify is tried again with what the database says now, for secrets change.
 */
async function verify(world: World, at: Locator, raw: RawCallback): Promise<OpenAccount | null> {
  const isSigned = ({ connector, account, now }: OpenAccount): boolean =>
    connector.verifyCallback?.(raw, account, now) === true;
  const known = world.engine.knownAccount(at.organizationId, at.id);
  if (known !== null && isSigned(known)) return known;
  const found = await world.engine.account(at.organizationId, at.id);
  if (found?.connector.verifyCallback === undefined) throw notFound("callback address");
  return isSigned(found) ? found : null;
}

async function take(world: World, located: Locator, request: FastifyRequest): Promise<void> {
  const body = Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0);
  const raw = rawOf(request, body);
  const verified = await verify(world, located, raw);
  if (verified === null) throw refuse("unauthorized", "The message is not signed as this account's provider signs.");
  const { connector, account } = verified;
  const bodyHash = sha256(body);
  const all = connector.readCallback?.(raw, account) ?? [];
  if (!all.every(isKeepable)) throw refuse("validation-failed", "Its id or its reference is none that can be kept.");
  for (const news of all) {
    const cause = {
      actor: `provider:${account.id}`,
      providerAccountId: account.id,
      messageId: news.messageId,
      verified: true,
      body: keptOf(news),
      bodyHash,
    };
    const message = { providerAccountId: account.id, news };
    const heard = await world.engine.run(located.organizationId, hearCallback, message, cause);
    // Nothing was stored: only an error makes the provider come again.
    if (!heard.ok) throw new Error(`a verified callback was refused: ${heard.error.code}`);
  }
}

export const CALLBACK_ROUTE = "/callbacks/:callbackId";

const CALLBACK_PARAMS = {
  type: "object",
  properties: {
    callbackId: { type: "string", description: "One per provider account; told to nobody but the provider." },
  },
  required: ["callbackId"],
};

/** Registered in a scope of its own: every body is taken as bytes there, whatever it says it is. */
export async function callbacks(app: FastifyInstance, world: World): Promise<void> {
  const addresses = new Addresses();
  app.removeAllContentTypeParsers();
  app.addContentTypeParser("*", { parseAs: "buffer" }, (_request, body, done) => done(null, body));
  app.route<{ Params: { callbackId: string } }>({
    method: "POST",
    url: CALLBACK_ROUTE,
    bodyLimit: BODY_MAX,
    schema: {
      operationId: "hearCallback",
      tags: ["Callbacks"],
      summary: "A provider's news. At most 64 kB, signed as the provider signs.",
      security: [],
      response: {
        200: { description: "Taken.", content: { "application/json": { schema: { type: "object" } } } },
        401: ProblemAnswer("`unauthorized`: not signed by the provider. Nothing was changed."),
        404: ProblemAnswer("`not-found`: nobody listens here."),
        413: ProblemAnswer("`body-too-large`"),
        422: ProblemAnswer("`validation-failed`: its id or reference is longer than 255 characters, or no text."),
        503: ProblemAnswer("`unavailable`: come again."),
      },
    },
    config: { docs: { params: CALLBACK_PARAMS, querystring: undefined, headers: undefined } },
    async handler(request, reply) {
      const located = await addresses.find(world, request.params.callbackId);
      if (located === null) throw notFound("callback address");
      await take(world, located, request);
      return send(reply, answer(200, {}));
    },
  });
}
