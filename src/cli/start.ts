/** `bursar start`: runs until it is told to stop, and says on one screen how to try it. */
import { pino } from "pino";
import { readConfig } from "../config.ts";
import { err } from "../core/result.ts";
import { type Running, start as startBursar } from "../main.ts";

const STOP_LIMIT_MS = 30_000;

export async function start(): Promise<void> {
  const config = readConfig();
  if (!config.ok) {
    console.error(`Bursar cannot start with these settings:\n${config.error.map((fault) => `  ${fault}`).join("\n")}`);
    process.exitCode = 1;
    return;
  }
  const log = pino({ level: config.value.logLevel });
  const running = await startBursar(config.value, log).catch((error: unknown) => {
    log.debug({ err: error }, "the start failed");
    return err(`Bursar could not start: ${error instanceof Error ? error.message : String(error)}`);
  });
  if (!running.ok) {
    console.error(running.error);
    process.exitCode = 1;
    return;
  }
  console.log(welcome(running.value));
  running.value.forgetKey();
  await untilToldToStop(running.value);
  // A second signal, or a stop that takes too long, ends at once: a killed Bursar loses nothing.
  setTimeout(() => process.exit(1), STOP_LIMIT_MS).unref();
  await running.value.stop();
}

/** Resolves on SIGTERM, SIGINT, or when the database has gone to another process. */
function untilToldToStop(running: Running): Promise<void> {
  return new Promise((resolve) => {
    const onSignal = (): void => {
      process.once("SIGINT", () => process.exit(1));
      process.once("SIGTERM", () => process.exit(1));
      resolve();
    };
    process.once("SIGTERM", onSignal);
    process.once("SIGINT", onSignal);
    void running.lost.then((error) => {
      console.error(`The database has gone to another process: ${error.message}`);
      process.exitCode = 1;
      resolve();
    });
  });
}

/** The first screen: where it answers, the key if it is new, and three calls that work when pasted. */
function welcome(running: Running): string {
  const { url, newKey, sandboxUrl } = running;
  const key = newKey ?? "$BURSAR_KEY";
  const lines = [
    "",
    `Bursar answers at ${url}   (reference: ${url}/reference)`,
    ...(sandboxUrl === null ? [] : [`The sandbox provider answers at ${sandboxUrl}; its book: ${sandboxUrl}/book`]),
    newKey === null ? "Use the API key that was shown at the first start." : `API key, shown only this once: ${newKey}`,
  ];
  if (sandboxUrl === null) return [...lines, ""].join("\n");
  return [...lines, "", "Try it (paste these):", ...tryOut(url, key), ""].join("\n");
}

const INVOICE = {
  referenceId: "order-1",
  websiteId: "web_demo",
  currency: "USD",
  amount: 100.78,
  service: "test_usd",
  fields: { account: "payee-1" },
};
const REQUEST = { websiteId: "web_demo", customerId: "cus_demo", currency: "USD", amount: 25 };

/** An invoice made (201), read (200), and a payout request of the client's own id (201). */
function tryOut(url: string, key: string): string[] {
  // In double quotes: after the first start the key is a variable of the shell.
  const auth = `-H "Authorization: Bearer ${key}"`;
  const json = (body: object): string => `-H 'Content-Type: application/json' -d '${JSON.stringify(body)}'`;
  return [
    "",
    `curl -i ${url}/payout-invoices ${auth} ${json(INVOICE)}`,
    "",
    `curl -i '${url}/payout-invoices?limit=1' ${auth}`,
    "",
    `curl -i -X PUT ${url}/payout-requests/first ${auth} ${json(REQUEST)}`,
  ];
}
