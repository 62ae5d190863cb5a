// Method: a gateway on a real database that is made to be another one than before, as its own identity row says: what
// begins, what is listed, what is inquired, and when the gate may be opened and by whom.
import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import { describe } from "../../src/cli/recover.ts";
import { EpochDesk } from "../../src/store/epoch.ts";
import { openWorld, type World } from "../support/world.ts";

let world: World;
let owner: pg.Client;

before(async () => {
  world = await openWorld();
  owner = new pg.Client(world.database.ownerConfig);
  await owner.connect();
  world.engine.start();
  for (const referenceId of ["a", "b", "c"]) await order(referenceId);
  await world.until("/payouts", (body) => JSON.stringify(body).match(/PROCESSING|PENDING/g)?.length === 3);
});

after(async () => {
  await owner.end();
  await world.close();
});

/** Another database than the one that was here: what a restore leaves behind. */
beforeEach(async () => {
  await owner.query("update bursar.epoch set number = 1, gate = 'open', system_identifier = '1', listed_time = null");
});

async function order(referenceId: string): Promise<void> {
  const fields = { account: `payee-${referenceId}` };
  const body = { referenceId, websiteId: "web_demo", currency: "USD", amount: 10, service: "test_usd", fields };
  const { status, text } = await world.call("POST", "/payout-invoices", { body });
  assert.equal(status, 201, text);
}

async function withDesk<T>(work: (desk: EpochDesk) => Promise<T>): Promise<T> {
  const desk = await EpochDesk.open(world.database.ownerConfig);
  try {
    return await work(desk);
  } finally {
    await desk.close();
  }
}

const WHY = { reason: "test", person: null };

test("another identity begins an epoch with its gate shut, and says what it was before", async () => {
  await withDesk(async (desk) => {
    const epoch = await desk.epoch();
    assert.deepEqual([epoch.isOpen, epoch.isRecovering, epoch.isListed], [false, true, false]);
    assert.ok(epoch.number * 1_000 > Date.now() - 60_000);
    const [began] = await desk.acts(epoch.number);
    assert.equal(began?.act, "began");
    const details = began?.details as { before: { systemIdentifier: string; epoch: number } };
    assert.deepEqual([details.before.systemIdentifier, details.before.epoch], ["1", 1]);
    const opened = await desk.openGate({ ...WHY, force: false });
    assert.match(opened.ok ? "" : opened.error, /list of payouts/);
  });
});

