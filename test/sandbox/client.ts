/** What the tests of the sandbox provider share: a client that sees silence as such, and a receiver of callbacks. */
import { ok } from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer, type IncomingMessage, request } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

export const SECRET = "secret-of-the-account";

export interface Seen {
  /** 0: the connection ended without an answer. */
  readonly http: number;
  readonly text: string;
  readonly headers: IncomingMessage["headers"];
}

export interface Ask {
  readonly method: string;
  readonly path: string;
  readonly headers?: Record<string, string>;
  readonly body?: string;
}

export function ask(url: string, { method, path, headers = {}, body = "" }: Ask): Promise<Seen> {
  const silence: Seen = { http: 0, text: "", headers: {} };
  return new Promise((resolve) => {
    const sent = request(`${url}${path}`, { method, agent: false, headers }, (response) => {
      let text = "";
      response.setEncoding("utf8");
      response.on("data", (chunk: string) => {
        text += chunk;
      });
      response.once("end", () => resolve({ http: response.statusCode ?? 0, text, headers: response.headers }));
      response.once("error", () => resolve(silence));
    });
    sent.once("error", () => resolve(silence));
    sent.end(body);
  });
}

export const bearer = { authorization: `Bearer ${SECRET}` };

/** An order as the connector sends it; `over` replaces members. */
export function post(url: string, reference: string, over: Record<string, unknown> = {}): Promise<Seen> {
  const body = { reference, amount: "100.78", currency: "USD", account: "4242", fields: {}, ...over };
  return ask(url, {
    method: "POST",
    path: "/payouts",
    headers: { ...bearer, "x-reference": reference },
    body: JSON.stringify(body),
  });
}

export function inquire(url: string, reference: string): Promise<Seen> {
  return ask(url, { method: "GET", path: `/payouts/${reference}`, headers: bearer });
}

export function command(url: string, reference: string, name: "revoke" | "cancel", body = ""): Promise<Seen> {
  return ask(url, { method: "POST", path: `/payouts/${reference}/${name}`, headers: bearer, body });
}

export async function setControl(url: string, control: Record<string, unknown>): Promise<Seen> {
  return ask(url, { method: "PUT", path: "/control", body: JSON.stringify(control) });
}

export interface Row {
  readonly reference: string;
  readonly amount: string;
  readonly currency: string;
  readonly destination: string;
  readonly effective: number;
  readonly status: string;
  readonly paidAmount: string;
  readonly returnedAmount: string;
}

export async function book(url: string, reference?: string): Promise<Row[]> {
  const query = reference === undefined ? "" : `?reference=${reference}`;
  return JSON.parse((await ask(url, { method: "GET", path: `/book${query}` })).text) as Row[];
}

export const statusOf = (seen: Seen): string => String((JSON.parse(seen.text) as { status?: unknown }).status);
export const errorOf = (seen: Seen): string => String((JSON.parse(seen.text) as { error?: unknown }).error);

/** Polls until the condition holds, for as long as a slow machine may take. */
export async function until(what: string, holds: () => Promise<boolean> | boolean, limitMs = 20_000): Promise<void> {
  const deadline = Date.now() + limitMs;
  while (!(await holds())) {
    ok(Date.now() < deadline, `not in time: ${what}`);
    await sleep(5);
  }
}

export interface Received {
  readonly signature: string;
  readonly body: string;
  readonly message: Readonly<Record<string, unknown>>;
}

export interface Receiver {
  readonly url: string;
  readonly all: Received[];
  of(reference: string): Received[];
  /** How many of the next callbacks are answered 500. */
  refuseNext: number;
  close(): void;
}

export async function openReceiver(): Promise<Receiver> {
  const all: Received[] = [];
  const server = createServer((incoming, response) => {
    let body = "";
    incoming.setEncoding("utf8");
    incoming.on("data", (chunk: string) => {
      body += chunk;
    });
    incoming.once("end", () => {
      const message = JSON.parse(body) as Record<string, unknown>;
      all.push({ signature: String(incoming.headers["x-sandbox-signature"]), body, message });
      receiver.refuseNext -= 1;
      response.writeHead(receiver.refuseNext >= 0 ? 500 : 204).end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", () => resolve()));
  const receiver: Receiver = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/callbacks/x`,
    all,
    of: (reference) => all.filter(({ message }) => message["reference"] === reference),
    refuseNext: 0,
    close: () => {
      server.close();
      server.closeAllConnections();
    },
  };
  return receiver;
}

/** A directory of its own, removed by `remove`. */
export async function freshFolder(): Promise<{ path: string; remove: () => Promise<void> }> {
  const path = await mkdtemp(join(tmpdir(), "bursar-sandbox-"));
  return { path, remove: () => rm(path, { recursive: true, force: true }) };
}
