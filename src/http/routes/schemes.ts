/** Routing, rate and commerce schemes. Their revisions never change: a PUT makes the next one. */
import Type, { type TSchema } from "typebox";
import type { Scheme } from "../../core/setup/routing.ts";
import { schemeView } from "../../core/views/settings.ts";
import type { StoredAnswer } from "../../engine/command.ts";
import { createScheme, reviseScheme, type SchemeOrder } from "../../engine/commands/schemes.ts";
import type { ListQuery } from "../../store/reads.ts";
import { type Call, command, created, type Endpoint, ifMatch, notFound, pathId, resource } from "../endpoint.ts";
import { type List, listAnswer, listParameters, pageAnswer, readList } from "../lists.ts";
import { Decimal, Id, Named, OneOf, Text } from "../schema.ts";

interface Family {
  readonly kind: Scheme["kind"];
  /** As operations and the schema are called. */
  readonly name: string;
  readonly what: string;
  readonly decides: string;
  /** The members that stand beside id and name. */
  readonly members: Readonly<Record<string, TSchema>>;
  readonly example: Readonly<Record<string, unknown>>;
}

const object = (properties: Readonly<Record<string, TSchema>>, description: string): TSchema =>
  Type.Unsafe({ type: "object", properties, description });

const perService = (each: TSchema, description: string): TSchema =>
  Type.Unsafe({ type: "object", additionalProperties: each, description });

const anyList = (description: string): TSchema => Type.Unsafe({ type: "array", description });

/** What a leaf may be is read by hand, so that each fault is named where it is. */
const LEAF = object(
  {
    strategy: Type.Unsafe({ description: "direct: one route. priority: the first that can. weight: drawn by weight." }),
    routes: anyList("Ids of routes; for weight `{route, weight}`, a whole number from 0."),
    set: anyList("Several of these, tried in order; the first that yields a route decides."),
    block: Type.Unsafe({ description: "True: nothing is paid." }),
  },
  "One of `strategy` with `routes`, `set`, and `block`.",
);

const TERMS = object(
  {
    feeRate: Decimal("A fraction of the amount: 0.05 is five per cent."),
    feeFixed: Decimal("Added to it, in the service's currency."),
    feeMin: Decimal("The least commission; 0: none."),
    feeMax: Decimal("The largest commission; 0: none."),
    strategy: OneOf(["external", "internal"], "On top of what the payee gets, or out of it. Default external."),
    reverse: Type.Boolean({ description: "Whether the other figure is what was ordered. Default false." }),
  },
  "The terms of a commission.",
);

const PAIR = object(
  {
    base: Text(10, "The account's currency."),
    quote: Text(10, "The service's currency."),
    rate: Decimal("Units of quote per unit of base; the other way round if inverted."),
    inverted: Type.Boolean({ description: "Whether the rate is base per quote. Default false." }),
    feePercent: Decimal("The margin, per cent of the rate."),
    feeFixed: Decimal("The margin, in units of the rate."),
  },
  "The rule for one pair.",
);

const FAMILIES: readonly Family[] = [
  {
    kind: "routing",
    name: "RoutingScheme",
    what: "routing scheme",
    decides: "which routes carry payouts",
    members: {
      services: Type.Optional(perService(LEAF, "By payout service.")),
      otherwise: Type.Optional(LEAF),
    },
    example: { services: { test_usd: { strategy: "priority", routes: ["rt_demo_usd", "rt_backup_usd"] } } },
  },
  {
    kind: "rate",
    name: "RateScheme",
    what: "rate scheme",
    decides: "at which rates payouts in other currencies are priced",
    members: { pairs: Type.Unsafe({ type: "array", items: PAIR, description: "One rule per pair." }) },
    example: { pairs: [{ base: "USD", quote: "EUR", rate: 0.92, feePercent: 1 }] },
  },
  {
    kind: "commerce",
    name: "CommerceScheme",
    what: "commerce scheme",
    decides: "what commission is taken",
    members: {
      services: Type.Optional(perService(TERMS, "By payout service.")),
      otherwise: Type.Optional(TERMS),
    },
    example: { services: { test_usd: { feeRate: 0.05, feeMin: 1 } }, otherwise: { feeRate: 0.01 } },
  },
];

const pathOf = ({ kind }: Family): string => `/${kind}-schemes`;

const NEWEST: List = {
  table: "scheme",
  filters: { id: { column: "id", kind: "text" }, name: { column: "name", kind: "text" } },
  isById: true,
};
/** Newest first. */
const REVISIONS: List = { table: "schemeRevision", filters: {} };

const shown = (family: Family, scheme: Scheme, call: Call): StoredAnswer =>
  resource(schemeView(scheme, pathOf(family), call.world.base()), scheme.revision);

