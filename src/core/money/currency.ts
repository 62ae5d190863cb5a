/**
 * Our own table of currencies. The runtime's `Intl` is no source for exponents: it shows what people write at the till
 * (no decimals for COP, HUF, IDR, IQD, PKR and some twenty more), while providers and banks follow ISO 4217.
 *
 * ISO rows are List One (currencies and funds) up to amendment 180: without BGN (the euro since 2026-01-01), ANG (now
 * XCG), CUC, HRK, SLL and ZWL, and without the units that have no exponent (metals, bond units, SDR, XTS, XXX).
 */
import { assert } from "../result.ts";

export interface Currency {
  /** Three letters of ISO 4217, or three to five letters for a crypto asset. */
  readonly code: string;
  /** How many decimals the major unit has: 1 major unit = 10^exponent minor units. */
  readonly exponent: number;
  /** English. */
  readonly name: string;
  readonly kind: "iso" | "crypto";
}

/** Rows are `CODE name`, separated by commas, grouped by exponent. */
type Group = readonly [kind: Currency["kind"], exponent: number, rows: string];

const ISO: readonly Group[] = [
  [
    "iso",
    0,
    `BIF Burundian franc, CLP Chilean peso, DJF Djiboutian franc, GNF Guinean franc, ISK Icelandic króna,
    JPY Japanese yen, KMF Comorian franc, KRW South Korean won, PYG Paraguayan guaraní, RWF Rwandan franc,
    UGX Ugandan shilling, UYI Uruguayan peso in indexed units, VND Vietnamese đồng, VUV Vanuatu vatu,
    XAF Central African CFA franc, XOF West African CFA franc, XPF CFP franc`,
  ],
  [
    "iso",
    2,
    `AED United Arab Emirates dirham, AFN Afghan afghani, ALL Albanian lek, AMD Armenian dram, AOA Angolan kwanza,
    ARS Argentine peso, AUD Australian dollar, AWG Aruban florin, AZN Azerbaijani manat,
    BAM Bosnia and Herzegovina convertible mark, BBD Barbados dollar, BDT Bangladeshi taka, BMD Bermudian dollar,
    BND Brunei dollar, BOB Bolivian boliviano, BOV Bolivian mvdol, BRL Brazilian real, BSD Bahamian dollar,
    BTN Bhutanese ngultrum, BWP Botswana pula, BYN Belarusian ruble, BZD Belize dollar, CAD Canadian dollar,
    CDF Congolese franc, CHE WIR euro, CHF Swiss franc, CHW WIR franc, CNY Chinese yuan, COP Colombian peso,
    COU Colombian unit of real value, CRC Costa Rican colón, CUP Cuban peso, CVE Cape Verdean escudo,
    CZK Czech koruna, DKK Danish krone, DOP Dominican peso, DZD Algerian dinar, EGP Egyptian pound,
    ERN Eritrean nakfa, ETB Ethiopian birr, EUR Euro, FJD Fiji dollar, FKP Falkland Islands pound, GBP Pound sterling,
    GEL Georgian lari, GHS Ghanaian cedi, GIP Gibraltar pound, GMD Gambian dalasi, GTQ Guatemalan quetzal,
    GYD Guyanese dollar, HKD Hong Kong dollar, HNL Honduran lempira, HTG Haitian gourde, HUF Hungarian forint,
    IDR Indonesian rupiah, ILS Israeli new shekel, INR Indian rupee, IRR Iranian rial, JMD Jamaican dollar,
    KES Kenyan shilling, KGS Kyrgyzstani som, KHR Cambodian riel, KPW North Korean won, KYD Cayman Islands dollar,
    KZT Kazakhstani tenge, LAK Lao kip, LBP Lebanese pound, LKR Sri Lankan rupee, LRD Liberian dollar,
    LSL Lesotho loti, MAD Moroccan dirham, MDL Moldovan leu, MGA Malagasy ariary, MKD Macedonian denar,
    MMK Myanmar kyat, MNT Mongolian tögrög, MOP Macanese pataca, MRU Mauritanian ouguiya, MUR Mauritian rupee,
    MVR Maldivian rufiyaa, MWK Malawian kwacha, MXN Mexican peso, MXV Mexican investment unit, MYR Malaysian ringgit,
    MZN Mozambican metical, NAD Namibian dollar, NGN Nigerian naira, NIO Nicaraguan córdoba, NOK Norwegian krone,
    NPR Nepalese rupee, NZD New Zealand dollar, PAB Panamanian balboa, PEN Peruvian sol, PGK Papua New Guinean kina,
    PHP Philippine peso, PKR Pakistani rupee, PLN Polish złoty, QAR Qatari riyal, RON Romanian leu, RSD Serbian dinar,
    RUB Russian ruble, SAR Saudi riyal, SBD Solomon Islands dollar, SCR Seychelles rupee, SDG Sudanese pound,
    SEK Swedish krona, SGD Singapore dollar, SHP Saint Helena pound, SLE Sierra Leonean leone, SOS Somali shilling,
    SRD Surinamese dollar, SSP South Sudanese pound, STN São Tomé and Príncipe dobra, SVC Salvadoran colón,
    SYP Syrian pound, SZL Swazi lilangeni, THB Thai baht, TJS Tajikistani somoni, TMT Turkmenistan manat,
    TOP Tongan paʻanga, TRY Turkish lira, TTD Trinidad and Tobago dollar, TWD New Taiwan dollar,
    TZS Tanzanian shilling, UAH Ukrainian hryvnia, USD US dollar, USN US dollar (next day), UYU Uruguayan peso,
    UZS Uzbekistani sum, VED Venezuelan digital bolívar, VES Venezuelan bolívar, WST Samoan tala,
    XAD Arab accounting dinar, XCD East Caribbean dollar, XCG Caribbean guilder, YER Yemeni rial,
    ZAR South African rand, ZMW Zambian kwacha, ZWG Zimbabwe Gold`,
  ],
  [
    "iso",
    3,
    `BHD Bahraini dinar, IQD Iraqi dinar, JOD Jordanian dinar, KWD Kuwaiti dinar, LYD Libyan dinar, OMR Omani rial,
    TND Tunisian dinar`,
  ],
  ["iso", 4, "CLF Chilean unit of account, UYW Uruguayan nominal wage index unit"],
];

