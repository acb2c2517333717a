// Making a room. What is asked is checked in full before anything is committed; see room-plan.ts.
//
// Source: client-server API, POST /createRoom.

import { randomBytes } from 'node:crypto';
import { ForbiddenError } from '../engine/errors.js';
import { isRoomAlias, type RoomId, serverOf, type UserId } from '../event/ids.js';
import { isObject, type JsonObject, own } from '../event/json.js';
import { type RoomVersionRules, rulesOf } from '../event/rules.js';
import { isRemoteFailure } from '../federation/errors.js';
import { addAlias } from './aliases.js';
import { badJson, forbidden, invalidParam, MatrixError } from './errors.js';
import type { Homeserver } from './homeserver.js';
import { bodyArray, bodyFlag, bodyObject, bodyText, userIdOf } from './request-fields.js';
import {
  type PlannedEvent,
  planRoom,
  type Preset,
  rehearse,
  type RoomPlan,
  type RoomWish,
} from './room-plan.js';
import type { AuthenticatedRequest, Route } from './route.js';
import { committed } from './send.js';

const INVITES_MAX = 100;
const INITIAL_STATE_MAX = 500;
const PRESETS: readonly Preset[] = ['private_chat', 'trusted_private_chat', 'public_chat'];

async function createRoom(request: AuthenticatedRequest, home: Homeserver): Promise<JsonObject> {
  const isPublic = isPublicRoom(request.body);
  const wish = wishOf(request, home, isPublic);
  const plan = planRoom(wish);
  await committed(async () => assertPossible(plan, wish, home));
  const { alias, creator, rules } = wish;
  const { engine, accounts } = home;
  if (alias !== undefined && accounts.aliases.get(alias) !== undefined) throw roomInUse(alias);
  const roomId = await committed(() => beginRoom(home, creator, rules, plan.createContent));
  // Until its creator has joined nobody can see the room: who loses the race for the alias leaves nothing behind.
  if (alias !== undefined) await nameRoom(home, alias, roomId, creator);
  const isElsewhere = ({ type, stateKey }: PlannedEvent): boolean =>
    type === 'm.room.member' && serverOf(stateKey as UserId) !== home.options.serverName;
  // They are built and decided in this order, each on the one before, and written together.
  const ours = plan.events.filter((event) => !isElsewhere(event));
  const sent = await Promise.allSettled(
    ours.map((event) => committed(() => engine.send(roomId, { ...event, sender: creator }))),
  );
  const failed = sent.find((outcome) => outcome.status === 'rejected');
  if (failed !== undefined) {
    if (alias !== undefined) await accounts.aliases.remove(alias);
    throw failed.reason;
  }
  if (isPublic) await accounts.directory.setPublished(roomId, true);
  for (const event of plan.events.filter(isElsewhere)) await inviteElsewhere(home, roomId, creator, event);
  return { room_id: roomId };
}

/** The room is there: a server that does not answer, or refuses, is no reason to say otherwise. */
async function inviteElsewhere(
  { federation }: Homeserver,
  roomId: RoomId,
  sender: UserId,
  { stateKey, content }: PlannedEvent,
): Promise<void> {
  try {
    await federation?.membership.invite({ roomId, sender, target: stateKey as UserId, content });
  } catch (error) {
    if (!isRemoteFailure(error) && !(error instanceof ForbiddenError)) throw error;
  }
}

/**
 * The create event. Where the room's id is its hash, two that say the same in one millisecond are one: the second
 * then says something of its own.
 */
async function beginRoom(
  { engine }: Homeserver,
  creator: UserId,
  { version }: RoomVersionRules,
  content: JsonObject,
): Promise<RoomId> {
  try {
    return (await engine.createRoom(creator, { roomVersion: version, content })).roomId;
  } catch (error) {
    if (!(error instanceof ForbiddenError) || error.fields['code'] !== 'GRAPH_SECOND_CREATE') throw error;
    const unique = { ...content, 'org.stateroom.nonce': randomBytes(12).toString('base64url') };
    return (await engine.createRoom(creator, { roomVersion: version, content: unique })).roomId;
  }
}

/** @throws MatrixError 400 naming the first event that the rules would refuse; EVENT_TOO_LARGE and the like */
function assertPossible(plan: RoomPlan, wish: RoomWish, home: Homeserver): void {
  const refused = rehearse(plan, wish, home.options.serverName);
  if (refused === undefined) return;
  const { event, verdict } = refused;
  throw new MatrixError(
    400,
    'M_INVALID_ROOM_STATE',
    `The room cannot begin with this ${event.type}: ${verdict.reason} (rule ${verdict.rule}).`,
  );
}

/** @throws MatrixError 400 when somebody was faster */
async function nameRoom(home: Homeserver, alias: string, roomId: RoomId, creator: UserId): Promise<void> {
  if (!(await addAlias(home, alias, roomId, creator))) throw roomInUse(alias);
}

