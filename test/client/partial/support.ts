// A homeserver that joined a room of others with most of its members left out of the answer.
//
//   alpha.test   founded the room, Alice's                     beta.test, delta.test   Bob's and Carol's
//   gamma.test   the homeserver under test, asked by its clients; Gina joins, and what is missing comes when told to
//
// The other servers are engines that sign what a test wants them to say.

import { Harness, type HarnessOptions, type Json, type TestUser } from '../harness.js';
import { castKeys, keyOf, SERVERS } from '../../simulator/cast.js';
import { type Draft, openServers, type TestServer } from '../../simulator/test-server.js';
import type { CompletionOutcome } from '../../../src/core/completions.js';
import type { EventId, ServerName } from '../../../src/event/ids.js';
import type { Pdu } from '../../../src/event/pdu.js';
import { rulesOf } from '../../../src/event/rules.js';
import { Scene } from '../sync/support.js';

export const ALICE = '@alice:alpha.test';
export const BOB = '@bob:beta.test';
export const CAROL = '@carol:delta.test';
export const GINA = '@gina:gamma.test';
/** Is in the room, and says nothing. */
export const SILENT = '@silent:delta.test';

export const LAZY = { room: { state: { lazy_load_members: true } } };

export const member = (userId: string, membership: string, sender = userId): Draft => ({
  type: 'm.room.member',
  sender,
  stateKey: userId,
  content: { membership },
});

export const message = (sender: string, body: string, more: Partial<Draft> = {}): Draft => ({
  type: 'm.room.message',
  sender,
  content: { msgtype: 'm.text', body },
  ...more,
});

export const state = (sender: string, type: string, content: Draft['content']): Draft => ({
  type,
  sender,
  stateKey: '',
  content,
});

export interface Joining {
  /** Events of the state that come with the answer beside those that always do. */
  readonly given?: readonly EventId[];
  /** What the resident says in place of these of the state, though it is not so. */
  readonly lies?: ReadonlyMap<EventId, EventId>;
  readonly servers?: readonly string[];
}

export class PartialScene extends Scene {
  readonly alpha: TestServer;
  readonly beta: TestServer;
  readonly delta: TestServer;
  readonly #gamma: TestServer;
  readonly #options: HarnessOptions;
  readonly #past: Pdu[] = [];
  #join: Pdu | undefined;

