/** The sandbox connector, purely: every word is mapped, what is unmapped is unknown, what is forged is refused. */
import { deepEqual, equal, match, ok } from "node:assert/strict";
import { createHash, createHmac } from "node:crypto";
import { describe, test } from "node:test";
import type { Account, Answer, CancelQuery, HttpResult, PayoutOrder } from "../../src/connectors/contract.ts";
import { SIGNATURE_HEADER, sandbox } from "../../src/connectors/sandbox/connector.ts";
import {
  TEST_FIELDS as OUR_FIELDS,
  OUTCOME_RESOLUTIONS,
  OUTCOME_STATUSES,
  SCENARIO_NAMES,
} from "../../src/connectors/sandbox/settings.ts";
import { CODES, COMMAND_REFUSALS, SEND, STATUSES } from "../../src/connectors/sandbox/words.ts";
import { CURRENCIES } from "../../src/core/money/currency.ts";
import { RESOLUTIONS, resolutionRow } from "../../src/core/news/resolution.ts";
import { FORCING_FIELDS, OUTCOMES, REASONS, TEST_FIELDS } from "../../src/sandbox/outcomes.ts";
import { COMMANDS, type CommandPlan, type ScenarioPlan } from "../../src/sandbox/plans.ts";
import { SCENARIOS } from "../../src/sandbox/scenarios.ts";

const account: Account = {
  id: "pacc_1",
  settings: {},
  credentials: { secret: "a secret of the account".replaceAll(" ", "-") },
  callbackUrl: "https://bursar.example/callbacks/abc",
};

const order: PayoutOrder = {
  reference: "mfrggzdfmztwq2lk",
  amountMinor: 10078n,
  currency: "USD",
  service: "test_usd",
  destination: { account: "4242" },
  description: null,
};

const query: CancelQuery = { ...order, providerReference: null, cancelMinor: null };

const message = {
  reference: order.reference,
  providerReference: "sbx_1",
  amount: "100.78",
  currency: "USD",
  account: "4242",
  status: "paid",
  sequence: 2,
  paidAmount: "100.78",
  returnedAmount: "0.00",
};

const hashOf = (text: string): string => createHash("sha256").update(text).digest("hex");

function result(status: number, body: unknown, headers: Record<string, string> = {}): HttpResult {
  return { status, headers, body: typeof body === "string" ? body : JSON.stringify(body) };
}

const create = (status: number, body: unknown, headers?: Record<string, string>): Answer =>
  sandbox.create.read(result(status, body, headers), order);
const inquire = (status: number, body: unknown): Answer => sandbox.inquire.read(result(status, body), query);

function outcome({ sent, fact, resolution }: Answer): string {
  return `${sent} ${fact} ${resolution}`;
}

describe("requests", () => {
  test("create carries the reference twice, the amount exactly, and no secret but in the header", () => {
    const draft = sandbox.create.build(order, account, 0);
    equal(`${draft.method} ${draft.path}`, "POST /payouts");
    equal(draft.headers["x-reference"], order.reference);
    equal(draft.headers["authorization"], `Bearer ${account.credentials["secret"]}`);
    deepEqual(JSON.parse(draft.body ?? ""), {
      reference: order.reference,
      amount: "100.78",
      currency: "USD",
      account: "4242",
      fields: {},
      callbackUrl: account.callbackUrl,
    });
    deepEqual(sandbox.create.build(order, account, 1), draft, "the same question gives the same bytes");
  });

  test("amounts keep every digit in every currency", () => {
    for (const [amountMinor, currency, text] of [
      [9007199254740993n, "JPY", "9007199254740993"],
      [1n, "ETH", "0.000000000000000001"],
      [1234n, "KWD", "1.234"],
    ] as const) {
      const { body } = sandbox.create.build({ ...order, amountMinor, currency }, account, 0);
      match(body ?? "", new RegExp(`"amount":"${text.replace(".", "\\.")}"`));
      const said = { ...message, amount: text, currency, paidAmount: text, returnedAmount: "0" };
      const answer = create(200, said);
      deepEqual([answer.echo?.amountMinor, answer.paidMinor], [amountMinor, amountMinor]);
    }
  });

  test("test fields and the account's scenario go along, other details do not", () => {
    const destination = { account: "1", test_details_scenario: "ok", test_details_success_rate: "50", name: "Ann" };
    const settings = { scenario: "slow" };
    const { body } = sandbox.create.build({ ...order, destination }, { ...account, settings }, 0);
    const sent = JSON.parse(body ?? "") as Record<string, unknown>;
    deepEqual(sent["fields"], { test_details_scenario: "ok", test_details_success_rate: "50" });
    equal(sent["scenario"], "slow");
  });

  test("the other calls name the reference in the path", () => {
    const drafts = [sandbox.inquire, sandbox.revoke, sandbox.cancel].map((call) => call?.build(query, account, 0));
    deepEqual(
      drafts.map((draft) => `${draft?.method} ${draft?.path}`),
      [
        `GET /payouts/${order.reference}`,
        `POST /payouts/${order.reference}/revoke`,
        `POST /payouts/${order.reference}/cancel`,
      ],
    );
    deepEqual(
      drafts.map((draft) => draft?.body),
      [null, null, null],
    );
  });

  test("a cancel of an amount names it in major units, with every digit", () => {
    for (const [cancelMinor, currency, text] of [
      [1n, "USD", "0.01"],
      [10078n, "USD", "100.78"],
      [9007199254740993n, "JPY", "9007199254740993"],
      [1n, "ETH", "0.000000000000000001"],
    ] as const) {
      const draft = sandbox.cancel?.build({ ...query, currency, cancelMinor }, account, 0);
      equal(draft?.body, `{"amount":"${text}"}`);
      equal(draft?.headers["content-type"], "application/json");
      equal(draft?.headers["authorization"], `Bearer ${account.credentials["secret"]}`);
    }
  });
});

