/**
 * Connectors that lie, to show that the oracle can fail: the same engine, the same faults, and one promise of the
 * connector that the world does not keep. Nothing of this is in the product.
 */
import type { Connector } from "../../../src/connectors/contract.ts";
import { sandbox } from "../../../src/connectors/sandbox/connector.ts";

/** Declares that nothing arrives late and that nobody pauses: "not found" counts long before it is true. */
export const impatient: Connector = {
  ...sandbox,
  truth: { ...sandbox.truth, lateArrivalMs: 0, workerPauseMs: 0 },
};

/** Takes every 5xx for a refusal, though the provider may have taken the order before it failed. */
export const gullible: Connector = {
  ...sandbox,
  create: {
    build: sandbox.create.build,
    read(result, question) {
      if (result.status < 500) return sandbox.create.read(result, question);
      return { sent: "refused", fact: "failed", resolution: "DECLINED_ERROR" };
    },
  },
};

/** Forgets which words mean "ask": an inquiry that finds nothing is a final no, whenever it was asked. */
export const hasty: Connector = {
  ...sandbox,
  inquire: {
    build: sandbox.inquire.build,
    read(result, query) {
      if (result.status !== 404) return sandbox.inquire.read(result, query);
      return { sent: "unknown", fact: "failed", resolution: "DECLINED_ERROR", found: "yes" };
    },
  },
};
