/** Identifiers: row ids, and the references under which providers know our payouts. */
import { createHash } from "node:crypto";
import { assert } from "./result.ts";

/**
 * A UUIDv7 from a time (milliseconds since 1970) and ten random bytes. Time-ordered, so that new rows land at the end
 * of their indexes: version 4 writes three to four times the log.
 */
export function uuid7(timeMs: number, random: Uint8Array): string {
  assert(random.length >= 10, "uuid7 wants ten random bytes");
  const time = timeMs.toString(16).padStart(12, "0");
  const rest = Buffer.from(random.subarray(0, 10)).toString("hex");
  const variant = "89ab"[Number.parseInt(rest[3] ?? "0", 16) & 3] ?? "8";
  return `${time.slice(0, 8)}-${time.slice(8)}-7${rest.slice(0, 3)}-${variant}${rest.slice(4, 7)}-${rest.slice(8, 20)}`;
}

/** What a provider reference is derived from. `root` is the merchant's own name of the order. */
export interface ReferenceParts {
  readonly organizationId: string;
  readonly root: string;
  readonly part: number;
  readonly attempt: number;
}

/** Where a reference must fit. */
export interface ReferenceShape {
  readonly alphabet: string;
  readonly maxLength: number;
}

const MIN_REFERENCE_BITS = 80;

/**
 * The reference of one payout at its provider. A pure function of what the merchant named: no stored key and no
 * generated id is in it, so a repeat after a restore yields the same reference and the provider can recognise it.
 * Fails (a bug, not a refusal) when the shape leaves fewer than 80 bits.
 */
export function providerReference(parts: ReferenceParts, shape: ReferenceShape): string {
  const base = BigInt(new Set(shape.alphabet).size);
  assert(base >= 2n, "a reference alphabet needs two characters");
  const fields = [parts.organizationId, parts.root, String(parts.part), String(parts.attempt)];
  const hash = createHash("sha256");
  for (const field of fields) {
    // Length-prefixed, so that no two lists of fields hash alike.
    const bytes = Buffer.from(field, "utf8");
    const length = Buffer.alloc(4);
    length.writeUInt32BE(bytes.length);
    hash.update(length).update(bytes);
  }
  let rest = BigInt(`0x${hash.digest("hex")}`);
  let reference = "";
  let capacity = 1n;
  const enough = 1n << 256n;
  while (reference.length < shape.maxLength && capacity < enough) {
    reference += shape.alphabet[Number(rest % base)];
    rest /= base;
    capacity *= base;
  }
  assert(capacity >= 1n << BigInt(MIN_REFERENCE_BITS), "the connector's references are too short to be unique");
  return reference;
}

/** SHA-256 as lower-case hex. */
export function sha256(text: string | Uint8Array): string {
  return createHash("sha256").update(text).digest("hex");
}