describe("answers", () => {
  test("a full answer is read in full", () => {
    const paid = create(200, { ...message, returnedAmount: "0.78", returnId: "r1" });
    deepEqual(paid, {
      sent: "accepted",
      fact: "paid",
      resolution: "OK",
      providerReference: "sbx_1",
      providerStatus: "paid",
      echo: {
        reference: order.reference,
        amountMinor: 10078n,
        currency: "USD",
        destinationHash: sandbox.destinationHash(order.destination),
      },
      paidMinor: 10078n,
      returnedMinor: 78n,
      returnId: "r1",
      sequence: 2,
    });
    equal(sandbox.destinationHash({ account: "4242", test_details_scenario: "ok" }), hashOf("4242"));
    deepEqual(inquire(200, message), { ...create(200, message), found: "yes" });
  });

  test("what was echoed is handed on for core to compare", () => {
    const { echo } = inquire(200, { ...message, reference: "other", amount: "1.00", currency: "EUR", account: "1" });
    deepEqual(echo, { reference: "other", amountMinor: 100n, currency: "EUR", destinationHash: hashOf("1") });
  });

  test("every status is a fact, with or without every code", () => {
    for (const [status, fact] of Object.entries(STATUSES)) {
      const plain = create(200, { ...message, status });
      equal(outcome(plain), `accepted ${fact} ${fact === "expired" ? "OPERATION_EXPIRED" : "OK"}`);
      for (const [code, resolution] of Object.entries(CODES)) {
        const answer = create(200, { ...message, status, code });
        equal(outcome(answer), `accepted ${fact} ${resolution}`);
        equal(answer.providerCode, code);
      }
    }
  });

  test("an unmapped word is unknown, wherever it stands", () => {
    for (const word of ["frobnicated", "", "PAID", "constructor", "__proto__", "toString"]) {
      equal(outcome(create(200, { ...message, status: word })), "unknown unknown UNKNOWN", word);
      equal(outcome(create(200, { ...message, code: word })), "unknown unknown UNKNOWN", `code ${word}`);
      const asked = inquire(200, { ...message, status: word });
      deepEqual([outcome(asked), asked.found], ["unknown unknown UNKNOWN", "yes"]);
      equal(outcome(create(422, { error: word })), "unknown unknown CONNECTION_ERROR", `error ${word}`);
    }
    equal(create(200, { ...message, status: "frobnicated" }).providerStatus, "frobnicated");
  });

  test("half an answer is none, cut at any place", () => {
    const whole = JSON.stringify(message);
    for (let length = 0; length < whole.length; length += 1) {
      equal(outcome(create(200, whole.slice(0, length))), "unknown unknown CONNECTION_ERROR");
      const asked = inquire(200, whole.slice(0, length));
      deepEqual([outcome(asked), asked.found], ["unknown unknown CONNECTION_ERROR", undefined]);
    }
    for (const key of Object.keys(message)) {
      const { [key]: _, ...rest } = message as Record<string, unknown>;
      equal(outcome(create(200, rest)), "unknown unknown CONNECTION_ERROR", `without ${key}`);
      equal(outcome(create(200, { ...rest, [key]: null })), "unknown unknown CONNECTION_ERROR", `${key}: null`);
    }
    for (const body of ["<html>Bad gateway</html>", "null", "[]", "7", "\0"]) {
      equal(outcome(create(200, body)), "unknown unknown CONNECTION_ERROR", body);
    }
  });

  test("amounts that are not exact are no amounts", () => {
    for (const amount of [100.78, "100.785", "1e400", "-1.00", "NaN", "", "1,00"]) {
      for (const member of ["amount", "paidAmount", "returnedAmount"]) {
        equal(outcome(create(200, { ...message, [member]: amount })), "unknown unknown CONNECTION_ERROR");
      }
    }
    equal(outcome(create(200, { ...message, currency: "XXX" })), "unknown unknown CONNECTION_ERROR");
    equal(outcome(create(200, { ...message, sequence: 1.5 })), "unknown unknown CONNECTION_ERROR");
  });
});

