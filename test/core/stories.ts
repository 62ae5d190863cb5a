/** Stories for tests of core: an order of 100 USD, decided without a database. */

import { type FeeTerms, price } from "../../src/core/money/fee.ts";
import * as ledger from "../../src/core/money/ledger.ts";
import { ONE, type Ratio, ratio } from "../../src/core/money/rate.ts";
import type { Answer } from "../../src/core/news/answer.ts";
import type { SendTruth } from "../../src/core/news/doubt.ts";
import { hear, type News } from "../../src/core/news/news.ts";
import { advance } from "../../src/core/order/dispatch.ts";
import { freezeTerms, type Invoice } from "../../src/core/order/invoice.ts";
import type { Operation, Payout } from "../../src/core/order/payout.ts";
import { invoke, type World } from "../../src/core/order/payout-plan.ts";
import type { PayoutRequest } from "../../src/core/order/request.ts";
import { begin, type Draft, type Item, keepsWake, reopen } from "../../src/core/order/story.ts";
import { type Candidate, capacitiesOf, route, routeOnly } from "../../src/core/setup/routing.ts";

export const TRUTH: SendTruth = {
  leaseMs: 15_000,
  leaseMarginMs: 3_000,
  waitWindowMs: 9_000,
  isInquiryComplete: true,
  inquiryScheduleMs: [500, 500, 1_000, 3_000, 5_000],
  addressedTime: null,
  addressedEpoch: null,
};

const NO_FEE: FeeTerms = {
  feeRate: ratio(0n),
  feeFixedMinor: 0n,
  feeMinMinor: 0n,
  feeMaxMinor: 0n,
  strategy: "external",
  isReverse: false,
};

export const FIVE_PERCENT: FeeTerms = { ...NO_FEE, feeRate: ratio(5n, 100n) };

export interface OrderOptions {
  readonly amountMinor?: bigint;
  readonly fee?: FeeTerms;
  readonly serviceCurrency?: string;
  readonly rate?: Ratio;
  readonly allowPartially?: boolean;
  readonly attemptsLimit?: number;
  readonly routes?: readonly string[];
  readonly isBare?: boolean;
  readonly isSplit?: boolean;
  readonly isParallel?: boolean;
  /** The most that each route carries, minor units. */
  readonly limitMinor?: bigint;
  /** What single routes carry, minor units; the others as above. */
  readonly limits?: Readonly<Record<string, { readonly minMinor: bigint; readonly maxMinor: bigint }>>;
  readonly returnsCommission?: boolean;
  readonly revokesAtExpiry?: boolean;
  /** A bare request does not start payouts by itself. */
  readonly isLeftToPeople?: boolean;
  /** No instrument has been chosen yet. */
  readonly isPayeeAwaited?: boolean;
  readonly isBlocked?: boolean;
  readonly lifetimeMs?: number;
  /** No send slot is free: payouts wait in READY. */
  readonly isHeld?: boolean;
}

/** A person has to look at something, until it loses its reason. */
export interface OpenItem {
  readonly subject: string;
  readonly reason: string;
}

/** A request that left, or may have left, and whose outcome nobody has reported yet. */
export interface Call {
  readonly operation: Operation;
  readonly askedTime: number;
}

/** One order, told step by step. Every step folds its postings into the balances, as the ledger would. */
export class Telling {
  now = 1_000_000;
  draft: Draft;
  readonly options: OrderOptions;
  readonly balances = new Map<string, bigint>();
  readonly moves: string[] = [];
  readonly items: string[] = [];
  readonly allItems: Item[] = [];
  readonly postings: ledger.Posting[] = [];
  /** What is due when, by `payout:<id>` and `request:<id>`, as the work table would have it. */
  readonly wakes = new Map<string, { readonly dueTime: number; readonly isLease: boolean }>();
  openItems: readonly OpenItem[] = [];
  /** The newest lease of each payout; an older one's report would be stale. */
  readonly calls = new Map<string, Call>();
  /** Requests that register a payout, in the order in which their leases were taken. */
  readonly invokes: string[] = [];
  /** How often a person has let the same reference go again. */
  repeats = 0;
  /** Provider accounts whose gate is shut. */
  readonly shut = new Set<string>();
  isHeld: boolean;
  readonly #routes: readonly string[];
  #ids = 0;

  constructor(options: OrderOptions = {}) {
    this.options = options;
    this.isHeld = options.isHeld ?? false;
    this.#routes = options.routes ?? ["r1", "r2"];
    const invoice = options.isBare ? null : invoiceOf(options, this.now);
    const request = requestOf(options, invoice, this.now);
    this.draft = begin(request, { now: invoice, before: null }, this.now);
    if (invoice !== null) {
      const { websiteId, currency, writeoffMinor } = invoice;
      this.draft.postings.push(ledger.hold(request.id, websiteId, currency, writeoffMinor));
      this.balances.set(`available:web:${currency}`, 0n);
    }
    advance(this.draft, this.world());
    this.save();
  }

