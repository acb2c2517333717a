// Events as other servers get them: the very bytes that were received, or their redacted form.
//
// Nothing is parsed that need not be. A large answer is made a few events at a time, and the event loop turns
// in between.

import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Engine } from '../../engine/engine.js';
import { redactionsOf } from '../../engine/redactions.js';
import { canonicalJson } from '../../event/canonical.js';
import type { EventId } from '../../event/ids.js';
import { isObject, parseJson } from '../../event/json.js';
import { redact } from '../../event/redact.js';
import { storedRulesOf } from '../../event/rules.js';
import { assert } from '../../lib/errors.js';
import { utf8 } from '../../lib/bytes.js';
import type { EventRow } from '../../store/records.js';
import { JsonText } from '../route.js';
import { servingOf } from './serving.js';

/** Events in one piece of an answer. */
const EVENTS_IN_PIECE = 128;

const COMMA = utf8(',');

/** A member of an answer: a value, or events by their places in the store. */
export type AnswerPart = string | { readonly events: readonly number[] };

/**
 * JSON text with events of one room in it: `['{"pdus":[', { events }, ']}']`.
 * @param hidden events that are given in redacted form, whatever they are
 */
export function jsonWithEvents(
  engine: Engine,
  parts: readonly AnswerPart[],
  hidden: ReadonlySet<EventId> = NONE,
): JsonText {
  return new JsonText(piecesOf(engine, parts, hidden));
}

const NONE: ReadonlySet<EventId> = new Set();

async function* piecesOf(
  engine: Engine,
  parts: readonly AnswerPart[],
  hidden: ReadonlySet<EventId>,
): AsyncGenerator<Uint8Array> {
  for (const part of parts) {
    if (typeof part === 'string') {
      yield utf8(part);
      continue;
    }
    for (let at = 0; at < part.events.length; at += EVENTS_IN_PIECE) {
      const texts = await eventTexts(engine, part.events.slice(at, at + EVENTS_IN_PIECE), hidden);
      yield joined(texts, at > 0);
      await nextTurn();
    }
  }
}

function joined(texts: readonly Uint8Array[], hasBefore: boolean): Uint8Array {
  const pieces = texts.flatMap((text, i) => (i > 0 || hasBefore ? [COMMA, text] : [text]));
  return Buffer.concat(pieces);
}

async function eventTexts(
  engine: Engine,
  seqs: readonly number[],
  hidden: ReadonlySet<EventId>,
): Promise<Uint8Array[]> {
  const { row } = servingOf(engine);
  const rows = seqs.flatMap((seq) => row(seq) ?? []);
  const [first] = rows;
  if (first === undefined) return [];
  const ids = rows.map(({ eventId }) => eventId);
  const redacted = await redactionsOf(engine).ofIds(first.roomId, ids);
  return rows.map((event) => {
    const isWhole = !event.isRedacted && !redacted.has(event.eventId) && !hidden.has(event.eventId);
    return isWhole ? event.bytes : redactedText(event);
  });
}

function redactedText(row: EventRow): Uint8Array {
  const rules = storedRulesOf(row.roomVersion);
  const json = parseJson(row.bytes);
  assert(rules !== undefined && isObject(json), 'a stored event is an object of a known version');
  return utf8(canonicalJson(redact(json, rules), rules));
}
