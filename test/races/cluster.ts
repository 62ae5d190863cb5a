/** A PostgreSQL of a race's own, with fsync on, that may be stopped in the middle of everything. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Embedded, startEmbedded } from "../../src/store/embedded.ts";
import { migrate } from "../../src/store/migrate.ts";
import type { Database } from "./place.ts";

export interface Cluster extends Database {
  /** Ends every session at once and saves nothing; what was committed comes back from the log. */
  crash(): Promise<void>;
}

export async function openCluster(): Promise<Cluster> {
  const dir = mkdtempSync(join(tmpdir(), "bursar-cluster-"));
  const options = { dataDir: join(dir, "data") };
  let server: Embedded = await startEmbedded(options);
  await migrate(server.ownerConfig);
  return {
    ownerConfig: server.ownerConfig,
    appConfig: server.appConfig(),
    async crash() {
      await server.stop("immediate");
      server = await startEmbedded(options);
    },
    async close() {
      await server.stop();
      rmSync(dir, { recursive: true, force: true });
    },
  };
}
