/** The merchants: each order is sent until it is answered, always under the same referenceId, sometimes once more. */
import type { Refusal } from "../../../src/core/errors.ts";
import type { Result } from "../../../src/core/result.ts";
import type { InvoiceOrder } from "../../../src/engine/commands/invoice-order.ts";
import { createInvoice, type InvoiceRows, processInvoice } from "../../../src/engine/commands/invoices.ts";
import type { Tally } from "../judges/tally.ts";
import type { Cluster } from "../world/cluster.ts";
import type { Random } from "../world/random.ts";
import type { Scheduler } from "../world/scheduler.ts";
import { type BareOrder, instrumentIds } from "./bare-clients.ts";
import { CURRENCIES, type SimInstrument, type SimOrganization, serviceOf } from "./organizations.ts";

const RETRY_MS = 3_000;
const SECOND_MS = 1_000;
const ACTOR = { actor: "key:simulation" };

/** What is drawn of the orders of a seed. */
export interface Workload {
  readonly invoices: readonly Order[];
  readonly bare: readonly BareOrder[];
  /** The books, with the instruments that their requests choose from. */
  readonly organizations: readonly SimOrganization[];
}

export interface Order {
  readonly name: string;
  readonly book: string;
  readonly body: InvoiceOrder;
  /** When it is first sent, milliseconds since the beginning. */
  readonly startMs: number;
  /** Whether it is sent again after its answer. */
  readonly isRepeated: boolean;
}

export interface ClientWorld {
  readonly scheduler: Scheduler;
  readonly cluster: Cluster;
  readonly tally: Tally;
  readonly random: Random;
}

export interface WorkloadSize {
  readonly count: number;
  readonly withinMs: number;
  /** The time of the beginning, milliseconds since 1970. */
  readonly now: number;
  /** Shares of the orders: bare requests, and invoices that may be split. */
  readonly bare: number;
  readonly splits: number;
}

/** Draws the orders of a seed. */
export function drawWorkload(organizations: readonly SimOrganization[], of: WorkloadSize, random: Random): Workload {
  const invoices: Order[] = [];
  const bare: BareOrder[] = [];
  for (let index = 1; index <= of.count; index += 1) {
    const name = `order-${index}`;
    const organization = random.pick(organizations);
    if (random.chance(of.bare)) bare.push(drawBare(name, organization, { of, random }));
    else invoices.push(drawInvoice(name, organization, { of, random }));
  }
  const withInstruments = organizations.map((each) => ({
    ...each,
    instruments: bare.filter(({ book }) => book === each.book).flatMap(instrumentsOf),
  }));
  return { invoices, bare, organizations: withInstruments };
}

function instrumentsOf({ name, currency }: BareOrder): readonly SimInstrument[] {
  const [first, second] = instrumentIds(name);
  return [
    { id: first, currency, account: `payee of ${name}` },
    { id: second, currency, account: `payee of ${name} (2)` },
  ];
}

interface Drawing {
  readonly of: WorkloadSize;
  readonly random: Random;
}

function drawBare(name: string, organization: SimOrganization, { of, random }: Drawing): BareOrder {
  return {
    name,
    book: organization.book,
    websiteId: organization.websiteId,
    currency: random.pick(CURRENCIES),
    amount: figure(random),
    startMs: random.between(0, Math.floor(of.withinMs * 0.6)),
    isBlocked: random.chance(0.15),
    hasInstrument: random.chance(0.7),
  };
}

function drawInvoice(name: string, organization: SimOrganization, { of, random }: Drawing): Order {
  const startMs = random.between(0, Math.floor(of.withinMs * 0.8));
  const isManual = random.chance(0.15);
  // Whatever waits for a command that is never given must end by itself within the simulation.
  const isShort = isManual || random.chance(0.15);
  const expiresTime = of.now + startMs + random.between(5, 90) * SECOND_MS;
  const isSplit = random.chance(of.splits);
  return {
    name,
    book: organization.book,
    startMs,
    isRepeated: random.chance(0.2),
    body: {
      referenceId: name,
      websiteId: organization.websiteId,
      ...amountOf(random),
      fields: { account: `payee of ${name}` },
      // After a restore every attempt of a hundred parts is searched for.
      attemptsLimit: random.between(1, isSplit ? 3 : 6),
      ...(random.chance(0.3) ? { allowPartially: true } : {}),
      ...(isSplit ? { splitMode: true, parallelMode: random.chance(0.5) } : {}),
      ...(isManual ? { autoprocess: false } : {}),
      ...(isShort ? { expiresTime } : {}),
    },
  };
}

