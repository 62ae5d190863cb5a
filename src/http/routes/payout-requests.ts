/** Payout requests by the client's own id: the public contract, member by member. */
import Type, { type Static } from "typebox";
import type { InvalidField } from "../../core/errors.ts";
import { BLOCK_REASONS, type BlockReason, PUBLIC_STATUSES } from "../../core/order/request.ts";
import { type RequestParts, requestView, type Shown } from "../../core/views/orders.ts";
import { paymentInstrumentView } from "../../core/views/settings.ts";
import type { StoredAnswer } from "../../engine/command.ts";
import { patchRequest, postRequest } from "../../engine/commands/request-verbs.ts";
import {
  cancelRequest,
  type PutRequest,
  putRequest,
  type RequestOrder,
  type RequestRows,
} from "../../engine/commands/requests.ts";
import type { RequestBelow } from "../../store/reads.ts";
import {
  type Call,
  checkForm,
  command,
  created,
  type Endpoint,
  idempotencyKey,
  notFound,
  resource,
  wordsOf,
} from "../endpoint.ts";
import { type List, listAnswer, listParameters, pageAnswer, readList } from "../lists.ts";
import { sealPayLink } from "../pay-link.ts";
import { ID_MAX, ID_PATTERN, Id, Money, Named, OneOf, Text, TextOrNull } from "../schema.ts";

const REASON_FORM = `must be one of ${BLOCK_REASONS.join(", ")}, or null`;

/** Of any type: what it may be is checked by hand, so that one fault has one message. */
const BLOCK_REASON = Type.Unsafe<unknown>({
  type: ["string", "null", "object"],
  properties: { reason: { type: ["string", "null"] } },
  description: `Why it is blocked: ${BLOCK_REASONS.join(", ")}; or null. An object with \`reason\` is read as that word.`,
  examples: ["risk-review"],
});

const EXAMPLE = { websiteId: "web_demo", customerId: "cus_demo", currency: "USD", amount: 97.97, description: "Win" };

const PUT_REQUEST = Type.Object(
  {
    websiteId: Id("The website that it is of."),
    customerId: Id("Who is paid."),
    currency: Text(10, "What the amount is in."),
    amount: Money("What is to be paid, more than zero."),
    description: Type.Optional(Type.Unsafe<string | null>({ type: ["string", "null"], description: "For people." })),
    blocked: Type.Optional(Type.Boolean({ description: "Nothing new starts while it is blocked. Default false." })),
    blockReason: Type.Optional(BLOCK_REASON),
    paymentInstrumentId: Type.Optional(
      Type.Unsafe<string | null>({
        type: ["string", "null"],
        maxLength: ID_MAX,
        pattern: ID_PATTERN,
        description: "What is paid to; null: nothing is chosen.",
      }),
    ),
    selectedPaymentInstrumentRedirectUrl: Type.Optional(
      Type.Unsafe<string | null>({
        type: ["string", "null"],
        description: "Where the customer goes after choosing; `{{id}}` becomes the request's id. Default: the website.",
      }),
    ),
  },
  { examples: [EXAMPLE] },
);

const POST_REQUEST = Type.Object(
  { id: Type.Optional(Id("Default: one of ours.")), ...PUT_REQUEST.properties },
  { examples: [EXAMPLE] },
);

const PATCH_REQUEST = Type.Partial(PUT_REQUEST, { examples: [{ description: "Win", blocked: false }] });

const CANCEL = Type.Object(
  {
    description: Type.Optional(TextOrNull(255, "Why.")),
    canceledBy: Type.Optional(OneOf(["merchant", "customer"], "Who cancels it. Default: customer.")),
  },
  { examples: [{ description: "Asked for by phone.", canceledBy: "customer" }] },
);

type Put = Partial<Static<typeof PUT_REQUEST>>;

