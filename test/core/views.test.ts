import assert from "node:assert/strict";
import { describe, test } from "node:test";
import {
  NOTHING_PAID,
  PAYOUT_MEANING,
  PAYOUT_STATUSES,
  type Payout,
  type PayoutStatus,
} from "../../src/core/order/payout.ts";
import type { PayoutRequest } from "../../src/core/order/request.ts";
import { InvariantBroken } from "../../src/core/result.ts";
import {
  Exact,
  fundsMovementView,
  ledgerTransactionsView,
  money,
  requestView,
  type Shown,
  timeText,
  trialBalanceView,
} from "../../src/core/views/orders.ts";

const TIME = Date.UTC(2026, 10, 21, 12);

const REQUEST: PayoutRequest = {
  organizationId: "org_demo:test",
  id: "r-1",
  root: "r:r-1",
  invoiceId: null,
  websiteId: "web_1",
  customerId: "cus_1",
  currency: "USD",
  amountMinor: 10_000n,
  description: null,
  service: null,
  paymentInstrumentId: null,
  destination: null,
  destinationHash: null,
  redirectUrl: null,
  blocked: false,
  blockReason: null,
  dispatchStatus: "READY",
  version: 1,
  resolution: null,
  moderationRequired: false,
  attemptsLimit: 5,
  allowPartially: false,
  isSplit: false,
  isParallel: false,
  areDetailsRefused: false,
  endAsked: null,
  canceledBy: null,
  cancelDescription: null,
  paidMinor: 0n,
  availableMinor: 10_000n,
  overpaidMinor: 0n,
  batchId: null,
  expiresTime: TIME,
  createdTime: TIME,
  updatedTime: TIME,
};

const PAYOUT: Payout = {
  organizationId: "org_demo:test",
  id: "p-1",
  requestId: "r-1",
  invoiceId: null,
  websiteId: "web_1",
  part: 1,
  attempt: 1,
  status: "READY",
  version: 1,
  resolution: null,
  resolutionOf: null,
  moderationRequired: false,
  flaggedTime: null,
  isManual: false,
  routeId: "rt_1",
  routingRevision: 1,
  providerAccountId: "pacc_1",
  depositAccountId: "dep_1",
  connector: "sandbox",
  service: "test_usd",
  currency: "USD",
  amountMinor: 10_000n,
  paymentInstrumentId: null,
  destinationHash: "hash-of-the-payee",
  reference: "ref",
  requestHash: null,
  ...NOTHING_PAID,
  providerReference: null,
  providerStatus: null,
  providerCode: null,
  factSequence: null,
  createdTime: TIME,
  updatedTime: TIME,
};

const AROUND = {
  base: "https://pay.example",
  selectUrl: "https://pay.example/pay/token",
  wordsOf: () => ({ method: "miscellaneous", gatewayName: null }),
};

function show(request: Partial<PayoutRequest>, payouts: readonly Partial<Payout>[] = []): Shown {
  const rows = payouts.map((each) => ({ ...PAYOUT, ...each }));
  return requestView(
    { request: { ...REQUEST, ...request }, payouts: rows, websiteUrl: "https://shop.example" },
    AROUND,
  );
}

describe("numbers and times", () => {
  test("are written digit for digit", () => {
    const amounts = {
      usd: money(10n, "USD"),
      jpy: money(-100n, "JPY"),
      eth: money(1n, "ETH"),
      big: money(10n ** 38n - 1n, "USD"),
    };
    assert.equal(
      JSON.stringify(amounts),
      `{"usd":0.10,"jpy":-100,"eth":0.000000000000000001,"big":${"9".repeat(36)}.99}`,
    );
    assert.equal(JSON.stringify([new Exact("1.10")]), "[1.10]");
    for (const text of ["", "1.", "01", "NaN", "1 ", '1,"a":2', "0x1"])
      assert.throws(() => new Exact(text), InvariantBroken);
  });

  test("times have milliseconds and end in Z", () => {
    assert.equal(timeText(TIME), "2026-11-21T12:00:00.000Z");
  });
});

