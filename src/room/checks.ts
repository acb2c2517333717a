// The checks on receipt that rest on other events, in the specification's order, as a list that can be shown.
//
//   auth_events            are its auth_events such as it may cite?                 else rejected
//   auth_by_auth_events    do they allow it?                                        else rejected
//   auth_by_state_before   does the state before it allow it?                       else rejected
//   auth_by_current_state  does the room's current state allow it?                  else soft failed
//
// Source: server-server API, "Checks performed on receipt of a PDU", 4 to 6.

import type { EventId } from '../event/ids.js';
import type { Pdu } from '../event/pdu.js';
import { toHex } from '../lib/bytes.js';
import type { RootRef } from '../tree/types.js';
import { authStateOf, checkAuthEvents } from './auth/auth-events.js';
import { authorise } from './auth/authorise.js';
import { authEventKeys } from './auth/selection.js';
import type { AuthState, AuthVerdict } from './auth/verdict.js';
import type { RoomStates } from './state/room-states.js';

export type CheckName =
  | 'auth_events'
  | 'auth_by_auth_events'
  | 'auth_by_state_before'
  | 'auth_by_current_state';

/** One check and its outcome. */
export interface Check {
  readonly check: CheckName;
  readonly verdict: AuthVerdict;
  /** Hash of the state it asked, or undefined for the checks that ask the auth events. */
  readonly root: string | undefined;
}

/** The events that checks rest on: those of a store, or of a file. */
export interface CheckedEvents {
  pdu(eventId: EventId): Pdu | undefined;
  isRejected(eventId: EventId): boolean;
}

/** The checks of an event against its own auth events. All of `authEvents` must be known. */
export function checkByAuthEvents(event: Pdu, authEvents: readonly Pdu[], known: CheckedEvents): Check[] {
  const cited = checkAuthEvents(event, authEvents, (id) => known.isRejected(id));
  const first: Check = { check: 'auth_events', verdict: cited, root: undefined };
  if (!cited.allowed) return [first];
  const verdict = authorise(event, citedState(event, authEvents, known));
  return [first, { check: 'auth_by_auth_events', verdict, root: undefined }];
}

/** The auth events as a state; where the create event is implied, it answers too. */
function citedState(event: Pdu, authEvents: readonly Pdu[], known: CheckedEvents): AuthState {
  if (!event.rules.authorisation.createIsImplied) return authStateOf(authEvents);
  const create = known.pdu(`$${event.roomId.slice(1)}` as EventId);
  return authStateOf(create === undefined ? authEvents : [...authEvents, create]);
}

/** The check of an event against a state of its room. */
export function checkByState(
  check: 'auth_by_state_before' | 'auth_by_current_state',
  event: Pdu,
  states: RoomStates,
  root: RootRef,
  known: CheckedEvents,
): Check {
  return { check, verdict: authorise(event, authStateAt(states, root, known)), root: toHex(root.hash) };
}

/** A root as the auth rules read it. */
function authStateAt(states: RoomStates, root: RootRef, known: CheckedEvents): AuthState {
  return {
    get(type, stateKey) {
      const id = states.get(root, type, stateKey);
      return id === undefined ? undefined : known.pdu(id);
    },
  };
}

/** Would this state select exactly the auth events that the event cites? Then both give the same verdict. */
export function selectsSame(event: Pdu, states: RoomStates, root: RootRef): boolean {
  let selected = 0;
  for (const [type, stateKey] of authEventKeys(event)) {
    const id = states.get(root, type, stateKey);
    if (id === undefined) continue;
    if (!event.authEvents.includes(id)) return false;
    selected++;
  }
  return selected === event.authEvents.length;
}
