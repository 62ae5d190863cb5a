/**
 * One seed from its beginning to its verdicts: the engine and the connector of production, in as many processes as
 * the plan says, on a store in memory, a network and a provider that are simulated. Faults first, then none until
 * everything has come to rest.
 */
import type { Connector } from "../../src/connectors/contract.ts";
import { sandbox } from "../../src/connectors/sandbox/connector.ts";
import { Engine } from "../../src/engine/engine.ts";
import type { Changes, Store } from "../../src/engine/ports.ts";
import { createBook, createCallbackAddress } from "../../src/engine/provision.ts";
import { KEY_BYTES, Vault } from "../../src/engine/vault.ts";
import { type MemoryStore, memoryStore } from "../support/memory-store.ts";
import { Auditor } from "./judges/auditor.ts";
import { type Found, Tally } from "./judges/tally.ts";
import { Trace } from "./judges/trace.ts";
import { BareClient } from "./people/bare-clients.ts";
import { Client, drawWorkload, type Workload } from "./people/clients.ts";
import { Desk, type DeskWorld } from "./people/desk.ts";
import { Operators } from "./people/operators.ts";
import { furnish, organizationsOf, placesOf, type SimOrganization } from "./people/organizations.ts";
import { People } from "./people/people.ts";
import { Callbacks } from "./provider/callbacks.ts";
import { Provider } from "./provider/provider.ts";
import { DatabaseClock } from "./world/clock.ts";
import { Cluster } from "./world/cluster.ts";
import { Failover } from "./world/failover.ts";
import { Locks } from "./world/locks.ts";
import { httpPort } from "./world/network.ts";
import { drawPlan, type Plan } from "./world/plan.ts";
import type { SimStore } from "./world/postgres-store.ts";
import { describe } from "./world/process.ts";
import { Random } from "./world/random.ts";
import { Scheduler } from "./world/scheduler.ts";
import { storePort } from "./world/store-port.ts";
import { Weather } from "./world/weather.ts";

/** The simulated day begins at a fixed moment: milliseconds since 1970. */
const EPOCH = Date.UTC(2026, 0, 1);
/** Without faults, everything must rest within this time: after a restore a slow search of a hundred parts takes an hour. */
const LIVENESS_MS = 7_200_000;
/** Whatever is still on its way when everything rests arrives within this time. */
const TAIL_MS = 60_000;
const CHECK_EVERY = 32;
const PUBLIC_URL = "http://bursar.simulated";

export interface SimulationOptions {
  /** The connector under test; the sandbox's own unless a test wires a broken one. */
  readonly connector?: Connector;
  /** The store behind the processes; in memory unless this opens another. `now`: what its clock has to show. */
  readonly openStore?: (now: () => number) => Promise<SimStore>;
  /** Whether the database never goes back to an earlier commit: only the one in memory can. */
  readonly isSteady?: boolean;
  /** Told of every line of the trace. */
  readonly print?: (line: string) => void;
}

export interface Report {
  readonly seed: number;
  readonly plan: Plan;
  readonly hash: string;
  readonly steps: number;
  readonly payouts: number;
  readonly orders: number;
  /** Orders that ended, by the status of their invoice; `refused` and `moderated` beside it. */
  readonly ends: ReadonlyMap<string, number>;
  /** How long everything took to rest after the last fault, milliseconds. */
  readonly restedMs: number;
  readonly faults: ReadonlyMap<string, number>;
  readonly reached: ReadonlyMap<string, number>;
  readonly found: readonly Found[];
}

export async function simulate(seed: number, options: SimulationOptions = {}): Promise<Report> {
  const simulation = new Simulation(seed, options);
  await simulation.open();
  try {
    return await simulation.run();
  } finally {
    await simulation.close();
  }
}

function inMemory(store: MemoryStore): SimStore {
  return {
    commit: (organizations, options, body) => store.commit(organizations, options, body),
    due: (limit) => store.due(limit),
    rows: async (name) => store.rows(name),
    idle: () => null,
    close: async () => {},
  };
}

/** The connector of a provider that forgets a reference after so long, as its truth sheet says. */
function withRetention(connector: Connector, retentionMs: number | null): Connector {
  if (retentionMs === null) return connector;
  const { truth } = connector;
  return { ...connector, truth: { ...truth, reference: { ...truth.reference, retentionMs } } };
}

class Simulation {
  readonly #options: SimulationOptions;
  readonly #random: Random;
  readonly #plan: Plan;
  readonly #scheduler: Scheduler;
  readonly #tally: Tally;
  readonly #weather: Weather;
  readonly #memory: MemoryStore;
  #store: SimStore;
  readonly #vault: Vault;
  readonly #connector: Connector;
  readonly #organizations: readonly SimOrganization[];
  readonly #auditor: Auditor;
  readonly #provider: Provider;
  readonly #cluster: Cluster;
  readonly #callbacks: Callbacks;
  readonly #clock: DatabaseClock;
  readonly #workload: Workload;
  readonly #clients: readonly Client[];
  readonly #bareClients: readonly BareClient[];

