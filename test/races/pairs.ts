/** Pairs of commands about one story, from two engines, in orders of their statements that a seed draws. */
import { setTimeout as sleep } from "node:timers/promises";
import { providerReference, sha256 } from "../../src/core/ids.ts";
import { hearCallback } from "../../src/engine/commands/callback.ts";
import { wakeHandler } from "../../src/engine/commands/wake.ts";
import type { Work } from "../../src/engine/ports.ts";
import { realTimer } from "../../src/engine/real.ts";
import { Dice } from "../torture/dice.ts";
import { audit, judgeEnds } from "./audit.ts";
import { interleave, Side } from "./interleave.ts";
import { BOOK, type Gateway, movement, order, type Place, settled, website } from "./place.ts";
import { isSend, ProviderLine } from "./provider-line.ts";
import type { Tally } from "./tally.ts";

const ACTS = ["create", "process", "terminate", "paid", "failed", "outcome", "wake", "withdraw", "change"] as const;
type Act = (typeof ACTS)[number];
type Pair = readonly [Act, Act];

/** Every unordered pair, and each command against itself. */
export const PAIRS: readonly Pair[] = ACTS.flatMap((one, at) => ACTS.slice(at).map((other): Pair => [one, other]));

const SETTLE_LIMIT_MS = 45_000;
const QUIET_LIMIT_MS = 10_000;
const WRITEOFF = 10.1;
const CAUSE = { actor: "system" };

interface Player {
  readonly side: Side;
  readonly line: ProviderLine;
  readonly gateway: Gateway;
}

/** What both commands are about. */
interface Story {
  readonly name: string;
  readonly shop: string;
  readonly scenario: string;
  /** Whether it waits to be processed when the race begins. */
  readonly isWaiting: boolean;
  readonly invoiceId: string | null;
  readonly withdrawal: { readonly approve: string; readonly tag: string };
  readonly work: Work | null;
  readonly reference: string;
}

const isIn = (pair: Pair, ...acts: readonly Act[]): boolean => acts.some((act) => pair.includes(act));

/** Where the story stands at the start: not there yet, waiting to be processed, or with its send under way. */
function startOf(pair: Pair): "nothing" | "waiting" | "sent" {
  if (isIn(pair, "outcome")) return "sent";
  if (isIn(pair, "process")) return "waiting";
  return isIn(pair, "create") && !isIn(pair, "terminate", "wake", "change") ? "nothing" : "sent";
}

const bodyOf = (story: Pick<Story, "name" | "shop" | "scenario" | "isWaiting">) =>
  order(story.shop, story.name, {
    fields: { account: story.name, test_details_scenario: story.scenario },
    ...(story.isWaiting ? { autoprocess: false } : {}),
  });

/** The reference of a story's first payout: it follows from the merchant's own names. */
function referenceOf(gateway: Gateway, shop: string, name: string): string {
  const truth = gateway.engine.connectors.get("sandbox")?.truth;
  if (truth === undefined) throw new Error("there is a sandbox connector");
  return providerReference({ organizationId: BOOK, root: `i:${shop}:${name}`, part: 1, attempt: 1 }, truth.reference);
}

async function until(place: Place, what: string, holds: () => boolean): Promise<void> {
  const deadline = performance.now() + QUIET_LIMIT_MS;
  while (!holds()) {
    if (performance.now() > deadline) {
      place.faults.say(`${what}: not so after ${QUIET_LIMIT_MS} ms`);
      return;
    }
    await sleep(2);
  }
}

/** Nothing is under way but answers that are held. Seen twice: between a call and its record there is a moment. */
async function quiet(place: Place, players: readonly Player[], what: string): Promise<void> {
  let seen = 0;
  await until(place, `${what} comes to rest`, () => {
    const isQuiet = players.every(
      ({ side, line, gateway }) => side.underWay === 0 && line.underWay === 0 && gateway.engine.queuedCommands === 0,
    );
    seen = isQuiet ? seen + 1 : 0;
    return seen > 2;
  });
}

/** The due work of the story: its lease over, or the end of its lifetime. */
async function workOf(place: Place, kind: "payout" | "invoice", invoiceId: string): Promise<Work | null> {
  const subject = "w.subject = $1 or w.subject in (select id::text from bursar.payout where invoice_id::text = $1)";
  if (kind === "payout") {
    const past = "update bursar.work w set due_time = clock_timestamp() - interval '1 second'";
    await place.rows(`${past} where w.kind = 'payout' and (${subject})`, [invoiceId]);
  }
  const found = await place.rows<Work>(
    `select organization_id as "organizationId", kind, subject, fence::float8 as fence,
       floor(extract(epoch from due_time) * 1000)::float8 as "dueTime"
     from bursar.work w where w.kind = $2 and (${subject})`,
    [invoiceId, kind],
  );
  return found[0] ?? null;
}

