/** Things that people configure: all of them are listed, read, made and changed in one way. */
import type { TSchema } from "typebox";
import type { ErrorCode } from "../core/errors.ts";
import type { Permission } from "../core/permissions.ts";
import type { Shown } from "../core/views/orders.ts";
import type { Handler } from "../engine/command.ts";
import type { Change, Create } from "../engine/commands/configuration.ts";
import type { Tables } from "../engine/ports.ts";
import type { PlainTable } from "../store/reads/lists.ts";
import { type Call, command, created, type Endpoint, ifMatch, notFound, pathId, resource } from "./endpoint.ts";
import { type List, listAnswer, listParameters, pageAnswer, readList } from "./lists.ts";
import { Named } from "./schema.ts";

/** A thing as commands and reads know it: its row, and what else is shown of it. */
interface Row {
  readonly id: string;
  readonly version: number;
}

export interface Configured<T extends PlainTable, A> {
  readonly table: T;
  readonly path: string;
  /** In the names of operations: `Website`, which is its schema as well. */
  readonly name: string;
  readonly names: string;
  /** In sentences. */
  readonly what: string;
  readonly tag: string;
  readonly list: List;
  /** What it takes to make or change one. */
  readonly permission: Permission;
  /** What is shown besides the rows, for as many as a page has. */
  complete(call: Call, rows: readonly Tables[T][]): Promise<readonly A[]>;
  rowOf(whole: A): Row;
  show(whole: A, call: Call): Shown;
}

/** For what has nothing besides its row. */
export const alone = async <R>(_call: Call, rows: readonly R[]): Promise<readonly R[]> => rows;

/** A row that is all there is to show. */
export const itself = <R extends Row>(row: R): R => row;

/** The endpoints that list and read. */
export function readers<T extends PlainTable, A>(of: Configured<T, A>): readonly Endpoint[] {
  const { table, path, name, names, what, tag, list } = of;
  return [
    {
      method: "GET",
      path,
      name: `list${names}`,
      tag,
      summary: `List ${what}s.`,
      permission: "read",
      query: listParameters(list),
      answers: { 200: listAnswer(name) },
      refusals: ["validation-failed"],
      async handle(call) {
        const query = readList(call, list);
        const page = await call.world.reads.page<PlainTable>(table, call.identity.book, query);
        const whole = await of.complete(call, page.rows as readonly Tables[T][]);
        return pageAnswer(call, query, { ...page, rows: whole }, (each) => of.show(each, call));
      },
    },
    {
      method: "GET",
      path: `${path}/:id`,
      name: `get${name}`,
      tag,
      summary: `Read a ${what}.`,
      permission: "read",
      answers: { 200: { description: `The ${what}.`, schema: Named(name) } },
      refusals: ["not-found"],
      async handle(call) {
        const row = await call.world.reads.one(table, call.identity.book, pathId(call, what));
        const [whole] = row === null ? [] : await of.complete(call, [row]);
        if (whole === undefined) throw notFound(what);
        return resource(of.show(whole, call), of.rowOf(whole).version);
      },
    },
  ];
}

/** An act: what its body may have, which command it runs, and what may be in its way besides faults. */
interface Act<P, A> {
  readonly body: TSchema;
  readonly handler: Handler<P, A>;
  readonly refusals?: readonly ErrorCode[];
  readonly summary?: string;
}

export function maker<T extends PlainTable, A, O>(of: Configured<T, A>, act: Act<Create<O>, A>): Endpoint {
  const { path, name, what, tag, permission } = of;
  return {
    method: "POST",
    path,
    name: `create${name}`,
    tag,
    summary: act.summary ?? `Make a ${what}.`,
    permission,
    body: act.body,
    answers: { 201: { description: "Made.", schema: Named(name) } },
    refusals: ["validation-failed", "id-used", ...(act.refusals ?? [])],
    handle: (call) =>
      command(call, {
        handler: act.handler,
        payload: { order: call.body as O, problems: call.problems },
        render: (whole) => {
          const { id, version } = of.rowOf(whole);
          return created(of.show(whole, call), version, `${call.world.base()}${path}/${id}`);
        },
      }),
  };
}

export function changer<T extends PlainTable, A, O>(of: Configured<T, A>, act: Act<Change<O>, A>): Endpoint {
  const { path, name, what, tag, permission } = of;
  return {
    method: "PATCH",
    path: `${path}/:id`,
    name: `change${name}`,
    tag,
    summary: act.summary ?? `Change a ${what}. What is absent stays as it is.`,
    permission,
    body: act.body,
    ifMatch: "required",
    answers: { 200: { description: `The ${what}.`, schema: Named(name) } },
    refusals: ["validation-failed", "not-found", "version-conflict", "if-match-required", ...(act.refusals ?? [])],
    handle: (call) => {
      const id = pathId(call, what);
      const version = ifMatch(call, "required") ?? 0;
      return command(call, {
        handler: act.handler,
        payload: { id, version, order: call.body as O, problems: call.problems },
        render: (whole) => resource(of.show(whole, call), of.rowOf(whole).version),
      });
    },
  };
}
