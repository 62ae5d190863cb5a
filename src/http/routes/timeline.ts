/** Timelines: the whole story of an order, or of one payout, line by line. */
import Type from "typebox";
import type { InvalidField } from "../../core/errors.ts";
import { timelineView } from "../../core/views/timeline.ts";
import type { StoredAnswer } from "../../engine/command.ts";
import type { TimelineScope } from "../../store/reads/timeline.ts";
import { answer, type Call, type Endpoint, notFound, pathId } from "../endpoint.ts";
import { listAnswer } from "../lists.ts";
import { refuseFields } from "../problem.ts";

const LIMIT_MAX = 1_000;
const OFFSET_MAX = 10_000;

const QUERY = Type.Object({
  limit: Type.Optional(
    Type.Integer({ minimum: 0, maximum: LIMIT_MAX, default: LIMIT_MAX, description: "How many lines." }),
  ),
  offset: Type.Optional(
    Type.Integer({ minimum: 0, maximum: OFFSET_MAX, default: 0, description: "How many to skip." }),
  ),
});

function readWindow(call: Call): { limit: number; offset: number } {
  const faults: InvalidField[] = [];
  const whole = (name: string, max: number, fallback: number): number => {
    const text = call.query[name];
    if (text === undefined || text === "") return fallback;
    const value = typeof text === "string" && /^\d{1,9}$/.test(text) ? Number(text) : Number.POSITIVE_INFINITY;
    if (value <= max) return value;
    faults.push({ field: name, message: `must be a whole number from 0 to ${max}` });
    return fallback;
  };
  // One that is silently ignored would show lines that nobody has asked for.
  if (call.query["filter"] !== undefined) faults.push({ field: "filter", message: "is not taken by a timeline" });
  const window = { limit: whole("limit", LIMIT_MAX, LIMIT_MAX), offset: whole("offset", OFFSET_MAX, 0) };
  if (faults.length > 0) throw refuseFields(faults);
  return window;
}

async function tell(call: Call, scope: TimelineScope): Promise<StoredAnswer> {
  const { limit, offset } = readWindow(call);
  const end = offset + limit;
  // As far as the longest window, whatever was asked for: the total of an ordinary story is exact.
  const rows = await call.world.reads.timeline(call.identity.book, scope, offset + LIMIT_MAX + 1);
  const lines = timelineView(rows);
  const address = (from: number): string =>
    `${call.world.base()}${call.path}?${new URLSearchParams({ limit: String(limit), offset: String(from) }).toString()}`;
  const links = [`<${address(0)}>; rel="first"`];
  if (limit > 0 && lines.length > end && end <= OFFSET_MAX) links.push(`<${address(end)}>; rel="next"`);
  return answer(200, lines.slice(offset, end), {
    "pagination-total": String(lines.length),
    "pagination-limit": String(limit),
    "pagination-offset": String(offset),
    ...(rows.isCut ? { "pagination-total-capped": "true" } : {}),
    link: links.join(", "),
  });
}

type Found = (call: Call) => Promise<TimelineScope>;

const ofInvoice: Found = async (call) => {
  const found = await call.world.reads.invoice(call.identity.book, call.params["id"] ?? "");
  if (found === null) throw notFound("payout invoice");
  const { id, requestId, createdTime } = found.invoice;
  return { invoiceId: id, requestId, payoutIds: found.payouts.map((payout) => payout.id), createdTime };
};

const ofRequest: Found = async (call) => {
  const found = await call.world.reads.request(call.identity.book, pathId(call, "payout request"));
  if (found === null) throw notFound("payout request");
  const { id, invoiceId, createdTime } = found.request;
  return { invoiceId, requestId: id, payoutIds: found.payouts.map((payout) => payout.id), createdTime };
};

const ofPayout: Found = async (call) => {
  const found = await call.world.reads.payout(call.identity.book, call.params["id"] ?? "");
  if (found === null) throw notFound("payout");
  return { invoiceId: null, requestId: null, payoutIds: [found.id], createdTime: found.createdTime };
};

function timelineOf(of: { path: string; name: string; tag: string; summary: string; find: Found }): Endpoint {
  return {
    method: "GET",
    path: `/${of.path}/:id/timeline`,
    name: `get${of.name}Timeline`,
    tag: of.tag,
    summary: of.summary,
    permission: "read",
    query: QUERY,
    answers: { 200: listAnswer("TimelineEntry") },
    refusals: ["validation-failed", "not-found"],
    handle: async (call) => tell(call, await of.find(call)),
  };
}

const WHOLE = "The whole story of the order, from the invoice to the provider, in its order.";

export const timeline: readonly Endpoint[] = [
  timelineOf({
    path: "payout-invoices",
    name: "PayoutInvoice",
    tag: "Payout invoices",
    summary: WHOLE,
    find: ofInvoice,
  }),
  timelineOf({
    path: "payout-requests",
    name: "PayoutRequest",
    tag: "Payout requests",
    summary: WHOLE,
    find: ofRequest,
  }),
  timelineOf({
    path: "payouts",
    name: "Payout",
    tag: "Payouts",
    summary: "What happened to one payout, in its order.",
    find: ofPayout,
  }),
];
