// What takes verified events into a store: known events, rooms, resolver, judge and writer, wired together.
// The core feeds it with what arrives, a rebuild with what is stored.

import { KnownEvents } from '../room/graph/known-events.js';
import { Rooms } from '../room/graph/rooms.js';
import { StateResolver, type TraceRecord } from '../room/graph/state-resolver.js';
import { RoomStates } from '../room/state/room-states.js';
import type { Store } from '../store/store.js';
import type { StateTree } from '../tree/tree.js';
import { Judge } from './judge.js';
import type { CoreObserver } from './observer.js';
import { type CommitListener, Writer } from './writer.js';

export interface CommitPath {
  readonly known: KnownEvents;
  readonly writer: Writer;
  readonly resolver: StateResolver;
  readonly rooms: Rooms;
  readonly judge: Judge;
}

/** Who listens. */
export interface CommitListeners {
  readonly onCommit: CommitListener;
  /** A merge took keys back. */
  readonly onStateReset?: ((traceId: string, record: TraceRecord) => void) | undefined;
  readonly observer?: CoreObserver | undefined;
}

/** The commit path of a store: there is one at a time, for it gives out the store's numbers. */
export function openCommitPath(store: Store, tree: StateTree, listeners: CommitListeners): CommitPath {
  const known = new KnownEvents(store, 'us');
  const writer = new Writer(store, known, listeners.onCommit, listeners.observer);
  const resolver = new StateResolver(store, known, (id, stored, record) => {
    writer.keepTrace(id, stored);
    listeners.observer?.resolution(stored.conflicts);
    if (record.resets.length === 0) return;
    rooms.find(record.roomId)?.addStateResets(record.resets.length);
    listeners.onStateReset?.(id, record);
  });
  const rooms: Rooms = new Rooms(
    store,
    known,
    resolver,
    (rules, roomNumber) =>
      new RoomStates(tree, rules, {
        allocate: () => writer.nextRecord(),
        keep: (draft) => writer.keepDraft(roomNumber, draft),
      }),
    () => writer.nextRoomNumber(),
  );
  return { known, writer, resolver, rooms, judge: new Judge(known, rooms, resolver) };
}
