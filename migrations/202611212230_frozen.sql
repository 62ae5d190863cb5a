-- Why: what was agreed about an order, what was sent, and whose word an act was never change; the application role may
-- change the other columns only.
-- Locks: none that waits; privileges are rows of the catalogue.
-- Backfill: none.

revoke update on bursar."ledger_account" from bursar_app;
grant update (
  "balance_minor", "floor_minor", "version"
) on bursar."ledger_account" to bursar_app;

revoke update on bursar."invoice" from bursar_app;
grant update (
  "request_id", "status", "version", "resolution", "moderation_required", "autoprocess", "attempts_limit",
  "allow_partially", "is_split", "is_parallel", "description", "descriptor", "metadata", "callback_url",
  "destination", "destination_hash", "payment_instrument_id", "held_minor", "posted_minor", "released_minor",
  "processed_minor", "processed_fee_minor", "processed_service_minor", "refunded_minor", "refunded_service_minor",
  "refunded_fee_minor", "expires_time", "updated_time"
) on bursar."invoice" to bursar_app;

revoke update on bursar."request" from bursar_app;
grant update (
  "customer_id", "amount_minor", "description", "service", "payment_instrument_id", "destination",
  "destination_hash", "redirect_url", "blocked", "block_reason", "dispatch_status", "version", "resolution",
  "moderation_required", "attempts_limit", "allow_partially", "is_split", "is_parallel", "are_details_refused",
  "end_asked", "canceled_by", "cancel_description", "paid_minor", "available_minor", "overpaid_minor", "batch_id",
  "expires_time", "updated_time"
) on bursar."request" to bursar_app;

revoke update on bursar."payout" from bursar_app;
grant update (
  "status", "version", "resolution", "resolution_of", "moderation_required", "flagged_time", "is_manual",
  "payment_instrument_id", "destination_hash", "request_hash", "send", "sends", "not_nows", "inquiries",
  "last_leave_time", "first_send_time", "in_flight_minor", "processed_minor", "returned_minor", "incident_minor",
  "loss_minor", "reversal", "reversal_time", "reversal_not_nows", "cancel_minor", "after_revoke", "evidence",
  "provider_reference", "provider_status", "provider_code", "fact_sequence", "updated_time"
) on bursar."payout" to bursar_app;

revoke update on bursar."moderation_act" from bursar_app;
grant update (
  "status", "confirmed_by", "version", "updated_time"
) on bursar."moderation_act" to bursar_app;
