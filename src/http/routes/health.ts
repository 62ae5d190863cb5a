/** How we are: for load balancers, and for whoever is called at night. */
import type { FastifyInstance } from "fastify";
import { ERRORS, type ErrorCode } from "../../core/errors.ts";
import { answer, notFound, type World } from "../endpoint.ts";
import type { Metrics } from "../metrics.ts";
import { send } from "../register.ts";
import { Named, ProblemAnswer } from "../schema.ts";

const HEALTHY = { description: "Well.", content: { "application/json": { schema: Named("Health") } } };

export async function health(app: FastifyInstance, world: World): Promise<void> {
  const documented = { tags: ["Health"], security: [] };
  app.get(
    "/health/live",
    {
      schema: {
        ...documented,
        operationId: "isLive",
        summary: "Whether the process answers.",
        response: { 200: HEALTHY },
      },
    },
    async (_request, reply) => send(reply, answer(200, { status: "live" })),
  );
  app.get(
    "/health/ready",
    {
      schema: {
        ...documented,
        operationId: "isReady",
        summary: "Whether the database can be reached.",
        response: { 200: HEALTHY, 503: ProblemAnswer("`unavailable`: the database cannot be reached.") },
      },
    },
    async (_request, reply) => {
      await world.reads.ping();
      return send(reply, answer(200, { status: "ready" }));
    },
  );
}

/** Headers of proxies. */
const BROUGHT_BY = ["forwarded", "via", "x-forwarded-for", "x-real-ip"];

/**
 * The numbers of this process and of all books. For the operator: answered on the machine itself and to nobody whom a
 * proxy has brought, because they tell of every organization.
 */
export async function metricsPage(app: FastifyInstance, world: World, metrics: Metrics): Promise<void> {
  app.get("/metrics", { schema: { hide: true } }, async (request, reply) => {
    const { remoteAddress } = request.raw.socket;
    const isLocal = remoteAddress === "127.0.0.1" || remoteAddress === "::1" || remoteAddress === "::ffff:127.0.0.1";
    const isBrought = BROUGHT_BY.some((name) => request.headers[name] !== undefined);
    if (!isLocal || isBrought) throw notFound("page");
    const body = await metrics.text(world);
    return send(reply, { status: 200, headers: { "content-type": metrics.contentType }, body });
  });
}

/** The kinds of problems, each at the address that a problem's `type` names. */
export async function errorPages(app: FastifyInstance): Promise<void> {
  app.get<{ Params: { code: string } }>("/errors/:code", { schema: { hide: true } }, async (request, reply) => {
    const { code } = request.params;
    if (!Object.hasOwn(ERRORS, code)) throw notFound("kind of problem");
    const { status, title, advice } = ERRORS[code as ErrorCode];
    return send(reply, answer(200, { code, status, title, advice }));
  });
}
