import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type Candidate, type Route, type RoutingLeaf, route, routesOf } from "../../src/core/setup/routing.ts";

function candidate(id: string, change: Partial<Route> = {}, more: Partial<Omit<Candidate, "route">> = {}): Candidate {
  const base: Route = {
    organizationId: "org",
    id,
    depositAccountId: `dep_${id}`,
    service: "svc",
    isEnabled: true,
    isArchived: false,
    isManual: false,
    minAmountMinor: null,
    maxAmountMinor: null,
    version: 1,
    createdTime: 0,
    updatedTime: 0,
  };
  const whole = { providerAccountId: "acc", currency: "USD", isGateOpen: true, spendableMinor: 1_000n };
  return { route: { ...base, ...change }, ...whole, ...more };
}

const QUESTION = { service: "svc", currency: "USD", amountMinor: 100n, excluded: new Set<string>(), random: 0 };
const byId = (...all: Candidate[]) => new Map(all.map((each) => [each.route.id, each]));

test("priority takes the first usable route and says why the ones before were dropped", () => {
  const cases: [Candidate | null, string][] = [
    [null, "missing"],
    [candidate("a", { isArchived: true }), "archived"],
    [candidate("a", { isEnabled: false }), "disabled"],
    [candidate("a", { service: "other" }), "service"],
    [candidate("a", {}, { currency: "EUR" }), "currency"],
    [candidate("a", { minAmountMinor: 101n }), "below_minimum"],
    [candidate("a", { maxAmountMinor: 99n }), "above_maximum"],
    [candidate("a", {}, { isGateOpen: false }), "gate_shut"],
    [candidate("a", {}, { spendableMinor: 99n }), "insufficient_funds"],
  ];
  for (const [first, why] of cases) {
    const all = first === null ? byId(candidate("b")) : byId(first, candidate("b"));
    const decision = route({ strategy: "priority", routes: ["a", "b"] }, all, QUESTION);
    assert.equal(decision.chosen?.route.id, "b");
    assert.deepEqual(decision.dropped, [{ route: "a", why }]);
  }
});

test("limits are inclusive, and a route that refused this request is not asked again", () => {
  const exact = candidate("a", { minAmountMinor: 100n, maxAmountMinor: 100n }, { spendableMinor: 100n });
  assert.equal(route({ strategy: "direct", routes: ["a"] }, byId(exact), QUESTION).chosen?.route.id, "a");
  const again = route({ strategy: "direct", routes: ["a"] }, byId(exact), { ...QUESTION, excluded: new Set(["a"]) });
  assert.equal(again.chosen, null);
  assert.equal(again.resolution, "STRATEGY_CONFIGURED_ROUTES_WERE_FILTERED");
});

test("nothing to choose from: no leaf, an empty leaf, a block, and no money are told apart", () => {
  assert.equal(route(undefined, byId(), QUESTION).resolution, "STRATEGY_RECEIVED_NO_ROUTES");
  assert.equal(route({ strategy: "direct", routes: [] }, byId(), QUESTION).resolution, "STRATEGY_RECEIVED_NO_ROUTES");
  assert.equal(route({ block: true }, byId(), QUESTION).resolution, "BLOCKED_BY_SCHEME");
  const poor = route({ strategy: "direct", routes: ["a"] }, byId(candidate("a", {}, { spendableMinor: 1n })), QUESTION);
  assert.equal(poor.awaitsFunds, true);
});

test("a set goes on with its next strategy; a block inside it stops the search", () => {
  const set: RoutingLeaf = {
    set: [
      { strategy: "direct", routes: ["a"] },
      { strategy: "direct", routes: ["b"] },
    ],
  };
  assert.equal(route(set, byId(candidate("b")), QUESTION).chosen?.route.id, "b");
  const blocked: RoutingLeaf = { set: [{ block: true }, { strategy: "direct", routes: ["b"] }] };
  assert.equal(route(blocked, byId(candidate("b")), QUESTION).resolution, "BLOCKED_BY_SCHEME");
  assert.deepEqual(routesOf(set), ["a", "b"]);
});

test("weights share the draws exactly, and a route of weight zero is never drawn", () => {
  const leaf: RoutingLeaf = {
    strategy: "weight",
    routes: [
      { route: "a", weight: 1 },
      { route: "b", weight: 3 },
      { route: "c", weight: 0 },
    ],
  };
  const all = byId(candidate("a"), candidate("b"), candidate("c"));
  const counts: Record<string, number> = { a: 0, b: 0 };
  for (let random = 0; random < 1_000_000; random += 1_000) {
    const id = route(leaf, all, { ...QUESTION, random }).chosen?.route.id ?? "none";
    counts[id] = (counts[id] ?? 0) + 1;
  }
  assert.deepEqual(counts, { a: 250, b: 750 });
});

test("the same question is always decided alike", () => {
  const leaf: RoutingLeaf = {
    strategy: "weight",
    routes: [
      { route: "a", weight: 2 },
      { route: "b", weight: 5 },
    ],
  };
  fc.assert(
    fc.property(fc.nat(999_999), (random) => {
      const first = route(leaf, byId(candidate("a"), candidate("b")), { ...QUESTION, random });
      const second = route(leaf, byId(candidate("b"), candidate("a")), { ...QUESTION, random });
      assert.equal(first.chosen?.route.id, second.chosen?.route.id);
    }),
  );
});
