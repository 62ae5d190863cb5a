/** Everything that can be checked without a database, at once: format, types, lint, tidy, generated files. */
import { spawn } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("../", import.meta.url));
const tool = (name: string): string => join(ROOT, "node_modules/.bin", name);

interface Check {
  readonly name: string;
  readonly command: readonly [program: string, ...args: string[]];
  /** What repairs it, where one command does. */
  readonly repair?: string;
}

const CHECKS: readonly Check[] = [
  { name: "format", command: [tool("biome"), "check", "."], repair: "npm run format" },
  { name: "types", command: [tool("tsc"), "--noEmit"] },
  { name: "lint", command: [tool("oxlint")] },
  { name: "tidy", command: [process.execPath, "--test", "test/tidy.test.ts"] },
  { name: "generated", command: [process.execPath, "scripts/generate.ts", "--check"], repair: "npm run generate" },
];

interface Outcome {
  readonly check: Check;
  readonly isGood: boolean;
  readonly seconds: number;
  readonly output: string;
}

function runCheck(check: Check): Promise<Outcome> {
  const began = performance.now();
  const [program, ...args] = check.command;
  return new Promise((resolve) => {
    const output: string[] = [];
    const finish = (isGood: boolean): void => {
      resolve({ check, isGood, seconds: (performance.now() - began) / 1000, output: output.join("") });
    };
    const child = spawn(program, args, { cwd: ROOT, stdio: ["ignore", "pipe", "pipe"] });
    child.stdout.setEncoding("utf8").on("data", (text: string) => output.push(text));
    child.stderr.setEncoding("utf8").on("data", (text: string) => output.push(text));
    child.once("error", (error) => {
      output.push(String(error));
      finish(false);
    });
    child.once("close", (code) => finish(code === 0));
  });
}

function describe({ check, isGood, seconds }: Outcome): string {
  const repair = isGood || check.repair === undefined ? "" : `   (${check.repair})`;
  return `${isGood ? "ok    " : "FAILED"}  ${check.name.padEnd(10)} ${seconds.toFixed(1).padStart(5)} s${repair}`;
}

const outcomes = await Promise.all(CHECKS.map(runCheck));
for (const { check, isGood, output } of outcomes) {
  if (!isGood) console.log(`== ${check.name} ==\n${output.trim()}\n`);
}
for (const outcome of outcomes) console.log(describe(outcome));
process.exitCode = outcomes.every(({ isGood }) => isGood) ? 0 : 1;
