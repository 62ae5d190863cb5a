/**
 * The epoch of the database, its gate, and the list of what providers must be asked before the gate opens. Everything
 * here is an operator's: it runs as the owner of the database, never as the application.
 */
import { Client, type ClientConfig } from "pg";
import { lostEndOf, type Progress, whyNotOpen } from "../core/news/recovery.ts";
import { assert, err, ok, type Result } from "../core/result.ts";
import { addToList } from "./epoch/list.ts";

/** How long before the restore point a change may lie and still be inquired about, by default. */
export const MARGIN_MS = 60 * 60 * 1000;

/** Which database this is, as it has recorded itself. Times are the database's own spelling, in UTC. */
export interface Epoch {
  readonly number: number;
  readonly isOpen: boolean;
  readonly beganTime: string;
  readonly systemIdentifier: string | null;
  readonly timeline: number | null;
  readonly shutReason: string | null;
  /** The newest commit known from before; null until the list was made, or where nothing was there. */
  readonly restorePoint: string | null;
  readonly lostFrom: string | null;
  /** As a person has said; else when the epoch began. */
  readonly lostUntil: string;
  readonly isListed: boolean;
  /** Whether another database came before this one. */
  readonly isRecovering: boolean;
}

/** Something that was done about the epoch or its gate. */
export interface EpochAct {
  readonly time: string;
  readonly act: string;
  readonly person: string | null;
  readonly reason: string | null;
  readonly details: unknown;
}

/** A payout that still has to be inquired about. */
export interface Waiting {
  readonly organizationId: string;
  readonly payoutId: string;
  readonly providerAccountId: string;
  readonly reference: string;
  readonly status: string;
  readonly tries: number;
}

const STATE = `
  select number::text as "number", gate = 'open' as "isOpen", "time"::text as "beganTime",
    system_identifier as "systemIdentifier", timeline, shut_reason as "shutReason", restore_point::text as "restorePoint",
    lost_from::text as "lostFrom", coalesce(lost_until, "time")::text as "lostUntil", listed_time is not null as "isListed"
  from bursar.epoch`;

/**
 * One row for each listed payout: whether all that was asked about it has an answer, or news came by itself. What a
 * person has in hand counts once it was looked at in this epoch: asked about, or found to be beyond asking.
 */
const LISTED = `
  select p.organization_id, p.id, p.provider_account_id, p.reference, p.status,
    p.moderation_required and (max(c.tries) > 0 or not exists (
      select from bursar."work" w
      where w.organization_id = p.organization_id and w.kind = 'payout' and w.subject = p.id::text
        and w.due_time <= clock_timestamp())) as is_in_moderation,
    bool_and(c.state in ('absent', 'found'))
      or (p.updated_time >= to_timestamp($1) and not exists (
        select from bursar."work" w
        where w.organization_id = p.organization_id and w.kind = 'payout' and w.subject = p.id::text)) as is_inquired,
    max(c.tries) as tries
  from bursar."recovery_check" c
  join bursar."payout" p on p.organization_id = c.organization_id and p.id = c.payout_id
  where c.epoch = $1 and p.created_time < to_timestamp($1)
  group by p.organization_id, p.id`;

const PROGRESS = `
  select count(*)::int4 as listed, count(*) filter (where is_inquired)::int4 as inquired,
    count(*) filter (where not is_inquired and is_in_moderation)::int4 as "inModeration",
    count(*) filter (where not is_inquired and not is_in_moderation)::int4 as "toDo"
  from (${LISTED}) l`;

const WAITING = `
  select organization_id as "organizationId", id::text as "payoutId", provider_account_id as "providerAccountId",
    reference, status, tries
  from (${LISTED}) l where not is_inquired and not is_in_moderation order by organization_id, id limit $2`;

const ACTS = `
  select "time"::text as "time", act, person, reason, details from bursar.epoch_act where epoch = $1 order by id`;

/** The operator's view of the epoch, on one session. */
export class EpochDesk {
  readonly #client: Client;

  private constructor(client: Client) {
    this.#client = client;
  }

  /** Connects as the owner; this database has entered its epoch then. Rejects when it cannot be reached. */
  static async open(owner: ClientConfig): Promise<EpochDesk> {
    const client = new Client({ application_name: "bursar recover", ...owner });
    client.on("error", () => {}); // the next query says it
    await client.connect();
    try {
      await client.query("set timezone = 'UTC'; set statement_timeout = 0");
      await client.query("select from bursar.enter_epoch()");
      // Row-level security binds an owner who is no superuser as well.
      await client.query(
        "select set_config('bursar.organizations', coalesce(string_agg(id, ','), ''), false) from bursar.organization",
      );
    } catch (error) {
      await client.end();
      throw error;
    }
    return new EpochDesk(client);
  }

  close(): Promise<void> {
    return this.#client.end();
  }

  async epoch(): Promise<Epoch> {
    const { rows } = await this.#client.query<Omit<Epoch, "number" | "isRecovering"> & { number: string }>(STATE);
    const [row] = rows;
    assert(row !== undefined, "the database has one epoch");
    const number = Number(row.number);
    return { ...row, number, isRecovering: lostEndOf(number) !== null };
  }

