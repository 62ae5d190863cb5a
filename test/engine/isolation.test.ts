// Method: two organizations in one lane. Something is wrong with a command or with all of the one; the other must not
// notice: its outcomes are written, its providers are asked.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { test } from "node:test";
import { StoreUnavailable } from "../../src/core/faults.ts";
import { ok } from "../../src/core/result.ts";
import { type Handler, ORDER, type ProviderErrand } from "../../src/engine/command.ts";
import { hearCallback } from "../../src/engine/commands/callback.ts";
import { recordOutcome } from "../../src/engine/commands/outcome.ts";
import type { Changes, HttpOrder, HttpOutcome, Store, Tx } from "../../src/engine/ports.ts";
import { BOOK, House, says } from "./house.ts";

const OTHER = "org_other:test";
const CAUSE = { actor: "test" };
const TIMEOUT: HttpOutcome = { kind: "timeout" };
const isSend = (order: HttpOrder): boolean => order.draft.method === "POST";

/** Somebody has exchanged the ciphertext, or the master key is another one. */
const breakSeal: Handler<null, null> = {
  name: "break-seal",
  order: ORDER.accept,
  wants: () => [],
  decide(context) {
    for (const { row } of context.setup.providers.values()) {
      context.rows.put("providerAccount", { ...row, credentials: new Uint8Array(40), version: row.version + 1 });
    }
    context.count({ configRevision: context.lock.configRevision + 1 });
    return ok(null);
  },
};

/** Two books; the provider has paid an order of the first, and what it said is still to be written. */
async function openTwo(wrap?: (store: Store) => Store): Promise<{ house: House; hearPaid: () => Promise<unknown> }> {
  const house = await new House(wrap).open();
  await house.open("100000", OTHER);
  await house.mustOrder("a");
  await house.settle();
  const [payout] = house.rows("payout");
  const work = house.rows("work").find(({ kind }) => kind === "payout");
  const [order] = house.sent;
  assert.ok(payout !== undefined && work !== undefined && order !== undefined);
  const call = { kind: "provider", payoutId: payout.id, operation: "invoke", fence: work.fence, epoch: 1 };
  const errand = { ...payout, ...call, askedTime: house.now } as unknown as ProviderErrand;
  const heard = { errand, outcome: says(order, "paid", 1) };
  return { house, hearPaid: () => house.engine.run(BOOK, recordOutcome, heard, CAUSE) };
}

/** A store through which every commit, or every claim, passes by the test. */
function through(see: { commit?: (changes: Changes) => void; claim?: (tx: Tx) => void }): (store: Store) => Store {
  return (store) => ({
    commit: (organizations, options, body) =>
      store.commit(organizations, options, async (tx) => {
        const { now, epoch, isGateOpen, locks } = tx;
        const claim: Tx["claim"] = async (kind, limit) => {
          see.claim?.(tx);
          return tx.claim(kind, limit);
        };
        const done = await body({ now, epoch, isGateOpen, locks, load: (wants) => tx.load(wants), claim });
        see.commit?.(done.changes);
        return done;
      }),
    due: (limit) => store.due(limit),
  });
}

const isPaid = (house: House): boolean => house.rows("invoice").some(({ status }) => status === "processed");

test("an outcome is written beside a command of an organization whose seals do not open", async () => {
  const { house, hearPaid } = await openTwo();
  await house.engine.run(OTHER, breakSeal, null, CAUSE);
  const [broken, heard] = await Promise.allSettled([house.order("b", "10", {}, OTHER), hearPaid()]);
  assert.equal(broken.status === "rejected" && (broken.reason as Error).name, "SealBroken");
  assert.deepEqual(heard, { status: "fulfilled", value: { ok: true, value: "taken" } });
  assert.ok(isPaid(house));
});