function roomInUse(alias: string): MatrixError {
  return new MatrixError(400, 'M_ROOM_IN_USE', `The alias ${alias} is taken.`);
}

function isPublicRoom(body: JsonObject): boolean {
  const visibility = bodyText(body, 'visibility') ?? 'private';
  if (visibility !== 'public' && visibility !== 'private')
    throw invalidParam('visibility is public or private.');
  return visibility === 'public';
}

/** What the request wishes for. @throws MatrixError 400, 403 */
function wishOf({ body, user }: AuthenticatedRequest, home: Homeserver, isPublic: boolean): RoomWish {
  const alias = aliasOf(body, home);
  if ((bodyArray(body, 'invite_3pid') ?? []).length > 0) {
    throw new MatrixError(403, 'M_THREEPID_DENIED', 'This server invites by user id only.');
  }
  return {
    creator: user.userId,
    rules: versionOf(body, home),
    preset: presetOf(body) ?? (isPublic ? 'public_chat' : 'private_chat'),
    creationContent: bodyObject(body, 'creation_content') ?? {},
    powerLevelOverride: bodyObject(body, 'power_level_content_override') ?? {},
    initialState: initialStateOf(body, alias),
    name: bodyText(body, 'name'),
    topic: bodyText(body, 'topic'),
    alias,
    invites: invitesOf(body, user.userId, home),
    isDirect: bodyFlag(body, 'is_direct') ?? false,
    memberFields: (userId) => ({ ...home.accounts.profiles.memberFields(userId) }),
  };
}

function versionOf(body: JsonObject, home: Homeserver): RoomVersionRules {
  const version = bodyText(body, 'room_version') ?? home.options.defaultRoomVersion;
  const rules = rulesOf(version);
  if (rules !== undefined) return rules;
  throw new MatrixError(400, 'M_UNSUPPORTED_ROOM_VERSION', 'This server does not know that room version.');
}

function presetOf(body: JsonObject): Preset | undefined {
  const preset = bodyText(body, 'preset');
  if (preset === undefined) return undefined;
  const known = PRESETS.find((name) => name === preset);
  if (known === undefined) throw invalidParam(`preset is one of ${PRESETS.join(', ')}.`);
  return known;
}

function aliasOf(body: JsonObject, home: Homeserver): string | undefined {
  const localpart = bodyText(body, 'room_alias_name');
  if (localpart === undefined) return undefined;
  const alias = `#${localpart}:${home.options.serverName}`;
  if (localpart.includes(':') || !isRoomAlias(alias)) {
    throw invalidParam('room_alias_name is what stands before the server in an alias.');
  }
  return alias;
}

function invitesOf(body: JsonObject, creator: UserId, home: Homeserver): readonly UserId[] {
  const given = bodyArray(body, 'invite') ?? [];
  if (given.length > INVITES_MAX) throw invalidParam(`A new room invites at most ${INVITES_MAX} users.`);
  const invites = new Set<UserId>();
  for (const entry of given) {
    const userId = userIdOf(typeof entry === 'string' ? entry : '', 'An entry of invite');
    if (userId === creator) throw invalidParam('You need no invitation to your own room.');
    if (home.federation === undefined && serverOf(userId) !== home.options.serverName) {
      throw forbidden(`${userId} cannot be invited: this server reaches its own users only.`);
    }
    invites.add(userId);
  }
  return [...invites];
}

function initialStateOf(body: JsonObject, alias: string | undefined): PlannedEvent[] {
  const given = bodyArray(body, 'initial_state') ?? [];
  if (given.length > INITIAL_STATE_MAX) {
    throw invalidParam(`A new room begins with at most ${INITIAL_STATE_MAX} events of your own.`);
  }
  return given.map((entry) => {
    const json = isObject(entry) ? entry : {};
    const type = bodyText(json, 'type');
    const content = bodyObject(json, 'content');
    if (type === undefined || content === undefined) {
      throw badJson('An entry of initial_state has a type and a content.');
    }
    if (type === 'm.room.create' || type === 'm.room.member') {
      throw invalidParam(`${type} is set by creation_content and invite, not by initial_state.`);
    }
    if (type === 'm.room.canonical_alias') assertOwnAlias(content, alias);
    return { type, stateKey: bodyText(json, 'state_key') ?? '', content };
  });
}

/** A room that is not there yet has no alias but the one that it is made with. */
function assertOwnAlias(content: JsonObject, alias: string | undefined): void {
  const others = bodyArray(content, 'alt_aliases') ?? [];
  for (const named of [own(content, 'alias') ?? '', ...others]) {
    if (named !== '' && named !== alias) {
      throw new MatrixError(400, 'M_BAD_ALIAS', 'An alias of initial_state does not point to the new room.');
    }
  }
}

export const createRoomRoutes: readonly Route[] = [
  {
    method: 'POST',
    path: '/_matrix/client/v3/createRoom',
    auth: 'user',
    rateLimit: 'join',
    handler: createRoom,
  },
];
