// Method: a line between a client and a server of the test. What arrived where, at the instant in which a trap springs,
// is what the named points of the campaign promise.
import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import { after, before, describe, test } from "node:test";
import { commitReader, httpReader, Line, type Reader, type Trap } from "./line.ts";

/** Answers every message that ends with a full stop, and keeps what it has heard. */
class Echo {
  heard = "";
  readonly server = createServer((socket) => {
    socket.on("error", () => undefined);
    socket.on("data", (chunk) => {
      this.heard += chunk.toString();
      if (this.heard.endsWith(".")) socket.write("answer");
    });
  });

  async start(): Promise<number> {
    this.server.listen(0, "127.0.0.1");
    await once(this.server, "listening");
    const address = this.server.address();
    return typeof address === "object" && address !== null ? address.port : 0;
  }
}

const words = (): Reader => ({
  asks: (chunk) => chunk.includes("ask"),
  answers: (chunk) => chunk.includes("answer"),
});

describe("a trap on a line", () => {
  const echo = new Echo();
  let line: Line;

  before(async () => {
    line = await Line.start({ host: "127.0.0.1", port: await echo.start() }, words);
  });

  after(async () => {
    await line.close();
    echo.server.close();
  });

  /** Says "ask." through the line until the trap springs; what both sides have heard by then. */
  async function spring(place: Omit<Trap, "spring">, isCut = false) {
    echo.heard = "";
    let told = "";
    const client: Socket = connect({ host: "127.0.0.1", port: line.port });
    client.on("data", (chunk) => (told += chunk.toString()));
    const isSprung = new Promise<void>((resolve) => {
      line.set({
        ...place,
        spring: (cut) => {
          if (isCut) cut();
          resolve();
        },
      });
    });
    for (let said = 0; said <= place.skip; said++) {
      client.write("ask.");
      if (said < place.skip) await once(client, "data");
    }
    await isSprung;
    if (isCut) await once(client, "close");
    return { client, told: () => told };
  }

  test("an ask is held back: the server hears nothing of it, and nothing after it", async () => {
    const { client, told } = await spring({ at: "ask", isPassedOn: false, skip: 1 });
    client.write("more.");
    client.end();
    await once(client, "close");
    assert.deepEqual([echo.heard, told()], ["ask.", "answer"]);
  });

  test("an ask is passed on", async () => {
    const { client } = await spring({ at: "ask", isPassedOn: true, skip: 0 });
    await once(client, "data");
    client.destroy();
    assert.equal(echo.heard, "ask.");
  });

  test("an answer is held back: the server has heard all, the client nothing", async () => {
    const { client, told } = await spring({ at: "answer", isPassedOn: false, skip: 0 });
    client.end();
    await once(client, "close");
    assert.deepEqual([echo.heard, told()], ["ask.", ""]);
  });

  test("an answer is passed on", async () => {
    const { client, told } = await spring({ at: "answer", isPassedOn: true, skip: 2 });
    if (told() !== "answeransweranswer") await once(client, "data");
    client.destroy();
    assert.equal(told(), "answeransweranswer");
  });

  test("the connection is cut for both sides", async () => {
    const { told } = await spring({ at: "answer", isPassedOn: false, skip: 0 }, true);
    assert.deepEqual([echo.heard, told()], ["ask.", ""]);
  });
});

describe("what a reader sees", () => {
  const seen = (read: (chunk: Buffer) => boolean, chunks: readonly string[]): boolean[] =>
    chunks.map((chunk) => read(Buffer.from(chunk)));

  test("a request counts when it is whole, and only its own kind", () => {
    const open = httpReader(/^POST \/payouts /, /^HTTP\/1\.1 /);
    const { asks, answers } = open();
    const head = "POST /payouts HTTP/1.1\r\ncontent-length: 4\r\n\r\n";
    assert.deepEqual(seen(answers, ["HTTP/1.1 200 OK\r\n"]), [false]);
    assert.deepEqual(seen(asks, [`${head}body`, `${head}bo`, "dy"]), [true, false, true]);
    assert.deepEqual(seen(answers, ["HTTP/1.1 200 OK\r\n", "{}"]), [true, false]);
    const others = ["GET /payouts/a HTTP/1.1\r\n\r\n", "POST /payouts/a/cancel HTTP/1.1\r\n\r\n"];
    assert.deepEqual(seen(asks, others), [false, false]);
    assert.deepEqual(seen(answers, ["HTTP/1.1 200 OK\r\n"]), [false]);
  });

  test("the commit of what only reads does not count", () => {
    const { asks, answers } = commitReader();
    assert.deepEqual(seen(asks, ["begin read only\0select\0commit\0"]), [false]);
    assert.deepEqual(seen(answers, ["C\0\0\0\x0bCOMMIT\0"]), [false]);
    assert.deepEqual(seen(asks, ["begin read write\0", "rollback\0", "begin read only\0commit\0"]), [
      false,
      false,
      false,
    ]);
  });

  test("a commit is asked for, then answered", () => {
    const { asks, answers } = commitReader();
    assert.deepEqual(seen(answers, ["C\0\0\0\x0bCOMMIT\0"]), [false]);
    assert.deepEqual(seen(asks, ["Q\0\0\0\x10begin read write\0", "Q\0\0\0\x0bcommit\0"]), [false, true]);
    assert.deepEqual(seen(answers, ["C\0\0\0\x0dSELECT 1\0", "C\0\0\0\x0bCOMMIT\0Z"]), [false, true]);
  });
});
