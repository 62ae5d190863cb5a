/** `POST /callbacks/{callbackId}`: where providers reach us. Verified on the raw bytes before anything is believed. */
import type { FastifyInstance, FastifyRequest } from "fastify";
import type { CallbackNews, RawCallback } from "../../connectors/contract.ts";
import { sha256 } from "../../core/ids.ts";
import { hearCallback } from "../../engine/commands/callback.ts";
import { answer, notFound, type World } from "../endpoint.ts";
import { refuse } from "../problem.ts";
import { send } from "../register.ts";
import { ProblemAnswer } from "../schema.ts";

/** No provider has that much to say. */
const BODY_MAX = 64 * 1024;
const ID_MAX = 200;

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

async function take(world: World, callbackId: string, request: FastifyRequest): Promise<void> {
  const body = Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0);
  const located = callbackId.length > ID_MAX ? null : await world.reads.findCallback(sha256(callbackId));
  const found = located === null ? null : await world.engine.account(located.organizationId, located.id);
  if (located === null || found?.connector.verifyCallback === undefined) throw notFound("callback address");
  const { connector, account, now } = found;
  const raw = rawOf(request, body);
  if (connector.verifyCallback?.(raw, account, now) !== true) {
    throw refuse("unauthorized", "The message is not signed as this account's provider signs.");
  }
  const bodyHash = sha256(body);
  for (const news of connector.readCallback?.(raw, account) ?? []) {
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
        503: ProblemAnswer("`unavailable`: come again."),
      },
    },
    config: { docs: { params: CALLBACK_PARAMS, querystring: undefined, headers: undefined } },
    async handler(request, reply) {
      await take(world, request.params.callbackId, request);
      return send(reply, answer(200, {}));
    },
  });
}
