// What a new room begins with: its create event and all that follow, in order, from what its creator wishes.
//
// Nothing is sent here. `rehearse` asks the authorisation rules of every event before the first one is
// committed, so that a wish which cannot be granted leaves no half of a room behind.
//
// Source: client-server API, POST /createRoom; rooms/v12 on creators.

import { randomBytes } from 'node:crypto';
import { buildEvent } from '../event/build.js';
import type { EventId, RoomId, ServerName, UserId } from '../event/ids.js';
import { isArray, type JsonObject, own } from '../event/json.js';
import type { Pdu } from '../event/pdu.js';
import type { RoomVersionRules } from '../event/rules.js';
import { createSigningKey, type SigningKey } from '../event/signing.js';
import { authorise } from '../room/auth/authorise.js';
import { authEventKeys } from '../room/auth/selection.js';
import type { AuthVerdict } from '../room/auth/verdict.js';

export type Preset = 'private_chat' | 'trusted_private_chat' | 'public_chat';

/** A state event to be. */
export interface PlannedEvent {
  readonly type: string;
  readonly stateKey: string;
  readonly content: JsonObject;
}

/** What a room's creator wishes, checked for form. */
export interface RoomWish {
  readonly creator: UserId;
  readonly rules: RoomVersionRules;
  readonly preset: Preset;
  readonly creationContent: JsonObject;
  readonly powerLevelOverride: JsonObject;
  readonly initialState: readonly PlannedEvent[];
  readonly name: string | undefined;
  readonly topic: string | undefined;
  readonly alias: string | undefined;
  readonly invites: readonly UserId[];
  readonly isDirect: boolean;
  /** What a user's member event says beside the membership. */
  readonly memberFields: (userId: UserId) => JsonObject;
}

/** All events of a new room: the create event's content, then the others in order. */
export interface RoomPlan {
  readonly createContent: JsonObject;
  readonly events: readonly PlannedEvent[];
}

const PRESETS: Readonly<Record<Preset, { readonly joinRule: string; readonly guestAccess: string }>> = {
  private_chat: { joinRule: 'invite', guestAccess: 'can_join' },
  trusted_private_chat: { joinRule: 'invite', guestAccess: 'can_join' },
  public_chat: { joinRule: 'public', guestAccess: 'forbidden' },
};

export function planRoom(wish: RoomWish): RoomPlan {
  const { creator, alias, name, topic } = wish;
  const events = [
    state('m.room.member', { ...wish.memberFields(creator), membership: 'join' }, creator),
    state('m.room.power_levels', powerLevels(wish)),
    ...(alias === undefined ? [] : [state('m.room.canonical_alias', { alias })]),
    ...presetEvents(wish),
    ...wish.initialState.filter(({ type, stateKey }) => !isOverridden(wish, type, stateKey)),
    ...(name === undefined ? [] : [state('m.room.name', { name })]),
    ...(topic === undefined ? [] : [state('m.room.topic', topicContent(topic))]),
    ...wish.invites.map((userId) => state('m.room.member', inviteContent(wish, userId), userId)),
  ];
  return { createContent: createContent(wish), events };
}

function state(type: string, content: JsonObject, stateKey = ''): PlannedEvent {
  return { type, stateKey, content };
}

function createContent({ creator, rules, preset, creationContent, invites }: RoomWish): JsonObject {
  const { creator: _, room_version: __, ...content } = creationContent;
  const { creatorIsInContent, creatorsArePrivileged } = rules.authorisation;
  if (creatorIsInContent) return { ...content, creator };
  if (!creatorsArePrivileged || preset !== 'trusted_private_chat' || invites.length === 0) return content;
  const given = own(content, 'additional_creators') ?? [];
  // What is no list is left for the rules to refuse.
  if (!isArray(given)) return content;
  return { ...content, additional_creators: [...new Set([...given, ...invites])] };
}

