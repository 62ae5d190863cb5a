-- Why: after a restore an order that was cut into parts, or allocated by people, may have had other parts than it has
-- now; they are looked for before any part of it leaves.
-- Locks: none on what is there.
-- Backfill: none. A search begins when an order of this epoch is sent.

create table bursar."part_search" (
  "organization_id" text collate "C" not null, "request_id" text collate "C" not null, "epoch" bigint not null,
  "provider_account_id" text collate "C" not null, "attempt" integer not null, "part" integer not null,
  "state" text collate "C" not null, "fact" text collate "C", "tries" integer not null, "asked_time" timestamptz,
  "version" integer not null,
  constraint part_search_pkey
    primary key ("organization_id", "request_id", "epoch", "provider_account_id", "attempt")
);
alter table bursar."part_search" enable row level security, force row level security;
create policy tenant on bursar."part_search"
  using (organization_id = any ((select bursar.organizations())::text[]))
  with check (organization_id = any ((select bursar.organizations())::text[]));
grant select, insert, update on bursar."part_search" to bursar_app;

do $$
begin
  if current_setting('server_version_num')::integer >= 170000 then
    grant maintain on bursar."part_search" to bursar_app;
  end if;
end $$;
