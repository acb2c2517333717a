// A room at several residents that a server joins without its members, and a script of what goes wrong on the way.
//
// The residents are whole homeservers; what the script says happens to requests of the joining server, by resident
// and by what is asked: lost, hanging, refused, or answered with something else than the truth.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import type { EventId, RoomId, ServerName, UserId } from '../../../src/event/ids.js';
import { isArray, type JsonObject, own } from '../../../src/event/json.js';
import type { TestUser } from '../../client/harness.js';
import type { Fault } from '../faults.js';
import { Person, PUBLIC, v3 } from '../membership/people.js';
import { type Network, network, type NetworkOptions, type Site } from '../network.js';

/** What may be asked on the way to a whole state. */
export type Step = 'make_join' | 'send_join' | 'state_ids' | 'state' | 'event' | 'event_auth';

/** What happens to requests of the joining server; undefined lets them through. */
export class Script {
  readonly #faults = new Map<string, Fault | undefined>();
  /** Told of each request, in order. */
  onAsk: (server: string, step: string, uri: string) => void = () => undefined;

  constructor(net: Network, from: string) {
    net.faults = ({ from: asking, to, request }) => {
      if (asking !== from) return undefined;
      const step = stepOf(request.uri);
      this.onAsk(to, step, request.uri);
      const all = this.#faults.get(`${to} *`);
      return all ?? this.#faults.get(`${to} ${step}`);
    };
  }

  /** From now on, this happens to what is asked of a server. @param step `*` is everything */
  on(server: Site | string, step: Step | '*', fault: Fault | undefined): this {
    const name = typeof server === 'string' ? server : server.name;
    this.#faults.set(`${name} ${step}`, fault);
    return this;
  }

  /** Nothing goes wrong any more. */
  clear(): void {
    this.#faults.clear();
  }
}

export interface SceneOptions extends Omit<NetworkOptions, 'folder'> {
  /** Of b.test, beside Bob. */
  readonly members?: number;
  /** What the room is made of beside what all rooms are. */
  readonly room?: object;
  /** Servers have folders, and can be started again. */
  readonly isOnDisk?: boolean;
}

/** Alice joins, from a.test; Bob, at b.test, made the room; the people of further servers are in it. */
export class Scene {
  readonly net: Network;
  readonly script: Script;
  readonly bob: Person;
  /** One of each further server. */
  readonly others: readonly Person[];
  readonly roomId: RoomId;
  readonly #alice: TestUser;
  readonly #folder: string | undefined;

  private constructor(
    { net, folder }: { readonly net: Network; readonly folder: string | undefined },
    script: Script,
    people: readonly Person[],
    roomId: RoomId,
  ) {
    const [alice, bob, ...others] = people;
    assert.ok(alice && bob);
    this.net = net;
    this.#folder = folder;
    this.script = script;
    this.#alice = alice.user;
    this.bob = bob;
    this.others = others;
    this.roomId = roomId;
  }

  static async open({ members = 3, room = {}, isOnDisk, ...options }: SceneOptions = {}): Promise<Scene> {
    const folder = isOnDisk === true ? mkdtempSync(join(tmpdir(), 'stateroom-resync-')) : undefined;
    const residents = { smallRoomMembersMax: 0, tellsNeededMembers: false, ...options.options };
    const net = await network({
      servers: 3,
      ...options,
      options: residents,
      ...(folder === undefined ? {} : { folder }),
    });
    const names = ['alice', 'bob', 'carol', 'dave', 'erin'];
    const people: Person[] = [];
    for (const i of net.sites.keys()) people.push(await Person.at(net, i, names[i] ?? `user${i}`));
    const [, bob, ...others] = people;
    assert.ok(bob);
    const roomId = (await bob.createRoom({ ...PUBLIC, ...room })) as RoomId;
    for (const person of others) await person.ask('POST', `${v3`/v3/join/${roomId}`}?via=${bob.site.name}`);
    const { engine } = bob.site.harness.home;
    for (let i = 0; i < members; i++) {
      await engine.send(roomId, memberEvent(`@m${i}:${bob.site.name}` as UserId, 'join'));
    }
    for (let round = 0; round < 2; round++) {
      await net.settle();
      net.advance(2_000);
    }
    return new Scene({ net, folder }, new Script(net, net.site(0).name), people, roomId);
  }

  static async play(options: SceneOptions, scene: (scene: Scene) => Promise<void>): Promise<void> {
    const opened = await Scene.open(options);
    try {
      await scene(opened);
    } finally {
      await opened.close();
    }
  }

