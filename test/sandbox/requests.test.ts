/** What the provider's door lets in, what it names as wrong, and what the test fields bring about. */
import { deepEqual, equal } from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { OUTCOMES, REASONS } from "../../src/sandbox/outcomes.ts";
import { openSandbox, type Sandbox } from "../../src/sandbox/server.ts";
import {
  ask,
  bearer,
  book,
  command,
  errorOf,
  freshFolder,
  inquire,
  openReceiver,
  post,
  type Receiver,
  type Seen,
  setControl,
  statusOf,
  until,
} from "./client.ts";

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
  await setControl(url, { timeoutMs: 50, answerDelayMs: 20, callbackDelayMs: 10, lateMs: 20 });
});

after(async () => {
  await sandbox.close();
  receiver.close();
  await removeFolder();
});

const problemsOf = (seen: Seen): string[] => {
  const { fields } = JSON.parse(seen.text) as { fields: { field: string }[] };
  return fields.map(({ field }) => field).toSorted();
};

describe("the door", () => {
  test("every call about payouts needs a secret", async () => {
    const calls = [
      { method: "POST", path: "/payouts", body: "{}" },
      { method: "GET", path: "/payouts/abc" },
      { method: "POST", path: "/payouts/abc/revoke" },
      { method: "POST", path: "/payouts/abc/cancel" },
    ];
    for (const call of calls) equal(errorOf(await ask(url, call)), "unauthorized", call.path);
    equal((await ask(url, { method: "GET", path: "/payouts/abc", headers: { authorization: "Basic x" } })).http, 401);
  });

  test("an unknown order and an unknown address have different words", async () => {
    const unknown = await inquire(url, "nobody");
    equal(unknown.http, 404);
    deepEqual(JSON.parse(unknown.text), { error: "not_found", reference: "nobody" });
    equal(errorOf(await command(url, "nobody", "revoke")), "not_found");
    for (const path of ["/", "/payout/nobody", "/payouts/nobody/undo", "/payouts/nobody/revoke/x", "/book/x"]) {
      equal(errorOf(await ask(url, { method: "GET", path, headers: bearer })), "no_such_route", path);
    }
  });

  test("all that is wrong with an order is named at once", async () => {
    const seen = await post(url, "bad", {
      amount: "1.001",
      account: "",
      callbackUrl: "file:///etc/passwd",
      scenario: "nonsense",
      fields: {
        test_details_payout_status: "CREATED",
        test_details_payout_resolution: "NICE",
        test_details_success_rate: "101",
        other: 7,
      },
    });
    equal(seen.http, 400);
    equal(errorOf(seen), "invalid_request");
    deepEqual(problemsOf(seen), [
      "account",
      "amount",
      "callbackUrl",
      "fields.other",
      "scenario",
      "test_details_payout_resolution",
      "test_details_payout_status",
      "test_details_success_rate",
    ]);
    deepEqual(await book(url, "bad"), []);
  });

  test("amounts are exact decimal strings of a known currency above zero", async () => {
    for (const over of [
      { amount: "0" },
      { amount: "0.00" },
      { amount: "-5" },
      { amount: "1,00" },
      { amount: 100.78 },
      { amount: "1.5", currency: "JPY" },
      { amount: "1", currency: "usd" },
      { amount: "1", currency: "XXX" },
    ]) {
      equal((await post(url, "bad", over)).http, 400, JSON.stringify(over));
    }
    const amounts = [
      ["9007199254740993.01", "USD"],
      ["0.000000000000000001", "ETH"],
      ["1.234", "KWD"],
      ["5000", "JPY"],
    ] as const;
    for (const [amount, currency] of amounts) {
      const reference = `exact-${currency}`;
      await post(url, reference, { amount, currency, scenario: "ok_sync" });
      const [row] = await book(url, reference);
      deepEqual([row?.amount, row?.paidAmount, row?.currency], [amount, amount, currency]);
    }
  });

  test("header and body must name the same reference", async () => {
    const body = JSON.stringify({ reference: "one", amount: "1", currency: "USD", account: "1" });
    const headers = { ...bearer, "x-reference": "two" };
    deepEqual(problemsOf(await ask(url, { method: "POST", path: "/payouts", headers, body })), ["x-reference"]);
    deepEqual(problemsOf(await ask(url, { method: "POST", path: "/payouts", headers: bearer, body })), ["x-reference"]);
    for (const body of ["", "[]", "null", "{", '"x"']) {
      deepEqual(problemsOf(await ask(url, { method: "POST", path: "/payouts", headers, body })), ["body"]);
    }
  });

  test("a body over 64 KiB is refused", async () => {
    const seen = await post(url, "huge", { account: "4".repeat(70_000) });
    equal(seen.http === 413 || seen.http === 0, true);
    deepEqual(await book(url, "huge"), []);
  });
});