function powerLevels({ creator, rules, preset, invites, powerLevelOverride }: RoomWish): JsonObject {
  const { creatorsArePrivileged } = rules.authorisation;
  const equals = preset === 'trusted_private_chat' ? invites : [];
  const users = creatorsArePrivileged
    ? {}
    : Object.fromEntries([creator, ...equals].map((userId) => [userId, 100]));
  return {
    users,
    users_default: 0,
    events: {
      'm.room.name': 50,
      'm.room.avatar': 50,
      'm.room.canonical_alias': 50,
      'm.room.power_levels': 100,
      'm.room.history_visibility': 100,
      'm.room.encryption': 100,
      'm.room.server_acl': 100,
      // Replacing a room is for its creators, where they stand above all levels.
      'm.room.tombstone': creatorsArePrivileged ? 150 : 100,
    },
    events_default: 0,
    state_default: 50,
    invite: preset === 'public_chat' ? 50 : 0,
    kick: 50,
    ban: 50,
    redact: 50,
    ...powerLevelOverride,
  };
}

function presetEvents({ preset, initialState }: RoomWish): PlannedEvent[] {
  const { joinRule, guestAccess } = PRESETS[preset];
  const events = [
    state('m.room.join_rules', { join_rule: joinRule }),
    state('m.room.history_visibility', { history_visibility: 'shared' }),
    state('m.room.guest_access', { guest_access: guestAccess }),
  ];
  const isGiven = (type: string): boolean =>
    initialState.some((given) => given.type === type && given.stateKey === '');
  return events.filter(({ type }) => !isGiven(type));
}

function isOverridden({ name, topic }: RoomWish, type: string, stateKey: string): boolean {
  if (stateKey !== '') return false;
  return (type === 'm.room.name' && name !== undefined) || (type === 'm.room.topic' && topic !== undefined);
}

function topicContent(topic: string): JsonObject {
  return { topic, 'm.topic': { 'm.text': [{ body: topic }] } };
}

function inviteContent({ memberFields, isDirect }: RoomWish, userId: UserId): JsonObject {
  return { ...memberFields(userId), membership: 'invite', ...(isDirect ? { is_direct: true } : {}) };
}

/** The event of a plan that the rules do not allow, and their verdict. */
export interface Refused {
  readonly event: PlannedEvent;
  readonly verdict: AuthVerdict;
}

let rehearsalKey: SigningKey | undefined;

/**
 * The first event that the authorisation rules would refuse; undefined when all would pass.
 * @throws EVENT_TOO_LARGE and the like, for an event that could not be built
 */
export function rehearse(plan: RoomPlan, wish: RoomWish, server: ServerName): Refused | undefined {
  rehearsalKey ??= createSigningKey('ed25519:rehearsal', randomBytes(32));
  const options = { rules: wish.rules, server, key: rehearsalKey };
  const { rules } = wish;
  const current = new Map<string, Pdu>();
  const at = (type: string, stateKey: string): Pdu | undefined =>
    current.get(JSON.stringify([type, stateKey]));
  const create = state('m.room.create', { ...plan.createContent, room_version: rules.version });
  let last: Pdu | undefined;
  for (const [depth, event] of [create, ...plan.events].entries()) {
    const roomId =
      last?.roomId ?? (rules.roomIdIsCreateHash ? undefined : (`!rehearsal:${server}` as RoomId));
    const cited = authEventKeys({ ...event, rules, sender: wish.creator });
    last = buildEvent(
      {
        ...event,
        ...(roomId === undefined ? {} : { roomId }),
        ...(rules.eventIdFormat === 'field' ? { eventId: `$${depth}:${server}` as EventId } : {}),
        sender: wish.creator,
        prevEvents: last === undefined ? [] : [last.eventId],
        authEvents: cited.flatMap(([type, stateKey]) => at(type, stateKey)?.eventId ?? []),
        depth: depth + 1,
        originServerTs: 0,
      },
      options,
    );
    const verdict = authorise(last, { get: at });
    if (!verdict.allowed) return { event, verdict };
    current.set(JSON.stringify([event.type, event.stateKey]), last);
  }
  return undefined;
}
