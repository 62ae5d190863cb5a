/** Ledger accounts: what they hold, and that it adds up. */
import { ledgerAccountView, trialBalanceView } from "../../core/views.ts";
import { answer, type Endpoint } from "../endpoint.ts";
import { type List, listAnswer, listParameters, pageAnswer, readList } from "../lists.ts";
import { Named } from "../schema.ts";

const LIST: List = {
  table: "ledgerAccount",
  filters: {
    id: { column: "id", kind: "text" },
    kind: { column: "kind", kind: "text" },
    owner: { column: "owner", kind: "text" },
    currency: { column: "currency", kind: "text" },
  },
  isById: true,
};

export const accounts: readonly Endpoint[] = [
  {
    method: "GET",
    path: "/accounts",
    name: "listLedgerAccounts",
    tag: "Accounts",
    summary: "List ledger accounts with their balances.",
    query: listParameters(LIST),
    answers: { 200: listAnswer("LedgerAccount") },
    refusals: ["validation-failed"],
    async handle(call) {
      const query = readList(call, LIST);
      const page = await call.world.reads.ledgerAccounts(call.identity.book, query);
      return pageAnswer(call, query, page, ledgerAccountView);
    },
  },
  {
    method: "GET",
    path: "/accounts/trial-balance",
    name: "getTrialBalance",
    tag: "Accounts",
    summary: "Add up all balances: debits equal credits in every currency.",
    answers: { 200: { description: "The trial balance.", schema: Named("TrialBalance") } },
    refusals: [],
    async handle(call) {
      return answer(200, trialBalanceView(await call.world.reads.kindTotals(call.identity.book)));
    },
  },
];
