// Method: an engine and two providers with a book each. The account's address, or whom it speaks as, is changed while
// an order is under way; the clock and both providers are in the test's hand.
import assert from "node:assert/strict";
import { test } from "node:test";
import { WATCH_MS } from "../../src/core/news/recovery.ts";
import { type ActOrder, moderate } from "../../src/engine/commands/moderation.ts";
import { changeProviderAccount, type ProviderAccountOrder } from "../../src/engine/commands/provider-accounts.ts";
import { moveProviderAccount } from "../../src/engine/commands/settings.ts";
import type { HttpOrder } from "../../src/engine/ports.ts";
import { BOOK, House, says } from "./house.ts";
import { isPaid, isSend, notFound, openRestored, sends, W } from "./restored.ts";

const CAUSE = { actor: "test" };
const OLD = "http://provider";
const NEW = "http://other";
const LIMIT = { attemptsLimit: 2 };

async function change(house: House, order: ProviderAccountOrder, id = "pacc_demo"): Promise<void> {
  const version = house.rows("providerAccount").find((row) => row.id === id)?.version ?? 0;
  const changed = await house.engine.run(BOOK, changeProviderAccount, { id, version, order, problems: [] }, CAUSE);
  assert.ok(changed.ok, changed.ok ? "" : changed.error.detail);
}

function act(house: House, kind: ActOrder["kind"], body: ActOrder["body"] = {}) {
  const [payout] = house.rows("payout");
  assert.ok(payout !== undefined);
  const about = { kind, subjectKind: "payout" as const, subject: payout.id, version: payout.version };
  return house.engine.run(BOOK, moderate, { ...about, reason: "test", body }, CAUSE);
}

/** References that were taken, by the address that took them. Nobody tells of those at the old one. */
async function openTwoBooks(): Promise<{ house: House; taken: string[] }> {
  const house = await new House().open();
  house.engine.start();
  const taken: string[] = [];
  house.answer = async (order) => {
    if (isSend(order)) taken.push(`${order.baseUrl} ${referenceIn(order)}`);
    if (order.baseUrl === OLD) return { kind: "timeout" };
    return isSend(order) ? says(order, "paid", 2) : notFound(order);
  };
  return { house, taken };
}

const referenceIn = (order: HttpOrder): string =>
  String((JSON.parse(order.draft.body ?? "{}") as { reference?: string }).reference);

const openItems = (house: House) =>
  house
    .rows("moderationItem")
    .filter(({ status }) => status === "open")
    .map(({ reason }) => reason);

const CHANGES: Readonly<Record<string, ProviderAccountOrder>> = {
  address: { baseUrl: NEW },
  "setting, and the way to it": { baseUrl: NEW, settings: { scenario: "ok" } },
};

for (const [what, order] of Object.entries(CHANGES)) {
  test(`another ${what}: what was sent before is not believed absent, nor sent again`, async () => {
    const { house, taken } = await openTwoBooks();
    await house.mustOrder("a", "10", LIMIT);
    await house.pass(3_000);
    await change(house, order);
    await house.pass(10 * 60_000);
    assert.equal(taken.length, 1, "paid once");
    assert.ok(
      house.sent.some(({ baseUrl }) => baseUrl === NEW),
      "the new address is asked",
    );
    const [payout, ...others] = house.rows("payout");
    assert.deepEqual([payout?.status, payout?.evidence, others.length], ["INVOKING", null, 0]);
    assert.deepEqual([payout?.moderationRequired, openItems(house)], [true, ["outcome_unknown"]]);
    const refused = await act(house, "repeat");
    assert.deepEqual(refused.ok ? "done" : [refused.error.code, /address/.test(refused.error.detail)], [
      "not-in-this-status",
      true,
    ]);
    assert.equal(taken.length, 1);
    const decided = await act(house, "evidence", { verdict: "not_paid", evidence: { kind: "letter" } });
    assert.ok(decided.ok, "a person can");
    await house.pass(1_000);
    const ended = house.rows("payout").map(({ status, evidence }) => [status, evidence]);
    assert.deepEqual(ended, [["INVOKE_FAILED", "D4"]]);
    assert.deepEqual(house.broken, []);
  });
}

test("only credentials are changed, or the demo's sandbox moves: the same", async () => {
  for (const isMoved of [false, true]) {
    const house = await new House().open();
    house.engine.start();
    house.answer = async (order) => (isSend(order) ? { kind: "timeout" } : notFound(order));
    await house.mustOrder("a", "10", LIMIT);
    await house.pass(1_000);
    if (isMoved) await house.engine.run(BOOK, moveProviderAccount, { id: "pacc_demo", baseUrl: NEW }, CAUSE);
    else await change(house, { credentials: { secret: "another-secret" } });
    await house.pass(60_000);
    assert.deepEqual([house.rows("payout").length, house.rows("payout")[0]?.status], [1, "INVOKING"]);
    assert.deepEqual(openItems(house), ["outcome_unknown"]);
  }
});

test("the values that it has already, a name and a gate are no change of address", async () => {
  const house = await new House().open();
  house.engine.start();
  await change(house, { credentials: { secret: "a-secret" }, settings: { scenario: "ok" } });
  await house.pass(1_000);
  house.answer = async (order) => (isSend(order) ? { kind: "timeout" } : notFound(order));
  await house.mustOrder("a", "10", LIMIT);
  await house.pass(1_000);
  await change(house, { baseUrl: `${OLD}/`, settings: { scenario: "ok" }, credentials: { secret: "a-secret" } });
  await change(house, { name: "Renamed", gate: "shut" });
  await house.pass(60_000);
  assert.equal(house.rows("payout")[0]?.evidence, "D3");
});

