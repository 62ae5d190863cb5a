/**
 * Runs the tests tier by tier: `npm test` all of them, `npm test -- core http` only those.
 *
 * Prints each tier's time against its budget, every skipped test with its reason, and at the end the totals, alone on
 * a line. Exit code 1 if a test failed, a tier or a file ran no test, or a test file belongs to no tier.
 */
import { spawn } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import type { ReportLine } from "./test-reporter.ts";

interface Tier {
  readonly name: string;
  /** Folders under test/; "" is test/ itself. */
  readonly folders: readonly string[];
  readonly budgetSeconds: number;
  /** Whether its tests ask for a PostgreSQL of their own. */
  readonly database: boolean;
}

/**
 * The budgets hold on two cores. Together they are twenty minutes; an idle machine needs less than half of that. A tier
 * over its budget says so and does not fail: that the machine was busy is no defect.
 */
const TIERS: readonly Tier[] = [
  { name: "tidy", folders: [""], budgetSeconds: 20, database: false },
  { name: "core", folders: ["core"], budgetSeconds: 40, database: false },
  { name: "store", folders: ["store"], budgetSeconds: 160, database: true },
  { name: "connectors", folders: ["connectors", "sandbox"], budgetSeconds: 60, database: false },
  { name: "engine", folders: ["engine"], budgetSeconds: 40, database: true },
  { name: "http", folders: ["http", "cli"], budgetSeconds: 200, database: true },
  { name: "coverage", folders: ["coverage"], budgetSeconds: 90, database: true },
  { name: "simulation", folders: ["simulation"], budgetSeconds: 150, database: false },
  { name: "torture", folders: ["torture"], budgetSeconds: 260, database: false },
  { name: "races", folders: ["races"], budgetSeconds: 90, database: true },
  { name: "restore", folders: ["restore"], budgetSeconds: 100, database: false },
];

/** Of budgets: after so many a test is taken to hang and fails, and after one more its tier is interrupted. */
const PATIENCE = 2;

const ROOT = fileURLToPath(new URL("../", import.meta.url));
const REPORTER = join(ROOT, "scripts/test-reporter.ts");

interface Outcome {
  readonly tier: Tier;
  readonly seconds: number;
  readonly passed: number;
  readonly failures: readonly string[];
  readonly skipped: readonly string[];
}

const folderOf = (path: string): string => (path.includes("/") ? path.slice(0, path.indexOf("/")) : "");

/** Test files by folder, as paths relative to the root. */
function findTestFiles(): ReadonlyMap<string, readonly string[]> {
  const paths = readdirSync(join(ROOT, "test"), { recursive: true, encoding: "utf8" });
  const tests = paths.map((path) => path.replaceAll("\\", "/")).filter((path) => path.endsWith(".test.ts"));
  return Map.groupBy(tests.sort(), folderOf);
}

/** Runs node. After the limit it is interrupted, upon which the test runner ends its files, reports and cleans up. */
function run(args: readonly string[], limitSeconds: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, args, { cwd: ROOT, stdio: "inherit" });
    const timers = [
      setTimeout(() => {
        console.error(`Not done after ${limitSeconds} s: interrupting it`);
        child.kill("SIGINT");
      }, limitSeconds * 1000),
      setTimeout(() => child.kill("SIGKILL"), (limitSeconds + 30) * 1000),
    ];
    const stop = (): void => timers.forEach(clearTimeout);
    child.once("error", (error) => {
      stop();
      reject(error);
    });
    child.once("close", (code) => {
      stop();
      resolve(code ?? 1);
    });
  });
}

function readReport(path: string): readonly ReportLine[] {
  const lines = readFileSync(path, "utf8").split("\n");
  return lines.filter((line) => line !== "").map((line) => JSON.parse(line) as ReportLine);
}

/** What a tier's report says. A runner that died before its totals, or failed beside them, is a failure too. */
function judge(tier: Tier, seconds: number, report: readonly ReportLine[], exitCode: number): Outcome {
  const failures: string[] = [];
  const skipped: string[] = [];
  let passed = 0;
  let counted = 0;
  for (const line of report) {
    if (line.type === "totals") {
      passed += line.passed;
      counted += line.failed;
      continue;
    }
    const place = relative(ROOT, line.file);
    if (line.type === "skipped") skipped.push(`${place}: ${line.name} (${line.reason})`);
    else if (line.type === "failed") failures.push(`${place}: ${line.name}`);
    else {
      // The runner counts a file without tests as one that passed.
      failures.push(`${place}: no test ran`);
      passed -= 1;
    }
  }
  while (failures.length < counted) failures.push(`${tier.name}: a test that the runner does not name`);
  if (passed + failures.length === 0) failures.push(`${tier.name}: no test ran`);
  if (exitCode !== 0 && failures.length === 0) failures.push(`${tier.name}: the runner ended with code ${exitCode}`);
  return { tier, seconds, passed, failures, skipped };
}

