// Method: each scenario of the sandbox provider is asked for through the API, over real HTTP, and judged by the
// provider's own book. The row says where the order must end and how often money may have left.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { type Gateway, type Json, type Operation, openGateway } from "../support/gateway.ts";

interface Payout {
  readonly id: string;
  readonly status: string;
  readonly resolution: string | null;
  readonly moderationRequired: boolean;
  readonly reference: string;
}

interface Case {
  readonly scenario: string;
  /** The first payout's end. */
  readonly payout: string;
  readonly effective: number;
  /** Where the answer is lost: the flag must have been up on the way, and be down at the end. */
  readonly isUnsure?: true;
}

const PAID: readonly Case[] = [
  { scenario: "ok", payout: "PROCESSED", effective: 1 },
  { scenario: "ok_sync", payout: "PROCESSED", effective: 1 },
  { scenario: "slow", payout: "PROCESSED", effective: 1 },
  { scenario: "pending_paid", payout: "PROCESSED", effective: 1 },
  { scenario: "timeout_paid", payout: "PROCESSED", effective: 1, isUnsure: true },
  { scenario: "reset_paid", payout: "PROCESSED", effective: 1, isUnsure: true },
  { scenario: "http_500_paid", payout: "PROCESSED", effective: 1, isUnsure: true },
  { scenario: "unreadable_paid", payout: "PROCESSED", effective: 1, isUnsure: true },
];

/** These end the first payout unpaid; the next route, where the demo always plays `ok`, pays the order. */
const UNPAID: readonly Case[] = [
  { scenario: "refused", payout: "INVOKE_FAILED", effective: 0 },
  { scenario: "pending_failed", payout: "PROCESS_FAILED", effective: 0 },
];

/** Proven absent after the wait window: the next attempt takes the same route, so only the first payout is judged. */
const ABSENT: readonly Case[] = [
  { scenario: "timeout_absent", payout: "INVOKE_FAILED", effective: 0, isUnsure: true },
  { scenario: "http_500_absent", payout: "INVOKE_FAILED", effective: 0, isUnsure: true },
];

let gateway: Gateway;

before(async () => {
  gateway = await openGateway();
});

after(async () => {
  const breaches = await gateway.breaches();
  await gateway.close();
  assert.deepEqual(breaches, []);
});

async function order(scenario: string): Promise<string> {
  const { status, body } = await gateway.call("POST", "/payout-invoices", {
    referenceId: `order-${scenario}`,
    websiteId: "web_demo",
    currency: "USD",
    amount: 100.78,
    service: "test_usd",
    fields: { account: `payee-${scenario}`, test_details_scenario: scenario },
    attemptsLimit: 2,
  });
  assert.equal(status, 201, JSON.stringify(body));
  return String(body["id"]);
}

async function payoutsOf(invoiceId: string): Promise<readonly Payout[]> {
  const { body } = await gateway.call("GET", `/payouts?payoutInvoiceId=${invoiceId}&sort=createdTime`);
  return (body as unknown as Payout[]).toSorted((a, b) => (a.id < b.id ? -1 : 1));
}

async function operationOf(payout: Payout | undefined): Promise<Operation | undefined> {
  const book = await gateway.providerBook();
  return book.find((operation) => operation.reference === payout?.reference);
}

/** Waits until the first payout of an order has ended. */
async function untilFirstEnds(invoiceId: string, status: string): Promise<readonly Payout[]> {
  const hasEnded = (invoice: Json): boolean => {
    const payouts = invoice["payouts"] as Payout[];
    return payouts.some((payout) => payout.status === status);
  };
  await gateway.until(invoiceId, hasEnded);
  return payoutsOf(invoiceId);
}

const isFlagged = async (invoiceId: string): Promise<boolean> => {
  const { body } = await gateway.call("GET", `/payout-invoices/${invoiceId}`);
  return body["moderationRequired"] === true;
};

/** Whether the flag was ever up, as the timeline tells: an inquiry may take it down before anybody has looked. */
const wasFlagged = async (invoiceId: string): Promise<boolean> => {
  const { body } = await gateway.call("GET", `/payout-invoices/${invoiceId}/timeline`);
  return (body as unknown as Json[]).some((line) => line["moderationRequired"] === true);
};

test("every scenario ends where it must, and the book holds each payment once", { concurrency: true }, async (t) => {
  const tell = (row: Case) =>
    t.test(`${row.scenario}: ${row.payout}, effective ${row.effective}`, async () => {
      const invoiceId = await order(row.scenario);
      const payouts = await untilFirstEnds(invoiceId, row.payout);
      if (row.isUnsure) assert.ok(await wasFlagged(invoiceId), "the flag was up on the way");
      assert.equal(payouts[0]?.status, row.payout);
      assert.equal(payouts[0]?.moderationRequired, false);
      assert.equal((await operationOf(payouts[0]))?.effective ?? 0, row.effective);
      if (PAID.includes(row)) {
        assert.equal(payouts.length, 1, "one payout and no second attempt");
        const invoice = await gateway.until(invoiceId, (each) => each["status"] === "processed");
        assert.equal(invoice["moderationRequired"], false);
      }
      if (UNPAID.includes(row)) {
        const invoice = await gateway.until(invoiceId, (each) => each["status"] === "processed");
        const [, second] = await payoutsOf(invoiceId);
        assert.equal(second?.status, "PROCESSED");
        assert.equal((await operationOf(second))?.effective, 1);
        assert.equal(invoice["processedAmount"], 100.78);
      }
      if (ABSENT.includes(row)) {
        assert.equal(payouts.length, 2, "the next attempt has a payout of its own");
        assert.notEqual(payouts[1]?.reference, payouts[0]?.reference);
      }
    });
  await Promise.all([...PAID, ...UNPAID, ...ABSENT].map(tell));
  assert.deepEqual(gateway.broken, []);
  const { body } = await gateway.call("GET", "/accounts/trial-balance");
  assert.equal(body["balanced"], true);
  const orders = new Map<string, number>();
  for (const { destination, effective } of await gateway.providerBook()) {
    orders.set(destination, (orders.get(destination) ?? 0) + effective);
  }
  for (const [destination, effective] of orders)
    assert.ok(effective <= 1, `${destination} was paid ${effective} times`);
  assert.equal(await isFlagged(await order("ok_sync")), false);
});
