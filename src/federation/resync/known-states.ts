// States that a whole state is likely near to: who can tell what differs from one tells that alone.

import type { PartialState } from '../../core/partial-states.js';
import type { Engine } from '../../engine/engine.js';
import { statesNow } from '../gaps/edge-state.js';
import type { KnownState } from '../gaps/tree-difference.js';

/**
 * The state of a room when it was left, where it was known whole then; and those that it has now, the incomplete one
 * among them.
 */
export async function knownStates(engine: Engine, base: PartialState): Promise<readonly KnownState[]> {
  const left = await stateBeforeSeq(engine, base);
  const now = statesNow(engine, base.roomId);
  return left === undefined ? now : [left, ...now];
}

/** The state after the last event that the room had before. */
async function stateBeforeSeq(
  engine: Engine,
  { roomId, eventSeq }: PartialState,
): Promise<KnownState | undefined> {
  const room = engine.store.room(roomId);
  if (room === undefined) return undefined;
  for await (const [, seq] of engine.store.timeline(room.number, { to: eventSeq, reverse: true })) {
    const id = engine.store.event(seq)?.eventId;
    const event = id === undefined ? undefined : engine.graph.event(id);
    if (event === undefined || event.isOutlier || event.isPartial) return undefined;
    return { view: engine.stateAt(event.pdu.eventId), after: event.pdu.eventId };
  }
  return undefined;
}
