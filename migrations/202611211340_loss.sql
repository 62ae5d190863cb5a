-- Why: what an incident has cost us comes back to us; a payout keeps how much that is.
-- Locks: exclusive on payout, for the length of a catalogue change.
-- Backfill: none; no incident could be settled before.

alter table bursar."payout" add column "loss_minor" numeric(38,0) not null default 0;
alter table bursar."payout" alter column "loss_minor" drop default;
