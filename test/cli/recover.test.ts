// Method: what `bursar recover` refuses to do before it touches anything.
import assert from "node:assert/strict";
import { test } from "node:test";
import { faultOf } from "../../src/cli/recover.ts";

test("opening and shutting need a reason, forcing needs a person", () => {
  assert.equal(faultOf({}), null);
  assert.match(faultOf({ open: true }) ?? "", /--reason/);
  assert.match(faultOf({ shut: true }) ?? "", /--reason/);
  assert.equal(faultOf({ open: true, reason: "inquired" }), null);
  assert.match(faultOf({ open: true, shut: true, reason: "x" }) ?? "", /Either/);
  assert.match(faultOf({ open: true, reason: "x", force: true }) ?? "", /--person/);
  assert.equal(faultOf({ open: true, reason: "x", force: true, person: "Ada" }), null);
  assert.match(faultOf({ force: true, person: "Ada" }) ?? "", /belongs to --open/);
});

test("a time has a zone, a margin is whole minutes", () => {
  assert.equal(faultOf({ lostUntil: "2026-05-01T10:00:00Z" }), null);
  assert.equal(faultOf({ lostUntil: "2026-05-01T10:00+02:00" }), null);
  for (const lostUntil of ["2026-05-01T10:00:00", "yesterday", "2026-13-01T10:00:00Z"]) {
    assert.match(faultOf({ lostUntil }) ?? "", /--lost-until/, lostUntil);
  }
  assert.equal(faultOf({ margin: "90" }), null);
  assert.match(faultOf({ margin: "1.5" }) ?? "", /--margin/);
});
