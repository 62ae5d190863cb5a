/** Which files a database lives in: what tells a copied data directory from the one that it was copied from. */
import { statSync } from "node:fs";
import { join } from "node:path";

/**
 * The identity of a cluster's own files, for the session setting `bursar.place`. PostgreSQL writes PG_VERSION once, when
 * the cluster is made; a copy is another file, while a directory that is only renamed keeps it. Null where it cannot be
 * read. A snapshot of the whole disk is not told apart: give it another name at its providers, or do not start it.
 */
export function placeOf(cluster: string): string | null {
  const file = statSync(join(cluster, "PG_VERSION"), { bigint: true, throwIfNoEntry: false });
  return file === undefined ? null : `${file.ino}-${file.birthtimeNs}`;
}
