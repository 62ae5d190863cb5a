// Method: a session ends before its COMMIT arrives, the server crashes, and another transaction is given the very same
// id before the store can ask what became of it.
import assert from "node:assert/strict";
import { test } from "node:test";
import pg from "pg";
import { OutcomeUnknown } from "../../src/core/faults.ts";
import { openStore } from "../../src/store/postgres.ts";
import { DatabaseProxy } from "../support/database-proxy.ts";
import { type Cluster, openCluster } from "./cluster.ts";

const ROW = { id: "org_lost", name: "org_lost", sealedKey: new Uint8Array([1]), createdTime: Date.now() };

test("a commit whose id was given out again after a crash is not taken for committed", async () => {
  const cluster = await openCluster();
  const proxy = await DatabaseProxy.start(cluster.appConfig);
  const asked: string[] = [];
  const log = (_level: string, _message: string, details?: object): void => {
    if (details !== undefined && "xid" in details) asked.push(String(details.xid));
  };
  const store = await openStore({ config: proxy.through(cluster.appConfig), connections: 1, log });
  proxy.onCut = () => {
    proxy.isDown = true;
    // The start of the server writes: it is the first to be given the ids that the crash has taken back.
    void cluster.crash().then(() => {
      proxy.isDown = false;
    });
  };
  proxy.cut = "lost";
  const changes = { insert: { organization: [ROW] }, update: {}, delete: {} };
  try {
    await assert.rejects(
      store.commit([], {}, () => Promise.resolve({ changes, result: null })),
      OutcomeUnknown,
    );
    const found = await fateOf(cluster, asked[0] ?? "0");
    assert.deepEqual(found, { fate: "committed", rows: 0 }, "its id belongs to another transaction now");
  } finally {
    await store.close();
    await proxy.close();
    await cluster.close();
  }
});

/** What the server says became of a transaction, and whether the row is there that it wrote. */
async function fateOf(cluster: Cluster, xid: string): Promise<{ fate: string; rows: number }> {
  const owner = new pg.Client(cluster.ownerConfig);
  await owner.connect();
  const { rows: fates } = await owner.query<{ fate: string }>("select pg_xact_status($1::xid8) as fate", [xid]);
  const { rows } = await owner.query("select id from bursar.organization where id = $1", [ROW.id]);
  await owner.end();
  return { fate: fates[0]?.fate ?? "", rows: rows.length };
}
