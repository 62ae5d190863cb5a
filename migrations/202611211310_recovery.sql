-- Why: recovery after a restore, a failover or a copy: where the database lives, what it forgot, who opened the gate.
-- Locks: exclusive on bursar.epoch, which has one row.
-- Backfill: none. The place is learned at the next connect.

alter table bursar.epoch
  -- Which files these are, where the server is ours: a copy of the data directory has the same identity and timeline.
  add column place text collate "C",
  -- The newest commit that this database knows of from before the epoch.
  add column restore_point timestamptz,
  add column lost_from timestamptz,
  -- When the old database can no longer have acted, as a person has said; null: when the epoch began.
  add column lost_until timestamptz,
  add column shut_reason text,
  -- When the list of payouts to be inquired was complete; null: it is still to be made.
  add column listed_time timestamptz;

-- What became of the gate, and who did it. Never changed, never deleted.
create table bursar.epoch_act (
  id bigint generated always as identity constraint epoch_act_pkey primary key,
  epoch bigint not null,
  act text not null,
  person text,
  reason text,
  details jsonb not null default '{}',
  "time" timestamptz not null default clock_timestamp(),
  constraint epoch_act_listed check (act in ('began', 'listed', 'lost_until', 'shut', 'opened', 'forced')),
  constraint epoch_act_forced_by_somebody check (act <> 'forced' or (person is not null and reason is not null))
);

-- Asked at every connect. Fails on a standby: what a standby says about a commit counts for nothing.
create or replace function bursar.enter_epoch(
  out number bigint, out system_identifier text, out timeline integer, out is_open boolean, out has_changed boolean
) language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  known bursar.epoch;
  here text := nullif(current_setting('bursar.place', true), '');
  learns boolean;
begin
  system_identifier := (select control.system_identifier::text from pg_control_system() control);
  -- Not pg_control_checkpoint(): after a promotion that names the old timeline until the first checkpoint is done.
  timeline := ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::integer;
  for run in 1..2 loop
    -- The second look is under the row's lock: another connection may have been here first.
    if run = 1 then select * into strict known from bursar.epoch;
    else select * into strict known from bursar.epoch for update;
    end if;
    has_changed := known.system_identifier is distinct from system_identifier
      or known.timeline is distinct from timeline or known.place <> here is true;
    learns := known.place is null and here is not null;
    exit when not has_changed and not learns;
  end loop;
  if has_changed and known.system_identifier is null then
    has_changed := false;
    learns := true;
  end if;
  if has_changed then
    insert into bursar.epoch_act (epoch, act, details)
      -- Seconds of 1970, not one more: two restores of the same backup must not enter the same epoch. Rounded up: the
      -- number is also the instant after which the database before this one cannot have acted.
      values (greatest(known.number + 1, ceil(extract(epoch from clock_timestamp()))::bigint), 'began', jsonb_build_object(
        'before', jsonb_build_object('systemIdentifier', known.system_identifier, 'timeline', known.timeline,
          'place', known.place, 'epoch', known.number),
        'after', jsonb_build_object('systemIdentifier', system_identifier, 'timeline', timeline,
          'place', coalesce(here, known.place))))
      returning epoch into known.number;
    known.gate := 'shut';
    update bursar.epoch e set number = known.number, gate = known.gate,
      system_identifier = enter_epoch.system_identifier, timeline = enter_epoch.timeline,
      place = coalesce(here, e.place), "time" = clock_timestamp(), restore_point = null, lost_from = null,
      lost_until = null, shut_reason = 'another database than before', listed_time = null;
  elsif learns then
    update bursar.epoch e set system_identifier = enter_epoch.system_identifier, timeline = enter_epoch.timeline,
      place = coalesce(here, e.place), "time" = case when e.system_identifier is null then clock_timestamp() else e."time" end;
  end if;
  number := known.number;
  is_open := known.gate = 'open';
end $$;

-- One question to one provider account: whether it knows a reference that we may have sent and forgotten.
create table bursar."recovery_check" (
  "organization_id" text collate "C" not null, "payout_id" uuid not null, "epoch" bigint not null,
  "provider_account_id" text collate "C" not null, "attempt" integer not null, "reference" text collate "C" not null,
  "state" text collate "C" not null, "fact" text collate "C", "tries" integer not null, "asked_time" timestamptz,
  "version" integer not null,
  constraint recovery_check_pkey
    primary key ("organization_id", "payout_id", "epoch", "provider_account_id", "attempt")
);
alter table bursar."recovery_check" enable row level security, force row level security;
create policy tenant on bursar."recovery_check"
  using (organization_id = any ((select bursar.organizations())::text[]))
  with check (organization_id = any ((select bursar.organizations())::text[]));
grant select, insert, update on bursar."recovery_check" to bursar_app;

do $$
begin
  if current_setting('server_version_num')::integer >= 170000 then
    grant maintain on bursar."recovery_check" to bursar_app;
  end if;
end $$;
