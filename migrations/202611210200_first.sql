-- Why: the first schema. Generated from src/store/tables.ts by scripts/render-schema.ts.
-- Locks: none, every table is new.
-- Backfill: none.

create schema if not exists bursar;

-- The organizations of this transaction, as set_config('bursar.organizations', .., true) named them; unset = none.
create function bursar.organizations() returns text[] language sql stable parallel safe
  return string_to_array(current_setting('bursar.organizations', true), ',');

-- A guarded change must touch the rows that it was decided on: another number is a bug, and undoes the transaction.
create function bursar.expect_rows(table_name text, counted bigint, expected bigint) returns void
language plpgsql as $$
begin
  if counted <> expected then
    raise exception '%: % rows instead of % were as they had been read', table_name, counted, expected
      using errcode = 'BS001', constraint = table_name || '_version_stale';
  end if;
end $$;

-- Every ledger transaction sums to zero per currency: once per statement, which costs nothing that can be measured.
create function bursar.check_entry_sums() returns trigger language plpgsql as $$
begin
  if exists (
    select from added group by organization_id, subject, cause, currency having sum(amount_minor) <> 0
  ) then
    raise exception 'a ledger transaction does not sum to zero'
      using errcode = 'check_violation', constraint = 'entry_sums_to_zero', table = 'entry', schema = 'bursar';
  end if;
  return null;
end $$;

-- Which database this is. Another identity or timeline may have forgotten commits: that is a new epoch, gate shut.
create table bursar.epoch (
  is_only_row boolean not null default true constraint epoch_pkey primary key,
  number bigint not null,
  system_identifier text,
  timeline integer,
  gate text not null,
  "time" timestamptz not null,
  constraint epoch_is_only_row check (is_only_row),
  constraint epoch_gate_listed check (gate in ('open', 'shut')),
  constraint epoch_identity_whole check ((system_identifier is null) = (timeline is null))
);
insert into bursar.epoch (number, gate, "time") values (1, 'open', clock_timestamp());
grant select on bursar.epoch to bursar_app;

-- Asked at every connect. Fails on a standby: what a standby says about a commit counts for nothing.
create function bursar.enter_epoch(
  out number bigint, out system_identifier text, out timeline integer, out is_open boolean, out has_changed boolean
) language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  known bursar.epoch;
begin
  system_identifier := (select control.system_identifier::text from pg_control_system() control);
  -- Not pg_control_checkpoint(): after a promotion that names the old timeline until the first checkpoint is done.
  timeline := ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::integer;
  select * into strict known from bursar.epoch;
  has_changed := known.system_identifier is distinct from system_identifier or known.timeline is distinct from timeline;
  if has_changed then
    -- Another connection may have been here first.
    select * into strict known from bursar.epoch for update;
    has_changed := known.system_identifier is distinct from system_identifier
      or known.timeline is distinct from timeline;
  end if;
  if has_changed then
    has_changed := known.system_identifier is not null;
    if has_changed then
      -- Seconds of 1970, not one more: two restores of the same backup must not enter the same epoch.
      known.number := greatest(known.number + 1, extract(epoch from clock_timestamp())::bigint);
      known.gate := 'shut';
    end if;
    update bursar.epoch e set number = known.number, gate = known.gate,
      system_identifier = enter_epoch.system_identifier, timeline = enter_epoch.timeline, "time" = clock_timestamp();
  end if;
  number := known.number;
  is_open := known.gate = 'open';
end $$;
revoke all on function bursar.enter_epoch() from public;
grant execute on function bursar.enter_epoch() to bursar_app;

create table bursar."organization" (
  "id" text collate "C" not null, "name" text collate "C" not null, "sealed_key" bytea not null,
  "created_time" timestamptz not null,
  constraint organization_pkey primary key ("id")
);

create table bursar."organization_lock" (
  "organization_id" text collate "C" not null, "version" bigint not null, "history_sequence" bigint not null,
  "entry_sequence" bigint not null, "fence" bigint not null, "config_revision" bigint not null,
  "invoice_count" bigint not null, "request_count" bigint not null, "payout_count" bigint not null,
  "gate" text collate "C" not null,
  constraint organization_lock_pkey primary key ("organization_id"),
  constraint organization_lock_organization_known foreign key ("organization_id") references bursar."organization"
) with (fillfactor = 50);