async function runTier(tier: Tier, files: readonly string[], scratch: string): Promise<Outcome> {
  console.log(`\n== ${tier.name}: ${files.length} files, budget ${tier.budgetSeconds} s ==`);
  if (files.length === 0) return judge(tier, 0, [], 0);
  const report = join(scratch, `${tier.name}.ndjson`);
  const began = performance.now();
  const args = [
    "--test",
    "--test-concurrency=2",
    `--test-timeout=${PATIENCE * tier.budgetSeconds * 1000}`,
    ...(tier.database ? ["--test-global-setup=test/support/database.ts"] : []),
    "--test-reporter=spec",
    "--test-reporter-destination=stdout",
    `--test-reporter=${REPORTER}`,
    `--test-reporter-destination=${report}`,
    ...files.map((file) => `test/${file}`),
  ];
  const exitCode = await run(args, (PATIENCE + 1) * tier.budgetSeconds);
  return judge(tier, (performance.now() - began) / 1000, readReport(report), exitCode);
}

function chooseTiers(names: readonly string[]): readonly Tier[] {
  const unknown = names.filter((name) => !TIERS.some((tier) => tier.name === name));
  if (unknown.length > 0) {
    console.error(`No such tier: ${unknown.join(", ")}. There are: ${TIERS.map((tier) => tier.name).join(", ")}`);
    process.exit(2);
  }
  return names.length === 0 ? TIERS : TIERS.filter((tier) => names.includes(tier.name));
}

function row(cells: readonly (string | number)[]): string {
  return cells.map((cell, index) => (index === 0 ? String(cell).padEnd(12) : String(cell).padStart(9))).join("");
}

function printSummary(outcomes: readonly Outcome[], strays: readonly string[]): boolean {
  const failures = [...strays, ...outcomes.flatMap((outcome) => outcome.failures)];
  const skipped = outcomes.flatMap((outcome) => outcome.skipped);
  const passed = outcomes.reduce((sum, outcome) => sum + outcome.passed, 0);
  const budget = outcomes.reduce((sum, { tier }) => sum + tier.budgetSeconds, 0);
  const seconds = outcomes.reduce((sum, outcome) => sum + outcome.seconds, 0);
  console.log(`\n${row(["tier", "passed", "failed", "skipped", "time", "budget"])}`);
  for (const outcome of outcomes) {
    const { tier } = outcome;
    const late = outcome.seconds > tier.budgetSeconds ? "  over budget" : "";
    const counts = [outcome.passed, outcome.failures.length, outcome.skipped.length];
    console.log(row([tier.name, ...counts, `${outcome.seconds.toFixed(1)} s`, `${tier.budgetSeconds} s`]) + late);
  }
  console.log(row(["all", passed, failures.length, skipped.length, `${seconds.toFixed(1)} s`, `${budget} s`]));
  if (skipped.length > 0) console.log(`\nSkipped:\n${skipped.map((line) => `  ${line}`).join("\n")}`);
  if (failures.length > 0) console.log(`\nFailed:\n${failures.map((line) => `  ${line}`).join("\n")}`);
  console.log(`\n${passed} passed, ${failures.length} failed, ${skipped.length} skipped`);
  return failures.length === 0;
}

async function main(): Promise<void> {
  const tiers = chooseTiers(process.argv.slice(2));
  const files = findTestFiles();
  const known = new Set(TIERS.flatMap((tier) => tier.folders));
  const strays = [...files.keys()].filter((folder) => !known.has(folder));
  const scratch = mkdtempSync(join(tmpdir(), "bursar-test-"));
  // Ctrl-C reaches the runner as well; it stops its database, then this process ends.
  let interrupted = false;
  process.on("SIGINT", () => {
    interrupted = true;
  });
  const outcomes: Outcome[] = [];
  try {
    for (const tier of tiers) {
      const own = tier.folders.flatMap((folder) => files.get(folder) ?? []);
      outcomes.push(await runTier(tier, own, scratch));
      if (interrupted) break;
    }
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
  const isGood = printSummary(
    outcomes,
    strays.map((folder) => `test/${folder}: belongs to no tier (add it to the table in scripts/test.ts)`),
  );
  process.exitCode = isGood && !interrupted ? 0 : 1;
}

await main();
