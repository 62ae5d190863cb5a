/**
 * A reporter of node:test that writes what scripts/test.ts counts: one JSON line per skipped or failed test and per
 * file without tests, and one with the runner's own totals.
 */
import { resolve } from "node:path";
import type { TestEvent } from "node:test/reporters";

export type ReportLine =
  | { readonly type: "skipped"; readonly name: string; readonly file: string; readonly reason: string }
  | { readonly type: "failed"; readonly name: string; readonly file: string }
  | { readonly type: "empty"; readonly file: string }
  | { readonly type: "totals"; readonly passed: number; readonly failed: number };

const reason = (mark: string | boolean | undefined): string => (typeof mark === "string" ? mark : "no reason given");

function read(event: TestEvent): ReportLine | null {
  if (event.type === "test:summary" && event.data.file === undefined) {
    const { tests, passed, skipped, todo } = event.data.counts;
    return { type: "totals", passed, failed: tests - passed - skipped - todo };
  }
  if (event.type !== "test:pass" && event.type !== "test:fail") return null;
  const { name, file = "", skip, todo, details } = event.data;
  if (skip !== undefined || todo !== undefined) return { type: "skipped", name, file, reason: reason(skip ?? todo) };
  // What befalls the file as a whole is reported as a test that bears its name; no test in it counts as passed, too.
  const isFile = resolve(name) === file;
  if (event.type === "test:pass") return isFile ? { type: "empty", file } : null;
  if (details.type === "suite") return null;
  return { type: "failed", name: isFile ? "failed outside of its tests" : name, file };
}

export default async function* report(events: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  for await (const event of events) {
    const line = read(event);
    if (line !== null) yield `${JSON.stringify(line)}\n`;
  }
}
