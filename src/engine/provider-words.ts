/**
 * What providers say, made fit to be kept. A provider may answer anything, and a text that no column takes would make
 * its whole answer unwritable for ever: the payout would be paid there and asked about here without an end. The engine
 * holds connectors only in this form, so that no answer and no callback passes by.
 */
import type { Answer, Call, CallbackNews, Connector } from "../connectors/contract.ts";

/** Providers' words are short; what is longer is a page of HTML. */
const WORD_MAX = 200;
/** What callbacks are found by: an index takes no more than about 2,700 bytes. */
const KEY_MAX = 255;
const CONTROL = /\p{Cc}/u;
const CONTROLS = /\p{Cc}/gu;
const REPLACEMENT = "\u{FFFD}";

/** A word for people: cut, and what cannot be stored or shown replaced. */
function cleanWord(word: string): string {
  return word.slice(0, WORD_MAX).toWellFormed().replaceAll(CONTROLS, REPLACEMENT);
}

/** Whether a text may name something: a name that had to be changed would name something else. */
function isName(text: string, most: number): boolean {
  return text !== "" && text.length <= most && text.isWellFormed() && !CONTROL.test(text);
}

/** An answer whose texts can be kept. The provider's own name of the order is asked about with: whole, or not at all. */
function cleanAnswer(answer: Answer): Answer {
  const { providerReference, returnId, providerStatus, providerCode, ...rest } = answer;
  return {
    ...rest,
    ...(providerReference !== undefined && isName(providerReference, WORD_MAX) ? { providerReference } : {}),
    ...(returnId !== undefined && isName(returnId, WORD_MAX) ? { returnId } : {}),
    ...(providerStatus === undefined ? {} : { providerStatus: cleanWord(providerStatus) }),
    ...(providerCode === undefined ? {} : { providerCode: cleanWord(providerCode) }),
  };
}

function cleanCall<Q>(call: Call<Q>): Call<Q> {
  return {
    build: (question, account, now) => call.build(question, account, now),
    read: (result, question) => cleanAnswer(call.read(result, question)),
  };
}

function cleanConnector(connector: Connector): Connector {
  const { create, inquire, revoke, cancel } = connector;
  return {
    ...connector,
    create: cleanCall(create),
    inquire: cleanCall(inquire),
    ...(revoke === undefined ? {} : { revoke: cleanCall(revoke) }),
    ...(cancel === undefined ? {} : { cancel: cleanCall(cancel) }),
    ...(connector.readCallback === undefined
      ? {}
      : {
          readCallback: (callback, account) =>
            (connector.readCallback?.(callback, account) ?? []).map((news) => ({
              ...news,
              answer: cleanAnswer(news.answer),
            })),
        }),
  };
}

/** Connectors as the engine holds them. */
export function withCleanWords(connectors: ReadonlyMap<string, Connector>): ReadonlyMap<string, Connector> {
  return new Map([...connectors].map(([name, connector]) => [name, cleanConnector(connector)]));
}

/** Whether a message can be kept under its id and matched by its reference. */
export function isKeepable(news: CallbackNews): boolean {
  return isName(news.messageId, KEY_MAX) && isName(news.reference, KEY_MAX);
}
