/** The two database roles of the product. Roles belong to a whole server, so migrations cannot make them alone. */
import type { Client } from "pg";
import { assert } from "../core/result.ts";

/** The server works as this role: it logs in, is bound by row-level security and owns nothing. */
export const APP_ROLE = "bursar_app";
/** Sees which organizations have work due, and nothing else. The application takes it on with `set local role`. */
export const WAKER_ROLE = "bursar_waker";

const DUPLICATE = ["42710", "23505"];
const INSUFFICIENT_PRIVILEGE = "42501";

interface RoleFacts {
  readonly roles: readonly string[];
  /** `member in group` */
  readonly grants: readonly string[];
  /** Whether the application role could get around row-level security. */
  readonly isUnbound: boolean;
  readonly user: string;
  readonly version: number;
}

async function readFacts(client: Client): Promise<RoleFacts> {
  const { rows } = await client.query<RoleFacts>(
    `select current_user as user, current_setting('server_version_num')::int4 as version,
       array(select rolname::text from pg_roles where rolname in ($1, $2)) as roles,
       array(select m.rolname || ' in ' || g.rolname from pg_auth_members a
         join pg_roles m on m.oid = a.member join pg_roles g on g.oid = a.roleid where g.rolname in ($1, $2)) as grants,
       exists (select from pg_roles where rolname in ($1, $2)
           and (rolsuper or rolbypassrls or pg_has_role(oid, current_user, 'member')))
         or exists (select from pg_auth_members a join pg_roles g on g.oid = a.roleid
           where g.rolname = $2 and a.member = (select oid from pg_roles where rolname = $1) and a.inherit_option)
         as "isUnbound"`,
    [APP_ROLE, WAKER_ROLE],
  );
  assert(rows[0], "a select without from gives one row");
  return rows[0];
}

/** The statements still missing, in order. */
function missing(facts: RoleFacts, owner: string): string[] {
  const statements: string[] = [];
  const want = (isThere: boolean, statement: string) => isThere || statements.push(statement);
  want(facts.roles.includes(APP_ROLE), `create role ${APP_ROLE} login noinherit`);
  want(facts.roles.includes(WAKER_ROLE), `create role ${WAKER_ROLE} nologin`);
  // Without `inherit false` the waker's policies would apply to everything the application does.
  const grant = (group: string, member: string) => `grant ${group} to ${member} with inherit false, set true`;
  want(facts.grants.includes(`${APP_ROLE} in ${WAKER_ROLE}`), grant(WAKER_ROLE, APP_ROLE));
  want(facts.grants.includes(`${facts.user} in ${APP_ROLE}`), grant(APP_ROLE, owner));
  return statements;
}

/**
 * Makes the roles that are missing: `bursar_app` (may log in, and become `bursar_waker`) and `bursar_waker`; the
 * connected user may become `bursar_app`.
 *
 * @throws before PostgreSQL 16, when connected as one of these roles, when one of them could get around row-level
 * security, and when the user may not make roles: then with the statements an administrator has to run.
 */
export async function ensureRoles(client: Client): Promise<void> {
  const facts = await readFacts(client);
  if (facts.version < 160_000) throw new Error("Bursar needs PostgreSQL 16 or later");
  if (facts.user === APP_ROLE || facts.user === WAKER_ROLE) {
    throw new Error(`Connect as the owner of the database, not as ${facts.user}: the application must own nothing`);
  }
  if (facts.isUnbound) {
    throw new Error(
      `${APP_ROLE} could get around row-level security: neither it nor ${WAKER_ROLE} may be superuser, bypassrls or a ` +
        `member of ${facts.user}, and it may be a member of ${WAKER_ROLE} only "with inherit false"`,
    );
  }
  const statements = missing(facts, client.escapeIdentifier(facts.user));
  for (const statement of statements) {
    try {
      await client.query(statement);
    } catch (error) {
      const code = (error as { code?: string }).code ?? "";
      if (DUPLICATE.includes(code)) continue;
      if (code !== INSUFFICIENT_PRIVILEGE) throw error;
      throw new Error(
        `The user ${facts.user} may not make the database roles. Ask an administrator to run:\n${statements.join(";\n")};`,
        { cause: error },
      );
    }
  }
}
