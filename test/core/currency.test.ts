import assert from "node:assert/strict";
import { test } from "node:test";
import { CURRENCIES, exponentOf, isCurrency } from "../../src/core/money/currency.ts";
import { InvariantBroken } from "../../src/core/result.ts";

/** ISO 4217 List One after amendment 180, typed in from another list than the table was. */
const LIST_ONE = `
AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BHD BIF BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD CDF CHE CHF CHW CLF
CLP CNY COP COU CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ GYD HKD HNL HTG HUF
IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD MAD MDL MGA MKD MMK MNT
MOP MRU MUR MVR MWK MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RON RSD RUB RWF SAR SBD
SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP TRY TTD TWD TZS UAH UGX USD USN UYI UYU UYW UZS
VED VES VND VUV WST XAD XAF XAG XAU XBA XBB XBC XBD XCD XCG XDR XOF XPD XPF XPT XSU XTS XUA XXX YER ZAR ZMW ZWG`;
const WITHOUT_EXPONENT = "XAG XAU XBA XBB XBC XBD XDR XPD XPT XSU XTS XUA XXX";
const WITHDRAWN = "ANG BGN BYR CUC EEK GHC HRK LTL LVL MRO MZM ROL RUR SKK SLL STD TRL VEB VEF ZMK ZWD ZWL";

/** Where ISO's exponent is not 2. */
const ODD_EXPONENTS: Readonly<Record<number, string>> = {
  0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF",
  3: "BHD IQD JOD KWD LYD OMR TND",
  4: "CLF UYW",
};

const words = (text: string): string[] => text.trim().split(/\s+/);
const all = [...CURRENCIES.values()];
const iso = all.filter((currency) => currency.kind === "iso");

test("the ISO rows are exactly the active currencies and funds that have an exponent", () => {
  const expected = words(LIST_ONE).filter((code) => !words(WITHOUT_EXPONENT).includes(code));
  assert.deepEqual(iso.map((currency) => currency.code).sort(), expected);
  assert.equal(iso.length, 165);
});

test("exponents are ISO's", () => {
  const odd = new Map(
    Object.entries(ODD_EXPONENTS).flatMap(([exponent, codes]) => words(codes).map((c) => [c, exponent])),
  );
  for (const { code, exponent } of iso) assert.equal(String(exponent), odd.get(code) ?? "2", code);
});

test("exponents are not what the runtime's Intl says", () => {
  for (const code of words("COP HUF IDR PKR IRR LBP MGA MMK RSD YER AFN ALL LAK SOS SYP KPW")) {
    assert.equal(exponentOf(code), 2, code);
  }
  assert.equal(exponentOf("IQD"), 3);
});

test("withdrawn currencies, metals and test codes are none", () => {
  for (const code of [...words(WITHDRAWN), ...words(WITHOUT_EXPONENT)]) assert.equal(isCurrency(code), false, code);
});

test("crypto assets have the exponent of their chain and no code that ISO uses or used", () => {
  const expected = { BTC: 8, LTC: 8, DOGE: 8, ETH: 18, BNB: 18, USDT: 6, USDC: 6, EURC: 6, TRX: 6, XRP: 6, SOL: 9 };
  for (const [code, exponent] of Object.entries(expected)) {
    assert.equal(exponentOf(code), exponent, code);
    assert.equal(CURRENCIES.get(code)?.kind, "crypto", code);
  }
  const taken = new Set([...words(LIST_ONE), ...words(WITHDRAWN), ...Intl.supportedValuesOf("currency")]);
  for (const { code, kind } of all) if (kind === "crypto") assert.equal(taken.has(code), false, code);
});

test("every row is complete", () => {
  for (const [key, { code, exponent, name, kind }] of CURRENCIES) {
    assert.equal(key, code);
    assert.match(code, kind === "iso" ? /^[A-Z]{3}$/ : /^[A-Z]{3,5}$/);
    assert.ok(Number.isInteger(exponent) && exponent >= 0 && exponent <= 18, code);
    assert.match(name, /^\p{L}[\p{L} ()ʻ]*$/u, code);
  }
});

test("codes are matched as they are written", () => {
  for (const code of ["usd", "Usd", " USD", "USD ", "", "US", "constructor", "__proto__"]) {
    assert.equal(isCurrency(code), false, code);
    assert.throws(() => exponentOf(code), InvariantBroken, code);
  }
  assert.equal(isCurrency("USD"), true);
});