create table bursar."locator" (
  "hash" text collate "C" not null, "kind" text collate "C" not null, "organization_id" text collate "C" not null,
  "id" text collate "C" not null,
  constraint locator_pkey primary key ("hash"),
  constraint locator_organization_known foreign key ("organization_id") references bursar."organization"
);

create table bursar."api_key" (
  "organization_id" text collate "C" not null, "id" text collate "C" not null, "hash" text collate "C" not null,
  "label" text collate "C" not null, "role" text collate "C" not null, "created_time" timestamptz not null,
  "expires_time" timestamptz, "revoked_time" timestamptz, "version" integer not null,
  constraint api_key_pkey primary key ("organization_id", "id")
);

create table bursar."website" (
  "organization_id" text collate "C" not null, "id" text collate "C" not null, "name" text collate "C" not null,
  "url" text collate "C" not null, "autoprocess" boolean not null, "request_autoprocess" boolean not null,
  "lifetime_minutes" integer not null, "request_lifetime_days" integer not null, "routing_scheme_id" text collate "C",
  "rate_scheme_id" text collate "C", "commerce_scheme_id" text collate "C", "version" integer not null,
  "created_time" timestamptz not null, "updated_time" timestamptz not null,
  constraint website_pkey primary key ("organization_id", "id")
);

create table bursar."customer" (
  "organization_id" text collate "C" not null, "id" text collate "C" not null, "website_id" text collate "C" not null,
  "reference_id" text collate "C", "email" text collate "C", "phone" text collate "C", "name" text collate "C",
  "metadata" jsonb, "version" integer not null, "created_time" timestamptz not null,
  "updated_time" timestamptz not null,
  constraint customer_pkey primary key ("organization_id", "id"),
  constraint customer_website_known foreign key ("organization_id", "website_id") references bursar."website"
);
create unique index customer_reference_once on bursar."customer" ("organization_id", "website_id", "reference_id")
  where reference_id is not null;

create table bursar."payment_instrument" (
  "organization_id" text collate "C" not null, "id" text collate "C" not null, "customer_id" text collate "C" not null,
  "service" text collate "C" not null, "destination" bytea not null, "destination_hash" text collate "C" not null,
  "masked" text collate "C" not null, "version" integer not null, "created_time" timestamptz not null,
  "updated_time" timestamptz not null,
  constraint payment_instrument_pkey primary key ("organization_id", "id"),
  constraint payment_instrument_customer_known foreign key ("organization_id", "customer_id") references bursar."customer"
);
create index payment_instrument_by_customer on bursar."payment_instrument" ("organization_id", "customer_id");

create table bursar."provider_account" (
  "organization_id" text collate "C" not null, "id" text collate "C" not null, "connector" text collate "C" not null,
  "name" text collate "C" not null, "base_url" text collate "C" not null, "settings" jsonb not null,
  "credentials" bytea not null, "callback_id" text collate "C" not null, "gate" text collate "C" not null,
  "gate_reason" text collate "C", "version" integer not null, "created_time" timestamptz not null,
  "updated_time" timestamptz not null,
  constraint provider_account_pkey primary key ("organization_id", "id")
);

create table bursar."deposit_account" (
  "organization_id" text collate "C" not null, "id" text collate "C" not null,
  "provider_account_id" text collate "C" not null, "currency" text collate "C" not null,
  "name" text collate "C" not null, "minimal_balance_minor" numeric(38,0) not null, "version" integer not null,
  "created_time" timestamptz not null, "updated_time" timestamptz not null,
  constraint deposit_account_pkey primary key ("organization_id", "id"),
  constraint deposit_account_provider_account_known foreign key ("organization_id", "provider_account_id") references bursar."provider_account"
);

create table bursar."route" (
  "organization_id" text collate "C" not null, "id" text collate "C" not null,
  "deposit_account_id" text collate "C" not null, "service" text collate "C" not null, "is_enabled" boolean not null,
  "is_archived" boolean not null, "is_manual" boolean not null, "min_amount_minor" numeric(38,0),
  "max_amount_minor" numeric(38,0), "version" integer not null, "created_time" timestamptz not null,
  "updated_time" timestamptz not null,
  constraint route_pkey primary key ("organization_id", "id"),
  constraint route_deposit_account_known foreign key ("organization_id", "deposit_account_id") references bursar."deposit_account"
);

