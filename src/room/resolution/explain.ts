// A trace in sentences: why a key has what it has after a merge, for whoever runs the server.

import type { EventId } from '../../event/ids.js';
import type { ResolutionTrace, TraceKey, TraceStep } from './contract.js';

/**
 * What a resolution did to one key: the merge, the order in which events were tried and why, what the rules
 * said of each, and the outcome. One sentence or two an entry, in the order in which things happened.
 */
export function explainKey(trace: ResolutionTrace, type: string, stateKey: string): string[] {
  const name = stateKey === '' ? type : `${type} of ${stateKey}`;
  const key = trace.keys.find((candidate) => candidate.type === type && candidate.stateKey === stateKey);
  const steps = trace.steps.filter((step) => step.type === type && step.stateKey === stateKey);
  const how = `state resolution ${trace.algorithm} (room version ${trace.roomVersion})`;
  if (trace.inputs.length < 2) return ['There was one state only, so nothing had to be merged.'];
  return [
    `${trace.inputs.length} states were merged by ${how}.`,
    ...sayInputs(name, key),
    ...sayPulledIn(trace, steps),
    ...saySteps(trace, steps),
    sayOutcome(name, key, steps),
  ];
}

function sayInputs(name: string, key: TraceKey | undefined): string[] {
  if (key === undefined) return [`All of them agreed on ${name}, or none had it.`];
  const holders = new Map<EventId | null, number[]>();
  key.candidates.forEach((id, i) => holders.set(id, [...(holders.get(id) ?? []), i + 1]));
  if (holders.size === 1) return [`None of them had ${name}.`];
  const parts = [...holders].map(([id, states]) => {
    const which = states.length === 1 ? `state ${states.join()} had` : `states ${states.join(', ')} had`;
    return `${which} ${id ?? 'nothing'}`;
  });
  return [`They differed on ${name}: ${parts.join('; ')}.`];
}

function sayPulledIn(trace: ResolutionTrace, steps: readonly TraceStep[]): string[] {
  const pulledIn = new Set(trace.pulledIn);
  const why =
    trace.algorithm === 'v2.1'
      ? 'what only some of the states rest on, or lies between two conflicting events, is tried too'
      : 'what only some of the states rest on is tried too';
  return steps
    .filter((step) => pulledIn.has(step.eventId))
    .map((step) => `${step.eventId} was no conflicting value of any of them: ${why}.`);
}

const PHASES: Readonly<Record<TraceStep['phase'], string>> = {
  power:
    'Events that can take rights away, and those they rest on, go first: none before an event it rests on, ' +
    "then by the sender's level, greatest first, then by timestamp, earliest first, then by event id.",
  mainline:
    'The other events follow by the power levels they rest on: those with none in the mainline first, then ' +
    'oldest to newest (0), then by timestamp, earliest first, then by event id.',
  'v1-auth':
    'Events are tried from the least depth upwards, at equal depth by SHA-1 of the event id, greatest ' +
    'first; the first refusal ends it.',
  'v1-other':
    'Events are tried from the greatest depth downwards, at equal depth by SHA-1 of the event id, smallest ' +
    'first; the first that is allowed has the key.',
};

function saySteps(trace: ResolutionTrace, steps: readonly TraceStep[]): string[] {
  const said: string[] = [];
  let phase: TraceStep['phase'] | undefined;
  for (const step of steps) {
    if (step.phase !== phase) said.push(PHASES[step.phase]);
    phase = step.phase;
    const verdict = step.allowed ? 'allowed' : 'refused';
    const place = `Step ${trace.steps.indexOf(step) + 1} of ${trace.steps.length}`;
    said.push(
      `${place}: ${step.eventId} (${sayOrder(step)}) was ${verdict} by rule ${step.rule}: ${step.reason}.`,
    );
  }
  return said;
}

function sayOrder({ phase, order }: TraceStep): string {
  const time = `timestamp ${sayTime(order.originServerTs)}`;
  if (phase === 'v1-auth' || phase === 'v1-other') return `depth ${order.depth ?? 'unknown'}`;
  if (phase === 'mainline') {
    const place = order.mainlinePosition;
    return `${place === undefined ? 'no place on the mainline' : `mainline position ${place}`}, ${time}`;
  }
  if (order.senderIsCreator === true) return `sent by a creator of the room, ${time}`;
  return `sender's level ${order.senderLevel ?? 'unreadable'}, ${time}`;
}

/** Timestamps are claims, and may lie beyond all dates. */
function sayTime(originServerTs: number): string {
  const date = new Date(originServerTs);
  return Number.isNaN(date.getTime()) ? `${originServerTs} ms` : date.toISOString();
}

function sayOutcome(name: string, key: TraceKey | undefined, steps: readonly TraceStep[]): string {
  if (key === undefined) {
    const passing =
      steps.length === 0 ? '' : ' What was tried for it served only while the merge was being worked out.';
    return `It stayed as it was.${passing}`;
  }
  const { winner, candidates } = key;
  if (winner === null) {
    return `Nothing was allowed for ${name}, so the key was lost: it has no value after the merge.`;
  }
  if (steps.length === 0) return `${winner} has ${name}: every state that had the key agreed on it.`;
  if (!candidates.includes(winner)) {
    return `${winner} has ${name}: the last that was allowed, though it came from outside the states.`;
  }
  const refused = steps.filter((step) => !step.allowed).length;
  const others = refused === 0 ? '' : ` (${refused} refused)`;
  return `${winner} has ${name}: it was the last that was allowed${others}.`;
}
