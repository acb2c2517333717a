// A homeserver as the rooms of tests need it: an engine in memory, a name, a key and a clock that they set.
//
// Unlike the engine's own `send` it can be told everything about an event: predecessors, auth events, depth,
// time. So it can also lie as a hostile server would; only signatures of others it cannot make.

import { buildEvent } from '../../src/event/build.js';
import { referenceHash } from '../../src/event/hash.js';
import type { EventId, RoomId, ServerName, UserId } from '../../src/event/ids.js';
import type { JsonObject } from '../../src/event/json.js';
import { parsePdu } from '../../src/event/parse.js';
import type { Pdu } from '../../src/event/pdu.js';
import type { RoomVersionRules } from '../../src/event/rules.js';
import { signEvent } from '../../src/event/signing.js';
import type { Verdict } from '../../src/core/outcome.js';
import { type Engine, type EngineOptions, openEngine } from '../../src/engine/engine.js';
import { utf8 } from '../../src/lib/bytes.js';
import { authEventKeys } from '../../src/room/auth/selection.js';
import type { KnownEvent } from '../../src/room/graph/known-events.js';
import type { Room } from '../../src/room/graph/room.js';
import { castKeys, keyOf } from './cast.js';

/** What an event says, and what its server claims about its place; what is left out is as it should be. */
export interface Draft {
  readonly type: string;
  readonly sender: string;
  readonly stateKey?: string;
  readonly content: JsonObject;
  readonly redacts?: EventId;
  readonly prevEvents?: readonly EventId[];
  readonly authEvents?: readonly EventId[];
  /** Selects the auth events from the state after this event instead of the state that it follows. */
  readonly authFrom?: EventId;
  readonly depth?: number;
  readonly originServerTs?: number;
  /** Another server that signs too: that of a restricted join's authorising user. */
  readonly cosigner?: string;
}

/** Milliseconds that pass only when somebody looks. */
export class Clock {
  #now = 1_700_000_000_000;

  now(): number {
    this.#now += 1_000;
    return this.#now;
  }
}

export class TestServer {
  readonly name: ServerName;
  readonly rules: RoomVersionRules;
  readonly engine: Engine;
  readonly #clock: Clock;
  /** The one room it is in. */
  #roomId: RoomId | undefined;
  #built = 0;

  private constructor(name: ServerName, rules: RoomVersionRules, engine: Engine, clock: Clock) {
    this.name = name;
    this.rules = rules;
    this.engine = engine;
    this.#clock = clock;
  }

  static async open(
    name: ServerName,
    rules: RoomVersionRules,
    clock: Clock = new Clock(),
    options: EngineOptions = {},
  ): Promise<TestServer> {
    const engine = await openEngine({ keys: castKeys, now: () => clock.now(), ...options });
    return new TestServer(name, rules, engine, clock);
  }

