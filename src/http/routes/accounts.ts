/** Ledger accounts: what they hold, and that it adds up. */

import { ledgerAccountView, trialBalanceView } from "../../core/views/orders.ts";
import { entryView } from "../../core/views/settings.ts";
import type { ListQuery } from "../../store/reads.ts";
import { answer, type Call, type Endpoint, notFound } from "../endpoint.ts";
import { type List, listAnswer, listParameters, pageAnswer, readList, sequenceAnswer } from "../lists.ts";
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

const ENTRIES: List = {
  table: "entry",
  filters: {
    subject: { column: "subject", kind: "text" },
    cause: { column: "cause", kind: "text" },
    time: { column: "time", kind: "time" },
  },
  isBySequence: true,
};

/** `kind:owner:currency`. */
const ACCOUNT_ID = /^[a-z_]{1,30}:[\w.~@-]{0,50}:[A-Z0-9]{3,10}$/;

async function entriesOf(call: Call) {
  const id = call.params["id"] ?? "";
  const { reads } = call.world;
  const { book } = call.identity;
  const asked = readList(call, ENTRIES);
  const own = { member: "accountId", isNot: false, anyOf: [id] };
  const query: ListQuery = { ...asked, conditions: [...asked.conditions, own] };
  const [account] = ACCOUNT_ID.test(id) ? await reads.several("ledgerAccount", book, [id]) : [];
  if (account === undefined) throw notFound("ledger account");
  return sequenceAnswer(call, query, await reads.page("entry", book, query), entryView);
}

export const accounts: readonly Endpoint[] = [
  {
    method: "GET",
    path: "/accounts",
    name: "listLedgerAccounts",
    tag: "Accounts",
    summary: "List ledger accounts with their balances.",
    permission: "read",
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
    path: "/accounts/:id/entries",
    name: "listLedgerEntries",
    tag: "Accounts",
    summary: "List the entries of a ledger account, oldest first.",
    permission: "read",
    query: listParameters(ENTRIES),
    answers: { 200: listAnswer("LedgerEntry") },
    refusals: ["validation-failed", "not-found"],
    handle: entriesOf,
  },
  {
    method: "GET",
    path: "/accounts/trial-balance",
    name: "getTrialBalance",
    tag: "Accounts",
    summary: "Add up all balances: debits equal credits in every currency.",
    permission: "read",
    answers: { 200: { description: "The trial balance.", schema: Named("TrialBalance") } },
    refusals: [],
    async handle(call) {
      return answer(200, trialBalanceView(await call.world.reads.kindTotals(call.identity.book)));
    },
  },
];