/** Same currency or across two; the account's amount or the payee's; now and then more than there is. */
function amountOf(random: Random): Pick<InvoiceOrder, "currency" | "service" | "amount" | "serviceAmount"> {
  const currency = random.pick(CURRENCIES);
  const service = serviceOf(random.pick(CURRENCIES));
  const text = figure(random);
  return { currency, service, ...(random.chance(0.7) ? { amount: text } : { serviceAmount: text }) };
}

function figure(random: Random): string {
  const whole = random.chance(0.03) ? 5_000_000 : random.between(5, random.pick([20, 500, 20_000]));
  return `${whole}.${String(random.between(0, 99)).padStart(2, "0")}`;
}

export class Client {
  readonly order: Order;
  /** The id that a 201 named; null: none was received. */
  invoiceId: string | null = null;
  isDone = false;
  readonly #world: ClientWorld;
  #isRepeating: boolean;
  /** Answers from before the database forgot are worth nothing. */
  #era = 1;

  constructor(order: Order, world: ClientWorld) {
    this.order = order;
    this.#world = world;
    this.#isRepeating = order.isRepeated;
  }

  start(): void {
    this.#world.scheduler.after(this.order.startMs, null, "", () => {
      if (this.#era === 1) this.#create();
    });
  }

  /** The database may have forgotten the order: what it has answered until now is worth nothing. */
  forget(): void {
    this.#era += 1;
    this.invoiceId = null;
    this.isDone = false;
  }

  /** Sends the order again, under the same referenceId. */
  repeat(): void {
    this.#create();
  }

  #create(): void {
    const { book, name, body } = this.order;
    const era = this.#era;
    const create = this.#world.cluster.call(`create ${name}`, (engine) =>
      engine.run(book, createInvoice, { order: body, problems: [] }, ACTOR),
    );
    void create.then((answer) => {
      if (era === this.#era) this.#created(answer);
    });
  }

  #created(answer: Result<InvoiceRows, Refusal> | null): void {
    const { tally, scheduler } = this.#world;
    const { name, body } = this.order;
    if (answer === null) {
      tally.reach("order repeated");
      this.#later(() => this.#create());
      return;
    }
    scheduler.note(null, `${name} is answered ${answer.ok ? 201 : answer.error.code}`);
    if (!answer.ok) {
      if (this.invoiceId !== null) tally.judge("lost", `${name} was taken and is refused now: ${answer.error.code}`);
      this.isDone = true;
      return;
    }
    const { id } = answer.value.invoice;
    if (this.invoiceId !== null && this.invoiceId !== id) tally.judge("lost", `${name} is another invoice now`);
    this.invoiceId = id;
    if (this.#isRepeating) {
      this.#isRepeating = false;
      this.#later(() => this.#create());
    } else if (body.autoprocess === false) this.#process(id);
    else this.isDone = true;
  }

  /** Any answer ends it: taken, or not in a status in which it can be processed any more. */
  #process(invoiceId: string): void {
    const { book, name } = this.order;
    const era = this.#era;
    const process = this.#world.cluster.call(`process ${name}`, (engine) =>
      engine.run(book, processInvoice, { invoiceId, acceptQuote: false }, ACTOR),
    );
    void process.then((answer) => {
      if (era !== this.#era) return;
      if (answer === null) this.#later(() => this.#process(invoiceId));
      else this.isDone = true;
    });
  }

  #later(task: () => void): void {
    this.#world.scheduler.after(this.#world.random.between(1, RETRY_MS), null, "", task);
  }
}
