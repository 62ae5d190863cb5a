/** What people do about payouts and orders: one command for all acts, and one for a second person's word. */
import { type ModerationAct, type StoryAct, standingOf } from "../../core/acts.ts";
import { type Refusal, refusal } from "../../core/errors.ts";
import { max, parseMajor } from "../../core/money/money.ts";
import type { Payout } from "../../core/order/payout.ts";
import type { PayoutRequest } from "../../core/order/request.ts";
import { reopen, type Story } from "../../core/order/story.ts";
import { assert, err, ok, type Result } from "../../core/result.ts";
import { closeAct, needsSecondPerson, recordAct } from "../acts.ts";
import { type Handler, ORDER, type Seen } from "../command.ts";
import type { Context } from "../context.ts";
import { carryOn, storyMore, storyOf, storyWants } from "../orders.ts";
import type { TableName, Tables, Want } from "../ports.ts";
import { closeItems } from "../record.ts";
import { type ActBody, type Doing, EXECUTORS } from "./act-executors.ts";
import { type InvoiceRows, invoiceRows, invoiceRowsWants } from "./invoices.ts";
import { storyOfPayoutWants } from "./wake.ts";

/** An act that somebody asks for. */
export interface ActOrder {
  readonly kind: StoryAct;
  readonly subjectKind: "payout" | "request";
  readonly subject: string;
  /** The version of the subject that was read; null: whichever it is. */
  readonly version: number | null;
  readonly reason: string;
  readonly body: ActBody;
}

/** What stands after an act. `payout` where the act is about one. */
export interface ActRows {
  readonly act: ModerationAct;
  readonly request: PayoutRequest;
  readonly payout: Payout | null;
  /** The invoice above with everything below it; null for a bare request. */
  readonly invoice: InvoiceRows | null;
}

type Subject = Pick<ActOrder, "subjectKind" | "subject">;

function subjectWants({ subjectKind, subject }: Subject, organizationId: string): readonly Want<TableName>[] {
  if (subjectKind === "payout") {
    return [
      { table: "payout", by: "primary", keys: [[organizationId, subject]] },
      { table: "work", by: "primary", keys: [[organizationId, "payout", subject]] },
    ];
  }
  return [
    { table: "request", by: "primary", keys: [[organizationId, subject]] },
    { table: "payout", by: "payout_by_request", keys: [[organizationId, subject]] },
  ];
}

/** The story around a subject; nothing while the subject itself is not there. */
function subjectMore({ subjectKind, subject }: Subject, seen: Seen): readonly Want<TableName>[] {
  if (subjectKind === "payout") return storyOfPayoutWants(subject, seen);
  const request = seen.rows.get("request", [seen.organizationId, subject]);
  if (request === null) return [];
  const { id: requestId, invoiceId, websiteId } = request;
  const key = { requestId, invoiceId, websiteId };
  const above = invoiceId === null ? [] : invoiceRowsWants(seen, { requestId });
  return [...storyWants(seen.organizationId, key), ...storyMore(key, seen), ...above];
}

interface Found {
  readonly story: Story;
  readonly payout: Payout | null;
  readonly version: number;
}

function find(context: Context, { subjectKind, subject }: Subject): Found | null {
  const { organizationId, rows } = context;
  const payout = subjectKind === "payout" ? rows.get("payout", [organizationId, subject]) : null;
  if (subjectKind === "payout" && payout === null) return null;
  const story = storyOf(context, payout?.requestId ?? subject);
  if (story === null) return null;
  return { story, payout, version: payout?.version ?? story.invoice?.version ?? story.request.version };
}

/** Does what a person asks for, or notes that a second person must agree. */
export const moderate: Handler<ActOrder, ActRows> = {
  name: "moderate",
  order: ORDER.accept,
  wants: subjectWants,
  more: subjectMore,
  decide(context, order) {
    const found = find(context, order);
    if (found === null) return err(refusal("not-found", `There is no such ${order.subjectKind}.`));
    if (order.version !== null && order.version !== found.version) {
      return err(refusal("version-conflict", `It is at version ${found.version}, not ${order.version}.`));
    }
    const { request } = found.story;
    const website = context.rows.get("website", [context.organizationId, request.websiteId]);
    assert(website !== null, `website ${request.websiteId} is loaded`);
    const { currency } = found.payout ?? request;
    if (!needsSecondPerson(order.kind, website, { currency, amountMinor: atStake(found, order.body) })) {
      const act = recordAct(context, order, "done");
      return execute(context, found, { order, act });
    }
    const isPossible = tryOut(context, found, order);
    if (!isPossible.ok) return isPossible;
    const standing = standingOf(found.payout, request);
    return ok(rowsAfter(context, found, recordAct(context, { ...order, standing }, "proposed")));
  },
};

/** How much an act may move, minor units: also what it names itself, and what stands in suspense. */
function atStake({ payout, story }: Found, { amount }: ActBody): bigint {
  if (payout === null) return story.request.amountMinor;
  const said = amount === undefined ? null : parseMajor(amount, payout.currency);
  const figures = [payout.processedMinor, payout.incidentMinor, said?.ok === true ? said.value : 0n];
  return figures.reduce((most, each) => max(most, each), payout.amountMinor);
}

interface Executing {
  readonly order: Pick<ActOrder, "kind" | "subject" | "body">;
  readonly act: ModerationAct;
}

