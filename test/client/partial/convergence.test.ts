// Clients of all kinds, following a room that is known in part and then whole, end with what is true.
//
// Model: a client keeps the state that it was told, as the specification says: `state` first, then the timeline's state
// events, or `state_after` alone. Strategy: honest users talk and set state; Mallory, who is banned, goes on; Carol, of
// whom the resident says that she is banned, is refused at first; Bob cites an old membership of his. Each client syncs
// when it likes; at some point the state becomes whole. Invariant, when all have synced: see `check`.
//
// A failure names its seed: STATEROOM_PARTIAL_SEED=7 npm test -- partial/convergence

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { EventId } from '../../../src/event/ids.js';
import type { Pdu } from '../../../src/event/pdu.js';
import { Random } from '../../../tools/generate/random.js';
import { itemsOf, type Json, type TestUser, textOf } from '../harness.js';
import { leaf } from '../rooms.js';
import { eventsOf, joinedIn, nextOf, type Query } from '../sync/support.js';
import { ALICE, BOB, CAROL, GINA, member, message, PartialScene, SILENT, state } from './support.js';

const test = suite('client/partial: convergence');

const MALLORY = '@mallory:beta.test';
const STEPS = 40;
const SEEDS = 6;

interface Kind {
  readonly isLazy: boolean;
  readonly isStateAfter: boolean;
  readonly limit: number;
}

const KINDS: readonly Kind[] = [true, false].flatMap((isLazy) =>
  [true, false].flatMap((isStateAfter) => [2, 1_000].map((limit) => ({ isLazy, isStateAfter, limit }))),
);

/** One client, and what it makes of what it is told. */
class Client {
  readonly kind: Kind;
  readonly #scene: PartialScene;
  readonly #device: Pick<TestUser, 'accessToken'>;
  readonly state = new Map<string, string>();
  readonly told = new Set<string>();
  joined = '';
  #since: string | undefined;

  constructor(scene: PartialScene, kind: Kind, device: Pick<TestUser, 'accessToken'>) {
    this.#scene = scene;
    this.kind = kind;
    this.#device = device;
  }

