/**
 * What people do, over HTTP: every act where it is possible, and every refusal where it is not. Money moves at the real
 * sandbox provider; what a second person and a role may do is tried with a scripted one.
 */
import assert from "node:assert/strict";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { type Gateway, openGateway, type Reply } from "../support/gateway.ts";
import { demoOrder, type Json, openWorld, type World } from "../support/world.ts";

const at = (version: unknown): Readonly<Record<string, string>> => ({ "if-match": `"${String(version)}"` });

function refusedWith(reply: { status: number; body: Json }, status: number, code: string): void {
  assert.equal(reply.status, status, JSON.stringify(reply.body));
  assert.equal(reply.body["code"], code, JSON.stringify(reply.body));
}

describe("acts on money", () => {
  let gateway: Gateway;
  let receiver: Server;
  /** Types of the webhooks that were received. */
  const heard: string[] = [];
  /** An order of which nobody will ever hear anything: for the repeat, which must wait. */
  let unheard: string;
  let lost: string;

  before(async () => {
    gateway = await openGateway();
    await gateway.control({ timeoutMs: 2_500, answerDelayMs: 20, callbackDelayMs: 30, lateMs: 200 });
    receiver = createServer((request, response) => {
      const chunks: Buffer[] = [];
      request.on("data", (chunk: Buffer) => chunks.push(chunk));
      request.on("end", () => {
        heard.push((JSON.parse(Buffer.concat(chunks).toString("utf8")) as { type: string }).type);
        response.writeHead(204).end();
      });
    });
    await new Promise<void>((resolve) => void receiver.listen(0, "127.0.0.1", () => resolve()));
    const url = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/hook`;
    const endpoint = await gateway.call("POST", "/webhook-endpoints", { url, events: ["moderation.*"] });
    assert.equal(endpoint.status, 201);
    const unanswered = (name: string, scenario: string): Promise<string> => {
      const fields = {
        account: `payee-${name}`,
        test_details_scenario: scenario,
        test_details_inquire_resolution: "PROVIDER_INTERNAL_ERROR",
      };
      return order(name, scenario, { fields });
    };
    unheard = await unanswered("unheard", "timeout_paid");
    lost = await unanswered("lost", "timeout_absent");
  });
  after(async () => {
    assert.deepEqual(gateway.broken, []);
    receiver.close();
    receiver.closeAllConnections();
    await gateway.close();
  });

  async function order(referenceId: string, scenario: string, members: Json = {}): Promise<string> {
    const reply = await gateway.call("POST", "/payout-invoices", {
      referenceId,
      websiteId: "web_demo",
      currency: "USD",
      amount: 100,
      service: "test_usd",
      fields: { account: `payee-${referenceId}`, test_details_scenario: scenario },
      attemptsLimit: 1,
      ...members,
    });
    assert.equal(reply.status, 201, JSON.stringify(reply.body));
    return String(reply.body["id"]);
  }

  const invoiceOf = async (id: string): Promise<Json> => (await gateway.call("GET", `/payout-invoices/${id}`)).body;
  const payoutIn = (invoice: Json, index = 0): Json => (invoice["payouts"] as Json[])[index] as Json;
  const until = (id: string, status: string): Promise<Json> => gateway.until(id, (body) => body["status"] === status);
  const untilPayout = (id: string, status: string): Promise<Json> =>
    gateway.until(id, (body) => payoutIn(body)["status"] === status);

  /** Acts at the version that stands; an inquiry may change it in between. */
  async function act(path: string, body: Json = {}, headers: Readonly<Record<string, string>> = {}): Promise<Reply> {
    const [, table, id] = path.split("/");
    for (let tries = 0; ; tries++) {
      const { version } = (await gateway.call("GET", `/${table}/${id}`)).body;
      const reply = await gateway.call("POST", path, body, { ...at(version), ...headers });
      if (reply.status !== 412 || tries > 20) return reply;
    }
  }
  const onPayout = (payout: Json, word: string, body: Json = {}): Promise<Reply> =>
    act(`/payouts/${String(payout["id"])}/${word}`, body);

  /** A payout of a bare request that waits for a person. */
  async function waiting(id: string): Promise<Json> {
    const request = { websiteId: "web_demo", customerId: "cus_demo", currency: "USD", amount: 10 };
    await gateway.call("PUT", `/payout-requests/${id}`, { ...request, paymentInstrumentId: "inst_demo" });
    const made = await gateway.call("POST", "/payout-request-allocations", { payoutRequestId: id });
    assert.equal(made.status, 201, JSON.stringify(made.body));
    return (await gateway.call("GET", `/payouts/${String(made.body["id"])}`)).body;
  }

  test("process starts a payout that waits for a person, once", async () => {
    const payout = await waiting("bare-process");
    assert.deepEqual([payout["status"], payout["isManual"]], ["READY", true]);
    const started = await onPayout(payout, "process", { reason: "Looked at." });
    assert.equal(started.status, 200, JSON.stringify(started.body));
    assert.deepEqual([started.body["status"], started.body["isManual"]], ["INVOKING", false]);
    refusedWith(await onPayout(payout, "process"), 409, "not-in-this-status");
  });

  test("terminate ends what was not sent, and nothing else", async () => {
    const payout = await waiting("bare-terminate");
    const ended = await onPayout(payout, "terminate", { reason: "Not wanted." });
    assert.deepEqual([ended.status, ended.body["status"], ended.body["evidence"]], [200, "TERMINATED", "D0"]);
    refusedWith(await onPayout(payout, "terminate"), 409, "not-in-this-status");
  });

  test("inquire asks at once; revoke pulls back what is under way; what is under way is not terminated", async () => {
    const id = await order("revoked", "revoke_ok");
    const payout = payoutIn(await untilPayout(id, "PENDING"));
    const asked = await gateway.call("POST", `/payouts/${String(payout["id"])}/inquire`, {});
    assert.equal(asked.status, 200, JSON.stringify(asked.body));
    await gateway.until(id, (body) => Number(payoutIn(body)["inquiries"]) > Number(payout["inquiries"]));
    refusedWith(await onPayout(payout, "terminate"), 409, "payout-in-flight");
    refusedWith(await onPayout(payout, "cancel"), 409, "not-in-this-status");
    const reply = await onPayout(payout, "revoke", { reason: "Wrong payee.", then: "stop" });
    assert.deepEqual([reply.status, reply.body["afterRevoke"]], [200, "stop"], JSON.stringify(reply.body));
    await untilPayout(id, "REVOKED");
    refusedWith(await onPayout(payout, "revoke"), 409, "not-in-this-status");
    refusedWith(await onPayout(payout, "inquire", { reason: 1 }), 422, "validation-failed");
  });

  test("cancel reverses what is paid, in part and whole, and never more", async () => {
    const id = await order("canceled", "cancel_ok");
    const payout = payoutIn(await until(id, "processed"));
    refusedWith(await onPayout(payout, "cancel", { amount: 100.01 }), 409, "more-than-available");
    refusedWith(await onPayout(payout, "revoke"), 409, "not-in-this-status");
    refusedWith(await onPayout(payout, "terminate"), 409, "not-in-this-status");
    const reply = await onPayout(payout, "cancel", { reason: "Paid by mistake." });
    assert.deepEqual([reply.status, reply.body["status"]], [200, "CANCELLING"]);
    assert.equal(payoutIn(await until(id, "refunded"))["returnedAmount"], 100);
  });

  test("a version that is not the present one, or none, changes nothing", async () => {
    const id = await order("versions", "ok");
    const invoice = await until(id, "processed");
    const payout = payoutIn(invoice);
    for (const word of ["process", "terminate", "revoke", "cancel", "repeat"]) {
      const path = `/payouts/${String(payout["id"])}/${word}`;
      refusedWith(await gateway.call("POST", path, {}), 428, "if-match-required");
      refusedWith(await gateway.call("POST", path, {}, at(999)), 412, "version-conflict");
      refusedWith(await gateway.call("POST", path, {}, { "if-match": "*" }), 412, "version-conflict");
    }
    const refund = `/payout-invoices/${id}/refund`;
    refusedWith(await gateway.call("POST", refund, {}, { "idempotency-key": "v" }), 428, "if-match-required");
    refusedWith(
      await gateway.call("POST", refund, {}, { ...at(999), "idempotency-key": "v" }),
      412,
      "version-conflict",
    );
    refusedWith(await gateway.call("POST", refund, {}, at(invoice["version"])), 422, "idempotency-key-required");
    refusedWith(await gateway.call("POST", "/payouts/nobody/cancel", {}, at(1)), 404, "not-found");
    assert.equal((await invoiceOf(id))["version"], invoice["version"]);
  });

  test("refund brings a part back, once per key, and never more than there is", async () => {
    const id = await order("refunded", "cancel_ok");
    const { version } = await until(id, "processed");
    const headers = { ...at(version), "idempotency-key": "refund-once" };
    const path = `/payout-invoices/${id}/refund`;
    refusedWith(await gateway.call("POST", path, { amount: 100.01 }, headers), 409, "more-than-available");
    const first = await gateway.call("POST", path, { amount: 30, reason: "Half of it came back." }, headers);
    assert.equal(first.status, 200, JSON.stringify(first.body));
    assert.deepEqual([first.body["status"], first.body["refundPendingAmount"]], ["refunding", 30]);
    const again = await gateway.call("POST", path, { amount: 30, reason: "Half of it came back." }, headers);
    assert.deepEqual(again.body, first.body);
    assert.equal(again.headers.get("idempotency-replayed"), "true");
    const other = await gateway.call("POST", path, { amount: 31 }, headers);
    refusedWith(other, 422, "idempotency-key-reused");
    const done = await until(id, "partially_refunded");
    assert.equal(done["refundedAmount"], 30);
    const late = await gateway.call("POST", path, { amount: 30, reason: "Half of it came back." }, headers);
    assert.deepEqual(late.body, first.body, "and for good");
    refusedWith(await act(path, { amount: 70.01 }, { "idempotency-key": "more" }), 409, "more-than-available");
    await act(path, {}, { "idempotency-key": "rest" });
    assert.equal((await until(id, "refunded"))["refundedAmount"], 100);
    refusedWith(await act(path, {}, { "idempotency-key": "all" }), 409, "not-in-this-status");
    const [booked] = (await gateway.providerBook()).filter(({ destination }) => destination === "payee-refunded");
    assert.equal(booked?.effective, 1);
  });

  test("a refund is an event, and a webhook", async () => {
    const found = (await gateway.call("GET", "/events?filter=type:moderation.refund&limit=1000")).body;
    const [event] = found as unknown as Json[];
    assert.equal(event?.["type"], "moderation.refund");
    const { object, subjectKind } = event["data"] as Json;
    assert.deepEqual([object, subjectKind], ["moderation-act", "request"]);
    for (let tries = 0; !heard.includes("moderation.refund"); tries++) {
      assert.ok(tries < 100, "the webhook comes");
      await sleep(50);
    }
  });

  test("an order that is partly paid goes on as a person says", async () => {
    const [rest, enough, back] = (await Promise.all(
      ["rest", "enough", "back"].map((name) => order(`partly-${name}`, "partial")),
    )) as [string, string, string];
    for (const id of [rest, enough, back]) await untilPayout(id, "PARTIALLY_PROCESSED");
    const moderate = (id: string, body: Json): Promise<Reply> => act(`/payout-invoices/${id}/moderation`, body);
    refusedWith(await moderate(rest, { act: "continue", reason: "Go on." }), 409, "no-route");
    refusedWith(await moderate(rest, { act: "continue" }), 422, "validation-failed");
    const changed = await moderate(rest, { act: "change", attemptsLimit: 2, reason: "Once more." });
    assert.deepEqual([changed.status, changed.body["attemptsLimit"]], [200, 2], JSON.stringify(changed.body));
    assert.equal((await moderate(rest, { act: "continue", reason: "Go on." })).status, 200);
    const isSecondOver = (body: Json): boolean => (body["payouts"] as Json[])[1]?.["status"] === "PARTIALLY_PROCESSED";
    const went = await gateway.until(rest, isSecondOver);
    assert.deepEqual([payoutIn(went, 1)["amount"], went["processedServiceAmount"]], [40, 84]);
    refusedWith(await moderate(rest, { act: "continue", reason: "Again." }), 409, "no-route");
    assert.equal((await moderate(rest, { act: "accept_partial", reason: "Enough." })).body["processedAmount"], 84);
    refusedWith(await moderate(rest, { act: "continue", reason: "Again." }), 409, "not-in-this-status");

    const accepted = await moderate(enough, { act: "accept_partial", reason: "The payee agrees." });
    assert.deepEqual([accepted.body["status"], accepted.body["processedAmount"]], ["partially_processed", 60]);
    assert.equal((await moderate(back, { act: "take_back", reason: "Not like this." })).status, 200);
    assert.equal((await until(back, "refunded"))["refundedAmount"], 60);
  });

  test("evidence says what became of a payout; that nothing was paid needs a document", async () => {
    const proof = { kind: "provider_report", value: "2026-11-20.csv", sha256: "a".repeat(64) };
    const payout = payoutIn(await gateway.until(lost, (body) => body["moderationRequired"] === true));
    const said = (evidence: Json, verdict = "not_paid"): Promise<Reply> =>
      onPayout(payout, "evidence", { reason: "The report does not list it.", verdict, evidence });
    refusedWith(await said({ kind: "text", value: "They say so." }), 422, "validation-failed");
    refusedWith(await said({ kind: "provider_report", value: "2026-11-20.csv" }), 422, "validation-failed");
    let decided = await said(proof);
    for (let tries = 0; decided.status !== 200; tries++) {
      refusedWith(decided, 409, "payout-in-flight");
      assert.ok(tries < 200, "the wait window ends");
      await sleep(100);
      decided = await said(proof);
    }
    assert.equal(decided.body["evidence"], "D4");
    assert.equal((await until(lost, "process_failed"))["processedAmount"], 0);
    assert.deepEqual(await gateway.openItems(String(payout["id"])), []);
    const paid = payoutIn(await until(await order("evidence-paid", "ok"), "processed"));
    const body = { reason: "x", verdict: "returned", amount: 101, evidence: { kind: "reference", value: "r-1" } };
    refusedWith(await onPayout(paid, "evidence", body), 409, "more-than-available");
    refusedWith(await onPayout(paid, "evidence", { ...body, verdict: "not_returned" }), 409, "not-in-this-status");
  });

  test("repeat sends the same reference again, but not before the first request can no longer arrive", async () => {
    const payout = payoutIn(await gateway.until(unheard, (body) => body["moderationRequired"] === true));
    for (let tries = 0; ; tries++) {
      const reply = await onPayout(payout, "repeat", { reason: "Proven harmless." });
      if (reply.status === 200) break;
      refusedWith(reply, 409, "payout-in-flight");
      assert.ok(tries < 200, "the wait window ends");
      await sleep(100);
    }
    const repeated = payoutIn(await gateway.until(unheard, (body) => payoutIn(body)["resolution"] === "DUPLICATED_ID"));
    assert.deepEqual([repeated["reference"], repeated["sends"]], [payout["reference"], 2]);
    const [booked] = (await gateway.providerBook()).filter(({ destination }) => destination === "payee-unheard");
    assert.equal(booked?.effective, 1);
    refusedWith(await onPayout(payout, "repeat"), 409, "payout-in-flight");
    // What the provider does not say, its report does.
    const evidence = { kind: "provider_report", value: "2026-11-20.csv", sha256: "c".repeat(64) };
    const said = (): Promise<Reply> => onPayout(payout, "evidence", { reason: "Listed.", verdict: "paid", evidence });
    for (let tries = 0; (await said()).status !== 200; tries++) {
      assert.ok(tries < 100, "no inquiry is out for ever");
      await sleep(20);
    }
    assert.equal((await invoiceOf(unheard))["status"], "processed");
  });

  test("an incident is settled by whom a person names, once", async () => {
    const id = await order("twice", "paid_again");
    const invoice = await gateway.until(id, (body) => Number(payoutIn(body)["incidentAmount"]) > 0);
    const payout = payoutIn(invoice);
    const settled = await onPayout(payout, "settle-incident", { reason: "Agreed.", chargeTo: "loss" });
    assert.deepEqual([settled.status, settled.body["incidentAmount"]], [200, 0], JSON.stringify(settled.body));
    const again = await onPayout(payout, "settle-incident", { reason: "Agreed.", chargeTo: "loss" });
    refusedWith(again, 409, "not-in-this-status");
    assert.equal((await gateway.call("GET", "/accounts/trial-balance")).body["balanced"], true);
  });
});

describe("who may act", () => {
  let world: World;
  const proof = { kind: "document", value: "The bank's letter.", sha256: "b".repeat(64) };
  const PAID = { reason: "The report lists it.", verdict: "paid", evidence: proof };
  let orders = 0;

  before(async () => {
    world = await openWorld();
    world.provider.answer = () => ({ kind: "timeout" });
    const { headers } = await world.call("GET", "/websites/web_demo");
    const change = { body: { secondPersonAbove: { USD: "50" } }, headers: { "if-match": String(headers["etag"]) } };
    const changed = await world.call("PATCH", "/websites/web_demo", change);
    assert.equal(changed.status, 200, changed.text);
  });
  after(async () => {
    assert.deepEqual(world.broken, []);
    await world.close();
  });

  /** A payout of so much whose outcome is not known. */
  async function unknown(amount: number): Promise<string> {
    const body = demoOrder(`who-${orders++}`, { amount, fields: { account: "payee" } });
    const { body: made } = await world.call("POST", "/payout-invoices", { body });
    const flagged = await world.until(
      `/payout-invoices/${String(made["id"])}`,
      (invoice) => invoice["moderationRequired"] === true,
    );
    return String((flagged["payouts"] as Json[])[0]?.["id"]);
  }

  const payout = async (id: string): Promise<Json> => (await world.call("GET", `/payouts/${id}`)).body;

  /** Says that it was paid, at the version that stands; again where an inquiry was in between, or is out. */
  async function sayPaid(id: string, key?: string) {
    for (let tries = 0; ; tries++) {
      const headers = at((await payout(id))["version"]);
      const ask = key === undefined ? { body: PAID, headers } : { body: PAID, headers, key };
      const reply = await world.call("POST", `/payouts/${id}/evidence`, ask);
      const isInBetween = reply.status === 412 || reply.body["code"] === "payout-in-flight";
      if (!isInBetween || tries > 100) return reply;
      await sleep(20);
    }
  }

  async function second(act: Json, word: string, key?: string) {
    for (let tries = 0; ; tries++) {
      const ask = { headers: at(act["version"]), ...(key === undefined ? {} : { key }) };
      const reply = await world.call("POST", `/moderation/acts/${String(act["id"])}/${word}`, ask);
      if (reply.body["code"] !== "payout-in-flight" || tries > 100) return reply;
      await sleep(20);
    }
  }

  test("below the limit one person decides", async () => {
    const id = await unknown(40);
    const done = await sayPaid(id);
    assert.deepEqual([done.status, done.body["status"]], [200, "PROCESSED"], done.text);
  });

  test("above it another person must confirm, and nothing is decided until then", async () => {
    const id = await unknown(60);
    const proposed = await sayPaid(id);
    assert.equal(proposed.status, 202, proposed.text);
    const { body: act } = proposed;
    assert.deepEqual([act["kind"], act["status"], act["confirmedBy"]], ["evidence", "proposed", null]);
    assert.equal((await payout(id))["status"], "INVOKING");
    const queue = await world.call("GET", `/moderation?filter=subject:${id};reason:second_person;status:open`);
    assert.equal((queue.body as unknown as Json[]).length, 1);

    const path = `/moderation/acts/${String(act["id"])}/confirm`;
    refusedWith(await world.call("POST", path), 428, "if-match-required");
    refusedWith(await world.call("POST", path, { headers: at(9) }), 412, "version-conflict");
    refusedWith(await second(act, "confirm"), 403, "second-person-needed");
    assert.equal((await payout(id))["status"], "INVOKING");

    const key = await world.makeKey({ role: "manager" });
    const confirmed = await second(act, "confirm", key);
    assert.equal(confirmed.status, 200, confirmed.text);
    assert.equal(confirmed.body["status"], "done");
    assert.notEqual(confirmed.body["confirmedBy"], confirmed.body["actor"]);
    assert.equal((await payout(id))["status"], "PROCESSED");
    refusedWith(await second(confirmed.body, "confirm", key), 409, "not-in-this-status");
    const left = await world.call("GET", `/moderation?filter=subject:${id};status:open`);
    assert.deepEqual(left.body, []);

    const lines = (await world.call("GET", `/payouts/${id}/timeline`)).body as unknown as Json[];
    const told = lines.filter((line) => line["type"] === "moderation.evidence");
    assert.deepEqual(
      told.map((line) => line["status"]),
      ["proposed", "done"],
    );
    assert.deepEqual(told[1]?.["evidence"], { kind: "document", sha256: "b".repeat(64) });
  });

  test("who has proposed it may withdraw it, and nothing has happened", async () => {
    const id = await unknown(60);
    const { body: act } = await sayPaid(id);
    const withdrawn = await second(act, "withdraw");
    assert.deepEqual([withdrawn.status, withdrawn.body["status"]], [200, "withdrawn"], withdrawn.text);
    assert.equal((await payout(id))["status"], "INVOKING");
    refusedWith(await second(withdrawn.body, "withdraw"), 409, "not-in-this-status");
    const acts = await world.call("GET", `/moderation/acts?filter=subject:${id};status:withdrawn`);
    assert.equal((acts.body as unknown as Json[]).length, 1);
  });

  test("roles that only look act on nothing", async () => {
    const id = await unknown(40);
    for (const role of ["support", "viewer"] as const) {
      const key = await world.makeKey({ role });
      refusedWith(await sayPaid(id, key), 403, "forbidden");
      refusedWith(await world.call("POST", `/payouts/${id}/inquire`, { key }), 403, "forbidden");
    }
    for (const role of ["administrator", "manager", "developer"] as const) {
      const key = await world.makeKey({ role });
      const reply = await world.call("POST", `/payouts/${id}/inquire`, { key });
      assert.ok(reply.status === 200 || reply.body["code"] === "payout-in-flight", `${role} ${reply.text}`);
    }
    const live = await world.makeKey({ role: "developer", kind: "live" });
    refusedWith(await world.call("POST", `/payouts/${id}/inquire`, { key: live }), 403, "forbidden");
    const other = await world.makeKey({ organization: "org_other" });
    refusedWith(await world.call("POST", `/payouts/${id}/inquire`, { key: other }), 404, "not-found");
  });
});