create table bursar."scheme" (
  "organization_id" text collate "C" not null, "kind" text collate "C" not null, "id" text collate "C" not null,
  "revision" integer not null, "name" text collate "C" not null, "body" jsonb not null,
  "created_time" timestamptz not null,
  constraint scheme_pkey primary key ("organization_id", "kind", "id", "revision")
);

create table bursar."ledger_account" (
  "organization_id" text collate "C" not null, "id" text collate "C" not null, "kind" text collate "C" not null,
  "owner" text collate "C" not null, "currency" text collate "C" not null, "balance_minor" numeric(38,0) not null,
  "floor_minor" numeric(38,0), "version" bigint not null,
  constraint ledger_account_pkey primary key ("organization_id", "id"),
  constraint insufficient_funds check (balance_minor >= floor_minor)
) with (fillfactor = 50);
create index ledger_account_by_owner on bursar."ledger_account" ("organization_id", "owner");

create table bursar."funds_movement" (
  "organization_id" text collate "C" not null, "id" uuid not null, "kind" text collate "C" not null,
  "status" text collate "C" not null, "website_id" text collate "C" not null, "to_website_id" text collate "C",
  "deposit_account_id" text collate "C", "currency" text collate "C" not null, "amount_minor" numeric(38,0) not null,
  "description" text collate "C", "version" integer not null, "created_time" timestamptz not null,
  "updated_time" timestamptz not null,
  constraint funds_movement_pkey primary key ("organization_id", "id"),
  constraint funds_movement_amount_positive check (amount_minor > 0),
  constraint funds_movement_website_known foreign key ("organization_id", "website_id") references bursar."website"
);

create table bursar."invoice" (
  "organization_id" text collate "C" not null, "id" uuid not null, "website_id" text collate "C" not null,
  "reference_id" text collate "C" not null, "content_hash" text collate "C" not null, "request_id" text collate "C",
  "customer_id" text collate "C" not null, "service" text collate "C" not null, "status" text collate "C" not null,
  "version" integer not null, "resolution" text collate "C", "moderation_required" boolean not null,
  "currency" text collate "C" not null, "amount_minor" numeric(38,0) not null, "writeoff_minor" numeric(38,0) not null,
  "fee_minor" numeric(38,0) not null, "service_currency" text collate "C" not null,
  "service_amount_minor" numeric(38,0) not null, "service_writeoff_minor" numeric(38,0) not null,
  "service_fee_minor" numeric(38,0) not null, "requested_member" text collate "C" not null,
  "requested_minor" numeric(38,0) not null, "rate_numerator" numeric(38,0) not null,
  "rate_denominator" numeric(38,0) not null, "rate_source" text collate "C" not null,
  "quote_time" timestamptz not null, "quote_expires_time" timestamptz not null, "fee_terms" jsonb not null,
  "autoprocess" boolean not null, "attempts_limit" integer not null, "allow_partially" boolean not null,
  "description" text collate "C", "descriptor" text collate "C", "metadata" jsonb, "callback_url" text collate "C",
  "destination" bytea, "destination_hash" text collate "C", "payment_instrument_id" text collate "C",
  "held_minor" numeric(38,0) not null, "posted_minor" numeric(38,0) not null, "released_minor" numeric(38,0) not null,
  "processed_minor" numeric(38,0) not null, "processed_fee_minor" numeric(38,0) not null,
  "processed_service_minor" numeric(38,0) not null, "refunded_minor" numeric(38,0) not null,
  "expires_time" timestamptz not null, "created_time" timestamptz not null, "updated_time" timestamptz not null,
  constraint invoice_pkey primary key ("organization_id", "id"),
  constraint reference_id_used unique ("organization_id", "website_id", "reference_id"),
  constraint invoice_amount_positive check (service_amount_minor > 0),
  constraint invoice_hold_used_once check (posted_minor + released_minor <= held_minor),
  constraint invoice_website_known foreign key ("organization_id", "website_id") references bursar."website",
  constraint invoice_customer_known foreign key ("organization_id", "customer_id") references bursar."customer"
) with (fillfactor = 50);