describe("control", () => {
  test("settings are merged, and every bad one is named", async () => {
    const before = JSON.parse((await ask(url, { method: "GET", path: "/control" })).text) as object;
    const changed = await setControl(url, { lateMs: 21 });
    deepEqual(JSON.parse(changed.text), { ...before, lateMs: 21 });
    const bad = await setControl(url, { timeoutMs: -1, answerDelayMs: 1.5, callbackDelayMs: "2", lateMs: 5, other: 1 });
    equal(bad.http, 400);
    deepEqual(problemsOf(bad), ["answerDelayMs", "callbackDelayMs", "other", "timeoutMs"]);
    deepEqual(JSON.parse((await ask(url, { method: "GET", path: "/control" })).text), { ...before, lateMs: 21 });
    equal((await setControl(url, { lateMs: 20 })).http, 200);
  });
});

describe("test fields", () => {
  const fieldsOf = (status: string | null, resolution: string | null): Record<string, string> => ({
    ...(status === null ? {} : { test_details_payout_status: status }),
    ...(resolution === null ? {} : { test_details_payout_resolution: resolution }),
  });

  test("every resolution beside INVOKE_FAILED, or alone, is an answer of its own, and nothing is paid", async () => {
    const codes = new Map<string, string>();
    for (const resolution of Object.keys(REASONS)) {
      for (const status of ["INVOKE_FAILED", null]) {
        if (status === null && resolution === "OK") continue;
        const reference = `r-${resolution}-${status}`;
        const seen = await post(url, reference, { fields: fieldsOf(status, resolution) });
        codes.set(resolution, seen.http >= 300 ? `${seen.http} ${errorOf(seen)}` : `${seen.http}`);
        equal(errorOf(await inquire(url, reference)), "not_found", reference);
        equal((await book(url, reference))[0]?.effective, 0);
      }
    }
    equal(codes.get("INSUFFICIENT_FUNDS"), "422 insufficient_funds");
    equal(codes.get("PROVIDER_INTERNAL_ERROR"), "500 internal_fault");
    equal(codes.get("CONNECTION_TIMEOUT_ERROR"), "0");
    equal(codes.get("CONNECTION_ERROR"), "200");
    equal(codes.size, 27);
    equal(new Set([...codes.values()].filter((code) => code.length > 3)).size, 24);
  });

  test("every status ends where it says, with the resolution's code", async () => {
    const ends: Record<string, readonly [status: string, effective: number]> = {
      INVOKING: ["queued", 0],
      INVOKE_FAILED: ["refused", 0],
      PROCESSING: ["accepted", 0],
      PENDING: ["queued", 0],
      PROCESSED: ["paid", 1],
      PARTIALLY_PROCESSED: ["paid_part", 1],
      PROCESS_FAILED: ["failed", 0],
      EXPIRED: ["expired", 0],
      REVOKED: ["recalled", 0],
      REVOKING: ["queued", 0],
      REVOKE_FAILED: ["queued", 0],
      CANCELLING: ["returning", 1],
      CANCELLED: ["returned", 1],
      CANCEL_FAILED: ["paid", 1],
    };
    deepEqual(Object.keys(ends).toSorted(), Object.keys(OUTCOMES).toSorted());
    for (const [status, [word, effective]] of Object.entries(ends)) {
      const reference = `s-${status}`;
      await post(url, reference, { fields: fieldsOf(status, "LIMIT_VIOLATION") });
      await until(status, async () => (await book(url, reference))[0]?.status === word);
      equal((await book(url, reference))[0]?.effective, effective, status);
    }
    const failed = JSON.parse((await inquire(url, "s-PROCESS_FAILED")).text) as { code: string };
    equal(failed.code, "over_limit");
    equal(errorOf(await inquire(url, "s-INVOKING")), "over_limit");
    equal(errorOf(await command(url, "s-REVOKE_FAILED", "revoke")), "over_limit");
    equal(errorOf(await command(url, "s-CANCEL_FAILED", "cancel")), "over_limit");
    equal((await book(url, "s-CANCEL_FAILED"))[0]?.status, "paid");
  });

  test("the account's scenario wins over the field, the field over the others", async () => {
    const fields = { test_details_scenario: "refused", test_details_success_rate: "100" };
    equal(statusOf(await post(url, "w-1", { fields, scenario: "ok_sync" })), "paid");
    equal(errorOf(await post(url, "w-2", { fields })), "declined");
  });

  test("a success rate is a draw by the reference", async () => {
    const rate = async (percent: string): Promise<number> => {
      const fields = { test_details_success_rate: percent };
      const references = Array.from({ length: 60 }, (_, index) => `rate-${percent}-${index}`);
      await Promise.all(references.map((reference) => post(url, reference, { fields })));
      const isDone = (status: string | undefined): boolean => status === "paid" || status === "failed";
      const rows = (): Promise<(string | undefined)[]> =>
        Promise.all(references.map(async (reference) => (await book(url, reference))[0]?.status));
      await until("all drawn", async () => (await rows()).every(isDone));
      return (await rows()).filter((status) => status === "paid").length;
    };
    deepEqual([await rate("0"), await rate("100")], [0, 60]);
    const some = await rate("50");
    equal(some > 15 && some < 45, true, `${some} of 60`);
  });
});

