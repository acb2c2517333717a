// Memberships in rooms by way of other servers: joining where nobody of this server is, knocking, turning down
// an invitation, inviting somebody from elsewhere; and what comes the other way.
//
// Source: server-server API, "Joining Rooms", "Knocking upon a room", "Inviting to a room", "Leaving Rooms".

import type { OutsideMembership } from '../../account/outside.js';
import type { VerdictKind } from '../../core/outcome.js';
import { ForbiddenError } from '../../engine/errors.js';
import { type RoomId, serverOf, type ServerName, type UserId } from '../../event/ids.js';
import { isObject, type JsonObject, own } from '../../event/json.js';
import { parsePdu } from '../../event/parse.js';
import type { Pdu } from '../../event/pdu.js';
import type { RoomVersionRules } from '../../event/rules.js';
import type { StateView } from '../../reader/state-view.js';
import { StateroomError, toError } from '../../lib/errors.js';
import { BadAnswerError, NoServerError } from '../errors.js';
import type { Gaps } from '../gaps/gaps.js';
import type { FederationParts } from '../parts.js';
import type { KeyRing } from '../identity/key-ring.js';
import type { RemoteServers } from '../requests.js';
import { candidateServers } from './candidates.js';
import { completeTemplate, type CompletedEvent, type MembershipWish, ROOM_VERSIONS } from './handshake.js';

export interface RemoteMembershipParts extends FederationParts {
  readonly remote: RemoteServers;
  readonly keyRing: KeyRing;
  readonly gaps: Pick<Gaps, 'noticed' | 'fill'>;
}

/** A wish, and whom to ask. */
export interface RemoteWish {
  readonly roomId: RoomId;
  readonly userId: UserId;
  /** Servers that may be in the room. */
  readonly via: readonly string[];
  /** What the member event says beside the membership. */
  readonly content: JsonObject;
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

