/** Rules of the documents: what they name exists, and what the code says about them is there. */
import type { SourceFile } from "./scan.ts";

const isDocument = ({ path }: SourceFile): boolean => path.endsWith(".md");
const isCode = ({ path }: SourceFile): boolean => /^(src|scripts)\/.*\.ts$/.test(path);

interface Heading {
  readonly text: string;
  readonly anchor: string;
}

/** As they are read: fenced blocks left out, code marks and links of a heading reduced to their text. */
function headingsOf(file: SourceFile): readonly Heading[] {
  const lines = file.text.replaceAll(/^```[\s\S]*?^```/gm, "").split("\n");
  return lines.flatMap((line) => {
    const [, raw] = /^#{1,6} (.+)$/.exec(line) ?? [];
    if (raw === undefined) return [];
    const text = raw.replaceAll("`", "").replaceAll(/\[([^\]]*)\]\([^)]*\)/g, "$1");
    const anchor = text.toLowerCase().replaceAll(/[^\p{L}\p{N} _-]/gu, "");
    return [{ text, anchor: anchor.replaceAll(" ", "-") }];
  });
}

/** Comments as running text: a sentence may go on in the next line. */
function runningText(text: string): string {
  return text.replaceAll(/\n\s*(?:\*|\/\/) ?/g, " ");
}

/** A numbered rule: an item of a list below a heading that speaks of rules. */
function hasRule(file: SourceFile, number: string): boolean {
  const chapters = file.text.split(/^(?=#{1,6} )/m);
  return chapters.some((each) => /^#{1,6} .*\brules\b/i.test(each) && new RegExp(`^${number}\\. `, "m").test(each));
}

const MENTION = /\bdocs\/([a-z-]+)\.md(?:(?:,| \() ?(?:(rule) (\d+)|([A-Z][A-Za-z]*(?: [a-z]+)*))(?=[).,;:]))?/g;

/** Mentions in the code of a document, of one of its headings or of one of its rules, that lead nowhere. */
export function deadMentions(files: readonly SourceFile[]): string[] {
  return files.filter(isCode).flatMap((file) =>
    [...runningText(file.text).matchAll(MENTION)].flatMap(([, name = "", rule, number = "", heading]) => {
      const document = files.find(({ path }) => path === `docs/${name}.md`);
      if (document === undefined) return [`${file.path}: there is no docs/${name}.md`];
      if (rule !== undefined && !hasRule(document, number))
        return [`${file.path}: docs/${name}.md has no rule ${number}`];
      const isThere = heading === undefined || headingsOf(document).some(({ text }) => text === heading);
      return isThere ? [] : [`${file.path}: docs/${name}.md has no heading "${heading}"`];
    }),
  );
}

/** `docs/api.md` and `../README.md`: a path seen from a file. Null where it leaves the repository. */
function pathFrom(file: string, target: string): string | null {
  const parts = file.split("/").slice(0, -1);
  for (const part of target.split("/")) {
    if (part === "..") {
      if (parts.pop() === undefined) return null;
    } else if (part !== "." && part !== "") parts.push(part);
  }
  return parts.join("/");
}

/** Links between documents that lead to no file or to no heading. */
export function deadLinks(files: readonly SourceFile[]): string[] {
  const paths = new Set(files.map(({ path }) => path));
  return files.filter(isDocument).flatMap((file) =>
    [...file.text.matchAll(/\]\(([^)\s]+)\)/g)].flatMap(([, target = ""]) => {
      if (/^[a-z]+:/.test(target)) return [];
      const [name = "", anchor] = target.split("#");
      const path = name === "" ? file.path : pathFrom(file.path, name);
      const found = files.find((each) => each.path === path);
      if (path === null || (found === undefined && !paths.has(path))) return [`${file.path}: no file at ${target}`];
      const isThere =
        anchor === undefined || (found !== undefined && headingsOf(found).some((each) => each.anchor === anchor));
      return isThere ? [] : [`${file.path}: no heading at ${target}`];
    }),
  );
}

const NAMED_PATH = /`((?:src|test|scripts|docs|migrations)\/[\w./{},-]*)`/g;

/** `src/a/{b,c}.ts` stands for two files. */
function expand(path: string): readonly string[] {
  const [whole, list = ""] = /\{([^}]*)\}/.exec(path) ?? [];
  return whole === undefined ? [path] : list.split(",").map((each) => path.replace(whole, each));
}

/** Files and folders that the documents name and that do not exist. */
export function deadPaths(files: readonly SourceFile[]): string[] {
  return files.filter(isDocument).flatMap((file) =>
    [...file.text.matchAll(NAMED_PATH)].flatMap(([, named = ""]) =>
      expand(named)
        .filter((path) => !files.some((each) => each.path === path || each.path.startsWith(path.replace(/\/?$/, "/"))))
        .map((path) => `${file.path}: there is no ${path}`),
    ),
  );
}

/** Constraints that a document names, as `\`entry_cause_once\``, and that no migration makes. */
export function unknownConstraints(files: readonly SourceFile[], document: string): string[] {
  const migrations = files.filter(({ path }) => path.startsWith("migrations/")).map(({ text }) => text);
  const tables = files.find(({ path }) => path === document)?.text.split("\n") ?? [];
  // Only the last cell of a row names constraints; elsewhere such words are members and statuses.
  const cells = tables.filter((line) => line.startsWith("|")).map((line) => line.split("|").at(-2) ?? "");
  return cells
    .flatMap((cell) => [...cell.matchAll(/`([a-z]+(?:_[a-z]+)+)`/g)].map(([, name = ""]) => name))
    .filter((name) => !migrations.some((text) => new RegExp(`\\b${name}\\b`).test(text)))
    .map((name) => `${document}: no migration makes ${name}`);
}

/** The first cells of a table's rows, without their code marks. */
export function firstCells(text: string, heading: string): readonly string[] {
  const chapter = text.split(/^(?=#{1,6} )/m).find((each) => each.startsWith(`## ${heading}\n`)) ?? "";
  const rows = chapter.split("\n").filter((line) => line.startsWith("| `"));
  return rows.map((line) => (line.split("|")[1] ?? "").trim().replaceAll("`", ""));
}