describe("a payout request", () => {
  test("shows its allocations as its contract names them", () => {
    const statuses = Object.keys(PAYOUT_STATUSES) as PayoutStatus[];
    for (const status of statuses) {
      const [allocation] = show({}, [{ status, processedMinor: 4_000n, returnedMinor: 1_000n }])[
        "allocations"
      ] as Shown[];
      const meaning = PAYOUT_MEANING[status];
      assert.equal(allocation?.["transactionResult"], meaning.transactionResult ?? undefined, status);
      const counts = { planned: "100.00", open: "100.00", paid: "30.00", returned: "0.00", not_paid: "0.00" };
      assert.equal(JSON.stringify(allocation?.["amount"]), counts[meaning.class], status);
      assert.ok(!("gatewayName" in (allocation ?? {})) && !("paymentInstrumentId" in (allocation ?? {})));
    }
  });

  test("orders allocations by part and attempt", () => {
    const shown = show({}, [
      { id: "c", part: 2, attempt: 1 },
      { id: "b", part: 1, attempt: 2 },
      { id: "a", part: 1, attempt: 1 },
    ]);
    const ids = (shown["allocations"] as Shown[]).map((each) => each["transactionId"]);
    assert.deepEqual(ids, ["a", "b", "c"]);
  });

  test("says why only when it is canceled", () => {
    assert.ok(!("cancellationReason" in show({})));
    assert.ok(!("cancellationReason" in show({ dispatchStatus: "PROCESSED", paidMinor: 10_000n })));
    const reason = (request: Partial<PayoutRequest>) => show(request)["cancellationReason"];
    assert.deepEqual(reason({ canceledBy: "customer", cancelDescription: "No more." }), {
      description: "No more.",
      canceledBy: "customer",
    });
    assert.deepEqual(reason({ dispatchStatus: "TERMINATED" }), { description: null, canceledBy: "merchant" });
    assert.deepEqual(reason({ dispatchStatus: "EXPIRED" }), {
      description: "The lifetime passed.",
      canceledBy: "customer",
    });
  });

  test("shows nothing of the payee", () => {
    const secret = { destination: Buffer.from("sealed"), destinationHash: "hash-of-the-payee" };
    const text = JSON.stringify(show(secret, [{}]));
    assert.ok(!text.includes("hash-of-the-payee") && !text.includes("sealed") && !text.includes("org_demo"));
  });
});

describe("the ledger", () => {
  test("entries are grouped by what posted them", () => {
    const entry = { organizationId: "o", subject: "s", currency: "USD", line: 0, time: TIME };
    const shown = ledgerTransactionsView([
      { ...entry, accountId: "b", cause: "sent", sequence: 4, amountMinor: -5n },
      { ...entry, accountId: "a", cause: "sent", sequence: 3, amountMinor: 5n },
      { ...entry, accountId: "a", cause: "hold", sequence: 1, amountMinor: 7n },
    ]);
    assert.deepEqual(
      shown.map(({ cause, entries }) => [cause, (entries as Shown[]).map((each) => each["accountId"])]),
      [
        ["hold", ["a"]],
        ["sent", ["a", "b"]],
      ],
    );
  });

  test("a trial balance weighs debits against credits", () => {
    const good = trialBalanceView([
      { kind: "deposit", currency: "USD", balanceMinor: 90n },
      { kind: "in_flight", currency: "USD", balanceMinor: 10n },
      { kind: "available", currency: "USD", balanceMinor: 80n },
      { kind: "reserved", currency: "USD", balanceMinor: 20n },
    ]);
    assert.equal(
      JSON.stringify(good),
      '{"balanced":true,"currencies":[{"currency":"USD","debit":1.00,"credit":1.00,"difference":0.00}]}',
    );
    const bad = trialBalanceView([{ kind: "available", currency: "JPY", balanceMinor: 1n }]);
    assert.equal(bad["balanced"], false);
    assert.equal(trialBalanceView([])["balanced"], true);
  });

  test("a transfer names its receiver, the others their place", () => {
    const movement = {
      organizationId: "o",
      id: "f-1",
      kind: "transfer",
      status: "created",
      websiteId: "a",
      toWebsiteId: "b",
      depositAccountId: null,
      currency: "USD",
      amountMinor: 1n,
      description: null,
      version: 1,
      createdTime: TIME,
      updatedTime: TIME,
    } as const;
    const transfer = fundsMovementView(movement, "https://pay.example");
    assert.ok(transfer["toWebsiteId"] === "b" && !("depositAccountId" in transfer));
    const deposit = fundsMovementView({ ...movement, kind: "deposit" }, "https://pay.example");
    assert.ok(deposit["depositAccountId"] === null && !("toWebsiteId" in deposit));
    assert.deepEqual(deposit["_links"], [{ rel: "self", href: "https://pay.example/deposits/f-1" }]);
  });
});
