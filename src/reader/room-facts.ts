// What a state says of its room, as everybody above reads it: its events by key, history visibility, power levels.
//
// Source: client-server API, "Room History Visibility"; "m.room.power_levels".

import { own } from '../event/json.js';
import type { Pdu } from '../event/pdu.js';
import { type PowerLevels, powerLevelsOf } from '../room/auth/power-levels.js';
import type { Reader } from './reader.js';
import type { StateView } from './state-view.js';

export type HistoryVisibility = 'world_readable' | 'shared' | 'invited' | 'joined';

/** The event at a key of a state. */
export function stateEventAt(reader: Reader, view: StateView, type: string, stateKey = ''): Pdu | undefined {
  const id = view.get(type, stateKey);
  return id === undefined ? undefined : reader.events.pdu(id);
}

/** A string in the content of the event at a type and the empty state key; undefined where it is empty, too. */
export function stateTextAt(reader: Reader, view: StateView, type: string, key: string): string | undefined {
  const content = stateEventAt(reader, view, type)?.content;
  const value = content === undefined ? undefined : own(content, key);
  return typeof value === 'string' && value !== '' ? value : undefined;
}

/** The history visibility that a state sets; `shared` where it sets none that is understood. */
export function historyVisibilityAt(reader: Reader, view: StateView): HistoryVisibility {
  const value = stateTextAt(reader, view, 'm.room.history_visibility', 'history_visibility');
  return value === 'world_readable' || value === 'invited' || value === 'joined' ? value : 'shared';
}

/** The power levels in force in a state. */
export function powerLevelsAt(reader: Reader, view: StateView): PowerLevels {
  return powerLevelsOf(
    stateEventAt(reader, view, 'm.room.create'),
    stateEventAt(reader, view, 'm.room.power_levels'),
  );
}
