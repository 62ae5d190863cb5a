/** The connector against the running provider: what is asked for in the test fields is what the connector reads. */
import { deepEqual, equal, ok } from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { Account, Answer, HttpDraft, PayoutOrder, PayoutQuery } from "../../src/connectors/contract.ts";
import { sandbox as connector } from "../../src/connectors/sandbox/connector.ts";
import { OUTCOME_RESOLUTIONS, SCENARIO_NAMES } from "../../src/connectors/sandbox/settings.ts";
import { SEND } from "../../src/connectors/sandbox/words.ts";
import { resolutionRow } from "../../src/core/news/resolution.ts";
import { openSandbox, type Sandbox } from "../../src/sandbox/server.ts";
import { ask, book, freshFolder, openReceiver, type Receiver, SECRET, setControl, until } from "./client.ts";

let provider: Sandbox;
let receiver: Receiver;
let account: Account;
let url = "";
let bookPath = "";
let removeFolder: () => Promise<void>;

before(async () => {
  const folder = await freshFolder();
  removeFolder = folder.remove;
  bookPath = join(folder.path, "book.ndjson");
  receiver = await openReceiver();
  const onFault = (error: unknown): void => {
    throw error;
  };
  provider = await openSandbox({ dataDir: folder.path, port: 0, instance: "test", onFault });
  url = `http://127.0.0.1:${provider.port}`;
  account = { id: "pacc_1", settings: {}, credentials: { secret: SECRET }, callbackUrl: receiver.url };
  await setControl(url, { timeoutMs: 20, answerDelayMs: 10, callbackDelayMs: 20, lateMs: 40 });
});

after(async () => {
  await provider.close();
  receiver.close();
  await removeFolder();
});

/** Null: no answer came, which never reaches a connector. */
async function send(draft: HttpDraft, read: (seen: { http: number; text: string }) => Answer): Promise<Answer | null> {
  const { method, path, headers, body } = draft;
  const seen = await ask(url, { method, path, headers, ...(body === null ? {} : { body }) });
  return seen.http === 0 ? null : read(seen);
}

function orderOf(reference: string, fields: Record<string, string>): PayoutOrder {
  const destination = { account: "4242", ...fields };
  return { reference, amountMinor: 10078n, currency: "USD", service: "test_usd", destination, description: null };
}

const create = (order: PayoutOrder): Promise<Answer | null> =>
  send(connector.create.build(order, account, 0), ({ http, text }) =>
    connector.create.read({ status: http, headers: {}, body: text }, order),
  );

function inquire(order: PayoutOrder): Promise<Answer | null> {
  const query: PayoutQuery = { ...order, providerReference: null };
  return send(connector.inquire.build(query, account, 0), ({ http, text }) =>
    connector.inquire.read({ status: http, headers: {}, body: text }, query),
  );
}

describe("connector and provider", () => {
  test("a resolution beside INVOKE_FAILED is what the connector reads, and a refusal only where it is safe", async () => {
    for (const [index, resolution] of OUTCOME_RESOLUTIONS.entries()) {
      const fields = { test_details_payout_status: "INVOKE_FAILED", test_details_payout_resolution: resolution };
      const order = orderOf(`invoke-${index}`, fields);
      const answer = await create(order);
      equal(answer?.resolution ?? "CONNECTION_TIMEOUT_ERROR", resolution);
      const isSafe = resolution === "OK" || resolutionRow(resolution).mayHaveMoved === false;
      equal(answer?.sent === "refused", isSafe, resolution);
      equal((await inquire(order))?.found, "no");
    }
  });

  test("a resolution beside PROCESS_FAILED is what an inquiry and a verified callback say", async () => {
    for (const [index, resolution] of OUTCOME_RESOLUTIONS.entries()) {
      const fields = { test_details_payout_status: "PROCESS_FAILED", test_details_payout_resolution: resolution };
      const order = orderOf(`process-${index}`, fields);
      equal((await create(order))?.fact, "accepted");
      await until("the callback", () => receiver.of(order.reference).length > 0);
      const asked = await inquire(order);
      deepEqual([asked?.fact, asked?.resolution, asked?.found], ["failed", resolution, "yes"]);
      const { body = "" } = receiver.of(order.reference)[0] ?? {};
      const [news] = connector.readCallback?.({ headers: {}, body }, account) ?? [];
      deepEqual({ ...news?.answer, found: "yes" }, asked);
    }
  });

  test("genuine callbacks verify, forged ones do not, whatever the scenario", async () => {
    const orders = SCENARIO_NAMES.map((name) => orderOf(`cb-${name}`, { test_details_scenario: name }));
    await Promise.all(orders.map(create));
    await until("the forged ones and the real one", () => receiver.of("cb-callback_forged").length === 3);
    for (const { signature, body, message } of receiver.all) {
      const isForged = /-(status|amount)$/.test(String(message["messageId"]));
      const headers = { "x-sandbox-signature": signature };
      equal(connector.verifyCallback?.({ headers, body }, account, Date.now()), !isForged);
    }
  });

  test("the provider refuses what the connector's lists say it refuses", async () => {
    const order = orderOf("door", {});
    const draft = connector.create.build(order, account, 0);
    const read = ({ http, text }: { http: number; text: string }): Answer =>
      connector.create.read({ status: http, headers: {}, body: text }, order);
    const withoutSecret = await send({ ...draft, headers: { "x-reference": "door" } }, read);
    deepEqual([withoutSecret?.sent, withoutSecret?.resolution], ["refused", "INVALID_CREDENTIALS"]);
    const broken = await send({ ...draft, body: "{" }, read);
    deepEqual([broken?.sent, broken?.resolution], ["refused", "INVALID_REQUEST"]);
    equal((await create(order))?.sent, "accepted");
    const again = await create(order);
    deepEqual(
      [again?.sent, again?.resolution, again?.providerCode],
      ["unknown", "DUPLICATED_ID", "duplicate_reference"],
    );
    equal(
      new Set([...SEND.no, ...SEND.notNow, ...SEND.lookUp]).size,
      SEND.no.length + SEND.notNow.length + SEND.lookUp.length,
    );
  });
});

