// Method: a book filled through the engine, with a mark in its middle; for every check the owner of the database, with
// all constraints out of the way, does what no code of ours can do, on a copy of the book. The audit must find it.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { type AccountKind, balanceAfter, type LedgerAccount } from "../../src/core/money/ledger.ts";
import { countedMinor, PAYOUT_STATUSES, type Payout } from "../../src/core/order/payout.ts";
import { COUNTED, CREDIT_KINDS } from "../../src/store/audit/scope.ts";
import { AUDIT_CHECKS, type Auditor, type AuditReport } from "../../src/store/audit.ts";
import { type AuditedBook, breachesOf, openAuditedBook, withOwner } from "../support/audited-book.ts";
import { CASES, CATALOGUE_CASES } from "./audit-cases.ts";

let book: AuditedBook;

before(async () => {
  book = await openAuditedBook();
});
after(() => book.database.close());

describe("the audit", () => {
  test("finds nothing in a clean book, and looks at what is new or under way", async () => {
    await book.onCopy(async ({ auditor }) => {
      const incremental = await auditor.audit(book.id, { isFull: false });
      const full = await auditor.audit(book.id, { isFull: true });
      assert.deepEqual([...breachesOf(incremental), ...breachesOf(full)], []);
      assert.equal(incremental?.scope, "incremental");
      assert.equal(full?.scope, "full");
      const rowsOf = (report: AuditReport | null, name: string) =>
        report?.checks.find(({ check }) => check === name)?.rows;
      assert.equal(rowsOf(full, "next_attempt_is_proven"), 8);
      // The three new orders with four payouts, and the old one that is still open.
      assert.equal(rowsOf(incremental, "next_attempt_is_proven"), 5);
      const again = await auditor.audit(book.id, { isFull: false });
      assert.equal(rowsOf(again, "journal_sums_to_zero"), 0, "the mark has moved on");
      assert.equal(rowsOf(again, "next_attempt_is_proven"), 2, "what is open is looked at each time");
    });
  });

  for (const { check, title, sql, fullOnly, isAlone } of CASES) {
    test(`${check}: ${title}`, async () => {
      await book.onUnguardedCopy(async ({ auditor, owner }) => {
        await owner(async (client) => {
          const changed = await client.query(sql);
          const counts = [changed].flat().map((each) => each.rowCount ?? 0);
          assert.ok(
            counts.every((count) => count > 0),
            "the corruption changes something",
          );
        });
        const scopes = fullOnly === true ? [true] : [false, true];
        const reports = await Promise.all(scopes.map((isFull) => auditor.audit(book.id, { isFull })));
        for (const [at, isFull] of scopes.entries()) {
          const report = reports[at] ?? null;
          const found = report?.checks.find((each) => each.check === check);
          assert.ok((found?.breaches ?? 0) > 0, `${isFull ? "full" : "incremental"}: ${breachesOf(report).join("; ")}`);
          assert.equal(report?.scope, isFull ? "full" : "incremental", "a breach keeps the mark where it is");
          assert.ok(found?.found.every(({ id, what }) => id !== "" && what !== ""));
          if (isAlone === true) {
            const others = breachesOf(report).filter((breach) => !breach.startsWith(`${check} `));
            assert.deepEqual(others, [], "no other check finds it");
          }
        }
      });
    });
  }

  for (const { check, title, sql, id } of CATALOGUE_CASES) {
    test(`${check}: ${title}`, async () => {
      await book.onCopy(async ({ auditor, owner }) => {
        await owner((client) => client.query(sql));
        for (const isFull of [false, true]) {
          const report = await auditor.audit(book.id, { isFull });
          const found = report?.checks.flatMap((each) => each.found.map((breach) => `${each.check} ${breach.id}`));
          assert.deepEqual(found, [`${check} ${id}`]);
        }
      });
    });
  }

  test("has a corruption for every check", () => {
    const seeded = new Set([...CASES, ...CATALOGUE_CASES].map(({ check }) => check));
    assert.deepEqual(
      AUDIT_CHECKS.map(({ name }) => name).filter((name) => !seeded.has(name)),
      [],
    );
  });

  test("begins at the beginning when its mark is ahead of the book", async () => {
    await book.onCopy(async ({ auditor, owner }) => {
      await owner((client) => client.query("update bursar.audit_mark set history_sequence = history_sequence + 1000"));
      assert.equal((await auditor.audit(book.id, { isFull: false }))?.scope, "full");
    });
  });

  test("names a hundred breaches and counts all; an organization that is not there is null", async () => {
    await book.onCopy(async ({ auditor, owner }) => {
      await owner(async (client) => {
        await client.query(
          `insert into bursar.open_part
          select $1, 'nothing', n, gen_random_uuid() from generate_series(1, 250) n`,
          [book.id],
        );
      });
      const report = await auditor.audit(book.id, { isFull: false });
      const found = report?.checks.find(({ check }) => check === "open_part_is_open_payout");
      assert.equal(found?.breaches, 250);
      assert.equal(found?.found.length, 100);
      assert.equal(await auditor.audit("org_none", { isFull: false }), null);
      assert.ok((await auditor.books()).some(({ organizationId }) => organizationId === book.id));
    });
  });

  test("sees one organization: what another one has is not there", async () => {
    await book.onCopy(async ({ auditor, owner }) => {
      await owner((client) =>
        client.query(`insert into bursar.organization values ('org_two', 'Two', '\\x00', now());
        insert into bursar.organization_lock values ('org_two', 1, 0, 0, 0, 1, 0, 0, 0, 'shut', '{EUR}')`),
      );
      const report = await auditor.audit("org_two", { isFull: true });
      assert.deepEqual(breachesOf(report), []);
      const ofTheSystem = AUDIT_CHECKS.filter(({ of }) => ["counter_row", "book_row", "table_row"].includes(of));
      const looked = report?.checks.filter(({ rows }) => rows > 0).map(({ check }) => check);
      assert.deepEqual(
        looked,
        ofTheSystem.map(({ name }) => name),
      );
    });
  });
});

