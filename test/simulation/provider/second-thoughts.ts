/** What a provider does after an end of its own: money comes back, or it breaks its word and pays after all. */
import { heldByPayee, isAlive, type Operation, type Provider } from "./provider.ts";

const LONGEST_THOUGHT_MS = 30_000;

/** Draws whether anything follows an end, and plans it. */
export function thinkAgain(provider: Provider, operation: Operation): void {
  const { weather } = provider.world;
  if (heldByPayee(operation) > 0n) {
    if (weather.strikes("late_return", null)) giveBack(provider, operation);
    return;
  }
  if (weather.strikes("broken_word", null)) {
    provider.plan(operation, LONGEST_THOUGHT_MS, () => breakWord(provider, operation));
  }
}

/** A return: on its way first or not, all of it or a part, the rest of it later or never. */
function giveBack(provider: Provider, operation: Operation): void {
  const { random } = provider.world.weather;
  if (random.chance(0.3)) {
    provider.plan(operation, LONGEST_THOUGHT_MS, () => {
      if (heldByPayee(operation) > 0n) provider.move(operation, { status: "returning" });
      provider.plan(operation, LONGEST_THOUGHT_MS, () => returnSome(provider, operation));
    });
  } else provider.plan(operation, LONGEST_THOUGHT_MS, () => returnSome(provider, operation));
}

function returnSome(provider: Provider, operation: Operation): void {
  const { random } = provider.world.weather;
  const { tally } = provider.world;
  const left = heldByPayee(operation);
  if (left === 0n) return;
  const isPart = left > 1n && random.chance(0.4);
  const backMinor = isPart ? 1n + (left * BigInt(random.between(0, 98))) / 100n : left;
  bringBack(provider, operation, backMinor);
  if (tally.hasStruckSince(operation.arrivedTime, "failover", "restore")) tally.reach("late return after a failover");
  tally.reach(operation.status === "returned" ? "late return" : "late return of a part");
  if (isPart && random.chance(0.5)) {
    provider.plan(operation, LONGEST_THOUGHT_MS, () => {
      if (heldByPayee(operation) === 0n) return;
      tally.reach("late return twice");
      bringBack(provider, operation, heldByPayee(operation));
    });
  } else if (!isPart && provider.world.weather.strikes("broken_word", null)) {
    provider.plan(operation, LONGEST_THOUGHT_MS, () => breakWord(provider, operation));
  }
}

/** Money comes back: what is left says whether that is all of it. */
export function bringBack(provider: Provider, operation: Operation, backMinor: bigint): void {
  const returnedMinor = operation.returnedMinor + backMinor;
  const status = returnedMinor === operation.paidMinor ? "returned" : "returned_part";
  provider.move(operation, { status, returnedMinor });
}

/** It had failed, or was recalled, or everything had come back; and now it is queued again, or paid. */
function breakWord(provider: Provider, operation: Operation): void {
  if (heldByPayee(operation) > 0n || isAlive(operation) || operation.status === "returning") return;
  const { random } = provider.world.weather;
  operation.hasBrokenWord = true;
  const isAgain = operation.paidMinor > 0n;
  provider.world.tally.reach(isAgain ? "provider paid again" : "provider revived");
  const pay = (): void => {
    const paidMinor = operation.paidMinor + operation.amountMinor;
    provider.move(operation, { status: "paid", paidMinor });
  };
  if (random.chance(0.5)) {
    provider.move(operation, { status: "queued" });
    provider.plan(operation, LONGEST_THOUGHT_MS, () => {
      if (operation.status !== "queued") return;
      if (isAgain || random.chance(0.7)) pay();
      else provider.move(operation, { status: "failed", code: "declined" });
    });
  } else pay();
}
