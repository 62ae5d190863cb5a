/** What each command of a pair does, and the word for what it was told. */
import { sha256 } from "../../src/core/ids.ts";
import { hearCallback } from "../../src/engine/commands/callback.ts";
import { wakeHandler } from "../../src/engine/commands/wake.ts";
import { type Act, bodyOf, CAUSE, otherPayee, type Player, SENT, type Story, until } from "./pair-story.ts";
import { BOOK, demoMembers, type Json, type Place } from "./place.ts";

export interface Turn {
  readonly place: Place;
  readonly player: Player;
  readonly story: Story;
}

/** A verified message of the provider, as its connector reads it. */
function newsOf({ player, story }: Turn, status: "paid" | "failed") {
  const body = JSON.stringify({
    messageId: `${status}-${story.name}`,
    reference: story.reference,
    status,
    amount: story.amount,
    currency: "USD",
    account: story.payee,
    paidAmount: status === "paid" ? story.amount : "0.00",
    returnedAmount: "0.00",
    providerReference: `provider-${story.name}`,
    // As the provider counts: what is paid in the answer was its first word, and a failure would be the next.
    sequence: story.scenario === "ok_sync" && status === "paid" ? 1 : 2,
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

async function hear(turn: Turn, status: "paid" | "failed"): Promise<string> {
  const { news, cause } = newsOf(turn, status);
  const { engine } = turn.player.gateway;
  const heard = await engine.run(BOOK, hearCallback, { providerAccountId: "pacc_demo", news }, cause);
  return heard.ok ? heard.value : heard.error.code;
}

/** One request, "POST /path"; its status, and the code of a refusal. */
async function ask({ player }: Turn, what: string, body?: unknown, headers: Json = {}): Promise<string> {
  const [method = "", path = ""] = what.split(" ");
  const reply = await player.gateway.call(method, path, body, headers);
  return reply.status < 300 ? String(reply.status) : `${reply.status} ${String(reply.body["code"])}`;
}

/** What a person does about the payout, in the version that was read before the race. */
function onPayout(turn: Turn, word: string, body: Json): Promise<string> {
  const { payout } = turn.story;
  if (payout === null) return Promise.resolve("no payout yet");
  return ask(turn, `POST /payouts/${payout.id}/${word}`, body, { "if-match": payout.tag });
}

function say(turn: Turn, verdict: "paid" | "not_paid"): Promise<string> {
  const evidence = { kind: "document", value: "The bank's letter.", sha256: "b".repeat(64) };
  return onPayout(turn, "evidence", { reason: "The bank has written.", verdict, evidence });
}

async function change(turn: Turn): Promise<string> {
  const { place, story } = turn;
  const [request] = await place.rows<Json>(
    `select id, customer_id as "customerId", website_id as "websiteId" from bursar.request
     where invoice_id::text = $1 or id = $2`,
    [story.invoice?.id ?? "", story.bare?.id ?? ""],
  );
  // Where there is no request yet it makes one of its own, of the demo's customer.
  const { id, ...members } = request ?? { id: `blocked-${story.name}`, ...demoMembers };
  const shared = { currency: "USD", amount: 10, blocked: true, blockReason: "risk-review" };
  return ask(turn, `PUT /payout-requests/${String(id)}`, { ...shared, ...members });
}

const onInvoice = (turn: Turn, word: string): Promise<string> =>
  ask(turn, `POST /payout-invoices/${turn.story.invoice?.id ?? ""}/${word}`);
const ALLOCATIONS = "/payout-request-allocations";

/** Runs one command. */
export const PERFORM: Readonly<Record<Act, (turn: Turn) => Promise<string>>> = {
  create: (turn) => ask(turn, "POST /payout-invoices", bodyOf(turn.story)),
  process: (turn) => onInvoice(turn, "process"),
  terminate: (turn) => onInvoice(turn, "terminate"),
  refund(turn) {
    const { invoice, name } = turn.story;
    const headers = { "if-match": invoice?.tag, "idempotency-key": `refund-${name}-${turn.player.side.name}` };
    return ask(turn, `POST /payout-invoices/${invoice?.id}/refund`, { amount: 7 }, headers);
  },
  paid: (turn) => hear(turn, "paid"),
  failed: (turn) => hear(turn, "failed"),
  async outcome({ place, player, story }) {
    player.line.releaseAll();
    await until(place, `${story.name}'s outcome is written`, () => player.side.state === "over");
    return "written";
  },
  async wake({ player, story }) {
    if (story.work === null) throw new Error(`${story.name} has due work`);
    await player.gateway.engine.run(BOOK, wakeHandler(story.work.kind), story.work, CAUSE);
    return "woken";
  },
  withdraw(turn) {
    const { approve, tag } = turn.story.withdrawal;
    return ask(turn, `POST ${approve}`, undefined, { "if-match": tag });
  },
  change,
  /** Another amount, to another payee: possible as long as nothing of the request is allocated. */
  edit(turn) {
    const { bare, name } = turn.story;
    const members = { ...demoMembers, amount: 5, paymentInstrumentId: otherPayee(name) };
    return ask(turn, `PUT /payout-requests/${bare?.id}`, members);
  },
  drop: (turn) => ask(turn, `POST /payout-requests/${turn.story.bare?.id}/cancel`, { description: "Not wanted." }),
  /** So much that it fits once. */
  allocate: (turn) => ask(turn, `POST ${ALLOCATIONS}`, { payoutRequestId: turn.story.bare?.id, amount: SENT }),
  start: (turn) => ask(turn, `PATCH ${ALLOCATIONS}/${turn.story.bare?.planned}`, { status: "processing" }),
  revoke: (turn) => onPayout(turn, "revoke", {}),
  reverse: (turn) => onPayout(turn, "cancel", { amount: 4 }),
  proven: (turn) => say(turn, "paid"),
  disproven: (turn) => say(turn, "not_paid"),
  inquire: (turn) => onPayout(turn, "inquire", {}),
  shut: (turn) => ask(turn, "POST /gates", { ...turn.story.gate, gate: "shut", reason: "To see who stops." }),
};
