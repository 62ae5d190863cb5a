/** The sandbox provider as a process of its own: `node main.ts --port 8090 --data-dir .bursar/sandbox`. */
import { randomBytes } from "node:crypto";
import { mkdir, realpath } from "node:fs/promises";
import { parseArgs } from "node:util";
import { announce, claim, discard, type PidRecord, pidPath } from "./pid-file.ts";
import { openSandbox, type Sandbox } from "./server.ts";

/** Exit codes that say what is in the way; the supervisor reads them. */
const PORT_TAKEN = 98;
const ALREADY_RUNNING = 99;

interface Options {
  readonly port: number;
  readonly dataDir: string;
}

function readOptions(): Options {
  const { values } = parseArgs({
    options: { port: { type: "string", default: "8090" }, "data-dir": { type: "string", default: ".bursar/sandbox" } },
  });
  const port = Number(values.port);
  if (!Number.isInteger(port) || port < 0 || port > 65_535) fail(2, `--port ${values.port}: not a port`);
  return { port, dataDir: values["data-dir"] };
}

function fail(code: number, message: string): never {
  console.error(message);
  process.exit(code);
}

async function listen(options: Options, record: PidRecord): Promise<Sandbox> {
  try {
    const onFault = (error: unknown): void => {
      console.error(error);
      process.exit(1);
    };
    return await openSandbox({ ...options, instance: record.token, onFault });
  } catch (error) {
    await discard(options.dataDir, record);
    if ((error as NodeJS.ErrnoException).code === "EADDRINUSE") fail(PORT_TAKEN, `port ${options.port} is taken`);
    throw error;
  }
}

async function main(): Promise<void> {
  const asked = readOptions();
  await mkdir(asked.dataDir, { recursive: true, mode: 0o700 });
  const dataDir = await realpath(asked.dataDir);
  const token = randomBytes(16).toString("hex");
  const starting: PidRecord = { pid: process.pid, port: 0, token, startedTime: Date.now() };
  const other = await claim(dataDir, starting);
  if (other !== null) {
    fail(
      ALREADY_RUNNING,
      `a sandbox runs on ${dataDir} already: pid ${other.pid}, port ${other.port}; else remove ${pidPath(dataDir)}`,
    );
  }
  const sandbox = await listen({ ...asked, dataDir }, starting);
  const record: PidRecord = { ...starting, port: sandbox.port };
  const stop = async (): Promise<void> => {
    await sandbox.close();
    // Last: who sees no pid file may open the book.
    await discard(dataDir, record);
    process.exit(0);
  };
  process.once("SIGTERM", () => void stop());
  process.once("SIGINT", () => void stop());
  await announce(dataDir, record);
  console.log(`ready port=${sandbox.port} pid=${process.pid}`);
}

await main();
