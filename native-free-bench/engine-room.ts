// A room inside a running engine, and new events for it, each right in form, hash and authorisation.
//
// It comes to its size as a joined room does: its state is received as outliers, and one event with all of
// that as the state before it. From there on events have their place in the graph, one after another or in
// branches. Nothing is signed, and the engine verifies no signatures: what that costs is measured by itself.

import { type Engine, openEngine } from '../src/engine/engine.js';
import { buildEvent } from '../src/event/build.js';
import type { EventId, ServerName, UserId } from '../src/event/ids.js';
import { serverOf } from '../src/event/ids.js';
import type { JsonObject } from '../src/event/json.js';
import type { Pdu } from '../src/event/pdu.js';
import { type RoomVersionRules, rulesOf } from '../src/event/rules.js';
import type { SigningKey } from '../src/event/signing.js';
import { utf8 } from '../src/lib/bytes.js';
import { assert } from '../src/lib/errors.js';
import { authEventKeys } from '../src/room/auth/selection.js';
import { Random } from '../tools/generate/random.js';
import { sentence } from '../tools/generate/words.js';
import { userIds } from './rooms.js';
import { type StoreKind, temporaryFolder } from './stores.js';

/** What an event says. */
export interface Said {
  readonly type: string;
  readonly sender: UserId;
  readonly stateKey?: string;
  readonly content: JsonObject;
}

/** An event that is built and not yet received. */
export interface Built {
  readonly pdu: Pdu;
  readonly bytes: Uint8Array;
}

/** The end of a line of events, and what authorises there. */
export interface End {
  ids: EventId[];
  depth: number;
  readonly authorising: Map<string, EventId>;
}

const UNSIGNED: SigningKey = {
  keyId: 'ed25519:none',
  publicKey: new Uint8Array(32),
  sign: () => new Uint8Array(64),
  signAsync: () => Promise.resolve(new Uint8Array(64)),
};
/** This many members talk and change; the rest are there. */
const ACTIVE_MAX = 50;
const RECEIVED_AT_ONCE = 500;
const AUTHORISING = ['m.room.create', 'm.room.power_levels', 'm.room.join_rules', 'm.room.member'];
const START_MS = 1_735_689_600_000;

export class EngineRoom {
  readonly engine: Engine;
  readonly rules: RoomVersionRules;
  readonly users: readonly UserId[];
  readonly end: End = { ids: [], depth: 0, authorising: new Map() };
  readonly #random: Random;
  readonly #close: () => Promise<void>;
  #roomId: Pdu['roomId'] | undefined;
  #nowMs = START_MS;

  private constructor(
    engine: Engine,
    rules: RoomVersionRules,
    users: readonly UserId[],
    close: () => Promise<void>,
  ) {
    this.engine = engine;
    this.rules = rules;
    this.users = users;
    this.#random = new Random('benchmark', `events of ${users.length}`);
    this.#close = close;
  }

