import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type Deal, type FeeTerms, type Price, type PriceOrder, price, priceOfPaid } from "../../src/core/money/fee.ts";
import { formatMajor, min, parseMajor, share } from "../../src/core/money/money.ts";
import { convert, inverted, ONE, parseDecimal, type Ratio, ratio } from "../../src/core/money/rate.ts";
import { err, InvariantBroken } from "../../src/core/result.ts";
import { FEE_VECTORS, type FeeVector, VECTOR_RATE } from "./fee-vectors.ts";

const RUNS = { numRuns: 1000 };

function decimal(text: string): Ratio {
  const read = parseDecimal(text);
  assert.ok(read.ok, text);
  return read.value;
}

function major(text: string, currency: string): bigint {
  const read = parseMajor(text, currency);
  assert.ok(read.ok, `${text} ${currency}`);
  return read.value;
}

const FREE: FeeTerms = {
  feeRate: ratio(0n),
  feeFixedMinor: 0n,
  feeMinMinor: 0n,
  feeMaxMinor: 0n,
  strategy: "external",
  isReverse: false,
};

/** Within US dollars unless said otherwise. */
function order(requested: PriceOrder["requested"], fee: Partial<FeeTerms>, deal: Partial<Deal> = {}): PriceOrder {
  return { accountCurrency: "USD", serviceCurrency: "USD", rate: ONE, ...deal, fee: { ...FREE, ...fee }, requested };
}

function priced(what: PriceOrder): Price {
  const result = price(what);
  assert.ok(result.ok, result.ok ? "" : `${result.error.code} ${result.error.field}`);
  return result.value;
}

function dealOf(what: PriceOrder): Deal {
  const { requested: _, ...deal } = what;
  return deal;
}

const TO_UAH = { serviceCurrency: "UAH", rate: decimal(VECTOR_RATE) };

function orderOf(vector: FeeVector): PriceOrder {
  const cell = (name: string): string => vector[name] ?? assert.fail(`no column ${name}`);
  const given = major(cell("given"), cell("in"));
  const requested = cell("in") === "USD" ? { amountMinor: given } : { serviceAmountMinor: given };
  const strategy = cell("strategy");
  assert.ok(strategy === "external" || strategy === "internal");
  const fee: Partial<FeeTerms> = {
    feeRate: decimal(cell("rate")),
    feeFixedMinor: major(cell("fixed"), "UAH"),
    feeMinMinor: major(cell("min"), "UAH"),
    strategy,
    isReverse: cell("rev") === "yes",
  };
  return order(requested, fee, TO_UAH);
}

test("the published vectors are reproduced exactly", () => {
  assert.equal(FEE_VECTORS.length, 28);
  for (const vector of FEE_VECTORS) {
    const got = priced(orderOf(vector));
    const shown = {
      amount: formatMajor(got.amountMinor, "USD"),
      writeoff: formatMajor(got.writeoffMinor, "USD"),
      fee: formatMajor(got.feeMinor, "USD"),
      s_amount: formatMajor(got.serviceAmountMinor, "UAH"),
      s_writeoff: formatMajor(got.serviceWriteoffMinor, "UAH"),
      s_fee: formatMajor(got.serviceFeeMinor, "UAH"),
    };
    const expected = Object.fromEntries(Object.keys(shown).map((column) => [column, vector[column]]));
    assert.deepEqual(shown, expected, `vector ${vector.row}`);
  }
});

test("the example of the documentation", () => {
  const terms = { feeRate: decimal("0.05") };
  assert.deepEqual(priced(order({ amountMinor: 10000n }, terms, TO_UAH)), {
    amountMinor: 10000n,
    writeoffMinor: 10500n,
    feeMinor: 500n,
    serviceAmountMinor: 309597n,
    serviceWriteoffMinor: 325077n,
    serviceFeeMinor: 15480n,
    input: "payee",
  });
  const internal = priced(order({ amountMinor: 10000n }, { ...terms, strategy: "internal" }, TO_UAH));
  assert.deepEqual(
    [internal.serviceAmountMinor, internal.amountMinor, internal.feeMinor, internal.writeoffMinor, internal.input],
    [294118n, 9500n, 500n, 10000n, "writeoff"],
  );
});

