/** The provider's door: HTTP in, one reply out, or the silence that a scenario asks for. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { Book } from "./book.ts";
import { Callbacks } from "./callbacks.ts";
import { JournalBroken } from "./journal.ts";
import { Provider, type Reply } from "./provider.ts";

const BODY_MAX_BYTES = 65_536;
/** Longer than clients keep an idle connection: one that is closed in their hands looks like a lost answer. */
const KEEP_ALIVE_MS = 120_000;

export interface SandboxOptions {
  /** Where the book is kept. */
  readonly dataDir: string;
  /** 0: any free one. */
  readonly port: number;
  /** An id of this run. */
  readonly instance: string;
  /** Told of what must never happen. A journal that cannot be written is among it: end the process. */
  onFault(error: unknown): void;
}

export interface Sandbox {
  readonly port: number;
  /** Stops taking requests, cuts off those that wait, writes the book down. */
  close(): Promise<void>;
}

/** @throws when the port is taken (`code` is EADDRINUSE) or the book is damaged */
export async function openSandbox(options: SandboxOptions): Promise<Sandbox> {
  const { dataDir, instance } = options;
  const book = await Book.open(dataDir);
  const callbacks = new Callbacks(book);
  const provider = new Provider(book, callbacks, { instance, pid: process.pid, dataDir });
  let closed: Promise<void> | null = null;
  const server = createServer({ keepAliveTimeout: KEEP_ALIVE_MS }, (request, response) => {
    handle(provider, request, response).catch((error: unknown) => {
      request.socket.destroy();
      if (closed === null) options.onFault(error);
    });
  });
  try {
    await listen(server, options.port);
  } catch (error) {
    await book.close();
    throw error;
  }
  callbacks.resume();
  const close = async (): Promise<void> => {
    callbacks.stop();
    const ended = new Promise<void>((resolve) => server.close(() => resolve()));
    server.closeAllConnections();
    await ended;
    await book.close();
  };
  return { port: (server.address() as AddressInfo).port, close: () => (closed ??= close()) };
}

let latest = 0;

/** Never goes back: what an inquiry has shown once must not be gone for the next. */
function clock(): number {
  latest = Math.max(latest, Date.now());
  return latest;
}

function listen(server: Server, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, "127.0.0.1", () => {
      server.off("error", reject);
      resolve();
    });
  });
}

async function handle(provider: Provider, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const body = await readBody(request);
  if (body === null) {
    if (!request.destroyed) send(response, { kind: "body", http: 413, body: '{"error":"too_large"}' });
    return;
  }
  const { method = "", url = "/", headers } = request;
  const [path = "/", search = ""] = url.split("?", 2);
  const query = new URLSearchParams(search);
  try {
    send(response, await provider.answer({ method, path, query, headers, body, at: clock() }));
  } catch (error) {
    // Nothing may be said about an order that is perhaps not in the book: the silence of a broken provider.
    if (!(error instanceof JournalBroken)) send(response, { kind: "body", http: 500, body: '{"error":"bug"}' });
    throw error;
  }
}

/** Null when it is too large, or when the caller hung up. */
function readBody(request: IncomingMessage): Promise<string | null> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    let size = 0;
    request.on("data", (chunk: Buffer) => {
      size += chunk.length;
      if (size > BODY_MAX_BYTES) resolve(null);
      else chunks.push(chunk);
    });
    request.once("end", () => resolve(Buffer.concat(chunks).toString("utf8")));
    request.once("error", () => resolve(null));
    request.once("close", () => resolve(null));
  });
}

function send(response: ServerResponse, reply: Reply): void {
  const { socket } = response;
  switch (reply.kind) {
    case "reset":
      socket?.resetAndDestroy();
      break;
    case "withheld": {
      const timer = setTimeout(() => socket?.destroy(), reply.closeAfterMs);
      response.once("close", () => clearTimeout(timer));
      break;
    }
    case "body":
      response.writeHead(reply.http, {
        "content-type": "application/json",
        "content-length": Buffer.byteLength(reply.body),
        ...reply.headers,
      });
      response.end(reply.body);
      break;
  }
}
