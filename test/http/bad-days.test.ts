// Method: the sandbox provider's bad days, asked for through the API and judged by the provider's own book. The first
// table must end as its rows say; the second holds what later work gives its final ends: there, nothing may be paid
// twice and everything must be visible (flagged, open or paid).
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { type Gateway, type Json, openGateway } from "../support/gateway.ts";

interface Payout {
  readonly id: string;
  readonly status: string;
  readonly resolution: string | null;
  readonly moderationRequired: boolean;
}

interface Case {
  readonly scenario: string;
  readonly payout: string;
  readonly isFlagged?: true;
  readonly incident?: string;
}

const ENDS: readonly Case[] = [
  { scenario: "unknown_word", payout: "INVOKING", isFlagged: true },
  { scenario: "duplicate_id", payout: "PROCESSED" },
  { scenario: "rate_limited", payout: "PROCESSED" },
  { scenario: "callback_lost", payout: "PROCESSED" },
  { scenario: "callback_doubled", payout: "PROCESSED" },
  { scenario: "callback_swapped", payout: "PROCESSED" },
  { scenario: "callback_forged", payout: "PROCESSED" },
  { scenario: "callback_before_answer", payout: "PROCESSED" },
  { scenario: "wrong_amount", payout: "INVOKING", isFlagged: true, incident: "answer_differs" },
  { scenario: "inquiry_401", payout: "INVOKING", isFlagged: true },
  { scenario: "inquiry_404_then_paid", payout: "PROCESSED" },
  { scenario: "repeat_refused", payout: "INVOKING", isFlagged: true },
];

/** The provider changes its mind after an end: one attempt only, because a second would rest on its first word. */
const CONTRADICTIONS = ["late_paid", "refused_then_paid"] as const;

const VISIBLE = [
  "partial",
  "partial_then_rest",
  "late_return",
  "return_part",
  "return_twice",
  ...CONTRADICTIONS,
  "revoke_ok",
  "revoke_refused",
  "revoke_then_paid",
  "cancel_ok",
  "cancel_refused",
  "cancel_timeout",
  "needs_details",
  "paid_more",
] as const;

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
    referenceId: `day-${scenario}`,
    websiteId: "web_demo",
    currency: "USD",
    amount: 100,
    service: "test_usd",
    fields: { account: `payee-${scenario}`, test_details_scenario: scenario },
    ...(CONTRADICTIONS.some((each) => each === scenario) ? { attemptsLimit: 1 } : {}),
  });
  assert.equal(status, 201, JSON.stringify(body));
  return String(body["id"]);
}

async function effectiveOf(scenario: string): Promise<number> {
  const book = await gateway.providerBook();
  const ours = book.filter((operation) => operation.destination === `payee-${scenario}`);
  return ours.reduce((sum, operation) => sum + operation.effective, 0);
}

const payoutsOf = (invoice: Json): readonly Payout[] => invoice["payouts"] as Payout[];

function isAsWanted(invoice: Json, row: Case): boolean {
  const [first] = payoutsOf(invoice);
  return first?.status === row.payout && first.moderationRequired === (row.isFlagged ?? false);
}

/** How often each kind of journal was posted for an order. */
function journals(invoice: Json): Readonly<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const { cause } of invoice["ledgerTransactions"] as { cause: string }[]) {
    const kind = cause.split(":")[0] ?? "";
    counts[kind] = (counts[kind] ?? 0) + 1;
  }
  return counts;
}

test("each bad day ends where it must, is paid once, and is never sent elsewhere", { concurrency: true }, async (t) => {
  const tell = (row: Case) =>
    t.test(`${row.scenario}: ${row.payout}${row.isFlagged ? ", moderation" : ""}`, async () => {
      const invoiceId = await order(row.scenario);
      const invoice = await gateway.until(invoiceId, (each) => isAsWanted(each, row));
      const payouts = payoutsOf(invoice);
      assert.equal(payouts.length, 1, "one payout, one attempt");
      if (row.isFlagged) {
        assert.equal(invoice["status"], "process_pending");
        assert.deepEqual(journals(invoice), { hold: 1, sent: 1 }, "the hold stays open");
        const items = await gateway.openItems(payouts[0]?.id ?? "");
        assert.ok(items.length > 0, "somebody is asked");
        if (row.incident) assert.ok(items.some((item) => item.reason === row.incident && item.isIncident));
      } else {
        assert.deepEqual(journals(invoice), { hold: 1, sent: 1, paid: 1, settled: 1 }, "each journal once");
      }
    });
  await Promise.all(ENDS.map(tell));
  // Time for doubled, swapped and forged messages, and for inquiries, to do their worst.
  await sleep(3_000);
  for (const row of ENDS) assert.equal(await effectiveOf(row.scenario), 1, row.scenario);
  assert.deepEqual(gateway.broken, []);
});

test("the provider's second thoughts are never paid twice and always visible", { concurrency: true }, async (t) => {
  const tell = (scenario: string) =>
    t.test(scenario, async () => {
      const invoiceId = await order(scenario);
      await sleep(6_000);
      const { body: invoice } = await gateway.call("GET", `/payout-invoices/${invoiceId}`);
      assert.ok((await effectiveOf(scenario)) <= 1, "paid twice");
      const isOpen = ["processing", "process_pending"].includes(String(invoice["status"]));
      const isPaid = ["processed", "partially_processed"].includes(String(invoice["status"]));
      const isReturned = String(invoice["status"]).includes("refund");
      assert.ok(isOpen || isPaid || isReturned || invoice["moderationRequired"], JSON.stringify(invoice));
    });
  await Promise.all(VISIBLE.map(tell));
  assert.deepEqual(gateway.broken, []);
  const { body } = await gateway.call("GET", "/accounts/trial-balance");
  assert.equal(body["balanced"], true);
});

test("a forged or unsigned callback is refused and changes nothing", async () => {
  const response = await fetch(`${gateway.url}/callbacks/nobody`, { method: "POST", body: "{}" });
  assert.ok(response.status === 401 || response.status === 404, String(response.status));
});
