// What the answer to a join holds of the room's state, by places in the store.
//
// A server that asks for it is spared the members, of which a large room mostly consists: it gets the rest of the
// state, the joining user's own membership, the room's heroes, and learns the others later. What is told is read,
// nothing else. A small room is told in full all the same.
//
// Source: server-server API, PUT /v2/send_join/{roomId}/{eventId}, `omit_members`; MSC3706.

import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Engine } from '../../../engine/engine.js';
import type { EventId } from '../../../event/ids.js';
import type { StateView } from '../../../reader/state-view.js';
import type { KnownEvent } from '../../../room/graph/known-events.js';
import { MEMBER_TYPE } from '../../../room/state/key.js';
import type { Federation } from '../../federation.js';
import { servingOf } from '../serving.js';
import { heroEvents } from './heroes.js';
import { type NeededMembers, neededMembers } from './needed-members.js';

/** Entries that are read in one turn of the event loop. */
const ENTRIES_IN_TURN = 500;

/** What the joining server asks for. */
export interface JoinWishes {
  readonly mayOmitMembers: boolean;
  /** The members that count, where the others are left out. */
  readonly wantsNeeded: boolean;
}

export interface JoinState {
  readonly isWithoutMembers: boolean;
  /** The kinds of members that are all among the state; undefined where that is not asked. */
  readonly kinds: NeededMembers['kinds'] | undefined;
  readonly stateSeqs: readonly number[];
  /** In commit order. Events of the state are among it only where the server did not ask to be spared them. */
  readonly chainSeqs: readonly number[];
}

/** @param view the state before the join */
export async function stateForJoin(
  { parts: { engine, options } }: Federation,
  view: StateView,
  { seq, pdu }: KnownEvent,
  { mayOmitMembers, wantsNeeded }: JoinWishes,
): Promise<JoinState> {
  if (!mayOmitMembers) return wholeState(engine, view, seq);
  if (view.count(MEMBER_TYPE) <= options.smallRoomMembersMax) {
    return withoutRepeats(await wholeState(engine, view, seq));
  }
  const { chains } = servingOf(engine);
  const rest = await withoutMembers(engine, view, pdu.sender);
  const restChain = await chains.of(view, [...rest, seq]);
  const told = { isWithoutMembers: true, kinds: undefined, stateSeqs: rest, chainSeqs: restChain };
  if (!wantsNeeded || !options.tellsNeededMembers) return withoutRepeats(told);
  const { eventIds, kinds } = await neededMembers(engine, view, restChain);
  const stateSeqs = [...new Set([...rest, ...(await seqsOf(engine, eventIds))])];
  return withoutRepeats({ ...told, kinds, stateSeqs, chainSeqs: await chains.of(view, [...stateSeqs, seq]) });
}

async function wholeState(engine: Engine, view: StateView, joinSeq: number): Promise<JoinState> {
  const { chains } = servingOf(engine);
  const { stateSeqs, chainSeqs } = await chains.ofState(view);
  const ofJoin = await chains.of(view, [joinSeq]);
  const all = [...new Set([...chainSeqs, ...ofJoin])].sort((a, b) => a - b);
  return { isWithoutMembers: false, kinds: undefined, stateSeqs, chainSeqs: all };
}

/** All state but memberships; of these the joining user's own, and those that the room is named after. */
async function withoutMembers(engine: Engine, view: StateView, joining: string): Promise<number[]> {
  const ids: EventId[] = [];
  for (const { type, eventId } of view.entries()) {
    // The members are the second half of the tree.
    if (type === MEMBER_TYPE) break;
    ids.push(eventId);
    if (ids.length % ENTRIES_IN_TURN === 0) await nextTurn();
  }
  const own = view.get(MEMBER_TYPE, joining);
  if (own !== undefined) ids.push(own);
  return seqsOf(engine, [...ids, ...(await heroEvents(engine, view, joining))]);
}

async function seqsOf({ store }: Engine, ids: Iterable<EventId>): Promise<number[]> {
  const seqs: number[] = [];
  let read = 0;
  for (const id of ids) {
    const seq = store.seqOf(id);
    if (seq !== undefined) seqs.push(seq);
    if (++read % ENTRIES_IN_TURN === 0) await nextTurn();
  }
  return seqs;
}

/** The auth chain without what the state tells already. */
function withoutRepeats(told: JoinState): JoinState {
  const isInState = new Set(told.stateSeqs);
  return { ...told, chainSeqs: told.chainSeqs.filter((seq) => !isInState.has(seq)) };
}
