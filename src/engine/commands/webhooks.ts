/**
 * Webhooks out, by the Standard Webhooks specification: at least once, the id constant over all tries, several
 * signatures while a secret is being rotated. A delivery is due work like any other; its try happens after a commit.
 */
import { Webhook } from "standardwebhooks";
import { type Refusal, refusal } from "../../core/errors.ts";
import { assert, err, ok, type Result } from "../../core/result.ts";
import {
  EVENT_TYPES,
  type EventNames,
  eventBody,
  eventNames,
  eventType,
  isEvent,
  isHeard,
  TABLE_OF,
} from "../../core/views/events.ts";
import { type Handler, ORDER, type WebhookErrand } from "../command.ts";
import type { Context } from "../context.ts";
import type { Delivery, History, HttpOutcome, TableName, Want, WebhookEndpoint, Work } from "../ports.ts";
import { secretsBinding } from "../setup.ts";
import {
  born,
  type Change,
  type Create,
  current,
  Faults,
  growRevision,
  idOf,
  renewed,
  taken,
  urlFault,
} from "./configuration.ts";

const SECOND_MS = 1_000;
const MINUTE_MS = 60 * SECOND_MS;
const HOUR_MS = 60 * MINUTE_MS;

/** Delays before each try after the one before. The last try is about three days after the event. */
const RETRIES_MS: readonly number[] = [
  0,
  5 * SECOND_MS,
  5 * MINUTE_MS,
  30 * MINUTE_MS,
  2 * HOUR_MS,
  5 * HOUR_MS,
  10 * HOUR_MS,
  14 * HOUR_MS,
  20 * HOUR_MS,
  24 * HOUR_MS,
];

const TRY_TIMEOUT_MS = 15 * SECOND_MS;
/** Longer than a try may take: who dies while trying is found by it, and the same webhook goes again. */
const TRY_LEASE_MS = 60 * SECOND_MS;
const GONE = 410;

/** How long the secret before a rotation still signs. */
const ROTATION_MS = 24 * HOUR_MS;
const SECRET_BYTES = 32;
const MAX_ENDPOINTS = 25;

/** Puts a change on its way to everybody who listens: one delivery per address. */
export function announce(context: Context, change: History, callbackUrl: string | null): void {
  if (!isEvent(change)) return;
  const type = eventType(change);
  for (const { row } of context.setup.endpoints.values()) {
    if (row.status === "active" && isHeard(row.events, type)) addDelivery(context, change, row);
  }
  if (callbackUrl !== null) addDelivery(context, change, { id: null, url: callbackUrl });
}

function addDelivery(context: Context, change: History, to: { id: string | null; url: string }): string {
  const { organizationId, now } = context;
  const id = context.newId();
  context.rows.put("delivery", {
    organizationId,
    id,
    endpointId: to.id,
    url: to.url,
    eventType: eventType(change),
    sequence: change.sequence,
    status: "pending",
    tries: 0,
    lastResult: null,
    version: 1,
    createdTime: now,
    updatedTime: now,
  });
  context.rows.put("work", { organizationId, kind: "delivery", subject: id, dueTime: now, fence: 0 });
  return id;
}

/** Tries one delivery that is due. */
export const wakeDelivery: Handler<Work, "moved"> = {
  name: "try-webhook",
  order: ORDER.claim,
  wants: (work, organizationId) => [
    { table: "delivery", by: "primary", keys: [[organizationId, work.subject]] },
    { table: "work", by: "primary", keys: [[organizationId, "delivery", work.subject]] },
  ],
  more(work, seen) {
    const { organizationId, rows } = seen;
    const delivery = rows.get("delivery", [organizationId, work.subject]);
    if (delivery === null) return [];
    const change = rows.get("history", [organizationId, delivery.sequence]);
    if (change === null) return [{ table: "history", by: "primary", keys: [[organizationId, delivery.sequence]] }];
    return [{ table: TABLE_OF[change.kind], by: "primary", keys: [[organizationId, change.subject]] }];
  },
  decide(context, work) {
    const { organizationId, rows, now } = context;
    const key = [organizationId, "delivery", work.subject];
    const due = rows.get("work", key);
    if (due === null || due.fence !== work.fence || due.dueTime > now) return ok("moved");
    const delivery = rows.get("delivery", [organizationId, work.subject]);
    assert(delivery !== null, `delivery ${work.subject} has due work and exists`);
    const change = rows.get("history", [organizationId, delivery.sequence]);
    assert(change !== null, `delivery ${delivery.id} tells a change that exists`);
    const secrets = secretsFor(context, delivery.endpointId);
    if (secrets === null) return giveUp(context, delivery, "endpoint disabled");
    const slotKey = `webhook:${delivery.endpointId ?? new URL(delivery.url).host}`;
    if (!context.takeSlot(slotKey)) return stepBack(context, delivery, due);
    const fence = context.nextFence();
    rows.put("work", { ...due, dueTime: now + TRY_LEASE_MS, fence });
    context.errands.push(errandOf(context, { delivery, change, secrets, slotKey, fence }));
    return ok("moved");
  },
};

