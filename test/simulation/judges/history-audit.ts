/** Is every change of status a move of its table, named in exactly one history row? */
import { INVOICE } from "../../../src/core/order/invoice.ts";
import { PAYOUT } from "../../../src/core/order/payout.ts";
import { REQUEST } from "../../../src/core/order/request.ts";
import type { History, Tables } from "../../../src/engine/ports.ts";
import type { Change } from "./mirror.ts";
import type { Tally } from "./tally.ts";

type Find = (from: string, to: string) => unknown;
const MACHINES: Readonly<Record<Exclude<History["kind"], "act">, Find>> = {
  invoice: INVOICE.find as Find,
  request: REQUEST.find as Find,
  payout: PAYOUT.find as Find,
};

interface Standing {
  readonly status: string;
  readonly version: number;
}

/** Acts of people change nothing of their own: they have no machine. */
const hasMachine = (kind: History["kind"]): kind is Exclude<History["kind"], "act"> => kind !== "act";

const NEW: Standing = { status: "new", version: 0 };

export class HistoryAudit {
  readonly #tally: Tally;
  readonly #standing = new Map<string, Standing>();
  readonly #sequences = new Map<string, number>();

  constructor(tally: Tally) {
    this.#tally = tally;
  }

  /** Forgets what came after a snapshot with these rows. */
  restored(history: readonly History[]): void {
    this.#standing.clear();
    this.#sequences.clear();
    for (const row of history.toSorted((a, b) => a.sequence - b.sequence)) {
      const { status, versionTo: version } = row;
      if (hasMachine(row.kind))
        this.#standing.set(`${row.organizationId} ${row.kind} ${row.subject}`, { status, version });
      this.#sequences.set(row.organizationId, row.sequence);
    }
  }

  committed(history: readonly History[], changes: readonly Change[]): void {
    const ordered = [...history].sort((a, b) => a.sequence - b.sequence);
    for (const row of ordered) this.#follow(row);
    for (const change of changes) {
      if (change.after === null) continue;
      if (change.table === "invoice") this.#compare("invoice", change.after, change.after.status);
      if (change.table === "request") this.#compare("request", change.after, change.after.dispatchStatus);
      if (change.table === "payout") this.#compare("payout", change.after, change.after.status);
    }
  }

  /** Takes one row's moves, one after the other, from where the aggregate stood. */
  #follow(row: History): void {
    const last = this.#sequences.get(row.organizationId) ?? 0;
    if (row.sequence !== last + 1) this.#off(`history ${row.sequence} of ${row.organizationId} follows ${last}`);
    this.#sequences.set(row.organizationId, row.sequence);
    if (!hasMachine(row.kind)) return;
    const machine = MACHINES[row.kind];
    const key = `${row.organizationId} ${row.kind} ${row.subject}`;
    const from = this.#standing.get(key) ?? NEW;
    let { status } = from;
    for (const name of row.moves) {
      const [, kind, before = "", after = ""] = /^(\w+)\.(\w+)>(\w+)$/.exec(name) ?? [];
      const isLegal = kind === row.kind && before === status && machine(before, after) !== undefined;
      if (!isLegal) this.#off(`${row.kind} ${row.subject} takes ${name} from ${status}`);
      status = after;
    }
    if (status !== row.status)
      this.#off(`${row.kind} ${row.subject} is said to be ${row.status}, its moves lead to ${status}`);
    if (row.versionFrom !== from.version || row.versionTo !== from.version + 1) {
      this.#off(
        `${row.kind} ${row.subject} goes from version ${row.versionFrom} to ${row.versionTo}, after ${from.version}`,
      );
    }
    this.#standing.set(key, { status, version: row.versionTo });
  }

  #compare(
    kind: History["kind"],
    row: Pick<Tables["payout"], "organizationId" | "id" | "version">,
    status: string,
  ): void {
    const standing = this.#standing.get(`${row.organizationId} ${kind} ${row.id}`) ?? NEW;
    if (standing.status !== status || standing.version !== row.version) {
      const told = `${standing.status} in version ${standing.version}`;
      this.#off(`${kind} ${row.id} is ${status} in version ${row.version}, history says ${told}`);
    }
  }

  #off(what: string): void {
    this.#tally.judge("illegal_move", what);
  }
}
