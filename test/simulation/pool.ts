/**
 * Seeds on several cores: each worker takes the next seed as soon as it is free. A seed is a world of its own, so what
 * it comes to does not depend on which worker had it, nor on how many there are.
 */
import { isMainThread, parentPort, Worker } from "node:worker_threads";
import { assert } from "../../src/core/result.ts";
import { type Report, simulate } from "./simulate.ts";

/** Calls `take` with every report, in the order of the seeds. */
export async function simulateMany(
  seeds: readonly number[],
  workers: number,
  take: (report: Report) => void,
): Promise<void> {
  if (workers <= 1) {
    for (const seed of seeds) take(await simulate(seed));
    return;
  }
  await new Promise<void>((resolve, reject) => {
    const waiting = new Map<number, Report>();
    let given = 0;
    let taken = 0;
    const pool = Array.from({ length: Math.min(workers, seeds.length) }, () => new Worker(new URL(import.meta.url)));
    const stop = (): void => void Promise.all(pool.map((worker) => worker.terminate()));
    const feed = (worker: Worker): void => {
      const seed = seeds[given];
      if (seed === undefined) return;
      given += 1;
      worker.postMessage(seed);
    };
    for (const worker of pool) {
      worker.on("message", (report: Report) => {
        waiting.set(report.seed, report);
        feed(worker);
        for (let next = waiting.get(seeds[taken] ?? -1); next !== undefined; next = waiting.get(seeds[taken] ?? -1)) {
          waiting.delete(next.seed);
          taken += 1;
          take(next);
        }
        if (taken < seeds.length) return;
        stop();
        resolve();
      });
      worker.once("error", (error) => {
        stop();
        reject(error);
      });
      feed(worker);
    }
    if (seeds.length === 0) resolve();
  });
}

export function seedsFrom(from: number, count: number): readonly number[] {
  return Array.from({ length: count }, (_, index) => from + index);
}

function work(): void {
  const port = parentPort;
  assert(port !== null, "a worker has somebody to report to");
  port.on("message", (seed: number) => {
    simulate(seed).then(
      (report) => port.postMessage(report),
      (error: unknown) => {
        throw error;
      },
    );
  });
}

if (!isMainThread && parentPort !== null) work();
