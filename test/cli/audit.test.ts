// Method: the commands as an operator types them, on a database that a running Bursar would use; and the audit of a
// running process, with an engine whose provider is a script.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { Client } from "pg";
import { parse } from "yaml";
import { AuditWatch } from "../../src/cli/audit-watch.ts";
import { openGate } from "../../src/engine/commands/gates.ts";
import { createBook } from "../../src/engine/provision.ts";
import { realRng, realTimer } from "../../src/engine/real.ts";
import { Vault } from "../../src/engine/vault.ts";
import { Metrics } from "../../src/http/metrics.ts";
import { AUDIT_CHECKS, type Auditor, type AuditReport, openAuditor } from "../../src/store/audit.ts";
import { openStore } from "../../src/store/postgres.ts";
import { type Ended, run } from "../support/process.ts";
import { demoOrder, openWorld, said, type World } from "../support/world.ts";

let world: World;
let owner: Client;

before(async () => {
  world = await openWorld();
  world.engine.start();
  owner = new Client(world.database.ownerConfig);
  await owner.connect();
});
after(async () => {
  await owner.end();
  assert.deepEqual(world.broken, []);
  await world.close();
});

const order = (referenceId: string) => world.call("POST", "/payout-invoices", { body: demoOrder(referenceId) });

const statusOf = (id: unknown) => `/payout-invoices/${String(id)}`;

function databaseUrl(): string {
  const { host, port, user, password } = world.database.ownerConfig;
  const login = `${user ?? ""}${typeof password === "string" ? `:${encodeURIComponent(password)}` : ""}`;
  const url = new URL(`postgres://${login}@localhost/${world.database.name}`);
  url.searchParams.set("host", host ?? "");
  url.searchParams.set("port", String(port ?? 5432));
  return url.href;
}

const bursar = (args: readonly string[], env: Readonly<Record<string, string>> = {}) =>
  run(args, { DATABASE_URL: databaseUrl(), BURSAR_MASTER_KEY: "ab".repeat(32), ...env });

/** A breach that is easily undone: a counter of the lock row. */
async function miscount(by: number): Promise<void> {
  const text = "update bursar.organization_lock set payout_count = payout_count + $1 where organization_id = $2";
  await owner.query(text, [by, world.book]);
}

const gateOf = async (): Promise<string> => {
  const text = "select gate from bursar.organization_lock where organization_id = $1";
  return (await owner.query<{ gate: string }>(text, [world.book])).rows[0]?.gate ?? "";
};

describe("bursar audit", () => {
  test("prints a table, ends with 0 when all is well and with 1 and the ids when not", async () => {
    world.provider.answer = (each) => said(each, "paid");
    const { body } = await order("one");
    await world.until(statusOf(body["id"]), (invoice) => invoice["status"] === "processed");
    const clean = await bursar(["audit", "--full"]);
    assert.equal(clean.code, 0, clean.errors);
    assert.match(clean.output, /^org_demo:test, full, \d+ ms$/m);
    for (const { name } of AUDIT_CHECKS) assert.match(clean.output, new RegExp(`^  ${name} +\\d+ +0 +\\d+$`, "m"));
    assert.match(clean.output, /No breach\.$/m);
    await miscount(1);
    const broken = await bursar(["audit", "--organization", world.book]);
    await miscount(-1);
    assert.equal(broken.code, 1, broken.errors);
    assert.match(broken.output, /^org_demo:test, incremental/m);
    assert.match(broken.output, /^counters_count payout: 2 are counted, 1 are there$/m);
  });

  test("prints one JSON object on demand", async () => {
    const { code, output } = await bursar(["audit", "--json", "--organization", world.book]);
    assert.equal(code, 0);
    const told = JSON.parse(output) as { breaches: number; organizations: AuditReport[] };
    assert.equal(told.breaches, 0);
    assert.equal(told.organizations[0]?.organizationId, world.book);
    assert.ok((told.organizations[0]?.checks.length ?? 0) > 20);
  });

  test("ends with 2 when it could not run", async () => {
    const unknown = await bursar(["audit", "--organization", "org_none"]);
    assert.deepEqual([unknown.code, unknown.errors.trim()], [2, "There is no organization org_none."]);
    const away = await bursar(["audit"], { DATABASE_URL: "postgres://nobody@127.0.0.1:1/none" });
    assert.equal(away.code, 2);
    assert.match(away.errors, /^The audit could not run: /);
    const empty = await bursar(["audit"], { DATABASE_URL: "", BURSAR_DATA_DIR: "/nonexistent" });
    assert.equal(empty.code, 2);
    assert.match(empty.errors, /^There is no database in /);
  });
});

