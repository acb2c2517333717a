// Requests to other servers: bounded in time and bytes, their answers read as what the specification says.
//
// Every answer and every failure feeds the backoff of the server asked. What a server says is never trusted
// further than its form: lists hold objects or texts, and no more than was asked for.
//
// Source: server-server API; the paths are those of data/api/server-server.

import type { EventId, RoomId, ServerName, UserId } from '../event/ids.js';
import { isArray, isObject, type JsonObject, type JsonValue, own } from '../event/json.js';
import { badAnswer, path, Requester, type RequestLimits, type RequestParts } from './requester.js';
import { StateroomRequests } from './stateroom-requests.js';

export type { RequestLimits } from './requester.js';

/** What `/state` gives. */
export interface RemoteState {
  readonly pdus: readonly JsonObject[];
  readonly authChain: readonly JsonObject[];
}

/** What `/state_ids` gives. */
export interface RemoteStateIds {
  readonly pduIds: readonly EventId[];
  readonly authChainIds: readonly EventId[];
}

/** What `make_join` and its like give: an event to complete, sign and send. */
export interface EventTemplate {
  /** Undefined where the server does not say: version 1, or 2. */
  readonly roomVersion: string | undefined;
  readonly event: JsonObject;
}

/** What `send_join` gives. */
export interface JoinAnswer {
  /** The join event as the resident has it, with its signature where the room needs one. */
  readonly event: JsonObject | undefined;
  readonly state: readonly JsonObject[];
  readonly authChain: readonly JsonObject[];
  readonly membersOmitted: boolean;
  readonly serversInRoom: readonly string[];
}

/** What is asked of a notary: servers, their keys, and until when those must be good. */
export type NotaryQuestion = Readonly<
  Record<string, Readonly<Record<string, { readonly minimum_valid_until_ts?: number }>>>
>;

export class RemoteServers extends Requester {
  /** What only servers of our make answer. */
  readonly stateroom: StateroomRequests;

  constructor(parts: RequestParts) {
    super(parts);
    this.stateroom = new StateroomRequests(this, parts.now);
  }

  /** One event. @throws as `get` */
  async event(destination: ServerName, eventId: EventId, limits?: RequestLimits): Promise<JsonObject> {
    const answer = await this.get(destination, path`/_matrix/federation/v1/event/${eventId}`, {}, limits);
    const [pdu] = objectsAt(destination, answer, 'pdus');
    if (pdu === undefined) throw badAnswer(destination, 'pdus holds no event');
    return pdu;
  }

  /** The state before an event, with its auth chain. @throws as `get` */
  async state(
    destination: ServerName,
    roomId: RoomId,
    eventId: EventId,
    limits: RequestLimits = {},
  ): Promise<RemoteState> {
    const { stateBytesMax: bytesMax, handshakeTimeoutMs: timeoutMs } = this.parts.options;
    const uri = path`/_matrix/federation/v1/state/${roomId}`;
    const answer = await this.get(
      destination,
      uri,
      { event_id: eventId },
      { bytesMax, timeoutMs, ...limits },
    );
    return {
      pdus: objectsAt(destination, answer, 'pdus'),
      authChain: objectsAt(destination, answer, 'auth_chain'),
    };
  }

  /** The same by ids. @throws as `get` */
  async stateIds(
    destination: ServerName,
    roomId: RoomId,
    eventId: EventId,
    limits: RequestLimits = {},
  ): Promise<RemoteStateIds> {
    const { stateBytesMax: bytesMax } = this.parts.options;
    const uri = path`/_matrix/federation/v1/state_ids/${roomId}`;
    const answer = await this.get(destination, uri, { event_id: eventId }, { bytesMax, ...limits });
    return {
      pduIds: textsAt(destination, answer, 'pdu_ids') as EventId[],
      authChainIds: textsAt(destination, answer, 'auth_chain_ids') as EventId[],
    };
  }