describe("refusals", () => {
  const split = (key: string): [number, string] => {
    const [status = "", code = ""] = key.split(" ");
    return [Number(status), code];
  };

  test("send.no refuses, code by code, and no listed code may hide money", () => {
    for (const key of SEND.no) {
      const [status, code] = split(key);
      const answer = create(status, { error: code });
      deepEqual(outcome(answer), `refused failed ${CODES[code]}`, key);
      ok(answer.resolution === "OK" || resolutionRow(answer.resolution).mayHaveMoved === false, key);
    }
  });

  test("send.not_now says when to come again", () => {
    for (const key of SEND.notNow) {
      const [status, code] = split(key);
      const answer = create(status, { error: code }, { "retry-after": "1" });
      deepEqual([answer.sent, answer.fact, answer.retryAfterMs], ["not_now", "unknown", 1000], key);
      for (const odd of ["-1", "soon", "1.5", "Wed, 21 Oct 2026 07:28:00 GMT"]) {
        equal(create(status, { error: code }, { "retry-after": odd }).retryAfterMs, undefined);
      }
    }
    equal(outcome(create(429, "<html>slow down</html>")), "unknown unknown CONNECTION_ERROR");
  });

  test("send.look_up proves nothing", () => {
    for (const key of SEND.lookUp) {
      const [status, code] = split(key);
      equal(outcome(create(status, { error: code })), `unknown unknown ${CODES[code]}`, key);
    }
  });

  test("a known code behind another status proves nothing", () => {
    const listed = new Set<string>([...SEND.no, ...SEND.notNow, ...SEND.lookUp]);
    for (const code of Object.keys(CODES)) {
      for (const status of [301, 400, 401, 403, 404, 409, 418, 422, 429, 500, 502, 503, 504]) {
        if (listed.has(`${status} ${code}`)) continue;
        const expected = status >= 500 ? "PROVIDER_INTERNAL_ERROR" : "CONNECTION_ERROR";
        equal(outcome(create(status, { error: code })), `unknown unknown ${expected}`, `${status} ${code}`);
      }
    }
  });

  test("a proxy's page is no word of the provider", () => {
    for (const status of [302, 400, 401, 403, 404, 407, 413, 422]) {
      equal(outcome(create(status, "<html></html>")), "unknown unknown CONNECTION_ERROR", `${status}`);
      const asked = inquire(status, "<html></html>");
      deepEqual([outcome(asked), asked.found], ["unknown unknown CONNECTION_ERROR", undefined]);
    }
    for (const status of [500, 502, 503, 504]) {
      equal(outcome(create(status, "<html></html>")), "unknown unknown PROVIDER_INTERNAL_ERROR");
    }
  });

  test("only the provider's own word about our reference says that an order is absent", () => {
    equal(inquire(404, { error: "not_found", reference: order.reference }).found, "no");
    equal(inquire(404, { error: "not_found" }).found, "no");
    for (const body of [{ error: "no_such_route" }, { error: "not_found", reference: "other" }, {}, "not_found"]) {
      deepEqual([inquire(404, body).found, inquire(404, body).fact], [undefined, "unknown"]);
    }
    equal(inquire(410, { error: "not_found" }).found, undefined);
  });

  test("an inquiry that is refused says nothing about the order", () => {
    equal(outcome(inquire(401, { error: "unauthorized" })), "unknown unknown INVALID_CREDENTIALS");
    equal(outcome(inquire(422, { error: "declined" })), "unknown unknown DECLINED_ERROR");
    equal(outcome(inquire(500, { error: "internal_fault" })), "unknown unknown PROVIDER_INTERNAL_ERROR");
    equal(inquire(429, { error: "rate_limited" }).sent, "not_now");
  });

  test("only what is listed refuses a revoke or cancel, and it says nothing about the order", () => {
    for (const name of ["revoke", "cancel"] as const) {
      const answerTo = (status: number, body: unknown, headers?: Record<string, string>): Answer => {
        const answer = sandbox[name]?.read(result(status, body, headers), query);
        ok(answer);
        return answer;
      };
      const read = (status: number, body: unknown): string => outcome(answerTo(status, body));
      const refusals: readonly string[] = COMMAND_REFUSALS[name];
      for (const key of refusals) {
        const [status, code] = split(key);
        equal(read(status, { error: code }), `refused ignore ${CODES[code]}`);
      }
      for (const key of [...SEND.no, ...SEND.lookUp]) {
        if (refusals.includes(key)) continue;
        const [status, code] = split(key);
        equal(read(status, { error: code }), `unknown unknown ${CODES[code]}`, `${name}: ${key}`);
      }
      for (const key of SEND.notNow) {
        const [status, code] = split(key);
        const answer = answerTo(status, { error: code }, { "retry-after": "2" });
        deepEqual([answer.sent, answer.fact, answer.retryAfterMs], ["not_now", "unknown", 2000], key);
      }
      // The refusal of the one is none of the other.
      const other = name === "revoke" ? "cancel_refused" : "revoke_refused";
      equal(read(409, { error: other }), "unknown unknown CONNECTION_ERROR");
      equal(read(422, "<html></html>"), "unknown unknown CONNECTION_ERROR");
      equal(read(404, { error: "not_found" }), "unknown unknown GENERAL_ERROR");
      equal(read(500, ""), "unknown unknown PROVIDER_INTERNAL_ERROR");
      equal(read(200, { ...message, status: "recalled" }), "accepted recalled OK");
      equal(read(200, { ...message, status: "returned" }), "accepted returned OK");
    }
    deepEqual(COMMAND_REFUSALS, { revoke: ["409 revoke_refused"], cancel: ["409 cancel_refused", "422 over_limit"] });
  });
});

