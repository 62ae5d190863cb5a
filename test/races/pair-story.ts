/** What a pair of commands is about: an order, a bare request, or both in one shop, brought to where the pair begins. */
import { setTimeout as sleep } from "node:timers/promises";
import { providerReference } from "../../src/core/ids.ts";
import { wakeHandler } from "../../src/engine/commands/wake.ts";
import type { Work } from "../../src/engine/ports.ts";
import type { Dice } from "../torture/dice.ts";
import { BARE_PAYEE } from "./audit.ts";
import type { Side } from "./interleave.ts";
import { BOOK, demoMembers, type Gateway, type Json, make, movement, order, type Place, website } from "./place.ts";
import { isSend, type ProviderLine } from "./provider-line.ts";

/** Money commands. Of an order, of a bare request, of a payout of either, and of what stands around them. */
const ORDER_ACTS = ["create", "process", "terminate", "refund"] as const;
const BARE_ACTS = ["edit", "drop", "allocate", "start"] as const;
const NEWS = ["paid", "failed", "outcome", "wake"] as const;
const PEOPLE = ["revoke", "reverse", "proven", "disproven", "inquire"] as const;
export const ACTS = [...ORDER_ACTS, ...NEWS, "withdraw", "change", ...BARE_ACTS, ...PEOPLE, "shut"] as const;

export type Act = (typeof ACTS)[number];
export type Pair = readonly [Act, Act];

/** Every unordered pair, and each command against itself. */
export const PAIRS: readonly Pair[] = ACTS.flatMap((one, at) => ACTS.slice(at).map((other): Pair => [one, other]));

const QUIET_LIMIT_MS = 30_000;
const WRITEOFF = 10.1;
export const CAUSE = { actor: "system" };

export interface Player {
  readonly side: Side;
  readonly line: ProviderLine;
  readonly gateway: Gateway;
}

/** What both commands are about. */
export interface Story {
  readonly name: string;
  readonly shop: string;
  readonly scenario: string;
  /** Whether it waits to be processed when the race begins. */
  readonly isWaiting: boolean;
  readonly withdrawal: { readonly approve: string; readonly tag: string };
  /** The order, and the version of it that people have read. */
  readonly invoice: { readonly id: string; readonly tag: string } | null;
  /** The bare request of 10 dollars; `planned`: its allocation that waits for a person. */
  readonly bare: { readonly id: string; readonly planned: string | null } | null;
  /** The payout that news and people speak of, in the version that people have read; it follows from our own names. */
  readonly reference: string;
  readonly amount: string;
  readonly payee: string;
  readonly payout: { readonly id: string; readonly tag: string } | null;
  readonly work: Work | null;
  /** The gate that is shut, where one is. */
  readonly gate: Json;
}

const isIn = (pair: Pair, ...acts: readonly Act[]): boolean => acts.some((act) => pair.includes(act));
const isBareAct = (act: Act): boolean => BARE_ACTS.some((each) => each === act);
const isAboutPayout = (act: Act): boolean => [...NEWS, ...PEOPLE].some((each) => each === act);

/** Where the payout stands at the start: not made, its order waiting, its send under way, answered, or paid. */
type Stage = "nothing" | "waiting" | "sent" | "answered" | "paid";

function startOf(pair: Pair): Stage {
  if (isIn(pair, "outcome")) return "sent";
  if (isIn(pair, "reverse", "refund")) return "paid";
  if (isIn(pair, "revoke", "proven", "disproven", "inquire")) return "answered";
  if (isIn(pair, "process")) return "waiting";
  return isIn(pair, "create") && !isIn(pair, "terminate", "wake", "change") ? "nothing" : "sent";
}

/** Whether one of the two says of the payout what its provider does not say. */
export function isForged(pair: Pair): boolean {
  if (startOf(pair) === "paid") return isIn(pair, "failed");
  return isIn(pair, "failed", "disproven") && isIn(pair, "paid", "proven");
}

function scenarioOf(pair: Pair): string {
  if (startOf(pair) === "paid") return "ok_sync";
  return isIn(pair, "failed", "disproven") ? "pending_failed" : "callback_lost";
}