  /** An event's auth chain. @throws as `get` */
  async eventAuth(
    destination: ServerName,
    roomId: RoomId,
    eventId: EventId,
    limits: RequestLimits = {},
  ): Promise<readonly JsonObject[]> {
    const { stateBytesMax: bytesMax } = this.parts.options;
    const uri = path`/_matrix/federation/v1/event_auth/${roomId}/${eventId}`;
    const answer = await this.get(destination, uri, {}, { bytesMax, ...limits });
    return objectsAt(destination, answer, 'auth_chain');
  }

  /** Events before those named, and they: at most `limit`. @throws as `get` */
  async backfill(
    destination: ServerName,
    roomId: RoomId,
    from: readonly EventId[],
    limit: number,
    limits?: RequestLimits,
  ): Promise<readonly JsonObject[]> {
    const uri = path`/_matrix/federation/v1/backfill/${roomId}`;
    const answer = await this.get(destination, uri, { v: from, limit }, limits);
    return objectsAt(destination, answer, 'pdus').slice(0, limit);
  }

  /** Events between those that we have and those that we heard of: at most `limit`. @throws as `get` */
  async missingEvents(
    destination: ServerName,
    roomId: RoomId,
    question: {
      readonly earliest: readonly EventId[];
      readonly latest: readonly EventId[];
      readonly limit: number;
      readonly minDepth?: number;
    },
    limits?: RequestLimits,
  ): Promise<readonly JsonObject[]> {
    const { earliest, latest, limit, minDepth = 0 } = question;
    const body = { earliest_events: earliest, latest_events: latest, limit, min_depth: minDepth };
    const uri = path`/_matrix/federation/v1/get_missing_events/${roomId}`;
    const answer = await this.post(destination, uri, body, {}, limits);
    return objectsAt(destination, answer, 'events').slice(0, limit);
  }

  /** The event next to a time. @throws as `get` */
  async timestampToEvent(
    destination: ServerName,
    roomId: RoomId,
    ts: number,
    direction: 'f' | 'b',
    limits?: RequestLimits,
  ): Promise<{ readonly eventId: EventId; readonly originServerTs: number }> {
    const uri = path`/_matrix/federation/v1/timestamp_to_event/${roomId}`;
    const answer = await this.get(destination, uri, { ts, dir: direction }, limits);
    const eventId = own(answer, 'event_id');
    const originServerTs = own(answer, 'origin_server_ts');
    if (typeof eventId !== 'string' || typeof originServerTs !== 'number') {
      throw badAnswer(destination, 'event_id or origin_server_ts is missing');
    }
    return { eventId: eventId as EventId, originServerTs };
  }

