// One homeserver, alpha.test, with a room of its user alice, and servers made by hand that have users in it. What is
// sent to those is written down; how they answer is the test's to say.

import type { EventId, RoomId, ServerName, UserId } from '../../../src/event/ids.js';
import { isObject, type JsonObject, type JsonValue, own } from '../../../src/event/json.js';
import { parsePdu } from '../../../src/event/parse.js';
import type { Pdu } from '../../../src/event/pdu.js';
import { signEvent } from '../../../src/event/signing.js';
import type { Federation } from '../../../src/federation/federation.js';
import { buildLocalEvent, type LocalTemplate } from '../../../src/engine/local-events.js';
import { type Harness, type Json, textOf, type TestUser } from '../../client/harness.js';
import { network, type Answers, type Network, type NetworkOptions, type Stranger } from '../network.js';

export const ALPHA = 'alpha.test' as ServerName;

/** A transaction as a server got it. */
export interface Sent {
  readonly id: string;
  readonly pdus: readonly JsonObject[];
  readonly edus: readonly JsonObject[];
}

/** How a server takes transactions: as it should, or not at all, or so that only the answer is lost; or with a refusal. */
export type Mood = 'up' | 'down' | 'deaf' | 'refuses';

/** A server made by hand. */
export class Other {
  readonly name: ServerName;
  readonly user: UserId;
  readonly sent: Sent[] = [];
  mood: Mood = 'up';
  /** How it answers what is no transaction. */
  answers: Answers = () => undefined;
  readonly stranger: Stranger;

  constructor(net: Network, name: string) {
    this.name = name as ServerName;
    this.user = `@bob:${name}` as UserId;
    this.stranger = net.stranger(name, (request) => {
      const id = /^\/_matrix\/federation\/v1\/send\/([^?]+)/.exec(request.uri)?.[1];
      return id === undefined ? this.#answer(request) : this.#take(id, request.body);
    });
  }

  #answer(request: Parameters<Answers>[0]): ReturnType<Answers> {
    if (this.mood === 'down') return { status: 503, body: {} };
    return this.answers(request);
  }

  #take(id: string, body: JsonObject): { readonly status?: number; readonly body: JsonObject } {
    if (this.mood === 'down') return { status: 503, body: {} };
    if (this.mood === 'refuses') return { status: 403, body: { errcode: 'M_FORBIDDEN', error: 'no' } };
    this.sent.push({ id, pdus: objectsAt(body, 'pdus'), edus: objectsAt(body, 'edus') });
    return this.mood === 'deaf' ? { status: 500, body: {} } : { body: { pdus: {} } };
  }

  /** Bodies of the messages that it got, in order, each as often as it came. */
  get messages(): string[] {
    return this.sent.flatMap(({ pdus }) =>
      pdus.flatMap((pdu) => {
        const content = own(pdu, 'content');
        return own(pdu, 'type') === 'm.room.message' && isObject(content) ? textOf(own(content, 'body')) : [];
      }),
    );
  }

  /** Contents of the EDUs of a type that it got. */
  edus(type: string): Json[] {
    return this.sent.flatMap(({ edus }) =>
      edus.flatMap((edu) => {
        const content = own(edu, 'content');
        return own(edu, 'edu_type') === type && isObject(content) ? (content as Json) : [];
      }),
    );
  }

  /** Forgets what it got. */
  clear(): void {
    this.sent.length = 0;
  }
}

export class Alpha {
  readonly net: Network;
  alice!: TestUser;
  roomId!: RoomId;

  private constructor(net: Network) {
    this.net = net;
  }

  static async open(options: Omit<NetworkOptions, 'servers'> = {}): Promise<Alpha> {
    const alpha = new Alpha(await network({ ...options, servers: [ALPHA] }));
    alpha.alice = await alpha.harness.user('alice');
    alpha.roomId = await alpha.room();
    return alpha;
  }

  get harness(): Harness {
    return this.net.site(ALPHA).harness;
  }

  get federation(): Federation {
    return this.net.site(ALPHA).federation;
  }

  async close(): Promise<void> {
    await this.net.close();
  }

  /** A server made by hand; its user bob joins the room. */
  async other(name = 'beta.test'): Promise<Other> {
    const other = new Other(this.net, name);
    await this.join(other);
    await this.settle();
    other.clear();
    return other;
  }

  /** A public room of alice's. */
  async room(): Promise<RoomId> {
    // The id of a room is the hash of what made it, time included.
    this.net.advance(1);
    const { body } = await this.harness.call(this.alice, 'POST', '/v3/createRoom', { preset: 'public_chat' });
    return textOf(body['room_id']) as RoomId;
  }

  join(other: Other, user = other.user, roomId = this.roomId): Promise<Pdu> {
    return this.from(other, member(user, 'join'), roomId);
  }

  leave(other: Other, user = other.user, roomId = this.roomId): Promise<Pdu> {
    return this.from(other, member(user, 'leave'), roomId);
  }

  /** An event as another server makes it. */
  build({ name, stranger }: Other, template: LocalTemplate, roomId = this.roomId): Pdu {
    const { key } = stranger;
    const { pdu } = buildLocalEvent(this.harness.home.engine.core, roomId, template, {
      serverName: name,
      key,
      now: this.net.clock.now,
    });
    return parsePdu(signEvent(pdu.json, pdu.rules, name, key), pdu.rules);
  }

  /** An event of another server, as if it had come from there. */
  async from(other: Other, template: LocalTemplate, roomId = this.roomId): Promise<Pdu> {
    const { engine } = this.harness.home;
    const { name } = other;
    const event = this.build(other, template, roomId);
    await this.federation.keyRing.fetchFor([event.json], event.rules);
    const { verdict, reason } = await engine.receive(event.json, { from: name });
    if (verdict !== 'accepted') throw new Error(`${verdict}: ${reason}`);
    return event;
  }

  async say(body: string, roomId = this.roomId): Promise<EventId> {
    const content = { msgtype: 'm.text', body };
    const template = { type: 'm.room.message', sender: this.alice.userId, content };
    return (await this.harness.home.engine.send(roomId, template)).eventId;
  }

  set(type: string, stateKey: string, content: JsonObject): Promise<Pdu> {
    const { engine } = this.harness.home;
    return engine.send(this.roomId, { type, sender: this.alice.userId, stateKey, content });
  }

  /** Waits until nothing more can happen without time passing. */
  async settle(): Promise<void> {
    for (let round = 0; round < 3; round++) {
      await this.federation.sender.settled();
      await this.federation.users.settled();
      await this.net.settle();
    }
  }

  /** Lets so much time pass, and everything happen that happens then. */
  async pass(ms: number): Promise<void> {
    this.net.advance(ms);
    await this.settle();
  }

  /** The server is gone as by `kill -9`, in the middle of whatever it did, and comes back. */
  async kill(): Promise<void> {
    const { notifier, accounts, engine } = this.harness.home;
    // What is left of it in this process says nothing any more.
    this.federation.parts.transport.send = () => new Promise(() => undefined);
    await engine.core.idle();
    await notifier.close();
    await accounts.close();
    await engine.close();
    await this.net.start(ALPHA);
  }

  async restart(): Promise<void> {
    await this.net.stop(ALPHA);
    await this.net.start(ALPHA);
  }
}

export function member(userId: UserId, membership: string): LocalTemplate {
  return { type: 'm.room.member', sender: userId, stateKey: userId, content: { membership } };
}

function objectsAt(body: JsonObject, name: string): JsonObject[] {
  const list: JsonValue | undefined = own(body, name);
  return Array.isArray(list) ? list.filter(isObject) : [];
}
