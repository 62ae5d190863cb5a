/**
 * The table of mutants: each takes one safety rule out of a copy of the product, and the simulation has to find it.
 * The product itself knows nothing of this.
 */

export interface Mutant {
  readonly name: string;
  /** The rule that it removes. */
  readonly rule: string;
  /** One of the ten rules of the send protocol without which nothing else counts: the hunt fails unless it is found. */
  readonly isEssential?: true;
  readonly file: string;
  /** Stands exactly once in the file. */
  readonly find: string;
  readonly replace: string;
  /** More source at the end of the file: what the replacement imports. */
  readonly append?: string;
}

export const MUTANTS: readonly Mutant[] = [
  {
    name: "no_intent_commit",
    rule: "A request leaves only after its intent is committed.",
    isEssential: true,
    file: "src/engine/batcher.ts",
    find: `
      return { changes, result: { decided, due: dueIn(changes, tx.now) } };
    });
    const errands = decided.flatMap((each) => (each.kind === "result" && each.result.ok ? each.errands : []));
    slots.current.keep(errands);
    this.#options.onBatch(decided.length, this.#options.clock.monotonic() - startedAt);
    if (errands.length > 0) this.#options.onErrands(errands, startedAt);`,
    replace: `
      const errands = decided.flatMap((each) => (each.kind === "result" && each.result.ok ? each.errands : []));
      slots.current.keep(errands);
      if (errands.length > 0) this.#options.onErrands(errands, startedAt);
      return { changes, result: { decided, due: dueIn(changes, tx.now) } };
    });`,
  },
  {
    name: "no_wait_window",
    rule: "NOT_FOUND counts only when it was asked after the wait window.",
    isEssential: true,
    file: "src/core/news/news.ts",
    find: "askedTime > payout.lastLeaveTime + truth.waitWindowMs;",
    replace: "askedTime > payout.lastLeaveTime;",
  },
  {
    name: "short_wait_window",
    rule: "The wait window holds a worker's longest pause.",
    file: "src/engine/world.ts",
    find: "truth.timeoutMs + lateArrivalMs + inquiryLagMs + truth.workerPauseMs : null",
    replace: "truth.timeoutMs + lateArrivalMs + inquiryLagMs : null",
  },
  {
    name: "window_from_first_send",
    rule: "The wait window begins with the last instant at which a request could have left.",
    file: "src/core/news/news.ts",
    find: "askedTime > payout.lastLeaveTime + truth.waitWindowMs;",
    replace: "askedTime > (payout.firstSendTime ?? 0) + truth.waitWindowMs;",
  },
  {
    name: "not_found_is_no",
    rule: "NOT_FOUND is no evidence by itself.",
    isEssential: true,
    file: "src/core/news/news.ts",
    find: "if (isUndecided && isAfterWindow && truth.isInquiryComplete) {",
    replace: "if (isUndecided) {",
  },
  {
    name: "cascade_on_timeout",
    rule: "A lost answer is not a no: the status stays, the inquiry decides.",
    isEssential: true,
    file: "src/core/news/news.ts",
    find: "hearUnsure(draft, payout.id, news, truth);",
    replace: `if (news.operation === "invoke" && payout.status === "INVOKING") {
      endUnpaid(draft, payout.id, "INVOKE_FAILED", "D1");
    } else hearUnsure(draft, payout.id, news, truth);`,
  },
  {
    name: "timeout_is_not_sent",
    rule: "Only what surely did not leave counts as not sent.",
    file: "src/engine/commands/outcome.ts",
    find: 'return lost(operation, "CONNECTION_TIMEOUT_ERROR");',
    replace: 'return { kind: "not_sent", operation, resolution: "CONNECTION_TIMEOUT_ERROR" };',
  },
  {
    name: "lost_is_not_sent",
    rule: "A connection that broke says nothing about what left.",
    file: "src/engine/commands/outcome.ts",
    find: 'return lost(operation, "CONNECTION_ERROR");',
    replace: 'return { kind: "not_sent", operation, resolution: "CONNECTION_ERROR" };',
  },
  {
    name: "new_reference_on_retry",
    rule: "A request that is sent again keeps its reference.",
    isEssential: true,
    file: "src/core/order/payout-plan.ts",
    find: "    sends: payout.sends + 1,",
    replace:
      '    sends: payout.sends + 1, reference: isFirst ? payout.reference : payout.reference.slice(0, -1) + "a",',
  },
  {
    name: "reference_without_attempt",
    rule: "Each attempt has a reference of its own.",
    file: "src/core/ids.ts",
    find: "String(parts.part), String(parts.attempt)]",
    replace: 'String(parts.part), "1"]',
  },
  {
    name: "dead_lease_sends_again",
    rule: "Whoever finds a send that nobody reported asks; it is not sent again.",
    file: "src/engine/commands/wake.ts",
    find: '(payout.status === "INVOKING" && payout.send === "not_now");',
    replace: '(payout.status === "INVOKING" && payout.send !== "unknown");',
  },
  {
    name: "no_pre_send_check",
    rule: "A request whose lease is nearly over is dropped before its first byte.",
    file: "src/engine/processor.ts",
    find: "maySend: () => clock.monotonic() < deadline,",
    replace: "maySend: () => true,",
  },
  {
    name: "lease_from_after_commit",
    rule: "A lease is measured from before its transaction.",
    file: "src/engine/batcher.ts",
    find: "if (errands.length > 0) this.#options.onErrands(errands, startedAt);",
    replace: "if (errands.length > 0) this.#options.onErrands(errands, this.#options.clock.monotonic());",
  },
  {
    name: "sent_given_back_on_unknown",
    rule: "What was sent stays in flight while its outcome is unknown.",
    file: "src/core/news/doubt.ts",
    find: "const since = payoutOf(draft, id).flaggedTime ?? draft.now;",
    replace: "const since = payoutOf(draft, id).flaggedTime ?? draft.now;\n  if (isSend) endFlight(draft, id);",
    append: 'import { endFlight } from "./settlement.ts";\n',
  },
  {
    name: "no_evidence_kept",
    rule: "An unpaid end has its evidence.",
    file: "src/core/news/facts.ts",
    find: "patchPayout(draft, id, { evidence });",
    replace: "payoutOf(draft, id);",
  },
  {
    name: "unlisted_error_is_no",
    rule: "An answer that is on no list of the connector is unknown.",
    file: "src/connectors/sandbox/connector.ts",
    find: 'return code === "" ? unlisted : { ...unlisted, providerCode: code };',
    replace: 'return { ...unlisted, sent: "refused", fact: "failed", resolution: "DECLINED_ERROR" };',
  },
  {
    name: "callback_taken_twice",
    rule: "A message is stored once, however often it comes.",
    file: "src/engine/commands/callback.ts",
    find: 'if (known.length > 0) return ok("again");',
    replace: "",
  },
  {
    name: "balance_of_the_process",
    rule: "No money decision on a balance that was not read under the lock.",
    isEssential: true,
    file: "src/engine/context.ts",
    find: "const account = this.account(ref);\n      const balanceMinor = balanceAfter(account, amountMinor);",
    replace: `const caches = ((globalThis as any).caches ??= new WeakMap());
      const cache = caches.get(this.#around.rng) ?? new Map();
      caches.set(this.#around.rng, cache);
      const read = this.account(ref);
      const name = this.organizationId + " " + read.id;
      const account = { ...read, balanceMinor: cache.get(name) ?? read.balanceMinor };
      const balanceMinor = balanceAfter(account, amountMinor);
      cache.set(name, balanceMinor);`,
  },
  {
    name: "no_funds_check",
    rule: "A merchant's available balance never falls below its floor.",
    file: "src/engine/context.ts",
    find: "if (account.floorMinor !== null && balanceMinor < account.floorMinor) {",
    replace: 'if (account.kind !== "available" && account.floorMinor !== null && balanceMinor < account.floorMinor) {',
  },
  {
    name: "sent_posted_again",
    rule: "Sent is posted once, however often a request is put off.",
    file: "src/core/order/payout-plan.ts",
    find: "if (isFirst) draft.postings.push(ledger.sent(",
    replace: "draft.postings.push(ledger.sent(",
  },
  {
    name: "nobody_asks_again",
    rule: "Whatever is not final has a wake-up.",
    file: "src/core/news/doubt.ts",
    find: "wakePayout(draft, id, draft.now + inquiryDelayMs(truth.inquiryScheduleMs, payout.inquiries));",
    replace: "wakePayout(draft, id, null);",
  },
  {
    name: "settled_while_unknown",
    rule: "A request does not end while the outcome of a payout is unknown.",
    file: "src/core/order/dispatch.ts",
    find: "if (draft.payouts.some(isPlannedOrOpen)) follow(draft);",
    replace:
      "if (draft.payouts.some((payout) => isPlannedOrOpen(payout) && !payout.moderationRequired)) follow(draft);",
  },
  {
    name: "hold_released_on_unknown",
    rule: "The hold stays while the outcome of a payout is unknown.",
    isEssential: true,
    file: "src/core/order/dispatch.ts",
    find: 'walkTo(draft, waits ? "PENDING" : "DISPATCHING");',
    replace: `walkTo(draft, waits ? "PENDING" : "DISPATCHING");
  if (draft.payouts.some((payout) => payout.moderationRequired)) closeHold(draft);`,
  },
  {
    name: "amounts_not_compared",
    rule: "An answer about another amount is not about our order.",
    isEssential: true,
    file: "src/core/news/facts.ts",
    find: 'if (echo.amountMinor !== undefined && echo.amountMinor !== payout.amountMinor) wrong.push("amount");',
    replace: "",
  },
  {
    name: "older_news_taken",
    rule: "News that is older than what is known changes nothing.",
    file: "src/core/news/facts.ts",
    find: "return answer.sequence !== undefined && payout.factSequence !== null && answer.sequence <= payout.factSequence;",
    replace: "return false;",
  },
  {
    name: "signature_not_compared",
    rule: "A callback counts only with the provider's signature.",
    file: "src/connectors/sandbox/connector.ts",
    find: 'return timingSafeEqual(expected, Buffer.from(mac, "hex"));',
    replace: "return timingSafeEqual(expected, expected);",
  },
  {
    name: "older_askers_wake",
    rule: "The answer to an inquiry whose lease has gone wakes nobody, else every asker comes too late.",
    file: "src/engine/commands/outcome.ts",
    find: 'if (errand.operation === "inquire" || !(isFollowed || isDoubted)) return ok("stale");',
    replace: 'if (!(isFollowed || isDoubted)) return ok("stale");',
  },
  {
    name: "lost_revoke_is_done",
    rule: "A revoke whose answer is lost is not taken as done.",
    file: "src/core/news/reversal.ts",
    find: "hearUnsure(draft, id, unsure, truth);",
    replace: `if (unsure.operation === "revoke") {
    endUnpaid(draft, id, "REVOKED", "D2");
    return;
  }
  hearUnsure(draft, id, unsure, truth);`,
    append: 'import { endUnpaid } from "./facts.ts";\n',
  },
  {
    name: "cancel_repeated_after_loss",
    rule: "A cancel whose answer is lost is asked about, not sent again.",
    file: "src/core/news/reversal.ts",
    find: 'patchPayout(draft, id, { reversal: "unknown", reversalTime: Math.min(reversalTime ?? draft.now, draft.now) });',
    replace: `patchPayout(draft, id, { reversal: "due", reversalTime });
  if (unsure.operation === "cancel") {
    wakePayout(draft, id, draft.now + 500);
    return;
  }`,
  },
  {
    name: "refund_above_paid",
    rule: "A refund asks for no more than was paid and has not come back.",
    file: "src/engine/commands/act-executors.ts",
    find: 'if (amount.value !== null && amount.value > refundable) return said("too_much");',
    replace:
      "if (amount.value !== null && amount.value > refundable) return said(refund(doing.draft, null, () => true));",
  },
  {
    name: "reroute_after_plain_revoke",
    rule: "What a person has revoked goes by another route only where that was said.",
    file: "src/core/order/parts.ts",
    find: 'return last.afterRevoke === "reroute";',
    replace: "return true;",
  },
  {
    name: "split_exceeds_amount",
    rule: "The parts of an order are no more than the order.",
    file: "src/core/order/dispatch.ts",
    find: "carve(draft, world, { part: nextPart(draft.payouts), attempt: 1, amountMinor: freshMinor });",
    replace: `carve(draft, world, {
    part: nextPart(draft.payouts),
    attempt: 1,
    amountMinor: parts === 0 ? freshMinor : draft.request.amountMinor,
  });`,
  },
  {
    name: "revived_payout_ignored",
    rule: "A payout that is paid after its end is paid.",
    file: "src/core/news/facts.ts",
    find: "  PROCESS_FAILED: LATE_WALKS,",
    replace: "  PROCESS_FAILED: {},",
  },
  {
    name: "no_recovery_mode",
    rule: "After a restore nothing leaves before the providers were asked about it.",
    isEssential: true,
    file: "src/core/news/recovery.ts",
    find: "return lostEnd !== null && payout.createdTime < lostEnd + WATCH_MS;",
    replace: "return false;",
  },
  {
    name: "parts_not_searched",
    rule: "After a restore no part of an order leaves before its unknown parts were looked for.",
    file: "src/engine/recovery-search.ts",
    find: "if (!needsChecks(payout, context.moment.epoch) || !mayHaveOtherParts(draft.request)) return",
    replace: "if (payout !== null) return",
  },
  {
    name: "doubtful_parts_forgotten",
    rule: "After a restore no part of an order leaves while another one of it is in doubt.",
    file: "src/engine/recovery-search.ts",
    find: 'if (!isEnding && isWaiting(context, draft, payout)) return "asked";',
    replace: "",
  },
  {
    name: "no_fence",
    rule: "An outcome is written only by the holder of the lease, in the present epoch.",
    isEssential: true,
    file: "src/engine/commands/outcome.ts",
    find: "const isHolder = work?.fence === errand.fence && errand.epoch === context.moment.epoch;",
    replace: "const isHolder = true;",
  },
  {
    name: "old_reference_repeated",
    rule: "A reference is not repeated near the end of the time for which the provider knows it.",
    file: "src/core/order/moderation.ts",
    find: "const isOld = truth.retentionMs === null || draft.now - firstSendTime > (truth.retentionMs * 8) / 10;",
    replace: "const isOld = truth.retentionMs === null;",
  },
];
