// Memberships in rooms by way of other servers: joining where nobody of this server is, knocking, turning down
// an invitation, inviting somebody from elsewhere; and what comes the other way.
//
// Source: server-server API, "Joining Rooms", "Knocking upon a room", "Inviting to a room", "Leaving Rooms".

import type { OutsideMembership } from '../../account/outside.js';
import type { VerdictKind } from '../../core/outcome.js';
import type { ReleasedGroup } from '../../core/release.js';
import { ForbiddenError } from '../../engine/errors.js';
import { changedRooms, Follower } from '../../engine/follower.js';
import { type RoomId, serverOf, type ServerName, type UserId } from '../../event/ids.js';
import { type JsonObject, own } from '../../event/json.js';
import { parsePdu } from '../../event/parse.js';
import type { Pdu } from '../../event/pdu.js';
import type { StateView } from '../../reader/state-view.js';
import { toError } from '../../lib/errors.js';
import type { Gaps } from '../gaps/gaps.js';
import type { FederationParts } from '../parts.js';
import type { KeyRing } from '../identity/key-ring.js';
import type { RemoteServers } from '../requests.js';
import { type RemoteWish, tryServers } from './attempts.js';
import { Entering, withSignatures } from './entering.js';
import type { CompletedEvent } from './handshake.js';

export interface RemoteMembershipParts extends FederationParts {
  readonly remote: RemoteServers;
  readonly keyRing: KeyRing;
  readonly gaps: Pick<Gaps, 'noticed' | 'fill'>;
}

/** An invitation of somebody from elsewhere. */
export interface RemoteInvite {
  readonly roomId: RoomId;
  readonly sender: UserId;
  readonly target: UserId;
  readonly content: JsonObject;
}

/** Stripped state that is kept of one room, at most. */
const STRIPPED_EVENTS_MAX = 100;
const TAKEN: ReadonlySet<VerdictKind> = new Set(['accepted', 'duplicate']);

export class RemoteMembership {
  readonly #parts: RemoteMembershipParts;
  /** Joins under way, by room: one at a time, for the first brings the room. */
  readonly #joining = new Map<RoomId, Promise<void>>();
  #follower: Follower | undefined;

  constructor(parts: RemoteMembershipParts) {
    this.#parts = parts;
  }

