/** How pure code says "no": as a value. Thrown errors are for bugs and for weather (a lost connection). */

export type Result<T, E> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly error: E };

export function ok<T>(value: T): { readonly ok: true; readonly value: T } {
  return { ok: true, value };
}

export function err<E>(error: E): { readonly ok: false; readonly error: E } {
  return { ok: false, error };
}

/** A broken invariant. It is a bug of ours, never the caller's fault: the work at hand stops and the gate may shut. */
export class InvariantBroken extends Error {
  override readonly name = "InvariantBroken";
}

/** States what must be true. Stays on in production: a wrong payout costs more than a stopped one. */
export function assert(holds: unknown, message: string): asserts holds {
  if (!holds) throw new InvariantBroken(message);
}
