-- Why: a gate can be shut for one currency of an organization, not only for all of it.
-- Locks: exclusive on organization_lock, for the length of a catalogue change.
-- Backfill: none; no currency is shut.

alter table bursar."organization_lock" add column "shut_currencies" text[] not null default '{}';
alter table bursar."organization_lock" alter column "shut_currencies" drop default;
