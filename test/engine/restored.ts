/** A house whose database follows another one, and what its provider says of what it is asked. */
import type { HttpOrder, HttpOutcome } from "../../src/engine/ports.ts";
import { House, says } from "./house.ts";

/** The sandbox connector's wait window, milliseconds. */
export const W = 9_000;

export const isSend = (order: HttpOrder): boolean => order.draft.method === "POST";
export const referenceOf = (order: HttpOrder): string => order.draft.path.split("/").at(-1) ?? "";
export const sends = (house: House): number => house.sent.filter(isSend).length;

export function notFound(order: HttpOrder): HttpOutcome {
  const body = JSON.stringify({ error: "not_found", reference: referenceOf(order) });
  return { kind: "answer", result: { status: 404, headers: {}, body } };
}

/** The provider has what it is asked about, and has paid it: so much of USD, major units. */
export function isPaid(order: HttpOrder, amount: string, account = "payee-a"): HttpOutcome {
  const state = { reference: referenceOf(order), amount, currency: "USD", account, status: "paid", sequence: 2 };
  const body = JSON.stringify({ ...state, providerReference: "p", paidAmount: amount, returnedAmount: "0.00" });
  return { kind: "answer", result: { status: 200, headers: {}, body } };
}

/** A house whose database took over just now; the provider knows nothing and pays what it is sent. */
export async function openRestored(gate: "open" | "shut" = "open"): Promise<House> {
  const house = await new House().open();
  house.store.epoch = { number: house.now / 1_000, gate };
  house.answer = async (order) => (isSend(order) ? says(order, "paid", 2) : notFound(order));
  house.engine.start();
  return house;
}