/** A delivery that finds its receiver busy comes again when it has waited as long once more, within these bounds. */
const BUSY_MIN_MS = 250;
const BUSY_MAX_MS = 60 * SECOND_MS;

/**
 * Makes room for the deliveries behind it: a claim takes the longest overdue, and one receiver that hangs would fill
 * every claim. What it costs is one small write each time the wait has doubled.
 */
function stepBack(context: Context, delivery: Delivery, due: Work): Result<"moved", Refusal> {
  const { now, rows } = context;
  const waitedMs = now - delivery.updatedTime;
  const delayMs = Math.min(Math.max(waitedMs, BUSY_MIN_MS), BUSY_MAX_MS);
  rows.put("work", { ...due, dueTime: now + delayMs });
  return ok("moved");
}

/** The secrets that sign for an endpoint; null when it is gone or disabled. */
function secretsFor(context: Context, endpointId: string | null): readonly string[] | null {
  if (endpointId === null) return [context.setup.safe.signingSecret()];
  const endpoint = context.setup.endpoints.get(endpointId);
  if (endpoint === undefined || endpoint.row.status === "disabled") return null;
  const { current, previous, previousUntil } = endpoint.secrets;
  assert(current !== undefined, "an endpoint has a signing secret");
  const isRotating = previous !== undefined && Number(previousUntil) > context.now;
  return isRotating ? [current, previous] : [current];
}

function errandOf(
  context: Context,
  of: { delivery: Delivery; change: History; secrets: readonly string[]; slotKey: string; fence: number },
): WebhookErrand {
  const { delivery, change, fence } = of;
  const body = JSON.stringify(eventBody(change, namesOf(context, change)));
  const date = new Date(context.now);
  const signature = of.secrets.map((secret) => new Webhook(secret).sign(delivery.id, date, body)).join(" ");
  const url = new URL(delivery.url);
  return {
    kind: "webhook",
    organizationId: context.organizationId,
    deliveryId: delivery.id,
    slotKey: of.slotKey,
    baseUrl: url.origin,
    draft: {
      method: "POST",
      path: `${url.pathname}${url.search}`,
      headers: {
        "content-type": "application/json",
        "user-agent": "Bursar",
        "webhook-id": delivery.id,
        "webhook-timestamp": String(Math.floor(context.now / SECOND_MS)),
        "webhook-signature": signature,
      },
      body,
    },
    fence,
    sendWithinMs: TRY_LEASE_MS - TRY_TIMEOUT_MS,
    timeoutMs: TRY_TIMEOUT_MS,
  };
}

/** What tells the merchant which of theirs it is. */
function namesOf(context: Context, change: History): EventNames {
  return eventNames(change.kind, context.rows.get(TABLE_OF[change.kind], [context.organizationId, change.subject]));
}

function giveUp(context: Context, delivery: Delivery, lastResult: string): Result<"moved", Refusal> {
  const { organizationId, rows, now } = context;
  rows.put("delivery", { ...delivery, status: "failed", lastResult, version: delivery.version + 1, updatedTime: now });
  rows.remove("work", [organizationId, "delivery", delivery.id]);
  return ok("moved");
}

export interface DeliveryOutcome {
  readonly errand: WebhookErrand;
  readonly outcome: HttpOutcome;
}

/** What became of a try: delivered, gone for good, or again later. */
export const recordDelivery: Handler<DeliveryOutcome, "taken" | "stale"> = {
  name: "webhook-outcome",
  order: ORDER.inquiry,
  wants: ({ errand }, organizationId) => [
    { table: "delivery", by: "primary", keys: [[organizationId, errand.deliveryId]] },
    { table: "work", by: "primary", keys: [[organizationId, "delivery", errand.deliveryId]] },
  ],
  more({ errand }, seen) {
    const endpointId = seen.rows.get("delivery", [seen.organizationId, errand.deliveryId])?.endpointId ?? null;
    if (endpointId === null) return [];
    return [{ table: "webhookEndpoint", by: "primary", keys: [[seen.organizationId, endpointId]] }];
  },
  decide(context, { errand, outcome }) {
    const { organizationId, rows, now } = context;
    const work = rows.get("work", [organizationId, "delivery", errand.deliveryId]);
    const delivery = rows.get("delivery", [organizationId, errand.deliveryId]);
    if (work === null || delivery === null || work.fence !== errand.fence) return ok("stale");
    const status = outcome.kind === "answer" ? outcome.result.status : 0;
    const lastResult = resultOf(outcome);
    const tries = delivery.tries + 1;
    const next = { ...delivery, tries, lastResult, version: delivery.version + 1, updatedTime: now };
    if (status >= 200 && status < 300) {
      rows.put("delivery", { ...next, status: "delivered" });
      rows.remove("work", [organizationId, "delivery", delivery.id]);
      return ok("taken");
    }
    if (status === GONE && delivery.endpointId !== null) disable(context, delivery.endpointId);
    const delayMs = RETRIES_MS[tries];
    if (status === GONE || delayMs === undefined) {
      rows.put("delivery", { ...next, status: "failed" });
      rows.remove("work", [organizationId, "delivery", delivery.id]);
      return ok("taken");
    }
    rows.put("delivery", next);
    rows.put("work", { ...work, dueTime: now + delayMs });
    return ok("taken");
  },
};

