/** Pairs of commands about one story, from two engines, in orders of their statements that a seed draws. */
import { setTimeout as sleep } from "node:timers/promises";
import { realTimer } from "../../src/engine/real.ts";
import { Dice } from "../torture/dice.ts";
import { audit, judgeEnds } from "./audit.ts";
import { interleave, Side } from "./interleave.ts";
import { PERFORM } from "./pair-acts.ts";
import { ACTS, begin, isForged, PAIRS, type Pair, type Player, quiet } from "./pair-story.ts";
import type { Gateway, Json, Place } from "./place.ts";
import { ProviderLine } from "./provider-line.ts";
import type { Tally } from "./tally.ts";
import { callWitness, hearWitness } from "./witness.ts";

const SETTLE_LIMIT_MS = 45_000;
const SETTLE_POLL_MS = 100;

export interface PairsOptions {
  readonly rounds: number;
  readonly seed: number;
  /** So many pairs each round, drawn by the seed; absent: all of them. */
  readonly sample?: number;
}

const LOCK_WAITS = `select count(*)::int4 as count from pg_stat_activity
  where datname = current_database() and wait_event_type = 'Lock'`;

interface Drawn {
  readonly pair: Pair;
  readonly order: string;
  readonly waits: number;
  readonly answers: readonly string[];
}

async function runPair(
  place: Place,
  players: readonly [Player, Player],
  of: { pair: Pair; name: string; dice: Dice },
): Promise<Drawn> {
  const { pair, name, dice } = of;
  const story = await begin(place, players, of);
  await quiet(place, players, name);
  const isSomebodyBlocked = async () => ((await place.rows<{ count: number }>(LOCK_WAITS))[0]?.count ?? 0) > 0;
  const acts = players.map(async (player, at) => {
    const act = pair[at] ?? "create";
    player.side.arm();
    try {
      return await PERFORM[act]({ place, player, story });
    } catch (error) {
      return `500 ${String(error)}`;
    } finally {
      player.side.disarm();
    }
  });
  const drawn = await interleave(
    dice,
    players.map(({ side }) => side),
    isSomebodyBlocked,
  );
  const answers = await Promise.all(acts);
  const what = `${pair.join(" and ")} (${name}; ${drawn.order}): ${answers.join(", ")}`;
  place.faults.check("pairs", !answers.some((answer) => answer.startsWith("5")), () => what);
  const before = place.faults.all.length;
  await quiet(place, players, name);
  await audit(place);
  await hearWitness(place);
  for (const { line } of players) line.open();
  await quiet(place, players, name);
  await openGates(place, players[0].gateway);
  if (place.faults.all.length > before) place.faults.say(`  met at ${what}`);
  return { ...drawn, pair, answers };
}

/** What a pair has shut, by itself or by what it said of a payout, must not stand in the way of the next. */
async function openGates(place: Place, gateway: Gateway): Promise<void> {
  const shut = await place.rows<Json>(
    `select 'organization' as scope from bursar.organization_lock where gate <> 'open'
     union all select 'currency' from bursar.organization_lock where 'USD' = any (shut_currencies)`,
  );
  const accounts = await place.rows<Json>(
    `select 'provider_account' as scope, id as "providerAccountId" from bursar.provider_account where gate <> 'open'`,
  );
  for (const gate of [...shut, ...accounts]) {
    const members = gate["scope"] === "currency" ? { ...gate, currency: "USD" } : gate;
    const { status, text } = await gateway.call("POST", "/gates", { ...members, gate: "open", reason: "The next." });
    if (status !== 200) throw new Error(`a gate stays shut: ${status} ${text}`);
  }
}

const GOING = `select format('%s of %s is %s', id, request_id, status) as what from bursar.payout
  where status in ('INVOKING', 'PROCESSING', 'PENDING', 'REVOKING', 'REVOKE_FAILED', 'CANCELLING')
    or (status in ('CREATED', 'READY') and not is_manual)
  union all select format('%s is %s', reference_id, status) from bursar.invoice
  where status in ('processing', 'process_pending', 'refunding', 'refund_pending') limit 10`;

/** Waits until nothing is under way, orders and bare requests alike. */
async function rest(place: Place): Promise<void> {
  const deadline = performance.now() + SETTLE_LIMIT_MS;
  let open = await place.rows<{ what: string }>(GOING);
  while (open.length > 0 && performance.now() < deadline) {
    await sleep(SETTLE_POLL_MS);
    open = await place.rows<{ what: string }>(GOING);
  }
  place.faults.check("all settled", open.length === 0, () => `not settled: ${open.map(({ what }) => what).join(", ")}`);
}