export const bodyOf = (story: Pick<Story, "name" | "shop" | "scenario" | "isWaiting">) =>
  order(story.shop, story.name, {
    fields: { account: story.name, test_details_scenario: story.scenario },
    ...(story.isWaiting ? { autoprocess: false } : {}),
  });

/** The reference of a story's first payout: it follows from the merchant's own names. */
function referenceOf(gateway: Gateway, root: string): string {
  const truth = gateway.engine.connectors.get("sandbox")?.truth;
  if (truth === undefined) throw new Error("there is a sandbox connector");
  return providerReference({ organizationId: BOOK, root, part: 1, attempt: 1 }, truth.reference);
}

export async function until(place: Place, what: string, holds: () => boolean): Promise<void> {
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
export async function quiet(place: Place, players: readonly Player[], what: string): Promise<void> {
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
async function workOf(place: Place, kind: "payout" | "invoice", subject: string): Promise<Work | null> {
  if (kind === "payout") {
    const past = "update bursar.work set due_time = clock_timestamp() - interval '1 second'";
    await place.rows(`${past} where kind = 'payout' and subject = $1`, [subject]);
  }
  const found = await place.rows<Work>(
    `select organization_id as "organizationId", kind, subject, fence::float8 as fence,
       floor(extract(epoch from due_time) * 1000)::float8 as "dueTime"
     from bursar.work where kind = $2 and subject = $1`,
    [subject, kind],
  );
  return found[0] ?? null;
}

/** The lease of the sender is taken over: both outcomes, of the send and of the inquiry, wait to be written. */
async function askToo(place: Place, player: Player, work: Work): Promise<void> {
  player.line.holds = () => true;
  await player.gateway.engine.run(BOOK, wakeHandler("payout"), work, CAUSE);
  await until(place, "the inquiry is answered", () => player.line.held.length > 0);
}

interface Beginning {
  readonly place: Place;
  readonly players: readonly [Player, Player];
  readonly pair: Pair;
  readonly stage: Stage;
}

type Named = Pick<Story, "name" | "shop" | "scenario" | "isWaiting">;

/** Who sends is who hears the outcome: the side that the outcome is drawn for. */
const senderOf = ({ pair, players: [first, second] }: Beginning): Player => (pair[0] === "outcome" ? first : second);

/** The order, up to its send whose answer is held. */
async function beginOrder(beginning: Beginning, named: Named): Promise<Story["invoice"]> {
  const { place, stage } = beginning;
  if (stage === "nothing") return null;
  const { gateway, line } = senderOf(beginning);
  const made = await make(gateway, "/payout-invoices", bodyOf(named));
  if (stage !== "waiting") await until(place, `${named.name} is sent`, () => line.held.length > 0);
  return { id: String(made.body["id"]), tag: made.tag };
}

const PLANNED = 4;
export const SENT = 6;

/** Whom the bare request pays once it was edited. */
export const otherPayee = (name: string): string => `${name}${BARE_PAYEE}-2`;

/** A payee of the demo's customer. */
async function instrument(gateway: Gateway, id: string, scenario: string): Promise<void> {
  const fields = { account: id, test_details_scenario: scenario };
  await make(gateway, "/payment-instruments", { id, customerId: "cus_demo", service: "test_usd", fields });
}

/** The bare request; `isSent`: with an allocation whose send is answered and held. */
async function beginBare(beginning: Beginning, named: Named, isSent: boolean): Promise<Story["bare"]> {
  const { place, pair } = beginning;
  const { gateway, line } = senderOf(beginning);
  const { name, scenario } = named;
  const id = `bare-${name}`;
  for (const payee of [`${name}${BARE_PAYEE}`, otherPayee(name)]) await instrument(gateway, payee, scenario);
  const put = { ...demoMembers, amount: 10, paymentInstrumentId: `${name}${BARE_PAYEE}` };
  const { status, text } = await gateway.call("PUT", `/payout-requests/${id}`, put);
  if (status !== 201) throw new Error(`${id}: ${status} ${text}`);
  const allocate = async (amount: number): Promise<string> => {
    const made = await make(gateway, "/payout-request-allocations", { payoutRequestId: id, amount });
    return String(made.body["id"]);
  };
  if (isSent) {
    const path = `/payout-request-allocations/${await allocate(SENT)}`;
    const started = await gateway.call("PATCH", path, { status: "processing" });
    if (started.status !== 200) throw new Error(`${id}: ${started.status} ${started.text}`);
    await until(place, `${id} is sent`, () => line.held.length > 0);
  }
  return { id, planned: isIn(pair, "start") ? await allocate(PLANNED) : null };
}

/** The payout under a reference, as people read it before they act. */
async function readPayout(place: Place, reference: string): Promise<Story["payout"]> {
  const found = await place.rows<{ id: string; version: number }>(
    "select id::text as id, version from bursar.payout where reference = $1",
    [reference],
  );
  return found[0] === undefined ? null : { id: found[0].id, tag: `"${found[0].version}"` };
}

/** Lets the held answer in, so that the payout is registered, or paid; where a wake follows, something of it is due. */
async function answer(beginning: Beginning, reference: string): Promise<void> {
  const { place, players, pair } = beginning;
  const { gateway, line } = senderOf(beginning);
  line.releaseAll();
  await quiet(place, players, reference);
  if (beginning.stage !== "paid" || !isIn(pair, "wake")) return;
  const payout = await readPayout(place, reference);
  const asked = await gateway.call("POST", `/payouts/${payout?.id}/cancel`, { amount: 3 }, { "if-match": payout?.tag });
  if (asked.status !== 200) throw new Error(`${reference}: ${asked.status} ${asked.text}`);
}

const GATES: readonly Json[] = [
  { scope: "organization" },
  { scope: "currency", currency: "USD" },
  { scope: "provider_account", providerAccountId: "pacc_demo" },
];

export async function begin(
  place: Place,
  players: readonly [Player, Player],
  of: { readonly pair: Pair; readonly name: string; readonly dice: Dice },
): Promise<Story> {
  const { pair, name, dice } = of;
  const [{ gateway }, second] = players;
  const hasBare = pair.some(isBareAct);
  // Where the other command is about a payout, it is one of the bare request.
  const isBareSent = hasBare && pair.some(isAboutPayout);
  const hasOrder = !isBareSent && (!hasBare || isIn(pair, ...ORDER_ACTS));
  const stage = startOf(pair);
  const beginning = { place, players, pair, stage };
  const isTight = (stage === "nothing" || stage === "waiting") && isIn(pair, "withdraw");
  const shop = await website(gateway, `web_${name}`, isTight ? WRITEOFF : 2 * WRITEOFF);
  const named = { name, shop, scenario: scenarioOf(pair), isWaiting: stage === "waiting" };
  const withdrawal = await movement(gateway, "/withdrawals", { websiteId: shop, amount: WRITEOFF });
  for (const { line } of players) line.holds = isSend;
  const made = hasOrder ? await beginOrder(beginning, named) : null;
  const bare = hasBare ? await beginBare(beginning, named, isBareSent) : null;
  const reference = referenceOf(gateway, isBareSent ? `r:${bare?.id}` : `i:${shop}:${name}`);
  if (stage === "answered" || stage === "paid") await answer(beginning, reference);
  const payout = await readPayout(place, reference);
  const invoice = made === null ? null : await reread(gateway, made.id);
  const isWork = isIn(pair, "wake") || isOutcomeTwice(pair);
  const subject = payout === null ? invoice?.id : payout.id;
  const kind = payout === null ? "invoice" : "payout";
  const work = isWork && subject !== undefined ? await workOf(place, kind, subject) : null;
  if (isOutcomeTwice(pair) && work !== null) await askToo(place, second, work);
  const spoken = isBareSent
    ? { amount: `${SENT}.00`, payee: `${name}${BARE_PAYEE}` }
    : { amount: "10.00", payee: name };
  const gate = GATES[dice.below(GATES.length)] ?? {};
  return { ...named, withdrawal, invoice, bare, reference, ...spoken, payout, work, gate };
}

const isOutcomeTwice = ([one, other]: Pair): boolean => one === "outcome" && other === "outcome";

async function reread(gateway: Gateway, id: string): Promise<Story["invoice"]> {
  return { id, tag: (await gateway.call("GET", `/payout-invoices/${id}`)).tag };
}
