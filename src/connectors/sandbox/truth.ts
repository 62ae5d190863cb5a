/** What is proved about the sandbox provider. The wait window is 2 + 2 + 0 + 5 = 9 s. */
import type { TruthSheet } from "../contract.ts";

const SECOND_MS = 1000;
const DAY_MS = 86_400 * SECOND_MS;

export const TRUTH: TruthSheet = {
  reference: {
    alphabet: "abcdefghijklmnopqrstuvwxyz234567",
    maxLength: 32,
    carrier: "header x-reference",
    onRepeat: "error",
    // The book knows a reference for as long as it exists. A repeat is harmless only while the first request is known,
    // so a number is declared, far below that: older requests are not repeated.
    retentionMs: 30 * DAY_MS,
  },
  timeoutMs: 2 * SECOND_MS,
  lateArrivalMs: 2 * SECOND_MS,
  inquiryLagMs: 0,
  workerPauseMs: 5 * SECOND_MS,
  leaseMs: 15 * SECOND_MS,
  // A request leaves 12 s after the lease began at the latest and is over by 14 s: the margin covers the timeout.
  leaseMarginMs: 3 * SECOND_MS,
  inquiry: {
    byOurReference: "yes",
    complete: true,
    // Each counts from the one before: asked after 0.5, 1, 2, 5, 10 s, then every 5 s.
    scheduleMs: [0.5, 0.5, 1, 3, 5].map((seconds) => seconds * SECOND_MS),
  },
  callbacks: { signed: true, ordered: true, carriesState: true },
  repeat: "harmless",
  revoke: "sync",
  cancel: "sync",
  partialCancel: true,
};
