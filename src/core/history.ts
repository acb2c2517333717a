// History that is fetched after what follows it: a batch of events takes its place below all that is known.
//
// A batch is decided in one turn, each event after those that it follows; in the room's timeline the batch goes,
// in the same order, before what was the first event so far.

import type { EventId, RoomId } from '../event/ids.js';
import { compareCodePoints } from '../lib/bytes.js';
import type { VerifiedEvent } from './judge.js';

/** A batch of history, all of one room. */
export interface HistoryBatch {
  readonly roomId: RoomId;
  /** Who gave it: a server name. */
  readonly from: string;
  /** The room's version, where the room is not known. */
  readonly roomVersion?: string;
  /** States before events of the batch, for those that follow events which have no place; by ids of known events. */
  readonly givenStates?: ReadonlyMap<EventId, readonly EventId[]>;
  /** The events whose given state is known to be incomplete. */
  readonly partialStates?: ReadonlySet<EventId>;
}

/** Each event after those that it follows or cites; otherwise by depth, their own clocks, and id. */
export function oldestFirst(events: readonly VerifiedEvent[]): VerifiedEvent[] {
  const byId = new Map(events.map((event) => [event.pdu.eventId, event]));
  const inOrder = [...byId.values()].sort(
    ({ pdu: a }, { pdu: b }) =>
      a.depth - b.depth || a.originServerTs - b.originServerTs || compareCodePoints(a.eventId, b.eventId),
  );
  const sorted = new Set<VerifiedEvent>();
  const entered = new Set<VerifiedEvent>();
  for (const event of inOrder) {
    const path = [event];
    for (let last = path.at(-1); last !== undefined; last = path.at(-1)) {
      if (sorted.has(last)) {
        path.pop();
        continue;
      }
      const { prevEvents, authEvents } = last.pdu;
      const before = entered.has(last) ? [] : [...prevEvents, ...authEvents];
      entered.add(last);
      const open = before.flatMap((id) => byId.get(id) ?? []).filter((other) => !entered.has(other));
      if (open.length > 0) path.push(...open);
      else {
        sorted.add(last);
        path.pop();
      }
    }
  }
  return [...sorted];
}
