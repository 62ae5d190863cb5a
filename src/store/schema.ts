/** The schema as SQL, from the descriptions in `tables.ts`. Pure; `scripts/render-schema.ts` writes it to a file. */
import type { TableName } from "../engine/ports.ts";
import { type AnyTable, type ColumnType, indexedLookups, primaryName, sqlName } from "./describe.ts";
import { TABLE_NAMES, tableOf } from "./tables.ts";

export const SQL_TYPES: Readonly<Record<ColumnType, string>> = {
  // Byte order: the same on every machine and for ever, whatever its libraries think of German.
  text: 'text collate "C"',
  uuid: "uuid",
  int: "integer",
  long: "bigint",
  money: "numeric(38,0)",
  flag: "boolean",
  time: "timestamptz",
  json: "jsonb",
  bytes: "bytea",
  texts: "text[]",
};

const LINE_MAX = 118;

const columnList = (columns: readonly string[]): string => columns.map((name) => `"${sqlName(name)}"`).join(", ");

/** Breaks a long line after commas. */
function wrap(line: string, indent: string): string {
  const lines: string[] = [];
  let rest = line;
  while (rest.length > LINE_MAX) {
    const at = rest.lastIndexOf(", ", LINE_MAX) + 1;
    lines.push(rest.slice(0, at));
    rest = indent + rest.slice(at + 1);
  }
  return [...lines, rest].join("\n");
}

function renderTable(name: TableName, table: AnyTable): string {
  const columns = Object.entries(table.columns).map(
    ([member, column]) => `"${sqlName(member)}" ${SQL_TYPES[column.type]}${column.isNullable ? "" : " not null"}`,
  );
  // Several columns to a line: the file must stay short enough to be read.
  const lines = [wrap(`  ${columns.join(", ")}`, "  ")];
  lines.push(`  constraint ${primaryName(name)} primary key (${columnList(table.primary)})`);
  for (const [constraint, unique] of Object.entries(table.uniques ?? {})) {
    if (unique.where === undefined) lines.push(`  constraint ${constraint} unique (${columnList(unique.columns)})`);
  }
  for (const [constraint, check] of Object.entries(table.checks ?? {})) {
    lines.push(wrap(`  constraint ${constraint} check (${check.sql})`, "    "));
  }
  for (const [constraint, foreign] of Object.entries(table.foreigns ?? {})) {
    const target = `bursar."${sqlName(foreign.table)}"`;
    lines.push(`  constraint ${constraint} foreign key (${columnList(foreign.columns)}) references ${target}`);
  }
  const storage = table.isHot
    ? " with (fillfactor = 50)"
    : table.isQueue
      ? " with (autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_scale_factor = 0)"
      : "";
  return `create table bursar."${sqlName(name)}" (\n${lines.join(",\n")}\n)${storage};`;
}

function renderIndexes(name: TableName, table: AnyTable): string[] {
  const on = `on bursar."${sqlName(name)}"`;
  const partial = Object.entries(table.uniques ?? {}).flatMap(([constraint, { columns, where }]) =>
    where === undefined
      ? []
      : [`create unique index ${constraint} ${on} (${columnList(columns)})\n  where ${where.sql};`],
  );
  const lookups = indexedLookups(table).map(
    ([lookup, columns]) => `create index ${lookup} ${on} (${columnList(columns)});`,
  );
  return [...partial, ...lookups];
}

/** What the application role may do, table by table. Never TRUNCATE. */
export function privilegesOf(table: AnyTable): readonly ("select" | "insert" | "update" | "delete")[] {
  return [
    "select",
    "insert",
    ...(table.guard !== undefined && !table.isAppendOnly ? (["update"] as const) : []),
    ...(table.isDeletable ? (["delete"] as const) : []),
  ];
}

function renderGrants(): string[] {
  const groups = Map.groupBy(TABLE_NAMES, (name) => privilegesOf(tableOf(name)).join(", "));
  return [...groups].map(([privileges, tables]) => {
    const list = tables.map((name) => `bursar."${sqlName(name)}"`).join(", ");
    return `${wrap(`grant ${privileges} on ${list}`, "  ")}\n  to bursar_app;`;
  });
}

/** Row-level security: what a transaction sees and writes is of the organizations that it has named, or is not. */
function renderTenants(): string {
  const tenants = TABLE_NAMES.filter((name) => tableOf(name).scope === "tenant");
  const list = wrap(
    `  foreach tenant_table in array array[${tenants.map((name) => `'${sqlName(name)}'`).join(", ")}]`,
    "    ",
  );
  return `do $$
declare
  tenant_table text;
begin
${list}
  loop
    execute format('alter table bursar.%I enable row level security, force row level security', tenant_table);
    execute format($policy$
      create policy tenant on bursar.%I
        using (organization_id = any ((select bursar.organizations())::text[]))
        with check (organization_id = any ((select bursar.organizations())::text[]))
    $policy$, tenant_table);
  end loop;
end $$;`;
}

