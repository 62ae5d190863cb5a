/**
 * Asks providers whether they know an order already, before it leaves for the first time in an epoch that began with a
 * restore, a failover or a copy. The questions are rows: who dies in the middle is found by the payout's lease, and the
 * next holder goes on with the first question that has no answer.
 */
import type { Answer } from "../connectors/contract.ts";
import type { Refusal } from "../core/errors.ts";
import { openUnknown, type SendTruth } from "../core/news/doubt.ts";
import {
  askAgainTime,
  type CheckState,
  canDeny,
  isAnswered,
  isFromBefore,
  lastLeaveTime,
  needsChecks,
  nextCheck,
  PATIENCE,
  questionsOf,
  type RecoveryCheck,
  readCheck,
} from "../core/news/recovery.ts";
import { isPlannedOrOpen, type Payout } from "../core/order/payout.ts";
import { adopt } from "../core/order/payout-plan.ts";
import type { PayoutRequest } from "../core/order/request.ts";
import { type Draft, patchPayout, wakePayout } from "../core/order/story.ts";
import { assert, ok, type Result } from "../core/result.ts";
import type { ProviderErrand } from "./command.ts";
import type { Context } from "./context.ts";
import { carryOn } from "./orders.ts";
import type { HttpOutcome, KeyValues } from "./ports.ts";
import type { ProviderSetup } from "./setup.ts";
import { checksOf, queryOf, sendTruth } from "./world.ts";

/** A reference that may have been sent and forgotten: one of the payout's own checks, or of its order's search. */
export interface Suspect {
  readonly of: "payout" | "order";
  readonly part: number;
  readonly attempt: number;
  readonly reference: string;
}

/** A call that asks about a reference which may be another account's, attempt's or part's than the payout's. */
export interface CheckErrand extends ProviderErrand {
  readonly check: Suspect;
}

export function isCheck(errand: ProviderErrand): errand is CheckErrand {
  return "check" in errand;
}

/** The rows that decisions about a payout in recovery read. */
export function checkWants(organizationId: string, payoutId: string) {
  const keys: readonly KeyValues[] = [[organizationId, payoutId]];
  return { table: "recoveryCheck", by: "recovery_check_by_payout", keys } as const;
}

/** `clear`: it may be sent. `asked`: an answer is awaited, a person, or the next time. `held`: no slot was free. */
export type BeforeSend = "clear" | "asked" | "held";

/**
 * Stands before every send that is not already known here: asks the next question, if there is one. The caller saves
 * the story; the call leaves after the commit.
 */
export function checkBeforeSend(context: Context, draft: Draft, payout: Payout): BeforeSend {
  if (!needsChecks(payout, context.moment.epoch)) return "clear";
  const checks = allChecks(context, draft, payout);
  const check =
    nextCheck(checks.filter((each) => denierOf(context, draft.request, each) !== null)) ?? nextCheck(checks);
  if (check === null) return "clear";
  const provider = denierOf(context, draft.request, check);
  if (provider === null) {
    // Nobody can say whether it was sent there. A person can, who knows by now what all others have said.
    const { providerAccountId, attempt, reference } = check;
    const about = { providerAccountId, attempt, reference, part: payout.part };
    giveToPerson(draft, payout, { reason: "outcome_unknown", about, fact: null });
    waitForPerson(draft, payout);
    return "asked";
  }
  if (!context.takeSlot(check.providerAccountId)) return "held";
  const { version, tries, attempt, reference } = check;
  context.rows.put("recoveryCheck", { ...check, tries: tries + 1, askedTime: context.now, version: version + 1 });
  ask(context, draft, { payout, provider, suspect: { of: "payout", part: payout.part, attempt, reference } });
  return "asked";
}

/** Whether a provider's "not found" can prove that a reference of an order was not sent there. */
export function mayDeny(provider: ProviderSetup, order: PayoutRequest): boolean {
  return canDeny(sendTruth(provider), provider.connector.truth.inquiry.byOurReference, order);
}

/** The account that a question goes to, where its answer can prove that nothing is there. */
function denierOf(
  context: Context,
  order: PayoutRequest,
  { providerAccountId }: { readonly providerAccountId: string },
) {
  const provider = context.setup.providers.get(providerAccountId);
  return provider !== undefined && mayDeny(provider, order) ? provider : null;
}

/** How often what a person is to decide about is looked at after its order's lifetime. */
const PERSON_LOOKS_MS = 60 * 60 * 1000;

/** Leaves a payout alone until its order's lifetime is over, or for an hour where it is. */
export function waitForPerson(draft: Draft, { id }: Payout): void {
  wakePayout(draft, id, Math.max(draft.request.expiresTime, draft.now + PERSON_LOOKS_MS));
}

/** Whether every account that can prove anything about a payout has answered: what is left only a person can know. */
export function isLeftToPerson(context: Context, request: PayoutRequest, payout: Payout): boolean {
  const known = checksOf(context, payout.id);
  const toAsk = questionsAbout(context, request, payout).filter((each) => denierOf(context, request, each) !== null);
  return toAsk.every((question) => known.some((check) => isAbout(check, question) && isAnswered(check)));
}