describe("commands by default", () => {
  test("a queued order is recalled once, and never paid after it", async () => {
    // Time enough to recall it, also on a slow machine: what is recalled is not waited for.
    await setControl(url, { callbackDelayMs: 5_000 });
    await post(url, "d-1", { scenario: "ok", callbackUrl: receiver.url });
    await setControl(url, { callbackDelayMs: 10 });
    const answers = [await command(url, "d-1", "revoke"), await command(url, "d-1", "revoke")];
    deepEqual(answers.map(statusOf), ["recalled", "recalled"]);
    equal(errorOf(await command(url, "d-1", "cancel")), "cancel_refused");
    await until("the callback of the recall", () => receiver.of("d-1").length > 0);
    deepEqual(
      receiver.of("d-1").map(({ message }) => message["status"]),
      ["recalled"],
    );
  });

  test("a paid order cannot be revoked; a cancel returns what was paid, once", async () => {
    await post(url, "d-2", { scenario: "partial" });
    await until("part is paid", async () => (await book(url, "d-2"))[0]?.status === "paid_part");
    equal(errorOf(await command(url, "d-2", "revoke")), "revoke_refused");
    const answers = [await command(url, "d-2", "cancel"), await command(url, "d-2", "cancel")];
    deepEqual(answers.map(statusOf), ["returned", "returned"]);
    const [row] = await book(url, "d-2");
    deepEqual([row?.paidAmount, row?.returnedAmount, row?.effective], ["60.46", "60.46", 1]);
  });

  test("two cancels at once return the money once", async () => {
    await post(url, "d-3", { scenario: "ok_sync" });
    const answers = await Promise.all([command(url, "d-3", "cancel"), command(url, "d-3", "cancel")]);
    deepEqual(answers.map(statusOf), ["returned", "returned"]);
    equal(new Set(answers.map(({ text }) => text)).size, 1);
  });
});