test("strategy and reverse choose what the figure means", () => {
  const fee = { feeRate: decimal("0.2"), feeFixedMinor: 100n };
  const sides = (strategy: FeeTerms["strategy"], isReverse: boolean): unknown[] => {
    const got = priced(order({ amountMinor: 12100n }, { ...fee, strategy, isReverse }));
    return [got.input, got.amountMinor, got.feeMinor, got.writeoffMinor];
  };
  assert.deepEqual(sides("external", false), ["payee", 12100n, 2520n, 14620n]);
  assert.deepEqual(sides("external", true), ["writeoff", 10000n, 2100n, 12100n]);
  assert.deepEqual(sides("internal", false), ["writeoff", 9580n, 2520n, 12100n]);
  assert.deepEqual(sides("internal", true), ["payee", 12100n, 3150n, 15250n]);
});

test("the fee is held within its bounds", () => {
  const fee = { feeRate: decimal("0.05"), feeMinMinor: 200n, feeMaxMinor: 1000n };
  const feeOn = (amountMinor: bigint): bigint => priced(order({ amountMinor }, fee)).feeMinor;
  assert.deepEqual([1n, 4000n, 4001n, 19999n, 20001n, 10n ** 12n].map(feeOn), [200n, 200n, 201n, 1000n, 1000n, 1000n]);
  assert.equal(priced(order({ amountMinor: 5n }, { feeMinMinor: 7n, feeMaxMinor: 7n })).feeMinor, 7n);
});

test("what leaves the payee nothing is refused, naming the figure given", () => {
  const refused = (field: string): unknown => err({ code: "service_amount_not_positive", field });
  for (const minor of [0n, -1n, -10000n]) {
    for (const strategy of ["external", "internal"] as const) {
      for (const isReverse of [false, true]) {
        const fee = { feeRate: decimal("0.5"), feeMaxMinor: 10n, strategy, isReverse };
        assert.deepEqual(price(order({ amountMinor: minor }, fee)), refused("amount"));
        assert.deepEqual(price(order({ serviceAmountMinor: minor }, fee)), refused("serviceAmount"));
      }
    }
  }
  const internal = { feeFixedMinor: 100n, strategy: "internal" } as const;
  assert.deepEqual(price(order({ amountMinor: 100n }, internal)), refused("amount"));
  assert.equal(priced(order({ amountMinor: 101n }, internal)).serviceAmountMinor, 1n);
  assert.deepEqual(price(order({ amountMinor: 100n }, { feeRate: ONE, strategy: "internal" })), refused("amount"));
  // Less than one minor unit of the service's currency.
  const toBtc = { accountCurrency: "UAH", serviceCurrency: "BTC", rate: decimal("0.0000002") };
  assert.deepEqual(price(order({ amountMinor: 4n }, {}, toBtc)), refused("amount"));
  assert.equal(priced(order({ amountMinor: 5n }, {}, toBtc)).serviceAmountMinor, 1n);
});

test("terms that make no sense are refused", () => {
  const given = { amountMinor: 10000n };
  const tooHigh = err({ code: "fee_rate_not_below_one", field: "feeRate" });
  for (const feeRate of [ONE, decimal("1.5")]) {
    assert.deepEqual(price(order(given, { feeRate, strategy: "internal", isReverse: true })), tooHigh);
    assert.equal(price(order(given, { feeRate })).ok, true, "a fee above the amount is the operator's affair");
  }
  const bounds = err({ code: "fee_max_below_min", field: "feeMax" });
  assert.deepEqual(price(order(given, { feeMinMinor: 2n, feeMaxMinor: 1n })), bounds);
  assert.equal(price(order(given, { feeMinMinor: 2n, feeMaxMinor: 0n })).ok, true, "0 is unset");
  const negatives: [Partial<FeeTerms>, string][] = [
    [{ feeRate: ratio(-1n, 100n) }, "feeRate"],
    [{ feeFixedMinor: -1n }, "feeFixed"],
    [{ feeMinMinor: -1n }, "feeMin"],
    [{ feeMaxMinor: -1n }, "feeMax"],
  ];
  for (const [terms, field] of negatives) {
    assert.deepEqual(price(order(given, terms)), err({ code: "negative", field }));
  }
});

