/**
 * Envelope encryption: the master key seals one data key per book, the data key seals credentials and payees' details.
 * AES-256-GCM; what a ciphertext belongs to is bound into it, so that it cannot be moved elsewhere.
 */
import { createCipheriv, createDecipheriv, createHmac, createSecretKey, type KeyObject } from "node:crypto";
import { assert } from "../core/result.ts";
import type { Rng } from "./ports.ts";

const FORMAT = 1;
const IV_BYTES = 12;
const TAG_BYTES = 16;
export const KEY_BYTES = 32;

/** Thrown when a ciphertext cannot be opened: the wrong key, or altered data. Never answered with an empty value. */
export class SealBroken extends Error {
  override readonly name = "SealBroken";
}

function seal(key: KeyObject, plain: Uint8Array, binding: string, iv: Uint8Array): Uint8Array {
  const cipher = createCipheriv("aes-256-gcm", key, iv, { authTagLength: TAG_BYTES });
  cipher.setAAD(Buffer.from(binding, "utf8"));
  const body = Buffer.concat([cipher.update(plain), cipher.final()]);
  return Buffer.concat([Buffer.of(FORMAT), iv, cipher.getAuthTag(), body]);
}

function open(key: KeyObject, sealed: Uint8Array, binding: string): Uint8Array {
  const bytes = Buffer.from(sealed);
  if (bytes[0] !== FORMAT || bytes.length < 1 + IV_BYTES + TAG_BYTES) throw new SealBroken("not a sealed value");
  const iv = bytes.subarray(1, 1 + IV_BYTES);
  const decipher = createDecipheriv("aes-256-gcm", key, iv, { authTagLength: TAG_BYTES });
  decipher.setAAD(Buffer.from(binding, "utf8"));
  decipher.setAuthTag(bytes.subarray(1 + IV_BYTES, 1 + IV_BYTES + TAG_BYTES));
  try {
    return Buffer.concat([decipher.update(bytes.subarray(1 + IV_BYTES + TAG_BYTES)), decipher.final()]);
  } catch (cause) {
    throw new SealBroken(`cannot open what is sealed as ${binding.split(":")[0]}`, { cause });
  }
}

/** Seals and opens for one book. */
export class Safe {
  /** Prepared once: preparing a key costs more than sealing a few members with it. */
  readonly #key: KeyObject;
  readonly #rng: Rng;

  constructor(key: Uint8Array, rng: Rng) {
    this.#key = createSecretKey(key);
    this.#rng = rng;
  }

  /** Seals plain members. `binding` names what they belong to; opening with another name fails. */
  seal(members: Readonly<Record<string, string>>, binding: string): Uint8Array {
    return seal(this.#key, Buffer.from(JSON.stringify(members), "utf8"), binding, this.#rng.bytes(IV_BYTES));
  }

  /** Throws `SealBroken` for a wrong key, altered data or another binding. */
  open(sealed: Uint8Array, binding: string): Readonly<Record<string, string>> {
    const members: unknown = JSON.parse(Buffer.from(open(this.#key, sealed, binding)).toString("utf8"));
    assert(typeof members === "object" && members !== null, "sealed members are an object");
    return members as Record<string, string>;
  }

  /** The book's own webhook secret, for addresses that are not endpoints: derived, so that it never changes. */
  signingSecret(): string {
    return `whsec_${createHmac("sha256", this.#key).update("webhook-signing").digest("base64")}`;
  }

  /** A keyed hash of a payee's details: equal details are found, nobody without the key can try them out. */
  fingerprint(members: Readonly<Record<string, string>>): string {
    const sorted = Object.entries(members).sort(([a], [b]) => (a < b ? -1 : 1));
    return createHmac("sha256", this.#key).update(JSON.stringify(sorted)).digest("hex");
  }
}

/** Holds the master key. */
export class Vault {
  readonly #masterKey: KeyObject;
  readonly #rng: Rng;

  constructor(masterKey: Uint8Array, rng: Rng) {
    assert(masterKey.length === KEY_BYTES, "the master key has 32 bytes");
    this.#masterKey = createSecretKey(masterKey);
    this.#rng = rng;
  }

  /** Makes a data key for a new book and returns it sealed. */
  newSealedKey(organizationId: string): Uint8Array {
    const iv = this.#rng.bytes(IV_BYTES);
    return seal(this.#masterKey, this.#rng.bytes(KEY_BYTES), `data-key:${organizationId}`, iv);
  }

  safeOf(organizationId: string, sealedKey: Uint8Array): Safe {
    return new Safe(open(this.#masterKey, sealedKey, `data-key:${organizationId}`), this.#rng);
  }
}