create table bursar."request" (
  "organization_id" text collate "C" not null, "id" text collate "C" not null, "root" text collate "C" not null,
  "invoice_id" uuid, "website_id" text collate "C" not null, "customer_id" text collate "C" not null,
  "currency" text collate "C" not null, "amount_minor" numeric(38,0) not null, "description" text collate "C",
  "service" text collate "C", "payment_instrument_id" text collate "C", "destination" bytea,
  "destination_hash" text collate "C", "redirect_url" text collate "C", "blocked" boolean not null,
  "block_reason" text collate "C", "dispatch_status" text collate "C" not null, "version" integer not null,
  "resolution" text collate "C", "moderation_required" boolean not null, "attempts_limit" integer not null,
  "allow_partially" boolean not null, "end_asked" text collate "C", "canceled_by" text collate "C",
  "cancel_description" text collate "C", "paid_minor" numeric(38,0) not null, "available_minor" numeric(38,0) not null,
  "overpaid_minor" numeric(38,0) not null, "batch_id" text collate "C", "expires_time" timestamptz not null,
  "created_time" timestamptz not null, "updated_time" timestamptz not null,
  constraint request_pkey primary key ("organization_id", "id"),
  constraint request_amount_positive check (amount_minor > 0),
  constraint request_available_within_amount check (available_minor >= 0 and available_minor <= amount_minor),
  constraint request_overpaid_not_negative check (overpaid_minor >= 0),
  constraint request_website_known foreign key ("organization_id", "website_id") references bursar."website",
  constraint request_customer_known foreign key ("organization_id", "customer_id") references bursar."customer"
) with (fillfactor = 50);

create table bursar."payout" (
  "organization_id" text collate "C" not null, "id" uuid not null, "request_id" text collate "C" not null,
  "invoice_id" uuid, "website_id" text collate "C" not null, "part" integer not null, "attempt" integer not null,
  "status" text collate "C" not null, "version" integer not null, "resolution" text collate "C",
  "resolution_of" text collate "C", "moderation_required" boolean not null, "flagged_time" timestamptz,
  "is_manual" boolean not null, "route_id" text collate "C" not null, "routing_revision" integer not null,
  "provider_account_id" text collate "C" not null, "deposit_account_id" text collate "C" not null,
  "connector" text collate "C" not null, "service" text collate "C" not null, "currency" text collate "C" not null,
  "amount_minor" numeric(38,0) not null, "payment_instrument_id" text collate "C",
  "destination_hash" text collate "C" not null, "reference" text collate "C" not null, "request_hash" text collate "C",
  "send" text collate "C" not null, "sends" integer not null, "not_nows" integer not null,
  "inquiries" integer not null, "last_leave_time" timestamptz, "first_send_time" timestamptz,
  "processed_minor" numeric(38,0) not null, "returned_minor" numeric(38,0) not null, "evidence" text collate "C",
  "provider_reference" text collate "C", "provider_status" text collate "C", "provider_code" text collate "C",
  "fact_sequence" bigint, "created_time" timestamptz not null, "updated_time" timestamptz not null,
  constraint payout_pkey primary key ("organization_id", "id"),
  constraint payout_reference_once unique ("organization_id", "provider_account_id", "reference"),
  constraint payout_attempt_once unique ("organization_id", "request_id", "part", "attempt"),
  constraint payout_amount_positive check (amount_minor > 0),
  constraint payout_processed_not_negative check (processed_minor >= 0),
  constraint payout_request_known foreign key ("organization_id", "request_id") references bursar."request"
) with (fillfactor = 50);

create table bursar."open_part" (
  "organization_id" text collate "C" not null, "request_id" text collate "C" not null, "part" integer not null,
  "payout_id" uuid not null,
  constraint open_part_pkey primary key ("organization_id", "request_id", "part")
) with (autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_scale_factor = 0);

create table bursar."work" (
  "organization_id" text collate "C" not null, "kind" text collate "C" not null, "subject" text collate "C" not null,
  "due_time" timestamptz not null, "fence" bigint not null,
  constraint work_pkey primary key ("organization_id", "kind", "subject")
) with (autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_scale_factor = 0);

create table bursar."moderation_item" (
  "organization_id" text collate "C" not null, "id" uuid not null, "kind" text collate "C" not null,
  "subject" text collate "C" not null, "reason" text collate "C" not null, "is_incident" boolean not null,
  "status" text collate "C" not null, "count" integer not null, "details" jsonb, "opened_time" timestamptz not null,
  "closed_time" timestamptz, "version" integer not null,
  constraint moderation_item_pkey primary key ("organization_id", "id")
);
create unique index moderation_item_open_once on bursar."moderation_item" ("organization_id", "kind", "subject", "reason")
  where status = 'open';
