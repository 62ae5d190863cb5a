/** The generated documents: the tables of the code, as Markdown. Pure; `generate.ts` writes them to docs/generated. */
import { ERRORS } from "../src/core/errors.ts";
import { WALKS } from "../src/core/news/facts.ts";
import { FACTS, type Fact, RESOLUTIONS, type Resolution, resolutionRow } from "../src/core/news/resolution.ts";
import { INVOICE, INVOICE_STATUS_OF } from "../src/core/order/invoice.ts";
import type { Machine, MoveKind } from "../src/core/order/machine.ts";
import { PAYOUT, PAYOUT_MEANING, type PayoutStatus } from "../src/core/order/payout.ts";
import { PUBLIC_STATUSES, REQUEST } from "../src/core/order/request.ts";
import { type AnyTable, type Column, primaryName, sqlName } from "../src/store/describe.ts";
import { privilegesOf, SQL_TYPES } from "../src/store/schema.ts";
import { TABLE_NAMES, tableOf } from "../src/store/tables.ts";
import { code, codes, document, keysOf, table } from "./markdown.ts";
import { renderActs } from "./render-acts.ts";
import { renderCommands } from "./render-commands.ts";

// Machines

function targets<S extends string>(of: Machine<S>, from: S | "new", kind: MoveKind): string {
  return codes(of.moves.filter((move) => move.from === from && move.kind === kind).map((move) => move.to));
}

function statusTable<S extends string>(of: Machine<S>): string {
  const rows = keysOf<S>(of.statuses).map((status) => {
    const { final, doc } = of.statuses[status];
    return [code(status), final ? "yes" : "", doc];
  });
  return table(["status", "final", "meaning"], rows);
}

function moveTable<S extends string>(of: Machine<S>): string {
  const starts: readonly (S | "new")[] = ["new", ...keysOf<S>(of.statuses)];
  const rows = starts
    .map((from) => [from === "new" ? "(new)" : code(from), targets(of, from, "ordinary"), targets(of, from, "late")])
    .filter(([, ordinary, late]) => ordinary !== "" || late !== "");
  return table(["from", "to", "late"], rows);
}

function diagram<S extends string>(of: Machine<S>): string {
  const arrows = of.moves.map(({ from, to, kind }) => {
    const label = kind === "late" ? " : late" : "";
    return `  ${from === "new" ? "[*]" : from} --> ${to}${label}`;
  });
  const ends = keysOf<S>(of.statuses).filter((status) => of.statuses[status].final);
  return ["```mermaid", "stateDiagram-v2", ...arrows, ...ends.map((end) => `  ${end} --> [*]`), "```"].join("\n");
}

function machineSection<S extends string>(title: string, of: Machine<S>, more: readonly string[] = []): string {
  const moves = `### Moves of a ${title.toLowerCase()}`;
  return [`## ${title}`, statusTable(of), moves, moveTable(of), diagram(of), ...more].join("\n\n");
}

function payoutMeanings(): string {
  const rows = keysOf<PayoutStatus>(PAYOUT_MEANING).map((status) => {
    const { class: cls, transactionResult } = PAYOUT_MEANING[status];
    return [code(status), cls.replace("_", " "), transactionResult === null ? "left out" : code(transactionResult)];
  });
  return `### What a payout counts as\n\n${table(["status", "class", "`transactionResult` of the allocation"], rows)}`;
}

function invoiceMap(): string {
  const mapped = Object.entries(INVOICE_STATUS_OF).map(([from, to]) => [code(from), code(to)]);
  const rows = [...mapped, [code("CANCELING"), `${code("refunding")} or ${code("refund_pending")}`]];
  return `### The invoice's status by its request's\n\n${table(["request", "invoice"], rows)}`;
}

function publicStatuses(): string {
  const rows = Object.entries(PUBLIC_STATUSES).map(([status, doc]) => [code(status), doc]);
  const intro = "Never stored: the first row that is true decides.";
  return `### The public status of a request\n\n${intro}\n\n${table(["status", "when"], rows)}`;
}

