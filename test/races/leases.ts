/**
 * A worker that stands still for longer than its lease while another one takes over. Nobody waits: the story is made
 * older in the database, and the clock of the one that stood still jumps as far.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { wakeHandler } from "../../src/engine/commands/wake.ts";
import type { HttpOutcome, Work } from "../../src/engine/ports.ts";
import { realClock, realTimer } from "../../src/engine/real.ts";
import { audit, effectivePerPayee, judgeEnds } from "./audit.ts";
import { BOOK, type Gateway, order, type Place, settled } from "./place.ts";
import { isSend, ProviderLine } from "./provider-line.ts";
import type { Tally } from "./tally.ts";

const AGE_MS = 60_000;
const WAIT_LIMIT_MS = 30_000;
const SETTLE_LIMIT_MS = 45_000;
const REFUSED: HttpOutcome = {
  kind: "answer",
  result: { status: 422, headers: {}, body: JSON.stringify({ error: "declined" }) },
};

interface Worker {
  readonly line: ProviderLine;
  readonly gateway: Gateway;
  /** Lets its clock jump. */
  sleep(ms: number): void;
}

async function until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = performance.now() + WAIT_LIMIT_MS;
  while (!(await holds())) {
    if (performance.now() > deadline) throw new Error(`not so after ${WAIT_LIMIT_MS} ms: ${what}`);
    await sleep(2);
  }
}

/** Everything that is said of an order, but for when to look at it again. */
async function storyOf(place: Place, name: string): Promise<string> {
  const rows = await place.rows<{ row: unknown }>(
    `with i as (select * from bursar.invoice where reference_id = $1),
       p as (select p.* from bursar.payout p join i on p.invoice_id = i.id)
     select to_jsonb(i) - 'destination' as row from i
     union all select to_jsonb(r) - 'destination' from bursar.request r join i on r.id = i.request_id
     union all (select to_jsonb(p) from p order by p.attempt)
     union all (select to_jsonb(e) from bursar.entry e
       where e.subject in (select id::text from p union select request_id from i) order by e.sequence)
     union all (select to_jsonb(o) from bursar.open_part o join i on o.request_id = i.request_id)`,
    [name],
  );
  return rows.map(({ row }) => JSON.stringify(row)).join("\n");
}

async function statusOf(place: Place, name: string): Promise<string> {
  const text = "select status from bursar.invoice where reference_id = $1";
  return (await place.rows<{ status: string }>(text, [name]))[0]?.status ?? "not there";
}

/** The lease is over; `isLong`: for so long that a request which left under it would be known. */
async function endLease(place: Place, name: string, isLong: boolean): Promise<Work> {
  const ofOrder =
    "in (select p.id from bursar.payout p join bursar.invoice i on p.invoice_id = i.id where i.reference_id = $1)";
  if (isLong) {
    await place.rows(
      `update bursar.payout p set first_send_time = first_send_time - $2 * interval '1 ms',
         last_leave_time = last_leave_time - $2 * interval '1 ms' where p.id ${ofOrder}`,
      [name, AGE_MS],
    );
  }
  const [work] = await place.rows<Work>(
    `update bursar.work w set due_time = clock_timestamp() - interval '1 second'
     where w.kind = 'payout' and w.subject::uuid ${ofOrder}
     returning organization_id as "organizationId", kind, subject, fence::float8 as fence,
       floor(extract(epoch from due_time) * 1000)::float8 as "dueTime"`,
    [name],
  );
  if (work === undefined) throw new Error(`${name} has a lease`);
  return work;
}

const takeOver = (worker: Worker, work: Work) =>
  worker.gateway.engine.run(BOOK, wakeHandler("payout"), work, { actor: "system" });

/** Inquiries about an order whose answers are written. */
async function inquiriesOf(place: Place, name: string): Promise<number> {
  const text = `select p.inquiries from bursar.payout p join bursar.invoice i on p.invoice_id = i.id
    where i.reference_id = $1`;
  return (await place.rows<{ inquiries: number }>(text, [name]))[0]?.inquiries ?? 0;
}

interface Bout {
  readonly place: Place;
  readonly slow: Worker;
  readonly quick: Worker;
  readonly name: string;
}

async function begin({ slow, name }: Bout): Promise<void> {
  const { status, text } = await slow.gateway.call("POST", "/payout-invoices", order("web_demo", name, { amount: 1 }));
  if (status !== 201) throw new Error(`${name}: ${status} ${text}`);
}

async function unchanged(bout: Bout, before: string, what: string): Promise<void> {
  const after = await storyOf(bout.place, bout.name);
  bout.place.faults.check(what, after === before, () => `${bout.name}: ${what} changed\n${before}\ninto\n${after}`);
}

