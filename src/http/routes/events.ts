/** Events: what has happened, in the order in which it did. */
import { EVENT_TYPES, eventBody, eventNames } from "../../core/views/events.ts";
import type { Endpoint } from "../endpoint.ts";
import { type List, listAnswer, listParameters, readList, sequenceAnswer } from "../lists.ts";

const LIST: List = {
  table: "event",
  filters: {
    type: { column: "type", kind: "text", words: EVENT_TYPES },
    subject: { column: "subject", kind: "text" },
    time: { column: "time", kind: "time" },
  },
  params: ["subject"],
  isBySequence: true,
};

export const events: readonly Endpoint[] = [
  {
    method: "GET",
    path: "/events",
    name: "listEvents",
    tag: "Events",
    summary: "List events, oldest first: the same that webhooks tell. `after` goes on where an earlier call ended.",
    permission: "read",
    query: listParameters(LIST),
    answers: { 200: listAnswer("Event") },
    refusals: ["validation-failed"],
    async handle(call) {
      const query = readList(call, LIST);
      const page = await call.world.reads.events(call.identity.book, query);
      return sequenceAnswer(call, query, page, ({ change, row }) => eventBody(change, eventNames(change.kind, row)));
    },
  },
];
