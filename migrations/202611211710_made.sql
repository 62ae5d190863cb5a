-- Why: a logical dump that is restored into the same server carries the row that says which database this is.
-- Locks: exclusive on bursar.epoch, which has one row.
-- Backfill: none. What is null is learned at the next connect: an upgrade is no other database.

-- As what the database and this table were made, by their numbers in the catalogue. Base backups and standbys keep them;
-- dropping and creating does not, nor does a copy by template.
alter table bursar.epoch add column made text collate "C";

-- Asked at every connect. Fails on a standby: what a standby says about a commit counts for nothing.
create or replace function bursar.enter_epoch(
  out number bigint, out system_identifier text, out timeline integer, out is_open boolean, out has_changed boolean
) language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  known bursar.epoch;
  here text := nullif(current_setting('bursar.place', true), '');
  now_made text := (select d.oid from pg_database d where d.datname = current_database())::text
    || '-' || 'bursar.epoch'::regclass::oid::text;
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
      or known.timeline is distinct from timeline or known.place <> here is true
      or known.made <> now_made is true;
    learns := (known.place is null and here is not null) or known.made is null;
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
          'place', known.place, 'made', known.made, 'epoch', known.number),
        'after', jsonb_build_object('systemIdentifier', system_identifier, 'timeline', timeline,
          'place', coalesce(here, known.place), 'made', now_made)))
      returning epoch into known.number;
    known.gate := 'shut';
    update bursar.epoch e set number = known.number, gate = known.gate,
      system_identifier = enter_epoch.system_identifier, timeline = enter_epoch.timeline,
      place = coalesce(here, e.place), made = now_made, "time" = clock_timestamp(), restore_point = null,
      lost_from = null, lost_until = null, shut_reason = 'another database than before', listed_time = null;
  elsif learns then
    update bursar.epoch e set system_identifier = enter_epoch.system_identifier, timeline = enter_epoch.timeline,
      place = coalesce(here, e.place), made = now_made,
      "time" = case when e.system_identifier is null then clock_timestamp() else e."time" end;
  end if;
  number := known.number;
  is_open := known.gate = 'open';
end $$;