  private constructor(harness: Harness, servers: readonly TestServer[], options: HarnessOptions) {
    super(harness);
    this.#options = options;
    const [alpha, beta, gamma, delta] = servers;
    if (alpha === undefined || beta === undefined || gamma === undefined || delta === undefined) {
      throw new Error('four servers are needed');
    }
    [this.alpha, this.beta, this.#gamma, this.delta] = [alpha, beta, gamma, delta];
  }

  /** Opens a scene, plays it, closes it. */
  static async act(
    scene: (scene: PartialScene) => Promise<void>,
    options: HarnessOptions = {},
  ): Promise<void> {
    const rules = rulesOf('11');
    if (rules === undefined) throw new Error('a known version');
    const servers = await openServers(SERVERS, rules);
    const all: HarnessOptions = {
      serverName: 'gamma.test' as ServerName,
      signingKey: keyOf('gamma.test'),
      keys: castKeys,
      ...options,
    };
    const opened = new PartialScene(await Harness.open(all), servers, all);
    try {
      await opened.#found();
      await scene(opened);
    } finally {
      await opened.harness.close();
      for (const { engine } of servers) await engine.close();
    }
  }

  /** The same after a restart of the homeserver, played and closed; its data must be in a folder. */
  async restart(scene: (scene: PartialScene) => Promise<void>): Promise<void> {
    await this.harness.close();
    const servers = [this.alpha, this.beta, this.#gamma, this.delta];
    const opened = new PartialScene(await Harness.open(this.#options), servers, this.#options);
    opened.#join = this.#join;
    try {
      await scene(opened);
    } finally {
      await opened.harness.close();
    }
  }

  async #found(): Promise<void> {
    await this.#everywhere(await this.alpha.found(ALICE));
    await this.send(this.alpha, member(ALICE, 'join'));
    await this.send(this.alpha, state(ALICE, 'm.room.power_levels', { users: { [ALICE]: 100 }, invite: 0 }));
    await this.send(this.alpha, state(ALICE, 'm.room.join_rules', { join_rule: 'public' }));
    await this.send(this.alpha, state(ALICE, 'm.room.topic', { topic: 'parts' }));
    await this.send(this.beta, member(BOB, 'join'));
    await this.send(this.delta, member(CAROL, 'join'));
    await this.send(this.delta, member(SILENT, 'join'));
    await this.send(this.alpha, member('@asked:alpha.test', 'invite', ALICE));
  }

  get roomId() {
    return this.alpha.roomId;
  }

  get engine() {
    return this.harness.home.engine;
  }

  /** The event by which Gina came in. */
  get join(): Pdu {
    if (this.#join === undefined) throw new Error('Gina has not joined');
    return this.#join;
  }

  /** An event that every server takes, this homeserver too once it is in the room. */
  async send(server: TestServer, draft: Draft): Promise<Pdu> {
    return this.#everywhere(await server.send(draft));
  }

  /** What happened before Gina joined, in its order. */
  get past(): Pdu[] {
    return [...this.#past];
  }

  /** An event of alpha's before Gina joins, which the others do not hear of. */
  async beforehand(draft: Draft): Promise<Pdu> {
    const event = await this.alpha.send(draft);
    await this.#gamma.receive(event);
    return event;
  }

  async #everywhere(event: Pdu): Promise<Pdu> {
    for (const server of [this.alpha, this.beta, this.#gamma, this.delta]) await server.receive(event);
    if (this.#join !== undefined) await this.give(event);
    else this.#past.push(event);
    return event;
  }

  /** Gina joins; what is no member of the state before comes with the answer, and her own. */
  async enter({
    given = [],
    lies = new Map(),
    servers = ['alpha.test', 'beta.test', 'delta.test'],
  }: Joining = {}): Promise<TestUser> {
    const gina = await this.harness.user('gina');
    const join = await this.send(this.#gamma, member(GINA, 'join'));
    await this.#enter(join, { given, lies, servers });
    return gina;
  }

  /** Gina, who has left, joins once more, and again most members are left out. */
  async reenter(): Promise<void> {
    const { forwardExtremities } = this.engine.reader.room(this.roomId);
    this.#join = undefined;
    for (const id of forwardExtremities) await this.#everywhere(this.engine.reader.event(id).pdu);
    await this.#enter(await this.send(this.#gamma, member(GINA, 'join')), {});
  }

  async #enter(join: Pdu, { given = [], lies = new Map(), servers = [] }: Joining): Promise<void> {
    const known = this.stateBefore(join).filter((id) => this.#isGiven(id));
    const told = [...known.map((id) => lies.get(id) ?? id), ...given];
    const chain = new Set<EventId>([...told, ...join.authEvents]);
    for (const id of chain) for (const auth of this.pdu(id).authEvents) chain.add(auth);
    await this.engine.receiveJoin({
      from: 'alpha.test',
      roomVersion: join.rules.version,
      event: join.json,
      state: told.map((id) => this.pdu(id).json),
      authChain: [...chain].map((id) => this.pdu(id).json),
      isPartial: true,
      servers,
    });
    this.#join = join;
  }

  #isGiven(id: EventId): boolean {
    const { type, stateKey } = this.pdu(id);
    return type !== 'm.room.member' || stateKey === GINA;
  }

  /** The state before an event, as alpha knows it. */
  stateBefore({ eventId }: Pdu): EventId[] {
    return [...this.alpha.engine.stateAt(eventId, 'before').entries()].map((entry) => entry.eventId);
  }

  pdu(id: EventId): Pdu {
    return this.alpha.known(id).pdu;
  }

  /** The homeserver gets an event, after those that it cites. @returns the verdict */
  async give(event: Pdu): Promise<string> {
    await this.#giveOutliers(event.authEvents);
    return (await this.engine.receive(event.json, { from: event.sender })).verdict;
  }

  async #giveOutliers(ids: readonly EventId[]): Promise<void> {
    for (const id of ids) {
      if (this.engine.graph.isKnown(id)) continue;
      const pdu = this.pdu(id);
      await this.#giveOutliers(pdu.authEvents);
      await this.engine.receive(pdu.json, { from: 'alpha.test', asOutlier: true });
    }
  }

  /** The rest of the state comes. @param meanwhile what happens while it is swapped */
  async complete(meanwhile: () => Promise<unknown> = async () => undefined): Promise<CompletionOutcome> {
    const whole = this.stateBefore(this.join);
    await this.#giveOutliers(whole);
    const completing = this.engine.completeState(this.join.eventId, whole);
    const [outcome] = await Promise.all([completing, meanwhile()]);
    await this.engine.core.idle();
    return outcome;
  }

  /** A sync of somebody who loads members lazily. */
  lazily(user: TestUser, since?: string, query: Readonly<Record<string, string>> = {}): Promise<Json> {
    return this.sync(user, { ...query, ...(since === undefined ? {} : { since }) }, LAZY);
  }

  /** A sync of somebody who wants all members. */
  eagerly(user: TestUser, since?: string, query: Readonly<Record<string, string>> = {}): Promise<Json> {
    return this.sync(user, { ...query, ...(since === undefined ? {} : { since }) });
  }
}
