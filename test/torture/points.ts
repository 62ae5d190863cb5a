/** The named points at which Bursar is killed, and the four lines on which they are seen. The product knows of none. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { ClientConfig } from "pg";
import { startEmbedded } from "../../src/store/embedded.ts";
import { commitReader, httpReader, Line, type Trap } from "./line.ts";
import type { Place } from "./processes.ts";

const POINTS = {
  /** A client's order has come whole; what is done about it has only begun. */
  order_arrives: { line: "orders", at: "ask", isPassedOn: true },
  /** Bursar has answered an order with 201, and the client does not get it. */
  order_unanswered: { line: "orders", at: "answer", isPassedOn: false },
  /** A payout's request has left Bursar, and the provider does not get it. */
  request_leaves: { line: "provider", at: "ask", isPassedOn: false },
  /** The provider has done what it was asked and answers; Bursar does not get it. */
  provider_accepted: { line: "provider", at: "answer", isPassedOn: false },
  /** The provider's answer has come; its outcome is not written yet. */
  answer_arrives: { line: "provider", at: "answer", isPassedOn: true },
  /** A callback has come whole; it is neither written nor answered. */
  callback_arrives: { line: "callbacks", at: "ask", isPassedOn: true },
  /** COMMIT has left Bursar, and PostgreSQL does not get it. */
  commit_sent: { line: "database", at: "ask", isPassedOn: false },
  /** PostgreSQL has committed and says so; Bursar does not get it, and nothing was done yet that waits for it. */
  commit_done: { line: "database", at: "answer", isPassedOn: false },
} as const satisfies Record<string, Pick<Trap, "at" | "isPassedOn"> & { line: string }>;

export type Point = keyof typeof POINTS;
export const POINT_NAMES = Object.keys(POINTS) as readonly Point[];

export const isDatabasePoint = (point: Point): boolean => POINTS[point].line === "database";

/** How often each point must have been hit after so many kills: half of what is to be expected. */
export function leastHits(kills: number): number {
  return Math.floor(kills / (4 * POINT_NAMES.length));
}

/** Every line on which something is seen, for as long as the campaign lasts: each keeps its port. */
export class Lines {
  readonly orders: Line;
  readonly provider: Line;
  readonly callbacks: Line;
  readonly database: Line;
  readonly #place: Place;

  private constructor(place: Place, [orders, provider, callbacks, database]: readonly [Line, Line, Line, Line]) {
    this.#place = place;
    this.orders = orders;
    this.provider = provider;
    this.callbacks = callbacks;
    this.database = database;
  }

  static async start(place: Place): Promise<Lines> {
    const at = (port: number) => ({ host: "127.0.0.1", port });
    const lines = await Promise.all([
      Line.start(
        at(place.httpPort),
        httpReader(/^(?:POST \/payout-invoices|PUT \/payout-requests\/[^ ]+) /, /^HTTP\/1\.1 201 /),
      ),
      Line.start(at(place.sandboxPort), httpReader(/^POST \/payouts /, /^HTTP\/1\.1 /)),
      Line.start(at(place.httpPort), httpReader(/^POST \/callbacks\//, /^HTTP\/1\.1 /)),
      Line.start(at(0), commitReader),
    ]);
    return new Lines(place, lines);
  }

  /** What Bursar is told so that callbacks come through their line: part of what it sends, so the same in each run. */
  get environment(): Readonly<Record<string, string>> {
    return { BURSAR_PUBLIC_URL: this.callbacks.url };
  }

  /** The same installation as one with a DATABASE_URL, which leads through the line. Starts PostgreSQL if need be. */
  async throughDatabase(): Promise<Readonly<Record<string, string>>> {
    const { dataDir } = this.#place;
    const { ownerConfig: owner } = await startEmbedded({ dataDir: join(dataDir, "postgres") });
    this.database.target = whereOf(owner);
    const password = typeof owner.password === "string" ? `:${encodeURIComponent(owner.password)}` : "";
    return {
      ...this.environment,
      DATABASE_URL: `postgres://${owner.user}${password}@127.0.0.1:${this.database.port}/${owner.database}`,
      BURSAR_MASTER_KEY: readFileSync(join(dataDir, "master.key"), "utf8").trim(),
      BURSAR_DEMO: "true",
    };
  }

  /** Calls `spring` in the instant in which the point is reached once more than `skip` times. False: not in time. */
  async until(at: Pick<Trap, "skip"> & { point: Point; limitMs: number }, spring: Trap["spring"]): Promise<boolean> {
    const { line: name, ...place } = POINTS[at.point];
    const line = this[name];
    const sprung = Promise.withResolvers<true>();
    line.set({
      ...place,
      skip: at.skip,
      spring: (cut) => {
        spring(cut);
        sprung.resolve(true);
      },
    });
    const timeOver = new AbortController();
    const late = sleep(at.limitMs, false, { signal: timeOver.signal }).catch(() => false);
    const isReached = await Promise.race([sprung.promise, late]);
    timeOver.abort();
    line.set(null);
    return isReached;
  }

  async close(): Promise<void> {
    await Promise.all([this.orders, this.provider, this.callbacks, this.database].map((line) => line.close()));
  }
}

/** A server on a Unix socket, or where paths are too long for one, on a port. */
function whereOf({ host = "", port = 0 }: ClientConfig) {
  return host.startsWith("/") ? { path: `${host}/.s.PGSQL.${port}` } : { host, port };
}
