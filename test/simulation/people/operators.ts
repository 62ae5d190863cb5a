/** Operators: routes, limits, gates and schemes change while orders are under way, and stand as they were afterwards. */
import { shutGate } from "../../../src/engine/commands/gates.ts";
import { changeRoute } from "../../../src/engine/commands/payout-routes.ts";
import { reviseScheme } from "../../../src/engine/commands/schemes.ts";
import type { Tables } from "../../../src/engine/ports.ts";
import { Desk, type DeskWorld } from "./desk.ts";
import { CURRENCIES, leafOf, type SimOrganization, serviceOf } from "./organizations.ts";

const MINUTE_MS = 60_000;
const REPAIR_MS = 5_000;

export class Operators {
  readonly #desk: Desk;
  readonly #world: DeskWorld;
  readonly #organizations: readonly SimOrganization[];

  constructor(world: DeskWorld, organizations: readonly SimOrganization[]) {
    this.#world = world;
    this.#desk = new Desk(world);
    this.#organizations = organizations;
  }

  start(): void {
    const { weather, random, scheduler } = this.#world;
    const perMinute = weather.plan.faults.configuration;
    if (perMinute === 0) return;
    scheduler.after(random.between(1, Math.floor((2 * MINUTE_MS) / perMinute)), null, "", () => {
      if (!weather.isStormy) {
        this.#repair();
        return;
      }
      weather.inflict("configuration", null);
      this.#change(random.pick(this.#organizations).book);
      this.start();
    });
  }

  #routes(book: string): Tables["route"][] {
    return [...this.#world.mirror.rows("route")].filter((row) => row.organizationId === book);
  }

  #change(book: string): void {
    const { random } = this.#world;
    const what = random.pick(["route", "route", "limit", "account gate", "gate", "scheme"] as const);
    switch (what) {
      case "route":
        this.#changeRoute(random.pick(this.#routes(book)), { isEnabled: random.chance(0.5) });
        return;
      case "limit":
        this.#changeRoute(random.pick(this.#routes(book)), {
          maxAmount: random.chance(0.5) ? null : String(random.between(20, 5_000)),
        });
        return;
      case "account gate":
      case "gate": {
        const providerAccountId = what === "gate" ? null : random.pick(["pacc_1", "pacc_2"]);
        void this.#desk.run(book, shutGate, { providerAccountId, currency: null, reason: "simulated" });
        return;
      }
      case "scheme":
        this.#revise(book);
    }
  }

  #changeRoute(route: Tables["route"], order: { isEnabled?: boolean; maxAmount?: string | null }): void {
    const { organizationId, id, version } = route;
    void this.#desk.run(organizationId, changeRoute, { id, version, order, problems: [] });
  }

  #revise(book: string): void {
    const { mirror, random } = this.#world;
    const schemes = [...mirror.rows("scheme")].filter((row) => row.organizationId === book && row.kind === "routing");
    const version = Math.max(...schemes.map((row) => row.revision));
    const services = Object.fromEntries(CURRENCIES.map((each) => [serviceOf(each), leafOf(each, random)]));
    const order = { body: { services } };
    const payload = { kind: "routing" as const, id: "routing_1", version, order, problems: [] };
    void this.#desk.run(book, reviseScheme, payload);
  }

  /** Every route is open again, else money might wait for ever. */
  #repair(): void {
    const shut = [...this.#world.mirror.rows("route")].filter((row) => !row.isEnabled);
    for (const row of shut) this.#changeRoute(row, { isEnabled: true });
    if (shut.length > 0) this.#world.scheduler.after(REPAIR_MS, null, "", () => this.#repair());
  }
}
