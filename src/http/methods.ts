/** Which methods are offered where, so that a wrong one is told from a wrong path. */

interface Offer {
  readonly pattern: RegExp;
  readonly methods: Set<string>;
}

export class MethodTable {
  readonly #offers = new Map<string, Offer>();

  add(methods: string | readonly string[], url: string): void {
    const key = url.replace(/\/+$/, "");
    let offer = this.#offers.get(key);
    if (offer === undefined) {
      const parts = key.split("/").map((part) => (part.startsWith(":") ? "[^/]+" : part.replaceAll(".", "\\.")));
      offer = { pattern: new RegExp(`^${parts.join("/")}/?$`), methods: new Set() };
      this.#offers.set(key, offer);
    }
    for (const method of typeof methods === "string" ? [methods] : methods) offer.methods.add(method);
  }

  /** The methods at a path, in the order of the alphabet; none where there is nothing. */
  allowedAt(url: string): readonly string[] {
    const [path = ""] = url.split("?");
    const found = [...this.#offers.values()].filter((offer) => offer.pattern.test(path));
    return [...new Set(found.flatMap((offer) => [...offer.methods]))].sort();
  }
}
