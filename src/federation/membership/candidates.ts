// Which servers to ask about a room that this one is not in, and in which order.

import { parseServerName, type RoomId, serverOf, type ServerName, type UserId } from '../../event/ids.js';

export interface CandidateHints {
  readonly roomId: RoomId;
  /** What the client or the alias's server named. */
  readonly via: readonly string[];
  /** Who invited, if somebody did: their server was in the room then. */
  readonly inviter?: UserId | undefined;
}

/** Servers that are asked at most: a list of a stranger's making. */
const CANDIDATES_MAX = 20;

/** Each server once, never ourselves: those named, the inviter's, the one in the room's id. */
export function candidateServers(hints: CandidateHints, ourselves: ServerName): ServerName[] {
  const ofRoom = serverOf(hints.roomId);
  const named = [
    ...hints.via,
    ...(hints.inviter === undefined ? [] : [serverOf(hints.inviter)]),
    ...(ofRoom === undefined ? [] : [ofRoom]),
  ];
  const servers = new Set(named.flatMap((name) => parseServerName(name) ?? []));
  servers.delete(ourselves);
  return [...servers].slice(0, CANDIDATES_MAX);
}