test("an outcome is written beside commands that cannot say what they need", async () => {
  const { house, hearPaid } = await openTwo();
  const say = (): never => {
    throw new TypeError("a bug");
  };
  const mute: Handler<null, null> = { name: "mute", order: ORDER.outcome, wants: say, decide: () => ok(null) };
  const later: Handler<null, null> = { ...mute, wants: () => [], more: say };
  const results = await Promise.allSettled([
    house.engine.run(OTHER, mute, null, CAUSE),
    house.engine.run(BOOK, later, null, CAUSE),
    hearPaid(),
  ]);
  assert.deepEqual(
    results.map(({ status }) => status),
    ["rejected", "rejected", "fulfilled"],
  );
  assert.ok(isPaid(house));
});

test("an outcome is written beside a callback that the database cannot index", async () => {
  const tooLong = ({ insert }: Changes): void => {
    // As PostgreSQL does for what its index takes no more; an error of which the store has no name.
    if (insert.command?.some(({ messageId }) => (messageId?.length ?? 0) > 2_700)) throw new Error("54000");
  };
  const { house, hearPaid } = await openTwo(through({ commit: tooLong }));
  const messageId = randomBytes(2_000).toString("hex");
  const answer = { sent: "accepted", fact: "paid", resolution: "OK" } as const;
  const message = { providerAccountId: "pacc_demo", news: { messageId, reference: "r", answer } };
  const cause = { actor: "provider", providerAccountId: "pacc_demo", messageId };
  const [refused, heard] = await Promise.allSettled([
    house.engine.run(OTHER, hearCallback, message, cause),
    hearPaid(),
  ]);
  assert.equal(refused.status === "rejected" && (refused.reason as Error).message, "54000");
  assert.equal(heard.status, "fulfilled");
  assert.ok(isPaid(house));
});

test("weather is not looked for in the commands: one try, and all of them fail", async () => {
  let commits = 0;
  let isAway = false;
  const weather = (): void => {
    commits += 1;
    if (isAway) throw new StoreUnavailable("away");
  };
  const { house, hearPaid } = await openTwo(through({ commit: weather }));
  isAway = true;
  commits = 0;
  const results = await Promise.allSettled([house.order("b"), house.order("c", "10", {}, OTHER), hearPaid()]);
  assert.ok(results.every(({ status }) => status === "rejected"));
  assert.equal(commits, 1);
});

test("due work of an organization whose seals do not open is put aside; the other's provider is asked", async () => {
  const house = await new House().open();
  await house.open("100000", OTHER);
  house.answer = async () => TIMEOUT;
  await house.mustOrder("a");
  await house.order("a", "10", {}, OTHER);
  await house.settle();
  await house.engine.run(OTHER, breakSeal, null, CAUSE);
  house.answer = async (order) => (isSend(order) ? TIMEOUT : says(house.sent[0] ?? order, "paid", 1));
  house.engine.start();
  await house.pass(10_000);
  const ended = house.rows("payout").map(({ organizationId, status }) => [organizationId, status]);
  assert.deepEqual(Object.fromEntries(ended), { [BOOK]: "PROCESSED", [OTHER]: "INVOKING" });
  const faults = house.rows("moderationItem").filter(({ reason }) => reason === "internal_fault");
  assert.deepEqual(
    faults.map(({ organizationId, count }) => [organizationId, count]),
    [[OTHER, 1]],
  );
  const tries = house.broken.length;
  assert.ok(house.broken.every((line) => line.includes("SealBroken")));
  await house.pass(20_000);
  assert.equal(house.broken.length, tries, "not every second");
});

test("work that cannot be claimed stops no other organization's", async () => {
  let isBroken = false;
  const claim = ({ locks }: Tx): void => {
    if (isBroken && locks.has(OTHER)) throw new TypeError("a row that cannot be read");
  };
  const house = await new House(through({ claim })).open();
  await house.open("100000", OTHER);
  house.answer = async () => TIMEOUT;
  await house.mustOrder("a");
  await house.order("a", "10", {}, OTHER);
  await house.settle();
  isBroken = true;
  house.answer = async (order) => (isSend(order) ? TIMEOUT : says(house.sent[0] ?? order, "paid", 1));
  house.engine.start();
  await house.pass(10_000);
  assert.ok(isPaid(house));
  assert.ok(house.broken.some((line) => line.startsWith(`claim of ${OTHER}`)));
  assert.ok(!house.broken.some((line) => line.includes(BOOK)));
});
