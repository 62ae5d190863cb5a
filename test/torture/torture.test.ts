// Method: a small campaign of real processes and kill -9, with the workload and the verdicts of the large one
// (`npm run torture`); the provider and PostgreSQL are struck a little more often. The seed is in a failure's message.
import assert from "node:assert/strict";
import { randomInt } from "node:crypto";
import { test } from "node:test";
import { runCampaign } from "./campaign.ts";

const KILLS = 50;

test("killed fifty times: nothing acknowledged is lost, nothing is paid twice, everything ends", async (t) => {
  const seed = randomInt(1_000_000);
  const print = (line: string): void => t.diagnostic(line);
  const report = await runCampaign({
    kills: KILLS,
    limitMs: null,
    seed,
    sandboxEvery: 10,
    databaseEvery: 10,
    print,
    signal: t.signal,
  });
  const { findings, histories, isDurable } = report.verdicts;
  assert.deepEqual(findings, [], `seed ${seed}\n${histories.join("\n")}`);
  assert.deepEqual([...report.faults], [], `seed ${seed}`);
  assert.equal(isDurable, true);
  assert.equal(report.kills, KILLS);
  assert.ok(report.sandboxKills > 0, `seed ${seed}: the provider was never killed`);
  assert.ok(report.databaseKills > 0, `seed ${seed}: PostgreSQL was never killed`);
  assert.ok(report.acknowledged > 0);
});