  /** @returns what it was told of the room, if anything */
  async sync(): Promise<Json | undefined> {
    const { isLazy, isStateAfter, limit } = this.kind;
    const query: Query = {
      ...(this.#since === undefined ? {} : { since: this.#since }),
      ...(isStateAfter ? { use_state_after: 'true' } : {}),
    };
    const filter = { room: { state: { lazy_load_members: isLazy }, timeline: { limit } } };
    const sync = await this.#scene.sync(this.#device, query, filter);
    this.#since = nextOf(sync);
    const room = joinedIn(sync, this.#scene.roomId);
    if (room === undefined) return undefined;
    for (const event of eventsOf(room, isStateAfter ? 'state_after' : 'state')) this.#put(event);
    for (const event of eventsOf(room, 'timeline')) {
      this.told.add(textOf(event['event_id']));
      if (!isStateAfter && event['state_key'] !== undefined) this.#put(event);
    }
    const count = room['summary']?.['m.joined_member_count'];
    if (count !== undefined) this.joined = textOf(count);
    return room;
  }

  #put(event: Json): void {
    this.state.set(
      JSON.stringify([leaf(event['type']), leaf(event['state_key'])]),
      textOf(event['event_id']),
    );
  }
}

/** What users do, each once in a while; some of it is refused. */
async function deeds(scene: PartialScene, gina: TestUser, old: { readonly bob: Pdu; readonly mallory: Pdu }) {
  const { alpha, beta, delta } = scene;
  let n = 0;
  /** An event on the join, whose sender is a member by this event. */
  const forged = (server: typeof beta, draft: ReturnType<typeof message>, by: Pdu): Pdu => {
    const prevEvents = [scene.join.eventId];
    const { authEvents } = server.build({ ...draft, sender: ALICE, prevEvents });
    const others = authEvents.filter((id) => scene.pdu(id).stateKey !== ALICE);
    return server.build({ ...draft, prevEvents, authEvents: [...others, by.eventId] });
  };
  return [
    () => scene.send(alpha, state(ALICE, 'm.room.topic', { topic: `${++n}` })),
    () => scene.send(alpha, state(ALICE, 'm.room.name', { name: `${++n}` })),
    () => scene.send(beta, message(BOB, `${++n}`)),
    () =>
      scene.send(beta, { ...member(BOB, 'join'), content: { membership: 'join', displayname: `${++n}` } }),
    () => scene.send(delta, message(SILENT, `${++n}`)),
    () => scene.rooms.say(gina, scene.roomId, `${++n}`),
    () => scene.give(forged(beta, message(BOB, `${++n}`), old.bob)),
    () => scene.give(forged(beta, message(MALLORY, `${++n}`), old.mallory)),
    () => scene.give(forged(beta, state(MALLORY, 'm.room.topic', { topic: `${++n}` }), old.mallory)),
    () => scene.give(forged(beta, member(SILENT, 'leave', MALLORY), old.mallory)),
    async () =>
      scene.give(await delta.send({ ...message(CAROL, `${++n}`), prevEvents: [scene.join.eventId] })),
    async () =>
      scene.give(
        await delta.send({
          ...state(CAROL, 'm.room.topic', { topic: `${++n}` }),
          prevEvents: [scene.join.eventId],
        }),
      ),
  ];
}

async function play(scene: PartialScene, random: Random): Promise<void> {
  const { alpha, beta } = scene;
  const users = { [ALICE]: 100, [MALLORY]: 50, [CAROL]: 50 };
  await scene.send(alpha, state(ALICE, 'm.room.power_levels', { users, invite: 0 }));
  await scene.send(alpha, state(ALICE, 'm.room.name', { name: 'room' }));
  const old = {
    bob: beta.current('m.room.member', BOB) as Pdu,
    mallory: await scene.send(beta, member(MALLORY, 'join')),
  };
  await scene.send(beta, { ...member(BOB, 'join'), content: { membership: 'join', displayname: 'Bob' } });
  await scene.send(alpha, member(MALLORY, 'ban', ALICE));
  const fork = [...alpha.room.forwardExtremities] as EventId[];
  const slander = await alpha.send({ ...member(CAROL, 'ban', ALICE), prevEvents: fork });
  const gina = await scene.enter({ given: random.oneIn(2) ? [slander.eventId] : [] });
  const clients = await Promise.all(
    KINDS.map(async (kind) => new Client(scene, kind, await scene.harness.device(gina.userId))),
  );
  const doable = await deeds(scene, gina, old);
  const completion = random.between(STEPS / 4, (3 * STEPS) / 4);
  for (let step = 0; step < STEPS; step++) {
    // Some sync while the state is swapped, and as soon as it is.
    if (step === completion) {
      const busy = clients.filter(() => random.oneIn(2));
      await scene.complete(async () => {
        for (let i = 0; i < 3; i++) await Promise.all(busy.map((client) => client.sync()));
      });
    }
    await random.pick(doable)();
    await scene.engine.core.idle();
    for (const client of clients) if (random.oneIn(4)) await client.sync();
  }
  for (const client of clients) await client.sync();
  for (const client of clients) await check(scene, gina, client);
}

/** The client knows all state as it is, all members that it has as they are, and has missed no event. */
async function check(scene: PartialScene, gina: TestUser, client: Client): Promise<void> {
  const kind = JSON.stringify(client.kind);
  assert.is(await client.sync(), undefined, `nothing is left to tell: ${kind}`);
  const now = scene.engine.currentState(scene.roomId);
  for (const { type, stateKey, eventId } of now.entries()) {
    const has = client.state.get(JSON.stringify([type, stateKey]));
    const mayLack = client.kind.isLazy && type === 'm.room.member' && stateKey !== GINA;
    if (has === undefined && mayLack) continue;
    assert.is(has, eventId, `${type} ${stateKey}: ${kind}`);
  }
  assert.is(client.joined, `${now.joined}`, kind);
  if (client.kind.limit < STEPS) return;
  const page = await scene.rooms.ask(
    gina,
    'GET',
    `/v3/rooms/${encodeURIComponent(scene.roomId)}/messages?dir=f&limit=1000`,
  );
  for (const event of itemsOf(page['chunk'])) {
    assert.ok(client.told.has(textOf(event['event_id'])), `${textOf(event)} was told: ${kind}`);
  }
}

const only = process.env['STATEROOM_PARTIAL_SEED'];
const seeds = only === undefined ? Array.from({ length: SEEDS }, (_, i) => `${i + 1}`) : [only];
for (const seed of seeds) {
  test(`all clients end with what is true: seed ${seed}`, async () => {
    await PartialScene.act((scene) => play(scene, new Random(seed, 'partial')));
  });
}

test.run();
