// Method: one order at a time, with the clock and the provider in the test's hand: what leaves, when, and who may say
// what became of it.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { ProviderErrand } from "../../src/engine/command.ts";
import { recordOutcome } from "../../src/engine/commands/outcome.ts";
import type { HttpOrder, HttpOutcome } from "../../src/engine/ports.ts";
import { BOOK, House, says } from "./house.ts";

const TIMEOUT: HttpOutcome = { kind: "timeout" };
const isSend = (order: HttpOrder): boolean => order.draft.method === "POST";

test("the intent is committed before the request leaves", async () => {
  const house = await new House().open();
  let seen: unknown = null;
  house.answer = async () => {
    seen = house.rows("payout").map(({ status, send, reference }) => ({ status, send, reference }));
    return TIMEOUT;
  };
  await house.mustOrder("a");
  await house.settle();
  const reference = house.sent[0]?.draft.headers["x-reference"];
  assert.deepEqual(seen, [{ status: "INVOKING", send: "open", reference }]);
});

test("a lost answer is asked about and never sent again, for as long as nobody knows", async () => {
  const house = await new House().open();
  house.engine.start();
  house.answer = async (order) => (isSend(order) ? TIMEOUT : { kind: "lost", reason: "reset" });
  await house.mustOrder("a");
  await house.pass(120_000);
  assert.equal(house.sent.filter(isSend).length, 1);
  assert.ok(house.sent.length > 10, "it is asked again and again");
  const [payout] = house.rows("payout");
  assert.equal(payout?.status, "INVOKING");
  assert.equal(payout?.moderationRequired, true);
  assert.ok(house.rows("work").some((work) => work.kind === "payout"));
});

test("a holder that never reports is found by its lease, and the finder asks before anything is sent", async () => {
  const house = await new House().open();
  house.engine.start();
  house.answer = (order) => {
    if (isSend(order)) return new Promise(() => {});
    return Promise.resolve(says(house.sent[0] ?? order, "paid", 2));
  };
  await house.mustOrder("a");
  await house.pass(14_000);
  assert.equal(house.sent.length, 1, "the lease is respected");
  await house.pass(5_000);
  assert.equal(house.sent.filter(isSend).length, 1);
  assert.equal(house.rows("invoice")[0]?.status, "processed");
});

test("an outcome under an old fence, or of an old epoch, changes nothing but wakes the inquiry", async () => {
  const house = await new House().open();
  await house.mustOrder("a");
  await house.settle();
  const [payout] = house.rows("payout");
  const [work] = house.rows("work").filter((each) => each.kind === "payout");
  assert.ok(payout !== undefined && work !== undefined);
  const errand = { ...payout, kind: "provider", payoutId: payout.id, operation: "invoke", fence: work.fence, epoch: 1 };
  const refused: HttpOutcome = {
    kind: "answer",
    result: { status: 422, headers: {}, body: JSON.stringify({ error: "declined" }) },
  };
  for (const change of [{ fence: work.fence - 1 }, { epoch: 0 }]) {
    const stale = { ...errand, ...change } as unknown as ProviderErrand;
    const heard = { errand: stale, outcome: refused };
    const taken: unknown = await house.engine.run(BOOK, recordOutcome, heard, { actor: "test" });
    assert.deepEqual(taken, { ok: true, value: "stale" });
    assert.equal(house.rows("payout")[0]?.status, "INVOKING");
  }
});

test("a send that its holder could not make in time is dropped before its first byte, and goes again later", async () => {
  const house = new House();
  await house.open();
  house.engine.start();
  const made = house.order("a");
  // The process stands still for longer than the lease, between the commit and the first byte.
  house.now += 16_000;
  await made;
  await house.settle();
  const first = house.sent.filter(isSend).length;
  house.answer = async (order) => says(order, "paid", 1);
  await house.pass(30_000);
  assert.ok(first <= 1);
  assert.equal(house.sent.filter(isSend).length, 1);
  assert.equal(house.rows("payout").length, 1);
});

test("broken work is put aside for a minute with an item, and other work goes on", async () => {
  const house = await new House().open();
  house.engine.start();
  house.answer = async () => TIMEOUT;
  await house.mustOrder("broken");
  await house.settle();
  const connector = house.engine.connectors.get("sandbox");
  assert.ok(connector !== undefined);
  const { build } = connector.inquire;
  const broken = house.rows("payout")[0]?.reference ?? "";
  (connector.inquire as { build: typeof build }).build = (query, account, now) => {
    if (query.reference === broken) throw new TypeError("a bug of the connector");
    return build(query, account, now);
  };
  try {
    await house.pass(5_000);
    const items = house.rows("moderationItem").filter((item) => item.reason === "internal_fault");
    assert.equal(items.length, 1);
    assert.ok(house.broken.some((line) => line.includes("a bug of the connector")));
    const tries = house.broken.length;
    await house.pass(20_000);
    assert.equal(house.broken.length, tries, "not every second");
    house.answer = async (order) => says(order, "paid", 1);
    const good = await house.mustOrder("good");
    await house.settle();
    assert.equal(house.rows("invoice").find((row) => row.id === good.invoice.id)?.status, "processed");
  } finally {
    (connector.inquire as { build: typeof build }).build = build;
  }
});

test("the lifetime ends what nobody can pay, and follows what is out", async () => {
  const house = await new House().open();
  house.engine.start();
  house.answer = async (order) =>
    isSend(order) ? says(order, "queued", 1) : says(house.sent[0] ?? order, "queued", 1);
  await house.mustOrder("a", "10", { lifetimeMinutes: 10 });
  await house.pass(10 * 60_000 + 10_000);
  assert.equal(house.rows("request")[0]?.endAsked, "expire");
  assert.equal(house.rows("invoice")[0]?.status, "process_pending", "money in flight is never abandoned");
  house.answer = async (order) => says(house.sent[0] ?? order, "paid", 2);
  await house.pass(60_000);
  assert.equal(house.rows("invoice")[0]?.status, "processed");
});

test("a stale answer to an inquiry wakes nothing: two inquiries never chase each other", async () => {
  const house = await new House().open();
  await house.mustOrder("a");
  await house.settle();
  const [payout] = house.rows("payout");
  const before = house.rows("work").find((each) => each.kind === "payout");
  assert.ok(payout !== undefined && before !== undefined);
  const errand = { ...payout, kind: "provider", payoutId: payout.id, operation: "inquire", fence: 0, epoch: 1 };
  const heard = { errand: errand as unknown as ProviderErrand, outcome: TIMEOUT };
  await house.engine.run(BOOK, recordOutcome, heard, { actor: "test" });
  assert.deepEqual(
    house.rows("work").find((each) => each.kind === "payout"),
    before,
  );
});
