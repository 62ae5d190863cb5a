/** The book's file: one sync for many lines, nothing acknowledged before it, a torn end dropped, damage refused. */
import { deepEqual, equal, rejects } from "node:assert/strict";
import { appendFile, type FileHandle, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { Journal, JournalBroken, openJournal } from "../../src/sandbox/journal.ts";
import { freshFolder } from "./client.ts";

interface Line {
  readonly n: number;
}

/** A file of which only what has been synced survives. */
function fakeFile(syncs: { fail: boolean }) {
  const state = { written: "", durable: "", syncs: 0 };
  const file = {
    appendFile: async (text: string) => {
      state.written += text;
      await Promise.resolve();
    },
    datasync: async () => {
      const upTo = state.written;
      await new Promise(setImmediate);
      if (syncs.fail) throw new Error("EIO");
      state.durable = upTo;
      state.syncs += 1;
    },
    close: () => Promise.resolve(),
  };
  return { state, file: file as unknown as FileHandle };
}

describe("journal", () => {
  let folder: { path: string; remove: () => Promise<void> };
  before(async () => {
    folder = await freshFolder();
  });
  after(() => folder.remove());

  test("a line is durable when its append resolves, and many share a sync", async () => {
    const { state, file } = fakeFile({ fail: false });
    const journal = new Journal<Line>(file);
    const all: Promise<void>[] = [];
    for (let n = 0; n < 500; n += 1) {
      const written = journal.append({ n });
      all.push(written.then(() => equal(state.durable.includes(`{"n":${n}}\n`), true)));
      if (n % 50 === 0) await new Promise(setImmediate);
    }
    await Promise.all(all);
    equal(state.durable.split("\n").length - 1, 500);
    equal(state.syncs <= 11, true, `${state.syncs} syncs`);
  });

  test("after a failed sync nothing is ever acknowledged", async () => {
    const weather = { fail: true };
    const { file } = fakeFile(weather);
    const journal = new Journal<Line>(file);
    await rejects(journal.append({ n: 1 }), JournalBroken);
    weather.fail = false;
    await rejects(journal.append({ n: 2 }), JournalBroken);
  });

  test("a torn last line is dropped, and what comes next stands on a line of its own", async () => {
    for (const [name, torn] of [
      ["cut", '{"n":3'],
      ["zeros", "\0\0\0\n"],
    ] as const) {
      const path = join(folder.path, name);
      await writeFile(path, '{"n":1}\n{"n":2}\n');
      await appendFile(path, torn);
      const { journal, lines } = await openJournal<Line>(path);
      deepEqual(lines, [{ n: 1 }, { n: 2 }]);
      await journal.append({ n: 4 });
      await journal.close();
      equal(await readFile(path, "utf8"), '{"n":1}\n{"n":2}\n{"n":4}\n');
    }
  });

  test("damage in the middle is no torn end", async () => {
    const path = join(folder.path, "damaged");
    await writeFile(path, '{"n":1}\n{"n":\n{"n":3}\n');
    await rejects(openJournal<Line>(path), /line 2 is damaged/);
    equal(await readFile(path, "utf8"), '{"n":1}\n{"n":\n{"n":3}\n');
  });
});
