// Method: a book in which all is well, and the same with one thing wrong: each wrong has its verdict, and no other.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type Books, type Invoice, judgeOrders, type Memory, type Operation, type Payout } from "./judgement.ts";
import type { Acknowledged, Order } from "./shop.ts";

const order = (kind: Order["kind"], referenceId: string): Acknowledged => ({
  id: `id-of-${referenceId}`,
  text: "",
  order: {
    kind,
    referenceId,
    account: referenceId.replace("order", "payee"),
    scenario: "ok",
    amount: "0.29",
    cents: 29,
    currency: "USD",
    idempotencyKey: null,
    body: "",
  },
});

const payout = (request: string, id: string): Payout => ({
  id,
  reference: `reference-of-${id}`,
  status: "PROCESSED",
  payoutRequestId: request,
  moderationRequired: false,
});

const operation = (of: string, account: string): Operation => ({
  reference: `reference-of-${of}`,
  destination: account.replace("order", "payee"),
  amount: "0.29",
  currency: "USD",
  status: "paid",
  effective: 1,
  paidAmount: "0.29",
  returnedAmount: "0.00",
});

const PAID = payout("request-1", "payout-1");
const BARE = payout("bare-2", "payout-2");
const INVOICE: Invoice = {
  id: "id-of-order-1",
  referenceId: "order-1",
  status: "processed",
  moderationRequired: false,
  payoutRequestId: "request-1",
  payouts: [PAID],
};
const FIRST = operation("payout-1", "order-1");
const SECOND = operation("payout-2", "bare-2");
const REQUEST = { id: "bare-2", currency: "USD", amount: 0.29, status: "fulfilled" };

interface Case {
  readonly books?: Partial<Books>;
  readonly invoice?: Partial<Invoice>;
  readonly first?: Partial<Operation>;
  readonly refunds?: Memory["refunds"];
}

/** The verdicts about two orders, an invoice and a bare request, of which something is different. */
function verdicts({ books = {}, invoice = {}, first = {}, refunds = new Map() }: Case): readonly string[] {
  const acknowledged = new Map([
    ["order-1", order("invoice", "order-1")],
    ["bare-2", order("request", "bare-2")],
  ]);
  const found = judgeOrders(
    { acknowledged, refunds },
    {
      invoices: [{ ...INVOICE, ...invoice }],
      requests: [REQUEST],
      payouts: [PAID, BARE],
      book: [{ ...FIRST, ...first }, SECOND],
      held: new Map(),
      ...books,
    },
  );
  return found.map(({ verdict, referenceId }) => `${verdict}: ${referenceId}`);
}

const asked = (amount: string, isTold = true) => new Map([["order-1", { amount, isAll: amount === "0.29", isTold }]]);

const CASES: Readonly<Record<string, readonly [Case, ...string[]]>> = {
  "all is well": [{}],
  "paid twice": [
    { invoice: { payouts: [PAID, BARE] }, books: { book: [FIRST, SECOND, { ...FIRST, reference: SECOND.reference }] } },
    "paid twice: order-1",
    "disagreement: order-1",
  ],
  "another amount": [{ first: { amount: "0.30", paidAmount: "0.30" } }, "wrong amount: order-1"],
  "another currency": [{ first: { currency: "EUR" } }, "wrong amount: order-1"],
  "paid in part": [{ first: { paidAmount: "0.10" } }, "wrong amount: order-1"],
  "a bare request's other amount": [
    { books: { book: [FIRST, { ...SECOND, amount: "2.90", paidAmount: "2.90" }] } },
    "wrong amount: bare-2",
  ],
  "under a reference of nobody": [{ first: { reference: "strange" } }, "orphan: order-1", "orphan: order-1"],
  "said to be unpaid": [{ invoice: { status: "process_failed" } }, "disagreement: order-1"],
  "said to be paid": [{ books: { book: [SECOND] } }, "disagreement: order-1"],
  "not final": [{ invoice: { status: "processing" } }, "unsettled: order-1"],
  "a bare request that is not paid": [
    { books: { requests: [{ ...REQUEST, status: "instrument-selected" }], book: [FIRST] } },
    "unsettled: bare-2",
  ],
  "a bare request that is gone": [{ books: { requests: [] } }, "lost: bare-2"],
  "held beside an order that is not final": [
    {
      invoice: { status: "processing" },
      books: {
        held: new Map([
          ["order-1", "1"],
          ["bare-2", "1"],
        ]),
      },
    },
    "unsettled: order-1",
    "still held: bare-2",
  ],
  "held by one that is final": [{ books: { held: new Map([["order-1", "1"]]) } }, "still held: order-1"],
  "for a person": [{ books: { payouts: [{ ...PAID, moderationRequired: true }, BARE] } }, "for a person: order-1"],
  "came back, and nobody asked": [{ first: { returnedAmount: "0.29" } }, "refund: order-1"],
  "said to have come back": [{ invoice: { status: "refunded" } }, "refund: order-1"],
  refunded: [{ invoice: { status: "refunded" }, first: { returnedAmount: "0.29" }, refunds: asked("0.29") }],
  "refunded in part": [
    { invoice: { status: "partially_refunded" }, first: { returnedAmount: "0.14" }, refunds: asked("0.14") },
  ],
  "more came back than was asked": [
    { invoice: { status: "partially_refunded" }, first: { returnedAmount: "0.28" }, refunds: asked("0.14") },
    "refund: order-1",
  ],
  "a refund that failed": [{ invoice: { status: "refund_failed" }, refunds: asked("0.29") }],
  "a refund that failed and came back": [
    { invoice: { status: "refund_failed" }, first: { returnedAmount: "0.29" }, refunds: asked("0.29") },
    "refund: order-1",
  ],
  "a refund that was acknowledged and forgotten": [{ refunds: asked("0.29") }, "refund: order-1"],
  "a refund that was never acknowledged": [{ refunds: asked("0.29", false) }],
};

describe("the judge of the torture", () => {
  for (const [name, [different, ...expected]] of Object.entries(CASES)) {
    test(name, () => assert.deepEqual(verdicts(different), expected));
  }
});
