// What an answer must heed of a room whose state is, or was, known in part.
//
// Lazy clients get such a room at once, with the members that its state has and those that the timeline cites. Others
// would take the members that they are told for all there are: from them the room is hidden, and comes as newly joined
// once its state is whole. Lazy clients are then told what they know wrong.
//
//          join                          completion
//   ────────┼──────────────────────────────┼────────────────▶
//      whole        eager: hidden            eager: newly joined
//                   lazy: what is known      lazy: corrections, once
//
// The states at tokens between the two are gone after the completion: what is found there now is the whole state at
// that point, and not what clients were told.
//
// Source: MSC3902, "Client-server API".

import type { CompletedState } from '../../core/partial-states.js';
import type { Engine } from '../../engine/engine.js';
import type { RoomId } from '../../event/ids.js';
import { MEMBER_TYPE } from '../../room/state/key.js';
import { citedMember } from '../cited-member.js';
import type { SyncContext } from './context.js';

export interface Partiality {
  /** The room was joined since the token, perhaps once more: whatever the client has of it is of another time. */
  readonly isEntered: boolean;
  /** The state that the client was told of at its token was known in part. */
  readonly was: boolean;
  /** So is the state at the point of the answer. */
  readonly is: boolean;
  /** What the client was told wrong, or lacks, and is to be told now that the state is whole. */
  readonly correction: Correction | undefined;
}

/** Keys of the state; `everything` where they are too many to be named. */
export type Correction = ReadonlyArray<readonly [type: string, stateKey: string]> | 'everything';

/** Events since the join that are looked at for memberships that clients were told of by them. */
const LOOKED_AT_MAX = 500;

const WHOLE: Partiality = { isEntered: false, was: false, is: false, correction: undefined };

/** Lookups in memory, but for a room that was completed since the token. */
export async function partialityOf({ home, since, to }: SyncContext, roomId: RoomId): Promise<Partiality> {
  const { engine } = home;
  const join = engine.partial.joinOf(roomId);
  if (join === undefined) return WHOLE;
  const is = isPartialAt(engine, roomId, to.seq);
  const isEntered = join.eventSeq <= to.seq && join.eventSeq > (since?.seq ?? 0);
  if (since === undefined || !isPartialAt(engine, roomId, since.seq)) return { ...WHOLE, isEntered, is };
  const correction = is ? undefined : await correctionSince(engine, roomId, since.seq);
  return { ...WHOLE, was: true, is, correction };
}

/** Was the state of the room known in part when everything up to a seq was committed? */
function isPartialAt({ partial, store }: Engine, roomId: RoomId, seq: number): boolean {
  const join = partial.joinOf(roomId);
  if (join === undefined || join.eventSeq > seq) return false;
  // Another join may have brought all of the state instead.
  return join.completed === undefined ? store.room(roomId)?.isPartial === true : join.completed.seq > seq;
}

async function correctionSince(engine: Engine, roomId: RoomId, seq: number): Promise<Correction | undefined> {
  const completed = engine.partial.completedAfter(roomId, seq);
  if (completed === undefined) return undefined;
  if (completed.corrected === undefined) return 'everything';
  const senders = await quotedSenders(engine, roomId, completed);
  return [...completed.corrected, ...senders.map((sender) => [MEMBER_TYPE, sender] as const)];
}

/**
 * Those of whom an event of theirs told clients another membership than they had: its verdict changed, or it cites an
 * old one.
 */
async function quotedSenders(engine: Engine, roomId: RoomId, completed: CompletedState): Promise<string[]> {
  const { partial, reader, store } = engine;
  const senders = new Set<string>(completed.revised.flatMap((id) => reader.events.pdu(id)?.sender ?? []));
  const room = store.room(roomId);
  const from = partial.joinOf(roomId)?.eventSeq;
  if (room === undefined || from === undefined) return [...senders];
  const view = reader.viewOf(room, room.root);
  let lookedAt = 0;
  for await (const [, seq] of store.timeline(room.number, { from, to: completed.seq, reverse: true })) {
    if (lookedAt++ >= LOOKED_AT_MAX) break;
    const event = reader.events.at(seq);
    if (event?.roots === undefined) continue;
    const { sender } = event.pdu;
    const cited = citedMember(engine, event)?.pdu.eventId;
    if (view.at(event.roots.before).get(MEMBER_TYPE, sender) !== cited) senders.add(sender);
  }
  return [...senders];
}

/** Does it hold the membership of a user? */
export function correctsMember(correction: Correction | undefined, userId: string): boolean {
  if (correction === undefined) return false;
  if (correction === 'everything') return true;
  return correction.some(([type, stateKey]) => type === MEMBER_TYPE && stateKey === userId);
}
