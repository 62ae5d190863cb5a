/** What happened, as text: its hash shows that two runs were the same, its lines are what a person reads. */
import { createHash } from "node:crypto";

const CHUNK = 256;

export class Trace {
  readonly #hash = createHash("sha256");
  readonly #print: ((line: string) => void) | null;
  #waiting: string[] = [];

  /** `print`: told of every line; null in runs that nobody reads. */
  constructor(print: ((line: string) => void) | null) {
    this.#print = print;
  }

  add(line: string): void {
    this.#print?.(line);
    this.#waiting.push(line);
    if (this.#waiting.length >= CHUNK) this.#flush();
  }

  /** The hash of all lines; nothing can be added afterwards. */
  digest(): string {
    this.#flush();
    return this.#hash.digest("hex");
  }

  #flush(): void {
    if (this.#waiting.length > 0) this.#hash.update(`${this.#waiting.join("\n")}\n`);
    this.#waiting = [];
  }
}
