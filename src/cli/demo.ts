/**
 * `bursar demo`: one business day on a throw-away data directory, against the sandbox provider over real HTTP. Prints
 * what happens; ends with 0 only if the books balance and the provider's book says that nothing was paid twice.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { pino } from "pino";
import { readConfig } from "../config.ts";
import { start } from "../main.ts";

const SETTLE_LIMIT_MS = 60_000;
const POLL_MS = 50;

interface Payout {
  readonly reference: string;
  readonly status: string;
  readonly resolution: string | null;
  readonly amount: number;
  readonly currency: string;
}

interface Invoice {
  readonly id: string;
  readonly referenceId: string;
  readonly status: string;
  readonly amount: number;
  readonly fee: number;
  readonly writeoff: number;
  readonly currency: string;
  readonly moderationRequired: boolean;
  readonly payouts: readonly Payout[];
}

interface Operation {
  readonly reference: string;
  readonly amount: string;
  readonly currency: string;
  readonly destination: string;
  readonly status: string;
  readonly effective: number;
}

/** One order of the day: what it shows, and what it is expected to show. */
interface Act {
  readonly title: string;
  readonly order: Readonly<Record<string, unknown>>;
  readonly service: string;
  readonly payee: string;
  readonly scenario: string;
  /** The statuses of its payouts at the end. */
  readonly ends: readonly string[];
}

const ACTS: readonly Act[] = [
  {
    title: "A plain payout",
    order: { referenceId: "day-1", amount: 100.78 },
    service: "test_usd",
    payee: "Ada",
    scenario: "ok",
    ends: ["PROCESSED"],
  },
  {
    title: "In another currency, with commission",
    order: { referenceId: "day-2", amount: 250 },
    service: "test_eur",
    payee: "Grace",
    scenario: "pending_paid",
    ends: ["PROCESSED"],
  },
  {
    title: "The answer never comes, the money does",
    order: { referenceId: "day-3", amount: 75.5 },
    service: "test_usd",
    payee: "Edsger",
    scenario: "timeout_paid",
    ends: ["PROCESSED"],
  },
  {
    title: "Refused by the first route, paid by the second",
    order: { referenceId: "day-4", amount: 40 },
    service: "test_usd",
    payee: "Barbara",
    scenario: "refused",
    ends: ["INVOKE_FAILED", "PROCESSED"],
  },
];

/** The API of the gateway that plays, with the key made for it. */
interface Api {
  get<T>(path: string): Promise<T>;
  post<T>(path: string, body: unknown): Promise<T>;
}