  constructor(seed: number, options: SimulationOptions) {
    const random = new Random(`bursar ${seed}`);
    this.#options = options;
    this.#random = random;
    const plan = drawPlan(seed, random.stream("plan"));
    this.#plan = options.isSteady === true ? { ...plan, failover: null } : plan;
    const scheduler = new Scheduler(new Trace(options.print ?? null));
    this.#scheduler = scheduler;
    this.#tally = new Tally(() => scheduler.now);
    this.#weather = new Weather(this.#plan, random.stream("weather"), { scheduler, tally: this.#tally });
    this.#clock = new DatabaseClock(scheduler, EPOCH);
    this.#memory = memoryStore({ clock: this.#clock });
    this.#store = inMemory(this.#memory);
    const keys = random.stream("keys");
    this.#vault = new Vault(keys.bytes(KEY_BYTES), { bytes: (count) => keys.bytes(count) });
    this.#connector = withRetention(options.connector ?? sandbox, this.#plan.retentionMs);
    this.#workload = this.#drawWorkload();
    this.#organizations = this.#workload.organizations;
    this.#auditor = new Auditor(this.#tally, scheduler, placesOf(this.#organizations));
    this.#cluster = this.#buildCluster();
    this.#callbacks = this.#buildCallbacks();
    this.#provider = new Provider(
      {
        scheduler,
        weather: this.#weather,
        tally: this.#tally,
        now: () => EPOCH + scheduler.now,
        callBack: (callbackId, letter) => this.#callbacks.deliver(callbackId, letter),
      },
      this.#organizations.flatMap((each) => each.accounts),
      this.#auditor.oracle,
    );
    this.#auditor.oracle.watch(this.#provider);
    this.#clients = this.#buildClients();
    const desk = new Desk(this.#deskWorld("bare requests"));
    this.#bareClients = this.#workload.bare.map((order) => new BareClient(order, desk));
  }

  async open(): Promise<void> {
    const { openStore } = this.#options;
    if (openStore === undefined) return;
    this.#store = await openStore(() => this.#clock.now());
    this.#scheduler.outside = () => this.#store.idle();
  }

  close(): Promise<void> {
    return this.#store.close();
  }

  #drawWorkload(): Workload {
    const { payouts: count, safetyMs: withinMs, organizations, bare, splits } = this.#plan;
    const of = { count, withinMs, now: EPOCH, bare, splits };
    return drawWorkload(organizationsOf(organizations), of, this.#random.stream("workload").stream("orders"));
  }

