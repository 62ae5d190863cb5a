/** What the verdicts mean: the orders of the shop, what Bursar says of them, and the provider's book, compared. */
import type { Refund } from "./refunds.ts";
import type { Acknowledged, Order } from "./shop.ts";

export const VERDICTS = {
  lost: "acknowledged and lost or changed",
  "paid twice": "orders paid more than once",
  "wrong amount": "payments of another amount or currency than ordered",
  refund: "refunds that the provider's book denies, or that nobody asked for",
  orphan: "provider operations without a payout of ours",
  unsettled: "orders neither final nor in moderation",
  "for a person": "payouts that wait for a person, though every doubt can end by itself",
  unbalanced: "trial balances that are not zero",
  "still held": "accounts that hold money of finished orders",
  disagreement: "orders whose status the provider's book denies",
  ledger: "balances that are not the sum of their entries",
  surprise: "answers that nobody should get",
  "no answers": "times when nothing was answered",
  "failed start": "starts that ended by themselves",
  crash: "runs that ended by themselves",
  "unclean stop": "stops that left something behind",
  "not reached": "points and faults that came too seldom",
} as const;

export type Verdict = keyof typeof VERDICTS;

export interface Finding {
  readonly verdict: Verdict;
  readonly referenceId: string | null;
  readonly what: string;
}

export interface Payout {
  readonly id: string;
  readonly reference: string;
  readonly status: string;
  readonly payoutRequestId: string;
  readonly moderationRequired: boolean;
}

export interface Invoice {
  readonly id: string;
  readonly referenceId: string;
  readonly status: string;
  readonly moderationRequired: boolean;
  readonly payoutRequestId: string | null;
  readonly payouts: readonly Payout[];
}

/** A bare payout request as it is shown. */
export interface Bare {
  readonly id: string;
  readonly currency: string;
  readonly amount: number;
  readonly status: string;
}

/** A row of the provider's book. */
export interface Operation {
  readonly reference: string;
  readonly destination: string;
  readonly amount: string;
  readonly currency: string;
  readonly status: string;
  /** How often the payee has had the money at one time. */
  readonly effective: number;
  readonly paidAmount: string;
  readonly returnedAmount: string;
}

/** What the shop remembers, by referenceId. */
export interface Memory {
  readonly acknowledged: ReadonlyMap<string, Acknowledged>;
  readonly refunds: ReadonlyMap<string, Refund>;
}

export interface Books {
  readonly invoices: readonly Invoice[];
  /** The bare requests that the shop has an acknowledgement for and that are still there. */
  readonly requests: readonly Bare[];
  readonly payouts: readonly Payout[];
  readonly book: readonly Operation[];
  /** What our ledger still holds, by referenceId. */
  readonly held: ReadonlyMap<string, string>;
}

/** Whether the payee has had the money, and how much of it came back, as an invoice's status says it. */
const ENDS: Readonly<Record<string, { readonly isPaid: boolean; readonly back: "nothing" | "part" | "all" }>> = {
  processed: { isPaid: true, back: "nothing" },
  process_failed: { isPaid: false, back: "nothing" },
  expired: { isPaid: false, back: "nothing" },
  terminated: { isPaid: false, back: "nothing" },
  refunded: { isPaid: true, back: "all" },
  partially_refunded: { isPaid: true, back: "part" },
  refund_failed: { isPaid: true, back: "nothing" },
};
const NOTHING = "0.00";
/** The provider answers every inquiry of this workload, so that every doubt ends by itself: nobody is needed. */
const MODERATION_LIMIT = 0;
const REFUNDS_LEAST = 10;

export const isFinal = ({ status }: Pick<Invoice, "status">): boolean => status in ENDS;

type Add = (verdict: Verdict, what: string) => void;

/** What the provider did about one order: at most one payment, of what was ordered, under references of ours. */
function judgePayment(order: Order, of: { payouts: readonly Payout[]; operations: readonly Operation[] }, add: Add) {
  const { payouts, operations } = of;
  const paying = operations.filter((operation) => operation.effective > 0);
  const effective = operations.reduce((sum, operation) => sum + operation.effective, 0);
  const told = `${order.scenario}, ordered ${order.amount} ${order.currency}, booked ${JSON.stringify(operations)}`;
  if (effective > 1) add("paid twice", told);
  const isWrong = ({ amount, currency, paidAmount }: Operation): boolean =>
    amount !== order.amount || currency !== order.currency || paidAmount !== order.amount;
  if (paying.some(isWrong)) add("wrong amount", told);
  const known = new Set(payouts.map(({ reference }) => reference));
  if (operations.some(({ reference }) => !known.has(reference))) add("orphan", `not of this order: ${told}`);
  return { effective, back: paying.map(({ returnedAmount }) => returnedAmount), told };
}

/** What came back is what was asked back, and the status says so. */
function judgeRefund(status: string, refund: Refund | undefined, back: readonly string[]): string | null {
  const end = ENDS[status];
  const wanted = refund === undefined || end?.back === "nothing" ? NOTHING : refund.amount;
  if (back.some((amount) => amount !== wanted)) return `${status}, and ${back.join(", ")} came back, not ${wanted}`;
  if (refund === undefined) return end?.back === "nothing" ? null : `${status}, and nobody has asked for it`;
  // The provider grants every cancel that it hears of. One whose sender was killed is not sent again: it is asked about,
  // and ends as failed once it cannot arrive any more.
  const isDone = end?.back === (refund.isAll ? "all" : "part") || status === "refund_failed";
  const isUnheard = !refund.isTold && status === "processed";
  return isDone || isUnheard ? null : `${status} after a refund of ${refund.amount}`;
}

