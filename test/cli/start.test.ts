// Method: real processes. Bursar is started as `npm start` starts it, on a data directory of its own, and judged by
// what it prints, what it answers, and what the sandbox provider's book holds.
import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { CLI, end, freePort, launch, newDir, untilPrinted } from "../support/process.ts";

/** Runs a pasted line in a shell, as a newcomer does, and returns the HTTP status and the body. */
async function paste(line: string, key = ""): Promise<{ status: number; body: Record<string, unknown> }> {
  const env = { ...process.env, BURSAR_KEY: key };
  const { stdout } = await promisify(execFile)("sh", ["-c", `${line} -s`], { env });
  const status = Number(/^HTTP\/1\.1 (\d{3})/.exec(stdout)?.[1]);
  return { status, body: JSON.parse(stdout.slice(stdout.indexOf("\r\n\r\n"))) as Record<string, unknown> };
}

test("a first start shows a key and three lines that work when pasted, and the payout settles", async () => {
  const dataDir = newDir();
  const ports = { http: await freePort(), sandbox: await freePort() };
  const first = launch(dataDir, ports);
  const screen = await untilPrinted(first, "-X PUT");
  await sleep(50);
  const key = /API key, shown only this once: (bk_test_[\w-]{43})/.exec(screen)?.[1] ?? "";
  assert.notEqual(key, "");
  const lines = first
    .output()
    .split("\n")
    .filter((line) => line.startsWith("curl"));
  assert.equal(lines.length, 3);
  const replies = [];
  for (const line of lines) replies.push(await paste(line));
  assert.deepEqual(
    replies.map((reply) => reply.status),
    [201, 200, 201],
  );

  const url = `http://127.0.0.1:${ports.http}`;
  const headers = { authorization: `Bearer ${key}` };
  const id = String(replies[0]?.body["id"]);
  const deadline = Date.now() + 60_000;
  let invoice: Record<string, unknown> = {};
  while (invoice["status"] !== "processed" && Date.now() < deadline) {
    invoice = (await (await fetch(`${url}/payout-invoices/${id}`, { headers })).json()) as Record<string, unknown>;
    await sleep(50);
  }
  assert.equal(invoice["status"], "processed");
  const balance = (await (await fetch(`${url}/accounts/trial-balance`, { headers })).json()) as { balanced: boolean };
  assert.equal(balance.balanced, true);
  const book = (await (await fetch(`http://127.0.0.1:${ports.sandbox}/book`)).json()) as { effective: number }[];
  assert.deepEqual(
    book.map((operation) => operation.effective),
    [1],
  );

  const second = launch(dataDir, { http: await freePort(), sandbox: ports.sandbox });
  await once(second.child, "exit");
  assert.equal(second.child.exitCode, 1);
  assert.match(second.output(), new RegExp(`process ${first.child.pid}, port ${ports.http}`));

  assert.equal(await end(first, "SIGTERM"), 0, first.output());
  const again = launch(dataDir, ports);
  const screenAgain = await untilPrinted(again, "-X PUT");
  assert.ok(!screenAgain.includes("shown only this once"), "the key is shown once");
  assert.equal((await fetch(`${url}/payout-invoices/${id}`, { headers })).status, 200, "the key still works");
  const listing = again
    .output()
    .split("\n")
    .find((line) => line.startsWith("curl") && line.includes("limit=1"));
  assert.equal((await paste(listing ?? "", key)).status, 200, "its lines read the key from $BURSAR_KEY");
  assert.equal(await end(again, "SIGTERM"), 0);
  assert.ok(!readFileSync(join(dataDir, "master.key"), "utf8").includes(key));
});

test("a first start that is killed at any point is finished by the next", async () => {
  for (const afterMs of [150, 400, 700, 1_000, 1_400]) {
    const dataDir = newDir();
    const ports = { http: await freePort(), sandbox: await freePort() };
    const killed = launch(dataDir, ports);
    await sleep(afterMs);
    await end(killed, "SIGKILL");
    const next = launch(dataDir, ports);
    await untilPrinted(next, "-X PUT");
    const key = /bk_test_[\w-]{43}/.exec(killed.output() + next.output())?.[0] ?? "";
    const headers = { authorization: `Bearer ${key}` };
    const reply = await fetch(`http://127.0.0.1:${ports.http}/accounts?limit=100`, { headers });
    assert.equal(reply.status, 200, `killed after ${afterMs} ms`);
    const accounts = (await reply.json()) as { id: string; balance: number }[];
    const funded = accounts.filter((account) => account.id.startsWith("available:web_demo"));
    assert.deepEqual(
      funded.map((account) => account.balance),
      [100_000, 100_000],
      `funded once, though killed after ${afterMs} ms`,
    );
    assert.equal(await end(next, "SIGTERM"), 0);
  }
});

test("wrong settings are reported together and nothing is started", async () => {
  const child = spawn(process.execPath, [CLI, "start"], {
    env: { PATH: process.env["PATH"] ?? "", PORT: "x", LOG_LEVEL: "loud" },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  child.stderr.on("data", (chunk: Buffer) => (output += chunk.toString("utf8")));
  await once(child, "exit");
  assert.equal(child.exitCode, 1);
  assert.match(output, /PORT must be/);
  assert.match(output, /LOG_LEVEL must be/);
});