  async close(): Promise<void> {
    await this.net.close();
    if (this.#folder !== undefined) rmSync(this.#folder, { recursive: true, force: true });
  }

  /** Alice, at the joining server as it runs now. */
  get alice(): Person {
    return new Person(this.net, this.site, this.#alice);
  }

  /** Somebody else of the joining server. */
  person(name: string): Promise<Person> {
    return Person.at(this.net, 0, name);
  }

  /** The joining server's. */
  get name(): ServerName {
    return 'a.test' as ServerName;
  }

  /** The joining server as it runs now. */
  get site(): Site {
    return this.net.site(this.name);
  }

  get engine() {
    return this.site.harness.home.engine;
  }

  get resyncs() {
    return this.site.federation.resyncs;
  }

  /** Is Alice in the room? */
  get isIn(): boolean {
    if (this.engine.store.room(this.roomId) === undefined) return false;
    return this.engine.currentState(this.roomId).membership(this.alice.userId) === 'join';
  }

  get isPartial(): boolean {
    return this.engine.partial.isPartial(this.roomId);
  }

  get progress() {
    return this.resyncs.progressOf(this.roomId);
  }

  /** Alice joins by some residents, Bob's by default. */
  async join(via: readonly Site[] = [this.bob.site]): Promise<void> {
    const query = via.map(({ name }) => `via=${name}`).join('&');
    await this.alice.ask('POST', `${v3`/v3/join/${this.roomId}`}?${query}`);
  }

  /** Lets time pass until the condition holds, in steps. */
  async until(holds: () => boolean, stepMs = 10_000, steps = 100): Promise<void> {
    for (let step = 0; step < steps; step++) {
      await this.net.settle();
      // What reads a disk takes its time, and no server's.
      while (this.resyncs.stats.running > 0 && !this.#isAsking()) await this.net.settle();
      if (holds()) return;
      this.net.advance(stepMs);
    }
    assert.unreachable(`it did not come to pass: ${JSON.stringify(this.progress)}`);
  }

  #isAsking(): boolean {
    return this.net.asked.some(({ from, status }) => from === this.name && status === undefined);
  }

  /** Requests of one kind that the joining server sent. */
  asked(step: Step, to?: Site): number {
    return this.net.asked.filter(
      (one) =>
        one.from === this.site.name && stepOf(one.uri) === step && (to === undefined || one.to === to.name),
    ).length;
  }

  /** The room here is what it is at Bob's, key by key. */
  assertWhole(): void {
    const there = this.bob.site.harness.home.engine;
    const [here, right] = [this.engine, there].map((engine) =>
      entriesOf(engine.currentState(this.roomId).sorted()),
    );
    assert.equal(here, right);
    assert.is(this.engine.currentState(this.roomId).root, there.currentState(this.roomId).root);
    assert.not(this.isPartial);
    assert.equal([...this.engine.partial.incomplete()], []);
  }

  /** Bob's server hears of all that was said here, whoever it was sent to. */
  async share(roomId: RoomId = this.roomId): Promise<void> {
    const { engine } = this.bob.site.harness.home;
    const room = this.engine.store.room(roomId);
    for await (const [, seq] of this.engine.store.timeline(room?.number ?? 0, {})) {
      const bytes = this.engine.store.event(seq)?.bytes;
      if (bytes !== undefined) await engine.receive(bytes, { from: this.name });
    }
  }

  /** Is something said in the joining server's log? */
  hasLogged(text: string): boolean {
    return this.site.logged.some((line) => line.includes(text));
  }
}

function entriesOf(entries: readonly { type: string; stateKey: string; eventId: EventId }[]): string[] {
  return entries.map(({ type, stateKey, eventId }) => `${type} ${stateKey} ${eventId}`);
}

export function memberEvent(userId: UserId, membership: string, sender: UserId = userId) {
  return { type: 'm.room.member', sender, stateKey: userId, content: { membership } };
}

/** Texts of a list of an answer. */
export function idsAt(answer: JsonObject, name: string): string[] {
  const list = own(answer, name);
  return isArray(list) ? list.map(String) : [];
}

export function stepOf(uri: string): string {
  return /\/_matrix\/federation\/(?:v\d|unstable\/org\.stateroom)\/([a-z_]+)/.exec(uri)?.[1] ?? '';
}

export const HANG: Fault = { kind: 'hang' };
export const DROP: Fault = { kind: 'drop' };
export const refuse = (status: number, errcode: string): Fault => ({ kind: 'refuse', status, errcode });
export const alter = (change: (answer: JsonObject) => JsonObject): Fault => ({ kind: 'alter', change });