function judgeInvoice(
  invoice: Invoice,
  books: { operations: readonly Operation[] } & Books,
  memory: Memory,
): Finding[] {
  const findings: Finding[] = [];
  const { referenceId, status, moderationRequired, payouts } = invoice;
  const add: Add = (verdict, what) => void findings.push({ verdict, referenceId, what });
  const order = memory.acknowledged.get(referenceId)?.order;
  if (order === undefined) {
    add("surprise", `an invoice ${invoice.id} that the shop has no acknowledgement for`);
    return findings;
  }
  const { effective, back, told } = judgePayment(order, { payouts, operations: books.operations }, add);
  const end = ENDS[status];
  if (end === undefined) {
    if (!moderationRequired) add("unsettled", `${status}: ${told}`);
    return findings;
  }
  if (end.isPaid !== (effective === 1)) add("disagreement", `${status}: ${told}`);
  const fault = judgeRefund(status, memory.refunds.get(referenceId), back);
  if (fault !== null) add("refund", `${fault}: ${told}`);
  const holds = books.held.get(referenceId);
  if (holds !== undefined) add("still held", `${status}, holds ${holds}`);
  return findings;
}

/** Every scenario of a bare request pays: so each must be fulfilled, by one payment. */
function judgeRequest(order: Order, books: { operations: readonly Operation[] } & Books): Finding[] {
  const findings: Finding[] = [];
  const { referenceId } = order;
  const add: Add = (verdict, what) => void findings.push({ verdict, referenceId, what });
  const request = books.requests.find(({ id }) => id === referenceId);
  if (request === undefined) return [{ verdict: "lost", referenceId, what: "an acknowledged request is not there" }];
  const { status, amount, currency } = request;
  if (amount.toFixed(2) !== order.amount || currency !== order.currency)
    add("lost", `changed: ${JSON.stringify(request)}`);
  const payouts = books.payouts.filter(({ payoutRequestId }) => payoutRequestId === referenceId);
  const { effective, back, told } = judgePayment(order, { payouts, operations: books.operations }, add);
  if (status !== "fulfilled") add("unsettled", `${status}: ${told}`);
  else if (effective !== 1) add("disagreement", `${status}: ${told}`);
  if (back.some((returned) => returned !== NOTHING)) add("refund", `nobody has asked for it: ${told}`);
  const holds = books.held.get(referenceId);
  if (status === "fulfilled" && holds !== undefined) add("still held", `${status}, holds ${holds}`);
  return findings;
}

/** Each order against the provider's book: paid at most once and rightly, and exactly when its status says so. */
export function judgeOrders(memory: Memory, books: Books): Finding[] {
  const byAccount = Map.groupBy(books.book, ({ destination }) => destination);
  const byReference = new Map(books.book.map((operation) => [operation.reference, operation]));
  const byRequest = Map.groupBy(books.payouts, ({ payoutRequestId }) => payoutRequestId);
  const bare = [...memory.acknowledged.values()].filter(({ order }) => order.kind === "request");
  return [
    ...books.invoices.flatMap((invoice) => {
      const account = memory.acknowledged.get(invoice.referenceId)?.order.account ?? "";
      return judgeInvoice(invoice, { ...books, operations: byAccount.get(account) ?? [] }, memory);
    }),
    ...bare.flatMap(({ order }) => {
      const payouts = byRequest.get(order.referenceId) ?? [];
      const operations = payouts.flatMap(({ reference }) => byReference.get(reference) ?? []);
      return judgeRequest(order, { ...books, payouts, operations });
    }),
    ...judgeWaiting(books),
    ...judgeFailedRefunds(memory, books),
    ...judgeOperations(books),
  ];
}

/** Payouts that a machine has left to a person. */
export function waiting({ payouts }: Pick<Books, "payouts">): readonly Payout[] {
  return payouts.filter(({ moderationRequired }) => moderationRequired);
}

function judgeWaiting(books: Books): Finding[] {
  const found = waiting(books);
  if (found.length <= MODERATION_LIMIT) return [];
  const requests = new Set(found.map(({ payoutRequestId }) => payoutRequestId));
  const invoice = books.invoices.find(({ payoutRequestId }) => requests.has(payoutRequestId ?? ""));
  const what = `${found.length} payouts of ${[...requests].join(", ")}`;
  return [{ verdict: "for a person", referenceId: invoice?.referenceId ?? [...requests][0] ?? null, what }];
}

/** Only those that a kill has caught fail: far from half of them, where there are enough to say so. */
function judgeFailedRefunds({ refunds }: Memory, { invoices }: Books): Finding[] {
  const failed = invoices.filter(({ status }) => status === "refund_failed");
  if (refunds.size < REFUNDS_LEAST || failed.length * 2 <= refunds.size) return [];
  const what = `${failed.length} of ${refunds.size} refunds failed`;
  return [{ verdict: "refund", referenceId: failed[0]?.referenceId ?? null, what }];
}

/** What the provider was told to do by nobody whom we know. */
function judgeOperations({ payouts, book }: Books): Finding[] {
  const known = new Set(payouts.map((payout) => payout.reference));
  return book
    .filter((operation) => !known.has(operation.reference))
    .map((operation) => ({
      verdict: "orphan",
      referenceId: operation.destination.replace("payee", "order"),
      what: JSON.stringify(operation),
    }));
}
