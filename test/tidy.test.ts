/** The house keeps its own rules. Every rule has a test on the real tree and a test that it can fail. */
import { deepEqual } from "node:assert/strict";
import { describe, test } from "node:test";
import { measureFunctions } from "./tidy/functions.ts";
import { type Repository, reachableFiles, readImports } from "./tidy/imports.ts";
import { dependencyOffences, importOffences } from "./tidy/layers.ts";
import {
  ambientOffences,
  badMigrations,
  badNames,
  lockOffences,
  machineTraces,
  oversized,
  unfinished,
  unreadable,
} from "./tidy/rules.ts";
import { type SourceFile, scanTokens } from "./tidy/scan.ts";
import { readRepository, readTree } from "./tidy/tree.ts";

const tree = readTree();
const repository = readRepository(tree);

const file = (path: string, ...lines: string[]): SourceFile => ({ path, text: `${lines.join("\n")}\n` });

function offences(rule: (files: readonly SourceFile[]) => string[], ...files: SourceFile[]): string[] {
  return rule(files);
}

/** A repository in which every folder has the files that the examples below import. */
const imagined: Repository = {
  files: new Set(
    `core/money/money core/ids core/payout core/errors engine/ports engine/lanes engine/outbound store/postgres store/reads
     connectors/contract connectors/registry connectors/sandbox/words connectors/wise/words sandbox/server
     sandbox/supervise http/server cli/main config main`
      .split(/\s+/)
      .map((name) => `src/${name}.ts`),
  ),
  aliases: new Map([
    ["bursar/*", "*"],
    ["#core/*", "src/core/*"],
    ["#store", "src/store/postgres.ts"],
  ]),
};

/** What the import table says to one line in a file. */
function verdict(path: string, line: string): string {
  const found = importOffences([file(path, line)], imagined);
  return found.map((offence) => offence.replace(/^[^ ]+ /, "")).join("; ");
}

describe("the tree", () => {
  test("every file can be read by the scanner", () => {
    deepEqual(unreadable(tree), []);
  });

  test("imports follow the table", () => {
    deepEqual(importOffences(tree, repository), []);
  });

  test("src imports only packages that are dependencies", () => {
    deepEqual(dependencyOffences(tree, repository, repository.dependencies), []);
  });

  test("files, functions, parameter lists and lines are short", () => {
    deepEqual(oversized(tree), []);
  });

  test("nothing is marked as unfinished", () => {
    deepEqual(unfinished(tree), []);
  });

  test("files have names that say something", () => {
    deepEqual(badNames(tree), []);
  });

  test("time, randomness, environment and sockets are reached for only where the table allows", () => {
    deepEqual(ambientOffences(tree), []);
  });

  test("no trace of the machine on which it was written", () => {
    deepEqual(machineTraces(tree), []);
  });

  test("the lock file is exact and complete for every platform", () => {
    deepEqual(lockOffences(tree), []);
  });

  test("migrations are named by time and explain themselves", () => {
    deepEqual(badMigrations(tree), []);
  });

  test("every file under src is used", () => {
    const starts = ["bin/", "scripts/", "test/", "bench/"];
    const roots = tree.map(({ path }) => path).filter((path) => starts.some((start) => path.startsWith(start)));
    const reached = reachableFiles(["src/main.ts", ...roots], tree, repository);
    const code = tree.map(({ path }) => path).filter((path) => /^src\/.*\.[cm]?[jt]s$/.test(path));
    deepEqual(
      code.filter((path) => !reached.has(path)),
      [],
    );
  });
});

