/** Allocations: what a person gives of a bare payout request to a deposit account, and lets start. */
import Type, { type Static } from "typebox";
import type { InvalidField } from "../../core/errors.ts";
import { ALLOCATION_STATUSES, type Payout } from "../../core/order/payout.ts";
import type { PayoutRequest } from "../../core/order/request.ts";
import { allocationResource, type Shown } from "../../core/views/orders.ts";
import type { StoredAnswer } from "../../engine/command.ts";
import { type Allocation, createAllocation, processAllocations } from "../../engine/commands/allocations.ts";
import { moderate } from "../../engine/commands/moderation.ts";
import {
  type Call,
  checkForm,
  command,
  created,
  type Endpoint,
  ifMatch,
  notFound,
  resource,
  wordsOf,
} from "../endpoint.ts";
import { type List, listAnswer, listParameters, pageAnswer, readList } from "../lists.ts";
import { refuseFields } from "../problem.ts";
import { Id, Money, Named, OneOf } from "../schema.ts";

const PATH = "/payout-request-allocations";
const BATCH_MAX = 1_000;
const UUID = "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$";

const LIST: List = {
  table: "allocation",
  filters: {
    id: { column: "id", kind: "text" },
    payoutRequestId: { column: "requestId", kind: "text" },
    gatewayAccountId: { column: "depositAccountId", kind: "text" },
    status: { column: "allocationStatus", kind: "text", words: ALLOCATION_STATUSES },
    createdTime: { column: "createdTime", kind: "time" },
    updatedTime: { column: "updatedTime", kind: "time" },
  },
};

const REQUEST_ID = Id("The bare payout request.");

const NEW_ALLOCATION = Type.Object(
  {
    payoutRequestId: REQUEST_ID,
    gatewayAccountId: Type.Optional(Id("The deposit account that pays: its enabled route is taken.")),
    routeId: Type.Optional(Id("The route itself. Neither of the two: as the website's scheme says.")),
    paymentInstrumentId: Type.Optional(Id("The request's own instrument; another is chosen in the request first.")),
    amount: Type.Optional(Money("How much. Default: all that is available.")),
  },
  { examples: [{ payoutRequestId: "first", gatewayAccountId: "dep_demo_usd", amount: 25 }] },
);

const AUTO = Type.Object({ payoutRequestId: REQUEST_ID }, { examples: [{ payoutRequestId: "first" }] });

const CHANGE = Type.Object(
  { status: OneOf(["processing", "canceled"], "`processing`: it starts. `canceled`: it ends, if nothing was sent.") },
  { examples: [{ status: "processing" }] },
);

const PROCESS = Type.Object(
  {
    allocationIds: Type.Unsafe<readonly string[]>({
      type: "array",
      minItems: 1,
      maxItems: BATCH_MAX,
      uniqueItems: true,
      items: { type: "string", pattern: UUID },
      description: "Pending allocations. All of them start, or none.",
    }),
  },
  { examples: [{ allocationIds: ["01a1fc17-2c8e-7f74-9f0b-d9fde451605a"] }] },
);

function viewer(call: Call): (payout: Payout) => Shown {
  const base = call.world.base();
  const words = wordsOf(call.world.engine.connectors);
  return (payout) => allocationResource(payout, words(payout), base);
}

const NO_CONTENT: StoredAnswer = { status: 204, headers: {}, body: "" };

/** An allocation that is there: a payout of an invoice is none. */
async function find(call: Call): Promise<Payout> {
  const found = await call.world.reads.payout(call.identity.book, call.params["id"] ?? "");
  if (found === null || found.invoiceId !== null) throw notFound("allocation");
  return found;
}

type Order = Partial<Static<typeof NEW_ALLOCATION>>;

/** The enabled route of a deposit account that can serve a request; a fault where there is none, or a choice. */
async function routeOf(call: Call, accountId: string, request: PayoutRequest): Promise<string | InvalidField> {
  const { rows } = await call.world.reads.page("route", call.identity.book, {
    conditions: [
      { member: "depositAccountId", isNot: false, anyOf: [accountId] },
      { member: "isEnabled", isNot: false, anyOf: [true] },
      { member: "isArchived", isNot: false, anyOf: [false] },
      ...(request.service === null ? [] : [{ member: "service", isNot: false, anyOf: [request.service] }]),
    ],
    limit: 2,
    offset: 0,
    after: null,
    isAscending: true,
  });
  const [route, another] = rows;
  const field = "gatewayAccountId";
  if (route === undefined) return { field, message: "has no enabled route for the payout request" };
  return another === undefined ? route.id : { field, message: "has several routes: name one as routeId" };
}

