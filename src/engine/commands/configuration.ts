/** What all commands on configured things have in common: their ids, versions and faults. */
import { type ErrorCode, type InvalidField, invalid, type Refusal, refusal } from "../../core/errors.ts";
import { err, ok, type Result } from "../../core/result.ts";
import type { Context } from "../context.ts";

/** The making of a thing: what was asked for, and the faults of form that were found before. */
export interface Create<O> {
  readonly order: O;
  readonly problems: readonly InvalidField[];
}

export interface Change<O> extends Create<O> {
  readonly id: string;
  /** The version that the caller has read. */
  readonly version: number;
}

/** What is wrong with an order: each member once, and nothing about a member of which a part is at fault already. */
export class Faults {
  readonly #found: InvalidField[];

  constructor(problems: readonly InvalidField[]) {
    this.#found = [...problems];
  }

  readonly say = (field: string, message: string): null => {
    const isSaid = this.#found.some(({ field: said }) => {
      return said === field || said.startsWith(`${field}.`) || said.startsWith(`${field}[`);
    });
    if (!isSaid) this.#found.push({ field, message });
    return null;
  };

  get isSound(): boolean {
    return this.#found.length === 0;
  }

  get refusal(): Refusal {
    return invalid(this.#found);
  }
}

/** The caller's id, or one of ours: the prefix tells what it is of. */
export function idOf(context: Context, given: string | undefined, prefix: string): string {
  return given ?? `${prefix}_${context.newId().replaceAll("-", "")}`;
}

/** The members of a row that is new. */
export function born({ organizationId, now }: Context) {
  return { organizationId, version: 1, createdTime: now, updatedTime: now } as const;
}

/** A row one version on. */
export function renewed<R extends { readonly version: number }>(context: Context, row: R): R {
  return { ...row, version: row.version + 1, updatedTime: context.now };
}

/** Process caches of the setup are of one revision: with the next one they are loaded anew. */
export function growRevision(context: Context): void {
  context.count({ configRevision: context.lock.configRevision + 1 });
}

/** The row that is to be changed, if it is there and as the caller has read it. */
export function current<R extends { readonly version: number }>(
  what: string,
  row: R | null,
  version: number,
): Result<R, Refusal> {
  if (row === null) return err(refusal("not-found", `There is no such ${what}.`));
  if (row.version === version) return ok(row);
  return err(refusal("version-conflict", `The ${what} is at version ${row.version}, not ${version}.`));
}

/** A name that must be unique is somebody else's, who stands at `location`. */
export function taken(code: ErrorCode & `${string}-used`, detail: string, location: string): Refusal {
  return { ...refusal(code, detail), location };
}

const MAX_URL = 2048;

/** What is wrong with an address on the web, which may hold no password; null when it may be used. */
export function urlFault(url: string): string | null {
  const parsed = URL.canParse(url) ? new URL(url) : null;
  if (parsed === null || (parsed.protocol !== "https:" && parsed.protocol !== "http:")) return "is not a web address";
  if (parsed.username !== "" || parsed.password !== "") return "must not hold a user name or password";
  return url.length > MAX_URL ? `has more than ${MAX_URL} characters` : null;
}
