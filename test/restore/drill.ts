/**
 * The restore drill: a Bursar that takes orders is struck down and its database brought back from a backup that is
 * older than its last acknowledgements, while the provider remembers everything. The provider's book is the judge.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { Dice } from "../torture/dice.ts";
import { clear, Gateway, newPlace, type Place, postmasterPid, signal } from "../torture/processes.ts";
import { openRecords } from "../torture/records.ts";
import { ownerOf, restoreBackup, takeBackup } from "./backup.ts";
import { Merchant } from "./merchant.ts";

const CLI = fileURLToPath(new URL("../../src/cli/main.ts", import.meta.url));

/** What one point in time came to. */
export interface PointReport {
  readonly ordered: number;
  readonly acknowledged: number;
  /** Acknowledged and not in the restored database. */
  readonly lostWindow: number;
  readonly listed: number;
  /** Held back because the provider knew them already. */
  readonly foundBeforeSend: number;
  readonly paidTwice: number;
  /** Never paid. */
  readonly lost: number;
  readonly stuck: number;
  /** Everything that must not be, for a person to read. */
  readonly findings: readonly string[];
  /** Whether an opening of the gate before all was inquired was tried, and refused. */
  readonly wasRefused: boolean;
  readonly seconds: number;
}

export interface Operation {
  readonly destination: string;
  readonly reference: string;
  readonly effective: number;
}

const ORDER_LIMIT_MS = 30_000;
const OPEN_LIMIT_MS = 90_000;
const SETTLE_LIMIT_MS = 90_000;
const POLL_MS = 500;
const FINAL = new Set(["processed", "process_failed", "expired", "terminated"]);

/** What the restored database has forgotten. */
interface Forgotten {
  /** Acknowledged orders that it does not know. */
  readonly acknowledged: number;
  /** Those of them that the provider has paid: none of them may be sent again. */
  readonly atProvider: number;
}

/** Everything that the provider has booked. */
async function bookOf(place: Place): Promise<readonly Operation[]> {
  return (await (await fetch(`${place.sandboxUrl}/book`)).json()) as readonly Operation[];
}

/** Whom the provider has paid. An order that was refused and never paid is unknown to an inquiry, and may be sent. */
async function paidAccounts(place: Place): Promise<ReadonlySet<string>> {
  const book = await bookOf(place);
  return new Set(book.filter(({ effective }) => effective > 0).map(({ destination }) => destination));
}

