-- Why: reversals by a person, split orders, refunds by amount, moderation acts, websites' rules for all of them.
-- Locks: exclusive, on website, invoice, request, payout and moderation_item, while payout and website are rewritten.
-- Backfill: what of an open payout is in flight, what of an invoice came back; both from the rows themselves.

alter table bursar."website"
  alter column "request_lifetime_days" type bigint using "request_lifetime_days"::bigint * 86400000;
alter table bursar."website" rename column "request_lifetime_days" to "request_lifetime_ms";
alter table bursar."website"
  add column "revoke_at_expiry" boolean not null default false,
  add column "refund_commission" text collate "C" not null default 'keep',
  add column "second_person_above" jsonb not null default '{}';

alter table bursar."invoice"
  add column "is_split" boolean not null default false,
  add column "is_parallel" boolean not null default false,
  add column "refunded_service_minor" numeric(38,0) not null default 0,
  add column "refunded_fee_minor" numeric(38,0) not null default 0;

alter table bursar."request"
  add column "is_split" boolean not null default false,
  add column "is_parallel" boolean not null default false,
  add column "are_details_refused" boolean not null default false;

alter table bursar."payout"
  alter column "destination_hash" drop not null,
  add column "in_flight_minor" numeric(38,0),
  add column "incident_minor" numeric(38,0) not null default 0,
  add column "reversal" text collate "C" not null default 'none',
  add column "reversal_time" timestamptz,
  add column "reversal_not_nows" integer not null default 0,
  add column "cancel_minor" numeric(38,0),
  add column "after_revoke" text collate "C";

-- A change of type rewrites every row whatever row-level security would hide from the owner.
alter table bursar."payout" alter column "in_flight_minor" type numeric(38,0) using
  case when "first_send_time" is not null and "evidence" is null and "processed_minor" = 0
      and "status" in ('INVOKING', 'PROCESSING', 'PENDING', 'REVOKING', 'REVOKE_FAILED')
    then "amount_minor" else 0 end;
alter table bursar."payout"
  alter column "in_flight_minor" set not null,
  add constraint payout_in_flight_not_negative check (in_flight_minor >= 0),
  add constraint payout_returned_within_processed check (returned_minor >= 0 and returned_minor <= processed_minor);

alter table bursar."payout" no force row level security;
alter table bursar."invoice" no force row level security;
update bursar."invoice" i set "refunded_service_minor" = (
    select sum(p."returned_minor") from bursar."payout" p
    where p."organization_id" = i."organization_id" and p."request_id" = i."request_id")
  where i."refunded_minor" > 0;
alter table bursar."payout" force row level security;
alter table bursar."invoice" force row level security;

alter table bursar."moderation_item" add column "assignee" text collate "C";

create table bursar."moderation_act" (
  "organization_id" text collate "C" not null, "id" uuid not null, "kind" text collate "C" not null,
  "subject_kind" text collate "C" not null, "subject" text collate "C" not null, "status" text collate "C" not null,
  "actor" text collate "C" not null, "confirmed_by" text collate "C", "reason" text collate "C" not null, "body" jsonb,
  "version" integer not null, "created_time" timestamptz not null, "updated_time" timestamptz not null,
  constraint moderation_act_pkey primary key ("organization_id", "id")
);
create index moderation_act_by_subject on bursar."moderation_act" ("organization_id", "subject");

alter table bursar."moderation_act" enable row level security, force row level security;
create policy tenant on bursar."moderation_act"
  using (organization_id = any ((select bursar.organizations())::text[]))
  with check (organization_id = any ((select bursar.organizations())::text[]));
grant select, insert, update on bursar."moderation_act" to bursar_app;

-- Whoever writes a row says every column: a forgotten one must fail, not become what was right once.
alter table bursar."website" alter column "revoke_at_expiry" drop default, alter column "refund_commission" drop default,
  alter column "second_person_above" drop default;
alter table bursar."invoice" alter column "is_split" drop default, alter column "is_parallel" drop default,
  alter column "refunded_service_minor" drop default, alter column "refunded_fee_minor" drop default;
alter table bursar."request" alter column "is_split" drop default, alter column "is_parallel" drop default,
  alter column "are_details_refused" drop default;
alter table bursar."payout" alter column "incident_minor" drop default, alter column "reversal" drop default,
  alter column "reversal_not_nows" drop default;

do $$
begin
  if current_setting('server_version_num')::integer >= 170000 then
    grant maintain on bursar."moderation_act" to bursar_app;
  end if;
end $$;
