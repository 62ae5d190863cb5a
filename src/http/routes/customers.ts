/** Customers, and the instruments that they are paid to. */
import Type from "typebox";
import type { Customer, PaymentInstrument } from "../../core/setup/merchant.ts";
import { customerView, paymentInstrumentView } from "../../core/views/settings.ts";
import { changeCustomer, createCustomer, createInstrument } from "../../engine/commands/customers.ts";
import { alone, type Configured, changer, itself, maker, readers } from "../configured.ts";
import type { Endpoint } from "../endpoint.ts";
import { Id, SomeTextOrNull, Text, TextMembers } from "../schema.ts";

const CUSTOMERS: Configured<"customer", Customer> = {
  table: "customer",
  path: "/customers",
  name: "Customer",
  names: "Customers",
  what: "customer",
  tag: "Customers",
  permission: "orders",
  list: {
    table: "customer",
    isById: true,
    filters: {
      id: { column: "id", kind: "text" },
      websiteId: { column: "websiteId", kind: "text" },
      referenceId: { column: "referenceId", kind: "text" },
      email: { column: "email", kind: "text" },
      createdTime: { column: "createdTime", kind: "time" },
      updatedTime: { column: "updatedTime", kind: "time" },
    },
    params: ["websiteId"],
  },
  complete: alone,
  rowOf: itself,
  show: (customer, call) => customerView(customer, call.world.base()),
};

const PERSON = {
  referenceId: Type.Optional(SomeTextOrNull(255, "The merchant's own name of the customer, unique per website.")),
  email: Type.Optional(SomeTextOrNull(255, "The customer's e-mail address.", "email")),
  phone: Type.Optional(SomeTextOrNull(50, "The customer's telephone number.")),
  name: Type.Optional(SomeTextOrNull(255, "The customer's name.")),
  metadata: Type.Optional(
    Type.Unsafe<unknown>({
      type: ["object", "null"],
      additionalProperties: true,
      description: "Whatever the merchant wants to keep with the customer.",
    }),
  ),
};

const NEW_CUSTOMER = Type.Object(
  { id: Type.Optional(Id("Default: one of ours.")), websiteId: Id("Whose customer. Never changes."), ...PERSON },
  { examples: [{ websiteId: "web_demo", referenceId: "user-1", email: "user@shop.example" }] },
);

const INSTRUMENTS: Configured<"paymentInstrument", PaymentInstrument> = {
  table: "paymentInstrument",
  path: "/payment-instruments",
  name: "PaymentInstrument",
  names: "PaymentInstruments",
  what: "payment instrument",
  tag: "Customers",
  permission: "orders",
  list: {
    table: "paymentInstrument",
    isById: true,
    filters: {
      id: { column: "id", kind: "text" },
      customerId: { column: "customerId", kind: "text" },
      service: { column: "service", kind: "text" },
      createdTime: { column: "createdTime", kind: "time" },
    },
    params: ["customerId"],
  },
  complete: alone,
  rowOf: itself,
  show: (instrument, call) => paymentInstrumentView(instrument, call.world.base()),
};

const NEW_INSTRUMENT = Type.Object(
  {
    id: Type.Optional(Id("Default: one of ours.")),
    customerId: Id("Who is paid by it."),
    service: Text(100, "The payout service."),
    fields: TextMembers(1_000, "The payee's details, as the service wants them. Sealed; shown masked only."),
  },
  { examples: [{ customerId: "cus_demo", service: "test_usd", fields: { account: "payee-1" } }] },
);

export const customers: readonly Endpoint[] = [
  maker(CUSTOMERS, { body: NEW_CUSTOMER, handler: createCustomer, refusals: ["reference-id-used"] }),
  ...readers(CUSTOMERS),
  changer(CUSTOMERS, { body: Type.Object(PERSON), handler: changeCustomer, refusals: ["reference-id-used"] }),
  maker(INSTRUMENTS, { body: NEW_INSTRUMENT, handler: createInstrument }),
  ...readers(INSTRUMENTS),
];
