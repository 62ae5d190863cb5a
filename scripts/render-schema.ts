/**
 * Writes the first migration from the descriptions in `src/store/tables.ts`.
 *
 * Only until the first release: from then on what has been applied stays as it is, and a change is a new file.
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { MIGRATIONS_DIR } from "../src/store/migrate.ts";
import { renderSchema } from "../src/store/schema.ts";

export const FIRST_MIGRATION = join(MIGRATIONS_DIR, "202611210200_first.sql");

if (import.meta.main) writeFileSync(FIRST_MIGRATION, renderSchema());
