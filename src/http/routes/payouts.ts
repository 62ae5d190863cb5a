/** Payouts: read one by one, or found. */
import { PAYOUT_STATUSES } from "../../core/order/payout.ts";
import { payoutView } from "../../core/views/orders.ts";
import type { ListQuery } from "../../store/reads.ts";
import { type Call, type Endpoint, notFound, resource } from "../endpoint.ts";
import { type List, listAnswer, listParameters, pageAnswer, readList } from "../lists.ts";
import { Named } from "../schema.ts";

const LIST: List = {
  table: "payout",
  filters: {
    id: { column: "id", kind: "text" },
    payoutInvoiceId: { column: "invoiceId", kind: "text" },
    payoutRequestId: { column: "requestId", kind: "text" },
    websiteId: { column: "websiteId", kind: "text" },
    providerAccountId: { column: "providerAccountId", kind: "text" },
    status: { column: "status", kind: "text", words: Object.keys(PAYOUT_STATUSES) },
    moderationRequired: { column: "moderationRequired", kind: "flag" },
    createdTime: { column: "createdTime", kind: "time" },
    updatedTime: { column: "updatedTime", kind: "time" },
  },
  params: ["payoutInvoiceId", "payoutRequestId"],
};

/** By invoice there is no index, by request there is: an invoice has one request, or none and no payouts. */
async function byRequest(call: Call, query: ListQuery): Promise<ListQuery> {
  const { payoutInvoiceId } = call.query;
  if (typeof payoutInvoiceId !== "string" || payoutInvoiceId === "") return query;
  const found = await call.world.reads.invoice(call.identity.book, payoutInvoiceId);
  const requestId = found?.invoice.requestId ?? "";
  return { ...query, conditions: [...query.conditions, { member: "requestId", isNot: false, anyOf: [requestId] }] };
}

export const payouts: readonly Endpoint[] = [
  {
    method: "GET",
    path: "/payouts",
    name: "listPayouts",
    tag: "Payouts",
    summary: "List payouts.",
    permission: "read",
    query: listParameters(LIST),
    answers: { 200: listAnswer("Payout") },
    refusals: ["validation-failed"],
    async handle(call) {
      const query = await byRequest(call, readList(call, LIST));
      const page = await call.world.reads.payouts(call.identity.book, query);
      return pageAnswer(call, query, page, (row) => payoutView(row, call.world.base()));
    },
  },
  {
    method: "GET",
    path: "/payouts/:id",
    name: "getPayout",
    tag: "Payouts",
    summary: "Read a payout.",
    permission: "read",
    answers: { 200: { description: "The payout.", schema: Named("Payout") } },
    refusals: ["not-found"],
    async handle(call) {
      const found = await call.world.reads.payout(call.identity.book, call.params["id"] ?? "");
      if (found === null) throw notFound("payout");
      return resource(payoutView(found, call.world.base()), found.version);
    },
  },
];