test("what the new address knows counts, and what is sent there is proven absent there", async () => {
  const { house } = await openTwoBooks();
  const before = house.answer;
  await house.mustOrder("a", "10", LIMIT);
  await house.pass(3_000);
  await change(house, { baseUrl: NEW });
  await house.pass(20_000);
  house.answer = async (order) => (isSend(order) ? before(order) : isPaid(order, "10.00"));
  await house.pass(20_000);
  assert.equal(house.rows("invoice")[0]?.status, "processed");
  assert.deepEqual(openItems(house), []);
  house.answer = async (order) => (isSend(order) ? { kind: "timeout" } : notFound(order));
  await house.mustOrder("b", "10", LIMIT);
  await house.pass(20_000);
  const later = house.rows("payout").filter(({ invoiceId }) => invoiceId !== house.rows("invoice")[0]?.id);
  assert.equal(later[0]?.evidence, "D3");
});

test("a repeat that was allowed does not go to an address that came after", async () => {
  const house = await new House().open();
  house.engine.start();
  house.answer = async (order) => (isSend(order) ? { kind: "timeout" } : { kind: "lost", reason: "reset" });
  await house.mustOrder("a", "10", LIMIT);
  await house.pass(60_000);
  assert.ok((await act(house, "repeat")).ok);
  assert.equal(house.rows("payout")[0]?.send, "again");
  await change(house, { baseUrl: NEW });
  await house.pass(60_000);
  assert.equal(sends(house), 1);
  assert.equal(house.rows("payout")[0]?.send, "unknown");
});

for (const [account, other] of [["pacc_demo", "pacc_backup"] as const, ["pacc_backup", "pacc_demo"] as const]) {
  test(`after a restore: where ${account} was changed since, absence proves nothing, and a person decides`, async () => {
    const house = await openRestored();
    await house.pass(1_000);
    await change(house, { baseUrl: NEW }, account);
    await house.pass(W);
    // The lost window's end is moved to after the change: it was made here all the same.
    house.store.epoch = { number: Math.ceil(house.now / 1_000), gate: "open" };
    await house.pass(W + 1_000);
    await house.mustOrder("a", "10", LIMIT);
    await house.pass(60_000);
    assert.equal(sends(house), 0);
    const [item] = house.rows("moderationItem");
    assert.equal(item?.reason, "outcome_unknown");
    assert.equal((item.details as { providerAccountId: string }).providerAccountId, account);
    const checks = house.rows("recoveryCheck").map(({ providerAccountId, state }) => `${providerAccountId} ${state}`);
    const all = [`${account} due`, `${account} due`, `${other} absent`, `${other} absent`];
    assert.deepEqual(checks.toSorted(), all.toSorted(), "whoever can prove something was asked before the person");
    assert.ok((await act(house, "evidence", { verdict: "not_paid", evidence: { kind: "letter" } })).ok);
    assert.deepEqual([house.rows("payout")[0]?.status, house.rows("payout")[0]?.evidence], ["TERMINATED", "D4"]);
    assert.equal(sends(house), 0);
    assert.deepEqual(house.broken, []);
  });
}

test("after a restore: an answer from before the change still counts, one that comes after it does not", async () => {
  const house = await openRestored();
  await house.pass(W + 1_000);
  let isChanged = false;
  const states = () =>
    house
      .rows("recoveryCheck")
      .filter(({ providerAccountId }) => providerAccountId === "pacc_demo")
      .map(({ attempt, state }) => `${attempt} ${state}`)
      .toSorted();
  house.answer = async (order) => {
    if (isSend(order)) return says(order, "paid", 2);
    if (!isChanged && states().includes("2 absent")) {
      isChanged = true;
      await change(house, { baseUrl: NEW });
    }
    return notFound(order);
  };
  await house.mustOrder("a", "10", LIMIT);
  await house.pass(60_000);
  assert.equal(isChanged, true);
  assert.deepEqual(states(), ["1 asked", "2 absent"]);
  assert.equal(sends(house), 0);
  assert.equal(house.rows("payout")[0]?.moderationRequired, true);
});

test("after a restore: parts are not searched for where absence proves nothing", async () => {
  const house = await openRestored();
  await house.pass(W + 1_000);
  await change(house, { baseUrl: NEW }, "pacc_backup");
  const { invoice } = await house.mustOrder("a", "10", { ...LIMIT, splitMode: true });
  await house.pass(10 * 60_000);
  assert.equal(sends(house), 0);
  assert.equal(house.rows("payout")[0]?.moderationRequired, true);
  const count = () => house.rows("moderationItem").map((row) => row.count);
  const before = count();
  house.now = invoice.expiresTime + 1;
  await house.pass(30 * 60_000);
  assert.ok((count()[0] ?? 0) <= (before[0] ?? 0) + 2, "a person is not told over and over");
  assert.deepEqual(house.broken, []);
});

test("a change from before a restore, and orders that no lost database can have known, need no care", async () => {
  const early = await new House().open();
  await change(early, { baseUrl: NEW });
  early.engine.start();
  await early.pass(1_000);
  early.store.epoch = { number: early.now / 1_000, gate: "open" };
  early.answer = async (order) => (isSend(order) ? says(order, "paid", 2) : notFound(order));
  await early.pass(W + 1_000);
  await early.mustOrder("a", "10", LIMIT);
  await early.pass(60_000);
  assert.equal(sends(early), 1);

  const late = await openRestored();
  await change(late, { baseUrl: NEW });
  late.now += WATCH_MS;
  await late.pass(1_000);
  late.store.epoch = { number: late.now / 1_000, gate: "open" };
  await late.pass(W + 1_000);
  await late.mustOrder("a", "10", LIMIT);
  await late.pass(60_000);
  assert.equal(sends(late), 1);
});