function renderMachines(): string {
  const intro =
    '"Final" is the last status of the present flow. A late move contradicts an earlier end. What is not in these ' +
    "tables cannot happen: the code asserts it, and so does the database, in the check " +
    `${code("history_move_listed")}.`;
  return document("Status machines", "`src/core/order/{payout,request,invoice}.ts`", [
    intro,
    machineSection("Payout", PAYOUT, [payoutMeanings()]),
    machineSection("Payout request", REQUEST, [publicStatuses()]),
    machineSection("Payout invoice", INVOICE, [invoiceMap()]),
  ]);
}

// Facts

/** The statuses that a fact walks; the ones that a late move leads to say so. */
function walked(status: PayoutStatus, fact: Fact): string {
  let from = status;
  const steps = (WALKS[status][fact] ?? []).map((to) => {
    const isLate = PAYOUT.find(from, to)?.kind === "late";
    from = to;
    return `${code(to)}${isLate ? " (late)" : ""}`;
  });
  return steps.join(" ");
}

function renderFacts(): string {
  const facts = keysOf<Fact>(FACTS);
  const heard = facts.filter((fact) => keysOf(WALKS).some((status) => walked(status, fact) !== ""));
  const silent = facts.filter((fact) => !heard.includes(fact));
  const rows = keysOf<PayoutStatus>(WALKS).map((status) => [
    code(status),
    ...heard.map((fact) => walked(status, fact) || "-"),
  ]);
  const deaf = keysOf<PayoutStatus>(WALKS).filter((status) => heard.every((fact) => walked(status, fact) === ""));
  return document("Facts", "`src/core/news/resolution.ts` and `src/core/news/facts.ts`", [
    "A connector reports facts. One table turns a payout's status and a fact into the statuses that are walked, in " +
      "order, in one transaction and in one row of history.",
    "## The words",
    table(
      ["fact", "meaning"],
      facts.map((fact) => [code(fact), FACTS[fact]]),
    ),
    "## What each fact walks",
    `${codes(silent)} walk nothing from any status; ${codes(deaf)} hear nothing. A dash: the status stays, and what ` +
      "was said is recorded. A return of less than was paid ends in `PARTIALLY_PROCESSED` instead of `CANCELLED`.",
    table(["status", ...heard.map(code)], rows),
  ]);
}

// Resolutions

const THEN = {
  done: "done; beside a failed status, another route",
  inquire: "ask",
  other_route: "another route",
  stop: "stop",
} as const;

function follows(resolution: Resolution): string {
  const { then, shutsAccount, refreshesBalance } = resolutionRow(resolution);
  return [
    THEN[then],
    ...(shutsAccount === true ? ["nothing new to this provider account until a person looks"] : []),
    ...(refreshesBalance === true ? ["the balance there is worth reading again"] : []),
  ].join("; ");
}

function renderResolutions(): string {
  const rows = keysOf<Resolution>(RESOLUTIONS).map((resolution) => {
    const { group, mayHaveMoved, doc } = resolutionRow(resolution);
    const moved = mayHaveMoved === null ? "" : mayHaveMoved ? "yes" : "no";
    return [code(resolution), group, moved, follows(resolution), doc];
  });
  return document("Resolutions", "`src/core/news/resolution.ts`", [
    "A resolution says why a payout is where it is. It belongs to one operation (invoke, process, inquire, revoke, " +
      "cancel), independent of the status.",
    '"May money have moved?" is asked of the answer to the only request that ever left under a reference, given on ' +
      "the same exchange and listed by the connector as a definitive no. In every other case the column reads yes: " +
      "the code is recorded, the status stays, the payout is flagged and asked about.",
    table(["code", "group", "may money have moved?", "what follows", "meaning"], rows),
  ]);
}

// Errors

function renderErrors(): string {
  const rows = Object.entries(ERRORS)
    .toSorted(([, a], [, b]) => a.status - b.status)
    .map(([name, { status, title, advice }]) => [code(name), String(status), title, advice]);
  return document("Errors", "`src/core/errors.ts`", [
    "Every error is a problem document (RFC 9457, `application/problem+json`) with `type`, `title`, `status`, " +
      "`detail`, `instance` and `code`. A 4xx means that this call changed nothing; a 5xx means that its outcome is " +
      "unknown.",
    table(["code", "status", "title", "what to do"], rows),
  ]);
}