  async acts(epoch: number): Promise<readonly EpochAct[]> {
    return (await this.#client.query<EpochAct>(ACTS, [epoch])).rows;
  }

  async progress(epoch: number): Promise<Progress> {
    const { rows } = await this.#client.query<Progress>(PROGRESS, [epoch]);
    assert(rows[0] !== undefined, "counting gives one row");
    return rows[0];
  }

  /** Payouts that have no answer yet, at most `limit`. */
  async waiting(epoch: number, limit: number): Promise<readonly Waiting[]> {
    return (await this.#client.query<Waiting>(WAITING, [epoch, limit])).rows;
  }

  /**
   * Makes the list of payouts to be inquired, once per epoch, and makes them all due. In batches, so that nobody waits
   * for long; one that was interrupted goes on.
   */
  async list(marginMs: number = MARGIN_MS): Promise<void> {
    const { number, isListed, isRecovering } = await this.epoch();
    if (isListed || !isRecovering) return;
    await addToList(this.#client, { epoch: number, marginMs });
  }

  /**
   * Opens the gate of the system. Refused until every listed payout was inquired with an answer, or is in moderation;
   * `force` does it nevertheless, and needs a person.
   */
  async openGate(why: { reason: string; person: string | null; force: boolean }): Promise<Result<null, string>> {
    const { number, isOpen, isListed, isRecovering } = await this.epoch();
    if (isOpen) return err("The gate of the system is open already.");
    const progress = await this.progress(number);
    const obstacle = isRecovering ? whyNotOpen(isListed, progress) : null;
    if (obstacle !== null && !why.force) return err(`The gate stays shut: ${obstacle}.`);
    const act = obstacle === null ? "opened" : "forced";
    if (act === "forced" && why.person === null) return err("Who forces the gate open must be named (--person).");
    // Another database may have answered since: then this is another epoch, and another gate.
    return this.#inEpoch(number, async () => {
      await this.#client.query("update bursar.epoch set gate = 'open', shut_reason = null");
      await this.#record(number, { act, ...why, details: progress });
    });
  }

  /** Shuts the gate of the system: nothing new is sent by anybody. */
  async shutGate(why: { reason: string; person: string | null }): Promise<Result<null, string>> {
    const { number, isOpen } = await this.epoch();
    if (!isOpen) return err("The gate of the system is shut already.");
    return this.#inEpoch(number, async () => {
      await this.#client.query("update bursar.epoch set gate = 'shut', shut_reason = $1", [why.reason]);
      await this.#record(number, { act: "shut", ...why, details: {} });
    });
  }

  /**
   * When the old database acted last, as a person knows. Later than the epoch began: that is a new epoch, numbered by
   * that time, whose list is made again, for what was asked before proves nothing about it. So a person can also say
   * that there was another database of which this one has noticed nothing.
   */
  async setLostUntil(time: Date, person: string | null): Promise<Result<null, string>> {
    const { number } = await this.epoch();
    const { rows } = await this.#client.query<{ isAhead: boolean; second: string }>(
      `select $1::timestamptz > clock_timestamp() as "isAhead", ceil(extract(epoch from $1::timestamptz))::text as second`,
      [time],
    );
    assert(rows[0] !== undefined, "a select without from gives one row");
    if (rows[0].isAhead) return err("The lost window cannot end in the future: stop the old system first.");
    const next = Math.max(number, Number(rows[0].second));
    return this.#inEpoch(number, async () => {
      await this.#client.query("update bursar.epoch set lost_until = $1", [time]);
      if (next > number) {
        const reason = "another database acted after this epoch began";
        await this.#client.query(
          "update bursar.epoch set number = $1, gate = 'shut', shut_reason = $2, listed_time = null",
          [next, reason],
        );
      }
      await this.#record(next, { act: "lost_until", person, reason: null, details: { time: time.toISOString() } });
    });
  }

  async #inEpoch(number: number, work: () => Promise<void>): Promise<Result<null, string>> {
    await this.#client.query("begin");
    try {
      const held = await this.#client.query("select from bursar.epoch where number = $1 for update", [number]);
      if (held.rowCount === 0) {
        await this.#client.query("rollback");
        return err("Another epoch has begun meanwhile: look again.");
      }
      await work();
      await this.#client.query("commit");
      return ok(null);
    } catch (error) {
      await this.#client.query("rollback");
      throw error;
    }
  }

  async #record(
    epoch: number,
    what: { act: string; person: string | null; reason: string | null; details: object },
  ): Promise<void> {
    await this.#client.query(
      "insert into bursar.epoch_act (epoch, act, person, reason, details) values ($1, $2, $3, $4, $5)",
      [epoch, what.act, what.person, what.reason, JSON.stringify(what.details)],
    );
  }
}

/** At a start: whether this is another database than before, and if so the list of what is to be inquired. */
export async function enterEpoch(owner: ClientConfig): Promise<void> {
  const desk = await EpochDesk.open(owner);
  try {
    await desk.list();
  } finally {
    await desk.close();
  }
}
