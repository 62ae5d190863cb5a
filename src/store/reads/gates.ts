/** How an organization's gates stand. */
import type { ProviderAccount } from "../../core/setup/routing.ts";
import type { OrganizationLock } from "../../engine/ports.ts";
import type { Reader } from "../reader.ts";

export interface Gates extends Pick<OrganizationLock, "gate" | "shutCurrencies"> {
  readonly isSystemOpen: boolean;
  /** The provider accounts whose gates are shut. */
  readonly accounts: readonly Pick<ProviderAccount, "id" | "gateReason">[];
}

export async function readGates(reader: Reader, organizationId: string): Promise<Gates> {
  const values = [organizationId];
  const [epochs, locks, accounts] = await Promise.all([
    reader.query(null, "select gate from bursar.epoch"),
    reader.rows("organizationLock", organizationId, { where: "t.organization_id = $1", values }),
    reader.rows("providerAccount", organizationId, {
      where: "t.organization_id = $1 and t.gate = 'shut'",
      values,
      orderBy: "t.id",
    }),
  ]);
  const [lock] = locks;
  return {
    isSystemOpen: epochs[0]?.["gate"] === "open",
    gate: lock?.gate ?? "shut",
    shutCurrencies: lock?.shutCurrencies ?? [],
    accounts: accounts.map(({ id, gateReason }) => ({ id, gateReason })),
  };
}
