/** Sending gates: how they stand, and a person's hand on them (docs/safety.md). */
import Type, { type Static } from "typebox";
import { isCurrency } from "../../core/money/currency.ts";
import type { Shown } from "../../core/views/orders.ts";
import type { StoredAnswer } from "../../engine/command.ts";
import { type GateOrder, openGate, shutGate } from "../../engine/commands/gates.ts";
import { answer, type Call, checkForm, command, type Endpoint } from "../endpoint.ts";
import { refuseFields } from "../problem.ts";
import { Id, Named, OneOf, Text } from "../schema.ts";

const GATE = Type.Object(
  {
    scope: OneOf(["organization", "currency", "provider_account"], "What the gate is before."),
    currency: Type.Optional(Text(10, "Of a currency's gate.")),
    providerAccountId: Type.Optional(Id("Of a provider account's gate.")),
    gate: OneOf(["open", "shut"], "Shut: nothing new is sent; what is out is followed."),
    reason: Text(1_000, "Why, for whoever reads it later."),
  },
  { examples: [{ scope: "currency", currency: "USD", gate: "shut", reason: "The rates are wrong." }] },
);

/** The members that a scope has, and no others. */
function orderOf(body: Static<typeof GATE>): GateOrder {
  const { scope, currency, providerAccountId, reason } = body;
  const faults: { field: string; message: string }[] = [];
  if (scope === "currency" && (currency === undefined || !isCurrency(currency))) {
    faults.push({ field: "currency", message: "is not a currency that Bursar knows" });
  }
  if (scope !== "currency" && currency !== undefined)
    faults.push({ field: "currency", message: "is not of this scope" });
  if (scope === "provider_account" && providerAccountId === undefined) {
    faults.push({ field: "providerAccountId", message: "is required" });
  }
  if (scope !== "provider_account" && providerAccountId !== undefined) {
    faults.push({ field: "providerAccountId", message: "is not of this scope" });
  }
  if (faults.length > 0) throw refuseFields(faults);
  return { providerAccountId: providerAccountId ?? null, currency: currency ?? null, reason };
}

async function gatesOf(call: Call): Promise<Shown> {
  const found = await call.world.reads.gates(call.identity.book);
  return {
    system: found.isSystemOpen ? "open" : "shut",
    organization: found.gate,
    shutCurrencies: found.shutCurrencies,
    shutProviderAccounts: found.accounts.map(({ id, gateReason }) => ({ id, reason: gateReason })),
  };
}

const ALL = { description: "Every gate.", schema: Named("Gates") };

export const gates: readonly Endpoint[] = [
  {
    method: "GET",
    path: "/gates",
    name: "getGates",
    tag: "Gates",
    summary: "How the gates stand before which new sends wait.",
    permission: "read",
    answers: { 200: ALL },
    refusals: [],
    handle: async (call): Promise<StoredAnswer> => answer(200, await gatesOf(call)),
  },
  {
    method: "POST",
    path: "/gates",
    name: "moveGate",
    tag: "Gates",
    summary: "Open or shut a gate. Opened, it lets through what has waited.",
    permission: "settings",
    body: GATE,
    answers: { 200: { description: "What came of it.", schema: Named("GateChange") } },
    refusals: ["not-found"],
    handle(call): Promise<StoredAnswer> {
      checkForm(call);
      const body = call.body as Static<typeof GATE>;
      return command(call, {
        handler: body.gate === "open" ? openGate : shutGate,
        payload: orderOf(body),
        render: (change) => answer(200, { gate: body.gate, change }),
      });
    },
  },
];
