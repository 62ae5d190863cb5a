/** What a run has shown of the domain, against the tables of the code. */

import { RESOLUTIONS } from "../../src/core/news/resolution.ts";
import { INVOICE } from "../../src/core/order/invoice.ts";
import type { Machine } from "../../src/core/order/machine.ts";
import { moveName } from "../../src/core/order/machine.ts";
import { PAYOUT } from "../../src/core/order/payout.ts";
import { PUBLIC_STATUSES, REQUEST } from "../../src/core/order/request.ts";
import { storyOf, type Told } from "./feed.ts";

/** One line of the table: what there is, and what of it was seen. */
export interface Count {
  readonly what: string;
  readonly seen: number;
  readonly all: number;
  /** By name. */
  readonly missing: readonly string[];
}

export interface Tally {
  readonly counts: readonly Count[];
  /** Moves that no table has. */
  readonly foreign: readonly string[];
  /** Moves by story. */
  readonly ofStory: ReadonlyMap<string, ReadonlySet<string>>;
}

const MACHINE_OF = { "payout-invoice": INVOICE, "payout-request": REQUEST, payout: PAYOUT } as const;

/**
 * The moves of each story. Every change with a move in it is an event that names the statuses passed, so one status
 * after the other of the same thing is a move.
 */
function movesOf(events: readonly Told[]): Map<string, Set<string>> {
  const at = new Map<string, string>();
  const stories = new Map<string, Set<string>>();
  for (const event of events.toSorted((a, b) => a.data.sequence - b.data.sequence)) {
    const { object, id, passed } = event.data;
    if (object === "moderation-act") continue;
    const story = storyOf(event);
    const moves = stories.get(story) ?? new Set<string>();
    stories.set(story, moves);
    for (const to of passed) {
      moves.add(moveName(MACHINE_OF[object].name, at.get(id) ?? "new", to));
      at.set(id, to);
    }
  }
  return stories;
}

function count(what: string, all: readonly string[], seen: ReadonlySet<string>): Count {
  const missing = all.filter((name) => !seen.has(name));
  return { what, seen: all.length - missing.length, all: all.length, missing };
}

const namesOf = ({ name, moves }: Machine<string>): string[] => moves.map(({ from, to }) => moveName(name, from, to));

/** The statuses in which things of one kind have stood, passed ones included. */
function statusesOf(events: readonly Told[], object: Told["data"]["object"]): Set<string> {
  return new Set(events.flatMap(({ data }) => (data.object === object ? [...data.passed, data.status] : [])));
}

/** @param publicStatuses of requests, as reads have shown them */
export function tally(events: readonly Told[], publicStatuses: ReadonlySet<string>): Tally {
  const ofStory = movesOf(events);
  const moves = new Set([...ofStory.values()].flatMap((each) => [...each]));
  const known = new Set([PAYOUT, REQUEST, INVOICE].flatMap((each) => namesOf(each as Machine<string>)));
  const resolutions = new Set(events.map(({ data }) => data.resolution ?? ""));
  const lines = [
    ["payout", PAYOUT, "payout"],
    ["payout request", REQUEST, "payout-request"],
    ["payout invoice", INVOICE, "payout-invoice"],
  ] as const;
  return {
    foreign: [...moves].filter((name) => !known.has(name)),
    ofStory,
    counts: [
      ...lines.map(([name, machine, object]) =>
        count(`${name}: statuses`, Object.keys(machine.statuses), statusesOf(events, object)),
      ),
      count("payout request: public statuses", Object.keys(PUBLIC_STATUSES), publicStatuses),
      ...lines.flatMap(([name, machine]) => [
        count(`${name}: moves`, namesOf(machine as Machine<string>), moves),
        count(`${name}: late moves among them`, lateOf(machine as Machine<string>), moves),
      ]),
      count("resolutions", Object.keys(RESOLUTIONS), resolutions),
    ],
  };
}

function lateOf({ name, moves }: Machine<string>): string[] {
  return moves.filter(({ kind }) => kind === "late").map(({ from, to }) => moveName(name, from, to));
}

/** The table as text, and below it by name what is missing. */
export function tableOf({ counts, foreign }: Tally): string {
  const width = Math.max(...counts.map(({ what }) => what.length));
  const rows = counts.map(({ what, seen, all }) => `${what.padEnd(width)}  ${`${seen}/${all}`.padStart(7)}`);
  const missing = counts.flatMap(({ missing: names }) => names.map((name) => `missing: ${name}`));
  const strange = foreign.map((name) => `in no table: ${name}`);
  return [...new Set([...missing, ...strange]), ...rows].join("\n");
}
