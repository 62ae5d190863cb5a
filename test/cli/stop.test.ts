// Method: a running Bursar is told to stop while orders are at the provider; another start must find every one of
// them, and the provider's book must hold each once. Everything that was printed on the way is searched for secrets.
import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:net";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { end, freePort, launch, newDir, untilPrinted } from "../support/process.ts";

const KEY = `bk_test_${"canary".padEnd(43, "x")}`;
const PAYEE = "DE89370400440532013000";
const ORDERS = 30;

test("SIGTERM drains: nothing acknowledged is lost, nothing is paid twice, nothing secret is logged", async () => {
  const dataDir = newDir();
  const ports = { http: await freePort(), sandbox: await freePort() };
  const env = { BURSAR_BOOTSTRAP_KEY: KEY, LOG_LEVEL: "trace" };
  const headers = { authorization: `Bearer ${KEY}`, "content-type": "application/json" };
  const url = `http://127.0.0.1:${ports.http}`;
  const order = (index: number) =>
    fetch(`${url}/payout-invoices`, {
      method: "POST",
      headers,
      body: JSON.stringify({
        referenceId: `stop-${index}`,
        websiteId: "web_demo",
        currency: "USD",
        amount: 10,
        service: "test_usd",
        fields: { account: `${PAYEE}-${index}`, test_details_scenario: index % 2 === 0 ? "slow" : "ok" },
      }),
    });

  const first = launch(dataDir, ports, env);
  await untilPrinted(first, "-X PUT");
  const acknowledged = await Promise.all(Array.from({ length: ORDERS }, (_, index) => order(index)));
  assert.ok(acknowledged.every((reply) => reply.status === 201));
  assert.equal(await end(first, "SIGTERM"), 0, first.output());

  const second = launch(dataDir, ports, env);
  await untilPrinted(second, "-X PUT");
  const deadline = Date.now() + 90_000;
  let open = ORDERS;
  while (open > 0 && Date.now() < deadline) {
    await sleep(100);
    const list = await fetch(`${url}/payout-invoices?limit=1000`, { headers });
    const invoices = (await list.json()) as { status: string }[];
    open = invoices.filter((invoice) => invoice.status !== "processed").length;
    assert.equal(invoices.length, ORDERS);
  }
  assert.equal(open, 0, "every order is settled");
  const book = (await (await fetch(`http://127.0.0.1:${ports.sandbox}/book`)).json()) as { effective: number }[];
  assert.equal(book.length, ORDERS);
  assert.ok(book.every((operation) => operation.effective === 1));
  assert.equal(await end(second, "SIGTERM"), 0);
  const printed = first.output() + second.output();
  assert.ok(printed.includes('"msg":"request"'), "requests are logged");
  assert.ok(!printed.includes(PAYEE), "a payee's account was logged");
  assert.ok(!printed.includes(KEY.slice(8)), "an API key was logged");
});

test("a connection that was opened and never used does not hold up the stop", async () => {
  const ports = { http: await freePort(), sandbox: await freePort() };
  const bursar = launch(newDir(), ports);
  await untilPrinted(bursar, "-X PUT");
  const idle = connect(ports.http, "127.0.0.1");
  idle.on("error", () => {}); // its end may be a reset
  await once(idle, "connect");
  // Connections are taken in their order: who is answered after it knows that a busy process has taken it, too.
  const health = await fetch(`http://127.0.0.1:${ports.http}/health/ready`, { headers: { connection: "close" } });
  assert.equal(health.status, 200);
  const asked = Date.now();
  assert.equal(await end(bursar, "SIGTERM"), 0);
  // Whoever waits for it waits for 30 s.
  assert.ok(Date.now() - asked < 25_000);
  idle.destroy();
});
