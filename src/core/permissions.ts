/** Who may do what: roles of API keys against kinds of calls. What is not granted here is refused. */

export const ROLES = ["owner", "administrator", "manager", "developer", "support", "viewer"] as const;
export type Role = (typeof ROLES)[number];

/** `test`: in the test book only. */
type Grant = "both" | "test";

interface PermissionRow {
  /** What the calls do that need it. */
  readonly doc: string;
  readonly roles: Readonly<Partial<Record<Role, Grant>>>;
}

const OWNERS = { owner: "both", administrator: "both" } as const;

/** In the test book a developer may do everything: there is no money in it. */
export const PERMISSIONS = {
  read: {
    doc: "Looks at everything but secrets.",
    roles: { ...OWNERS, manager: "both", developer: "both", support: "both", viewer: "both" },
  },
  orders: {
    doc: "Makes and changes payout invoices, payout requests, customers and payment instruments.",
    roles: { ...OWNERS, manager: "both", developer: "test" },
  },
  moderation: {
    doc: "Decides about payouts and orders that the machine leaves alone, takes money back, works on the queue.",
    roles: { ...OWNERS, manager: "both", developer: "test" },
  },
  funds: {
    doc: "Makes and approves deposits, withdrawals and transfers.",
    roles: { ...OWNERS, manager: "both", developer: "test" },
  },
  settings: {
    doc: "Makes and changes websites, provider and deposit accounts, routes and schemes; opens and shuts gates.",
    roles: { ...OWNERS, developer: "test" },
  },
  webhooks: {
    doc: "Makes and changes webhook endpoints, sends deliveries again.",
    roles: { ...OWNERS, developer: "both" },
  },
  secrets: {
    doc: "Reads the secret that signs webhooks.",
    roles: { ...OWNERS, developer: "both" },
  },
} as const satisfies Record<string, PermissionRow>;

export type Permission = keyof typeof PERMISSIONS;

export function isPermission(name: string): name is Permission {
  return Object.hasOwn(PERMISSIONS, name);
}

/** The roles that have a permission in a book. */
export function rolesWith(permission: Permission, isTestBook: boolean): readonly Role[] {
  const { roles }: PermissionRow = PERMISSIONS[permission];
  return ROLES.filter((role) => roles[role] === "both" || (isTestBook && roles[role] === "test"));
}

export function isGranted(role: Role, permission: Permission, isTestBook: boolean): boolean {
  return rolesWith(permission, isTestBook).includes(role);
}