  #deskWorld(name: string): DeskWorld {
    return {
      scheduler: this.#scheduler,
      weather: this.#weather,
      cluster: this.#cluster,
      tally: this.#tally,
      mirror: this.#auditor.mirror,
      oracle: this.#auditor.oracle,
      random: this.#random.stream(name),
      now: () => this.#clock.now(),
    };
  }

  #buildCluster(): Cluster {
    const stores = {
      store: {
        commit: (organizations, options, body) => this.#store.commit(organizations, options, body),
        due: (limit) => this.#store.due(limit),
      } satisfies Store,
      locks: new Locks(this.#scheduler),
      tally: this.#tally,
      weather: this.#weather,
      random: this.#random.stream("store"),
      delayMs: this.#plan.storeDelayMs,
      clock: this.#clock,
      committed: (changes: Changes) => this.#auditor.committed(changes),
    };
    const line = {
      scheduler: this.#scheduler,
      weather: this.#weather,
      tally: this.#tally,
      answer: (draft: Parameters<Provider["answer"]>[0]) => this.#provider.answer(draft),
      left: (draft: Parameters<Provider["answer"]>[0]) => this.#auditor.oracle.left(draft),
    };
    return new Cluster(
      {
        scheduler: this.#scheduler,
        weather: this.#weather,
        tally: this.#tally,
        publicUrl: PUBLIC_URL,
        vault: this.#vault,
        connectors: new Map([[this.#connector.name, this.#connector]]),
        storeOf: (process) => storePort(stores, process),
        httpOf: (process) => httpPort(line, process),
      },
      this.#random.stream("cluster"),
    );
  }

  #buildCallbacks(): Callbacks {
    const addresses = this.#organizations.flatMap(({ book, accounts }) =>
      accounts.map(({ accountId, callbackId }) => ({ organizationId: book, accountId, callbackId })),
    );
    return new Callbacks({ scheduler: this.#scheduler, cluster: this.#cluster, tally: this.#tally }, addresses);
  }

  #buildClients(): readonly Client[] {
    const workload = this.#random.stream("workload");
    const world = { scheduler: this.#scheduler, cluster: this.#cluster, tally: this.#tally, random: workload };
    return this.#workload.invoices.map((order) => new Client(order, world));
  }

  async run(): Promise<Report> {
    await this.#furnish();
    this.#cluster.start(this.#plan.processes);
    for (const client of [...this.#clients, ...this.#bareClients]) client.start();
    new People(this.#deskWorld("people"), this.#organizations).start();
    new Operators(this.#deskWorld("operators"), this.#organizations).start();
    this.#startFailover();
    this.#clock.startJumping({
      weather: this.#weather,
      random: this.#random.stream("clock"),
      mirror: this.#auditor.mirror,
    });
    await this.#scheduler.run(this.#plan.safetyMs, () => false);
    this.#weather.clear();
    await this.#scheduler.run(this.#plan.safetyMs + LIVENESS_MS, this.#restCheck());
    const rested = this.#scheduler.now;
    await this.#scheduler.run(rested + TAIL_MS, () => false);
    await this.#auditor.finish(this.#store, this.#clients, this.#bareClients);
    return this.#report(rested - this.#plan.safetyMs);
  }

  #startFailover(): void {
    const desk = new Desk(this.#deskWorld("recovery"));
    new Failover({
      inquire: (payout) => void desk.act({ kind: "inquire", about: payout, of: "payout" }),
      scheduler: this.#scheduler,
      weather: this.#weather,
      tally: this.#tally,
      random: this.#random.stream("failover"),
      clock: this.#clock,
      store: this.#memory,
      watched: this.#watchedStore(),
      auditor: this.#auditor,
      struck: (sinceMs) => this.#callbacks.repeatSince(sinceMs),
      clients: [...this.#clients, ...this.#bareClients],
    }).start();
  }

  /** Books, accounts and funds are made by an engine that nothing happens to. */
  async #furnish(): Promise<void> {
    const setup = this.#random.stream("setup");
    const store = this.#watchedStore();
    const engine = new Engine({
      ports: {
        store,
        clock: { monotonic: () => this.#scheduler.now },
        rng: { bytes: (count) => setup.bytes(count) },
        timer: { after: () => () => {} },
        http: { send: () => Promise.resolve({ kind: "not_sent", reason: "nothing is sent yet" }) },
      },
      vault: this.#vault,
      connectors: new Map([[this.#connector.name, this.#connector]]),
      publicUrl: () => PUBLIC_URL,
      isWorking: false,
      onBroken: (error, what) => this.#tally.judge("broken", `${what}: ${describe(error)}`),
    });
    for (const organization of this.#organizations) {
      const { book, accounts } = organization;
      await createBook(store, this.#vault, { id: book, name: book });
      for (const { accountId, callbackId } of accounts) {
        await createCallbackAddress(store, book, { id: accountId, callbackId });
      }
      await furnish(engine, organization, setup.stream(book));
    }
  }

  /** The store without its accidents, still shown to the auditor. */
  #watchedStore(): Store {
    return {
      commit: async (organizations, options, body) => {
        let saved: Changes | null = null;
        const result = await this.#store.commit(organizations, options, async (tx) => {
          const decided = await body(tx);
          saved = decided.changes;
          return decided;
        });
        if (saved !== null) this.#auditor.committed(saved);
        return result;
      },
      due: (limit) => this.#store.due(limit),
    };
  }

  /** Whether nothing is left to happen; looked at every few events only. */
  #restCheck(): () => boolean {
    let events = 0;
    return () => {
      events += 1;
      if (events % CHECK_EVERY !== 0) return false;
      const areDone = [...this.#clients, ...this.#bareClients].every((client) => client.isDone);
      return areDone && this.#auditor.isAtRest() && this.#provider.isAtRest();
    };
  }

  #report(restedMs: number): Report {
    this.#provider.countForgotten();
    const ends = new Map<string, number>();
    const end = (name: string): void => void ends.set(name, (ends.get(name) ?? 0) + 1);
    for (const client of this.#clients) if (client.invoiceId === null) end(client.isDone ? "refused" : "unanswered");
    const { mirror } = this.#auditor;
    for (const request of mirror.rows("request")) {
      if (request.invoiceId === null) end(`bare ${request.dispatchStatus}`);
    }
    for (const invoice of mirror.rows("invoice")) {
      end(invoice.moderationRequired ? `${invoice.status} in moderation` : invoice.status);
    }
    return {
      seed: this.#plan.seed,
      plan: this.#plan,
      hash: this.#scheduler.trace.digest(),
      steps: this.#scheduler.steps,
      orders: this.#clients.length + this.#bareClients.length,
      payouts: [...mirror.rows("payout")].length,
      ends,
      restedMs,
      faults: this.#tally.faults,
      reached: this.#tally.reached,
      found: this.#tally.found,
    };
  }
}
