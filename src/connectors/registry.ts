/** Every connector of this release. An explicit list: nothing registers itself. */
import type { Connector } from "./contract.ts";
import { sandbox } from "./sandbox/connector.ts";

const ALL: readonly Connector[] = [sandbox];

export const CONNECTORS: ReadonlyMap<string, Connector> = new Map(ALL.map((each) => [each.name, each]));
