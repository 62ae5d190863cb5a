/** Customers of a website, and the instruments that they are paid to. */
import type { Refusal } from "../../core/errors.ts";
import { err, ok, type Result } from "../../core/result.ts";
import { checkFields, maskedText } from "../../core/setup/fields.ts";
import type { Customer, PaymentInstrument } from "../../core/setup/merchant.ts";
import { type Handler, ORDER } from "../command.ts";
import type { Context } from "../context.ts";
import type { TableName, Want } from "../ports.ts";
import { destinationBinding } from "../world.ts";
import { born, type Change, type Create, current, Faults, idOf, renewed, taken } from "./configuration.ts";
import { findService } from "./invoice-order.ts";

/** On a change: absent = as it is; null = none. The website of a customer never changes. */
export interface CustomerOrder {
  readonly id?: string;
  readonly websiteId?: string;
  readonly referenceId?: string | null;
  readonly email?: string | null;
  readonly phone?: string | null;
  readonly name?: string | null;
  readonly metadata?: unknown;
}

function byId<T extends "website" | "customer" | "paymentInstrument">(
  table: T,
  organizationId: string,
  id: string | undefined,
): readonly Want<TableName>[] {
  return id === undefined ? [] : [{ table, by: "primary", keys: [[organizationId, id]] }];
}

function byReference(organizationId: string, websiteId: string | undefined, order: CustomerOrder): Want<TableName>[] {
  if (websiteId === undefined || typeof order.referenceId !== "string") return [];
  return [{ table: "customer", by: "customer_reference_once", keys: [[organizationId, websiteId, order.referenceId]] }];
}

/** Refuses a name that another customer of the website has. */
function namesake(context: Context, customer: Customer): Refusal | null {
  const { organizationId, id, websiteId, referenceId } = customer;
  if (referenceId === null) return null;
  const [other] = context.rows.filter("customer", (row) => {
    const isOfSite = row.organizationId === organizationId && row.websiteId === websiteId;
    return isOfSite && row.referenceId === referenceId && row.id !== id;
  });
  if (other === undefined) return null;
  const detail = `Another customer of this website has the referenceId ${referenceId}.`;
  return taken("reference-id-used", detail, `/customers/${other.id}`);
}

function save(context: Context, customer: Customer): Result<Customer, Refusal> {
  const refused = namesake(context, customer);
  if (refused !== null) return err(refused);
  context.rows.put("customer", customer);
  context.commandId(customer.id);
  return ok(customer);
}

export const createCustomer: Handler<Create<CustomerOrder>, Customer> = {
  name: "create-customer",
  order: ORDER.accept,
  wants: ({ order }, organizationId) => [
    ...byId("website", organizationId, order.websiteId),
    ...byId("customer", organizationId, order.id),
    ...byReference(organizationId, order.websiteId, order),
  ],
  decide(context, { order, problems }) {
    const faults = new Faults(problems);
    const { organizationId, rows } = context;
    const { websiteId } = order;
    if (websiteId === undefined) faults.say("websiteId", "is required");
    else if (rows.get("website", [organizationId, websiteId]) === null) {
      faults.say("websiteId", "is not a website of this organization");
    }
    if (!faults.isSound || websiteId === undefined) return err(faults.refusal);
    const id = idOf(context, order.id, "cus");
    if (rows.get("customer", [organizationId, id]) !== null) {
      return err(taken("id-used", `There is a customer ${id} already.`, `/customers/${id}`));
    }
    return save(context, {
      ...born(context),
      id,
      websiteId,
      referenceId: order.referenceId ?? null,
      email: order.email ?? null,
      phone: order.phone ?? null,
      name: order.name ?? null,
      metadata: order.metadata ?? null,
    });
  },
};

export const changeCustomer: Handler<Change<CustomerOrder>, Customer> = {
  name: "change-customer",
  order: ORDER.accept,
  wants: ({ id }, organizationId) => byId("customer", organizationId, id),
  more({ id, order }, { organizationId, rows }) {
    return byReference(organizationId, rows.get("customer", [organizationId, id])?.websiteId, order);
  },
  decide(context, { id, version, order, problems }) {
    const row = current("customer", context.rows.get("customer", [context.organizationId, id]), version);
    if (!row.ok) return row;
    const faults = new Faults(problems);
    if (!faults.isSound) return err(faults.refusal);
    const { referenceId, email, phone, name, metadata } = order;
    return save(
      context,
      renewed(context, {
        ...row.value,
        ...(referenceId === undefined ? {} : { referenceId }),
        ...(email === undefined ? {} : { email }),
        ...(phone === undefined ? {} : { phone }),
        ...(name === undefined ? {} : { name }),
        ...(metadata === undefined ? {} : { metadata }),
      }),
    );
  },
};

/** An instrument never changes: another destination is another instrument. */
export interface InstrumentOrder {
  readonly id?: string;
  readonly customerId?: string;
  readonly service?: string;
  readonly fields?: Readonly<Record<string, string>>;
}

export const createInstrument: Handler<Create<InstrumentOrder>, PaymentInstrument> = {
  name: "create-payment-instrument",
  order: ORDER.accept,
  wants: ({ order }, organizationId) => [
    ...byId("customer", organizationId, order.customerId),
    ...byId("paymentInstrument", organizationId, order.id),
  ],
  decide(context, { order, problems }) {
    const faults = new Faults(problems);
    const { organizationId, rows } = context;
    const { customerId, fields } = order;
    if (customerId === undefined) faults.say("customerId", "is required");
    else if (rows.get("customer", [organizationId, customerId]) === null) {
      faults.say("customerId", "is not a customer of this organization");
    }
    const service = order.service === undefined ? null : findService(context, order.service);
    if (service === null)
      faults.say("service", order.service === undefined ? "is required" : "is not a payout service");
    if (fields === undefined) faults.say("fields", "is required");
    else if (service !== null) {
      for (const { field, message } of checkFields(service.fields, fields, "fields")) faults.say(field, message);
    }
    if (!faults.isSound || customerId === undefined || service === null || fields === undefined) {
      return err(faults.refusal);
    }
    const id = idOf(context, order.id, "inst");
    if (rows.get("paymentInstrument", [organizationId, id]) !== null) {
      return err(taken("id-used", `There is a payment instrument ${id} already.`, `/payment-instruments/${id}`));
    }
    const { safe } = context.setup;
    const destinationHash = safe.fingerprint(fields);
    const instrument: PaymentInstrument = {
      ...born(context),
      id,
      customerId,
      service: service.code,
      destination: safe.seal(fields, destinationBinding(organizationId, destinationHash)),
      destinationHash,
      masked: maskedText(service.fields, fields),
    };
    rows.put("paymentInstrument", instrument);
    context.commandId(id);
    return ok(instrument);
  },
};
