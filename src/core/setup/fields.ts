/** Checks a payee's details against the fields of a service. */
import type { InvalidField } from "../errors.ts";

export interface Field {
  readonly name: string;
  readonly required: boolean;
  readonly pattern?: string;
  readonly maxLength: number;
  readonly secret: boolean;
}

/** Every fault of the given details; `path` stands before each name. Unknown members are faults: a typing slip pays nobody. */
export function checkFields(
  fields: readonly Field[],
  given: Readonly<Record<string, string>>,
  path: string,
): InvalidField[] {
  const faults: InvalidField[] = [];
  for (const field of fields) {
    const value = given[field.name];
    const at = `${path}.${field.name}`;
    if (value === undefined || value === "") {
      if (field.required) faults.push({ field: at, message: "is required by this service" });
    } else if (value.length > field.maxLength) {
      faults.push({ field: at, message: `has more than ${field.maxLength} characters` });
    } else if (field.pattern !== undefined && !new RegExp(field.pattern, "u").test(value)) {
      faults.push({ field: at, message: "does not have the form that this service wants" });
    }
  }
  const known = new Set(fields.map((field) => field.name));
  for (const name of Object.keys(given)) {
    if (!known.has(name)) faults.push({ field: `${path}.${name}`, message: "is not a field of this service" });
  }
  return faults;
}

/** What may be shown of the details: secret values keep their last four characters. */
function maskFields(fields: readonly Field[], given: Readonly<Record<string, string>>): Record<string, string> {
  const secret = new Set(fields.filter((field) => field.secret).map((field) => field.name));
  const shown: Record<string, string> = {};
  for (const [name, value] of Object.entries(given)) shown[name] = secret.has(name) ? mask(value) : value;
  return shown;
}

/** The same in one text, in the order of the service's fields. */
export function maskedText(fields: readonly Field[], given: Readonly<Record<string, string>>): string {
  const shown = maskFields(fields, given);
  const texts = fields.map((field) => shown[field.name] ?? "").filter((text) => text !== "");
  return texts.join(", ");
}

function mask(value: string): string {
  return value.length > 8 ? `****${value.slice(-4)}` : "****";
}
