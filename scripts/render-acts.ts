/** What people may do, why they are asked, and who may do what: the tables of the code. */
import { ACTS, type ActKind, decidesMoney } from "../src/core/acts.ts";
import { ITEM_REASONS } from "../src/core/order/story.ts";
import { PERMISSIONS, type Permission, ROLES, rolesWith } from "../src/core/permissions.ts";
import { code, document, keysOf, table } from "./markdown.ts";

function acts(): string {
  const rows = keysOf<ActKind>(ACTS).map((kind) => [code(kind), decidesMoney(kind) ? "yes" : "", ACTS[kind].doc]);
  return table(["act", "decides about money", "what is done"], rows);
}

function reasons(): string {
  return table(
    ["reason", "what it says"],
    Object.entries(ITEM_REASONS).map(([reason, doc]) => [code(reason), doc]),
  );
}

/** Whether a role has a permission: everywhere, in the test book only, or not. */
function grant(role: (typeof ROLES)[number], permission: Permission): string {
  if (rolesWith(permission, false).includes(role)) return "yes";
  return rolesWith(permission, true).includes(role) ? "test" : "";
}

function permissions(): string {
  const rows = keysOf<Permission>(PERMISSIONS).map((permission) => [
    code(permission),
    ...ROLES.map((role) => grant(role, permission)),
    PERMISSIONS[permission].doc,
  ]);
  return table(["permission", ...ROLES.map(code), "what it is for"], rows);
}

export function renderActs(): string {
  return document("Acts and permissions", "`src/core/{acts,order/story,permissions}.ts`", [
    "What a person does about a payout, an order or a moderation item is an event with who, when and why. Acts that " +
      "decide about money wait for a second person above the website's limit.",
    "## Acts",
    acts(),
    "## Why a person is asked",
    reasons(),
    "## Who may do what",
    "*test*: in the test book only.",
    permissions(),
  ]);
}