describe("callbacks", () => {
  const now = 1_800_000_000_000;
  const body = JSON.stringify({ messageId: "m-1", ...message });
  const sign = (text: string, time: number, secret = account.credentials["secret"] ?? ""): Record<string, string> => ({
    [SIGNATURE_HEADER]: `t=${time},v1=${createHmac("sha256", secret).update(`${time}.${text}`).digest("hex")}`,
  });
  const isTaken = (headers: Record<string, string>, text = body, at = now, of = account): boolean =>
    sandbox.verifyCallback?.({ headers, body: text }, of, at) ?? false;

  test("a signed one is taken, within five minutes on either side", () => {
    for (const skew of [0, 300_000, -300_000]) equal(isTaken(sign(body, now + skew)), true);
    for (const skew of [300_001, -300_001]) equal(isTaken(sign(body, now + skew)), false);
  });

  test("one flipped bit is refused, in the body and in the signature", () => {
    const headers = sign(body, now);
    for (let at = 0; at < body.length; at += 1) {
      const flipped = body.slice(0, at) + String.fromCharCode(body.charCodeAt(at) ^ 1) + body.slice(at + 1);
      equal(isTaken(headers, flipped), false, `byte ${at}`);
    }
    const signature = headers[SIGNATURE_HEADER] ?? "";
    for (let at = 0; at < signature.length; at += 1) {
      const flipped =
        signature.slice(0, at) + String.fromCharCode(signature.charCodeAt(at) ^ 1) + signature.slice(at + 1);
      equal(isTaken({ [SIGNATURE_HEADER]: flipped }), false, `character ${at}`);
    }
  });

  test("forged, missing and odd signatures are refused", () => {
    equal(isTaken(sign(body, now, "another secret")), false);
    equal(isTaken(sign(body, now, "")), false);
    equal(isTaken({}), false);
    equal(isTaken(sign(body, now), `${body} `), false);
    equal(isTaken(sign(body, now), JSON.stringify(JSON.parse(body), null, 1)), false);
    const good = sign(body, now)[SIGNATURE_HEADER] ?? "";
    for (const odd of [good.toUpperCase(), `${good},v1=00`, good.replace("t=", "t= "), good.replace("v1", "v0"), ""]) {
      equal(isTaken({ [SIGNATURE_HEADER]: odd }), false, odd);
    }
    for (const credentials of [{}, { secret: "" }]) {
      equal(isTaken(sign(body, now, ""), body, now, { ...account, credentials }), false);
    }
  });

  test("the news is what an inquiry would say", () => {
    const { found: _, ...answer } = inquire(200, message);
    const news = sandbox.readCallback?.({ headers: {}, body }, account);
    deepEqual(news, [{ messageId: "m-1", reference: order.reference, answer }]);
  });

  test("a strange word is news of the fact unknown; a message that names no order is none", () => {
    const read = (change: object): unknown =>
      sandbox
        .readCallback?.({ headers: {}, body: JSON.stringify({ messageId: "m-1", ...message, ...change }) }, account)
        .map(({ answer }) => outcome(answer));
    deepEqual(read({ status: "frobnicated" }), ["unknown unknown UNKNOWN"]);
    deepEqual(read({ amount: 100.78 }), ["unknown unknown CONNECTION_ERROR"]);
    deepEqual(read({ reference: null }), []);
    deepEqual(read({ messageId: "" }), []);
    deepEqual(sandbox.readCallback?.({ headers: {}, body: body.slice(0, -1) }, account), []);
  });
});

