/** Payout requests by the client's own id: the public contract, member by member. */
import Type, { type Static } from "typebox";
import type { InvalidField } from "../../core/errors.ts";
import { BLOCK_REASONS, type BlockReason } from "../../core/request.ts";
import { type RequestParts, requestView, type Shown } from "../../core/views.ts";
import type { StoredAnswer } from "../../engine/command.ts";
import { type PutRequest, putRequest, type RequestOrder } from "../../engine/commands/requests.ts";
import { type Call, command, created, type Endpoint, notFound, resource, wordsOf } from "../endpoint.ts";
import { type List, listAnswer, listParameters, pageAnswer, readList } from "../lists.ts";
import { sealPayLink } from "../pay-link.ts";
import { ID_MAX, ID_PATTERN, Id, Money, Named, Text } from "../schema.ts";

const REASON_FORM = `must be one of ${BLOCK_REASONS.join(", ")}, or null`;

/** Of any type: what it may be is checked by hand, so that one fault has one message. */
const BLOCK_REASON = Type.Unsafe<unknown>({
  type: ["string", "null", "object"],
  properties: { reason: { type: ["string", "null"] } },
  description: `Why it is blocked: ${BLOCK_REASONS.join(", ")}; or null. An object with \`reason\` is read as that word.`,
  examples: ["risk-review"],
});

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
  { examples: [{ websiteId: "web_demo", customerId: "cus_demo", currency: "USD", amount: 97.97, description: "Win" }] },
);

type Put = Partial<Static<typeof PUT_REQUEST>>;

const LIST: List = {
  table: "request",
  filters: {
    id: { column: "id", kind: "text" },
    websiteId: { column: "websiteId", kind: "text" },
    customerId: { column: "customerId", kind: "text" },
    batchId: { column: "batchId", kind: "text" },
    currency: { column: "currency", kind: "text" },
    blocked: { column: "blocked", kind: "flag" },
    blockReason: { column: "blockReason", kind: "text", words: BLOCK_REASONS },
    createdTime: { column: "createdTime", kind: "time" },
    updatedTime: { column: "updatedTime", kind: "time" },
  },
};

/** The word, from a word or from an object that has it; undefined for anything else. */
function blockReasonOf(given: unknown): BlockReason | null | undefined {
  const word: unknown = typeof given === "object" && given !== null && "reason" in given ? given.reason : given;
  return word === null ? null : BLOCK_REASONS.find((each) => each === word);
}

const ID_FORM = new RegExp(ID_PATTERN);
/** What a command is given whose id is at fault: it will be refused, and must not be looked up. */
const NO_ID = "-";

function putOf(call: Call): PutRequest {
  const { selectedPaymentInstrumentRedirectUrl, blockReason: given, ...members } = call.body as Put;
  const problems: InvalidField[] = [...call.problems];
  const id = call.params["id"] ?? "";
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

async function put(call: Call): Promise<StoredAnswer> {
  const view = viewer(call);
  return command(call, {
    handler: putRequest,
    payload: putOf(call),
    render: ({ request, payouts, website, isNew }) => {
      const shown = view({ request, payouts, websiteUrl: website.url });
      const location = `${call.world.base()}/payout-requests/${request.id}`;
      return isNew ? created(shown, request.version, location) : resource(shown, request.version);
    },
  });
}

const ONE = { description: "The request.", schema: Named("PayoutRequest") };

export const payoutRequests: readonly Endpoint[] = [
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
    handle: put,
  },
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
      const id = call.params["id"] ?? "";
      const found = ID_FORM.test(id) ? await call.world.reads.request(call.identity.book, id) : null;
      if (found === null) throw notFound("payout request");
      return resource(viewer(call)({ ...found, websiteUrl: found.website.url }), found.request.version);
    },
  },
];
