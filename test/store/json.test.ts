/** JSON as the store reads it. */
import { deepEqual, equal, throws } from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { parseJson } from "../../src/store/json.ts";

/** Members that only the careful reader can read: an escaped key, and a number that may be too long. */
const careful = (text: string): string => `{"\\n":1234567890123456,"value":${text}}`;

test("an escaped key is what it says, whatever was read before", () => {
  for (const key of ["\\", '"', "\n", "\t", "\u0001", "a\\", 'a"', "a\n"]) {
    deepEqual(parseJson(JSON.stringify({ before: 1, [key]: 2 })), { before: 1, [key]: 2 });
  }
});

test("what JSON.stringify wrote is read, on both ways", () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      const text = JSON.stringify(value);
      // Written once more, because there is no negative zero in JSON.
      equal(JSON.stringify(parseJson(text)), text);
      deepEqual(parseJson(careful(text)), { "\n": 1234567890123456, value: parseJson(text) });
    }),
  );
  deepEqual(parseJson(careful(' [ 1 , { "a" : [ ] , "b" : { } } , -1.5e-7, true,false,null ] ')), {
    "\n": 1234567890123456,
    value: [1, { a: [], b: {} }, -1.5e-7, true, false, null],
  });
});

test("a number that a double cannot hold is refused", () => {
  for (const number of ["9007199254740993", "-9007199254740993", "0.12345678901234567890", "[12345678901234567890]"]) {
    throws(() => parseJson(number), { name: "InvariantBroken" }, number);
  }
  // However it is spelled: jsonb knows no exponents.
  for (const [text, value] of [
    ["9007199254740992", 2 ** 53],
    ["1000000000000000000000", 1e21],
    ["0.00000000000000000001", 1e-20],
    ["100.0000000000000000", 100],
    ["-0.0000000000000000", -0],
  ] as const) {
    equal(parseJson(text), value);
  }
});

test("a prototype is a member like any other", () => {
  const read = parseJson(careful('{"__proto__":{"a":1}}')) as { value: object };
  deepEqual(Object.keys(read.value), ["__proto__"]);
  equal(Object.getPrototypeOf(read.value), Object.prototype);
});

test("what is no JSON is refused", () => {
  for (const text of [
    "",
    "{",
    "[1,]",
    '{"a":1,}',
    '{"a"1}',
    "{a:1}",
    "01",
    "1 2",
    '"\n"',
    '"\\x"',
    "nul",
    "[1",
    "'a'",
  ]) {
    throws(() => parseJson(text), SyntaxError, text);
    throws(() => parseJson(careful(text)), SyntaxError, `careful: ${text}`);
  }
});
