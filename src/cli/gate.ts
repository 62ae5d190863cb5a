/** `bursar gate open|shut|show`: what a person does about a gate, on the live database. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Config } from "../config.ts";
import { type GateOrder, openGate, shutGate } from "../engine/commands/gates.ts";
import { Engine } from "../engine/engine.ts";
import type { Http } from "../engine/ports.ts";
import { realClock, realRng, realTimer } from "../engine/real.ts";
import { Vault } from "../engine/vault.ts";
import { openStore } from "../store/postgres.ts";
import { openReader } from "../store/reader.ts";
import { type OperatorDatabase, onOperatorDatabase } from "./operator-database.ts";

export interface GateOptions {
  readonly organization: string;
  readonly providerAccount?: string;
  readonly currency?: string;
  readonly reason: string;
}

/** A command of an operator calls nobody. */
const NOBODY: Http = {
  send: () => Promise.resolve({ kind: "not_sent", reason: "an operator's command sends nothing" }),
};

function masterKey(config: Config): Uint8Array {
  const path = join(config.dataDir, "master.key");
  if (config.masterKey !== null) return config.masterKey;
  if (!existsSync(path)) throw new Error(`there is no master key in ${config.dataDir}`);
  return Buffer.from(readFileSync(path, "utf8").trim(), "hex");
}

export async function moveGate(to: "open" | "shut", options: GateOptions): Promise<void> {
  await onOperatorDatabase(async ({ config, database: { login } }) => {
    await mustExist(login, options.organization);
    const store = await openStore({ config: login, log: () => {} });
    const broken: unknown[] = [];
    const engine = new Engine({
      ports: { store, clock: realClock, rng: realRng, timer: realTimer, http: NOBODY },
      vault: new Vault(masterKey(config), realRng),
      // Without connectors no provider's credentials are unsealed: a gate needs none.
      connectors: new Map(),
      publicUrl: () => null,
      isWorking: false,
      onBroken: (error) => broken.push(error),
    });
    try {
      const { organization, providerAccount, currency, reason } = options;
      const order: GateOrder = { providerAccountId: providerAccount ?? null, currency: currency ?? null, reason };
      const cause = { actor: "operator", body: { reason } };
      const moved = await engine.run(organization, to === "open" ? openGate : shutGate, order, cause);
      if (!moved.ok) throw new Error(moved.error.detail);
      const what = `The gate of ${providerAccount ?? [organization, currency ?? []].flat().join(" in ")}`;
      console.log(moved.value === "changed" ? `${what} is ${to} now.` : `${what} was ${to} before.`);
      return null;
    } finally {
      await engine.stop();
      await store.close();
    }
  });
}

async function mustExist(login: OperatorDatabase["login"], organization: string): Promise<void> {
  const reader = openReader({ config: login });
  try {
    const found = await reader.rows("organization", null, { where: "t.id = $1", values: [organization] });
    if (found.length === 0) throw new Error(`there is no organization ${organization}`);
  } finally {
    await reader.close();
  }
}

export async function showGates({ organization }: Pick<GateOptions, "organization">): Promise<void> {
  await onOperatorDatabase(async ({ database: { login } }) => {
    await mustExist(login, organization);
    const reader = openReader({ config: login });
    try {
      const epochs = await reader.query(null, "select gate from bursar.epoch");
      const [lock] = await reader.rows("organizationLock", organization, {
        where: "t.organization_id = $1",
        values: [organization],
      });
      const accounts = await reader.rows("providerAccount", organization, {
        where: "t.organization_id = $1",
        values: [organization],
        orderBy: "t.id",
      });
      const lines = [
        `system: ${String(epochs[0]?.["gate"])}`,
        `${organization}: ${lock?.gate ?? "not there"}`,
        ...(lock?.shutCurrencies ?? []).map((currency) => `${organization} in ${currency}: shut`),
        ...accounts.map(({ id, gate, gateReason }) => `${id}: ${gate}${gateReason === null ? "" : ` (${gateReason})`}`),
      ];
      console.log(lines.join("\n"));
      return null;
    } finally {
      await reader.close();
    }
  });
}