  /** Takes up what a server left that ended between a join and what follows from it. */
  async recover(): Promise<void> {
    const { outside } = this.#parts.accounts;
    for (const roomId of outside.rooms()) if (await this.#isIn(roomId)) await this.#entered(roomId);
    const { engine } = this.#parts;
    this.#follower = new Follower(engine, engine.watermark, (group) => this.#follow(group));
  }

  async close(): Promise<void> {
    await this.#follower?.close();
  }

  /** A room whose state is not all known may begin to tell of users of whom only those outside had told. */
  async #follow(group: ReleasedGroup): Promise<void> {
    const { outside } = this.#parts.accounts;
    if (outside.rooms().length === 0) return;
    for (const roomId of changedRooms(group)) {
      const isConcerned = outside.usersOf(roomId).size > 0 && !this.isJoining(roomId);
      if (isConcerned && (await this.#isIn(roomId))) await this.#entered(roomId);
    }
  }

  /** Is a join of this room under way? What arrives for it meanwhile is of use. */
  isJoining(roomId: RoomId): boolean {
    return this.#joining.has(roomId);
  }

  /** Resolves when no join of the room is under way. */
  async settled(roomId: RoomId): Promise<void> {
    await this.#joining.get(roomId)?.catch(() => undefined);
  }

  /**
   * Joins a user of ours to a room by way of a server that is in it, and brings the room here.
   * @returns false when somebody else's join, which was waited for, has brought the room: then this one can be
   *   done here, and was not
   * @throws FEDERATION_NO_SERVER, FEDERATION_REFUSED, FEDERATION_BAD_ANSWER, FEDERATION_UNREACHABLE and what
   *   `receiveJoin` throws
   */
  async join(wish: RemoteWish): Promise<boolean> {
    const { roomId } = wish;
    const { memberships } = this.#parts.accounts;
    if (this.isJoining(roomId)) {
      while (this.isJoining(roomId)) await this.settled(roomId);
      await memberships.caughtUp();
      if (memberships.isServerIn(roomId)) return false;
      return this.join(wish);
    }
    const joining = this.#join(wish);
    this.#joining.set(roomId, joining);
    try {
      await joining;
    } finally {
      this.#joining.delete(roomId);
    }
    return true;
  }

  async #join(wish: RemoteWish): Promise<void> {
    const { accounts, engine, options, log, now } = this.#parts;
    const { roomId, userId } = wish;
    const entering = new Entering(this.#parts, options.partialJoins);
    await tryServers(this.#parts, wish, 'join', async (server, join) => {
      const startedAt = now();
      const isIn = (): boolean => accounts.memberships.isServerIn(roomId);
      const isNew = await entering.by(server, join, isIn, (event) => this.#takeGranted(event, join, server));
      await this.#entered(roomId);
      if (!isNew) return;
      const isPartial = engine.partial.isPartial(roomId);
      log.info(
        { room: roomId, user: userId, via: server, partial: isPartial, ms: now() - startedAt },
        'joined a room of other servers',
      );
    });
  }

  /** A join of a room that this server is in, which another one had to grant: an event like any other. */
  async #takeGranted(
    event: JsonObject,
    { pdu: { roomId, eventId }, rules }: CompletedEvent,
    from: ServerName,
  ): Promise<void> {
    const { engine, keyRing, gaps } = this.#parts;
    await keyRing.fetchFor([event], rules);
    const verdict = await engine.receive(event, { from });
    if (verdict.verdict === 'waiting') {
      gaps.noticed({ roomId, eventId, from });
      await gaps.fill(roomId);
    } else if (!TAKEN.has(verdict.verdict)) {
      throw new ForbiddenError(verdict.reason, { code: verdict.code, room_id: roomId, rule: verdict.rule });
    }
  }

  /** Knocks at a room that this server is not in. @throws as `join` */
  async knock(wish: RemoteWish): Promise<void> {
    await tryServers(this.#parts, wish, 'knock', async (server, { pdu }) => {
      const { roomId, eventId, json } = pdu;
      const stripped = await this.#parts.remote.sendKnock(server, roomId, eventId, json);
      const state = stripped.slice(0, STRIPPED_EVENTS_MAX);
      if (await this.#isIn(roomId)) return;
      await this.#parts.accounts.outside.set(wish.userId, { membership: 'knock', event: pdu, state, server });
    });
  }

  /**
   * Turns an invitation down, or takes a knock back. When no server takes it the user is rid of it all the same:
   * they are told, and the others are not.
   * @returns false when this server has come into the room meanwhile: then it can be done here, and was not
   */
  async leave(userId: UserId, place: OutsideMembership, content: JsonObject): Promise<boolean> {
    const { accounts, log } = this.#parts;
    const { roomId } = place.event;
    await this.settled(roomId);
    if (await this.#tells(userId, roomId)) return this.#isOut(userId, roomId);
    const wish = { roomId, userId, via: [place.server], content, inviter: place.event.sender };
    let left: Pdu | undefined;
    try {
      await tryServers(this.#parts, wish, 'leave', async (server, { pdu }) => {
        await this.#parts.remote.sendLeave(server, roomId, pdu.eventId, pdu.json);
        left = pdu;
      });
    } catch (error) {
      log.warn({ room: roomId, user: userId, reason: toError(error).message }, 'nobody was told of a leave');
    }
    // A leave that a server took may have come too late for what it gave to somebody of ours who joined.
    if (await this.#tells(userId, roomId)) return this.#isOut(userId, roomId);
    const event = left ?? this.#lonelyLeave(userId, place, content);
    await accounts.outside.set(userId, { ...place, membership: 'leave', event });
    return true;
  }

  /**
   * Invites a user of another server to a room that this one is in: their server signs, then it is sent.
   * @returns the event as it was committed
   * @throws ENGINE_FORBIDDEN; FEDERATION_REFUSED, FEDERATION_BAD_ANSWER, FEDERATION_UNREACHABLE
   */
  async invite({ roomId, sender, target, content }: RemoteInvite): Promise<Pdu> {
    const { engine, remote, keyRing } = this.#parts;
    const draft = engine.draft(roomId, {
      type: 'm.room.member',
      sender,
      stateKey: target,
      content: { ...content, membership: 'invite' },
    });
    const { rules, allowed } = draft;
    if (!allowed.ok) throw new ForbiddenError(allowed.reason, { room_id: roomId, rule: allowed.rule });
    const signed = parsePdu(engine.sign(draft.event, rules.version), rules);
    const server = serverOf(target);
    const answered = await remote.inviteV2(server, roomId, signed.eventId, {
      event: signed.json,
      roomVersion: rules.version,
      inviteRoomState: this.#inviteState(engine.currentState(roomId)),
    });
    const event = withSignatures(signed, answered, rules);
    await keyRing.fetchFor([event], rules);
    const verdict = await engine.receive(event);
    if (!TAKEN.has(verdict.verdict)) {
      throw new ForbiddenError(verdict.reason, { code: verdict.code, room_id: roomId, rule: verdict.rule });
    }
    return signed;
  }

  /**
   * An invitation of a user of ours to a room that this server is not in: checked and signed by who calls. Where
   * somebody of ours has joined meanwhile the room tells of it.
   * @param state the stripped state that came with it
   */
  async storeInvite(event: Pdu, state: readonly JsonObject[], server: ServerName): Promise<void> {
    const membership = 'invite';
    const bounded = state.slice(0, STRIPPED_EVENTS_MAX);
    if (await this.#isIn(event.roomId)) return;
    await this.#parts.accounts.outside.set(event.stateKey as UserId, {
      membership,
      event,
      state: bounded,
      server,
    });
  }

  /**
   * An event from a room that this server is not in says that a user of ours is neither invited nor waiting any
   * more. Its signature was checked by who calls. Anybody could say so, and an old one could come late: believed is
   * what cites the invitation or the knock, which only those in the room know, or comes after it and from who is
   * known to be there.
   * @returns whether it concerned anybody
   */
  async withdrawn(event: Pdu, server: ServerName): Promise<boolean> {
    const membership = own(event.content, 'membership');
    if (event.type !== 'm.room.member' || (membership !== 'leave' && membership !== 'ban')) return false;
    const userId = event.stateKey as UserId;
    const place = this.#parts.accounts.outside.get(userId, event.roomId);
    if (place === undefined || place.membership === 'leave' || !mayWithdraw(event, place)) return false;
    await this.#parts.accounts.outside.set(userId, { ...place, membership: 'leave', event, server });
    return true;
  }

  /** All of the state of a room is known now: what it says of those counts of whom it said nothing before. */
  async completed(roomId: RoomId): Promise<void> {
    if (await this.#isIn(roomId)) await this.#entered(roomId);
  }

  /** This server is in the room: what that says of our users counts, but that they said no before stands. */
  async #entered(roomId: RoomId): Promise<void> {
    const { accounts, engine, log } = this.#parts;
    const { outside } = accounts;
    const users = [...outside.usersOf(roomId)].filter((userId) => this.#isTold(userId, roomId));
    const left = users.filter((userId) => outside.get(userId, roomId)?.membership === 'leave');
    await outside.entered(roomId, users);
    for (const userId of left) {
      if (!isAsked(engine.currentState(roomId).membership(userId))) continue;
      const leave = {
        type: 'm.room.member',
        sender: userId,
        stateKey: userId,
        content: { membership: 'leave' },
      };
      await engine.send(roomId, leave).catch((error: unknown) => {
        log.warn({ room: roomId, user: userId, err: toError(error) }, 'a leave was not made up for');
      });
    }
  }

  /** Is this server in the room, and does the room tell of the user? */
  async #tells(userId: UserId, roomId: RoomId): Promise<boolean> {
    return (await this.#isIn(roomId)) && this.#isTold(userId, roomId);
  }

  /** Does the room tell of the user? Of those whom an incomplete state leaves out, what they were told outside holds. */
  #isTold(userId: UserId, roomId: RoomId): boolean {
    const { engine } = this.#parts;
    return !engine.partial.isPartial(roomId) || engine.currentState(roomId).membership(userId) !== undefined;
  }

  /** Is the user out of a room that this server is in? */
  async #isOut(userId: UserId, roomId: RoomId): Promise<boolean> {
    const { accounts, engine } = this.#parts;
    await accounts.outside.remove(userId, roomId);
    return !isAsked(engine.currentState(roomId).membership(userId));
  }

