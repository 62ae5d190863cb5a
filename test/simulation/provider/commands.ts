/** Revokes and cancels at the provider: done, done later, refused, put off, or answered so that nobody can tell. */
import type { HttpDraft, HttpResult } from "../../../src/connectors/contract.ts";
import type { CommandOutcome } from "../world/plan.ts";
import { heldByPayee, isAlive, LONGEST_WORK_MS, type Operation, type Provider } from "./provider.ts";
import { bringBack, thinkAgain } from "./second-thoughts.ts";
import { readCancel, refusal, shown } from "./words.ts";

interface Command {
  readonly command: "revoke" | "cancel";
  readonly draft: HttpDraft;
}

export function obey(provider: Provider, operation: Operation, { command, draft }: Command): HttpResult {
  const { tally, scheduler } = provider.world;
  const outcome = drawOutcome(provider);
  tally.reach(`provider ${command} ${outcome}`);
  scheduler.note(null, `provider ${command} ${outcome} ${operation.reference.slice(0, 8)}`);
  if (outcome === "not_now") return provider.notNow();
  if (outcome === "error_absent") return refusal(500, "internal_fault");
  if (outcome === "refused") return refusal(409, `${command}_refused`);
  return command === "revoke" ? revoke(provider, operation, outcome) : cancel(provider, operation, { outcome, draft });
}

/** When the faults have ended, a command is done or refused. */
function drawOutcome({ world: { weather } }: Provider): CommandOutcome {
  const outcome = weather.random.weighted(weather.plan.commands);
  const isTrouble = outcome === "not_now" || outcome === "error_absent" || outcome === "error_done";
  return !weather.isStormy && isTrouble ? "done" : outcome;
}

type Doing = Extract<CommandOutcome, "done" | "later" | "error_done">;

function revoke(provider: Provider, operation: Operation, outcome: Doing): HttpResult {
  if (!isAlive(operation)) return refusal(409, "revoke_refused");
  const recall = (): void => {
    if (!isAlive(operation)) return;
    provider.settle(operation);
    // What is paid already stays paid: only the rest is pulled back.
    provider.move(operation, { status: operation.paidMinor > operation.returnedMinor ? "paid_part" : "recalled" });
    thinkAgain(provider, operation);
  };
  if (outcome === "later") {
    provider.plan(operation, LONGEST_WORK_MS, recall);
    return shown(operation);
  }
  recall();
  return outcome === "done" ? shown(operation) : refusal(500, "internal_fault");
}

function cancel(
  provider: Provider,
  operation: Operation,
  of: { readonly outcome: Doing; readonly draft: HttpDraft },
): HttpResult {
  const left = heldByPayee(operation);
  if (left === 0n || isAlive(operation) || operation.status === "returning") return refusal(409, "cancel_refused");
  const backMinor = readCancel(of.draft, operation.currency) ?? left;
  if (backMinor > left) return refusal(422, "over_limit");
  const { outcome } = of;
  if (outcome === "later") {
    const before = operation.status;
    provider.settle(operation);
    provider.move(operation, { status: "returning" });
    provider.plan(operation, LONGEST_WORK_MS, () => {
      if (provider.world.weather.random.chance(0.3)) provider.move(operation, { status: before });
      else bringBack(provider, operation, backMinor);
    });
    return shown(operation);
  }
  provider.settle(operation);
  bringBack(provider, operation, backMinor);
  thinkAgain(provider, operation);
  return outcome === "done" ? shown(operation) : refusal(500, "internal_fault");
}
