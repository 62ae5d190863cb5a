/** Payout services: what can be paid, and what each wants to know of the payee. */
import { payoutServiceView } from "../../core/views/settings.ts";
import type { Endpoint } from "../endpoint.ts";
import { type List, listAnswer, listParameters, pageAnswer, pageOf, readList } from "../lists.ts";

const LIST: List = {
  table: "memory",
  filters: {
    id: { column: "id", kind: "text" },
    currency: { column: "currency", kind: "text" },
    method: { column: "method", kind: "text" },
    connector: { column: "connector", kind: "text" },
  },
  params: ["currency"],
  isById: true,
};

export const payoutServices: readonly Endpoint[] = [
  {
    method: "GET",
    path: "/payout-services",
    name: "listPayoutServices",
    tag: "Payout services",
    summary: "List what this Bursar can pay by, with the payee's details that each wants.",
    permission: "read",
    query: listParameters(LIST),
    answers: { 200: listAnswer("PayoutService") },
    refusals: ["validation-failed"],
    async handle(call) {
      const query = readList(call, LIST);
      const services = [...call.world.engine.connectors.values()].flatMap((connector) =>
        connector.services.map((service) => {
          const { code: id, currency, method } = service;
          return { id, currency, method, connector: connector.name, service };
        }),
      );
      return pageAnswer(call, query, pageOf(services, query), payoutServiceView);
    },
  },
];
