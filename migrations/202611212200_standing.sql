-- Why: what one person has proposed, a second one may confirm about something that has changed since.
-- Locks: exclusive on moderation_act, for the length of a catalogue change.
-- Backfill: none. What waits already is confirmed as it was before: null names nothing that could differ.

alter table bursar."moderation_act" add column "standing" text collate "C";