create index moderation_item_by_subject on bursar."moderation_item" ("organization_id", "subject");

create table bursar."webhook_endpoint" (
  "organization_id" text collate "C" not null, "id" text collate "C" not null, "url" text collate "C" not null,
  "events" text[] not null, "status" text collate "C" not null, "secrets" bytea not null,
  "description" text collate "C", "version" integer not null, "created_time" timestamptz not null,
  "updated_time" timestamptz not null,
  constraint webhook_endpoint_pkey primary key ("organization_id", "id")
);

create table bursar."delivery" (
  "organization_id" text collate "C" not null, "id" uuid not null, "endpoint_id" text collate "C",
  "url" text collate "C" not null, "event_type" text collate "C" not null, "sequence" bigint not null,
  "status" text collate "C" not null, "tries" integer not null, "last_result" text collate "C",
  "version" integer not null, "created_time" timestamptz not null, "updated_time" timestamptz not null,
  constraint delivery_pkey primary key ("organization_id", "id")
) with (fillfactor = 50);

create table bursar."idempotency" (
  "organization_id" text collate "C" not null, "key" text collate "C" not null,
  "fingerprint" text collate "C" not null, "status" integer not null, "headers" jsonb not null,
  "body" text collate "C" not null, "created_time" timestamptz not null,
  constraint idempotency_pkey primary key ("organization_id", "key")
);

create table bursar."command" (
  "organization_id" text collate "C" not null, "id" uuid not null, "kind" text collate "C" not null,
  "actor" text collate "C" not null, "subject" text collate "C", "provider_account_id" text collate "C",
  "message_id" text collate "C", "verified" boolean, "body" jsonb, "body_hash" text collate "C",
  "time" timestamptz not null,
  constraint command_pkey primary key ("organization_id", "id")
);
create unique index command_message_once on bursar."command" ("organization_id", "provider_account_id", "message_id")
  where message_id is not null;