  /** Is this server in the room, as of all that is committed? */
  async #isIn(roomId: RoomId): Promise<boolean> {
    const { memberships } = this.#parts.accounts;
    await memberships.caughtUp();
    return memberships.isServerIn(roomId);
  }

  /** What a client is shown when no server has said that the user is out. */
  #lonelyLeave(userId: UserId, { event }: OutsideMembership, content: JsonObject): Pdu {
    const { engine, now } = this.#parts;
    const { rules } = event;
    const json = Object.fromEntries(
      Object.entries(event.json).filter(([name]) => name !== 'signatures' && name !== 'hashes'),
    );
    const leave: JsonObject = {
      ...json,
      sender: userId,
      state_key: userId,
      content: { ...content, membership: 'leave' },
      origin_server_ts: now(),
      unsigned: {},
    };
    return parsePdu(engine.sign(leave, rules.version), rules);
  }

  /** The events that tell who is invited what they are invited to, whole, the create event first. */
  #inviteState(view: StateView): JsonObject[] {
    const { engine } = this.#parts;
    return INVITE_STATE_TYPES.flatMap((type) => {
      const id = view.get(type, '');
      const event = id === undefined ? undefined : engine.reader.events.get(id);
      return event === undefined || event.isRedacted ? [] : [event.pdu.json];
    });
  }
}

const INVITE_STATE_TYPES = [
  'm.room.create',
  'm.room.join_rules',
  'm.room.name',
  'm.room.avatar',
  'm.room.topic',
  'm.room.canonical_alias',
  'm.room.encryption',
] as const;

/** Is the user waited for, or waiting? */
function isAsked(membership: string | undefined): boolean {
  return membership === 'invite' || membership === 'knock';
}

/** Does it speak of this invitation or knock, and not of an earlier one, and by right? */
function mayWithdraw(leave: Pdu, { event, server }: OutsideMembership): boolean {
  if (leave.authEvents.includes(event.eventId)) return true;
  const from = serverOf(leave.sender);
  return leave.depth > event.depth && (from === server || from === serverOf(event.sender));
}
