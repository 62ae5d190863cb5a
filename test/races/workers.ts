/** Many claimers on one heap of payouts: each is sent by exactly one of them. */
import { audit, judgeEnds } from "./audit.ts";
import { BOOK, type Gateway, order, type Place, settled } from "./place.ts";
import { isSend, ProviderLine } from "./provider-line.ts";
import type { Tally } from "./tally.ts";

const ENGINES = 8;
const LANES = 5;
const CLIENTS = 50;
const SETTLE_LIMIT_MS = 60_000;

const referenceOf = (headers: Readonly<Record<string, string>>): string => headers["x-reference"] ?? "";

const INTENT = `select count(*)::int4 as count from bursar.payout
  where organization_id = $1 and reference = $2 and status = 'INVOKING' and send = 'open' and sends = 1`;

async function openWorkers(place: Place): Promise<readonly ProviderLine[]> {
  const lines: ProviderLine[] = [];
  for (let index = 0; index < ENGINES; index++) {
    const line = new ProviderLine();
    line.before = async (asked) => {
      if (!isSend(asked)) return;
      const reference = referenceOf(asked.draft.headers);
      const [found] = await place.rows<{ count: number }>(INTENT, [BOOK, reference]);
      place.faults.check("intents before sends", found?.count === 1, () => `${reference} leaves without an intent`);
    };
    const wrapHttp: ProviderLine["wrap"] = (http) => line.wrap(http);
    const { engine } = await place.open({ lanes: LANES, connections: 1, hasCallbacks: false, wrapHttp });
    engine.start();
    lines.push(line);
  }
  return lines;
}

async function orderAll(place: Place, door: Gateway, names: readonly string[]): Promise<void> {
  const waiting = [...names];
  const client = async (): Promise<void> => {
    for (let name = waiting.pop(); name !== undefined; name = waiting.pop()) {
      const { status, text } = await door.call("POST", "/payout-invoices", order("web_demo", name, { amount: 1 }));
      place.faults.check("orders", status === 201, () => `${status} ${text}`);
    }
  };
  await Promise.all(Array.from({ length: CLIENTS }, client));
}

/** So many orders made at one door and carried out by eight engines of five lanes, that is by forty claimers. */
export async function raceWorkers(place: Place, orders: number): Promise<Tally> {
  const lines = await openWorkers(place);
  const door = await place.open({ isWorking: false, hasCallbacks: false });
  await orderAll(
    place,
    door,
    Array.from({ length: orders }, (_, index) => `heap-${index}`),
  );
  const open = await settled(place, SETTLE_LIMIT_MS);
  place.faults.check("all settled", open.length === 0, () => `not settled: ${open.join(", ")}`);
  const left = new Map<string, number>();
  for (const { draft } of lines.flatMap((line) => line.left.filter(isSend))) {
    const reference = referenceOf(draft.headers);
    left.set(reference, (left.get(reference) ?? 0) + 1);
  }
  const payouts = await place.rows<{ reference: string; outcomes: number; inquiries: number; postings: number }>(
    `select p.reference,
       (select count(*)::int4 from bursar.command c where c.organization_id = $1 and c.kind = 'provider-outcome'
         and c.body ->> 'operation' = 'invoke' and c.subject in (p.id::text, p.request_id)) as outcomes,
       (select count(*)::int4 from bursar.command c where c.organization_id = $1 and c.kind = 'provider-outcome'
         and c.body ->> 'operation' = 'inquire' and c.subject in (p.id::text, p.request_id)) as inquiries,
       (select count(*)::int4 from bursar.entry e where e.organization_id = $1 and e.subject = p.id::text
         and e.cause = 'sent' and e.line = 0) as postings
     from bursar.payout p where p.organization_id = $1`,
    [BOOK],
  );
  for (const { reference, outcomes, postings } of payouts) {
    const sends = left.get(reference) ?? 0;
    place.faults.check("payouts sent once", sends === 1 && outcomes === 1 && postings === 1, () => {
      return `${reference}: left ${sends} times, ${outcomes} outcomes, ${postings} postings of its send`;
    });
  }
  // On a busy machine an answer takes longer than its client waits: then the provider is asked, and nothing is sent.
  place.faults.count("asked about", payouts.filter(({ inquiries }) => inquiries > 0).length);
  place.faults.check("heaps", payouts.length === orders, () => `${payouts.length} payouts of ${orders} orders`);
  await audit(place);
  await judgeEnds(place);
  const tally = place.faults.tally("workers", orders);
  const senders = lines.filter((line) => line.left.some(isSend)).length;
  return { ...tally, checked: { "engines that sent": senders, ...tally.checked } };
}
