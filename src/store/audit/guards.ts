/** What an audit checks of what guards a book: its lock row, what the application may do, and a second person's word. */

import { sqlName } from "../describe.ts";
import { APP_ROLE } from "../roles.ts";
import { TABLE_NAMES, tableOf } from "../tables.ts";
import { type AuditCheck, texts } from "./scope.ts";

const TENANTS = TABLE_NAMES.filter((name) => tableOf(name).scope === "tenant").map(sqlName);
const APPEND_ONLY = TABLE_NAMES.filter((name) => tableOf(name).isAppendOnly === true).map(sqlName);

/** `('payout', 'amount_minor')`: what stays as it was written of a row that changes. */
const FROZEN = TABLE_NAMES.flatMap((name) => {
  const { primary, frozen } = tableOf(name);
  if (frozen === undefined) return [];
  return [...primary, ...frozen].map((member) => `('${sqlName(name)}', '${sqlName(member)}')`);
});

/** Without it nothing of the organization can be read under a lock, and nothing is sent. */
const lockRow: AuditCheck = {
  name: "lock_row_is_there",
  of: "book_row",
  sql: () => `select b.id, 'the organization has no lock row' as what
    from book_row b where not exists (select from lock_row)`,
};

/** The application could read or write what is another organization's. */
const tenancy: AuditCheck = {
  name: "tenants_are_apart",
  of: "table_row",
  sql: () => `select t.name as id, format('row-level security is %s and %s',
      case when c.relrowsecurity then 'enabled' else 'not enabled' end,
      case when c.relforcerowsecurity then 'forced' else 'not forced' end) as what
    from table_row t left join pg_class c on c.relnamespace = to_regnamespace('bursar') and c.relname = t.name
    where t.name in (${texts(TENANTS)}) and (c.relrowsecurity and c.relforcerowsecurity) is not true
    union all
    select rolname, 'the role is not bound by row-level security'
    from pg_roles where rolname = '${APP_ROLE}' and (rolsuper or rolbypassrls)`,
};

/** The application could change or delete what must stay as it was written. */
const permanence: AuditCheck = {
  name: "record_is_permanent",
  of: "table_row",
  sql: () => `select t.name as id, '${APP_ROLE} may change or delete its rows' as what
    from table_row t join pg_class c on c.relnamespace = to_regnamespace('bursar') and c.relname = t.name
    where t.name in (${texts(APPEND_ONLY)}) and (has_table_privilege('${APP_ROLE}', c.oid, 'update, delete, truncate')
      or has_any_column_privilege('${APP_ROLE}', c.oid, 'update'))
    union all
    select t.name, format('${APP_ROLE} may change its %s', f.name)
    from (values ${FROZEN.join(", ")}) f(relation, name) join table_row t on t.name = f.relation
      join pg_class c on c.relnamespace = to_regnamespace('bursar') and c.relname = t.name
    where has_column_privilege('${APP_ROLE}', c.oid, f.name, 'update')`,
};

/** What was proposed to a second person is done by the word of another one. */
const secondPerson: AuditCheck = {
  name: "second_person_is_another",
  of: "act_row",
  sql: () => `select a.id::text as id, format('%s of %s, confirmed by %s', a.kind, a.actor,
      coalesce(a.confirmed_by, 'nobody')) as what
    from act_row a where a.status = 'done' and (a.confirmed_by = a.actor
      or (a.confirmed_by is null and exists (select from bursar.history h where h.organization_id = $1
        and h.subject = a.id::text and h.kind = 'act' and h.moderation_required)))`,
};

export const GUARD_CHECKS: readonly AuditCheck[] = [lockRow, tenancy, permanence, secondPerson];