const LIST: List = {
  table: "request",
  filters: {
    id: { column: "id", kind: "text" },
    websiteId: { column: "websiteId", kind: "text" },
    customerId: { column: "customerId", kind: "text" },
    status: { column: "publicStatus", kind: "text", words: Object.keys(PUBLIC_STATUSES) },
    batchId: { column: "batchId", kind: "text" },
    currency: { column: "currency", kind: "text" },
    blocked: { column: "blocked", kind: "flag" },
    blockReason: { column: "blockReason", kind: "text", words: BLOCK_REASONS },
    createdTime: { column: "createdTime", kind: "time" },
    updatedTime: { column: "updatedTime", kind: "time" },
  },
};

const INSTRUMENTS: List = {
  table: "paymentInstrument",
  isById: true,
  filters: { id: { column: "id", kind: "text" }, service: { column: "service", kind: "text" } },
};

/** The word, from a word or from an object that has it; undefined for anything else. */
function blockReasonOf(given: unknown): BlockReason | null | undefined {
  const word: unknown = typeof given === "object" && given !== null && "reason" in given ? given.reason : given;
  return word === null ? null : BLOCK_REASONS.find((each) => each === word);
}

const ID_FORM = new RegExp(ID_PATTERN);
/** What a command is given whose id is at fault: it will be refused, and must not be looked up. */
const NO_ID = "-";

function putOf(call: Call, id: string): PutRequest {
  const { selectedPaymentInstrumentRedirectUrl, blockReason: given, ...members } = call.body as Put;
  const problems: InvalidField[] = [...call.problems];
  const isId = id.length <= ID_MAX && ID_FORM.test(id);
  if (!isId) problems.push({ field: "id", message: `must be at most ${ID_MAX} letters, digits, @ ~ - . or _` });
  const blockReason = given === undefined ? undefined : blockReasonOf(given);
  if (given !== undefined && blockReason === undefined) problems.push({ field: "blockReason", message: REASON_FORM });
  const order: RequestOrder = {
    ...members,
    ...(blockReason === undefined ? {} : { blockReason }),
    ...(selectedPaymentInstrumentRedirectUrl === undefined
      ? {}
      : { redirectUrl: selectedPaymentInstrumentRedirectUrl }),
  };
  return { id: isId ? id : NO_ID, order, problems };
}

/** Shows requests to one caller: their links are sealed for the caller's book. */
function viewer(call: Call): (parts: RequestParts) => Shown {
  const base = call.world.base();
  const { safe, book } = call.identity;
  const words = wordsOf(call.world.engine.connectors);
  return (parts) => {
    const { id: requestId, expiresTime } = parts.request;
    const selectUrl = `${base}/pay/${sealPayLink(safe, book, { requestId, expiresTime })}`;
    return requestView(parts, { base, selectUrl, wordsOf: words });
  };
}

function shown(call: Call): (rows: RequestRows) => StoredAnswer {
  const view = viewer(call);
  return ({ request, payouts, website, isNew }) => {
    const parts = view({ request, payouts, websiteUrl: website.url });
    const location = `${call.world.base()}/payout-requests/${request.id}`;
    return isNew ? created(parts, request.version, location) : resource(parts, request.version);
  };
}

async function find(call: Call): Promise<RequestBelow> {
  const id = call.params["id"] ?? "";
  const found = ID_FORM.test(id) ? await call.world.reads.request(call.identity.book, id) : null;
  if (found === null) throw notFound("payout request");
  return found;
}

/** The id in the path, of a request that may be there. */
function idIn(call: Call): string {
  const id = call.params["id"] ?? "";
  if (id.length > ID_MAX || !ID_FORM.test(id)) throw notFound("payout request");
  return id;
}

const ONE = { description: "The request.", schema: Named("PayoutRequest") };

