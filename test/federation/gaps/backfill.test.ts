import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { Pdu } from '../../../src/event/pdu.js';
import { BETA, GAMMA, honest, idsOf, Subject } from '../peers.js';

const backfill = suite('backfill');

/** Bodies of the messages of alpha's timeline, oldest first. */
async function timeline({ alpha: { engine }, roomId }: Subject): Promise<string[]> {
  const bodies: string[] = [];
  const room = engine.store.room(roomId);
  if (room === undefined) throw new Error('no room');
  for await (const [, seq] of engine.store.timeline(room.number, {})) {
    const body = engine.reader.events.at(seq)?.pdu.content['body'];
    if (typeof body === 'string') bodies.push(body);
  }
  return bodies;
}

/** A room of which alpha knows the newest event and its state, and not what came before it. */
async function stageGap(
  count: number,
): Promise<{ readonly subject: Subject; readonly events: readonly Pdu[] }> {
  const subject = await Subject.open({ gaps: { missingRoundsMax: 0 } });
  const events: Pdu[] = [];
  for (let i = 0; i < count; i++) {
    if (i === Math.floor(count / 2)) await subject.set('m.room.topic', '', { topic: 'half way' });
    events.push(await subject.say(`${i}`));
  }
  const newest = await subject.say('newest');
  await subject.send([newest]);
  await subject.settle();
  assert.ok(subject.has(newest));
  subject.peers.asked.length = 0;
  return { subject, events };
}

backfill('history comes in pages, each before what is known, in the order in which it happened', async () => {
  const { subject, events } = await stageGap(25);
  const bodies = events.map((_, i) => `${i}`);
  const { engine } = subject.alpha;
  const { forwardExtremities } = subject.alpha.room;
  const root = engine.currentState(subject.roomId).root;
  assert.equal(await subject.gaps.backfill(subject.roomId, 10), { events: 10, hasMore: true });
  assert.equal(await timeline(subject), [...bodies.slice(15), 'newest']);
  assert.equal(await subject.gaps.backfill(subject.roomId, 10), { events: 10, hasMore: true });
  // The topic is one of them.
  assert.equal(await timeline(subject), [...bodies.slice(6), 'newest']);
  const { events: left, hasMore } = await subject.gaps.backfill(subject.roomId, 50);
  assert.is(left, 6);
  assert.not.ok(hasMore, 'it meets what was known before the gap');
  assert.equal(await timeline(subject), [...bodies, 'newest']);
  assert.equal(subject.alpha.room.forwardExtremities, forwardExtremities, 'nothing of the present changed');
  assert.is(engine.currentState(subject.roomId).root, root);
  assert.equal(await subject.gaps.backfill(subject.roomId, 10), { events: 0, hasMore: false });
  await subject.close();
});

backfill('the state at old events is what it was then', async () => {
  const { subject, events } = await stageGap(12);
  await subject.gaps.backfill(subject.roomId, 50);
  for (const { eventId } of events) {
    assert.equal(
      idsOf(subject.alpha.engine.stateAt(eventId, 'before')),
      idsOf(subject.beta.engine.stateAt(eventId, 'before')),
    );
  }
  const [first, last] = [events[0], events.at(-1)].map((event) =>
    subject.alpha.engine.stateAt(event?.eventId ?? '').get('m.room.topic'),
  );
  assert.is(first, undefined);
  assert.ok(last);
  await subject.close();
});

backfill('who asks while it is under way waits for the same', async () => {
  const { subject } = await stageGap(10);
  const both = await Promise.all([1, 2, 3].map(() => subject.gaps.backfill(subject.roomId, 5)));
  assert.equal(both[1], both[0]);
  assert.is(subject.peers.count(' backfill'), 1);
  await subject.close();
});

backfill('a server that has nothing is passed over for the next', async () => {
  const { subject } = await stageGap(5);
  for (const nothing of [(): number => 404, () => ({ pdus: [] }), () => 'silence' as const]) {
    subject.peers.responders.set(BETA, nothing);
    subject.peers.responders.set(GAMMA, nothing);
    const { events, hasMore } = await subject.gaps.backfill(subject.roomId, 1);
    assert.is(events, 0);
    assert.ok(hasMore);
  }
  subject.timers.pass(3_600_000);
  subject.peers.responders.set(GAMMA, honest(subject.gamma.engine));
  assert.is((await subject.gaps.backfill(subject.roomId, 50)).events, 6);
  await subject.close();
});

backfill('what was not asked for is left out: other rooms, other events, forged ones', async () => {
  const { subject, events } = await stageGap(5);
  const honestly = honest(subject.beta.engine);
  const other = await Subject.open();
  const foreign = await other.say('elsewhere');
  const signatures = { [BETA]: { 'ed25519:cast': 'A'.repeat(86) } };
  const stray = subject.beta.build({
    type: 'm.room.message',
    sender: subject.user('bob'),
    content: { body: 'stray' },
    prevEvents: [events[0]?.eventId ?? foreign.eventId],
  });
  subject.peers.responders.set(GAMMA, () => 404);
  subject.peers.responders.set(BETA, (asked) => {
    if (asked.path[0] !== 'backfill') return honestly(asked);
    const pdus = events.slice(2).map(({ json }, i) => (i === 0 ? { ...json, signatures } : json));
    return { pdus: [foreign.json, stray.json, ...pdus.toReversed(), ...pdus, { garbage: true }] };
  });
  await subject.gaps.backfill(subject.roomId, 50);
  assert.not.ok(subject.alpha.engine.core.known.has(foreign.eventId));
  assert.not.ok(subject.alpha.engine.core.known.has(stray.eventId));
  const forged = events[2];
  assert.ok(forged !== undefined && !subject.alpha.engine.core.known.has(forged.eventId));
  assert.is(subject.peers.count(' backfill'), 2);
  await other.close();
  await subject.close();
});

backfill('a room that is not known, or an internal one, has no history elsewhere', async () => {
  const subject = await Subject.open();
  for (const roomId of ['!unknown:beta.test', '!servers']) {
    const nothing = { events: 0, hasMore: false };
    assert.equal(await subject.gaps.backfill(roomId as Subject['roomId'], 10), nothing);
  }
  assert.equal(subject.peers.asked, []);
  await subject.close();
});

backfill.run();
