/** The rules of the house besides the import table. Each takes files and returns its offences, one line each. */
import { measureFunctions } from "./functions.ts";
import { type Import, readImports } from "./imports.ts";
import { isAt, type SourceFile, scanTokens, type Token } from "./scan.ts";

const FILE_LINES_MAX = 500;
const FUNCTION_LINES_MAX = 60;
const PARAMETERS_MAX = 4;
const LINE_LENGTH_MAX = 160;

/** In tests these take a callback that is a chapter, not a function. */
const CHAPTERS = new Set(["describe", "suite", "test", "it", "before", "after", "beforeEach", "afterEach"]);

const isCode = (file: SourceFile): boolean => /\.[cm]?[jt]s$/.test(file.path);
const isUnder = (path: string, starts: readonly string[]): boolean => starts.some((start) => path.startsWith(start));

export function unreadable(files: readonly SourceFile[]): string[] {
  return files.filter(isCode).flatMap((file) => {
    try {
      scanTokens(file.text);
      return [];
    } catch (error) {
      return [`${file.path}: ${error instanceof Error ? error.message : String(error)}`];
    }
  });
}

function longFunctions(file: SourceFile): string[] {
  const isTest = file.path.startsWith("test/");
  return measureFunctions(scanTokens(file.text)).flatMap(({ line, lines, parameters, passedTo }) => {
    const isChapter = isTest && passedTo !== null && CHAPTERS.has(passedTo);
    const long = lines > FUNCTION_LINES_MAX && !isChapter ? [`${file.path}:${line}: function of ${lines} lines`] : [];
    return parameters > PARAMETERS_MAX ? [...long, `${file.path}:${line}: ${parameters} parameters`] : long;
  });
}

/** Too long: a file, a line, a function or a parameter list. */
export function oversized(files: readonly SourceFile[]): string[] {
  return files
    .filter((file) => isCode(file) || file.path.endsWith(".sql"))
    .flatMap((file) => {
      const lines = file.text.split("\n");
      const count = lines.at(-1) === "" ? lines.length - 1 : lines.length;
      const tooMany = count > FILE_LINES_MAX ? [`${file.path}: ${count} lines`] : [];
      const tooWide = lines.flatMap((line, index) =>
        line.length > LINE_LENGTH_MAX ? [`${file.path}:${index + 1}: line of ${line.length} characters`] : [],
      );
      return [...tooMany, ...tooWide, ...(isCode(file) ? longFunctions(file) : [])];
    });
}

// Written in pieces, so that this file does not offend against itself.
const UNFINISHED = new RegExp(`\\b(${["TO" + "DO", "FIX" + "ME", "HA" + "CK"].join("|")})\\b`);

/** Marks of unfinished work. What is left to do stands in an issue. */
export function unfinished(files: readonly SourceFile[]): string[] {
  return matchingLines(
    files.filter((file) => !file.path.endsWith("package-lock.json")),
    UNFINISHED,
  );
}

function matchingLines(files: readonly SourceFile[], pattern: RegExp): string[] {
  return files.flatMap((file) =>
    file.text.split("\n").flatMap((line, index) => {
      const match = pattern.exec(line);
      return match === null ? [] : [`${file.path}:${index + 1}: ${match[0]}`];
    }),
  );
}

const VAGUE = new Set(["util", "utils", "helper", "helpers", "common", "manager", "base", "types", "misc"]);

/** File and folder names that hide nothing, barrels, and names that are not kebab-case. */
export function badNames(files: readonly SourceFile[]): string[] {
  const own = files.filter((file) => isUnder(file.path, ["src/", "test/", "scripts/", "bench/", "bin/"]));
  return own.flatMap(({ path }) => {
    const parts = path.split("/").slice(1);
    const stem = (parts.at(-1) ?? "").replace(/\..*$/, "");
    const words = [...parts.slice(0, -1), stem].flatMap((part) => part.split("-"));
    const vague = words.find((word) => VAGUE.has(word));
    if (vague !== undefined) return [`${path}: "${vague}" says nothing`];
    if (stem === "index") return [`${path}: a barrel`];
    const isKebab = path.includes("/fixtures/") || path.endsWith(".snapshot") || /^[a-z0-9]+(-[a-z0-9]+)*$/.test(stem);
    return isKebab ? [] : [`${path}: not kebab-case`];
  });
}

interface Ambient {
  readonly name: string;
  readonly allowed: readonly string[];
  /** Modules that are another spelling of it. */
  readonly modules?: readonly string[];
  /** Whether the token at `at` reaches for it. */
  reaches(tokens: readonly Token[], at: number): boolean;
}

const isMember = (tokens: readonly Token[], at: number): boolean =>
  isAt(tokens, at - 1, ".") || isAt(tokens, at - 1, "?.");