// Tables

function columnText(member: string, { type, isNullable }: Column): string {
  // The collation is the same everywhere and said once.
  return `${code(sqlName(member))} ${SQL_TYPES[type].replace(' collate "C"', "")}${isNullable ? ", null" : ""}`;
}

const keyText = (columns: readonly string[]): string => columns.map((name) => code(sqlName(name))).join(", ");

/** Lists of many values are counted, not shown. */
function checkText(sql: string): string {
  return code(sql.replace(/array\[([^\]]{80,})\]/, (_, values: string) => `array[${values.split(",").length} values]`));
}

function traits(of: AnyTable): string {
  const words = [
    of.scope === "tenant" ? "tenant: row-level security by `organization_id`" : "global",
    ...(of.isAppendOnly === true ? ["append-only"] : []),
    ...(of.guard === undefined ? [] : [`updates are guarded by ${code(sqlName(of.guard))}`]),
    `the application may ${privilegesOf(of).join(", ")}`,
    ...(of.frozen === undefined ? [] : [`never changed: ${keyText([...of.primary, ...of.frozen])}`]),
  ];
  return `${words.join("; ")}.`;
}

function constraintRows(of: AnyTable): string[][] {
  const uniques = Object.entries(of.uniques ?? {}).map(([name, { columns, where }]) => {
    const condition = where === undefined ? "" : ` where ${code(where.sql)}`;
    return [code(name), "unique", keyText(columns) + condition];
  });
  const checks = Object.entries(of.checks ?? {}).map(([name, { sql }]) => [code(name), "check", checkText(sql)]);
  const foreigns = Object.entries(of.foreigns ?? {}).map(([name, { columns, table: target }]) => {
    return [code(name), "foreign key", `${keyText(columns)} in ${code(sqlName(target))}`];
  });
  const lookups = Object.entries(of.lookups ?? {}).map(([name, columns]) => [code(name), "look-up", keyText(columns)]);
  return [...uniques, ...checks, ...foreigns, ...lookups];
}

function tableSection(name: (typeof TABLE_NAMES)[number]): string {
  const of = tableOf(name);
  const columns = Object.entries(of.columns).map(([member, column]) => columnText(member, column));
  const primary = [code(primaryName(name)), "primary key", keyText(of.primary)];
  return [
    `## ${sqlName(name)}`,
    traits(of).replace(/^./, (letter) => letter.toUpperCase()),
    columns.join(" · "),
    table(["name", "kind", "what"], [primary, ...constraintRows(of)]),
  ].join("\n\n");
}

function renderTables(): string {
  return document("Tables", "`src/store/tables.ts` and `src/store/tables/`", [
    "Schema `bursar`. Texts are compared byte by byte (collation `C`). Amounts are minor units in `numeric(38,0)`. " +
      "The name of a constraint is the name of what was wrong; a look-up is an index where no key serves already.",
    "Not described here, because nothing reads or writes them by description: `epoch` and `epoch_act` (which database " +
      "this is, whether anything may be sent, and what was done about it), `audit_mark`, `audit_balance` and " +
      "`audit_full` (how far the auditor is, and what it found) and `migration` (what has been applied). Beyond keys " +
      "and checks the database " +
      "itself checks that the entries of one statement sum to zero (`entry_sums_to_zero`) and that a guarded change " +
      "touches the rows that it was decided on (`<table>_version_stale`).",
    ...TABLE_NAMES.map(tableSection),
  ]);
}

/** Every generated document by its name in docs/generated. */
export const DOCUMENTS: Readonly<Record<string, () => string>> = {
  "acts.md": renderActs,
  "commands.md": renderCommands,
  "errors.md": renderErrors,
  "facts.md": renderFacts,
  "machines.md": renderMachines,
  "resolutions.md": renderResolutions,
  "tables.md": renderTables,
};
