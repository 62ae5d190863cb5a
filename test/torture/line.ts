/**
 * A line between two real processes in the campaign's hand: bytes go through as they come, until a trap stands at a
 * place of the conversation. Then they are held back or passed on, and whoever set the trap acts in that instant.
 */
import { connect, createServer, type NetConnectOpts, type Server, type Socket } from "node:net";

/** Follows one connection. Both see every chunk of their direction, once. */
export interface Reader {
  /** Whether a whole message that matters is there with this chunk. */
  asks(chunk: Buffer): boolean;
  /** Whether this chunk begins the answer to it. */
  answers(chunk: Buffer): boolean;
}

/** For each connection one. */
export type OpenReader = () => Reader;

export interface Trap {
  readonly at: "ask" | "answer";
  /** False: these bytes do not arrive, nor any later ones of the connection, in either direction. */
  readonly isPassedOn: boolean;
  /** So often the place is passed before the trap springs. */
  readonly skip: number;
  /** @param cut breaks the connection for both sides */
  spring(cut: () => void): void;
}

interface Exchange {
  readonly reader: Reader;
  readonly near: Socket;
  readonly far: Socket;
  isHeld: boolean;
}

/** Messages that begin like `ask`, and answers that begin like `answer`. One request at a time on a connection. */
export function httpReader(ask: RegExp, answer: RegExp): OpenReader {
  return () => {
    let text = "";
    let isAsked = false;
    return {
      asks(chunk) {
        const part = chunk.toString("latin1");
        text = /^[A-Z]+ \//.test(part) ? part : text + part;
        if (!ask.test(text) || !isWhole(text)) return false;
        text = "";
        isAsked = true;
        return true;
      },
      answers(chunk) {
        const isAnswer = isAsked && answer.test(chunk.toString("latin1", 0, 40));
        if (isAnswer) isAsked = false;
        return isAnswer;
      },
    };
  };
}

function isWhole(request: string): boolean {
  const end = request.indexOf("\r\n\r\n");
  const length = /\r\ncontent-length: *(\d+)/i.exec(request)?.[1] ?? "0";
  return end !== -1 && request.length - end - 4 >= Number(length);
}

/**
 * The store says COMMIT as a statement of its own; the answer is its command tag. Only transactions that write count:
 * reads commit too, ten times as often, and nothing hangs on those.
 */
export function commitReader(): Reader {
  let isWriting = false;
  let isAsked = false;
  return {
    asks(chunk) {
      if (chunk.includes("read write\0")) isWriting = true;
      else if (chunk.includes("read only\0")) isWriting = false;
      const isCommit = isWriting && chunk.includes("commit\0");
      isAsked ||= isCommit;
      return isCommit;
    },
    answers(chunk) {
      const isAnswer = isAsked && chunk.includes("COMMIT\0");
      if (isAnswer) isAsked = false;
      return isAnswer;
    },
  };
}

export class Line {
  /** Where it leads. Looked at with each new connection: a database may come back elsewhere. */
  target: NetConnectOpts;
  readonly #server: Server;
  readonly #open: OpenReader;
  readonly #sockets = new Set<Socket>();
  #trap: Trap | null = null;
  #skip = 0;

  private constructor(target: NetConnectOpts, open: OpenReader) {
    this.target = target;
    this.#open = open;
    this.#server = createServer({ noDelay: true }, (near) => this.#accept(near));
  }

  static async start(target: NetConnectOpts, open: OpenReader): Promise<Line> {
    const line = new Line(target, open);
    await new Promise<void>((resolve) => line.#server.listen(0, "127.0.0.1", resolve));
    return line;
  }

  get port(): number {
    const address = this.#server.address();
    if (address === null || typeof address === "string") throw new Error("the line does not listen");
    return address.port;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** One trap at a time, and it springs once; null takes it away. */
  set(trap: Trap | null): void {
    this.#trap = trap;
    this.#skip = trap?.skip ?? 0;
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #accept(near: Socket): void {
    const far = connect(this.target);
    far.setNoDelay(true);
    const exchange: Exchange = { reader: this.#open(), near, far, isHeld: false };
    near.on("data", (chunk) => this.#pass(exchange, far, { chunk, at: exchange.reader.asks(chunk) ? "ask" : null }));
    far.on("data", (chunk) => {
      this.#pass(exchange, near, { chunk, at: exchange.reader.answers(chunk) ? "answer" : null });
    });
    for (const [socket, other] of [
      [near, far],
      [far, near],
    ] as const) {
      this.#sockets.add(socket);
      // A reset stays a reset; on a Unix socket there is none. Where the end is under way a reset is refused, and the
      // handle would stay for ever: Node could not exit any more.
      socket.on("error", (error: NodeJS.ErrnoException) => {
        const mayReset = other.remoteFamily !== undefined && !other.writableEnded;
        if (error.code === "ECONNRESET" && mayReset) other.resetAndDestroy();
        else other.destroySoon();
      });
      socket.on("end", () => other.end());
      socket.on("close", () => {
        this.#sockets.delete(socket);
        // What was written before still goes out.
        other.destroySoon();
      });
    }
  }

  #pass(exchange: Exchange, to: Socket, { chunk, at }: { chunk: Buffer; at: Trap["at"] | null }): void {
    if (exchange.isHeld) return;
    const trap = at === null ? null : this.#take(at);
    const cut = (): void => {
      exchange.near.destroy();
      exchange.far.destroy();
    };
    if (trap === null) to.write(chunk);
    else if (trap.isPassedOn) to.write(chunk, () => trap.spring(cut));
    else {
      exchange.isHeld = true;
      trap.spring(cut);
    }
  }

  /** The trap, when it springs here. */
  #take(at: Trap["at"]): Trap | null {
    if (this.#trap?.at !== at) return null;
    this.#skip -= 1;
    if (this.#skip >= 0) return null;
    const trap = this.#trap;
    this.#trap = null;
    return trap;
  }
}
