/** What an audit checks of what guards a book: its lock row. */
import type { AuditCheck } from "./audit-scope.ts";

/** Without it nothing of the organization can be read under a lock, and nothing is sent. */
const lockRow: AuditCheck = {
  name: "lock_row_is_there",
  of: "book_row",
  sql: () => `select b.id, 'the organization has no lock row' as what
    from book_row b where not exists (select from lock_row)`,
};

export const GUARD_CHECKS: readonly AuditCheck[] = [lockRow];
