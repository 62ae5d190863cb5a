/** What people see and how they act: rows as they stand, and commands that some process answers, or nobody does. */
import type { Refusal } from "../../../src/core/errors.ts";
import { formatMajor } from "../../../src/core/money/money.ts";
import type { Result } from "../../../src/core/result.ts";
import type { Cause, Handler } from "../../../src/engine/command.ts";
import type { ActBody } from "../../../src/engine/commands/act-executors.ts";
import { type ActOrder, type ActRows, moderate, secondWord } from "../../../src/engine/commands/moderation.ts";
import type { Tables } from "../../../src/engine/ports.ts";
import type { Mirror } from "../judges/mirror.ts";
import type { Oracle } from "../judges/oracle.ts";
import type { Tally } from "../judges/tally.ts";
import type { Cluster } from "../world/cluster.ts";
import type { Random } from "../world/random.ts";
import type { Scheduler } from "../world/scheduler.ts";
import type { Weather } from "../world/weather.ts";

export interface DeskWorld {
  readonly scheduler: Scheduler;
  readonly weather: Weather;
  readonly cluster: Cluster;
  readonly tally: Tally;
  readonly mirror: Mirror;
  readonly oracle: Oracle;
  readonly random: Random;
  /** The database's time, milliseconds since 1970. */
  now(): number;
}

/** What somebody does about a payout or an order. */
export interface Doing {
  readonly kind: ActOrder["kind"];
  readonly about: { readonly organizationId: string; readonly id: string; readonly version: number };
  readonly of: ActOrder["subjectKind"];
  readonly body?: ActBody;
}

const FIRST = { actor: "key:first" };
const SECOND = { actor: "key:second" };

export class Desk {
  readonly world: DeskWorld;

  constructor(world: DeskWorld) {
    this.world = world;
  }

  /** Null: no answer came. Refusals are counted. */
  async run<P, A>(book: string, handler: Handler<P, A>, payload: P, cause: Cause = FIRST): Promise<A | null> {
    const { cluster, tally } = this.world;
    const answer = await cluster.call<Result<A, Refusal>>(handler.name, (engine) =>
      engine.run(book, handler, payload, cause),
    );
    if (answer !== null && !answer.ok) tally.reach(`${handler.name} refused: ${answer.error.code}`);
    return answer?.ok === true ? answer.value : null;
  }

  async act({ kind, about, of, body }: Doing): Promise<ActRows | null> {
    const { organizationId: book, id: subject, version } = about;
    const order: ActOrder = { kind, subjectKind: of, subject, version, reason: "simulated", body: body ?? {} };
    const rows = await this.run(book, moderate, order);
    if (rows === null) return null;
    this.world.tally.reach(`act ${kind} ${rows.act.status}`);
    return rows;
  }

  confirm({ organizationId, id }: Tables["moderationAct"], word: "confirm" | "withdraw"): Promise<ActRows | null> {
    return this.run(organizationId, secondWord, { actId: id, version: null, word }, SECOND);
  }

  of<T extends "payout" | "request" | "invoice">(table: T, book: string): Tables[T][] {
    return [...this.world.mirror.rows(table)].filter((row) => row.organizationId === book);
  }

  /** The version that an act on an order names: its invoice's where there is one. */
  orderOf(request: Tables["request"]): Doing["about"] {
    const { organizationId, id, invoiceId } = request;
    const invoice = invoiceId === null ? null : this.world.mirror.get("invoice", [organizationId, invoiceId]);
    return { organizationId, id, version: invoice?.version ?? request.version };
  }

  /**
   * What the provider's book says about a payout, for a person who attaches it as evidence; null: nothing that would
   * still be true tomorrow. A person does not lie, and does not guess either.
   */
  truthAbout(payout: Tables["payout"]): ActBody | null {
    const { oracle, scheduler } = this.world;
    const operation = oracle.operationOf(payout);
    if (operation === undefined) {
      const intent = oracle.intents.find(payout.organizationId, payout.providerAccountId, payout.reference);
      const isOver = intent !== undefined && scheduler.now > intent.sentTime + NOTHING_ARRIVES_AFTER_MS;
      return isOver ? said("not_paid") : null;
    }
    if (operation.planned.size > 0) return null;
    const amount = (minor: bigint): string => formatMajor(minor, payout.currency);
    switch (operation.status) {
      case "failed":
      case "recalled":
        return said("not_paid");
      case "paid":
      case "paid_part":
        return operation.returnedMinor > 0n ? null : { ...said("paid"), amount: amount(operation.paidMinor) };
      case "returned":
      case "returned_part":
        return payout.processedMinor === operation.paidMinor
          ? { ...said("returned"), amount: amount(operation.returnedMinor) }
          : null;
      default:
        return null;
    }
  }
}

/** Lease, pause, way and late arrival, with something to spare. */
const NOTHING_ARRIVES_AFTER_MS = 30_000;

const said = (verdict: NonNullable<ActBody["verdict"]>): ActBody => ({ verdict, evidence: { kind: "provider-book" } });
