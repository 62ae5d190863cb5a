/** Plays every case against one gateway with a running sandbox provider, and tallies what was seen over HTTP. */
import type { Gateway } from "../support/gateway.ts";
import { differences } from "./books.ts";
import type { Case } from "./cases.ts";
import { ENDS, LATE_MS } from "./cases-ends.ts";
import { PAYMENTS } from "./cases-payments.ts";
import { REQUESTS } from "./cases-requests.ts";
import { RESOLUTION_CASES } from "./cases-resolutions.ts";
import { REVERSALS } from "./cases-reversals.ts";
import { REVOKES_AND_TRUTHS } from "./cases-revokes.ts";
import { Feed } from "./feed.ts";
import { makePlace } from "./place.ts";
import { type Hall, Stage } from "./stage.ts";
import { type Tally, tally } from "./tally.ts";

/** Those that wait for the wait window come first, so that the others play meanwhile. */
export const CASES: readonly Case[] = [
  ...RESOLUTION_CASES,
  ...REVERSALS,
  ...REVOKES_AND_TRUTHS,
  ...ENDS,
  ...PAYMENTS,
  ...REQUESTS,
];

/** So many at a time: on a busy machine the client's timeout must stay the provider's fault, never ours. */
const AT_ONCE = 28;

export interface Played {
  readonly name: string;
  /** Null: as it should be. */
  readonly fault: string | null;
  readonly seconds: number;
}

export interface Run {
  readonly played: readonly Played[];
  readonly tally: Tally;
  readonly isBalanced: boolean;
  /** Between our books and the provider's own, and what the auditor finds. */
  readonly differences: readonly string[];
}

/** Plays them. Never throws for what a case finds. */
export async function playAll(gateway: Gateway, cases: readonly Case[] = CASES): Promise<Run> {
  await gateway.control({ timeoutMs: 3_000, answerDelayMs: 500, callbackDelayMs: 100, lateMs: LATE_MS });
  const plain = await makePlace(gateway, "plain", { routes: [{ funds: 50_000 }] });
  const feed = new Feed(gateway);
  const hall: Hall = { gateway, feed, plain };
  const stages = cases.map((_, index) => new Stage(hall, `c${index}`));
  const played: Played[] = [];
  let next = 0;
  const player = async (): Promise<void> => {
    for (let index = next++; index < cases.length; index = next++) {
      const [each, stage] = [cases[index], stages[index]];
      if (each === undefined || stage === undefined) return;
      played[index] = await play(each, stage);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, player));
  const inBooks = [...(await differences(gateway)), ...(await gateway.breaches())];
  const publicStatuses = await readPublicStatuses(gateway);
  const { body } = await gateway.call("GET", "/accounts/trial-balance");
  await feed.close();
  const seen = tally(feed.events, publicStatuses);
  const judged = played.map((each, index) => shown(each, cases[index]?.shows ?? [], movesOf(seen, stages[index])));
  return { played: judged, tally: seen, isBalanced: body["balanced"] === true, differences: inBooks };
}

async function play({ name, run }: Case, stage: Stage): Promise<Played> {
  const began = performance.now();
  const seconds = (): number => (performance.now() - began) / 1_000;
  try {
    await run(stage);
    return { name, fault: null, seconds: seconds() };
  } catch (error) {
    return { name, fault: error instanceof Error ? error.message : String(error), seconds: seconds() };
  }
}

function movesOf({ ofStory }: Tally, stage: Stage | undefined): ReadonlySet<string> {
  return new Set((stage?.stories ?? []).flatMap((story) => [...(ofStory.get(story) ?? [])]));
}

/** A case that went well must have passed the moves that it is there for. */
function shown(played: Played, shows: readonly string[], moves: ReadonlySet<string>): Played {
  const lacking = shows.filter((move) => !moves.has(move));
  if (played.fault !== null || lacking.length === 0) return played;
  return { ...played, fault: `it did not pass ${lacking.join(", ")}; it passed ${[...moves].join(", ")}` };
}

async function readPublicStatuses(gateway: Gateway): Promise<ReadonlySet<string>> {
  const { body } = await gateway.call("GET", "/payout-requests?limit=1000");
  return new Set((body as unknown as readonly { status: string }[]).map(({ status }) => status));
}
