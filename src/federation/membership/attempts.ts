// One server after the other is asked for the same thing, until one does it: bounded in time for each and for all,
// and what is told in the end is the refusal that says most.

import type { RoomId, ServerName, UserId } from '../../event/ids.js';
import type { JsonObject } from '../../event/json.js';
import { StateroomError, toError } from '../../lib/errors.js';
import { NoServerError, RefusedError } from '../errors.js';
import type { FederationParts } from '../parts.js';
import type { EventTemplate, RemoteServers } from '../requests.js';
import { candidateServers } from './candidates.js';
import { type CompletedEvent, completeTemplate, type MembershipWish, ROOM_VERSIONS } from './handshake.js';

/** A wish, and whom to ask. */
export interface RemoteWish {
  readonly roomId: RoomId;
  readonly userId: UserId;
  /** Servers that may be in the room. */
  readonly via: readonly string[];
  /** What the member event says beside the membership. */
  readonly content: JsonObject;
}

export interface AttemptParts
  extends Pick<FederationParts, 'engine' | 'serverName' | 'accounts' | 'log' | 'now' | 'options'> {
  readonly remote: Pick<RemoteServers, 'makeJoin' | 'makeKnock' | 'makeLeave'>;
}

/**
 * Gets a template from one server after the other, and hands the completed event on.
 * @param finish sends it; when it throws the next server is tried
 * @throws what the server with the most telling refusal gave; FEDERATION_NO_SERVER where none is known
 */
export async function tryServers(
  parts: AttemptParts,
  wish: RemoteWish & { readonly inviter?: UserId },
  membership: MembershipWish['membership'],
  finish: (server: ServerName, completed: CompletedEvent) => Promise<void>,
): Promise<void> {
  const { engine, serverName, accounts, log, now, options } = parts;
  const { roomId, userId, via, content } = wish;
  const inviter = wish.inviter ?? accounts.outside.get(userId, roomId)?.event.sender;
  const meant = { roomId, userId, membership, content };
  const endsAt = now() + options.candidatesTimeoutMs;
  let failure: Error | undefined;
  for (const server of candidateServers({ roomId, via, inviter }, serverName)) {
    if (now() >= endsAt) break;
    try {
      const template = await templateOf(parts, server, meant);
      await finish(server, completeTemplate(template, meant, { engine, serverName, now: now() }));
      return;
    } catch (cause) {
      const error = toError(cause);
      if (!(error instanceof StateroomError)) throw error;
      log.info({ room: roomId, server, code: error.code, reason: error.message }, `${membership} failed`);
      failure = failure === undefined || telling(error) > telling(failure) ? error : failure;
      if (telling(error) === FINAL) break;
    }
  }
  throw failure ?? new NoServerError('no server is known that is in the room', { room_id: roomId });
}

function templateOf(
  { remote, options }: AttemptParts,
  server: ServerName,
  { roomId, userId, membership }: MembershipWish,
): Promise<EventTemplate> {
  const limits = { timeoutMs: options.templateTimeoutMs };
  if (membership === 'join') return remote.makeJoin(server, roomId, userId, ROOM_VERSIONS, limits);
  if (membership === 'knock') return remote.makeKnock(server, roomId, userId, ROOM_VERSIONS, limits);
  // Nobody but these can be told: it is worth a try whatever is thought of them.
  return remote.makeLeave(server, roomId, userId, { ...limits, evenBackingOff: true });
}

/** Every other server would say the same. */
const FINAL = 5;
/** Refusals that mean the server asked, and not the wish. */
const NOT_BY_THIS_SERVER: ReadonlySet<string> = new Set([
  'M_UNABLE_TO_AUTHORISE_JOIN',
  'M_UNABLE_TO_GRANT_JOIN',
]);

/** A refusal of the wish says more than that a server cannot help, that more than nonsense, and that than nothing. */
function telling(error: Error): number {
  if (error instanceof RefusedError) {
    const { status, errcode } = error;
    if (errcode === 'M_INCOMPATIBLE_ROOM_VERSION') return FINAL;
    if (NOT_BY_THIS_SERVER.has(errcode)) return 3;
    return status === 400 || status === 403 ? 4 : 2;
  }
  return error instanceof StateroomError && error.code === 'FEDERATION_BAD_ANSWER' ? 1 : 0;
}
