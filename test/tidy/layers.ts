/** The import table: who may import whom, which packages belong to whom, which builtins are open to whom. */
import { type Import, type Repository, readImports, resolveImport, type Target } from "./imports.ts";
import type { SourceFile } from "./scan.ts";

/** The first row whose start fits a path names its layer. */
const LAYERS = [
  ["src/core/money/money.ts", "money"],
  ["src/core/money/currency.ts", "money"],
  ["src/core/result.ts", "money"],
  ["src/core/ids.ts", "ids"],
  ["src/core/", "core"],
  ["src/engine/ports.ts", "ports"],
  ["src/engine/", "engine"],
  ["src/store/reads", "reads"],
  ["src/store/", "store"],
  ["src/connectors/contract.ts", "contract"],
  ["src/connectors/registry.ts", "registry"],
  ["src/connectors/", "connector"],
  ["src/sandbox/supervise.ts", "supervise"],
  ["src/sandbox/", "sandbox"],
  ["src/http/", "http"],
  ["src/cli/", "cli"],
  ["src/config.ts", "config"],
  ["src/main.ts", "main"],
] as const;

type Layer = (typeof LAYERS)[number][1];

interface Row {
  readonly may: readonly Layer[];
  /** Layers from which types may come, and nothing that runs. */
  readonly types?: readonly Layer[];
  readonly builtins: "any" | readonly string[];
  readonly packages: "any" | readonly string[];
}

const CORE = ["core", "money", "ids"] as const;
const PURE = { builtins: [], packages: [] };
const FREE = { builtins: "any", packages: "any" } as const;

const TABLE: Readonly<Record<Layer, Row>> = {
  money: { may: CORE, ...PURE },
  core: { may: CORE, ...PURE },
  ids: { may: CORE, builtins: ["crypto"], packages: [] },
  contract: { may: CORE, ...PURE },
  // Its own folder is allowed below. Signatures of callbacks need crypto.
  connector: { may: [...CORE, "contract"], builtins: ["crypto"], packages: [] },
  registry: { may: [...CORE, "contract", "connector"], ...PURE },
  ports: { may: [...CORE, "contract", "ports"], ...PURE },
  engine: { may: [...CORE, "contract", "ports", "engine"], ...FREE },
  reads: { may: [...CORE, "store", "reads"], types: ["ports"], builtins: "any", packages: ["pg"] },
  store: { may: [...CORE, "store", "reads"], types: ["ports"], builtins: "any", packages: ["pg"] },
  sandbox: { may: ["money", "sandbox"], builtins: "any", packages: [] },
  supervise: { may: ["money", "sandbox"], builtins: "any", packages: [] },
  http: { may: [...CORE, "contract", "ports", "engine", "reads", "http"], ...FREE },
  config: { may: CORE, ...FREE },
  cli: {
    may: [...CORE, "contract", "ports", "engine", "store", "reads", "supervise", "config", "main", "cli"],
    ...FREE,
  },
  main: {
    may: [
      ...CORE,
      "contract",
      "connector",
      "registry",
      "ports",
      "engine",
      "store",
      "reads",
      "supervise",
      "http",
      "config",
      "cli",
    ],
    ...FREE,
  },
};

/** Packages with an owner: nobody else imports them. */
const OWNERS: readonly (readonly [RegExp, readonly Layer[]])[] = [
  [/^pg$/, ["store", "reads"]],
  [/^undici$/, ["engine"]],
  [/^(fastify$|@fastify\/|@scalar\/)/, ["http"]],
  [/^commander$/, ["cli"]],
];

/** Starts of files that may look for a package whose name is only known at run time. */
const HIDDEN_ALLOWED: readonly string[] = [
  "src/store/embedded", // the package of PostgreSQL's binaries is named after the platform
];

function layerOf(path: string): Layer | null {
  return LAYERS.find(([start]) => path.startsWith(start))?.[1] ?? null;
}

const folder = (path: string): string => path.split("/").slice(0, 3).join("/");

function mayImportFile(from: string, to: string, kind: Import["kind"]): boolean {
  const layer = layerOf(from);
  const target = layerOf(to);
  if (layer === null || target === null) return false;
  if (layer === "connector" && target === "connector") return folder(from) === folder(to);
  const row = TABLE[layer];
  return row.may.includes(target) || (kind === "type" && row.types?.includes(target) === true);
}

function mayImportPackage(from: Layer, name: string): boolean {
  const { packages } = TABLE[from];
  const owner = OWNERS.find(([pattern]) => pattern.test(name));
  return (packages === "any" || packages.includes(name)) && (owner === undefined || owner[1].includes(from));
}

function judge(file: SourceFile, found: Import, target: Target): string | null {
  const layer = layerOf(file.path);
  if (target.is === "unresolved") return `${found.specifier}: ${target.reason}`;
  if (layer === null) {
    const isHelpless =
      target.is === "file" && target.path === "src/connectors/registry.ts" && !file.path.startsWith("test/");
    return isHelpless ? "only src/main.ts and tests import the registry" : null;
  }
  if (target.is === "file") {
    return mayImportFile(file.path, target.path, found.kind) ? null : `${layer} must not import ${target.path}`;
  }
  const row = TABLE[layer];
  if (target.is === "package")
    return mayImportPackage(layer, target.name) ? null : `${layer} must not import ${target.name}`;
  return row.builtins === "any" || row.builtins.includes(target.name)
    ? null
    : `${layer} must not import node:${target.name}`;
}

/** Every import that the table does not allow, in every spelling. */
export function importOffences(files: readonly SourceFile[], repository: Repository): string[] {
  return files.flatMap((file) => {
    if (file.path.startsWith("src/") && file.path.endsWith(".ts") && layerOf(file.path) === null) {
      return [`${file.path}: belongs to no layer of the import table`];
    }
    return readImports(file).flatMap((found) => {
      if (found.kind === "hidden") {
        const isAllowed = !file.path.startsWith("src/") || HIDDEN_ALLOWED.some((start) => file.path.startsWith(start));
        return isAllowed ? [] : [`${file.path}:${found.line}: an import that cannot be read (${found.specifier})`];
      }
      if (found.kind === "url") return [];
      const verdict = judge(file, found, resolveImport(found.specifier, file.path, repository));
      return verdict === null ? [] : [`${file.path}:${found.line}: ${verdict}`];
    });
  });
}

/** Packages that src imports although package.json does not list them as dependencies. */
export function dependencyOffences(
  files: readonly SourceFile[],
  repository: Repository,
  dependencies: ReadonlySet<string>,
): string[] {
  return files
    .filter((file) => file.path.startsWith("src/"))
    .flatMap((file) =>
      readImports(file).flatMap(({ kind, specifier, line }) => {
        if (kind === "hidden" || kind === "url") return [];
        const target = resolveImport(specifier, file.path, repository);
        const isMissing = target.is === "package" && !dependencies.has(target.name);
        return isMissing ? [`${file.path}:${line}: ${target.name} is not among the dependencies`] : [];
      }),
    );
}