/** It stands still between its commit and the socket. `isReplaced`: until another attempt has paid. */
async function standStill(bout: Bout, isReplaced: boolean): Promise<void> {
  const { place, slow, quick, name } = bout;
  let goOn: () => void = () => {};
  const pause = new Promise<void>((resolve) => (goOn = resolve));
  let isStanding = false;
  slow.line.before = async (asked) => {
    if (!isSend(asked)) return;
    isStanding = true;
    await pause;
  };
  const leftBefore = slow.line.left.filter(isSend).length;
  try {
    await begin(bout);
    await until(`${name} stands still`, () => isStanding);
    await takeOver(quick, await endLease(place, name, isReplaced));
    if (isReplaced)
      await until(`${name} is paid by another`, async () => (await statusOf(place, name)) === "processed");
    else await until(`${name} was asked about`, async () => (await inquiriesOf(place, name)) === 1);
    slow.sleep(AGE_MS);
    const before = await storyOf(place, name);
    goOn();
    await until(`${name}'s late worker has reported`, () => slow.line.underWay === 0);
    await slow.gateway.engine.run(BOOK, wakeHandler("payout"), NO_WORK, { actor: "system" });
    const left = slow.line.left.filter(isSend).length - leftBefore;
    place.faults.check("sends after the lease", left === 0, () => `${name} left after its lease was over`);
    await unchanged(bout, before, "late reports that nothing left");
  } finally {
    goOn();
    slow.line.before = async () => {};
  }
}

/** Queued behind what its engine still has to write; it changes nothing. */
const NO_WORK: Work = {
  organizationId: BOOK,
  kind: "payout",
  subject: "00000000-0000-7000-8000-000000000000",
  dueTime: 0,
  fence: 0,
};

/** Its request is out and paid; the answer comes when another one has asked. `instead`: and it says otherwise. */
async function hearLate(bout: Bout, instead: HttpOutcome | undefined): Promise<void> {
  const { place, slow, quick, name } = bout;
  slow.line.holds = isSend;
  if (instead !== undefined) quick.line.holds = (asked) => !isSend(asked);
  try {
    await begin(bout);
    await until(`${name} is sent`, () => slow.line.held.length > 0);
    await takeOver(quick, await endLease(place, name, false));
    if (instead === undefined) {
      await until(`${name} was asked about`, async () => (await statusOf(place, name)) === "processed");
    } else await until(`${name} is being asked about`, () => quick.line.held.length > 0);
    const before = await storyOf(place, name);
    const [answer] = slow.line.held.splice(0);
    answer?.release(instead);
    await sleep(0);
    await until(`${name}'s late answer is taken`, () => slow.line.underWay === 0);
    await slow.gateway.engine.run(BOOK, wakeHandler("payout"), NO_WORK, { actor: "system" });
    await unchanged(bout, before, instead === undefined ? "late answers" : "late refusals");
    const [work] = await place.rows<{ isDue: boolean }>(
      `select w.due_time <= clock_timestamp() as "isDue" from bursar.work w join bursar.payout p
         on p.id::text = w.subject join bursar.invoice i on i.id = p.invoice_id where i.reference_id = $1`,
      [name],
    );
    const wanted = instead === undefined ? undefined : true;
    place.faults.check("inquiries woken", work?.isDue === wanted, () => `${name}: work is due: ${work?.isDue}`);
  } finally {
    slow.line.open();
    quick.line.open();
  }
}

/** Each round one order of each kind. */
export async function raceLeases(place: Place, rounds: number): Promise<Tally> {
  let isFree = false;
  const after: typeof realTimer.after = (delayMs, task) => (isFree ? realTimer.after(delayMs, task) : () => {});
  const openWorker = async (): Promise<Worker> => {
    let asleepMs = 0;
    const line = new ProviderLine();
    const gateway = await place.open({
      hasCallbacks: false,
      timer: { after },
      clock: { monotonic: () => realClock.monotonic() + asleepMs },
      wrapHttp: (http) => line.wrap(http),
    });
    return { line, gateway, sleep: (ms) => void (asleepMs += ms) };
  };
  const [slow, quick] = [await openWorker(), await openWorker()];
  for (let round = 0; round < rounds; round++) {
    const bout = (kind: string): Bout => ({ place, slow, quick, name: `lease-${kind}-${round}` });
    await standStill(bout("taken-over"), false);
    await standStill(bout("replaced"), true);
    await hearLate(bout("paid"), undefined);
    await hearLate(bout("refused"), REFUSED);
    await endLease(place, `lease-taken-over-${round}`, true);
  }
  isFree = true;
  for (const { gateway } of [slow, quick]) gateway.engine.start();
  const open = await settled(place, SETTLE_LIMIT_MS);
  place.faults.check("all settled", open.length === 0, () => `not settled: ${open.join(", ")}`);
  const paid = [...(await effectivePerPayee(place)).values()].filter((effective) => effective === 1).length;
  place.faults.check("all paid", paid === 4 * rounds, () => `${paid} of ${4 * rounds} orders were paid once`);
  await audit(place);
  await judgeEnds(place);
  return place.faults.tally("leases", 4 * rounds);
}