/** What the command is to do: the deposit account is resolved to its route, an instrument is compared. */
async function orderOf(call: Call): Promise<Allocation> {
  const { payoutRequestId, gatewayAccountId, paymentInstrumentId, routeId, amount } = call.body as Order;
  const problems: InvalidField[] = [...call.problems];
  const base = {
    ...(payoutRequestId === undefined ? {} : { requestId: payoutRequestId }),
    ...(amount === undefined ? {} : { amount }),
  };
  const isPlain = gatewayAccountId === undefined && paymentInstrumentId === undefined;
  const found = payoutRequestId === undefined || isPlain ? null : await readRequest(call, payoutRequestId);
  if (found === null) return { ...base, routeId: routeId ?? null, problems };
  if (paymentInstrumentId !== undefined && paymentInstrumentId !== found.paymentInstrumentId) {
    problems.push({ field: "paymentInstrumentId", message: "is not the payout request's: choose it there first" });
  }
  if (gatewayAccountId === undefined) return { ...base, routeId: routeId ?? null, problems };
  if (routeId !== undefined) {
    problems.push({ field: "routeId", message: "cannot be given with gatewayAccountId" });
    return { ...base, routeId, problems };
  }
  const route = await routeOf(call, gatewayAccountId, found);
  if (typeof route === "string") return { ...base, routeId: route, problems };
  throw refuseFields([...problems, route]);
}

async function readRequest(call: Call, id: string): Promise<PayoutRequest | null> {
  return (await call.world.reads.request(call.identity.book, id))?.request ?? null;
}

const ACTS = { processing: "process", canceled: "terminate" } as const;

async function change(call: Call): Promise<StoredAnswer> {
  checkForm(call);
  const { status } = call.body as Static<typeof CHANGE>;
  const version = ifMatch(call, "optional");
  const { id: subject } = await find(call);
  const show = viewer(call);
  return command(call, {
    handler: moderate,
    payload: { kind: ACTS[status], subjectKind: "payout", subject, version, reason: "", body: {} },
    render: ({ payout }) => {
      if (payout === null) throw notFound("allocation");
      return resource(show(payout), payout.version);
    },
  });
}

const TAG = "Payout requests";
const ONE = { description: "The allocation.", schema: Named("PayoutRequestAllocation") };
const NONE = { description: "Done.", schema: Type.Null() };
const REFUSALS = ["validation-failed", "not-in-this-status", "more-than-available", "no-route"] as const;

const makers: readonly Endpoint[] = [
  {
    method: "POST",
    path: PATH,
    name: "createPayoutRequestAllocation",
    tag: TAG,
    summary: "Give a part of a bare payout request to a deposit account. It waits for *process*.",
    permission: "orders",
    body: NEW_ALLOCATION,
    answers: { 201: { ...ONE, description: "Made. `failed`: the route could not take it." } },
    refusals: REFUSALS,
    async handle(call) {
      const payload = await orderOf(call);
      const show = viewer(call);
      const render = (payout: Payout): StoredAnswer =>
        created(show(payout), payout.version, `${call.world.base()}${PATH}/${payout.id}`);
      return command(call, { handler: createAllocation, payload, render });
    },
  },
  {
    method: "POST",
    path: `${PATH}/auto`,
    name: "autoAllocatePayoutRequest",
    tag: TAG,
    summary: "Allocate all that is available of a bare payout request, as the website's scheme says.",
    permission: "orders",
    body: AUTO,
    answers: { 204: NONE },
    refusals: REFUSALS,
    async handle(call) {
      const { payoutRequestId } = call.body as Partial<Static<typeof AUTO>>;
      const of = payoutRequestId === undefined ? {} : { requestId: payoutRequestId };
      const payload = { ...of, routeId: null, problems: call.problems };
      return command(call, { handler: createAllocation, payload, render: () => NO_CONTENT });
    },
  },
  {
    method: "POST",
    path: `${PATH}/process`,
    name: "processPayoutRequestAllocations",
    tag: TAG,
    summary: "Let allocations start, all of them or none.",
    permission: "orders",
    body: PROCESS,
    answers: { 204: NONE },
    refusals: ["validation-failed"],
    async handle(call) {
      checkForm(call);
      const { allocationIds: ids } = call.body as Static<typeof PROCESS>;
      return command(call, { handler: processAllocations, payload: { ids }, render: () => NO_CONTENT });
    },
  },
];

export const allocations: readonly Endpoint[] = [
  ...makers,
  {
    method: "GET",
    path: PATH,
    name: "listPayoutRequestAllocations",
    tag: TAG,
    summary: "List the allocations of bare payout requests.",
    permission: "read",
    query: listParameters(LIST),
    answers: { 200: listAnswer("PayoutRequestAllocation") },
    refusals: ["validation-failed"],
    async handle(call) {
      const query = readList(call, LIST);
      const page = await call.world.reads.page("allocation", call.identity.book, query);
      return pageAnswer(call, query, page, viewer(call));
    },
  },
  {
    method: "GET",
    path: `${PATH}/:id`,
    name: "getPayoutRequestAllocation",
    tag: TAG,
    summary: "Read an allocation.",
    permission: "read",
    answers: { 200: ONE },
    refusals: ["not-found"],
    async handle(call) {
      const found = await find(call);
      return resource(viewer(call)(found), found.version);
    },
  },
  {
    method: "PATCH",
    path: `${PATH}/:id`,
    name: "changePayoutRequestAllocation",
    tag: TAG,
    summary: "Let an allocation start, or end it while nothing was sent.",
    permission: "orders",
    body: CHANGE,
    ifMatch: "optional",
    answers: { 200: ONE },
    refusals: ["validation-failed", "not-found", "version-conflict", "not-in-this-status", "payout-in-flight"],
    handle: change,
  },
];
