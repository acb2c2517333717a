// A room whose members are all of one scripted server, made outside the clock: a state of any size, and events
// after it, each signed and right.
//
// Others join by the handshake: they get the whole state. From then on the line goes on behind their join.

import { buildEvent } from '../../src/event/build.js';
import type { EventId, RoomId, ServerName, UserId } from '../../src/event/ids.js';
import type { JsonObject } from '../../src/event/json.js';
import { parsePdu } from '../../src/event/parse.js';
import type { Pdu } from '../../src/event/pdu.js';
import { type RoomVersionRules, rulesOf } from '../../src/event/rules.js';
import type { SigningKey } from '../../src/event/signing.js';
import { assert } from '../../src/lib/errors.js';
import { Random } from '../generate/random.js';
import { sentence } from '../generate/words.js';

/** The version that servers of every make have. */
const VERSION = '10';

export interface ScriptedRoomParts {
  readonly serverName: ServerName;
  readonly key: SigningKey;
  readonly name: string;
  readonly members: number;
}

export class ScriptedRoom {
  readonly roomId: RoomId;
  readonly rules: RoomVersionRules;
  readonly members: number;
  readonly #parts: ScriptedRoomParts;
  readonly #random: Random;
  /** The newest event of each type and state key. */
  readonly #state = new Map<string, Pdu>();
  /** What came after the state that others join. */
  readonly #line = new Map<EventId, Pdu>();
  #tip: EventId[] = [];
  #depth = 0;
  #isOpen = false;
  #nowMs = Date.now() - 3_600_000;

  constructor(parts: ScriptedRoomParts) {
    const rules = rulesOf(VERSION);
    assert(rules !== undefined, `there is a room version ${VERSION}`);
    this.rules = rules;
    this.#parts = parts;
    this.members = parts.members;
    this.roomId = `!${parts.name}:${parts.serverName}` as RoomId;
    this.#random = new Random('scripted room', parts.name);
    const creator = this.user(0);
    this.#set(creator, 'm.room.create', '', { creator, room_version: VERSION });
    this.#join(creator);
    const users = { [creator]: 100 };
    this.#set(creator, 'm.room.power_levels', '', { users, events_default: 0, state_default: 50 });
    this.#set(creator, 'm.room.join_rules', '', { join_rule: 'public' });
    this.#set(creator, 'm.room.history_visibility', '', { history_visibility: 'shared' });
    this.#set(creator, 'm.room.name', '', { name: parts.name });
    for (let i = 1; i < parts.members; i++) this.#join(this.user(i));
  }

  user(number: number): UserId {
    return `@member${number}:${this.#parts.serverName}` as UserId;
  }

  /** A text by one of the first members. */
  message(): Pdu {
    const body = sentence(this.#random, this.#random.between(2, 20));
    const sender = this.user(this.#random.below(Math.min(50, this.members)));
    return this.#say({ type: 'm.room.message', sender, content: { msgtype: 'm.text', body } });
  }

  /** A new profile of any member. */
  profile(): Pdu {
    return this.#join(this.user(this.#random.below(this.members)));
  }

  joinTemplate(userId: string): JsonObject {
    const auth = ['m.room.create ', 'm.room.power_levels ', 'm.room.join_rules ', `m.room.member ${userId}`];
    return {
      room_version: VERSION,
      event: {
        type: 'm.room.member',
        room_id: this.roomId,
        sender: userId,
        state_key: userId,
        content: { membership: 'join' },
        prev_events: this.#tip,
        auth_events: this.#idsOf(auth),
        depth: this.#depth,
        origin_server_ts: Date.now(),
      },
    };
  }

  /** Takes a join that was made from the template, and gives the state before it. */
  takeJoin(event: JsonObject): JsonObject {
    const state = Array.from(this.#state.values(), ({ json }) => json);
    const chain = new Set(Array.from(this.#state.values(), ({ authEvents }) => authEvents).flat());
    const authChain = Array.from(this.#state.values()).filter(({ eventId }) => chain.has(eventId));
    this.#isOpen = true;
    this.#add(parsePdu(event, this.rules));
    return {
      origin: this.#parts.serverName,
      event,
      state,
      auth_chain: authChain.map(({ json }) => json),
      members_omitted: false,
      servers_in_room: [this.#parts.serverName],
    };
  }

  /** Events before those named that others lack, oldest first: the line's, which has no branches. */
  missing(latest: readonly unknown[], earliest: readonly unknown[], limit: number): JsonObject[] {
    const found: JsonObject[] = [];
    const known = new Set(earliest);
    let at = this.#line.get(latest[0] as EventId)?.prevEvents[0];
    while (at !== undefined && !known.has(at) && found.length < limit) {
      const pdu = this.#line.get(at);
      if (pdu === undefined) break;
      found.push(pdu.json);
      at = pdu.prevEvents[0];
    }
    return found.reverse();
  }

  #join(sender: UserId): Pdu {
    const displayname = sentence(this.#random, 2);
    return this.#set(sender, 'm.room.member', sender, { membership: 'join', displayname });
  }

  #set(sender: UserId, type: string, stateKey: string, content: JsonObject): Pdu {
    return this.#say({ type, sender, stateKey, content });
  }

  #say(said: { type: string; sender: UserId; stateKey?: string; content: JsonObject }): Pdu {
    const { serverName, key } = this.#parts;
    const isJoin = said.type === 'm.room.member';
    const auth = ['m.room.create ', 'm.room.power_levels ', `m.room.member ${said.sender}`].concat(
      isJoin ? ['m.room.join_rules '] : [],
    );
    this.#nowMs += 100;
    const pdu = buildEvent(
      {
        ...said,
        roomId: this.roomId,
        prevEvents: this.#tip,
        authEvents: said.type === 'm.room.create' ? [] : this.#idsOf(auth),
        depth: this.#depth,
        originServerTs: this.#nowMs,
      },
      { rules: this.rules, server: serverName, key },
    );
    this.#add(pdu);
    return pdu;
  }

  #add(pdu: Pdu): void {
    if (pdu.stateKey !== undefined) this.#state.set(`${pdu.type} ${pdu.stateKey}`, pdu);
    if (this.#isOpen) this.#line.set(pdu.eventId, pdu);
    this.#tip = [pdu.eventId];
    this.#depth += 1;
  }

  #idsOf(keys: readonly string[]): EventId[] {
    return keys.flatMap((key) => this.#state.get(key)?.eventId ?? []);
  }
}