create table bursar."history" (
  "organization_id" text collate "C" not null, "sequence" bigint not null, "kind" text collate "C" not null,
  "subject" text collate "C" not null, "version_from" integer not null, "version_to" integer not null,
  "moves" text[] not null, "status" text collate "C" not null, "resolution" text collate "C",
  "moderation_required" boolean not null, "command_id" uuid not null, "time" timestamptz not null,
  constraint history_pkey primary key ("organization_id", "sequence"),
  constraint history_version_once unique ("organization_id", "subject", "kind", "version_to"),
  constraint history_move_listed check (moves <@ array['invoice.new>created', 'invoice.created>processing',
    'invoice.created>expired', 'invoice.created>terminated', 'invoice.processing>process_pending',
    'invoice.process_pending>processing', 'invoice.processing>processed', 'invoice.processing>partially_processed',
    'invoice.processing>process_failed', 'invoice.processing>expired', 'invoice.processing>terminated',
    'invoice.process_pending>processed', 'invoice.process_pending>partially_processed',
    'invoice.process_pending>process_failed', 'invoice.process_pending>expired', 'invoice.process_pending>terminated',
    'invoice.processed>refunding', 'invoice.partially_processed>refunding', 'invoice.partially_refunded>refunding',
    'invoice.refund_failed>refunding', 'invoice.refunding>refund_pending', 'invoice.refund_pending>refunding',
    'invoice.refunding>refunded', 'invoice.refunding>partially_refunded', 'invoice.refunding>refund_failed',
    'invoice.refund_pending>refunded', 'invoice.refund_pending>partially_refunded',
    'invoice.refund_pending>refund_failed', 'invoice.process_failed>process_pending',
    'invoice.process_failed>processed', 'invoice.process_failed>partially_processed',
    'invoice.expired>process_pending', 'invoice.expired>processed', 'invoice.expired>partially_processed',
    'invoice.terminated>process_pending', 'invoice.terminated>processed', 'invoice.terminated>partially_processed',
    'invoice.refunded>process_pending', 'invoice.refunded>processed', 'invoice.refunded>partially_processed',
    'invoice.partially_refunded>process_pending', 'invoice.partially_refunded>processed',
    'invoice.partially_refunded>partially_processed', 'invoice.partially_processed>processed', 'request.new>CREATED',
    'request.CREATED>WAITING_DETAILS', 'request.CREATED>READY', 'request.WAITING_DETAILS>READY',
    'request.READY>WAITING_DETAILS', 'request.READY>DISPATCHING', 'request.DISPATCHING>PENDING',
    'request.PENDING>DISPATCHING', 'request.CREATED>TERMINATED', 'request.CREATED>EXPIRED',
    'request.WAITING_DETAILS>TERMINATED', 'request.WAITING_DETAILS>EXPIRED', 'request.READY>TERMINATED',
    'request.READY>EXPIRED', 'request.DISPATCHING>TERMINATED', 'request.DISPATCHING>EXPIRED',
    'request.PENDING>TERMINATED', 'request.PENDING>EXPIRED', 'request.DISPATCHING>PROCESSED',
    'request.DISPATCHING>PARTIALLY_PROCESSED', 'request.DISPATCHING>FAILED', 'request.PENDING>PROCESSED',
    'request.PENDING>PARTIALLY_PROCESSED', 'request.PENDING>FAILED', 'request.DISPATCHING>READY',
    'request.DISPATCHING>WAITING_DETAILS', 'request.PENDING>READY', 'request.PENDING>WAITING_DETAILS',
    'request.READY>PARTIALLY_PROCESSED', 'request.WAITING_DETAILS>PARTIALLY_PROCESSED', 'request.CANCELED>READY',
    'request.PARTIALLY_CANCELED>READY', 'request.PROCESSED>CANCELING', 'request.PARTIALLY_PROCESSED>CANCELING',
    'request.PARTIALLY_CANCELED>CANCELING', 'request.CANCEL_FAILED>CANCELING', 'request.CANCELING>CANCELED',
    'request.CANCELING>PARTIALLY_CANCELED', 'request.CANCELING>CANCEL_FAILED', 'request.FAILED>PENDING',
    'request.FAILED>PROCESSED', 'request.FAILED>PARTIALLY_PROCESSED', 'request.EXPIRED>PENDING',
    'request.EXPIRED>PROCESSED', 'request.EXPIRED>PARTIALLY_PROCESSED', 'request.TERMINATED>PENDING',
    'request.TERMINATED>PROCESSED', 'request.TERMINATED>PARTIALLY_PROCESSED', 'request.CANCELED>PENDING',
    'request.CANCELED>PROCESSED', 'request.CANCELED>PARTIALLY_PROCESSED', 'request.PARTIALLY_CANCELED>PENDING',
    'request.PARTIALLY_CANCELED>PROCESSED', 'request.PARTIALLY_CANCELED>PARTIALLY_PROCESSED',
    'request.PARTIALLY_PROCESSED>PROCESSED', 'payout.new>CREATED', 'payout.new>CREATE_FAILED', 'payout.CREATED>READY',
    'payout.CREATED>TERMINATED', 'payout.CREATED>EXPIRED', 'payout.READY>INVOKING', 'payout.READY>TERMINATED',
    'payout.READY>EXPIRED', 'payout.INVOKING>PROCESSING', 'payout.INVOKING>PENDING', 'payout.INVOKING>PROCESSED',
    'payout.INVOKING>PARTIALLY_PROCESSED', 'payout.INVOKING>INVOKE_FAILED', 'payout.INVOKING>REVOKING',
    'payout.INVOKING>TERMINATED', 'payout.INVOKING>EXPIRED', 'payout.PROCESSING>PENDING', 'payout.PENDING>PROCESSING',
    'payout.PROCESSING>PROCESSED', 'payout.PROCESSING>PARTIALLY_PROCESSED', 'payout.PROCESSING>PROCESS_FAILED',
    'payout.PROCESSING>REVOKING', 'payout.PENDING>PROCESSED', 'payout.PENDING>PARTIALLY_PROCESSED',
    'payout.PENDING>PROCESS_FAILED', 'payout.PENDING>REVOKING', 'payout.REVOKING>REVOKED',
    'payout.REVOKING>REVOKE_FAILED', 'payout.REVOKE_FAILED>PROCESSED', 'payout.REVOKE_FAILED>PARTIALLY_PROCESSED',
    'payout.REVOKE_FAILED>PROCESS_FAILED', 'payout.REVOKE_FAILED>REVOKED', 'payout.PROCESSED>CANCELLING',
    'payout.PARTIALLY_PROCESSED>CANCELLING', 'payout.CANCEL_FAILED>CANCELLING', 'payout.CANCELLING>CANCELLED',
    'payout.CANCELLING>CANCEL_FAILED', 'payout.CANCELLING>PARTIALLY_PROCESSED', 'payout.INVOKE_FAILED>PENDING',
    'payout.INVOKE_FAILED>PROCESSED', 'payout.INVOKE_FAILED>PARTIALLY_PROCESSED', 'payout.PROCESS_FAILED>PENDING',
    'payout.PROCESS_FAILED>PROCESSED', 'payout.PROCESS_FAILED>PARTIALLY_PROCESSED', 'payout.EXPIRED>PENDING',
    'payout.EXPIRED>PROCESSED', 'payout.EXPIRED>PARTIALLY_PROCESSED', 'payout.TERMINATED>PENDING',
    'payout.TERMINATED>PROCESSED', 'payout.TERMINATED>PARTIALLY_PROCESSED', 'payout.REVOKED>PENDING',
    'payout.REVOKED>PROCESSED', 'payout.REVOKED>PARTIALLY_PROCESSED', 'payout.PARTIALLY_PROCESSED>PROCESSED',
    'payout.CANCELLED>PENDING', 'payout.CANCELLED>PROCESSED']::text[])
);

