/** The database as its catalogue describes it, against the table of tables. */
import { deepEqual, equal, ok } from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import pg from "pg";
import type { TableName } from "../../src/engine/ports.ts";
import { indexedLookups, primaryName, sqlName } from "../../src/store/describe.ts";
import { APP_ROLE, WAKER_ROLE } from "../../src/store/roles.ts";
import { privilegesOf, SQL_TYPES, updatableOf } from "../../src/store/schema.ts";
import { TABLE_NAMES, tableOf } from "../../src/store/tables.ts";
import { testDatabase } from "../support/database.ts";

let owner: pg.Client;

before(async () => {
  const database = await testDatabase();
  owner = new pg.Client(database.ownerConfig);
  await owner.connect();
});

after(() => owner.end());

/** One text column of what a query finds. */
async function list(text: string, values: readonly unknown[] = []): Promise<string[]> {
  const { rows } = await owner.query<[string]>({ text, values: [...values], rowMode: "array" });
  return rows.map(([value]) => value);
}

/** Tables of the system's own, which hold nothing of an order. */
const SYSTEM_TABLES = ["epoch", "epoch_act", "migration", "audit_mark", "audit_balance", "audit_full"];

const inSql = (names: readonly string[]): string => names.map(sqlName).join(", ");
const tenants = TABLE_NAMES.filter((name) => tableOf(name).scope === "tenant");

/** An expression without what PostgreSQL adds when it writes it down. */
function bare(expression: string): string {
  return expression
    .replaceAll(/::(text|numeric|integer)(\[\])?/g, "")
    .replaceAll(/[()\s]/g, "")
    .toLowerCase();
}

/** `kind name on columns`, where a key of another table follows `->`. */
function expectedConstraints(name: TableName): string[] {
  const table = tableOf(name);
  const uniques = Object.entries(table.uniques ?? {}).filter(([, unique]) => unique.where === undefined);
  return [
    `p ${primaryName(name)} on ${inSql(table.primary)}`,
    ...uniques.map(([constraint, { columns }]) => `u ${constraint} on ${inSql(columns)}`),
    ...Object.entries(table.checks ?? {}).map(([constraint, { sql }]) => `c ${constraint} on ${bare(sql)}`),
    ...Object.entries(table.foreigns ?? {}).map(([constraint, foreign]) => {
      const target = `${sqlName(foreign.table)}: ${inSql(tableOf(foreign.table).primary)}`;
      return `f ${constraint} on ${inSql(foreign.columns)} -> ${target}`;
    }),
  ].sort();
}

const CONSTRAINTS = `
  select c.contype::text || ' ' || c.conname || ' on ' ||
    case when c.contype = 'c' then pg_get_expr(c.conbin, c.conrelid) else columns_of(c.conrelid, c.conkey) end ||
    case when c.contype = 'f' then ' -> ' || f.relname || ': ' || columns_of(c.confrelid, c.confkey) else '' end
  from pg_constraint c left join pg_class f on f.oid = c.confrelid
  where c.conrelid = $1::regclass and c.contype <> 'n'`.replaceAll(
  /columns_of\((\S+), (\S+)\)/g,
  "(select string_agg(a.attname, ', ' order by k.at) from unnest($2) with ordinality k(number, at) " +
    "join pg_attribute a on a.attrelid = $1 and a.attnum = k.number)",
);

