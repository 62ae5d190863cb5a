// Method: the way it is run on a database of one's own: one process serves the API and calls nobody, another works and
// serves nobody, and only together they pay.
import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { emptyDatabase } from "../support/database.ts";
import { end, freePort, launch, newDir, untilPrinted } from "../support/process.ts";

const KEY = `bk_test_${"roles".padEnd(43, "x")}`;

test("an api process and a worker process on one DATABASE_URL pay together", async () => {
  const database = await emptyDatabase();
  const { host, port, user, password } = database.ownerConfig;
  const login = `${user ?? ""}${typeof password === "string" ? `:${encodeURIComponent(password)}` : ""}`;
  const url = new URL(`postgres://${login}@localhost/${database.name}`);
  url.searchParams.set("host", host ?? "");
  url.searchParams.set("port", String(port ?? 5432));
  const env = {
    DATABASE_URL: url.href,
    BURSAR_MASTER_KEY: "ab".repeat(32),
    BURSAR_BOOTSTRAP_KEY: KEY,
    BURSAR_DEMO: "true",
  };
  const dataDir = newDir();
  const sandbox = await freePort();
  const apiPorts = { http: await freePort(), sandbox };
  const publicUrl = `http://127.0.0.1:${apiPorts.http}`;
  const headers = { authorization: `Bearer ${KEY}`, "content-type": "application/json" };
  const api = launch(dataDir, apiPorts, { ...env, BURSAR_ROLE: "api", BURSAR_PUBLIC_URL: publicUrl });
  await untilPrinted(api, "-X PUT");
  const order = { referenceId: "r1", websiteId: "web_demo", currency: "USD", amount: 10, service: "test_usd" };
  const body = JSON.stringify({ ...order, fields: { account: "payee" } });
  const made = await fetch(`${publicUrl}/payout-invoices`, { method: "POST", headers, body });
  assert.equal(made.status, 201);
  const { id } = (await made.json()) as { id: string };
  const statusOf = async (): Promise<unknown> =>
    ((await (await fetch(`${publicUrl}/payout-invoices/${id}`, { headers })).json()) as { status: unknown }).status;
  await sleep(1_500);
  assert.equal(await statusOf(), "processing", "an api process calls no provider");

  const workerPorts = { http: await freePort(), sandbox };
  const worker = launch(dataDir, workerPorts, { ...env, BURSAR_ROLE: "worker", BURSAR_PUBLIC_URL: publicUrl });
  await untilPrinted(worker, "Bursar answers");
  const workerUrl = `http://127.0.0.1:${workerPorts.http}`;
  assert.equal((await fetch(`${workerUrl}/health/ready`)).status, 200);
  assert.equal((await fetch(`${workerUrl}/payout-invoices/${id}`, { headers })).status, 404, "a worker serves nobody");
  const deadline = Date.now() + 60_000;
  while ((await statusOf()) !== "processed" && Date.now() < deadline) await sleep(50);
  assert.equal(await statusOf(), "processed");
  const book = (await (await fetch(`http://127.0.0.1:${sandbox}/book`)).json()) as { effective: number }[];
  assert.deepEqual(
    book.map((operation) => operation.effective),
    [1],
  );
  assert.equal(await end(worker, "SIGTERM"), 0, worker.output());
  assert.equal(await end(api, "SIGTERM"), 0, api.output());
  await database.close();
});
