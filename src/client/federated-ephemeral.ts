// What lives in memory here, between this server and others: who of ours types and is present is sent, who of theirs
// does is shown, and clients are woken for what others say.
//
// Source: server-server API, "Typing Notifications", "Presence"; client-server API, the same.

import { serverOf, type RoomId, type UserId } from '../event/ids.js';
import type { JsonObject } from '../event/json.js';
import type { Federation } from '../federation/federation.js';
import type { EduSink } from '../federation/inbound/edu-sink.js';
import { toError } from '../lib/errors.js';
import type { Ephemeral, EphemeralChange } from './ephemeral.js';
import type { Homeserver } from './homeserver.js';
import { presenceJson } from './presence.js';

/** Who of another server types is taken to have stopped after so long without a word. */
const REMOTE_TYPING_MS = 60_000;

type Here = Pick<Homeserver, 'ephemeral' | 'notifier'>;

/** Joins what lives in memory with federation; returns how to part them again. */
export function federateEphemeral(here: Here, federation: Federation): () => void {
  federation.input.attach(ephemeralSink(here, federation));
  const ours = new OwnEphemeral(here.ephemeral, federation);
  const stops = [
    here.ephemeral.subscribe((change) => ours.changed(change)),
    federation.users.onKeysChanged((userId) => {
      for (const roomId of federation.roomServers.sharedRooms(userId)) here.notifier.wakeRoom(roomId);
    }),
  ];
  return () => {
    for (const stop of stops) stop();
  };
}

/** Shows who of other servers types and is present. */
export function ephemeralSink(
  { ephemeral, notifier }: Here,
  { roomServers, parts }: Pick<Federation, 'roomServers' | 'parts'>,
): Pick<EduSink, 'typing' | 'presence'> {
  return {
    typing: ({ roomId, userId, isTyping }) => {
      ephemeral.setTyping(roomId, userId, isTyping ? REMOTE_TYPING_MS : 0);
    },
    presence: ({ userId, state, statusMessage, lastActiveAgoMs, isCurrentlyActive }) => {
      const shared = [...roomServers.sharedRooms(userId), ...roomServers.maybeSharedRooms(userId)];
      if (shared.length === 0) return;
      const now = parts.now();
      const lastActiveAt = isCurrentlyActive ? now : Math.max(0, now - lastActiveAgoMs);
      ephemeral.setRemotePresence(userId, { state, statusMessage, lastActiveAt });
      notifier.wakeForPresence(shared);
    },
  };
}

/** Tells other servers of our users. */
class OwnEphemeral {
  readonly #ephemeral: Ephemeral;
  readonly #federation: Federation;
  /** Who of ours types, as others were told. */
  readonly #typing = new Map<RoomId, ReadonlySet<UserId>>();

  constructor(ephemeral: Ephemeral, federation: Federation) {
    this.#ephemeral = ephemeral;
    this.#federation = federation;
  }

  changed(change: EphemeralChange): void {
    if (change.kind === 'typing') this.#typingChanged(change.roomId);
    else if (this.#isOurs(change.userId)) this.#presenceChanged(change.userId);
  }

  #typingChanged(roomId: RoomId): void {
    const { sender } = this.#federation;
    const before = this.#typing.get(roomId) ?? new Set();
    const now = new Set(this.#ephemeral.typing(roomId).users.filter((userId) => this.#isOurs(userId)));
    for (const userId of now) if (!before.has(userId)) sender.sendTyping(roomId, userId, true);
    for (const userId of before) if (!now.has(userId)) sender.sendTyping(roomId, userId, false);
    if (now.size === 0) this.#typing.delete(roomId);
    else this.#typing.set(roomId, now);
  }

  #presenceChanged(userId: UserId): void {
    const { sender, parts } = this.#federation;
    const presence = this.#ephemeral.presence(userId);
    if (presence === undefined) return;
    const content: JsonObject = presenceJson(parts.now(), presence);
    sender.sendPresence(userId, content).catch((error: unknown) => {
      parts.log.warn({ user: userId, err: toError(error) }, 'a presence was not sent');
    });
  }

  #isOurs(userId: UserId): boolean {
    return serverOf(userId) === this.#federation.parts.serverName;
  }
}