/** Whether everything that is to be asked about a payout in this epoch was answered, whatever the answers were. */
export function areChecksAnswered(context: Context, request: PayoutRequest, payout: Payout): boolean {
  const known = checksOf(context, payout.id);
  return questionsAbout(context, request, payout).every((question) =>
    known.some((check) => isAbout(check, question) && isAnswered(check)),
  );
}

function questionsAbout(context: Context, request: PayoutRequest, payout: Payout) {
  const accounts = [...context.setup.providers.values()].map(({ row, connector }) => ({
    providerAccountId: row.id,
    reference: connector.truth.reference,
  }));
  return questionsOf(payout, request, accounts);
}

/** The questions about a payout in this epoch, made where they are missing; its own comes last. */
function allChecks(context: Context, draft: Draft, payout: Payout): readonly RecoveryCheck[] {
  const { epoch } = context.moment;
  const known = checksOf(context, payout.id);
  const questions = questionsAbout(context, draft.request, payout);
  // A limit that was lowered meanwhile takes back no question.
  const beyond = known.filter((check) => !questions.some((question) => isAbout(check, question)));
  const checks = questions.map((question) => {
    const found = known.find((each) => isAbout(each, question));
    if (found !== undefined) return found;
    const { organizationId } = context;
    const fresh: RecoveryCheck = {
      organizationId,
      payoutId: payout.id,
      epoch,
      ...question,
      state: "due",
      fact: null,
      tries: 0,
      askedTime: null,
      version: 1,
    };
    context.rows.put("recoveryCheck", fresh);
    return fresh;
  });
  return [...beyond, ...checks];
}

type Place = Pick<RecoveryCheck, "providerAccountId" | "attempt">;

function isAbout(check: Place, place: Place): boolean {
  return check.providerAccountId === place.providerAccountId && check.attempt === place.attempt;
}

/** Asks about a reference under the payout's lease. The caller holds a slot of the account. */
export function ask(
  context: Context,
  draft: Draft,
  what: { readonly payout: Payout; readonly suspect: Suspect; readonly provider: ProviderSetup },
): void {
  const { payout, suspect, provider } = what;
  const { truth } = provider.connector;
  const fence = context.nextFence();
  draft.wakes.set(`payout:${payout.id}`, { dueTime: context.now + truth.leaseMs, lease: true, fence });
  const errand: CheckErrand = {
    kind: "provider",
    slotKey: provider.row.id,
    organizationId: context.organizationId,
    payoutId: payout.id,
    requestId: payout.requestId,
    invoiceId: payout.invoiceId,
    websiteId: payout.websiteId,
    providerAccountId: provider.row.id,
    baseUrl: provider.row.baseUrl,
    epoch: context.moment.epoch,
    askedTime: context.now,
    operation: "inquire",
    draft: provider.connector.inquire.build(
      questionTo(context, draft, { payout, reference: suspect.reference }),
      provider.account,
      context.now,
    ),
    fence,
    sendWithinMs: truth.leaseMs - truth.leaseMarginMs,
    timeoutMs: truth.timeoutMs,
    check: suspect,
  };
  context.errands.push(errand);
}

function questionTo(context: Context, draft: Draft, about: { payout: Payout; reference: string }) {
  const { payout, reference } = about;
  const providerReference = reference === payout.reference ? payout.providerReference : null;
  return { ...queryOf(context, draft, payout), reference, providerReference };
}

/** What a question about a reference came to. */
export interface HeardCheck {
  readonly payout: Payout;
  readonly errand: CheckErrand;
  readonly outcome: HttpOutcome;
}

/** What the answer says about the reference, and by which truth it was read. */
export function readOutcome(context: Context, draft: Draft, { payout, errand, outcome }: HeardCheck) {
  const provider = context.setup.providers.get(errand.providerAccountId);
  assert(provider !== undefined, `provider account ${errand.providerAccountId}, which was asked, is installed`);
  const truth = sendTruth(provider);
  if (outcome.kind !== "answer") return { state: "asked" as const, fact: null, truth };
  const question = questionTo(context, draft, { payout, reference: errand.check.reference });
  const answer = provider.connector.inquire.read(outcome.result, question);
  const { askedTime, epoch } = errand;
  return { state: readCheck(answer, { askedTime, epoch, order: draft.request }, truth), fact: answer.fact, truth };
}

/** Takes the outcome of a check from the holder of its lease. */
export function hearCheck(context: Context, draft: Draft, heard: HeardCheck): Result<"taken", Refusal> {
  const { payout, errand } = heard;
  const place = { providerAccountId: errand.providerAccountId, attempt: errand.check.attempt };
  const check = checksOf(context, payout.id).find((each) => isAbout(each, place));
  assert(check !== undefined, `the question about payout ${payout.id} that was asked is there`);
  const { state, fact, truth } = readOutcome(context, draft, heard);
  settle(context, check, { state, fact });
  const isOnly = checksOf(context, payout.id).every((each) => each.state !== "found" || isAbout(each, check));
  tellOfSilence(draft, payout, { state, tries: check.tries });
  if (state === "found") takeFound(draft, payout, { check, fact, truth, isOnly });
  else wakePayout(draft, payout.id, state === "absent" ? context.now : askAgainTime(check, context.now, truth));
  const carried = carryOn(context, draft);
  return carried.ok ? ok("taken") : carried;
}

