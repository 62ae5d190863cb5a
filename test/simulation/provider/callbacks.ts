/** Callbacks on their way to us: delivered as the HTTP interface would, tried again until one is taken. */
import type { RawCallback } from "../../../src/connectors/contract.ts";
import { sha256 } from "../../../src/core/ids.ts";
import { hearCallback } from "../../../src/engine/commands/callback.ts";
import type { Engine } from "../../../src/engine/engine.ts";
import type { AccountPlace } from "../judges/oracle.ts";
import type { Tally } from "../judges/tally.ts";
import type { Cluster } from "../world/cluster.ts";
import type { Scheduler } from "../world/scheduler.ts";

/** The last pause again and again: what nobody asks about any more is heard from its callback or never. */
const TRY_AGAIN_MS = [500, 1_000, 2_000, 5_000, 15_000, 30_000] as const;

export interface CallbackWorld {
  readonly scheduler: Scheduler;
  readonly cluster: Cluster;
  readonly tally: Tally;
}

/** Whose callback address it is. */
export interface Address extends AccountPlace {
  readonly callbackId: string;
}

/** One message, by whoever sends it. */
export interface Letter {
  /** Signed anew at every try. */
  readonly sign: () => RawCallback;
  readonly from: "provider" | "forger";
  /** Whether it is sent until it is taken. */
  readonly isPatient: boolean;
}

export class Callbacks {
  readonly #world: CallbackWorld;
  readonly #addresses: ReadonlyMap<string, Address>;
  readonly #taken: { readonly time: number; readonly callbackId: string; readonly letter: Letter }[] = [];

  constructor(world: CallbackWorld, addresses: readonly Address[]) {
    this.#world = world;
    this.#addresses = new Map(addresses.map((each) => [each.callbackId, each]));
  }

  /** The provider sends again what was taken since then: the database has forgotten it. */
  repeatSince(sinceMs: number): void {
    const taken = this.#taken.splice(0).filter(({ time }) => time >= sinceMs);
    for (const { callbackId, letter } of taken) this.deliver(callbackId, letter);
  }

  deliver(callbackId: string, letter: Letter, tries = 0): void {
    const { cluster, scheduler, tally } = this.#world;
    const again = TRY_AGAIN_MS[Math.min(tries, TRY_AGAIN_MS.length - 1)] ?? 0;
    const right = letter.from === "provider" ? 200 : 401;
    void cluster
      .call("callback", (engine) => this.#receive(engine, callbackId, letter.sign()))
      .then((status) => {
        if (status === 401 && letter.from === "forger") tally.reach("forged callback refused");
        if (status === right) {
          if (letter.from === "provider") this.#taken.push({ time: scheduler.now, callbackId, letter });
          return;
        }
        // No answer, or the database was away: come again. Anything else means that we do not know our own provider,
        // or that we take somebody else for it.
        if (status !== null) tally.judge("broken", `a callback of a ${letter.from} is answered ${status}`);
        if (!letter.isPatient && tries >= TRY_AGAIN_MS.length) {
          tally.reach("callback given up");
          return;
        }
        scheduler.after(again, null, "", () => this.deliver(callbackId, letter, tries + 1));
      });
  }

  /** What the route of a callback does: find the account, verify the raw bytes, read, store, answer. */
  async #receive(engine: Engine, callbackId: string, message: RawCallback): Promise<number> {
    const address = this.#addresses.get(callbackId);
    const found = address === undefined ? null : await engine.account(address.organizationId, address.accountId);
    if (address === undefined || found?.connector.verifyCallback === undefined) return 404;
    const { connector, account, now } = found;
    if (!found.connector.verifyCallback(message, account, now)) return 401;
    for (const news of connector.readCallback?.(message, account) ?? []) {
      const cause = {
        actor: `provider:${account.id}`,
        providerAccountId: account.id,
        messageId: news.messageId,
        verified: true,
        body: { reference: news.reference, fact: news.answer.fact },
        bodyHash: sha256(message.body),
      };
      const payload = { providerAccountId: account.id, news };
      const heard = await engine.run(address.organizationId, hearCallback, payload, cause);
      if (!heard.ok) return 500;
      this.#world.tally.reach(`callback ${heard.value}`);
    }
    return 200;
  }
}