async function begin(
  place: Place,
  players: readonly [Player, Player],
  of: { pair: Pair; name: string },
): Promise<Story> {
  const [first, second] = players;
  const { pair, name } = of;
  const start = startOf(pair);
  const isTight = start !== "sent" && isIn(pair, "withdraw");
  const shop = await website(first.gateway, `web_${name}`, isTight ? WRITEOFF : 2 * WRITEOFF);
  const scenario = isIn(pair, "failed") ? "pending_failed" : "callback_lost";
  const withdrawal = await movement(first.gateway, "/withdrawals", { websiteId: shop, amount: WRITEOFF });
  const reference = referenceOf(first.gateway, shop, name);
  const plan = { name, shop, scenario, isWaiting: start === "waiting", withdrawal, reference };
  for (const { line } of players) line.holds = isSend;
  if (start === "nothing") return { ...plan, invoiceId: null, work: null };
  // Who sends is who hears the outcome: the side that the outcome is drawn for.
  const sender = pair[0] === "outcome" ? first : second;
  const made = await sender.gateway.call("POST", "/payout-invoices", bodyOf(plan));
  if (made.status !== 201) throw new Error(`${name}: ${made.status} ${made.text}`);
  const invoiceId = String(made.body["id"]);
  if (start === "sent") await until(place, `${name} is sent`, () => sender.line.held.length > 0);
  const work = await (isIn(pair, "wake") || isOutcomeTwice(pair)
    ? workOf(place, start === "sent" ? "payout" : "invoice", invoiceId)
    : null);
  if (isOutcomeTwice(pair) && work !== null) await askToo(place, second, work);
  return { ...plan, invoiceId, work };
}

const isOutcomeTwice = ([one, other]: Pair): boolean => one === "outcome" && other === "outcome";

/** The lease of the sender is taken over: both outcomes, of the send and of the inquiry, wait to be written. */
async function askToo(place: Place, player: Player, work: Work): Promise<void> {
  player.line.holds = () => true;
  await player.gateway.engine.run(BOOK, wakeHandler("payout"), work, CAUSE);
  await until(place, "the inquiry is answered", () => player.line.held.length > 0);
}

/** A verified message of the provider, as its connector reads it. */
function newsOf(player: Player, story: Story, status: "paid" | "failed") {
  const body = JSON.stringify({
    messageId: `${status}-${story.name}`,
    reference: story.reference,
    status,
    amount: "10.00",
    currency: "USD",
    account: story.name,
    paidAmount: status === "paid" ? "10.00" : "0.00",
    returnedAmount: "0.00",
    providerReference: `provider-${story.name}`,
    sequence: 2,
    ...(status === "failed" ? { code: "declined" } : {}),
  });
  const connector = player.gateway.engine.connectors.get("sandbox");
  const account = { id: "pacc_demo", settings: {}, credentials: {}, baseUrl: "", callbackUrl: null };
  const [news] = connector?.readCallback?.({ headers: {}, body }, account) ?? [];
  if (news === undefined) throw new Error("the connector reads its own callbacks");
  const kept = { reference: story.reference, fact: news.answer.fact };
  const cause = { actor: "provider:pacc_demo", providerAccountId: "pacc_demo", messageId: news.messageId };
  return { news, cause: { ...cause, verified: true, body: kept, bodyHash: sha256(body) } };
}

async function change(place: Place, player: Player, story: Story): Promise<string> {
  const [request] = await place.rows<{ id: string; customerId: string }>(
    'select id, customer_id as "customerId" from bursar.request where invoice_id::text = $1',
    [story.invoiceId],
  );
  const shared = { websiteId: story.shop, currency: "USD", amount: 10, blocked: true, blockReason: "risk-review" };
  const path = `/payout-requests/${request?.id ?? `bare-${story.name}`}`;
  // Where there is no request yet it makes one of its own, of the demo's customer.
  const members = request === undefined ? { websiteId: "web_demo", customerId: "cus_demo" } : request;
  const { status } = await player.gateway.call("PUT", path, { ...shared, ...members, id: undefined });
  return String(status);
}

