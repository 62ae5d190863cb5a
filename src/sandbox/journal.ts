/** An append-only NDJSON file. A line is written down when `append` resolves: `fdatasync` has returned. */
import { type FileHandle, open } from "node:fs/promises";
import { dirname } from "node:path";

export interface Opened<Line> {
  readonly journal: Journal<Line>;
  readonly lines: readonly Line[];
}

/** The journal cannot be written: nothing may be acknowledged any more. */
export class JournalBroken extends Error {
  override readonly name = "JournalBroken";
}

interface Waiting {
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/** @throws when a line other than the last cannot be read: then the file is damaged, not merely cut off. */
export async function openJournal<Line>(path: string): Promise<Opened<Line>> {
  const file = await open(path, "a+", 0o600);
  try {
    const text = await file.readFile("utf8");
    const { lines, validBytes } = parseLines<Line>(text, path);
    await file.truncate(validBytes);
    await file.sync();
    await syncDirectory(dirname(path));
    return { journal: new Journal<Line>(file), lines };
  } catch (error) {
    await file.close();
    throw error;
  }
}

function parseLines<Line>(text: string, path: string): { lines: Line[]; validBytes: number } {
  const rows = text.split("\n");
  // What follows the last line feed was cut off by a power failure before it was acknowledged.
  rows.pop();
  const lines: Line[] = [];
  let validBytes = 0;
  for (const [index, row] of rows.entries()) {
    try {
      lines.push(JSON.parse(row) as Line);
    } catch (cause) {
      if (index === rows.length - 1) break;
      throw new Error(`${path}: line ${index + 1} is damaged`, { cause });
    }
    validBytes += Buffer.byteLength(row) + 1;
  }
  return { lines, validBytes };
}

/** Makes the file's name durable, not only its content. */
async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, "r");
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

export class Journal<Line> {
  readonly #file: FileHandle;
  #rows: string[] = [];
  #waiting: Waiting[] = [];
  #flushing: Promise<void> | null = null;
  #failure: Error | null = null;

  constructor(file: FileHandle) {
    this.#file = file;
  }

  /** Lines that come while a flush is under way share the next one: no timer, and few syncs under load. */
  append(line: Line): Promise<void> {
    if (this.#failure !== null) return Promise.reject(this.#failure);
    this.#rows.push(`${JSON.stringify(line)}\n`);
    const written = new Promise<void>((resolve, reject) => {
      this.#waiting.push({ resolve, reject });
    });
    this.#flushing ??= this.#flush();
    return written;
  }

  /** Writes what is queued, then closes the file. */
  async close(): Promise<void> {
    await this.#flushing;
    this.#failure ??= new JournalBroken("the journal is closed");
    await this.#file.close();
  }

  async #flush(): Promise<void> {
    await new Promise(setImmediate);
    while (this.#waiting.length > 0) {
      const waiting = this.#waiting;
      const text = this.#rows.join("");
      this.#waiting = [];
      this.#rows = [];
      try {
        if (this.#failure !== null) throw this.#failure;
        await this.#file.appendFile(text);
        await this.#file.datasync();
        for (const one of waiting) one.resolve();
      } catch (error) {
        // After a failed sync nobody knows what is on the disk, and a second one may succeed without writing it.
        this.#failure ??= new JournalBroken("the journal could not be written", { cause: error });
        for (const one of waiting) one.reject(this.#failure);
      }
    }
    this.#flushing = null;
  }
}