  static async build(members: number, version: string, kind: StoreKind): Promise<EngineRoom> {
    const folder = kind === 'memory' ? undefined : await temporaryFolder();
    const engine = await openEngine({
      durability: 'os',
      ...(folder === undefined ? {} : { path: folder.path }),
    });
    return EngineRoom.#make(engine, userIds(members) as UserId[], version, async () => {
      await engine.close();
      await folder?.remove();
    });
  }

  /** A room in an engine that is there already. @param users its members, the first of them its creator */
  static fill(engine: Engine, users: readonly UserId[], version: string): Promise<EngineRoom> {
    return EngineRoom.#make(engine, users, version, () => Promise.resolve());
  }

  static async #make(
    engine: Engine,
    users: readonly UserId[],
    version: string,
    close: () => Promise<void>,
  ): Promise<EngineRoom> {
    const rules = rulesOf(version);
    assert(rules !== undefined, `there is a room version ${version}`);
    const room = new EngineRoom(engine, rules, users, close);
    await room.#fill();
    return room;
  }

  get creator(): UserId {
    return this.user(0);
  }

  user(number: number): UserId {
    const user = this.users[number];
    assert(user !== undefined, `the room has a member ${number}`);
    return user;
  }

  get roomId(): Pdu['roomId'] {
    assert(this.#roomId !== undefined, 'the room has begun');
    return this.#roomId;
  }

  /** A short text by somebody. */
  message(): Said {
    const sender = this.user(this.#random.below(Math.min(ACTIVE_MAX, this.users.length)));
    const body = sentence(this.#random, this.#random.between(2, 20));
    return { type: 'm.room.message', sender, content: { msgtype: 'm.text', body } };
  }

  /** A member's new profile. */
  profile(sender: UserId = this.user(this.#random.below(this.users.length))): Said {
    const displayname = sentence(this.#random, 2);
    return { type: 'm.room.member', sender, stateKey: sender, content: { membership: 'join', displayname } };
  }

  /** Something that the creator sets. */
  set(type: string, content: JsonObject): Said {
    return { type, sender: this.creator, stateKey: '', content };
  }

  /** Power levels in which one user may do as much as is said. */
  powerLevels(level: number): Said {
    const creators = this.rules.authorisation.creatorsArePrivileged ? {} : { [this.creator]: 100 };
    const users = this.users.length > 1 ? { ...creators, [this.user(1)]: level } : creators;
    return this.set('m.room.power_levels', {
      users,
      events: { 'm.room.power_levels': 100 },
      state_default: 50,
    });
  }

  /** A line of events of its own, from where the room now ends. */
  branch(): End {
    return { ids: [...this.end.ids], depth: this.end.depth, authorising: new Map(this.end.authorising) };
  }

  /** The next event of a line, which then ends with it. */
  next(said: Said, end: End = this.end): Built {
    const built = this.#built(said, end);
    end.ids = [built.pdu.eventId];
    end.depth = built.pdu.depth;
    this.#note(built.pdu, end);
    return built;
  }

  /** Receives an event. @throws when it is not accepted: then the benchmark would measure something else */
  async receive(
    { pdu, bytes }: Built,
    options: { asOutlier?: boolean; givenState?: EventId[] } = {},
  ): Promise<void> {
    const { verdict, reason } = await this.engine.receive(bytes, options);
    assert(verdict === 'accepted', `${pdu.type} ${pdu.eventId} is accepted, not ${verdict}: ${reason}`);
  }

  close(): Promise<void> {
    return this.#close();
  }

  async #fill(): Promise<void> {
    const claim = this.rules.authorisation.creatorIsInContent ? { creator: this.creator } : {};
    const create = this.next(this.set('m.room.create', { ...claim, room_version: this.rules.version }));
    this.#roomId = create.pdu.roomId;
    await this.receive(create);
    const opening = [
      this.profile(this.creator),
      this.powerLevels(0),
      this.set('m.room.join_rules', { join_rule: 'public' }),
      this.set('m.room.history_visibility', { history_visibility: 'shared' }),
      this.set('m.room.name', { name: 'A room' }),
      this.set('m.room.topic', { topic: 'Nothing in particular' }),
    ];
    const state = [create.pdu.eventId];
    for (const said of opening) {
      const built = this.next(said);
      await this.receive(built);
      state.push(built.pdu.eventId);
    }
    if (this.users.length === 1) return;
    await this.#join(state);
  }

  /** All others at once: their joins as outliers, then an event that has them as the state before it. */
  async #join(state: EventId[]): Promise<void> {
    const [last] = this.end.ids;
    assert(last !== undefined, 'the room has begun');
    const { depth } = this.end;
    for (let at = 1; at < this.users.length; at += RECEIVED_AT_ONCE) {
      const joins = this.users.slice(at, at + RECEIVED_AT_ONCE).map((user) => {
        const built = this.#built(this.profile(user), {
          ids: [last],
          depth,
          authorising: this.end.authorising,
        });
        this.#note(built.pdu, this.end);
        return built;
      });
      await Promise.all(joins.map((join) => this.receive(join, { asOutlier: true })));
      state.push(...joins.map(({ pdu }) => pdu.eventId));
    }
    const said = { type: 'm.room.message', sender: this.creator, content: { body: 'Here we are' } };
    await this.receive(this.next(said), { givenState: state });
    const { joined } = this.engine.currentState(this.roomId);
    assert(joined === this.users.length, `the room has ${this.users.length} members, not ${joined}`);
  }

  #built(said: Said, { ids, depth, authorising }: End): Built {
    const { rules } = this;
    this.#nowMs += 1000;
    const keys = authEventKeys({ ...said, rules, stateKey: said.stateKey });
    const pdu = buildEvent(
      {
        ...said,
        ...(this.#roomId === undefined ? this.#firstRoomId() : { roomId: this.#roomId }),
        prevEvents: ids,
        authEvents: keys.flatMap(([type, stateKey]) => authorising.get(nameOf(type, stateKey)) ?? []),
        depth: depth + 1,
        originServerTs: this.#nowMs,
      },
      { rules, server: serverOf(said.sender), key: UNSIGNED },
    );
    return { pdu, bytes: utf8(JSON.stringify(pdu.json)) };
  }

  #firstRoomId(): { roomId?: Pdu['roomId'] } {
    if (this.rules.roomIdIsCreateHash) return {};
    const server: ServerName = serverOf(this.creator);
    return { roomId: `!benchmark${this.users.length}:${server}` as Pdu['roomId'] };
  }

  #note({ type, stateKey, eventId }: Pdu, { authorising }: End): void {
    if (stateKey !== undefined && AUTHORISING.includes(type))
      authorising.set(nameOf(type, stateKey), eventId);
  }
}

function nameOf(type: string, stateKey: string): string {
  return `${type}\n${stateKey}`;
}
