/** Reads every spelling of an import and says which file, package or builtin it means. */
import { isBuiltin } from "node:module";
import { posix } from "node:path";
import { closingIndex, isAt, type SourceFile, scanTokens, type Token } from "./scan.ts";

/**
 * `type` is erased before running; `value` is every other import with a name written out; `url` is
 * `new URL("./x.ts", import.meta.url)` (a child process); `hidden` cannot be resolved by reading.
 */
export type ImportKind = "value" | "type" | "url" | "hidden";

export interface Import {
  readonly kind: ImportKind;
  readonly specifier: string;
  readonly line: number;
}

export type Target =
  | { readonly is: "file"; readonly path: string }
  | { readonly is: "package"; readonly name: string }
  | { readonly is: "builtin"; readonly name: string }
  | { readonly is: "unresolved"; readonly reason: string };

/** What resolving needs to know of the repository. */
export interface Repository {
  readonly files: ReadonlySet<string>;
  /** package.json's `name` and `imports` (`#core/*`), tsconfig's `paths`: aliases, longest first. */
  readonly aliases: ReadonlyMap<string, string>;
}

function literalArgument(tokens: readonly Token[], bracket: number): string | null {
  const argument = tokens[bracket + 1];
  const ends = isAt(tokens, bracket + 2, ")") || isAt(tokens, bracket + 2, ",");
  return argument?.kind === "string" && ends ? argument.text : null;
}

function called(tokens: readonly Token[], bracket: number, line: number): Import {
  const specifier = literalArgument(tokens, bracket);
  return specifier === null ? { kind: "hidden", specifier: "computed", line } : { kind: "value", specifier, line };
}

/** The string after the next `from` of this statement. */
function fromClause(tokens: readonly Token[], start: number): string | null {
  for (let at = start; at < tokens.length && !isAt(tokens, at, ";"); at++) {
    const next = tokens[at + 1];
    if (isAt(tokens, at, "from") && next?.kind === "string") return next.text;
  }
  return null;
}

function readImport(tokens: readonly Token[], at: number): Import | null {
  const line = tokens[at]?.line ?? 0;
  const next = tokens[at + 1];
  if (isAt(tokens, at + 1, "(")) return called(tokens, at + 1, line);
  if (isAt(tokens, at + 1, ".")) {
    return isAt(tokens, at + 4, "resolve") && isAt(tokens, at + 5, "(") ? called(tokens, at + 5, line) : null;
  }
  if (next?.kind === "string") return { kind: "value", specifier: next.text, line };
  const isType = isAt(tokens, at + 1, "type") && !isAt(tokens, at + 2, "from") && !isAt(tokens, at + 2, ",");
  const specifier = fromClause(tokens, at);
  return specifier === null ? null : { kind: isType ? "type" : "value", specifier, line };
}

function readExport(tokens: readonly Token[], at: number): Import | null {
  const line = tokens[at]?.line ?? 0;
  const isType = isAt(tokens, at + 1, "type");
  const list = isType ? at + 2 : at + 1;
  const kind = isType ? "type" : "value";
  if (isAt(tokens, list, "*")) {
    const specifier = fromClause(tokens, list);
    return specifier === null ? null : { kind, specifier, line };
  }
  if (!isAt(tokens, list, "{")) return null;
  const close = closingIndex(tokens, list);
  const source = tokens[close + 2];
  return isAt(tokens, close + 1, "from") && source?.kind === "string" ? { kind, specifier: source.text, line } : null;
}

function readToken(tokens: readonly Token[], at: number): Import | null {
  const { kind, text, line } = tokens[at] as Token;
  if (kind !== "name") return null;
  const isMember = isAt(tokens, at - 1, ".") || isAt(tokens, at - 1, "?.");
  const isKey = isAt(tokens, at + 1, ":");
  if (text === "import" && !isMember && !isKey) return readImport(tokens, at);
  if (text === "export" && !isMember && !isKey) return readExport(tokens, at);
  if (text === "createRequire") return { kind: "hidden", specifier: text, line };
  if (text === "require" && isAt(tokens, at + 1, "(")) return called(tokens, at + 1, line);
  if (text === "require" && isAt(tokens, at + 2, "resolve")) return called(tokens, at + 3, line);
  if (text === "getBuiltinModule" && isAt(tokens, at + 1, "(")) return called(tokens, at + 1, line);
  if (text === "URL" && isAt(tokens, at - 1, "new") && isAt(tokens, at + 1, "(")) {
    const specifier = literalArgument(tokens, at + 1);
    return specifier !== null && /\.[cm]?[jt]s$/.test(specifier) ? { kind: "url", specifier, line } : null;
  }
  return null;
}

const isCode = (path: string): boolean => /\.[cm]?[jt]s$/.test(path);

/** All imports of a file. Anything but code has none. */
export function readImports(file: SourceFile): readonly Import[] {
  if (!isCode(file.path)) return [];
  const tokens = scanTokens(file.text);
  return tokens.map((_, at) => readToken(tokens, at)).filter((found) => found !== null);
}

function existing(path: string, repository: Repository): string | null {
  const spellings = [path, `${path}.ts`, path.replace(/\.([cm]?)js$/, ".$1ts"), `${path}/index.ts`];
  return spellings.find((spelling) => repository.files.has(spelling)) ?? null;
}

function unalias(specifier: string, aliases: ReadonlyMap<string, string>): string | null {
  for (const [alias, target] of aliases) {
    const [head = "", tail = ""] = alias.split("*");
    if (alias === specifier) return target;
    const starred = alias.includes("*") && specifier.startsWith(head) && specifier.endsWith(tail);
    if (starred) return target.replace("*", specifier.slice(head.length, specifier.length - tail.length));
  }
  return null;
}

/** What an import of this file means. */
export function resolveImport(specifier: string, fromPath: string, repository: Repository): Target {
  const plain = decodeURIComponent(specifier.replace(/(?<=.)[?#].*$/, ""));
  const aliased = unalias(plain, repository.aliases);
  const isRelative = /^\.{1,2}(\/|$)/.test(plain);
  if (isRelative || aliased !== null) {
    const path = aliased === null ? posix.join(posix.dirname(fromPath), plain) : posix.normalize(aliased);
    const found = existing(path, repository);
    if (found !== null) return { is: "file", path: found };
    return { is: "unresolved", reason: path.startsWith("..") ? "leaves the repository" : "no such file" };
  }
  if (isBuiltin(plain)) return { is: "builtin", name: plain.replace(/^node:/, "") };
  if (/^(\/|#|[a-z]+:)/.test(plain)) return { is: "unresolved", reason: "absolute, unknown alias or other protocol" };
  return { is: "package", name: plain.split("/", plain.startsWith("@") ? 2 : 1).join("/") };
}

/** The files that the roots reach through imports of any kind, the roots included. */
export function reachableFiles(
  roots: readonly string[],
  files: readonly SourceFile[],
  repository: Repository,
): Set<string> {
  const byPath = new Map(files.map((file) => [file.path, file]));
  const reached = new Set<string>();
  const queue = [...roots];
  for (let path = queue.pop(); path !== undefined; path = queue.pop()) {
    const file = byPath.get(path);
    if (file === undefined || reached.has(path)) continue;
    reached.add(path);
    for (const { kind, specifier } of readImports(file)) {
      const target = kind === "hidden" ? null : resolveImport(specifier, path, repository);
      if (target?.is === "file") queue.push(target.path);
    }
  }
  return reached;
}
