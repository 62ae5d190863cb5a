// Method: real TCP servers on this machine, and connections that are slow or die in the test's hand: what counts as
// "nothing left", and what does not.
import assert from "node:assert/strict";
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { after, test } from "node:test";
import type { buildConnector } from "undici";
import { type OutboundOptions, openOutbound } from "../../src/engine/outbound.ts";
import type { HttpOrder, HttpOutcome } from "../../src/engine/ports.ts";

const cleanups: (() => unknown)[] = [];
after(async () => {
  for (const cleanup of cleanups) await cleanup();
});

/** A server that notes what it is sent, and says it to `onBytes`. */
class Listener {
  connections = 0;
  heard = "";
  onBytes: (socket: Socket) => void = () => {};
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor() {
    this.#server = createServer((socket) => {
      this.connections += 1;
      this.#sockets.add(socket);
      socket.on("error", () => {});
      socket.on("data", (chunk) => {
        this.heard += chunk.toString("latin1");
        this.onBytes(socket);
      });
    });
  }

  static async open(): Promise<Listener> {
    const listener = new Listener();
    listener.#server.listen(0, "127.0.0.1");
    await once(listener.#server, "listening");
    cleanups.push(() => listener.close());
    return listener;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Fulfilled when every connection is closed: nothing can arrive any more. */
  async silence(): Promise<void> {
    const open = [...this.#sockets].filter((socket) => !socket.closed);
    await Promise.all(open.map((socket) => once(socket.resume(), "close")));
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    if (this.#server.listening) await new Promise((resolve) => this.#server.close(resolve));
  }
}

function outboundOf(connector?: buildConnector.connector) {
  const options: OutboundOptions = {
    mayReachPrivate: true,
    ...(connector === undefined ? {} : { connect: connector }),
  };
  const outbound = openOutbound(options);
  cleanups.unshift(() => outbound.close());
  return outbound;
}

function order(port: number, maySend: () => boolean = () => true): HttpOrder {
  const draft = { method: "POST", path: "/payouts", headers: { "x-reference": "r" }, body: "{}" } as const;
  return { baseUrl: `http://127.0.0.1:${port}`, draft, timeoutMs: 5_000, audience: "provider", maySend };
}

const errno = (code: string, syscall: string): Error => Object.assign(new Error(code), { code, syscall });

/** Makes real connections, and shows each of them to the test when it is there. */
const showing =
  (show: (socket: Socket) => void): buildConnector.connector =>
  ({ hostname, port }, callback) => {
    const socket = connect({ host: hostname, port: Number(port) });
    socket.once("connect", () => {
      show(socket);
      callback(null, socket);
    });
  };

/** No connection ever comes to be, for this reason. */
const failing =
  (error: Error): buildConnector.connector =>
  (_options, callback) =>
    queueMicrotask(() => callback(error, null));

test("a connection that dies as unreachable with a request in it is lost, not unsent", async () => {
  for (const code of ["EHOSTUNREACH", "ENETUNREACH", "ETIMEDOUT", "ECONNREFUSED"]) {
    const provider = await Listener.open();
    const sockets: Socket[] = [];
    // What Linux says of an established connection when it gives up repeating what nobody acknowledges.
    provider.onBytes = () => sockets[0]?.destroy(errno(code, "read"));
    const outcome = await outboundOf(showing((socket) => sockets.push(socket))).send(order(provider.port));
    assert.deepEqual(outcome, { kind: "lost", reason: code });
    assert.match(provider.heard, /^POST \/payouts /);
  }
});

test("a connection that is refused has carried nothing", async () => {
  const provider = await Listener.open();
  const { port } = provider;
  await provider.close();
  assert.deepEqual(await outboundOf().send(order(port)), { kind: "not_sent", reason: "ECONNREFUSED" });
});

test("a failed connect of several addresses is unsent only if each of them failed to connect", async () => {
  const refused = errno("ECONNREFUSED", "connect");
  const cases: readonly (readonly [Error, HttpOutcome["kind"]])[] = [
    [new AggregateError([refused, errno("ENETUNREACH", "connect")]), "not_sent"],
    [new AggregateError([refused, errno("ETIMEDOUT", "connect")]), "not_sent"],
    [new AggregateError([refused, errno("EHOSTUNREACH", "write")]), "lost"],
    [new AggregateError([]), "lost"],
    [errno("ENOTFOUND", "getaddrinfo"), "not_sent"],
    [errno("EHOSTUNREACH", "connect"), "not_sent"],
    [errno("EHOSTUNREACH", "read"), "lost"],
    [errno("ECONNRESET", "connect"), "lost"],
  ];
  for (const [error, kind] of cases) {
    const outcome = await outboundOf(failing(error)).send(order(1));
    assert.equal(outcome.kind, kind, String(Object.values(error)));
  }
});

test("a lease that ends while the connection is made lets no byte out", async () => {
  const provider = await Listener.open();
  let isLeased = true;
  // The process stands still between the connect and the first byte.
  const outbound = outboundOf(showing(() => (isLeased = false)));
  const outcome = await outbound.send(order(provider.port, () => isLeased));
  assert.deepEqual(outcome, { kind: "not_sent", reason: "the lease is over" });
  await provider.silence();
  assert.equal(provider.connections, 1);
  assert.equal(provider.heard, "");
});

test("a lease that is over before the connect makes none; one that ends later takes nothing back", async () => {
  const provider = await Listener.open();
  const late = await outboundOf().send(order(provider.port, () => false));
  assert.deepEqual(late, { kind: "not_sent", reason: "the lease is over" });
  assert.equal(provider.connections, 0);
  let isLeased = true;
  provider.onBytes = (socket) => {
    isLeased = false;
    socket.end("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}");
  };
  const outcome = await outboundOf().send(order(provider.port, () => isLeased));
  assert.equal(outcome.kind, "answer");
});

test("a kept connection is asked about, too", async () => {
  const provider = await Listener.open();
  provider.onBytes = (socket) => socket.write("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}");
  const outbound = outboundOf();
  assert.equal((await outbound.send(order(provider.port))).kind, "answer");
  const before = provider.heard;
  // Asked before it is handed over, and when it is about to be written.
  let asked = 0;
  const outcome = await outbound.send(order(provider.port, () => ++asked === 1));
  assert.deepEqual(outcome, { kind: "not_sent", reason: "the lease is over" });
  await outbound.close();
  await provider.silence();
  assert.deepEqual([asked, provider.heard], [2, before]);
});
