/** Reading the body of a scheme before it is stored: every fault at once, nothing that routing or pricing trips over. */

import { isCurrency } from "../money/currency.ts";
import { type DecimalFault, parseMajor } from "../money/money.ts";
import { customerRate, parseDecimal, type Ratio, ratio, subtract } from "../money/rate.ts";
import type { CommerceScheme, RatePair, RateScheme, SpelledTerms } from "./commerce.ts";
import type { RoutingLeaf, RoutingScheme, Scheme } from "./routing.ts";

/** What a scheme may name. */
export interface Known {
  /** The currency of a payout service; null: there is no such service. */
  serviceCurrency(code: string): string | null;
  /** The service of a route; null: there is no such route. */
  routeService(id: string): string | null;
}

/** Names a fault, once per member. */
export type Say = (field: string, message: string) => null;

interface Reading {
  readonly known: Known;
  readonly say: Say;
}

type Members = Readonly<Record<string, unknown>>;

const MAX_ROUTES = 100;
const MAX_STRATEGIES = 20;
const MAX_PAIRS = 1_000;
const MAX_WEIGHT = 1_000_000;

const isMembers = (value: unknown): value is Members =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** Reads the body of any kind of scheme. What it returns is of use only where nothing was said. */
export function readScheme(kind: Scheme["kind"], body: Members, reading: Reading): object {
  switch (kind) {
    case "routing":
      return readRouting(body, reading);
    case "rate":
      return readRates(body, reading.say);
    case "commerce":
      return readCommerce(body, reading);
  }
}

/** Every route that a routing scheme names, so that it can be looked up before the scheme is read. */
export function routesNamed(body: Members): readonly string[] {
  const leaves = [...Object.values(isMembers(body["services"]) ? body["services"] : {}), body["otherwise"]];
  return [...new Set(leaves.flatMap(routesNamedIn))];
}

function routesNamedIn(leaf: unknown): string[] {
  if (!isMembers(leaf)) return [];
  const routes = (Array.isArray(leaf["routes"]) ? leaf["routes"] : []) as unknown[];
  const own = routes.map((each) => (isMembers(each) ? each["route"] : each));
  const set = (Array.isArray(leaf["set"]) ? leaf["set"] : []) as unknown[];
  return [...own.filter((each) => typeof each === "string"), ...set.flatMap(routesNamedIn)];
}

/** The members of `services`, each at its path; a service that nobody offers is a fault. */
function readServices<T>(
  body: Members,
  { known, say }: Reading,
  read: (given: unknown, at: { path: string; service: string }) => T | null,
): Record<string, T> {
  const services: Record<string, T> = {};
  const given = body["services"] ?? {};
  if (!isMembers(given)) {
    say("services", "must be an object");
    return services;
  }
  for (const [service, each] of Object.entries(given)) {
    const path = `services.${service}`;
    if (known.serviceCurrency(service) === null) say(path, "is not a payout service");
    const value = read(each, { path, service });
    if (value !== null) services[service] = value;
  }
  return services;
}

// Routing

interface Place {
  readonly path: string;
  /** Null: for every service that is not named. */
  readonly service: string | null;
  readonly isInSet?: true;
}

function readRouting(body: Members, reading: Reading): RoutingScheme {
  const services = readServices(body, reading, (given, at) => readLeaf(given, at, reading));
  if (body["otherwise"] === undefined) return { services };
  const otherwise = readLeaf(body["otherwise"], { path: "otherwise", service: null }, reading);
  return { services, ...(otherwise === null ? {} : { otherwise }) };
}

function readLeaf(given: unknown, at: Place, reading: Reading): RoutingLeaf | null {
  const { say } = reading;
  if (!isMembers(given)) return say(at.path, "must be an object");
  const forms = ["strategy", "set", "block"].filter((name) => given[name] !== undefined);
  if (forms.length !== 1) return say(at.path, "must have one of strategy, set and block");
  if (given["block"] !== undefined)
    return given["block"] === true ? { block: true } : say(`${at.path}.block`, "is true or absent");
  return given["set"] === undefined ? readStrategy(given, at, reading) : readSet(given["set"], at, reading);
}

function readSet(given: unknown, at: Place, reading: Reading): RoutingLeaf | null {
  const path = `${at.path}.set`;
  if (at.isInSet) return reading.say(path, "cannot stand inside another set");
  const leaves = readList(given, { path, max: MAX_STRATEGIES }, reading.say);
  const set = leaves?.map((each, index) => {
    return readLeaf(each, { path: `${path}[${index}]`, service: at.service, isInSet: true }, reading);
  });
  return set === undefined ? null : { set: set.filter((each) => each !== null) };
}