describe("the import table can fail", () => {
  const core = "src/core/payout.ts";

  test("every spelling of an import is seen", () => {
    const forbidden = "core must not import src/store/postgres.ts";
    for (const line of [
      'import { a } from "../store/postgres.ts";',
      "import { a } from '../store/postgres.ts';",
      'import a, { type B } from "../store/postgres.ts";',
      'import type { A } from "../store/postgres.ts";',
      'import * as a from "../store/postgres.ts";',
      'import "../store/postgres.ts";',
      'export { a } from "../store/postgres.ts";',
      'export * from "../store/postgres.ts";',
      'export * as a from "../store/postgres.ts";',
      'export type { A } from "../store/postgres.ts";',
      'export type * from "../store/postgres.ts";',
      'const a = await import("../store/postgres.ts");',
      "const a = await import(`../store/postgres.ts`);",
      'const a = await import("../store/postgres.ts", { with: {} });',
      'type A = import("../store/postgres.ts").A;',
      'const a = require("../store/postgres.ts");',
      'const a = require.resolve("../store/postgres.ts");',
      'const a = import.meta.resolve("../store/postgres.ts");',
      'import a from "../../src/store/postgres.ts";',
      'import a from "./../engine/../store/postgres.ts";',
      'import a from "../store/postgres.js";',
      'import a from "../store/postgres";',
      'import a from "../store/postgres.ts?again";',
      'import a from "../%73tore/postgres.ts";',
      'import a from "../\\x73tore/postgres.ts";',
      'import a from "bursar/src/store/postgres.ts";',
      'import a from "#core/../store/postgres.ts";',
      'import a from "#store";',
    ]) {
      deepEqual(verdict(core, line), forbidden, line);
    }
  });

  test("what cannot be read or found is an offence", () => {
    deepEqual(verdict(core, "await import(name);"), "an import that cannot be read (computed)");
    deepEqual(verdict(core, "await import(`../${name}.ts`);"), "an import that cannot be read (computed)");
    deepEqual(
      verdict(core, "const load = createRequire(import.meta.url);"),
      "an import that cannot be read (createRequire)",
    );
    deepEqual(verdict(core, 'import "../../../else/where.ts";'), "../../../else/where.ts: leaves the repository");
    deepEqual(verdict(core, 'import "./missing.ts";'), "./missing.ts: no such file");
    deepEqual(
      verdict(core, 'import "file:///etc/passwd";'),
      "file:///etc/passwd: absolute, unknown alias or other protocol",
    );
    deepEqual(verdict("src/elsewhere/thing.ts", ""), "belongs to no layer of the import table");
  });

  test("strings, comments, templates and keys are no imports", () => {
    const lines = [
      "// import '../store/postgres.ts'",
      "/* import '../store/postgres.ts' */",
      "const text = \"import '../store/postgres.ts'\";",
      "const template = `import '../store/postgres.ts' ${`export * from 'pg'`}`;",
      "const pattern = /import 'pg'/;",
      "const words = { import: 'pg', export: 1, from: 'pg' };",
      "words.import('pg');",
    ];
    deepEqual(readImports(file(core, ...lines)), []);
  });

  test("each row forbids what it should and allows what it should", () => {
    const table: [path: string, specifier: string, verdict: string][] = [
      ["src/core/payout.ts", "./money/money.ts", ""],
      ["src/core/payout.ts", "undici", "core must not import undici"],
      ["src/core/payout.ts", "node:crypto", "core must not import node:crypto"],
      ["src/core/payout.ts", "fs", "core must not import node:fs"],
      ["src/core/ids.ts", "node:crypto", ""],
      ["src/core/ids.ts", "node:fs", "ids must not import node:fs"],
      ["src/core/payout.ts", "../engine/ports.ts", "core must not import src/engine/ports.ts"],
      ["src/store/postgres.ts", "pg", ""],
      ["src/store/postgres.ts", "../engine/ports.ts", "store must not import src/engine/ports.ts"],
      ["src/store/postgres.ts", "../engine/lanes.ts", "store must not import src/engine/lanes.ts"],
      ["src/engine/lanes.ts", "../store/postgres.ts", "engine must not import src/store/postgres.ts"],
      ["src/engine/lanes.ts", "../store/reads.ts", "engine must not import src/store/reads.ts"],
      ["src/engine/lanes.ts", "../connectors/contract.ts", ""],
      ["src/engine/lanes.ts", "../connectors/registry.ts", "engine must not import src/connectors/registry.ts"],
      ["src/engine/lanes.ts", "../connectors/wise/words.ts", "engine must not import src/connectors/wise/words.ts"],
      ["src/engine/lanes.ts", "pg", "engine must not import pg"],
      ["src/connectors/wise/connector.ts", "./words.ts", ""],
      ["src/connectors/wise/connector.ts", "../contract.ts", ""],
      [
        "src/connectors/wise/connector.ts",
        "../sandbox/words.ts",
        "connector must not import src/connectors/sandbox/words.ts",
      ],
      ["src/connectors/wise/connector.ts", "../../engine/ports.ts", "connector must not import src/engine/ports.ts"],
      ["src/connectors/wise/connector.ts", "undici", "connector must not import undici"],
      ["src/sandbox/main.ts", "../core/money/money.ts", ""],
      ["src/sandbox/main.ts", "../core/payout.ts", "sandbox must not import src/core/payout.ts"],
      ["src/sandbox/main.ts", "../store/postgres.ts", "sandbox must not import src/store/postgres.ts"],
      ["src/http/server.ts", "../store/reads.ts", ""],
      ["src/http/server.ts", "../store/postgres.ts", "http must not import src/store/postgres.ts"],
      ["src/http/server.ts", "../connectors/registry.ts", "http must not import src/connectors/registry.ts"],
      ["src/http/server.ts", "../config.ts", "http must not import src/config.ts"],
      ["src/cli/main.ts", "../sandbox/supervise.ts", ""],
      ["src/cli/main.ts", "../sandbox/server.ts", "cli must not import src/sandbox/server.ts"],
      ["src/cli/main.ts", "../connectors/registry.ts", "cli must not import src/connectors/registry.ts"],
      ["src/main.ts", "./connectors/registry.ts", ""],
      ["test/http/server.test.ts", "../../src/connectors/registry.ts", ""],
      ["scripts/generate.ts", "../src/connectors/registry.ts", "only src/main.ts and tests import the registry"],
    ];
    for (const [path, specifier, expected] of table) {
      deepEqual(verdict(path, `import { a } from "${specifier}";`), expected, `${path} imports ${specifier}`);
    }
    deepEqual(verdict("src/store/postgres.ts", 'import type { Store } from "../engine/ports.ts";'), "");
  });

  test("packages must be dependencies", () => {
    const found = dependencyOffences([file("src/engine/lanes.ts", 'import "left-pad/x";')], imagined, new Set(["pg"]));
    deepEqual(found, ["src/engine/lanes.ts:1: left-pad is not among the dependencies"]);
  });

  test("a file that nobody imports is found, one that a child process runs is used", () => {
    const files = [
      file("src/main.ts", 'import "./sandbox/supervise.ts";'),
      file("src/sandbox/supervise.ts", 'spawn(fileURLToPath(new URL("./server.ts", import.meta.url)));'),
      file("src/sandbox/server.ts", ""),
      file("src/core/money/money.ts", ""),
    ];
    deepEqual(
      [...reachableFiles(["src/main.ts"], files, imagined)],
      ["src/main.ts", "src/sandbox/supervise.ts", "src/sandbox/server.ts"],
    );
  });
});