function orderOf(call: Call): SchemeOrder {
  const { id, name, ...body } = call.body as { id?: string; name?: string };
  return { ...(id === undefined ? {} : { id }), ...(name === undefined ? {} : { name }), body };
}

async function read(family: Family, call: Call): Promise<StoredAnswer> {
  const found = await call.world.reads.scheme(call.identity.book, family.kind, pathId(call, family.what));
  if (found === null) throw notFound(family.what);
  return shown(family, found, call);
}

async function list(family: Family, call: Call, of: { list: List; id: string | null }): Promise<StoredAnswer> {
  const asked = readList(call, of.list);
  const only = { kind: family.kind, ...(of.id === null ? {} : { id: of.id }) };
  const own = Object.entries(only).map(([member, value]) => ({ member, isNot: false, anyOf: [value] }));
  const query: ListQuery = { ...asked, conditions: [...asked.conditions, ...own] };
  const table = of.id === null ? "scheme" : "schemeRevision";
  const page = await call.world.reads.page(table, call.identity.book, query);
  if (of.id !== null && page.total === 0) throw notFound(family.what);
  return pageAnswer(call, query, page, (row) => schemeView(row, pathOf(family), call.world.base()));
}

async function create(family: Family, call: Call): Promise<StoredAnswer> {
  const base = call.world.base();
  const path = pathOf(family);
  return command(call, {
    handler: createScheme,
    payload: { kind: family.kind, order: orderOf(call), problems: call.problems },
    render: (scheme) => created(schemeView(scheme, path, base), scheme.revision, `${base}${path}/${scheme.id}`),
  });
}

async function revise(family: Family, call: Call): Promise<StoredAnswer> {
  const id = pathId(call, family.what);
  const version = ifMatch(call, "required") ?? 0;
  return command(call, {
    handler: reviseScheme,
    payload: { kind: family.kind, id, version, order: orderOf(call), problems: call.problems },
    render: (scheme) => shown(family, scheme, call),
  });
}

const LABEL = Text(255, "For people.");
const one = ({ what, name }: Family) => ({ description: `The ${what}.`, schema: Named(name) });

function makers(family: Family): readonly Endpoint[] {
  const { name, what, members } = family;
  const path = pathOf(family);
  const examples = { examples: [{ name: "Standard", ...family.example }] };
  return [
    {
      method: "POST",
      path,
      name: `create${name}`,
      tag: "Schemes",
      summary: `Make a ${what}: ${family.decides}.`,
      permission: "settings",
      body: Type.Object({ id: Type.Optional(Id("Default: one of ours.")), name: LABEL, ...members }, examples),
      answers: { 201: { ...one(family), description: "Made: its first revision." } },
      refusals: ["validation-failed", "id-used"],
      handle: (call) => create(family, call),
    },
    {
      method: "PUT",
      path: `${path}/:id`,
      name: `revise${name}`,
      tag: "Schemes",
      summary: `Make the next revision of a ${what}. What was routed or priced before stays as it is.`,
      permission: "settings",
      body: Type.Object({ name: Type.Optional(LABEL), ...members }, examples),
      ifMatch: "required",
      answers: { 200: { ...one(family), description: "The new revision." } },
      refusals: ["validation-failed", "not-found", "version-conflict", "if-match-required"],
      handle: (call) => revise(family, call),
    },
  ];
}

function readers(family: Family): readonly Endpoint[] {
  const { name, what } = family;
  const path = pathOf(family);
  const shared = { method: "GET", tag: "Schemes", permission: "read" } as const;
  return [
    {
      ...shared,
      path,
      name: `list${name}s`,
      summary: `List ${what}s in their newest revisions.`,
      query: listParameters(NEWEST),
      answers: { 200: listAnswer(name) },
      refusals: ["validation-failed"],
      handle: (call) => list(family, call, { list: NEWEST, id: null }),
    },
    {
      ...shared,
      path: `${path}/:id`,
      name: `get${name}`,
      summary: `Read a ${what} in its newest revision.`,
      answers: { 200: one(family) },
      refusals: ["not-found"],
      handle: (call) => read(family, call),
    },
    {
      ...shared,
      path: `${path}/:id/revisions`,
      name: `list${name}Revisions`,
      summary: `List the revisions of a ${what}, newest first.`,
      query: listParameters(REVISIONS),
      answers: { 200: listAnswer(name) },
      refusals: ["validation-failed", "not-found"],
      handle: (call) => list(family, call, { list: REVISIONS, id: pathId(call, what) }),
    },
  ];
}

export const schemes: readonly Endpoint[] = FAMILIES.flatMap((family) => [...makers(family), ...readers(family)]);
