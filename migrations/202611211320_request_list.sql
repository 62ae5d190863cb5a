-- Why: requests have ids of the caller's choice, so the list by time of creation had no index and read all of them.
-- Locks: writes to request wait while the index is built; seconds per million rows.
-- Backfill: none.

create index request_by_time on bursar."request" ("organization_id", "created_time", "id");
