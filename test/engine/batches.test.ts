import assert from "node:assert/strict";
import { test } from "node:test";
import { StoreRefused } from "../../src/core/faults.ts";
import { ok } from "../../src/core/result.ts";
import { type Handler, ORDER } from "../../src/engine/command.ts";
import { BOOK, House, says } from "./house.ts";

const CAUSE = { actor: "test" };

test("commands queued together are one transaction; a refusal and a throw belong to their commands alone", async () => {
  const house = await new House().open("100");
  const throwing: Handler<null, null> = {
    name: "throwing",
    order: ORDER.accept,
    wants: () => [],
    decide() {
      throw new TypeError("a bug");
    },
  };
  const { commits } = house;
  const results = await Promise.allSettled([
    house.order("a", "10"),
    house.order("b", "1000000"),
    house.engine.run(BOOK, throwing, null, CAUSE),
    house.order("c", "10"),
  ]);
  assert.equal(house.commits, commits + 1);
  const [first, second, third, fourth] = results;
  assert.ok(first?.status === "fulfilled" && first.value.ok);
  assert.ok(second?.status === "fulfilled" && !second.value.ok);
  assert.equal(second.value.error.code, "insufficient-funds");
  assert.ok(third?.status === "rejected");
  assert.ok(fourth?.status === "fulfilled" && fourth.value.ok);
  assert.deepEqual(
    house.rows("invoice").map((invoice) => invoice.referenceId),
    ["a", "c"],
  );
  assert.deepEqual(house.broken, ["throwing: TypeError: a bug"]);
});

test("what one command of a batch reserves, the next cannot", async () => {
  const house = await new House().open("100");
  const results = await Promise.all([house.order("a", "60"), house.order("b", "60"), house.order("c", "30")]);
  assert.deepEqual(
    results.map((result) => result.ok),
    [true, false, true],
  );
});

test("a command that the store refuses is found by halves, and the others go through", async () => {
  const house = await new House().open();
  const poisoned: Handler<null, null> = {
    name: "poisoned",
    order: ORDER.accept,
    wants: () => [],
    decide(context) {
      // A movement of nothing: the table's check refuses it.
      const born = { organizationId: BOOK, version: 1, createdTime: context.now, updatedTime: context.now };
      const what = { id: context.newId(), kind: "deposit", status: "created", websiteId: "web_demo" } as const;
      const rest = { toWebsiteId: null, depositAccountId: null, currency: "USD", amountMinor: 0n, description: null };
      context.rows.put("fundsMovement", { ...born, ...what, ...rest });
      return ok(null);
    },
  };
  const orders = Array.from({ length: 9 }, (_, index) => house.order(`o${index}`));
  const poison = house.engine.run(BOOK, poisoned, null, CAUSE);
  await assert.rejects(
    poison,
    (error) => error instanceof StoreRefused && error.constraint.includes("amount_positive"),
  );
  assert.ok((await Promise.all(orders)).every((result) => result.ok));
  assert.equal(house.rows("invoice").length, 9);
});

test("a refused order holds no send slot", async () => {
  const house = await new House().open("1000");
  for (let round = 0; round < 80; round += 1) assert.equal((await house.order(`big-${round}`, "5000")).ok, false);
  assert.equal(house.engine.sendsInFlight, 0);
  await house.mustOrder("small", "5");
  assert.equal(house.engine.sendsInFlight, 1);
});

test("at most 64 sends are out at one account; the next goes when one is answered", async () => {
  const house = await new House().open();
  const answers: (() => void)[] = [];
  house.answer = (order) => new Promise((resolve) => answers.push(() => resolve(says(order, "paid", 1))));
  await Promise.all(Array.from({ length: 70 }, (_, index) => house.order(`o${index}`)));
  await house.settle();
  assert.equal(house.sent.length, 64);
  assert.equal(house.rows("payout").filter((payout) => payout.status === "READY").length, 6);
  for (const answer of answers.splice(0, 3)) answer();
  await house.settle();
  assert.equal(house.sent.length, 67);
  for (let round = 0; round < 3; round += 1) {
    for (const answer of answers.splice(0)) answer();
    await house.settle();
  }
  assert.ok(house.rows("payout").every((payout) => payout.status === "PROCESSED"));
  assert.equal(new Set(house.sent.map((order) => order.draft.headers["x-reference"])).size, 70);
});

test("an accept waits for no provider", async () => {
  const house = await new House().open();
  await house.mustOrder("a");
  await house.mustOrder("b");
  assert.equal(house.engine.sendsInFlight, 2);
});
