// Events of users who asked to be forgotten: who came into the room after that is shown them redacted.
//
// Who was in the room at the event, or came into it before the user was erased, has seen it, and still may. What an
// event says of the room itself (its name, that it is encrypted) is the room's, and stays: without it those who come
// later would not see the room as it is.
//
// Source: client-server API, "POST /account/deactivate", `erase`.

import type { Pdu } from '../event/pdu.js';
import type { KnownEvent } from '../room/graph/known-events.js';
import { MEMBER_TYPE } from '../room/state/key.js';
import type { Homeserver } from './homeserver.js';
import type { RoomViewer } from './visibility.js';

/** Is the event one that its sender, who was erased, no longer shows to all? One lookup in memory. */
export function isOfErased(
  { accounts }: Pick<Homeserver, 'accounts'>,
  { sender, type, stateKey }: Pick<Pdu, 'sender' | 'type' | 'stateKey'>,
): boolean {
  if (accounts.erased.isEmpty || accounts.erased.after(sender) === undefined) return false;
  return stateKey === undefined || type === MEMBER_TYPE;
}

/** Is the viewer shown the event redacted, because its sender was erased before they could see it? */
export function isErasedFor(
  home: Pick<Homeserver, 'accounts'>,
  viewer: RoomViewer,
  event: KnownEvent,
): boolean {
  if (!isOfErased(home, event.pdu)) return false;
  const after = home.accounts.erased.after(event.pdu.sender) ?? 0;
  return viewer.joinedSince > after && viewer.membershipAt(event) !== 'join';
}
