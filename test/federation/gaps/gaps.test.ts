import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { EventId } from '../../../src/event/ids.js';
import { own } from '../../../src/event/json.js';
import type { Pdu } from '../../../src/event/pdu.js';
import { BETA, GAMMA, honest, Subject } from '../peers.js';

const gaps = suite('gaps');

/** Bob says so many things; the last is what alpha hears of. */
async function talk(subject: Subject, count: number): Promise<Pdu[]> {
  const events: Pdu[] = [];
  for (let i = 0; i < count; i++) events.push(await subject.say(`${i}`));
  return events;
}

function last<T>(items: readonly T[]): T {
  const item = items.at(-1);
  if (item === undefined) throw new Error('there is none');
  return item;
}

gaps('what is on its way is waited for before anybody is asked', async () => {
  const subject = await Subject.open();
  const [first, second] = (await talk(subject, 2)) as [Pdu, Pdu];
  await subject.send([second]);
  await subject.input.idle();
  assert.not.ok(subject.has(second));
  await subject.send([first]);
  await subject.settle();
  assert.ok(subject.has(second));
  assert.equal(subject.peers.asked, []);
  await subject.close();
});

gaps('a small gap is filled by one question to who sent the event', async () => {
  const subject = await Subject.open();
  const events = await talk(subject, 10);
  await subject.send([last(events)]);
  await subject.settle();
  assert.ok(events.every((event) => subject.has(event)));
  assert.ok(subject.agrees);
  assert.equal(subject.peers.asked, [`${BETA} get_missing_events`]);
  assert.equal(subject.gaps.depths, { rooms: 0, events: 0, filling: 0 });
  await subject.close();
});

gaps('a gap of more than one answer is filled in some rounds', async () => {
  const subject = await Subject.open();
  const events = await talk(subject, 70);
  await subject.send([last(events)]);
  await subject.settle();
  assert.ok(events.every((event) => subject.has(event)));
  assert.is(subject.peers.asked.length, 4, '69 missing, 20 at a time');
  await subject.close();
});

gaps('events that arrive at the same time share the filling of their gap', async () => {
  const subject = await Subject.open();
  await talk(subject, 8);
  const leaves = await Promise.all(
    ['a', 'b', 'c'].map(async (body) => {
      const event = subject.beta.build({
        type: 'm.room.message',
        sender: subject.user('bob'),
        content: { body },
      });
      return event;
    }),
  );
  for (const leaf of leaves) {
    await subject.beta.receive(leaf);
    await subject.gamma.receive(leaf);
  }
  await Promise.all(leaves.map((leaf, i) => subject.send([leaf], [], { origin: i === 1 ? GAMMA : BETA })));
  await subject.settle();
  assert.ok(leaves.every((leaf) => subject.has(leaf)));
  assert.is(subject.peers.asked.length, 1);
  await subject.close();
});

gaps(
  'beyond its rounds the state before the edge is asked for, and what is known of it is not fetched',
  async () => {
    const subject = await Subject.open({ gaps: { missingRoundsMax: 1 } });
    await subject.set('m.room.topic', '', { topic: 'missed' });
    await talk(subject, 30);
    const newest = await subject.set('m.room.name', '', { name: 'seen' });
    await subject.send([newest]);
    await subject.settle();
    assert.ok(subject.has(newest));
    assert.ok(subject.agrees, 'the topic came with the state');
    assert.equal(subject.peers.asked.slice(0, 2), [`${BETA} get_missing_events`, `${BETA} state_ids`]);
    assert.is(subject.peers.count(' event'), 1, 'the topic alone');
    assert.is(subject.peers.count(' state'), 0);
    await subject.close();
  },
);

gaps('a state of which over half is missing is fetched whole', async () => {
  const subject = await Subject.open({ gaps: { missingRoundsMax: 0 } });
  for (let i = 0; i < 12; i++) await subject.set('x.note', `${i}`, { i });
  await subject.say('edge');
  const newest = await subject.say('newest');
  await subject.send([newest]);
  await subject.settle();
  assert.ok(subject.has(newest));
  assert.ok(subject.agrees);
  assert.is(subject.peers.count(' state'), 1);
  assert.is(subject.peers.count(' event'), 0);
  await subject.close();
});

gaps('where some predecessors are known, the state is resolved here and not taken', async () => {
  const subject = await Subject.open({ gaps: { missingRoundsMax: 0 } });
  const fork = await subject.say('before the fork');
  await subject.send([fork]);
  await subject.settle();
  const bob = subject.user('bob');
  const prevEvents = [fork.eventId];
  const branch = async (type: string, name: string): Promise<Pdu> => {
    const event = subject.beta.build({
      type,
      sender: bob,
      stateKey: '',
      content: { [name]: name },
      prevEvents,
    });
    await subject.beta.receive(event);
    return event;
  };
  const seen = await branch('m.room.topic', 'topic');
  const missed = await branch('m.room.name', 'name');
  await subject.send([seen]);
  const merge = await subject.say('merge', false);
  assert.equal(new Set(merge.prevEvents), new Set([seen.eventId, missed.eventId]));
  await subject.send([merge]);
  await subject.settle();
  assert.ok(subject.has(merge));
  assert.ok(subject.has(missed), 'the missing one has a place of its own');
  assert.not.ok(subject.alpha.known(merge.eventId).hasGivenState);
  assert.ok(subject.agrees);
  await subject.close();
});

