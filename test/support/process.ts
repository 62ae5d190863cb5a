/** Bursar as processes of its own, for tests of starting, stopping and being killed. */
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";

export const CLI = fileURLToPath(new URL("../../src/cli/main.ts", import.meta.url));
/** A start on a busy machine takes its time. */
const READY_LIMIT_MS = 90_000;

export interface Process {
  readonly child: ChildProcess;
  readonly output: () => string;
}

export interface Ports {
  readonly http: number;
  readonly sandbox: number;
}

export function launch(dataDir: string, ports: Ports, env: Readonly<Record<string, string>> = {}): Process {
  const child = spawn(process.execPath, [CLI, "start"], {
    env: {
      PATH: process.env["PATH"] ?? "",
      PORT: String(ports.http),
      BURSAR_SANDBOX_PORT: String(ports.sandbox),
      BURSAR_DATA_DIR: dataDir,
      LOG_LEVEL: "warn",
      ...env,
    },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  child.stdout?.on("data", (chunk: Buffer) => (output += chunk.toString("utf8")));
  child.stderr?.on("data", (chunk: Buffer) => (output += chunk.toString("utf8")));
  const bursar = { child, output: () => output };
  launched.push(bursar);
  return bursar;
}

export interface Ended {
  readonly code: number;
  readonly output: string;
  readonly errors: string;
}

/** One command of an operator, to its end. */
export function run(args: readonly string[], env: Readonly<Record<string, string>>): Promise<Ended> {
  const settings = { PATH: process.env["PATH"] ?? "", ...env };
  return new Promise((resolve) => {
    execFile(process.execPath, [CLI, ...args], { env: settings }, (error, output, errors) => {
      resolve({ code: error === null ? 0 : Number(error.code), output, errors });
    });
  });
}

export async function untilPrinted(process: Process, text: string): Promise<string> {
  const deadline = Date.now() + READY_LIMIT_MS;
  while (!process.output().includes(text)) {
    if (Date.now() > deadline) throw new Error(`"${text}" was not printed:\n${process.output()}`);
    if (process.child.exitCode !== null)
      throw new Error(`it ended with ${process.child.exitCode}:\n${process.output()}`);
    await sleep(20);
  }
  return process.output();
}

export async function end(process: Process, signal: "SIGTERM" | "SIGKILL"): Promise<number | null> {
  if (process.child.exitCode !== null || process.child.signalCode !== null) return process.child.exitCode;
  process.child.kill(signal);
  await once(process.child, "exit");
  return process.child.exitCode;
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  if (typeof address !== "object" || address === null) throw new Error("no port");
  return address.port;
}

const dirs: string[] = [];
const launched: Process[] = [];

export function newDir(): string {
  const dir = mkdtempSync(join(tmpdir(), "bursar-start-"));
  dirs.push(dir);
  return dir;
}

after(async () => {
  // What a failed test has left running would keep its file from ending.
  for (const bursar of launched) await end(bursar, "SIGTERM");
  for (const dir of dirs) rmSync(dir, { recursive: true, force: true });
});
