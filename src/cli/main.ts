/** The command line: `bursar start` and what else an operator types. */
import { Command } from "commander";
import { demo } from "./demo.ts";
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

await program.parseAsync();