/** How many operations the book has made under each reference, in the provider's own journal. */
async function operationsMade(): Promise<ReadonlyMap<string, number>> {
  const made = new Map<string, number>();
  for (const row of (await readFile(bookPath, "utf8")).split("\n")) {
    const line = (row === "" ? {} : JSON.parse(row)) as { kind?: string; reference?: string };
    if (line.kind === "operation") made.set(line.reference ?? "", (made.get(line.reference ?? "") ?? 0) + 1);
  }
  return made;
}

describe("a repeat is harmless", () => {
  // Long enough for every plan to run out: the longest is a callback and three late delays after the last request.
  const ALL_OVER_MS = 500;

  const endOf = async (reference: string): Promise<unknown> => {
    const rows = await book(url, reference);
    ok(rows.length <= 1, `${reference}: ${rows.length} operations`);
    const [row] = rows;
    ok((row?.effective ?? 0) <= 1, `${reference}: carried out ${row?.effective} times`);
    return row === undefined ? null : [row.status, row.effective, row.paidAmount, row.returnedAmount];
  };

  test("in every scenario, at once, a moment later and at the end, also where the first request booked nothing", async () => {
    const fieldsOf = (name: string): Record<string, string> => ({ test_details_scenario: name });
    const repeated = SCENARIO_NAMES.map((name) => orderOf(`twice-${name}`, fieldsOf(name)));
    const single = SCENARIO_NAMES.map((name) => orderOf(`once-${name}`, fieldsOf(name)));
    await Promise.all(single.map(create));
    await Promise.all([...repeated, ...repeated].map(create));
    await sleep(30);
    await Promise.all(repeated.map(create));
    await sleep(ALL_OVER_MS);
    await Promise.all(repeated.map(create));
    await sleep(ALL_OVER_MS);
    for (const name of SCENARIO_NAMES) {
      const end = await endOf(`twice-${name}`);
      // Two of its requests are told to come later: only the repeated order gets further.
      const twin = name === "rate_limited" ? ["paid", 1, "100.78", "0.00"] : await endOf(`once-${name}`);
      deepEqual(end, twin, name);
    }
    for (const [reference, count] of await operationsMade()) equal(count, 1, reference);
  });

  test("for every outcome and every resolution that is asked for, and every answer to the repeat", async () => {
    const wishes = OUTCOME_RESOLUTIONS.flatMap((resolution) => [
      { test_details_payout_resolution: resolution },
      { test_details_repeat_resolution: resolution },
      { test_details_repeat_resolution: resolution, test_details_scenario: "timeout_absent" },
      { test_details_repeat_resolution: resolution, test_details_scenario: "rate_limited" },
    ]);
    const orders = wishes.map((fields, index) => orderOf(`wish-${index}`, fields as Record<string, string>));
    for (let round = 0; round < 3; round += 1) await Promise.all(orders.map(create));
    await sleep(100);
    for (const { reference } of orders) await endOf(reference);
    for (const [reference, count] of await operationsMade()) equal(count, 1, reference);
  });
});