/** Runs one command; a word for what it was told. */
async function perform(place: Place, act: Act, at: { player: Player; story: Story }): Promise<string> {
  const { player, story } = at;
  const { gateway, line } = player;
  const post = async (path: string, body?: unknown, headers = {}) =>
    String((await gateway.call("POST", path, body, headers)).status);
  switch (act) {
    case "create":
      return post("/payout-invoices", bodyOf(story));
    case "process":
    case "terminate":
      return post(`/payout-invoices/${story.invoiceId ?? ""}/${act}`);
    case "paid":
    case "failed": {
      const { news, cause } = newsOf(player, story, act);
      const heard = await gateway.engine.run(BOOK, hearCallback, { providerAccountId: "pacc_demo", news }, cause);
      return heard.ok ? heard.value : heard.error.code;
    }
    case "outcome":
      line.releaseAll();
      await until(place, `${story.name}'s outcome is written`, () => player.side.state === "over");
      return "written";
    case "wake": {
      if (story.work === null) throw new Error(`${story.name} has due work`);
      await gateway.engine.run(BOOK, wakeHandler(story.work.kind), story.work, CAUSE);
      return "woken";
    }
    case "withdraw":
      return post(story.withdrawal.approve, undefined, { "if-match": story.withdrawal.tag });
    case "change":
      return change(place, player, story);
  }
}

const LOCK_WAITS = `select count(*)::int4 as count from pg_stat_activity
  where datname = current_database() and wait_event_type = 'Lock'`;

async function runPair(
  place: Place,
  players: readonly [Player, Player],
  of: { pair: Pair; name: string; dice: Dice },
): Promise<{ order: string; waits: number }> {
  const { pair, name, dice } = of;
  const story = await begin(place, players, of);
  await quiet(place, players, name);
  const isSomebodyBlocked = async () => ((await place.rows<{ count: number }>(LOCK_WAITS))[0]?.count ?? 0) > 0;
  const acts = players.map(async (player, at) => {
    const act = pair[at] ?? "create";
    player.side.arm();
    try {
      return await perform(place, act, { player, story });
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
  for (const { line } of players) line.open();
  await quiet(place, players, name);
  if (place.faults.all.length > before) place.faults.say(`  met at ${what}`);
  return drawn;
}

/** What a change has blocked goes on, and what is due is looked at until everything has ended. */
async function settle(place: Place, players: readonly Player[]): Promise<void> {
  const [player] = players;
  const blocked = await place.rows<{ id: string; customerId: string; websiteId: string }>(
    `select id, customer_id as "customerId", website_id as "websiteId" from bursar.request
     where blocked and invoice_id is not null`,
  );
  for (const { id, ...members } of blocked) {
    await player?.gateway.call("PUT", `/payout-requests/${id}`, {
      currency: "USD",
      amount: 10,
      blocked: false,
      ...members,
    });
  }
  for (const { gateway } of players) gateway.engine.start();
  const open = await settled(place, SETTLE_LIMIT_MS);
  place.faults.check("all settled", open.length === 0, () => `not settled: ${open.join(", ")}`);
}

/** Every pair so often, each time in another order of statements. */
export async function racePairs(place: Place, rounds: number, seed: number): Promise<Tally> {
  const dice = new Dice(seed);
  // Nothing happens by itself until the end: only what a round does.
  let isFree = false;
  const after: typeof realTimer.after = (delayMs, task) => (isFree ? realTimer.after(delayMs, task) : () => {});
  const openPlayer = async (name: string): Promise<Player> => {
    const [side, line] = [new Side(name), new ProviderLine()];
    const gateway = await place.open({
      hasCallbacks: false,
      timer: { after },
      wrapStore: (store) => side.wrap(store),
      wrapHttp: (http) => line.wrap(http),
    });
    return { side, line, gateway };
  };
  const players = [await openPlayer("a"), await openPlayer("b")] as const;
  const orders = new Set<string>();
  const forged = new Set<string>();
  let waits = 0;
  try {
    for (let round = 0; round < rounds; round++) {
      for (const pair of PAIRS) {
        const name = `${pair.join("_")}_${round}`;
        // The provider never pays an order of which it says both.
        if (isIn(pair, "failed") && isIn(pair, "paid")) forged.add(name);
        const drawn = await runPair(place, players, { pair, name, dice });
        orders.add(drawn.order);
        waits += drawn.waits;
      }
    }
  } finally {
    // An engine does not stop while it waits for an answer.
    for (const { line } of players) line.open();
  }
  isFree = true;
  await settle(place, players);
  await audit(place);
  await judgeEnds(place, (referenceId) => forged.has(referenceId));
  const tally = place.faults.tally("pairs", rounds * PAIRS.length);
  return { ...tally, checked: { "orders drawn": orders.size, "lock waits": waits, ...tally.checked } };
}
