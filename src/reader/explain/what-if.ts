// "What if": a merge that is stored, resolved again by another algorithm, on a throw-away root.
//
// The states that meet are taken as they are stored; only this one merge is done anew.

import type { EventId, RoomId } from '../../event/ids.js';
import type { RoomVersionRules } from '../../event/rules.js';
import { toHex } from '../../lib/bytes.js';
import type { ResolutionTrace } from '../../room/resolution/contract.js';
import { compareKeys } from '../../room/resolution/keys.js';
import { resolve } from '../../room/resolution/resolve.js';
import { scratchStates } from '../../room/state/scratch.js';
import type { RootRef } from '../../tree/types.js';
import type { Reader } from '../reader.js';
import { NothingToMergeError } from './errors.js';

export type Algorithm = RoomVersionRules['stateResolution'];

/** A key that the other algorithm would have decided otherwise. */
export interface WhatIfChange {
  readonly type: string;
  readonly state_key: string;
  /** As it is stored; null where the key is absent. */
  readonly stored: EventId | null;
  readonly tried: EventId | null;
}

/** A merge as it was done and as it would be. */
export interface WhatIf {
  readonly room_id: RoomId;
  /** The merge event, or null for the room's forward extremities. */
  readonly event_id: EventId | null;
  /** The events whose states meet. */
  readonly heads: readonly EventId[];
  readonly algorithm: Algorithm;
  /** Hash of the stored result. */
  readonly root: string;
  readonly tried: { readonly algorithm: Algorithm; readonly root: string };
  readonly differs: readonly WhatIfChange[];
  /** Of the algorithm tried. */
  readonly trace: ResolutionTrace;
}

/**
 * Resolves the merge before an event, or the current state of a room, again.
 * @throws READER_EVENT_UNKNOWN, READER_ROOM_UNKNOWN, READER_NO_STATE, READER_NOTHING_TO_MERGE,
 *   ROOM_RESOLUTION_TOO_LARGE
 */
export function whatIf(reader: Reader, target: string, algorithm?: Algorithm): WhatIf {
  const { eventId, heads, stored, roomId } = target.startsWith('!')
    ? mergeOfRoom(reader, target)
    : mergeBefore(reader, target);
  const { rules } = reader.view(roomId, stored);
  const tried = algorithm ?? rules.stateResolution;
  const states = scratchStates(rules, reader.store);
  const roots = heads.flatMap((id) => reader.events.get(id)?.roots?.after ?? []);
  const { root, trace } = resolve({ ...rules, stateResolution: tried }, roots, states, reader.events);
  const differs = [...states.diff(stored, root)].sort(compareKeys);
  return {
    room_id: roomId,
    event_id: eventId,
    heads,
    algorithm: rules.stateResolution,
    root: toHex(stored.hash),
    tried: { algorithm: tried, root: toHex(root.hash) },
    differs: differs.map(({ type, stateKey, before, after }) => ({
      type,
      state_key: stateKey,
      stored: before ?? null,
      tried: after ?? null,
    })),
    trace,
  };
}

interface StoredMerge {
  readonly roomId: RoomId;
  readonly eventId: EventId | null;
  readonly heads: readonly EventId[];
  readonly stored: RootRef;
}

function mergeOfRoom(reader: Reader, target: string): StoredMerge {
  const { roomId, forwardExtremities, root } = reader.room(target);
  return { roomId, eventId: null, heads: forwardExtremities, stored: root };
}

function mergeBefore(reader: Reader, target: string): StoredMerge {
  const { pdu, roots, hasGivenState } = reader.event(target);
  const { eventId, roomId, prevEvents } = pdu;
  if (roots === undefined || hasGivenState || prevEvents.length === 0) {
    throw new NothingToMergeError(`${eventId} has no known history before it that could be resolved again`, {
      event_id: eventId,
    });
  }
  return { roomId, eventId, heads: prevEvents, stored: roots.before };
}
