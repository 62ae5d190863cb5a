/** Reads the repository as the rules want it. */
import { readdirSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import type { Repository } from "./imports.ts";
import type { SourceFile } from "./scan.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const NOT_OURS = new Set(["node_modules", ".git", ".bursar", "coverage", "dist"]);
const TEXT =
  /\.(ts|js|mjs|cjs|json|jsonc|sql|md|yml|yaml|html|css|svg|txt|csv|sh)$|(^|\/)(\.[a-z]+|run|LICENSE|Dockerfile)$/;

function* walk(folder: string): Generator<string> {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) {
      if (!NOT_OURS.has(entry.name)) yield* walk(path);
    } else if (entry.isFile() && TEXT.test(path)) yield path;
  }
}

/** Every text file of the repository, in the order of their paths. */
export function readTree(): readonly SourceFile[] {
  return [...walk(ROOT)]
    .map((path) => ({ path: relative(ROOT, path).replaceAll("\\", "/"), text: readFileSync(path, "utf8") }))
    .sort((a, b) => (a.path < b.path ? -1 : 1));
}

interface Manifest {
  readonly name?: string;
  readonly imports?: Readonly<Record<string, string>>;
  readonly dependencies?: Readonly<Record<string, string>>;
}

interface CompilerSettings {
  readonly compilerOptions?: { readonly paths?: Readonly<Record<string, readonly string[]>> };
}

const parsed = <T>(files: readonly SourceFile[], path: string): T | undefined => {
  const file = files.find((candidate) => candidate.path === path);
  return file === undefined ? undefined : (JSON.parse(file.text) as T);
};

/** The aliases by which one of our files may be named: package.json `imports`, tsconfig `paths`, our own name. */
export function readRepository(
  files: readonly SourceFile[],
): Repository & { readonly dependencies: ReadonlySet<string> } {
  const manifest = parsed<Manifest>(files, "package.json") ?? {};
  const paths = parsed<CompilerSettings>(files, "tsconfig.json")?.compilerOptions?.paths ?? {};
  const aliases = new Map([
    ...Object.entries(manifest.imports ?? {}),
    ...Object.entries(paths).map(([alias, targets]) => [alias, targets[0] ?? ""] as const),
    ...(manifest.name === undefined ? [] : [[`${manifest.name}/*`, "*"] as const]),
  ]);
  return {
    files: new Set(files.map((file) => file.path)),
    aliases: new Map([...aliases].sort(([a], [b]) => b.length - a.length)),
    dependencies: new Set(Object.keys(manifest.dependencies ?? {})),
  };
}
