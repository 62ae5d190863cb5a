/**
 * `npm run coverage:domain [-- words of a case's name]`: every status, every move and every resolution of the domain,
 * each reached through the API against the running sandbox provider. The table of counts comes last. Exit code 1 when
 * a case fails, something is missing, or the books are off. With words, only the cases whose names have them are played
 * and nothing is asked of the counts.
 */
import { openGateway } from "../support/gateway.ts";
import { CASES, playAll } from "./run.ts";
import { tableOf } from "./tally.ts";

const words = process.argv.slice(2).join(" ");
const cases = CASES.filter(({ name }) => name.includes(words));
const began = performance.now();
const gateway = await openGateway();
try {
  const { played, tally, isBalanced, differences } = await playAll(gateway, cases);
  const faults = played.filter(({ fault }) => fault !== null);
  for (const { name, fault, seconds } of played) {
    console.log(`${fault === null ? "ok    " : "FAILED"} ${seconds.toFixed(1).padStart(5)} s  ${name}`);
    if (fault !== null) console.log(`       ${fault}`);
  }
  const reports = [...gateway.broken.map((each) => `broken: ${each}`), ...differences];
  for (const report of reports) console.log(report);
  if (!isBalanced) console.log("the trial balance is off");
  const isWhole = words !== "" || tally.counts.every(({ missing }) => missing.length === 0);
  const isGood = faults.length + reports.length + tally.foreign.length === 0 && isBalanced && isWhole;
  process.exitCode = isGood ? 0 : 1;
  const seconds = (performance.now() - began) / 1_000;
  console.log(`\n${played.length} cases, ${faults.length} failed, ${seconds.toFixed(0)} s\n\n${tableOf(tally)}`);
} finally {
  await gateway.close();
}