describe("the scanner", () => {
  const texts = (source: string): string[] => scanTokens(source).map(({ text }) => text);

  test("tells regular expressions from division, and looks into templates", () => {
    deepEqual(texts("a = b / c / d"), ["a", "=", "b", "/", "c", "/", "d"]);
    deepEqual(texts("f(/[/'\"]{/g)"), ["f", "(", "/[/'\"]{/g", ")"]);
    deepEqual(texts("x = (a) / 2; // '"), ["x", "=", "(", "a", ")", "/", "2", ";"]);
    deepEqual(texts("`a${b({ c: `}` })}d`"), ["a", "${", "b", "(", "{", "c", ":", "}", "}", ")", "}", "d"]);
  });

  test("gives up loudly", () => {
    deepEqual(offences(unreadable, file("src/a.ts", "const a = 'b;")), ["src/a.ts: unterminated string in line 1"]);
    deepEqual(offences(unreadable, file("src/a.ts", "", "f(]")), ["src/a.ts: unmatched ] in line 2"]);
    deepEqual(offences(unreadable, file("src/a.ts", "f({")), ["src/a.ts: { is never closed"]);
    deepEqual(offences(unreadable, file("src/a.ts", "`${a")), ["src/a.ts: ${ is never closed"]);
  });

  test("measures functions of every form", () => {
    const measure = (source: string): number[][] =>
      measureFunctions(scanTokens(source)).map(({ lines, parameters }) => [lines, parameters]);
    deepEqual(measure("function f(a, { b, c }, [d] = [1, 2], ...e): { x: number } {\n\n}"), [[3, 4]]);
    deepEqual(measure("const f = async <T,>(a: Map<string, T>, b = (1, 2)): Promise<{ c: T; d: T }> => {\n};"), [
      [2, 2],
    ]);
    deepEqual(measure("const f = a =>\n g(a,\n b);"), [[3, 1]]);
    deepEqual(measure("class A { constructor(a: A,) {\n}\n get b(): B | null { return null; } }"), [
      [2, 1],
      [1, 0],
    ]);
    deepEqual(measure("function f(this: A, a: unknown): asserts a is string {}"), [[1, 1]]);
    deepEqual(
      measure("if (a) { b(c); } else { for (const d of e) { while (f) { g(); } } } switch (h) { case i(j): { k(); } }"),
      [],
    );
    deepEqual(measure("const a = b ? c(d) : { e: 1 }; interface F { g(h: string): void; }"), []);
  });
});