describe("the sheet and the tables", () => {
  test("the wait window is nine seconds, and the lease outlives a send", () => {
    const { timeoutMs, lateArrivalMs, inquiryLagMs, workerPauseMs, leaseMs, leaseMarginMs } = sandbox.truth;
    equal(timeoutMs + (lateArrivalMs ?? Number.NaN) + (inquiryLagMs ?? Number.NaN) + workerPauseMs, 9000);
    ok(leaseMs - leaseMarginMs > timeoutMs && leaseMarginMs >= timeoutMs);
    ok(sandbox.truth.reference.maxLength * Math.log2(new Set(sandbox.truth.reference.alphabet).size) >= 80);
    let asked = 0;
    const times = sandbox.truth.inquiry.scheduleMs.map((gap) => (asked += gap));
    deepEqual(times, [500, 1000, 2000, 5000, 10_000]);
    equal(sandbox.truth.inquiry.scheduleMs.at(-1), 5000);
  });

  test("a repeat that is harmless has a declared retention, and a cancel takes an amount", () => {
    equal(sandbox.truth.repeat, "harmless");
    equal(sandbox.truth.reference.retentionMs, 30 * 24 * 3600 * 1000);
    equal(sandbox.truth.partialCancel, true);
  });

  test("there is a service for every currency", () => {
    deepEqual(sandbox.services.map(({ currency }) => currency).toSorted(), [...CURRENCIES.keys()].toSorted());
    for (const { code, currency } of sandbox.services) equal(code, `test_${currency.toLowerCase()}`);
    const fields = sandbox.services[0]?.fields ?? [];
    deepEqual(
      fields.filter(({ required }) => required).map(({ name }) => name),
      ["account"],
    );
    for (const { pattern = "", name } of [...fields, ...sandbox.settings]) ok(new RegExp(pattern), name);
  });

  test("connector and provider know the same words", () => {
    deepEqual([...SCENARIO_NAMES], Object.keys(SCENARIOS));
    deepEqual([...OUTCOME_STATUSES], Object.keys(OUTCOMES));
    deepEqual([...OUTCOME_RESOLUTIONS], Object.keys(REASONS));
    const fields = [...Object.values(TEST_FIELDS), ...Object.values(FORCING_FIELDS)];
    deepEqual(OUR_FIELDS.map(({ name }) => name).toSorted(), fields.toSorted());
    const ours = Object.keys(RESOLUTIONS).filter(
      (code) => resolutionRow(code as keyof typeof RESOLUTIONS).group !== "ROUTING",
    );
    deepEqual([...OUTCOME_RESOLUTIONS].toSorted(), ours.toSorted());
  });

  test("every word that the provider has is in a table, but the one that must not be", () => {
    for (const [resolution, reason] of Object.entries(REASONS)) {
      equal(CODES[reason.code], resolution);
      if (reason.answer.kind === "error") {
        const key = `${reason.answer.http} ${reason.answer.code}`;
        ok(
          [...SEND.no, ...SEND.lookUp].some((listed) => listed === key),
          key,
        );
      }
    }
    const plans: ScenarioPlan[] = [...Object.values(SCENARIOS), ...Object.values(OUTCOMES).map((row) => row(null))];
    const ofPlans = plans.flatMap(({ revoke, cancel }) => [revoke, cancel]).filter((plan) => plan !== undefined);
    const commands: CommandPlan[] = [...Object.values(COMMANDS).map(({ plan }) => plan), ...ofPlans];
    const steps = [...plans, ...commands].flatMap((plan) => plan.steps);
    for (const { status, code } of steps) {
      // A refused order was never registered: nothing is ever said about it under that status.
      ok(status in STATUSES || status === "frobnicated" || status === "refused", status);
      if (code !== undefined) ok(code in CODES, code);
    }
  });
});
