/**
 * `npm run bench [-- --invoices 10000 --inflight 256 --runs 1 --webhooks --profile]`: a closed loop, end to end, over
 * real HTTP, with a real database whose commits wait for the disk. Only the public API and the database's own
 * statistics are used. Everything shares one machine: the load generator and the provider take their part of it.
 */
import { parseArgs } from "node:util";
import { wholeNumber } from "../test/support/options.ts";
import { type BenchOptions, type BenchResult, benchOnce } from "./run.ts";

const TARGET_TRANSACTIONS = 0.5;
const TARGET_ROWS = 25;

function readOptions(): BenchOptions & { readonly runs: number } {
  const { values } = parseArgs({
    options: {
      invoices: { type: "string", default: "10000" },
      inflight: { type: "string", default: "256" },
      runs: { type: "string", default: "1" },
      webhooks: { type: "boolean", default: false },
      profile: { type: "boolean", default: false },
    },
  });
  return {
    invoices: wholeNumber("invoices", values.invoices),
    inflight: wholeNumber("inflight", values.inflight),
    runs: wholeNumber("runs", values.runs),
    hasWebhooks: values.webhooks,
    hasProfile: values.profile,
  };
}

/** What is printed of a run: a name, the number, and how it is written. */
const ROWS: readonly (readonly [string, (result: BenchResult) => number, digits: number])[] = [
  ["payouts/s, end to end", (result) => result.payoutsPerSecond, 0],
  ["accept p50, ms", (result) => result.acceptMs.p50, 1],
  ["accept p99, ms", (result) => result.acceptMs.p99, 1],
  ["end to end p50, ms", (result) => result.endMs.p50, 1],
  ["end to end p99, ms", (result) => result.endMs.p99, 1],
  ["rows inserted per payout", (result) => result.rowsInserted, 2],
  ["rows updated per payout", (result) => result.rowsUpdated, 2],
  ["rows deleted per payout", (result) => result.rowsDeleted, 2],
  ["WAL bytes per payout", (result) => result.walBytes, 0],
  ["transactions per payout", (result) => result.transactions, 3],
  ["  of them writing", (result) => result.writeTransactions, 3],
  ["CPU us per payout, Bursar", (result) => result.cpu.bursar, 0],
  ["CPU us per payout, PostgreSQL", (result) => result.cpu.postgres, 0],
  ["CPU us per payout, provider", (result) => result.cpu.sandbox, 0],
  ["CPU us per payout, load", (result) => result.cpu.load, 0],
];

function median(numbers: readonly number[]): number {
  const sorted = numbers.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? upper) + upper) / 2;
}

function print(results: readonly BenchResult[], invoices: number): void {
  const heads = results.length === 1 ? ["run"] : [...results.map((_, at) => `run ${at + 1}`), "median"];
  console.log(`\n${"".padEnd(32)}${heads.map((head) => head.padStart(10)).join("")}`);
  for (const [name, of, digits] of ROWS) {
    const numbers = results.map(of);
    const all = results.length === 1 ? numbers : [...numbers, median(numbers)];
    console.log(name.padEnd(32) + all.map((number) => number.toFixed(digits).padStart(10)).join(""));
  }
  const [first] = results;
  if (first === undefined) return;
  console.log("\nper payout, first run: table, inserted, updated (without index), deleted");
  for (const { name, inserted, updated, hot, deleted } of first.tables) {
    if (inserted + updated + deleted < invoices / 1_000) continue;
    const cells = [inserted, updated, hot, deleted].map((rows) => (rows / invoices).toFixed(3).padStart(9));
    console.log(`  ${name.padEnd(20)}${cells[0]}${cells[1]} (${cells[2]?.trim()})${cells[3]}`);
  }
  const profile = results.at(-1)?.profile ?? null;
  if (profile === null) return;
  console.log(`\nBursar's busy time by function, its own:\n${profile.functions.join("\n")}`);
  console.log(`\nby file, with the natives that it calls:\n${profile.files.join("\n")}`);
}

function judge(results: readonly BenchResult[], hasWebhooks: boolean): boolean {
  const transactions = median(results.map((result) => result.transactions));
  const rows = median(results.map((result) => result.rowsInserted));
  const isLean = transactions < TARGET_TRANSACTIONS;
  const isSmall = hasWebhooks || rows <= TARGET_ROWS;
  console.log(`\ntransactions per payout < ${TARGET_TRANSACTIONS}: ${isLean ? "yes" : "NO"}`);
  if (!hasWebhooks) console.log(`rows per payout <= ${TARGET_ROWS}: ${isSmall ? "yes" : "NO"}`);
  return isLean && isSmall;
}

async function main(): Promise<void> {
  const { runs, ...options } = readOptions();
  const { invoices, inflight, hasWebhooks } = options;
  console.log(
    `${invoices} invoices, ${inflight} in flight, ${hasWebhooks ? "with" : "without"} webhooks, ${runs} runs`,
  );
  const results: BenchResult[] = [];
  for (let run = 1; run <= runs; run += 1) {
    const result = await benchOnce(options);
    results.push(result);
    console.log(`run ${run}: ${result.payoutsPerSecond.toFixed(0)} payouts/s`);
  }
  print(results, invoices);
  process.exitCode = judge(results, hasWebhooks) ? 0 : 1;
}

await main();