  world(): World {
    const { options } = this;
    return {
      mayDispatch: !options.isLeftToPeople,
      revokesAtExpiry: options.revokesAtExpiry ?? false,
      returnsCommission: options.returnsCommission ?? false,
      canRevoke: () => true,
      isSurelyUnsent: () => true,
      destinationHashOf: () => "payee",
      truthOf: () => TRUTH,
      capacities: ({ excluded }) =>
        capacitiesOf(this.#leaf(), this.#candidates(), { ...this.#question(), excluded, random: 0 }),
      newId: () => {
        this.#ids += 1;
        return `p${this.#ids}`;
      },
      takeSendSlot: () => !this.isHeld,
      route: ({ amountMinor, excluded, only }) => {
        const candidates = this.#candidates();
        const question = { ...this.#question(), amountMinor, excluded, random: 0 };
        const named = only === undefined ? undefined : candidates.get(only);
        const leaf = only === undefined ? this.#leaf() : ({ strategy: "direct", routes: [only] } as const);
        const decision = named === undefined ? route(leaf, candidates, question) : routeOnly(named, question);
        if (decision.chosen === null && decision.refused === undefined) {
          return { decision, revision: 1, connector: null };
        }
        const reference = { alphabet: "abcdefghijklmnopqrstuvwxyz234567", maxLength: 32 };
        const { destinationHash } = this.draft.request;
        return { decision, revision: 1, connector: { name: "scripted", reference, truth: TRUTH, destinationHash } };
      },
    };
  }

  #leaf() {
    return { strategy: "priority", routes: this.#routes } as const;
  }

  #question() {
    return { service: "svc", currency: this.draft.request.currency };
  }

  #candidates(): ReadonlyMap<string, Candidate> {
    const { limits = {}, limitMinor = 10n ** 12n } = this.options;
    const candidates = this.#routes.map((id) => {
      const { minMinor, maxMinor } = limits[id] ?? { minMinor: 1n, maxMinor: limitMinor };
      const found = candidate(id, { currency: this.draft.request.currency, minMinor, maxMinor });
      return [id, { ...found, isGateOpen: !this.shut.has(found.providerAccountId) }] as const;
    });
    return new Map(candidates);
  }

  /** Hears news of the newest payout, or of the named one, and carries the story on. */
  hear(news: News, payoutId?: string): this {
    hear(this.draft, payoutId ?? this.payout.id, news, TRUTH);
    advance(this.draft, this.world());
    return this.save();
  }

  /** A verified callback with a fact. */
  fact(fact: Answer["fact"], more: Partial<Answer> = {}, payoutId?: string): this {
    return this.hear({ kind: "callback", answer: { sent: "accepted", fact, resolution: "OK", ...more } }, payoutId);
  }

  /** The direct answer to the send. */
  answer(more: Partial<Answer>): this {
    const answer: Answer = { sent: "accepted", fact: "accepted", resolution: "OK", ...more };
    return this.hear({ kind: "answer", operation: "invoke", answer, askedTime: this.now });
  }

  later(ms: number): this {
    this.now += ms;
    this.draft = { ...this.draft, now: this.now };
    return this;
  }

  /** Sends a payout that waits. */
  send(): this {
    invoke(this.draft, this.payout.id, TRUTH);
    return this.save();
  }

  advance(): this {
    advance(this.draft, this.world());
    return this.save();
  }

  /** What the engine does between two commands: books the postings and opens a fresh draft. */
  save(): this {
    for (const posting of this.draft.postings) {
      for (const line of posting.lines) {
        const id = ledger.accountId(line.account);
        const account = { ...ledger.openAccount("org", line.account), balanceMinor: this.balances.get(id) ?? 0n };
        this.balances.set(id, ledger.balanceAfter(account, line.amountMinor));
      }
    }
    for (const moves of this.draft.moves.values()) this.moves.push(...moves);
    this.#saveItems();
    this.#takeErrands();
    for (const [key, wake] of this.draft.wakes) {
      const { dueTime, lease } = wake;
      const known = this.wakes.get(key);
      if (known !== undefined && keepsWake(wake, known.dueTime, this.now)) continue;
      if (dueTime === null) this.wakes.delete(key);
      else this.wakes.set(key, { dueTime, isLease: lease });
    }
    this.postings.push(...this.draft.postings);
    for (const account of this.draft.shutAccounts.keys()) this.shut.add(account);
    const { invoice, request } = this.draft;
    const payouts = this.draft.payouts.toSorted((a, b) => a.part - b.part || a.attempt - b.attempt);
    this.draft = reopen({ invoice, request, payouts }, this.now);
    return this;
  }

  /** A lease without a fence of its own is the one of a request that registers a payout. */
  #takeErrands(): void {
    for (const { id, status } of this.draft.payouts) {
      const wake = this.draft.wakes.get(`payout:${id}`);
      if (status !== "INVOKING" || wake?.lease !== true || wake.fence !== undefined) continue;
      this.calls.set(id, { operation: "invoke", askedTime: this.now });
      this.invokes.push(id);
    }
  }

  #saveItems(): void {
    for (const item of this.draft.items) {
      const { subject, reason } = item;
      this.items.push(reason);
      this.allItems.push(item);
      const isOpen = this.openItems.some((open) => open.subject === subject && open.reason === reason);
      if (!isOpen) this.openItems = [...this.openItems, { subject, reason }];
    }
    const closed = this.draft.closedItems;
    this.openItems = this.openItems.filter(
      ({ subject, reason }) => !closed.some((each) => each.subject === subject && each.reason === reason),
    );
  }

  /** A person, or the lifetime, does something to the order; then it is carried on. */
  act<T>(what: (draft: Draft, world: World) => T): T {
    const answer = what(this.draft, this.world());
    this.advance();
    return answer;
  }

  get payout(): Payout {
    const last = this.draft.payouts.at(-1);
    if (last === undefined) throw new Error("there is no payout yet");
    return last;
  }

  get invoice(): Invoice {
    if (this.draft.invoice === null) throw new Error("there is no invoice");
    return this.draft.invoice;
  }

  get statuses(): readonly string[] {
    return this.draft.payouts.map((payout) => payout.status);
  }

  /** Balances that are not zero, on their accounts' normal sides. */
  get books(): Readonly<Record<string, bigint>> {
    return Object.fromEntries([...this.balances].filter(([, balance]) => balance !== 0n));
  }
}

