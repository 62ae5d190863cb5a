/**
 * The sealed part of a link to the hosted page: which request of which book, until when. Sealed with the book's own key,
 * so that nobody can make one, change one, or use one for another request. What opens it waits for that page.
 */
import type { Safe } from "../engine/vault.ts";

const binding = (book: string): string => `pay-link:${book}`;

export interface PayLink {
  readonly requestId: string;
  /** Milliseconds; the link is worth nothing after it. */
  readonly expiresTime: number;
}

/** Another text each time, without a write. */
export function sealPayLink(safe: Safe, book: string, link: PayLink): string {
  const members = { requestId: link.requestId, expiresTime: String(link.expiresTime) };
  const sealed = Buffer.from(safe.seal(members, binding(book)));
  return `${Buffer.from(book, "utf8").toString("base64url")}.${sealed.toString("base64url")}`;
}

/** The book that a link claims to be of: whose key opens it, or does not. Null for what is no link. */
export function bookOfPayLink(text: string): string | null {
  const [, book] = /^([\w-]{1,80})\.[\w-]{1,600}$/.exec(text) ?? [];
  return book === undefined ? null : Buffer.from(book, "base64url").toString("utf8");
}

/** @throws SealBroken for a link that this book did not seal. */
export function openPayLink(safe: Safe, book: string, text: string): PayLink {
  const sealed = Buffer.from(text.slice(text.indexOf(".") + 1), "base64url");
  const { requestId = "", expiresTime = "0" } = safe.open(sealed, binding(book));
  return { requestId, expiresTime: Number(expiresTime) };
}
