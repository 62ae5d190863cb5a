-- Why: an audit looks only at what came after the last one: up to where it came, and what balances were then.
-- Locks: none, both tables are new.
-- Backfill: none; a book without a mark is audited from its beginning.

create table bursar.audit_mark (
  organization_id text collate "C" not null,
  history_sequence bigint not null,
  entry_sequence bigint not null,
  invoice_count bigint not null,
  request_count bigint not null,
  payout_count bigint not null,
  "time" timestamptz not null,
  constraint audit_mark_pkey primary key (organization_id),
  constraint audit_mark_organization_known foreign key (organization_id) references bursar."organization"
);

-- The sum of an account's entries up to the mark, debit positive.
create table bursar.audit_balance (
  organization_id text collate "C" not null,
  account_id text collate "C" not null,
  sum_minor numeric(38,0) not null,
  constraint audit_balance_pkey primary key (organization_id, account_id)
);

grant select, insert, update on bursar.audit_mark, bursar.audit_balance to bursar_app;

do $$
begin
  if current_setting('server_version_num')::integer >= 170000 then
    grant maintain on bursar.audit_mark, bursar.audit_balance to bursar_app;
  end if;
end $$;
