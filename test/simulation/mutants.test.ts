import { equal, notEqual, ok, throws } from "node:assert/strict";
import { describe, test } from "node:test";
import { MUTANTS, type Mutant } from "./mutant-table.ts";
import { hunt, mutate, sourceOf } from "./mutants.ts";

function mutantOf(name: string): Mutant {
  const mutant = MUTANTS.find((each) => each.name === name);
  ok(mutant !== undefined, `there is a mutant ${name}`);
  return mutant;
}

describe("the table of mutants", () => {
  test("has at least ten, each with a name of its own", () => {
    ok(MUTANTS.length >= 10);
    equal(new Set(MUTANTS.map(({ name }) => name)).size, MUTANTS.length);
  });

  for (const mutant of MUTANTS) {
    test(`${mutant.name} applies at exactly one place and changes it`, async () => {
      const source = await sourceOf(mutant);
      notEqual(mutate(source, mutant), source);
    });
  }

  test("a mutant that applies nowhere or twice is an error", () => {
    const mutant = { name: "none", rule: "None.", file: "a file", find: "one", replace: "two" };
    throws(() => mutate("three", mutant), /stands 0 times in a file, not once/);
    throws(() => mutate("one one", mutant), /stands 2 times in a file, not once/);
    equal(mutate("a one $&", mutant), "a two $&");
  });
});

describe("the hunt", () => {
  test("finds a lost answer that ends its payout", async () => {
    const caught = await hunt(mutantOf("cascade_on_timeout"), 20);
    ok(caught?.verdicts.includes("false_final"), "what was said to be not paid is in the provider's book");
  });

  test("finds nothing in a copy that is whole", async () => {
    equal(await hunt(null, 3), null);
  });
});
