/** The tables of what providers are asked after a restore. `tables.ts` has the others. */
import type { PartSearch, RecoveryCheck } from "../../core/news/recovery.ts";
import { int, long, orNull, type Table, text, uuid } from "../describe.ts";

export const recoveryCheck: Table<RecoveryCheck> = {
  scope: "tenant",
  primary: ["organizationId", "payoutId", "epoch", "providerAccountId", "attempt"],
  guard: "version",
  columns: {
    organizationId: text,
    payoutId: uuid,
    epoch: long,
    providerAccountId: text,
    attempt: int,
    reference: text,
    state: text,
    fact: orNull("text"),
    tries: int,
    askedTime: orNull("time"),
    version: int,
  },
  lookups: { recovery_check_by_payout: ["organizationId", "payoutId"] },
};

export const partSearch: Table<PartSearch> = {
  scope: "tenant",
  primary: ["organizationId", "requestId", "epoch", "providerAccountId", "attempt"],
  guard: "version",
  columns: {
    organizationId: text,
    requestId: text,
    epoch: long,
    providerAccountId: text,
    attempt: int,
    part: int,
    state: text,
    fact: orNull("text"),
    tries: int,
    askedTime: orNull("time"),
    version: int,
  },
  lookups: { part_search_by_request: ["organizationId", "requestId"] },
};