test("every open payout is listed, made due and inquired; then the gate opens", async () => {
  // The provider is asked, and says nothing before it is let.
  const isHeld = Promise.withResolvers<void>();
  world.provider.answer = () => isHeld.promise.then(() => ({ kind: "lost", reason: "reset" }));
  await withDesk(async (desk) => {
    await desk.list();
    const { number, restorePoint, lostFrom, isListed } = await desk.epoch();
    assert.equal(isListed, true);
    assert.ok(restorePoint !== null && lostFrom !== null && lostFrom < restorePoint);
    assert.deepEqual(await desk.progress(number), { listed: 3, inquired: 0, inModeration: 0, toDo: 3 });
    const due = await owner.query("select from bursar.work where kind = 'payout' and due_time <= clock_timestamp()");
    assert.ok((due.rowCount ?? 0) > 0, "made due at once");
    const refused = await desk.openGate({ ...WHY, force: false });
    assert.match(refused.ok ? "" : refused.error, /of 3 payouts/);
    assert.equal((await desk.waiting(number, 2)).length, 2);
    const shown = (await describe(desk)).join("\n");
    assert.match(shown, new RegExp(`^Epoch ${number}, began .* The gate of the system is shut: `));
    assert.match(shown, /Payouts to be inquired: 3; inquired 0, in moderation 0, to do 3\./);
    const listed = await owner.query<{ id: string; reference: string }>("select id, reference from bursar.payout");
    assert.equal(listed.rows.length, 3);
    for (const { id, reference } of listed.rows) {
      assert.match(shown, new RegExp(`^ {2}org_demo:test ${id} \\w+ at pacc_demo as ${reference}, `, "m"));
    }

    world.provider.answer = (asked) => {
      const reference = asked.draft.path.split("/").at(-1);
      const state = {
        reference,
        providerReference: "p",
        amount: "10.00",
        currency: "USD",
        status: "queued",
        sequence: 1,
      };
      const sent = world.provider.orders.find(({ draft }) => draft.body?.includes(reference ?? "") === true);
      const { account } = JSON.parse(sent?.draft.body ?? "{}") as { account: string };
      const body = JSON.stringify({ ...state, account, paidAmount: "0.00", returnedAmount: "0.00" });
      return { kind: "answer", result: { status: 200, headers: {}, body } };
    };
    isHeld.resolve();
    const deadline = Date.now() + 40_000;
    while ((await desk.progress(number)).inquired < 3 && Date.now() < deadline) await sleep(200);
    const { inquired, toDo } = await desk.progress(number);
    assert.deepEqual([inquired, toDo], [3, 0]);
    assert.match((await describe(desk)).at(-1) ?? "", /3; inquired 3, in moderation 0, to do 0\./);
    assert.deepEqual(await desk.openGate({ ...WHY, force: false }), { ok: true, value: null });
    assert.equal((await desk.epoch()).isOpen, true);
    const again = await desk.openGate({ ...WHY, force: false });
    assert.match(again.ok ? "" : again.error, /open already/);
  });
  assert.deepEqual(world.broken, []);
});

test("what was in moderation before counts only once it was looked at in this epoch", async () => {
  const holder = new pg.Client(world.database.ownerConfig);
  await holder.connect();
  try {
    await withDesk(async (desk) => {
      await desk.list();
      const { number } = await desk.epoch();
      // Nobody else looks meanwhile: every command needs this lock.
      await holder.query("begin; select from bursar.organization_lock for update");
      const of = "organization_id = 'org_demo:test'";
      await owner.query(
        `update bursar.recovery_check set state = 'due', tries = 0 where epoch = ${number};
         update bursar.payout set moderation_required = true, updated_time = '2000-01-01' where ${of};
         insert into bursar.work (organization_id, kind, subject, due_time, fence)
           select organization_id, 'payout', id::text, clock_timestamp(), 0 from bursar.payout where ${of}
           on conflict (organization_id, kind, subject) do update set due_time = clock_timestamp()`,
      );
      const { listed, ...rest } = await desk.progress(number);
      assert.ok(listed > 0);
      assert.deepEqual(rest, { inquired: 0, inModeration: 0, toDo: listed });
      await owner.query(`update bursar.recovery_check set tries = 1 where epoch = ${number}`);
      assert.deepEqual(await desk.progress(number), { listed, inquired: 0, inModeration: listed, toDo: 0 }, "asked");
      await owner.query(
        `update bursar.recovery_check set tries = 0 where epoch = ${number};
         update bursar.work set due_time = clock_timestamp() + interval '1 h' where ${of} and kind = 'payout'`,
      );
      assert.deepEqual((await desk.progress(number)).toDo, 0, "looked at, and beyond asking");
    });
  } finally {
    await holder.end();
  }
});

test("the gate is forced by a named person only, and that is on record", async () => {
  world.provider.answer = () => ({ kind: "lost", reason: "reset" });
  await withDesk(async (desk) => {
    const { number } = await desk.epoch();
    const nameless = await desk.openGate({ ...WHY, force: true });
    assert.match(nameless.ok ? "" : nameless.error, /must be named/);
    assert.equal((await desk.epoch()).isOpen, false);
    assert.ok((await desk.openGate({ reason: "provider is gone", person: "Ada", force: true })).ok);
    const act = (await desk.acts(number)).at(-1);
    assert.deepEqual([act?.act, act?.person, act?.reason], ["forced", "Ada", "provider is gone"]);
  });
  await assert.rejects(owner.query("insert into bursar.epoch_act (epoch, act) values (1, 'forced')"), /forced_by/);
});

