// One merge and what it did to one key, in words that an operator understands, and by which rule.

import type { EventId } from '../../event/ids.js';
import type { ResolutionTrace, TraceStep } from '../../room/resolution/contract.js';
import { explainKey } from '../../room/resolution/explain.js';
import type { Reader } from '../reader.js';
import { keyName, told } from './describe.js';
import type { Ending } from './key-history.js';

/** How an event lost a key in a merge. */
export interface Loss {
  /**
   * `refused`: a rule did not allow it. `overtaken`: it was allowed, and another one after it. `untried`: the
   * algorithm decided without trying it.
   */
  readonly how: 'refused' | 'overtaken' | 'untried';
  /** The authorisation rule that refused it, or the name of the order in which it came too early. */
  readonly rule: string;
  readonly reason: string;
}

/** A merge that decided a key. */
export interface MergeJson {
  readonly trace: string;
  readonly algorithm: ResolutionTrace['algorithm'];
  /** The event that merges; null when it is the room's current forward extremities that are merged. */
  readonly merge: EventId | null;
  /** The events whose states met. */
  readonly heads: readonly EventId[];
  readonly winner: EventId | null;
  readonly over: readonly EventId[];
  /** Every event tried for the key, in order. */
  readonly steps: readonly TraceStep[];
  /** The newest power levels on the mainline by which the others were ordered, where they were looked at. */
  readonly power_levels: EventId | null;
  readonly explanation: readonly string[];
}

/** Traces are made by resolving again; those of one question are kept. */
export class Traces {
  readonly #reader: Reader;
  readonly #kept = new Map<string, ResolutionTrace | undefined>();

  constructor(reader: Reader) {
    this.#reader = reader;
  }

