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

const nameOf = (number: number): string => `stormy-${number}`;

/** A merchant's client: every order under a key of its own, repeated until it is answered. */
class Client {
  readonly answered = new Map<string, string>();
  unanswered = 0;
  readonly #place: Place;
  readonly #doors: readonly Gateway[];
  readonly #dice: Dice;
  /** How many orders have been begun. */
  begun = 0;
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

  /** The orders that were acknowledged, of those that were begun after so many. */
  since(begun: number): ReadonlyMap<string, string> {
    const late = Array.from({ length: this.begun - begun }, (_, index) => nameOf(begun + index + 1));
    return new Map([...this.answered].filter(([name]) => late.includes(name)));
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
      this.begun += 1;
      const name = nameOf(this.begun);
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

/** Waits until the session is gone; whether it stood in a transaction is what was seen of it just before. */
const END_ONE = `select pg_terminate_backend(pid, $2) as "isEnded", xact_start is not null as "isInside"
  from (select pid, xact_start from pg_stat_activity
    where datname = current_database() and usename = $1 and pid <> pg_backend_pid()
    order by xact_start is null, random() limit 1 offset 0) found`;
const END_LIMIT_MS = 2_000;

interface Ended {
  readonly sessions: number;
  /** Of them in a transaction: what it is all about. */
  readonly inside: number;
}

/** An administrator ends sessions, those in a transaction first, until some of them were. */
async function endSessions(place: Place, of: { dice: Dice; wanted: number; role: string }): Promise<Ended> {
  let sessions = 0;
  let inside = 0;
  const deadline = performance.now() + PHASE_LIMIT_MS;
  while ((sessions < of.wanted || inside === 0) && performance.now() < deadline) {
    const [found] = await place.rows<{ isEnded: boolean; isInside: boolean }>(END_ONE, [of.role, END_LIMIT_MS]);
    if (found?.isEnded === true) {
      sessions += 1;
      if (found.isInside) inside += 1;
    }
    await sleep(of.dice.below(40));
  }
  await phase(place, { name: "phases of ended sessions", wanted: of.wanted, count: () => sessions });
  await phase(place, { name: "phases with one in a transaction", wanted: 1, count: () => inside });
  return { sessions, inside };
}

/** Every order that was acknowledged is there, under the id that was told. Answers how many there are. */
async function findAll(place: Place, acknowledged: ReadonlyMap<string, string>, when: string): Promise<number> {
  const rows = await place.rows<{ id: string; name: string }>(
    `select id::text as id, reference_id as name from bursar.invoice
     where organization_id = $1 and reference_id = any ($2)`,
    [BOOK, [...acknowledged.keys()]],
  );
  const found = new Map(rows.map(({ id, name }) => [name, id]));
  const missing = [...acknowledged].filter(([name, text]) => found.get(name) !== idIn(text)).map(([name]) => name);
  place.faults.check(when, missing.length === 0, () => `${when}: not there are ${missing.slice(0, 5).join(", ")}`);
  return acknowledged.size - missing.length;
}

const idIn = (text: string): string => (JSON.parse(text) as { id: string }).id;

interface Crashed {
  /** Orders that were acknowledged before a crash and looked for after it, each after every crash. */
  readonly kept: number;
  /** Orders begun after a restart, acknowledged and found. */
  readonly fresh: number;
}

/**
 * Each crash comes upon orders that were acknowledged. When the server is back, all of them are there; and it goes on:
 * orders that were begun only then are acknowledged, and they are there, too.
 */
async function crash(place: Place, cluster: Cluster, of: { client: Client; dice: Dice; wanted: number }) {
  const { client, dice } = of;
  let crashed: Crashed = { kept: 0, fresh: 0 };
  for (let count = 1; count <= of.wanted; count++) {
    await sleep(100 + dice.below(200));
    await phase(place, { name: "crashes upon orders", wanted: 1, count: () => client.answered.size });
    const before = new Map(client.answered);
    await cluster.crash();
    const kept = await findAll(place, before, "orders there after a crash");
    const begun = client.begun;
    await phase(place, { name: "crashes survived", wanted: 1, count: () => client.since(begun).size });
    const fresh = await findAll(place, client.since(begun), "orders there after a restart");
    crashed = { kept: crashed.kept + kept, fresh: crashed.fresh + fresh };
  }
  return crashed;
}

async function judge(place: Place, client: Client): Promise<void> {
  const open = await settled(place, SETTLE_LIMIT_MS);
  place.faults.check("all settled", open.length === 0, () => `not settled: ${open.join(", ")}`);
  for (const [name, text] of client.answered) {
    const id = idIn(text);
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

/** Each round cuts commits off. */
export async function raceCommits(place: Place, cluster: Cluster, of: Weather): Promise<Tally> {
  const { rounds, seed } = of;
  const cuts: string[] = [];
  const again = await storm(place, { cluster, seed }, async ({ proxies, dice }) => {
    for (let round = 0; round < rounds; round++)
      cuts.push(...(await cutCommits(place, proxies, { dice, wanted: CUTS })));
  });
  const tally = place.faults.tally("commits", rounds);
  const lost = cuts.filter((cut) => cut === "answer_lost").length;
  const lines = { "answers to COMMIT cut off": lost, "COMMITs cut off": cuts.length - lost };
  return { ...tally, checked: { ...lines, "asked again": again, ...tally.checked } };
}

/** Each round ends sessions. */
export async function raceSessions(place: Place, cluster: Cluster, of: Weather): Promise<Tally> {
  const { rounds, seed } = of;
  const role = new pg.Client(cluster.appConfig).user ?? "";
  const ended: Ended[] = [];
  const again = await storm(place, { cluster, seed }, async ({ dice }) => {
    for (let round = 0; round < rounds; round++) {
      ended.push(await endSessions(place, { dice, wanted: ENDED_SESSIONS, role }));
    }
  });
  const tally = place.faults.tally("sessions", rounds);
  const sum = (count: (one: Ended) => number): number => ended.reduce((all, one) => all + count(one), 0);
  const sessions = { "sessions ended": sum((one) => one.sessions), "in a transaction": sum((one) => one.inside) };
  return { ...tally, checked: { ...sessions, "asked again": again, ...tally.checked } };
}

/** Each round crashes the server under load. */
export async function raceCrashes(place: Place, cluster: Cluster, of: Weather): Promise<Tally> {
  const { rounds, seed } = of;
  const crashed: Crashed[] = [];
  const again = await storm(place, { cluster, seed }, async ({ client, dice }) => {
    crashed.push(await crash(place, cluster, { client, dice, wanted: rounds * CRASHES }));
  });
  const tally = place.faults.tally("crashes", rounds);
  const [{ kept, fresh } = { kept: 0, fresh: 0 }] = crashed;
  const orders = { "found that were acknowledged before": kept, "begun after": fresh, "asked again": again };
  return { ...tally, checked: { ...orders, ...tally.checked } };
}
