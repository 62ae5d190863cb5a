/**
 * `npm run torture -- --kills 50 [--seed 7] [--minutes 10]`: real processes, a real database with fsync on, a client
 * that never stops, and kill -9. Exit code 1 on any finding. The seed decides when and whom the strikes hit; what they
 * meet there is up to the machine.
 */
import { randomInt } from "node:crypto";
import { parseArgs } from "node:util";
import { seedFrom, wholeNumber } from "../support/options.ts";
import { type CampaignReport, Interrupted, runCampaign } from "./campaign.ts";
import { VERDICTS, type Verdict } from "./judgement.ts";

const FINDINGS_SHOWN = 20;

interface Options {
  readonly kills: number;
  readonly seed: number;
  readonly minutes: number | null;
}

function readOptions(): Options {
  const { values } = parseArgs({
    options: { kills: { type: "string" }, seed: { type: "string" }, minutes: { type: "string" } },
  });
  const whole = (name: "kills" | "minutes"): number | null => {
    const text = values[name];
    return text === undefined ? null : wholeNumber(name, text);
  };
  const minutes = whole("minutes");
  // With a time alone, it goes on until the time is over.
  const kills = whole("kills") ?? (minutes === null ? 50 : 1_000_000);
  return { kills, seed: seedFrom(values.seed, () => randomInt(1_000_000)), minutes };
}

function printLog(name: string, counts: ReadonlyMap<string, number>): void {
  if (counts.size === 0) return;
  console.log(`logged as ${name}:\n${[...counts].map(([what, count]) => `  ${count} x ${what}`).join("\n")}`);
}

function print(report: CampaignReport): void {
  const { verdicts } = report;
  const list = (counted: ReadonlyMap<string, number>): string =>
    [...counted].map(([name, count]) => `${name} ${count}`).join(", ");
  const counts = new Map<Verdict, number>();
  for (const { verdict } of verdicts.findings) counts.set(verdict, (counts.get(verdict) ?? 0) + 1);
  console.log(
    `\n${report.kills} kills of Bursar (${report.killsDuringStart} while it started), ${report.sandboxKills} of the ` +
      `provider, ${report.databaseKills} of PostgreSQL (fsync ${verdicts.isDurable ? "on" : "OFF"}), ` +
      `${report.seconds.toFixed(0)} s; longest start ${report.longestStartMs.toFixed(0)} ms`,
  );
  const named = [...report.hits.values()].reduce((sum, count) => sum + count, 0);
  console.log(
    `at named points ${named}: ${list(report.hits)}; at random times ${report.kills - named} (${report.missed} of them because ` +
      `their point did not come)`,
  );
  console.log(`answers to COMMIT cut off ${report.cuts}, sessions ended in a transaction ${report.endedSessions}`);
  console.log(
    `${report.acknowledged} orders acknowledged, ${report.unanswered} requests unanswered and repeated, ` +
      `${verdicts.payouts} payouts, ${verdicts.operations} provider operations, ` +
      `${verdicts.abandonedSends} sends left behind and asked about`,
  );
  console.log(
    `settled ${verdicts.settledSeconds.toFixed(1)} s after the last start: ${list(verdicts.ends)}; ` +
      `bare requests: ${list(verdicts.requests)}; ${verdicts.refunds} refunds asked; in moderation ${verdicts.inModeration}`,
  );
  printLog("errors", report.faults);
  printLog("warnings", report.warnings);
  for (const [name, meaning] of Object.entries(VERDICTS)) {
    console.log(`${String(counts.get(name as Verdict) ?? 0).padStart(5)}  ${name.padEnd(13)}  ${meaning}`);
  }
  for (const { verdict, referenceId, what } of verdicts.findings.slice(0, FINDINGS_SHOWN)) {
    console.log(`\n${verdict}${referenceId === null ? "" : ` (${referenceId})`}: ${what}`);
  }
  for (const history of verdicts.histories) console.log(`\n${history}`);
}

async function main(): Promise<void> {
  const { kills, seed, minutes } = readOptions();
  console.log(`seed ${seed}`);
  const interrupt = new AbortController();
  process.once("SIGINT", () => interrupt.abort());
  process.once("SIGTERM", () => interrupt.abort());
  const report = await runCampaign({
    kills,
    seed,
    limitMs: minutes === null ? null : minutes * 60_000,
    print: (line) => console.log(line),
    signal: interrupt.signal,
  });
  print(report);
  const isClean = report.verdicts.findings.length === 0 && report.faults.size === 0;
  console.log(isClean ? "\nclean" : `\nNOT clean: npm run torture -- --kills ${kills} --seed ${seed}`);
  process.exitCode = isClean ? 0 : 1;
}

try {
  await main();
} catch (error) {
  if (!(error instanceof Interrupted)) throw error;
  process.exitCode = 130;
}
