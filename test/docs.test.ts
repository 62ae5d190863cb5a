/** The documents say what the code says. Every rule has a test on the real tree and a test that it can fail. */
import { deepEqual, equal, match, ok } from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { generate, staleFiles } from "../scripts/generate.ts";
import { DOCUMENTS } from "../scripts/render-docs.ts";
import { SCENARIOS } from "../src/sandbox/scenarios.ts";
import { deadLinks, deadMentions, deadPaths, firstCells, unknownConstraints } from "./tidy/docs.ts";
import type { SourceFile } from "./tidy/scan.ts";
import { readTree } from "./tidy/tree.ts";

const tree = readTree();
const textOf = (path: string): string => tree.find((file) => file.path === path)?.text ?? "";
const file = (path: string, ...lines: string[]): SourceFile => ({ path, text: `${lines.join("\n")}\n` });

const scratch = mkdtempSync(join(tmpdir(), "bursar-docs-"));
after(() => rmSync(scratch, { recursive: true, force: true }));

function runGenerate(...args: string[]): { readonly code: number | null; readonly output: string } {
  const script = fileURLToPath(new URL("../scripts/generate.ts", import.meta.url));
  const { status, stdout } = spawnSync(process.execPath, [script, ...args], { encoding: "utf8" });
  return { code: status, output: stdout };
}

describe("the generated documents", () => {
  test("are what the code says", () => {
    deepEqual(staleFiles(), [], "npm run generate");
  });

  test("a missing, a changed and a surplus file are noticed by name, and repaired", () => {
    deepEqual(staleFiles(scratch), Object.keys(DOCUMENTS));
    generate(scratch);
    deepEqual(staleFiles(scratch), []);
    appendFileSync(join(scratch, "facts.md"), "more\n");
    rmSync(join(scratch, "tables.md"));
    writeFileSync(join(scratch, "surplus.md"), "");
    deepEqual(staleFiles(scratch), ["facts.md", "tables.md", "surplus.md"]);
    const check = runGenerate("--check", scratch);
    equal(check.code, 1);
    match(check.output, /stale: .*facts\.md/);
    equal(staleFiles(scratch).length, 3, "a check writes nothing");
    equal(runGenerate(scratch).code, 0);
    equal(runGenerate("--check", scratch).code, 0);
  });

  test("other line ends are no change", () => {
    generate(scratch);
    writeFileSync(join(scratch, "errors.md"), DOCUMENTS["errors.md"]?.().replaceAll("\n", "\r\n") ?? "");
    deepEqual(staleFiles(scratch), []);
  });
});

describe("the written documents", () => {
  test("what the code says about them is there", () => {
    deepEqual(deadMentions(tree), []);
  });

  test("their links and the paths that they name lead somewhere", () => {
    deepEqual(deadLinks(tree), []);
    deepEqual(deadPaths(tree), []);
  });

  test("the constraints behind the invariants exist", () => {
    deepEqual(unknownConstraints(tree, "docs/safety.md"), []);
  });

  test("the README lists every setting and nothing else", () => {
    const read = [...textOf("src/config.ts").matchAll(/\.\w+\("([A-Z][A-Z_]+)"/g)].map(([, name = ""]) => name);
    ok(read.length > 10);
    deepEqual(firstCells(textOf("README.md"), "Settings").toSorted(), [...new Set(read)].toSorted());
  });

  test("the scenarios of the README are the sandbox's", () => {
    const named = firstCells(textOf("README.md"), "Bad days on demand");
    ok(named.length > 0);
    deepEqual(
      named.filter((name) => !Object.hasOwn(SCENARIOS, name)),
      [],
    );
  });
});

describe("the rules of the documents can fail", () => {
  const safety = file("docs/safety.md", "# Safety", "## The ten rules", "1. One.", "2. Two.", "## Wait `window`");

  test("mentions in the code", () => {
    const told = (...lines: string[]): string[] => deadMentions([safety, file("src/core/a.ts", ...lines)]);
    deepEqual(told("/** As docs/safety.md says. (docs/safety.md, rule 2). Also (docs/safety.md, Wait window). */"), []);
    deepEqual(told("/** (docs/safety.md,", " * Wait window). */"), []);
    deepEqual(told("/** The window of docs/safety.md (Wait window) is */"), []);
    deepEqual(told("// (docs/safety.md, rule 3)"), ["src/core/a.ts: docs/safety.md has no rule 3"]);
    deepEqual(told("// (docs/safety.md, Other)"), ['src/core/a.ts: docs/safety.md has no heading "Other"']);
    deepEqual(told("/** (docs/safety.md,", " * Other window). */"), [
      'src/core/a.ts: docs/safety.md has no heading "Other window"',
    ]);
    deepEqual(told("// (docs/other.md)"), ["src/core/a.ts: there is no docs/other.md"]);
  });

  test("links and paths", () => {
    const linked = (line: string): string[] => deadLinks([safety, file("docs/a.md", line), file("README.md", "")]);
    deepEqual(linked("[a](safety.md#wait-window) [b](../README.md) [c](https://x.example/y) [d](#none)"), [
      "docs/a.md: no heading at #none",
    ]);
    deepEqual(linked("[a](safety.md#no) [b](README.md)"), [
      "docs/a.md: no heading at safety.md#no",
      "docs/a.md: no file at README.md",
    ]);
    deepEqual(linked("[a](../../else.md)"), ["docs/a.md: no file at ../../else.md"]);
    deepEqual(deadPaths([file("docs/a.md", "`docs/a.md` `docs/` `src/{a,b}.ts`"), file("src/a.ts", "")]), [
      "docs/a.md: there is no src/b.ts",
    ]);
  });

  test("constraints", () => {
    const migration = file("migrations/1_a.sql", "constraint a_known check (true)");
    const document = file("docs/safety.md", "| a `not_this` | `a_known`, `b_unknown` |");
    deepEqual(unknownConstraints([migration, document], "docs/safety.md"), [
      "docs/safety.md: no migration makes b_unknown",
    ]);
  });
});