test("a price that no column could hold is refused", () => {
  const limit = 10n ** 38n;
  const tooLarge = (field: string): unknown => err({ code: "too_large", field });
  assert.equal(price(order({ amountMinor: limit - 1n }, {})).ok, true);
  assert.deepEqual(price(order({ amountMinor: limit - 1n }, { feeFixedMinor: 1n })), tooLarge("amount"));
  assert.deepEqual(price(order({ serviceAmountMinor: limit }, {})), tooLarge("serviceAmount"));
  assert.deepEqual(price(order({ amountMinor: limit / 10n }, {}, TO_UAH)), tooLarge("amount"));
});

test("a broken deal is a bug, not a refusal", () => {
  for (const rate of [ratio(0n), ratio(-1n)]) {
    assert.throws(() => price(order({ amountMinor: 1n }, {}, { serviceCurrency: "UAH", rate })), InvariantBroken);
  }
  assert.throws(() => price(order({ amountMinor: 1n }, {}, { rate: decimal("1.01") })), InvariantBroken);
  assert.throws(() => price(order({ amountMinor: 1n }, {}, { serviceCurrency: "BGN" })), InvariantBroken);
});

test("a fee is not negative where the service's minor unit is worth more than the account's", () => {
  const toUsd = { accountCurrency: "UAH", serviceCurrency: "USD", rate: decimal("0.0323") };
  const payee = priced(order({ amountMinor: 10001n }, {}, toUsd));
  assert.deepEqual([payee.serviceAmountMinor, payee.writeoffMinor, payee.feeMinor], [323n, 10001n, 0n]);
  const writeoff = priced(order({ amountMinor: 10001n }, { strategy: "internal" }, toUsd));
  assert.deepEqual([writeoff.serviceAmountMinor, writeoff.amountMinor, writeoff.feeMinor], [324n, 10001n, 0n]);
});

const CURRENCIES = ["USD", "UAH", "JPY", "KWD", "BTC", "ETH"] as const;
const feeMinor = fc.oneof(fc.constant(0n), fc.bigInt({ min: 0n, max: 10n ** 6n }));

const terms: fc.Arbitrary<FeeTerms> = fc
  .record({
    feeRate: fc.bigInt({ min: 0n, max: 1200n }).map((value) => ratio(value, 1000n)),
    feeFixedMinor: feeMinor,
    feeMinMinor: feeMinor,
    feeMaxMinor: feeMinor,
    strategy: fc.constantFrom("external", "internal"),
    isReverse: fc.boolean(),
  })
  .map((fee) => ({ ...fee, feeMaxMinor: fee.feeMaxMinor && fee.feeMaxMinor + fee.feeMinMinor }));

const orders: fc.Arbitrary<PriceOrder> = fc
  .record({
    accountCurrency: fc.constantFrom(...CURRENCIES),
    serviceCurrency: fc.constantFrom(...CURRENCIES),
    rate: fc
      .tuple(fc.bigInt({ min: 1n, max: 10n ** 9n }), fc.bigInt({ min: 1n, max: 10n ** 9n }))
      .map(([numerator, denominator]) => ratio(numerator, denominator)),
    fee: terms,
    given: fc.bigInt({ min: 1n, max: 10n ** 12n }),
    isService: fc.boolean(),
  })
  .map(({ given, isService, ...deal }) => ({
    ...deal,
    rate: deal.accountCurrency === deal.serviceCurrency ? ONE : deal.rate,
    requested: isService ? { serviceAmountMinor: given } : { amountMinor: given },
  }));

/** Orders that have a price, with it. */
const deals = orders
  .map((what) => ({ what, result: price(what) }))
  .filter(({ result }) => result.ok)
  .map(({ what }) => ({ what, got: priced(what) }));

test("a price adds up on both sides, nothing in it is negative, and the figure given stands in it", () => {
  fc.assert(
    fc.property(deals, ({ what, got }) => {
      assert.equal(got.feeMinor, got.writeoffMinor - got.amountMinor);
      assert.equal(got.serviceFeeMinor, got.serviceWriteoffMinor - got.serviceAmountMinor);
      assert.ok(got.serviceAmountMinor > 0n && got.writeoffMinor > 0n);
      assert.ok(got.amountMinor >= 0n && got.feeMinor >= 0n && got.serviceFeeMinor >= 0n);
      const isPayee = got.input === "payee";
      if ("amountMinor" in what.requested) {
        assert.equal(isPayee ? got.amountMinor : got.writeoffMinor, what.requested.amountMinor);
      } else {
        const { serviceAmountMinor } = what.requested;
        assert.equal(isPayee ? got.serviceAmountMinor : got.serviceWriteoffMinor, serviceAmountMinor);
      }
    }),
    RUNS,
  );
});

