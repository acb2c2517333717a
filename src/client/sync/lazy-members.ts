// The members that a lazy answer holds: who the timeline speaks of, the user, who the room may be named after.
//
// Members that changed since the client looked are part of the difference in state, and always sent. What is
// added here may be left out where the device has it. Senders whom the state lacks, because it is known in part, are
// sent as their events cite them.
//
// Source: client-server API, "Lazy-loading room members".

import type { EventId } from '../../event/ids.js';
import type { Pdu } from '../../event/pdu.js';
import type { StateView } from '../../reader/state-view.js';
import { MEMBER_TYPE } from '../../room/state/key.js';
import type { KnownEvent } from '../../room/graph/known-events.js';
import { citedMember } from '../cited-member.js';
import type { Homeserver } from '../homeserver.js';
import type { SyncContext } from './context.js';
import type { StateDelta } from './state-delta.js';

export interface LazyMembersRequest {
  readonly delta: StateDelta;
  /** The state at the timeline's end. */
  readonly end: StateView;
  readonly timeline: readonly KnownEvent[];
  readonly heroes: readonly string[];
  /** The client gets the room whole: whatever it was sent before does not count. */
  readonly isFresh: boolean;
}

/** Adds the ids of member events to those that the answer holds. */
export function addLazyMembers(context: SyncContext, ids: Set<EventId>, request: LazyMembersRequest): void {
  const { delta, end, timeline, heroes, isFresh } = request;
  const { roomId } = end;
  const { home, requester, since, to, filter } = context;
  const { sentMembers } = home.notifier;
  const users = new Set<string>([...timeline.map(({ pdu }) => pdu.sender), ...heroes]);
  if (isFresh) users.add(requester.userId);
  if (isFresh && since !== undefined) sentMembers.enter(requester, roomId, to.seq);
  const mayLeaveOut = !isFresh && !filter.state.includeRedundantMembers;
  for (const userId of users) {
    const id = delta.value(MEMBER_TYPE, userId) ?? citedId(home, request, userId);
    if (id === undefined) continue;
    if (mayLeaveOut && sentMembers.has(requester, roomId, id, since?.seq ?? 0)) continue;
    ids.add(id);
  }
}

/** Of a sender whom the state lacks: the newest that an event of theirs cites. */
function citedId(
  { engine }: Homeserver,
  { end, timeline }: LazyMembersRequest,
  userId: string,
): EventId | undefined {
  if (end.get(MEMBER_TYPE, userId) !== undefined) return undefined;
  const said = timeline.findLast(({ pdu }) => pdu.sender === userId);
  return said === undefined ? undefined : citedMember(engine, said)?.pdu.eventId;
}

/** Notes which member events the device gets. */
export function noteSentMembers(
  context: SyncContext,
  events: Iterable<{ readonly pdu: Pick<Pdu, 'roomId' | 'type' | 'stateKey' | 'eventId'> }>,
): void {
  const { home, requester, to } = context;
  for (const { pdu } of events) {
    if (pdu.type === MEMBER_TYPE && pdu.stateKey !== undefined) {
      home.notifier.sentMembers.add(requester, pdu.eventId, to.seq);
    }
  }
}
