/** What the memory store promises beyond being equal to PostgreSQL: order, copies, snapshots. */
import { deepEqual, equal, rejects, throws } from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { StoreUnavailable } from "../../src/core/faults.ts";
import type { Changes, Tx } from "../../src/engine/ports.ts";
import { MemoryStore } from "../support/memory-store.ts";
import { customer, founding, inserting, NONE, save, T, work } from "../support/store-rows.ts";

let store: MemoryStore;

beforeEach(async () => {
  store = new MemoryStore({ clock: { now: () => T } });
  for (const id of ["org_a", "org_b"]) await save(store, [id], founding(id));
});

/** A promise and its key. */
function gate(): { readonly opened: Promise<void>; open(): void } {
  let open: () => void = () => undefined;
  const opened = new Promise<void>((resolve) => (open = resolve));
  return { opened, open };
}

test("transactions of one organization come one after the other, in the order in which they were asked for", async () => {
  const order: string[] = [];
  const slow = gate();
  const run = (name: string, organizations: readonly string[], until: Promise<void>): Promise<void> =>
    store.commit(organizations, {}, async () => {
      order.push(`${name} begins`);
      await until;
      order.push(`${name} ends`);
      return { changes: NONE, result: undefined };
    });
  const now = Promise.resolve();
  const all = [run("1", ["org_a"], slow.opened), run("2", ["org_b", "org_a"], now), run("3", ["org_a"], now)];
  await run("other", ["org_c"], now);
  deepEqual(order, ["1 begins", "other begins", "other ends"]);
  slow.open();
  await Promise.all(all);
  deepEqual(order.slice(3), ["1 ends", "2 begins", "2 ends", "3 begins", "3 ends"]);
});

test("with skipLocked, only what is free and known is held, and what is due of it claimed", async () => {
  await save(store, ["org_a", "org_b"], {
    work: [work("org_a", "w", T), work("org_b", "w", T - 1), work("org_b", "later", T + 1)],
  });
  deepEqual(await store.due(9), ["org_b", "org_a"]);
  const slow = gate();
  const holding = store.commit(["org_b"], {}, async () => {
    await slow.opened;
    return { changes: NONE, result: undefined };
  });
  const skipping = (organizations: readonly string[], changes: Changes): Promise<readonly unknown[]> =>
    store.commit(organizations, { skipLocked: true }, async (tx: Tx) => ({
      changes,
      result: [...tx.locks.keys(), ...(await tx.claim("payout", 5))],
    }));
  deepEqual(await skipping(["org_a", "org_b", "nobody"], NONE), ["org_a", work("org_a", "w", T)]);
  const foreign = inserting({ work: [work("org_b", "x", T)] });
  await rejects(skipping(["org_a", "org_b"], foreign), { constraint: "row_level_security" });
  slow.open();
  await holding;
  deepEqual(await skipping(["org_b"], NONE), ["org_b", work("org_b", "w", T - 1)]);
});

test("rows are copies that nobody can change", async () => {
  const mine = { list: [1, { a: 1 }] };
  const row = { ...customer("org_a", "c", mine), name: "before" };
  await save(store, ["org_a"], { customer: [row] });
  mine.list.push(2);
  row.name = "after";
  const [kept] = store.rows("customer");
  deepEqual([kept?.metadata, kept?.name], [{ list: [1, { a: 1 }] }, "before"]);
  throws(() => Object.assign(kept as object, { name: "x" }), TypeError);
  throws(() => (kept as unknown as { metadata: typeof mine }).metadata.list.push(3), TypeError);
  const [organization] = store.rows("organization");
  organization?.sealedKey.fill(9);
  equal(store.rows("organization")[0]?.sealedKey[0], 0);
});

test("a refused transaction leaves no trace", async () => {
  await save(store, ["org_a"], { customer: [customer("org_a", "old")], work: [work("org_a", "w", T)] });
  const before = store.snapshot();
  const changes: Changes = {
    insert: { customer: [customer("org_a", "new")] },
    update: { customer: [{ key: ["org_a", "old"], version: 1, set: { referenceId: "changed", version: 2 } }] },
    delete: { work: [{ key: ["org_a", "payout", "w"], version: 1 }] },
  };
  const stale = { ...changes.update, ledgerAccount: [{ key: ["org_a", "none"], version: 1, set: { version: 2 } }] };
  await rejects(
    store.commit(["org_a"], {}, async () => ({ changes: { ...changes, update: stale }, result: undefined })),
    { constraint: "ledger_account_version_stale" },
  );
  deepEqual(store.snapshot(), before);
  // The keys are free again too.
  await store.commit(["org_a"], {}, async () => ({ changes, result: undefined }));
  deepEqual(store.rows("work"), []);
});

test("neither the key of a row nor what is frozen of it is changed", async () => {
  const change = (set: Record<string, unknown>) => {
    const update = { ledgerAccount: [{ key: ["org_a", "account"], version: 1, set: { version: 2, ...set } }] };
    return store.commit(["org_a"], {}, async () => ({ changes: { ...NONE, update }, result: undefined }));
  };
  await rejects(change({ id: "other" }), /id of a row of ledgerAccount never changes/);
  await rejects(change({ currency: "EUR", owner: "other" }), /currency, owner of a row of ledgerAccount never changes/);
});

test("a snapshot comes back whole; transactions under way are lost with their connection", async () => {
  const before = store.snapshot();
  await save(store, ["org_a"], { customer: [customer("org_a", "c")] });
  store.epoch = { number: 7, gate: "shut" };
  const slow = gate();
  const lost = store.commit(["org_a"], {}, async (tx: Tx) => {
    deepEqual([tx.epoch, tx.isGateOpen, tx.now], [7, false, T]);
    await slow.opened;
    return { changes: NONE, result: undefined };
  });
  const refused = rejects(lost, StoreUnavailable);
  await save(store, ["org_b"], {});
  store.restore(before);
  slow.open();
  await refused;
  deepEqual(store.snapshot(), before);
  await save(store, ["org_a"], { customer: [customer("org_a", "c")] });
});