describe("the migrated database is what tables.ts says", () => {
  test("its tables", async () => {
    const found = await list(
      "select relname from pg_class where relnamespace = 'bursar'::regnamespace and relkind = 'r'",
    );
    deepEqual(found.sort(), [...TABLE_NAMES.map(sqlName), ...SYSTEM_TABLES].sort());
  });

  for (const name of TABLE_NAMES) {
    const table = tableOf(name);
    const relation = `bursar."${sqlName(name)}"`;

    test(`${sqlName(name)}: columns, constraints, indexes, storage`, async () => {
      const columns = await list(
        `select a.attname || ' ' || format_type(a.atttypid, a.atttypmod) || ' ' || coalesce(l.collname, '') || ' ' ||
           case when a.attnotnull then 'not null' else 'null' end || case when a.atthasdef then ' default' else '' end
         from pg_attribute a
           left join pg_collation l on l.oid = a.attcollation and a.atttypid = 'text'::regtype
         where a.attrelid = $1::regclass and a.attnum > 0 and not a.attisdropped order by a.attnum`,
        [relation],
      );
      // Added columns come last; what a row is does not depend on their order.
      const described = Object.entries(table.columns).map(([member, { type, isNullable }]) => {
        const [base = "", collation = ""] = SQL_TYPES[type].split(" collate ");
        const spelled = base.replace("timestamptz", "timestamp with time zone");
        return `${sqlName(member)} ${spelled} ${collation.replaceAll('"', "")} ${isNullable ? "null" : "not null"}`;
      });
      deepEqual(columns.sort(), described.sort());

      const constraints = await list(CONSTRAINTS, [relation]);
      const spelled = constraints.map((each) =>
        each.startsWith("c ") ? each.replace(/(?<= on ).*/s, (expression) => bare(expression)) : each,
      );
      deepEqual(spelled.sort(), expectedConstraints(name));

      const indexes = await list(
        `select i.indexrelid::regclass::text || coalesce(' where ' || pg_get_expr(i.indpred, i.indrelid), '') ||
           case when i.indisunique then ' unique' else '' end || ' on ' ||
           (select string_agg(a.attname, ', ' order by a.attnum) from pg_attribute a where a.attrelid = i.indexrelid)
         from pg_index i where i.indrelid = $1::regclass
           and not exists (select from pg_constraint c where c.conindid = i.indexrelid and c.contype in ('p', 'u'))`,
        [relation],
      );
      const partial = Object.entries(table.uniques ?? {}).flatMap(([index, { columns: members, where }]) =>
        where ? [`bursar.${index} where ${bare(where.sql)} unique on ${inSql(members)}`] : [],
      );
      const lookups = indexedLookups(table).map(([index, members]) => `bursar.${index} on ${inSql(members)}`);
      const due =
        name === "work"
          ? ["bursar.work_by_organization on organization_id, kind, due_time", "bursar.work_by_due_time on due_time"]
          : [];
      const found = indexes.map((each) => each.replace(/(?<= where ).*?(?= unique| on )/, (where) => bare(where)));
      deepEqual(found.sort(), [...partial, ...lookups, ...due].sort());

      const [options] = await list(
        "select coalesce(array_to_string(reloptions, ' '), '') from pg_class where oid = $1::regclass",
        [relation],
      );
      equal(options?.includes("fillfactor=50"), table.isHot === true);
      equal(options?.includes("autovacuum_vacuum_scale_factor=0"), table.isQueue === true);
    });
  }
});

describe("tenants", () => {
  test("every key of a tenant table begins with the organization", () => {
    for (const name of tenants) {
      const { primary, uniques, foreigns, lookups } = tableOf(name);
      const keys = [
        primary,
        ...[uniques, foreigns].flatMap((each) => Object.values(each ?? {}).map(({ columns }) => columns)),
      ];
      for (const key of [...keys, ...Object.values(lookups ?? {})])
        equal(key[0], "organizationId", `${name}: ${key.join()}`);
      // A foreign key that points to another organization's row would tell that it is there.
      for (const foreign of Object.values(foreigns ?? {})) equal(tableOf(foreign.table).primary[0], "organizationId");
    }
  });

  test("row-level security is enabled, forced and says the same for reading and writing", async () => {
    const secured = await list(
      `select relname from pg_class
       where relnamespace = 'bursar'::regnamespace and relrowsecurity and relforcerowsecurity`,
    );
    deepEqual(secured.sort(), tenants.map(sqlName).sort());
    const policies = await list(
      `select tablename || ' ' || policyname || ' ' || cmd || ' ' || roles::text || ' ' || permissive || ' ' || qual ||
         ' with check ' || coalesce(with_check, '-') from pg_policies where schemaname = 'bursar'`,
    );
    const holds = "(organization_id = ANY (( SELECT bursar.organizations() AS organizations)::text[]))";
    const expected = tenants.map(
      (name) => `${sqlName(name)} tenant ALL {public} PERMISSIVE ${holds} with check ${holds}`,
    );
    deepEqual(policies.sort(), [...expected, `work waker SELECT {${WAKER_ROLE}} PERMISSIVE true with check -`].sort());
  });

  test("no organization is named by default", async () => {
    deepEqual(await list("select coalesce(bursar.organizations()::text, 'none')"), ["none"]);
  });
});

