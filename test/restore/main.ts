/**
 * `npm run restore-drill -- --points 20 [--seed 7]`: real processes, a real backup of the real database at a random
 * point while money moves, and a provider that forgets nothing. Exit code 1 on any finding.
 */
import { randomInt } from "node:crypto";
import { parseArgs } from "node:util";
import { seedFrom, wholeNumber } from "../support/options.ts";
import { drillPoint, type PointReport } from "./drill.ts";

function readOptions(): { readonly points: number; readonly seed: number; readonly isTalkative: boolean } {
  const { values } = parseArgs({
    options: { points: { type: "string", default: "20" }, seed: { type: "string" }, verbose: { type: "boolean" } },
  });
  return {
    points: wholeNumber("points", values.points),
    seed: seedFrom(values.seed, () => randomInt(1_000_000)),
    isTalkative: values.verbose === true,
  };
}

const sum = (reports: readonly PointReport[], of: (report: PointReport) => number): number =>
  reports.reduce((total, report) => total + of(report), 0);

const { points, seed, isTalkative } = readOptions();
console.log(`seed ${seed}`);
const reports: PointReport[] = [];
for (let point = 0; point < points; point += 1) {
  const report = await drillPoint(seed + point * 1_000, (text) => isTalkative && console.log(text));
  reports.push(report);
  console.log(
    `point ${point + 1}: ${report.acknowledged} acknowledged, ${report.lostWindow} in the lost window, ` +
      `${report.listed} inquired before the gate opened, ${report.foundBeforeSend} found by pre-send inquiry, ` +
      `paid twice ${report.paidTwice}, lost ${report.lost}, stuck ${report.stuck}, ${report.seconds.toFixed(1)} s`,
  );
  for (const finding of report.findings) console.log(`  ${finding}`);
}
console.log(
  `\n${points} points, ${sum(reports, (each) => each.ordered)} orders, ` +
    `${sum(reports, (each) => each.acknowledged)} acknowledged, ` +
    `${sum(reports, (each) => each.lostWindow)} in the lost window, ` +
    `${sum(reports, (each) => each.foundBeforeSend)} found by pre-send inquiry, ` +
    `${sum(reports, (each) => Number(each.wasRefused))} openings refused before all was inquired`,
);
console.log(
  `paid twice ${sum(reports, (each) => each.paidTwice)}, lost ${sum(reports, (each) => each.lost)}, stuck ${sum(reports, (each) => each.stuck)}`,
);
// A drill in which nothing was lost and nothing was refused has shown nothing.
const isTried = sum(reports, (each) => each.foundBeforeSend) > 0 && reports.some(({ wasRefused }) => wasRefused);
if (!isTried) console.log("no order was found by a pre-send inquiry, or no opening of the gate was refused");
const isClean = isTried && reports.every(({ findings }) => findings.length === 0);
console.log(isClean ? "clean" : `NOT clean: npm run restore-drill -- --points ${points} --seed ${seed}`);
process.exitCode = isClean ? 0 : 1;
