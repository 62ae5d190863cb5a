/**
 * A database on its worst days, under orders that a client repeats until they are answered: answers to COMMIT that are
 * cut off, sessions that an administrator ends, a server that crashes and comes back.
 */
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import { OutcomeUnknown, StoreUnavailable } from "../../src/core/faults.ts";
import { DatabaseProxy } from "../support/database-proxy.ts";
import { Dice } from "../torture/dice.ts";
import { audit, judgeEnds } from "./audit.ts";
import type { Cluster } from "./cluster.ts";
import { BOOK, type Gateway, order, type Place, type Reply, settled } from "./place.ts";
import type { Tally } from "./tally.ts";

const DOORS = 2;
const CLIENTS = 8;
const CUTS = 20;
const ENDED_SESSIONS = 20;
const CRASHES = 3;
const PHASE_LIMIT_MS = 30_000;
const REPEAT_PAUSE_MAX_MS = 60;
/** A lease that a crash has left behind ends after 15 s; then the provider is asked. */
const SETTLE_LIMIT_MS = 60_000;
/** So often an order that was answered is sent once more. */
const AGAIN = 0.2;

const isWeather = (error: unknown): boolean => error instanceof StoreUnavailable || error instanceof OutcomeUnknown;

/** A merchant's client: every order under a key of its own, repeated until it is answered. */
class Client {
  readonly answered = new Map<string, string>();
  unanswered = 0;
  readonly #place: Place;
  readonly #doors: readonly Gateway[];
  readonly #dice: Dice;
  #orders = 0;
  #isClosing = false;
  #workers: Promise<void>[] = [];

  constructor(place: Place, doors: readonly Gateway[], dice: Dice) {
    this.#place = place;
    this.#doors = doors;
    this.#dice = dice;
  }

  start(): void {
    this.#workers = Array.from({ length: CLIENTS }, () => this.#work());
  }