const HEADER = `-- Why: the first schema. Generated from src/store/tables.ts by scripts/render-schema.ts.
-- Locks: none, every table is new.
-- Backfill: none.
`;

const FUNCTIONS = `-- The organizations of this transaction, as set_config('bursar.organizations', .., true) named them; unset = none.
create function bursar.organizations() returns text[] language sql stable parallel safe
  return string_to_array(current_setting('bursar.organizations', true), ',');

-- A guarded change must touch the rows that it was decided on: another number is a bug, and undoes the transaction.
create function bursar.expect_rows(table_name text, counted bigint, expected bigint) returns void
language plpgsql as $$
begin
  if counted <> expected then
    raise exception '%: % rows instead of % were as they had been read', table_name, counted, expected
      using errcode = 'BS001', constraint = table_name || '_version_stale';
  end if;
end $$;

-- Every ledger transaction sums to zero per currency: once per statement, which costs nothing that can be measured.
create function bursar.check_entry_sums() returns trigger language plpgsql as $$
begin
  if exists (
    select from added group by organization_id, subject, cause, currency having sum(amount_minor) <> 0
  ) then
    raise exception 'a ledger transaction does not sum to zero'
      using errcode = 'check_violation', constraint = 'entry_sums_to_zero', table = 'entry', schema = 'bursar';
  end if;
  return null;
end $$;`;

const EPOCH = `-- Which database this is. Another identity or timeline may have forgotten commits: that is a new epoch, gate shut.
create table bursar.epoch (
  is_only_row boolean not null default true constraint epoch_pkey primary key,
  number bigint not null,
  system_identifier text,
  timeline integer,
  gate text not null,
  "time" timestamptz not null,
  constraint epoch_is_only_row check (is_only_row),
  constraint epoch_gate_listed check (gate in ('open', 'shut')),
  constraint epoch_identity_whole check ((system_identifier is null) = (timeline is null))
);
insert into bursar.epoch (number, gate, "time") values (1, 'open', clock_timestamp());
grant select on bursar.epoch to bursar_app;

-- Asked at every connect. Fails on a standby: what a standby says about a commit counts for nothing.
create function bursar.enter_epoch(
  out number bigint, out system_identifier text, out timeline integer, out is_open boolean, out has_changed boolean
) language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  known bursar.epoch;
begin
  system_identifier := (select control.system_identifier::text from pg_control_system() control);
  -- Not pg_control_checkpoint(): after a promotion that names the old timeline until the first checkpoint is done.
  timeline := ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::integer;
  select * into strict known from bursar.epoch;
  has_changed := known.system_identifier is distinct from system_identifier or known.timeline is distinct from timeline;
  if has_changed then
    -- Another connection may have been here first.
    select * into strict known from bursar.epoch for update;
    has_changed := known.system_identifier is distinct from system_identifier
      or known.timeline is distinct from timeline;
  end if;
  if has_changed then
    has_changed := known.system_identifier is not null;
    if has_changed then
      -- Seconds of 1970, not one more: two restores of the same backup must not enter the same epoch.
      known.number := greatest(known.number + 1, extract(epoch from clock_timestamp())::bigint);
      known.gate := 'shut';
    end if;
    update bursar.epoch e set number = known.number, gate = known.gate,
      system_identifier = enter_epoch.system_identifier, timeline = enter_epoch.timeline, "time" = clock_timestamp();
  end if;
  number := known.number;
  is_open := known.gate = 'open';
end $$;
revoke all on function bursar.enter_epoch() from public;
grant execute on function bursar.enter_epoch() to bursar_app;`;

const RULES = `create trigger check_entry_sums after insert on bursar."entry"
  referencing new table as added for each statement execute function bursar.check_entry_sums();

-- Due work: k rows of an organization in the order of their time; and, for the waker, of all organizations.
create index work_by_organization on bursar."work" ("organization_id", "kind", "due_time");
create index work_by_due_time on bursar."work" ("due_time");

-- The waker sees which organizations have due work, of all of them, and nothing else.
grant select ("organization_id", "kind", "due_time") on bursar."work" to bursar_waker;
create policy waker on bursar."work" for select to bursar_waker using (true);`;

const MAINTAIN = `-- The application keeps its statistics fresh (ANALYZE): without them the planner takes any index that fits.
do $$
begin
  if current_setting('server_version_num')::integer >= 170000 then
    grant maintain on all tables in schema bursar to bursar_app;
  end if;
end $$;`;

/** The first migration: schema, functions, tables, row-level security, privileges. */
export function renderSchema(): string {
  const tables = TABLE_NAMES.map((name) =>
    [renderTable(name, tableOf(name)), ...renderIndexes(name, tableOf(name))].join("\n"),
  );
  const sections = [
    `${HEADER}\ncreate schema if not exists bursar;`,
    FUNCTIONS,
    EPOCH,
    ...tables,
    RULES,
    renderTenants(),
    ...renderGrants(),
    MAINTAIN,
  ];
  return `${sections.join("\n\n")}\n`;
}