/** What a person reads in the list of deliveries. */
function resultOf(outcome: HttpOutcome): string {
  switch (outcome.kind) {
    case "answer":
      return String(outcome.result.status);
    case "timeout":
      return "timeout";
    case "not_sent":
    case "lost":
      return `${outcome.kind}: ${outcome.reason}`;
  }
}

/** The receiver has said that it is gone: nothing is sent there until a person switches it on again. */
function disable(context: Context, endpointId: string): void {
  const row = context.rows.get("webhookEndpoint", [context.organizationId, endpointId]);
  if (row === null || row.status === "disabled") return;
  putEndpoint(context, renewed(context, { ...row, status: "disabled" }));
}

function putEndpoint(context: Context, row: WebhookEndpoint): WebhookEndpoint {
  context.rows.put("webhookEndpoint", row);
  growRevision(context);
  return row;
}

/** On a change: absent = as it is. */
export interface EndpointOrder {
  readonly id?: string;
  readonly url?: string;
  /** Event types, exact or with a final `*`; none means all. */
  readonly events?: readonly string[];
  readonly status?: WebhookEndpoint["status"];
  readonly description?: string | null;
}

/** An endpoint and, only where it has just been made, its secret. */
export interface EndpointRows {
  readonly endpoint: WebhookEndpoint;
  readonly secret: string | null;
}

function newSecret(context: Context): string {
  return `whsec_${Buffer.from(context.secretBytes(SECRET_BYTES)).toString("base64")}`;
}

/** Where an address leads is checked at every connect. */
function check({ url, events }: EndpointOrder, faults: Faults): void {
  const fault = url === undefined ? null : urlFault(url);
  if (fault !== null) faults.say("url", fault);
  for (const [index, each] of (events ?? []).entries()) {
    // One that is no text was named before, with the faults of form.
    const isKnown = typeof each === "string" && EVENT_TYPES.some((type) => isHeard([each], type));
    if (!isKnown) faults.say(`events[${index}]`, "is no type of event");
  }
}

export const createEndpoint: Handler<Create<EndpointOrder>, EndpointRows> = {
  name: "create-webhook-endpoint",
  order: ORDER.accept,
  wants: (_, organizationId) => [
    { table: "webhookEndpoint", by: "webhook_endpoint_by_organization", keys: [[organizationId]] },
  ],
  decide(context, { order, problems }) {
    const { organizationId, rows, setup } = context;
    const faults = new Faults(problems);
    const { url } = order;
    if (url === undefined) faults.say("url", "is required");
    check(order, faults);
    if (!faults.isSound || url === undefined) return err(faults.refusal);
    const id = idOf(context, order.id, "whe");
    const others = rows.filter("webhookEndpoint", (row) => row.organizationId === organizationId);
    if (others.some((row) => row.id === id)) {
      return err(taken("id-used", `There is a webhook endpoint ${id} already.`, `/webhook-endpoints/${id}`));
    }
    if (others.length >= MAX_ENDPOINTS) {
      return err(refusal("not-in-this-status", `There are ${MAX_ENDPOINTS} endpoints already.`));
    }
    const secret = newSecret(context);
    const endpoint = putEndpoint(context, {
      ...born(context),
      id,
      url,
      events: order.events ?? [],
      status: order.status ?? "active",
      secrets: setup.safe.seal({ current: secret }, secretsBinding(organizationId, id)),
      description: order.description ?? null,
    });
    context.commandId(id);
    return ok({ endpoint, secret });
  },
};

export const changeEndpoint: Handler<Change<EndpointOrder>, EndpointRows> = {
  name: "change-webhook-endpoint",
  order: ORDER.accept,
  wants: ({ id }, organizationId) => [{ table: "webhookEndpoint", by: "primary", keys: [[organizationId, id]] }],
  decide(context, { id, version, order, problems }) {
    const row = context.rows.get("webhookEndpoint", [context.organizationId, id]);
    const read = current("webhook endpoint", row, version);
    if (!read.ok) return read;
    const faults = new Faults(problems);
    check(order, faults);
    if (!faults.isSound) return err(faults.refusal);
    const { url, events, status, description } = read.value;
    const endpoint = putEndpoint(
      context,
      renewed(context, {
        ...read.value,
        url: order.url ?? url,
        events: order.events ?? events,
        status: order.status ?? status,
        description: order.description === undefined ? description : order.description,
      }),
    );
    context.commandId(id);
    return ok({ endpoint, secret: null });
  },
};

