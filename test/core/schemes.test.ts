import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { rateFor, termsFor } from "../../src/core/setup/commerce.ts";
import { type Known, readScheme, routesNamed } from "../../src/core/setup/schemes.ts";

const known: Known = {
  serviceCurrency: (code) => ({ card_usd: "USD", card_jpy: "JPY" })[code] ?? null,
  routeService: (id) => ({ a: "card_usd", b: "card_usd", j: "card_jpy" })[id] ?? null,
};

function read(kind: "routing" | "rate" | "commerce", body: Readonly<Record<string, unknown>>) {
  const faults: string[] = [];
  const value = readScheme(kind, body, {
    known,
    say: (field, message) => {
      faults.push(`${field} ${message}`);
      return null;
    },
  });
  return { value, fields: faults.map((each) => each.split(" ")[0]), faults };
}

describe("routing schemes", () => {
  test("are kept as they are where nothing is wrong", () => {
    const body = {
      services: {
        card_usd: {
          set: [
            {
              strategy: "weight",
              routes: [
                { route: "a", weight: 3 },
                { route: "b", weight: 0 },
              ],
            },
            { strategy: "priority", routes: ["b", "a"] },
            { block: true },
          ],
        },
        card_jpy: { strategy: "direct", routes: ["j"] },
      },
      otherwise: { block: true },
    };
    const { value, faults } = read("routing", body);
    assert.deepEqual(faults, []);
    assert.deepEqual(value, body);
    assert.deepEqual(routesNamed(body).toSorted(), ["a", "b", "j"]);
    assert.deepEqual(read("routing", {}).value, { services: {} });
  });

  test("name every member at fault by its path", () => {
    const { fields } = read("routing", {
      services: {
        card_usd: { strategy: "priority", routes: ["a", "x", "j", "a", 7] },
        card_jpy: { set: [{ strategy: "priority", routes: [] }, { set: [] }, { strategy: "best" }, 1, {}] },
        nothing: { block: false },
      },
      otherwise: { strategy: "weight", routes: [{ route: "a", weight: 0.5 }, { route: "x", weight: -1 }, "b"] },
    });
    assert.deepEqual(fields, [
      "services.card_usd.routes[1]",
      "services.card_usd.routes[2]",
      "services.card_usd.routes[3]",
      "services.card_usd.routes[4]",
      "services.card_jpy.set[0].routes",
      "services.card_jpy.set[1].set",
      "services.card_jpy.set[2].strategy",
      "services.card_jpy.set[3]",
      "services.card_jpy.set[4]",
      "services.nothing",
      "services.nothing.block",
      "otherwise.routes[0].weight",
      "otherwise.routes[1].weight",
      "otherwise.routes[1].route",
      "otherwise.routes[2]",
      "otherwise.routes",
    ]);
  });

  test("direct is one route; one leaf has one form", () => {
    assert.deepEqual(read("routing", { otherwise: { strategy: "direct", routes: ["a", "b"] } }).fields, [
      "otherwise.routes",
    ]);
    assert.deepEqual(read("routing", { otherwise: { strategy: "direct", routes: ["a"], block: true } }).fields, [
      "otherwise",
    ]);
    assert.deepEqual(read("routing", { services: [] }).fields, ["services"]);
  });
});

describe("rate schemes", () => {
  const pair = { base: "USD", quote: "JPY", rate: "150.25" };

  test("give the rate that they say", () => {
    const body = {
      pairs: [
        { ...pair, feePercent: "1" },
        { base: "JPY", quote: "USD", rate: "150", inverted: true },
      ],
    };
    const { value, faults } = read("rate", body);
    assert.deepEqual(faults, []);
    assert.deepEqual(value, body);
    assert.ok(rateFor(body, "JPY", "USD").ok);
  });

  test("name every member at fault by its path", () => {
    const { fields } = read("rate", {
      pairs: [
        { base: "usd", quote: "XYZ", rate: "0" },
        { base: "USD", quote: "USD", rate: "1" },
        pair,
        pair,
        { ...pair, base: "EUR", feePercent: "100" },
        { ...pair, base: "GBP", rate: "x", feeFixed: "1e99" },
        { base: "CHF" },
        1,
      ],
    });
    assert.deepEqual(fields, [
      "pairs[0].base",
      "pairs[0].quote",
      "pairs[0].rate",
      "pairs[1].quote",
      "pairs[3]",
      "pairs[4].rate",
      "pairs[5].rate",
      "pairs[5].feeFixed",
      "pairs[6].quote",
      "pairs[6].rate",
      "pairs[7]",
    ]);
    assert.deepEqual(read("rate", {}).fields, ["pairs"]);
  });
});

describe("commerce schemes", () => {
  test("give the terms that they say", () => {
    const body = {
      services: {
        card_usd: { feeRate: "0.05", feeFixed: "0.3", feeMin: "1", feeMax: "0", strategy: "internal", reverse: true },
      },
      otherwise: { feeRate: "0.01" },
    };
    const { value, faults } = read("commerce", body);
    assert.deepEqual(faults, []);
    assert.deepEqual(value, body);
    assert.ok(
      termsFor(value as typeof body & { services: { card_usd: { strategy: "internal" } } }, "card_usd", "USD").ok,
    );
  });

  test("name every member at fault by its path", () => {
    const { fields } = read("commerce", {
      services: {
        card_usd: { feeRate: "1", strategy: "internal", reverse: true, feeMin: "2", feeMax: "1" },
        card_jpy: { feeFixed: "0.5", feeRate: "-0.1", feeMin: 5 },
        nothing: {},
      },
      otherwise: { strategy: "outside" },
    });
    assert.deepEqual(fields, [
      "services.card_usd.feeMax",
      "services.card_usd.feeRate",
      "services.card_jpy.feeRate",
      "services.card_jpy.feeFixed",
      "services.card_jpy.feeMin",
      "services.nothing",
      "otherwise.strategy",
    ]);
  });
});
