/** Markdown for the generated documents. */

export const keysOf = <K extends string>(table: Readonly<Record<K, unknown>>): readonly K[] =>
  Object.keys(table) as K[];

export const code = (text: string): string => `\`${text}\``;
export const codes = (texts: readonly string[]): string => texts.map(code).join(", ");
const cell = (text: string): string => text.replaceAll("|", "\\|").replaceAll("\n", " ");
const row = (cells: readonly string[]): string => `| ${cells.map(cell).join(" | ")} |`;

export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  return [row(head), `|${head.map(() => "---").join("|")}|`, ...rows.map(row)].join("\n");
}

export function document(title: string, source: string, sections: readonly string[]): string {
  const note = `Generated from ${source} by \`npm run generate\`. Change the code, not this file.`;
  return `${[`# ${title}`, note, ...sections].join("\n\n")}\n`;
}