  constructor(parts: RemoteMembershipParts) {
    this.#parts = parts;
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
    await this.#tryServers(wish, 'join', async (server, { pdu, rules }) => {
      const { remote, keyRing, engine, accounts, log, now } = this.#parts;
      const startedAt = now();
      const answer = await remote.sendJoin(server, wish.roomId, pdu.eventId, pdu.json);
      const { state, authChain } = answer;
      const event = withSignatures(pdu, answer.event, rules);
      if (accounts.memberships.isServerIn(wish.roomId)) {
        await this.#takeGranted(event, pdu, server, rules);
        return;
      }
      await keyRing.fetchFor([event, ...state, ...authChain], rules);
      const outcome = await engine.receiveJoin({
        roomVersion: rules.version,
        event,
        state,
        authChain,
        from: server,
      });
      for (const { eventId, code, reason } of outcome.dropped) {
        log.warn({ room: wish.roomId, event: eventId, code, from: server, reason }, 'dropped from a join');
      }
      await accounts.outside.entered(wish.roomId);
      log.info(
        { room: wish.roomId, user: wish.userId, via: server, state: state.length, ms: now() - startedAt },
        'joined a room of other servers',
      );
    });
  }

  /** A join of a room that this server is in, which another one had to grant: an event like any other. */
  async #takeGranted(
    event: JsonObject,
    { roomId, eventId }: Pdu,
    from: ServerName,
    rules: RoomVersionRules,
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
    await this.#tryServers(wish, 'knock', async (server, { pdu }) => {
      const { roomId, eventId, json } = pdu;
      const stripped = await this.#parts.remote.sendKnock(server, roomId, eventId, json);
      const state = stripped.slice(0, STRIPPED_EVENTS_MAX);
      await this.#parts.accounts.outside.set(wish.userId, { membership: 'knock', event: pdu, state, server });
    });
  }

  /**
   * Turns an invitation down, or takes a knock back. When no server takes it the user is rid of it all the same:
   * they are told, and the others are not.
   */
  async leave(userId: UserId, place: OutsideMembership, content: JsonObject): Promise<void> {
    const { accounts, log } = this.#parts;
    const { roomId } = place.event;
    const wish = { roomId, userId, via: [place.server], content, inviter: place.event.sender };
    let left: Pdu | undefined;
    try {
      await this.#tryServers(wish, 'leave', async (server, { pdu }) => {
        await this.#parts.remote.sendLeave(server, roomId, pdu.eventId, pdu.json);
        left = pdu;
      });
    } catch (error) {
      log.warn({ room: roomId, user: userId, reason: toError(error).message }, 'nobody was told of a leave');
    }
    const event = left ?? this.#lonelyLeave(userId, place, content);
    await accounts.outside.set(userId, { ...place, membership: 'leave', event });
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
   * An invitation of a user of ours to a room that this server is not in: checked and signed by who calls.
   * @param state the stripped state that came with it
   */
  async storeInvite(event: Pdu, state: readonly JsonObject[], server: ServerName): Promise<void> {
    const membership = 'invite';
    const bounded = state.slice(0, STRIPPED_EVENTS_MAX);
    await this.#parts.accounts.outside.set(event.stateKey as UserId, {
      membership,
      event,
      state: bounded,
      server,
    });
  }

  /**
   * An event from a room that this server is not in says that a user of ours is neither invited nor waiting any
   * more. Its signature was checked by who calls.
   * @returns whether it concerned anybody
   */
  async withdrawn(event: Pdu, server: ServerName): Promise<boolean> {
    const membership = own(event.content, 'membership');
    if (event.type !== 'm.room.member' || (membership !== 'leave' && membership !== 'ban')) return false;
    const userId = event.stateKey as UserId;
    const place = this.#parts.accounts.outside.get(userId, event.roomId);
    if (place === undefined || place.membership === 'leave') return false;
    await this.#parts.accounts.outside.set(userId, { ...place, membership: 'leave', event, server });
    return true;
  }

  /** Asks one server after the other; the most telling refusal is what is thrown in the end. */
  async #tryServers(
    wish: RemoteWish & { readonly inviter?: UserId },
    membership: MembershipWish['membership'],
    finish: (server: ServerName, completed: CompletedEvent) => Promise<void>,
  ): Promise<void> {
    const { engine, serverName, accounts, log, now } = this.#parts;
    const { roomId, userId, via, content } = wish;
    const inviter = wish.inviter ?? accounts.outside.get(userId, roomId)?.event.sender;
    const servers = candidateServers({ roomId, via, inviter }, serverName);
    let failure: Error | undefined;
    for (const server of servers) {
      try {
        const template = await this.#template(server, { roomId, userId, membership, content });
        const completing = { engine, serverName, now: now() };
        const completed = completeTemplate(template, { roomId, userId, membership, content }, completing);
        await finish(server, completed);
        return;
      } catch (cause) {
        const error = toError(cause);
        if (!(error instanceof StateroomError)) throw error;
        log.info({ room: roomId, server, code: error.code, reason: error.message }, `${membership} failed`);
        failure = failure === undefined || isMoreTelling(error, failure) ? error : failure;
      }
    }
    throw failure ?? new NoServerError('no server is known that is in the room', { room_id: roomId });
  }

  #template(
    server: ServerName,
    { roomId, userId, membership }: MembershipWish,
  ): ReturnType<RemoteServers['makeJoin']> {
    const { remote } = this.#parts;
    if (membership === 'join') return remote.makeJoin(server, roomId, userId, ROOM_VERSIONS);
    if (membership === 'knock') return remote.makeKnock(server, roomId, userId, ROOM_VERSIONS);
    return remote.makeLeave(server, roomId, userId);
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

/** A refusal says more than an answer that makes no sense, and that more than none. */
function isMoreTelling(error: StateroomError, than: Error): boolean {
  return telling(error) > telling(than);
}

function telling(error: Error): number {
  const code = error instanceof StateroomError ? error.code : '';
  if (code === 'FEDERATION_REFUSED') return 2;
  return code === 'FEDERATION_BAD_ANSWER' ? 1 : 0;
}

/** Our event with the signatures that a server added to it; what else it changed does not matter. */
function withSignatures(pdu: Pdu, answered: JsonObject | undefined, rules: RoomVersionRules): JsonObject {
  const { json } = pdu;
  const added = answered === undefined ? undefined : own(answered, 'signatures');
  const ours = own(json, 'signatures');
  if (answered === undefined || !isObject(added) || !isObject(ours)) return json;
  let isSame: boolean;
  try {
    isSame = parsePdu(answered, rules).eventId === pdu.eventId;
  } catch {
    isSame = false;
  }
  if (!isSame)
    throw new BadAnswerError('the server signed another event than ours', { event_id: pdu.eventId });
  return { ...json, signatures: { ...added, ...ours } };
}