function readList(given: unknown, at: { path: string; max: number }, say: Say): readonly unknown[] | null {
  if (!Array.isArray(given)) return say(at.path, given === undefined ? "is required" : "must be a list");
  if (given.length === 0) return say(at.path, "must not be empty");
  return given.length > at.max ? say(at.path, `has more than ${at.max} members`) : given;
}

function readStrategy(given: Members, at: Place, reading: Reading): RoutingLeaf | null {
  const { say } = reading;
  const { strategy } = given;
  if (strategy !== "direct" && strategy !== "priority" && strategy !== "weight") {
    return say(`${at.path}.strategy`, "must be one of direct, priority, weight");
  }
  const path = `${at.path}.routes`;
  const list = readList(given["routes"], { path, max: MAX_ROUTES }, say);
  if (list === null) return null;
  if (strategy === "direct" && list.length > 1) say(path, "has more than one route, which is what priority is for");
  const seen = new Set<string>();
  const read = (each: unknown, field: string): string | null => {
    const id = readRoute(each, { path: field, service: at.service }, reading);
    if (id !== null && seen.has(id)) return say(field, "stands here twice");
    if (id !== null) seen.add(id);
    return id;
  };
  if (strategy === "weight") return readWeights(list, path, { say, read });
  const routes = list.map((each, index) => read(each, `${path}[${index}]`));
  return { strategy, routes: routes.filter((each) => each !== null) };
}

function readRoute(given: unknown, at: Place, { known, say }: Reading): string | null {
  if (typeof given !== "string") return say(at.path, "must be the id of a route");
  const service = known.routeService(given);
  if (service === null) return say(at.path, "is not a payout route");
  return at.service === null || service === at.service
    ? given
    : say(at.path, `is a route of another service, ${service}`);
}

function readWeights(
  list: readonly unknown[],
  path: string,
  by: { say: Say; read: (each: unknown, field: string) => string | null },
): RoutingLeaf {
  let sum = 0;
  const routes = list.map((each, index) => {
    const at = `${path}[${index}]`;
    if (!isMembers(each)) return by.say(at, "must have a route and a weight");
    const { weight } = each;
    const isWeight = Number.isSafeInteger(weight) && Number(weight) >= 0 && Number(weight) <= MAX_WEIGHT;
    if (isWeight) sum += Number(weight);
    else by.say(`${at}.weight`, `must be a whole number from 0 to ${MAX_WEIGHT}`);
    const route = by.read(each["route"], `${at}.route`);
    return route === null ? null : { route, weight: Number(weight) };
  });
  if (sum === 0) by.say(path, "has no weight above zero");
  return { strategy: "weight", routes: routes.filter((each) => each !== null) };
}

// Rates and commission

const DECIMAL_FAULTS: Readonly<Record<DecimalFault | "unknown_currency", string>> = {
  not_a_number: "is not a decimal number",
  too_many_decimals: "has too many decimals",
  too_large: "has too many digits",
  unknown_currency: "is in a currency that Bursar does not know",
};

/** A decimal text, or what it is when absent; null after a fault. */
function readFigure(given: unknown, at: { path: string; absent?: string }, say: Say): Ratio | null {
  const text = given ?? at.absent;
  if (text === undefined) return say(at.path, "is required");
  if (typeof text !== "string") return say(at.path, DECIMAL_FAULTS.not_a_number);
  const parsed = parseDecimal(text);
  return parsed.ok ? parsed.value : say(at.path, DECIMAL_FAULTS[parsed.error]);
}

function readFlag(given: unknown, path: string, say: Say): boolean {
  if (given !== undefined && typeof given !== "boolean") say(path, "must be true or false");
  return given === true;
}

const isNegative = (value: Ratio | null): boolean => value !== null && value.numerator < 0n;
const isLess = (a: Ratio, b: Ratio): boolean => subtract(a, b).numerator < 0n;

function readRates(body: Members, say: Say): RateScheme {
  const given = body["pairs"];
  if (!Array.isArray(given)) {
    say("pairs", given === undefined ? "is required" : "must be a list");
    return { pairs: [] };
  }
  if (given.length > MAX_PAIRS) say("pairs", `has more than ${MAX_PAIRS} members`);
  const seen = new Set<string>();
  const pairs = (given as unknown[]).slice(0, MAX_PAIRS).map((each, index) => {
    const path = `pairs[${index}]`;
    const pair = isMembers(each) ? readPair(each, path, say) : say(path, "must be an object");
    const name = pair === null ? "" : `${pair.base} ${pair.quote}`;
    if (seen.has(name)) return say(path, `is a second rule from ${name.replace(" ", " to ")}`);
    if (pair !== null) seen.add(name);
    return pair;
  });
  return { pairs: pairs.filter((each) => each !== null) };
}

