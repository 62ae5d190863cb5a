/** Routing, rate and commerce schemes. A revision never changes: a change is the next one. */
import type { Refusal } from "../../core/errors.ts";
import { err, ok, type Result } from "../../core/result.ts";
import type { Scheme } from "../../core/setup/routing.ts";
import { type Known, readScheme, routesNamed } from "../../core/setup/schemes.ts";
import { type Handler, ORDER } from "../command.ts";
import type { Context } from "../context.ts";
import type { TableName, Want } from "../ports.ts";
import { type Change, type Create, current, Faults, growRevision, idOf, taken } from "./configuration.ts";
import { findService } from "./invoice-order.ts";

export interface SchemeOrder {
  readonly id?: string;
  readonly name?: string;
  /** As the caller gave it; figures are decimal text. */
  readonly body: Readonly<Record<string, unknown>>;
}

export interface CreateScheme extends Create<SchemeOrder> {
  readonly kind: Scheme["kind"];
}

/** `version` is the revision that the caller has read. */
export interface ReviseScheme extends Change<SchemeOrder> {
  readonly kind: Scheme["kind"];
}

const PREFIXES = { routing: "rs", rate: "fx", commerce: "cs" } as const;

function routeWants({ kind, order }: CreateScheme, organizationId: string): readonly Want<TableName>[] {
  const ids = kind === "routing" ? routesNamed(order.body) : [];
  return ids.length === 0 ? [] : [{ table: "route", by: "primary", keys: ids.map((id) => [organizationId, id]) }];
}

/** Every scheme that there is has a first revision. */
const firstOf = (kind: Scheme["kind"], id: string, organizationId: string): Want<TableName> => ({
  table: "scheme",
  by: "primary",
  keys: [[organizationId, kind, id, 1]],
});

/** The newest revision: the setup knows it as of the start of the batch, the rows what the batch has added. */
function newest(context: Context, kind: Scheme["kind"], id: string): Scheme | null {
  const { organizationId, rows, setup } = context;
  const added = rows.filter("scheme", (row) => {
    return row.organizationId === organizationId && row.kind === kind && row.id === id;
  });
  const known = setup.schemes.get(`${kind}:${id}`);
  const all = known === undefined ? added : [known, ...added];
  return all.toSorted((a, b) => b.revision - a.revision)[0] ?? null;
}

function readBody(context: Context, { kind, order }: CreateScheme, faults: Faults): object {
  const { organizationId, rows } = context;
  const known: Known = {
    serviceCurrency: (code) => findService(context, code)?.currency ?? null,
    routeService: (id) => rows.get("route", [organizationId, id])?.service ?? null,
  };
  return readScheme(kind, order.body, { known, say: faults.say });
}

function save(context: Context, scheme: Omit<Scheme, "organizationId" | "createdTime">): Result<Scheme, Refusal> {
  const row: Scheme = { ...scheme, organizationId: context.organizationId, createdTime: context.now };
  context.rows.put("scheme", row);
  growRevision(context);
  context.commandId(scheme.id);
  return ok(row);
}

export const createScheme: Handler<CreateScheme, Scheme> = {
  name: "create-scheme",
  order: ORDER.accept,
  wants: (payload, organizationId) => [
    ...routeWants(payload, organizationId),
    ...(payload.order.id === undefined ? [] : [firstOf(payload.kind, payload.order.id, organizationId)]),
  ],
  decide(context, payload) {
    const { kind, order, problems } = payload;
    const faults = new Faults(problems);
    const { name } = order;
    if (name === undefined) faults.say("name", "is required");
    const body = readBody(context, payload, faults);
    if (!faults.isSound || name === undefined) return err(faults.refusal);
    const id = idOf(context, order.id, PREFIXES[kind]);
    if (newest(context, kind, id) !== null) {
      return err(taken("id-used", `There is a ${kind} scheme ${id} already.`, `/${kind}-schemes/${id}`));
    }
    return save(context, { kind, id, revision: 1, name, body });
  },
};

/** What is under way keeps what it has frozen; the next order is decided by the new revision. */
export const reviseScheme: Handler<ReviseScheme, Scheme> = {
  name: "revise-scheme",
  order: ORDER.accept,
  wants: (payload, organizationId) => [
    ...routeWants(payload, organizationId),
    firstOf(payload.kind, payload.id, organizationId),
  ],
  decide(context, payload) {
    const { kind, id, version, order, problems } = payload;
    const scheme = newest(context, kind, id);
    const row = scheme === null ? null : { ...scheme, version: scheme.revision };
    const read = current(`${kind} scheme`, row, version);
    if (!read.ok) return read;
    const faults = new Faults(problems);
    const body = readBody(context, payload, faults);
    if (!faults.isSound) return err(faults.refusal);
    const { revision, name } = read.value;
    return save(context, { kind, id, revision: revision + 1, name: order.name ?? name, body });
  },
};