  /** @param versions the room versions that we support @throws as `get` */
  makeJoin(
    destination: ServerName,
    roomId: RoomId,
    userId: UserId,
    versions: readonly string[],
    limits?: RequestLimits,
  ): Promise<EventTemplate> {
    return this.#make(
      path`/_matrix/federation/v1/make_join/${roomId}/${userId}`,
      destination,
      versions,
      limits,
    );
  }

  /** @throws as `get` */
  makeKnock(
    destination: ServerName,
    roomId: RoomId,
    userId: UserId,
    versions: readonly string[],
    limits?: RequestLimits,
  ): Promise<EventTemplate> {
    return this.#make(
      path`/_matrix/federation/v1/make_knock/${roomId}/${userId}`,
      destination,
      versions,
      limits,
    );
  }

  /** @throws as `get` */
  makeLeave(
    destination: ServerName,
    roomId: RoomId,
    userId: UserId,
    limits?: RequestLimits,
  ): Promise<EventTemplate> {
    return this.#make(path`/_matrix/federation/v1/make_leave/${roomId}/${userId}`, destination, [], limits);
  }

  async #make(
    uri: string,
    destination: ServerName,
    versions: readonly string[],
    limits: RequestLimits = {},
  ): Promise<EventTemplate> {
    const { handshakeTimeoutMs: timeoutMs } = this.parts.options;
    const answer = await this.get(destination, uri, { ver: versions }, { timeoutMs, ...limits });
    const event = own(answer, 'event');
    const roomVersion = own(answer, 'room_version');
    if (!isObject(event)) throw badAnswer(destination, 'event is missing');
    return { event, roomVersion: typeof roomVersion === 'string' ? roomVersion : undefined };
  }

  /**
   * @param options `omitMembers`: members may be left out; of a server of this kind only those that are not needed to
   *   judge what comes next
   * @throws as `get`
   */
  async sendJoin(
    destination: ServerName,
    roomId: RoomId,
    eventId: EventId,
    event: JsonObject,
    options: { readonly omitMembers?: boolean } & RequestLimits = {},
  ): Promise<JoinAnswer> {
    const { stateBytesMax: bytesMax, handshakeTimeoutMs: timeoutMs } = this.parts.options;
    const { omitMembers, ...limits } = options;
    const uri = path`/_matrix/federation/v2/send_join/${roomId}/${eventId}`;
    const query = omitMembers === true ? { omit_members: true, 'org.stateroom.members': 'needed' } : {};
    const answer = await this.put(destination, uri, event, query, { bytesMax, timeoutMs, ...limits });
    const signed = own(answer, 'event');
    const membersOmitted = own(answer, 'members_omitted') === true;
    return {
      event: isObject(signed) ? signed : undefined,
      state: objectsAt(destination, answer, 'state'),
      authChain: objectsAt(destination, answer, 'auth_chain'),
      membersOmitted,
      serversInRoom: membersOmitted ? textsAt(destination, answer, 'servers_in_room') : [],
    };
  }

  /** @throws as `get` */
  async sendLeave(
    destination: ServerName,
    roomId: RoomId,
    eventId: EventId,
    event: JsonObject,
    limits: RequestLimits = {},
  ): Promise<void> {
    const { handshakeTimeoutMs: timeoutMs } = this.parts.options;
    const uri = path`/_matrix/federation/v2/send_leave/${roomId}/${eventId}`;
    await this.put(destination, uri, event, {}, { timeoutMs, ...limits });
  }

  /** @returns the stripped state of the room @throws as `get` */
  async sendKnock(
    destination: ServerName,
    roomId: RoomId,
    eventId: EventId,
    event: JsonObject,
    limits: RequestLimits = {},
  ): Promise<readonly JsonObject[]> {
    const { handshakeTimeoutMs: timeoutMs } = this.parts.options;
    const uri = path`/_matrix/federation/v1/send_knock/${roomId}/${eventId}`;
    const answer = await this.put(destination, uri, event, {}, { timeoutMs, ...limits });
    return objectsAt(destination, answer, 'knock_room_state');
  }

  /** @returns the invite with their server's signature @throws as `get` */
  async inviteV2(
    destination: ServerName,
    roomId: RoomId,
    eventId: EventId,
    invite: {
      readonly event: JsonObject;
      readonly roomVersion: string;
      readonly inviteRoomState: readonly JsonObject[];
    },
    limits: RequestLimits = {},
  ): Promise<JsonObject> {
    const { handshakeTimeoutMs: timeoutMs } = this.parts.options;
    const { event, roomVersion, inviteRoomState } = invite;
    const uri = path`/_matrix/federation/v2/invite/${roomId}/${eventId}`;
    const body = { event, room_version: roomVersion, invite_room_state: inviteRoomState };
    const answer = await this.put(destination, uri, body, {}, { timeoutMs, ...limits });
    const signed = own(answer, 'event');
    if (!isObject(signed)) throw badAnswer(destination, 'event is missing');
    return signed;
  }

  /** @param field all of the profile without one @throws as `get` */
  queryProfile(
    destination: ServerName,
    userId: UserId,
    field?: string,
    limits?: RequestLimits,
  ): Promise<JsonObject> {
    return this.get(destination, '/_matrix/federation/v1/query/profile', { user_id: userId, field }, limits);
  }

  /** @throws as `get` */
  async queryDirectory(
    destination: ServerName,
    alias: string,
    limits?: RequestLimits,
  ): Promise<{ readonly roomId: RoomId; readonly servers: readonly string[] }> {
    const answer = await this.get(
      destination,
      '/_matrix/federation/v1/query/directory',
      { room_alias: alias },
      limits,
    );
    const roomId = own(answer, 'room_id');
    if (typeof roomId !== 'string') throw badAnswer(destination, 'room_id is missing');
    return { roomId: roomId as RoomId, servers: textsAt(destination, answer, 'servers') };
  }

  /** A user's devices with their keys. @throws as `get` */
  userDevices(destination: ServerName, userId: UserId, limits?: RequestLimits): Promise<JsonObject> {
    return this.get(destination, path`/_matrix/federation/v1/user/devices/${userId}`, {}, limits);
  }

  /** @param deviceKeys `{user: [device, ...]}` @throws as `get` */
  keysQuery(destination: ServerName, deviceKeys: JsonObject, limits?: RequestLimits): Promise<JsonObject> {
    const uri = '/_matrix/federation/v1/user/keys/query';
    return this.post(destination, uri, { device_keys: deviceKeys }, {}, limits);
  }

  /** @param oneTimeKeys `{user: {device: algorithm}}` @throws as `get` */
  keysClaim(destination: ServerName, oneTimeKeys: JsonObject, limits?: RequestLimits): Promise<JsonObject> {
    const uri = '/_matrix/federation/v1/user/keys/claim';
    return this.post(destination, uri, { one_time_keys: oneTimeKeys }, {}, limits);
  }

  /** @returns the answer's `pdus`: what became of each event, by id @throws as `get` */
  async sendTransaction(
    destination: ServerName,
    transactionId: string,
    transaction: JsonObject,
    limits?: RequestLimits,
  ): Promise<JsonObject> {
    const uri = path`/_matrix/federation/v1/send/${transactionId}`;
    const answer = await this.put(destination, uri, transaction, {}, limits);
    const pdus = own(answer, 'pdus');
    return isObject(pdus) ? pdus : {};
  }

  /** The directory of rooms of a server. @throws as `get` */
  publicRooms(destination: ServerName, question: JsonObject, limits?: RequestLimits): Promise<JsonObject> {
    return this.post(destination, '/_matrix/federation/v1/publicRooms', question, {}, limits);
  }

  /** A space and its children. @throws as `get` */
  hierarchy(
    destination: ServerName,
    roomId: RoomId,
    suggestedOnly: boolean,
    limits?: RequestLimits,
  ): Promise<JsonObject> {
    const uri = path`/_matrix/federation/v1/hierarchy/${roomId}`;
    return this.get(destination, uri, { suggested_only: suggestedOnly }, limits);
  }

  /** What a server says of its own keys; nothing in it is checked. @throws as `get` */
  serverKeys(destination: ServerName, limits: RequestLimits = {}): Promise<JsonObject> {
    const request = { destination, method: 'GET', uri: '/_matrix/key/v2/server' } as const;
    return this.json(request, limits, false);
  }

  /** What a notary says of other servers' keys; nothing in it is checked. @throws as `get` */
  async notaryQuery(
    notary: ServerName,
    serverKeys: NotaryQuestion,
    limits: RequestLimits = {},
  ): Promise<readonly JsonObject[]> {
    const request = {
      destination: notary,
      method: 'POST',
      uri: '/_matrix/key/v2/query',
      body: { server_keys: serverKeys as JsonObject },
    } as const;
    return objectsAt(notary, await this.json(request, limits, false), 'server_keys');
  }
}

/** The objects of a list; what is none is left out, a list that is missing is a bad answer. */
function objectsAt(destination: ServerName, answer: JsonObject, name: string): JsonObject[] {
  return listAt(destination, answer, name).filter(isObject);
}

function textsAt(destination: ServerName, answer: JsonObject, name: string): string[] {
  return listAt(destination, answer, name).filter((item) => typeof item === 'string');
}

function listAt(destination: ServerName, answer: JsonObject, name: string): readonly JsonValue[] {
  const list = own(answer, name);
  if (!isArray(list)) throw badAnswer(destination, `${name} is no list`);
  return list;
}