create table bursar."entry" (
  "organization_id" text collate "C" not null, "account_id" text collate "C" not null, "sequence" bigint not null,
  "subject" text collate "C" not null, "cause" text collate "C" not null, "line" integer not null,
  "currency" text collate "C" not null, "amount_minor" numeric(38,0) not null, "time" timestamptz not null,
  constraint entry_pkey primary key ("organization_id", "account_id", "sequence"),
  constraint entry_cause_once unique ("organization_id", "subject", "cause", "line"),
  constraint entry_account_known foreign key ("organization_id", "account_id") references bursar."ledger_account"
);

create trigger check_entry_sums after insert on bursar."entry"
  referencing new table as added for each statement execute function bursar.check_entry_sums();

-- Due work: k rows of an organization in the order of their time; and, for the waker, of all organizations.
create index work_by_organization on bursar."work" ("organization_id", "kind", "due_time");
create index work_by_due_time on bursar."work" ("due_time");

-- The waker sees which organizations have due work, of all of them, and nothing else.
grant select ("organization_id", "kind", "due_time") on bursar."work" to bursar_waker;
create policy waker on bursar."work" for select to bursar_waker using (true);

do $$
declare
  tenant_table text;
begin
  foreach tenant_table in array array['api_key', 'website', 'customer', 'payment_instrument', 'provider_account',
    'deposit_account', 'route', 'scheme', 'ledger_account', 'funds_movement', 'invoice', 'request', 'payout',
    'open_part', 'work', 'moderation_item', 'webhook_endpoint', 'delivery', 'idempotency', 'command', 'history',
    'entry']
  loop
    execute format('alter table bursar.%I enable row level security, force row level security', tenant_table);
    execute format($policy$
      create policy tenant on bursar.%I
        using (organization_id = any ((select bursar.organizations())::text[]))
        with check (organization_id = any ((select bursar.organizations())::text[]))
    $policy$, tenant_table);
  end loop;
end $$;

grant select, insert on bursar."organization", bursar."locator", bursar."scheme", bursar."command", bursar."history",
  bursar."entry"
  to bursar_app;

grant select, insert, update on bursar."organization_lock", bursar."api_key", bursar."website", bursar."customer",
  bursar."payment_instrument", bursar."provider_account", bursar."deposit_account", bursar."route",
  bursar."ledger_account", bursar."funds_movement", bursar."invoice", bursar."request", bursar."payout",
  bursar."moderation_item", bursar."webhook_endpoint", bursar."delivery"
  to bursar_app;

grant select, insert, delete on bursar."open_part", bursar."idempotency"
  to bursar_app;

grant select, insert, update, delete on bursar."work"
  to bursar_app;

-- The application keeps its statistics fresh (ANALYZE): without them the planner takes any index that fits.
do $$
begin
  if current_setting('server_version_num')::integer >= 170000 then
    grant maintain on all tables in schema bursar to bursar_app;
  end if;
end $$;
