/** A man in the middle between the store and PostgreSQL: counts round trips, cuts the line at the worst moment. */
import { connect, createServer, type Server, type Socket } from "node:net";
import type { ClientConfig } from "pg";

/**
 * What happens at the next COMMIT, once. `answer_lost`: it arrives, its answer does not. `lost`: it never arrives.
 * `held`: it does not arrive and the server does not notice until `release`.
 */
export type Cut = "answer_lost" | "lost" | "held";

/** The message with which the store commits. */
const COMMIT = Buffer.from("commit\0");

export class DatabaseProxy {
  /** How often the client began to speak after the server had answered. */
  roundTrips = 0;
  /** New connections are cut at once. */
  isDown = false;
  cut: Cut | null = null;
  /** Called when a cut happened. */
  onCut: () => void = () => undefined;
  readonly #server: Server;
  readonly #target: string;
  readonly #sockets = new Set<Socket>();
  readonly #held: Socket[] = [];

  private constructor(target: string) {
    this.#target = target;
    this.#server = createServer((client) => this.#accept(client));
  }

  /** In front of a server on a Unix socket. */
  static async start(config: ClientConfig): Promise<DatabaseProxy> {
    const proxy = new DatabaseProxy(`${config.host}/.s.PGSQL.${config.port}`);
    await new Promise<void>((resolve) => proxy.#server.listen(0, "127.0.0.1", resolve));
    return proxy;
  }

  /** The same database, through the proxy. */
  through(config: ClientConfig): ClientConfig {
    const address = this.#server.address();
    if (address === null || typeof address === "string") throw new Error("the proxy does not listen");
    return { ...config, host: "127.0.0.1", port: address.port };
  }

  /** The server learns that held connections are gone. */
  release(): void {
    for (const socket of this.#held.splice(0)) socket.destroy();
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #accept(client: Socket): void {
    if (this.isDown) {
      client.destroy();
      return;
    }
    const server = connect(this.#target);
    let isClientsTurn = true;
    for (const socket of [client, server]) {
      this.#sockets.add(socket);
      socket.setNoDelay(true);
      socket.on("error", () => undefined);
      socket.on("close", () => this.#sockets.delete(socket));
    }
    server.on("data", (chunk) => {
      isClientsTurn = true;
      if (!client.destroyed) client.write(chunk);
    });
    server.on("close", () => client.destroy());
    client.on("data", (chunk) => {
      if (isClientsTurn) this.roundTrips++;
      isClientsTurn = false;
      if (this.cut !== null && chunk.includes(COMMIT)) this.#sever(client, server, chunk);
      else server.write(chunk);
    });
    client.on("close", () => {
      if (!this.#held.includes(server)) server.end();
    });
  }

  #sever(client: Socket, server: Socket, chunk: Buffer): void {
    const { cut } = this;
    this.cut = null;
    if (cut === "held") this.#held.push(server);
    if (cut === "answer_lost") server.write(chunk);
    if (cut === "lost") server.destroy();
    client.destroy();
    this.onCut();
  }
}
