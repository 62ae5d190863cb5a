/** Cancels of an amount, commands that are told to come later, forced answers, and all of it over a restart. */
import { deepEqual, equal } from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import type { Account, Answer, CancelQuery } from "../../src/connectors/contract.ts";
import { sandbox as connector } from "../../src/connectors/sandbox/connector.ts";
import { COMMAND_REFUSALS } from "../../src/connectors/sandbox/words.ts";
import { choosePlan, FORCING_FIELDS, planNamed, REASONS } from "../../src/sandbox/outcomes.ts";
import { openSandbox, type Sandbox } from "../../src/sandbox/server.ts";
import {
  ask,
  book,
  command,
  errorOf,
  freshFolder,
  inquire,
  openReceiver,
  post,
  type Receiver,
  SECRET,
  type Seen,
  setControl,
  statusOf,
  until,
} from "./client.ts";

let sandbox: Sandbox;
let receiver: Receiver;
let url = "";
let dataDir = "";
let removeFolder: () => Promise<void>;

async function open(): Promise<void> {
  const onFault = (error: unknown): void => {
    throw error;
  };
  sandbox = await openSandbox({ dataDir, port: 0, instance: "test", onFault });
  url = `http://127.0.0.1:${sandbox.port}`;
}

async function restart(): Promise<void> {
  await sandbox.close();
  await open();
}

before(async () => {
  const folder = await freshFolder();
  removeFolder = folder.remove;
  dataDir = folder.path;
  receiver = await openReceiver();
  await open();
  await setControl(url, { timeoutMs: 30, answerDelayMs: 10, callbackDelayMs: 10, lateMs: 60 });
});

after(async () => {
  await sandbox.close();
  receiver.close();
  await removeFolder();
});

const account: Account = { id: "pacc_1", settings: {}, credentials: { secret: SECRET }, callbackUrl: null };

/** A cancel as the connector sends it, and its reading; null: no answer came. */
async function cancel(reference: string, cancelMinor: bigint | null): Promise<Answer | null> {
  const order = { reference, providerReference: null, amountMinor: 10078n, currency: "USD" };
  const query: CancelQuery = { ...order, destination: { account: "4242" }, cancelMinor };
  const draft = connector.cancel?.build(query, account, 0);
  const { method, path, headers, body } = draft ?? { method: "POST", path: "", headers: {}, body: null };
  const seen = await ask(url, { method, path, headers, ...(body === null ? {} : { body }) });
  if (seen.http === 0) return null;
  return connector.cancel?.read({ status: seen.http, headers: {}, body: seen.text }, query) ?? null;
}

const briefOf = (seen: Seen): string => {
  if (seen.http === 0) return "silence";
  if (seen.http !== 200) return `${seen.http} ${errorOf(seen)}`;
  try {
    return `200 ${statusOf(seen)}`;
  } catch {
    return "unreadable";
  }
};

const isStatus = (reference: string, status: string) => async (): Promise<boolean> =>
  (await book(url, reference))[0]?.status === status;

