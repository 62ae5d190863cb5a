/** `bursar recover`: what a restore, a failover or a copy has left open, and the gate of the system. */
import type { Command } from "commander";
import { EpochDesk, MARGIN_MS } from "../store/epoch.ts";
import { onOperatorDatabase } from "./operator-database.ts";

interface Options {
  readonly open?: boolean;
  readonly shut?: boolean;
  readonly force?: boolean;
  readonly reason?: string;
  readonly person?: string;
  readonly lostUntil?: string;
  readonly margin?: string;
}

const SHOWN = 20;
const MINUTE_MS = 60_000;

/** Adds the command to the program. */
export function addRecover(program: Command): void {
  program
    .command("recover")
    .description("show what must be inquired after a restore, a failover or a copy, and open or shut the system's gate")
    .option("--open", "open the gate, once everything was inquired")
    .option("--shut", "shut the gate: nothing new is sent by anybody")
    .option("--reason <text>", "why, for the record")
    .option("--person <name>", "who, for the record")
    .option("--force", "open it although something was not inquired; needs --person")
    .option("--lost-until <time>", "when the old database acted last, as ISO 8601 with a zone")
    .option("--margin <minutes>", "how long before the restore point changes are inquired about", "60")
    .action(recover);
}

/** What is wrong with the options; null when nothing is. */
export function faultOf(options: Options): string | null {
  if (options.open && options.shut) return "Either --open or --shut.";
  if ((options.open || options.shut) && !options.reason) return "Say why: --reason <text>.";
  if (options.force && !options.open) return "--force belongs to --open.";
  if (options.force && !options.person) return "Who forces the gate open must be named: --person <name>.";
  if (!/^\d{1,6}$/.test(options.margin ?? "60")) return "--margin takes whole minutes.";
  const { lostUntil } = options;
  if (lostUntil === undefined) return null;
  const isTime = /^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)$/.test(lostUntil);
  return isTime && !Number.isNaN(Date.parse(lostUntil)) ? null : "--lost-until takes a time like 2026-05-01T10:00:00Z.";
}

async function recover(options: Options): Promise<void> {
  const fault = faultOf(options);
  if (fault !== null) {
    console.error(fault);
    process.exitCode = 1;
    return;
  }
  await onOperatorDatabase(async ({ database }) => {
    const desk = await EpochDesk.open(database.owner);
    try {
      return await act(desk, options);
    } finally {
      await desk.close();
    }
  });
}

/** Does what was asked and shows how it stands then; the refusal, if it was refused. */
async function act(desk: EpochDesk, options: Options): Promise<string | null> {
  const person = options.person ?? null;
  let refusal: string | null = null;
  if (options.lostUntil !== undefined) {
    const set = await desk.setLostUntil(new Date(options.lostUntil), person);
    if (!set.ok) refusal = set.error;
  }
  await desk.list(options.margin === undefined ? MARGIN_MS : Number(options.margin) * MINUTE_MS);
  if (refusal === null && options.reason !== undefined) {
    const why = { reason: options.reason, person };
    if (options.open) {
      const opened = await desk.openGate({ ...why, force: options.force === true });
      if (!opened.ok) refusal = opened.error;
    } else if (options.shut) {
      const shut = await desk.shutGate(why);
      if (!shut.ok) refusal = shut.error;
    }
  }
  console.log((await describe(desk)).join("\n"));
  return refusal;
}

/** What `bursar recover` shows: the epoch, what was done about it, and how far the inquiries are, line by line. */
export async function describe(desk: EpochDesk): Promise<readonly string[]> {
  const epoch = await desk.epoch();
  const gate = epoch.isOpen ? "open" : `shut: ${epoch.shutReason ?? "by an administrator"}`;
  const lines = [
    `Epoch ${epoch.number}, began ${epoch.beganTime}. The gate of the system is ${gate}.`,
    `This database: system identifier ${epoch.systemIdentifier}, timeline ${epoch.timeline}.`,
  ];
  for (const { time, act: what, person, reason, details } of await desk.acts(epoch.number)) {
    const by = person === null ? "" : ` by ${person}`;
    lines.push(`  ${time} ${what}${by}${reason === null ? "" : ` (${reason})`} ${JSON.stringify(details)}`);
  }
  if (!epoch.isRecovering) return lines;
  const progress = await desk.progress(epoch.number);
  lines.push(
    `Last commit known: ${epoch.restorePoint ?? "none"}. Lost window: ${epoch.lostFrom ?? "?"} to ${epoch.lostUntil}.`,
    `Payouts to be inquired: ${progress.listed}; inquired ${progress.inquired}, in moderation ` +
      `${progress.inModeration}, to do ${progress.toDo}.`,
  );
  for (const each of await desk.waiting(epoch.number, SHOWN)) {
    const { organizationId, payoutId, providerAccountId, reference, status, tries } = each;
    lines.push(
      `  ${organizationId} ${payoutId} ${status} at ${providerAccountId} as ${reference}` +
        (tries === 0 ? ", not asked yet" : `, asked ${tries} times without an answer that counts`),
    );
  }
  if (progress.toDo > SHOWN) lines.push(`  and ${progress.toDo - SHOWN} more`);
  return lines;
}
