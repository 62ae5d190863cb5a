import assert from "node:assert/strict";
import { test } from "node:test";
import { playDay } from "../../src/cli/demo.ts";

const GOLDEN = `The day begins. The merchant's funds:
  available  100000.00 EUR
  available  100000.00 USD

A plain payout: Ada
  order      100.78 USD, commission 1.01 USD
  payout     100.78 USD PROCESSED
  invoice    processed, 101.79 USD written off

In another currency, with commission: Grace
  order      250.00 USD, commission 2.51 USD
  payout     227.70 EUR PROCESSED
  invoice    processed, 252.51 USD written off

The answer never comes, the money does: Edsger
  order      75.50 USD, commission 0.76 USD
  unknown    no answer in time: the money stays held, the provider is asked
  payout     75.50 USD PROCESSED
  invoice    processed, 76.26 USD written off

Refused by the first route, paid by the second: Barbara
  order      40.00 USD, commission 0.40 USD
  payout     40.00 USD INVOKE_FAILED (DECLINED_ERROR)
  payout     40.00 USD PROCESSED
  invoice    processed, 40.40 USD written off

The day is over. The merchant's funds:
  available  100000.00 EUR
  available  99529.04 USD

The provider's book            | our payouts
  Ada       100.78 USD paid    | PROCESSED
  Grace     227.70 EUR paid    | PROCESSED
  Edsger     75.50 USD paid    | PROCESSED
  Barbara    40.00 USD refused | INVOKE_FAILED
  Barbara    40.00 USD paid    | PROCESSED
paid twice: 0
trial balance: 0 in every currency`;

test("the demo's day comes out as it must, in at most 60 lines", async () => {
  const lines: string[] = [];
  const isClean = await playDay((line) => lines.push(line));
  assert.equal(lines.join("\n"), GOLDEN);
  assert.equal(isClean, true);
  assert.ok(lines.length <= 60);
});
