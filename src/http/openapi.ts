/** The OpenAPI document, generated from the routes, and the page that shows it. */
import { createHash } from "node:crypto";
import swagger from "@fastify/swagger";
import reference from "@scalar/fastify-api-reference";
import type { FastifyInstance } from "fastify";
import { RESOURCES } from "./resources.ts";
import { SETTING_RESOURCES } from "./setting-resources.ts";

const TITLE = "Bursar";
const VERSION = "0.1.0";
const ABOUT =
  "Money out, through many providers, never twice. Amounts are decimal numbers in major units, exact in both " +
  "directions; times are RFC 3339 in UTC. Errors are problem documents that name every bad member at once. A 4xx " +
  "changed nothing; after a 5xx or a lost answer, repeat with the same reference or key.";

const TAGS = [
  ["Payout invoices", "Orders to pay: priced, held and followed to their end."],
  ["Payout requests", "Who is to be paid what, by an id of your own."],
  ["Payouts", "Single operations at providers."],
  ["Moderation", "What the machine leaves to people, and what they have done."],
  ["Accounts", "The ledger."],
  ["Funds", "Money that people move: deposits, withdrawals, transfers."],
  ["Events", "What has happened."],
  ["Webhooks", "Events, told to you."],
  ["Organizations", "Who the key belongs to."],
  ["Websites", "Merchants' accounts with us."],
  ["Customers", "Who is paid, and how."],
  ["Payout services", "What can be paid by."],
  ["Providers", "Accounts at providers, the balances there, and the routes that offer them."],
  ["Gates", "What new sends wait before."],
  ["Schemes", "What decides about routes, rates and commission. Their revisions never change."],
  ["Callbacks", "Where providers reach us."],
  ["Health", "For whoever watches us."],
] as const;

/** Every path exists a second time below the organization. */
function servers(base: string) {
  const organizationId = { default: "org_demo", description: "The organization that the key belongs to." };
  return [
    { url: base, description: "The organization of the key." },
    {
      url: `${base}/organizations/{organizationId}`,
      description: "The same, said twice.",
      variables: { organizationId },
    },
  ];
}

const SECURITY_SCHEMES = {
  bearer: { type: "http", scheme: "bearer", description: "The API key as a bearer token." },
  basic: { type: "http", scheme: "basic", description: "The API key as the user's name, no password." },
  header: { type: "apiKey", in: "header", name: "REB-APIKEY", description: "The API key in a header of its own." },
} as const;

/** Registers the collector. Must come before the routes. */
export async function collectRoutes(app: FastifyInstance): Promise<void> {
  for (const resource of [...RESOURCES, ...SETTING_RESOURCES]) app.addSchema(resource);
  await app.register(swagger, {
    openapi: {
      openapi: "3.1.0",
      info: {
        title: TITLE,
        version: VERSION,
        description: ABOUT,
        license: { name: "Apache-2.0", identifier: "Apache-2.0" },
      },
      tags: TAGS.map(([name, description]) => ({ name, description })),
      components: { securitySchemes: SECURITY_SCHEMES },
      security: [{ bearer: [] }, { basic: [] }, { header: [] }],
    },
    refResolver: {
      buildLocalReference: ({ $id }, _base, _fragment, i) => (typeof $id === "string" ? $id : `schema-${i}`),
    },
    transform: ({ schema, url, route }) => {
      const docs = route.config?.docs;
      const given = Object.entries(docs ?? {}).filter(([, value]) => value !== undefined);
      return { schema: { ...schema, ...Object.fromEntries(given) }, url };
    },
  });
}

const HIDDEN = { hide: true };

/** `/openapi.json`, and `/reference` from our own files. Must come after the routes. */
export async function showRoutes(app: FastifyInstance, base: () => string): Promise<void> {
  app.get("/openapi.json", { schema: HIDDEN }, async (_request, reply) => {
    // The address may be known only after the app listens.
    const document = { ...app.swagger(), servers: servers(base()) };
    return reply.header("content-type", "application/json; charset=utf-8").send(JSON.stringify(document));
  });
  await app.register(reference, {
    routePrefix: "/reference",
    configuration: {
      url: "/openapi.json",
      pageTitle: `${TITLE} API`,
      withDefaultFonts: false,
      telemetry: false,
      hideClientButton: true,
    },
  });
  app.addHook("onSend", async (request, reply, payload) => {
    const isPage = request.routeOptions.url?.startsWith("/reference") === true;
    if (isPage && typeof payload === "string") reply.header("content-security-policy", referencePolicy(payload));
    return payload;
  });
}

/** The page runs its own scripts and no others, and speaks to nobody but us. */
function referencePolicy(page: string): string {
  const inline = [...page.matchAll(/<script(?![^>]*\bsrc=)[^>]*>([\s\S]*?)<\/script>/g)].map(([, script = ""]) => {
    return `'sha256-${createHash("sha256").update(script).digest("base64")}'`;
  });
  return [
    "default-src 'none'",
    `script-src 'self' ${inline.join(" ")}`.trim(),
    "style-src 'self' 'unsafe-inline'",
    "img-src 'self' data:",
    "font-src 'self' data:",
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join("; ");
}
