/** Provider accounts, the balances there, and the routes that offer them. */
import Type from "typebox";
import { accountId, atProvider } from "../../core/money/ledger.ts";
import type { DepositAccount, ProviderAccount } from "../../core/setup/routing.ts";
import { depositAccountView, payoutRouteView, providerAccountView } from "../../core/views/settings.ts";
import {
  changeDepositAccount,
  changeRoute,
  createDepositAccount,
  createRoute,
  type DepositRows,
  type RouteRows,
} from "../../engine/commands/payout-routes.ts";
import { changeProviderAccount, createProviderAccount } from "../../engine/commands/provider-accounts.ts";
import { alone, type Configured, changer, itself, maker, readers } from "../configured.ts";
import type { Call, Endpoint } from "../endpoint.ts";
import { Id, Money, MoneyOrNull, OneOf, Text, TextMembers, TextOrNullMembers } from "../schema.ts";

const OWN_ID = Type.Optional(Id("Default: one of ours."));
const NAME = Text(255, "For people.");

const TIMES = {
  createdTime: { column: "createdTime", kind: "time" },
  updatedTime: { column: "updatedTime", kind: "time" },
} as const;

const ACCOUNTS: Configured<"providerAccount", ProviderAccount> = {
  table: "providerAccount",
  path: "/provider-accounts",
  name: "ProviderAccount",
  names: "ProviderAccounts",
  what: "provider account",
  tag: "Providers",
  permission: "settings",
  list: {
    table: "providerAccount",
    isById: true,
    filters: {
      id: { column: "id", kind: "text" },
      connector: { column: "connector", kind: "text" },
      name: { column: "name", kind: "text" },
      gate: { column: "gate", kind: "text", words: ["open", "shut"] },
      ...TIMES,
    },
  },
  complete: alone,
  rowOf: itself,
  show: (account, call) => providerAccountView(account, call.world.base()),
};

const BASE_URL = Text(
  2_048,
  "Where the provider answers. Always the same provider: it is asked here what it has paid.",
);
const CREDENTIALS = "Sealed, and never shown again.";

const NEW_ACCOUNT = Type.Object(
  {
    id: OWN_ID,
    connector: Text(50, "Which kind of provider."),
    name: NAME,
    baseUrl: BASE_URL,
    settings: Type.Optional(TextMembers(1_000, "As the connector describes them.")),
    credentials: Type.Optional(TextMembers(10_000, `As the connector describes them. ${CREDENTIALS}`)),
  },
  {
    examples: [
      { connector: "sandbox", name: "Sandbox", baseUrl: "http://127.0.0.1:8090", credentials: { secret: "a-secret" } },
    ],
  },
);

const CHANGED_ACCOUNT = Type.Object({
  name: Type.Optional(NAME),
  baseUrl: Type.Optional(BASE_URL),
  settings: Type.Optional(TextOrNullMembers(1_000, "Member by member; null takes one away.")),
  credentials: Type.Optional(
    TextOrNullMembers(10_000, `Member by member, of the same account at the provider. ${CREDENTIALS}`),
  ),
  gate: Type.Optional(
    OneOf(["open", "shut"], "Shut: nothing new is sent there. Opening it closes what had asked for a person."),
  ),
  gateReason: Type.Optional(Text(255, "Why it is shut.")),
});

const DEPOSITS: Configured<"depositAccount", DepositRows> = {
  table: "depositAccount",
  path: "/deposit-accounts",
  name: "DepositAccount",
  names: "DepositAccounts",
  what: "deposit account",
  tag: "Providers",
  permission: "settings",
  list: {
    table: "depositAccount",
    isById: true,
    filters: {
      id: { column: "id", kind: "text" },
      providerAccountId: { column: "providerAccountId", kind: "text" },
      currency: { column: "currency", kind: "text" },
      ...TIMES,
    },
    params: ["providerAccountId"],
  },
  complete: withBalances,
  rowOf: ({ deposit }) => deposit,
  show: ({ deposit, balanceMinor }, call) => depositAccountView(deposit, balanceMinor, call.world.base()),
};

