/** Errors as RFC 9457 problem documents: from refusals, from Fastify's own errors, from bugs. */

import { ERRORS, type ErrorCode, type InvalidField, invalid, type Refusal, refusal } from "../core/errors.ts";
import { isWeather } from "../core/faults.ts";
import { MalformedJson } from "../core/json.ts";
import type { StoredAnswer } from "../engine/command.ts";
import { writeJson } from "./json.ts";

export const PROBLEM = "application/problem+json";

/** Seconds after which a call that met an unreachable database is worth repeating. */
const RETRY_AFTER = "2";

/** How a hook says no before there is a command. */
export class Refused extends Error {
  override readonly name = "Refused";
  readonly refusal: Refusal;
  readonly headers: Readonly<Record<string, string>>;

  constructor(refused: Refusal, headers: Readonly<Record<string, string>> = {}) {
    super(refused.detail);
    this.refusal = refused;
    this.headers = headers;
  }
}

/** Refuses with the catalogue's own advice, unless there is more to say. */
export function refuse(code: ErrorCode, detail: string = ERRORS[code].advice): Refused {
  return new Refused(refusal(code, detail));
}

export function refuseFields(fields: readonly InvalidField[]): Refused {
  return new Refused(invalid(fields));
}

/** More are not named: whoever sends so many mistakes has made one, many times. */
export const MAX_FIELDS = 100;

/** The problem document of a refusal. `instance` is the path that was asked for, without its query. */
export function problemAnswer(
  { code, detail, invalidFields, location }: Refusal,
  around: { readonly instance: string; readonly base: string },
): StoredAnswer {
  const { status, title } = ERRORS[code];
  const body = writeJson({
    type: `/errors/${code}`,
    title,
    status,
    detail,
    instance: around.instance,
    code,
    ...(invalidFields === undefined ? {} : { invalidFields: invalidFields.slice(0, MAX_FIELDS) }),
  });
  const headers: Record<string, string> = { "content-type": PROBLEM };
  if (location !== undefined) headers["location"] = around.base + location;
  return { status, headers, body };
}

/** Fastify's own errors, by their codes. */
const BY_FASTIFY_CODE: Readonly<Record<string, ErrorCode>> = {
  FST_ERR_CTP_BODY_TOO_LARGE: "body-too-large",
  FST_ERR_CTP_INVALID_MEDIA_TYPE: "unsupported-media-type",
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: "malformed-body",
  FST_ERR_BAD_URL: "not-found",
  FST_ERR_MAX_PARAM_LENGTH: "not-found",
  FST_ERR_NOT_FOUND: "not-found",
};

function member(error: unknown, name: "code" | "statusCode"): unknown {
  return typeof error === "object" && error !== null && name in error ? (error as Record<string, unknown>)[name] : null;
}

/** What to answer to anything that was thrown. `isBug`: nobody expected it, and the log wants to know. */
export function refusedBy(error: unknown): { refused: Refused; isBug: boolean } {
  if (error instanceof Refused) return { refused: error, isBug: false };
  if (error instanceof MalformedJson) return { refused: refuse("malformed-body", error.message), isBug: false };
  if (isWeather(error)) {
    const retry = { "retry-after": RETRY_AFTER };
    return { refused: new Refused(refusal("unavailable", ERRORS.unavailable.advice), retry), isBug: false };
  }
  const code = member(error, "code");
  const known = typeof code === "string" ? BY_FASTIFY_CODE[code] : undefined;
  if (known !== undefined) return { refused: refuse(known), isBug: false };
  // A body that broke off, or was told to be another length than it is.
  const status = member(error, "statusCode");
  const isOfCaller = typeof status === "number" && status >= 400 && status < 500;
  return isOfCaller
    ? { refused: refuse("malformed-body"), isBug: false }
    : { refused: refuse("internal"), isBug: true };
}
