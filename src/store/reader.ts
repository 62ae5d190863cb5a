/**
 * Reads for people and lists: connections of their own with the planner's ordinary settings, read-only transactions
 * that see one organization. What is decided about money is never read here but under the lock, by the store.
 */
import type pg from "pg";
import { StoreUnavailable } from "../core/faults.ts";
import type { TableName, Tables } from "../engine/ports.ts";
import { sqlName } from "./describe.ts";
import { Connection, type Field, isUnreachable, mayRunAgain, type Statement } from "./postgres/connection.ts";
import { decodeRows, organizationsParameter, selectList } from "./postgres/sql.ts";
import { tableOf } from "./tables.ts";
import { DECODE, ENCODE } from "./values.ts";

/** A parameter. Times are `Date`s: a bare number of milliseconds would be read as a number. */
export type Parameter = string | number | bigint | boolean | Date | null | readonly string[];
export type Row = Readonly<Record<string, unknown>>;
type Scope = string | readonly string[] | null;

/** Which rows of a table, and in what order. All texts are SQL over the table's own columns, parameters from `$1`. */
export interface Selection {
  readonly where?: string;
  readonly values?: readonly Parameter[];
  readonly orderBy?: string;
  readonly limit?: number;
}

export interface Reader {
  /**
   * Runs one select. Members are camelCase; int8 comes as number, numeric as bigint (as text when it has a fraction),
   * timestamptz as milliseconds, jsonb lossless, bytea as Uint8Array, text[] as strings. `organizationId` null: only
   * global tables have rows; a list: rows of all of them.
   *
   * @throws StoreUnavailable, or the server's error.
   */
  query(organizationId: Scope, text: string, values?: readonly Parameter[]): Promise<readonly Row[]>;
  /** Whole rows of one table, as the store would load them. */
  rows<T extends TableName>(table: T, organizationId: string | null, what: Selection): Promise<readonly Tables[T][]>;
  close(): Promise<void>;
}

export interface ReaderOptions {
  /** How the application role connects; may name a replica. */
  readonly config: pg.ClientConfig;
  /** Default 2. */
  readonly connections?: number;
}

const SETTINGS = [
  "statement_timeout=10s",
  "idle_in_transaction_session_timeout=5s",
  "default_transaction_read_only=on",
];

const asNumeric = (text: string): unknown => (/^-?\d+$/.test(text) ? BigInt(text) : text);

/** By the type's number in pg_type; all others stay text. */
const DECODE_BY_OID: Readonly<Record<number, (text: string) => unknown>> = {
  16: DECODE.flag,
  17: DECODE.bytes,
  20: DECODE.long,
  21: DECODE.int,
  23: DECODE.int,
  114: DECODE.json,
  700: Number,
  701: Number,
  1009: DECODE.texts,
  1184: DECODE.time,
  1700: asNumeric,
  3802: DECODE.json,
};

function encodeParameter(value: Parameter): string | null {
  if (value === null) return null;
  if (value instanceof Date) return ENCODE.time(value.getTime());
  if (typeof value === "object") return ENCODE.texts(value);
  return typeof value === "string" ? ENCODE.text(value) : String(value);
}

const memberName = (column: string): string =>
  column.replaceAll(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());

function decodeByType(fields: readonly Field[], rows: readonly (readonly (string | null)[])[]): Row[] {
  const columns = fields.map((field) => ({
    member: memberName(field.name),
    decode: DECODE_BY_OID[field.dataTypeID] ?? ((text: string): unknown => text),
  }));
  return rows.map((values) =>
    Object.fromEntries(
      columns.map(({ member, decode }, at) => {
        const value = values[at] ?? null;
        return [member, value === null ? null : decode(value)];
      }),
    ),
  );
}

/** One connection, made when it is first needed, and how many reads wait for it. */
interface Place {
  connection: Promise<Connection> | null;
  reads: number;
}

class PostgresReader implements Reader {
  readonly #config: pg.ClientConfig;
  readonly #places: readonly Place[];
  #isClosing = false;

  constructor(options: ReaderOptions) {
    this.#config = options.config;
    this.#places = Array.from({ length: options.connections ?? 2 }, () => ({ connection: null, reads: 0 }));
  }

  async query(organizationId: Scope, text: string, values: readonly Parameter[] = []): Promise<readonly Row[]> {
    const reply = await this.#read(organizationId, { text, values: values.map(encodeParameter) });
    return decodeByType(reply.fields, reply.rows);
  }

  async rows<T extends TableName>(
    table: T,
    organizationId: string | null,
    what: Selection,
  ): Promise<readonly Tables[T][]> {
    const values = (what.values ?? []).map(encodeParameter);
    const text =
      `select ${selectList(tableOf(table))} from bursar."${sqlName(table)}" t` +
      (what.where === undefined ? "" : ` where ${what.where}`) +
      (what.orderBy === undefined ? "" : ` order by ${what.orderBy}`) +
      (what.limit === undefined ? "" : ` limit ${ENCODE.int(what.limit)}`);
    const reply = await this.#read(organizationId, { text, values });
    return decodeRows(table, reply.rows) as unknown as readonly Tables[T][];
  }

  async close(): Promise<void> {
    this.#isClosing = true;
    await Promise.all(
      this.#places.map(async (place) => {
        const connection = await place.connection?.catch(() => null);
        await connection?.close();
      }),
    );
  }

  /** One round trip: begin, the organization, the select, commit. A lost connection is tried once more. */
  async #read(scope: Scope, statement: Statement) {
    const organizations = organizationsParameter(typeof scope === "string" ? [scope] : (scope ?? []));
    const statements: readonly Statement[] = [
      { text: "begin read only" },
      { text: "select set_config('bursar.organizations', $1, true)", values: [organizations] },
      statement,
      { text: "commit" },
    ];
    for (let run = 0; ; run++) {
      try {
        const [, , reply] = await this.#run(statements);
        return reply as NonNullable<typeof reply>;
      } catch (error) {
        if (!isUnreachable(error) && !mayRunAgain(error)) throw error;
        if (run > 0 || this.#isClosing) {
          throw new StoreUnavailable("the database cannot be reached, or is too busy", { cause: error });
        }
      }
    }
  }

  async #run(statements: readonly Statement[]) {
    if (this.#isClosing) throw new StoreUnavailable("the reader is closed");
    const place = this.#places.reduce((least, each) => (each.reads < least.reads ? each : least));
    place.reads++;
    try {
      const connection = await this.#connectionOf(place);
      return await connection.run(statements);
    } finally {
      place.reads--;
    }
  }

  async #connectionOf(place: Place): Promise<Connection> {
    const opening = (place.connection ??= Connection.open(this.#config, SETTINGS));
    try {
      const connection = await opening;
      if (!connection.isLost) return connection;
    } catch (error) {
      if (place.connection === opening) place.connection = null;
      throw error;
    }
    // Whoever comes first makes it anew, the others find it.
    if (place.connection === opening) place.connection = null;
    return this.#connectionOf(place);
  }
}

/** Opens nothing yet: connections are made when they are needed. */
export function openReader(options: ReaderOptions): Reader {
  return new PostgresReader(options);
}
