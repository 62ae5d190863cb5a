/** The provider as a process: found again, killed at any moment, never two on one book. */
import { deepEqual, equal, match, notEqual, ok, rejects } from "node:assert/strict";
import { spawn } from "node:child_process";
import { appendFile, readFile, stat, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { isProcess, pidPath } from "../../src/sandbox/pid-file.ts";
import { type RunningSandbox, startSandbox } from "../../src/sandbox/supervise.ts";
import { ask, book, freshFolder, inquire, openReceiver, post, setControl, statusOf, until } from "./client.ts";

describe("the sandbox process", { concurrency: 4 }, () => {
  const running: RunningSandbox[] = [];
  const folders: { path: string; remove: () => Promise<void> }[] = [];
  let removeAll: () => Promise<void>;

  before(() => {
    removeAll = async () => {
      await Promise.all(running.map((sandbox) => sandbox.stop()));
      await Promise.all(folders.map((folder) => folder.remove()));
    };
  });
  after(() => removeAll());

  async function freshPlace(): Promise<string> {
    const folder = await freshFolder();
    folders.push(folder);
    return folder.path;
  }

  async function start(dataDir: string, port = 0): Promise<RunningSandbox> {
    const sandbox = await startSandbox({ dataDir, port });
    running.push(sandbox);
    return sandbox;
  }

  /** Ends it as a power switch would; only ever a process that this test has started. */
  async function kill(sandbox: RunningSandbox): Promise<void> {
    process.kill(sandbox.pid, "SIGKILL");
    await until("the process is gone", () => !isProcess(sandbox.pid));
  }

  test("a living one is adopted, a dead one is replaced", async () => {
    const dataDir = await freshPlace();
    const first = await start(dataDir);
    const again = await start(dataDir);
    deepEqual([again.pid, again.url], [first.pid, first.url]);
    const health = JSON.parse((await ask(first.url, { method: "GET", path: "/health" })).text) as Record<
      string,
      unknown
    >;
    deepEqual([health["pid"], health["dataDir"]], [first.pid, dataDir]);
    await kill(first);
    const second = await start(dataDir);
    notEqual(second.pid, first.pid);
    await second.stop();
    equal(isProcess(second.pid), false);
    await rejects(stat(pidPath(dataDir)), { code: "ENOENT" });
    await second.stop();
  });

  test("of four that start at once, one runs", async () => {
    const dataDir = await freshPlace();
    const all = await Promise.all([1, 2, 3, 4].map(() => start(dataDir)));
    equal(new Set(all.map(({ pid }) => pid)).size, 1);
  });

  test("a pid that another program has got is not the sandbox, and is left alone", async () => {
    const dataDir = await freshPlace();
    const stranger = spawn(process.execPath, ["-e", "setInterval(() => {}, 1000)"], { stdio: "ignore" });
    try {
      const record = { pid: stranger.pid, port: 9, token: "of-old", startedTime: Date.now() };
      await writeFile(pidPath(dataDir), JSON.stringify(record));
      const sandbox = await start(dataDir);
      notEqual(sandbox.pid, stranger.pid);
      equal(isProcess(stranger.pid ?? 0), true);
    } finally {
      stranger.kill();
    }
  });

  test("a port that is taken is named, with its holder where that is a sandbox", async () => {
    const server = createServer((_, response) => response.end("hello"));
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", () => resolve()));
    const { port } = server.address() as AddressInfo;
    await rejects(start(await freshPlace(), port), new RegExp(`port ${port} .* taken by another program`));
    server.close();
    const other = await start(await freshPlace());
    await rejects(start(await freshPlace(), Number(new URL(other.url).port)), /taken by the sandbox provider of .*pid/);
  });

  test("a damaged book is said, not overwritten", async () => {
    const dataDir = await freshPlace();
    await writeFile(join(dataDir, "book.ndjson"), "{\n{}\n");
    await rejects(start(dataDir), /line 1 is damaged/);
  });

  test("a second process on the same book refuses", async () => {
    const dataDir = await freshPlace();
    await start(dataDir);
    const main = new URL("../../src/sandbox/main.ts", import.meta.url).pathname;
    const child = spawn(process.execPath, [main, "--port", "0", "--data-dir", dataDir]);
    let said = "";
    child.stderr.on("data", (chunk: Buffer) => {
      said += chunk.toString();
    });
    const code = await new Promise((resolve) => child.once("exit", resolve));
    equal(code, 99);
    match(said, /runs on .* already/);
  });

  test("kill -9 right after an answer keeps the line", async () => {
    const dataDir = await freshPlace();
    let sandbox = await start(dataDir);
    for (let round = 0; round < 3; round += 1) {
      const references = Array.from({ length: 20 }, (_, index) => `k-${round}-${index}`);
      await Promise.all(references.map((reference) => post(sandbox.url, reference, { scenario: "ok_sync" })));
      await kill(sandbox);
      sandbox = await start(dataDir);
      const held = new Set((await book(sandbox.url)).map(({ reference }) => reference));
      deepEqual(
        references.filter((reference) => !held.has(reference)),
        [],
      );
    }
    equal((await post(sandbox.url, "k-0-0")).http, 409);
    equal((await book(sandbox.url)).length, 60);
  });

  test("what was due later survives kill -9: late payments, callbacks, settings, counted requests", async (t) => {
    const dataDir = await freshPlace();
    const receiver = await openReceiver();
    // A test that fails must let go of it as well, or its file never ends.
    t.after(() => receiver.close());
    const first = await start(dataDir);
    await setControl(first.url, { callbackDelayMs: 4000, lateMs: 4500, timeoutMs: 10 });
    const over = { callbackUrl: receiver.url };
    const posted = Date.now();
    await Promise.all([
      post(first.url, "p-ok", { ...over, scenario: "ok" }),
      post(first.url, "p-late", { ...over, scenario: "inquiry_404_then_paid" }),
      post(first.url, "p-rate", { ...over, scenario: "rate_limited" }),
    ]);
    await kill(first);
    deepEqual(receiver.all, []);
    const second = await start(dataDir);
    const settings = JSON.parse((await ask(second.url, { method: "GET", path: "/control" })).text) as object;
    deepEqual(settings, { answerDelayMs: 1000, callbackDelayMs: 4000, lateMs: 4500, timeoutMs: 10 });
    equal((await post(second.url, "p-late", over)).http, 409);
    await until("the callback", () => receiver.of("p-ok").length === 1);
    // On a slow machine it may be due before the second is there; it never comes before it is due.
    ok(Date.now() - posted >= 4000);
    await until("the late arrival", async () => (await inquire(second.url, "p-late")).http === 200);
    equal(statusOf(await inquire(second.url, "p-late")), "paid");
    equal((await post(second.url, "p-rate", { scenario: "rate_limited" })).http, 429);
    equal((await post(second.url, "p-rate", { scenario: "rate_limited" })).http, 200);
  });

  test("a torn last line is dropped at start, and the order may be sent again", async () => {
    const dataDir = await freshPlace();
    const first = await start(dataDir);
    await post(first.url, "t-1", { scenario: "ok_sync" });
    await first.stop();
    const file = join(dataDir, "book.ndjson");
    const whole = await readFile(file, "utf8");
    await appendFile(file, '{"kind":"operation","at":1,"reference":"t-2"');
    const second = await start(dataDir);
    equal(await readFile(file, "utf8"), whole);
    equal((await inquire(second.url, "t-2")).http, 404);
    equal((await post(second.url, "t-2", { scenario: "ok_sync" })).http, 200);
    equal((await book(second.url)).length, 2);
  });
});
