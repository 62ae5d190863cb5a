/** Deposits, withdrawals, transfers: made by one act, posted by another. */
import Type from "typebox";
import type { FundsMovement } from "../../core/setup/merchant.ts";
import { fundsMovementView } from "../../core/views/orders.ts";
import type { StoredAnswer } from "../../engine/command.ts";
import { approveFunds, createFunds } from "../../engine/commands/funds.ts";
import { isUuid, type ListQuery } from "../../store/reads.ts";
import { type Call, checkForm, command, created, type Endpoint, ifMatch, notFound, resource } from "../endpoint.ts";
import { type List, listAnswer, listParameters, pageAnswer, readList } from "../lists.ts";
import { Id, Money, Named, Text } from "../schema.ts";

type Kind = FundsMovement["kind"];

const LIST: List = {
  table: "fundsMovement",
  filters: {
    id: { column: "id", kind: "text" },
    websiteId: { column: "websiteId", kind: "text" },
    status: { column: "status", kind: "text", words: ["created", "approved"] },
    currency: { column: "currency", kind: "text" },
    createdTime: { column: "createdTime", kind: "time" },
  },
  params: ["websiteId"],
};

const SHARED = {
  websiteId: Id("Whose account."),
  currency: Text(10, "What the amount is in."),
  amount: Money("How much, more than zero."),
  description: Type.Optional(Text(1_000, "For people.")),
};
const AT_PROVIDER = {
  depositAccountId: Type.Optional(Id("Where the money stands at a provider; absent: at the bank.")),
};
const RECEIVER = { toWebsiteId: Id("Who receives.") };

const shown = (call: Call, movement: FundsMovement): StoredAnswer =>
  resource(fundsMovementView(movement, call.world.base()), movement.version);

async function read(call: Call, kind: Kind): Promise<StoredAnswer> {
  const found = await call.world.reads.fundsMovement(call.identity.book, call.params["id"] ?? "");
  if (found?.kind !== kind) throw notFound(kind);
  return shown(call, found);
}

async function list(call: Call, kind: Kind): Promise<StoredAnswer> {
  const asked = readList(call, LIST);
  const ofKind = { member: "kind", isNot: false, anyOf: [kind] };
  const query: ListQuery = { ...asked, conditions: [...asked.conditions, ofKind] };
  const page = await call.world.reads.fundsMovements(call.identity.book, query);
  return pageAnswer(call, query, page, (row) => fundsMovementView(row, call.world.base()));
}

async function create(call: Call, kind: Kind): Promise<StoredAnswer> {
  const base = call.world.base();
  return command(call, {
    handler: createFunds,
    payload: { kind, order: call.body, problems: call.problems },
    render: (movement) =>
      created(fundsMovementView(movement, base), movement.version, `${base}/${kind}s/${movement.id}`),
    needsKey: true,
  });
}

async function approve(call: Call, kind: Kind): Promise<StoredAnswer> {
  checkForm(call);
  const id = call.params["id"] ?? "";
  if (!isUuid(id)) throw notFound(kind);
  const version = ifMatch(call, "required") ?? 0;
  return command(call, {
    handler: approveFunds,
    payload: { kind, id, version },
    render: (movement) => shown(call, movement),
  });
}

function endpointsOf(kind: Kind, what: string): readonly Endpoint[] {
  const path = `/${kind}s`;
  const name = kind.replace(/^./, (letter) => letter.toUpperCase());
  const tag = "Funds";
  const one = { description: `The ${kind}.`, schema: Named("FundsMovement") };
  const body = Type.Object({ ...SHARED, ...(kind === "transfer" ? RECEIVER : AT_PROVIDER) });
  return [
    {
      method: "POST",
      path,
      name: `create${name}`,
      tag,
      summary: `${what} Nothing is posted until it is approved.`,
      permission: "funds",
      body,
      needsKey: true,
      answers: { 201: { ...one, description: "Made; it waits to be approved." } },
      refusals: ["validation-failed", "idempotency-key-required"],
      handle: (call) => create(call, kind),
    },
    {
      method: "GET",
      path,
      name: `list${name}s`,
      tag,
      summary: `List ${kind}s.`,
      permission: "read",
      query: listParameters(LIST),
      answers: { 200: listAnswer("FundsMovement") },
      refusals: ["validation-failed"],
      handle: (call) => list(call, kind),
    },
    {
      method: "GET",
      path: `${path}/:id`,
      name: `get${name}`,
      tag,
      summary: `Read a ${kind}.`,
      permission: "read",
      answers: { 200: one },
      refusals: ["not-found"],
      handle: (call) => read(call, kind),
    },
    {
      method: "POST",
      path: `${path}/:id/approve`,
      name: `approve${name}`,
      tag,
      summary: `Approve a ${kind}: it is posted.`,
      permission: "funds",
      ifMatch: "required",
      answers: { 200: one },
      refusals: ["not-found", "not-in-this-status", "insufficient-funds", "version-conflict", "if-match-required"],
      handle: (call) => approve(call, kind),
    },
  ];
}

export const funds: readonly Endpoint[] = [
  ...endpointsOf("deposit", "Record money that came in for a website."),
  ...endpointsOf("withdrawal", "Record money that goes out to a website's owner."),
  ...endpointsOf("transfer", "Move money from one website to another."),
];
