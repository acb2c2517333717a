// A room of another server, resident.test, that alice of alpha.test is joined to without its members:
//
//   create … members of several servers … ── alice joins ── …
//                                             │ what alpha knows: the state but for members, and a list of servers
//
// Alpha is the homeserver under test, everybody else is made by hand. The resident's engine has the whole room, so
// that the state can be completed when a test says so.

import { buildEvent } from '../../../src/event/build.js';
import { type EventId, type RoomId, serverOf, type ServerName, type UserId } from '../../../src/event/ids.js';
import type { JsonObject } from '../../../src/event/json.js';
import { parsePdu } from '../../../src/event/parse.js';
import type { Pdu } from '../../../src/event/pdu.js';
import { signEvent } from '../../../src/event/signing.js';
import { type Engine, openEngine } from '../../../src/engine/engine.js';
import { buildLocalEvent, type LocalTemplate } from '../../../src/engine/local-events.js';
import type { NetworkOptions } from '../network.js';
import { keyOf } from '../stranger.js';
import { Alpha, ALPHA, member, Other } from './alpha.js';

const RESIDENT = 'resident.test' as ServerName;
const ROSA = '@rosa:resident.test' as UserId;
const MEMBER = 'm.room.member';

export interface PartialRoomOptions extends Omit<NetworkOptions, 'servers'> {
  /** Servers that have a user, bob, in the room. */
  readonly members?: readonly string[];
  /** Servers that the list has, beside the resident; without it, those of `members`. */
  readonly listed?: readonly string[];
  /** Users who joined and were banned before alice came. */
  readonly banned?: readonly string[];
  /** Users who may kick. */
  readonly moderators?: readonly string[];
  readonly isEncrypted?: boolean;
}

export class PartialRoom {
  readonly at: Alpha;
  readonly engine: Engine;
  readonly roomId: RoomId;
  readonly #others = new Map<string, Other>();
  #joinId = '' as EventId;

  private constructor(at: Alpha, engine: Engine, roomId: RoomId) {
    this.at = at;
    this.engine = engine;
    this.roomId = roomId;
  }

  /** The room as alpha knows it right after the join. */
  static async open(options: PartialRoomOptions = {}): Promise<PartialRoom> {
    const {
      members = [],
      listed = members,
      banned = [],
      moderators = [],
      isEncrypted = false,
      ...network
    } = options;
    const at = await Alpha.open(network);
    const engine = await openEngine({
      serverName: RESIDENT,
      signingKey: keyOf(RESIDENT),
      keys: (server) => keyOf(server).publicKey,
      now: () => at.net.clock.now,
    });
    const { roomId } = await engine.createRoom(ROSA, { roomVersion: '11', content: { creator: ROSA } });
    const room = new PartialRoom(at, engine, roomId);
    room.addOther(RESIDENT);
    await room.there(member(ROSA, 'join'));
    const state = (type: string, content: JsonObject): Promise<Pdu> =>
      room.there({ type, sender: ROSA, stateKey: '', content });
    await state('m.room.power_levels', {
      users: { [ROSA]: 100, ...Object.fromEntries(moderators.map((userId) => [userId, 50])) },
    });
    await state('m.room.join_rules', { join_rule: 'public' });
    if (isEncrypted) await state('m.room.encryption', { algorithm: 'm.megolm.v1.aes-sha2' });
    for (const name of members) await room.there(member(room.addOther(name).user, 'join'));
    for (const name of listed) room.addOther(name);
    for (const userId of banned as readonly UserId[]) {
      if (serverOf(userId) !== ALPHA) room.addOther(serverOf(userId));
      await room.there(member(userId, 'join'));
      await room.there({ ...member(userId, 'ban'), sender: ROSA });
    }
    await room.join(listed);
    return room;
  }

  async close(): Promise<void> {
    await this.at.close();
    await this.engine.close();
  }

  other(name: string): Other {
    const other = this.#others.get(name);
    if (other === undefined) throw new Error(`there is no ${name}`);
    return other;
  }

  /** A server made by hand. */
  addOther(name: string): Other {
    const existing = this.#others.get(name);
    if (existing !== undefined) return existing;
    const other = new Other(this.at.net, name);
    this.#others.set(name, other);
    return other;
  }

  /** Who founded the room. */
  get rosa(): UserId {
    return ROSA;
  }

  /** An event on the room as the resident has it, by its sender's server. */
  build(template: LocalTemplate): Pdu {
    this.at.net.advance(1);
    const serverName = serverOf(template.sender as UserId);
    const key = keyOf(serverName);
    const { pdu } = buildLocalEvent(this.engine.core, this.roomId, template, {
      serverName,
      key,
      now: this.at.net.clock.now,
    });
    return parsePdu(signEvent(pdu.json, pdu.rules, serverName, key), pdu.rules);
  }

  /** An event that the resident takes, and alpha does not hear of. */
  async there(template: LocalTemplate): Promise<Pdu> {
    const event = this.build(template);
    const { verdict, reason } = await this.engine.receive(event.json, {
      from: serverOf(event.sender),
      roomVersion: '11',
    });
    if (verdict !== 'accepted') throw new Error(`${verdict}: ${reason}`);
    return event;
  }