  /** Orders nothing new, and resolves when everything sent was answered. */
  async finish(): Promise<void> {
    this.#isClosing = true;
    await Promise.all(this.#workers);
  }

  /** Asks until there is an answer, at any door. */
  async ask(name: string, tries = 1_000): Promise<Reply | null> {
    const headers = { "idempotency-key": `key-${name}` };
    for (let left = tries; left > 0; left--) {
      const door = this.#doors[this.#dice.below(this.#doors.length)];
      if (door === undefined) throw new Error("there is a door");
      try {
        const body = order("web_demo", name, { amount: 0.1 });
        const reply = await door.call("POST", "/payout-invoices", body, headers);
        if (reply.status !== 503) return reply;
      } catch {
        // No whole answer: the order may be there or not.
      }
      this.unanswered += 1;
      await sleep(1 + this.#dice.below(REPEAT_PAUSE_MAX_MS));
    }
    return null;
  }

  async #work(): Promise<void> {
    while (!this.#isClosing) {
      this.#orders += 1;
      const name = `stormy-${this.#orders}`;
      const reply = await this.ask(name);
      if (reply?.status !== 201) {
        this.#place.faults.say(`${name} was answered ${reply?.status ?? "never"} ${reply?.text ?? ""}`);
        continue;
      }
      this.answered.set(name, reply.text);
      if (this.#dice.chance(AGAIN)) await this.repeat(name);
      await sleep(this.#dice.below(20));
    }
  }

  /** The same order once more has the same answer, byte for byte. */
  async repeat(name: string): Promise<void> {
    const reply = await this.ask(name);
    const told = this.answered.get(name);
    this.#place.faults.check("repeats", reply?.text === told, () => `${name}: told ${told}, then ${reply?.text}`);
  }
}

/** Counts up to `wanted`, or says that it was not to be. */
async function phase(place: Place, what: { name: string; wanted: number; count: () => number }): Promise<void> {
  const deadline = performance.now() + PHASE_LIMIT_MS;
  while (what.count() < what.wanted && performance.now() < deadline) await sleep(5);
  place.faults.check(
    what.name,
    what.count() >= what.wanted,
    () => `${what.name}: only ${what.count()} of ${what.wanted}`,
  );
}

/** At random commits the line breaks: before COMMIT arrives, or before its answer does. */
async function cutCommits(place: Place, proxies: readonly DatabaseProxy[], of: { dice: Dice; wanted: number }) {
  const cuts: string[] = [];
  let isOver = false;
  const arm = async (proxy: DatabaseProxy): Promise<void> => {
    await sleep(of.dice.below(25));
    if (isOver) return;
    const cut = of.dice.chance(0.7) ? "answer_lost" : "lost";
    proxy.onCut = () => {
      cuts.push(cut);
      void arm(proxy);
    };
    proxy.cut = cut;
  };
  for (const proxy of proxies) void arm(proxy);
  await phase(place, { name: "phases of cut commits", wanted: of.wanted, count: () => cuts.length });
  isOver = true;
  for (const proxy of proxies) proxy.cut = null;
  return cuts;
}

const END_ONE = `select pid, pg_terminate_backend(pid) as "isEnded", xact_start is not null as "isInside"
  from pg_stat_activity where datname = current_database() and usename = $1 and pid <> pg_backend_pid()
  order by xact_start is null, random() limit 1`;

/** An administrator ends sessions, those in a transaction first. */
async function endSessions(place: Place, of: { dice: Dice; wanted: number; role: string }): Promise<number> {
  let ended = 0;
  let inside = 0;
  const deadline = performance.now() + PHASE_LIMIT_MS;
  while (ended < of.wanted && performance.now() < deadline) {
    const [found] = await place.rows<{ isEnded: boolean; isInside: boolean }>(END_ONE, [of.role]);
    if (found?.isEnded === true) ended += 1;
    if (found?.isInside === true) inside += 1;
    await sleep(of.dice.below(40));
  }
  await phase(place, { name: "phases of ended sessions", wanted: of.wanted, count: () => ended });
  return inside;
}

async function crash(place: Place, cluster: Cluster, of: { client: Client; dice: Dice; wanted: number }) {
  for (let count = 1; count <= of.wanted; count++) {
    const before = of.client.answered.size;
    await sleep(100 + of.dice.below(200));
    await cluster.crash();
    // It goes on: orders are answered again.
    const more = () => Math.min(1, of.client.answered.size - before);
    await phase(place, { name: "crashes survived", wanted: 1, count: more });
  }
}

async function judge(place: Place, client: Client): Promise<void> {
  const open = await settled(place, SETTLE_LIMIT_MS);
  place.faults.check("all settled", open.length === 0, () => `not settled: ${open.join(", ")}`);
  for (const [name, text] of client.answered) {
    const { id } = JSON.parse(text) as { id: string };
    const found = await place.rows<{ id: string; status: string }>(
      "select id::text as id, status from bursar.invoice where organization_id = $1 and reference_id = $2",
      [BOOK, name],
    );
    const isThere = found.length === 1 && found[0]?.id === id && found[0].status === "processed";
    place.faults.check("acknowledged orders", isThere, () => `${name} was told ${id}, found ${JSON.stringify(found)}`);
    await client.repeat(name);
  }
  await audit(place);
  await judgeEnds(place);
}

interface Storm {
  readonly client: Client;
  readonly proxies: readonly DatabaseProxy[];
  readonly dice: Dice;
}

/** Orders all the time while `weather` goes on; then everything is judged. Counts what was asked again. */
async function storm(
  place: Place,
  of: { readonly cluster: Cluster; readonly seed: number },
  weather: (storm: Storm) => Promise<void>,
): Promise<number> {
  const { cluster } = of;
  const dice = new Dice(of.seed);
  const proxies: DatabaseProxy[] = [];
  const doors: Gateway[] = [];
  const client = new Client(place, doors, dice);
  try {
    for (let door = 0; door < DOORS; door++) {
      const proxy = await DatabaseProxy.start(cluster.appConfig);
      proxies.push(proxy);
      doors.push(await place.open({ config: proxy.through(cluster.appConfig), isWeather }));
    }
    for (const { engine } of doors) engine.start();
    client.start();
    await weather({ client, proxies, dice });
    await client.finish();
    await judge(place, client);
  } finally {
    await client.finish();
    for (const { close } of doors) await close();
    for (const proxy of proxies) await proxy.close();
  }
  return client.unanswered;
}

interface Weather {
  readonly rounds: number;
  readonly seed: number;
}

/** Each round cuts commits off, then ends sessions. */
export async function raceCommits(place: Place, cluster: Cluster, of: Weather): Promise<Tally> {
  const { rounds, seed } = of;
  const role = new pg.Client(cluster.appConfig).user ?? "";
  const cuts: string[] = [];
  let inside = 0;
  const again = await storm(place, { cluster, seed }, async ({ proxies, dice }) => {
    for (let round = 0; round < rounds; round++) {
      cuts.push(...(await cutCommits(place, proxies, { dice, wanted: CUTS })));
      inside += await endSessions(place, { dice, wanted: ENDED_SESSIONS, role });
    }
  });
  const tally = place.faults.tally("commits", rounds);
  const lost = cuts.filter((cut) => cut === "answer_lost").length;
  const lines = { "answers to COMMIT cut off": lost, "COMMITs cut off": cuts.length - lost };
  const sessions = { "sessions ended": rounds * ENDED_SESSIONS, "in a transaction": inside };
  return { ...tally, checked: { ...lines, ...sessions, "asked again": again, ...tally.checked } };
}

/** Each round crashes the server under load. */
export async function raceCrashes(place: Place, cluster: Cluster, of: Weather): Promise<Tally> {
  const { rounds, seed } = of;
  const again = await storm(place, { cluster, seed }, ({ client, dice }) =>
    crash(place, cluster, { client, dice, wanted: rounds * CRASHES }),
  );
  const tally = place.faults.tally("crashes", rounds);
  return { ...tally, checked: { "asked again": again, ...tally.checked } };
}