const MASTER_KEY = "ab".repeat(32);
const OWN_BOOK = "org_own";

describe("bursar gate", () => {
  const gate = (...args: string[]): Promise<Ended> => bursar(["gate", ...args, "--organization", OWN_BOOK]);

  before(async () => {
    const store = await openStore({ config: world.database.appConfig });
    await createBook(store, new Vault(Buffer.from(MASTER_KEY, "hex"), realRng), { id: OWN_BOOK, name: "Own" });
    await store.close();
    await owner.query(
      `insert into bursar.provider_account (organization_id, id, connector, name, base_url, settings, credentials,
         callback_id, gate, version, created_time, updated_time)
       values ($1, 'pacc_own', 'none', 'Own', 'http://provider.example', '{}', '', 'x', 'open', 1, now(), now())`,
      [OWN_BOOK],
    );
  });

  test("shuts, shows and opens the gate of an organization; why is on record", async () => {
    assert.equal((await gate("show")).output.trim(), "system: open\norg_own: open\npacc_own: open");
    const shut = await gate("shut", "--reason", "looking into it");
    assert.deepEqual([shut.code, shut.output.trim()], [0, "The gate of org_own is shut now."], shut.errors);
    assert.match((await gate("show")).output, /^org_own: shut$/m);
    const opened = await gate("open", "--reason", "looked");
    assert.deepEqual([opened.code, opened.output.trim()], [0, "The gate of org_own is open now."], opened.errors);
    assert.equal((await gate("open", "--reason", "again")).output.trim(), "The gate of org_own was open before.");
    const { rows } = await owner.query<{ what: string }>(
      `select kind || ' by ' || actor || ': ' || (body ->> 'reason') as what from bursar.command
       where organization_id = $1 order by time`,
      [OWN_BOOK],
    );
    const told = rows.map(({ what }) => what);
    assert.deepEqual(told, ["shut-gate by operator: looking into it", "open-gate by operator: looked"]);
    const items = await owner.query<{ status: string; reason: string }>(
      "select status, reason from bursar.moderation_item where organization_id = $1",
      [OWN_BOOK],
    );
    assert.deepEqual(items.rows, [{ status: "closed", reason: "internal_fault" }]);
  });

  test("does the same to one provider account", async () => {
    const shut = await gate("shut", "--provider-account", "pacc_own", "--reason", "their statement differs");
    assert.equal(shut.code, 0, shut.errors);
    assert.match((await gate("show")).output, /^org_own: open\npacc_own: shut \(their statement differs\)$/m);
    assert.equal((await gate("open", "--provider-account", "pacc_own", "--reason", "looked")).code, 0);
    assert.match((await gate("show")).output, /^pacc_own: open$/m);
  });

  test("refuses what is not there, and a master key that is not the book's", async () => {
    const none = await bursar(["gate", "show", "--organization", "org_none"]);
    assert.deepEqual([none.code, none.errors.trim()], [1, "It could not be done: there is no organization org_none"]);
    assert.equal((await gate("shut", "--provider-account", "pacc_none", "--reason", "x")).code, 1);
    assert.equal((await gate("shut")).code, 1, "a reason is required");
    const foreign = await bursar(["gate", "shut", "--organization", world.book, "--reason", "x"]);
    assert.equal(foreign.code, 1, foreign.output);
    assert.equal(await gateOf(), "open");
  });
});

interface Watched {
  readonly watch: AuditWatch;
  readonly metrics: Metrics;
  readonly log: Record<string, unknown>[];
  /** Of each audit of the book: full or incremental. */
  readonly scopes: string[];
}

