/**
 * What a store may throw. Each says what became of the transaction: nothing, or that nobody can know. Thrown, not
 * returned: they are weather and bugs, never an answer of the domain.
 */

/** The database refused a change by a constraint: nothing of the transaction happened, and it is a bug of ours. */
export class StoreRefused extends Error {
  override readonly name = "StoreRefused";
  readonly constraint: string;
  constructor(constraint: string, cause?: unknown) {
    super(`the store refused a change: ${constraint}`, { cause });
    this.constraint = constraint;
  }
}

/** The database cannot be reached: nothing of the transaction happened. */
export class StoreUnavailable extends Error {
  override readonly name = "StoreUnavailable";
}

/** Nobody can know what became of the transaction: it may have happened. What was leased is found by its lease. */
export class OutcomeUnknown extends Error {
  override readonly name: string = "OutcomeUnknown";
}

/** The database is away, or cannot say what it did: the work stays due, or its lease finds it. Anything else is a bug. */
export function isWeather(error: unknown): boolean {
  return error instanceof StoreUnavailable || error instanceof OutcomeUnknown;
}
