/** Websites: the merchant's accounts with us. */
import Type from "typebox";
import type { Website } from "../../core/setup/merchant.ts";
import { websiteView } from "../../core/views/settings.ts";
import { changeWebsite, createWebsite } from "../../engine/commands/websites.ts";
import { alone, type Configured, changer, itself, maker, readers } from "../configured.ts";
import type { Endpoint } from "../endpoint.ts";
import { Id, IdOrNull, Text, TextMembers } from "../schema.ts";

const TEN_YEARS_MINUTES = 5_256_000;
const TEN_YEARS_DAYS = 3_650;

const WEBSITES: Configured<"website", Website> = {
  table: "website",
  path: "/websites",
  name: "Website",
  names: "Websites",
  what: "website",
  tag: "Websites",
  permission: "settings",
  list: {
    table: "website",
    isById: true,
    filters: {
      id: { column: "id", kind: "text" },
      name: { column: "name", kind: "text" },
      routingSchemeId: { column: "routingSchemeId", kind: "text" },
      rateSchemeId: { column: "rateSchemeId", kind: "text" },
      commerceSchemeId: { column: "commerceSchemeId", kind: "text" },
      createdTime: { column: "createdTime", kind: "time" },
      updatedTime: { column: "updatedTime", kind: "time" },
    },
  },
  complete: alone,
  rowOf: itself,
  show: (website, call) => websiteView(website, call.world.base()),
};

const NAME = Text(255, "For people.");
const URL = Text(2_048, "Where a customer returns to by default.");

const SHARED = {
  autoprocess: Type.Optional(
    Type.Boolean({ description: "Whether an invoice starts processing when it is made. Default true." }),
  ),
  payoutRequest: Type.Optional(
    Type.Object(
      {
        autoprocess: Type.Optional(
          Type.Boolean({ description: "Whether a bare request is dispatched by the routing scheme. Default false." }),
        ),
      },
      { description: "How payout requests without an invoice are treated." },
    ),
  ),
  lifetimeMinutes: Type.Optional(
    Type.Integer({ minimum: 1, maximum: TEN_YEARS_MINUTES, description: "How long an invoice lives. Default 2880." }),
  ),
  requestLifetimeDays: Type.Optional(
    Type.Number({
      minimum: 0.00001,
      maximum: TEN_YEARS_DAYS,
      description: "How long a bare request lives, in days or parts of one. Default 365.",
    }),
  ),
  revokeAtExpiry: Type.Optional(
    Type.Boolean({ description: "Whether what is at a provider is pulled back when a lifetime ends. Default false." }),
  ),
  refundCommission: Type.Optional(
    Type.Union([Type.Literal("keep"), Type.Literal("return")], {
      description: "Whether the commission on what comes back is given back. Default keep.",
    }),
  ),
  secondPersonAbove: Type.Optional(
    TextMembers(30, "By currency: above so much, in major units, a second person confirms what moderators decide."),
  ),
  routingSchemeId: Type.Optional(IdOrNull("Which routes carry its payouts. Without one nothing is paid.")),
  rateSchemeId: Type.Optional(IdOrNull("At which rates other currencies are paid.")),
  commerceSchemeId: Type.Optional(IdOrNull("What commission it pays.")),
};

const NEW_WEBSITE = Type.Object(
  { id: Type.Optional(Id("Default: one of ours.")), name: NAME, url: URL, ...SHARED },
  { examples: [{ name: "Shop", url: "https://shop.example", routingSchemeId: "route_demo" }] },
);
const CHANGED_WEBSITE = Type.Object({ name: Type.Optional(NAME), url: Type.Optional(URL), ...SHARED });

export const websites: readonly Endpoint[] = [
  maker(WEBSITES, { body: NEW_WEBSITE, handler: createWebsite }),
  ...readers(WEBSITES),
  changer(WEBSITES, { body: CHANGED_WEBSITE, handler: changeWebsite }),
];
