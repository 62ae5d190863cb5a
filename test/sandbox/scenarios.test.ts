/** Every scenario over real HTTP: what the first request is answered, what the book and an inquiry say in the end. */
import { deepEqual, equal } from "node:assert/strict";
import { createHmac } from "node:crypto";
import { after, before, describe, test } from "node:test";
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

type Name = keyof typeof SCENARIOS;

interface Expected {
  /** "200 status", "http error", "silence" or "unreadable". */
  readonly answer: string;
  /** Asked when the operation has this status. */
  readonly ask?: readonly ["revoke" | "cancel", at: string, answer: string];
  /** Status, effective, paid, returned; null: not in the book. */
  readonly ends: readonly [string, number, string, string] | null;
  /** Of an inquiry at the end. */
  readonly inquiry: string;
  /** Statuses of the callbacks in the order in which they came; a forged one is marked. */
  readonly callbacks: readonly string[];
}

const PAID = ["paid", 1, "100.78", "0.00"] as const;
const NOTHING = ["0.00", "0.00"] as const;

const EXPECTED: Readonly<Record<Name, Expected>> = {
  ok: { answer: "200 accepted", ends: PAID, inquiry: "200 paid", callbacks: ["paid"] },
  ok_sync: { answer: "200 paid", ends: PAID, inquiry: "200 paid", callbacks: [] },
  slow: { answer: "200 accepted", ends: PAID, inquiry: "200 paid", callbacks: ["paid"] },
  pending_paid: { answer: "200 accepted", ends: PAID, inquiry: "200 paid", callbacks: ["queued", "paid"] },
  timeout_paid: { answer: "silence", ends: PAID, inquiry: "200 paid", callbacks: [] },
  reset_paid: { answer: "silence", ends: PAID, inquiry: "200 paid", callbacks: [] },
  http_500_paid: { answer: "500 internal_fault", ends: PAID, inquiry: "200 paid", callbacks: [] },
  unreadable_paid: { answer: "unreadable", ends: PAID, inquiry: "200 paid", callbacks: [] },
  refused: { answer: "422 declined", ends: ["refused", 0, ...NOTHING], inquiry: "404 not_found", callbacks: [] },
  pending_failed: {
    answer: "200 accepted",
    ends: ["failed", 0, ...NOTHING],
    inquiry: "200 failed",
    callbacks: ["failed"],
  },
  timeout_absent: { answer: "silence", ends: null, inquiry: "404 not_found", callbacks: [] },
  http_500_absent: { answer: "500 internal_fault", ends: null, inquiry: "404 not_found", callbacks: [] },
  unknown_word: {
    answer: "200 frobnicated",
    ends: ["frobnicated", 1, "100.78", "0.00"],
    inquiry: "200 frobnicated",
    callbacks: [],
  },
  duplicate_id: { answer: "409 duplicate_reference", ends: PAID, inquiry: "200 paid", callbacks: [] },
  rate_limited: { answer: "429 rate_limited", ends: null, inquiry: "404 not_found", callbacks: [] },
  callback_lost: { answer: "200 accepted", ends: PAID, inquiry: "200 paid", callbacks: [] },
  callback_doubled: { answer: "200 accepted", ends: PAID, inquiry: "200 paid", callbacks: ["paid", "paid"] },
  callback_swapped: { answer: "200 accepted", ends: PAID, inquiry: "200 paid", callbacks: ["paid", "accepted"] },
  callback_forged: {
    answer: "200 accepted",
    ends: PAID,
    inquiry: "200 paid",
    callbacks: ["forged failed", "forged paid", "paid"],
  },
  callback_before_answer: { answer: "200 accepted", ends: PAID, inquiry: "200 paid", callbacks: ["paid"] },
  wrong_amount: {
    answer: "200 accepted",
    ends: ["paid", 1, "110.85", "0.00"],
    inquiry: "200 paid",
    callbacks: ["paid"],
  },
  inquiry_401: { answer: "silence", ends: PAID, inquiry: "401 unauthorized", callbacks: [] },
  inquiry_404_then_paid: { answer: "silence", ends: PAID, inquiry: "200 paid", callbacks: [] },
  repeat_refused: { answer: "silence", ends: PAID, inquiry: "500 internal_fault", callbacks: [] },
  partial: {
    answer: "200 accepted",
    ends: ["paid_part", 1, "60.46", "0.00"],
    inquiry: "200 paid_part",
    callbacks: ["paid_part"],
  },
  partial_then_rest: { answer: "200 accepted", ends: PAID, inquiry: "200 paid", callbacks: ["queued", "paid"] },
  late_return: {
    answer: "200 accepted",
    ends: ["returned", 1, "100.78", "100.78"],
    inquiry: "200 returned",
    callbacks: ["paid", "returning", "returned"],
  },
  return_part: {
    answer: "200 accepted",
    ends: ["returned_part", 1, "100.78", "40.31"],
    inquiry: "200 returned_part",
    callbacks: ["paid", "returned_part"],
  },
  return_twice: {
    answer: "200 accepted",
    ends: ["returned", 1, "100.78", "100.78"],
    inquiry: "200 returned",
    callbacks: ["paid", "returned_part", "returned"],
  },
  late_paid: { answer: "200 accepted", ends: PAID, inquiry: "200 paid", callbacks: ["failed", "paid"] },
  refused_then_paid: { answer: "422 declined", ends: PAID, inquiry: "200 paid", callbacks: ["paid"] },
  paid_more: { answer: "200 accepted", ends: ["paid", 1, "120.93", "0.00"], inquiry: "200 paid", callbacks: ["paid"] },
  revoke_ok: {
    answer: "200 queued",
    ask: ["revoke", "queued", "200 recalled"],
    ends: ["recalled", 0, ...NOTHING],
    inquiry: "200 recalled",
    callbacks: ["recalled"],
  },
  revoke_refused: {
    answer: "200 queued",
    ask: ["revoke", "queued", "409 revoke_refused"],
    ends: PAID,
    inquiry: "200 paid",
    callbacks: ["paid"],
  },
  revoke_then_paid: {
    answer: "200 queued",
    ask: ["revoke", "queued", "200 recalled"],
    ends: PAID,
    inquiry: "200 paid",
    callbacks: ["recalled", "paid"],
  },
  cancel_ok: {
    answer: "200 accepted",
    ask: ["cancel", "paid", "200 returned"],
    ends: ["returned", 1, "100.78", "100.78"],
    inquiry: "200 returned",
    callbacks: ["paid", "returned"],
  },
  cancel_refused: {
    answer: "200 accepted",
    ask: ["cancel", "paid", "409 cancel_refused"],
    ends: PAID,
    inquiry: "200 paid",
    callbacks: ["paid"],
  },
  cancel_timeout: {
    answer: "200 accepted",
    ask: ["cancel", "paid", "silence"],
    ends: ["returned", 1, "100.78", "100.78"],
    inquiry: "200 returned",
    callbacks: ["paid"],
  },
  needs_details: {
    answer: "200 held",
    ends: ["held", 0, ...NOTHING],
    inquiry: "200 held",
    callbacks: ["held"],
  },
};

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
    // A callback's delay is long enough that two of them keep their order.
    await setControl(url, { timeoutMs: 150, answerDelayMs: 100, callbackDelayMs: 300, lateMs: 400 });
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
      const [what, at, answer] = expected.ask;
      await until(`${name} is ${at}`, async () => (await book(url, reference))[0]?.status === at);
      equal(brief(await command(url, reference, what)), answer, what);
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
    equal(brief(await inquire(url, reference)), expected.inquiry, "an inquiry");
    deepEqual(await ends(), expected.ends, "an inquiry changes nothing");
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
    deepEqual(others, ["refused 422 declined", "repeat_refused 422 insufficient_funds"]);
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

  test("a refused callback comes again", async () => {
    receiver.refuseNext = 1;
    await post(url, "stubborn", { scenario: "ok", callbackUrl: receiver.url });
    await until("the second attempt", () => heard("stubborn").length === 2);
  });
});
