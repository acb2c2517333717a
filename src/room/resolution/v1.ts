// State resolution v1, for rooms of version 1.
//
// Source: rooms/v1, "State resolution". Unlike in v2 a key conflicts only where states have *different*
// events for it; a key that some lack and the others agree on is taken. Where the text leaves room, as
// Synapse reads it: keys of one type are resolved side by side, none seeing the others' results, and when no
// event for another key passes, the last one tried (the one of least depth) has it.

import { createHash } from 'node:crypto';
import type { EventId } from '../../event/ids.js';
import { compareCodePoints } from '../../lib/bytes.js';
import { authorise } from '../auth/authorise.js';
import type { AuthState } from '../auth/verdict.js';
import type { ConflictedKey } from './conflicts.js';
import type { Outcome, ResolutionContext, Winner } from './context.js';
import type { TraceStep } from './contract.js';
import { type StateEvent, isSingleton } from './event-reader.js';
import { keyOf } from './keys.js';

/** A key with several events, least depth first. */
interface Contest {
  readonly key: string;
  readonly type: string;
  readonly stateKey: string;
  readonly contenders: readonly [StateEvent, ...StateEvent[]];
}

/** The order in which contenders of one key stand. */
interface DepthRank {
  readonly depth: number;
  readonly sha1: string;
}

/** Negative when `a` stands first: less depth, then greater SHA-1 of the id. */
export function compareDepthRanks(a: DepthRank, b: DepthRank): number {
  if (a.depth !== b.depth) return a.depth < b.depth ? -1 : 1;
  return compareCodePoints(b.sha1, a.sha1);
}

/** Resolves the conflict. @throws ROOM_RESOLUTION_EVENT_UNKNOWN */
export function resolveV1<Root>(context: ResolutionContext<Root>): Outcome {
  const { conflicts, unconflicted, events } = context;
  /** The result so far, by key, for keys that differ at all. */
  const settled = new Map<string, StateEvent | undefined>();
  const contests: Contest[] = [];
  for (const [key, conflicted] of conflicts.keys) {
    const [first, ...others] = contendersOf(context, conflicted);
    if (first === undefined || others.length === 0) settled.set(key, first);
    else contests.push({ key, ...conflicted, contenders: [first, ...others] });
  }

  const state: AuthState = {
    get(type, stateKey) {
      const key = keyOf(type, stateKey);
      if (conflicts.keys.has(key)) return settled.get(key);
      const id = unconflicted.get(type, stateKey);
      return id === undefined ? undefined : events.get(id);
    },
  };
  const steps: TraceStep[] = [];
  for (const belongs of PASSES) {
    const results = contests
      .filter((contest) => !settled.has(contest.key) && belongs(contest))
      .map((contest) => ({ key: contest.key, winner: settleByAuth(contest, state, steps) }));
    for (const { key, winner } of results) settled.set(key, winner);
  }
  const rest = contests.filter((contest) => !settled.has(contest.key));
  const results = rest.map((contest) => ({ key: contest.key, winner: settleByDepth(contest, state, steps) }));
  for (const { key, winner } of results) settled.set(key, winner);

  const winners: Winner[] = [];
  for (const [key, { type, stateKey }] of conflicts.keys) {
    winners.push({ type, stateKey, eventId: settled.get(key)?.eventId });
  }
  return { winners, pulledIn: [], steps, mainline: [] };
}

/** The passes in which earlier results bear on later ones. */
const PASSES: readonly ((contest: Contest) => boolean)[] = [
  ({ contenders: [first] }) => isSingleton(first, 'm.room.power_levels'),
  ({ type }) => type === 'm.room.join_rules',
  ({ type }) => type === 'm.room.member',
];

function contendersOf<Root>(
  { events }: ResolutionContext<Root>,
  { rest, others }: ConflictedKey,
): StateEvent[] {
  const ids = [rest, ...others.map(({ eventId }) => eventId)];
  return ids
    .filter((id): id is EventId => id !== undefined && !events.isRejected(id))
    .map((id) => events.get(id))
    .map((event) => ({ event, depth: event.depth, sha1: sha1Of(event.eventId) }))
    .sort(compareDepthRanks)
    .map(({ event }) => event);
}

function sha1Of(id: EventId): string {
  return createHash('sha1').update(id, 'utf8').digest('hex');
}

/** From the least depth upwards, each checked against a state with its predecessor, until one is refused. */
function settleByAuth(
  { type, stateKey, contenders }: Contest,
  state: AuthState,
  steps: TraceStep[],
): StateEvent {
  const [first, ...others] = contenders;
  let winner = first;
  steps.push(
    stepOf(first, 'v1-auth', { allowed: true, rule: 'v1.first', reason: 'least depth: taken unchecked' }),
  );
  for (const event of others) {
    const before = winner;
    const withBefore: AuthState = {
      get: (t, k) => (t === type && k === stateKey ? before : state.get(t, k)),
    };
    const verdict = authorise(event, withBefore);
    steps.push(stepOf(event, 'v1-auth', verdict));
    if (!verdict.allowed) break;
    winner = event;
  }
  return winner;
}

/** From the greatest depth downwards, the first that passes; the last when none does. */
function settleByDepth({ contenders }: Contest, state: AuthState, steps: TraceStep[]): StateEvent {
  const [least] = contenders;
  for (const event of contenders.toReversed()) {
    const verdict = authorise(event, state);
    if (verdict.allowed || event !== least) {
      steps.push(stepOf(event, 'v1-other', verdict));
      if (verdict.allowed) return event;
    } else {
      const reason = `none passed, so the one of least depth has the key (${verdict.reason})`;
      steps.push(stepOf(event, 'v1-other', { allowed: true, rule: 'v1.last', reason }));
    }
  }
  return least;
}

function stepOf(
  event: StateEvent,
  phase: 'v1-auth' | 'v1-other',
  { allowed, rule, reason }: Pick<TraceStep, 'allowed' | 'rule' | 'reason'>,
): TraceStep {
  const { eventId, type, stateKey, originServerTs, depth } = event;
  return { eventId, type, stateKey, phase, allowed, rule, reason, order: { originServerTs, depth } };
}
