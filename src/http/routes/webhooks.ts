/** Webhooks: where the merchant hears of changes, what became of each delivery, and how to hear it again. */
import Type from "typebox";
import { eventBody } from "../../core/events.ts";
import { deliveryView, endpointView } from "../../core/views.ts";
import {
  changeEndpoint,
  createEndpoint,
  readSigningSecret,
  replayEvents,
  resendDelivery,
} from "../../engine/commands/webhooks.ts";
import { isUuid } from "../../store/reads.ts";
import {
  answer,
  type Call,
  checkForm,
  command,
  created,
  type Endpoint,
  ifMatch,
  notFound,
  resource,
} from "../endpoint.ts";
import { type List, listAnswer, listParameters, pageAnswer, readList } from "../lists.ts";
import { refuse, refuseFields } from "../problem.ts";
import { Named, OneOf, Text, TextOrNull, Time } from "../schema.ts";

const ENDPOINTS: List = {
  table: "webhookEndpoint",
  filters: { id: { column: "id", kind: "text" }, status: { column: "status", kind: "text" } },
};
const DELIVERIES: List = {
  table: "delivery",
  filters: {
    id: { column: "id", kind: "text" },
    endpointId: { column: "endpointId", kind: "text" },
    status: { column: "status", kind: "text", words: ["pending", "delivered", "failed"] },
    eventType: { column: "eventType", kind: "text" },
  },
};

/** Most events that one replay tells again. */
const REPLAY_MAX = 1_000;

const EVENTS = Type.Array(Text(100, "A type, exact or with a final `*`."), {
  maxItems: 100,
  description: "What it hears; none means all.",
});
const MEMBERS = {
  events: Type.Optional(EVENTS),
  status: Type.Optional(OneOf(["active", "disabled"], "Whether events go there.")),
  description: Type.Optional(TextOrNull(1_000, "For people.")),
};
const NEW_ENDPOINT = Type.Object({ url: Text(2048, "Where events go: http or https."), ...MEMBERS });
const CHANGES = Type.Object({ url: Type.Optional(Text(2048, "Where events go.")), ...MEMBERS });
const SPAN = Type.Object({ from: Time("The first instant."), to: Time("The end; not itself part of it.") });

const EVENT = Type.Object({
  type: Type.String({ description: "What happened." }),
  timestamp: Time("When."),
  data: Type.Unsafe<Readonly<Record<string, unknown>>>({ type: "object", description: "To what, and what it is now." }),
});

const TAG = "Webhooks";
const ONE = { description: "The endpoint.", schema: Named("WebhookEndpoint") };
const idOf = (call: Call): string => call.params["id"] ?? "";

async function readSecret(call: Call) {
  if (call.identity.role === "viewer" || call.identity.role === "support") {
    throw refuse("forbidden", "A key that only reads may not see signing secrets.");
  }
  return command(call, {
    handler: readSigningSecret,
    payload: null,
    render: (secret) => answer(200, { secret }),
  });
}

async function replay(call: Call) {
  checkForm(call);
  const { from, to } = call.body as { from: string; to: string };
  const span = { from: Date.parse(from), to: Date.parse(to), limit: REPLAY_MAX };
  const sequences = await call.world.reads.sequencesBetween(call.identity.book, span);
  return command(call, {
    handler: replayEvents,
    payload: { endpointId: idOf(call), sequences },
    render: ({ count }) => answer(200, { count }),
  });
}

