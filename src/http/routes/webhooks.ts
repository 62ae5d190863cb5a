/** Webhooks: who hears of events, what was sent to whom, and sending it again. */
import Type, { type Static } from "typebox";
import { eventType, isEvent, isHeard } from "../../core/views/events.ts";
import { webhookDeliveryView, webhookEndpointView } from "../../core/views/settings.ts";
import type { StoredAnswer } from "../../engine/command.ts";
import {
  changeEndpoint,
  createEndpoint,
  type EndpointRows,
  replayEvents,
  resendDelivery,
  rotateSecret,
} from "../../engine/commands/webhooks.ts";
import type { Delivery } from "../../engine/ports.ts";
import { isUuid } from "../../store/reads.ts";
import { alone, type Configured, changer, itself, readers } from "../configured.ts";
import {
  answer,
  type Call,
  checkForm,
  command,
  created,
  type Endpoint,
  ifMatch,
  notFound,
  pathId,
  resource,
} from "../endpoint.ts";
import { refuseFields } from "../problem.ts";
import { Id, Named, OneOf, SomeTextOrNull, Text, Time } from "../schema.ts";

const STATUSES = ["active", "disabled"] as const;
const WHAT = "webhook endpoint";

const ENDPOINTS: Configured<"webhookEndpoint", EndpointRows> = {
  table: "webhookEndpoint",
  path: "/webhook-endpoints",
  name: "WebhookEndpoint",
  names: "WebhookEndpoints",
  what: WHAT,
  tag: "Webhooks",
  permission: "webhooks",
  list: {
    table: "webhookEndpoint",
    isById: true,
    filters: {
      id: { column: "id", kind: "text" },
      status: { column: "status", kind: "text", words: STATUSES },
      createdTime: { column: "createdTime", kind: "time" },
      updatedTime: { column: "updatedTime", kind: "time" },
    },
  },
  complete: async (_call, rows) => rows.map((endpoint) => ({ endpoint, secret: null })),
  rowOf: ({ endpoint }) => endpoint,
  // Whatever a command has made: the secret is added by those who may show it, once.
  show: ({ endpoint }, call) => webhookEndpointView(endpoint, call.world.base()),
};

const DELIVERIES: Configured<"delivery", Delivery> = {
  table: "delivery",
  path: "/webhook-deliveries",
  name: "WebhookDelivery",
  names: "WebhookDeliveries",
  what: "webhook delivery",
  tag: "Webhooks",
  permission: "webhooks",
  list: {
    table: "delivery",
    filters: {
      id: { column: "id", kind: "text" },
      endpointId: { column: "endpointId", kind: "text" },
      status: { column: "status", kind: "text", words: ["pending", "delivered", "failed"] },
      eventType: { column: "eventType", kind: "text" },
      createdTime: { column: "createdTime", kind: "time" },
      updatedTime: { column: "updatedTime", kind: "time" },
    },
    params: ["endpointId"],
  },
  complete: alone,
  rowOf: itself,
  show: (delivery, call) => webhookDeliveryView(delivery, call.world.base()),
};

const URL = Text(2_048, "Where webhooks go: an address on the public internet.");
const SHARED = {
  events: Type.Optional(
    Type.Array(Type.String({ maxLength: 100, description: "A type of event, exact or with a final `*`." }), {
      description: "What it hears of; none: everything. Default: everything.",
      examples: [["payout-invoice.*", "payout-request-fulfilled"]],
    }),
  ),
  status: Type.Optional(OneOf(STATUSES, "Disabled: nothing is sent. Default active.")),
  description: Type.Optional(SomeTextOrNull(1_000, "For people.")),
};
const NEW_ENDPOINT = Type.Object(
  { id: Type.Optional(Id("Default: one of ours.")), url: URL, ...SHARED },
  { examples: [{ url: "https://shop.example/webhooks", events: ["payout-invoice.*"] }] },
);

const withSecret = (rows: EndpointRows, call: Call) => ({ ...ENDPOINTS.show(rows, call), secret: rows.secret });

async function create(call: Call): Promise<StoredAnswer> {
  const location = ({ endpoint }: EndpointRows): string => `${call.world.base()}/webhook-endpoints/${endpoint.id}`;
  return command(call, {
    handler: createEndpoint,
    payload: { order: call.body, problems: call.problems },
    render: (rows) => created(ENDPOINTS.show(rows, call), rows.endpoint.version, location(rows)),
    renderOnce: (rows) => created(withSecret(rows, call), rows.endpoint.version, location(rows)),
  });
}

async function rotate(call: Call): Promise<StoredAnswer> {
  const id = pathId(call, WHAT);
  const version = ifMatch(call, "required") ?? 0;
  return command(call, {
    handler: rotateSecret,
    payload: { id, version },
    render: (rows) => resource(ENDPOINTS.show(rows, call), rows.endpoint.version),
    renderOnce: (rows) => resource(withSecret(rows, call), rows.endpoint.version),
  });
}

