/** Who calls: an API key, by its hash, and the book that it opens. */
import type { IncomingHttpHeaders } from "node:http";
import { sha256 } from "../core/ids.ts";
import { isGranted, type Permission, rolesWith } from "../core/permissions.ts";
import type { ApiKey, Clock } from "../engine/ports.ts";
import { kindOfKey, organizationOf } from "../engine/provision.ts";
import type { Safe, Vault } from "../engine/vault.ts";
import type { Reads } from "../store/reads.ts";
import { Refused, refuse } from "./problem.ts";

/** A caller. */
export interface Identity {
  /** The book: the tenant everywhere in the database. */
  readonly book: string;
  /** The organization as the wire names it. */
  readonly organizationId: string;
  readonly keyId: string;
  readonly role: ApiKey["role"];
  /** Seals links that we hand out. */
  readonly safe: Safe;
}

/** How long a good key is believed without asking again: a revoked one works no longer than this. */
const BELIEVED_MS = 10_000;
const BELIEVED_MAX = 1_000;
/** Longer than any key of ours; hashing more would be work for nothing. */
const KEY_MAX = 512;

const WHO_ARE_YOU = { "www-authenticate": 'Bearer realm="Bursar"' };

const unauthorized = (): Refused => new Refused(refuse("unauthorized").refusal, WHO_ARE_YOU);

/** The key as one of the three headers has it; null when there is none. */
function keyIn(headers: IncomingHttpHeaders): string | null {
  const { authorization } = headers;
  if (authorization === undefined) {
    const own = headers["reb-apikey"];
    return typeof own === "string" ? own.trim() : null;
  }
  const [, scheme = "", rest = ""] = /^(\S+) +(\S.*)$/.exec(authorization.trim()) ?? [];
  switch (scheme.toLowerCase()) {
    case "bearer":
      return rest;
    case "basic":
      // The key is the user's name; a password would be nobody's.
      return Buffer.from(rest, "base64").toString("utf8").replace(/:.*$/s, "");
    default:
      return null;
  }
}

interface Believed {
  readonly identity: Identity;
  /** On the process's own clock. */
  readonly until: number;
}

export class KeyRing {
  readonly #reads: Reads;
  readonly #vault: Vault;
  readonly #clock: Clock;
  readonly #believed = new Map<string, Believed>();

  constructor(options: { reads: Reads; vault: Vault; clock: Clock }) {
    this.#reads = options.reads;
    this.#vault = options.vault;
    this.#clock = options.clock;
  }

  /** @throws Refused when nobody has this key, it has ended, or it is of another kind than its book. */
  async identify(headers: IncomingHttpHeaders): Promise<Identity> {
    const key = keyIn(headers);
    if (key === null || key === "" || key.length > KEY_MAX) throw unauthorized();
    const hash = sha256(key);
    const askedAt = this.#clock.monotonic();
    const believed = this.#believed.get(hash);
    if (believed !== undefined && believed.until > askedAt) return believed.identity;
    const found = await this.#reads.findKey(hash);
    const isTestBook = found?.organizationId.endsWith(":test") === true;
    if (found === null || kindOfKey(key) !== (isTestBook ? "test" : "live")) {
      this.#believed.delete(hash);
      throw unauthorized();
    }
    const identity: Identity = {
      book: found.organizationId,
      organizationId: organizationOf(found.organizationId),
      keyId: found.id,
      role: found.role,
      safe: this.#vault.safeOf(found.organizationId, found.sealedKey),
    };
    const leftMs = found.expiresTime === null ? BELIEVED_MS : found.expiresTime - found.now;
    this.#believe(hash, { identity, until: askedAt + Math.min(BELIEVED_MS, leftMs) });
    return identity;
  }

  #believe(hash: string, believed: Believed): void {
    // The newest goes last, so that the first one is the oldest.
    this.#believed.delete(hash);
    this.#believed.set(hash, believed);
    const [oldest] = this.#believed.keys();
    if (this.#believed.size > BELIEVED_MAX && oldest !== undefined) this.#believed.delete(oldest);
  }
}

/** @throws Refused when the key is another organization's, or its role may not do it in its book. */
export function checkAllowed(identity: Identity, asked: { organizationId?: string; permission: Permission }): void {
  if (asked.organizationId !== undefined && asked.organizationId !== identity.organizationId) {
    throw refuse("forbidden", "The key belongs to another organization than the one in the path.");
  }
  const isTestBook = identity.book !== identity.organizationId;
  if (isGranted(identity.role, asked.permission, isTestBook)) return;
  const roles = rolesWith(asked.permission, isTestBook).join(", ");
  throw refuse("forbidden", `A key with the role ${identity.role} may not do this: it takes ${roles}.`);
}