/** A question that nobody answers holds money back: a person is told, and told no more once it is answered. */
export function tellOfSilence(
  draft: Draft,
  { id }: Payout,
  asked: { readonly state: CheckState; readonly tries: number },
): void {
  if (asked.tries < PATIENCE) return;
  if (asked.state !== "asked") draft.closedItems.push({ subject: id, reason: "outcome_unknown" });
  else if (asked.tries === PATIENCE) openUnknown(draft, id, "UNKNOWN");
}

function settle(context: Context, check: RecoveryCheck, to: { state: CheckState; fact: string | null }): void {
  const fact = to.state === "found" ? to.fact : null;
  context.rows.put("recoveryCheck", { ...check, state: to.state, fact, version: check.version + 1 });
}

/**
 * It is at the provider, and nothing here remembers to have sent it. Under its own reference, at its own account, and
 * nowhere else, it is what a lost commit has sent: followed from here. Anywhere else a person must look.
 */
function takeFound(
  draft: Draft,
  payout: Payout,
  found: { check: RecoveryCheck; fact: string | null; truth: SendTruth; isOnly: boolean },
): void {
  const { check, fact, truth, isOnly } = found;
  if (payout.send === "not_now" && isAbout(check, payout)) {
    // It was sent under this very reference and then forgotten: an inquiry is what follows a send like that.
    patchPayout(draft, payout.id, { send: "answered", sends: 1 });
    wakePayout(draft, payout.id, draft.now);
    return;
  }
  if (payout.status === "READY" && isAbout(check, payout) && isOnly) {
    adopt(draft, payout.id);
    return;
  }
  const { providerAccountId, attempt, reference } = check;
  const about = { providerAccountId, attempt, reference, part: payout.part };
  giveToPerson(draft, payout, { reason: "not_sent_by_us", about, fact });
  wakePayout(draft, payout.id, draft.now + (truth.inquiryScheduleMs.at(-1) ?? 0));
}

/** It is not sent by a machine any more: what is known of the order elsewhere, or cannot be known, is for a person. */
export function giveToPerson(
  draft: Draft,
  payout: Payout,
  why: {
    readonly reason: "not_sent_by_us" | "outcome_unknown";
    readonly about: Omit<Suspect, "of"> & { readonly providerAccountId: string };
    readonly fact: string | null;
  },
): void {
  const { providerAccountId, part, attempt, reference } = why.about;
  patchPayout(draft, payout.id, { moderationRequired: true, flaggedTime: payout.flaggedTime ?? draft.now });
  draft.items.push({
    kind: "payout",
    subject: payout.id,
    reason: why.reason,
    isIncident: why.reason === "not_sent_by_us",
    details: {
      providerAccountId,
      part: String(part),
      attempt: String(attempt),
      reference,
      fact: why.fact ?? "unknown",
    },
  });
}

/** Whether a payout that is over is still to be inquired: it changed shortly before the restore point. */
export function isToBeInquired(context: Context, payout: Payout): boolean {
  return ownCheck(context, payout) !== null;
}

function ownCheck(context: Context, payout: Payout): RecoveryCheck | null {
  if (!isFromBefore(payout, context.moment.epoch)) return null;
  const own = checksOf(context, payout.id).find((each) => isAbout(each, payout));
  return own === undefined || isAnswered(own) ? null : own;
}

/**
 * Before news of an inquiry is heard: a payout from before may have left once more in the lost window, so absence
 * counts from the end of that window.
 */
export function rememberLoss(context: Context, draft: Draft, payout: Payout): void {
  const last = lastLeaveTime(payout, context.moment.epoch);
  if (last !== payout.lastLeaveTime) patchPayout(draft, payout.id, { lastLeaveTime: last });
}

/** After news of an ordinary inquiry was heard: its answer is the one that recovery waits for, where it counts. */
export function noteInquiry(
  context: Context,
  draft: Draft,
  heard: { readonly payout: Payout; readonly answer: Answer | null; readonly askedTime: number },
): void {
  const { payout, answer, askedTime } = heard;
  const check = ownCheck(context, payout);
  if (check === null) return;
  const provider = context.setup.providers.get(payout.providerAccountId);
  assert(provider !== undefined, `the connector of payout ${payout.id} is installed`);
  const truth = sendTruth(provider);
  const asked = { askedTime, epoch: context.moment.epoch, order: draft.request };
  const state = answer === null ? "asked" : readCheck(answer, asked, truth);
  const tries = check.tries + 1;
  settle(context, { ...check, tries, askedTime }, { state, fact: answer?.fact ?? null });
  // What is over has no schedule of its own.
  const isOver = !isPlannedOrOpen(payout) && payout.status !== "CANCELLING";
  if (isOver && state === "asked") wakePayout(draft, payout.id, askAgainTime({ tries }, context.now, truth));
}
