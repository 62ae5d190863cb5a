/** Reads that need no database to be wrong: what several selects see of something that moves between them. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Parameter, Reader } from "../../src/store/reader.ts";
import { openReads } from "../../src/store/reads.ts";

const ID = "01a1fc17-2c8e-7f74-9f0b-d9fde451605a";

/** A reader on an invoice that is one version on with each of the first `moves` reads of its payouts. */
function moving(moves: number): { reader: Reader; selects: string[] } {
  let version = 1;
  const selects: string[] = [];
  const rows = async (table: string, _organizationId: string | null, _what: { values?: readonly Parameter[] }) => {
    selects.push(table);
    if (table === "invoice") return [{ id: ID, requestId: "r", version }];
    if (table !== "payout") return [];
    if (version <= moves) version += 1;
    return [{ id: "p", requestId: "r", version }];
  };
  const reader = { rows, query: async () => [], close: async () => {} } as unknown as Reader;
  return { reader, selects };
}

test("an invoice and its payouts are shown as they stood together", async () => {
  for (const moves of [0, 1, 2, 3]) {
    const { reader } = moving(moves);
    const found = await openReads(reader).invoice("org", ID);
    assert.equal(found?.invoice.version, moves + 1);
    assert.deepEqual(
      found?.payouts.map((payout) => payout.version),
      [moves + 1],
    );
  }
});

test("one that never rests is shown all the same", async () => {
  const { reader, selects } = moving(1_000);
  assert.ok((await openReads(reader).invoice("org", ID)) !== null);
  assert.equal(selects.filter((table) => table === "payout").length, 4);
});
