/**
 * A scanner for TypeScript, good enough to see imports, calls and brackets and never to be fooled by strings,
 * comments, templates or regular expressions. TypeScript 7 has no JavaScript API, and a real parser would be a
 * dependency; where this scanner loses its way it throws, and the tidy test reports the file.
 */

export type TokenKind = "name" | "number" | "string" | "chunk" | "regex" | "punctuator";

export interface Token {
  readonly kind: TokenKind;
  /** A string's value without quotes and escapes; else the text as written. */
  readonly text: string;
  readonly line: number;
}

/** A file as the rules see it. `path` is relative to the repository's root, with forward slashes. */
export interface SourceFile {
  readonly path: string;
  readonly text: string;
}

const SPACE = /\s+/y;
const LINE_COMMENT = /\/\/[^\n]*|^#![^\n]*/y;
const BLOCK_COMMENT = /\/\*[\s\S]*?\*\//y;
const NAME = /[#\p{ID_Start}$_][\p{ID_Continue}$\u200c\u200d]*/uy;
const NUMBER = /0[xXbBoO][\da-fA-F_]+n?|(?:\d[\d_]*\.?[\d_]*|\.\d[\d_]*)(?:[eE][+-]?\d+)?n?/y;
const STRING = /"(?:[^"\\\n]|\\[\s\S])*"|'(?:[^'\\\n]|\\[\s\S])*'/y;
const REGEX = /\/(?![*/])(?:[^\\/[\n]|\\.|\[(?:[^\]\\\n]|\\.)*\])+\/[a-z]*/y;
/** The text of a template up to its end or its next substitution. */
const TEMPLATE = /(?:[^`\\$]|\\[\s\S]|\$(?!\{))*(`|\$\{)/y;
/** `>` stands alone, so that nested type arguments close one by one. */
const PUNCTUATOR = /=>|\.\.\.|\?\.(?!\d)|===?|!==?|<=|>=|&&=?|\|\|=?|\?\?=?|\+\+|--|\*\*=?|[-+*/%&|^]=|[^\s\w]/y;

const BEFORE_REGEX = new Set(
  "return typeof case in of delete void throw new instanceof else do await yield extends default".split(" "),
);
const OPENING: Readonly<Record<string, string>> = { "(": ")", "[": "]", "{": "}", "${": "}" };
const CLOSING = new Set([")", "]", "}"]);

interface Scan {
  readonly source: string;
  readonly tokens: Token[];
  /** The brackets still open. */
  readonly open: string[];
  at: number;
  line: number;
}

function take(scan: Scan, pattern: RegExp): string | undefined {
  pattern.lastIndex = scan.at;
  const text = pattern.exec(scan.source)?.[0];
  if (text === undefined || text === "") return undefined;
  scan.at += text.length;
  return text;
}

function push(scan: Scan, kind: TokenKind, text: string, raw: string): void {
  scan.tokens.push({ kind, text, line: scan.line });
  scan.line += raw.split("\n").length - 1;
}

/** What an escape in a string stands for: `"\x2e./store"` is still an import of the store. */
function cook(body: string): string {
  return body.replace(/\\(?:x[\da-fA-F]{2}|u\{[\da-fA-F]+\}|u[\da-fA-F]{4}|[\s\S])/g, (escape) => {
    const digits = /^\\[xu]\{?([\da-fA-F]+)/.exec(escape)?.[1];
    return digits === undefined ? escape.slice(1) : String.fromCodePoint(Number.parseInt(digits, 16));
  });
}

function regexMayStart(tokens: readonly Token[]): boolean {
  const last = tokens.at(-1);
  if (last === undefined) return true;
  if (last.kind === "name") return BEFORE_REGEX.has(last.text);
  return last.kind === "punctuator" && !CLOSING.has(last.text) && last.text !== "++" && last.text !== "--";
}

function scanTemplate(scan: Scan, whole: boolean): void {
  TEMPLATE.lastIndex = scan.at;
  const match = TEMPLATE.exec(scan.source);
  if (match === null) throw new Error(`unterminated template in line ${scan.line}`);
  scan.at += match[0].length;
  const ends = match[1] === "`";
  push(scan, whole && ends ? "string" : "chunk", cook(match[0].slice(0, ends ? -1 : -2)), match[0]);
  if (!ends) punctuate(scan, "${");
}

function punctuate(scan: Scan, text: string): void {
  scan.tokens.push({ kind: "punctuator", text, line: scan.line });
  if (text in OPENING) scan.open.push(text);
  if (!CLOSING.has(text)) return;
  const opened = scan.open.pop();
  if (opened === undefined || OPENING[opened] !== text) throw new Error(`unmatched ${text} in line ${scan.line}`);
  if (opened === "${") scanTemplate(scan, false);
}

function step(scan: Scan): void {
  const skipped = take(scan, SPACE) ?? take(scan, LINE_COMMENT) ?? take(scan, BLOCK_COMMENT);
  if (skipped !== undefined) {
    scan.line += skipped.split("\n").length - 1;
    return;
  }
  const character = scan.source.charAt(scan.at);
  if (character === "`") {
    scan.at += 1;
    scanTemplate(scan, true);
    return;
  }
  const regex = character === "/" && regexMayStart(scan.tokens) ? take(scan, REGEX) : undefined;
  if (regex !== undefined) return push(scan, "regex", regex, regex);
  const string = take(scan, STRING);
  if (string !== undefined) return push(scan, "string", cook(string.slice(1, -1)), string);
  if (character === '"' || character === "'") throw new Error(`unterminated string in line ${scan.line}`);
  const name = take(scan, NAME);
  if (name !== undefined) return push(scan, "name", name, name);
  const number = take(scan, NUMBER);
  if (number !== undefined) return push(scan, "number", number, number);
  const punctuator = take(scan, PUNCTUATOR);
  if (punctuator === undefined) throw new Error(`unreadable ${character} in line ${scan.line}`);
  punctuate(scan, punctuator);
}

const scanned = new Map<string, readonly Token[]>();

/** The tokens of a source text. Throws where brackets or quotes do not close. */
export function scanTokens(source: string): readonly Token[] {
  const known = scanned.get(source);
  if (known !== undefined) return known;
  const scan: Scan = { source, tokens: [], open: [], at: 0, line: 1 };
  while (scan.at < source.length) step(scan);
  if (scan.open.length > 0) throw new Error(`${scan.open.at(-1)} is never closed`);
  scanned.set(source, scan.tokens);
  return scan.tokens;
}

/** The index of the bracket that closes the one at `index`. */
export function closingIndex(tokens: readonly Token[], index: number): number {
  let depth = 0;
  for (let at = index; at < tokens.length; at++) {
    const { kind, text } = tokens[at] as Token;
    if (kind !== "punctuator") continue;
    if (text in OPENING) depth++;
    else if (CLOSING.has(text) && --depth === 0) return at;
  }
  return tokens.length - 1;
}

/** Whether the token at `index` is this name or punctuator (a string that looks like it is not). */
export function isAt(tokens: readonly Token[], index: number, text: string): boolean {
  const token = tokens[index];
  return token !== undefined && token.text === text && (token.kind === "name" || token.kind === "punctuator");
}
