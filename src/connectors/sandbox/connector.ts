/** The connector of the sandbox provider: the model for the others. */
import { createHash, createHmac, timingSafeEqual } from "node:crypto";
import { formatMajor, parseMajor } from "../../core/money/money.ts";
import type { Fact, Resolution } from "../../core/news/resolution.ts";
import type {
  Account,
  Answer,
  CallbackNews,
  CancelQuery,
  Connector,
  HttpDraft,
  HttpResult,
  PayoutOrder,
  PayoutQuery,
  RawCallback,
} from "../contract.ts";
import { SERVICES, SETTINGS, TEST_FIELDS } from "./settings.ts";
import { TRUTH } from "./truth.ts";
import { ABSENT, CODES, COMMAND_REFUSALS, SEND, STATUS_RESOLUTIONS, STATUSES } from "./words.ts";

export const SIGNATURE_HEADER = "x-sandbox-signature";
/** How far a callback's time may be from ours, milliseconds. */
const TOLERANCE_MS = 300_000;

/** SHA-256 (hex) of the payee's account: the part of the details that says who is paid. */
function destinationHash(destination: Readonly<Record<string, string>>): string {
  return createHash("sha256")
    .update(destination["account"] ?? "")
    .digest("hex");
}

export const sandbox: Connector = {
  name: "sandbox",
  gatewayName: "TestProcessor",
  truth: TRUTH,
  settings: SETTINGS,
  services: SERVICES,
  destinationHash,
  create: { build: buildCreate, read: (result) => readSend(result) },
  inquire: {
    build: (query, account) => draft("GET", pathOf(query), account),
    read: readInquiry,
  },
  revoke: {
    build: (query, account) => draft("POST", `${pathOf(query)}/revoke`, account),
    read: (result) => readCommand(result, COMMAND_REFUSALS.revoke),
  },
  cancel: { build: buildCancel, read: (result) => readCommand(result, COMMAND_REFUSALS.cancel) },
  verifyCallback,
  readCallback,
};

const pathOf = ({ reference }: PayoutQuery): string => `/payouts/${encodeURIComponent(reference)}`;

function draft(method: HttpDraft["method"], path: string, account: Account): HttpDraft {
  const secret = account.credentials["secret"];
  // Without a secret the provider refuses with 401, which stops the account: nothing is guessed here.
  return { method, path, headers: secret === undefined ? {} : { authorization: `Bearer ${secret}` }, body: null };
}

function buildCreate(order: PayoutOrder, account: Account): HttpDraft {
  const { reference, currency, destination } = order;
  const fields: Record<string, string> = {};
  for (const { name } of TEST_FIELDS) {
    const value = destination[name];
    if (value !== undefined) fields[name] = value;
  }
  const scenario = account.settings["scenario"];
  const empty = draft("POST", "/payouts", account);
  return {
    ...empty,
    headers: { ...empty.headers, "content-type": "application/json", "x-reference": reference },
    body: JSON.stringify({
      reference,
      amount: formatMajor(order.amountMinor, currency),
      currency,
      account: destination["account"] ?? "",
      fields,
      callbackUrl: account.callbackUrl,
      ...(scenario === undefined || scenario === "" ? {} : { scenario }),
    }),
  };
}

function buildCancel(query: CancelQuery, account: Account): HttpDraft {
  const whole = draft("POST", `${pathOf(query)}/cancel`, account);
  if (query.cancelMinor === null) return whole;
  return {
    ...whole,
    headers: { ...whole.headers, "content-type": "application/json" },
    body: JSON.stringify({ amount: formatMajor(query.cancelMinor, query.currency) }),
  };
}

const isGood = ({ status }: HttpResult): boolean => status >= 200 && status < 300;

const unknown = (resolution: Resolution): Answer => ({ sent: "unknown", fact: "unknown", resolution });

function readSend(result: HttpResult): Answer {
  return isGood(result) ? readState(result.body) : readRefusal(result);
}

function readInquiry(result: HttpResult, query: PayoutQuery): Answer {
  if (isGood(result)) {
    const answer = readState(result.body);
    // Only an answer that names an order says that it was found.
    return answer.echo === undefined ? answer : { ...answer, found: "yes" };
  }
  const { key, members } = readError(result);
  if (key === ABSENT) {
    const { reference } = members;
    const isOurs = reference === undefined || reference === query.reference;
    return isOurs ? { ...unknown("UNKNOWN"), found: "no", providerCode: "not_found" } : unknown("CONNECTION_ERROR");
  }
  const answer = readRefusal(result);
  // Being refused an answer is not the order being refused.
  return answer.sent === "not_now" ? answer : { ...answer, sent: "unknown", fact: "unknown" };
}

function readCommand(result: HttpResult, refusals: readonly string[]): Answer {
  if (isGood(result)) return readState(result.body);
  const { key, code } = readError(result);
  if (refusals.includes(key)) {
    return { sent: "refused", fact: "ignore", resolution: CODES[code] ?? "UNKNOWN", providerCode: code };
  }
  if (key === ABSENT) return { ...unknown(CODES[code] ?? "UNKNOWN"), providerCode: code };
  const answer = readRefusal(result);
  // A refusal that is no answer to the command: neither what became of it nor the order's state was said.
  return answer.sent === "not_now" ? answer : { ...answer, sent: "unknown", fact: "unknown" };
}

