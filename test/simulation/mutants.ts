/**
 * Can the simulation see? Each mutant takes one safety rule out of a copy of the product, and the simulation has to
 * find it: `npm run simulate:mutants -- --seeds 500 --only no_fence`. The product itself knows nothing of this.
 */
import { spawn } from "node:child_process";
import { cp, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { wholeNumber } from "../support/options.ts";
import { MUTANTS, type Mutant } from "./mutant-table.ts";
import { simulate } from "./simulate.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const COPIED = ["src", "test", "package.json", "tsconfig.json"] as const;

/** The source with its one place replaced. A mutant that does not apply is an error: the table must not rot. */
export function mutate(source: string, { name, file, find, replace, append }: Mutant): string {
  const [before, after, ...more] = source.split(find);
  if (before === undefined || after === undefined || more.length > 0) {
    throw new Error(`${name}: what it replaces stands ${source.split(find).length - 1} times in ${file}, not once`);
  }
  return before + replace + after + (append ?? "");
}

export function sourceOf({ file }: Pick<Mutant, "file">): Promise<string> {
  return readFile(join(ROOT, file), "utf8");
}

/** What a hunt came to: the seed that found something, and its verdicts; null: all seeds were clean. */
export type Catch = { readonly seed: number; readonly verdicts: readonly string[] } | null;

/** Simulates a copy of the product, with a mutant or without, in a process of its own. */
export async function hunt(mutant: Mutant | null, seeds: number): Promise<Catch> {
  const copy = await mkdtemp(join(tmpdir(), "bursar-mutant-"));
  try {
    for (const each of COPIED) await cp(join(ROOT, each), join(copy, each), { recursive: true });
    await symlink(join(ROOT, "node_modules"), join(copy, "node_modules"));
    if (mutant !== null) {
      const path = join(copy, mutant.file);
      await writeFile(path, mutate(await readFile(path, "utf8"), mutant));
    }
    return await runCopy(copy, seeds);
  } finally {
    await rm(copy, { recursive: true, force: true });
  }
}

/** This same file, as it stands in the copy, looks at the seeds there. */
function runCopy(copy: string, seeds: number): Promise<Catch> {
  const file = join(copy, "test/simulation/mutants.ts");
  const child = spawn(process.execPath, [file, "--here", "--seeds", String(seeds)], { cwd: copy });
  const output: string[] = [];
  const errors: string[] = [];
  child.stdout.setEncoding("utf8").on("data", (text: string) => output.push(text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => errors.push(text));
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code) => {
      if (code === 0) resolve(JSON.parse(output.join("")) as Catch);
      else reject(new Error(`the simulation of a copy ended with ${code}: ${errors.join("").slice(0, 2000)}`));
    });
  });
}

async function firstCatch(seeds: number): Promise<Catch> {
  for (let seed = 1; seed <= seeds; seed += 1) {
    const { found } = await simulate(seed);
    if (found.length > 0) return { seed, verdicts: [...new Set(found.map(({ verdict }) => verdict))] };
  }
  return null;
}

async function timed(what: Promise<Catch>): Promise<{ caught: Catch; ms: number }> {
  const began = performance.now();
  const caught = await what;
  return { caught, ms: Math.round(performance.now() - began) };
}

/** Whether the product is clean, and of all mutants the essential ones are found, or of some every one. */
async function huntAll(mutants: readonly Mutant[], seeds: number): Promise<boolean> {
  for (const mutant of MUTANTS) mutate(await sourceOf(mutant), mutant);
  const plain = await timed(hunt(null, seeds));
  if (plain.caught !== null) {
    console.log(`without a mutant: ${plain.caught.verdicts.join(", ")} in seed ${plain.caught.seed}`);
    return false;
  }
  console.log(`without a mutant: clean for ${seeds} seeds (${plain.ms} ms)`);
  const found: Mutant[] = [];
  for (const mutant of mutants) {
    const { caught, ms } = await timed(hunt(mutant, seeds));
    if (caught === null) console.log(`${mutant.name}: NOT FOUND within ${seeds} seeds (${ms} ms): ${mutant.rule}`);
    else console.log(`${mutant.name}: found by ${caught.verdicts.join(", ")} within ${caught.seed} seeds (${ms} ms)`);
    if (caught !== null) found.push(mutant);
  }
  const essential = mutants.filter(({ isEssential }) => isEssential === true);
  const foundEssential = found.filter(({ isEssential }) => isEssential === true);
  console.log(`${found.length} of ${mutants.length} mutants found`);
  console.log(`${foundEssential.length} of ${essential.length} essential ones found`);
  // Whoever hunts a single mutant asks about that one.
  return mutants.length < MUTANTS.length ? found.length === mutants.length : foundEssential.length === essential.length;
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: { seeds: { type: "string", default: "500" }, only: { type: "string" }, here: { type: "boolean" } },
  });
  const seeds = wholeNumber("seeds", values.seeds);
  if (values.here === true) {
    console.log(JSON.stringify(await firstCatch(seeds)));
    return;
  }
  const chosen = MUTANTS.filter(({ name }) => values.only === undefined || values.only === name);
  if (chosen.length === 0) throw new TypeError(`--only takes one of ${MUTANTS.map(({ name }) => name).join(", ")}`);
  process.exitCode = (await huntAll(chosen, seeds)) ? 0 : 1;
}

if (import.meta.main) await main();
