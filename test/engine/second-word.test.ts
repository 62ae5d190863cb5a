// Method: an engine with the clock in the test's hand, and two people above a limit: what one of them has proposed, the
// other confirms late.
import assert from "node:assert/strict";
import { test } from "node:test";
import { type ActOrder, moderate, secondWord } from "../../src/engine/commands/moderation.ts";
import { changeWebsite } from "../../src/engine/commands/websites.ts";
import { BOOK, House } from "./house.ts";
import { isSend, sends } from "./restored.ts";

const NOT_PAID = { verdict: "not_paid", evidence: { kind: "document" } } as const;

/** An order of twenty dollars whose send was lost, long ago, where two people decide above fifteen. */
async function openWithLost(): Promise<House> {
  const house = await new House().open();
  house.engine.start();
  const order = { secondPersonAbove: { USD: "15" } };
  const change = { id: "web_demo", version: 1, order, problems: [] };
  assert.ok((await house.engine.run(BOOK, changeWebsite, change, { actor: "test" })).ok);
  house.answer = async (each) => (isSend(each) ? { kind: "timeout" } : { kind: "lost", reason: "reset" });
  await house.mustOrder("a", "20", { attemptsLimit: 2 });
  await house.pass(60_000);
  return house;
}

/** Proposes an act about the payout; its id. */
async function propose(house: House, actor: string, kind: ActOrder["kind"], body: ActOrder["body"] = {}) {
  const [payout] = house.rows("payout");
  assert.ok(payout !== undefined);
  const about = {
    kind,
    subjectKind: "payout",
    subject: payout.id,
    version: payout.version,
    reason: "test",
    body,
  } as const;
  const done = await house.engine.run(BOOK, moderate, about, { actor });
  assert.ok(done.ok, done.ok ? "" : done.error.detail);
  assert.equal(done.value.act.status, "proposed");
  return done.value.act.id;
}

async function say(house: House, actor: string, word: "confirm" | "withdraw", actId: string): Promise<string> {
  const said = await house.engine.run(BOOK, secondWord, { actId, version: 1, word }, { actor });
  await house.settle();
  return said.ok ? said.value.act.status : said.error.code;
}

const waiting = (house: House): number =>
  house.rows("moderationItem").filter(({ status, reason }) => status === "open" && reason === "second_person").length;

test("evidence about the first request is not confirmed after the same reference has been sent again", async () => {
  const house = await openWithLost();
  const notPaid = await propose(house, "one", "evidence", NOT_PAID);
  const again = await propose(house, "two", "repeat");
  assert.equal(await say(house, "one", "confirm", again), "done");
  await house.pass(60_000);
  assert.equal(sends(house), 2, "the repeat has left, and nobody knows what became of it");
  assert.equal(await say(house, "two", "confirm", notPaid), "version-conflict");
  await house.pass(60_000);
  assert.equal(sends(house), 2);
  assert.deepEqual(
    house.rows("payout").map(({ status }) => status),
    ["INVOKING"],
  );
  assert.equal(await say(house, "two", "withdraw", notPaid), "withdrawn");
  const later = await propose(house, "one", "evidence", NOT_PAID);
  assert.equal(await say(house, "two", "confirm", later), "done");
  assert.equal(house.rows("payout")[0]?.evidence, "D4");
  assert.deepEqual(house.broken, []);
});

test("inquiries that tell nothing new make no proposal outdated", async () => {
  const house = await openWithLost();
  const notPaid = await propose(house, "one", "evidence", NOT_PAID);
  const asked = house.sent.length;
  await house.pass(60_000);
  assert.ok(house.sent.length > asked);
  assert.equal(await say(house, "two", "confirm", notPaid), "done");
  assert.equal(house.rows("payout")[0]?.evidence, "D4");
});

test("as long as one of several proposals waits, somebody is told of it", async () => {
  const house = await openWithLost();
  const notPaid = await propose(house, "one", "evidence", NOT_PAID);
  const again = await propose(house, "two", "repeat");
  assert.equal(waiting(house), 1);
  assert.equal(await say(house, "two", "withdraw", again), "withdrawn");
  assert.equal(waiting(house), 1);
  assert.equal(await say(house, "one", "withdraw", notPaid), "withdrawn");
  assert.equal(waiting(house), 0);
});
