// Method: calls to the API on a real database; the provider is a script that remembers what it was asked.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { faultsIn, refused } from "../support/settings.ts";
import { openWorld, type World } from "../support/world.ts";

let world: World;

before(async () => {
  world = await openWorld();
});

after(async () => {
  assert.deepEqual(world.broken, []);
  await world.close();
});

const move = (body: object) => world.call("POST", "/gates", { body });
const ORDER = { websiteId: "web_demo", amount: 10, fields: { account: "payee" } };

test("every gate can be shut and opened, and says how it stands", async () => {
  const open = { system: "open", organization: "open", shutCurrencies: [], shutProviderAccounts: [] };
  assert.deepEqual((await world.call("GET", "/gates")).body, open);
  const reason = "a look at it";
  for (const [scope, shut] of [
    [{ scope: "organization" }, { ...open, organization: "shut" }],
    [
      { scope: "currency", currency: "USD" },
      { ...open, shutCurrencies: ["USD"] },
    ],
    [
      { scope: "provider_account", providerAccountId: "pacc_demo" },
      { ...open, shutProviderAccounts: [{ id: "pacc_demo", reason }] },
    ],
  ] as const) {
    assert.deepEqual((await move({ ...scope, gate: "shut", reason })).body, { gate: "shut", change: "changed" });
    assert.deepEqual((await move({ ...scope, gate: "shut", reason })).body, { gate: "shut", change: "unchanged" });
    assert.deepEqual((await world.call("GET", "/gates")).body, shut);
    assert.deepEqual((await move({ ...scope, gate: "open", reason })).body, { gate: "open", change: "changed" });
    assert.deepEqual((await world.call("GET", "/gates")).body, open);
  }
});

test("a currency's gate holds back that currency alone", async () => {
  await move({ scope: "currency", currency: "USD", gate: "shut", reason: "the rates are wrong" });
  const before = world.provider.orders.length;
  for (const currency of ["USD", "EUR"]) {
    const service = `test_${currency.toLowerCase()}`;
    const body = { ...ORDER, referenceId: `gate-${currency}`, currency, service };
    assert.equal((await world.call("POST", "/payout-invoices", { body })).status, 201);
  }
  await world.until("/payouts?filter=status:PENDING", (list) => Object.keys(list).length === 1);
  const sent = world.provider.orders.slice(before).filter(({ draft }) => draft.method === "POST");
  assert.deepEqual(
    sent.map(({ draft }) => (JSON.parse(draft.body ?? "{}") as { currency: string }).currency),
    ["EUR"],
  );
});

test("what is not of a scope, or not there, is refused", async () => {
  assert.deepEqual(faultsIn(await move({})).toSorted(), ["gate", "reason", "scope"]);
  const rest = { gate: "shut", reason: "x" };
  assert.deepEqual(faultsIn(await move({ scope: "currency", ...rest })), ["currency"]);
  assert.deepEqual(faultsIn(await move({ scope: "provider_account", ...rest })), ["providerAccountId"]);
  assert.deepEqual(faultsIn(await move({ scope: "organization", currency: "USD", ...rest })), ["currency"]);
  refused(await move({ scope: "provider_account", providerAccountId: "none", ...rest }), 404, "not-found");
});