/** What a change has blocked goes on, what was allocated is sent, and what is due is looked at until all has ended. */
async function settle(place: Place, players: readonly Player[], isForgedName: (name: string) => boolean) {
  const [player] = players;
  const blocked = await place.rows<Json>(
    `select id, customer_id as "customerId", website_id as "websiteId", amount_minor::float8 / 100 as amount
     from bursar.request where blocked`,
  );
  for (const { id, ...members } of blocked) {
    await player?.gateway.call("PUT", `/payout-requests/${String(id)}`, {
      currency: "USD",
      blocked: false,
      ...members,
    });
  }
  for (const { gateway } of players) gateway.engine.start();
  await rest(place);
  const planned = await place.rows<{ id: string }>(
    "select id::text as id from bursar.payout where status = 'READY' and is_manual and not moderation_required",
  );
  for (const { id } of planned) {
    await player?.gateway.call("PATCH", `/payout-request-allocations/${id}`, { status: "processing" });
  }
  await rest(place);
  await audit(place);
  await hearWitness(place, true);
  await judgeEnds(place, isForgedName);
}

/** The pairs of one round. */
function draw(dice: Dice, sample: number | undefined): readonly Pair[] {
  if (sample === undefined) return PAIRS;
  const left = [...PAIRS];
  return Array.from({ length: Math.min(sample, PAIRS.length) }, () => left.splice(dice.below(left.length), 1)).flat();
}

/** Nothing is proved by a command that is always refused: how often each was done. */
function countDone(place: Place, all: readonly Drawn[]): void {
  const isDone = (answer: string | undefined): boolean => /^(2|heard|written|woken)/.test(answer ?? "");
  for (const act of ACTS) {
    const times = all.flatMap(({ pair, answers }) =>
      answers.filter((answer, at) => pair[at] === act && isDone(answer)),
    );
    const isTried = all.some(({ pair }) => pair.includes(act));
    if (isTried) place.faults.check("commands that were done", times.length > 0, () => `${act} was never done`);
  }
}

/** Two engines that do nothing by themselves until they are free. */
async function openPlayers(place: Place, isFree: () => boolean): Promise<readonly [Player, Player]> {
  const after: typeof realTimer.after = (delayMs, task) => (isFree() ? realTimer.after(delayMs, task) : () => {});
  const open = async (name: string): Promise<Player> => {
    const [side, line] = [new Side(name), new ProviderLine()];
    const gateway = await place.open({
      hasCallbacks: false,
      timer: { after },
      wrapStore: (store) => side.wrap(store),
      wrapHttp: (http) => line.wrap(http),
    });
    return { side, line, gateway };
  };
  return [await open("a"), await open("b")];
}

/** Every pair, or a sample of them, so often, each time in another order of statements. */
export async function racePairs(place: Place, { rounds, seed, sample }: PairsOptions): Promise<Tally> {
  const dice = new Dice(seed);
  let isFree = false;
  const players = await openPlayers(place, () => isFree);
  await callWitness(place);
  const orders = new Set<string>();
  const forged = new Set<string>();
  const done: Drawn[] = [];
  try {
    for (let round = 0; round < rounds; round++) {
      for (const pair of draw(dice, sample)) {
        const name = `${pair.join("_")}_${round}`;
        // The provider never pays an order of which it says both.
        if (isForged(pair)) forged.add(name);
        const drawn = await runPair(place, players, { pair, name, dice });
        orders.add(drawn.order);
        done.push(drawn);
      }
    }
  } finally {
    // An engine does not stop while it waits for an answer.
    for (const { line } of players) line.open();
  }
  if (sample === undefined) countDone(place, done);
  isFree = true;
  await settle(place, players, (payee) => forged.has(payee.replace(/~.*$/, "")));
  const tally = place.faults.tally("pairs", done.length);
  const waits = done.reduce((sum, { waits: some }) => sum + some, 0);
  const share = `${Math.min(sample ?? PAIRS.length, PAIRS.length)} of ${PAIRS.length} pairs a round`;
  return { ...tally, share, checked: { "orders drawn": orders.size, "lock waits": waits, ...tally.checked } };
}