describe("the other rules can fail", () => {
  test("sizes", () => {
    const body = Array.from({ length: 60 }, () => "  x();");
    const long = ["function f() {", ...body, "}"];
    deepEqual(offences(oversized, file("src/core/a.ts", ...long)), ["src/core/a.ts:1: function of 62 lines"]);
    const chapter = ['describe("a", () => {', ...body, "});", 'test.skip("b", async (t) => {', ...body, "});"];
    deepEqual(offences(oversized, file("test/a.test.ts", ...chapter)), []);
    deepEqual(offences(oversized, file("src/core/a.ts", ...chapter)).length, 2);
    deepEqual(offences(oversized, file("test/a.test.ts", ...long)).length, 1);
    deepEqual(offences(oversized, file("src/core/a.ts", "const f = (a, b, c, d, e) => 1;")), [
      "src/core/a.ts:1: 5 parameters",
    ]);
    deepEqual(offences(oversized, file("src/core/a.ts", ...Array<string>(501).fill(""))), ["src/core/a.ts: 501 lines"]);
    deepEqual(offences(oversized, file("src/core/a.ts", `// ${"x".repeat(158)}`)), [
      "src/core/a.ts:1: line of 161 characters",
    ]);
  });

  test("marks of unfinished work", () => {
    const mark = "TO" + "DO";
    deepEqual(offences(unfinished, file("README.md", "fine", `${mark}: later`)), [`README.md:2: ${mark}`]);
  });

  test("names", () => {
    deepEqual(
      offences(badNames, file("src/core/utils.ts"), file("src/http/base-route.ts"), file("src/common/a.ts")).length,
      3,
    );
    deepEqual(offences(badNames, file("src/core/index.ts"), file("test/core/fooBar.test.ts")), [
      "src/core/index.ts: a barrel",
      "test/core/fooBar.test.ts: not kebab-case",
    ]);
    deepEqual(offences(badNames, file("src/store/database.ts"), file("test/http/pay-in.test.ts")), []);
  });

  test("time, randomness, environment, sockets", () => {
    for (const [line, name] of [
      ["const a = Date.now();", "clock"],
      ["const a = Date?.now();", "clock"],
      ['const a = Date["now"]();', "clock"],
      ["const a = new Date();", "clock"],
      ["const a = new Date;", "clock"],
      ["const a = Date();", "clock"],
      ["const { now } = Date;", "clock"],
      ["const a = performance.now();", "clock"],
      ["setTimeout(f, 1);", "timer"],
      ["globalThis.setInterval(f, 1);", "timer"],
      ['import { setTimeout as sleep } from "node:timers/promises";', "timer"],
      ["const a = Math.random();", "randomness"],
      ["const a = crypto.randomUUID();", "randomness"],
      ["const a = process.env.PORT;", "environment"],
      ["const a = process['env'];", "environment"],
      ["const { env } = process;", "environment"],
      ['import { env } from "node:process";', "environment"],
      ['eval("1");', "evaluation of text"],
      ['new Function("return 1")();', "evaluation of text"],
      ['await fetch("http://x");', "socket"],
      ['import { request } from "undici";', "socket"],
      ['import net from "net";', "socket"],
      ['const https = await import("node:https");', "socket"],
    ] as const) {
      const found = offences(ambientOffences, file("src/engine/lanes.ts", line));
      deepEqual(found.includes(`src/engine/lanes.ts:1: ${name}`), true, line);
    }
  });

  test("what only looks like time or a socket is fine, and so is the allowed place", () => {
    for (const line of [
      "const a = new Date(millis).toISOString();",
      "const a: Date | null = null;",
      'const a = "Date.now()"; // Date.now()',
      "timer.setTimeout(f, 1);",
      "const a = { fetch: 1 };",
      'import type { Dispatcher } from "undici";',
      "const a = process.pid;",
    ]) {
      deepEqual(offences(ambientOffences, file("src/engine/lanes.ts", line)), [], line);
    }
    deepEqual(offences(ambientOffences, file("src/config.ts", "const a = process.env;")), []);
    deepEqual(offences(ambientOffences, file("src/engine/outbound.ts", 'import { Pool } from "undici";')), []);
    deepEqual(offences(ambientOffences, file("src/engine/outbound.ts", "const a = Date.now();")).length, 1);
  });

  test("traces of a machine", () => {
    for (const line of [
      ["see ", "wo" + "rk", "main", "src"].join("/"),
      ["cd ", "ho" + "me", "ann", "bursar"].join("/"),
      ["cd ", "Us" + "ers", "ann", "bursar"].join("/"),
      `https://reg${"istry"}.example.com/pg`,
      `"resol${"ved"}": "https://x"`,
    ]) {
      deepEqual(offences(machineTraces, file("README.md", line)).length, 1, line);
    }
    deepEqual(offences(machineTraces, file("README.md", "a clone below `/root` works; work/main is fine")), []);
  });

  test("the lock file", () => {
    const lock = (packages: object): SourceFile => file("package-lock.json", JSON.stringify({ packages }));
    const good = { "": { dependencies: { a: "1.0.0" } }, "node_modules/a": { optionalDependencies: { b: "^1" } } };
    deepEqual(offences(lockOffences, lock({ ...good, "node_modules/b": {} })), []);
    deepEqual(offences(lockOffences, lock(good)), ["package-lock.json: b of node_modules/a is missing"]);
    deepEqual(offences(lockOffences, lock({ "": { devDependencies: { c: "latest" } } })), [
      "package.json: c is not exact (latest)",
    ]);
    deepEqual(offences(lockOffences, lock({ "node_modules/a": { resolved: "https://x/a.tgz" } })).length, 1);
  });

  test("migrations", () => {
    const header = ["-- Why: a table", "-- Locks: none", "-- Backfill: none"];
    deepEqual(offences(badMigrations, file("migrations/202611210900_first.sql", ...header)), []);
    deepEqual(offences(badMigrations, file("migrations/1_first.sql", ...header)), [
      "migrations/1_first.sql: not YYYYMMDDHHMM_name.sql",
    ]);
    deepEqual(offences(badMigrations, file("migrations/202602310900_first.sql", ...header)).length, 1);
    deepEqual(offences(badMigrations, file("migrations/202611210900_first.sql", "-- Why: a", "-- Locks: b")), [
      'migrations/202611210900_first.sql: the header has no "-- Backfill: "',
    ]);
    const twins = [file("migrations/202611210900_a.sql", ...header), file("migrations/202611210900_b.sql", ...header)];
    deepEqual(offences(badMigrations, ...twins).length, 2);
  });
});
