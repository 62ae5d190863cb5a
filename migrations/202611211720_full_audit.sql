-- Why: a full audit is due by when the last one was, also where the process is started anew every day; and what it found
-- stands until another full one finds nothing.
-- Locks: none, the table is new.
-- Backfill: a book with a mark counts as audited in full when the mark was set, so that after the upgrade each book has
-- its full audit within a day, at its own time.

create table bursar.audit_full (
  organization_id text collate "C" not null,
  "time" timestamptz not null,
  -- Each check that found something, and how much: [{"check": "counters_count", "breaches": 1}].
  broken jsonb not null,
  constraint audit_full_pkey primary key (organization_id),
  constraint audit_full_organization_known foreign key (organization_id) references bursar."organization"
);

insert into bursar.audit_full select organization_id, "time", '[]' from bursar.audit_mark;

grant select, insert, update on bursar.audit_full to bursar_app;

do $$
begin
  if current_setting('server_version_num')::integer >= 170000 then
    grant maintain on bursar.audit_full to bursar_app;
  end if;
end $$;
