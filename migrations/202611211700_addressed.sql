-- Why: what a provider does not know at another address, or of somebody else, says nothing about what was sent before.
-- Locks: exclusive on provider_account, for the length of a catalogue change.
-- Backfill: any change of an account wrote its version and updated_time; one that was never changed is addressed as it
-- was made. In which epoch an account was changed is not known: the present one, unless the change lies so far before
-- it that no order of today can be older.

alter table bursar."provider_account" add column "addressed_time" timestamptz, add column "addressed_epoch" bigint;
alter table bursar."provider_account" no force row level security;
update bursar."provider_account" a
  set "addressed_time" = a."updated_time",
    "addressed_epoch" = case when a."updated_time" < e."time" - interval '30 days' then null else e."number" end
  from bursar."epoch" e where a."version" > 1;
alter table bursar."provider_account" force row level security;