test("a person shuts the gate, and nothing new is sent", async () => {
  await owner.query(
    "update bursar.epoch set system_identifier = (select system_identifier::text from pg_control_system())",
  );
  await withDesk(async (desk) => {
    const { number } = await desk.epoch();
    assert.equal(number, 1);
    assert.ok((await desk.shutGate({ reason: "audit", person: "Ada" })).ok);
    const epoch = await desk.epoch();
    assert.deepEqual([epoch.isOpen, epoch.shutReason], [false, "audit"]);
    const before = world.provider.orders.filter(({ draft }) => draft.method === "POST").length;
    await order("while-shut");
    await sleep(500);
    assert.equal(world.provider.orders.filter(({ draft }) => draft.method === "POST").length, before);
    assert.ok((await desk.openGate({ ...WHY, force: false })).ok, "an epoch without a loss has nothing to inquire");
  });
});

test("an old database that acted on later makes another epoch of it, whose list is made again", async () => {
  await withDesk(async (desk) => {
    await desk.list();
    const { number, lostUntil } = await desk.epoch();
    const ahead = await desk.setLostUntil(new Date(Date.now() + 3_600_000), "Ada");
    assert.match(ahead.ok ? "" : ahead.error, /future/);
    await owner.query('update bursar.epoch set number = number - 100, "time" = "time" - interval \'100 s\'');
    const later = new Date((number - 50) * 1_000);
    assert.ok((await desk.setLostUntil(later, "Ada")).ok);
    const epoch = await desk.epoch();
    assert.deepEqual([epoch.number, epoch.isListed, epoch.isOpen], [number - 50, false, false]);
    assert.notEqual(epoch.lostUntil, lostUntil);
    assert.ok((await desk.setLostUntil(new Date((number - 70) * 1_000), "Ada")).ok);
    assert.equal((await desk.epoch()).number, number - 50, "an earlier end proves nothing less");
  });
});

test("a person can say that a database came before this one, where nothing here tells so", async () => {
  await owner.query(
    "update bursar.epoch set system_identifier = (select system_identifier::text from pg_control_system())",
  );
  await withDesk(async (desk) => {
    assert.equal((await desk.epoch()).isRecovering, false);
    const second = Math.floor(Date.now() / 1_000) - 10;
    assert.ok((await desk.setLostUntil(new Date(second * 1_000), "Ada")).ok);
    const { number, isOpen, isRecovering } = await desk.epoch();
    assert.deepEqual([number, isOpen, isRecovering], [second, false, true]);
    const opened = await desk.openGate({ ...WHY, force: false });
    assert.match(opened.ok ? "" : opened.error, /list of payouts/);
  });
});

test("the same identity at another place is a copy: another epoch", async () => {
  const enter = async (place: string | null) => {
    await owner.query("select set_config('bursar.place', $1, false)", [place ?? ""]);
    const { rows } = await owner.query("select number::int8, has_changed from bursar.enter_epoch()");
    return rows[0] as { number: string; has_changed: boolean };
  };
  await owner.query(
    "update bursar.epoch set place = null, system_identifier = (select system_identifier::text from pg_control_system())",
  );
  assert.deepEqual(await enter("here"), { number: "1", has_changed: false }, "learned");
  assert.deepEqual(await enter("here"), { number: "1", has_changed: false });
  assert.deepEqual(await enter(null), { number: "1", has_changed: false }, "who does not say it changes nothing");
  const moved = await enter("there");
  assert.equal(moved.has_changed, true);
  assert.ok(Number(moved.number) > 1);
  assert.deepEqual(await enter("there"), { number: moved.number, has_changed: false });
  const { rows } = await owner.query("select gate, place from bursar.epoch");
  assert.deepEqual(rows, [{ gate: "shut", place: "there" }]);
  await owner.query("update bursar.epoch set place = null");
});
