/** How long to wait before looking again, and how often. */

/** After this many *not now* answers a payout ends as never registered, and a reversal has failed. */
export const NOT_NOW_LIMIT = 10;

/** Not-now answers: 0.5 s, doubled each time, at most a minute. `tries` counts from 1. */
export function notNowDelayMs(tries: number): number {
  return Math.min(60_000, 500 * 2 ** Math.min(tries - 1, 10));
}

/** The delay before inquiry number `inquiries` (from 0) of a schedule; the last delay repeats. */
export function inquiryDelayMs(scheduleMs: readonly number[], inquiries: number): number {
  return scheduleMs[Math.min(inquiries, scheduleMs.length - 1)] ?? 60_000;
}
