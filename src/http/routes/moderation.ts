/** The queue of what people must look at, and the record of what they did. */
import Type from "typebox";
import { ACTS, type ModerationAct, type ModerationItem } from "../../core/acts.ts";
import { ITEM_REASONS } from "../../core/order/story.ts";
import { actView, itemView } from "../../core/views/moderation.ts";
import type { StoredAnswer } from "../../engine/command.ts";
import { type ItemOrder, type SecondWord, secondWord, workOnItem } from "../../engine/commands/moderation.ts";
import { isUuid } from "../../store/reads.ts";
import { alone, type Configured, itself, readers } from "../configured.ts";
import { type Call, checkForm, command, type Endpoint, ifMatch, notFound, resource } from "../endpoint.ts";
import { Named, SomeTextOrNull, Text } from "../schema.ts";

const TAG = "Moderation";
const ITEM_KINDS = ["payout", "request", "provider_account", "organization", "callback", "delivery"];

const ITEMS: Configured<"moderationItem", ModerationItem> = {
  table: "moderationItem",
  path: "/moderation",
  name: "ModerationItem",
  names: "ModerationItems",
  what: "moderation item",
  tag: TAG,
  permission: "moderation",
  list: {
    // Ids begin with the time of opening: the order of the list.
    table: "moderationItem",
    filters: {
      id: { column: "id", kind: "text" },
      status: { column: "status", kind: "text", words: ["open", "closed"] },
      kind: { column: "kind", kind: "text", words: ITEM_KINDS },
      reason: { column: "reason", kind: "text", words: Object.keys(ITEM_REASONS) },
      subject: { column: "subject", kind: "text" },
      assignee: { column: "assignee", kind: "text" },
      isIncident: { column: "isIncident", kind: "flag" },
      openedTime: { column: "openedTime", kind: "time" },
    },
  },
  complete: alone,
  rowOf: itself,
  show: (item, call) => itemView(item, call.world.base()),
};

const ACTS_DONE: Configured<"moderationAct", ModerationAct> = {
  table: "moderationAct",
  path: "/moderation/acts",
  name: "ModerationAct",
  names: "ModerationActs",
  what: "act",
  tag: TAG,
  permission: "moderation",
  list: {
    table: "moderationAct",
    filters: {
      id: { column: "id", kind: "text" },
      kind: { column: "kind", kind: "text", words: Object.keys(ACTS) },
      status: { column: "status", kind: "text", words: ["done", "proposed", "withdrawn"] },
      subject: { column: "subject", kind: "text" },
      actor: { column: "actor", kind: "text" },
      createdTime: { column: "createdTime", kind: "time" },
    },
  },
  complete: alone,
  rowOf: itself,
  show: (act, call) => actView(act, call.world.base()),
};

const REASON = Text(1_000, "Why, or what is to be said.");

const ASSIGN = Type.Object(
  { assignee: SomeTextOrNull(100, "Who takes care of it; null: nobody any more."), reason: Type.Optional(REASON) },
  { examples: [{ assignee: "ada@shop.example" }] },
);
const SAY = Type.Object({ reason: REASON }, { examples: [{ reason: "The provider's support looks into it." }] });

type Said = { readonly reason?: string; readonly assignee?: string | null };

function itemAct(kind: ItemOrder["kind"], summary: string, body: NonNullable<Endpoint["body"]>): Endpoint {
  const need = kind === "comment" ? "optional" : "required";
  return {
    method: "POST",
    path: `/moderation/:id/${kind}`,
    name: `${kind}ModerationItem`,
    tag: TAG,
    summary,
    permission: "moderation",
    body,
    ifMatch: need,
    answers: { 200: { description: "The item.", schema: Named("ModerationItem") } },
    refusals: [
      "not-found",
      "version-conflict",
      ...(kind === "comment" ? [] : (["if-match-required", "not-in-this-status"] as const)),
    ],
    async handle(call) {
      checkForm(call);
      const itemId = idIn(call, "moderation item");
      const version = ifMatch(call, need);
      const { reason = "", assignee = null } = call.body as Said;
      return command(call, {
        handler: workOnItem,
        payload: { itemId, version, kind, reason, assignee },
        render: (item) => resource(itemView(item, call.world.base()), item.version),
      });
    },
  };
}

function idIn(call: Call, what: string): string {
  const id = call.params["id"] ?? "";
  if (!isUuid(id)) throw notFound(what);
  return id;
}

function second(word: SecondWord["word"], summary: string, refusals: Endpoint["refusals"]): Endpoint {
  return {
    method: "POST",
    path: `/moderation/acts/:id/${word}`,
    name: `${word}ModerationAct`,
    tag: TAG,
    summary,
    permission: "moderation",
    ifMatch: "required",
    answers: { 200: { description: "The act.", schema: Named("ModerationAct") } },
    refusals: ["not-found", "version-conflict", "if-match-required", "not-in-this-status", ...refusals],
    async handle(call) {
      const actId = idIn(call, "act");
      const version = ifMatch(call, "required");
      const render = ({ act }: { readonly act: ModerationAct }): StoredAnswer =>
        resource(actView(act, call.world.base()), act.version);
      return command(call, { handler: secondWord, payload: { actId, version, word }, render });
    },
  };
}

export const moderation: readonly Endpoint[] = [
  ...readers(ACTS_DONE),
  second("confirm", "Confirm what another person has proposed: it is done.", [
    "second-person-needed",
    "payout-in-flight",
    "no-route",
    "more-than-available",
    "insufficient-funds",
  ]),
  second("withdraw", "Withdraw what was proposed: nothing is done.", []),
  ...readers(ITEMS),
  itemAct("assign", "Give an item to somebody, or to nobody.", ASSIGN),
  itemAct("comment", "Write something down about an item.", SAY),
  itemAct("close", "Close an item that needs nothing more.", SAY),
];