/** Whether an act is possible now; nothing of it is kept. */
function tryOut(context: Context, found: Found, order: ActOrder): Result<null, Refusal> {
  const draft = reopen(found.story, context.now);
  const doing: Doing = { context, draft, payoutId: found.payout?.id ?? null, actId: "", body: order.body };
  return EXECUTORS[order.kind](doing);
}

function execute(context: Context, found: Found, { order, act }: Executing): Result<ActRows, Refusal> {
  const draft = reopen(found.story, context.now);
  const payoutId = found.payout?.id ?? null;
  const done = EXECUTORS[order.kind]({ context, draft, payoutId, actId: act.id, body: order.body });
  if (!done.ok) return done;
  const carried = carryOn(context, draft);
  if (!carried.ok) return carried;
  return ok(rowsAfter(context, found, act));
}

function rowsAfter(context: Context, found: Found, act: ModerationAct): ActRows {
  const { organizationId, rows } = context;
  const request = rows.get("request", [organizationId, found.story.request.id]);
  assert(request !== null, "the request of a story is loaded");
  const payout = found.payout === null ? null : rows.get("payout", [organizationId, found.payout.id]);
  const { invoiceId } = request;
  return { act, request, payout, invoice: invoiceId === null ? null : invoiceRows(context, invoiceId) };
}

/** A second person's word about a proposed act. */
export interface SecondWord {
  readonly actId: string;
  readonly version: number | null;
  readonly word: "confirm" | "withdraw";
}

function actSubject(act: ModerationAct | null): Subject | null {
  if (act === null || act.subjectKind === "item") return null;
  return { subjectKind: act.subjectKind, subject: act.subject };
}

/** Confirms a proposed act, which is done then; or withdraws it. Who proposed it may only withdraw it. */
export const secondWord: Handler<SecondWord, ActRows> = {
  name: "confirm-act",
  order: ORDER.accept,
  wants: ({ actId }, organizationId) => [{ table: "moderationAct", by: "primary", keys: [[organizationId, actId]] }],
  more({ actId }, seen) {
    const subject = actSubject(seen.rows.get("moderationAct", [seen.organizationId, actId]));
    if (subject === null) return [];
    const others = [[seen.organizationId, subject.subject]];
    return [
      { table: "moderationAct", by: "moderation_act_by_subject", keys: others },
      ...subjectWants(subject, seen.organizationId),
      ...subjectMore(subject, seen),
    ];
  },
  decide(context, { actId, version, word }) {
    const act = context.rows.get("moderationAct", [context.organizationId, actId]);
    const subject = actSubject(act);
    const found = subject === null ? null : find(context, subject);
    if (act === null || found === null) return err(refusal("not-found", "There is no such act."));
    if (version !== null && version !== act.version) {
      return err(refusal("version-conflict", `It is at version ${act.version}, not ${version}.`));
    }
    if (act.status !== "proposed") return err(refusal("not-in-this-status", `The act is ${act.status}.`));
    if (word === "withdraw") {
      const withdrawn = closeAct(context, act, "withdrawn");
      closeIfLast(context, act);
      return ok(rowsAfter(context, found, withdrawn));
    }
    if (act.actor === context.cause.actor) {
      return err(refusal("second-person-needed", "Who has proposed an act does not confirm it."));
    }
    // What was said rests on how it stood: a paper about the first request says nothing about a second one.
    if (act.standing !== null && act.standing !== standingOf(found.payout, found.story.request)) {
      return err(refusal("version-conflict", "It has changed since the act was proposed: withdraw it and look again."));
    }
    const confirmed = closeAct(context, act, "done");
    closeIfLast(context, act);
    const order = { kind: act.kind as StoryAct, subject: act.subject, body: act.body as ActBody };
    return execute(context, found, { order, act: confirmed });
  },
};

/** Proposals about one subject share an item, which is there until the last of them has been decided about. */
function closeIfLast(context: Context, { organizationId, subject }: ModerationAct): void {
  const waiting = context.rows
    .group("moderationAct", "subject", subject)
    .some((row) => row.organizationId === organizationId && row.status === "proposed");
  if (!waiting) closeItems(context, subject, "second_person");
}

/** What people do about a moderation item itself. */
export interface ItemOrder {
  readonly itemId: string;
  readonly version: number | null;
  readonly kind: "assign" | "comment" | "close";
  readonly reason: string;
  /** Of `assign`: to whom; null: nobody any more. */
  readonly assignee: string | null;
}

/** Assigns, comments on or closes a moderation item. */
export const workOnItem: Handler<ItemOrder, Tables["moderationItem"]> = {
  name: "work-on-item",
  order: ORDER.accept,
  wants: ({ itemId }, organizationId) => [{ table: "moderationItem", by: "primary", keys: [[organizationId, itemId]] }],
  decide(context, { itemId, version, kind, reason, assignee }) {
    const item = context.rows.get("moderationItem", [context.organizationId, itemId]);
    if (item === null) return err(refusal("not-found", "There is no such moderation item."));
    if (version !== null && version !== item.version) {
      return err(refusal("version-conflict", `The item is at version ${item.version}, not ${version}.`));
    }
    if (kind !== "comment" && item.status === "closed") {
      return err(refusal("not-in-this-status", "The item is closed."));
    }
    const body = kind === "assign" ? { assignee } : null;
    recordAct(context, { kind, subjectKind: "item", subject: itemId, reason, body }, "done");
    const next = {
      ...item,
      ...(kind === "assign" ? { assignee } : {}),
      ...(kind === "close" ? { status: "closed" as const, closedTime: context.now } : {}),
      version: item.version + 1,
    };
    context.rows.put("moderationItem", next);
    return ok(next);
  },
};