  get(traceId: string): ResolutionTrace | undefined {
    if (!this.#kept.has(traceId)) this.#kept.set(traceId, this.#reader.trace(traceId)?.trace);
    return this.#kept.get(traceId);
  }
}

/** What a merge did to a key. */
export function explainMerge(
  reader: Reader,
  traces: Traces,
  key: { readonly type: string; readonly stateKey: string },
  ending: Ending,
  over: readonly EventId[],
): MergeJson | undefined {
  const { traceId, at, became } = ending;
  const trace = traceId === undefined ? undefined : traces.get(traceId);
  if (traceId === undefined || trace === undefined) return undefined;
  const { type, stateKey } = key;
  return {
    trace: traceId,
    algorithm: trace.algorithm,
    merge: at?.pdu.eventId ?? null,
    heads: reader.storedTrace(traceId)?.heads ?? [],
    winner: became ?? null,
    over,
    steps: trace.steps.filter((step) => step.type === type && step.stateKey === stateKey),
    power_levels: trace.mainline[0] ?? null,
    explanation: [
      headline(reader, key, ending, over),
      ...explainKey(trace, type, stateKey),
      ...sayMainline(reader, trace, key),
      ...over.map((id) => `${id} lost: ${lossOf(trace, id, became).reason}.`),
    ],
  };
}

function headline(
  reader: Reader,
  { type, stateKey }: { readonly type: string; readonly stateKey: string },
  { at, became }: Ending,
  over: readonly EventId[],
): string {
  const place =
    at === undefined ? 'where the forward extremities of the room meet' : `at the merge ${at.pdu.eventId}`;
  const losers = over.map((id) => told(reader.events.pdu(id), id)).join(', ');
  const name = keyName(type, stateKey);
  if (became === undefined)
    return `${name} was lost ${place}: ${losers} did not survive it, and nothing else did.`;
  const winner = reader.events.pdu(became);
  const isOlder = over.some((id) => (reader.events.pdu(id)?.depth ?? 0) > (winner?.depth ?? 0));
  const though = isOlder ? ' Depth and time did not decide: the winner is the older one.' : '';
  return `${name} is ${told(winner, became)}: it beat ${losers} ${place}.${though}`;
}

/** Which power levels the order and the levels come from: the usual surprise. */
function sayMainline(
  reader: Reader,
  trace: ResolutionTrace,
  { type, stateKey }: { readonly type: string; readonly stateKey: string },
): string[] {
  const [newest] = trace.mainline;
  const isTried = trace.steps.some(
    (step) => step.type === type && step.stateKey === stateKey && step.phase === 'mainline',
  );
  if (newest === undefined || !isTried) return [];
  const levels = told(reader.events.pdu(newest), newest);
  const from = trace.pulledIn.includes(newest)
    ? ' None of the states had them in conflict: they came in because only some of the states rest on them.'
    : '';
  return [
    `The power levels by which these were ordered and judged, position 0 of the mainline, are ${levels}.${from}`,
  ];
}

/** Why an event does not have the key after a merge. */
export function lossOf(trace: ResolutionTrace, loser: EventId, winner: EventId | undefined): Loss {
  const step = trace.steps.find(({ eventId }) => eventId === loser);
  if (step === undefined) {
    const reason =
      trace.algorithm === 'v1' ? 'one of greater depth passed, so it was not tried' : 'it was not tried';
    return { how: 'untried', rule: trace.algorithm === 'v1' ? 'depth order' : 'order', reason };
  }
  if (!step.allowed) return { how: 'refused', rule: step.rule, reason: `rule ${step.rule}: ${step.reason}` };
  const won = trace.steps.find(({ eventId }) => eventId === winner);
  return { how: 'overtaken', ...orderReason(step, won) };
}

/** Of two that were allowed, why the loser was applied first: the last to be applied has the key. */
function orderReason(
  loser: TraceStep,
  winner: TraceStep | undefined,
): { readonly rule: string; readonly reason: string } {
  if (loser.phase === 'v1-auth' || loser.phase === 'v1-other') {
    return { rule: 'depth order', reason: 'version 1 decides by depth, and another one came out on top' };
  }
  const last = 'the last that is allowed has the key';
  if (winner === undefined) {
    return { rule: 'start', reason: 'it was allowed, but what all states agree on stands' };
  }
  if (loser.phase !== winner.phase) {
    return {
      rule: 'power events first',
      reason: `events that can take rights away go before the others, so ${winner.eventId} came after it; ${last}`,
    };
  }
  const rule = loser.phase === 'power' ? 'power order' : 'mainline order';
  return {
    rule,
    reason: `it was allowed, but ${winner.eventId} came after it, and ${last}. ${whyFirst(loser, winner)}`,
  };
}

/** Which part of the order put the first before the second. */
function whyFirst(first: TraceStep, second: TraceStep): string {
  const { order: a, phase } = first;
  const { order: b } = second;
  if (phase === 'power' && (a.senderLevel !== b.senderLevel || a.senderIsCreator !== b.senderIsCreator)) {
    const [of, other] = [levelText(a), levelText(b)];
    const isGreater =
      a.senderIsCreator === true || (a.senderLevel ?? -Infinity) > (b.senderLevel ?? -Infinity);
    if (isGreater) return `The one whose sender has the greater level goes first: ${of} before ${other}`;
    return `It went first though its sender has ${of} and the other ${other}: none goes before what it rests on`;
  }
  if (phase === 'mainline' && a.mainlinePosition !== b.mainlinePosition) {
    return `The one that rests on older power levels goes first: ${positionText(a)} before ${positionText(b)}`;
  }
  if (a.originServerTs !== b.originServerTs) return 'The one with the earlier timestamp goes first';
  return 'At equal timestamps the smaller event id goes first';
}

function levelText({ senderLevel, senderIsCreator }: TraceStep['order']): string {
  return senderIsCreator === true ? "a creator's" : `${senderLevel ?? 'none'}`;
}

function positionText({ mainlinePosition }: TraceStep['order']): string {
  return mainlinePosition === undefined ? 'none on the mainline' : `position ${mainlinePosition}`;
}
