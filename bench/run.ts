/** One run: a Bursar on a data directory of its own, the sandbox provider beside it, and the load generator. */
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { startEmbedded } from "../src/store/embedded.ts";
import { clear, Gateway, newPlace, type Place, sandboxPid } from "../test/torture/processes.ts";
import type { LoadEnds, LoadOptions, LoadOrder, LoadResult } from "./load.ts";
import { cpuOf, cpuOfFamily, DatabaseMeter, type TableRows, tableDifference } from "./measure.ts";
import { type ProfileSummary, summarize } from "./profile.ts";

export interface BenchOptions {
  readonly invoices: number;
  readonly inflight: number;
  readonly hasWebhooks: boolean;
  readonly hasProfile: boolean;
}

/** Reading the commission account is two transactions, the page and its length: the load generator's, not a payout's. */
const TRANSACTIONS_PER_POLL = 2;

/** Microseconds of processor time per payout. */
export interface CpuPerPayout {
  readonly bursar: number;
  readonly postgres: number;
  readonly sandbox: number;
  readonly load: number;
}

export interface BenchResult {
  readonly payoutsPerSecond: number;
  readonly acceptMs: { readonly p50: number; readonly p99: number };
  readonly endMs: { readonly p50: number; readonly p99: number };
  /** Everything below: per payout. */
  readonly rowsInserted: number;
  readonly rowsUpdated: number;
  readonly rowsDeleted: number;
  readonly walBytes: number;
  readonly transactions: number;
  readonly writeTransactions: number;
  readonly cpu: CpuPerPayout;
  readonly tables: readonly TableRows[];
  /** Null without a profile. */
  readonly profile: ProfileSummary | null;
}

/** Orders before the measured ones: connections, prepared statements and compiled code are there by then. */
const WARM_UP = 500;
const CALLBACK_DELAY_MS = 10;
const HOT_SPOTS = 25;
const LOAD = fileURLToPath(new URL("./load.ts", import.meta.url));

type LoadMessage = { readonly ready?: true; readonly result?: LoadResult | LoadEnds; readonly error?: string };

