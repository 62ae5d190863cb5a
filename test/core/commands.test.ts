// Method: the generated matrix of commands is read back; a sample of its cells, written here by hand from the rules of
// docs/domain.md, must stand in it, and every status must have a row.
import assert from "node:assert/strict";
import { test } from "node:test";
import { renderCommands } from "../../scripts/render-commands.ts";
import { ERRORS } from "../../src/core/errors.ts";
import { INVOICE_STATUSES } from "../../src/core/order/invoice.ts";
import { PAYOUT_STATUSES } from "../../src/core/order/payout.ts";
import { DISPATCH_STATUSES } from "../../src/core/order/request.ts";

/** Row by name, cell by column; the first cell of a table's head names the table. */
function tables(text: string): ReadonlyMap<string, ReadonlyMap<string, ReadonlyMap<string, string>>> {
  const cellsOf = (line: string): string[] =>
    line
      .split("|")
      .slice(1, -1)
      .map((cell) => cell.trim());
  const found = new Map<string, Map<string, Map<string, string>>>();
  let head: string[] = [];
  for (const line of text.split("\n")) {
    if (!line.startsWith("|")) head = [];
    else if (head.length === 0) head = cellsOf(line);
    else if (!line.startsWith("|---")) {
      const [name = "", ...cells] = cellsOf(line);
      const rows = found.get(head[0] ?? "") ?? new Map<string, Map<string, string>>();
      rows.set(name, new Map(cells.map((cell, index) => [head[index + 1] ?? "", cell])));
      found.set(head[0] ?? "", rows);
    }
  }
  return found;
}

const MATRIX = tables(renderCommands());
const IN_FLIGHT = "`payout-in-flight`";
const WRONG = "`not-in-this-status`";

const SAMPLE: readonly (readonly [table: string, row: string, column: string, cell: string])[] = [
  ["payout", "`READY` (waits for a person)", "process", "**INVOKING**"],
  ["payout", "`READY` (starts by itself)", "process", WRONG],
  ["payout", "`READY` (waits for a person)", "evidence: paid", WRONG],
  ["payout", "`INVOKING` (request on its way)", "evidence: paid", IN_FLIGHT],
  ["payout", "`INVOKING` (request on its way)", "revoke", IN_FLIGHT],
  ["payout", "`INVOKING` (outcome unknown, W is over)", "terminate", IN_FLIGHT],
  ["payout", "`INVOKING` (outcome unknown, W is over)", "not_paid", "**INVOKE_FAILED**"],
  ["payout", "`INVOKING` (outcome unknown, W is over)", "repeat", "done"],
  ["payout", "`INVOKING` (answered *not now*)", "terminate", "**TERMINATED**"],
  ["payout", "`PROCESSING`", "revoke", "**REVOKING**"],
  ["payout", "`PROCESSING`", "not_paid", "**PROCESS_FAILED**"],
  ["payout", "`PROCESSED`", "cancel", "**CANCELLING**"],
  ["payout", "`PROCESSED`", "not_paid", WRONG],
  ["payout", "`PROCESS_FAILED`", "evidence: paid", "**PROCESSED**"],
  ["payout", "`CANCELLING`", "not_returned", "**CANCEL_FAILED**"],
  ["payout", "`CANCELLED`", "cancel", WRONG],
  ["invoice", "`created`", "process", "**processing**"],
  ["invoice", "`created`", "refund", WRONG],
  ["invoice", "`processing`", "refund", IN_FLIGHT],
  ["invoice", "`process_pending` (60 of 100 are paid)", "accept_partial", "**partially_processed**"],
  ["invoice", "`process_pending` (60 of 100 are paid)", "take_back", "**refunding**"],
  ["invoice", "`processed`", "terminate", WRONG],
  ["invoice", "`refund_pending`", "refund", IN_FLIGHT],
  ["request", "`DISPATCHING`", "cancel", IN_FLIGHT],
  ["request", "`READY`", "cancel", "**TERMINATED**"],
  ["request", "`READY`", "allocate 1.00", "**PENDING**, payout **READY**"],
  ["request", "`WAITING_DETAILS`", "allocate 1.00", "**PENDING**, payout **CREATED**"],
  ["request", "`PROCESSED`", "PUT, an instrument", WRONG],
  ["request", "`CREATED` (blocked)", "allocate 1.00", WRONG],
];

test("sampled cells are what the rules say", () => {
  for (const [table, row, column, cell] of SAMPLE) {
    assert.equal(MATRIX.get(table)?.get(row)?.get(column), cell, `${table} ${row}, ${column}`);
  }
});

test("every status has a row, and every refusal is a code of the catalogue", () => {
  const statuses = { payout: PAYOUT_STATUSES, invoice: INVOICE_STATUSES, request: DISPATCH_STATUSES };
  for (const [table, known] of Object.entries(statuses)) {
    const rows = [...(MATRIX.get(table)?.keys() ?? [])];
    for (const status of Object.keys(known)) {
      assert.ok(
        rows.some((name) => name.startsWith(`\`${status}\``)),
        `${table} ${status}`,
      );
    }
    for (const cells of MATRIX.get(table)?.values() ?? []) {
      for (const cell of cells.values()) {
        const code = /^`(.*)`$/.exec(cell)?.[1];
        if (code !== undefined) assert.ok(Object.hasOwn(ERRORS, code), code);
      }
    }
  }
});