  /** An event of another server, built on the newest that alpha has, and taken by both. */
  async everywhere(template: LocalTemplate): Promise<Pdu> {
    const event = await this.there(template);
    const { reader } = this.engine;
    const chain = this.#chainOf(event.authEvents).map((id) => reader.event(id));
    for (const { pdu } of chain.sort((a, b) => a.seq - b.seq)) await this.here(pdu, true);
    await this.here(event);
    return event;
  }

  /**
   * Somebody banned goes on as if they were not: what alpha cannot know.
   * @param after what they claim to follow; where they throw somebody out it is that user's join
   */
  async asIfJoined(userId: UserId, template: Omit<LocalTemplate, 'sender'>, after?: Pdu): Promise<Pdu> {
    const { reader } = this.engine;
    const view = this.engine.currentState(this.roomId);
    const ban = reader.event(view.get(MEMBER, userId) ?? '').pdu;
    const joined = ban.authEvents.find((id) => reader.event(id).pdu.stateKey === userId);
    // Who joins needs the join rules; who throws somebody out needs that one's membership.
    const keys = [
      'm.room.create',
      'm.room.power_levels',
      ...(after === undefined ? ['m.room.join_rules'] : []),
    ];
    const auth = keys.flatMap((type) => view.get(type) ?? []);
    if (after !== undefined) auth.push(after.eventId);
    const previous = after ?? reader.event(this.#joinId).pdu;
    this.at.net.advance(1);
    const event = buildEvent(
      {
        type: template.type,
        content: template.content,
        ...(template.stateKey === undefined ? {} : { stateKey: template.stateKey }),
        sender: userId,
        roomId: this.roomId,
        prevEvents: [previous.eventId],
        authEvents: joined === undefined ? auth : [...auth, joined],
        depth: previous.depth + 1,
        originServerTs: this.at.net.clock.now,
      },
      { rules: ban.rules, server: serverOf(userId), key: keyOf(serverOf(userId)) },
    );
    if (joined !== undefined) await this.here(reader.event(joined).pdu, true);
    await this.here(event);
    return event;
  }

  /** Alpha takes an event. */
  async here(event: Pdu, asOutlier = false): Promise<void> {
    const { engine } = this.at.harness.home;
    await this.at.federation.keyRing.fetchFor([event.json], event.rules);
    const { verdict, reason } = await engine.receive(event.json, {
      from: serverOf(event.sender),
      roomVersion: '11',
      asOutlier,
    });
    if (verdict !== 'accepted' && verdict !== 'duplicate') throw new Error(`${verdict}: ${reason}`);
  }

  /** Alpha says something in the room as alice. */
  say(body: string): Promise<EventId> {
    return this.at.say(body, this.roomId);
  }

  /** Alpha has all of the state now. */
  async complete(): Promise<void> {
    const { reader } = this.engine;
    const ids = this.#stateBefore();
    const chain = this.#chainOf(ids);
    const events = [...new Set([...chain, ...ids])].map((id) => reader.event(id));
    for (const { pdu } of events.sort((a, b) => a.seq - b.seq)) await this.here(pdu, true);
    await this.at.harness.home.engine.completeState(this.#joinId, ids);
  }

  /** Alice leaves, and nobody completes the state any more. */
  async leave(): Promise<void> {
    const { engine } = this.at.harness.home;
    const event = await engine.send(this.roomId, member(this.at.alice.userId, 'leave'));
    for (const { eventId } of engine.partial.incomplete()) await engine.partial.giveUp(eventId);
    await this.engine.receive(event.json, { from: ALPHA });
  }

  /** Alice joins, and gets the state without its members. */
  async join(listed: readonly string[]): Promise<void> {
    const { reader } = this.engine;
    const join = await this.there(member(this.at.alice.userId, 'join'));
    this.#joinId = join.eventId;
    const state = this.#stateBefore().filter((id) => reader.event(id).pdu.type !== MEMBER);
    const chain = this.#chainOf([...state, ...join.authEvents]);
    const json = (id: EventId): JsonObject => reader.event(id).pdu.json;
    await this.at.federation.keyRing.fetchFor([join.json, ...this.#stateBefore().map(json)], join.rules);
    const outcome = await this.at.harness.home.engine.receiveJoin({
      roomVersion: '11',
      event: join.json,
      state: state.map(json),
      authChain: chain.map(json),
      from: RESIDENT,
      isPartial: true,
      servers: [RESIDENT, ...listed],
    });
    if (outcome.verdict.verdict !== 'accepted') throw new Error(outcome.verdict.reason);
    await this.at.federation.roomServers.caughtUp();
  }

  #stateBefore(): EventId[] {
    return [...this.engine.stateAt(this.#joinId, 'before').entries()].map(({ eventId }) => eventId);
  }

  #chainOf(ids: readonly EventId[]): EventId[] {
    const chain = new Set(ids);
    for (const id of chain) for (const auth of this.engine.reader.event(id).pdu.authEvents) chain.add(auth);
    return [...chain];
  }
}