test("the service's fee is the least whole one that covers its row, within the bounds", () => {
  fc.assert(
    fc.property(deals, ({ what: { fee }, got }) => {
      const { numerator, denominator } = fee.feeRate;
      // Plain rows take the fee on the figure given, reverse rows on the other side of it, without a division here.
      const covers = (tried: bigint): boolean => {
        const given = got.input === "payee" ? got.serviceAmountMinor : got.serviceWriteoffMinor;
        const other = got.input === "payee" ? given + tried : given - tried;
        return tried * denominator >= (fee.isReverse ? other : given) * numerator + fee.feeFixedMinor * denominator;
      };
      const charged = got.serviceFeeMinor;
      assert.ok(charged >= fee.feeMinMinor);
      if (fee.feeMaxMinor > 0n) assert.ok(charged <= fee.feeMaxMinor);
      if (charged !== fee.feeMaxMinor) assert.ok(covers(charged), "too little");
      if (charged > fee.feeMinMinor && charged > 0n) assert.ok(!covers(charged - 1n), "too much");
    }),
    RUNS,
  );
});

test("both sides agree at the rate, to less than one minor unit and in the operator's favour", () => {
  fc.assert(
    fc.property(deals, ({ what: { accountCurrency, serviceCurrency, rate }, got }) => {
      const back = { from: serviceCurrency, to: accountCurrency, rate: inverted(rate) };
      const worth = convert({ ...back, minor: got.serviceAmountMinor, rounding: "down" });
      const cost = convert({ ...back, minor: got.serviceWriteoffMinor, rounding: "up" });
      if (got.input === "payee") assert.ok(got.amountMinor >= worth && got.writeoffMinor >= cost);
      else assert.ok(got.amountMinor <= worth);
      if (accountCurrency === serviceCurrency) {
        assert.equal(got.amountMinor, got.serviceAmountMinor);
        assert.equal(got.writeoffMinor, got.serviceWriteoffMinor);
      }
    }),
    RUNS,
  );
});

test("the reverse row undoes the plain one: the same payee, fee and write-off from either end", () => {
  fc.assert(
    fc.property(deals, ({ what, got }) => {
      const { feeRate, strategy, isReverse } = what.fee;
      fc.pre(strategy === "external" || feeRate.numerator < feeRate.denominator);
      fc.pre(got.input === "payee");
      const again = priced({
        ...what,
        fee: { ...what.fee, isReverse: !isReverse },
        requested: { serviceAmountMinor: got.serviceWriteoffMinor },
      });
      assert.equal(again.input, "writeoff");
      assert.equal(again.serviceAmountMinor, got.serviceAmountMinor);
      assert.equal(again.serviceFeeMinor, got.serviceFeeMinor);
    }),
    RUNS,
  );
});

test("partly paid: priced by the payee's row", () => {
  const fee = { feeRate: decimal("0.05") };
  const external = order({ amountMinor: 10000n }, fee);
  assert.deepEqual(priceOfPaid(dealOf(external), priced(external), 6000n), {
    amountMinor: 6000n,
    writeoffMinor: 6300n,
    feeMinor: 300n,
    serviceAmountMinor: 6000n,
    serviceWriteoffMinor: 6300n,
    serviceFeeMinor: 300n,
    input: "payee",
  });
  // Internal: of 95.00 to the payee 47.50 was paid, and (47.50 * 0.05) / 0.95 = 2.50 is earned.
  const internal = order({ amountMinor: 10000n }, { ...fee, strategy: "internal" });
  const half = priceOfPaid(dealOf(internal), priced(internal), 4750n);
  assert.deepEqual([half.amountMinor, half.feeMinor, half.writeoffMinor], [4750n, 250n, 5000n]);
  const cross = order({ amountMinor: 10000n }, fee, TO_UAH);
  const part = priceOfPaid(dealOf(cross), priced(cross), 100000n);
  assert.deepEqual([part.amountMinor, part.serviceFeeMinor, part.feeMinor], [3230n, 5000n, 162n]);
});

