import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { providerReference, uuid7 } from "../../src/core/ids.ts";

const SHAPE = { alphabet: "abcdefghijklmnopqrstuvwxyz234567", maxLength: 32 };
const PARTS = { organizationId: "org_a", root: "i:web:order-1", part: 1, attempt: 1 };

test("uuid7 has its version and variant, and sorts by time", () => {
  const random = new Uint8Array(10).fill(255);
  const early = uuid7(1_700_000_000_000, random);
  assert.match(early, /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  assert.ok(early < uuid7(1_700_000_000_001, new Uint8Array(10)));
});

test("a provider reference depends on nothing but what the merchant named", () => {
  assert.equal(providerReference(PARTS, SHAPE), providerReference({ ...PARTS }, { ...SHAPE }));
  assert.equal(providerReference(PARTS, SHAPE).length, 32);
});

test("a provider reference never changes: a new release must find the orders of the old one", () => {
  assert.equal(providerReference(PARTS, SHAPE), "znovw4qhakbuxjojpv7sq4vfi6aufues");
});

test("references of different orders, parts and attempts differ, also where their fields run together", () => {
  const words = fc.string({ maxLength: 6 });
  const parts = fc.record({ organizationId: words, root: words, part: fc.nat(100), attempt: fc.nat(100) });
  fc.assert(
    fc.property(parts, parts, (a, b) => {
      fc.pre(JSON.stringify(a) !== JSON.stringify(b));
      return providerReference(a, SHAPE) !== providerReference(b, SHAPE);
    }),
    { numRuns: 1000 },
  );
});

test("a shape that leaves fewer than 80 bits may not send", () => {
  assert.throws(() => providerReference(PARTS, { alphabet: "0123456789", maxLength: 24 }), /too short/);
  assert.equal(providerReference(PARTS, { alphabet: "0123456789", maxLength: 25 }).length, 25);
  assert.throws(() => providerReference(PARTS, { alphabet: "aa", maxLength: 100 }), /two characters/);
});
