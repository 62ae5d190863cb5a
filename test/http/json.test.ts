import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { MAX_DEPTH, MalformedJson } from "../../src/core/json.ts";
import { Exact } from "../../src/core/views/orders.ts";
import { faultsOf, readBody, withoutFaulty } from "../../src/http/body.ts";
import { decimalText, parseJson, writeJson } from "../../src/http/json.ts";
import { Refused } from "../../src/http/problem.ts";
import { DECIMAL_KEYWORD } from "../../src/http/schema.ts";

describe("reading JSON", () => {
  test("whatever JSON.stringify writes is read as it was", () => {
    fc.assert(
      fc.property(fc.jsonValue({ noUnicodeString: false }), fc.nat(3), (value, indent) => {
        const text = JSON.stringify(value, null, indent);
        // Minus zero is written as zero, and some keys are refused on purpose.
        if (text.includes("__proto__") || text.includes("constructor")) return;
        assert.deepEqual(parseJson(text), JSON.parse(text));
      }),
      { numRuns: 1000 },
    );
  });

  test("escaped keys keep their names", () => {
    assert.deepEqual(parseJson('{"\\\\":0}'), { "\\": 0 });
    assert.deepEqual(parseJson('{"a":1,"\\n":2}'), { a: 1, "\n": 2 });
    assert.deepEqual(parseJson('{"\\u0061\\"b":"\\ud83d\\ude00"}'), { 'a"b': "😀" });
  });

  test("what is no JSON is refused", () => {
    const bad = [
      "",
      " ",
      "{",
      "}",
      "{a:1}",
      '{"a":1,}',
      "[1,]",
      "01",
      "1.",
      ".5",
      "+1",
      "1e",
      "NaN",
      "'a'",
      '"a',
      "nul",
    ];
    const worse = ['"\u0001"', '"\\x"', '{"a" 1}', '{"a":1}{', "[1 2]", "\ufeff1", '{"a":"\\"}', "tru", "--1", "1 2"];
    for (const text of [...bad, ...worse]) {
      assert.throws(() => parseJson(text), MalformedJson, text);
    }
  });

  test("numbers that a double would change keep their text, all others are numbers", () => {
    const exact = [
      "12345678901234567890.123456789",
      "9007199254740993",
      "1e400",
      "0.1000000000000000055511151231257827",
    ];
    for (const text of exact) {
      const value = parseJson(text);
      assert.ok(value instanceof Exact, text);
      assert.equal(value.text, text);
    }
    const plain = ["97.97", "0.1", "1.10", "-0.00000001", "1e-8", "1E3", "100000000000000000000", "9007199254740992"];
    for (const text of plain) assert.equal(parseJson(text), Number(text), text);
    assert.equal(writeJson(parseJson("[1.10,12345678901234567890.10]")), "[1.1,12345678901234567890.10]");
  });

  test("keys that poison are refused, others of their kind are not", () => {
    assert.throws(() => parseJson('{"a":{"__proto__":{}}}'), MalformedJson);
    assert.throws(() => parseJson('{"\\u005f_proto__":1}'), MalformedJson);
    assert.throws(() => parseJson('{"constructor":{"prototype":{}}}'), MalformedJson);
    assert.deepEqual(parseJson('{"constructor":"Ann","prototype":1}'), { constructor: "Ann", prototype: 1 });
  });

  test("depth is bounded", () => {
    const nested = (depth: number) => "[".repeat(depth) + "]".repeat(depth);
    assert.ok(Array.isArray(parseJson(nested(MAX_DEPTH))));
    assert.throws(() => parseJson(nested(MAX_DEPTH + 1)), /nested more than 64/);
    assert.throws(() => parseJson("[".repeat(200_000)), MalformedJson);
  });
});

