/** The organization of a key. */
import { organizationView } from "../../core/views/settings.ts";
import { bookId } from "../../engine/provision.ts";
import type { Endpoint } from "../endpoint.ts";
import { type List, listAnswer, listParameters, pageAnswer, pageOf, readList } from "../lists.ts";

const LIST: List = { table: "memory", filters: { id: { column: "id", kind: "text" } }, isById: true };

export const organizations: readonly Endpoint[] = [
  {
    method: "GET",
    path: "/organizations",
    name: "listOrganizations",
    tag: "Organizations",
    summary: "List the organizations of this key: its own.",
    permission: "read",
    query: listParameters(LIST),
    answers: { 200: listAnswer("Organization") },
    refusals: ["validation-failed"],
    async handle(call) {
      const query = readList(call, LIST);
      const { organizationId, book } = call.identity;
      const kinds = ["live", "test"] as const;
      const found = await call.world.reads.books(kinds.map((kind) => bookId(organizationId, kind)));
      const books = kinds.filter((kind) => found.some((each) => each.id === bookId(organizationId, kind)));
      const name = found.find((each) => each.id === book)?.name ?? organizationId;
      const page = pageOf([{ id: organizationId, name }], query);
      return pageAnswer(call, query, page, (row) => organizationView(row, books));
    },
  },
];
