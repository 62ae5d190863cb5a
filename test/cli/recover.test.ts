// Method: what `bursar recover` refuses to do before it touches anything, and where there is nothing to touch.
import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { test } from "node:test";
import { faultOf } from "../../src/cli/recover.ts";
import { newDir, run } from "../support/process.ts";

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

test("where there is no database none is made, and one that does not answer is told in a line", async () => {
  const dir = newDir();
  const none = await run(["recover"], { BURSAR_DATA_DIR: dir });
  const asked = `There is no database in ${dir}: set BURSAR_DATA_DIR or DATABASE_URL.`;
  assert.deepEqual([none.code, none.errors.trim(), none.output], [1, asked, ""]);
  assert.deepEqual(readdirSync(dir), []);
  const settings = { DATABASE_URL: "postgres://nobody@127.0.0.1:1/none", BURSAR_MASTER_KEY: "ab".repeat(32) };
  const away = await run(["recover"], settings);
  assert.equal(away.code, 1);
  assert.match(away.errors, /^It could not be done: .*\n$/);
});