const REPLAY = Type.Object(
  { from: Time("The first instant of the span."), to: Time("The last instant of the span.") },
  { examples: [{ from: "2026-11-21T12:00:00Z", to: "2026-11-21T13:00:00Z" }] },
);
const REPLAY_MAX = 1_000;
/** Of an endpoint that hears little, so many changes are looked through. */
const SEARCH_MAX = 20_000;

/** The events of a span of time that the endpoint hears. @throws Refused for a span that has too many. */
async function sequencesOf(call: Call, id: string): Promise<readonly number[]> {
  checkForm(call);
  const { from, to } = call.body as Static<typeof REPLAY>;
  const span = { from: Date.parse(from), to: Date.parse(to) };
  const faults = (["from", "to"] as const).filter((name) => Number.isNaN(span[name]));
  if (faults.length > 0)
    throw refuseFields(faults.map((field) => ({ field, message: "is no time that a clock shows" })));
  if (span.to < span.from) throw refuseFields([{ field: "to", message: "is before from" }]);
  const { reads } = call.world;
  const endpoint = await reads.one("webhookEndpoint", call.identity.book, id);
  if (endpoint === null) throw notFound(WHAT);
  const changes = await reads.changesWithin(call.identity.book, span, SEARCH_MAX + 1);
  const heard = changes.filter((change) => isEvent(change) && isHeard(endpoint.events, eventType(change)));
  if (heard.length > REPLAY_MAX || changes.length > SEARCH_MAX) {
    const last = heard[REPLAY_MAX - 1] ?? changes[SEARCH_MAX - 1];
    const until = new Date(last?.time ?? span.from).toISOString();
    throw refuseFields([
      { field: "to", message: `has more than ${REPLAY_MAX} events before it: take at most ${until}` },
    ]);
  }
  return heard.map((change) => change.sequence);
}

async function replay(call: Call): Promise<StoredAnswer> {
  const id = pathId(call, WHAT);
  const sequences = await sequencesOf(call, id);
  return command(call, {
    handler: replayEvents,
    payload: { endpointId: id, sequences },
    render: (begun) => answer(200, begun),
  });
}

async function resend(call: Call): Promise<StoredAnswer> {
  const id = call.params["id"] ?? "";
  if (!isUuid(id)) throw notFound("webhook delivery");
  return command(call, {
    handler: resendDelivery,
    payload: { id },
    render: (delivery) => resource(DELIVERIES.show(delivery, call), delivery.version),
  });
}

const ONE = { description: `The ${WHAT}.`, schema: Named("WebhookEndpoint") };

const ACTS: readonly Endpoint[] = [
  {
    method: "POST",
    path: "/webhook-endpoints/:id/rotate-secret",
    name: "rotateWebhookSecret",
    tag: "Webhooks",
    summary: "Make a new secret, shown once. For a day the one before signs beside it.",
    permission: "webhooks",
    ifMatch: "required",
    answers: { 200: { ...ONE, description: "With the new secret. A repeat of the same call does not show it again." } },
    refusals: ["not-found", "version-conflict", "if-match-required"],
    handle: rotate,
  },
  {
    method: "POST",
    path: "/webhook-endpoints/:id/replay",
    name: "replayWebhooks",
    tag: "Webhooks",
    summary: `Tell an endpoint the events of a span of time again, at most ${REPLAY_MAX}, as new deliveries.`,
    permission: "webhooks",
    body: REPLAY,
    answers: { 200: { description: "They are on their way.", schema: Named("WebhookReplay") } },
    refusals: ["validation-failed", "not-found", "not-in-this-status"],
    handle: replay,
  },
  {
    method: "POST",
    path: "/webhook-deliveries/:id/resend",
    name: "resendWebhook",
    tag: "Webhooks",
    summary: "Send a delivery again, whatever became of it. Its id stays.",
    permission: "webhooks",
    answers: { 200: { description: "It is on its way.", schema: Named("WebhookDelivery") } },
    refusals: ["not-found", "not-in-this-status"],
    handle: resend,
  },
  {
    method: "GET",
    path: "/webhook-secret",
    name: "getWebhookSecret",
    tag: "Webhooks",
    summary: "Read the secret that signs what goes to the `callbackUrl` of invoices. Each book has its own.",
    permission: "secrets",
    answers: { 200: { description: "The secret.", schema: Named("WebhookSecret") } },
    refusals: [],
    handle: async ({ identity }) => answer(200, { secret: identity.safe.signingSecret() }),
  },
];

export const webhooks: readonly Endpoint[] = [
  {
    method: "POST",
    path: "/webhook-endpoints",
    name: "createWebhookEndpoint",
    tag: "Webhooks",
    summary: "Make a webhook endpoint. Its secret is shown once.",
    permission: "webhooks",
    body: NEW_ENDPOINT,
    answers: {
      201: { ...ONE, description: "Made, with its secret. A repeat of the same call does not show it again." },
    },
    refusals: ["validation-failed", "id-used", "not-in-this-status"],
    handle: create,
  },
  ...readers(ENDPOINTS),
  changer(ENDPOINTS, {
    body: Type.Object({ url: Type.Optional(URL), ...SHARED }),
    handler: changeEndpoint,
  }),
  ...readers(DELIVERIES),
  ...ACTS,
];