  get roomId(): RoomId {
    if (this.#roomId === undefined) throw new Error(`${this.name} is in no room`);
    return this.#roomId;
  }

  /** The room as it is decided, committed or not. */
  get room(): Room {
    const room = this.engine.core.rooms.find(this.roomId);
    if (room === undefined) throw new Error(`${this.name} does not know ${this.roomId}`);
    return room;
  }

  user(localpart: string): UserId {
    return `@${localpart}:${this.name}` as UserId;
  }

  /** Founds the room. */
  async found(sender: string, content: JsonObject = {}): Promise<Pdu> {
    const { rules } = this;
    const creator = rules.authorisation.creatorIsInContent ? { creator: sender } : {};
    const create = buildEvent(
      {
        type: 'm.room.create',
        sender: sender as UserId,
        stateKey: '',
        content: { ...creator, ...content, room_version: rules.version },
        ...(rules.roomIdIsCreateHash ? {} : { roomId: `!room:${this.name}` as RoomId }),
        ...this.#eventId(),
        prevEvents: [],
        authEvents: [],
        depth: 1,
        originServerTs: this.#clock.now(),
      },
      { rules, server: this.name, key: keyOf(this.name) },
    );
    const verdict = await this.receive(create);
    if (verdict.verdict !== 'accepted') throw new Error(`no room: ${verdict.code} ${verdict.reason}`);
    return create;
  }

  /** Takes an event as if another server had sent it. */
  async receive(pdu: Pdu): Promise<Verdict> {
    this.#roomId ??= pdu.roomId;
    return this.engine.receive(pdu.json, { from: pdu.sender, roomVersion: this.rules.version });
  }

  /** Sends an event by the rules: undefined, and nothing is stored, when they do not allow it. */
  async trySend(draft: Draft): Promise<Pdu | undefined> {
    let built: Pdu | undefined;
    const { verdict } = await this.engine.core.create(this.roomId, () => {
      built = this.build(draft);
      return { pdu: built, bytes: utf8(JSON.stringify(built.json)) };
    });
    return verdict === 'accepted' ? built : undefined;
  }

  /** Sends an event that the rules allow. */
  async send(draft: Draft): Promise<Pdu> {
    const sent = await this.trySend(draft);
    if (sent === undefined) throw new Error(`${this.name} may not send ${JSON.stringify(draft)}`);
    return sent;
  }

  /** Builds and signs an event without taking it. What is not said of it is worked out from known events. */
  build(draft: Draft): Pdu {
    const { rules, room } = this;
    const prevEvents = draft.prevEvents ?? [...room.forwardExtremities].sort().slice(0, 20);
    const { stateKey } = draft;
    const pdu = buildEvent(
      {
        type: draft.type,
        sender: draft.sender as UserId,
        content: draft.content,
        ...(stateKey === undefined ? {} : { stateKey }),
        ...(draft.redacts === undefined ? {} : { redacts: draft.redacts }),
        roomId: this.roomId,
        ...this.#eventId(),
        prevEvents,
        authEvents: draft.authEvents ?? this.#authEvents(draft),
        depth: draft.depth ?? this.#depthOver(prevEvents),
        originServerTs: draft.originServerTs ?? this.#clock.now(),
      },
      {
        rules,
        server: this.name,
        key: keyOf(this.name),
        referenceHash: (id) => {
          const event = this.engine.core.known.pdu(id);
          return event === undefined ? undefined : referenceHash(event.json, rules);
        },
      },
    );
    if (draft.cosigner === undefined || draft.cosigner === this.name) return pdu;
    return parsePdu(signEvent(pdu.json, rules, draft.cosigner, keyOf(draft.cosigner)), rules);
  }

  /** An event that it knows, with what it made of it. */
  known(id: EventId): KnownEvent {
    const event = this.engine.core.known.get(id);
    if (event === undefined) throw new Error(`${this.name} does not know ${id}`);
    return event;
  }

  /** The event at a key of its current state. */
  current(type: string, stateKey = ''): Pdu | undefined {
    const { room } = this;
    const id = room.states.get(room.current().root, type, stateKey);
    return id === undefined ? undefined : this.known(id).pdu;
  }

  /** By the current state, or that after `authFrom` or after the only predecessor that the draft names. */
  #authEvents(draft: Draft): EventId[] {
    const { room, rules } = this;
    const from = draft.authFrom ?? draft.prevEvents?.[0];
    const root = from === undefined ? room.current().root : this.known(from).roots?.after;
    if (root === undefined) throw new Error(`${from} has no state after it`);
    const template = { ...draft, rules, stateKey: draft.stateKey };
    return authEventKeys(template).flatMap(([type, stateKey]) => room.states.get(root, type, stateKey) ?? []);
  }

  #depthOver(prevEvents: readonly EventId[]): number {
    const depths = prevEvents.map((id) => this.known(id).pdu.depth);
    return Math.min(Number.MAX_SAFE_INTEGER, Math.max(0, ...depths) + 1);
  }

  #eventId(): { readonly eventId?: EventId } {
    if (this.rules.eventIdFormat !== 'field') return {};
    this.#built++;
    return { eventId: `$e${this.#built}:${this.name}` as EventId };
  }
}

/** Opens a server for each name, all with one clock. */
export async function openServers(
  names: readonly ServerName[],
  rules: RoomVersionRules,
  options: EngineOptions = {},
): Promise<TestServer[]> {
  const clock = new Clock();
  return Promise.all(names.map(async (name) => TestServer.open(name, rules, clock, options)));
}

/** Gives events to a server, one after the other, and returns what it said. */
export async function deliver(server: TestServer, events: Iterable<Pdu>): Promise<Verdict[]> {
  const verdicts: Verdict[] = [];
  for (const event of events) verdicts.push(await server.receive(event));
  await server.engine.core.idle();
  return verdicts;
}
