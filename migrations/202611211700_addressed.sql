-- Why: what a provider does not know at another address, or of somebody else, says nothing about what was sent before.
-- Locks: exclusive on provider_account, for the length of a catalogue change.
-- Backfill: now, and the present epoch: nobody has noted whether an account was changed before. What is unknown today
-- is decided by people.

do $$
declare
  present bigint := (select number from bursar.epoch);
begin
  -- A default that rows which are there keep: no row is written, none gets another version.
  execute format('alter table bursar."provider_account"
    add column "addressed_time" timestamptz default %L, add column "addressed_epoch" bigint default %s',
    clock_timestamp(), present);
end $$;
alter table bursar."provider_account" alter column "addressed_time" drop default, alter column "addressed_epoch" drop default;
