/** The command line: `bursar start` and what else an operator types. */
import { Command } from "commander";
import { audit } from "./audit.ts";
import { demo } from "./demo.ts";
import { type GateOptions, moveGate, showGates } from "./gate.ts";
import { addRecover } from "./recover.ts";
import { start } from "./start.ts";

const program = new Command("bursar").description("A self-hosted payout gateway: money out, never twice.");

program
  .command("start", { isDefault: true })
  .description("start the API, the workers and, without DATABASE_URL, the database and the sandbox provider")
  .action(start);

program
  .command("demo")
  .description("play one business day on a throw-away data directory and compare our books with the provider's")
  .action(demo);

program
  .command("audit")
  .description("check the books on the live database; exit code 0: no breach, 1: breaches, 2: it could not run")
  .option("--full", "everything from the beginning, not only what came after the last audit")
  .option("--organization <id>", "one book only, such as org_main or org_demo:test")
  .option("--json", "print one JSON object")
  .action(audit);

const gate = program
  .command("gate")
  .description("the gates before new sends: of an organization, one of its currencies, a provider account");
for (const to of ["open", "shut"] as const) {
  gate
    .command(to)
    .description(
      to === "open" ? "let new sends through again, once you have looked" : "send nothing new; what is out is followed",
    )
    .requiredOption("--organization <id>", "the book, such as org_main or org_demo:test")
    .option("--provider-account <id>", "one of its provider accounts instead of all")
    .option("--currency <code>", "one currency instead of all")
    .requiredOption("--reason <text>", "why, for whoever reads it later")
    .action((options: GateOptions) => moveGate(to, options));
}
gate
  .command("show")
  .description("how the gates of a book stand")
  .requiredOption("--organization <id>", "the book, such as org_main or org_demo:test")
  .action(showGates);
addRecover(program);

await program.parseAsync();