/** `object.member`, `object?.member`, `object["member"]` and `{ member } = object`. */
function reachesMember(tokens: readonly Token[], at: number, object: string, members: readonly string[]): boolean {
  if (!isAt(tokens, at, object)) return false;
  const named = isAt(tokens, at + 1, ".") || isAt(tokens, at + 1, "?.") || isAt(tokens, at + 1, "[");
  const bracketed = isAt(tokens, at + 1, "?.") && isAt(tokens, at + 2, "[") ? at + 3 : at + 2;
  if (named && members.includes(tokens[bracketed]?.text ?? "")) return true;
  // Handing the whole object on would hide the member: `const { env } = process`, `const clock = Date`.
  return isAt(tokens, at - 1, "=") && !named && !isAt(tokens, at + 1, "(");
}

/** A free name: not a member of something else (but of `globalThis`), not a key. */
function reachesGlobal(tokens: readonly Token[], at: number, names: readonly string[]): boolean {
  const token = tokens[at];
  if (token?.kind !== "name" || !names.includes(token.text)) return false;
  if (isMember(tokens, at)) return isAt(tokens, at - 2, "globalThis");
  return !isAt(tokens, at + 1, ":") && !isAt(tokens, at + 1, "?");
}

/** `new Date()` and `Date()` read the clock; `new Date(ms)` only converts. */
function readsDate(tokens: readonly Token[], at: number): boolean {
  if (!isAt(tokens, at, "Date") || isMember(tokens, at)) return false;
  if (isAt(tokens, at - 1, "new")) return !isAt(tokens, at + 1, "(") || isAt(tokens, at + 2, ")");
  return isAt(tokens, at + 1, "(");
}

const OUTSIDE = ["test/", "scripts/", "bench/", "bin/"];
/** Where the ports get their real clock, timer and randomness, and the processes that are not under simulation. */
const REAL = [...OUTSIDE, "src/main.ts", "src/engine/real.ts", "src/sandbox/", "src/store/", "src/cli/"];

const AMBIENT: readonly Ambient[] = [
  {
    name: "clock",
    allowed: REAL,
    modules: ["perf_hooks", "node:perf_hooks"],
    reaches: (tokens, at) =>
      readsDate(tokens, at) ||
      reachesMember(tokens, at, "Date", ["now"]) ||
      reachesMember(tokens, at, "performance", ["now", "timeOrigin"]) ||
      reachesMember(tokens, at, "process", ["hrtime", "uptime"]) ||
      reachesMember(tokens, at, "Temporal", ["Now"]),
  },
  {
    name: "timer",
    // A socket that does not answer is closed by the real clock.
    allowed: [...REAL, "src/engine/outbound"],
    modules: ["timers", "node:timers", "timers/promises", "node:timers/promises"],
    reaches: (tokens, at) =>
      reachesGlobal(tokens, at, ["setTimeout", "setInterval", "setImmediate"]) ||
      reachesMember(tokens, at, "AbortSignal", ["timeout"]),
  },
  {
    name: "randomness",
    // The vault makes keys and nonces; http makes nothing that a decision depends on.
    allowed: [...REAL, "src/engine/vault", "src/http/"],
    reaches: (tokens, at) =>
      reachesMember(tokens, at, "Math", ["random"]) ||
      ["randomUUID", "randomBytes", "randomInt", "randomFillSync", "getRandomValues"].includes(nameAt(tokens, at)),
  },
  {
    name: "environment",
    // The embedded server is handed PATH and nothing else of ours.
    allowed: [...OUTSIDE, "src/config.ts", "src/main.ts", "src/store/embedded"],
    modules: ["process", "node:process"],
    reaches: (tokens, at) => reachesMember(tokens, at, "process", ["env", "loadEnvFile"]),
  },
  {
    name: "evaluation of text",
    allowed: [],
    modules: ["vm", "node:vm"],
    reaches: (tokens, at) =>
      (isAt(tokens, at, "eval") && isAt(tokens, at + 1, "(") && !isMember(tokens, at)) ||
      (isAt(tokens, at, "Function") && isAt(tokens, at + 1, "(")),
  },
  {
    name: "socket",
    // The demo is a client of the API, like any merchant.
    allowed: [...OUTSIDE, "src/engine/outbound", "src/sandbox/", "src/http/", "src/store/", "src/cli/demo"],
    modules: ["http", "https", "http2", "net", "tls", "dgram", "undici", "ws"].flatMap((name) => [
      name,
      `node:${name}`,
    ]),
    reaches: (tokens, at) => reachesGlobal(tokens, at, ["fetch", "WebSocket", "EventSource"]),
  },
];

const nameAt = (tokens: readonly Token[], at: number): string => {
  const token = tokens[at];
  return token?.kind === "name" ? token.text : "";
};

const names = (found: Import, module: string): boolean =>
  found.specifier === module || found.specifier.startsWith(`${module}/`);

