/** Books, API keys and callback addresses: what must exist before the first command of an organization. */
import { sha256 } from "../core/ids.ts";
import { assert } from "../core/result.ts";
import type { ApiKey, Changes, Locator, Rng, Store, Tx } from "./ports.ts";
import type { Vault } from "./vault.ts";

export type BookKind = "live" | "test";

/** The tenant id of a book: the organization's own id for the live one, with `:test` for the other. */
export function bookId(organizationId: string, kind: BookKind): string {
  assert(/^[a-z0-9_]{1,40}$/.test(organizationId), `${organizationId} is not an organization id`);
  return kind === "live" ? organizationId : `${organizationId}:test`;
}

/** The organization as the wire names it, whichever its book. */
export function organizationOf(book: string): string {
  return book.replace(/:test$/, "");
}

const NOTHING: Changes = { insert: {}, update: {}, delete: {} };

/** Makes a book with its data key and lock row, unless it exists. */
export async function createBook(store: Store, vault: Vault, book: { id: string; name: string }): Promise<void> {
  await store.commit([], {}, async (tx) => {
    const [existing] = await tx.load([{ table: "organization", by: "primary", keys: [[book.id]] }]);
    if ((existing?.length ?? 0) > 0) return { changes: NOTHING, result: null };
    const insert: Changes["insert"] = {
      organization: [{ id: book.id, name: book.name, sealedKey: vault.newSealedKey(book.id), createdTime: tx.now }],
      organizationLock: [
        {
          organizationId: book.id,
          version: 1,
          historySequence: 0,
          entrySequence: 0,
          fence: 0,
          configRevision: 1,
          invoiceCount: 0,
          requestCount: 0,
          payoutCount: 0,
          gate: "open",
          shutCurrencies: [],
        },
      ],
    };
    return { changes: { ...NOTHING, insert }, result: null };
  });
}

/** A new key: its kind shows which book it opens, 256 random bits follow. */
export function newKeyText(kind: BookKind, rng: Rng): string {
  return `bk_${kind}_${Buffer.from(rng.bytes(32)).toString("base64url")}`;
}

/** The book that a key of this text opens. */
export function kindOfKey(text: string): BookKind | null {
  if (text.startsWith("bk_test_")) return "test";
  return text.startsWith("bk_live_") ? "live" : null;
}

/** Stores the hash of a key, unless it is known already. Returns whether it is new. */
export async function createApiKey(
  store: Store,
  book: string,
  key: { text: string; id: string; label: string; role: ApiKey["role"] },
): Promise<boolean> {
  const hash = sha256(key.text);
  return store.commit([book], {}, async (tx) => {
    if (await isLocated(tx, hash)) return { changes: NOTHING, result: false };
    const row: ApiKey = {
      organizationId: book,
      id: key.id,
      hash,
      label: key.label,
      role: key.role,
      createdTime: tx.now,
      expiresTime: null,
      revokedTime: null,
      version: 1,
    };
    const locator: Locator = { hash, kind: "api_key", organizationId: book, id: key.id };
    return { changes: { ...NOTHING, insert: { apiKey: [row], locator: [locator] } }, result: true };
  });
}

/** Makes a provider account's callback address known. */
export async function createCallbackAddress(
  store: Store,
  book: string,
  account: { id: string; callbackId: string },
): Promise<void> {
  const hash = sha256(account.callbackId);
  await store.commit([book], {}, async (tx) => {
    if (await isLocated(tx, hash)) return { changes: NOTHING, result: null };
    const locator: Locator = { hash, kind: "callback", organizationId: book, id: account.id };
    return { changes: { ...NOTHING, insert: { locator: [locator] } }, result: null };
  });
}

async function isLocated(tx: Tx, hash: string): Promise<boolean> {
  const [found] = await tx.load([{ table: "locator", by: "primary", keys: [[hash]] }]);
  return (found?.length ?? 0) > 0;
}