/** Runs `bursar recover` as an operator does. */
export async function recover(
  place: Pick<Place, "dataDir">,
  args: readonly string[],
): Promise<{ code: number; text: string }> {
  const child = spawn(process.execPath, [CLI, "recover", ...args], {
    env: { PATH: process.env["PATH"] ?? "", BURSAR_DATA_DIR: place.dataDir },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let text = "";
  child.stdout.on("data", (chunk: Buffer) => (text += chunk.toString("utf8")));
  child.stderr.on("data", (chunk: Buffer) => (text += chunk.toString("utf8")));
  const [code] = (await once(child, "close")) as [number | null];
  return { code: code ?? 1, text };
}

/** Starts Bursar and waits until it answers. */
export async function startGateway(place: Place): Promise<Gateway> {
  const gateway = new Gateway(place);
  if (!(await gateway.ready)) throw new Error(`Bursar did not start:\n${gateway.output}`);
  return gateway;
}

/** Ends Bursar and its PostgreSQL at once. The provider lives on. */
export async function strike(place: Place, gateway: Gateway): Promise<void> {
  gateway.kill("SIGKILL");
  await gateway.ended;
  signal(postmasterPid(place), "SIGQUIT");
  while (postmasterPid(place) !== null) await sleep(20);
}

/** One point: orders, a backup, more orders, the end, the restore, the recovery, the judgement. */
export async function drillPoint(seed: number, print: (line: string) => void): Promise<PointReport> {
  const began = performance.now();
  const dice = new Dice(seed);
  const place = await newPlace("restore");
  let gateway = await startGateway(place);
  try {
    const merchant = new Merchant(place, new Dice(seed + 1));
    await sleep(500 + dice.below(2_000));
    await untilPaid(place, merchant, 0);
    const backup = await takeBackup(place);
    const { length: before } = merchant.orders;
    await sleep(500 + dice.below(2_500));
    await untilPaid(place, merchant, before);
    await strike(place, gateway);
    await merchant.stop();
    await restoreBackup(place, backup);
    gateway = await startGateway(place);
    const point = await recoverPoint(place, merchant, print);
    const { code } = await gateway.stop();
    const faults = gateway.faults.filter(({ level, what }) => level >= 50 && !what.startsWith("another database"));
    const findings = [
      ...point.findings,
      ...faults.map(({ what }) => `logged as an error: ${what}`),
      ...(code === 0 ? [] : [`it stopped with code ${code}`]),
    ];
    return { ...point, findings, seconds: (performance.now() - began) / 1_000 };
  } finally {
    gateway.kill("SIGKILL");
    await gateway.ended;
    await clear(place);
  }
}

/** On a slow machine the first orders take their time: an end that nothing was acknowledged or paid before shows nothing. */
export async function untilPaid(place: Place, merchant: Merchant, after: number): Promise<void> {
  for (const deadline = Date.now() + ORDER_LIMIT_MS; Date.now() < deadline; await sleep(20)) {
    const paid = await paidAccounts(place);
    if (merchant.orders.slice(after).some((each) => each.invoiceId !== null && paid.has(each.account))) return;
  }
}

type Recovered = Omit<PointReport, "seconds">;
type Verdict = Omit<Recovered, "wasRefused">;

/** From the start of the restored database to the end of every order. */
async function recoverPoint(place: Place, merchant: Merchant, print: (line: string) => void): Promise<Recovered> {
  const early = await recover(place, ["--open", "--reason", "too early"]);
  print(early.text.trimEnd());
  const forgotten = await countForgotten(place, merchant);
  const { length: before } = await bookOf(place);
  const ids = await merchant.repeatAll();
  const wasRefused = early.code === 1;
  const findings = wasRefused ? await openLater(place, before, print) : judgeEarly(early);
  const stuck = await untilEnded(merchant, ids);
  return { ...(await judge(place, merchant, { findings, forgotten, stuck, ids })), wasRefused };
}

/** On a slow machine everything may have been asked about when the gate is opened early: then it is open, and rightly. */
function judgeEarly({ code, text }: { code: number; text: string }): string[] {
  const isAllAsked = code === 0 && /, to do 0\./.test(text);
  return isAllAsked ? [] : [`the gate opened before all was inquired:\n${text}`];
}

/** The gate stays shut until all is inquired, and nothing reaches the provider before it opens. */
async function openLater(place: Place, before: number, print: (line: string) => void): Promise<string[]> {
  const { booked, text, isOpen } = await untilOpened(place);
  print(text.trimEnd());
  return [
    ...(isOpen ? [] : ["the gate could not be opened"]),
    ...(booked > before ? [`${booked - before} orders reached the provider while the gate was shut`] : []),
  ];
}

async function countForgotten(place: Place, merchant: Merchant): Promise<Forgotten> {
  const booked = await paidAccounts(place);
  let acknowledged = 0;
  let atProvider = 0;
  for (const { invoiceId, account } of merchant.acknowledged) {
    const { status } = await merchant.call("GET", `/payout-invoices/${invoiceId}`);
    if (status !== 404) continue;
    acknowledged += 1;
    if (booked.has(account)) atProvider += 1;
  }
  return { acknowledged, atProvider };
}

/** Tries to open the gate until it opens. `booked`: what the provider had just before. */
async function untilOpened(place: Place): Promise<{ booked: number; text: string; isOpen: boolean }> {
  const deadline = Date.now() + OPEN_LIMIT_MS;
  for (;;) {
    const { length: booked } = await bookOf(place);
    const { code, text } = await recover(place, ["--open", "--reason", "drill"]);
    if (code === 0 || Date.now() > deadline) return { booked, text, isOpen: code === 0 };
    await sleep(POLL_MS);
  }
}

interface Invoice {
  readonly status: string;
  readonly moderationRequired: boolean;
}

/** Waits until every order is final or in moderation; those that are not when the time is over. */
async function untilEnded(merchant: Merchant, ids: ReadonlyMap<string, string>): Promise<readonly string[]> {
  const deadline = Date.now() + SETTLE_LIMIT_MS;
  const going = new Map(ids);
  for (;;) {
    const stuck: string[] = [];
    for (const [referenceId, id] of going) {
      const { body } = await merchant.call("GET", `/payout-invoices/${id}`);
      const { status, moderationRequired } = body as Invoice;
      // A flag that an inquiry will clear is no end: it is looked at once more at the very end.
      if (FINAL.has(status)) going.delete(referenceId);
      else if (!moderationRequired) stuck.push(`${referenceId} is ${status}`);
    }
    if (stuck.length === 0 || Date.now() > deadline) return stuck;
    await sleep(POLL_MS);
  }
}

interface Judged {
  readonly findings: readonly string[];
  readonly forgotten: Forgotten;
  readonly stuck: readonly string[];
  readonly ids: ReadonlyMap<string, string>;
}

async function judge(place: Place, merchant: Merchant, of: Judged): Promise<Verdict> {
  const orders = await judgeOrders(place, merchant, of.ids);
  const { acknowledged: lostWindow, atProvider } = of.forgotten;
  const { listed, foundBeforeSend } = await countInquired(place);
  const findings = [...of.findings, ...of.stuck, ...orders.findings];
  if (foundBeforeSend < atProvider) {
    findings.push(`the provider had paid ${atProvider} forgotten orders, and ${foundBeforeSend} were held back`);
  }
  const trial = (await merchant.call("GET", "/accounts/trial-balance")).body as { balanced: boolean };
  if (!trial.balanced) findings.push("the ledger does not balance");
  const { length: ordered } = merchant.orders;
  const { length: acknowledged } = merchant.acknowledged;
  const stuck = of.stuck.length;
  return { ordered, acknowledged, lostWindow, listed, foundBeforeSend, stuck, ...orders, findings };
}

/** Each order against the provider's book. */
async function judgeOrders(
  place: Place,
  merchant: Merchant,
  ids: ReadonlyMap<string, string>,
): Promise<Pick<Recovered, "paidTwice" | "lost" | "findings">> {
  const findings: string[] = [];
  const book = Map.groupBy(await bookOf(place), (operation) => operation.destination);
  const records = await openRecords(place);
  let [paidTwice, lost] = [0, 0];
  for (const { account, referenceId } of merchant.orders) {
    const operations = book.get(account) ?? [];
    const effective = operations.reduce((sum, operation) => sum + operation.effective, 0);
    if (effective === 1) continue;
    if (effective > 1) paidTwice += 1;
    else lost += 1;
    const history = `${await records.historyOf(referenceId)}\n${await checksOf(place, ids.get(referenceId) ?? "")}`;
    findings.push(`${referenceId} was paid ${effective} times: ${JSON.stringify(operations)}\n${history}`);
  }
  await records.close();
  return { paidTwice, lost, findings };
}

/** What was asked about an order before it was sent, for a person to read. */
async function checksOf(place: Place, invoiceId: string): Promise<string> {
  const client = await ownerOf(place);
  try {
    const { rows } = await client.query<{ row: unknown }>(
      `select to_jsonb(c) - 'organization_id' as row from bursar.recovery_check c
       join bursar.payout p on p.organization_id = c.organization_id and p.id = c.payout_id
       where p.invoice_id::text = $1 order by c.asked_time`,
      [invoiceId],
    );
    return rows.map(({ row }) => `  ${JSON.stringify(row)}`).join("\n");
  } finally {
    await client.end();
  }
}

async function countInquired(place: Place): Promise<Pick<Recovered, "listed" | "foundBeforeSend">> {
  const client = await ownerOf(place);
  try {
    const found = await client.query<{ count: number }>(
      "select count(distinct subject)::int4 as count from bursar.moderation_item where reason = 'not_sent_by_us'",
    );
    const listed = await client.query<{ count: number }>(
      "select coalesce(max((details->>'payouts')::int4), 0) as count from bursar.epoch_act where act = 'listed'",
    );
    return { listed: listed.rows[0]?.count ?? 0, foundBeforeSend: found.rows[0]?.count ?? 0 };
  } finally {
    await client.end();
  }
}
