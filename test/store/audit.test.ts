// Method: a book filled through the engine, with a mark in its middle; for every check the owner of the database, with
// all constraints out of the way, does what no code of ours can do, on a copy of the book. The audit must find it.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { Client, type ClientConfig } from "pg";
import { type AccountKind, balanceAfter, type LedgerAccount } from "../../src/core/ledger.ts";
import { countedMinor, PAYOUT_STATUSES, type Payout } from "../../src/core/payout.ts";
import { approveFunds, createFunds } from "../../src/engine/commands/funds.ts";
import { AUDIT_CHECKS, type AuditReport, openAuditor } from "../../src/store/audit.ts";
import { COUNTED, CREDIT_KINDS } from "../../src/store/audit-scope.ts";
import { openWorld, said, type World } from "../support/world.ts";

let world: World;
let copies = 0;
/** The book in a database without constraints: the owner of a database can do what no code of ours can. */
let unguarded: string;

const order = (referenceId: string, more: object = {}) =>
  world.call("POST", "/payout-invoices", {
    body: {
      referenceId,
      websiteId: "web_demo",
      currency: "USD",
      amount: 10,
      service: "test_usd",
      fields: { account: `payee-${referenceId}` },
      ...more,
    },
  });

const DECLINED = { status: 422, headers: {}, body: JSON.stringify({ error: "declined" }) };