describe("the last full audit", () => {
  const bookOf = async (auditor: Auditor) =>
    (await auditor.books()).find(({ organizationId }) => organizationId === book.id);
  /** Seen by nobody who does not look at old orders. */
  const spoil = (by: number) =>
    `update bursar.request set overpaid_minor = overpaid_minor + ${by}
     where id = (select request_id from bursar.invoice where reference_id = 'old-paid')`;

  test("is known to whoever asks next; what it found stands until a full one finds nothing", async () => {
    await book.onCopy(async ({ auditor, owner }) => {
      const first = await bookOf(auditor);
      assert.ok(first !== undefined && first.lastFull !== null && first.lastFull.isClean);
      assert.ok(first.lastFull.time < first.now && first.lastFull.time > first.now - 600_000);
      await auditor.audit(book.id, { isFull: false });
      assert.equal((await bookOf(auditor))?.lastFull?.time, first.lastFull.time, "an incremental one is not full");

      await owner((client) => client.query(spoil(1)));
      const full = await auditor.audit(book.id, { isFull: true });
      assert.deepEqual([full?.breaches, full?.unrepaired], [1, []]);
      assert.equal((await bookOf(auditor))?.lastFull?.isClean, false);
      for (const _ of [1, 2]) {
        const next = await auditor.audit(book.id, { isFull: false });
        assert.deepEqual([next?.scope, next?.breaches], ["incremental", 0], "what is new is in order");
        assert.deepEqual(next?.unrepaired, [{ check: "request_adds_up", breaches: 1 }]);
      }
      await owner((client) => client.query(spoil(-1)));
      assert.equal((await auditor.audit(book.id, { isFull: true }))?.breaches, 0);
      assert.deepEqual((await auditor.audit(book.id, { isFull: false }))?.unrepaired, []);
      const last = (await bookOf(auditor))?.lastFull;
      assert.ok(last?.isClean === true && last.time > first.lastFull.time);
    });
  });

  test("is none for a book that never had one", async () => {
    await book.onCopy(async ({ auditor, owner }) => {
      await owner((client) => client.query("delete from bursar.audit_full"));
      assert.equal((await bookOf(auditor))?.lastFull, null);
    });
  });
});

describe("the audit says the same as the domain", () => {
  test("what a payout counts with, in every status", async () => {
    const sample = { amountMinor: 1_000n, processedMinor: 700n, returnedMinor: 50n };
    const statuses = Object.keys(PAYOUT_STATUSES) as (keyof typeof PAYOUT_STATUSES)[];
    const { rows } = await withOwner(book.database.ownerConfig, (client) =>
      client.query<{ counted: string }>(
        `select ${COUNTED} as counted from (select status, 1000 as amount_minor, 700 as processed_minor, 50 as returned_minor
         from unnest($1::text[]) with ordinality as s(status, at) order by at) p`,
        [statuses],
      ),
    );
    const expected = statuses.map((status) => countedMinor({ ...sample, status } as Payout));
    assert.deepEqual(
      rows.map(({ counted }) => BigInt(counted)),
      expected,
    );
  });

  test("on which side an account's balance stands", async () => {
    const { rows } = await withOwner(book.database.ownerConfig, (client) =>
      client.query<{ kind: AccountKind }>("select distinct kind from bursar.ledger_account order by kind"),
    );
    const kinds = new Set([...rows.map(({ kind }) => kind), ...CREDIT_KINDS, "incident_suspense", "bank"] as const);
    const isCredit = (kind: AccountKind) => balanceAfter({ kind, balanceMinor: 0n } as LedgerAccount, 1n) < 0n;
    assert.ok(kinds.size > 6);
    for (const kind of kinds) assert.equal((CREDIT_KINDS as readonly string[]).includes(kind), isCredit(kind), kind);
  });
});