function readPair(given: Members, path: string, say: Say): RatePair | null {
  const currency = (name: "base" | "quote"): string | null => {
    const code = given[name];
    if (code === undefined) return say(`${path}.${name}`, "is required");
    return typeof code === "string" && isCurrency(code)
      ? code
      : say(`${path}.${name}`, "is not a currency that Bursar knows");
  };
  const base = currency("base");
  const quote = currency("quote");
  if (base !== null && base === quote) say(`${path}.quote`, "must be another currency than base");
  const source = readFigure(given["rate"], { path: `${path}.rate` }, say);
  const feePercent = readFigure(given["feePercent"], { path: `${path}.feePercent`, absent: "0" }, say);
  const feeFixed = readFigure(given["feeFixed"], { path: `${path}.feeFixed`, absent: "0" }, say);
  if (source !== null && source.numerator <= 0n) return say(`${path}.rate`, "must be more than zero");
  if (base === null || quote === null || source === null || feePercent === null || feeFixed === null) return null;
  const isInverted = readFlag(given["inverted"], `${path}.inverted`, say);
  const rate = customerRate({ source, isInverted, feePercent, feeFixed });
  if (!rate.ok) {
    const { error } = rate;
    return say(`${path}.rate`, error === "too_large" ? "makes a rate of too many digits" : "is used up by the margin");
  }
  const { rate: figure = "", ...fees } = spelledIn(given, ["rate", "feePercent", "feeFixed"]);
  return { base, quote, rate: figure, ...fees, ...(isInverted ? { inverted: true } : {}) };
}

/** The figures that were given, as they were spelled. */
function spelledIn<K extends string>(given: Members, names: readonly K[]): Partial<Record<K, string>> {
  const figures = names.map((name) => [name, given[name]] as const);
  return Object.fromEntries(figures.filter(([, figure]) => typeof figure === "string")) as Partial<Record<K, string>>;
}

function readCommerce(body: Members, reading: Reading): CommerceScheme {
  const { known, say } = reading;
  const services = readServices(body, reading, (given, { path, service }) => {
    return readTerms(given, { path, currency: known.serviceCurrency(service) }, say);
  });
  if (body["otherwise"] === undefined) return { services };
  // In any currency: whether it has that many decimals is only known with an order.
  const otherwise = readTerms(body["otherwise"], { path: "otherwise", currency: null }, say);
  return { services, ...(otherwise === null ? {} : { otherwise }) };
}

const FIGURES = ["feeRate", "feeFixed", "feeMin", "feeMax"] as const;

function readTerms(given: unknown, at: { path: string; currency: string | null }, say: Say): SpelledTerms | null {
  if (!isMembers(given)) return say(at.path, "must be an object");
  const { strategy } = given;
  const isReverse = readFlag(given["reverse"], `${at.path}.reverse`, say);
  if (strategy !== undefined && strategy !== "external" && strategy !== "internal") {
    return say(`${at.path}.strategy`, "must be one of external, internal");
  }
  const [feeRate, , feeMin, feeMax] = FIGURES.map((name) => readTerm(given[name], name, { ...at, say }));
  if (feeMin && feeMax && feeMax.numerator > 0n && isLess(feeMax, feeMin)) {
    say(`${at.path}.feeMax`, "must be at least feeMin, or 0 for none");
  }
  if (strategy === "internal" && isReverse && feeRate && !isLess(feeRate, ratio(1n))) {
    say(`${at.path}.feeRate`, "must be less than 1 where the strategy is internal and reverse");
  }
  return {
    ...spelledIn(given, FIGURES),
    ...(strategy === undefined ? {} : { strategy }),
    ...(isReverse ? { reverse: true } : {}),
  };
}

function readTerm(
  given: unknown,
  name: (typeof FIGURES)[number],
  at: { path: string; currency: string | null; say: Say },
): Ratio | null {
  const path = `${at.path}.${name}`;
  const figure = readFigure(given, { path, absent: "0" }, at.say);
  if (isNegative(figure)) return at.say(path, "must not be negative");
  if (figure === null || name === "feeRate" || at.currency === null || typeof given !== "string") return figure;
  const inUnits = parseMajor(given, at.currency);
  if (inUnits.ok) return figure;
  const isFiner = inUnits.error === "too_many_decimals";
  return at.say(path, isFiner ? `has more decimals than ${at.currency}` : DECIMAL_FAULTS[inUnits.error]);
}