const endpointRoutes: readonly Endpoint[] = [
  {
    method: "POST",
    path: "/webhook-endpoints",
    name: "createWebhookEndpoint",
    tag: TAG,
    summary: "Listen to changes. The answer shows the signing secret, only this once.",
    body: NEW_ENDPOINT,
    answers: { 201: { ...ONE, description: "Made." } },
    refusals: ["validation-failed", "not-in-this-status"],
    handle: (call) =>
      command(call, {
        handler: createEndpoint,
        payload: { order: call.body, problems: call.problems },
        render: ({ endpoint, secret }) =>
          created(
            endpointView(endpoint, secret),
            endpoint.version,
            `${call.world.base()}/webhook-endpoints/${endpoint.id}`,
          ),
      }),
  },
  {
    method: "GET",
    path: "/webhook-endpoints",
    name: "listWebhookEndpoints",
    tag: TAG,
    summary: "List endpoints.",
    query: listParameters(ENDPOINTS),
    answers: { 200: listAnswer("WebhookEndpoint") },
    refusals: ["validation-failed"],
    async handle(call) {
      const query = readList(call, ENDPOINTS);
      const page = await call.world.reads.webhookEndpoints(call.identity.book, query);
      return pageAnswer(call, query, page, (row) => endpointView(row, null));
    },
  },
  {
    method: "GET",
    path: "/webhook-endpoints/:id",
    name: "getWebhookEndpoint",
    tag: TAG,
    summary: "Read an endpoint.",
    answers: { 200: ONE },
    refusals: ["not-found"],
    async handle(call) {
      const found = await call.world.reads.webhookEndpoint(call.identity.book, idOf(call));
      if (found === null) throw notFound("webhook endpoint");
      return resource(endpointView(found, null), found.version);
    },
  },
  {
    method: "PUT",
    path: "/webhook-endpoints/:id",
    name: "changeWebhookEndpoint",
    tag: TAG,
    summary: "Change an endpoint: absent members stay as they are.",
    body: CHANGES,
    ifMatch: "required",
    answers: { 200: ONE },
    refusals: ["validation-failed", "not-found", "version-conflict", "if-match-required"],
    handle: (call) =>
      command(call, {
        handler: changeEndpoint,
        payload: {
          id: idOf(call),
          version: ifMatch(call, "required"),
          order: call.body,
          problems: call.problems,
        },
        render: ({ endpoint }) => resource(endpointView(endpoint, null), endpoint.version),
      }),
  },
  {
    method: "POST",
    path: "/webhook-endpoints/:id/rotate-secret",
    name: "rotateWebhookSecret",
    tag: TAG,
    summary: "Make a new signing secret, shown only this once. The old one signs beside it for a day.",
    answers: { 200: ONE },
    refusals: ["not-found"],
    handle: (call) =>
      command(call, {
        handler: changeEndpoint,
        payload: { id: idOf(call), version: null, order: {}, problems: [], rotate: true },
        render: ({ endpoint, secret }) => resource(endpointView(endpoint, secret), endpoint.version),
      }),
  },
  {
    method: "POST",
    path: "/webhook-endpoints/:id/replay",
    name: "replayWebhooks",
    tag: TAG,
    summary: "Tell an endpoint the events of a span of time again, at most 1,000.",
    body: SPAN,
    answers: { 200: { description: "How many.", schema: Type.Object({ count: Type.Integer() }) } },
    refusals: ["validation-failed", "not-found"],
    handle: replay,
  },
];

/** Most events that one answer holds. */
const EVENTS_MAX = 1_000;
const EVENTS_DEFAULT = 100;

function wholeOf(call: Call, name: string, bounds: { max: number; fallback: number }): number {
  const text = call.query[name];
  if (text === undefined) return bounds.fallback;
  const value = typeof text === "string" && /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
  if (value <= bounds.max) return value;
  throw refuseFields([{ field: name, message: `must be a whole number from 0 to ${bounds.max}` }]);
}

const eventRoutes: readonly Endpoint[] = [
  {
    method: "GET",
    path: "/events",
    name: "listEvents",
    tag: TAG,
    summary: "Everything that changed, in order: ask again with `after` = the last sequence you have seen.",
    query: Type.Object({
      after: Type.Optional(Type.Integer({ minimum: 0, description: "Only what came after this sequence." })),
      limit: Type.Optional(Type.Integer({ minimum: 0, maximum: EVENTS_MAX, description: "How many; 100." })),
    }),
    answers: { 200: { description: "Events, oldest first.", schema: Type.Array(EVENT) } },
    refusals: ["validation-failed"],
    async handle(call) {
      const after = wholeOf(call, "after", { max: Number.MAX_SAFE_INTEGER, fallback: 0 });
      const limit = wholeOf(call, "limit", { max: EVENTS_MAX, fallback: EVENTS_DEFAULT });
      const changes = await call.world.reads.changesAfter(call.identity.book, after, limit);
      return answer(
        200,
        changes.map((change) => eventBody(change, {})),
      );
    },
  },
];

const deliveryRoutes: readonly Endpoint[] = [
  {
    method: "GET",
    path: "/webhook-deliveries",
    name: "listWebhookDeliveries",
    tag: TAG,
    summary: "List deliveries.",
    query: listParameters(DELIVERIES),
    answers: { 200: listAnswer("WebhookDelivery") },
    refusals: ["validation-failed"],
    async handle(call) {
      const query = readList(call, DELIVERIES);
      const page = await call.world.reads.deliveries(call.identity.book, query);
      return pageAnswer(call, query, page, (row) => deliveryView(row));
    },
  },
  {
    method: "POST",
    path: "/webhook-deliveries/:id/resend",
    name: "resendWebhook",
    tag: TAG,
    summary: "Send a delivery again, with the same id.",
    answers: { 200: { description: "The delivery.", schema: Named("WebhookDelivery") } },
    refusals: ["not-found"],
    handle(call) {
      if (!isUuid(idOf(call))) throw notFound("delivery");
      return command(call, {
        handler: resendDelivery,
        payload: { id: idOf(call) },
        render: (delivery) => resource(deliveryView(delivery), delivery.version),
      });
    },
  },
  {
    method: "GET",
    path: "/webhook-secret",
    name: "getWebhookSecret",
    tag: TAG,
    summary: "The secret that signs what goes to the `callbackUrl` of invoices.",
    answers: { 200: { description: "The secret.", schema: Type.Object({ secret: Type.String() }) } },
    refusals: ["forbidden"],
    handle: readSecret,
  },
];

export const webhooks: readonly Endpoint[] = [...endpointRoutes, ...eventRoutes, ...deliveryRoutes];
