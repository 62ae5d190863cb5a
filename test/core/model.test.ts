// Method: five thousand random stories, each judged after every step by a model that knows sums, classes of statuses, and
// what was proved and said, and nothing of how core decides. Everybody is told the same stories here;
// `npm run model -- --runs 10000` plays new ones.
import assert from "node:assert/strict";
import { test } from "node:test";
import { playStories, TABLE_MOVES } from "./model.ts";
import { judge, newModel } from "./model-rules.ts";
import { Playing } from "./playing.ts";

/** Moves that only long chains of rare steps take; `npm run model` takes them, five thousand stories may not. */
const RARE = 0.25;

test("five thousand random stories keep every rule after every step", () => {
  const { steps, moves, acts } = playStories({ runs: 5_000, seed: 20_261_121 });
  assert.ok(steps > 50_000, `${steps} steps`);
  const unseen = TABLE_MOVES.filter((name) => !moves.has(name));
  assert.ok(unseen.length < TABLE_MOVES.length * RARE, `moves that no story took: ${unseen.join(", ")}`);
  for (const act of ["revoke", "cancel", "evidence", "allocate", "process", "change", "block"]) {
    assert.ok(acts.has(act), `nobody has done ${act}`);
  }
});

test("the rules catch a payout that ends unpaid without a proof, and sums that do not add up", () => {
  const story = new Playing({});
  const model = newModel();
  judge(model, story);
  const [payout] = story.draft.payouts;
  assert.ok(payout !== undefined);
  const { request } = story.draft;
  story.draft = { ...story.draft, request: { ...request, availableMinor: 1n } };
  assert.throws(() => judge(model, story), /the sums of the request add up/);
  story.draft = {
    ...story.draft,
    request,
    payouts: [{ ...payout, status: "INVOKE_FAILED", evidence: "D1", inFlightMinor: 0n }],
  };
  assert.throws(() => judge(model, story), /sums of the request/);
  const freed = { ...request, availableMinor: request.amountMinor };
  story.draft = { ...story.draft, request: freed };
  story.balances.set("in_flight:dep_r1:USD", 0n);
  story.balances.set("deposit:dep_r1:USD", 0n);
  assert.throws(() => judge(model, story), /nobody has given D1/);
});