describe("a cancel of an amount", () => {
  test("amounts add up to what was paid, each with an id, a sequence and a callback of its own", async () => {
    await post(url, "part-1", { scenario: "ok_sync", callbackUrl: receiver.url });
    const answers = [await cancel("part-1", 1n), await cancel("part-1", 4000n), await cancel("part-1", 6077n)];
    deepEqual(
      answers.map((answer) => [answer?.sent, answer?.fact, answer?.returnedMinor, answer?.sequence]),
      [
        ["accepted", "returned", 1n, 2],
        ["accepted", "returned", 4001n, 3],
        ["accepted", "returned", 10078n, 4],
      ],
    );
    deepEqual(
      answers.map((answer) => answer?.providerStatus),
      ["returned_part", "returned_part", "returned"],
    );
    equal(new Set(answers.map((answer) => answer?.returnId)).size, 3);
    const [row] = await book(url, "part-1");
    deepEqual([row?.status, row?.paidAmount, row?.returnedAmount, row?.effective], ["returned", "100.78", "100.78", 1]);
    await until("three callbacks", () => receiver.of("part-1").length === 3);
    equal(new Set(receiver.of("part-1").map(({ message }) => message["messageId"])).size, 3);
  });

  test("after a part, a cancel without an amount brings back the rest; what is back cannot come back again", async () => {
    await post(url, "part-2", { scenario: "partial" });
    await until("60 % are paid", isStatus("part-2", "paid_part"));
    equal((await cancel("part-2", 46n))?.returnedMinor, 46n);
    equal((await cancel("part-2", 6001n))?.sent, "refused");
    const rest = await cancel("part-2", null);
    deepEqual([rest?.returnedMinor, rest?.paidMinor, rest?.providerStatus], [6046n, 6046n, "returned"]);
    const over = await cancel("part-2", 1n);
    deepEqual([over?.sent, over?.fact, over?.resolution], ["refused", "ignore", "LIMIT_VIOLATION"]);
    equal((await cancel("part-2", null))?.providerStatus, "returned", "once more is the same");
    equal((await book(url, "part-2"))[0]?.returnedAmount, "60.46");
  });

  test("too much, nothing and what is no amount change nothing", async () => {
    await post(url, "part-3", { scenario: "ok_sync", callbackUrl: receiver.url });
    const [before] = await book(url, "part-3");
    for (const amount of ["100.79", "0", "0.00", "-1", "-0.01", "9".repeat(30)]) {
      equal(briefOf(await command(url, "part-3", "cancel", JSON.stringify({ amount }))), "422 over_limit", amount);
    }
    for (const body of ["{", "[]", "null", '{"amount":1}', '{"amount":"1.001"}', '{"amount":""}', '{"amount":null}']) {
      equal(briefOf(await command(url, "part-3", "cancel", body)), "400 invalid_request", body);
    }
    deepEqual(await book(url, "part-3"), [before]);
    equal(receiver.of("part-3").length, 0);
    equal(briefOf(await command(url, "part-3", "cancel", "{}")), "200 returned");
  });

  test("an order that is not paid has nothing to cancel, by whatever amount", async () => {
    await post(url, "part-4", { scenario: "revoke_ok" });
    equal(briefOf(await command(url, "part-4", "cancel", '{"amount":"0.01"}')), "422 over_limit");
    equal(briefOf(await command(url, "part-4", "cancel")), "409 cancel_refused");
    equal(statusOf(await inquire(url, "part-4")), "queued");
  });

  test("it goes the way that the scenario says", async () => {
    // Time enough to ask again while it is under way, also on a slow machine.
    await setControl(url, { lateMs: 1_000 });
    await post(url, "part-5", { scenario: "cancel_slow" });
    await until("paid", isStatus("part-5", "paid"));
    equal((await cancel("part-5", 78n))?.fact, "returning");
    equal((await cancel("part-5", 78n))?.fact, "returning", "asked again while it is under way");
    await until("a part is back", isStatus("part-5", "returned_part"));
    equal((await book(url, "part-5"))[0]?.returnedAmount, "0.78");
    equal((await cancel("part-5", 10_000n))?.fact, "returning");
    await until("all is back", isStatus("part-5", "returned"));
    await setControl(url, { lateMs: 60 });
    equal((await book(url, "part-5"))[0]?.returnedAmount, "100.78");
  });

  test("currencies keep their decimals", async () => {
    await post(url, "part-6", { scenario: "ok_sync", amount: "5000", currency: "JPY" });
    equal(briefOf(await command(url, "part-6", "cancel", '{"amount":"1.5"}')), "400 invalid_request");
    equal(briefOf(await command(url, "part-6", "cancel", '{"amount":"4999"}')), "200 returned_part");
    equal(briefOf(await command(url, "part-6", "cancel", '{"amount":"2"}')), "422 over_limit");
    equal(briefOf(await command(url, "part-6", "cancel", '{"amount":"1"}')), "200 returned");
  });

  test("a restart forgets no return", async () => {
    await post(url, "part-7", { scenario: "ok_sync" });
    const first = await cancel("part-7", 4000n);
    await restart();
    equal((await inquire(url, "part-7")).http, 200);
    const [row] = await book(url, "part-7");
    deepEqual([row?.status, row?.returnedAmount], ["returned_part", "40.00"]);
    equal((await cancel("part-7", 6079n))?.sent, "refused");
    const second = await cancel("part-7", 6078n);
    deepEqual([second?.providerStatus, second?.returnedMinor, second?.sequence], ["returned", 10078n, 3]);
    equal(first?.returnId === second?.returnId, false);
  });
});