describe("the application role", () => {
  const granted = (role: string): Promise<string[]> =>
    list(
      `select table_name || ' ' || lower(privilege_type) from information_schema.table_privileges
       where grantee = $1 and table_schema = 'bursar' and privilege_type <> 'MAINTAIN'`,
      [role],
    );

  test("may do what the descriptions say and nothing else", async () => {
    const expected = TABLE_NAMES.flatMap((name) =>
      privilegesOf(tableOf(name))
        .filter((each) => each !== "update" || updatableOf(tableOf(name)) === null)
        .map((each) => `${sqlName(name)} ${each}`),
    );
    const marks = ["audit_mark", "audit_balance", "audit_full"].flatMap((name) =>
      ["select", "insert", "update"].map((each) => `${name} ${each}`),
    );
    deepEqual((await granted(APP_ROLE)).sort(), [...expected, ...marks, "epoch select"].sort());
    for (const name of TABLE_NAMES.filter((each) => tableOf(each).isAppendOnly)) {
      deepEqual(privilegesOf(tableOf(name)), ["select", "insert"], `${name} is append-only`);
    }
    for (const name of ["entry", "history", "command"] as const) equal(tableOf(name).isAppendOnly, true);
    for (const name of ["invoice", "request", "payout", "ledgerAccount"] as const) {
      ok(!privilegesOf(tableOf(name)).includes("delete"), `rows of ${name} stay`);
    }
  });

  test("may not change what is frozen of a row", async () => {
    const columns = await list(
      `select table_name || ' ' || column_name from information_schema.column_privileges
       where grantee = $1 and table_schema = 'bursar' and privilege_type = 'UPDATE'
         and not has_table_privilege($1, format('%I.%I', table_schema, table_name), 'update')`,
      [APP_ROLE],
    );
    const expected = TABLE_NAMES.flatMap((name) =>
      (updatableOf(tableOf(name)) ?? []).map((member) => `${sqlName(name)} ${sqlName(member)}`),
    );
    deepEqual(columns.sort(), expected.sort());
    for (const [name, member] of [
      ["payout", "amountMinor"],
      ["payout", "reference"],
      ["invoice", "rateNumerator"],
      ["invoice", "feeTerms"],
    ] as const) {
      ok(tableOf(name).frozen?.includes(member), `${member} of ${name} is frozen`);
    }
  });

  test("may analyze every table", async () => {
    const tables = TABLE_NAMES.map((name) => `bursar."${sqlName(name)}"`);
    deepEqual(
      await list("select t from unnest($1::text[]) t where not has_table_privilege($2, t, 'MAINTAIN')", [
        tables,
        APP_ROLE,
      ]),
      [],
    );
  });

  test("owns nothing, and is bound by row-level security", async () => {
    const owned = "select objid::text from pg_shdepend where deptype = 'o' and refobjid = $1::regrole";
    deepEqual(await list(owned, [APP_ROLE]), []);
    deepEqual(await list(owned, [WAKER_ROLE]), []);
    deepEqual(
      await list("select rolname from pg_roles where rolname in ($1, $2) and (rolsuper or rolbypassrls)", [
        APP_ROLE,
        WAKER_ROLE,
      ]),
      [],
    );
  });

  test("the waker sees three columns of work", async () => {
    deepEqual(await granted(WAKER_ROLE), []);
    const columns = await list(
      `select table_name || ' ' || column_name || ' ' || privilege_type from information_schema.column_privileges
       where grantee = $1 and table_schema = 'bursar'`,
      [WAKER_ROLE],
    );
    deepEqual(columns.sort(), ["work due_time SELECT", "work kind SELECT", "work organization_id SELECT"]);
  });
});
