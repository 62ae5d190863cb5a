/** A processor profile in a few lines: where the time went by itself, whoever called. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

export interface ProfileSummary {
  /** Functions with the most time of their own, most first: share of the busy time, name, place. */
  readonly functions: readonly string[];
  /** The same by file. What the runtime did itself counts for the file that called it. */
  readonly files: readonly string[];
}

interface Node {
  readonly id: number;
  readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number };
  readonly children?: readonly number[];
}

interface Profile {
  readonly nodes: readonly Node[];
  readonly samples: readonly number[];
  readonly timeDeltas: readonly number[];
}

const ROOT = new URL("../", import.meta.url).href;

function shortUrl(url: string): string {
  if (url.startsWith(ROOT)) return url.slice(ROOT.length).replace(/^node_modules\//, "");
  return url.replace(/^.*\/node_modules\//, "");
}

const isOfFile = ({ callFrame: { url } }: Node): boolean => url !== "" && !url.startsWith("node:");

/** For each node: itself or the nearest caller that stands in a file. */
function ownersOf(profile: Profile): ReadonlyMap<number, string> {
  const parents = new Map<number, Node>();
  for (const node of profile.nodes) for (const child of node.children ?? []) parents.set(child, node);
  const owners = new Map<number, string>();
  for (const node of profile.nodes) {
    let at: Node | undefined = node;
    while (at !== undefined && !isOfFile(at)) at = parents.get(at.id);
    owners.set(node.id, at === undefined ? `(runtime: ${node.callFrame.functionName})` : shortUrl(at.callFrame.url));
  }
  return owners;
}

function ranking(times: ReadonlyMap<string, number>, busy: number, count: number): readonly string[] {
  const sorted = [...times].toSorted(([, a], [, b]) => b - a).slice(0, count);
  return sorted.map(([name, time]) => `${((time / busy) * 100).toFixed(1).padStart(5)} %  ${name}`);
}

/** Reads the profile that a process has left in a folder. */
export function summarize(folder: string, count: number): ProfileSummary {
  const name = readdirSync(folder).find((each) => each.endsWith(".cpuprofile"));
  if (name === undefined) throw new Error("no profile was written");
  const profile = JSON.parse(readFileSync(join(folder, name), "utf8")) as Profile;
  const byNode = new Map<number, number>();
  profile.samples.forEach((id, at) => byNode.set(id, (byNode.get(id) ?? 0) + (profile.timeDeltas[at] ?? 0)));
  const owners = ownersOf(profile);
  const functions = new Map<string, number>();
  const files = new Map<string, number>();
  let busy = 0;
  for (const node of profile.nodes) {
    const { functionName, url, lineNumber } = node.callFrame;
    if (functionName === "(idle)") continue;
    const time = byNode.get(node.id) ?? 0;
    busy += time;
    const place = url === "" ? "(native)" : `${shortUrl(url)}:${lineNumber + 1}`;
    const key = `${functionName || "(anonymous)"}  ${place}`;
    functions.set(key, (functions.get(key) ?? 0) + time);
    const owner = owners.get(node.id) ?? "";
    files.set(owner, (files.get(owner) ?? 0) + time);
  }
  return { functions: ranking(functions, busy, count), files: ranking(files, busy, count) };
}