describe("a command that is told to come later", () => {
  test("is counted over a restart, says when, and does nothing until then", async () => {
    for (const [scenario, name, from, to] of [
      ["revoke_later", "revoke", "queued", "recalled"],
      ["cancel_later", "cancel", "paid", "returned"],
    ] as const) {
      await post(url, scenario, { scenario, callbackUrl: receiver.url });
      await until(from, isStatus(scenario, from));
      const first = await command(url, scenario, name);
      deepEqual([briefOf(first), first.headers["retry-after"]], ["429 rate_limited", "1"]);
      await restart();
      equal((await book(url, scenario))[0]?.status, from);
      equal(briefOf(await command(url, scenario, name)), "429 rate_limited");
      await restart();
      equal((await book(url, scenario))[0]?.status, from);
      equal(briefOf(await command(url, scenario, name)), `200 ${to}`);
      await restart();
      equal((await book(url, scenario))[0]?.status, to);
    }
  });

  test("what a slow command brings about comes after a restart too, with its callback", async () => {
    await setControl(url, { lateMs: 300 });
    await post(url, "slow-1", { scenario: "cancel_slow_refused", callbackUrl: receiver.url });
    await setControl(url, { lateMs: 60 });
    await until("paid", isStatus("slow-1", "paid"));
    equal(briefOf(await command(url, "slow-1", "cancel")), "200 returning");
    await restart();
    await until("the reversal broke off", isStatus("slow-1", "paid"));
    await until("both callbacks", () => receiver.of("slow-1").length === 2);
    deepEqual(
      receiver.of("slow-1").map(({ message }) => [message["status"], message["sequence"]]),
      [
        ["paid", 2],
        ["paid", 4],
      ],
    );
  });
});