export interface RotateSecret {
  readonly id: string;
  /** The version that the caller has read: a repeat of a lost answer must not throw the secret before away. */
  readonly version: number;
}

/** Makes a new secret; the one before signs beside it for a day. */
export const rotateSecret: Handler<RotateSecret, EndpointRows> = {
  name: "rotate-webhook-secret",
  order: ORDER.accept,
  wants: ({ id }, organizationId) => [{ table: "webhookEndpoint", by: "primary", keys: [[organizationId, id]] }],
  decide(context, { id, version }) {
    const { organizationId, rows, setup, now } = context;
    const read = current("webhook endpoint", rows.get("webhookEndpoint", [organizationId, id]), version);
    if (!read.ok) return read;
    const binding = secretsBinding(organizationId, id);
    const { current: previous = "" } = setup.safe.open(read.value.secrets, binding);
    const secret = newSecret(context);
    const kept = { current: secret, previous, previousUntil: String(now + ROTATION_MS) };
    const secrets = setup.safe.seal(kept, binding);
    const endpoint = putEndpoint(context, renewed(context, { ...read.value, secrets }));
    context.commandId(id);
    return ok({ endpoint, secret });
  },
};

/** Refuses to send to an endpoint that takes nothing. */
function asleep(endpoint: WebhookEndpoint | null): Refusal | null {
  if (endpoint?.status !== "disabled") return null;
  return refusal("not-in-this-status", "The endpoint is disabled: set its status to active first.");
}

/** Sends one delivery again, whatever became of it; its id stays. */
export const resendDelivery: Handler<{ readonly id: string }, Delivery> = {
  name: "resend-webhook",
  order: ORDER.accept,
  wants: ({ id }, organizationId) => [
    { table: "delivery", by: "primary", keys: [[organizationId, id]] },
    { table: "work", by: "primary", keys: [[organizationId, "delivery", id]] },
  ],
  more({ id }, { organizationId, rows }) {
    const endpointId = rows.get("delivery", [organizationId, id])?.endpointId ?? null;
    if (endpointId === null) return [];
    return [{ table: "webhookEndpoint", by: "primary", keys: [[organizationId, endpointId]] }];
  },
  decide(context, { id }) {
    const { organizationId, rows, now } = context;
    const delivery = rows.get("delivery", [organizationId, id]);
    if (delivery === null) return err(refusal("not-found", "There is no such delivery."));
    const { endpointId } = delivery;
    const refused = asleep(endpointId === null ? null : rows.get("webhookEndpoint", [organizationId, endpointId]));
    if (refused !== null) return err(refused);
    const again: Delivery = {
      ...delivery,
      status: "pending",
      tries: 0,
      version: delivery.version + 1,
      updatedTime: now,
    };
    rows.put("delivery", again);
    const work = rows.get("work", [organizationId, "delivery", id]);
    rows.put("work", { organizationId, kind: "delivery", subject: id, dueTime: now, fence: work?.fence ?? 0 });
    context.commandId(id);
    return ok(again);
  },
};

export interface ReplayEvents {
  readonly endpointId: string;
  /** History sequences to tell again, as the caller has found them for a span of time. */
  readonly sequences: readonly number[];
}

/** Tells one endpoint a span of events again, as new deliveries of the same events. */
export const replayEvents: Handler<ReplayEvents, { readonly count: number }> = {
  name: "replay-webhooks",
  order: ORDER.accept,
  wants: ({ endpointId, sequences }, organizationId) => {
    const wants: Want<TableName>[] = [
      { table: "webhookEndpoint", by: "primary", keys: [[organizationId, endpointId]] },
      { table: "history", by: "primary", keys: sequences.map((sequence) => [organizationId, sequence]) },
    ];
    return wants;
  },
  decide(context, { endpointId, sequences }) {
    const { organizationId, rows } = context;
    const endpoint = rows.get("webhookEndpoint", [organizationId, endpointId]);
    if (endpoint === null) return err(refusal("not-found", "There is no such webhook endpoint."));
    const refused = asleep(endpoint);
    if (refused !== null) return err(refused);
    let count = 0;
    for (const sequence of sequences) {
      const change = rows.get("history", [organizationId, sequence]);
      if (change === null || !isEvent(change) || !isHeard(endpoint.events, eventType(change))) continue;
      addDelivery(context, change, endpoint);
      count += 1;
    }
    context.commandId(endpointId);
    return ok({ count });
  },
};
