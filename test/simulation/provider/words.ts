/** The provider's wire format: how it reads an order and how it speaks of an operation. */
import type { HttpDraft, HttpResult } from "../../../src/connectors/contract.ts";
import { formatMajor, parseMajor } from "../../../src/core/money/money.ts";
import { assert } from "../../../src/core/result.ts";
import type { Operation } from "./provider.ts";

export interface Asked {
  readonly reference: string;
  readonly amountMinor: bigint;
  readonly currency: string;
  readonly payee: string;
}

export function readOrder(draft: HttpDraft): Asked {
  const members = JSON.parse(draft.body ?? "") as Record<string, unknown>;
  const { reference, amount, currency, account } = members;
  assert(typeof reference === "string" && reference === draft.headers["x-reference"], "an order names its reference");
  assert(
    typeof amount === "string" && typeof currency === "string" && typeof account === "string",
    "an order is whole",
  );
  const amountMinor = parseMajor(amount, currency);
  assert(amountMinor.ok && amountMinor.value > 0n, `an order is about an amount, not ${amount}`);
  return { reference, amountMinor: amountMinor.value, currency, payee: account };
}

/** How much a cancel asks to bring back, minor units; null: all that is left. */
export function readCancel(draft: HttpDraft, currency: string): bigint | null {
  if (draft.body === null) return null;
  const { amount } = JSON.parse(draft.body) as { amount?: string };
  const amountMinor = parseMajor(amount ?? "", currency);
  assert(amountMinor.ok && amountMinor.value > 0n, `a cancel is about an amount, not ${amount}`);
  return amountMinor.value;
}

export function bodyOf(operation: Operation): string {
  const message = messageOf(operation);
  return JSON.stringify({ messageId: `${message.providerReference}-${message.sequence}`, ...message });
}

function messageOf(operation: Operation) {
  const { reference, currency, payee, status, sequence, providerReference } = operation;
  return {
    reference,
    providerReference,
    amount: formatMajor(operation.amountMinor, currency),
    currency,
    account: payee,
    status,
    ...(operation.code === null ? {} : { code: operation.code }),
    sequence,
    paidAmount: formatMajor(operation.paidMinor, currency),
    returnedAmount: formatMajor(operation.returnedMinor, currency),
  };
}

export function shown(operation: Operation): HttpResult {
  return { status: 200, headers: {}, body: JSON.stringify(messageOf(operation)) };
}

export function refusal(status: number, error: string, more: object = {}): HttpResult {
  return { status, headers: {}, body: JSON.stringify({ error, ...more }) };
}