describe("decimals", () => {
  test("one spelling for one value", () => {
    const spellings: Readonly<Record<string, readonly unknown[]>> = {
      "1.1": [1.1, "1.10", "11e-1", new Exact("0.11E1")],
      "100": [100, "1e2", "100.000"],
      "0.00000001": [1e-8, "0.00000001", new Exact("1e-8")],
      "0": [0, -0, "-0.0", "0e5"],
      "-5": [-5, "-5.0"],
    };
    for (const [text, values] of Object.entries(spellings)) {
      for (const value of values) assert.equal(decimalText(value), text);
    }
  });

  test("what is no decimal, or none of this world, stays as it is", () => {
    for (const text of ["abc", "", "1,5", "1e400", "1e-9999999999999", "0x10"]) assert.equal(decimalText(text), text);
    for (const value of [true, null, {}]) assert.equal(decimalText(value), value);
  });

  test("38 digits pass through both directions", () => {
    const text = "99999999999999999999999999999999999.999";
    assert.equal(decimalText(parseJson(text)), text);
    assert.equal(writeJson({ amount: new Exact(text) }), `{"amount":${text}}`);
  });
});

const SCHEMA = {
  type: "object",
  properties: {
    amount: { [DECIMAL_KEYWORD]: "money" },
    name: { type: "string" },
    customer: { type: "object", properties: { id: { type: "string" } } },
    fields: { type: "object", additionalProperties: { type: "string" } },
    metadata: { type: "object", additionalProperties: true },
  },
};

describe("reading a body", () => {
  test("decimals become text, unknown members go, whatever they hold", () => {
    const body = parseJson(
      '{"amount":12345678901234567890.10,"other":12345678901234567890.10,"customer":{"id":"a","x":1}}',
    );
    const { value, faults } = readBody(SCHEMA, body);
    assert.deepEqual(value, { amount: "12345678901234567890.1", customer: { id: "a" } });
    assert.deepEqual(faults, []);
  });

  test("elsewhere a number that would not be kept is refused with its name", () => {
    const body = parseJson('{"metadata":{"a":[0,9007199254740993]}}');
    assert.throws(
      () => readBody(SCHEMA, body),
      (error) =>
        error instanceof Refused && error.refusal.code === "unsafe-number" && /metadata\.a\[1\]/.test(error.message),
    );
  });

  test("texts that no database holds are named, in names of members too", () => {
    const body = {
      name: "a\0",
      customer: { id: "\ud800" },
      metadata: { deep: [{ "k\0": 1 }] },
      fields: { account: "ok" },
    };
    const { faults } = readBody(SCHEMA, body);
    assert.deepEqual(
      faults.map((fault) => fault.field),
      ["name", "customer.id", "metadata.deep[0].k\\u0000"],
    );
  });

  test("only an object is a body", () => {
    for (const body of [[], "text", 1, true, new Exact("1")]) assert.throws(() => readBody(SCHEMA, body), Refused);
    assert.deepEqual(readBody(SCHEMA, undefined).value, {});
  });

  test("faults are told in plain words, one per member, and the members go", () => {
    const found = [
      { keyword: "required", instancePath: "", params: { missingProperty: "a" } },
      { keyword: "required", instancePath: "/customer", params: { missingProperty: "id" } },
      { keyword: "type", instancePath: "/fields/a~1b", params: { type: "string" } },
      { keyword: "type", instancePath: "/amount", params: { type: "number,string" } },
      { keyword: "maxLength", instancePath: "/amount", params: { limit: 3 } },
    ];
    const faults = faultsOf(found);
    assert.deepEqual(faults, [
      { field: "a", message: "is required" },
      { field: "customer.id", message: "is required" },
      { field: "fields.a/b", message: "must be a text" },
      { field: "amount", message: "must be a number or a text" },
    ]);
    const left = withoutFaulty({ amount: true, fields: { "a/b": 1, c: "d" }, list: [1] }, faults);
    assert.deepEqual(left, { fields: { c: "d" }, list: [1] });
  });
});