function watched(auditor: Auditor = openAuditor(world.database.appConfig)): Watched {
  const metrics = new Metrics();
  const log: Record<string, unknown>[] = [];
  const scopes: string[] = [];
  const note = (details: object, message?: string): void => void log.push({ ...details, message });
  const watch = new AuditWatch({
    auditor,
    engine: world.engine,
    timer: realTimer,
    log: { error: note, info: note, warn: note },
    minutes: 5,
    onReport: (report) => {
      if (report.organizationId === world.book) scopes.push(report.scope);
      metrics.onAudit(report);
    },
    onRound: metrics.onAuditRound,
  });
  return { watch, metrics, log, scopes };
}

/** How many audits must have run while orders are written. */
const AUDITS = 4;
const SHUT = 'bursar_gate_shut{scope="organization",organization="org_demo",book="test",id="org_demo:test"} 1';

describe("the audit of a running process", () => {
  test("counts no breach of a clean book, and says when it was", async () => {
    const { watch, metrics, log } = watched();
    await watch.runRound();
    const text = await metrics.text(world);
    assert.match(text, /^bursar_audit_breaches\{check="counters_count"\} 0$/m);
    const [, time] = /^bursar_audit_last_success_timestamp_seconds ([\d.]+)/m.exec(text) ?? [];
    assert.ok(Math.abs(Number(time) - Date.now() / 1000) < 60, String(time));
    assert.doesNotMatch(text, /^bursar_gate_shut\{/m);
    assert.deepEqual(log, []);
  });

  test("shuts the gate at a breach, and nothing new is sent until a person opens it", async () => {
    const { watch, metrics, log } = watched();
    await miscount(1);
    await watch.runRound();
    assert.equal(await gateOf(), "shut");
    const text = await metrics.text(world);
    assert.match(text, /^bursar_audit_breaches\{check="counters_count"\} 1$/m);
    assert.ok(text.includes(SHUT));
    assert.deepEqual(
      log.map(({ message }) => message),
      ["the audit found breaches"],
    );
    const sent = world.provider.orders.length;
    const { status, body } = await order("held-back");
    assert.equal(status, 201, "the API answers");
    // Longer than due work waits for the sweep: it was looked at, and held.
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    assert.equal(world.provider.orders.length, sent, "nothing new is sent");

    // Opened by a person who has seen this breach: it does not shut the gate again, a new one does.
    const opened = await world.engine.run(
      world.book,
      openGate,
      { providerAccountId: null, currency: null, reason: "seen" },
      { actor: "test" },
    );
    assert.ok(opened.ok);
    await watch.runRound();
    assert.equal(await gateOf(), "open");
    await world.until(statusOf(body["id"]), (invoice) => invoice["status"] === "processed");
    assert.equal(world.provider.orders.length, sent + 1);
    await owner.query(
      "update bursar.organization_lock set invoice_count = invoice_count + 1 where organization_id = $1",
      [world.book],
    );
    await watch.runRound();
    assert.equal(await gateOf(), "shut");
    await owner.query(
      "update bursar.organization_lock set invoice_count = invoice_count - 1 where organization_id = $1",
      [world.book],
    );
    await miscount(-1);
    await world.engine.run(
      world.book,
      openGate,
      { providerAccountId: null, currency: null, reason: "repaired" },
      { actor: "test" },
    );
  });

  const openAgain = async (reason: string): Promise<void> => {
    const opened = await world.engine.run(
      world.book,
      openGate,
      { providerAccountId: null, currency: null, reason },
      { actor: "test" },
    );
    assert.ok(opened.ok);
  };

  test("shuts the gate again when a breach has grown, and not while the book goes on around it", async () => {
    const { watch } = watched();
    await miscount(1);
    await watch.runRound();
    assert.equal(await gateOf(), "shut");
    await openAgain("seen");
    world.provider.answer = (each) => said(each, "paid");
    const { body } = await order("goes-on");
    await world.until(statusOf(body["id"]), (invoice) => invoice["status"] === "processed");
    await watch.runRound();
    assert.equal(await gateOf(), "open", "other counts, the same breach");
    await miscount(1);
    await watch.runRound();
    assert.equal(await gateOf(), "shut", "one more is not counted");
    await miscount(-2);
    await openAgain("repaired");
  });

  test("shuts the gate again for a breach beyond those that are named", async () => {
    const { watch } = watched();
    const spoil = (from: number, to: number) =>
      owner.query(
        `insert into bursar.open_part select $1, 'nothing', n, ('00000000-0000-4000-8000-' || lpad(n::text, 12, '0'))::uuid
         from generate_series($2::int, $3::int) n`,
        [world.book, from, to],
      );
    await spoil(1, 150);
    await watch.runRound();
    assert.equal(await gateOf(), "shut");
    await openAgain("seen");
    await watch.runRound();
    assert.equal(await gateOf(), "open");
    await spoil(151, 151);
    await watch.runRound();
    assert.equal(await gateOf(), "shut");
    await owner.query("delete from bursar.open_part where request_id = 'nothing'");
    await openAgain("repaired");
  });

  /** As if the last full audit had been so much earlier. */
  const longAgo = (minutes: number) =>
    owner.query(
      "update bursar.audit_full set time = time - make_interval(mins => $1::int) where organization_id = $2",
      [minutes, world.book],
    );

  test("audits everything once a day, however often it is started anew", async () => {
    const first = watched();
    await longAgo(24 * 60);
    await first.watch.runRound();
    await first.watch.runRound();
    assert.deepEqual(first.scopes, ["full", "incremental"]);
    const second = watched();
    await second.watch.runRound();
    assert.deepEqual(second.scopes, ["incremental"], "it was done a moment ago");
    await longAgo(24 * 60);
    const third = watched();
    await third.watch.runRound();
    assert.deepEqual(third.scopes, ["full"]);
  });

  test("shows what only a full audit finds until it is repaired, across starts", async () => {
    const spoil = (by: number) =>
      owner.query(
        `update bursar.request set overpaid_minor = overpaid_minor + $1
         where id = (select request_id from bursar.invoice where reference_id = 'one')`,
        [by],
      );
    const shown = async ({ metrics }: Watched): Promise<string | undefined> =>
      /^bursar_audit_breaches\{check="request_adds_up"\} (\d+)$/m.exec(await metrics.text(world))?.[1];
    const round = async (): Promise<Watched> => {
      const next = watched();
      await next.watch.runRound();
      return next;
    };
    await spoil(1);
    await longAgo(24 * 60);
    const found = await round();
    assert.deepEqual([found.scopes[0], await shown(found), await gateOf()], ["full", "1", "shut"]);
    await openAgain("seen");
    const afterwards = await round();
    assert.deepEqual([afterwards.scopes, await shown(afterwards), await gateOf()], [["incremental"], "1", "open"]);
    const told = await bursar(["audit", "--organization", world.book]);
    assert.equal(told.code, 1, told.errors);
    assert.match(told.output, /^request_adds_up: 1 found by the last full audit$/m);
    await longAgo(60);
    const again = await round();
    assert.deepEqual([again.scopes[0], await shown(again)], ["full", "1"], "looked at again after an hour");
    await spoil(-1);
    await longAgo(60);
    const repaired = await round();
    assert.deepEqual([repaired.scopes[0], await shown(repaired)], ["full", "0"]);
    const last = await round();
    assert.deepEqual([last.scopes, await shown(last)], [["incremental"], "0"]);
    await openAgain("repaired");
  });

  test("tells of an organization without its lock row, and goes on with the others", async () => {
    await owner.query("insert into bursar.organization values ('org_aaa', 'Lost', '\\x00', now())");
    const { watch, metrics, scopes, log } = watched();
    await watch.runRound();
    await owner.query("delete from bursar.audit_full where organization_id = 'org_aaa'");
    await owner.query("delete from bursar.organization where id = 'org_aaa'");
    const text = await metrics.text(world);
    assert.match(text, /^bursar_audit_breaches\{check="lock_row_is_there"\} 1$/m);
    assert.doesNotMatch(text, /^bursar_audit_last_success_timestamp_seconds 0$/m);
    assert.equal(scopes.length, 1, "the book after it was audited");
    assert.deepEqual(
      log.map(({ message }) => message),
      ["the audit found breaches", "the gate could not be shut"],
    );
  });

  test("finds nothing while orders are written", async () => {
    const auditor = openAuditor(world.database.appConfig);
    const state = { isOver: false, audits: 0 };
    // They write for as long as it takes: a fast machine must not be done before it was looked at.
    const lanes = Array.from({ length: 8 }, async (_, lane) => {
      for (let n = 0; n < 12 || state.audits < AUDITS; n++) await order(`lane-${lane}-${n}`);
    });
    const writing = Promise.all(lanes).finally(() => {
      state.isOver = true;
    });
    let looked = 0;
    while (!state.isOver) {
      const report = await auditor.audit(world.book, { isFull: state.audits % 2 === 1 });
      const found = report?.checks.flatMap((check) =>
        check.found.map(({ id, what }) => `${check.check} ${id}: ${what}`),
      );
      assert.deepEqual(found, []);
      looked += report?.checks.find(({ check }) => check === "history_without_gap")?.rows ?? 0;
      state.audits += 1;
    }
    await writing;
    assert.ok(state.audits >= AUDITS && looked > 100, `${state.audits} audits of ${looked} rows`);
  });

  test("shows what the last full audit found, and tells a round that failed", async () => {
    const own = new Metrics();
    const audited = { organizationId: "org_x" };
    const [checks, unrepaired] = [
      [{ check: "counters_count", breaches: 0 }],
      [{ check: "request_adds_up", breaches: 2 }],
    ];
    own.onAudit({ ...audited, checks, unrepaired });
    assert.match(await own.text(world), /^bursar_audit_breaches\{check="request_adds_up"\} 2$/m);
    own.onAudit({ ...audited, checks: [...checks, { check: "request_adds_up", breaches: 0 }], unrepaired: [] });
    assert.match(await own.text(world), /^bursar_audit_breaches\{check="request_adds_up"\} 0$/m);

    const away = { books: () => Promise.reject(new Error("away")), audit: () => Promise.resolve(null) };
    const { watch, metrics, log } = watched(away);
    await watch.runRound();
    assert.equal(log.length, 1);
    assert.match(await metrics.text(world), /^bursar_audit_last_success_timestamp_seconds 0$/m);
  });

  test("runs by itself and stops when it is told to", async () => {
    const { watch, metrics } = watched();
    watch.start();
    const deadline = Date.now() + 20_000;
    while (/^bursar_audit_last_success_timestamp_seconds 0$/m.test(await metrics.text(world))) {
      assert.ok(Date.now() < deadline, "no round has ended");
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    await watch.stop();
  });
});

describe("deploy/alerts.yml", () => {
  const path = fileURLToPath(new URL("../../deploy/alerts.yml", import.meta.url));

  test("is well formed, and asks for metrics that exist", async () => {
    const rules = parse(readFileSync(path, "utf8")) as {
      groups: { name: string; rules: { alert: string; expr: string; annotations: Record<string, string> }[] }[];
    };
    const all = rules.groups.flatMap((group) => group.rules);
    const text = await new Metrics().text(world);
    const known = new Set([...text.matchAll(/^# TYPE (\w+) /gm)].map(([, name]) => name));
    assert.ok(all.length >= 4);
    assert.equal(new Set(all.map(({ alert }) => alert)).size, all.length);
    for (const { alert, expr, annotations } of all) {
      const named = [...expr.matchAll(/\bbursar_\w+/g)].map(([name]) => name);
      assert.ok(named.length > 0, alert);
      assert.deepEqual(
        named.filter((name) => !known.has(name)),
        [],
        alert,
      );
      assert.ok(annotations["summary"] !== undefined && annotations["description"] !== undefined, alert);
    }
    const asked = all.map(({ expr }) => expr).join(" ");
    for (const name of ["bursar_audit_breaches", "bursar_audit_last_success_timestamp_seconds", "bursar_gate_shut"]) {
      assert.ok(asked.includes(name), name);
    }
  });
});