async function withOwner<T>(config: ClientConfig, work: (client: Client) => Promise<T>): Promise<T> {
  const client = new Client(config);
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

async function ordered(referenceId: string, status: string, more: object = {}): Promise<void> {
  const { body, text } = await order(referenceId, more);
  const { id } = body as { id?: string };
  assert.ok(id !== undefined, text);
  await world.until(`/payout-invoices/${id}`, (invoice) => invoice["status"] === status);
}

/** The second account pays what the first one refuses. */
async function fundBackup(): Promise<void> {
  const funds = { websiteId: "web_demo", currency: "USD", amount: "1000", depositAccountId: "dep_backup_usd" };
  const actor = { actor: "test" };
  const made = await world.engine.run(world.book, createFunds, { kind: "deposit", order: funds, problems: [] }, actor);
  assert.ok(made.ok);
  const { id, version } = made.value;
  const approved = await world.engine.run(world.book, approveFunds, { kind: "deposit", id, version }, actor);
  assert.ok(approved.ok);
}

/** Orders of every kind of standing; `prefix` tells those before the mark from those after it. */
async function fill(prefix: string): Promise<void> {
  world.provider.answer = (each) => said(each, "paid");
  await ordered(`${prefix}-paid`, "processed");
  world.provider.answer = (each) => said(each, "queued");
  await ordered(`${prefix}-queued`, "process_pending");
  let sends = 0;
  world.provider.answer = (each) => {
    sends += 1;
    return sends === 1 ? { kind: "answer", result: DECLINED } : said(each, "paid");
  };
  await ordered(`${prefix}-second`, "processed");
  await ordered(`${prefix}-waiting`, "created", { autoprocess: false });
  await world.call("PUT", `/payout-requests/${prefix}-bare`, {
    body: { websiteId: "web_demo", customerId: "cus_demo", currency: "USD", amount: 25 },
  });
}

before(async () => {
  world = await openWorld();
  await fundBackup();
  await fill("old");
  const marked = await openAuditor(world.database.appConfig).audit(world.book, { isFull: true });
  assert.deepEqual(breachesOf(marked), []);
  await fill("new");
  assert.deepEqual(world.broken, []);
  // The book stays when the world ends, to be copied: a copy needs a database that nobody uses.
  const { close } = world.database;
  world.database.close = () => Promise.resolve();
  await world.close();
  world.database.close = close;
  const { name, ownerConfig } = world.database;
  unguarded = `${name}_unguarded`;
  const admin = { ...ownerConfig, database: "postgres" };
  await withOwner(admin, (client) => client.query(`create database ${unguarded} template ${name}`));
  await withOwner({ ...ownerConfig, database: unguarded }, (client) => client.query(UNGUARD));
});
after(() => world.database.close());

const breachesOf = (report: AuditReport | null): string[] =>
  (report?.checks ?? []).flatMap(({ check, found }) => found.map(({ id, what }) => `${check} ${id}: ${what}`));

interface Copy {
  readonly auditor: ReturnType<typeof openAuditor>;
  owner<T>(work: (client: Client) => Promise<T>): Promise<T>;
}

async function onCopy<T>(work: (copy: Copy) => Promise<T>, template = world.database.name): Promise<T> {
  const { name, ownerConfig, appConfig } = world.database;
  const copy = `${name}_${(copies += 1)}`;
  const admin = { ...ownerConfig, database: "postgres" };
  await withOwner(admin, (client) => client.query(`create database ${copy} template ${template}`));
  try {
    return await work({
      auditor: openAuditor({ ...appConfig, database: copy }),
      owner: (inside) => withOwner({ ...ownerConfig, database: copy }, inside),
    });
  } finally {
    await withOwner(admin, (client) => client.query(`drop database ${copy} with (force)`));
  }
}

/** Everything that keeps a row as it must be, except that it is stored. */
const UNGUARD = `alter table bursar.entry disable trigger all; do $$ declare c record; begin
  for c in select conrelid::regclass as rel, conname from pg_constraint
    where connamespace = 'bursar'::regnamespace and contype in ('c', 'f', 'u', 'p')
    order by case contype when 'f' then 0 else 1 end
  loop execute format('alter table %s drop constraint %I', c.rel, c.conname); end loop;
end $$`;

const INVOICE = "(select id from bursar.invoice where reference_id = 'new-paid')";
const REQUEST = "(select request_id from bursar.invoice where reference_id = 'new-paid')";
const payoutOf = (name: string, attempt = 1): string =>
  `(select p.id from bursar.payout p join bursar.invoice i on i.request_id = p.request_id
    where i.reference_id = '${name}' and p.attempt = ${attempt})`;
const PAID = payoutOf("new-paid");
const QUEUED = payoutOf("new-queued");
const QUEUED_REQUEST = "(select request_id from bursar.invoice where reference_id = 'new-queued')";

interface Case {
  readonly check: string;
  readonly title: string;
  readonly sql: string;
  /** Where what came after the mark does not show it. */
  readonly fullOnly?: true;
}

const CASES: readonly Case[] = [
  {
    check: "journal_sums_to_zero",
    title: "a line of a journal is changed",
    sql: `update bursar.entry set amount_minor = amount_minor + 1 where subject = ${PAID}::text and cause = 'sent' and line = 0`,
  },
  {
    check: "trial_balance_is_zero",
    title: "a balance is changed",
    sql: "update bursar.ledger_account set balance_minor = balance_minor + 7 where kind = 'commission'",
  },
  {
    check: "balance_is_sum_of_entries",
    title: "two balances are changed so that they still add up",
    sql: `update bursar.ledger_account set balance_minor = balance_minor + 7
      where id in ('available:web_demo:USD', 'deposit:dep_demo_usd:USD')`,
  },
  {
    check: "balance_within_floor",
    title: "an account is below its floor",
    sql: "update bursar.ledger_account set floor_minor = balance_minor + 1 where id = 'available:web_demo:USD'",
  },
  {
    check: "entry_has_account",
    title: "entries name another currency than their account",
    sql: `update bursar.entry set currency = 'EUR' where subject = ${PAID}::text`,
  },
  {
    check: "entry_has_account",
    title: "an account is gone",
    sql: "delete from bursar.ledger_account where kind = 'commission'",
    fullOnly: true,
  },
  {
    check: "hold_fits_request",
    title: "a hold is open although its request has settled",
    sql: `update bursar.invoice set released_minor = released_minor - 1, posted_minor = posted_minor - 1 where id = ${INVOICE}`,
  },
  {
    check: "hold_fits_request",
    title: "a hold is used up twice",
    sql: `update bursar.invoice set posted_minor = held_minor, released_minor = held_minor where id = ${INVOICE}`,
  },
  {
    check: "hold_fits_request",
    title: "a hold is closed while its payout is open",
    sql: "update bursar.invoice set released_minor = held_minor where reference_id = 'new-queued'",
  },
  {
    check: "hold_fits_request",
    title: "less was posted as held than the invoice says",
    sql: "update bursar.invoice set held_minor = held_minor + 5 where reference_id = 'new-queued'",
  },
  {
    check: "reserved_is_open_holds",
    title: "the reserved balance is not that of the open holds",
    sql: "update bursar.ledger_account set balance_minor = balance_minor + 1 where kind = 'reserved'",
    fullOnly: true,
  },
  {
    check: "in_flight_is_open",
    title: "money of a payout that is paid is still in flight",
    sql: `update bursar.entry set account_id = 'deposit:dep_demo_usd:USD'
      where subject = ${PAID}::text and account_id like 'in_flight:%' and amount_minor < 0`,
  },
  {
    check: "entries_without_gap",
    title: "an entry is gone",
    sql: "delete from bursar.entry where sequence = (select max(sequence) - 1 from bursar.entry)",
  },
  {
    check: "entries_without_gap",
    title: "an entry has the number of another one",
    sql: "update bursar.entry set sequence = sequence - 1 where sequence = (select max(sequence) from bursar.entry)",
  },
  {
    check: "request_adds_up",
    title: "a request says more is available than there is",
    sql: `update bursar.request set available_minor = 1 where id = ${REQUEST}`,
  },
  {
    check: "request_adds_up",
    title: "a payout was paid more than its request knows",
    sql: `update bursar.payout set processed_minor = processed_minor + 1 where id = ${PAID}`,
  },
  {
    check: "open_part_is_open_payout",
    title: "the row of an open part is gone",
    sql: `delete from bursar.open_part where payout_id = ${QUEUED}`,
  },
  {
    check: "open_part_is_open_payout",
    title: "a part of a payout that has ended is said to be open",
    sql: `insert into bursar.open_part select organization_id, request_id, part, id from bursar.payout where id = ${PAID}`,
  },
  {
    check: "open_part_is_open_payout",
    title: "two payouts of a part are open",
    sql: `update bursar.payout set status = 'PENDING', evidence = null where id = ${payoutOf("new-second")};
      update bursar.payout set status = 'PENDING', processed_minor = 0 where id = ${payoutOf("new-second", 2)}`,
  },
  {
    check: "next_attempt_is_proven",
    title: "an attempt follows one without evidence",
    sql: `update bursar.payout set evidence = null where id = ${payoutOf("new-second")}`,
  },
  {
    check: "next_attempt_is_proven",
    title: "an attempt follows one that is open",
    sql: `update bursar.payout set evidence = null, status = 'PROCESSING' where id = ${payoutOf("new-second")}`,
  },
  {
    check: "send_is_recorded",
    title: "a payout was sent without a hash of its request",
    sql: `update bursar.payout set request_hash = null where id = ${QUEUED}`,
  },
  {
    check: "send_is_recorded",
    title: "a payout was sent and not posted as sent",
    sql: `update bursar.entry set cause = 'something' where subject = ${QUEUED}::text and cause = 'sent'`,
  },
  {
    check: "send_is_recorded",
    title: "a payout without a reference",
    sql: `update bursar.payout set reference = '' where id = ${QUEUED}`,
  },
  {
    check: "send_is_recorded",
    title: "a payout is open that was never sent",
    sql: `update bursar.payout set first_send_time = null, sends = 0 where id = ${QUEUED}`,
  },
  {
    check: "end_has_evidence",
    title: "a payout is paid on the word of nobody",
    sql: `update bursar.command set verified = null where id in (select command_id from bursar.history where subject = ${PAID}::text)`,
  },
  {
    check: "end_has_evidence",
    title: "a sent payout has ended unpaid without evidence",
    sql: `update bursar.payout set evidence = null where id = ${payoutOf("new-second")}`,
  },
  {
    check: "reference_is_one_payout",
    title: "a reference names two payouts",
    sql: `update bursar.payout set reference = (select reference from bursar.payout where id = ${payoutOf("old-paid")}) where id = ${PAID}`,
  },
  {
    check: "everything_goes_on",
    title: "an open payout has no wake-up",
    sql: `delete from bursar.work where subject = ${QUEUED}::text`,
  },
  {
    check: "everything_goes_on",
    title: "a request that waits has no wake-up",
    sql: "delete from bursar.work where subject = 'new-bare'",
  },
  {
    check: "everything_goes_on",
    title: "an invoice that waits has no wake-up",
    sql: "delete from bursar.work where subject = (select id::text from bursar.invoice where reference_id = 'new-waiting')",
  },
  {
    check: "what_is_told_is_true",
    title: "an order is said to have failed while its payout is open",
    sql: `update bursar.request set dispatch_status = 'FAILED' where id = ${QUEUED_REQUEST}`,
  },
  {
    check: "what_is_told_is_true",
    title: "an invoice does not say what its request says",
    sql: `update bursar.invoice set status = 'process_failed' where id = ${INVOICE}`,
  },
  {
    check: "rows_belong_together",
    title: "a payout of another organization",
    sql: `update bursar.request set organization_id = 'org_demo' where id = ${QUEUED_REQUEST}`,
  },
  {
    check: "rows_belong_together",
    title: "a payout in another currency than its request",
    sql: `update bursar.payout set currency = 'EUR' where id = ${PAID}`,
  },
  {
    check: "history_without_gap",
    title: "a change is not in history any more",
    sql: "delete from bursar.history where sequence = (select max(sequence) - 1 from bursar.history)",
  },
  {
    check: "history_without_gap",
    title: "the last change is not in history any more",
    sql: "delete from bursar.history where sequence = (select max(sequence) from bursar.history)",
  },
  {
    check: "history_moves_connect",
    title: "a version is missing",
    sql: `delete from bursar.history where subject = ${PAID}::text and version_to = 1`,
  },
  {
    check: "history_moves_connect",
    title: "moves do not follow each other",
    sql: `update bursar.history set moves = array['payout.new>CREATED', 'payout.INVOKING>PROCESSED']
      where subject = ${PAID}::text and version_to = 1`,
  },
  {
    check: "history_moves_connect",
    title: "a status was reached without a move",
    sql: `update bursar.history set moves = '{}' where subject = ${PAID}::text and version_to = 2`,
  },
  {
    check: "history_tells_status",
    title: "a status was changed and history does not know",
    sql: `update bursar.payout set status = 'PROCESSING' where id = ${QUEUED}`,
  },
  {
    check: "history_tells_status",
    title: "a version was written twice",
    sql: `update bursar.payout set version = version - 1 where id = ${PAID}`,
  },
  {
    check: "history_tells_status",
    title: "an order of which history tells is gone",
    sql: "delete from bursar.invoice where reference_id = 'new-waiting'",
  },
  {
    check: "history_has_cause",
    title: "what caused a change is gone",
    sql: `delete from bursar.command where id in (select command_id from bursar.history where subject = ${PAID}::text)`,
  },
  {
    check: "counters_count",
    title: "a counter of the lock row is off",
    sql: "update bursar.organization_lock set payout_count = payout_count + 1 where organization_id = 'org_demo:test'",
  },
];

describe("the audit", () => {
  test("finds nothing in a clean book, and looks at what is new or under way", async () => {
    await onCopy(async ({ auditor }) => {
      const incremental = await auditor.audit(world.book, { isFull: false });
      const full = await auditor.audit(world.book, { isFull: true });
      assert.deepEqual([...breachesOf(incremental), ...breachesOf(full)], []);
      assert.equal(incremental?.scope, "incremental");
      assert.equal(full?.scope, "full");
      const rowsOf = (report: AuditReport | null, name: string) =>
        report?.checks.find(({ check }) => check === name)?.rows;
      assert.equal(rowsOf(full, "next_attempt_is_proven"), 8);
      // The three new orders with four payouts, and the old one that is still open.
      assert.equal(rowsOf(incremental, "next_attempt_is_proven"), 5);
      const again = await auditor.audit(world.book, { isFull: false });
      assert.equal(rowsOf(again, "journal_sums_to_zero"), 0, "the mark has moved on");
      assert.equal(rowsOf(again, "next_attempt_is_proven"), 2, "what is open is looked at each time");
    });
  });

  for (const { check, title, sql, fullOnly } of CASES) {
    test(`${check}: ${title}`, async () => {
      await onCopy(async ({ auditor, owner }) => {
        await owner(async (client) => {
          const changed = await client.query(sql);
          const counts = [changed].flat().map((each) => each.rowCount ?? 0);
          assert.ok(
            counts.every((count) => count > 0),
            "the corruption changes something",
          );
        });
        const scopes = fullOnly === true ? [true] : [false, true];
        const reports = await Promise.all(scopes.map((isFull) => auditor.audit(world.book, { isFull })));
        for (const [at, isFull] of scopes.entries()) {
          const report = reports[at] ?? null;
          const found = report?.checks.find((each) => each.check === check);
          assert.ok((found?.breaches ?? 0) > 0, `${isFull ? "full" : "incremental"}: ${breachesOf(report).join("; ")}`);
          assert.equal(report?.scope, isFull ? "full" : "incremental", "a breach keeps the mark where it is");
          assert.ok(found?.found.every(({ id, what }) => id !== "" && what !== ""));
        }
      }, unguarded);
    });
  }

  test("has a corruption for every check", () => {
    const seeded = new Set(CASES.map(({ check }) => check));
    assert.deepEqual(
      AUDIT_CHECKS.map(({ name }) => name).filter((name) => !seeded.has(name)),
      [],
    );
  });

  test("begins at the beginning when its mark is ahead of the book", async () => {
    await onCopy(async ({ auditor, owner }) => {
      await owner((client) => client.query("update bursar.audit_mark set history_sequence = history_sequence + 1000"));
      assert.equal((await auditor.audit(world.book, { isFull: false }))?.scope, "full");
    });
  });

  test("names a hundred breaches and counts all; an organization that is not there is null", async () => {
    await onCopy(async ({ auditor, owner }) => {
      await owner(async (client) => {
        await client.query(
          `insert into bursar.open_part
          select $1, 'nothing', n, gen_random_uuid() from generate_series(1, 250) n`,
          [world.book],
        );
      });
      const report = await auditor.audit(world.book, { isFull: false });
      const found = report?.checks.find(({ check }) => check === "open_part_is_open_payout");
      assert.equal(found?.breaches, 250);
      assert.equal(found?.found.length, 100);
      assert.equal(await auditor.audit("org_none", { isFull: false }), null);
      assert.ok((await auditor.organizations()).includes(world.book));
    });
  });

  test("sees one organization: what another one has is not there", async () => {
    await onCopy(async ({ auditor, owner }) => {
      await owner((client) =>
        client.query(`insert into bursar.organization values ('org_two', 'Two', '\\x00', now());
        insert into bursar.organization_lock values ('org_two', 1, 0, 0, 0, 1, 0, 0, 0, 'shut', '{EUR}')`),
      );
      const report = await auditor.audit("org_two", { isFull: true });
      assert.deepEqual(breachesOf(report), []);
      assert.ok(report?.checks.every(({ check, rows }) => rows === 0 || check === "counters_count"));
      const gates = report?.shutGates.map(({ scope, id }) => `${scope} ${id}`);
      assert.deepEqual(gates, ["currency EUR", "organization org_two"]);
    });
  });
});

describe("the audit says the same as the domain", () => {
  test("what a payout counts with, in every status", async () => {
    const sample = { amountMinor: 1_000n, processedMinor: 700n, returnedMinor: 50n };
    const statuses = Object.keys(PAYOUT_STATUSES) as (keyof typeof PAYOUT_STATUSES)[];
    const { rows } = await withOwner(world.database.ownerConfig, (client) =>
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
    const { rows } = await withOwner(world.database.ownerConfig, (client) =>
      client.query<{ kind: AccountKind }>("select distinct kind from bursar.ledger_account order by kind"),
    );
    const kinds = new Set([...rows.map(({ kind }) => kind), ...CREDIT_KINDS, "incident_suspense", "bank"] as const);
    const isCredit = (kind: AccountKind) => balanceAfter({ kind, balanceMinor: 0n } as LedgerAccount, 1n) < 0n;
    assert.ok(kinds.size > 6);
    for (const kind of kinds) assert.equal((CREDIT_KINDS as readonly string[]).includes(kind), isCredit(kind), kind);
  });
});