gaps('auth events that are missing are fetched', async () => {
  const subject = await Subject.open();
  const fork = [...subject.beta.room.forwardExtremities] as EventId[];
  const name = await subject.set('m.room.name', '', { name: 'x' });
  const dave = subject.beta.user('dave');
  const join = await subject.beta.send({
    type: 'm.room.member',
    sender: dave,
    stateKey: dave,
    content: { membership: 'join' },
  });
  // It follows what alpha knows, and cites what alpha does not.
  const hello = subject.beta.build({
    type: 'm.room.message',
    sender: dave,
    content: { body: 'hello' },
    prevEvents: fork,
    authFrom: join.eventId,
  });
  await subject.beta.receive(hello);
  await subject.send([hello]);
  await subject.settle();
  assert.ok(subject.alpha.engine.core.known.has(join.eventId));
  assert.is(subject.alpha.known(hello.eventId).code, 'AUTH_BY_STATE_BEFORE', 'judged, and not waiting');
  assert.equal(subject.peers.asked, [`${BETA} event_auth`]);
  assert.ok(name);
  await subject.close();
});

gaps(
  "the origin is asked first, then the sender's server, then others; ourselves and who fails not at all",
  async () => {
    const subject = await Subject.open();
    const events = await talk(subject, 3);
    subject.peers.responders.set(BETA, () => 'silence');
    await subject.send([last(events)], [], { origin: GAMMA });
    await subject.settle();
    assert.ok(subject.has(last(events)));
    assert.equal(subject.peers.asked, [`${GAMMA} get_missing_events`]);

    const more = await talk(subject, 3);
    await subject.send([last(more)]);
    await subject.settle();
    assert.equal(subject.peers.asked.slice(1), [`${BETA} get_missing_events`, `${GAMMA} get_missing_events`]);
    assert.ok(subject.destinations.isBackingOff(BETA));

    const yetMore = await talk(subject, 3);
    await subject.send([last(yetMore)]);
    subject.timers.now -= 900;
    await subject.settle();
    assert.ok(subject.has(last(yetMore)));
    await subject.close();
  },
);

gaps('what could not be fetched is tried again when a server is heard again', async () => {
  const subject = await Subject.open({ gaps: { missingRoundsMax: 2 } });
  const events = await talk(subject, 5);
  for (const server of [BETA, GAMMA]) subject.peers.responders.set(server, () => 'silence');
  await subject.send([last(events)]);
  await subject.settle();
  assert.is(subject.peers.asked.length, 2, 'who gave no answer is not asked a second thing');
  assert.not.ok(subject.has(last(events)));
  assert.is(subject.gaps.depths.events, 1);
  subject.peers.responders.set(GAMMA, honest(subject.gamma.engine));
  subject.destinations.heard(GAMMA);
  await subject.settle();
  assert.ok(events.every((event) => subject.has(event)));
  await subject.close();
});

gaps('what could not be fetched is tried again after a while, longer each time', async () => {
  const subject = await Subject.open({ gaps: { retryMs: 60_000 } });
  const events = await talk(subject, 5);
  for (const server of [BETA, GAMMA]) subject.peers.responders.set(server, () => 404);
  await subject.send([last(events)]);
  await subject.settle();
  const each = subject.peers.asked.length;
  assert.is(each, 4, 'two servers, for events and for a state');
  for (const [ms, rounds] of [
    [30_000, 1],
    [30_000, 2],
    [60_000, 2],
    [60_000, 3],
  ] as const) {
    subject.timers.pass(ms);
    await subject.gaps.idle();
    assert.is(subject.peers.asked.length, each * rounds, `${ms}`);
  }
  subject.peers.responders.set(BETA, honest(subject.beta.engine));
  subject.timers.pass(10 * 60_000);
  await subject.gaps.idle();
  await subject.settle();
  assert.ok(subject.has(last(events)));
  await subject.close();
});

gaps('what waits is taken up after a restart', async () => {
  const subject = await Subject.open();
  const events = await talk(subject, 5);
  for (const server of [BETA, GAMMA]) subject.peers.responders.set(server, () => 404);
  await subject.send([last(events)]);
  await subject.settle();
  await subject.stop();
  subject.peers.responders.set(GAMMA, honest(subject.gamma.engine));
  await subject.start();
  assert.is(subject.gaps.depths.events, 1);
  await subject.settle();
  assert.ok(events.every((event) => subject.has(event)));
  await subject.close();
});

gaps('another event of the gap fills it, whoever sends it', async () => {
  const subject = await Subject.open();
  const events = await talk(subject, 4);
  for (const server of [BETA, GAMMA]) subject.peers.responders.set(server, () => 404);
  await subject.send([last(events)]);
  await subject.settle();
  await subject.send(events.slice(0, 3), [], { origin: GAMMA });
  await subject.settle();
  assert.ok(events.every((event) => subject.has(event)));
  subject.timers.pass(60_000);
  await subject.gaps.idle();
  assert.equal(subject.gaps.depths, { rooms: 0, events: 0, filling: 0 });
  await subject.close();
});

gaps('room versions with ids in the event, and with the room id as a hash, are filled alike', async () => {
  for (const version of ['1', '2', '3', '12']) {
    const subject = await Subject.open({ version, gaps: { missingRoundsMax: 1 } });
    await subject.set('m.room.topic', '', { topic: version });
    const events = await talk(subject, 24);
    await subject.send([last(events)]);
    await subject.settle();
    assert.ok(subject.has(last(events)), `version ${version}`);
    assert.ok(subject.agrees, `version ${version}`);
    assert.ok(own(last(events).json, 'type'));
    await subject.close();
  }
});

gaps.run();