function readRefusal(result: HttpResult): Answer {
  const { key, code, members } = readError(result);
  const resolution = Object.hasOwn(CODES, code) ? CODES[code] : undefined;
  const isListed = (list: readonly string[]): boolean => resolution !== undefined && list.includes(key);
  const reference = typeof members["reference"] === "string" ? { echo: { reference: members["reference"] } } : {};
  const said = { resolution: resolution ?? "UNKNOWN", providerCode: code, ...reference } as const;
  if (isListed(SEND.no)) return { sent: "refused", fact: "failed", ...said };
  if (isListed(SEND.notNow)) return { sent: "not_now", fact: "unknown", ...said, ...readRetryAfter(result) };
  if (isListed(SEND.lookUp)) return { sent: "unknown", fact: "unknown", ...said };
  const unlisted = unknown(result.status >= 500 ? "PROVIDER_INTERNAL_ERROR" : "CONNECTION_ERROR");
  return code === "" ? unlisted : { ...unlisted, providerCode: code };
}

function readRetryAfter({ headers }: HttpResult): { retryAfterMs?: number } {
  const text = headers["retry-after"] ?? "";
  return /^\d{1,6}$/.test(text) ? { retryAfterMs: Number(text) * 1000 } : {};
}

type Members = Readonly<Record<string, unknown>>;

/** The `error` of a refused request; `key` is what the lists in words.ts hold. */
function readError({ status, body }: HttpResult): { key: string; code: string; members: Members } {
  const members = readObject(body) ?? {};
  const error = members["error"];
  const code = typeof error === "string" && /^[a-z_]{1,40}$/.test(error) ? error : "";
  return { key: `${status} ${code}`, code, members };
}

function readObject(body: string): Members | null {
  try {
    const value: unknown = JSON.parse(body);
    return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Members) : null;
  } catch {
    return null;
  }
}

/** An order as the provider describes it. Every member is checked: half a description is none. */
function readState(body: string): Answer {
  const members = readObject(body);
  const echo = members === null ? null : readEcho(members);
  const status = members?.["status"];
  if (members === null || echo === null || typeof status !== "string") return unknown("CONNECTION_ERROR");
  const progress = readProgress(members, echo.currency);
  if (progress === null) return unknown("CONNECTION_ERROR");
  const said = { ...progress, echo, providerStatus: status };
  const meaning = meaningOf(status, members["code"]);
  return meaning === null ? { ...unknown("UNKNOWN"), ...said } : { sent: "accepted", ...meaning, ...said };
}

function meaningOf(status: string, code: unknown): { fact: Fact; resolution: Resolution } | null {
  const fact = Object.hasOwn(STATUSES, status) ? STATUSES[status] : undefined;
  if (fact === undefined) return null;
  if (code === undefined) return { fact, resolution: STATUS_RESOLUTIONS[fact] ?? "OK" };
  const resolution = typeof code === "string" && Object.hasOwn(CODES, code) ? CODES[code] : undefined;
  return resolution === undefined ? null : { fact, resolution };
}

function readEcho(members: Members): Required<NonNullable<Answer["echo"]>> | null {
  const { reference, amount, currency, account } = members;
  if (typeof reference !== "string" || typeof currency !== "string" || typeof account !== "string") return null;
  const amountMinor = readAmount(amount, currency);
  if (amountMinor === null) return null;
  return { reference, amountMinor, currency, destinationHash: destinationHash({ account }) };
}

function readAmount(value: unknown, currency: string): bigint | null {
  if (typeof value !== "string") return null;
  const amount = parseMajor(value, currency);
  return amount.ok && amount.value >= 0n ? amount.value : null;
}

type Progress = Pick<
  Answer,
  "paidMinor" | "returnedMinor" | "sequence" | "providerReference" | "returnId" | "providerCode"
>;

function readProgress(members: Members, currency: string): Progress | null {
  const { providerReference, sequence, returnId, code } = members;
  const paidMinor = readAmount(members["paidAmount"], currency);
  const returnedMinor = readAmount(members["returnedAmount"], currency);
  if (paidMinor === null || returnedMinor === null || typeof providerReference !== "string") return null;
  if (typeof sequence !== "number" || !Number.isSafeInteger(sequence)) return null;
  return {
    paidMinor,
    returnedMinor,
    sequence,
    providerReference,
    ...(typeof returnId === "string" ? { returnId } : {}),
    ...(typeof code === "string" ? { providerCode: code } : {}),
  };
}

/** `t=<Unix ms>,v1=<hex HMAC-SHA256 of "<t>.<raw body>">`, keyed with the account's secret. */
function verifyCallback(callback: RawCallback, account: Account, now: number): boolean {
  const secret = account.credentials["secret"];
  const match = /^t=(\d{1,15}),v1=([0-9a-f]{64})$/.exec(callback.headers[SIGNATURE_HEADER] ?? "");
  if (secret === undefined || secret === "" || match === null) return false;
  const [, time = "", mac = ""] = match;
  if (Math.abs(now - Number(time)) > TOLERANCE_MS) return false;
  const expected = createHmac("sha256", secret).update(`${time}.${callback.body}`).digest();
  return timingSafeEqual(expected, Buffer.from(mac, "hex"));
}

/** No news: the message names no order. A word that we do not know is news, of the fact `unknown`. */
function readCallback(callback: RawCallback): readonly CallbackNews[] {
  const members = readObject(callback.body);
  const messageId = members?.["messageId"];
  const reference = members?.["reference"];
  if (typeof messageId !== "string" || messageId === "" || typeof reference !== "string" || reference === "") return [];
  return [{ messageId, reference, answer: readState(callback.body) }];
}
