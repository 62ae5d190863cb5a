import assert from "node:assert/strict";
import { test } from "node:test";
import { WALKS } from "../../src/core/news/facts.ts";
import { FACTS, RESOLUTIONS } from "../../src/core/news/resolution.ts";
import { INVOICE, INVOICE_STATUS_OF, type InvoiceStatus } from "../../src/core/order/invoice.ts";
import { type Machine, machine } from "../../src/core/order/machine.ts";
import { PAYOUT, PAYOUT_MEANING, type PayoutStatus } from "../../src/core/order/payout.ts";
import { type DispatchStatus, PUBLIC_STATUSES, REQUEST } from "../../src/core/order/request.ts";

test("the machines have the statuses of the domain: 18, 14 and 13; the public request status has 5", () => {
  assert.equal(Object.keys(PAYOUT.statuses).length, 18);
  assert.equal(Object.keys(REQUEST.statuses).length, 14);
  assert.equal(Object.keys(INVOICE.statuses).length, 13);
  assert.equal(Object.keys(PUBLIC_STATUSES).length, 5);
});

test("there are 27 provider resolutions and 3 of routing, and 12 facts", () => {
  const groups = Object.values(RESOLUTIONS).map((row) => row.group);
  assert.equal(groups.filter((group) => group !== "ROUTING").length, 27);
  assert.equal(groups.filter((group) => group === "ROUTING").length, 3);
  assert.equal(groups.filter((group) => group === "ERROR").length, 5);
  assert.equal(Object.keys(FACTS).length, 12);
});

function reachable<S extends string>(of: Machine<S>): Set<S> {
  const seen = new Set<S>();
  const queue: (S | "new")[] = ["new"];
  for (let from = queue.shift(); from !== undefined; from = queue.shift()) {
    for (const move of of.moves) {
      if (move.from !== from || seen.has(move.to)) continue;
      seen.add(move.to);
      queue.push(move.to);
    }
  }
  return seen;
}

test("every status is reached, and no status that is not final is a dead end", () => {
  const check = <S extends string>(of: Machine<S>): void => {
    const statuses = Object.keys(of.statuses) as S[];
    assert.deepEqual([...reachable(of)].toSorted(), statuses.toSorted(), of.name);
    for (const status of statuses) {
      if (of.statuses[status].final) continue;
      assert.ok(
        of.moves.some((move) => move.from === status),
        `${of.name} ${status} is a dead end`,
      );
    }
  };
  check(PAYOUT);
  check(REQUEST);
  check(INVOICE);
});

test("a final status is left only by late news, by a repeated reversal, or by a person's new allocation", () => {
  const leaves = <S extends string>(of: Machine<S>): string[] =>
    of.moves
      .filter((move) => move.from !== "new" && of.statuses[move.from].final && move.kind === "ordinary")
      .map((move) => `${move.from}>${move.to}`);
  assert.deepEqual(leaves(PAYOUT).toSorted(), [
    "CANCEL_FAILED>CANCELLING",
    "REVOKE_FAILED>PARTIALLY_PROCESSED",
    "REVOKE_FAILED>PROCESSED",
    "REVOKE_FAILED>PROCESS_FAILED",
    "REVOKE_FAILED>REVOKED",
  ]);
  assert.deepEqual(leaves(INVOICE).toSorted(), ["partially_refunded>refunding", "refund_failed>refunding"]);
  assert.deepEqual(leaves(REQUEST).toSorted(), [
    "CANCELED>READY",
    "CANCEL_FAILED>CANCELING",
    "PARTIALLY_CANCELED>CANCELING",
    "PARTIALLY_CANCELED>READY",
  ]);
});

test("every move of a request that has an invoice is a legal move of the invoice, or none", () => {
  const bareOnly = new Set(["CANCELED>READY", "PARTIALLY_CANCELED>READY", "READY>PARTIALLY_PROCESSED"]);
  bareOnly.add("WAITING_DETAILS>PARTIALLY_PROCESSED");
  const of = (status: DispatchStatus): InvoiceStatus =>
    status === "CANCELING" ? "refunding" : INVOICE_STATUS_OF[status];
  for (const move of REQUEST.moves) {
    if (move.from === "new" || bareOnly.has(`${move.from}>${move.to}`)) continue;
    const from = of(move.from);
    const to = of(move.to);
    assert.ok(from === to || INVOICE.find(from, to), `${move.from}>${move.to} is ${from}>${to}`);
  }
});

test("every walk of a fact is made of legal moves, and open statuses hear every clear fact", () => {
  for (const [status, walks] of Object.entries(WALKS)) {
    for (const [fact, walk] of Object.entries(walks)) {
      let at = status as PayoutStatus;
      for (const to of walk) {
        assert.ok(PAYOUT.find(at, to), `${status} + ${fact}: ${at}>${to}`);
        at = to;
      }
    }
  }
  for (const status of ["INVOKING", "PROCESSING", "PENDING"] as const) {
    for (const fact of ["paid", "paid_part", "failed", "returned", "recalled", "expired"] as const) {
      assert.ok((WALKS[status][fact] ?? []).length > 0, `${status} is deaf to ${fact}`);
    }
  }
});

test("every status has a class, and only planned statuses leave transactionResult out", () => {
  for (const status of Object.keys(PAYOUT.statuses) as PayoutStatus[]) {
    const { class: cls, transactionResult } = PAYOUT_MEANING[status];
    assert.equal(transactionResult === null, cls === "planned", status);
  }
});

test("a table with a move twice, or a status that nothing leads to, is refused at import", () => {
  const statuses = { a: { final: false, doc: "" }, b: { final: true, doc: "" } };
  assert.throws(() => machine("m", statuses, [{ from: ["new"], to: ["a", "a"] }]), /twice/);
  assert.throws(() => machine("m", statuses, [{ from: ["new"], to: ["a"] }]), /nothing leads to b/);
});