function apiOf(url: string, key: string): Api {
  const call = async <T>(method: string, path: string, body?: unknown): Promise<T> => {
    const response = await fetch(`${url}${path}`, {
      method,
      headers: { authorization: `Bearer ${key}`, "content-type": "application/json" },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`);
    return (await response.json()) as T;
  };
  return { get: (path) => call("GET", path), post: (path, body) => call("POST", path, body) };
}

/** Plays the day. Resolves to whether everything came out as it must; `print` gets each line. */
export async function playDay(print: (line: string) => void): Promise<boolean> {
  const dataDir = mkdtempSync(join(tmpdir(), "bursar-demo-"));
  const env = { PORT: "0", BURSAR_SANDBOX_PORT: "0", BURSAR_DATA_DIR: dataDir };
  const config = readConfig(env);
  if (!config.ok) throw new Error(config.error.join("; "));
  const started = await start(config.value, pino({ level: "silent" }));
  if (!started.ok) throw new Error(started.error);
  const bursar = started.value;
  try {
    const api = apiOf(bursar.url, bursar.newKey ?? "");
    await printFunds(api, print, "The day begins. The merchant's funds:");
    const invoices: Invoice[] = [];
    for (const act of ACTS) invoices.push(await play(act, api, print));
    await printFunds(api, print, "The day is over. The merchant's funds:");
    const operations = (await (await fetch(`${bursar.sandboxUrl}/book`)).json()) as Operation[];
    const isClean = compareBooks(invoices, operations, print);
    const balance = await api.get<{ balanced: boolean }>("/accounts/trial-balance");
    print(`trial balance: ${balance.balanced ? "0 in every currency" : "OFF"}`);
    const asExpected = invoices.every((invoice, index) => {
      const ends = ACTS[index]?.ends ?? [];
      return invoice.status === "processed" && invoice.payouts.map((payout) => payout.status).join() === ends.join();
    });
    return isClean && balance.balanced && asExpected;
  } finally {
    await bursar.stop();
    rmSync(dataDir, { recursive: true, force: true });
  }
}

async function printFunds(api: Api, print: (line: string) => void, title: string): Promise<void> {
  print(title);
  const accounts = await api.get<{ id: string; balance: number; currency: string }[]>("/accounts?limit=1000");
  for (const account of accounts.toSorted((a, b) => (a.id < b.id ? -1 : 1))) {
    if (account.id.startsWith("available:")) print(`  available  ${account.balance.toFixed(2)} ${account.currency}`);
  }
  print("");
}

async function play(act: Act, api: Api, print: (line: string) => void): Promise<Invoice> {
  const { id } = await api.post<Invoice>("/payout-invoices", {
    websiteId: "web_demo",
    currency: "USD",
    service: act.service,
    fields: { account: act.payee, test_details_scenario: act.scenario },
    ...act.order,
  });
  let invoice = await api.get<Invoice>(`/payout-invoices/${id}`);
  let wasUnknown = invoice.moderationRequired;
  const deadline = Date.now() + SETTLE_LIMIT_MS;
  while (invoice.status === "processing" || invoice.status === "process_pending") {
    if (Date.now() > deadline) throw new Error(`order ${invoice.referenceId} is still ${invoice.status}`);
    await sleep(POLL_MS);
    invoice = await api.get<Invoice>(`/payout-invoices/${id}`);
    wasUnknown ||= invoice.moderationRequired;
  }
  const money = (amount: number, currency: string): string => `${amount.toFixed(2)} ${currency}`;
  print(`${act.title}: ${act.payee}`);
  print(`  order      ${money(invoice.amount, invoice.currency)}, commission ${money(invoice.fee, invoice.currency)}`);
  if (wasUnknown) print("  unknown    no answer in time: the money stays held, the provider is asked");
  for (const payout of invoice.payouts) {
    const why = payout.resolution === null || payout.resolution === "OK" ? "" : ` (${payout.resolution})`;
    print(`  payout     ${money(payout.amount, payout.currency)} ${payout.status}${why}`);
  }
  print(`  invoice    ${invoice.status}, ${money(invoice.writeoff, invoice.currency)} written off`);
  print("");
  return invoice;
}

/** The provider's own book beside ours: the only judge of what was really paid. */
function compareBooks(
  invoices: readonly Invoice[],
  operations: readonly Operation[],
  print: (line: string) => void,
): boolean {
  print("The provider's book            | our payouts");
  const payouts = invoices.flatMap((invoice) => invoice.payouts);
  let isEqual = payouts.length === operations.length;
  for (const { reference, amount, currency, destination, status, effective } of operations) {
    const payout = payouts.find((each) => each.reference === reference);
    const theirs = `${destination.padEnd(8)} ${amount.padStart(7)} ${currency} ${status}`;
    print(`  ${theirs.padEnd(29)}| ${payout?.status ?? "unknown to us"}`);
    isEqual &&= payout !== undefined && (effective === 1) === (payout.status === "PROCESSED");
  }
  const times = new Map<string, number>();
  for (const each of operations) times.set(each.destination, (times.get(each.destination) ?? 0) + each.effective);
  const twice = [...times.values()].filter((count) => count > 1).length;
  print(`paid twice: ${twice}`);
  return isEqual && twice === 0;
}

export async function demo(): Promise<void> {
  const isClean = await playDay((line) => console.log(line));
  if (!isClean) process.exitCode = 1;
}