const writers: readonly Endpoint[] = [
  {
    method: "PUT",
    path: "/payout-requests/:id",
    name: "putPayoutRequest",
    tag: "Payout requests",
    summary: "Make or change the request with this id. What is absent stays as it is.",
    permission: "orders",
    body: PUT_REQUEST,
    answers: { 200: ONE, 201: { ...ONE, description: "Made." } },
    refusals: ["validation-failed", "not-in-this-status"],
    async handle(call) {
      const payload = putOf(call, call.params["id"] ?? "");
      return command(call, { handler: putRequest, payload, render: shown(call) });
    },
  },
  {
    method: "POST",
    path: "/payout-requests",
    name: "createPayoutRequest",
    tag: "Payout requests",
    summary: "Make a request. With an id of yours, the very same again answers with the one that exists.",
    permission: "orders",
    body: POST_REQUEST,
    answers: { 200: { ...ONE, description: "Made before by the same call." }, 201: { ...ONE, description: "Made." } },
    refusals: ["validation-failed", "id-used"],
    async handle(call) {
      const { id, ...body } = call.body as Partial<Static<typeof POST_REQUEST>>;
      const put = putOf({ ...call, body }, id ?? NO_ID);
      const payload = { put, isOurs: id === undefined, key: idempotencyKey(call, "optional") };
      return command(call, { handler: postRequest, payload, render: shown(call) });
    },
  },
  {
    method: "PATCH",
    path: "/payout-requests/:id",
    name: "changePayoutRequest",
    tag: "Payout requests",
    summary: "Change a request. What is absent stays as it is.",
    permission: "orders",
    body: PATCH_REQUEST,
    answers: { 200: ONE },
    refusals: ["validation-failed", "not-found", "not-in-this-status"],
    async handle(call) {
      return command(call, { handler: patchRequest, payload: putOf(call, idIn(call)), render: shown(call) });
    },
  },
  {
    method: "POST",
    path: "/payout-requests/:id/cancel",
    name: "cancelPayoutRequest",
    tag: "Payout requests",
    summary: "Cancel a request: what is planned ends, nothing new is made.",
    permission: "orders",
    body: CANCEL,
    answers: { 200: ONE },
    refusals: ["validation-failed", "not-found", "not-in-this-status", "payout-in-flight"],
    async handle(call) {
      checkForm(call);
      const { description = null, canceledBy = "customer" } = call.body as Static<typeof CANCEL>;
      const payload = { id: idIn(call), description, canceledBy };
      return command(call, { handler: cancelRequest, payload, render: shown(call) });
    },
  },
];

export const payoutRequests: readonly Endpoint[] = [
  ...writers,
  {
    method: "GET",
    path: "/payout-requests",
    name: "listPayoutRequests",
    tag: "Payout requests",
    summary: "List requests.",
    permission: "read",
    query: listParameters(LIST),
    answers: { 200: listAnswer("PayoutRequest") },
    refusals: ["validation-failed"],
    async handle(call) {
      const query = readList(call, LIST);
      const page = await call.world.reads.requests(call.identity.book, query);
      const view = viewer(call);
      return pageAnswer(call, query, page, (row) => view({ ...row, websiteUrl: row.website.url }));
    },
  },
  {
    method: "GET",
    path: "/payout-requests/:id",
    name: "getPayoutRequest",
    tag: "Payout requests",
    summary: "Read a request.",
    permission: "read",
    answers: { 200: ONE },
    refusals: ["not-found"],
    async handle(call) {
      const found = await find(call);
      return resource(viewer(call)({ ...found, websiteUrl: found.website.url }), found.request.version);
    },
  },
  {
    method: "GET",
    path: "/payout-requests/:id/payment-instruments",
    name: "listPaymentInstrumentsOfPayoutRequest",
    tag: "Payout requests",
    summary: "List the instruments of the request's customer: what it could be paid to.",
    permission: "read",
    query: listParameters(INSTRUMENTS),
    answers: { 200: listAnswer("PaymentInstrument") },
    refusals: ["validation-failed", "not-found"],
    async handle(call) {
      const asked = readList(call, INSTRUMENTS);
      const { request } = await find(call);
      const ofCustomer = { member: "customerId", isNot: false, anyOf: [request.customerId] };
      const query = { ...asked, conditions: [...asked.conditions, ofCustomer] };
      const page = await call.world.reads.page("paymentInstrument", call.identity.book, query);
      return pageAnswer(call, query, page, (row) => paymentInstrumentView(row, call.world.base()));
    },
  },
];
