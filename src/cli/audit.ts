/** `bursar audit`: checks the books and says what it found. */
import { readConfig } from "../config.ts";
import { type Auditor, type AuditReport, BREACHES_MAX, openAuditor } from "../store/audit.ts";
import { openOperatorDatabase } from "./operator-database.ts";

export interface AuditOptions {
  readonly full?: boolean;
  readonly json?: boolean;
  readonly organization?: string;
}

const BREACHED = 1;
const NOT_RUN = 2;

/** Sets the exit code: 0 no breach, 1 breaches, 2 it could not run. */
export async function audit(options: AuditOptions): Promise<void> {
  try {
    process.exitCode = await run(options);
  } catch (error) {
    console.error(`The audit could not run: ${error instanceof Error ? error.message : String(error)}`);
    process.exitCode = NOT_RUN;
  }
}

async function run(options: AuditOptions): Promise<number> {
  const config = readConfig();
  if (!config.ok) return refuse(`The audit cannot run with these settings:\n  ${config.error.join("\n  ")}`);
  const database = await openOperatorDatabase(config.value);
  if (!database.ok) return refuse(database.error);
  try {
    return await report(openAuditor(database.value.login), options);
  } finally {
    await database.value.close();
  }
}

function refuse(text: string): number {
  console.error(text);
  return NOT_RUN;
}

async function report(auditor: Auditor, options: AuditOptions): Promise<number> {
  const { organization, full, json } = options;
  const reports: AuditReport[] = [];
  const every =
    organization === undefined ? (await auditor.books()).map((book) => book.organizationId) : [organization];
  for (const id of every) {
    const found = await auditor.audit(id, { isFull: full === true });
    if (found === null) return refuse(`There is no organization ${id}.`);
    reports.push(found);
    if (json !== true) console.log(textOf(found));
  }
  const breaches = reports.reduce((sum, each) => sum + each.breaches, 0);
  const isRepaired = reports.every(({ unrepaired }) => unrepaired.length === 0);
  if (json === true) console.log(JSON.stringify({ breaches, organizations: reports }));
  else if (breaches > 0) console.log(`${breaches} breaches.`);
  else console.log(isRepaired ? "No breach." : "No breach in what is new. What the last full audit found stands.");
  return breaches === 0 && isRepaired ? 0 : BREACHED;
}

/** A table of checks, then a line per breach. */
function textOf({ organizationId, scope, checks, unrepaired, ms }: AuditReport): string {
  const width = Math.max(...checks.map(({ check }) => check.length));
  const rows = checks.map(
    ({ check, rows: count, breaches, ms: took }) =>
      `  ${check.padEnd(width)} ${String(count).padStart(12)} ${String(breaches).padStart(9)} ${String(took).padStart(8)}`,
  );
  const breaches = checks.flatMap(({ check, breaches: count, found }) => [
    ...found.map(({ id, what }) => `${check} ${id}: ${what}`),
    ...(count > found.length ? [`${check}: ${count - found.length} more, the first ${BREACHES_MAX} are named`] : []),
  ]);
  return [
    `${organizationId}, ${scope}, ${ms} ms`,
    `  ${"check".padEnd(width)} ${"rows".padStart(12)} ${"breaches".padStart(9)} ${"ms".padStart(8)}`,
    ...rows,
    ...breaches,
    ...unrepaired.map(({ check, breaches: count }) => `${check}: ${count} found by the last full audit`),
  ].join("\n");
}