describe("forced answers", () => {
  type Request = keyof typeof FORCING_FIELDS;
  const REQUESTS = Object.keys(FORCING_FIELDS) as Request[];

  /** How an answer of these reasons looks from outside. */
  function looks(resolution: keyof typeof REASONS): string {
    const { answer } = REASONS[resolution];
    if (answer.kind === "error") return `${answer.http} ${answer.code}`;
    return answer.kind === "withheld" ? "silence" : answer.kind === "shown" ? "200 frobnicated" : "unreadable";
  }

  function request(what: Request, reference: string, over: Record<string, unknown>): Promise<Seen> {
    if (what === "repeat") return post(url, reference, over);
    return what === "inquire" ? inquire(url, reference) : command(url, reference, what);
  }

  test("each resolution answers each request, as often as it comes, and nothing is done", async () => {
    for (const what of REQUESTS) {
      for (const resolution of Object.keys(REASONS) as (keyof typeof REASONS)[]) {
        const reference = `f-${what}-${resolution}`;
        const over = {
          scenario: what === "revoke" ? "revoke_ok" : "ok_sync",
          fields: { [FORCING_FIELDS[what]]: resolution },
        };
        equal((await post(url, reference, over)).http, 200);
        const [row] = await book(url, reference);
        for (let time = 0; time < 2; time += 1) {
          equal(briefOf(await request(what, reference, over)), looks(resolution), reference);
        }
        deepEqual(await book(url, reference), [row], reference);
      }
    }
  });

  test("a forced answer to a command refuses it only where the connector has it listed", async () => {
    for (const resolution of Object.keys(REASONS) as (keyof typeof REASONS)[]) {
      const answer = await cancel(`f-cancel-${resolution}`, 1n);
      if (answer === null) continue;
      const isListed = COMMAND_REFUSALS.cancel.some((key) => key === looks(resolution));
      equal(answer.sent, isListed ? "refused" : "unknown", resolution);
      equal(answer.fact, isListed ? "ignore" : "unknown", resolution);
      equal(answer.resolution, resolution);
    }
  });

  test("they stand above the scenario, and above an order that is not there", async () => {
    const fields = { test_details_scenario: "inquiry_401", [FORCING_FIELDS.inquire]: "FORBIDDEN_IP" };
    await post(url, "f-1", { fields });
    equal(briefOf(await inquire(url, "f-1")), "403 address_not_allowed");
    const lost = { test_details_scenario: "timeout_absent", [FORCING_FIELDS.inquire]: "INVALID_CREDENTIALS" };
    equal(briefOf(await post(url, "f-2", { fields: lost })), "silence");
    equal(briefOf(await inquire(url, "f-2")), "401 unauthorized");
    equal(briefOf(await command(url, "f-2", "revoke")), "404 not_found");
    const later = { test_details_scenario: "late_refused_paid", [FORCING_FIELDS.inquire]: "UNKNOWN" };
    await post(url, "f-3", { fields: later });
    equal(briefOf(await inquire(url, "f-3")), "200 frobnicated");
    await until("it is paid late", isStatus("f-3", "paid"));
    equal(briefOf(await inquire(url, "f-3")), "200 frobnicated");
  });

  test("a restart rebuilds them from the plan's name, booked or not", async () => {
    await restart();
    equal(briefOf(await inquire(url, "f-1")), "403 address_not_allowed");
    equal(briefOf(await inquire(url, "f-2")), "401 unauthorized");
    equal(briefOf(await command(url, "f-cancel-INVALID_AMOUNT", "cancel")), "422 invalid_amount");
    equal(briefOf(await post(url, "f-repeat-SIGNATURE_ERROR", { scenario: "ok_sync" })), "401 bad_signature");
    equal((await book(url, "f-repeat-SIGNATURE_ERROR"))[0]?.effective, 1);
  });

  test("a plan's name says all of it", () => {
    const fields = {
      [FORCING_FIELDS.cancel]: "OK",
      [FORCING_FIELDS.inquire]: "INVALID_CREDENTIALS",
      test_details_payout_status: "PROCESS_FAILED",
    };
    equal(choosePlan({ scenario: null, fields }, "any"), "PROCESS_FAILED/OK+inquire:INVALID_CREDENTIALS+cancel:OK");
    const name = choosePlan({ scenario: "ok", fields }, "any");
    equal(name, "ok+inquire:INVALID_CREDENTIALS+cancel:OK");
    deepEqual(planNamed(name), {
      ...planNamed("ok"),
      forced: { inquire: REASONS.INVALID_CREDENTIALS.answer, cancel: REASONS.OK.answer },
    });
    for (const bad of ["ok+inquire:NICE", "ok+ask:OK", "none+inquire:OK", "ok+", "ok+constructor:OK"]) {
      equal(planNamed(bad), null, bad);
    }
  });

  test("a resolution that is none is named as wrong", async () => {
    const fields = Object.fromEntries(Object.values(FORCING_FIELDS).map((field) => [field, "NICE"]));
    const seen = await post(url, "f-bad", { fields });
    const named = (JSON.parse(seen.text) as { fields: { field: string }[] }).fields.map(({ field }) => field);
    deepEqual([seen.http, named.toSorted()], [400, Object.values(FORCING_FIELDS).toSorted()]);
    deepEqual(await book(url, "f-bad"), []);
  });
});
