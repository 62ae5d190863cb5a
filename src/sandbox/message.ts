/** What the provider says about an operation, in answers and in callbacks. */
import { createHmac } from "node:crypto";
import type { Operation, State } from "./book.ts";

/** Amounts are decimal strings in major units. `sequence` counts the operation's states from 1. */
export interface Message {
  readonly reference: string;
  readonly providerReference: string;
  readonly amount: string;
  readonly currency: string;
  readonly account: string;
  readonly status: string;
  readonly code?: string;
  readonly sequence: number;
  readonly paidAmount: string;
  readonly returnedAmount: string;
  readonly returnId?: string;
}

export function messageOf(operation: Operation, index: number): Message {
  const { made } = operation;
  const state: State | undefined = operation.states[index];
  if (state === undefined) throw new Error(`operation ${made.reference} has no state ${index}`);
  return {
    reference: made.reference,
    providerReference: made.providerReference,
    amount: made.echo,
    currency: made.currency,
    account: made.account,
    status: state.status,
    ...(state.code === undefined ? {} : { code: state.code }),
    sequence: index + 1,
    paidAmount: state.paid,
    returnedAmount: state.returned,
    ...(state.returnId === undefined ? {} : { returnId: state.returnId }),
  };
}

/** A callback, ready to be sent: the signature is over these very bytes. */
export interface SignedCallback {
  readonly body: string;
  readonly signature: string;
}

/** The callback with this index; every attempt signs anew, with the time of the attempt (Unix milliseconds). */
export function signCallback(operation: Operation, call: number, now: number): SignedCallback {
  const scheduled = operation.calls[call];
  if (scheduled === undefined) throw new Error(`operation ${operation.made.reference} has no callback ${call}`);
  const truth = messageOf(operation, scheduled.state);
  const { forged } = scheduled;
  const messageId = `${truth.providerReference}-${truth.sequence}${forged === undefined ? "" : `-${forged}`}`;
  const body = JSON.stringify({ messageId, ...truth, ...(forged === undefined ? {} : lie(truth, forged)) });
  const secret = forged === undefined ? operation.secret : `not ${operation.secret}`;
  const mac = createHmac("sha256", secret).update(`${now}.${body}`).digest("hex");
  return { body, signature: `t=${now},v1=${mac}` };
}

/** A high sequence makes a forgery that is believed stay: the truth would look like old news. */
function lie(truth: Message, forged: "status" | "amount"): Partial<Message> {
  const sequence = truth.sequence + 1000;
  if (forged === "amount") return { amount: `9${truth.amount}`, paidAmount: `9${truth.paidAmount}`, sequence };
  return { status: "failed", code: "declined", paidAmount: truth.returnedAmount, sequence };
}