/**
 * Crypto assets with the exponent of their native chain. An asset that lives on several chains has the exponent of the
 * one where most of it is (USDT and USDC: 6, though their copies on BNB Chain have 18): the connector of another chain
 * converts, and it refuses what it cannot express.
 */
const CRYPTO: readonly Group[] = [
  [
    "crypto",
    6,
    `ADA Cardano, ALGO Algorand, ATOM Cosmos, EURC Euro Coin, PYUSD PayPal USD, TRX TRON, USDC USD Coin,
    USDT Tether, XRP XRP, XTZ Tezos`,
  ],
  ["crypto", 7, "XLM Stellar lumen"],
  ["crypto", 8, "BCH Bitcoin Cash, BTC Bitcoin, DASH Dash, DOGE Dogecoin, HBAR Hedera, LTC Litecoin, ZEC Zcash"],
  ["crypto", 9, "SOL Solana, TON Toncoin"],
  ["crypto", 10, "DOT Polkadot"],
  ["crypto", 12, "XMR Monero"],
  [
    "crypto",
    18,
    `AVAX Avalanche, BNB BNB, DAI Dai, ETC Ethereum Classic, ETH Ether, FDUSD First Digital USD, LINK Chainlink,
    POL Polygon, SHIB Shiba Inu`,
  ],
];

function tableOf(groups: readonly Group[]): ReadonlyMap<string, Currency> {
  const table = new Map<string, Currency>();
  for (const [kind, exponent, rows] of groups) {
    for (const row of rows.split(",")) {
      const [code = "", ...name] = row.trim().split(" ");
      assert(!table.has(code), `currency ${code} stands in the table twice`);
      table.set(code, { code, exponent, name: name.join(" "), kind });
    }
  }
  return table;
}

/** Every currency that an amount can be in, by its code. */
export const CURRENCIES: ReadonlyMap<string, Currency> = tableOf([...ISO, ...CRYPTO]);

/** Whether the code is in the table. Codes are upper-case; `usd` is none. */
export function isCurrency(code: string): boolean {
  return CURRENCIES.has(code);
}

/** How many decimals the currency has, 0 to 18. Throws InvariantBroken for a code that was never checked. */
export function exponentOf(code: string): number {
  const currency = CURRENCIES.get(code);
  assert(currency, `unknown currency ${code}`);
  return currency.exponent;
}
