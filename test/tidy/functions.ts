/** Finds functions in a token list and measures them: length in lines, number of parameters. */
import { closingIndex, isAt, type Token } from "./scan.ts";

export interface MeasuredFunction {
  readonly line: number;
  readonly lines: number;
  readonly parameters: number;
  /** What calls it with the function as an argument: `test` in `test("..", () => ..)`; null when nothing does. */
  readonly passedTo: string | null;
}

const NOT_FUNCTIONS = new Set(["if", "for", "while", "switch", "catch", "with", "await"]);
/** A type goes on after these. */
const TYPE_GOES_ON = new Set(["|", "&", ".", "?", ":", "=>", "...", "is", "asserts", "keyof", "typeof", "readonly"]);
const TYPE_GOES_ON_TOO = new Set(["extends", "infer", "unique", "new", "abstract"]);
const STATEMENTS = new Set([
  "return",
  "throw",
  "if",
  "for",
  "while",
  "switch",
  "const",
  "let",
  "break",
  "continue",
  "case",
]);

const isName = (token: Token | undefined): boolean => token?.kind === "name";

/** The index after a list of type arguments that opens at `index`. */
function afterTypeArguments(tokens: readonly Token[], index: number): number {
  let depth = 0;
  for (let at = index; at < tokens.length; at++) {
    if (isAt(tokens, at, "<")) depth++;
    else if (isAt(tokens, at, ">") && --depth === 0) return at + 1;
    else if (isAt(tokens, at, ";")) return at;
    else if (isAt(tokens, at, "{") || isAt(tokens, at, "(")) at = closingIndex(tokens, at);
  }
  return tokens.length;
}

/** The index after one operand of a type: a name, a literal, a bracketed group or a template with its substitutions. */
function afterOperand(tokens: readonly Token[], index: number): number {
  if (["(", "{", "["].includes(tokens[index]?.text ?? "") && tokens[index]?.kind === "punctuator") {
    return closingIndex(tokens, index) + 1;
  }
  let at = index + 1;
  if (tokens[index]?.kind !== "chunk") return at;
  while (isAt(tokens, at, "${")) at = closingIndex(tokens, at) + 2;
  return at;
}

/**
 * Where the body begins after a parameter list: the index of `{` or of `=>`, or -1 if this is no function. With a
 * return type a type's own braces come first, so the type is read operand by operand.
 */
function bodyIndex(tokens: readonly Token[], afterParameters: number): number {
  if (isAt(tokens, afterParameters, "{") || isAt(tokens, afterParameters, "=>")) return afterParameters;
  if (!isAt(tokens, afterParameters, ":")) return -1;
  let at = afterParameters + 1;
  let wanted = true;
  let grouped = false;
  while (at < tokens.length) {
    const token = tokens[at] as Token;
    if (wanted) {
      if (token.kind === "name" && STATEMENTS.has(token.text)) return -1;
      if (token.kind !== "string" && (TYPE_GOES_ON.has(token.text) || TYPE_GOES_ON_TOO.has(token.text))) at++;
      else {
        grouped = isAt(tokens, at, "(");
        at = afterOperand(tokens, at);
        wanted = false;
      }
    } else if (isAt(tokens, at, "{")) return at;
    else if (isAt(tokens, at, "=>") && !grouped) return at;
    else if (isAt(tokens, at, "<")) at = afterTypeArguments(tokens, at);
    else if (isAt(tokens, at, "[")) at = closingIndex(tokens, at) + 1;
    else if (TYPE_GOES_ON.has(token.text) || token.text === "extends") wanted = true;
    else return -1;
    if (wanted) grouped = false;
  }
  return -1;
}

/** The last token of an arrow's expression body. (`=` ends it too: then it was a function type, `let f: () => T = ..`.) */
function expressionEnd(tokens: readonly Token[], index: number): number {
  let at = index;
  while (at < tokens.length) {
    const { kind, text } = tokens[at] as Token;
    if (kind === "punctuator" && [",", ";", "=", ")", "]", "}"].includes(text)) return at - 1;
    const opens = kind === "punctuator" && ["(", "[", "{", "${"].includes(text);
    at = opens ? closingIndex(tokens, at) + 1 : at + 1;
  }
  return tokens.length - 1;
}

function countParameters(tokens: readonly Token[], open: number, close: number): number {
  let count = 0;
  let depth = 0;
  let inParameter = false;
  for (let at = open + 1; at < close; at++) {
    const text = tokens[at]?.kind === "punctuator" ? (tokens[at]?.text ?? "") : "";
    if (["(", "[", "{", "<", "${"].includes(text)) depth++;
    if ([")", "]", "}", ">"].includes(text)) depth--;
    if (text === "," && depth === 0) inParameter = false;
    else if (!inParameter) {
      inParameter = true;
      if (!isAt(tokens, at, "this")) count++;
    }
  }
  return count;
}

/** For each token the index of the bracket around it, or -1. */
function enclosing(tokens: readonly Token[]): readonly number[] {
  const stack: number[] = [];
  return tokens.map((token, index) => {
    if (token.kind === "punctuator" && [")", "]", "}"].includes(token.text)) stack.pop();
    const around = stack.at(-1) ?? -1;
    if (token.kind === "punctuator" && ["(", "[", "{", "${"].includes(token.text)) stack.push(index);
    return around;
  });
}

/** The name before a call's bracket, past what `test.skip(` or `t.test(` put there: `skip`, `test`. */
function callee(tokens: readonly Token[], bracket: number): string | null {
  if (bracket < 1 || !isAt(tokens, bracket, "(") || !isName(tokens[bracket - 1])) return null;
  const last = tokens[bracket - 1]?.text ?? "";
  if (!["skip", "only", "todo"].includes(last) || !isAt(tokens, bracket - 2, ".")) return last;
  return tokens[bracket - 3]?.text ?? last;
}

/** Every function of a file that has a body, in the order in which they begin. */
export function measureFunctions(tokens: readonly Token[]): readonly MeasuredFunction[] {
  const around = enclosing(tokens);
  const found: MeasuredFunction[] = [];
  for (let open = 0; open < tokens.length; open++) {
    const before = tokens[open - 1];
    let body = -1;
    let close = open;
    if (isAt(tokens, open, "(") && !(before?.kind === "name" && NOT_FUNCTIONS.has(before.text))) {
      close = closingIndex(tokens, open);
      body = bodyIndex(tokens, close + 1);
    } else if (isName(tokens[open]) && isAt(tokens, open + 1, "=>")) body = open + 1;
    if (body === -1) continue;
    const arrow = isAt(tokens, body, "=>");
    const block = arrow ? body + 1 : body;
    const end = isAt(tokens, block, "{") ? closingIndex(tokens, block) : expressionEnd(tokens, block);
    const line = tokens[open]?.line ?? 0;
    found.push({
      line,
      lines: (tokens[end]?.line ?? line) - line + 1,
      parameters: isAt(tokens, open, "(") ? countParameters(tokens, open, close) : 1,
      passedTo: callee(tokens, around[open] ?? -1),
    });
  }
  return found;
}
