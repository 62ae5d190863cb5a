/** Every scenario over real HTTP: what the first request is answered, what the book and an inquiry say in the end. */
import { deepEqual, equal } from "node:assert/strict";
import { createHmac } from "node:crypto";
import { after, before, describe, test } from "node:test";
import type { Account, Answer, CancelQuery } from "../../src/connectors/contract.ts";
import { sandbox as connector } from "../../src/connectors/sandbox/connector.ts";
import { STATUSES } from "../../src/connectors/sandbox/words.ts";
import { SCENARIOS } from "../../src/sandbox/scenarios.ts";
import { openSandbox, type Sandbox } from "../../src/sandbox/server.ts";
import {
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
import { EXPECTED, type Expected, type Name } from "./expected.ts";

const account: Account = { id: "pacc_1", settings: {}, credentials: { secret: SECRET }, callbackUrl: null };

function brief(seen: Seen): string {
  if (seen.http === 0) return "silence";
  if (seen.http >= 300) return `${seen.http} ${errorOf(seen)}`;
  try {
    return `${seen.http} ${statusOf(seen)}`;
  } catch {
    return "unreadable";
  }
}

/** Whether the account's secret made the signature. */
function isGenuine(signature: string, body: string): boolean {
  const [, time = "", mac = ""] = /^t=(\d+),v1=([0-9a-f]{64})$/.exec(signature) ?? [];
  return createHmac("sha256", SECRET).update(`${time}.${body}`).digest("hex") === mac;
}

const sequenceOf = (seen: Seen): unknown => (JSON.parse(seen.text) as { sequence: unknown }).sequence;

/** What the connector reads in an answer; null: none came. */
function read(what: "inquire" | "revoke" | "cancel", reference: string, seen: Seen): Answer | null {
  const destination = { account: "4242" };
  const order = { reference, providerReference: null, amountMinor: 10078n, currency: "USD", destination };
  const query: CancelQuery = { ...order, cancelMinor: null };
  const { "retry-after": later } = seen.headers;
  const headers: Record<string, string> = later === undefined ? {} : { "retry-after": later };
  const result = { status: seen.http, headers, body: seen.text };
  return seen.http === 0 ? null : (connector[what]?.read(result, query) ?? null);
}

/** The connector's reading says what the provider said: its status and amounts, its refusal, or that nothing is known. */
function readsLike(answer: Answer | null, seen: Seen): void {
  if (seen.http === 0) return equal(answer, null);
  if (seen.http === 429) {
    return deepEqual([answer?.sent, answer?.fact, answer?.retryAfterMs], ["not_now", "unknown", 1000]);
  }
  if (seen.http === 409) return deepEqual([answer?.sent, answer?.fact], ["refused", "ignore"]);
  if (seen.http === 404) return deepEqual([answer?.sent, answer?.found], ["unknown", "no"]);
  if (seen.http !== 200) return deepEqual([answer?.sent, answer?.fact], ["unknown", "unknown"]);
  const said = JSON.parse(seen.text) as { status: string; paidAmount: string; returnedAmount: string };
  equal(answer?.fact, STATUSES[said.status] ?? "unknown");
  const minor = (text: string): bigint => BigInt(text.replace(".", ""));
  deepEqual([answer?.paidMinor, answer?.returnedMinor], [minor(said.paidAmount), minor(said.returnedAmount)]);
}

describe("scenarios", () => {
  let sandbox: Sandbox;
  let receiver: Receiver;
  let url = "";
  let removeFolder: () => Promise<void>;

  before(async () => {
    const folder = await freshFolder();
    removeFolder = folder.remove;
    receiver = await openReceiver();
    const onFault = (error: unknown): void => {
      throw error;
    };
    sandbox = await openSandbox({ dataDir: folder.path, port: 0, instance: "test", onFault });
    url = `http://127.0.0.1:${sandbox.port}`;
    // A callback's delay is long enough that two of them keep their order; what comes late leaves a slow machine the
    // time to ask four times before it.
    await setControl(url, { timeoutMs: 150, answerDelayMs: 100, callbackDelayMs: 300, lateMs: 1_200 });
  });

  after(async () => {
    await sandbox.close();
    receiver.close();
    await removeFolder();
  });

  const heard = (reference: string): string[] =>
    receiver.of(reference).map(({ signature, body, message }) => {
      const mark = isGenuine(signature, body) ? "" : "forged ";
      return `${mark}${String(message["status"])}`;
    });

  async function play(name: Name): Promise<void> {
    const expected: Expected = EXPECTED[name];
    const reference = `x-${name}`;
    const fields = { test_details_scenario: name };
    equal(brief(await post(url, reference, { fields, callbackUrl: receiver.url })), expected.answer, "the answer");
    if (expected.ask !== undefined) {
      const [what, at, ...answers] = expected.ask;
      await until(`${name} is ${at}`, async () => (await book(url, reference))[0]?.status === at);
      for (const answer of answers) {
        const seen = await command(url, reference, what);
        equal(brief(seen), answer, what);
        readsLike(read(what, reference, seen), seen);
      }
    }
    const ends = async (): Promise<unknown> => {
      const [row] = await book(url, reference);
      return row === undefined ? null : [row.status, row.effective, row.paidAmount, row.returnedAmount];
    };
    await until(`${name} ends`, async () => JSON.stringify(await ends()) === JSON.stringify(expected.ends));
    await until(`${name}'s callbacks`, () => heard(reference).length >= expected.callbacks.length);
    // The two forgeries leave at the same moment on connections of their own.
    const order = (words: readonly string[]): readonly string[] =>
      name === "callback_forged" ? words.toSorted() : words;
    deepEqual(order(heard(reference)), order(expected.callbacks), "callbacks");
    const asked = await inquire(url, reference);
    equal(brief(asked), expected.inquiry, "an inquiry");
    deepEqual(await ends(), expected.ends, "an inquiry changes nothing");
    const answer = read("inquire", reference, asked);
    readsLike(answer, asked);
    if (asked.http === 200) deepEqual([answer?.found, answer?.sequence], ["yes", sequenceOf(asked)]);
    for (const { body, message } of receiver.of(reference)) {
      const [news] = connector.readCallback?.({ headers: {}, body }, account) ?? [];
      equal(news?.reference, reference);
      equal(news?.answer.fact, STATUSES[String(message["status"])], "the connector's reading of a callback");
    }
  }

  describe("each", { concurrency: 16 }, () => {
    for (const name of Object.keys(SCENARIOS) as Name[]) test(name, () => play(name));
  });

  test("a second request with a reference never pays again, in any scenario", async () => {
    const names = (Object.keys(SCENARIOS) as Name[]).filter((name) => EXPECTED[name].ends !== null);
    const words = await Promise.all(
      names.map(async (name) => {
        const reference = `x-${name}`;
        const [row] = await book(url, reference);
        const again = await post(url, reference, { amount: "7.00", fields: { test_details_scenario: "ok_sync" } });
        deepEqual(await book(url, reference), row === undefined ? [] : [row], name);
        return `${name} ${brief(again)}`;
      }),
    );
    const others = words.filter((word) => !word.endsWith(" 409 duplicate_reference"));
    deepEqual(others, [
      "refused 422 declined",
      "repeat_refused 422 insufficient_funds",
      "late_limited_queued 429 rate_limited",
      "late_limited_paid 429 rate_limited",
      "late_limited_part 429 rate_limited",
    ]);
  });

  test("what is absent stays absent when it is asked for again", async () => {
    for (const name of ["timeout_absent", "http_500_absent"] as const) {
      const again = await post(url, `x-${name}`, { fields: { test_details_scenario: name } });
      equal(brief(again), EXPECTED[name].answer);
      deepEqual(await book(url, `x-${name}`), []);
    }
  });

  test("rate_limited lets the third request through", async () => {
    const again = (): Promise<Seen> =>
      post(url, "x-rate_limited", { fields: { test_details_scenario: "rate_limited" } });
    const second = await again();
    equal(brief(second), "429 rate_limited");
    equal(second.headers["retry-after"], "1");
    equal(brief(await again()), "200 accepted");
    equal(brief(await again()), "409 duplicate_reference");
    equal((await book(url, "x-rate_limited")).length, 1);
  });

  test("callback_before_answer delivers before it answers", async () => {
    equal(
      brief(await post(url, "first-heard", { scenario: "callback_before_answer", callbackUrl: receiver.url })),
      "200 accepted",
    );
    deepEqual(heard("first-heard"), ["paid"]);
  });

  test("inquiry_404_then_paid is absent at first", async () => {
    const posted = post(url, "late-arrival", { scenario: "inquiry_404_then_paid" });
    equal(brief(await inquire(url, "late-arrival")), "404 not_found");
    deepEqual(await book(url, "late-arrival"), []);
    equal(brief(await posted), "silence");
    await until("it arrives", async () => brief(await inquire(url, "late-arrival")) === "200 paid");
  });

  test("wrong_amount names another amount in every message", async () => {
    const named = (text: string): unknown => (JSON.parse(text) as { amount: unknown }).amount;
    const reference = "x-wrong_amount";
    equal(named((await inquire(url, reference)).text), "110.85");
    equal(receiver.of(reference)[0]?.message["amount"], "110.85");
    equal((await book(url, reference))[0]?.amount, "100.78");
    equal(named((await post(url, "wrong-1", { scenario: "wrong_amount", amount: "0.01" })).text), "0.02");
  });

  test("returns have ids of their own and amounts that add up", () => {
    const returns = receiver
      .of("x-return_twice")
      .map(({ message }) => [message["returnId"], message["returnedAmount"]]);
    deepEqual(
      returns.map(([, amount]) => amount),
      ["0.00", "40.31", "100.78"],
    );
    equal(new Set(returns.map(([id]) => id)).size, 3);
  });

  test("messages carry a sequence, and a doubled callback has one message id", () => {
    const swapped = receiver.of("x-callback_swapped").map(({ message }) => message["sequence"]);
    deepEqual(swapped, [2, 1]);
    const doubled = receiver.of("x-callback_doubled").map(({ message }) => message["messageId"]);
    equal(new Set(doubled).size, 1);
  });

  test("paid again is another payment: the amounts go on, and each has a sequence of its own", () => {
    const told = (name: Name): unknown[] =>
      receiver
        .of(`x-${name}`)
        .map(({ message }) => [message["sequence"], message["paidAmount"], message["returnedAmount"]]);
    const once = [
      [2, "100.78", "0.00"],
      [3, "100.78", "100.78"],
    ];
    deepEqual(told("paid_again"), [...once, [4, "201.56", "100.78"]]);
    deepEqual(told("queued_again"), [...once, [4, "100.78", "100.78"], [5, "201.56", "100.78"]]);
    deepEqual(
      told("cancel_slow_refused").map((each) => (each as unknown[])[0]),
      [2, 4],
    );
  });

  test("a request that is told to come later seems to have done nothing, and is carried out late", async () => {
    const asked = post(url, "limited-1", { scenario: "late_limited_paid" });
    equal(brief(await asked), "429 rate_limited");
    equal((await asked).headers["retry-after"], "1");
    equal(brief(await inquire(url, "limited-1")), "404 not_found");
    deepEqual(await book(url, "limited-1"), []);
    equal(brief(await post(url, "limited-1", { scenario: "late_limited_paid" })), "429 rate_limited");
    await until("it is carried out", async () => brief(await inquire(url, "limited-1")) === "200 paid");
    equal(brief(await post(url, "limited-1", { scenario: "late_limited_paid" })), "429 rate_limited");
    equal((await book(url, "limited-1"))[0]?.effective, 1);
  });

  test("a refused callback comes again", async () => {
    receiver.refuseNext = 1;
    await post(url, "stubborn", { scenario: "ok", callbackUrl: receiver.url });
    await until("the second attempt", () => heard("stubborn").length === 2);
  });
});