/** Time, timers, randomness, environment, sockets: everything that a simulation must hold in its hand. */
export function ambientOffences(files: readonly SourceFile[]): string[] {
  return files.filter(isCode).flatMap((file) =>
    AMBIENT.filter(({ allowed }) => !isUnder(file.path, allowed)).flatMap((ambient) => {
      const tokens = scanTokens(file.text);
      const reached = tokens.filter((_, at) => ambient.reaches(tokens, at)).map(({ line }) => line);
      const imported = readImports(file)
        .filter((found) => found.kind !== "type" && ambient.modules?.some((module) => names(found, module)) === true)
        .map(({ line }) => line);
      return [...new Set([...reached, ...imported])].map((line) => `${file.path}:${line}: ${ambient.name}`);
    }),
  );
}

const MACHINE = new RegExp(
  [
    ["", "wo" + "rk", "(main|shared|\\.library)\\b"].join("/"),
    ["", "ro" + "ot", "[a-z.]"].join("/"),
    ["", "ho" + "me", "[a-z]+", "[a-z.]"].join("/"),
    ["", "Us" + "ers", "[a-zA-Z]+", ""].join("/"),
    `[A-Z]:\\\\Us` + "ers",
    ["\\.\\.", "sha" + "red", "(design|reference|data)"].join("/"),
    "\\bissu" + "es show\\b",
    "https?:\\/\\/[^\\s\"']*\\b(reg" + "istry|artif" + "actory|verd" + "accio|nex" + "us)\\b",
    "\\breg" + "istry\\.[a-z0-9-]+\\.[a-z]+",
    '"reso' + 'lved":\\s*"http',
  ].join("|"),
);

/** Traces of the machine on which something was written: its folders, its tools, its package registry. */
export function machineTraces(files: readonly SourceFile[]): string[] {
  return matchingLines(files, MACHINE);
}

/** Migrations: named by time, in order, never two of one time, each with the three lines that a reviewer needs. */
export function badMigrations(files: readonly SourceFile[]): string[] {
  const migrations = files.filter((file) => file.path.startsWith("migrations/"));
  const stamp = ({ path }: SourceFile): string => path.slice("migrations/".length).slice(0, 12);
  return migrations.flatMap((file) => {
    if (!/^migrations\/\d{12}_[a-z0-9_]+\.sql$/.test(file.path)) return [`${file.path}: not YYYYMMDDHHMM_name.sql`];
    const [year = "", month = "", day = "", hour = "", minute = ""] = stamp(file).match(/^\d{4}|\d\d/g) ?? [];
    const time = new Date(`${year}-${month}-${day}T${hour}:${minute}:00Z`);
    const isTime = !Number.isNaN(time.getTime()) && time.getUTCDate() === Number(day);
    const isTwin = migrations.some((other) => other !== file && stamp(other) === stamp(file));
    const header = file.text.split("\n").filter((line) => line.startsWith("--"));
    const missing = ["Why", "Locks", "Backfill"].filter(
      (word) => !header.some((line) => new RegExp(`^-- ${word}: \\S`).test(line)),
    );
    return [
      ...(isTime ? [] : [`${file.path}: ${stamp(file)} is no time`]),
      ...(isTwin ? [`${file.path}: ${stamp(file)} is taken twice`] : []),
      ...missing.map((word) => `${file.path}: the header has no "-- ${word}: "`),
    ];
  });
}

interface LockEntry {
  readonly resolved?: string;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

/**
 * The lock file: exact versions, no addresses, and every optional dependency of every package (binaries for the other
 * platforms). Where one is left out, `npm ci` fails, or installs nothing where it was needed.
 */
export function lockOffences(files: readonly SourceFile[]): string[] {
  const lock = files.find((file) => file.path === "package-lock.json");
  if (lock === undefined) return ["package-lock.json: missing"];
  const { packages } = JSON.parse(lock.text) as { readonly packages: Readonly<Record<string, LockEntry>> };
  const root = packages[""] ?? {};
  const direct = Object.entries({ ...root.dependencies, ...root.devDependencies, ...root.optionalDependencies });
  const inexact = direct.filter(([, version]) => !/^\d+\.\d+\.\d+(-[\w.]+)?$/.test(version));
  const paths = Object.keys(packages);
  const isLocked = (name: string): boolean => paths.some((path) => path.endsWith(`node_modules/${name}`));
  return [
    ...inexact.map(([name, version]) => `package.json: ${name} is not exact (${version})`),
    ...Object.entries(packages).flatMap(([path, entry]) => [
      ...(entry.resolved?.startsWith("http") === true ? [`package-lock.json: ${path} has an address`] : []),
      ...Object.keys(entry.optionalDependencies ?? {})
        .filter((name) => !isLocked(name))
        .map((name) => `package-lock.json: ${name} of ${path === "" ? "package.json" : path} is missing`),
    ]),
  ];
}