async function withBalances(call: Call, deposits: readonly DepositAccount[]): Promise<readonly DepositRows[]> {
  const ledgerId = ({ id, currency }: DepositAccount): string => accountId(atProvider(id, currency));
  const found = await call.world.reads.several("ledgerAccount", call.identity.book, deposits.map(ledgerId));
  const balances = new Map(found.map((account) => [account.id, account.balanceMinor]));
  return deposits.map((deposit) => ({ deposit, balanceMinor: balances.get(ledgerId(deposit)) ?? 0n }));
}

const MINIMAL = Type.Optional(Money("Kept back: no route takes the balance below it. Default 0."));

const NEW_DEPOSIT = Type.Object(
  {
    id: OWN_ID,
    providerAccountId: Id("The account at the provider."),
    currency: Text(10, "What it is in."),
    name: NAME,
    minimalBalance: MINIMAL,
  },
  { examples: [{ providerAccountId: "pacc_demo", currency: "GBP", name: "Pounds", minimalBalance: 100 }] },
);
const CHANGED_DEPOSIT = Type.Object({ name: Type.Optional(NAME), minimalBalance: MINIMAL });

const ROUTES: Configured<"route", RouteRows> = {
  table: "route",
  path: "/payout-routes",
  name: "PayoutRoute",
  names: "PayoutRoutes",
  what: "payout route",
  tag: "Providers",
  permission: "settings",
  list: {
    table: "route",
    isById: true,
    filters: {
      id: { column: "id", kind: "text" },
      depositAccountId: { column: "depositAccountId", kind: "text" },
      service: { column: "service", kind: "text" },
      isEnabled: { column: "isEnabled", kind: "flag" },
      isArchived: { column: "isArchived", kind: "flag" },
      isManual: { column: "isManual", kind: "flag" },
      ...TIMES,
    },
    params: ["depositAccountId"],
  },
  async complete(call, routes) {
    const ids = routes.map((route) => route.depositAccountId);
    const deposits = await call.world.reads.several("depositAccount", call.identity.book, ids);
    const currencies = new Map(deposits.map((deposit) => [deposit.id, deposit.currency]));
    return routes.map((route) => ({ route, currency: currencies.get(route.depositAccountId) ?? "" }));
  },
  rowOf: ({ route }) => route,
  show: ({ route, currency }, call) => payoutRouteView(route, currency, call.world.base()),
};

const SWITCHES = {
  isEnabled: Type.Optional(Type.Boolean({ description: "Whether payouts may take it. Default true." })),
  isArchived: Type.Optional(Type.Boolean({ description: "Whether it is put away. Default false." })),
  isManual: Type.Optional(Type.Boolean({ description: "Whether its payouts wait for a person. Default false." })),
  minAmount: Type.Optional(MoneyOrNull("The least amount; null: any.")),
  maxAmount: Type.Optional(MoneyOrNull("The largest amount; null: any.")),
};

const NEW_ROUTE = Type.Object(
  {
    id: OWN_ID,
    depositAccountId: Id("The balance that pays."),
    service: Text(100, "The payout service, in the balance's currency."),
    ...SWITCHES,
  },
  { examples: [{ depositAccountId: "dep_demo_usd", service: "test_usd", maxAmount: 5000 }] },
);

export const providerAccounts: readonly Endpoint[] = [
  maker(ACCOUNTS, { body: NEW_ACCOUNT, handler: createProviderAccount }),
  ...readers(ACCOUNTS),
  changer(ACCOUNTS, { body: CHANGED_ACCOUNT, handler: changeProviderAccount }),
  maker(DEPOSITS, { body: NEW_DEPOSIT, handler: createDepositAccount }),
  ...readers(DEPOSITS),
  changer(DEPOSITS, { body: CHANGED_DEPOSIT, handler: changeDepositAccount }),
  maker(ROUTES, { body: NEW_ROUTE, handler: createRoute }),
  ...readers(ROUTES),
  changer(ROUTES, { body: Type.Object(SWITCHES), handler: changeRoute }),
];
