/** What a case is. */
import type { Stage } from "./stage.ts";

export interface Case {
  readonly name: string;
  /** The moves that it is there for, as `<machine>.<from>><to>`: the test fails when it does not pass them. */
  readonly shows: readonly string[];
  readonly run: (stage: Stage) => Promise<void>;
}

const of =
  (machine: string) =>
  (...moves: readonly string[]): string[] =>
    moves.map((move) => `${machine}.${move}`);

export const payout = of("payout");
export const request = of("request");
export const invoice = of("invoice");
