/** The settings, read from the environment in this one place. Every wrong one is reported, all together. */
import { resolve } from "node:path";
import { err, ok, type Result } from "./core/result.ts";

export interface Config {
  readonly port: number;
  readonly host: string;
  /** Null: the embedded PostgreSQL. */
  readonly databaseUrl: string | null;
  readonly logLevel: LogLevel;
  readonly dataDir: string;
  readonly bootstrapKey: string | null;
  /** Null: made in the data directory (embedded database only). */
  readonly masterKey: Uint8Array | null;
  readonly role: Role;
  readonly sandboxPort: number;
  /** Where providers and customers reach us, without a trailing slash; null: host and port as they are. */
  readonly publicUrl: string | null;
  readonly demo: boolean;
  /** Whether webhooks may go to addresses inside private networks. */
  readonly privateWebhooks: boolean;
  /** Minutes between two audits of a process that works; 0: none. */
  readonly auditMinutes: number;
}

const LOG_LEVELS = ["fatal", "error", "warn", "info", "debug", "trace", "silent"] as const;
const ROLES = ["all", "api", "worker"] as const;
type LogLevel = (typeof LOG_LEVELS)[number];
type Role = (typeof ROLES)[number];

export const API_KEY_FORM = /^bk_(test|live)_[A-Za-z0-9_-]{32,}$/;
const MINUTES_MAX = 1440;
const MASTER_KEY_FORM = /^[0-9a-fA-F]{64}$/;

/** One setting: its name, how it is read, and what is said when it cannot be. */
class Reader {
  readonly faults: string[] = [];
  readonly #env: Readonly<Record<string, string | undefined>>;

  constructor(env: Readonly<Record<string, string | undefined>>) {
    this.#env = env;
  }

  text(name: string): string | null {
    const value = this.#env[name];
    return value === undefined || value === "" ? null : value;
  }

  port(name: string, fallback: number): number {
    const value = this.text(name);
    if (value === null) return fallback;
    const port = /^\d{1,5}$/.test(value) ? Number(value) : -1;
    if (port < 0 || port > 65_535) this.faults.push(`${name} must be a port from 0 to 65535, not "${value}"`);
    return port;
  }

  whole(name: string, fallback: number, most: number): number {
    const value = this.text(name);
    if (value === null) return fallback;
    const number = /^\d{1,9}$/.test(value) ? Number(value) : -1;
    if (number < 0 || number > most) {
      this.faults.push(`${name} must be a whole number from 0 to ${most}, not "${value}"`);
    }
    return number;
  }

  oneOf<T extends string>(name: string, allowed: readonly T[], fallback: T): T {
    const value = this.text(name);
    if (value === null) return fallback;
    const found = allowed.find((each) => each === value);
    if (found === undefined) this.faults.push(`${name} must be one of ${allowed.join(", ")}, not "${value}"`);
    return found ?? fallback;
  }

  flag(name: string, fallback: boolean): boolean {
    return this.oneOf(name, ["true", "false"], fallback ? "true" : "false") === "true";
  }

  url(name: string, protocols: readonly string[]): string | null {
    const value = this.text(name);
    if (value === null) return null;
    const isUrl = URL.canParse(value) && protocols.includes(new URL(value).protocol);
    // The value is not repeated: it may hold a password.
    if (!isUrl) this.faults.push(`${name} must be an address that begins with ${protocols.join(" or ")}//`);
    return value.replace(/\/+$/, "");
  }

  secret(name: string, form: RegExp, what: string): string | null {
    const value = this.text(name);
    if (value !== null && !form.test(value)) this.faults.push(`${name} must be ${what}`);
    return value;
  }
}

/** Reads every setting; all faults at once, each naming its setting and never a secret's value. */
export function readConfig(
  env: Readonly<Record<string, string | undefined>> = process.env,
): Result<Config, readonly string[]> {
  const reader = new Reader(env);
  const databaseUrl = reader.url("DATABASE_URL", ["postgres:", "postgresql:"]);
  if (databaseUrl !== null && URL.canParse(databaseUrl) && new URL(databaseUrl).searchParams.has("options")) {
    // The driver takes those of the address instead of ours: no role, no row-level security, no timeouts.
    const instead = 'use "alter role .. set" or "alter database .. set" instead';
    reader.faults.push(
      `DATABASE_URL must not have options, for Bursar sets its role and its timeouts there: ${instead}`,
    );
  }
  const keyForm = "bk_test_ or bk_live_ and at least 32 letters, digits, - or _";
  const bootstrapKey = reader.secret("BURSAR_BOOTSTRAP_KEY", API_KEY_FORM, keyForm);
  const masterKey = reader.secret("BURSAR_MASTER_KEY", MASTER_KEY_FORM, "64 hexadecimal digits (32 bytes)");
  if (databaseUrl !== null && masterKey === null) {
    reader.faults.push("BURSAR_MASTER_KEY is required with DATABASE_URL: whoever restores the database needs it");
  }
  const config: Config = {
    port: reader.port("PORT", 8080),
    host: reader.text("HOST") ?? "127.0.0.1",
    databaseUrl,
    logLevel: reader.oneOf("LOG_LEVEL", LOG_LEVELS, "info"),
    dataDir: resolve(reader.text("BURSAR_DATA_DIR") ?? "./.bursar"),
    bootstrapKey,
    masterKey: masterKey === null ? null : Buffer.from(masterKey, "hex"),
    role: reader.oneOf("BURSAR_ROLE", ROLES, "all"),
    sandboxPort: reader.port("BURSAR_SANDBOX_PORT", 8090),
    publicUrl: reader.url("BURSAR_PUBLIC_URL", ["https:", "http:"]),
    demo: reader.flag("BURSAR_DEMO", databaseUrl === null),
    privateWebhooks: reader.flag("BURSAR_PRIVATE_WEBHOOKS", databaseUrl === null),
    auditMinutes: reader.whole("BURSAR_AUDIT_MINUTES", 5, MINUTES_MAX),
  };
  return reader.faults.length === 0 ? ok(config) : err(reader.faults);
}