class LoadProcess {
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess) {
    this.#child = child;
  }

  static async open(options: LoadOptions): Promise<LoadProcess> {
    const load = new LoadProcess(fork(LOAD, [JSON.stringify(options)]));
    await load.#reply();
    return load;
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  async #reply(): Promise<LoadMessage> {
    const ended = once(this.#child, "exit").then(() => [{ error: "the load generator has ended" }]);
    const [message] = (await Promise.race([once(this.#child, "message"), ended])) as [LoadMessage];
    if (message.error !== undefined) throw new Error(message.error);
    return message;
  }

  async #ask<T extends LoadResult | LoadEnds>(order: LoadOrder): Promise<T> {
    this.#child.send(order);
    const { result } = await this.#reply();
    if (result === undefined) throw new Error("the load generator said nothing");
    return result as T;
  }

  run(invoices: number, name: string): Promise<LoadResult> {
    return this.#ask({ kind: "run", invoices, name });
  }

  ends(): Promise<LoadEnds> {
    return this.#ask({ kind: "ends" });
  }

  async end(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    if (this.#child.connected) this.#child.send({ kind: "end" } satisfies LoadOrder);
    await once(this.#child, "exit");
  }
}

async function must(reply: Promise<Response>): Promise<Record<string, unknown>> {
  const response = await reply;
  if (!response.ok) throw new Error(`${response.url}: ${response.status} ${await response.text()}`);
  return (await response.json()) as Record<string, unknown>;
}

/** Money enough for all orders, at the provider account that pays them. */
async function fund(place: Place, amount: number): Promise<void> {
  const headers = { authorization: `Bearer ${place.key}`, "content-type": "application/json" };
  const order = { websiteId: "web_demo", currency: "USD", amount, depositAccountId: "dep_demo_usd" };
  const deposit = await must(
    fetch(`${place.url}/deposits`, {
      method: "POST",
      headers: { ...headers, "idempotency-key": "bench" },
      body: JSON.stringify(order),
    }),
  );
  const approve = `${place.url}/deposits/${String(deposit["id"])}/approve`;
  await must(fetch(approve, { method: "POST", headers: { ...headers, "if-match": '"1"' } }));
}

function percentile(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

const spread = (sorted: readonly number[]) => ({ p50: percentile(sorted, 0.5), p99: percentile(sorted, 0.99) });

const sum = (tables: readonly TableRows[], member: "inserted" | "updated" | "deleted"): number =>
  tables.reduce((total, table) => total + table[member], 0);

/** Processor time of everybody so far, microseconds. */
async function cpuNow(of: { place: Place; gateway: Gateway; load: LoadProcess; postmaster: number }) {
  return {
    bursar: cpuOf(of.gateway.pid),
    postgres: cpuOfFamily(of.postmaster),
    sandbox: cpuOf((await sandboxPid(of.place)) ?? 0),
    load: cpuOf(of.load.pid),
  };
}

async function measure(place: Place, gateway: Gateway, options: BenchOptions): Promise<BenchResult> {
  const { invoices, inflight, hasWebhooks } = options;
  const { ownerConfig, pid: postmaster } = await startEmbedded({ dataDir: join(place.dataDir, "postgres") });
  await must(
    fetch(`${place.sandboxUrl}/control`, {
      method: "PUT",
      body: JSON.stringify({ callbackDelayMs: CALLBACK_DELAY_MS }),
    }),
  );
  await fund(place, (invoices + WARM_UP) * 2);
  const meter = await DatabaseMeter.open(ownerConfig);
  const load = await LoadProcess.open({ url: place.url, key: place.key, inflight, hasWebhooks });
  try {
    await load.run(WARM_UP, "warm");
    const before = await meter.read();
    const everybody = { place, gateway, load, postmaster };
    const cpuBefore = await cpuNow(everybody);
    const result = await load.run(invoices, "bench");
    const cpuAfter = await cpuNow(everybody);
    const after = await meter.read();
    const endMs = await load.ends();
    const tables = tableDifference(before, after);
    const each = (total: number): number => total / invoices;
    return {
      payoutsPerSecond: invoices / result.seconds,
      acceptMs: spread(result.acceptMs),
      endMs: spread(endMs),
      rowsInserted: each(sum(tables, "inserted")),
      rowsUpdated: each(sum(tables, "updated")),
      rowsDeleted: each(sum(tables, "deleted")),
      walBytes: each(after.walBytes - before.walBytes),
      transactions: each(after.transactions - before.transactions - result.polls * TRANSACTIONS_PER_POLL),
      writeTransactions: each(after.writes - before.writes),
      cpu: {
        bursar: each(cpuAfter.bursar - cpuBefore.bursar),
        postgres: each(cpuAfter.postgres - cpuBefore.postgres),
        sandbox: each(cpuAfter.sandbox - cpuBefore.sandbox),
        load: each(cpuAfter.load - cpuBefore.load),
      },
      tables,
      profile: null,
    };
  } finally {
    await load.end();
    await meter.close();
  }
}

/** One run, from an empty data directory to its end. */
export async function benchOnce(options: BenchOptions): Promise<BenchResult> {
  const place = await newPlace("bench");
  const profile = join(place.root, "profile");
  const gateway = new Gateway(place, options.hasProfile ? ["--cpu-prof", `--cpu-prof-dir=${profile}`] : []);
  // Without Bursar every request fails, the run with them, and what it made is cleared away.
  const interrupt = (): void => void gateway.kill("SIGKILL");
  process.once("SIGINT", interrupt);
  try {
    if (!(await gateway.ready)) throw new Error(`Bursar does not start:\n${gateway.output}`);
    const result = await measure(place, gateway, options);
    for (const { what } of gateway.faults) console.log(`  logged: ${what}`);
    await gateway.stop();
    return options.hasProfile ? { ...result, profile: summarize(profile, HOT_SPOTS) } : result;
  } finally {
    process.off("SIGINT", interrupt);
    gateway.kill("SIGKILL");
    await gateway.ended;
    await clear(place);
  }
}
