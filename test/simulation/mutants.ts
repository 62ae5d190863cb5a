/**
 * Can the simulation see? Each mutant takes one safety rule out of a copy of the product, and the simulation has to
 * find it: `npm run simulate:mutants -- --seeds 500 --only no_fence`. The product itself knows nothing of this.
 */
import { spawn } from "node:child_process";
import { cp, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { simulate } from "./simulate.ts";

export interface Mutant {
  readonly name: string;
  /** The rule that it removes. */
  readonly rule: string;
  readonly file: string;
  /** Stands exactly once in the file. */
  readonly find: string;
  readonly replace: string;
}

export const MUTANTS: readonly Mutant[] = [
  {
    name: "no_intent_commit",
    rule: "A request leaves only after its intent is committed.",
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
    file: "src/core/news.ts",
    find: "askedTime > payout.lastLeaveTime + truth.waitWindowMs;",
    replace: "askedTime > payout.lastLeaveTime;",
  },
  {
    name: "short_wait_window",
    rule: "The wait window holds a worker's longest pause.",
    file: "src/engine/orders.ts",
    find: "truth.timeoutMs + lateArrivalMs + inquiryLagMs + truth.workerPauseMs : null",
    replace: "truth.timeoutMs + lateArrivalMs + inquiryLagMs : null",
  },
  {
    name: "window_from_first_send",
    rule: "The wait window begins with the last instant at which a request could have left.",
    file: "src/core/news.ts",
    find: "askedTime > payout.lastLeaveTime + truth.waitWindowMs;",
    replace: "askedTime > (payout.firstSendTime ?? 0) + truth.waitWindowMs;",
  },
  {
    name: "not_found_is_no",
    rule: "NOT_FOUND is no evidence by itself.",
    file: "src/core/news.ts",
    find: "if (isUndecided && isAfterWindow && truth.isInquiryComplete) {",
    replace: "if (isUndecided) {",
  },
  {
    name: "cascade_on_timeout",
    rule: "A lost answer is not a no: the status stays, the inquiry decides.",
    file: "src/core/news.ts",
    find: "hearUnsure(draft, payout, { operation: news.operation, resolution: news.resolution }, truth);",
    replace: `if (news.operation === "invoke" && payout.status === "INVOKING") {
        endUnpaid(draft, payoutId, "INVOKE_FAILED", "D1");
      } else hearUnsure(draft, payout, { operation: news.operation, resolution: news.resolution }, truth);`,
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
    file: "src/core/dispatch.ts",
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
    file: "src/core/news.ts",
    find: "const since = payoutOf(draft, payout.id).flaggedTime ?? draft.now;",
    replace: `const since = payoutOf(draft, payout.id).flaggedTime ?? draft.now;
  if (isSend) draft.postings.push(ledger.cameBack(ledger.partiesOf(payout, draft.invoice), payout.amountMinor));`,
  },
  {
    name: "no_evidence_kept",
    rule: "An unpaid end has its evidence.",
    file: "src/core/news.ts",
    find: "patchPayout(draft, id, { evidence });",
    replace: "",
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
    file: "src/core/dispatch.ts",
    find: "if (isFirst) draft.postings.push(ledger.sent(",
    replace: "draft.postings.push(ledger.sent(",
  },
  {
    name: "nobody_asks_again",
    rule: "Whatever is not final has a wake-up.",
    file: "src/core/news.ts",
    find: "wakePayout(draft, payout.id, draft.now + inquiryDelayMs(truth.inquiryScheduleMs, payout.inquiries));",
    replace: "wakePayout(draft, payout.id, null);",
  },
  {
    name: "settled_while_unknown",
    rule: "A request does not end while the outcome of a payout is unknown.",
    file: "src/core/dispatch.ts",
    find: `  foldPayouts(draft);
  if (draft.payouts.some(isPlannedOrOpen)) {`,
    replace: `  foldPayouts(draft);
  if (draft.payouts.some((payout) => isPlannedOrOpen(payout) && !payout.moderationRequired)) {`,
  },
  {
    name: "hold_released_on_unknown",
    rule: "The hold stays while the outcome of a payout is unknown.",
    file: "src/core/dispatch.ts",
    find: 'walkTo(draft, waits ? "PENDING" : "DISPATCHING");',
    replace: `walkTo(draft, waits ? "PENDING" : "DISPATCHING");
  if (draft.payouts.some((payout) => payout.moderationRequired)) closeHold(draft);`,
  },
  {
    name: "amounts_not_compared",
    rule: "An answer about another amount is not about our order.",
    file: "src/core/news.ts",
    find: 'if (echo.amountMinor !== undefined && echo.amountMinor !== payout.amountMinor) wrong.push("amount");',
    replace: "",
  },
  {
    name: "older_news_taken",
    rule: "News that is older than what is known changes nothing.",
    file: "src/core/news.ts",
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
    find: 'if (work === null || !isPlannedOrOpen(payout) || errand.operation === "inquire") return ok("stale");',
    replace: 'if (work === null || !isPlannedOrOpen(payout)) return ok("stale");',
  },
];

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const COPIED = ["src", "test", "package.json", "tsconfig.json"] as const;

/** The source with its one place replaced. A mutant that does not apply is an error: the table must not rot. */
export function mutate(source: string, { name, file, find, replace }: Mutant): string {
  const [before, after, ...more] = source.split(find);
  if (before === undefined || after === undefined || more.length > 0) {
    throw new Error(`${name}: what it replaces stands ${source.split(find).length - 1} times in ${file}, not once`);
  }
  return before + replace + after;
}

export function sourceOf({ file }: Pick<Mutant, "file">): Promise<string> {
  return readFile(join(ROOT, file), "utf8");
}

/** What a hunt came to: the seed that found something, and its verdicts; null: all seeds were clean. */
export type Catch = { readonly seed: number; readonly verdicts: readonly string[] } | null;

/** Simulates a copy of the product, with a mutant or without, in a process of its own. */
export async function hunt(mutant: Mutant | null, seeds: number): Promise<Catch> {
  const copy = await mkdtemp(join(tmpdir(), "bursar-mutant-"));
  try {
    for (const each of COPIED) await cp(join(ROOT, each), join(copy, each), { recursive: true });
    await symlink(join(ROOT, "node_modules"), join(copy, "node_modules"));
    if (mutant !== null) {
      const path = join(copy, mutant.file);
      await writeFile(path, mutate(await readFile(path, "utf8"), mutant));
    }
    return await runCopy(copy, seeds);
  } finally {
    await rm(copy, { recursive: true, force: true });
  }
}

/** This same file, as it stands in the copy, looks at the seeds there. */
function runCopy(copy: string, seeds: number): Promise<Catch> {
  const file = join(copy, "test/simulation/mutants.ts");
  const child = spawn(process.execPath, [file, "--here", "--seeds", String(seeds)], { cwd: copy });
  const output: string[] = [];
  const errors: string[] = [];
  child.stdout.setEncoding("utf8").on("data", (text: string) => output.push(text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => errors.push(text));
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code) => {
      if (code === 0) resolve(JSON.parse(output.join("")) as Catch);
      else reject(new Error(`the simulation of a copy ended with ${code}: ${errors.join("").slice(0, 2000)}`));
    });
  });
}

