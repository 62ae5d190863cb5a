/**
 * `npx node bench/audit.ts [--payouts 200000]`: how long an audit takes on a big book. One paid order is made through the
 * engine and multiplied by SQL, in a database of its own that is thrown away. Then everything is audited, nothing new,
 * and a hundredth part as much again. Commits do not wait for the disk here; an audit writes next to nothing.
 */
import { parseArgs } from "node:util";
import { Client } from "pg";
import { type AuditReport, openAuditor } from "../src/store/audit.ts";
import { wholeNumber } from "../test/support/options.ts";
import { openWorld, said, type World } from "../test/support/world.ts";

const BOOK = "org_demo:test";

/** Ids that are made from a number and the row they are copied from. */
const uuid = (salt: string, number: string): string => `md5('${salt}' || ${number})::uuid`;

/** One copy of a table's row per number: `members` are the columns that differ, as SQL over `n`. */
function copy(table: string, where: string, members: Readonly<Record<string, string>>): string {
  const pairs = Object.entries(members).map(([name, sql]) => `'${name}', ${sql}`);
  return `insert into bursar.${table} select r.* from generate_series($1::int, $2::int) n
    cross join (select t.* from bursar.${table} t where ${where}) t
    cross join lateral jsonb_populate_record(t::bursar.${table}, jsonb_build_object(${pairs.join(", ")})) r`;
}

const REQUEST = "'preq_' || md5('request' || n)";

/** The template is the order `one`: an invoice, a request, a payout, their history, commands and entries. */
function multiplication(at: { history: number; entries: number; perHistory: number; perEntries: number }): string[] {
  const subject = `case t.kind when 'invoice' then ${uuid("invoice", "n")}::text
    when 'request' then ${REQUEST} else ${uuid("payout", "n")}::text end`;
  const story = "t.subject in (select key from bursar.one)";
  return [
    copy("invoice", "t.reference_id = 'one'", {
      id: uuid("invoice", "n"),
      reference_id: "'copy-' || n",
      request_id: REQUEST,
    }),
    copy("request", "t.id in (select key from bursar.one)", { id: REQUEST, invoice_id: uuid("invoice", "n") }),
    copy("payout", "t.id::text in (select key from bursar.one)", {
      id: uuid("payout", "n"),
      request_id: REQUEST,
      invoice_id: uuid("invoice", "n"),
      reference: "upper(left(md5('reference' || n), 20))",
    }),
    copy("command", "t.id in (select command_id from bursar.history h join bursar.one on h.subject = key)", {
      id: "md5(t.id::text || n)::uuid",
      message_id: "t.message_id || n",
    }),
    copy("history", story, {
      subject,
      sequence: `${at.history} + (n - $1::int) * ${at.perHistory} + (t.sequence - (select history from bursar.base))`,
      command_id: "md5(t.command_id::text || n)::uuid",
    }),
    copy("entry", story, {
      subject: `case t.subject when (select key from bursar.one where kind = 'payout') then ${uuid("payout", "n")}::text else ${REQUEST} end`,
      sequence: `${at.entries} + (n - $1::int) * ${at.perEntries} + (t.sequence - (select entries from bursar.base))`,
    }),
  ];
}

const TEMPLATE = `
  create table bursar.one as
    select 'invoice' as kind, id::text as key from bursar.invoice where reference_id = 'one'
    union all select 'request', request_id from bursar.invoice where reference_id = 'one'
    union all select 'payout', p.id::text from bursar.payout p join bursar.invoice i on i.request_id = p.request_id
      where i.reference_id = 'one';
  create table bursar.base as select
    (select min(sequence) - 1 from bursar.history where subject in (select key from bursar.one)) as history,
    (select count(*) from bursar.history where subject in (select key from bursar.one)) as per_history,
    (select min(sequence) - 1 from bursar.entry where subject in (select key from bursar.one)) as entries,
    (select count(*) from bursar.entry where subject in (select key from bursar.one)) as per_entries`;

const BALANCES = `update bursar.ledger_account a set balance_minor = s.sum * case
    when a.kind in ('available', 'reserved', 'commission') then -1 else 1 end
  from (select account_id, sum(amount_minor) as sum from bursar.entry group by account_id) s
  where s.account_id = a.id and a.organization_id = '${BOOK}'`;

async function multiply(owner: Client, from: number, to: number): Promise<void> {
  const { rows } = await owner.query<Record<string, string>>(
    `select history_sequence, entry_sequence, per_history, per_entries from bursar.organization_lock, bursar.base
     where organization_id = $1`,
    [BOOK],
  );
  const lock = rows[0] ?? {};
  const [history, entries, perHistory, perEntries] = [
    Number(lock["history_sequence"]),
    Number(lock["entry_sequence"]),
    Number(lock["per_history"]),
    Number(lock["per_entries"]),
  ];
  await owner.query("begin");
  for (const text of multiplication({ history, entries, perHistory, perEntries })) await owner.query(text, [from, to]);
  const count = to - from + 1;
  await owner.query(
    `update bursar.organization_lock set history_sequence = history_sequence + $2 * per_history,
       entry_sequence = entry_sequence + $2 * per_entries, invoice_count = invoice_count + $2,
       request_count = request_count + $2, payout_count = payout_count + $2
     from bursar.base where organization_id = $1`,
    [BOOK, count],
  );
  await owner.query(BALANCES);
  await owner.query("commit");
  await owner.query("vacuum analyze");
}

/** One order that is paid, on a book with nothing else under way. */
async function makeOne(world: World): Promise<void> {
  world.provider.answer = (each) => said(each, "paid");
  const order = { referenceId: "one", websiteId: "web_demo", currency: "USD", amount: 10, service: "test_usd" };
  const made = await world.call("POST", "/payout-invoices", { body: { ...order, fields: { account: "payee" } } });
  const path = `/payout-invoices/${String(made.body["id"])}`;
  await world.until(path, (invoice) => invoice["status"] === "processed");
}

function show(title: string, report: AuditReport | null): void {
  if (report === null) throw new Error("there is no such book");
  console.log(`\n${title}: ${report.scope}, ${report.ms} ms, ${report.breaches} breaches`);
  for (const { check, rows, breaches, ms } of report.checks) {
    console.log(
      `  ${check.padEnd(28)} ${String(rows).padStart(10)} rows ${String(breaches).padStart(6)} ${String(ms).padStart(7)} ms`,
    );
  }
  for (const { check, found } of report.checks) {
    for (const { id, what } of found.slice(0, 3)) console.log(`  ${check} ${id}: ${what}`);
  }
}

const { values } = parseArgs({ options: { payouts: { type: "string", default: "200000" } } });
const payouts = wholeNumber("payouts", values.payouts, 100);
const world = await openWorld();
const owner = new Client(world.database.ownerConfig);
await owner.connect();
try {
  await makeOne(world);
  // What is paid so often was never deposited: a floor that is far down, for the checks of floors to look at.
  await owner.query(`${TEMPLATE}; update bursar.ledger_account set floor_minor = -1e30 where floor_minor is not null`);
  const began = performance.now();
  await multiply(owner, 1, payouts);
  console.log(`${payouts} payouts made by SQL in ${Math.round(performance.now() - began)} ms`);
  const auditor = openAuditor(world.database.appConfig);
  show("everything", await auditor.audit(BOOK, { isFull: true }));
  show("nothing new", await auditor.audit(BOOK, { isFull: false }));
  const more = Math.ceil(payouts / 100);
  await multiply(owner, payouts + 1, payouts + more);
  show(`${more} more payouts`, await auditor.audit(BOOK, { isFull: false }));
} finally {
  await owner.end();
  await world.close();
}