test("partly paid: the minimum fee is earned once, and a fixed one in full", () => {
  const given = order({ amountMinor: 10000n }, { feeFixedMinor: 30n, feeMinMinor: 200n });
  assert.equal(priceOfPaid(dealOf(given), priced(given), 1n).feeMinor, 200n);
  const fixed = order({ amountMinor: 10000n }, { feeFixedMinor: 30n });
  assert.equal(priceOfPaid(dealOf(fixed), priced(fixed), 9999n).feeMinor, 30n);
});

test("partly paid: an internal rate of one or more keeps its capped fee", () => {
  for (const feeRate of [ONE, decimal("1.5")]) {
    const given = order({ amountMinor: 10000n }, { feeRate, feeMaxMinor: 400n, strategy: "internal" });
    const part = priceOfPaid(dealOf(given), priced(given), 100n);
    assert.deepEqual([part.amountMinor, part.feeMinor], [100n, 400n]);
  }
});

test("nothing paid costs nothing; all, or more, costs what was held", () => {
  const given = order({ amountMinor: 10000n }, { feeFixedMinor: 30n, feeMinMinor: 200n }, TO_UAH);
  const held = priced(given);
  const nothing = priceOfPaid(dealOf(given), held, 0n);
  assert.deepEqual(
    [nothing.amountMinor, nothing.feeMinor, nothing.writeoffMinor, nothing.serviceFeeMinor],
    [0n, 0n, 0n, 0n],
  );
  assert.deepEqual(priceOfPaid(dealOf(given), held, held.serviceAmountMinor), held);
  assert.deepEqual(priceOfPaid(dealOf(given), held, held.serviceAmountMinor + 1n), held);
  assert.throws(() => priceOfPaid(dealOf(given), held, -1n), InvariantBroken);
});

test("partly paid: never more than was held, and the hold is used up exactly", () => {
  const percent = fc.bigInt({ min: 0n, max: 100n });
  fc.assert(
    fc.property(deals, percent, percent, ({ what, got: held }, one, two) => {
      const deal = dealOf(what);
      const [less, more] = one < two ? [one, two] : [two, one];
      const at = (part: bigint): Price => priceOfPaid(deal, held, (held.serviceAmountMinor * part) / 100n);
      const [first, second] = [at(less), at(more)];
      for (const part of [first, second]) {
        assert.equal(part.writeoffMinor, part.amountMinor + part.feeMinor);
        assert.equal(part.serviceWriteoffMinor, part.serviceAmountMinor + part.serviceFeeMinor);
        assert.ok(part.amountMinor >= 0n && part.feeMinor >= 0n && part.serviceFeeMinor >= 0n);
        assert.ok(part.feeMinor <= held.feeMinor && part.writeoffMinor <= held.writeoffMinor);
        assert.ok(part.serviceWriteoffMinor <= held.serviceWriteoffMinor);
        const posted = share(held.amountMinor, part.serviceAmountMinor, held.serviceAmountMinor);
        assert.equal(posted, part.amountMinor, "the ledger posts another share");
      }
      assert.deepEqual(at(100n), held, "paid in full");
      assert.ok(first.amountMinor <= second.amountMinor && first.serviceFeeMinor <= second.serviceFeeMinor);
    }),
    RUNS,
  );
});

test("partly paid: the payee's row, asked directly, charges the service the same", () => {
  fc.assert(
    fc.property(deals, fc.bigInt({ min: 1n, max: 99n }), ({ what, got: held }, percent) => {
      const { fee } = what;
      fc.pre(fee.strategy === "external" || fee.feeRate.numerator < fee.feeRate.denominator);
      const paid = (held.serviceAmountMinor * percent) / 100n;
      fc.pre(paid > 0n);
      const row = { ...what, fee: { ...fee, isReverse: fee.strategy === "internal" } };
      const direct = priced({ ...row, requested: { serviceAmountMinor: paid } });
      const part = priceOfPaid(dealOf(what), held, paid);
      assert.equal(part.serviceFeeMinor, min(direct.serviceFeeMinor, held.serviceFeeMinor));
      assert.equal(direct.serviceFeeMinor <= held.serviceFeeMinor, true, "less paid would cost more");
    }),
    RUNS,
  );
});