async function firstCatch(seeds: number): Promise<Catch> {
  for (let seed = 1; seed <= seeds; seed += 1) {
    const { found } = await simulate(seed);
    if (found.length > 0) return { seed, verdicts: [...new Set(found.map(({ verdict }) => verdict))] };
  }
  return null;
}

async function timed(what: Promise<Catch>): Promise<{ caught: Catch; ms: number }> {
  const began = performance.now();
  const caught = await what;
  return { caught, ms: Math.round(performance.now() - began) };
}

/** Whether the product is clean and all of these mutants are found. */
async function huntAll(mutants: readonly Mutant[], seeds: number): Promise<boolean> {
  for (const mutant of MUTANTS) mutate(await sourceOf(mutant), mutant);
  const plain = await timed(hunt(null, seeds));
  if (plain.caught !== null) {
    console.log(`without a mutant: ${plain.caught.verdicts.join(", ")} in seed ${plain.caught.seed}`);
    return false;
  }
  console.log(`without a mutant: clean for ${seeds} seeds (${plain.ms} ms)`);
  let found = 0;
  for (const mutant of mutants) {
    const { caught, ms } = await timed(hunt(mutant, seeds));
    if (caught === null) console.log(`${mutant.name}: NOT FOUND within ${seeds} seeds (${ms} ms): ${mutant.rule}`);
    else console.log(`${mutant.name}: found by ${caught.verdicts.join(", ")} within ${caught.seed} seeds (${ms} ms)`);
    if (caught !== null) found += 1;
  }
  console.log(`${found} of ${mutants.length} mutants found`);
  return found === mutants.length;
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: { seeds: { type: "string", default: "500" }, only: { type: "string" }, here: { type: "boolean" } },
  });
  if (!/^[1-9]\d{0,6}$/.test(values.seeds)) throw new TypeError(`--seeds takes a number, not ${values.seeds}`);
  const seeds = Number(values.seeds);
  if (values.here === true) {
    console.log(JSON.stringify(await firstCatch(seeds)));
    return;
  }
  const chosen = MUTANTS.filter(({ name }) => values.only === undefined || values.only === name);
  if (chosen.length === 0) throw new TypeError(`--only takes one of ${MUTANTS.map(({ name }) => name).join(", ")}`);
  process.exitCode = (await huntAll(chosen, seeds)) ? 0 : 1;
}

if (import.meta.main) await main();