function candidate(
  id: string,
  able: { readonly currency: string; readonly minMinor: bigint; readonly maxMinor: bigint },
): Candidate {
  return {
    route: {
      organizationId: "org",
      id,
      depositAccountId: `dep_${id}`,
      service: "svc",
      isEnabled: true,
      isArchived: false,
      isManual: false,
      minAmountMinor: able.minMinor,
      maxAmountMinor: able.maxMinor,
      version: 1,
      createdTime: 0,
      updatedTime: 0,
    },
    providerAccountId: `acc_${id}`,
    currency: able.currency,
    isGateOpen: true,
    spendableMinor: 10n ** 12n,
  };
}

function invoiceOf(options: OrderOptions, now: number): Invoice {
  const serviceCurrency = options.serviceCurrency ?? "USD";
  const rate = options.rate ?? ONE;
  const fee = options.fee ?? NO_FEE;
  const requested = { amountMinor: options.amountMinor ?? 10_000n };
  const priced = price({ accountCurrency: "USD", serviceCurrency, rate, fee, requested });
  if (!priced.ok) throw new Error(priced.error.code);
  return {
    organizationId: "org",
    id: "i1",
    websiteId: "web",
    referenceId: "ref",
    contentHash: "",
    requestId: "q1",
    customerId: "cus",
    service: "svc",
    status: "processing",
    version: 1,
    resolution: null,
    moderationRequired: false,
    currency: "USD",
    ...priced.value,
    serviceCurrency,
    requestedMember: "amount",
    requestedMinor: requested.amountMinor,
    rateNumerator: rate.numerator,
    rateDenominator: rate.denominator,
    rateSource: "test",
    quoteTime: now,
    quoteExpiresTime: now + 1e9,
    feeTerms: freezeTerms(fee),
    autoprocess: true,
    attemptsLimit: options.attemptsLimit ?? 5,
    allowPartially: options.allowPartially ?? false,
    isSplit: options.isSplit ?? false,
    isParallel: options.isParallel ?? false,
    description: null,
    descriptor: null,
    metadata: null,
    callbackUrl: null,
    destination: null,
    destinationHash: "payee",
    paymentInstrumentId: null,
    heldMinor: priced.value.writeoffMinor,
    postedMinor: 0n,
    releasedMinor: 0n,
    processedMinor: 0n,
    processedFeeMinor: 0n,
    processedServiceMinor: 0n,
    refundedMinor: 0n,
    refundedServiceMinor: 0n,
    refundedFeeMinor: 0n,
    expiresTime: now + (options.lifetimeMs ?? 1e9),
    createdTime: now,
    updatedTime: now,
  };
}

function requestOf(options: OrderOptions, invoice: Invoice | null, now: number): PayoutRequest {
  const amountMinor = invoice?.serviceAmountMinor ?? options.amountMinor ?? 10_000n;
  return {
    organizationId: "org",
    id: "q1",
    root: "i:web:ref",
    invoiceId: invoice?.id ?? null,
    websiteId: "web",
    customerId: "cus",
    currency: invoice?.serviceCurrency ?? "USD",
    amountMinor,
    description: null,
    service: "svc",
    paymentInstrumentId: null,
    destination: new Uint8Array(),
    destinationHash: options.isPayeeAwaited ? null : "payee",
    redirectUrl: null,
    blocked: options.isBlocked ?? false,
    blockReason: null,
    dispatchStatus: "CREATED",
    version: 1,
    resolution: null,
    moderationRequired: false,
    attemptsLimit: options.attemptsLimit ?? 5,
    allowPartially: options.allowPartially ?? false,
    isSplit: options.isSplit ?? false,
    isParallel: options.isParallel ?? false,
    areDetailsRefused: false,
    endAsked: null,
    canceledBy: null,
    cancelDescription: null,
    paidMinor: 0n,
    availableMinor: amountMinor,
    overpaidMinor: 0n,
    batchId: null,
    expiresTime: now + (options.lifetimeMs ?? 1e9),
    createdTime: now,
    updatedTime: now,
  };
}
