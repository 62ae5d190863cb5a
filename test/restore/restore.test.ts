// Method: a small drill of real processes with the verdicts of the large one (`npm run restore-drill`): the database is
// brought back from a backup older than its last acknowledgements, the provider forgets nothing. And a copy of a data
// directory beside a provider that records what it is asked. The seed is in the name of a failure.
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { randomInt } from "node:crypto";
import { once } from "node:events";
import { createServer, type Server } from "node:http";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { Dice } from "../torture/dice.ts";
import { clear, newPlace, type Place, postmasterPid, sandboxPid, signal } from "../torture/processes.ts";
import { cloneDataDir } from "./backup.ts";
import { drillPoint, recover, startGateway, strike, untilPaid } from "./drill.ts";
import { Merchant } from "./merchant.ts";

const PATIENCE_MS = 60_000;
const CLI = fileURLToPath(new URL("../../src/cli/main.ts", import.meta.url));

for (const point of [1, 2]) {
  test(`restored at a random point (${point}): every acknowledged order is paid exactly once`, async (t) => {
    const seed = randomInt(1_000_000);
    const report = await drillPoint(seed, () => {});
    t.diagnostic(`seed ${seed}: ${JSON.stringify(report)}`);
    assert.deepEqual(report.findings, [], `seed ${seed}`);
    assert.ok(report.lostWindow > 0, `seed ${seed}: something was lost`);
    assert.ok(report.foundBeforeSend > 0, `seed ${seed}: the provider knew forgotten orders`);
    assert.ok(report.listed > 0, `seed ${seed}: something was inquired`);
  });
}

/** A provider that knows nothing and records how it is asked. */
async function recordingProvider(port: number): Promise<{ asked: string[]; server: Server }> {
  const asked: string[] = [];
  const server = createServer((request, response) => {
    asked.push(request.method ?? "");
    const reference = request.url?.split("/").at(-1);
    response.writeHead(404, { "content-type": "application/json" });
    response.end(JSON.stringify({ error: "not_found", reference }));
  });
  server.listen(port, "127.0.0.1");
  await once(server, "listening");
  return { asked, server };
}

/** Bursar on a copied data directory, without a sandbox provider of its own: it has the addresses of the original. */
function startClone(place: Place): ChildProcess {
  return spawn(process.execPath, [CLI, "start"], {
    env: {
      PATH: process.env["PATH"] ?? "",
      PORT: String(place.httpPort),
      BURSAR_DATA_DIR: place.dataDir,
      BURSAR_DEMO: "false",
      LOG_LEVEL: "silent",
    },
    stdio: "ignore",
  });
}

/** Waits for as long as a slow machine may take. @throws when that is over */
async function until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = Date.now() + PATIENCE_MS;
  while (!(await holds())) {
    if (Date.now() > deadline) throw new Error(`not so after ${PATIENCE_MS} ms: ${what}`);
    await sleep(50);
  }
}

const answers = (place: Place): Promise<boolean> =>
  fetch(`${place.url}/health/ready`).then(
    (reply) => reply.ok,
    () => false,
  );

test("a copy of a data directory answers reads, takes orders, and sends nothing", async () => {
  const original = await newPlace("original");
  const copy: Place = { ...(await newPlace("copy")), key: original.key };
  const gateway = await startGateway(original);
  let clone: ChildProcess | null = null;
  let provider: Server | null = null;
  try {
    const merchant = new Merchant(original, new Dice(3));
    await sleep(1_500);
    await untilPaid(original, merchant, 0);
    await strike(original, gateway);
    await merchant.stop();
    signal(await sandboxPid(original), "SIGKILL");
    while ((await sandboxPid(original)) !== null) await sleep(20);
    await cloneDataDir(original.dataDir, copy.dataDir);
    const recording = await recordingProvider(original.sandboxPort);
    provider = recording.server;
    clone = startClone(copy);
    await until("the copy answers", () => answers(copy));

    const there = new Merchant(copy, new Dice(4));
    await sleep(3_000);
    await until("orders are accepted", () => there.acknowledged.length > 0);
    await there.stop();
    const known = await there.call("GET", `/payout-invoices/${merchant.acknowledged[0]?.invoiceId}`);
    assert.equal(known.status, 200, "it answers reads");
    await sleep(3_000);
    await until("inquiries go on", () => recording.asked.includes("GET"));
    assert.deepEqual(
      recording.asked.filter((method) => method !== "GET"),
      [],
      "nothing that moves money reaches the provider",
    );
    const shown = await recover(copy, []);
    assert.match(shown.text, /gate of the system is shut: another database than before/);
  } finally {
    clone?.kill("SIGKILL");
    if (clone !== null && clone.exitCode === null && clone.signalCode === null) await once(clone, "close");
    provider?.close();
    signal(postmasterPid(copy), "SIGQUIT");
    await clear(copy);
    await clear(original);
  }
});
