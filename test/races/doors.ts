/** Several doors on one database, what is asked at all of them at once, and the judgement after it. */
import { audit, judgeEnds } from "./audit.ts";
import { type Gateway, type Place, type Reply, settled } from "./place.ts";
import { spread, type Tally } from "./tally.ts";

export const SETTLE_LIMIT_MS = 30_000;

export type Doors = readonly [Gateway, Gateway, Gateway];

/** Status and code of every answer: "1 x 200, 5 x 412 version-conflict". */
export const statuses = (replies: readonly Reply[]): string =>
  spread(replies.map(({ status, body }) => (status < 300 ? status : `${status} ${String(body["code"])}`)));

export async function doors(place: Place): Promise<Doors> {
  const opened = [await place.open(), await place.open(), await place.open()] as const;
  for (const { engine } of opened) engine.start();
  return opened;
}

/** The same number of requests at each door, all at once. */
export function storm<T>(
  gateways: readonly Gateway[],
  count: number,
  ask: (at: Gateway, index: number) => Promise<T>,
): Promise<T[]> {
  return Promise.all(
    Array.from({ length: count }, (_, index) => {
      const gateway = gateways[index % gateways.length];
      if (gateway === undefined) throw new Error("there is a gateway");
      return ask(gateway, index);
    }),
  );
}

export async function finish(place: Place, race: string, rounds: number): Promise<Tally> {
  const open = await settled(place, SETTLE_LIMIT_MS);
  place.faults.check("all settled", open.length === 0, () => `not settled: ${open.join(", ")}`);
  await audit(place);
  await judgeEnds(place);
  return place.faults.tally(race, rounds);
}
